//! The model: both towers and the temperature between them.

use std::path::Path;

use candle_core::{D, DType, Device, Tensor};

use crate::checkpoint::is_position_ids;
use crate::encoder::named;
use crate::inventory::{Found, mismatch};
use crate::text::TextTower;
use crate::vision::VisionTower;
use crate::{ClipConfig, Error, Result, Tensors, load_tensors};

/// A CLIP model: images and texts to features in one space.
///
/// It holds clones of the tensors it was built from, which share their storage: an optimiser that
/// updates a `candle_core::Var` in place is seen by the next forward pass.
#[derive(Debug)]
pub struct Clip {
    config: ClipConfig,
    vision: VisionTower,
    text: TextTower,
    logit_scale: Tensor,
}

impl Clip {
    /// Reads configuration and weights of a checkpoint directory in either [`Layout`](crate::Layout).
    ///
    /// # Errors
    /// Those of [`ClipConfig::load`], [`load_tensors`] and [`Clip::from_tensors`].
    pub fn load(dir: &Path, device: &Device) -> Result<Self> {
        let config = ClipConfig::load(dir)?;
        Self::from_tensors(&config, &load_tensors(dir, device)?)
    }

    /// Builds the model from tensors, which may be those of `candle_core::Var`s.
    ///
    /// # Errors
    /// If a tensor is missing, is not part of the model, or has another shape or dtype than the
    /// configuration says; one error shows them all.
    pub fn from_tensors(config: &ClipConfig, tensors: &Tensors) -> Result<Self> {
        config.check("config")?;
        check_tensors(config, tensors)?;
        Ok(Self {
            config: config.clone(),
            vision: VisionTower::new(config, tensors)?,
            text: TextTower::new(config, tensors)?,
            logit_scale: named(tensors, "logit_scale")?,
        })
    }

    /// The configuration the model was built with.
    #[must_use]
    pub fn config(&self) -> &ClipConfig {
        &self.config
    }

    /// Image features, not normalised. `pixels`: f32 [b, 3, h, w] → [b, d].
    ///
    /// # Errors
    /// If the pixels have another size than the model's, or an operation fails.
    pub fn encode_image(&self, pixels: &Tensor) -> Result<Tensor> {
        self.vision.forward(pixels, None)
    }

    /// As [`encode_image`](Self::encode_image), seeing only the patches with the numbers `seen`,
    /// which count row by row from 0: pretraining on half of the patches does about half of the work
    /// (Li et al. 2022, "Scaling language-image pre-training via masking").
    ///
    /// # Errors
    /// As there, and if there is no such patch.
    pub fn encode_image_patches(&self, pixels: &Tensor, seen: &[u32]) -> Result<Tensor> {
        self.vision.forward(pixels, Some(seen))
    }

    /// Text features, not normalised. `ids`: n sequences as [`crate::Tokenizer::encode`] gives
    /// them, of any lengths → [n, d].
    ///
    /// # Errors
    /// If there is no text, or one is empty, too long, lacks its end or has an unknown id.
    pub fn encode_text(&self, ids: &[Vec<u32>]) -> Result<Tensor> {
        self.text.forward(ids)
    }

    /// The logarithm of the factor on cosines, a scalar.
    #[must_use]
    pub fn logit_scale(&self) -> &Tensor {
        &self.logit_scale
    }

    /// Where the weights are.
    #[must_use]
    pub fn device(&self) -> &Device {
        self.logit_scale.device()
    }
}

/// The tensors that learn when a model is patched: the vision tower and its projection.
#[must_use]
pub fn image_tensor_names(config: &ClipConfig) -> Vec<String> {
    let mut names: Vec<String> = config.tensor_shapes().into_keys().collect();
    names.retain(|name| name.starts_with("vision_model.") || name == "visual_projection.weight");
    names
}

/// Rows divided by their Euclidean length. `features`: [n, d].
///
/// # Errors
/// If an operation fails.
pub fn l2_normalize(features: &Tensor) -> Result<Tensor> {
    let length = features.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?;
    Ok(features.broadcast_div(&length)?)
}

fn check_tensors(config: &ClipConfig, tensors: &Tensors) -> Result<()> {
    let found = tensors
        .iter()
        .filter(|(name, _)| !is_position_ids(name))
        .map(|(name, tensor)| {
            let wrong_dtype = (tensor.dtype() != DType::F32)
                .then(|| format!("{:?} instead of F32", tensor.dtype()));
            let shape = tensor.dims();
            (name.as_str(), Found { shape, wrong_dtype })
        });
    match mismatch(&config.tensor_shapes(), &found.collect()) {
        None => Ok(()),
        Some(problem) => Err(Error::TensorMismatch(problem)),
    }
}
