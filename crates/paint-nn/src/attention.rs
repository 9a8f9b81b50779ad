//! Multi-head attention (Vaswani et al. 2017) without heads being moved apart:
//! each head is a strided view of the packed `[batch, tokens, width]` tensors.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use crate::activation::exp;
use crate::matmul::{Matrix, Threads, matmul};
use crate::slices::{tensor, values, vectorized, with_values};

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

struct Attention {
    tokens: usize,
    width: usize,
    head_width: usize,
    causal: bool,
}

impl Attention {
    fn scale(&self) -> f32 {
        1.0 / (self.head_width as f32).sqrt()
    }

    /// One head of one image's `[tokens, width]` values.
    fn head<'a>(&self, image: &'a [f32], head: usize) -> Matrix<'a> {
        Matrix::new(
            &image[head * self.head_width..],
            self.tokens,
            self.head_width,
            self.width,
        )
    }

    fn square<'a>(&self, values: &'a [f32]) -> Matrix<'a> {
        Matrix::new(values, self.tokens, self.tokens, self.tokens)
    }

    fn n_heads(&self) -> usize {
        self.width / self.head_width
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

    fn forward_image(&self, q: &[f32], k: &[f32], v: &[f32], out: &mut [f32]) {
        let mut p = vec![0.0; self.tokens * self.tokens];
        for head in 0..self.n_heads() {
            self.probabilities(self.head(q, head), self.head(k, head), &mut p);
            let out = &mut out[head * self.head_width..];
            matmul(
                out,
                self.width,
                self.square(&p),
                self.head(v, head),
                1.0,
                false,
                Threads::One,
            );
        }
    }

    fn backward_image(&self, [q, k, v, grad]: [&[f32]; 4], [dq, dk, dv]: [&mut [f32]; 3]) {
        let (tokens, width, scale) = (self.tokens, self.width, self.scale());
        let mut p = vec![0.0; tokens * tokens];
        let mut dp = vec![0.0; tokens * tokens];
        for head in 0..self.n_heads() {
            let start = head * self.head_width;
            let (q, k, v) = (self.head(q, head), self.head(k, head), self.head(v, head));
            let grad = self.head(grad, head);
            self.probabilities(q, k, &mut p);
            matmul(
                &mut dv[start..],
                width,
                self.square(&p).t(),
                grad,
                1.0,
                false,
                Threads::One,
            );
            matmul(&mut dp, tokens, grad, v.t(), 1.0, false, Threads::One);
            for (p, dp) in p.chunks_exact(tokens).zip(dp.chunks_exact_mut(tokens)) {
                let dot: f32 = p.iter().zip(&*dp).map(|(p, dp)| p * dp).sum();
                dp.iter_mut()
                    .zip(p)
                    .for_each(|(dp, p)| *dp = p * (*dp - dot));
            }
            let ds = self.square(&dp);
            matmul(&mut dq[start..], width, ds, k, scale, false, Threads::One);
            matmul(
                &mut dk[start..],
                width,
                ds.t(),
                q,
                scale,
                false,
                Threads::One,
            );
        }
    }
}

/// Softmax in place, shifted by the maximum.
#[inline(always)]
fn softmax(row: &mut [f32]) {
    let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    row.iter_mut().for_each(|x| *x = exp(*x - max));
    let inverse = 1.0 / row.iter().sum::<f32>();
    row.iter_mut().for_each(|x| *x *= inverse);
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
        let mut out = vec![0.0; q.len()];
        let image = (self.tokens * self.width).max(1);
        out.par_chunks_mut(image).enumerate().for_each(|(i, out)| {
            let at = |x: &'_ [f32]| i * image..((i + 1) * image).min(x.len());
            vectorized(
                #[inline(always)]
                || self.forward_image(&q[at(q)], &k[at(k)], &v[at(v)], out),
            );
        });
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
        let shape = q.shape().clone();
        let image = (self.tokens * self.width).max(1);
        let mut grads = [const { Vec::new() }; 3].map(|_: Vec<f32>| vec![0.0; shape.elem_count()]);
        let [dq, dk, dv] = &mut grads;
        with_values(q, |q| {
            with_values(k, |k| {
                with_values(v, |v| {
                    with_values(grad, |grad| {
                        dq.par_chunks_mut(image)
                            .zip(dk.par_chunks_mut(image))
                            .zip(dv.par_chunks_mut(image))
                            .enumerate()
                            .for_each(|(i, ((dq, dk), dv))| {
                                let inputs =
                                    [q, k, v, grad].map(|x| &x[i * image..(i + 1) * image]);
                                vectorized(
                                    #[inline(always)]
                                    || self.backward_image(inputs, [dq, dk, dv]),
                                );
                            });
                        Ok(())
                    })
                })
            })
        })?;
        let [dq, dk, dv] = grads;
        Ok((
            Some(tensor(dq, shape.clone())?),
            Some(tensor(dk, shape.clone())?),
            Some(tensor(dv, shape)?),
        ))
    }
}
