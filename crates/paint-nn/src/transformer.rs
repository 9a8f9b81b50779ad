//! A whole layer of a pre-norm transformer as one operation: nothing between its parts goes
//! through candle, only what the backward pass cannot compute cheaply is kept. For one token of each
//! sequence, which takes little time, it is made of the single operations.

use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use crate::activation::Activation;
use crate::add::add;
use crate::attention::{Attention, Packed};
use crate::buffer::Buffer;
use crate::layer_norm::{add_grad_x, all_moments, grad_affine, layer_norm, normalized};
use crate::linear::{SMALL_WEIGHT, fill_rows, linear, linear_activation, times_weight};
use crate::matmul::{Matrix, Threads, matmul, matrix, product};
use crate::parameters::Parameters;
use crate::pooled_attention::{Projections, pooled_attention};
use crate::slices::{
    column_sums, for_row_pieces, n_pieces, n_threads, serially, tensor, values, vectorized,
    with_values,
};

/// Weight and bias of a linear layer or a norm.
#[derive(Debug, Clone)]
pub struct Affine {
    /// `[n_out, n_in]`, of a norm `[d]`.
    pub weight: Tensor,
    /// `[n_out]`, of a norm `[d]`.
    pub bias: Tensor,
}

/// A pre-norm transformer layer (Radford et al. 2019, section 2.3):
/// `y = x + out_proj(attention(layer_norm1(x)))`, result `y + fc2(activation(fc1(layer_norm2(y))))`.
#[derive(Debug, Clone)]
pub struct TransformerLayer {
    /// The norm before attention.
    pub layer_norm1: Affine,
    /// Queries.
    pub q_proj: Affine,
    /// Keys.
    pub k_proj: Affine,
    /// Values.
    pub v_proj: Affine,
    /// The projection after attention.
    pub out_proj: Affine,
    /// The norm before the MLP.
    pub layer_norm2: Affine,
    /// The MLP's first layer, `[hidden, d]`.
    pub fc1: Affine,
    /// The MLP's second layer, `[d, hidden]`.
    pub fc2: Affine,
    /// Attention heads; divides the width.
    pub n_heads: usize,
    /// The MLP's activation.
    pub activation: Activation,
    /// Whether a token sees only itself and those before it.
    pub causal: bool,
    /// Epsilon of the norms.
    pub eps: f64,
}

/// Places of the parameters in [`Parameters`]: the weight, its bias follows.
const NORM1: usize = 0;
const Q: usize = 2;
const OUT: usize = 8;
const NORM2: usize = 10;
const FC1: usize = 12;
const FC2: usize = 14;

