//! Weights that know what they were made of, so that what was made of them is found again.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use candle_core::{Device, Tensor};
use paint_atomic::{UnfinishedDirectory, directory_of};
use paint_clip::{Clip, ClipConfig, Parent, Provenance, Tensors, image_tensor_names, load_tensors};
use paint_data::SplitName;
use paint_mix::interpolate_values;
use paint_tune::{FineTuneConfig, FineTuneInput, TrainingSet, fine_tune, fine_tune_key};

use crate::machine;
use crate::prepared::Prepared;
use crate::progress::Console;
use crate::subject::Subject;
use crate::workspace;

/// All weights of a model. The text side is always the zero-shot model's.
#[derive(Clone)]
pub(crate) struct Theta {
    /// Equal keys, equal weights.
    pub(crate) key: String,
    pub(crate) tensors: Tensors,
}

impl Theta {
    /// What [`Theta::between`] will be called.
    pub(crate) fn key_between(&self, other: &Self, alpha: f64) -> String {
        match alpha {
            0.0 => self.key.clone(),
            1.0 => other.key.clone(),
            _ => machine::sha256(format!("{} {} {alpha:?}", self.key, other.key).as_bytes()),
        }
    }

    /// `(1 - alpha) · self + alpha · other`.
    pub(crate) fn between(&self, other: &Self, alpha: f64, config: &ClipConfig) -> Result<Self> {
        let mixed = self.with_image_side(config, |name, values, out| {
            let values_of_other = other.tensors[name].flatten_all()?.to_vec1::<f32>()?;
            Ok(interpolate_values(values, &values_of_other, alpha, out)?)
        })?;
        Ok(Self {
            key: self.key_between(other, alpha),
            ..mixed
        })
    }

    /// These weights with every tensor of the image side replaced: `make` gets its name, its
    /// values and where to write the new ones. The key is the caller's to set.
    pub(crate) fn with_image_side(
        &self,
        config: &ClipConfig,
        make: impl Fn(&str, &[f32], &mut [f32]) -> Result<()>,
    ) -> Result<Self> {
        let mut tensors = self.tensors.clone();
        for name in image_tensor_names(config) {
            let tensor = &self.tensors[&name];
            let values = tensor.flatten_all()?.to_vec1::<f32>()?;
            let mut theta = vec![0.0; values.len()];
            make(&name, &values, &mut theta)?;
            tensors.insert(name, Tensor::from_vec(theta, tensor.shape(), &Device::Cpu)?);
        }
        Ok(Self {
            key: String::new(),
            tensors,
        })
    }

    /// These zero-shot weights merged with `others`, which were made of them: `make` gets a tensor's
    /// name, its values here and in the others, and where to write. `how` says what `make` does.
    pub(crate) fn merged(
        &self,
        others: &[&Self],
        how: &str,
        config: &ClipConfig,
        make: impl Fn(&str, &[f32], &[&[f32]], &mut [f32]) -> Result<()>,
    ) -> Result<Self> {
        let merged = self.with_image_side(config, |name, values, out| {
            let values_of = |other: &&Self| other.tensors[name].flatten_all()?.to_vec1::<f32>();
            let of_others = others
                .iter()
                .map(values_of)
                .collect::<Result<Vec<_>, _>>()?;
            let of_others: Vec<&[f32]> = of_others.iter().map(Vec::as_slice).collect();
            make(name, values, &of_others, out)
        })?;
        let keys: Vec<&str> = others.iter().map(|other| other.key.as_str()).collect();
        let text = format!("{how} {} {}", self.key, keys.join(" "));
        Ok(Self {
            key: machine::sha256(text.as_bytes()),
            ..merged
        })
    }

    /// As the provenance of what is fine-tuned from it names it.
    fn as_parent_in(&self, subject: &Subject) -> Parent {
        match self.key == subject.zero_shot.key {
            true => subject.as_parent(),
            // Not a file: patched weights of this run, known by what they were made of.
            false => Parent {
                name: format!("patched from {}", subject.model.name),
                sha256: self.key.clone(),
            },
        }
    }

    pub(crate) fn clip(&self, config: &ClipConfig) -> Result<Clip> {
        Ok(Clip::from_tensors(config, &self.tensors)?)
    }
}

