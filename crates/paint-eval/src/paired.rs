//! Differences between two models on the same images.

use crate::{
    Error, Predictions, Result,
    binomial::{draw, fair_split},
};
use paint_data::Rng;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Resamples of the bootstrap.
const N_RESAMPLES: usize = 2_000;
/// Probability outside the interval on each side.
const TAIL: f64 = 0.025;

/// A change of accuracy with its 95 % interval, as a fraction: 0.01 is one point.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Accuracy after minus accuracy before.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Number of images.
    pub n: u64,
    /// Two-sided p-value of McNemar's exact test that nothing changed; none for a mean.
    pub p: Option<f64>,
}

/// How the answers to the same images changed, counted.
///
/// The bootstrap over images only needs how often each change occurs, so nothing else is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paired {
    /// Images by the sum over comparisons of (right after) - (right before).
    changes: BTreeMap<i64, u64>,
    n_comparisons: u64,
    n: u64,
}

impl Difference {
    /// The difference of a model with itself on `n` images: exactly nothing.
    pub fn unchanged(n: u64) -> Self {
        Self {
            value: 0.0,
            low: 0.0,
            high: 0.0,
            n,
            p: Some(1.0),
        }
    }
}

impl Paired {
    /// Compares two models on the same images.
    ///
    /// # Errors
    /// [`Error::Size`] or [`Error::Labels`] if the images are not the same.
    pub fn new(before: &Predictions, after: &Predictions) -> Result<Self> {
        Self::shared(&[(before, after)])
    }

    /// Mean over several (before, after) comparisons on the same images, for instance of many
    /// patched models with the one they came from.
    ///
    /// An image is resampled with all its comparisons: they are not independent, and treating
    /// them as if they were would make the interval too narrow.
    ///
    /// # Errors
    /// [`Error::Empty`] without comparisons; [`Error::Size`] or [`Error::Labels`] if the images
    /// are not the same everywhere.
    pub fn shared(comparisons: &[(&Predictions, &Predictions)]) -> Result<Self> {
        let Some(&(first, _)) = comparisons.first() else {
            return Err(Error::Empty {
                what: "comparisons",
            });
        };
        let mut change = vec![0_i64; first.len()];
        for (before, after) in comparisons {
            check_same_images(first, before)?;
            check_same_images(first, after)?;
            for (change, (before, after)) in change
                .iter_mut()
                .zip(before.correct().into_iter().zip(after.correct()))
            {
                *change += i64::from(after) - i64::from(before);
            }
        }
        let mut changes = BTreeMap::new();
        for &change in &change {
            *changes.entry(change).or_default() += 1;
        }
        Ok(Self {
            changes,
            n_comparisons: comparisons.len() as u64,
            n: change.len() as u64,
        })
    }

    /// The difference, with the interval of [`mean_difference`] and, for a single comparison,
    /// McNemar's exact p-value.
    pub fn difference(&self, seed: u64) -> Difference {
        let (low, high) = interval(std::slice::from_ref(self), seed);
        let count = |change| self.changes.get(&change).copied().unwrap_or(0);
        let p = (self.n_comparisons == 1).then(|| fair_split(count(1), count(-1)));
        Difference {
            value: self.value(),
            low,
            high,
            n: self.n,
            p,
        }
    }

    /// Mean change of an image and comparison.
    fn value(&self) -> f64 {
        let total: i64 = self
            .changes
            .iter()
            .map(|(&change, &n)| change * n as i64)
            .sum();
        self.share(total)
    }

    fn share(&self, total: i64) -> f64 {
        total as f64 / (self.n * self.n_comparisons) as f64
    }

    /// [`Paired::value`] of as many images drawn with replacement.
    fn resample(&self, rng: &mut Rng) -> f64 {
        let (mut images_left, mut to_draw, mut total) = (self.n, self.n, 0);
        for (&change, &n) in &self.changes {
            let drawn = draw(rng, to_draw, n as f64 / images_left as f64);
            total += change * drawn as i64;
            images_left -= n;
            to_draw -= drawn;
        }
        self.share(total)
    }

    /// Largest plausible share of images with a change that was never seen: the exact 97.5 %
    /// bound for none of `n`.
    fn unseen(&self) -> f64 {
        1.0 - TAIL.powf(1.0 / self.n as f64)
    }
}

