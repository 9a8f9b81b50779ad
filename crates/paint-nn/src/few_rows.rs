//! A product with a weight for few rows, such as a single image's: reading the weight takes the
//! time, so it is read once, as it lies, and not packed first.

use std::array::from_fn;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::slices::n_threads;

/// Rows up to which this is faster than a packed product.
pub(crate) const FEW_ROWS: usize = 64;

/// `out = x · weightᵀ`, or added to what `out` holds. Shapes: `x: [rows, n_in]`,
/// `weight: [n_out, n_in]`, `out: [rows, n_out]` with rows `stride` apart.
pub(crate) fn few_rows(
    out: &mut [f32],
    stride: usize,
    x: &[f32],
    n_in: usize,
    weight: &[f32],
    accumulate: bool,
) {
    let (rows, n_out) = (x.len() / n_in, weight.len() / n_in);
    if rows == 0 {
        return;
    }
    // Column by column, so that threads write to places of their own.
    let mut columns = vec![0.0; rows * n_out];
    let pieces = match n_threads() {
        1 => 1,
        n => 4 * n,
    };
    let piece = n_out.div_ceil(pieces).max(1);
    columns
        .par_chunks_mut(piece * rows)
        .zip(weight.par_chunks(piece * n_in))
        .for_each(|(columns, weight)| {
            Arch::new().dispatch(Piece {
                columns,
                x,
                weight,
                n_in,
            });
        });
    for (r, out) in out.chunks_mut(stride).enumerate() {
        for (out, column) in out[..n_out].iter_mut().zip(columns.chunks_exact(rows)) {
            *out = column[r] + if accumulate { *out } else { 0.0 };
        }
    }
}

struct Piece<'a> {
    columns: &'a mut [f32],
    x: &'a [f32],
    weight: &'a [f32],
    n_in: usize,
}

impl WithSimd for Piece<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // As many sums as registers hold, beside what they are made of.
        match S::REGISTER_COUNT {
            0..32 => self.tiles::<S, 4, 3>(simd),
            _ => self.tiles::<S, 5, 4>(simd),
        }
    }
}

impl Piece<'_> {
    /// `C` columns at a time, `R` rows each.
    #[inline(always)]
    fn tiles<S: Simd, const R: usize, const C: usize>(self, simd: S) {
        let Self {
            columns,
            x,
            weight,
            n_in,
        } = self;
        let rows = x.len() / n_in;
        let row = |r: usize| &x[r * n_in..][..n_in];
        for (columns, weight) in columns.chunks_mut(C * rows).zip(weight.chunks(C * n_in)) {
            let n_columns = weight.len() / n_in;
            let w = |c: usize| &weight[c * n_in..][..n_in];
            let tiled = if n_columns == C { rows - rows % R } else { 0 };
            for r in (0..tiled).step_by(R) {
                let sums = dots::<S, R, C>(simd, from_fn(|i| row(r + i)), from_fn(w));
                for (i, sums) in sums.iter().enumerate() {
                    for (c, sum) in sums.iter().enumerate() {
                        columns[c * rows + r + i] = *sum;
                    }
                }
            }
            for r in tiled..rows {
                for c in 0..n_columns {
                    columns[c * rows + r] = dots(simd, [row(r)], [w(c)])[0][0];
                }
            }
        }
    }
}

/// Every dot product of a row of `x` with one of `w`, all of one length.
#[inline(always)]
fn dots<S: Simd, const R: usize, const C: usize>(
    simd: S,
    x: [&[f32]; R],
    w: [&[f32]; C],
) -> [[f32; C]; R] {
    let x = x.map(|x| S::as_simd_f32s(x));
    let w = w.map(|w| S::as_simd_f32s(w));
    let n = w[0].0.len();
    let mut sums = [[simd.splat_f32s(0.0); C]; R];
    for k in 0..n {
        for r in 0..R {
            for c in 0..C {
                sums[r][c] = simd.mul_add_f32s(x[r].0[k], w[c].0[k], sums[r][c]);
            }
        }
    }
    let mut out = [[0.0; C]; R];
    for r in 0..R {
        for c in 0..C {
            let tail = x[r].1.iter().zip(w[c].1);
            let tail: f32 = tail.map(|(x, w)| x * w).sum();
            out[r][c] = simd.reduce_sum_f32s(sums[r][c]) + tail;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_sum_of_products() {
        for (rows, n_in, n_out, stride) in
            [(0, 3, 5, 5), (1, 1, 1, 1), (5, 70, 7, 9), (9, 48, 50, 50)]
        {
            let values = |n: usize, k: usize| -> Vec<f32> {
                (0..n).map(|i| ((i * k) % 13) as f32 - 6.0).collect()
            };
            let (x, weight) = (values(rows * n_in, 5), values(n_out * n_in, 7));
            for accumulate in [true, false] {
                let mut out = values(rows * stride, 3);
                let before = out.clone();
                few_rows(&mut out, stride, &x, n_in, &weight, accumulate);
                for (place, out) in out.iter().enumerate() {
                    let (r, o) = (place / stride, place % stride);
                    let products = |k| x[r * n_in + k] * weight[o * n_in + k];
                    let expected = match (o < n_out, accumulate) {
                        (false, _) => before[place],
                        (true, false) => (0..n_in).map(products).sum(),
                        (true, true) => before[place] + (0..n_in).map(products).sum::<f32>(),
                    };
                    assert_eq!(*out, expected, "{r} {o}");
                }
            }
        }
    }

    /// In tiles of this size, whatever the processor would choose.
    struct Tiles<'a, const R: usize, const C: usize>(Piece<'a>);

    impl<const R: usize, const C: usize> WithSimd for Tiles<'_, R, C> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            self.0.tiles::<S, R, C>(simd);
        }
    }

    fn several_tiles_and_what_is_left<const R: usize, const C: usize>() {
        let (rows, n_in, n_out) = (2 * R + 1, 33, 2 * C + 1);
        let x: Vec<f32> = (0..rows * n_in).map(|i| (i % 11) as f32 - 5.0).collect();
        let weight: Vec<f32> = (0..n_out * n_in).map(|i| (i % 13) as f32 - 6.0).collect();
        let mut columns = vec![f32::NAN; rows * n_out];
        Arch::new().dispatch(Tiles::<R, C>(Piece {
            columns: &mut columns,
            x: &x,
            weight: &weight,
            n_in,
        }));
        for o in 0..n_out {
            for r in 0..rows {
                let sum: f32 = (0..n_in)
                    .map(|k| x[r * n_in + k] * weight[o * n_in + k])
                    .sum();
                assert_eq!(columns[o * rows + r], sum, "{R} by {C}: {r} {o}");
            }
        }
    }

    #[test]
    fn both_sizes_of_tiles_are_put_in_their_places() {
        several_tiles_and_what_is_left::<4, 3>();
        several_tiles_and_what_is_left::<5, 4>();
    }
}
