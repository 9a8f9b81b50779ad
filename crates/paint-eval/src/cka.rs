//! Linear CKA: how alike two representations of the same images are.

use crate::{Error, Result, binomial::student_t};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Images that a batch needs: the estimator divides by n - 3.
pub const MIN_BATCH: usize = 4;

/// Linear centred kernel alignment of two models' features, gathered over minibatches.
///
/// Kornblith et al. 2019, arXiv:1905.00414, with the unbiased estimator HSIC₁ of Song et al. 2012
/// (JMLR 13, section 4): with `K = X Xᵀ`, `L = Y Yᵀ`, both with zero diagonal, of a batch of n,
///
/// `HSIC₁(K, L) = (tr(K L) + (1ᵀK 1)(1ᵀL 1) / ((n - 1)(n - 2)) - 2 / (n - 2) · 1ᵀK L 1) / (n (n - 3))`
///
/// and as in Nguyen et al. 2021, arXiv:2010.15327, section 3, the mean over batches of
/// `HSIC₁(K, L)` divided by the root of those of `HSIC₁(K, K)` and `HSIC₁(L, L)`. HSIC₁ is
/// unbiased whatever the batch's size, so that the value does not depend on it beyond noise, as
/// the usual CKA does. Batches count equally: make them about the same size, of images in random
/// order, the same for both models.
#[derive(Clone, Debug)]
pub struct Cka {
    dims: [usize; 2],
    n: u64,
    batches: Vec<Hsic>,
}

/// HSIC₁ of one batch, or its mean over several.
#[derive(Clone, Copy, Debug, Default)]
struct Hsic {
    xx: f64,
    xy: f64,
    yy: f64,
}

/// What [`Cka`] found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alignment {
    /// 1 for features that differ by rotation, one scale and shift alone; about 0 for unrelated ones. As the
    /// estimator is unbiased, noise can take it a little below 0 or above 1.
    pub value: f64,
    /// Lower end of the 95 % interval; absent for one batch.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// Number of images.
    pub n: u64,
    /// Number of batches.
    pub n_batches: usize,
}

impl Cka {
    /// For features of `dims` numbers per image on either side.
    ///
    /// # Errors
    /// [`Error::Empty`] if one of them is 0.
    pub fn new(dims: [usize; 2]) -> Result<Self> {
        if dims.contains(&0) {
            return Err(Error::Empty { what: "features" });
        }
        Ok(Self {
            dims,
            n: 0,
            batches: Vec::new(),
        })
    }

    /// Adds a batch: features `x: [n, dims[0]]` and `y: [n, dims[1]]`, row by row, of the same
    /// images.
    ///
    /// # Errors
    /// [`Error::Size`] if a side is not a whole number of images, or not as many as the other;
    /// [`Error::Batch`] for fewer than [`MIN_BATCH`]; [`Error::NotFinite`].
    pub fn add(&mut self, x: &[f32], y: &[f32]) -> Result<()> {
        let n = x.len() / self.dims[0];
        for (what, features, dim) in [
            ("features x", x, self.dims[0]),
            ("features y", y, self.dims[1]),
        ] {
            if features.len() != n * dim {
                return Err(Error::Size {
                    what,
                    expected: n * dim,
                    actual: features.len(),
                });
            }
            if let Some(at) = features.iter().position(|value| !value.is_finite()) {
                let image = self.n as usize + at / dim;
                return Err(Error::NotFinite { image });
            }
        }
        if n < MIN_BATCH {
            return Err(Error::Batch { n });
        }
        let (k, l) = (Gram::new(x, self.dims[0]), Gram::new(y, self.dims[1]));
        self.batches.push(Hsic {
            xx: k.hsic(&k),
            xy: k.hsic(&l),
            yy: l.hsic(&l),
        });
        self.n += n as u64;
        Ok(())
    }

    /// The alignment, with the interval of the jackknife over batches (Tukey 1958; Student's t
    /// with one degree of freedom less than there are batches). It holds for batches of images in
    /// random order, and is wide for few.
    ///
    /// # Errors
    /// [`Error::Empty`] without batches; [`Error::Constant`] if the features of one side do not vary.
    pub fn alignment(&self) -> Result<Alignment> {
        if self.batches.is_empty() {
            return Err(Error::Empty { what: "batches" });
        }
        let value = aligned(&self.batches, None).ok_or(Error::Constant)?;
        let interval = self.half_interval();
        Ok(Alignment {
            value,
            low: interval.map(|half| value - half),
            high: interval.map(|half| value + half),
            n: self.n,
            n_batches: self.batches.len(),
        })
    }

