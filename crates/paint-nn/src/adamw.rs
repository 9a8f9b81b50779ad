//! AdamW (Loshchilov and Hutter 2019) as one pass over each parameter, in place.

use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, InplaceOp2, Layout, Result, Tensor, bail};
use rayon::prelude::*;

use crate::slices::{n_pieces, values, vectorized};

/// Hyperparameters of one AdamW step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamW {
    /// Learning rate of this step.
    pub learning_rate: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Decoupled weight decay, times the learning rate.
    pub weight_decay: f64,
}

/// The moments of one parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct AdamWState {
    /// First moment, as many values as the parameter has.
    pub m: Vec<f32>,
    /// Second moment.
    pub v: Vec<f32>,
}

impl AdamWState {
    /// Both moments zero, for a parameter of `n` values.
    #[must_use]
    pub fn zeros(n: usize) -> Self {
        Self {
            m: vec![0.0; n],
            v: vec![0.0; n],
        }
    }
}

impl AdamW {
    /// Updates `theta` in place: step number `step` (from 1), gradient `grad · grad_scale`.
    ///
    /// Every tensor that shares `theta`'s storage sees the new values.
    ///
    /// # Errors
    /// When the sizes of parameter, gradient and state differ, or `step` is 0.
    pub fn step(
        &self,
        theta: &Tensor,
        grad: &Tensor,
        grad_scale: f64,
        state: &mut AdamWState,
        step: u64,
    ) -> Result<()> {
        if step == 0 {
            bail!("AdamW steps count from 1")
        }
        // Step counts beyond i32 have bias corrections of one anyway.
        let power = i32::try_from(step).unwrap_or(i32::MAX);
        let update = Update {
            decay: (1.0 - self.learning_rate * self.weight_decay) as f32,
            beta1: self.beta1 as f32,
            beta2: self.beta2 as f32,
            rate: (self.learning_rate / (1.0 - self.beta1.powi(power))) as f32,
            v_scale: (1.0 / (1.0 - self.beta2.powi(power))) as f32,
            eps: self.eps as f32,
            grad_scale: grad_scale as f32,
            state: Mutex::new(state),
        };
        theta.inplace_op2(&grad.contiguous()?, &update)
    }
}

struct Update<'a> {
    decay: f32,
    beta1: f32,
    beta2: f32,
    rate: f32,
    v_scale: f32,
    eps: f32,
    grad_scale: f32,
    // In-place operations are handed out by shared reference.
    state: Mutex<&'a mut AdamWState>,
}

impl InplaceOp2 for Update<'_> {
    fn name(&self) -> &'static str {
        "paint-adamw"
    }

    fn cpu_fwd(
        &self,
        theta: &mut CpuStorage,
        theta_layout: &Layout,
        grad: &CpuStorage,
        grad_layout: &Layout,
    ) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let AdamWState { m, v } = &mut **state;
        let grad = values(grad, grad_layout)?;
        let (CpuStorage::F32(theta), Some((start, end))) =
            (theta, theta_layout.contiguous_offsets())
        else {
            bail!("AdamW: the parameter is not contiguous f32")
        };
        let theta = &mut theta[start..end];
        if grad.len() != theta.len() || m.len() != theta.len() || v.len() != theta.len() {
            bail!(
                "AdamW: {} values, {} gradients, {} moments",
                theta.len(),
                grad.len(),
                m.len()
            )
        }
        let piece = theta.len().div_ceil(n_pieces(theta.len())).max(1);
        theta
            .par_chunks_mut(piece)
            .zip(grad.par_chunks(piece))
            .zip(m.par_chunks_mut(piece).zip(v.par_chunks_mut(piece)))
            .for_each(|((theta, grad), (m, v))| {
                vectorized(
                    #[inline(always)]
                    || self.piece(theta, grad, m, v),
                )
            });
        Ok(())
    }
}

impl Update<'_> {
    #[inline(always)]
    fn piece(&self, theta: &mut [f32], grad: &[f32], m: &mut [f32], v: &mut [f32]) {
        for (((theta, grad), m), v) in theta.iter_mut().zip(grad).zip(m).zip(v) {
            let g = grad * self.grad_scale;
            *m += (1.0 - self.beta1) * (g - *m);
            *v += (1.0 - self.beta2) * (g * g - *v);
            let denominator = (*v * self.v_scale).sqrt() + self.eps;
            *theta = *theta * self.decay - self.rate * *m / denominator;
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    #[test]
    fn two_steps_equal_the_paper_by_hand() -> Result<()> {
        let adamw = AdamW {
            learning_rate: 0.1,
            beta1: 0.9,
            beta2: 0.99,
            eps: 1e-8,
            weight_decay: 0.5,
        };
        let theta = Var::new(&[1.0f32, -2.0], &Device::Cpu)?;
        let mut state = AdamWState::zeros(2);
        let mut expected = [1.0f64, -2.0];
        let (mut m, mut v) = ([0.0; 2], [0.0; 2]);
        for (step, grads) in [(1, [0.5f32, 4.0]), (2, [-1.0, 2.0])] {
            let grad = Tensor::new(&grads, &Device::Cpu)?;
            adamw.step(theta.as_tensor(), &grad, 0.5, &mut state, step)?;
            for i in 0..2 {
                let g = f64::from(grads[i]) * 0.5;
                m[i] = 0.9 * m[i] + 0.1 * g;
                v[i] = 0.99 * v[i] + 0.01 * g * g;
                let m_hat = m[i] / (1.0 - 0.9f64.powi(step as i32));
                let v_hat = v[i] / (1.0 - 0.99f64.powi(step as i32));
                expected[i] -= 0.1 * (m_hat / (v_hat.sqrt() + 1e-8) + 0.5 * expected[i]);
            }
        }
        for (ours, expected) in theta.to_vec1::<f32>()?.iter().zip(expected) {
            assert!(
                (f64::from(*ours) - expected).abs() < 1e-6,
                "{ours} against {expected}"
            );
        }
        Ok(())
    }
}