/// Weights that were fine-tuned, on disk: many of them would fill the memory.
pub(crate) struct FineTuned {
    /// As in [`Theta`].
    key: String,
    /// The checkpoint.
    pub(crate) directory: PathBuf,
}

/// Fine-tunes `from` on `tasks`, jointly if they are several. What was trained before, for whatever
/// question, is found; what was begun is continued. `what` is what the progress bar calls it.
pub(crate) fn fine_tuned(
    subject: &Subject,
    from: &Theta,
    tasks: &[&Prepared],
    config: &FineTuneConfig,
    what: &str,
    console: &Console,
) -> Result<FineTuned> {
    let model = &subject.model;
    let asked = tasks
        .iter()
        .map(|task| task.asked(SplitName::Train))
        .collect::<Result<Vec<_>>>()?;
    let sets = tasks.iter().zip(&asked).map(|(task, asked)| {
        Ok(TrainingSet {
            head: task.head(SplitName::Train),
            images: task.table(SplitName::Train)?,
            asked: asked.as_ref(),
        })
    });
    let input = FineTuneInput {
        config: &model.config,
        theta: &from.tensors,
        tasks: &sets.collect::<Result<Vec<_>>>()?,
        preprocessor: &model.preprocessor,
    };
    let names: Vec<&str> = tasks.iter().map(|task| task.name.as_str()).collect();
    let key = fine_tune_key(&input, config)?;
    let folder = workspace::runs().join("weights").join(&key[..32]);
    let directory = folder.join("fine_tuned");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let _alone = lock(&folder.join("lock"), console)?;
    let state = folder.join("state.safetensors");
    if directory.join("model.safetensors").exists() {
        // A kill between the last two lines of this function leaves it.
        let _ = fs::remove_file(&state);
        return Ok(FineTuned { key, directory });
    }
    let bar = console.bar(&format!("{what}: fine-tuning"), config.steps);
    let tensors = fine_tune(input, config, &state, &mut |p| {
        bar.set_position(p.step);
        tracing::debug!(
            step = p.step,
            loss = p.loss,
            learning_rate = p.learning_rate
        );
    })
    .with_context(|| format!("fine-tuning on {}", names.join(", ")))?;
    bar.finish_and_clear();
    let provenance = Provenance {
        parents: vec![from.as_parent_in(subject)],
        task: Some(names.join(", ")),
        seed: Some(config.seed),
        alpha: Some(1.0),
        ..Default::default()
    };
    subject.write(&directory, &tensors, &provenance)?;
    // The moments are twice the weights, and nobody continues from here.
    fs::remove_file(&state).with_context(|| format!("cannot remove {}", state.display()))?;
    Ok(FineTuned { key, directory })
}

impl FineTuned {
    pub(crate) fn load(&self) -> Result<Theta> {
        Ok(Theta {
            key: self.key.clone(),
            tensors: load_tensors(&self.directory, &Device::Cpu)?,
        })
    }

    /// As its children's provenance names it.
    pub(crate) fn as_parent(&self) -> Result<Parent> {
        Ok(Parent {
            name: "fine_tuned".to_owned(),
            sha256: machine::sha256_of_weights(&self.directory)?,
        })
    }

    /// Puts the checkpoint into `directory` as well: the same files under another name where the
    /// file system can do that, else copies.
    pub(crate) fn put(&self, directory: &Path) -> Result<()> {
        if directory.exists() {
            return Ok(());
        }
        let put = || -> std::io::Result<()> {
            fs::create_dir_all(directory_of(directory))?;
            let unfinished = UnfinishedDirectory::create(directory)?;
            for entry in fs::read_dir(&self.directory)? {
                let entry = entry?;
                let (from, to) = (entry.path(), unfinished.path().join(entry.file_name()));
                if fs::hard_link(&from, &to).is_err() {
                    fs::copy(&from, &to)?;
                }
            }
            unfinished.publish()
        };
        put().with_context(|| format!("cannot write {}", directory.display()))
    }
}

/// One process at a time trains what several want.
fn lock(path: &Path, console: &Console) -> Result<fs::File> {
    let open = || -> std::io::Result<fs::File> {
        let file = fs::File::create(path)?;
        if file.try_lock().is_err() {
            console.say(format!(
                "another process is training this; waiting for it ({})",
                path.display()
            ));
            file.lock()?;
        }
        Ok(file)
    };
    open().with_context(|| format!("cannot lock {}", path.display()))
}
