//! Multi-head attention (Vaswani et al. 2017) without heads being moved apart:
//! each head is a strided view of the packed `[batch, tokens, width]` tensors.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

use crate::activation::exp;
use crate::buffer::Buffer;
use crate::matmul::{Matrix, Threads, matmul};
use crate::slices::{for_row_pieces, lane_max, lane_sum, tensor, values, with_values};

/// `softmax(q · kᵀ / √head_width) · v`, head by head.
///
/// Shapes: `q`, `k`, `v` and the result are `[batch, tokens, n_heads · head_width]`. With
/// `causal`, a token attends to itself and to those before it.
///
/// The attention matrix is never kept: the backward pass computes it again, one image and
/// head at a time.
///
/// # Errors
/// When shapes differ, the width is no multiple of `n_heads`, or a tensor is not `f32` on
/// the CPU.
pub fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    n_heads: usize,
    causal: bool,
) -> Result<Tensor> {
    let (_, tokens, width) = q.dims3()?;
    if k.dims() != q.dims() || v.dims() != q.dims() {
        bail!(
            "attention: q is {:?}, k {:?}, v {:?}",
            q.dims(),
            k.dims(),
            v.dims()
        )
    }
    if n_heads == 0 || width % n_heads != 0 {
        bail!("attention: width {width} is no multiple of {n_heads} heads")
    }
    let op = Attention {
        tokens,
        width,
        head_width: width / n_heads,
        causal,
    };
    q.contiguous()?
        .apply_op3(&k.contiguous()?, &v.contiguous()?, op)
}

/// The shape of an attention, and its kernels on plain slices.
pub(crate) struct Attention {
    pub(crate) tokens: usize,
    pub(crate) width: usize,
    pub(crate) head_width: usize,
    pub(crate) causal: bool,
}

/// Queries, keys and values, whose rows of `width` values are `stride` apart.
#[derive(Clone, Copy)]
pub(crate) struct Packed<'a> {
    pub(crate) q: &'a [f32],
    pub(crate) k: &'a [f32],
    pub(crate) v: &'a [f32],
    pub(crate) stride: usize,
}

impl<'a> Packed<'a> {
    /// From rows of queries, keys and values side by side: `[tokens, 3 · width]`.
    pub(crate) fn side_by_side(qkv: &'a [f32], width: usize) -> Self {
        Self {
            q: qkv,
            k: &qkv[width..],
            v: &qkv[2 * width..],
            stride: 3 * width,
        }
    }

    /// What follows so many rows.
    fn skip_rows(self, rows: usize) -> Self {
        let start = rows * self.stride;
        Self {
            q: &self.q[start..],
            k: &self.k[start..],
            v: &self.v[start..],
            ..self
        }
    }
}

impl Attention {
    fn scale(&self) -> f32 {
        1.0 / (self.head_width as f32).sqrt()
    }