impl TransformerLayer {
    /// `x`: `[batch, tokens, d]`, and so is the result.
    ///
    /// One operation with one backward pass. Kept for it, in units of x: queries, keys, values, what
    /// attention gives and y (five), and the values before the activation (four in most models);
    /// norms and activations are computed again. A thread keeps up to 64 MB of what it computed in
    /// for the next layer. With [`backward`](crate::backward) in place of
    /// `Tensor::backward` the gradients of the parameters are not copied.
    ///
    /// # Errors
    /// When shapes do not fit or a tensor is not contiguous `f32` on the CPU.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (_, tokens, width) = x.dims3()?;
        let hidden = self.fc1.weight.dim(0)?;
        self.check(width, hidden)?;
        let tensors = self
            .parts()
            .map(|(_, part)| [part.weight.clone(), part.bias.clone()]);
        let parameters = Parameters::new(tensors.concat());
        let op = Layer {
            attention: Attention {
                tokens,
                width,
                head_width: width / self.n_heads,
                causal: self.causal,
            },
            hidden,
            activation: self.activation,
            eps: self.eps as f32,
            keep: parameters.tracked() || x.track_op(),
            kept: OnceLock::new(),
            parameters: parameters.clone(),
        };
        let x = x.contiguous()?;
        match op.keep {
            true => x.apply_op2(&parameters.joined()?, op),
            false => x.apply_op2_no_bwd(&Tensor::new(0f32, x.device())?, &op),
        }
    }

    /// What [`forward`](Self::forward) gives for one token of each sequence, `tokens[i]` of
    /// sequence `i`: `[batch, d]`. For the last layer of a tower that is read out at one token: of
    /// the others next to nothing has to be computed. The bias of keys, which softmax does not see,
    /// has a gradient of zero.
    ///
    /// # Errors
    /// When shapes do not fit, there is no such token, or a tensor is not contiguous `f32` on the
    /// CPU.
    pub fn forward_token(&self, x: &Tensor, tokens: &[usize]) -> Result<Tensor> {
        let (batch, n, width) = x.dims3()?;
        self.check(width, self.fc1.weight.dim(0)?)?;
        if tokens.len() != batch || tokens.iter().any(|token| *token >= n) {
            bail!("transformer layer: tokens {tokens:?} of {batch} sequences of {n}")
        }
        let rows = tokens.iter().enumerate().map(|(i, t)| (i * n + t) as u32);
        let rows = Tensor::from_iter(rows, x.device())?;
        let pick = |x: &Tensor| x.reshape((batch * n, width))?.index_select(&rows, 0);
        let norm =
            |x: &Tensor, Affine { weight, bias }: &Affine| layer_norm(x, weight, bias, self.eps);
        let affine = |x: &Tensor, part: &Affine| linear(x, &part.weight, Some(&part.bias));

        let u = norm(x, &self.layer_norm1)?;
        let q = affine(&pick(&u)?, &self.q_proj)?;
        let seen = |token: &usize| if self.causal { token + 1 } else { n };
        let projections = Projections {
            k: &self.k_proj,
            v: &self.v_proj,
            n_heads: self.n_heads,
        };
        let attended = pooled_attention(&q, &u, projections, tokens.iter().map(seen).collect())?;
        let y = add(&pick(x)?, &affine(&attended, &self.out_proj)?)?;
        let Affine { weight, bias } = &self.fc1;
        let hidden =
            linear_activation(&norm(&y, &self.layer_norm2)?, weight, bias, self.activation)?;
        add(&y, &affine(&hidden, &self.fc2)?)
    }

    /// In the order of [`Parameters`].
    fn parts(&self) -> [(&'static str, &Affine); 8] {
        [
            ("layer_norm1", &self.layer_norm1),
            ("q_proj", &self.q_proj),
            ("k_proj", &self.k_proj),
            ("v_proj", &self.v_proj),
            ("out_proj", &self.out_proj),
            ("layer_norm2", &self.layer_norm2),
            ("fc1", &self.fc1),
            ("fc2", &self.fc2),
        ]
    }

    fn check(&self, width: usize, hidden: usize) -> Result<()> {
        if self.n_heads == 0 || !width.is_multiple_of(self.n_heads) {
            bail!(
                "transformer layer: width {width} is no multiple of {} heads",
                self.n_heads
            )
        }
        if width == 0 || hidden == 0 {
            bail!("transformer layer: width {width} and {hidden} hidden values, neither may be 0")
        }
        for (name, part) in self.parts() {
            let (weight, bias): (&[usize], usize) = match name {
                "layer_norm1" | "layer_norm2" => (&[width], width),
                "fc1" => (&[hidden, width], hidden),
                "fc2" => (&[width, hidden], width),
                _ => (&[width, width], width),
            };
            if part.weight.dims() != weight || part.bias.dims() != [bias] {
                bail!(
                    "transformer layer: {name} is {:?} with bias {:?}, expected {weight:?} and [{bias}]",
                    part.weight.dims(),
                    part.bias.dims()
                )
            }
        }
        Ok(())
    }
}

struct Layer {
    attention: Attention,
    hidden: usize,
    activation: Activation,
    eps: f32,
    keep: bool,
    kept: OnceLock<Kept<Buffer>>,
    parameters: Parameters,
}

/// Rows that go through a small layer together on one thread: few enough that what lies between
/// its products stays in the cache, enough that a weight is not read for too little.
const BLOCK_ROWS: usize = 384;

/// What the backward pass needs of the forward pass, for all rows or for some.
struct Kept<T> {
    /// Queries, keys and values side by side: `[rows, 3 · d]`.
    qkv: T,
    /// What attention gives: `[rows, d]`.
    attended: T,
    /// After the first residual: `[rows, d]`.
    y: T,
    /// Before the activation: `[rows, hidden]`.
    before: T,
}

