//! Suite manifests: which tasks to patch on, which to keep, and the model.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::task::read_toml;
use crate::{Error, Result};

/// A list of tasks to patch on and of tasks whose accuracy must stay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// Short name.
    pub name: String,
    /// Tasks that must not get worse.
    pub supported: Vec<String>,
    /// Tasks to patch on.
    pub patching: Vec<String>,
    /// Shares of single patching tasks' training images, such as `gtsrb = "0.5..1.0"`: those
    /// that the model has not seen.
    #[serde(default)]
    pub train_part: BTreeMap<String, String>,
    /// Name or directory of the zero-shot model, if the suite comes with one.
    #[serde(default)]
    pub model: Option<String>,
    /// Name or directory of the model that the case studies patch, where that is another.
    #[serde(default)]
    pub case_model: Option<String>,
    /// Names or directories of models of several sizes, smallest first, to compare with each other.
    #[serde(default)]
    pub models: Vec<String>,
    /// Tasks that are only tested on, to see what patches do to them.
    #[serde(default)]
    pub transfer: Vec<String>,
    /// Alpha is chosen on at most so many validation images of a task; on all if not given.
    #[serde(default)]
    pub validation: Option<NonZeroUsize>,
    /// Hyperparameters of fine-tuning that suit the model; read by whoever trains.
    #[serde(default)]
    pub fine_tune: Option<toml::Table>,
    /// Where single case studies are fine-tuned otherwise, by the study's name: its keys replace
    /// those of `fine_tune`, and those of a table within, one by one.
    #[serde(default)]
    pub case_studies: BTreeMap<String, toml::Table>,
}

impl Suite {
    /// Reads a suite.
    ///
    /// # Errors
    /// If the file cannot be read, or as [`Suite::parse`].
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Reads a suite from text that came from `origin`.
    ///
    /// # Errors
    /// If the text is not TOML, a key is unknown or missing, a list is empty, or a task is
    /// named twice.
    pub fn parse(text: &str, origin: &str) -> Result<Self> {
        let suite: Self = read_toml(text, origin)?;
        for (key, tasks) in [
            ("supported", &suite.supported),
            ("patching", &suite.patching),
        ] {
            if tasks.is_empty() {
                return Err(Error::manifest(
                    origin,
                    format!("{key}: name at least one task"),
                ));
            }
        }
        let lists = [&suite.supported, &suite.patching, &suite.transfer];
        let all: Vec<&String> = lists.into_iter().flatten().collect();
        if let Some((_, task)) = all
            .iter()
            .enumerate()
            .find(|(i, task)| all[..*i].contains(task))
        {
            let message = format!("task {task:?} is named twice; a task is patched or supported");
            return Err(Error::manifest(origin, message));
        }
        if let Some(task) = suite
            .train_part
            .keys()
            .find(|task| !suite.patching.contains(task))
        {
            let message = format!("train_part: {task:?} is not a patching task");
            return Err(Error::manifest(origin, message));
        }
        Ok(suite)
    }

    /// Whether `task` is the path of a manifest, which ends in `.toml` or has a separator in it;
    /// anything else is a name.
    pub fn is_path(task: &str) -> bool {
        task.ends_with(".toml") || task.contains(std::path::is_separator)
    }

    /// Where a task of a suite in `suite_directory` has its manifest: a [path](Self::is_path) is
    /// relative to it, a name is `../tasks/NAME.toml`.
    pub fn task_path(suite_directory: &Path, task: &str) -> PathBuf {
        match Self::is_path(task) {
            true => suite_directory.join(task),
            false => suite_directory
                .join("../tasks")
                .join(format!("{task}.toml")),
        }
    }
}
