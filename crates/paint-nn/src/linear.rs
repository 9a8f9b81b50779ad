//! Linear layers: product, bias and activation in as few passes as there can be.

use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail};

use crate::activation::Activation;
use crate::few_rows::{FEW_ROWS, few_rows};
use crate::matmul::{Matrix, Threads, matmul, matrix, product};
use crate::slices::{column_sums, for_row_pieces, rows_of, tensor, values, with_values};

/// `x · weightᵀ + bias` over the last dimension.
///
/// Shapes: `x: [.., n_in]`, `weight: [n_out, n_in]`, `bias: [n_out]`, result `[.., n_out]`.
///
/// # Errors
/// When shapes do not fit or a tensor is not `f32` on the CPU.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let x = x.contiguous()?;
    match bias {
        Some(bias) => x.apply_op3(weight, bias, Linear::new(None, false)),
        None => x.apply_op2(weight, Linear::new(None, false)),
    }
}

/// `activation(x · weightᵀ + bias)` over the last dimension; shapes as for [`linear`].
///
/// When a gradient will be asked for, the values before the activation are kept.
///
/// # Errors
/// When shapes do not fit or a tensor is not `f32` on the CPU.
pub fn linear_activation(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    activation: Activation,
) -> Result<Tensor> {
    let tracked = x.track_op() || weight.track_op() || bias.track_op();
    x.contiguous()?
        .apply_op3(weight, bias, Linear::new(Some(activation), tracked))
}

struct Linear {
    activation: Option<Activation>,
    keep: bool,
    /// The values before the activation, when there is one and a gradient is tracked.
    before: OnceLock<Vec<f32>>,
}

impl Linear {
    fn new(activation: Option<Activation>, keep: bool) -> Self {
        Self {
            activation,
            keep,
            before: OnceLock::new(),
        }
    }

    fn forward(
        &self,
        (x, x_layout): (&CpuStorage, &Layout),
        (weight, weight_layout): (&CpuStorage, &Layout),
        bias: Option<(&CpuStorage, &Layout)>,
    ) -> Result<(CpuStorage, Shape)> {
        let (rows, n_in) = rows_of(x_layout.dims())?;
        let (n_out, weight_in) = weight_layout.shape().dims2()?;
        if weight_in != n_in {
            bail!(
                "linear: x is {:?}, weight is [{n_out}, {weight_in}]",
                x_layout.dims()
            )
        }
        let (x, weight) = (values(x, x_layout)?, values(weight, weight_layout)?);
        let mut out = match bias {
            Some((bias, layout)) => {
                let bias = values(bias, layout)?;
                if bias.len() != n_out {
                    bail!(
                        "linear: bias is {:?}, weight is [{n_out}, {n_in}]",
                        layout.dims()
                    )
                }
                let mut out = vec![0.0; rows * n_out];
                fill_rows(&mut out, bias);
                times_weight(&mut out, n_out, x, n_in, weight, true);
                out
            }
            None if are_few(rows, weight) => {
                let mut out = vec![0.0; rows * n_out];
                few_rows(&mut out, n_out, x, n_in, weight, false);
                out
            }
            None => {
                let x = Matrix::new(x, rows, n_in, n_in);
                let weight = Matrix::new(weight, n_out, n_in, n_in);
                product(x, weight.t(), Threads::All)
            }
        };
        if let Some(activation) = self.activation {
            out = self.activate(out, activation);
        }
        let mut dims = x_layout.dims().to_vec();
        if let Some(last) = dims.last_mut() {
            *last = n_out;
        }
        Ok((CpuStorage::F32(out), Shape::from(dims)))
    }

    /// Applies the activation, keeping what was before it if a gradient may follow.
    fn activate(&self, mut before: Vec<f32>, activation: Activation) -> Vec<f32> {
        if !self.keep {
            for_row_pieces(
                &mut before,
                1,
                #[inline(always)]
                |_, out| {
                    for x in out {
                        *x = activation.value(*x);
                    }
                },
            );
            return before;
        }
        let mut out = vec![0.0; before.len()];
        for_row_pieces(
            &mut out,
            1,
            #[inline(always)]
            |first, out| {
                for (out, &x) in out.iter_mut().zip(&before[first..]) {
                    *out = activation.value(x);
                }
            },
        );
        // A custom operation runs forward once, so the lock is empty here.
        let _ = self.before.set(before);
        out
    }

