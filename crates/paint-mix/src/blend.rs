//! The arithmetic of one value, shared by the file and the in-memory path.

use crate::{Error, Result};
use rayon::prelude::*;

/// Values that one thread blends at a time: both inputs and the output fit a second-level cache.
pub(crate) const PIECE: usize = 8 * 1024;

/// `out = (1 - alpha) * zero_shot + alpha * fine_tuned`, value by value, in f32.
///
/// With `z` and `f` the two values, the result is exactly
///
/// - `z + a * (f - z)` for `alpha < 1/2`, where `a` is `alpha` rounded to f32,
/// - `f + b * (z - f)` for `alpha >= 1/2`, where `b` is `1 - alpha` (in f64) rounded to f32,
/// - `z` itself for `alpha = 0` and `f` itself for `alpha = 1`,
///
/// each operation rounded to nearest, no fused multiply-add. This is the form of `torch.lerp`: a
/// value that the two sides share stays bit for bit (the plain weighted sum would disturb it in
/// the last place), results are monotone in `alpha` on either side of 1/2, and swapping the sides
/// together with `alpha` and `1 - alpha` changes nothing. Values outside [0, 1] extrapolate.
///
/// [`interpolate`](crate::interpolate()) does the same to f32 files. Values are not checked for
/// NaN or infinity here.
///
/// # Errors
/// [`Error::Lengths`] if the slices differ in length, [`Error::Alpha`] if `alpha` is not finite.
pub fn interpolate_values(
    zero_shot: &[f32],
    fine_tuned: &[f32],
    alpha: f64,
    out: &mut [f32],
) -> Result<()> {
    if zero_shot.len() != fine_tuned.len() || zero_shot.len() != out.len() {
        return Err(Error::Lengths {
            zero_shot: zero_shot.len(),
            fine_tuned: fine_tuned.len(),
            out: out.len(),
        });
    }
    if !alpha.is_finite() {
        return Err(Error::Alpha { alpha });
    }
    let blend = Blend::new(alpha);
    out.par_chunks_mut(PIECE)
        .zip(zero_shot.par_chunks(PIECE))
        .zip(fine_tuned.par_chunks(PIECE))
        .for_each(|((out, zero_shot), fine_tuned)| {
            out.copy_from_slice(zero_shot);
            blend.apply(out, fine_tuned);
        });
    Ok(())
}

/// `alpha` turned into the form in which it is applied.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Blend {
    ZeroShot,
    FineTuned,
    FromZeroShot(f32),
    FromFineTuned(f32),
}

impl Blend {
    pub(crate) fn new(alpha: f64) -> Self {
        if alpha == 0.0 {
            Self::ZeroShot
        } else if alpha == 1.0 {
            Self::FineTuned
        } else if alpha < 0.5 {
            Self::FromZeroShot(alpha as f32)
        } else {
            Self::FromFineTuned((1.0 - alpha) as f32)
        }
    }

    /// Whether the result is one side's, whatever the other is.
    pub(crate) fn is_one_side(self) -> bool {
        matches!(self, Self::ZeroShot | Self::FineTuned)
    }

    /// Replaces the zero-shot values in `theta` by the interpolated ones.
    pub(crate) fn apply(self, theta: &mut [f32], fine_tuned: &[f32]) {
        match self {
            Self::ZeroShot => {}
            Self::FineTuned => theta.copy_from_slice(fine_tuned),
            Self::FromZeroShot(a) => {
                for (z, &f) in theta.iter_mut().zip(fine_tuned) {
                    *z += a * (f - *z);
                }
            }
            Self::FromFineTuned(b) => {
                for (z, &f) in theta.iter_mut().zip(fine_tuned) {
                    *z = f + b * (*z - f);
                }
            }
        }
    }
}
