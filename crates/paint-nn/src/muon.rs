//! Muon: momentum, made orthogonal, for the matrices inside a transformer.
//!
//! Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks";
//! decoupled weight decay as in Liu et al. 2025, "Muon is scalable for LLM training",
//! arXiv:2502.16982, section 2.2.

use candle_core::{Result, Tensor, bail};

use crate::matmul::{Matrix, Threads, matmul};
use crate::slices::{vectorized, with_values};

/// Newton–Schulz iterations of one step.
const ITERATIONS: usize = 5;

/// The quintic's coefficients: it drives singular values from (0, 1] to between 0.67 and 1.13,
/// small ones as fast as it can.
const QUINTIC: [f32; 3] = [3.4445, -4.7750, 2.0315];

/// Hyperparameters of one Muon step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Muon {
    /// Learning rate of this step: about the length by which the step moves any direction
    /// that goes through the matrix.
    pub learning_rate: f64,
    /// Decay of the momentum; Nesterov's form.
    pub momentum: f64,
    /// Decoupled weight decay, times the learning rate.
    pub weight_decay: f64,
}

impl Muon {
    /// `theta` after one step along the gradient `grad · grad_scale`; both `[rows, columns]`.
    /// `momentum` holds as many values, zero before the first step.
    ///
    /// # Errors
    /// When `theta` is no f32 matrix on the CPU, or the sizes differ.
    pub fn step(
        &self,
        theta: &Tensor,
        grad: &Tensor,
        grad_scale: f64,
        momentum: &mut [f32],
    ) -> Result<Tensor> {
        let (rows, columns) = theta.dims2()?;
        if grad.dims() != theta.dims() || momentum.len() != rows * columns {
            bail!(
                "Muon: parameter {:?}, gradient {:?}, {} values of momentum",
                theta.dims(),
                grad.dims(),
                momentum.len()
            )
        }
        let (keep, scale) = (self.momentum as f32, grad_scale as f32);
        let along = with_values(grad, |grad| {
            Ok(grad
                .iter()
                .zip(momentum)
                .map(|(grad, momentum)| {
                    *momentum = keep * *momentum + scale * grad;
                    scale * grad + keep * *momentum
                })
                .collect())
        })?;
        let update = orthogonalized(along, rows, columns);
        // A tall matrix adds to more outputs than it has inputs.
        let tall = (rows as f64 / columns as f64).max(1.0).sqrt();
        let rate = (self.learning_rate * tall) as f32;
        let decay = (1.0 - self.learning_rate * self.weight_decay) as f32;
        let moved = with_values(theta, |theta| {
            let moved = theta.iter().zip(&update);
            Ok(moved.map(|(t, u)| t * decay - rate * u).collect())
        })?;
        crate::slices::tensor(moved, theta.shape())
    }
}

