//! The squared length of a gradient.

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use crate::slices::{vectorized, with_values};

/// Values that are summed in `f32`, before the sums are added in `f64`.
const BLOCK: usize = 4096;

/// The sum of the squares of all values, on all cores.
///
/// # Errors
/// When the tensor is not `f32` on the CPU.
pub fn sum_of_squares(tensor: &Tensor) -> Result<f64> {
    with_values(tensor, |values| {
        let blocks: Vec<f64> = values
            .par_chunks(BLOCK)
            .with_min_len(16)
            .map(|block| {
                f64::from(vectorized(
                    #[inline(always)]
                    || block_sum(block),
                ))
            })
            .collect();
        Ok(blocks.iter().sum())
    })
}

#[inline(always)]
fn block_sum(block: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 16];
    let chunks = block.chunks_exact(16);
    let tail: f32 = chunks.remainder().iter().map(|x| x * x).sum();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane += x * x;
        }
    }
    tail + lanes.iter().sum::<f32>()
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn equals_the_sum_in_double_precision() {
        for n in [0usize, 1, 17, 4096, 70_001] {
            let values: Vec<f32> = (0..n).map(|i| (i % 13) as f32 - 5.5).collect();
            let expected: f64 = values.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
            let actual = sum_of_squares(&Tensor::new(values, &Device::Cpu).unwrap()).unwrap();
            assert!(
                (actual - expected).abs() <= 1e-6 * expected,
                "{n}: {actual}, {expected}"
            );
        }
    }
}
