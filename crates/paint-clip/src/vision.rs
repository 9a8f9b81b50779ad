//! The image tower: patches, class token, encoder, projection of the class token.

use candle_core::Tensor;

use crate::encoder::{Encoder, EncoderShape, LayerNorm, named};
use crate::{ClipConfig, Error, Result, Tensors};

#[derive(Debug)]
pub(crate) struct VisionTower {
    class_embedding: Tensor,
    patch_embedding: Tensor,
    position_embedding: Tensor,
    pre_layer_norm: LayerNorm,
    encoder: Encoder,
    post_layer_norm: LayerNorm,
    projection: Tensor,
    image_size: usize,
    patch_size: usize,
}

impl VisionTower {
    pub(crate) fn new(config: &ClipConfig, tensors: &Tensors) -> Result<Self> {
        let c = &config.vision;
        let shape = EncoderShape {
            n_layers: c.num_hidden_layers,
            n_heads: c.num_attention_heads,
            activation: c.hidden_act.into(),
            eps: c.layer_norm_eps,
            causal: false,
        };
        let norm = |name| LayerNorm::new(tensors, name, c.layer_norm_eps);
        Ok(Self {
            class_embedding: named(tensors, "vision_model.embeddings.class_embedding")?,
            patch_embedding: named(tensors, "vision_model.embeddings.patch_embedding.weight")?,
            position_embedding: named(
                tensors,
                "vision_model.embeddings.position_embedding.weight",
            )?,
            // The name is misspelt in every checkpoint.
            pre_layer_norm: norm("vision_model.pre_layrnorm")?,
            encoder: Encoder::new(tensors, "vision_model", shape)?,
            post_layer_norm: norm("vision_model.post_layernorm")?,
            projection: named(tensors, "visual_projection.weight")?,
            image_size: c.image_size,
            patch_size: c.patch_size,
        })
    }

    /// `pixels`: [b, 3, h, w] → [b, d]. Sees the patches with the given numbers alone, if any
    /// are given.
    pub(crate) fn forward(&self, pixels: &Tensor, seen: Option<&[u32]>) -> Result<Tensor> {
        let x = self.pre_layer_norm.forward(&self.embed(pixels, seen)?)?;
        let class_token = self.encoder.forward(x, &vec![0; pixels.dim(0)?])?;
        let pooled = self.post_layer_norm.forward(&class_token)?;
        Ok(paint_nn::linear(&pooled, &self.projection, None)?)
    }

    /// The class token and the patches, with their positions: [b, 1 + patches, width].
    fn embed(&self, pixels: &Tensor, seen: Option<&[u32]>) -> Result<Tensor> {
        let mut patches = self.patches(pixels)?;
        let mut position = self.position_embedding.clone();
        if let Some(seen) = seen {
            patches = patches.index_select(&Tensor::new(seen, pixels.device())?, 1)?;
            let rows: Vec<u32> = std::iter::once(0)
                .chain(seen.iter().map(|i| i + 1))
                .collect();
            position = position.index_select(&Tensor::new(rows, pixels.device())?, 0)?;
        }
        // A convolution whose stride is its size is a product with the flattened patches.
        let weight = self.patch_embedding.flatten_from(1)?;
        let patches = paint_nn::linear(&patches, &weight, None)?;
        let class = &self.class_embedding;
        Ok(paint_nn::embed_with_class_token(
            &patches, class, &position,
        )?)
    }

    /// [b, 3, h, w] → [b, n_patches, 3 * patch * patch], patches row by row.
    fn patches(&self, pixels: &Tensor) -> Result<Tensor> {
        let (size, patch) = (self.image_size, self.patch_size);
        let &[batch, 3, height, width] = pixels.dims() else {
            return Err(self.wrong_shape(pixels));
        };
        if (height, width) != (size, size) || batch == 0 {
            return Err(self.wrong_shape(pixels));
        }
        let grid = size / patch;
        let split = pixels.reshape((batch, 3, grid, patch, grid, patch))?;
        let split = split.permute((0, 2, 4, 1, 3, 5))?;
        Ok(split.reshape((batch, grid * grid, 3 * patch * patch))?)
    }

    fn wrong_shape(&self, pixels: &Tensor) -> Error {
        let size = self.image_size;
        Error::Shape {
            what: "pixels",
            expected: format!("[b >= 1, 3, {size}, {size}], the model's image_size"),
            actual: format!("{:?}", pixels.dims()),
        }
    }
}