impl Kept<Buffer> {
    /// To be written.
    fn of(rows: usize, d: usize, hidden: usize) -> Self {
        Self {
            qkv: Buffer::of(rows * 3 * d),
            attended: Buffer::of(rows * d),
            y: Buffer::of(rows * d),
            before: Buffer::of(rows * hidden),
        }
    }

    fn as_mut(&mut self) -> Kept<&mut [f32]> {
        Kept {
            qkv: &mut self.qkv,
            attended: &mut self.attended,
            y: &mut self.y,
            before: &mut self.before,
        }
    }

    /// Those of every block of `rows` rows.
    fn blocks(&mut self, rows: usize, d: usize, hidden: usize) -> Vec<Kept<&mut [f32]>> {
        let wide = self
            .qkv
            .chunks_mut(rows * 3 * d)
            .zip(self.before.chunks_mut(rows * hidden));
        let narrow = self
            .attended
            .chunks_mut(rows * d)
            .zip(self.y.chunks_mut(rows * d));
        let block = |((qkv, before), (attended, y))| Kept {
            qkv,
            attended,
            y,
            before,
        };
        wide.zip(narrow).map(block).collect()
    }
}

/// The parameters' values, in the order of [`Parameters`].
type Weights<'a> = [&'a [f32]];

/// Every row of `out` the row of `x` plus `bias`.
fn fill_sum(out: &mut [f32], x: &[f32], bias: &[f32]) {
    let d = bias.len();
    for_row_pieces(
        out,
        d,
        #[inline(always)]
        |first, out| {
            for (out, x) in out.chunks_exact_mut(d).zip(x[first * d..].chunks_exact(d)) {
                for ((out, x), b) in out.iter_mut().zip(x).zip(bias) {
                    *out = x + b;
                }
            }
        },
    );
}

impl Layer {
    /// Rows of a block, whole images, of `n_images`: a block for each thread, more in a small layer;
    /// all rows if there are fewer images than threads.
    fn block_rows(&self, n_images: usize) -> usize {
        let threads = n_threads();
        let images = if n_images < threads {
            n_images
        } else if self.attention.width * self.hidden > SMALL_WEIGHT {
            n_images.div_ceil(threads)
        } else {
            // Blocks of one size, as many for each thread.
            let images = BLOCK_ROWS.div_ceil(self.attention.tokens.max(1));
            n_images.div_ceil(n_images.div_ceil(images).next_multiple_of(threads))
        };
        images.max(1) * self.attention.tokens
    }

    fn forward(&self, x: &[f32]) -> Result<Vec<f32>> {
        let (d, hidden) = (self.attention.width, self.hidden);
        let held = self.parameters.values()?;
        let weights: Vec<&[f32]> = held.iter().map(|values| &**values).collect();
        let rows = x.len() / d.max(1);
        let n_images = rows / self.attention.tokens.max(1);
        let mut out = vec![0.0; x.len()];
        let block = self.block_rows(n_images).max(1);
        let run = |work: &mut dyn FnMut()| match block < rows {
            true => serially(work),
            false => work(),
        };
        let blocks = out.par_chunks_mut(block * d).zip(x.par_chunks(block * d));
        if self.keep {
            let mut kept = Kept::of(rows, d, hidden);
            let slices = kept.blocks(block, d, hidden);
            blocks.zip(slices).for_each(|((out, x), mut kept)| {
                run(&mut || {
                    self.forward_block(&weights, x, out, &mut kept);
                    let mut activated = Buffer::of(kept.before.len());
                    self.add_bias_and_activate(kept.before, weights[FC1 + 1], &mut activated);
                    times_weight(out, d, &activated, hidden, weights[FC2], true);
                });
            });
            // A custom operation runs forward once, so the lock is empty here.
            let _ = self.kept.set(kept);
        } else {
            blocks.for_each(|(out, x)| {
                run(&mut || {
                    let mut kept = Kept::of(x.len() / d, d, hidden);
                    self.forward_block(&weights, x, out, &mut kept.as_mut());
                    self.add_bias_and_activate_in_place(&mut kept.before, weights[FC1 + 1]);
                    times_weight(out, d, &kept.before, hidden, weights[FC2], true);
                });
            });
        }
        Ok(out)
    }

