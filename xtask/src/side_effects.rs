//! The patched models of a run, to be looked at with other eyes than the question's.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use paint_clip::Provenance;
use paint_data::Hub;
use paint_embed::checkpoint_key;

use crate::model::Model;
use crate::models::find_model;

/// A patched model and what it was patched on.
pub(crate) struct PatchedModel {
    pub(crate) task: String,
    pub(crate) model: Model,
}

/// The checkpoints that a finished run of `rq1` or `patch` made of the model `base`, which the user
/// calls `name`, in the order of their tasks.
pub(crate) fn find_patched(run: &Path, base: &Model, name: &str) -> Result<Vec<PatchedModel>> {
    let tasks = patched_tasks(run)?;
    if !run.join("report.html").exists() {
        bail!(
            "--patched {}: the run is not finished; run it again, it continues where it stopped",
            run.display()
        );
    }
    let checkpoints = run.join("checkpoints");
    // A directory is never looked for on the Hub.
    let hub = Hub::Directory(checkpoints.clone());
    let load = |task: String| -> Result<PatchedModel> {
        let path = checkpoints.join(&task).join("patched");
        check_parent(&path, &base.sha256, name)?;
        let found = find_model(&path.to_string_lossy(), &hub)?;
        let model = Model::load(found)?;
        Ok(PatchedModel { task, model })
    };
    tasks.into_iter().map(load).collect()
}

/// By task, the hash of the patched checkpoint.
pub(crate) fn patched_keys(patched: &[PatchedModel]) -> Result<BTreeMap<String, String>> {
    let key = |patched: &PatchedModel| -> Result<(String, String)> {
        Ok((patched.task.clone(), checkpoint_key(&patched.model.dir)?))
    };
    patched.iter().map(key).collect()
}

/// Tasks with a patched checkpoint below the run's directory.
fn patched_tasks(run: &Path) -> Result<Vec<String>> {
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
    Ok(tasks)
}

/// Before and after are compared only if the one was made of the other.
fn check_parent(patched: &Path, of_base: &str, name: &str) -> Result<()> {
    let provenance = Provenance::load(patched)?.unwrap_or_default();
    let parents = &provenance.parents;
    if parents.iter().any(|parent| parent.sha256 == of_base) {
        return Ok(());
    }
    match parents.first() {
        Some(parent) => bail!(
            "--patched: {} was made from {}, not from {name}; give the model that was patched with \
             --model",
            patched.display(),
            parent.name
        ),
        None => bail!(
            "--patched: {} does not say in its paint.json what it was made from; patch {name} again",
            patched.display()
        ),
    }
}
