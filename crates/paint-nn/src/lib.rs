//! Transformer operations with gradients, from plain candle formulas.
#![allow(missing_docs, clippy::missing_errors_doc)]
use candle_core::{D, DType, Result, Tensor};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    QuickGelu,
    Gelu,
}

pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    let d = x.dim(D::Minus1)? as f64;
    let mean = (x.sum_keepdim(D::Minus1)? / d)?;
    let x = x.broadcast_sub(&mean)?;
    let var = (x.sqr()?.sum_keepdim(D::Minus1)? / d)?;
    let x = x.broadcast_div(&(var + eps)?.sqrt()?)?;
    x.broadcast_mul(weight)?.broadcast_add(bias)
}

pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (out, inp) = weight.dims2()?;
    let mut dims = x.dims().to_vec();
    let y = x.reshape(((), inp))?.matmul(&weight.t()?)?;
    let y = match bias {
        Some(bias) => y.broadcast_add(bias)?,
        None => y,
    };
    if let Some(last) = dims.last_mut() {
        *last = out;
    }
    y.reshape(dims)
}

pub fn linear_activation(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    activation: Activation,
) -> Result<Tensor> {
    let u = linear(x, weight, Some(bias))?;
    match activation {
        Activation::Gelu => u.gelu_erf(),
        Activation::QuickGelu => {
            let s = ((&u * -1.702)?.exp()? + 1.0)?.recip()?;
            u * s
        }
    }
}

pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, n_heads: usize, causal: bool) -> Result<Tensor> {
    let (b, t, d) = q.dims3()?;
    let heads = |x: &Tensor| x.reshape((b, t, n_heads, d / n_heads))?.transpose(1, 2)?.contiguous();
    let (q, k, v) = (heads(q)?, heads(k)?, heads(v)?);
    let scale = 1.0 / ((d / n_heads) as f64).sqrt();
    let mut s = (q.matmul(&k.transpose(2, 3)?.contiguous()?)? * scale)?;
    if causal {
        let mask: Vec<f32> = (0..t * t)
            .map(|i| if i % t > i / t { f32::NEG_INFINITY } else { 0.0 })
            .collect();
        s = s.broadcast_add(&Tensor::from_vec(mask, (t, t), q.device())?)?;
    }
    let s = s.broadcast_sub(&s.max_keepdim(D::Minus1)?.detach())?.exp()?;
    let s = s.broadcast_div(&s.sum_keepdim(D::Minus1)?)?;
    s.matmul(&v)?.transpose(1, 2)?.reshape((b, t, d))
}

pub fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    a + b
}

pub fn cross_entropy(logits: &Tensor, targets: &[u32], label_smoothing: f64) -> Result<Tensor> {
    let (n, c) = logits.dims2()?;
    let z = logits.broadcast_sub(&logits.max_keepdim(1)?.detach())?;
    let log_p = z.broadcast_sub(&z.exp()?.sum_keepdim(1)?.log()?)?;
    let mut t = vec![(label_smoothing / c as f64) as f32; n * c];
    for (i, &y) in targets.iter().enumerate() {
        t[i * c + y as usize] += (1.0 - label_smoothing) as f32;
    }
    let t = Tensor::from_vec(t, (n, c), logits.device())?.to_dtype(DType::F32)?;
    (log_p * t)?.sum_all()?.neg()? / n as f64
}
