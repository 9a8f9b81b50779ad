//! Learning rates: linear warm-up, then a cosine towards zero.

use crate::Result;
use crate::range::{at_least_one, check_all, positive, share};

/// A learning-rate schedule over the steps `1..=steps`.
///
/// The warm-up is a share of the run, so that a short run still reaches its peak.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// Learning rate at the end of the warm-up.
    pub peak: f64,
    /// Steps of the run.
    pub steps: u64,
    /// Share of the steps that warm up, in [0, 1).
    pub warmup: f64,
}

impl Schedule {
    /// Learning rate of a step, counted from 1.
    #[must_use]
    pub fn learning_rate(&self, step: u64) -> f64 {
        let warmup_steps = (self.warmup * self.steps as f64).floor();
        let step = step as f64;
        if step <= warmup_steps {
            return self.peak * step / warmup_steps;
        }
        let rest = self.steps as f64 - warmup_steps;
        // From 0 at the first step after the warm-up; the last step still learns.
        let done = ((step - 1.0 - warmup_steps) / rest).min(1.0);
        self.peak * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
    }

    /// Checks the hyperparameters of a configuration that a schedule is made of.
    pub(crate) fn check(&self) -> Result<()> {
        check_all(&[
            at_least_one("steps", self.steps),
            positive("learning_rate", self.peak),
            share("warmup", self.warmup),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warms_up_then_falls_to_zero() {
        let schedule = Schedule {
            peak: 2.0,
            steps: 110,
            warmup: 0.1,
        };
        let at = |step| schedule.learning_rate(step);
        assert_eq!(at(11), 2.0);
        assert!((at(1) - 2.0 / 11.0).abs() < 1e-12);
        assert_eq!(at(12), 2.0);
        assert!((at(12 + 99 / 2) - 1.0).abs() < 0.02);
        assert!(at(110) > 0.0 && at(110) < 0.001);
    }

    #[test]
    fn a_run_of_one_step_learns() {
        let schedule = Schedule {
            peak: 1.0,
            steps: 1,
            warmup: 0.1,
        };
        assert_eq!(schedule.learning_rate(1), 1.0);
    }

    #[test]
    fn a_short_run_still_reaches_its_peak() {
        let schedule = Schedule {
            peak: 1.0,
            steps: 3,
            warmup: 0.1,
        };
        let largest = (1..=3)
            .map(|s| schedule.learning_rate(s))
            .fold(0.0, f64::max);
        assert!(largest > 0.7, "{largest}");
    }
}