    /// Everything up to the bias before the activation; `out` becomes the second residual's sum
    /// without the MLP.
    fn forward_block(
        &self,
        w: &Weights<'_>,
        x: &[f32],
        out: &mut [f32],
        kept: &mut Kept<&mut [f32]>,
    ) {
        let (d, hidden) = (self.attention.width, self.hidden);
        let u = normalized(x, [w[NORM1], w[NORM1 + 1]], &all_moments(x, d, self.eps));
        fill_rows(kept.qkv, &[w[Q + 1], w[Q + 3], w[Q + 5]].concat());
        for part in 0..3 {
            let out = &mut kept.qkv[part * d..];
            times_weight(out, 3 * d, &u, d, w[Q + 2 * part], true);
        }
        self.attention
            .forward(Packed::side_by_side(kept.qkv, d), kept.attended);
        fill_sum(kept.y, x, w[OUT + 1]);
        times_weight(kept.y, d, kept.attended, d, w[OUT], true);
        let moments = all_moments(kept.y, d, self.eps);
        let u = normalized(kept.y, [w[NORM2], w[NORM2 + 1]], &moments);
        times_weight(kept.before, hidden, &u, d, w[FC1], false);
        fill_sum(out, kept.y, w[FC2 + 1]);
    }

    /// `before` has the bias added to its rows, and `activated` is what that gives.
    fn add_bias_and_activate(&self, before: &mut [f32], bias: &[f32], activated: &mut [f32]) {
        let rows = before.len() / bias.len();
        let piece = rows.div_ceil(n_pieces(before.len())).max(1) * bias.len();
        let pieces = before.par_chunks_mut(piece);
        pieces
            .zip(activated.par_chunks_mut(piece))
            .for_each(|(before, activated)| {
                vectorized(
                    #[inline(always)]
                    || {
                        let rows = before.chunks_exact_mut(bias.len());
                        for (before, activated) in rows.zip(activated.chunks_exact_mut(bias.len()))
                        {
                            let both = before.iter_mut().zip(activated);
                            for ((before, activated), bias) in both.zip(bias) {
                                *before += bias;
                                *activated = self.activation.value(*before);
                            }
                        }
                    },
                );
            });
    }

    /// The same where nobody asks for the values before the activation.
    fn add_bias_and_activate_in_place(&self, hidden: &mut [f32], bias: &[f32]) {
        for_row_pieces(
            hidden,
            bias.len(),
            #[inline(always)]
            |_, piece| {
                for row in piece.chunks_exact_mut(bias.len()) {
                    for (x, bias) in row.iter_mut().zip(bias) {
                        *x = self.activation.value(*x + bias);
                    }
                }
            },
        );
    }

    /// The gradient of x; those of the parameters are left with them.
    fn backward(&self, x: &[f32], grad: &[f32]) -> Result<Vec<f32>> {
        let Some(kept) = self.kept.get() else {
            bail!("transformer layer: the forward pass kept no values for a gradient")
        };
        let (d, hidden) = (self.attention.width, self.hidden);
        let held = self.parameters.values()?;
        let weights: Vec<&[f32]> = held.iter().map(|values| &**values).collect();
        let rows = x.len() / d.max(1);
        // On one thread in blocks, which stay in its cache; on several each product on all of them,
        // so that no thread needs sums of its own.
        let block = match n_threads() {
            1 => self.block_rows(rows / self.attention.tokens.max(1)).max(1),
            _ => rows.max(1),
        };
        let mut dx = grad.to_vec();
        let mut sums = Sums::new(&self.parameters);
        for (i, dx) in dx.chunks_mut(block * d).enumerate() {
            let range = |columns: usize| {
                let start = i * block * columns;
                start..(start + block * columns).min(rows * columns)
            };
            let kept = Kept {
                qkv: &kept.qkv[range(3 * d)],
                attended: &kept.attended[range(d)],
                y: &kept.y[range(d)],
                before: &kept.before[range(hidden)],
            };
            self.mlp_backward(&weights, &kept, dx, &mut sums);
            self.attention_backward(&weights, &kept, &x[range(d)], dx, &mut sums);
        }
        drop(held);
        sums.leave(&self.parameters)?;
        Ok(dx)
    }

