//! The patched models of a run, to be looked at with other eyes than the question's.

use std::path::Path;

use anyhow::{Context, Result, bail};
use paint_data::Hub;

use crate::model::Model;
use crate::models::find_model;

/// A patched model and what it was patched on.
pub(crate) struct PatchedModel {
    pub(crate) task: String,
    pub(crate) model: Model,
}

/// The patched checkpoints below the directory of a finished run of `rq1` or `patch`, in the order
/// of their tasks.
pub(crate) fn patched_models(run: &Path) -> Result<Vec<PatchedModel>> {
    let checkpoints = run.join("checkpoints");
    let entries = std::fs::read_dir(&checkpoints)
        .with_context(|| format!("--patched {}: no directory checkpoints", run.display()))?;
    let mut tasks = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot read {}", checkpoints.display()))?;
        if entry.path().join("patched").is_dir() {
            tasks.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    tasks.sort();
    if tasks.is_empty() {
        bail!(
            "--patched {}: no checkpoints/TASK/patched in it; name the directory of a finished run \
             of rq1 or patch",
            run.display()
        );
    }
    // A directory is never looked for on the Hub.
    let hub = Hub::Directory(checkpoints.clone());
    let load = |task: String| -> Result<PatchedModel> {
        let path = checkpoints.join(&task).join("patched");
        let found = find_model(&path.to_string_lossy(), &hub)?;
        let model = Model::load(found)?;
        Ok(PatchedModel { task, model })
    };
    tasks.into_iter().map(load).collect()
}
