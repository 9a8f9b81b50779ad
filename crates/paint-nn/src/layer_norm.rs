//! Layer normalisation over the last dimension (Ba et al. 2016), with its gradient.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

use crate::slices::{for_row_pieces, reduce_rows, rows_of, tensor, values, with_values};

/// `(x − mean) / sqrt(variance + eps) · weight + bias` over the last dimension.
///
/// Shapes: `x: [.., d]`, `weight: [d]`, `bias: [d]`; the variance is the biased one.
///
/// # Errors
/// When shapes do not fit or a tensor is not `f32` on the CPU.
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    x.contiguous()?
        .apply_op3(weight, bias, LayerNorm { eps: eps as f32 })
}

struct LayerNorm {
    eps: f32,
}

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "paint-layer-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (rows, d) = rows_of(x_layout.dims())?;
        let x = values(x, x_layout)?;
        let (weight, bias) = (values(weight, weight_layout)?, values(bias, bias_layout)?);
        if weight.len() != d || bias.len() != d {
            bail!(
                "layer_norm: x is {:?}, weight has {} and bias {} values",
                x_layout.dims(),
                weight.len(),
                bias.len()
            )
        }
        let mut out = vec![0.0; rows * d];
        for_row_pieces(
            &mut out,
            d,
            #[inline(always)]
            |first, out| {
                for (out, x) in out.chunks_exact_mut(d).zip(x[first * d..].chunks_exact(d)) {
                    let [mean, rstd] = moments(x, self.eps);
                    for (((out, x), weight), bias) in out.iter_mut().zip(x).zip(weight).zip(bias) {
                        *out = (x - mean) * rstd * weight + bias;
                    }
                }
            },
        );
        Ok((CpuStorage::F32(out), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (rows, d) = rows_of(x.dims())?;
        with_values(x, |x_values| {
            with_values(grad, |grad| {
                let moments = &all_moments(x_values, d, self.eps);
                let grad_x = x.track_op().then(|| {
                    with_values(weight, |weight| {
                        tensor(grad_x(x_values, weight, grad, moments), x.shape().clone())
                    })
                });
                let (mut grad_weight, mut grad_bias) = (None, None);
                if weight.track_op() || bias.track_op() {
                    let sums = reduce_rows(
                        rows,
                        d,
                        2 * d,
                        #[inline(always)]
                        |range, sum| {
                            let (weight, bias) = sum.split_at_mut(d);
                            for row in range {
                                let (mean, rstd) = (moments[2 * row], moments[2 * row + 1]);
                                let (x, grad) = (&x_values[row * d..][..d], &grad[row * d..][..d]);
                                for (((w, b), x), g) in
                                    weight.iter_mut().zip(&mut *bias).zip(x).zip(grad)
                                {
                                    *w += g * (x - mean) * rstd;
                                    *b += g;
                                }
                            }
                        },
                    );
                    grad_weight = Some(tensor(sums[..d].to_vec(), d)?);
                    grad_bias = Some(tensor(sums[d..].to_vec(), d)?);
                }
                Ok((grad_x.transpose()?, grad_weight, grad_bias))
            })
        })
    }
}

/// Sum in sixteen lanes, so that it vectorises; the order is fixed.
#[inline(always)]
fn lane_sum(values: &[f32], term: impl Fn(usize, f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; 16];
    let chunks = values.chunks_exact(16);
    let tail_start = values.len() - chunks.remainder().len();
    let mut total = 0.0;
    for (i, &x) in chunks.remainder().iter().enumerate() {
        total += term(tail_start + i, x);
    }
    for (c, chunk) in chunks.enumerate() {
        for (l, (lane, &x)) in lanes.iter_mut().zip(chunk).enumerate() {
            *lane += term(c * 16 + l, x);
        }
    }
    total + lanes.iter().sum::<f32>()
}

/// Mean and reciprocal standard deviation.
#[inline(always)]
fn moments(x: &[f32], eps: f32) -> [f32; 2] {
    let n = x.len() as f32;
    let mean = lane_sum(x, |_, x| x) / n;
    let variance = lane_sum(x, |_, x| (x - mean) * (x - mean)) / n;
    [mean, 1.0 / (variance + eps).sqrt()]
}

/// The moments of every row, one after the other.
fn all_moments(x: &[f32], d: usize, eps: f32) -> Vec<f32> {
    let mut out = vec![0.0; x.len() / d.max(1) * 2];
    for_row_pieces(
        &mut out,
        2,
        #[inline(always)]
        |first, out| {
            for (out, x) in out.chunks_exact_mut(2).zip(x[first * d..].chunks_exact(d)) {
                out.copy_from_slice(&moments(x, eps));
            }
        },
    );
    out
}

/// `dx = rstd · (g − mean(g) − x̂ · mean(g · x̂))` with `g = grad · weight`.
fn grad_x(x: &[f32], weight: &[f32], grad: &[f32], moments: &[f32]) -> Vec<f32> {
    let d = weight.len();
    let mut out = vec![0.0; x.len()];
    for_row_pieces(
        &mut out,
        d,
        #[inline(always)]
        |first, out| {
            for (i, out) in out.chunks_exact_mut(d).enumerate() {
                let row = first + i;
                let (mean, rstd) = (moments[2 * row], moments[2 * row + 1]);
                let (x, grad) = (&x[row * d..][..d], &grad[row * d..][..d]);
                for ((out, g), w) in out.iter_mut().zip(grad).zip(weight) {
                    *out = g * w;
                }
                let mean_g = lane_sum(out, |_, g| g) / d as f32;
                let mean_gx = lane_sum(out, |j, g| g * (x[j] - mean) * rstd) / d as f32;
                for (out, x) in out.iter_mut().zip(x) {
                    *out = rstd * (*out - mean_g - (x - mean) * rstd * mean_gx);
                }
            }
        },
    );
    out
}
