//! Pretraining presets: a model's sizes, its corpora and hyperparameters, as TOML.

use anyhow::{Context, Result, bail};
use paint_clip::{ClipConfig, HiddenAct, TextConfig, VisionConfig};
use paint_data::{Task, read_toml};
use paint_tune::{Augment, PretrainConfig};
use paint_world::Recipe;
use serde::{Deserialize, Serialize};

use crate::tasks::{find_manifest, find_task};

/// Everything that determines a pretrained checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Preset {
    pub(crate) name: String,
    projection_dim: usize,
    vision: Vision,
    text: Text,
    /// What the model sees, mixed in proportion to the sizes.
    pub(crate) corpus: Vec<CorpusSource>,
    pub(crate) train: PretrainConfig,
    /// What follows, each stage with the weights of the one before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) then: Vec<Stage>,
}

/// A further stage of training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stage {
    pub(crate) corpus: Vec<CorpusSource>,
    pub(crate) train: PretrainConfig,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Vision {
    image_size: usize,
    patch_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
}

/// One source of image–caption pairs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub(crate) enum CorpusSource {
    /// The embedded world's caption corpus.
    World {
        /// Number of pairs.
        n: u64,
        /// Seed of the pictures and captions.
        seed: u64,
        /// What share shows what.
        #[serde(default)]
        recipe: Recipe,
    },
    /// Training images of a task.
    Task(TaskCorpus),
}

/// Training images of a task, captioned by their class or vaguely.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TaskCorpus {
    /// Name of a task manifest, or its path.
    pub(crate) name: String,
    /// Share of the training images, such as "0.0..0.5"; the rest stays unseen.
    #[serde(default)]
    part: Option<String>,
    /// Templates in place of the task's own.
    #[serde(default)]
    templates: Vec<String>,
    /// Captions that name the domain only; a template and the class name where there are none.
    #[serde(default)]
    pub(crate) vague: Vec<String>,
    /// Share of the images that get their class name even though there are vague captions.
    #[serde(default)]
    pub(crate) named: f32,
    /// Variation of the images, in place of the one in `[train]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) augment: Option<Augment>,
}

impl TaskCorpus {
    /// The task as this corpus uses it.
    pub(crate) fn task(&self) -> Result<Task> {
        let mut task = find_task(&self.name)?;
        if let Some(part) = &self.part {
            task.set_train_part(part)?;
        }
        if !self.templates.is_empty() {
            task.templates.clone_from(&self.templates);
            task.check(&self.name)?;
        }
        Ok(task)
    }

    fn check(&self) -> Result<()> {
        self.task()?;
        let (name, named) = (&self.name, self.named);
        if let Some(augment) = &self.augment {
            let of_corpus = || format!("corpus.task {name}: augment");
            augment.check().with_context(of_corpus)?;
        }
        if !(0.0..=1.0).contains(&named) {
            bail!("corpus.task {name}: named = {named}: a share from 0 to 1");
        }
        if named > 0.0 && self.vague.is_empty() {
            bail!(
                "corpus.task {name}: named = {named} is for images with `vague` captions; \
                 without these, all are named"
            );
        }
        Ok(())
    }
}

impl CorpusSource {
    /// Variation of its images, if it has one of its own.
    pub(crate) fn augment(&self) -> Option<Augment> {
        match self {
            Self::World { .. } => None,
            Self::Task(corpus) => corpus.augment,
        }
    }

    fn check(&self) -> Result<()> {
        match self {
            Self::World { n: 0, .. } => bail!("corpus.world: n must be at least 1"),
            Self::World { seed, recipe, .. } => {
                paint_world::Corpus::new(recipe.clone(), *seed)?;
                Ok(())
            }
            Self::Task(corpus) => corpus.check(),
        }
    }
}

impl Preset {
    /// A preset of data-manifests/presets, or a file.
    pub(crate) fn find(name: &str) -> Result<Self> {
        let path = find_manifest("preset", name)?;
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read preset {}", path.display()))?;
        let preset: Self = read_toml(&text, &path.display().to_string())?;
        preset.check().with_context(|| path.display().to_string())?;
        Ok(preset)
    }

    /// The corpora and hyperparameters of every stage.
    pub(crate) fn stages(&self) -> impl Iterator<Item = (&[CorpusSource], &PretrainConfig)> {
        let first = (self.corpus.as_slice(), &self.train);
        let then = self.then.iter().map(|s| (s.corpus.as_slice(), &s.train));
        std::iter::once(first).chain(then)
    }

    /// Its first `n` stages, at least one.
    pub(crate) fn first(&self, n: usize) -> Self {
        let mut first = self.clone();
        first.then.truncate(n - 1);
        first
    }

