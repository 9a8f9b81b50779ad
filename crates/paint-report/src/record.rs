//! A measured fact, as one line of `records.jsonl`.

use crate::estimate::{finite, in_range};
use crate::{Error, Estimate, Result};
use serde::{Deserialize, Serialize};

/// What sort of fact a record states, and so the unit of its `value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// A share of images classified correctly, a fraction in [0, 1].
    Accuracy,
    /// Accuracy after minus accuracy before on the same images, in [-1, 1].
    Difference,
    /// The alpha that validation chose, in [0, 1]; `note` says by which rule.
    Choice,
    /// Wall time of one step, in seconds.
    Timing,
    /// Number of images that could not be read; `note` gives the reasons.
    Skipped,
    /// Anything else; `measure` names it and its unit.
    Quantity,
}

/// Which part of a dataset was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Images to learn from.
    Train,
    /// Images to choose alpha on.
    Validation,
    /// Images to report on.
    Test,
}

/// What the evaluated task is to the model under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The task that is being patched.
    Patching,
    /// A task that must not get worse.
    Supported,
}

/// One measured fact: one line of `records.jsonl`.
///
/// Fractions are in [0, 1]; points and per cent exist in print only. The
/// fields up to `seed` say *what* was measured and make up the [`Key`], the
/// others say what came out. Fields that do not apply are absent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Record {
    /// The question that asked: `rq1`.
    pub question: String,
    /// What sort of fact this is.
    pub kind: Kind,
    /// What exactly was measured, where `kind` leaves it open: `top-5`, `fine-tune`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measure: Option<String>,
    /// The way of patching, where a question compares several: `joint`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The model that was patched: `world-s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The patching task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// The task evaluated on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
    /// What the task evaluated on is to the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Which images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    /// Mixing coefficient of the weights under test, in [0, 1].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
    /// The seed of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The result, in the unit of `kind`.
    pub value: f64,
    /// Lower end of the 95 % interval, in the unit of `value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// Upper end of the 95 % interval, in the unit of `value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// Number of images behind `value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<u64>,
    /// Wall time of the measurement, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// A rule, a reason, a remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Identity of a fact: equal keys mean that the same thing was measured.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Record {
    /// A fact of a question, with value 0 and nothing else said yet.
    pub fn new(question: &str, kind: Kind) -> Self {
        Self {
            question: question.to_owned(),
            kind,
            measure: None,
            method: None,
            model: None,
            task: None,
            on: None,
            role: None,
            split: None,
            alpha: None,
            seed: None,
            value: 0.0,
            low: None,
            high: None,
            n: None,
            seconds: None,
            note: None,
        }
    }

    /// Names what was measured, where `kind` leaves it open.
    pub fn measure(mut self, measure: &str) -> Self {
        self.measure = Some(measure.to_owned());
        self
    }

    /// Names the way of patching.
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Names the model.
    pub fn model(mut self, model: &str) -> Self {
        self.model = Some(model.to_owned());
        self
    }

    /// Names the patching task.
    pub fn task(mut self, task: &str) -> Self {
        self.task = Some(task.to_owned());
        self
    }

    /// Names the evaluated task, its role and the images used.
    pub fn on(mut self, task: &str, role: Role, split: Split) -> Self {
        self.on = Some(task.to_owned());
        self.role = Some(role);
        self.split = Some(split);
        self
    }

    /// Sets the mixing coefficient, in [0, 1].
    pub fn alpha(mut self, alpha: f64) -> Self {
        self.alpha = Some(alpha);
        self
    }

    /// Sets the seed.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Sets a result that has no interval, in the unit of `kind`.
    pub fn value(mut self, value: f64) -> Self {
        self.value = value;
        self
    }

    /// Sets the result and its interval, fractions, and n.
    pub fn estimate(mut self, estimate: &Estimate) -> Self {
        self.value = estimate.value();
        self.low = Some(estimate.low());
        self.high = Some(estimate.high());
        self.n = Some(estimate.n());
        self
    }

    /// Sets the wall time, in seconds.
    pub fn seconds(mut self, seconds: f64) -> Self {
        self.seconds = Some(seconds);
        self
    }

    /// Adds a rule, a reason or a remark.
    pub fn note(mut self, note: &str) -> Self {
        self.note = Some(note.to_owned());
        self
    }

    /// What was measured, without what came out.
    pub fn key(&self) -> Key {
        let mut key = format!("{}/{}", self.question, name_of(&self.kind));
        let split = self.split.as_ref().map(name_of);
        let role = self.role.as_ref().map(name_of);
        let parts = [
            ("measure", self.measure.clone()),
            ("method", self.method.clone()),
            ("model", self.model.clone()),
            ("task", self.task.clone()),
            ("on", self.on.clone()),
            ("role", role),
            ("split", split),
            // Six decimals, so that 3 * 0.1 and 0.3 are one alpha.
            (
                "alpha",
                self.alpha.map(|alpha| format!("{:.6}", alpha + 0.0)),
            ),
            ("seed", self.seed.map(|seed| seed.to_string())),
        ];
        for (name, value) in parts {
            if let Some(value) = value {
                // Quoted as a Rust string, so that no task name can imitate a separator.
                key.push_str(&format!(" {name}={value:?}"));
            }
        }
        Key(key)
    }

    /// The result with its interval.
    ///
    /// # Errors
    /// Refuses a record without interval or n, and numbers that are no
    /// fractions.
    pub fn to_estimate(&self) -> Result<Estimate> {
        match (self.low, self.high, self.n) {
            (Some(low), Some(high), Some(n)) => Estimate::new(self.value, low, high, n),
            _ => Err(Error::NoInterval {
                key: self.key().to_string(),
            }),
        }
    }

    /// Checks the numbers against the unit of `kind`.
    pub(crate) fn check(&self) -> Result<()> {
        let what = |field: &str| format!("{field} of {}", self.key());
        let range = match self.kind {
            Kind::Accuracy | Kind::Choice => (0.0, 1.0),
            Kind::Difference => (-1.0, 1.0),
            Kind::Timing | Kind::Skipped => (0.0, f64::MAX),
            Kind::Quantity => (f64::MIN, f64::MAX),
        };
        in_range(&what("value"), self.value, range.0, range.1)?;
        for (field, number) in [("low", self.low), ("high", self.high)] {
            number.map_or(Ok(()), |number| finite(&what(field), number))?;
        }
        if let Some(alpha) = self.alpha {
            in_range(&what("alpha"), alpha, 0.0, 1.0)?;
        }
        self.seconds
            .map_or(Ok(()), |seconds| finite(&what("seconds"), seconds))
    }

    /// Whether two records of one key tell the same; wall times may differ.
    pub(crate) fn agrees_with(&self, other: &Record) -> bool {
        self.kind == Kind::Timing
            || (self.value, self.low, self.high, self.n)
                == (other.value, other.low, other.high, other.n)
    }
}

/// The name under which serde writes a unit variant.
fn name_of<T: Serialize>(variant: &T) -> String {
    match serde_json::to_value(variant) {
        Ok(serde_json::Value::String(name)) => name,
        other => unreachable!("a unit variant is written as a string, not {other:?}"),
    }
}