/// About U·Vᵀ of the singular value decomposition U·S·Vᵀ of `values: [rows, columns]`; zero
/// for zero.
fn orthogonalized(values: Vec<f32>, rows: usize, columns: usize) -> Vec<f32> {
    let norm = values
        .iter()
        .map(|&x| f64::from(x) * f64::from(x))
        .sum::<f64>()
        .sqrt();
    let inverse = (1.0 / (norm + 1e-12)) as f32;
    let mut x = values;
    x.iter_mut().for_each(|value| *value *= inverse);
    // The short side's products are the small ones.
    let n = rows.min(columns);
    let [a, b, c] = QUINTIC;
    let (mut gram, mut square) = (vec![0.0; n * n], vec![0.0; n * n]);
    let mut next = vec![0.0; x.len()];
    for _ in 0..ITERATIONS {
        let whole = Matrix::new(&x, rows, columns, columns);
        let (lhs, rhs) = if rows <= columns {
            (whole, whole.t())
        } else {
            (whole.t(), whole)
        };
        matmul(&mut gram, n, lhs, rhs, 1.0, false, Threads::One);
        let small = Matrix::new(&gram, n, n, n);
        matmul(&mut square, n, small, small, c, false, Threads::One);
        vectorized(
            #[inline(always)]
            || {
                for (square, gram) in square.iter_mut().zip(&gram) {
                    *square += b * gram;
                }
            },
        );
        let polynomial = Matrix::new(&square, n, n, n);
        let (lhs, rhs) = if rows <= columns {
            (polynomial, whole)
        } else {
            (whole, polynomial)
        };
        matmul(&mut next, columns, lhs, rhs, 1.0, false, Threads::One);
        vectorized(
            #[inline(always)]
            || {
                for (x, next) in x.iter_mut().zip(&next) {
                    *x = a * *x + next;
                }
            },
        );
    }
    x
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn noise(n: usize) -> Vec<f32> {
        (0..n)
            .map(|i| ((i * 7919 + 13) % 1009) as f32 / 504.0 - 1.0)
            .collect()
    }

    #[test]
    fn wide_and_tall_matrices_become_nearly_orthogonal() {
        for (rows, columns) in [(6, 24), (24, 6), (9, 9), (1, 5)] {
            let x = orthogonalized(noise(rows * columns), rows, columns);
            let (n, long) = (rows.min(columns), rows.max(columns));
            let at = |i: usize, k: usize| match rows <= columns {
                true => x[i * columns + k],
                false => x[k * columns + i],
            };
            let mut trace = 0.0;
            for i in 0..n {
                for j in 0..n {
                    let dot: f32 = (0..long).map(|k| at(i, k) * at(j, k)).sum();
                    // Singular values end between 0.67 and 1.13, their squares are here.
                    let far = (dot - f32::from(u8::from(i == j))).abs();
                    assert!(far < 0.6, "{rows}x{columns} ({i}, {j}): {dot}");
                    trace += if i == j { dot } else { 0.0 };
                }
            }
            let mean = trace / n as f32;
            assert!((0.45..1.3).contains(&mean), "{rows}x{columns}: {mean}");
        }
    }

    #[test]
    fn directions_stay_and_the_gradients_length_does_not_matter() {
        let grad = noise(12);
        let short: Vec<f32> = grad.iter().map(|g| g * 1e-3).collect();
        let (a, b) = (
            orthogonalized(grad.clone(), 3, 4),
            orthogonalized(short, 3, 4),
        );
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-4));
        let along: f32 = a.iter().zip(&grad).map(|(a, g)| a * g).sum();
        assert!(along > 0.0);
        assert_eq!(orthogonalized(vec![0.0; 12], 3, 4), [0.0; 12]);
    }

    #[test]
    fn a_step_of_a_row_is_by_hand() -> Result<()> {
        // One row has one singular value, its length, so its direction is known.
        let muon = Muon {
            learning_rate: 0.1,
            momentum: 0.5,
            weight_decay: 0.2,
        };
        let theta = Tensor::new(&[[1.0f32, 2.0]], &Device::Cpu)?;
        let mut momentum = vec![0.0; 2];
        let first = Tensor::new(&[[3.0f32, 4.0]], &Device::Cpu)?;
        let moved = muon.step(&theta, &first, 2.0, &mut momentum)?;
        assert_eq!(momentum, [6.0, 8.0]);
        let moved = moved.to_vec2::<f32>()?;
        let step: Vec<f32> = moved[0]
            .iter()
            .zip([1.0, 2.0])
            .map(|(m, t)| t * 0.98 - m)
            .collect();
        let length = step.iter().map(|s| s * s).sum::<f32>().sqrt();
        let [a, b, c] = QUINTIC;
        let one = (0..5).fold(1.0, |x: f32, _| a * x + b * x.powi(3) + c * x.powi(5));
        assert!((length - 0.1 * one).abs() < 1e-5, "{length}, {one}");
        assert!((step[0] / length - 0.6).abs() < 1e-4, "{step:?}");
        // Momentum 0.5 · 6 + 1, and Nesterov's half of it again on top of the gradient: (3, 2).
        let second = Tensor::new(&[[1.0f32, 0.0]], &Device::Cpu)?;
        let moved = muon.step(&theta, &second, 1.0, &mut momentum)?;
        assert_eq!(momentum, [4.0, 4.0]);
        let moved = moved.to_vec2::<f32>()?;
        let (x, y) = (0.98 - moved[0][0], 1.96 - moved[0][1]);
        assert!((x / y - 1.5).abs() < 1e-4, "{x}, {y}");
        // A column is twice as tall as wide.
        let column = muon.step(&theta.t()?, &first.t()?, 1.0, &mut [0.0; 2])?;
        let tall = 0.98 - column.to_vec2::<f32>()?[0][0];
        assert!(
            (tall - 0.6 * 0.1 * one * 2f32.sqrt()).abs() < 1e-5,
            "{tall}"
        );
        Ok(())
    }

    #[test]
    fn sizes_that_differ_are_errors() -> Result<()> {
        let muon = Muon {
            learning_rate: 0.1,
            momentum: 0.9,
            weight_decay: 0.0,
        };
        let theta = Tensor::zeros((2, 3), candle_core::DType::F32, &Device::Cpu)?;
        assert!(muon.step(&theta, &theta.t()?, 1.0, &mut [0.0; 6]).is_err());
        assert!(muon.step(&theta, &theta, 1.0, &mut [0.0; 5]).is_err());
        assert!(
            muon.step(&theta.flatten_all()?, &theta, 1.0, &mut [0.0; 6])
                .is_err()
        );
        Ok(())
    }
}
