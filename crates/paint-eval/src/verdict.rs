//! Answers to the project's questions, computed from intervals and never written by hand.

use crate::Difference;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The loss on supported tasks that patching may cost, as a fraction: one point.
const MAX_SUPPORTED_LOSS: f64 = 0.01;

/// What the numbers say about a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// The intervals lie where the claim says.
    #[serde(rename = "supported")]
    Supported,
    /// An interval lies where the claim says it cannot.
    #[serde(rename = "not supported")]
    NotSupported,
    /// Neither; more images would tell.
    #[serde(rename = "undecided")]
    Undecided,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Supported => "supported",
            Self::NotSupported => "not supported",
            Self::Undecided => "undecided",
        })
    }
}

/// Does interpolating improve the patching tasks without hurting the supported ones?
///
/// Both changes are patched minus zero-shot on test data. Supported: the gain's interval lies
/// above 0 and the supported change's does not reach below a loss of one point. Not supported: the
/// gain's interval lies below 0, or the supported change's below a loss of one point.
pub fn rq1_verdict(patch_gain_mean: Difference, supported_change_mean: Difference) -> Verdict {
    let (gain, change) = (patch_gain_mean, supported_change_mean);
    if gain.high < 0.0 || change.high < -MAX_SUPPORTED_LOSS {
        Verdict::NotSupported
    } else if gain.low > 0.0 && change.low >= -MAX_SUPPORTED_LOSS {
        Verdict::Supported
    } else {
        Verdict::Undecided
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(gain: (f64, f64), change: (f64, f64), expected: Verdict) {
        let difference = |(low, high): (f64, f64)| {
            let value = (low + high) / 2.0;
            Difference {
                value,
                low,
                high,
                n: 100,
                p: None,
            }
        };
        let found = rq1_verdict(difference(gain), difference(change));
        assert_eq!(found, expected, "{gain:?} {change:?}");
    }

    #[test]
    fn follows_the_intervals() {
        use Verdict::{NotSupported, Supported, Undecided};
        check((0.10, 0.20), (-0.005, 0.005), Supported);
        check((0.10, 0.20), (-0.01, 0.0), Supported);
        check((0.10, 0.20), (0.01, 0.02), Supported);
        check((0.10, 0.20), (-0.011, 0.0), Undecided);
        check((0.0, 0.20), (-0.005, 0.005), Undecided);
        check((-0.10, 0.20), (-0.005, 0.005), Undecided);
        check((-0.10, 0.0), (-0.005, 0.005), Undecided);
        check((-0.20, -0.10), (-0.005, 0.005), NotSupported);
        check((0.10, 0.20), (-0.05, -0.02), NotSupported);
        check((0.10, 0.20), (-0.05, -0.01), Undecided);
        check((f64::NAN, f64::NAN), (-0.005, 0.005), Undecided);
        check((0.10, 0.20), (f64::NAN, f64::NAN), Undecided);
    }

    #[test]
    fn is_spelled_as_words() {
        for verdict in [
            Verdict::Supported,
            Verdict::NotSupported,
            Verdict::Undecided,
        ] {
            assert_eq!(
                serde_json::to_string(&verdict).unwrap(),
                format!("\"{verdict}\"")
            );
        }
    }
}
