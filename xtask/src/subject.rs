//! A model with the tasks of a question, opened for it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use paint_clip::{Parent, Provenance, Tensors, WeightDtype, save};
use paint_data::{Hub, SplitName, Task};
use paint_eval::Predictions;
use serde::Serialize;

use crate::machine;
use crate::model::Model;
use crate::models::find_model;
use crate::options::Asked;
use crate::prepared::{Prepared, Source};
use crate::progress::Console;
use crate::run_dir::{RunDir, shared_predictions};
use crate::tasks::{find_task, hub_of, is_of_world, prepare_world};
use crate::theta::Theta;
use crate::workspace;

/// The tasks of a question, and where their images are.
pub(crate) struct Tasks {
    pub(crate) supported: Vec<Task>,
    pub(crate) patching: Vec<Task>,
    pub(crate) hub: Hub,
    seed: u64,
    limit: Option<usize>,
    limit_validation: Option<usize>,
}

/// A model and its tasks.
pub(crate) struct Subject {
    pub(crate) model: Model,
    pub(crate) zero_shot: Theta,
    pub(crate) supported: Vec<Prepared>,
    pub(crate) patching: Vec<Prepared>,
    pub(crate) identity: ModelIdentity,
    /// Where the run keeps its answers: beside each other where there are several models.
    folder: String,
}

/// What determines a model and its images; a part of `run.toml`.
#[derive(Clone, Serialize)]
pub(crate) struct ModelIdentity {
    pub(crate) name: String,
    /// Of everything that decides the model's answers, by file.
    pub(crate) sha256: BTreeMap<String, String>,
    /// What the images are, by "TASK/SPLIT".
    data: BTreeMap<String, String>,
    /// The commits of the Hub that the model and the tasks' images are of.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    revisions: BTreeMap<String, String>,
}

/// What of a checkpoint decides its answers, beside the weights, where it has it.
const MODEL_FILES: [&str; 7] = [
    "config.json",
    "open_clip_config.json",
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
    "preprocessor_config.json",
    "processor_config.json",
];

/// What the weights, one file or several, are called among those.
const WEIGHTS: &str = "model.safetensors";

/// The splits that a supported task is opened for.
pub(crate) const HELD_OUT: [SplitName; 2] = [SplitName::Validation, SplitName::Test];
pub(crate) const ALL: [SplitName; 3] = [SplitName::Train, SplitName::Validation, SplitName::Test];

impl Tasks {
    /// The tasks' manifests.
    pub(crate) fn find(asked: &Asked<'_>, console: &Console) -> Result<Self> {
        let suite = &asked.suite;
        let load = |names: &[String]| -> Result<Vec<Task>> {
            let task = |name: &String| {
                let mut task = find_task(name)?;
                if let Some(part) = suite.train_part.get(name) {
                    task.set_train_part(part)
                        .with_context(|| format!("suite {}: [train_part]", suite.name))?;
                }
                Ok(task)
            };
            names.iter().map(task).collect()
        };
        let (patching, supported) = (load(&asked.patching)?, load(&suite.supported)?);
        let all: Vec<&Task> = patching.iter().chain(&supported).collect();
        distinct_names(&all)?;
        Ok(Self {
            hub: hub_of(asked.common.hub.as_deref(), console),
            seed: asked.common.seed,
            limit: asked.common.limit,
            limit_validation: asked.limit_validation,
            patching,
            supported,
        })
    }

    /// Opens splits of a task for a model.
    pub(crate) fn open(
        &self,
        task: &Task,
        splits: &[SplitName],
        model: &Model,
        console: &Console,
    ) -> Result<Prepared> {
        let source = Source {
            hub: &self.hub_for(task, console)?,
            cache: workspace::cache(),
            seed: self.seed,
            limit: self.limit,
            limit_validation: self.limit_validation,
        };
        Prepared::open(task, splits, model, &source, console)
    }

