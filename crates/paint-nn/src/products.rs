//! Matrix products of plain slices on the calling thread alone: for many small problems side by
//! side, whose results then do not depend on the number of threads.

use crate::matmul::{Threads, matrix, product};

/// `a · b`: [m, k] and [k, n] to [m, n].
///
/// # Panics
/// When a slice is no matrix of such rows, or the sizes do not fit.
#[must_use]
pub fn times(a: &[f32], k: usize, b: &[f32], n: usize) -> Vec<f32> {
    product(matrix(a, k), matrix(b, n), Threads::One)
}

/// `a · bᵀ`: [m, k] and [n, k] to [m, n].
///
/// # Panics
/// As [`times`].
#[must_use]
pub fn times_transposed(a: &[f32], b: &[f32], k: usize) -> Vec<f32> {
    product(matrix(a, k), matrix(b, k).t(), Threads::One)
}

/// `aᵀ · b`: [m, k] and [m, n] to [k, n].
///
/// # Panics
/// As [`times`].
#[must_use]
pub fn transposed_times(a: &[f32], k: usize, b: &[f32], n: usize) -> Vec<f32> {
    product(matrix(a, k).t(), matrix(b, n), Threads::One)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_by_hand() {
        let (a, b) = (
            [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            [1.0, 0.0, 2.0, 1.0, 0.0, 3.0],
        );
        // [3, 2] · [2, 3], [2, 3] · [2, 3]ᵀ, [2, 3]ᵀ · [2, 3].
        let found = times(&a, 2, &b, 3);
        assert_eq!(found, [3.0, 0.0, 8.0, 7.0, 0.0, 18.0, 11.0, 0.0, 28.0]);
        assert_eq!(times_transposed(&a, &b, 3), [7.0, 10.0, 16.0, 22.0]);
        let found = transposed_times(&a, 3, &b, 3);
        assert_eq!(found, [5.0, 0.0, 14.0, 7.0, 0.0, 19.0, 9.0, 0.0, 24.0]);
    }
}
