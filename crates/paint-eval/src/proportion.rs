//! Proportions with Wilson intervals, and their means.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// 97.5 % quantile of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// A share of images with its 95 % interval; all fractions in [0, 1].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proportion {
    /// The share.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Number of images.
    pub n: u64,
}

impl Proportion {
    /// `n_correct` of `n` with the Wilson score interval (Wilson 1927).
    ///
    /// # Errors
    /// [`Error::Empty`] if `n` is 0, [`Error::Count`] if `n_correct` exceeds it.
    pub fn new(n_correct: u64, n: u64) -> Result<Self> {
        if n == 0 {
            return Err(Error::Empty { what: "images" });
        }
        if n_correct > n {
            return Err(Error::Count { n_correct, n });
        }
        let value = n_correct as f64 / n as f64;
        let (low, high) = wilson(value, n as f64);
        Ok(Self {
            value,
            low,
            high,
            n,
        })
    }
}

/// Wilson's score interval of the share `p` of `n` trials, which need not be a whole number.
pub(crate) fn wilson(p: f64, n: f64) -> (f64, f64) {
    let denominator = 1.0 + Z * Z / n;
    let centre = (p + Z * Z / (2.0 * n)) / denominator;
    let spread = (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    let half = Z * spread / denominator;
    // At the ends the exact value is 0 or 1; rounding must not miss it.
    let low = if p == 0.0 {
        0.0
    } else {
        (centre - half).max(0.0)
    };
    let high = if p == 1.0 {
        1.0
    } else {
        (centre + half).min(1.0)
    };
    (low, high)
}

/// Mean of independent proportions, each with the same weight, and its interval.
///
/// The interval recovers the variances from the parts' own intervals (MOVER; Zou & Donner 2008,
/// "Construction of confidence limits about effect measures"): unlike a bootstrap it does not
/// shrink to nothing where every image is right, and of one proportion it is that proportion's.
/// `n` is the number of all images.
///
/// # Errors
/// [`Error::Empty`] if there are none.
pub fn mean_proportion(parts: &[Proportion]) -> Result<Proportion> {
    if parts.is_empty() {
        return Err(Error::Empty {
            what: "proportions",
        });
    }
    let (value, low, high) = mean_with_interval(parts.iter().map(|p| (p.value, p.low, p.high)));
    Ok(Proportion {
        value,
        low: low.max(0.0),
        high: high.min(1.0),
        n: parts.iter().map(|part| part.n).sum(),
    })
}

/// Mean of proportions on the same images, such as several models' or several seeds', each with the
/// same weight.
///
/// What they share is not known from them alone; the interval is the mean of theirs, which holds
/// if they err on the same images and is too wide else. `n` is the number of images of one.
///
/// # Errors
/// [`Error::Empty`] if there are none.
pub fn mean_proportion_shared(parts: &[Proportion]) -> Result<Proportion> {
    let Some(first) = parts.first() else {
        return Err(Error::Empty {
            what: "proportions",
        });
    };
    let mean = |of: fn(&Proportion) -> f64| parts.iter().map(of).sum::<f64>() / parts.len() as f64;
    Ok(Proportion {
        value: mean(|p| p.value),
        low: mean(|p| p.low),
        high: mean(|p| p.high),
        n: first.n,
    })
}

/// Mean of independent (value, low, high), at least one: the distances to the limits are squared
/// and added.
pub(crate) fn mean_with_interval(
    parts: impl ExactSizeIterator<Item = (f64, f64, f64)>,
) -> (f64, f64, f64) {
    let k = parts.len() as f64;
    let (mut sum, mut below, mut above) = (0.0, 0.0, 0.0);
    for (value, low, high) in parts {
        sum += value;
        below += (value - low).powi(2);
        above += (high - value).powi(2);
    }
    let value = sum / k;
    (value, value - below.sqrt() / k, value + above.sqrt() / k)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sharing_images_does_not_narrow_an_interval() {
        let part = |n_correct| Proportion::new(n_correct, 50).unwrap();
        let alike = mean_proportion_shared(&[part(20); 3]).unwrap();
        assert!((alike.low - part(20).low).abs() < 1e-12 && alike.n == 50);
        assert!((alike.high - part(20).high).abs() < 1e-12);
        let found = mean_proportion_shared(&[part(20), part(30)]).unwrap();
        assert!((found.value - 0.5).abs() < 1e-12 && found.n == 50);
        assert!((found.low - 0.5 * (part(20).low + part(30).low)).abs() < 1e-12);
        assert!(mean_proportion_shared(&[]).is_err());
    }

    fn check(n_correct: u64, n: u64, low: f64, high: f64) {
        let found = Proportion::new(n_correct, n).unwrap();
        assert!((found.low - low).abs() < 5e-5, "{n_correct}/{n}: {found:?}");
        assert!(
            (found.high - high).abs() < 5e-5,
            "{n_correct}/{n}: {found:?}"
        );
        assert_eq!((found.value, found.n), (n_correct as f64 / n as f64, n));
    }

    #[test]
    fn wilson_matches_published_values() {
        check(8, 10, 0.4902, 0.9433);
        check(0, 10, 0.0, 0.2775);
        check(10, 10, 0.7225, 1.0);
        check(1, 1, 0.2065, 1.0);
        check(0, 1, 0.0, 0.7935);
        // Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I,
        // method 3.
        check(81, 263, 0.2553, 0.3662);
        check(15, 148, 0.0624, 0.1605);
        check(0, 20, 0.0, 0.1611);
        check(1, 29, 0.0061, 0.1718);
    }

    #[test]
    fn ends_are_exact() {
        for n in [1, 3, 7, 49, 1000, 123_457] {
            assert_eq!(Proportion::new(0, n).unwrap().low, 0.0);
            assert_eq!(Proportion::new(n, n).unwrap().high, 1.0);
        }
    }

    #[test]
    fn impossible_counts_are_refused() {
        assert!(matches!(Proportion::new(0, 0), Err(Error::Empty { .. })));
        assert!(matches!(
            Proportion::new(3, 2),
            Err(Error::Count { n_correct: 3, n: 2 })
        ));
        assert!(matches!(mean_proportion(&[]), Err(Error::Empty { .. })));
    }

    #[test]
    fn mean_of_one_is_itself_and_of_many_is_narrower() {
        let one = Proportion::new(8, 10).unwrap();
        let same = mean_proportion(&[one]).unwrap();
        assert!((same.low - one.low).abs() < 1e-12 && (same.high - one.high).abs() < 1e-12);
        let four = mean_proportion(&[one; 4]).unwrap();
        assert!((four.value - 0.8).abs() < 1e-12);
        assert!(((four.value - four.low) - (one.value - one.low) / 2.0).abs() < 1e-12);
        assert!(((four.high - four.value) - (one.high - one.value) / 2.0).abs() < 1e-12);
        assert_eq!(four.n, 40);
        let perfect = mean_proportion(&[Proportion::new(10, 10).unwrap(); 2]).unwrap();
        assert!(perfect.low < 0.85 && perfect.high == 1.0, "{perfect:?}");
    }
}
