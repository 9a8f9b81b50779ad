//! TIES merging: trim, elect a sign, average those that agree.

use crate::{
    Error, Result,
    merge::{check_coefficient, check_lengths, fill, moved, task_value},
};
use rayon::prelude::*;

/// Settings of [`ties`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ties {
    /// Share of each task vector's values that trimming keeps, in (0, 1].
    pub density: f64,
    /// What the merged task vector is multiplied with.
    pub lambda: f64,
}

impl Default for Ties {
    /// As the paper without validation data: the largest fifth, unscaled.
    fn default() -> Self {
        Self {
            density: 0.2,
            lambda: 1.0,
        }
    }
}

/// `out = zero_shot + lambda · merged`, where `merged` is made of the task vectors
/// `fine_tuned - zero_shot` of one tensor.
///
/// Yadav et al. 2023, "TIES-Merging: Resolving interference when merging models",
/// arXiv:2306.01708, section 4, applied to each tensor on its own as mergekit does:
///
/// 1. *Trim*: of each task vector the `⌈density · n⌉` values of largest magnitude stay, and those
///    that equal the smallest of them, so that nothing depends on the order of the values.
/// 2. *Elect*: the sign of the sum of what stayed.
/// 3. *Disjoint mean*: the mean of the values that stayed and have that sign; 0 where the sum is.
///
/// Where a fine-tuned value is NaN, so is the merged one. The order of the tasks matters to the last place only.
///
/// # Errors
/// [`Error::Nothing`] without tasks, [`Error::Length`] if the slices differ in length,
/// [`Error::Setting`] if `density` is not in (0, 1] or `lambda` not finite.
pub fn ties(
    zero_shot: &[f32],
    fine_tuned: &[&[f32]],
    settings: &Ties,
    out: &mut [f32],
) -> Result<()> {
    let Ties { density, lambda } = *settings;
    if fine_tuned.is_empty() {
        return Err(Error::Nothing("TIES needs at least one fine-tuned model"));
    }
    check_lengths(zero_shot, fine_tuned, out)?;
    check_coefficient("lambda", lambda)?;
    if !(density > 0.0 && density <= 1.0) {
        return Err(Error::Setting {
            name: "density".to_owned(),
            value: density,
            allowed: "above 0 and at most 1",
        });
    }
    let smallest_kept = |values: &&[f32]| smallest_kept(zero_shot, values, density);
    let thresholds: Vec<f32> = fine_tuned.par_iter().map(smallest_kept).collect();
    fill(out, |i| {
        let kept = || {
            let tasks = fine_tuned.iter().zip(&thresholds);
            tasks
                .filter(|(values, threshold)| {
                    stays(magnitude(zero_shot[i], values[i]), **threshold)
                })
                .map(|(values, _)| task_value(zero_shot[i], values[i]))
        };
        moved(zero_shot[i], lambda * disjoint_mean(kept))
    });
    Ok(())
}

/// NaN stays, to be seen in what comes out.
fn stays(magnitude: f32, threshold: f32) -> bool {
    magnitude.is_nan() || magnitude >= threshold
}

fn magnitude(zero_shot: f32, fine_tuned: f32) -> f32 {
    (fine_tuned - zero_shot).abs()
}

/// Magnitude that a value of the task vector must have to stay.
fn smallest_kept(zero_shot: &[f32], fine_tuned: &[f32], density: f64) -> f32 {
    let pairs = zero_shot.iter().zip(fine_tuned);
    let mut magnitudes: Vec<f32> = pairs
        .map(|(&z, &f)| magnitude(z, f))
        .filter(|magnitude| !magnitude.is_nan())
        .collect();
    let n_kept = (density * magnitudes.len() as f64).ceil() as usize;
    match n_kept.min(magnitudes.len()).checked_sub(1) {
        Some(last) => {
            *magnitudes
                .select_nth_unstable_by(last, |a, b| b.total_cmp(a))
                .1
        }
        None => 0.0,
    }
}

/// Mean of the values whose sign is that of the sum of all.
fn disjoint_mean<I: Iterator<Item = f64>>(kept: impl Fn() -> I) -> f64 {
    let mass: f64 = kept().sum();
    if mass == 0.0 || mass.is_nan() {
        return mass;
    }
    let (mut sum, mut n) = (0.0, 0.0);
    for value in kept().filter(|value| value * mass > 0.0) {
        sum += value;
        n += 1.0;
    }
    sum / n
}
