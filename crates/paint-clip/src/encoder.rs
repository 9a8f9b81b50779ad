//! The stack of pre-norm transformer layers that both towers share.

use candle_core::Tensor;
use paint_nn::{Activation, Affine, TransformerLayer};

use crate::{Error, Result, Tensors};

/// The tensor of that name, sharing storage with the caller's.
pub(crate) fn named(tensors: &Tensors, name: &str) -> Result<Tensor> {
    let missing = || Error::TensorMismatch(format!("1 missing: {name}"));
    tensors.get(name).cloned().ok_or_else(missing)
}

#[derive(Debug)]
pub(crate) struct LayerNorm {
    affine: Affine,
    eps: f64,
}

impl LayerNorm {
    pub(crate) fn new(tensors: &Tensors, prefix: &str, eps: f64) -> Result<Self> {
        let affine = affine(tensors, prefix)?;
        Ok(Self { affine, eps })
    }

    /// `x`: [.., d].
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let Affine { weight, bias } = &self.affine;
        Ok(paint_nn::layer_norm(x, weight, bias, self.eps)?)
    }
}

fn affine(tensors: &Tensors, prefix: &str) -> Result<Affine> {
    Ok(Affine {
        weight: named(tensors, &format!("{prefix}.weight"))?,
        bias: named(tensors, &format!("{prefix}.bias"))?,
    })
}

fn layer(tensors: &Tensors, prefix: &str, shape: EncoderShape) -> Result<TransformerLayer> {
    let affine = |name: &str| affine(tensors, &format!("{prefix}.{name}"));
    Ok(TransformerLayer {
        layer_norm1: affine("layer_norm1")?,
        q_proj: affine("self_attn.q_proj")?,
        k_proj: affine("self_attn.k_proj")?,
        v_proj: affine("self_attn.v_proj")?,
        out_proj: affine("self_attn.out_proj")?,
        layer_norm2: affine("layer_norm2")?,
        fc1: affine("mlp.fc1")?,
        fc2: affine("mlp.fc2")?,
        n_heads: shape.n_heads,
        activation: shape.activation,
        causal: shape.causal,
        eps: shape.eps,
    })
}

/// What the layers of one tower have in common.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EncoderShape {
    pub(crate) n_layers: usize,
    pub(crate) n_heads: usize,
    pub(crate) activation: Activation,
    pub(crate) eps: f64,
    /// Whether a token sees only itself and those before it.
    pub(crate) causal: bool,
}

#[derive(Debug)]
pub(crate) struct Encoder {
    earlier: Vec<TransformerLayer>,
    /// Is read out at one token.
    last: TransformerLayer,
}

impl Encoder {
    pub(crate) fn new(tensors: &Tensors, tower: &str, shape: EncoderShape) -> Result<Self> {
        let layer = |i| layer(tensors, &format!("{tower}.encoder.layers.{i}"), shape);
        // A configuration has at least one layer.
        let n_earlier = shape.n_layers.saturating_sub(1);
        Ok(Self {
            earlier: (0..n_earlier).map(layer).collect::<Result<_>>()?,
            last: layer(n_earlier)?,
        })
    }

    /// What the layers make of token `tokens[i]` of sequence `i`: [b, d]. `x`: [b, t, d].
    pub(crate) fn forward(&self, x: Tensor, tokens: &[usize]) -> Result<Tensor> {
        let x = self
            .earlier
            .iter()
            .try_fold(x, |x, layer| layer.forward(&x))?;
        Ok(self.last.forward_token(&x, tokens)?)
    }
}