fn check_same_images(one: &Predictions, other: &Predictions) -> Result<()> {
    let (expected, actual) = (one.len(), other.len());
    if expected != actual {
        return Err(Error::Size {
            what: "images of a paired comparison",
            expected,
            actual,
        });
    }
    let mut labels = one.labels().iter().zip(other.labels()).enumerate();
    match labels.find(|(_, (before, after))| before != after) {
        None => Ok(()),
        Some((image, (&before, &after))) => Err(Error::Labels {
            image,
            before,
            after,
        }),
    }
}

/// Mean of the differences of several tasks, each with the same weight, with its interval.
///
/// Percentile bootstrap of 2,000 resamples: within each task, images are drawn with replacement
/// and independently of the other tasks. Tasks that share images belong into one
/// [`Paired::shared`]. Drawing the counts of each kind of change from their multinomial
/// distribution is the same as drawing images. Where every task showed only one kind of change,
/// resampling would give an interval of no width; it is then widened by the largest share of
/// other changes that so few images could have missed. `n` is the number of all images.
///
/// # Errors
/// [`Error::Empty`] without tasks.
pub fn mean_difference(tasks: &[Paired], seed: u64) -> Result<Difference> {
    if tasks.is_empty() {
        return Err(Error::Empty {
            what: "differences",
        });
    }
    let (low, high) = interval(tasks, seed);
    let n = tasks.iter().map(|task| task.n).sum();
    Ok(Difference {
        value: mean(tasks, Paired::value),
        low,
        high,
        n,
        p: None,
    })
}

fn mean(tasks: &[Paired], of: impl FnMut(&Paired) -> f64) -> f64 {
    tasks.iter().map(of).sum::<f64>() / tasks.len() as f64
}

fn interval(tasks: &[Paired], seed: u64) -> (f64, f64) {
    if tasks.iter().all(|task| task.changes.len() == 1) {
        let low = mean(tasks, |task| {
            task.value() - task.unseen() * (task.value() + 1.0)
        });
        let high = mean(tasks, |task| {
            task.value() + task.unseen() * (1.0 - task.value())
        });
        return (low, high);
    }
    let mut means = vec![0.0; N_RESAMPLES];
    for (task_idx, task) in tasks.iter().enumerate() {
        let mut rng = Rng::derive(seed, &[task_idx as u64]);
        for mean in &mut means {
            *mean += task.resample(&mut rng) / tasks.len() as f64;
        }
    }
    means.sort_by(f64::total_cmp);
    (quantile(&means, TAIL), quantile(&means, 1.0 - TAIL))
}

