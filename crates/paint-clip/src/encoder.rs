//! The stack of pre-norm transformer layers that both towers share.

use candle_core::Tensor;
use paint_nn::Activation;

use crate::{Error, Result, Tensors};

/// The tensor of that name, sharing storage with the caller's.
pub(crate) fn named(tensors: &Tensors, name: &str) -> Result<Tensor> {
    let missing = || Error::TensorMismatch(format!("1 missing: {name}"));
    tensors.get(name).cloned().ok_or_else(missing)
}

#[derive(Debug)]
pub(crate) struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

impl LayerNorm {
    pub(crate) fn new(tensors: &Tensors, prefix: &str, eps: f64) -> Result<Self> {
        Ok(Self {
            weight: named(tensors, &format!("{prefix}.weight"))?,
            bias: named(tensors, &format!("{prefix}.bias"))?,
            eps,
        })
    }

    /// `x`: [.., d].
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(paint_nn::layer_norm(x, &self.weight, &self.bias, self.eps)?)
    }
}

#[derive(Debug)]
struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    fn new(tensors: &Tensors, prefix: &str) -> Result<Self> {
        Ok(Self {
            weight: named(tensors, &format!("{prefix}.weight"))?,
            bias: named(tensors, &format!("{prefix}.bias"))?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(paint_nn::linear(x, &self.weight, Some(&self.bias))?)
    }
}

#[derive(Debug)]
struct Layer {
    layer_norm1: LayerNorm,
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
    layer_norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
}

impl Layer {
    fn new(tensors: &Tensors, prefix: &str, eps: f64) -> Result<Self> {
        let linear = |name: &str| Linear::new(tensors, &format!("{prefix}.{name}"));
        Ok(Self {
            layer_norm1: LayerNorm::new(tensors, &format!("{prefix}.layer_norm1"), eps)?,
            q_proj: linear("self_attn.q_proj")?,
            k_proj: linear("self_attn.k_proj")?,
            v_proj: linear("self_attn.v_proj")?,
            out_proj: linear("self_attn.out_proj")?,
            layer_norm2: LayerNorm::new(tensors, &format!("{prefix}.layer_norm2"), eps)?,
            fc1: linear("mlp.fc1")?,
            fc2: linear("mlp.fc2")?,
        })
    }
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
    layers: Vec<Layer>,
    shape: EncoderShape,
}

impl Encoder {
    pub(crate) fn new(tensors: &Tensors, tower: &str, shape: EncoderShape) -> Result<Self> {
        let layer = |i| Layer::new(tensors, &format!("{tower}.encoder.layers.{i}"), shape.eps);
        Ok(Self {
            layers: (0..shape.n_layers).map(layer).collect::<Result<_>>()?,
            shape,
        })
    }

    /// `x`: [b, t, d], and so is the result.
    pub(crate) fn forward(&self, x: Tensor) -> Result<Tensor> {
        self.layers
            .iter()
            .try_fold(x, |x, layer| self.layer(layer, &x))
    }

    fn layer(&self, layer: &Layer, x: &Tensor) -> Result<Tensor> {
        let EncoderShape {
            n_heads,
            activation,
            causal,
            ..
        } = self.shape;
        let u = layer.layer_norm1.forward(x)?;
        let (q, k, v) = (
            layer.q_proj.forward(&u)?,
            layer.k_proj.forward(&u)?,
            layer.v_proj.forward(&u)?,
        );
        let u = paint_nn::attention(&q, &k, &v, n_heads, causal)?;
        let x = paint_nn::add(x, &layer.out_proj.forward(&u)?)?;
        let u = layer.layer_norm2.forward(&x)?;
        let u = paint_nn::linear_activation(&u, &layer.fc1.weight, &layer.fc1.bias, activation)?;
        Ok(paint_nn::add(&x, &layer.fc2.forward(&u)?)?)
    }
}