    fn half_interval(&self) -> Option<f64> {
        let n = self.batches.len();
        if n < 2 {
            return None;
        }
        let without: Option<Vec<f64>> = (0..n)
            .map(|batch| aligned(&self.batches, Some(batch)))
            .collect();
        let without = without?;
        let mean = without.iter().sum::<f64>() / n as f64;
        let squares: f64 = without.iter().map(|v| (v - mean) * (v - mean)).sum();
        let error = ((n - 1) as f64 / n as f64 * squares).sqrt();
        Some(student_t((n - 1) as f64) * error)
    }
}

/// CKA of all batches, or of all but one; `None` if one side does not vary.
fn aligned(batches: &[Hsic], left_out: Option<usize>) -> Option<f64> {
    let mut sum = Hsic::default();
    for (position, batch) in batches.iter().enumerate() {
        if Some(position) != left_out {
            sum.xx += batch.xx;
            sum.xy += batch.xy;
            sum.yy += batch.yy;
        }
    }
    (sum.xx > 0.0 && sum.yy > 0.0).then(|| sum.xy / (sum.xx.sqrt() * sum.yy.sqrt()))
}

/// Inner products of a batch's features with zero diagonal, and their sums.
struct Gram {
    n: usize,
    /// `[n, n]`.
    values: Vec<f64>,
    /// `[n]`, sums of the rows.
    rows: Vec<f64>,
}

impl Gram {
    fn new(features: &[f32], dim: usize) -> Self {
        let n = features.len() / dim;
        let centred = centred(features, dim);
        let row = |i: usize| &centred[i * dim..(i + 1) * dim];
        let mut values = vec![0.0; n * n];
        values
            .par_chunks_mut(n)
            .enumerate()
            .for_each(|(i, values)| {
                for (j, value) in values.iter_mut().enumerate().filter(|(j, _)| *j != i) {
                    *value = row(i).iter().zip(row(j)).map(|(a, b)| a * b).sum();
                }
            });
        let rows = values.chunks(n).map(|row| row.iter().sum()).collect();
        Self { n, values, rows }
    }

    fn hsic(&self, other: &Self) -> f64 {
        let n = self.n as f64;
        let products = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let trace = products(&self.values, &other.values);
        let total = |gram: &Self| gram.rows.iter().sum::<f64>();
        let both = total(self) * total(other) / ((n - 1.0) * (n - 2.0));
        let shared = 2.0 / (n - 2.0) * products(&self.rows, &other.rows);
        (trace + both - shared) / (n * (n - 3.0))
    }
}