/// Linear interpolation between order statistics.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let place = q * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (place - below as f64) * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two classes, every label 0: right means the best class is 0.
    fn answers(right: &[bool]) -> Predictions {
        let ranked = right
            .iter()
            .flat_map(|&right| if right { [0, 1] } else { [1, 0] })
            .collect();
        Predictions::new(vec![0; right.len()], ranked, 2).unwrap()
    }

    /// A pair with these counts: both right, only before, only after, both wrong.
    fn pair(both: usize, only_before: usize, only_after: usize, neither: usize) -> Paired {
        let column = |parts: [(bool, usize); 4]| {
            let right: Vec<_> = parts
                .iter()
                .flat_map(|&(right, n)| std::iter::repeat_n(right, n))
                .collect();
            answers(&right)
        };
        let before = column([
            (true, both),
            (true, only_before),
            (false, only_after),
            (false, neither),
        ]);
        let after = column([
            (true, both),
            (false, only_before),
            (true, only_after),
            (false, neither),
        ]);
        Paired::new(&before, &after).unwrap()
    }

    #[test]
    fn value_and_p_by_hand() {
        let found = pair(50, 1, 9, 40).difference(1);
        assert!((found.value - 0.08).abs() < 1e-12);
        assert!((found.p.unwrap() - 22.0 / 1024.0).abs() < 1e-12);
        assert_eq!(found.n, 100);
        assert!(found.low > 0.0 && found.low < 0.08 && found.high > 0.08 && found.high < 0.16);
    }

    #[test]
    fn interval_agrees_with_the_normal_approximation() {
        // Variance of the mean change: (p01 + p10 - (p01 - p10)^2) / n.
        let found = pair(5_000, 1_000, 2_000, 2_000).difference(9);
        let half = 1.959_964 * ((0.3_f64 - 0.01) / 10_000.0).sqrt();
        assert!((found.low - (0.1 - half)).abs() < 0.08 * half, "{found:?}");
        assert!((found.high - (0.1 + half)).abs() < 0.08 * half, "{found:?}");
    }

    #[test]
    fn same_seed_same_interval_and_swapping_negates() {
        let (one, other) = (pair(60, 5, 15, 20), pair(60, 15, 5, 20));
        assert_eq!(one.difference(4), one.difference(4));
        assert_ne!(one.difference(4).low, one.difference(5).low);
        let (one, other) = (one.difference(4), other.difference(4));
        assert_eq!(one.value, -other.value);
        assert_eq!(one.p, other.p);
        assert!((one.low + other.high).abs() < 0.02 && (one.high + other.low).abs() < 0.02);
    }

    #[test]
    fn no_change_seen_is_not_certainty() {
        let same = pair(20, 0, 0, 10).difference(1);
        let bound = 1.0 - 0.025_f64.powf(1.0 / 30.0);
        assert_eq!((same.value, same.p), (0.0, Some(1.0)));
        assert!((same.high - bound).abs() < 1e-12 && (same.low + bound).abs() < 1e-12);
        let all = pair(0, 0, 30, 0).difference(1);
        assert!((all.low - (1.0 - 2.0 * bound)).abs() < 1e-12);
        assert_eq!((all.value, all.high), (1.0, 1.0));
    }

    #[test]
    fn different_images_are_refused() {
        let three = answers(&[true, false, true]);
        let two = answers(&[true, false]);
        let size = Paired::new(&three, &two);
        assert!(matches!(
            size,
            Err(Error::Size {
                expected: 3,
                actual: 2,
                ..
            })
        ));
        let other = Predictions::new(vec![0, 1], vec![0, 1, 1, 0], 2).unwrap();
        let labels = Paired::new(&two, &other);
        assert!(matches!(
            labels,
            Err(Error::Labels {
                image: 1,
                before: 0,
                after: 1
            })
        ));
        assert!(matches!(Paired::shared(&[]), Err(Error::Empty { .. })));
        assert!(matches!(mean_difference(&[], 1), Err(Error::Empty { .. })));
    }

    #[test]
    fn mean_over_tasks_weighs_tasks_and_narrows() {
        let (small, large) = (pair(20, 0, 20, 60), pair(500, 100, 100, 300));
        let found = mean_difference(&[small.clone(), large], 3).unwrap();
        assert!((found.value - 0.1).abs() < 1e-12);
        assert_eq!((found.n, found.p), (1_100, None));
        let single = small.difference(3);
        let four = mean_difference(&vec![small; 4], 3).unwrap();
        let ratio = (four.high - four.low) / (single.high - single.low);
        assert!((ratio - 0.5).abs() < 0.06, "{ratio}");
    }

    #[test]
    fn shared_images_do_not_narrow_when_models_agree() {
        let before = answers(&[[true; 60].as_slice(), &[false; 40]].concat());
        let after = answers(&[[false; 5].as_slice(), &[true; 75], &[false; 20]].concat());
        let one = Paired::new(&before, &after).unwrap().difference(2);
        let four = Paired::shared(&[(&before, &after); 4])
            .unwrap()
            .difference(2);
        assert!((one.value - four.value).abs() < 1e-12);
        assert!((one.low - four.low).abs() < 1e-12 && (one.high - four.high).abs() < 1e-12);
        assert_eq!((four.n, four.p), (100, None));
    }

    #[test]
    fn intervals_cover_at_about_the_stated_rate() {
        // True probabilities: 10 % lost, 25 % gained, so the true difference is 0.15.
        let (n_trials, n) = (600, 200);
        let mut rng = Rng::new(17);
        let mut n_covered = 0;
        for trial in 0..n_trials {
            let mut counts = [0; 3];
            for _ in 0..n {
                let u = rng.uniform();
                counts[if u < 0.10 {
                    0
                } else if u < 0.35 {
                    1
                } else {
                    2
                }] += 1;
            }
            let found = pair(counts[2], counts[0], counts[1], 0).difference(trial);
            n_covered += usize::from(found.low <= 0.15 && 0.15 <= found.high);
        }
        let rate = n_covered as f64 / n_trials as f64;
        assert!((0.925..=0.975).contains(&rate), "{rate}");
    }
}
