//! A linear axis over per cent, with ticks at round numbers.

use crate::number;

/// A linear axis over per cent: data range, pixels, ticks at round numbers.
pub(crate) struct Axis {
    low: f64,
    high: f64,
    start: f64,
    end: f64,
    step: f64,
}

impl Axis {
    /// An axis whose ends are ticks and whose range holds all `values`,
    /// without leaving [0, 100], drawn from pixel `start` to pixel `end`.
    pub(crate) fn around(values: impl Iterator<Item = f64>, start: f64, end: f64) -> Self {
        let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), v| {
            (low.min(v), high.max(v))
        });
        let step = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .find(|step| (high - low) / step <= 7.0)
            .unwrap_or(20.0);
        let low = ((low / step).floor() * step).max(0.0);
        let high = ((high / step).ceil() * step).min(100.0);
        // A flat line still needs an axis of some length.
        let (low, high) = match (high > low, high < 100.0) {
            (true, _) => (low, high),
            (false, true) => (low, high + step),
            (false, false) => (low - step, high),
        };
        Self {
            low,
            high,
            start,
            end,
            step,
        }
    }

    /// Per cent to pixels.
    pub(crate) fn place(&self, value: f64) -> f64 {
        self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)
    }

    /// Per cent to pixels, kept between the ends.
    pub(crate) fn clamp(&self, value: f64) -> f64 {
        self.place(value.clamp(self.low, self.high))
    }

    /// Positions in pixels and labels of the ticks.
    pub(crate) fn ticks(&self) -> Vec<(f64, String)> {
        let n = ((self.high - self.low) / self.step).round() as usize;
        (0..=n)
            .map(|i| self.low + i as f64 * self.step)
            .map(|value| (self.place(value), number::fixed(value, 0)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[f64], first: &str, last: &str, n: usize) {
        let ticks = Axis::around(values.iter().copied(), 0.0, 100.0).ticks();
        assert_eq!(
            (
                ticks[0].1.as_str(),
                ticks[ticks.len() - 1].1.as_str(),
                ticks.len()
            ),
            (first, last, n)
        );
        assert!(ticks.iter().all(|(place, _)| place.is_finite()));
        assert_eq!((ticks[0].0, ticks[n - 1].0), (0.0, 100.0));
    }

    #[test]
    fn ticks_are_round_and_enclose_the_data() {
        check(&[3.2, 98.9], "0", "100", 6);
        check(&[71.3, 92.6], "70", "95", 6);
        check(&[90.4, 91.1], "90", "92", 3);
        check(&[50.0], "50", "51", 2);
        check(&[100.0], "99", "100", 2);
        check(&[0.0], "0", "1", 2);
    }

    #[test]
    fn places_are_linear_and_may_run_backwards() {
        let axis = Axis::around([0.0, 100.0].into_iter(), 400.0, 0.0);
        assert_eq!(
            (axis.place(0.0), axis.place(25.0), axis.clamp(120.0)),
            (400.0, 300.0, 0.0)
        );
    }
}