    /// `grad` of the result becomes that of y.
    fn mlp_backward(
        &self,
        w: &Weights<'_>,
        kept: &Kept<&[f32]>,
        grad: &mut [f32],
        sums: &mut Sums,
    ) {
        let (d, hidden) = (self.attention.width, self.hidden);
        let mut dh = product(matrix(grad, d), matrix(w[FC2], hidden), Threads::All);
        let activated = self.through_activation(&mut dh, kept.before);
        sums.add_linear(FC2, matrix(grad, d), matrix(&activated, hidden));
        sums.add(FC2 + 1, || column_sums(grad, d));
        drop(activated);

        let moments = all_moments(kept.y, d, self.eps);
        let u = normalized(kept.y, [w[NORM2], w[NORM2 + 1]], &moments);
        sums.add_linear(FC1, matrix(&dh, hidden), matrix(&u, d));
        sums.add(FC1 + 1, || column_sums(&dh, hidden));
        let du = product(matrix(&dh, hidden), matrix(w[FC1], d), Threads::All);
        sums.add_norm(NORM2, kept.y, &du, &moments);
        add_grad_x(grad, kept.y, w[NORM2], &du, &moments);
    }

    /// The activated values; `grad`, of these, becomes the gradient before the activation.
    fn through_activation(&self, grad: &mut [f32], before: &[f32]) -> Buffer {
        let mut activated = Buffer::of(before.len());
        let piece = before.len().div_ceil(n_pieces(before.len())).max(1);
        activated
            .par_chunks_mut(piece)
            .zip(grad.par_chunks_mut(piece))
            .zip(before.par_chunks(piece))
            .for_each(|((activated, grad), before)| {
                vectorized(
                    #[inline(always)]
                    || {
                        for ((activated, grad), &x) in activated.iter_mut().zip(grad).zip(before) {
                            *activated = self.activation.value(x);
                            *grad *= self.activation.derivative(x);
                        }
                    },
                );
            });
        activated
    }

    /// `dy`, the gradient of y, becomes that of x.
    fn attention_backward(
        &self,
        w: &Weights<'_>,
        kept: &Kept<&[f32]>,
        x: &[f32],
        dy: &mut [f32],
        sums: &mut Sums,
    ) {
        let d = self.attention.width;
        sums.add_linear(OUT, matrix(dy, d), matrix(kept.attended, d));
        sums.add(OUT + 1, || column_sums(dy, d));
        let d_attended = product(matrix(dy, d), matrix(w[OUT], d), Threads::All);
        let qkv = Packed::side_by_side(kept.qkv, d);
        let dqkv = self.attention.backward(qkv, &d_attended);
        drop(d_attended);
        let moments = all_moments(x, d, self.eps);
        let u = normalized(x, [w[NORM1], w[NORM1 + 1]], &moments);
        let biases = column_sums(&dqkv, 3 * d);
        let mut du = Buffer::of(x.len());
        for part in 0..3 {
            let grad = Matrix::new(&dqkv[part * d..], x.len() / d, d, 3 * d);
            let i = Q + 2 * part;
            sums.add_linear(i, grad, matrix(&u, d));
            sums.add(i + 1, || biases[part * d..][..d].to_vec());
            matmul(
                &mut du,
                d,
                grad,
                matrix(w[i], d),
                1.0,
                part > 0,
                Threads::All,
            );
        }
        sums.add_norm(NORM1, x, &du, &moments);
        add_grad_x(dy, x, w[NORM1], &du, &moments);
    }
}

/// The gradients of the parameters that learn, summed over blocks.
struct Sums(Vec<Sum>);

enum Sum {
    Frozen,
    Empty,
    Of(Vec<f32>),
}

impl Sums {
    fn new(parameters: &Parameters) -> Self {
        let sum = |tensor: &Tensor| match tensor.track_op() {
            true => Sum::Empty,
            false => Sum::Frozen,
        };
        Self(parameters.tensors().iter().map(sum).collect())
    }

