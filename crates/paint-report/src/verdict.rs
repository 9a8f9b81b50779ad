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

    /// A number that comes without an interval: both ends are the number
    /// itself, and the page shows none.
    ///
    /// # Errors
    /// Refuses NaN and infinities.
    pub fn exact(value: f64, n: u64) -> Result<Self> {
        Self::new(value, value, value, n)
    }

    /// `n` things out of `total`.
    pub(crate) fn counted(n: u64, total: u64) -> Self {
        let value = n as f64;
        Self {
            value,
            low: value,
            high: value,
            n: total,
        }
    }

    /// The same measure with the other sign.
    pub(crate) fn negated(&self) -> Self {
        Self {
            value: -self.value,
            low: -self.high,
            high: -self.low,
            n: self.n,
        }
    }

    pub(crate) fn is_exact(&self) -> bool {
        self.low == self.value && self.high == self.value
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
    /// The question: `rq1` to `rq5`, `groups` or `hierarchy`.
    pub question: String,
    /// The answer.
    pub verdict: Outcome,
    /// The numbers it rests on, by name.
    pub measures: BTreeMap<String, Measure>,
}

impl Verdict {
    /// A line for each measure, each in its own unit, and the verdict: what a terminal shows.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for (name, measure) in &self.measures {
            let Printed {
                value,
                unit,
                detail,
                ..
            } = printed(name, measure);
            let parts = [value, unit, detail];
            let parts: Vec<&str> = parts
                .iter()
                .map(String::as_str)
                .filter(|p| !p.is_empty())
                .collect();
            text.push_str(&format!("{name}: {}\n", parts.join(" ")));
        }
        text.push_str(&format!("verdict: {}", self.verdict));
        text
    }
}

/// A measure as the page shows it.
pub(crate) struct Printed {
    pub(crate) label: String,
    pub(crate) value: String,
    pub(crate) unit: String,
    /// Interval and n, as far as there are any.
    pub(crate) detail: String,
}

/// How the numbers of a measure are written.
#[derive(Clone, Copy)]
enum Unit {
    /// A difference in points, with its sign.
    Change,
    /// A distance in points.
    Points,
    /// An accuracy in per cent.
    Percent,
    /// Things counted, out of n.
    Count,
    /// A number of its own kind.
    Plain,
}

/// Measures by name.
const NAMED: [(&str, &str, Unit); 18] = [
    ("patch_gain_mean", "Mean gain, patching tasks", Unit::Change),
    (
        "supported_change_mean",
        "Mean change, supported tasks",
        Unit::Change,
    ),
    (
        "zero_shot_supported",
        "Supported accuracy, zero-shot",
        Unit::Percent,
    ),
    (
        "joint_minus_specialists",
        "Joint minus specialists",
        Unit::Change,
    ),
    (
        "sequential_minus_specialists",
        "Sequential minus specialists",
        Unit::Change,
    ),
    (
        "parallel_minus_specialists",
        "Parallel minus specialists",
        Unit::Change,
    ),
    ("rows_improved", "Tasks improved significantly", Unit::Count),
    (
        "mean_transfer",
        "Mean change, classes never patched on",
        Unit::Change,
    ),
    ("attack_gain", "Gain under attack", Unit::Change),
    ("clean_change", "Change on clean images", Unit::Change),
    (
        "unseen_count_accuracy",
        "Accuracy on the unseen count",
        Unit::Percent,
    ),
    (
        "unseen_count_gain",
        "Gain on the unseen count",
        Unit::Change,
    ),
    (
        "multiple_choice_gain",
        "Gain, multiple choice",
        Unit::Change,
    ),
    ("supported_change", "Change, supported tasks", Unit::Change),
    (
        "auroc_gain",
        "AUROC, self-consistency minus max-logit",
        Unit::Change,
    ),
    (
        "auroc_gain_over_prompts",
        "AUROC, self-consistency minus max-logit with prompts",
        Unit::Change,
    ),
    (
        "low_change",
        "Top-1 at low confidence, re-ranked minus bare names",
        Unit::Change,
    ),
    (
        "low_change_prompted",
        "Top-1 at low confidence, re-ranked minus prompt ensemble",
        Unit::Change,
    ),
];