/// The features less their mean. HSIC₁ does not change with it; its sums lose fewer digits.
fn centred(features: &[f32], dim: usize) -> Vec<f64> {
    let n = features.len() / dim;
    let mut mean = vec![0.0; dim];
    for row in features.chunks(dim) {
        for (mean, &value) in mean.iter_mut().zip(row) {
            *mean += f64::from(value) / n as f64;
        }
    }
    let rows = features.chunks(dim);
    rows.flat_map(|row| row.iter().zip(&mean).map(|(&v, mean)| f64::from(v) - mean))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers in [-1, 1): SplitMix64.
    fn numbers(seed: u64, n: usize) -> Vec<f32> {
        let number = |i: u64| {
            let z = (seed << 32)
                .wrapping_add(i + 1)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..n as u64).map(number).collect()
    }

    fn alignment(batches: &[(Vec<f32>, Vec<f32>)], dims: [usize; 2]) -> Alignment {
        let mut cka = Cka::new(dims).unwrap();
        for (x, y) in batches {
            cka.add(x, y).unwrap();
        }
        cka.alignment().unwrap()
    }

    /// Features that are partly those of `x`: `[n, 3]` of `[n, 5]`.
    fn related(x: &[f32], seed: u64, noise: f32) -> Vec<f32> {
        let noises = numbers(seed, x.len() / 5 * 3);
        let mixed = |(i, value): (usize, f32)| {
            let row = &x[i / 3 * 5..][..5];
            row[i % 3] - 0.5 * row[(i + 2) % 5] + noise * value
        };
        noises.into_iter().enumerate().map(mixed).collect()
    }

    fn inner(features: &[f32], dim: usize, i: usize, j: usize) -> f64 {
        let row = |i: usize| features[i * dim..][..dim].iter().map(|&v| f64::from(v));
        row(i).zip(row(j)).map(|(a, b)| a * b).sum()
    }

    /// HSIC as the U-statistic it is: the mean over all four distinct images (Song et al. 2012,
    /// theorem 2).
    fn naive_hsic(
        k: impl Fn(usize, usize) -> f64,
        l: impl Fn(usize, usize) -> f64,
        n: usize,
    ) -> f64 {
        let (mut sum, mut count) = (0.0, 0.0);
        for i in 0..n {
            for j in (0..n).filter(|&j| j != i) {
                for q in (0..n).filter(|q| ![i, j].contains(q)) {
                    for r in (0..n).filter(|r| ![i, j, q].contains(r)) {
                        sum += k(i, j) * (l(i, j) + l(q, r) - 2.0 * l(i, q));
                        count += 1.0;
                    }
                }
            }
        }
        sum / count
    }

    #[test]
    fn one_batch_is_the_u_statistic_over_all_quadruples() {
        for n in [4, 5, 9] {
            let x = numbers(1, n * 5);
            let y = related(&x, 2, 0.5);
            let k = |i, j| inner(&x, 5, i, j);
            let l = |i, j| inner(&y, 3, i, j);
            let hsic = [
                naive_hsic(k, k, n),
                naive_hsic(k, l, n),
                naive_hsic(l, l, n),
            ];
            let expected = hsic[1] / (hsic[0] * hsic[2]).sqrt();
            let found = alignment(&[(x.clone(), y.clone())], [5, 3]);
            assert!(
                (found.value - expected).abs() < 1e-9,
                "{n}: {found:?} {expected}"
            );
            assert_eq!((found.low, found.n, found.n_batches), (None, n as u64, 1));
        }
    }

    #[test]
    fn a_model_is_like_itself_turned_scaled_and_shifted() {
        let batch = |seed| {
            let x = numbers(seed, 40 * 2);
            let (sin, cos) = 0.7_f32.sin_cos();
            let turn = |row: &[f32]| {
                let [a, b] = [row[0], row[1]];
                [3.0 * (cos * a - sin * b) + 10.0, 3.0 * (sin * a + cos * b)]
            };
            let y = x.chunks(2).flat_map(turn).collect();
            (x, y)
        };
        let found = alignment(&[batch(1), batch(2), batch(3)], [2, 2]);
        assert!((found.value - 1.0).abs() < 1e-5, "{found:?}");
        assert!(found.high.unwrap() - found.low.unwrap() < 1e-4);
    }

    #[test]
    fn strangers_have_nothing_in_common_however_small_the_batches() {
        // The usual, biased estimate would be above 0.5 for batches of 8.
        let batches: Vec<_> = (0..150)
            .map(|i| (numbers(2 * i + 1, 8 * 5), numbers(2 * i + 2, 8 * 3)))
            .collect();
        let found = alignment(&batches, [5, 3]);
        assert!(found.value.abs() < 0.1, "{found:?}");
        assert!(found.low.unwrap() < 0.0 && found.high.unwrap() > 0.0);
        assert_eq!((found.n, found.n_batches), (1200, 150));
    }

    #[test]
    fn intervals_cover_the_value_of_many_images() {
        let batches = |from: u64, n_batches: u64, n: usize| -> Vec<_> {
            (from..from + n_batches)
                .map(|i| {
                    let x = numbers(10_000 + i, n * 5);
                    let y = related(&x, 20_000 + i, 0.5);
                    (x, y)
                })
                .collect()
        };
        let truth = alignment(&batches(0, 20, 300), [5, 3]).value;
        let covered = (1..=60).filter(|round| {
            let found = alignment(&batches(100 * round, 8, 32), [5, 3]);
            (found.low.unwrap()..=found.high.unwrap()).contains(&truth)
        });
        // 57 expected of 60; fewer than 51 in one of 250 series.
        let n_covered = covered.count();
        assert!(n_covered >= 51, "{n_covered} of 60 cover {truth}");
    }

    #[test]
    fn what_cannot_be_compared_is_an_error() {
        let says = |result: Result<()>, part: &str| {
            let message = result.unwrap_err().to_string();
            assert!(message.contains(part), "{part:?} is not in {message}");
        };
        says(Cka::new([0, 3]).map(drop), "no features");
        let mut cka = Cka::new([2, 3]).unwrap();
        says(cka.alignment().map(drop), "no batches");
        says(
            cka.add(&[0.0; 7], &[0.0; 9]),
            "features x: expected 6, found 7",
        );
        says(
            cka.add(&[0.0; 8], &[0.0; 9]),
            "features y: expected 12, found 9",
        );
        says(
            cka.add(&[0.0; 6], &[0.0; 9]),
            "3 images; CKA needs at least 4",
        );
        cka.add(&[1.0; 8], &[0.5; 12]).unwrap();
        let mut broken = [0.0; 8];
        broken[5] = f32::NAN;
        says(cka.add(&broken, &[0.0; 12]), "image 6: a feature is NaN");
        says(cka.alignment().map(drop), "do not vary");
    }
}
