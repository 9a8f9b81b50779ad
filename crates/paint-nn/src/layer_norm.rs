//! Layer normalisation over the last dimension (Ba et al. 2016), with its gradient.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

use crate::buffer::Buffer;
use crate::slices::{for_row_pieces, lane_sum, reduce_rows, rows_of, tensor, values, with_values};

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
        let (_, d) = rows_of(x_layout.dims())?;
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
        let moments = all_moments(x, d, self.eps);
        let mut out = vec![0.0; x.len()];
        normalize(x, [weight, bias], &moments, &mut out);
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
        let (_, d) = rows_of(x.dims())?;
        with_values(x, |x_values| {
            with_values(grad, |grad| {
                let moments = all_moments(x_values, d, self.eps);
                let grad_x = x.track_op().then(|| {
                    with_values(weight, |weight| {
                        let mut sum = vec![0.0; x_values.len()];
                        add_grad_x(&mut sum, x_values, weight, grad, &moments);
                        tensor(sum, x.shape().clone())
                    })
                });
                let (mut grad_weight, mut grad_bias) = (None, None);
                if weight.track_op() || bias.track_op() {
                    let [weight, bias] = grad_affine(x_values, grad, d, &moments);
                    grad_weight = Some(tensor(weight, d)?);
                    grad_bias = Some(tensor(bias, d)?);
                }
                Ok((grad_x.transpose()?, grad_weight, grad_bias))
            })
        })
    }
}

/// `(x − mean) · rstd · weight + bias`, row by row.
pub(crate) fn normalized(x: &[f32], affine: [&[f32]; 2], moments: &[f32]) -> Buffer {
    let mut out = Buffer::of(x.len());
    normalize(x, affine, moments, &mut out);
    out
}

/// [`normalized`] into `out`.
fn normalize(x: &[f32], [weight, bias]: [&[f32]; 2], moments: &[f32], out: &mut [f32]) {
    let d = weight.len();
    for_row_pieces(
        out,
        d,
        #[inline(always)]
        |first, out| {
            for (i, out) in out.chunks_exact_mut(d).enumerate() {
                let row = first + i;
                let (mean, rstd) = (moments[2 * row], moments[2 * row + 1]);
                let x = &x[row * d..][..d];
                for (((out, x), weight), bias) in out.iter_mut().zip(x).zip(weight).zip(bias) {
                    *out = (x - mean) * rstd * weight + bias;
                }
            }
        },
    );
}

/// Gradients of weight and bias.
pub(crate) fn grad_affine(x: &[f32], grad: &[f32], d: usize, moments: &[f32]) -> [Vec<f32>; 2] {
    let mut weight = reduce_rows(
        x.len() / d.max(1),
        d,
        2 * d,
        #[inline(always)]
        |range, sum| {
            let (weight, bias) = sum.split_at_mut(d);
            for row in range {
                let (mean, rstd) = (moments[2 * row], moments[2 * row + 1]);
                let (x, grad) = (&x[row * d..][..d], &grad[row * d..][..d]);
                for (((w, b), x), g) in weight.iter_mut().zip(&mut *bias).zip(x).zip(grad) {
                    *w += g * (x - mean) * rstd;
                    *b += g;
                }
            }
        },
    );
    let bias = weight.split_off(d);
    [weight, bias]
}

/// Mean and reciprocal standard deviation.
#[inline(always)]
fn moments(x: &[f32], eps: f32) -> [f32; 2] {
    let n = x.len() as f32;
    let mean = lane_sum(x, x, |x, _| x) / n;
    let variance = lane_sum(x, x, |x, _| (x - mean) * (x - mean)) / n;
    [mean, 1.0 / (variance + eps).sqrt()]
}

/// Mean and reciprocal standard deviation of every row, one after the other.
pub(crate) fn all_moments(x: &[f32], d: usize, eps: f32) -> Vec<f32> {
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

/// Adds `rstd · (g − mean(g) − x̂ · mean(g · x̂))` with `g = grad · weight` to `sum`.
pub(crate) fn add_grad_x(
    sum: &mut [f32],
    x: &[f32],
    weight: &[f32],
    grad: &[f32],
    moments: &[f32],
) {
    let d = weight.len();
    for_row_pieces(
        sum,
        d,
        #[inline(always)]
        |first, sum| {
            let mut g = vec![0.0; d];
            for (i, sum) in sum.chunks_exact_mut(d).enumerate() {
                let row = first + i;
                let (mean, rstd) = (moments[2 * row], moments[2 * row + 1]);
                let (x, grad) = (&x[row * d..][..d], &grad[row * d..][..d]);
                for ((g, grad), w) in g.iter_mut().zip(grad).zip(weight) {
                    *g = grad * w;
                }
                let mean_g = lane_sum(&g, x, |g, _| g) / d as f32;
                let mean_gx = lane_sum(&g, x, |g, x| g * (x - mean) * rstd) / d as f32;
                for ((sum, g), x) in sum.iter_mut().zip(&g).zip(x) {
                    *sum += rstd * (g - mean_g - (x - mean) * rstd * mean_gx);
                }
            }
        },
    );
}
