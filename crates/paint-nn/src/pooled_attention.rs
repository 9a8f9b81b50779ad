//! Attention of one token of each sequence without keys and values: what multiplies them is moved
//! to the other side of the products, where there is one row in place of one for each token.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use crate::attention::softmax;
use crate::matmul::{Matrix, Threads, matmul, matrix};
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
/// `V` and `c` are its rows of the weights and biases: no token is projected. All scores of a head
/// have the same `q · b`, which softmax does not see: `b` has no part in it.
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
    let q = swapped(&q.reshape((batch, n_heads, head_width))?)?;
    let queries = swapped(&q.matmul(&heads(&k.weight)?)?)?;
    let op = Pool {
        n_heads,
        d,
        tokens: u.dim(1)?,
        scale: 1.0 / (head_width as f32).sqrt(),
        seen,
    };
    let pooled = queries.apply_op3(u, &k.bias, op)?;
    let out = swapped(&pooled)?.matmul(&heads(&v.weight)?.transpose(1, 2)?)?;
    swapped(&out)?.reshape((batch, d))?.broadcast_add(&v.bias)
}

/// The first two of three dimensions in the other order.
fn swapped(x: &Tensor) -> Result<Tensor> {
    x.transpose(0, 1)?.contiguous()
}

/// `softmax(scale · queries · uᵀ) · u`, sequence by sequence. Shapes: `queries` and the result are
/// `[batch, n_heads, d]`, `u` is `[batch, tokens, d]`. The third argument is the bias of keys, which
/// has a gradient as all that is trained must have: zero.
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
    u: &'a [f32],
}

impl Pool {
    fn sequence<'a>(&self, queries: &'a [f32], u: &'a [f32], i: usize) -> Sequence<'a> {
        let (heads, d) = (self.n_heads, self.d);
        Sequence {
            queries: &queries[i * heads * d..][..heads * d],
            u: &u[i * self.tokens * d..][..self.seen[i] * d],
        }
    }

    /// One row for each head, or of `u` for each token.
    fn rows<'a>(&self, values: &'a [f32]) -> Matrix<'a> {
        matrix(values, self.d)
    }

    /// What each head attends to, and the like: `[n_heads, seen]`.
    fn scores<'a>(&self, p: &'a [f32]) -> Matrix<'a> {
        matrix(p, p.len() / self.n_heads)
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
                for p in p.chunks_exact_mut(seen) {
                    for p in &mut *p {
                        *p *= self.scale;
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

    /// The gradients of queries and u, from that of the result; `u_grad` is zero before.
    fn backward_sequence(
        &self,
        sequence: &Sequence<'_>,
        grad: &[f32],
        queries_grad: &mut [f32],
        u_grad: &mut [f32],
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
                for (p, ds) in p.chunks_exact(seen).zip(ds.chunks_exact_mut(seen)) {
                    let dot = lane_sum(p, ds, |p, ds| p * ds);
                    for (ds, p) in ds.iter_mut().zip(p) {
                        *ds = self.scale * p * (*ds - dot);
                    }
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
        u: &CpuStorage,
        u_layout: &Layout,
        key_bias: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        key_bias.as_slice::<f32>()?;
        let (queries, u) = (values(queries, queries_layout)?, values(u, u_layout)?);
        let mut out = vec![0.0; queries.len()];
        out.par_chunks_mut(self.n_heads * self.d)
            .enumerate()
            .for_each(|(i, out)| self.forward_sequence(&self.sequence(queries, u, i), out));
        Ok((CpuStorage::F32(out), queries_layout.shape().clone()))
    }

    fn bwd(
        &self,
        queries: &Tensor,
        u: &Tensor,
        key_bias: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let mut queries_grad = vec![0.0; queries.elem_count()];
        let mut u_grad = vec![0.0; u.elem_count()];
        let rows = self.n_heads * self.d;
        let sequences = queries_grad
            .par_chunks_mut(rows)
            .zip(u_grad.par_chunks_mut((self.tokens * self.d).max(1)))
            .enumerate();
        with_values(queries, |queries| {
            with_values(u, |u| {
                with_values(grad, |grad| {
                    sequences.for_each(|(i, (queries_grad, u_grad))| {
                        let sequence = self.sequence(queries, u, i);
                        let grad = &grad[i * rows..][..rows];
                        self.backward_sequence(&sequence, grad, queries_grad, u_grad);
                    });
                    Ok(())
                })
            })
        })?;
        Ok((
            Some(tensor(queries_grad, queries.shape().clone())?),
            Some(tensor(u_grad, u.shape().clone())?),
            Some(key_bias.zeros_like()?),
        ))
    }
}