/// Measures whose name ends with that of a model or dataset.
const NAMED_BY_MODEL: [(&str, &str, Unit); 6] = [
    (
        "cfr_minus_erm_by_class_",
        "Worst group, CFR minus ERM, chosen by class",
        Unit::Change,
    ),
    ("cfr_minus_erm_", "Worst group, CFR minus ERM", Unit::Change),
    ("distance_to_ideal_", "Distance to the ideal", Unit::Points),
    ("gain_", "Mean gain", Unit::Change),
    ("supported_change_", "Supported change", Unit::Change),
    ("cka_", "CKA, patching images", Unit::Plain),
];

/// Measures without a label here are shown under the name they have.
pub(crate) fn printed(name: &str, measure: &Measure) -> Printed {
    let (label, unit) = label(name);
    let (print, shown): (fn(f64) -> String, _) = match unit {
        Unit::Change => (number::signed, "points".to_owned()),
        Unit::Points => (|v| number::fixed(v, 1), "points".to_owned()),
        Unit::Percent => (|v| number::fixed(v, 1), "%".to_owned()),
        Unit::Count => (
            |v| number::fixed(v, 0),
            format!("of {}", number::count(measure.n)),
        ),
        Unit::Plain => (|v| number::fixed(v, 3), String::new()),
    };
    let n = format!("n = {}", number::count(measure.n));
    let detail = match unit {
        Unit::Count => String::new(),
        Unit::Plain if measure.is_exact() => n,
        _ => format!("[{}, {}], {n}", print(measure.low), print(measure.high)),
    };
    Printed {
        label,
        value: print(measure.value),
        unit: shown,
        detail,
    }
}

fn label(name: &str) -> (String, Unit) {
    if let Some((_, label, unit)) = NAMED.iter().find(|(known, ..)| *known == name) {
        return ((*label).to_owned(), *unit);
    }
    let by_model = NAMED_BY_MODEL
        .iter()
        .find_map(|(prefix, label, unit)| Some((name.strip_prefix(prefix)?, label, unit)));
    match by_model {
        Some((model, label, unit)) => (format!("{label}, {model}"), *unit),
        None => (name.replace('_', " "), Unit::Plain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(value: f64, half_width: f64) -> Estimate {
        Estimate::new(value, value - half_width, value + half_width, 1000).unwrap()
    }

    #[test]
    fn a_terminal_shows_every_measure_in_its_unit() {
        let verdict = Verdict {
            question: "rq2".to_owned(),
            verdict: Outcome::Undecided,
            measures: BTreeMap::from([
                (
                    "cka_small".to_owned(),
                    Measure::new(0.85, 0.8, 0.9, 1_500).unwrap(),
                ),
                (
                    "gain_small".to_owned(),
                    Measure::points(&estimate(0.125, 0.01)),
                ),
            ]),
        };
        let expected = "cka_small: 0.850 [0.800, 0.900], n = 1,500\n\
                        gain_small: +12.5 points [+11.5, +13.5], n = 1,000\n\
                        verdict: undecided";
        assert_eq!(verdict.to_text(), expected);
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

    #[test]
    fn every_measure_has_its_unit() {
        let line = |name: &str, measure: Measure| {
            let Printed {
                label,
                value,
                unit,
                detail,
            } = printed(name, &measure);
            format!("{label}: {value} {unit} {detail}")
        };
        let points = Measure::new(4.3, 3.0, 5.5, 1200).unwrap();
        let cases = [
            (
                "gain_world_s",
                points,
                "Mean gain, world_s: +4.3 points [+3.0, +5.5], n = 1,200",
            ),
            (
                "distance_to_ideal_b/32",
                points,
                "Distance to the ideal, b/32: 4.3 points [3.0, 5.5], n = 1,200",
            ),
            (
                "supported_change_mean",
                points,
                "Mean change, supported tasks: +4.3 points [+3.0, +5.5], n = 1,200",
            ),
            (
                "rows_improved",
                Measure::counted(7, 9),
                "Tasks improved significantly: 7 of 9 ",
            ),
            (
                "cka_world-s",
                Measure::exact(0.9876, 500).unwrap(),
                "CKA, patching images, world-s: 0.988  n = 500",
            ),
            (
                "cka_world-s",
                Measure::new(0.9, 0.8, 0.95, 5).unwrap(),
                "CKA, patching images, world-s: 0.900  [0.800, 0.950], n = 5",
            ),
            (
                "never_heard_of",
                Measure::exact(1.0, 2).unwrap(),
                "never heard of: 1.000  n = 2",
            ),
        ];
        for (name, measure, expected) in cases {
            assert_eq!(line(name, measure), expected);
        }
    }
}