    fn add(&mut self, i: usize, grad: impl FnOnce() -> Vec<f32>) {
        match &mut self.0[i] {
            Sum::Frozen => {}
            empty @ Sum::Empty => *empty = Sum::Of(grad()),
            Sum::Of(sum) => sum.iter_mut().zip(grad()).for_each(|(sum, g)| *sum += g),
        }
    }

    /// The weight number `i` of a linear layer: `gradᵀ · x`.
    fn add_linear(&mut self, i: usize, grad: Matrix<'_>, x: Matrix<'_>) {
        match &mut self.0[i] {
            Sum::Frozen => {}
            empty @ Sum::Empty => *empty = Sum::Of(product(grad.t(), x, Threads::All)),
            Sum::Of(sum) => matmul(sum, x.columns(), grad.t(), x, 1.0, true, Threads::All),
        }
    }

    /// Weight and bias of the norm number `i`.
    fn add_norm(&mut self, i: usize, x: &[f32], grad: &[f32], moments: &[f32]) {
        if matches!(self.0[i..i + 2], [Sum::Frozen, Sum::Frozen]) {
            return;
        }
        let d = grad.len() * 2 / moments.len().max(1);
        let [weight, bias] = grad_affine(x, grad, d, moments);
        self.add(i, || weight);
        self.add(i + 1, || bias);
    }

    fn leave(self, parameters: &Parameters) -> Result<()> {
        for (i, sum) in self.0.into_iter().enumerate() {
            if let Sum::Of(sum) = sum {
                parameters.leave(i, tensor(sum, parameters.tensors()[i].shape().clone())?);
            }
        }
        Ok(())
    }
}

impl CustomOp2 for Layer {
    fn name(&self) -> &'static str {
        "paint-transformer-layer"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let out = self.forward(values(x, x_layout)?)?;
        Ok((CpuStorage::F32(out), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        joined: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let dx = with_values(x, |x| with_values(grad, |grad| self.backward(x, grad)))?;
        let dx = x.track_op().then(|| tensor(dx, x.shape().clone()));
        Ok((dx.transpose()?, Some(joined.clone())))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;
    use crate::backward;

    const D: usize = 12;

    fn layer(new: fn(&[usize]) -> Tensor) -> TransformerLayer {
        let part = |weight: &[usize]| Affine {
            weight: new(weight),
            bias: new(&weight[..1]),
        };
        TransformerLayer {
            layer_norm1: part(&[D]),
            q_proj: part(&[D, D]),
            k_proj: part(&[D, D]),
            v_proj: part(&[D, D]),
            out_proj: part(&[D, D]),
            layer_norm2: part(&[D]),
            fc1: part(&[20, D]),
            fc2: part(&[D, 20]),
            n_heads: 3,
            activation: Activation::QuickGelu,
            causal: true,
            eps: 1e-5,
        }
    }

    fn fixed(dims: &[usize]) -> Tensor {
        Tensor::rand(-1f32, 1f32, dims, &Device::Cpu).unwrap()
    }

    fn variable(dims: &[usize]) -> Tensor {
        Var::from_tensor(&fixed(dims)).unwrap().into_inner()
    }

    fn check_finite(x: &Tensor) {
        let values = x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(values.iter().all(|value| value.is_finite()));
    }

    /// In tests what a buffer holds before it is written is not a number.
    #[test]
    fn nothing_is_read_that_was_not_written() {
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            pool.build().unwrap().install(|| {
                // Several blocks, the last of them smaller, and one that all threads share.
                for batch in [23, 1] {
                    let x = variable(&[batch, 37, D]);
                    check_finite(&layer(fixed).forward(&x.detach()).unwrap());
                    let layer = layer(variable);
                    let out = layer.forward(&x).unwrap();
                    check_finite(&out);
                    let grads = backward(&out.sum_all().unwrap()).unwrap();
                    check_finite(grads.get(&x).unwrap());
                    for (_, Affine { weight, bias }) in layer.parts() {
                        check_finite(grads.get(weight).unwrap());
                        check_finite(grads.get(bias).unwrap());
                    }
                    check_finite(&layer.forward_token(&x, &vec![1; batch]).unwrap());
                }
            });
        }
    }
}
