//! Choosing `alpha` from accuracies on validation data.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// Differences below this are rounding of the means, not evidence: accuracies are multiples of
/// 1 / n with n far below its inverse.
pub(crate) const ROUNDING: f64 = 1e-9;

/// An accuracy in [0, 1] measured on held-out validation images.
///
/// [`choose`] takes nothing else. Whoever wraps a number states that no test image entered it:
/// test data reports what was chosen and never chooses.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct ValidationAccuracy(f64);

impl ValidationAccuracy {
    /// A fraction of correctly classified validation images.
    ///
    /// # Errors
    /// [`Error::Accuracy`] if `value` is NaN or outside [0, 1]; points are not fractions.
    pub fn new(value: f64) -> Result<Self> {
        if (0.0..=1.0).contains(&value) {
            Ok(Self(value))
        } else {
            Err(Error::Accuracy { value })
        }
    }

    /// The fraction.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for ValidationAccuracy {
    type Error = Error;

    fn try_from(value: f64) -> Result<Self> {
        Self::new(value)
    }
}

impl From<ValidationAccuracy> for f64 {
    fn from(accuracy: ValidationAccuracy) -> Self {
        accuracy.0
    }
}

/// What was measured at one `alpha`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// The coefficient, in [0, 1].
    pub alpha: f64,
    /// Accuracy on the patching task.
    pub patch: ValidationAccuracy,
    /// Accuracy on each supported task, in one order for all candidates.
    pub supported: Vec<ValidationAccuracy>,
    /// How uncertain the mean drop of the supported tasks is, a fraction, such as its paired
    /// standard error; [`Rule::BestPatch`] wants the drop and this together within its limit,
    /// because the best of many on few images has lost more than it seems. 0 takes the drop as it
    /// is.
    pub drop_margin: f64,
}

/// What a good `alpha` is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Highest mean of the patching accuracy and the mean supported accuracy (the paper's rule).
    BestMean,
    /// Highest patching accuracy among those whose supported accuracy drops by at most `max_drop`.
    BestPatch {
        /// Mean over the supported tasks of (accuracy at `alpha` 0 - accuracy at `alpha`), a
        /// fraction: 0.01 is one point.
        max_drop: f64,
    },
}

impl Default for Rule {
    fn default() -> Self {
        Self::BestPatch { max_drop: 0.01 }
    }
}

/// The chosen `alpha` and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// The coefficient.
    pub alpha: f64,
    /// One sentence with the numbers that decided, without a final dot.
    pub reason: String,
}

/// Chooses among `candidates` under `rule`; ties go to the smaller `alpha`.
///
/// The answer is `alpha` = 0 where nothing else qualifies or improves on it. Without supported
/// tasks the patching accuracy alone decides.
///
/// # Errors
/// [`Error::Candidates`] if there is no candidate with `alpha` = 0, an `alpha` is repeated, NaN or
/// outside [0, 1], candidates have different numbers of supported tasks, a `drop_margin` is
/// negative or NaN, or `max_drop` is not in [0, 1].
pub fn choose(candidates: &[Candidate], rule: Rule) -> Result<Choice> {
    let sorted = check(candidates, rule)?;
    let baseline = sorted[0];
    let qualifies = |candidate: &Candidate| match rule {
        Rule::BestMean => true,
        Rule::BestPatch { max_drop } => {
            drop(baseline, candidate) + candidate.drop_margin <= max_drop + ROUNDING
        }
    };
    let score = |candidate: &Candidate| match rule {
        Rule::BestMean => mean_accuracy(candidate),
        Rule::BestPatch { .. } => candidate.patch.get(),
    };
    let mut best = baseline;
    for &candidate in &sorted[1..] {
        if qualifies(candidate) && score(candidate) > score(best) + ROUNDING {
            best = candidate;
        }
    }
    let n_qualified = sorted[1..]
        .iter()
        .filter(|candidate| qualifies(candidate))
        .count();
    let reason = if best.alpha == 0.0 {
        reason_for_zero(baseline, &sorted[1..], rule, n_qualified)
    } else {
        reason(baseline, best, rule)
    };
    Ok(Choice {
        alpha: best.alpha,
        reason,
    })
}