    /// Gradients of x, weight and bias; the ones nobody tracks are not computed.
    fn backward(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: Option<&Tensor>,
        grad: &Tensor,
    ) -> Result<[Option<Tensor>; 3]> {
        let (rows, n_in) = rows_of(x.dims())?;
        let n_out = weight.dim(0)?;
        with_values(grad, |grad| {
            let through = self.through_activation(grad)?;
            let grad = through.as_deref().unwrap_or(grad);
            let grad_matrix = Matrix::new(grad, rows, n_out, n_out);
            let grad_x = x.track_op().then(|| {
                with_values(weight, |weight| {
                    let weight = Matrix::new(weight, n_out, n_in, n_in);
                    tensor(
                        product(grad_matrix, weight, Threads::All),
                        x.shape().clone(),
                    )
                })
            });
            let grad_weight = weight.track_op().then(|| {
                with_values(x, |x| {
                    let x = Matrix::new(x, rows, n_in, n_in);
                    tensor(product(grad_matrix.t(), x, Threads::All), (n_out, n_in))
                })
            });
            let grad_bias = bias.filter(|bias| bias.track_op()).map(|_| {
                let sums = column_sums(grad, n_out);
                tensor(sums, n_out)
            });
            Ok([
                grad_x.transpose()?,
                grad_weight.transpose()?,
                grad_bias.transpose()?,
            ])
        })
    }

    /// The gradient before the activation, or nothing where there is none.
    fn through_activation(&self, grad: &[f32]) -> Result<Option<Vec<f32>>> {
        let Some(activation) = self.activation else {
            return Ok(None);
        };
        let Some(before) = self.before.get() else {
            bail!("linear_activation: the forward pass kept no values for a gradient")
        };
        let mut out = vec![0.0; grad.len()];
        for_row_pieces(
            &mut out,
            1,
            #[inline(always)]
            |first, out| {
                for ((out, &x), &grad) in out.iter_mut().zip(&before[first..]).zip(&grad[first..]) {
                    *out = grad * activation.derivative(x);
                }
            },
        );
        Ok(Some(out))
    }
}

/// Values up to which a weight is small: it stays in the cache while it is read again and again,
/// and packing it takes no time.
pub(crate) const SMALL_WEIGHT: usize = 1 << 18;

/// Whether a product with `weight` is faster by [`few_rows`].
fn are_few(rows: usize, weight: &[f32]) -> bool {
    rows <= FEW_ROWS && weight.len() > SMALL_WEIGHT
}

/// `out = x · weightᵀ`, or added to what `out` holds, with `x: [rows, n_in]`; rows of `out` are
/// `stride` apart.
pub(crate) fn times_weight(
    out: &mut [f32],
    stride: usize,
    x: &[f32],
    n_in: usize,
    weight: &[f32],
    accumulate: bool,
) {
    if are_few(x.len() / n_in.max(1), weight) {
        return few_rows(out, stride, x, n_in, weight, accumulate);
    }
    let (x, weight) = (matrix(x, n_in), matrix(weight, n_in));
    matmul(out, stride, x, weight.t(), 1.0, accumulate, Threads::All);
}

/// Every row of `out` a copy of `row`.
pub(crate) fn fill_rows(out: &mut [f32], row: &[f32]) {
    for_row_pieces(
        out,
        row.len(),
        #[inline(always)]
        |_, out| {
            for out in out.chunks_exact_mut(row.len()) {
                out.copy_from_slice(row);
            }
        },
    );
}

impl CustomOp2 for Linear {
    fn name(&self) -> &'static str {
        "paint-linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.forward((x, x_layout), (weight, weight_layout), None)
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [x, weight, _] = self.backward(x, weight, None, grad)?;
        Ok((x, weight))
    }
}

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "paint-linear-bias"
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
        self.forward(
            (x, x_layout),
            (weight, weight_layout),
            Some((bias, bias_layout)),
        )
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [x, weight, bias] = self.backward(x, weight, Some(bias), grad)?;
        Ok((x, weight, bias))
    }
}
