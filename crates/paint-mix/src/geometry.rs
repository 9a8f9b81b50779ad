//! Where two vectors lie to each other: sums over their values, in f64 and in a fixed order.

use crate::blend::PIECE;
use rayon::prelude::*;
use std::ops::AddAssign;

/// Sums over the values of two vectors `a` and `b`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sums {
    /// Values in each.
    pub(crate) n: u64,
    /// Σ a².
    pub(crate) aa: f64,
    /// Σ b².
    pub(crate) bb: f64,
    /// Σ a b.
    pub(crate) ab: f64,
    /// Σ (b - a)².
    pub(crate) dd: f64,
}

impl Sums {
    /// Of two slices of one length; the same on any number of threads.
    pub(crate) fn of(a: &[f32], b: &[f32]) -> Self {
        let pieces: Vec<Self> = (a.par_chunks(PIECE), b.par_chunks(PIECE))
            .into_par_iter()
            .map(|(a, b)| Self::of_piece(a, b))
            .collect();
        let mut sums = Self::default();
        for piece in pieces {
            sums += piece;
        }
        sums
    }

    fn of_piece(a: &[f32], b: &[f32]) -> Self {
        let mut sums = Self::default();
        for (&a, &b) in a.iter().zip(b) {
            let (a, b) = (f64::from(a), f64::from(b));
            sums.n += 1;
            sums.aa += a * a;
            sums.bb += b * b;
            sums.ab += a * b;
            sums.dd += (b - a) * (b - a);
        }
        sums
    }

    /// Cosine of the angle between the vectors; `None` if one is zero.
    pub(crate) fn cosine(&self) -> Option<f64> {
        let norms = (self.aa * self.bb).sqrt();
        (norms > 0.0).then(|| (self.ab / norms).clamp(-1.0, 1.0))
    }

    /// ‖b - a‖ / ‖a‖; `None` if `a` is zero.
    pub(crate) fn relative_distance(&self) -> Option<f64> {
        (self.aa > 0.0).then(|| (self.dd / self.aa).sqrt())
    }
}

impl AddAssign for Sums {
    fn add_assign(&mut self, other: Self) {
        self.n += other.n;
        self.aa += other.aa;
        self.bb += other.bb;
        self.ab += other.ab;
        self.dd += other.dd;
    }
}
