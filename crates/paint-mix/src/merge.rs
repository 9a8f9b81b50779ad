//! What all merges over slices share: checks, and pieces on all threads.

use crate::{Error, Result, blend::PIECE};
use rayon::prelude::*;

/// An error unless every slice of `fine_tuned` and `out` has as many values as `zero_shot`.
pub(crate) fn check_lengths(zero_shot: &[f32], fine_tuned: &[&[f32]], out: &[f32]) -> Result<()> {
    let expected = zero_shot.len();
    let check = |what: String, actual| {
        if actual == expected {
            return Ok(());
        }
        Err(Error::Length {
            what,
            expected,
            actual,
        })
    };
    for (task, values) in fine_tuned.iter().enumerate() {
        check(format!("fine_tuned {task}"), values.len())?;
    }
    check("out".to_owned(), out.len())
}

/// An error unless `coefficient` is finite.
pub(crate) fn check_coefficient(name: impl Into<String>, coefficient: f64) -> Result<()> {
    if coefficient.is_finite() {
        return Ok(());
    }
    Err(Error::Setting {
        name: name.into(),
        value: coefficient,
        allowed: "a finite number",
    })
}

/// `out[i] = value(i)`, on all threads.
pub(crate) fn fill(out: &mut [f32], value: impl Fn(usize) -> f32 + Sync) {
    out.par_chunks_mut(PIECE)
        .enumerate()
        .for_each(|(piece_idx, out)| {
            for (offset, out) in out.iter_mut().enumerate() {
                *out = value(piece_idx * PIECE + offset);
            }
        });
}

/// `zero_shot + change`, rounded once; an unchanged value keeps its bits, even -0.
pub(crate) fn moved(zero_shot: f32, change: f64) -> f32 {
    if change == 0.0 {
        zero_shot
    } else {
        (f64::from(zero_shot) + change) as f32
    }
}

/// `fine_tuned - zero_shot` in f64.
pub(crate) fn task_value(zero_shot: f32, fine_tuned: f32) -> f64 {
    f64::from(fine_tuned) - f64::from(zero_shot)
}