    /// Where a task's images are; those of the embedded world are drawn unless they are there.
    pub(crate) fn hub_for(&self, task: &Task, console: &Console) -> Result<Hub> {
        Ok(match is_of_world(task) {
            true => Hub::Directory(prepare_world(&[task], console)?),
            false => self.hub.clone(),
        })
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<&Task> {
        self.patching.iter().chain(&self.supported).collect()
    }
}

impl Subject {
    /// Opens all data for the model called `name`, before anything is trained; the only model of
    /// its run.
    pub(crate) fn open(name: &str, tasks: &Tasks, console: &Console) -> Result<Self> {
        Self::open_in(String::new(), name, tasks, console)
    }

    /// As [`Subject::open`], the model at `place` among several of its run.
    pub(crate) fn open_one_of(
        place: usize,
        name: &str,
        tasks: &Tasks,
        console: &Console,
    ) -> Result<Self> {
        let file_name = Path::new(name).file_name().unwrap_or_default();
        let folder = format!("{place}-{}/", file_name.to_string_lossy());
        Self::open_in(folder, name, tasks, console)
    }

    fn open_in(folder: String, name: &str, tasks: &Tasks, console: &Console) -> Result<Self> {
        let found = find_model(name, &tasks.hub)?;
        let revision = found.revision.clone();
        let model = Model::load(found)?;
        let open = |tasks_of: &[Task], splits: &[SplitName]| -> Result<Vec<Prepared>> {
            let open = |task| tasks.open(task, splits, &model, console);
            tasks_of.iter().map(open).collect()
        };
        let supported = open(&tasks.supported, &HELD_OUT)?;
        let patching = open(&tasks.patching, &ALL)?;
        let all = || supported.iter().chain(&patching);
        let of_tasks = all().filter_map(|task| {
            let revision = task.revision.clone()?;
            Some((format!("task {}", task.name), revision))
        });
        let of_model = revision.map(|revision| (format!("model {}", model.name), revision));
        let identity = ModelIdentity {
            name: name.to_owned(),
            sha256: sha256(&model)?,
            data: all().flat_map(Prepared::keys).collect(),
            revisions: of_tasks.chain(of_model).collect(),
        };
        let key = machine::sha256(&serde_json::to_vec(&identity.sha256)?);
        let zero_shot = Theta {
            key,
            tensors: model.tensors.clone(),
        };
        Ok(Self {
            model,
            zero_shot,
            supported,
            patching,
            identity,
            folder,
        })
    }

    /// As its children's provenance names it.
    pub(crate) fn as_parent(&self) -> Parent {
        Parent {
            name: self.model.name.clone(),
            sha256: self.identity.sha256[WEIGHTS].clone(),
        }
    }

    /// Writes a checkpoint made of this model.
    pub(crate) fn write(
        &self,
        directory: &Path,
        tensors: &Tensors,
        provenance: &Provenance,
    ) -> Result<()> {
        save(
            directory,
            &self.model.config,
            tensors,
            WeightDtype::F32,
            Some(&self.model.dir),
            provenance,
        )?;
        Ok(())
    }

    /// Answers of the zero-shot model.
    pub(crate) fn zero_shot_answers(
        &self,
        on: &Prepared,
        split: SplitName,
        run: &RunDir,
    ) -> Result<Predictions> {
        self.answers(&self.zero_shot, "zero-shot/0.000", on, split, run)
    }

    /// Answers of `theta`, which the run calls `name`, to a split of a task, measured once.
    pub(crate) fn answers(
        &self,
        theta: &Theta,
        name: &str,
        on: &Prepared,
        split: SplitName,
        run: &RunDir,
    ) -> Result<Predictions> {
        self.answers_of(&theta.key, name, on, split, run, || Ok(theta.clone()))
    }

    /// As [`Subject::answers`] for weights that are only made if they have to be.
    pub(crate) fn answers_of(
        &self,
        key: &str,
        name: &str,
        on: &Prepared,
        split: SplitName,
        run: &RunDir,
        make: impl FnOnce() -> Result<Theta>,
    ) -> Result<Predictions> {
        let name = self.answers_name(name, on, split);
        let key = answers_key(key, on, split)?;
        run.predictions(&name, &key, || {
            on.predict(&make()?.clip(&self.model.config)?, &self.model, split)
        })
    }

