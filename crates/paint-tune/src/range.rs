//! Ranges of hyperparameters, and the error that names the first one outside its range.

use crate::{Error, Result};

/// A hyperparameter's name and value, whether it is in range, and what is accepted.
pub(crate) type Range = (&'static str, f64, bool, &'static str);

pub(crate) fn check_all(ranges: &[Range]) -> Result<()> {
    match ranges.iter().find(|(_, _, ok, _)| !ok) {
        Some(&(key, value, _, expected)) => Err(Error::Config {
            key,
            value: value.to_string(),
            expected,
        }),
        None => Ok(()),
    }
}

pub(crate) fn at_least_one(key: &'static str, value: u64) -> Range {
    (key, value as f64, value > 0, "at least 1")
}

pub(crate) fn positive(key: &'static str, value: f64) -> Range {
    let ok = value > 0.0 && value.is_finite();
    (key, value, ok, "a positive number")
}

pub(crate) fn share(key: &'static str, value: f64) -> Range {
    (key, value, (0.0..1.0).contains(&value), "a share in [0, 1)")
}