    /// Whatever can be known to be wrong before any data is drawn or read.
    fn check(&self) -> Result<()> {
        for (i, (corpus, train)) in self.stages().enumerate() {
            let of_stage = || format!("stage {} of {}", i + 1, 1 + self.then.len());
            train.check().with_context(of_stage)?;
            if corpus.is_empty() {
                bail!("{}: give at least one [[corpus]]", of_stage());
            }
            let checked = corpus.iter().try_for_each(CorpusSource::check);
            checked.with_context(of_stage)?;
        }
        Ok(())
    }

    /// The architecture, with the tokenizer's vocabulary and context.
    pub(crate) fn clip_config(&self) -> ClipConfig {
        let hidden_act = HiddenAct::QuickGelu;
        ClipConfig {
            vision: VisionConfig {
                image_size: self.vision.image_size,
                patch_size: self.vision.patch_size,
                hidden_size: self.vision.hidden_size,
                intermediate_size: 4 * self.vision.hidden_size,
                num_hidden_layers: self.vision.num_hidden_layers,
                num_attention_heads: self.vision.num_attention_heads,
                hidden_act,
                ..Default::default()
            },
            text: TextConfig {
                vocab_size: paint_world::VOCABULARY_SIZE,
                max_position_embeddings: paint_world::CONTEXT_LENGTH,
                hidden_size: self.text.hidden_size,
                intermediate_size: 4 * self.text.hidden_size,
                num_hidden_layers: self.text.num_hidden_layers,
                num_attention_heads: self.text.num_attention_heads,
                hidden_act,
                bos_token_id: paint_world::VOCABULARY_SIZE as u32 - 2,
                eos_token_id: paint_world::VOCABULARY_SIZE as u32 - 1,
                pad_token_id: paint_world::VOCABULARY_SIZE as u32 - 1,
                ..Default::default()
            },
            projection_dim: self.projection_dim,
            ..Default::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_holds_together() {
        let directory = crate::workspace::manifests().join("presets");
        let mut n = 0;
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let preset = Preset::find(path.to_str().unwrap()).unwrap();
            assert_eq!(preset.name, path.file_stem().unwrap().to_str().unwrap());
            let album = preset.train.album as u64;
            assert!([1, paint_world::ALBUM].contains(&album), "{}", preset.name);
            n += 1;
        }
        assert!(n > 1);
    }

    /// Whoever runs the preset gets what the embedded checkpoint was made with.
    #[test]
    fn embedded_checkpoints_were_made_by_their_presets() {
        for checkpoint in paint_world::checkpoints() {
            let directory = tempfile::tempdir().unwrap();
            checkpoint.write(directory.path()).unwrap();
            let provenance = std::fs::read(directory.path().join("paint.json")).unwrap();
            let provenance: serde_json::Value = serde_json::from_slice(&provenance).unwrap();
            // A missing rate would read as the default one.
            let rate = &provenance["notes"]["preset"]["train"]["muon_learning_rate"];
            assert!(rate.is_number(), "{}", checkpoint.name);
            let made_by: Preset =
                serde_json::from_value(provenance["notes"]["preset"].clone()).unwrap();
            assert_eq!(made_by, Preset::find(checkpoint.name).unwrap());
        }
    }

    #[test]
    fn mistakes_are_named_before_anything_is_drawn() {
        let good = std::fs::read_to_string(
            crate::workspace::manifests().join("presets/photos-small.toml"),
        )
        .unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mine.toml");
        let message = |from: &str, to: &str| {
            assert!(good.contains(from), "{from}");
            std::fs::write(&path, good.replacen(from, to, 1)).unwrap();
            format!("{:#}", Preset::find(path.to_str().unwrap()).unwrap_err())
        };
        for (from, to, expected) in [
            ("part = \"0.0..0.5\"", "part = \"half\"", "\"half\""),
            ("\"{}\", ", "\"a photo\", ", "`{}`"),
            ("objects = 0.25", "objects = 2.5", "objects = 2.5"),
            ("n = 25_600", "n = 0", "n must be at least 1"),
            ("name = \"mnist\"", "name = \"mnits\"", "mnits"),
            (
                "name = \"cifar10\"",
                "name = \"cifar10\"\nnamed = 0.5",
                "named",
            ),
            (
                "min_area = 0.5, mirror = true",
                "min_area = 0.0, mirror = true",
                "cifar10: augment",
            ),
            ("album = 32", "album = 32\npatches = 0.0", "patches"),
        ] {
            let said = message(from, to);
            assert!(
                said.contains(expected) && said.contains("mine.toml"),
                "{said}"
            );
        }
    }
}