    /// As [`Subject::answers`], for weights that are only looked at in passing: the run itself
    /// does not keep them.
    pub(crate) fn passing_answers(
        &self,
        theta: &Theta,
        on: &Prepared,
        split: SplitName,
    ) -> Result<Predictions> {
        shared_predictions(&answers_key(&theta.key, on, split)?, || {
            on.predict(&theta.clip(&self.model.config)?, &self.model, split)
        })
    }

    /// Where in a run something of this model called `name` is kept.
    pub(crate) fn place(&self, name: &str) -> String {
        format!("{}{name}", self.folder)
    }

    /// What answers are called in a run.
    pub(crate) fn answers_name(&self, name: &str, on: &Prepared, split: SplitName) -> String {
        format!("{}/{}-{split}", self.place(name), on.name)
    }

    /// Says so, before anything is trained, if the model does not know a task at all.
    pub(crate) fn warn_of_chance(&self, run: &RunDir, console: &Console) -> Result<()> {
        for task in self.supported.iter().chain(&self.patching) {
            let zero_shot = self.zero_shot_answers(task, SplitName::Validation, run)?;
            if let Some(warning) = no_better_than_chance(&task.name, &zero_shot) {
                console.say(warning);
            }
        }
        Ok(())
    }
}

fn answers_key(theta: &str, on: &Prepared, split: SplitName) -> Result<String> {
    Ok(machine::sha256(
        format!("{theta} {}", on.key(split)?).as_bytes(),
    ))
}

/// What to say when a zero-shot model does not know a task at all, which names in the wrong order
/// also look like.
fn no_better_than_chance(name: &str, zero_shot: &Predictions) -> Option<String> {
    let (accuracy, n_classes) = (zero_shot.accuracy(), zero_shot.n_classes());
    let chance = 1.0 / n_classes as f64;
    (n_classes > 1 && accuracy.low <= chance).then(|| {
        format!(
            "{name}: zero-shot {:.1} % of {} validation images may be chance ({:.1} % for \
             {n_classes} classes); are the class names in the order of the labels?",
            100.0 * accuracy.value,
            accuracy.n,
            100.0 * chance,
        )
    })
}

fn sha256(model: &Model) -> Result<BTreeMap<String, String>> {
    let mut hashes = BTreeMap::from([(WEIGHTS.to_owned(), model.sha256.clone())]);
    for name in MODEL_FILES {
        let path = model.dir.join(name);
        if path.exists() {
            hashes.insert(name.to_owned(), machine::sha256_of_file(&path)?);
        }
    }
    Ok(hashes)
}

/// # Errors
/// If a task is there twice, or two have one name.
pub(crate) fn distinct_names(tasks: &[&Task]) -> Result<()> {
    for (i, task) in tasks.iter().enumerate() {
        match tasks[..i].iter().find(|other| other.name == task.name) {
            Some(other) if other == task => bail!(
                "task {} is named twice; a task is patched, supported or only tested on",
                task.name
            ),
            Some(_) => bail!(
                "two tasks are called {}; rename one of them in its manifest",
                task.name
            ),
            None => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guessing_is_told_from_knowing() {
        let of = |n_right: u32| {
            let labels: Vec<u32> = (0..40).map(|i| i % 4).collect();
            let guess =
                |(i, label): (u32, &u32)| if i < n_right { *label } else { (label + 1) % 4 };
            let ranked = (0..).zip(&labels).map(guess).flat_map(|first| {
                let others = (0..4).filter(move |c| *c != first);
                std::iter::once(first).chain(others)
            });
            let predictions = Predictions::new(labels.clone(), ranked.collect(), 4).unwrap();
            no_better_than_chance("signs", &predictions)
        };
        let said = of(10).unwrap();
        assert!(
            said.contains("signs: zero-shot 25.0 % of 40") && said.contains("4 classes"),
            "{said}"
        );
        assert_eq!(of(30), None);
    }
}
