//! Attention of one token of each sequence without keys and values: what multiplies them is moved
//! to the other side of the products, where there is one row in place of one for each token.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use crate::attention::softmax;
use crate::matmul::{Matrix, Threads, matmul};
use crate::slices::{lane_sum, tensor, values, vectorized, with_values};
use crate::transformer::Affine;

/// The weights of [`pooled_attention`]; `d` is the width, a multiple of `n_heads`.
#[derive(Clone, Copy)]
pub(crate) struct Projections<'a> {
    pub(crate) k: &'a Affine,
    pub(crate) v: &'a Affine,
    pub(crate) n_heads: usize,
}

/// `softmax(q · kᵀ / √head_width) · v`, head by head, with `k` and `v` the projections of `u`; the
/// query of sequence `i` sees its first `seen[i]` tokens.
///
/// Shapes: `q` and the result are `[batch, d]`, `u` is `[batch, tokens, d]`. A head's scores are
/// `q · (K · u + b) = (q · K) · u + q · b`, and what it gives is `V · (p · u) + c`, where `K`, `b`,
/// `V` and `c` are its rows of the weights and biases: no token is projected.
pub(crate) fn pooled_attention(
    q: &Tensor,
    u: &Tensor,
    Projections { k, v, n_heads }: Projections<'_>,
    seen: Vec<usize>,
) -> Result<Tensor> {
    let (batch, d) = q.dims2()?;
    let head_width = d / n_heads;
    // Head by head: `[n_heads, head_width, d]`.
    let heads = |weight: &Tensor| weight.reshape((n_heads, head_width, d));
    let q = q.reshape((batch, n_heads, head_width))?;
    let shift = q.broadcast_mul(&k.bias.reshape((n_heads, head_width))?)?;
    let queries = swapped(&swapped(&q)?.matmul(&heads(&k.weight)?)?)?;
    let op = Pool {
        n_heads,
        d,
        tokens: u.dim(1)?,
        scale: 1.0 / (head_width as f32).sqrt(),
        seen,
    };
    let pooled = queries.apply_op3(&shift.sum(2)?, u, op)?;
    let out = swapped(&pooled)?.matmul(&heads(&v.weight)?.transpose(1, 2)?)?;
    swapped(&out)?.reshape((batch, d))?.broadcast_add(&v.bias)
}

/// The first two of three dimensions in the other order.
fn swapped(x: &Tensor) -> Result<Tensor> {
    x.transpose(0, 1)?.contiguous()
}

/// `softmax(scale · (queries · uᵀ + shift)) · u`, sequence by sequence. Shapes: `queries` and the
/// result are `[batch, n_heads, d]`, `shift` is `[batch, n_heads]`, `u` `[batch, tokens, d]`.
struct Pool {
    n_heads: usize,
    d: usize,
    tokens: usize,
    scale: f32,
    seen: Vec<usize>,
}

/// The arguments of one sequence; of `u` what its query sees.
struct Sequence<'a> {
    queries: &'a [f32],
    shift: &'a [f32],
    u: &'a [f32],
}