    /// One head of one image's rows.
    fn head<'a>(&self, image: &'a [f32], stride: usize, head: usize) -> Matrix<'a> {
        let start = head * self.head_width;
        Matrix::new(&image[start..], self.tokens, self.head_width, stride)
    }

    fn square<'a>(&self, values: &'a [f32]) -> Matrix<'a> {
        Matrix::new(values, self.tokens, self.tokens, self.tokens)
    }

    fn n_heads(&self) -> usize {
        self.width / self.head_width
    }

    /// Values of one image.
    fn image(&self) -> usize {
        (self.tokens * self.width).max(1)
    }

    /// The attention probabilities of one head into `p`.
    #[inline(always)]
    fn probabilities(&self, q: Matrix<'_>, k: Matrix<'_>, p: &mut [f32]) {
        matmul(p, self.tokens, q, k.t(), self.scale(), false, Threads::One);
        for (i, row) in p.chunks_exact_mut(self.tokens).enumerate() {
            let (seen, hidden) = row.split_at_mut(if self.causal { i + 1 } else { self.tokens });
            softmax(seen);
            hidden.fill(0.0);
        }
    }

    /// Every image of the batch into `out`: `[rows, width]`.
    pub(crate) fn forward(&self, qkv: Packed<'_>, out: &mut [f32]) {
        for_row_pieces(
            out,
            self.image(),
            #[inline(always)]
            |first, out| {
                for (i, out) in out.chunks_exact_mut(self.image()).enumerate() {
                    self.forward_image(qkv.skip_rows((first + i) * self.tokens), out);
                }
            },
        );
    }

    #[inline(always)]
    fn forward_image(&self, qkv: Packed<'_>, out: &mut [f32]) {
        let mut p = vec![0.0; self.tokens * self.tokens];
        for head in 0..self.n_heads() {
            let [q, k, v] = [qkv.q, qkv.k, qkv.v].map(|x| self.head(x, qkv.stride, head));
            self.probabilities(q, k, &mut p);
            let out = &mut out[head * self.head_width..];
            matmul(
                out,
                self.width,
                self.square(&p),
                v,
                1.0,
                false,
                Threads::One,
            );
        }
    }

    /// The gradients of queries, keys and values side by side: `[rows, 3 · width]`.
    pub(crate) fn backward(&self, qkv: Packed<'_>, grad: &[f32]) -> Buffer {
        let mut out = Buffer::of(3 * grad.len());
        let image = self.image();
        for_row_pieces(
            &mut out,
            3 * image,
            #[inline(always)]
            |first, out| {
                for (i, out) in out.chunks_exact_mut(3 * image).enumerate() {
                    let grad = &grad[(first + i) * image..][..image];
                    self.backward_image(qkv.skip_rows((first + i) * self.tokens), grad, out);
                }
            },
        );
        out
    }

    #[inline(always)]
    fn backward_image(&self, qkv: Packed<'_>, grad: &[f32], out: &mut [f32]) {
        let (tokens, width, scale) = (self.tokens, self.width, self.scale());
        let mut p = vec![0.0; tokens * tokens];
        let mut dp = vec![0.0; tokens * tokens];
        for head in 0..self.n_heads() {
            let [q, k, v] = [qkv.q, qkv.k, qkv.v].map(|x| self.head(x, qkv.stride, head));
            let grad = self.head(grad, width, head);
            let start = head * self.head_width;
            let mut write = |part: usize, lhs, rhs, scale| {
                let out = &mut out[part * width + start..];
                matmul(out, 3 * width, lhs, rhs, scale, false, Threads::One);
            };
            self.probabilities(q, k, &mut p);
            write(2, self.square(&p).t(), grad, 1.0);
            matmul(&mut dp, tokens, grad, v.t(), 1.0, false, Threads::One);
            for (p, dp) in p.chunks_exact(tokens).zip(dp.chunks_exact_mut(tokens)) {
                let dot = lane_sum(p, dp, |p, dp| p * dp);
                for (dp, p) in dp.iter_mut().zip(p) {
                    *dp = p * (*dp - dot);
                }
            }
            let ds = self.square(&dp);
            write(0, ds, k, scale);
            write(1, ds.t(), q, scale);
        }
    }
}

/// Softmax in place, shifted by the maximum.
#[inline(always)]
pub(crate) fn softmax(row: &mut [f32]) {
    let max = lane_max(row);
    for x in &mut *row {
        *x = exp(*x - max);
    }
    let inverse = 1.0 / lane_sum(row, row, |x, _| x);
    for x in row {
        *x *= inverse;
    }
}

impl CustomOp3 for Attention {
    fn name(&self) -> &'static str {
        "paint-attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        q_layout: &Layout,
        k: &CpuStorage,
        k_layout: &Layout,
        v: &CpuStorage,
        v_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (q, k, v) = (
            values(q, q_layout)?,
            values(k, k_layout)?,
            values(v, v_layout)?,
        );
        let stride = self.width;
        let mut out = vec![0.0; q.len()];
        self.forward(Packed { q, k, v, stride }, &mut out);
        Ok((CpuStorage::F32(out), q_layout.shape().clone()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (rows, width) = (q.elem_count() / self.width.max(1), self.width);
        let side_by_side = with_values(q, |q| {
            with_values(k, |k| {
                with_values(v, |v| {
                    let stride = width;
                    with_values(grad, |grad| {
                        Ok(self.backward(Packed { q, k, v, stride }, grad))
                    })
                })
            })
        })?;
        let grads = tensor(side_by_side.to_vec(), (rows, 3, width))?;
        let part = |i| grads.narrow(1, i, 1)?.contiguous()?.reshape(q.shape());
        Ok((Some(part(0)?), Some(part(1)?), Some(part(2)?)))
    }
}
