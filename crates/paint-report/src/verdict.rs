//! The answer to a question, from intervals alone.

use crate::estimate::finite;
use crate::{Estimate, Result, number};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The answer that the numbers give to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Every interval lies on the claim's side.
    #[serde(rename = "supported")]
    Supported,
    /// At least one interval lies wholly on the other side.
    #[serde(rename = "not supported")]
    NotSupported,
    /// The intervals are too wide to tell.
    #[serde(rename = "undecided")]
    Undecided,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Outcome::Supported => "supported",
            Outcome::NotSupported => "not supported",
            Outcome::Undecided => "undecided",
        })
    }
}

/// A number that a verdict rests on, in the unit in which it is printed:
/// points for accuracies and their differences.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// The value, in points or in its own unit.
    pub value: f64,
    /// Lower end of the 95 % interval, in the unit of `value`.
    pub low: f64,
    /// Upper end of the 95 % interval, in the unit of `value`.
    pub high: f64,
    /// Number of images (or of whatever was counted) behind the value.
    pub n: u64,
}

impl Measure {
    /// A number in its own unit.
    ///
    /// # Errors
    /// Refuses NaN and infinities.
    pub fn new(value: f64, low: f64, high: f64, n: u64) -> Result<Self> {
        for (what, number) in [("value", value), ("lower end", low), ("upper end", high)] {
            finite(what, number)?;
        }
        Ok(Self {
            value,
            low,
            high,
            n,
        })
    }

    /// An accuracy or a difference, from fractions to points.
    pub fn points(estimate: &Estimate) -> Self {
        Self {
            value: estimate.value() * 100.0,
            low: estimate.low() * 100.0,
            high: estimate.high() * 100.0,
            n: estimate.n(),
        }
    }
}

/// What a question's run ends with; the last line of `--json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename = "verdict")]
pub struct Verdict {
    /// The question: `rq1`.
    pub question: String,
    /// The answer.
    pub verdict: Outcome,
    /// The numbers it rests on, by name.
    pub measures: BTreeMap<String, Measure>,
}

/// How many points a supported task may lose before the loss counts.
const TOLERATED_LOSS: f64 = 1.0;

impl Verdict {
    /// Does interpolating improve the patching tasks without hurting the
    /// supported ones?
    ///
    /// Supported if the mean gain is above 0 and the mean supported change
    /// above −1 point, both with their whole interval; not supported if one of
    /// the two lies wholly at or below its bound; else undecided. All three
    /// are means over tasks on test images.
    pub fn rq1(
        patch_gain_mean: &Estimate,
        supported_change_mean: &Estimate,
        zero_shot_supported: &Estimate,
    ) -> Self {
        let gain = Measure::points(patch_gain_mean);
        let change = Measure::points(supported_change_mean);
        let verdict = if gain.high <= 0.0 || change.high <= -TOLERATED_LOSS {
            Outcome::NotSupported
        } else if gain.low > 0.0 && change.low > -TOLERATED_LOSS {
            Outcome::Supported
        } else {
            Outcome::Undecided
        };
        let measures = [
            ("patch_gain_mean", gain),
            ("supported_change_mean", change),
            ("zero_shot_supported", Measure::points(zero_shot_supported)),
        ];
        Self {
            question: "rq1".to_owned(),
            verdict,
            measures: measures
                .map(|(name, measure)| (name.to_owned(), measure))
                .into(),
        }
    }

    /// How the answer follows from the measures, for the page.
    pub(crate) fn rule(&self) -> &'static str {
        match self.question.as_str() {
            "rq1" => {
                "“Supported” requires the whole interval of the mean gain above 0 and that of the mean change \
                 above −1 point; “not supported”, that one of them lies wholly at or below its bound."
            }
            _ => "",
        }
    }
}

/// A measure as the page shows it.
pub(crate) struct Printed {
    pub(crate) label: String,
    pub(crate) value: String,
    pub(crate) unit: &'static str,
    pub(crate) interval: String,
}

/// Measures without a name of their own here are shown under the one they have.
pub(crate) fn printed(name: &str, measure: &Measure) -> Printed {
    let (label, unit, print): (_, _, fn(f64) -> String) = match name {
        "patch_gain_mean" => ("Mean gain, patching tasks", "points", number::signed),
        "supported_change_mean" => ("Mean change, supported tasks", "points", number::signed),
        "zero_shot_supported" => ("Supported accuracy, zero-shot", "%", |v| {
            number::fixed(v, 1)
        }),
        other => (other, "", |v| number::fixed(v, 2)),
    };
    Printed {
        label: label.replace('_', " "),
        value: print(measure.value),
        unit,
        interval: format!("[{}, {}]", print(measure.low), print(measure.high)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(value: f64, half_width: f64) -> Estimate {
        Estimate::new(value, value - half_width, value + half_width, 1000).unwrap()
    }

    fn check(gain: (f64, f64), change: (f64, f64), expected: Outcome) {
        let verdict = Verdict::rq1(
            &estimate(gain.0, gain.1),
            &estimate(change.0, change.1),
            &estimate(0.8, 0.02),
        );
        assert_eq!(
            verdict.verdict, expected,
            "gain {gain:?}, change {change:?}"
        );
    }

    #[test]
    fn the_verdict_follows_from_the_intervals() {
        check((0.30, 0.01), (-0.004, 0.003), Outcome::Supported);
        check((0.30, 0.01), (0.002, 0.003), Outcome::Supported);
        check((0.30, 0.01), (-0.008, 0.003), Outcome::Undecided);
        check((0.01, 0.02), (-0.004, 0.003), Outcome::Undecided);
        check((0.30, 0.01), (-0.020, 0.003), Outcome::NotSupported);
        check((-0.02, 0.01), (0.0, 0.003), Outcome::NotSupported);
        // Nothing moved at all: alpha = 0 everywhere is no improvement.
        check((0.0, 0.0), (0.0, 0.0), Outcome::NotSupported);
    }

    #[test]
    fn json_is_as_promised() {
        let verdict = Verdict::rq1(
            &estimate(0.5, 0.25),
            &estimate(0.0, 0.0),
            &estimate(0.75, 0.125),
        );
        let json = serde_json::to_string(&verdict).unwrap();
        assert_eq!(
            json,
            concat!(
                r#"{"kind":"verdict","question":"rq1","verdict":"supported","measures":{"#,
                r#""patch_gain_mean":{"value":50.0,"low":25.0,"high":75.0,"n":1000},"#,
                r#""supported_change_mean":{"value":0.0,"low":0.0,"high":0.0,"n":1000},"#,
                r#""zero_shot_supported":{"value":75.0,"low":62.5,"high":87.5,"n":1000}}}"#
            )
        );
        assert_eq!(serde_json::from_str::<Verdict>(&json).unwrap(), verdict);
        let refused = Measure::new(f64::NAN, 0.0, 0.0, 1).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "value is NaN, expected a finite number; the measurement before it failed"
        );
    }
}