impl Pool {
    fn sequence<'a>(&self, [queries, shift, u]: [&'a [f32]; 3], i: usize) -> Sequence<'a> {
        let (heads, d) = (self.n_heads, self.d);
        Sequence {
            queries: &queries[i * heads * d..][..heads * d],
            shift: &shift[i * heads..][..heads],
            u: &u[i * self.tokens * d..][..self.seen[i] * d],
        }
    }

    /// One row for each head, or of `u` for each token.
    fn rows<'a>(&self, values: &'a [f32]) -> Matrix<'a> {
        Matrix::new(values, values.len() / self.d, self.d, self.d)
    }

    /// What each head attends to, and the like: `[n_heads, seen]`.
    fn scores<'a>(&self, p: &'a [f32]) -> Matrix<'a> {
        let seen = p.len() / self.n_heads;
        Matrix::new(p, self.n_heads, seen, seen)
    }

    /// `out = lhs · rhs`, or added to what `out` holds.
    fn product(out: &mut [f32], lhs: Matrix<'_>, rhs: Matrix<'_>, add: bool) {
        matmul(out, rhs.columns(), lhs, rhs, 1.0, add, Threads::One);
    }

    fn probabilities(&self, sequence: &Sequence<'_>) -> Vec<f32> {
        let seen = sequence.u.len() / self.d;
        let mut p = vec![0.0; self.n_heads * seen];
        let (queries, u) = (self.rows(sequence.queries), self.rows(sequence.u));
        Self::product(&mut p, queries, u.t(), false);
        vectorized(
            #[inline(always)]
            || {
                for (p, shift) in p.chunks_exact_mut(seen).zip(sequence.shift) {
                    for p in &mut *p {
                        *p = self.scale * (*p + shift);
                    }
                    softmax(p);
                }
            },
        );
        p
    }

    fn forward_sequence(&self, sequence: &Sequence<'_>, out: &mut [f32]) {
        let p = self.probabilities(sequence);
        Self::product(out, self.scores(&p), self.rows(sequence.u), false);
    }

    /// The gradients of queries, shift and u, from that of the result; `u_grad` is zero before.
    fn backward_sequence(
        &self,
        sequence: &Sequence<'_>,
        grad: &[f32],
        [queries_grad, shift_grad, u_grad]: [&mut [f32]; 3],
    ) {
        let (queries, u, grad) = (
            self.rows(sequence.queries),
            self.rows(sequence.u),
            self.rows(grad),
        );
        let p = self.probabilities(sequence);
        let seen = sequence.u.len() / self.d;
        let mut ds = vec![0.0; p.len()];
        Self::product(&mut ds, grad, u.t(), false);
        vectorized(
            #[inline(always)]
            || {
                let heads = p.chunks_exact(seen).zip(ds.chunks_exact_mut(seen));
                for ((p, ds), shift) in heads.zip(shift_grad) {
                    let dot = lane_sum(p, ds, |p, ds| p * ds);
                    for (ds, p) in ds.iter_mut().zip(p) {
                        *ds = self.scale * p * (*ds - dot);
                    }
                    *shift = lane_sum(ds, ds, |ds, _| ds);
                }
            },
        );
        let (p, ds) = (self.scores(&p), self.scores(&ds));
        Self::product(queries_grad, ds, u, false);
        let u_grad = &mut u_grad[..sequence.u.len()];
        Self::product(u_grad, p.t(), grad, false);
        Self::product(u_grad, ds.t(), queries, true);
    }
}

impl CustomOp3 for Pool {
    fn name(&self) -> &'static str {
        "paint-pooled-attention"
    }

    fn cpu_fwd(
        &self,
        queries: &CpuStorage,
        queries_layout: &Layout,
        shift: &CpuStorage,
        shift_layout: &Layout,
        u: &CpuStorage,
        u_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let arguments = [
            values(queries, queries_layout)?,
            values(shift, shift_layout)?,
            values(u, u_layout)?,
        ];
        let mut out = vec![0.0; arguments[0].len()];
        out.par_chunks_mut(self.n_heads * self.d)
            .enumerate()
            .for_each(|(i, out)| self.forward_sequence(&self.sequence(arguments, i), out));
        Ok((CpuStorage::F32(out), queries_layout.shape().clone()))
    }

    fn bwd(
        &self,
        queries: &Tensor,
        shift: &Tensor,
        u: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let zeros = |x: &Tensor| vec![0.0; x.elem_count()];
        let mut grads = [zeros(queries), zeros(shift), zeros(u)];
        let [queries_grad, shift_grad, u_grad] = &mut grads;
        let rows = self.n_heads * self.d;
        let sequences = queries_grad
            .par_chunks_mut(rows)
            .zip(shift_grad.par_chunks_mut(self.n_heads))
            .zip(u_grad.par_chunks_mut((self.tokens * self.d).max(1)))
            .enumerate();
        with_values(queries, |queries| {
            with_values(shift, |shift| {
                with_values(u, |u| {
                    with_values(grad, |grad| {
                        sequences.for_each(|(i, ((queries_grad, shift_grad), u_grad))| {
                            self.backward_sequence(
                                &self.sequence([queries, shift, u], i),
                                &grad[i * rows..][..rows],
                                [queries_grad, shift_grad, u_grad],
                            );
                        });
                        Ok(())
                    })
                })
            })
        })?;
        let [queries_grad, shift_grad, u_grad] = grads;
        Ok((
            Some(tensor(queries_grad, queries.shape().clone())?),
            Some(tensor(shift_grad, shift.shape().clone())?),
            Some(tensor(u_grad, u.shape().clone())?),
        ))
    }
}