/// The candidates by `alpha`, the first being `alpha` = 0.
fn check(candidates: &[Candidate], rule: Rule) -> Result<Vec<&Candidate>> {
    let refuse = |problem: String| Err(Error::Candidates(problem));
    if let Some(bad) = candidates.iter().find(|c| !(0.0..=1.0).contains(&c.alpha)) {
        return refuse(format!("alpha {} is not in [0, 1]", bad.alpha));
    }
    if let Some(bad) = candidates
        .iter()
        .find(|c| c.drop_margin.is_nan() || c.drop_margin < 0.0)
    {
        let (margin, alpha) = (bad.drop_margin, bad.alpha);
        return refuse(format!(
            "drop_margin {margin} at alpha {alpha} is not 0 or more"
        ));
    }
    if let Rule::BestPatch { max_drop } = rule
        && !(0.0..=1.0).contains(&max_drop)
    {
        return refuse(format!("max_drop {max_drop} is not a fraction in [0, 1]"));
    }
    let mut sorted: Vec<_> = candidates.iter().collect();
    sorted.sort_by(|one, other| one.alpha.total_cmp(&other.alpha));
    if sorted.first().is_none_or(|first| first.alpha != 0.0) {
        return refuse("no candidate has alpha 0, the model as it was".to_owned());
    }
    for pair in sorted.windows(2) {
        if pair[0].alpha == pair[1].alpha {
            return refuse(format!("alpha {} was measured twice", pair[0].alpha));
        }
        let (expected, actual) = (pair[0].supported.len(), pair[1].supported.len());
        if expected != actual {
            return refuse(format!(
                "{actual} supported accuracies at alpha {}, {expected} at alpha {}",
                pair[1].alpha, pair[0].alpha
            ));
        }
    }
    Ok(sorted)
}

fn mean_supported(candidate: &Candidate) -> Option<f64> {
    let n = candidate.supported.len();
    (n > 0).then(|| {
        candidate
            .supported
            .iter()
            .map(|accuracy| accuracy.get())
            .sum::<f64>()
            / n as f64
    })
}

fn mean_accuracy(candidate: &Candidate) -> f64 {
    let patch = candidate.patch.get();
    mean_supported(candidate).map_or(patch, |supported| (patch + supported) / 2.0)
}

/// Mean drop of the supported tasks, 0 without any.
fn drop(baseline: &Candidate, candidate: &Candidate) -> f64 {
    match (mean_supported(baseline), mean_supported(candidate)) {
        (Some(before), Some(after)) => before - after,
        _ => 0.0,
    }
}

pub(crate) fn points(fraction: f64) -> f64 {
    100.0 * fraction
}

fn reason(baseline: &Candidate, best: &Candidate, rule: Rule) -> String {
    let patch = format!(
        "patch {:.1} % (from {:.1} %)",
        points(best.patch.get()),
        points(baseline.patch.get())
    );
    let change = -points(drop(baseline, best));
    let supported = match mean_supported(best) {
        Some(supported) if best.drop_margin > 0.0 => format!(
            "supported {:.1} % ({change:+.1} pt, margin {:.1} pt)",
            points(supported),
            points(best.drop_margin)
        ),
        Some(supported) => format!("supported {:.1} % ({change:+.1} pt)", points(supported)),
        None => "no supported task".to_owned(),
    };
    match rule {
        Rule::BestMean => {
            format!(
                "highest mean accuracy {:.1} %: {patch}, {supported}",
                points(mean_accuracy(best))
            )
        }
        Rule::BestPatch { max_drop } => {
            let limit = points(max_drop);
            format!(
                "highest patch accuracy with a supported drop of at most {limit} pt: {patch}, {supported}"
            )
        }
    }
}

fn reason_for_zero(
    baseline: &Candidate,
    others: &[&Candidate],
    rule: Rule,
    n_qualified: usize,
) -> String {
    let n = others.len();
    match rule {
        _ if n == 0 => "alpha 0 is the only candidate".to_owned(),
        Rule::BestPatch { max_drop } if n_qualified == 0 => {
            let least = others
                .iter()
                .map(|other| drop(baseline, other) + other.drop_margin)
                .fold(f64::INFINITY, f64::min);
            let margin = match others.iter().any(|other| other.drop_margin > 0.0) {
                true => " and its margin",
                false => "",
            };
            format!(
                "none of {n} candidates keeps the supported drop{margin} within {} pt, the least is {:.1} pt",
                points(max_drop),
                points(least)
            )
        }
        Rule::BestPatch { .. } => format!(
            "none of the {n_qualified} candidates within the allowed drop improves the patch accuracy of {:.1} %",
            points(baseline.patch.get())
        ),
        Rule::BestMean => format!(
            "none of {n} candidates improves the mean accuracy of {:.1} %",
            points(mean_accuracy(baseline))
        ),
    }
}
