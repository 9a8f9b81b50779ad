//! Spherical interpolation of two weight tensors.

use crate::{
    Error, Result,
    geometry::Sums,
    interpolate_values,
    merge::{check_coefficient, check_lengths, fill},
};

/// Absolute cosine above which an arc is not told from a line; mergekit's number.
const PARALLEL: f64 = 0.9995;

/// Which way [`slerp`] went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlerpPath {
    /// Along the great circle.
    Arc,
    /// Straight, as [`interpolate_values`] does: the tensors are nearly parallel or opposite, one
    /// is zero, or `alpha` is 0 or 1.
    Line,
}

/// `out = sin((1 - alpha) φ) / sin φ · zero_shot + sin(alpha φ) / sin φ · fine_tuned`, with φ the
/// angle between the two tensors, each taken as one vector.
///
/// Shoemake 1985, "Animating rotation with quaternion curves". Tensors of equal norm keep it; else
/// the norm passes from one to the other. Where the absolute cosine is above 0.9995, as it
/// is where fine-tuning moved a tensor little, the straight line is taken. `alpha` 0 and 1 give the
/// sides bit for bit.
///
/// # Errors
/// [`Error::Length`](crate::Error::Length) if the slices differ in length,
/// [`Error::Setting`](crate::Error::Setting) if `alpha` is not finite.
pub fn slerp(
    zero_shot: &[f32],
    fine_tuned: &[f32],
    alpha: f64,
    out: &mut [f32],
) -> Result<SlerpPath> {
    check_lengths(zero_shot, &[fine_tuned], out)?;
    check_coefficient("alpha", alpha)?;
    let cosine = Sums::of(zero_shot, fine_tuned).cosine();
    let angle = match cosine {
        Some(cosine) if cosine.abs() <= PARALLEL && alpha != 0.0 && alpha != 1.0 => cosine.acos(),
        _ => {
            interpolate_values(zero_shot, fine_tuned, alpha, out)?;
            return Ok(SlerpPath::Line);
        }
    };
    let weight = |share: f64| (share * angle).sin() / angle.sin();
    let (a, b) = (weight(1.0 - alpha), weight(alpha));
    fill(out, |i| {
        (a * f64::from(zero_shot[i]) + b * f64::from(fine_tuned[i])) as f32
    });
    Ok(SlerpPath::Arc)
}

/// `out` = the `members`, one after the other drawn into their mean along great circles: the second
/// with [`slerp`] at 1/2, the third at 1/3, and so on. Another order gives another mean.
///
/// # Errors
/// [`Error::Nothing`] without members, [`Error::Length`] if the slices differ in length.
pub fn slerp_mean(members: &[&[f32]], out: &mut [f32]) -> Result<()> {
    let Some((&first, rest)) = members.split_first() else {
        return Err(Error::Nothing("a mean needs at least one model"));
    };
    check_lengths(first, members, out)?;
    out.copy_from_slice(first);
    for (n, member) in (2..).zip(rest) {
        let mean = out.to_vec();
        slerp(&mean, member, 1.0 / f64::from(n), out)?;
    }
    Ok(())
}
