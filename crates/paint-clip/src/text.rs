//! The text tower: tokens, causal encoder, read-out at the end-of-text token.

use candle_core::Tensor;

use crate::encoder::{Encoder, EncoderShape, LayerNorm, named};
use crate::{ClipConfig, Error, Result, Tensors, TextConfig};

/// `eos_token_id` of OpenAI's configurations; wrong for the tokenizer, it stands for the rule
/// "the largest id of the text".
const LEGACY_EOS: u32 = 2;

#[derive(Debug)]
pub(crate) struct TextTower {
    token_embedding: Tensor,
    position_embedding: Tensor,
    encoder: Encoder,
    final_layer_norm: LayerNorm,
    projection: Tensor,
    config: TextConfig,
}

impl TextTower {
    pub(crate) fn new(config: &ClipConfig, tensors: &Tensors) -> Result<Self> {
        let c = &config.text;
        let shape = EncoderShape {
            n_layers: c.num_hidden_layers,
            n_heads: c.num_attention_heads,
            activation: c.hidden_act.into(),
            eps: c.layer_norm_eps,
            causal: true,
        };
        let eps = c.layer_norm_eps;
        Ok(Self {
            token_embedding: named(tensors, "text_model.embeddings.token_embedding.weight")?,
            position_embedding: named(tensors, "text_model.embeddings.position_embedding.weight")?,
            encoder: Encoder::new(tensors, "text_model", shape)?,
            final_layer_norm: LayerNorm::new(tensors, "text_model.final_layer_norm", eps)?,
            projection: named(tensors, "text_projection.weight")?,
            config: c.clone(),
        })
    }

    /// `ids`: n token sequences of any lengths → [n, d].
    pub(crate) fn forward(&self, ids: &[Vec<u32>]) -> Result<Tensor> {
        let ends = ids
            .iter()
            .enumerate()
            .map(|(index, ids)| self.end(index, ids));
        let ends: Vec<usize> = ends.collect::<Result<_>>()?;
        let end_tokens = self.encoder.forward(self.embed(ids, &ends)?, &ends)?;
        let pooled = self.final_layer_norm.forward(&end_tokens)?;
        Ok(paint_nn::linear(&pooled, &self.projection, None)?)
    }

    /// The read-out position of one text.
    fn end(&self, index: usize, ids: &[u32]) -> Result<usize> {
        let refuse = |problem: String| Err(Error::Prompt { index, problem });
        let TextConfig {
            vocab_size,
            max_position_embeddings: context,
            eos_token_id: eos,
            ..
        } = self.config;
        if ids.len() > context {
            return refuse(format!(
                "has {} tokens, the model reads {context}",
                ids.len()
            ));
        }
        // The first of equals, as torch's argmax.
        let Some(largest) = ids.iter().max() else {
            return refuse("has no tokens, not even start and end".to_owned());
        };
        if *largest as usize >= vocab_size {
            return refuse(format!("has token {largest}, the model knows {vocab_size}"));
        }
        let end_token = if eos == LEGACY_EOS { *largest } else { eos };
        match ids.iter().position(|id| *id == end_token) {
            Some(end) => Ok(end),
            None => refuse(format!(
                "lacks the end-of-text token {eos}: wrong tokenizer?"
            )),
        }
    }

    /// [n, t, width], t being the longest text up to its end.
    fn embed(&self, ids: &[Vec<u32>], ends: &[usize]) -> Result<Tensor> {
        let Some(length) = ends.iter().max().map(|end| end + 1) else {
            let (what, expected) = ("token ids", "[n >= 1]".to_owned());
            return Err(Error::Shape {
                what,
                expected,
                actual: "[0]".to_owned(),
            });
        };
        // No token sees a later one, so that what follows the end does not matter: texts are cut
        // to the longest of the batch, and any token pads.
        let mut padded = Vec::with_capacity(ids.len() * length);
        for ids in ids {
            padded.extend(ids.iter().copied().chain(std::iter::repeat(0)).take(length));
        }
        let padded = Tensor::from_vec(padded, ids.len() * length, self.token_embedding.device())?;
        let width = self.config.hidden_size;
        let tokens = self.token_embedding.index_select(&padded, 0)?;
        let tokens = tokens.reshape((ids.len(), length, width))?;
        let positions = self.position_embedding.narrow(0, 0, length)?;
        Ok(tokens.broadcast_add(&positions)?)
    }
}
