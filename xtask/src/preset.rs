//! Pretraining presets: a model's sizes, its corpora and hyperparameters, as TOML.

use std::path::Path;

use anyhow::{Context, Result, bail};
use paint_clip::{ClipConfig, HiddenAct, TextConfig, VisionConfig};
use paint_data::read_toml;
use paint_tune::PretrainConfig;
use paint_world::Recipe;
use serde::{Deserialize, Serialize};

/// Everything that determines a pretrained checkpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Preset {
    pub(crate) name: String,
    projection_dim: usize,
    vision: Vision,
    text: Text,
    /// What the model sees, mixed in proportion to the sizes.
    pub(crate) corpus: Vec<CorpusSource>,
    pub(crate) train: PretrainConfig,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Vision {
    image_size: usize,
    patch_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
}

/// One source of image–caption pairs.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
    Task {
        /// Name of a task manifest, or its path.
        name: String,
        /// Share of the training images, such as "0.0..0.5"; the rest stays unseen.
        #[serde(default)]
        part: Option<String>,
        /// Templates in place of the task's own.
        #[serde(default)]
        templates: Vec<String>,
        /// Captions that name the domain only; a template and the class name where there are none.
        #[serde(default)]
        vague: Vec<String>,
        /// Share of the images that get their class name even though there are vague captions.
        #[serde(default)]
        named: f32,
    },
}

impl Preset {
    /// A preset by its name, or from a file if the name ends in `.toml`.
    pub(crate) fn find(name: &str) -> Result<Self> {
        let path = match name.ends_with(".toml") {
            true => Path::new(name).to_owned(),
            false => crate::workspace::manifests().join(format!("presets/{name}.toml")),
        };
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!(
                "cannot read preset {}; --preset takes a name or a .toml file",
                path.display()
            )
        })?;
        let preset: Self = read_toml(&text, &path.display().to_string())?;
        preset.train.check()?;
        if preset.corpus.is_empty() {
            bail!("{}: give at least one [[corpus]]", path.display());
        }
        Ok(preset)
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
