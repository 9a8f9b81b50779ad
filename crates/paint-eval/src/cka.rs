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

/// The mean of alignments of models or tasks that share images. Their intervals are averaged, which
/// is right if they all err together; there is none if one of them has none.
///
/// # Errors
/// [`Error::Empty`] if there are none.
pub fn mean_alignment(all: &[Alignment]) -> Result<Alignment> {
    if all.is_empty() {
        return Err(Error::Empty { what: "alignments" });
    }
    let n = all.len() as f64;
    let value = all.iter().map(|a| a.value).sum::<f64>() / n;
    let halves: Option<Vec<f64>> = all.iter().map(|a| Some(a.high? - a.value)).collect();
    let half = halves.map(|halves| halves.iter().sum::<f64>() / n);
    Ok(Alignment {
        value,
        low: half.map(|half| value - half),
        high: half.map(|half| value + half),
        n: all.iter().map(|a| a.n).sum(),
        n_batches: all.iter().map(|a| a.n_batches).sum(),
    })
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
