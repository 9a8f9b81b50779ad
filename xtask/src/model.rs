//! A checkpoint directory, opened: weights, tokenizer, preprocessing.

use std::path::PathBuf;

use anyhow::{Context, Result};
use candle_core::Device;
use paint_clip::{
    Clip, ClipConfig, Preprocessor, Tensors, Tokenizer, ZeroShotHead, l2_normalize, load_tensors,
};
use paint_data::Task;
use paint_eval::SeenBy;

use crate::machine::sha256_of_weights;
use crate::models::Found;

/// A model as it was found.
pub(crate) struct Model {
    pub(crate) dir: PathBuf,
    /// As its children's provenance names it.
    pub(crate) name: String,
    /// Of the weights.
    pub(crate) sha256: String,
    pub(crate) config: ClipConfig,
    pub(crate) tensors: Tensors,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) preprocessor: Preprocessor,
}

impl Model {
    /// Fails for weights that are not those that `paint.json` has the hash of, too.
    pub(crate) fn load(found: Found) -> Result<Self> {
        let dir = found.directory.as_path();
        let open = || -> Result<Self, paint_clip::Error> {
            Ok(Self {
                dir: dir.to_owned(),
                name: found.name.clone(),
                sha256: String::new(),
                config: ClipConfig::load(dir)?,
                tensors: load_tensors(dir, &Device::Cpu)?,
                tokenizer: Tokenizer::load(dir)?,
                preprocessor: Preprocessor::load(dir)?,
            })
        };
        let model = open().with_context(|| format!("model {}", dir.display()))?;
        model.clip()?;
        Ok(Self {
            sha256: sha256_of_weights(dir)?,
            ..model
        })
    }

    /// The model with its own weights.
    pub(crate) fn clip(&self) -> Result<Clip> {
        Clip::from_tensors(&self.config, &self.tensors)
            .with_context(|| format!("model {}", self.dir.display()))
    }

    /// The task's head, from this model's text tower.
    pub(crate) fn head(&self, task: &Task, class_names: &[String]) -> Result<ZeroShotHead> {
        ZeroShotHead::build(&self.clip()?, &self.tokenizer, class_names, &task.templates)
            .with_context(|| format!("task {}", task.name))
    }

    /// The logits of each image's bytes, as [`Preprocessor::resize_crop`] gives them one after the
    /// other, and each prompt.
    pub(crate) fn logits(
        &self,
        pixels: &[u8],
        n_images: usize,
        prompts: &[String],
    ) -> Result<Vec<Vec<f32>>> {
        let clip = self.clip()?;
        let pixels = self
            .preprocessor
            .normalize(pixels, n_images, &Device::Cpu)?;
        let ids = prompts.iter().map(|prompt| self.tokenizer.encode(prompt));
        let texts = clip.encode_text(&ids.collect::<Result<Vec<_>, _>>()?)?;
        let cosines = l2_normalize(&clip.encode_image(&pixels)?)?;
        let cosines = cosines.matmul(&l2_normalize(&texts)?.t()?)?;
        Ok(cosines
            .broadcast_mul(&clip.logit_scale().exp()?)?
            .to_vec2()?)
    }

    /// What the model sees of an image, for paint-data.
    pub(crate) fn transform(&self) -> SeenBy<'_> {
        SeenBy(&self.preprocessor)
    }
}
