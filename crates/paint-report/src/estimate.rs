//! A number with its interval, and a mixing coefficient: checked once, here.

use crate::{Error, Result};

/// A measured fraction or difference of fractions with its 95 % interval.
///
/// Accuracies lie in [0, 1] and differences in [-1, 1]; 41.3 % is `0.413`.
/// The constructor refuses everything else, so what is printed is a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    value: f64,
    low: f64,
    high: f64,
    n: u64,
}

impl Estimate {
    /// A value, the two ends of its 95 % interval and the number of images behind it.
    ///
    /// # Errors
    /// Refuses NaN and infinities, numbers outside [-1, 1], and an interval
    /// that does not hold its value (beyond rounding).
    pub fn new(value: f64, low: f64, high: f64, n: u64) -> Result<Self> {
        for (what, number) in [("value", value), ("lower end", low), ("upper end", high)] {
            in_range(what, number, -1.0, 1.0)?;
        }
        // An interval computed in floating point may miss an extreme value by
        // a rounding error: Wilson at k = n gives an upper end of 1 - 1e-16.
        if value < low - 1e-9 || value > high + 1e-9 {
            return Err(Error::Interval { value, low, high });
        }
        Ok(Self {
            value,
            low: low.min(value),
            high: high.max(value),
            n,
        })
    }

    /// The measured value, a fraction.
    pub fn value(&self) -> f64 {
        self.value
    }

    /// Lower end of the 95 % interval, a fraction.
    pub fn low(&self) -> f64 {
        self.low
    }

    /// Upper end of the 95 % interval, a fraction.
    pub fn high(&self) -> f64 {
        self.high
    }

    /// Number of images behind the value.
    pub fn n(&self) -> u64 {
        self.n
    }
}

/// A mixing coefficient in [0, 1]: 0 is the zero-shot model, 1 the fine-tuned one.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Alpha(f64);

impl Alpha {
    /// Checks that `alpha` lies in [0, 1].
    ///
    /// # Errors
    /// Refuses NaN and numbers outside [0, 1].
    pub fn new(alpha: f64) -> Result<Self> {
        in_range("alpha", alpha, 0.0, 1.0)?;
        Ok(Self(alpha))
    }

    /// The coefficient, in [0, 1].
    pub fn get(self) -> f64 {
        self.0
    }
}

pub(crate) fn in_range(what: &str, value: f64, low: f64, high: f64) -> Result<()> {
    finite(what, value)?;
    if value < low || value > high {
        return Err(Error::OutOfRange {
            what: what.to_owned(),
            value,
            low,
            high,
        });
    }
    Ok(())
}

pub(crate) fn finite(what: &str, value: f64) -> Result<()> {
    if value.is_finite() {
        Ok(())
    } else {
        Err(Error::NotFinite {
            what: what.to_owned(),
            value,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_cannot_be_printed_are_refused() {
        let message = |r: Result<Estimate>| r.unwrap_err().to_string();
        assert!(message(Estimate::new(f64::NAN, 0.0, 1.0, 3)).starts_with("value is NaN"));
        assert!(
            message(Estimate::new(0.5, f64::NEG_INFINITY, 1.0, 3)).contains("lower end is -inf")
        );
        assert!(message(Estimate::new(41.3, 38.2, 44.4, 900)).contains("expected -1 to 1"));
        assert!(message(Estimate::new(0.5, 0.6, 0.7, 3)).contains("does not hold its value 0.5"));
        assert!(
            Alpha::new(-0.1).is_err() && Alpha::new(f64::NAN).is_err() && Alpha::new(1.01).is_err()
        );
        assert_eq!(Alpha::new(1.0).unwrap().get(), 1.0);
    }

    #[test]
    fn a_rounding_error_at_the_end_of_an_interval_is_forgiven() {
        let all_right = Estimate::new(1.0, 0.95, 1.0 - 1e-16, 80).unwrap();
        assert_eq!(
            (all_right.value(), all_right.low(), all_right.high()),
            (1.0, 0.95, 1.0)
        );
    }
}
