//! Differences between two models on the same images.

use crate::{
    Error, Predictions, Result,
    binomial::{fair_split, limits, student_t},
    proportion::mean_with_interval,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A change of accuracy, or of an area, with its 95 % interval, as a fraction: 0.01 is one point.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// After minus before.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Number of images.
    pub n: u64,
    /// Two-sided p-value of McNemar's exact test that nothing changed; none for means and areas.
    pub p: Option<f64>,
}

/// Before minus after.
impl std::ops::Neg for Difference {
    type Output = Self;

    fn neg(self) -> Self {
        Self {
            value: -self.value,
            low: -self.high,
            high: -self.low,
            ..self
        }
    }
}

/// How the answers to the same images changed, counted.
///
/// The interval only needs how often each change occurs, so nothing else is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Paired {
    /// Images by the sum over comparisons of (right after) - (right before).
    changes: BTreeMap<i64, u64>,
    /// Comparisons an image, on average.
    n_comparisons: f64,
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
    /// [`Error::Size`], [`Error::Labels`] or [`Error::Images`] if the images are not the same.
    pub fn new(before: &Predictions, after: &Predictions) -> Result<Self> {
        Self::shared(&[(before, after)])
    }

    /// Mean over several (before, after) comparisons on the same images, for instance of many
    /// patched models with the one they came from.
    ///
    /// An image counts once, with the mean of its changes: its comparisons are not independent,
    /// and treating them as if they were would make the interval too narrow.
    ///
    /// # Errors
    /// [`Error::Empty`] without comparisons; [`Error::Size`], [`Error::Labels`] or
    /// [`Error::Images`] if the images are not the same everywhere.
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
        Ok(Self::of_changes(&change, comparisons.len() as f64))
    }

    /// Mean over the answers of several (rows, before, after) comparisons on overlapping sets of
    /// images, for instance on random halves of a task's classes; `rows` says which image of the
    /// whole each one is, and each answer has the same weight.
    ///
    /// As in [`Paired::shared`], an image counts once, however often it comes.
    ///
    /// # Errors
    /// [`Error::Empty`] without comparisons; [`Error::Size`], [`Error::Labels`] or
    /// [`Error::Images`] if before and after are not of the images that `rows` names.
    pub fn overlapping(comparisons: &[(&[u32], &Predictions, &Predictions)]) -> Result<Self> {
        let mut changes: BTreeMap<u32, i64> = BTreeMap::new();
        let mut n_answers = 0;
        for (rows, before, after) in comparisons {
            check_same_images(before, after)?;
            let (expected, actual) = (before.len(), rows.len());
            if expected != actual {
                return Err(Error::Size {
                    what: "rows of a paired comparison",
                    expected,
                    actual,
                });
            }
            let answers = before.correct().into_iter().zip(after.correct());
            for (&row, (before, after)) in rows.iter().zip(answers) {
                *changes.entry(row).or_default() += i64::from(after) - i64::from(before);
            }
            n_answers += rows.len();
        }
        if changes.is_empty() {
            return Err(Error::Empty {
                what: "comparisons",
            });
        }
        let per_image = n_answers as f64 / changes.len() as f64;
        let changes: Vec<i64> = changes.into_values().collect();
        Ok(Self::of_changes(&changes, per_image))
    }

    fn of_changes(of_images: &[i64], n_comparisons: f64) -> Self {
        let mut changes = BTreeMap::new();
        for &change in of_images {
            *changes.entry(change).or_default() += 1;
        }
        Self {
            changes,
            n_comparisons,
            n: of_images.len() as u64,
        }
    }

    /// The difference, with its interval and, for a single comparison, McNemar's exact p-value.
    ///
    /// Gains and losses get exact limits (Clopper & Pearson 1934; of means over several
    /// comparisons, Fay & Feuer 1997), and the limits of their difference follow by squaring and
    /// adding (Zou 2007, "Toward using confidence intervals to compare correlations"; Newcombe 1998
    /// does so for accuracies). Resampling the images instead would be too sure where few of them
    /// changed: of 3 gains and no loss among 2,000 it makes 0 to 7 images, this -1.4 to 8.8. Where
    /// many changed, the interval is that of the normal distribution, a few per cent wider.
    pub fn difference(&self) -> Difference {
        let (gain, loss) = (self.share(1), self.share(-1));
        let value = gain.mean - loss.mean;
        let correlation = gain.correlation(&loss);
        let distance = |a: f64, b: f64| (a * a + b * b - 2.0 * correlation * a * b).max(0.0).sqrt();
        let below = distance(gain.mean - gain.low, loss.high - loss.mean);
        let above = distance(gain.high - gain.mean, loss.mean - loss.low);
        let count = |change| self.changes.get(&change).copied().unwrap_or(0);
        let p = (self.n_comparisons == 1.0).then(|| fair_split(count(1), count(-1)));
        Difference {
            value,
            low: (value - below).max(-1.0),
            high: (value + above).min(1.0),
            n: self.n,
            p,
        }
    }

    /// Standard error of the difference, a fraction: that of the mean of the images' changes.
    pub fn standard_error(&self) -> f64 {
        let mean_of = |power: i32| {
            let term = |(&change, &n): (&i64, &u64)| {
                n as f64 * (change as f64 / self.n_comparisons).powi(power)
            };
            self.changes.iter().map(term).sum::<f64>() / self.n as f64
        };
        ((mean_of(2) - mean_of(1).powi(2)).max(0.0) / self.n as f64).sqrt()
    }

    /// The changes of one sign, 1 or -1, as a share of all answers.
    fn share(&self, sign: i64) -> Share {
        let (mut sum, mut squares) = (0, 0);
        for (&change, &n) in self
            .changes
            .iter()
            .filter(|(change, _)| change.signum() == sign)
        {
            sum += change.unsigned_abs() * n;
            squares += change.unsigned_abs().pow(2) * n;
        }
        let (n, n_comparisons) = (self.n as f64, self.n_comparisons);
        let (sum, squares) = (
            sum as f64 / n_comparisons,
            squares as f64 / n_comparisons.powi(2),
        );
        let (low, high) = limits(sum, squares, n);
        Share {
            mean: sum / n,
            low,
            high,
            variance: squares / n - (sum / n).powi(2),
        }
    }
}

/// Mean gain, or loss, of an image: a fraction in [0, 1] with its 95 % limits.
struct Share {
    mean: f64,
    low: f64,
    high: f64,
    /// Of a single image.
    variance: f64,
}

impl Share {
    /// Of two shares no image is part of both, so that the more there is of one, the less there
    /// can be of the other.
    fn correlation(&self, other: &Self) -> f64 {
        match self.mean * other.mean {
            0.0 => 0.0,
            product => -product / (self.variance * other.variance).sqrt(),
        }
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
    if let (Some(before), Some(after)) = (one.images(), other.images())
        && before != after
    {
        return Err(Error::Images {
            before: before.to_owned(),
            after: after.to_owned(),
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

/// Mean of independent differences, each with the same weight, and its interval.
///
/// The intervals add up as in [`mean_proportion`](crate::mean_proportion). Differences on the same
/// images are not independent: they belong into one [`Paired::shared`]. `n` is the number of all
/// images.
///
/// # Errors
/// [`Error::Empty`] if there are none.
pub fn mean_difference(parts: &[Difference]) -> Result<Difference> {
    if parts.is_empty() {
        return Err(Error::Empty {
            what: "differences",
        });
    }
    let (value, low, high) = mean_with_interval(parts.iter().map(|d| (d.value, d.low, d.high)));
    Ok(Difference {
        value,
        low: low.max(-1.0),
        high: high.min(1.0),
        n: parts.iter().map(|part| part.n).sum(),
        p: None,
    })
}

/// Mean of a difference over seeds on the same images. Its interval has two parts, whose squares add
/// up: Student's interval of the mean over seeds, and the seeds' own intervals, averaged, for the
/// images are shared. One seed says nothing of others and keeps its own interval.
///
/// # Errors
/// [`Error::Empty`] if there are none.
pub fn mean_over_seeds(seeds: &[Difference]) -> Result<Difference> {
    let Some((&first, rest)) = seeds.split_first() else {
        return Err(Error::Empty {
            what: "differences",
        });
    };
    if rest.is_empty() {
        return Ok(first);
    }
    let n = seeds.len() as f64;
    let value = seeds.iter().map(|d| d.value).sum::<f64>() / n;
    let squares: f64 = seeds.iter().map(|d| (d.value - value).powi(2)).sum();
    let of_seeds = student_t(n - 1.0) * (squares / (n - 1.0) / n).sqrt();
    let mean = |of: fn(&Difference) -> f64| seeds.iter().map(of).sum::<f64>() / n;
    let (below, above) = (mean(|d| d.value - d.low), mean(|d| d.high - d.value));
    Ok(Difference {
        value,
        low: (value - of_seeds.hypot(below)).max(-1.0),
        high: (value + of_seeds.hypot(above)).min(1.0),
        n: first.n,
        p: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use paint_data::Rng;

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
    fn the_other_way_round_the_interval_turns() {
        let difference = Difference {
            value: 0.1,
            low: -0.2,
            high: 0.3,
            n: 5,
            p: Some(0.4),
        };
        let turned = -difference;
        assert_eq!((turned.value, turned.low, turned.high), (-0.1, -0.3, 0.2));
        assert_eq!((turned.n, turned.p), (5, Some(0.4)));
    }

    #[test]
    fn standard_error_by_hand() {
        let error = pair(50, 1, 9, 40).standard_error();
        assert!(
            (error - (0.0936_f64 / 100.0).sqrt()).abs() < 1e-12,
            "{error}"
        );
        assert_eq!(pair(3, 0, 0, 4).standard_error(), 0.0);
    }

    #[test]
    fn value_and_p_by_hand() {
        let found = pair(50, 1, 9, 40).difference();
        assert!((found.value - 0.08).abs() < 1e-12);
        assert!((found.p.unwrap() - 22.0 / 1024.0).abs() < 1e-12);
        assert_eq!(found.n, 100);
        assert!(found.low > 0.0 && found.low < 0.08 && found.high > 0.08 && found.high < 0.18);
    }

    #[test]
    fn seeds_by_hand() {
        let of = |value: f64| Difference {
            value,
            low: value - 0.3,
            high: value + 0.4,
            n: 70,
            p: Some(0.1),
        };
        assert_eq!(mean_over_seeds(&[of(0.2)]).unwrap(), of(0.2));
        // Deviation 0.1, t = 4.302653 with two degrees of freedom.
        let found = mean_over_seeds(&[of(0.1), of(0.2), of(0.3)]).unwrap();
        let half = 4.302_653 * 0.1 / 3_f64.sqrt();
        assert!((found.value - 0.2).abs() < 1e-12 && found.n == 70);
        assert!(
            (found.high - found.value - half.hypot(0.4)).abs() < 1e-6,
            "{found:?}"
        );
        assert!(
            (found.value - found.low - half.hypot(0.3)).abs() < 1e-6,
            "{found:?}"
        );
        let alike = mean_over_seeds(&[of(0.2); 3]).unwrap();
        assert!((alike.low + 0.1).abs() < 1e-9, "images alone: {alike:?}");
        assert!(mean_over_seeds(&[]).is_err());
    }

    #[test]
    fn an_image_counts_once_however_often_it_comes() {
        let (wrong, right) = (answers(&[false; 4]), answers(&[true, false, true, false]));
        let all = [0, 1, 2, 3];
        let whole = |n: usize| {
            let comparisons = vec![(&all[..], &wrong, &right); n];
            Paired::overlapping(&comparisons).unwrap().difference()
        };
        assert_eq!(whole(1), Paired::new(&wrong, &right).unwrap().difference());
        let twice = Paired::shared(&[(&wrong, &right), (&wrong, &right)]).unwrap();
        assert_eq!(whole(2), twice.difference());
        // Four answers to one pair of images, two of them again: 3 of 6 answers got right.
        let half = answers(&[true, false]);
        let comparisons = [
            (&all[..], &wrong, &right),
            (&[2, 9][..], &answers(&[false, false]), &half),
        ];
        let found = Paired::overlapping(&comparisons).unwrap().difference();
        assert!((found.value - 0.5).abs() < 1e-12, "{found:?}");
        assert_eq!(found.n, 5);
        let short = [(&all[..3], &wrong, &right)];
        assert!(Paired::overlapping(&short).is_err() && Paired::overlapping(&[]).is_err());
    }

    #[test]
    fn interval_agrees_with_the_normal_approximation() {
        // Variance of the mean change: (p01 + p10 - (p01 - p10)^2) / n.
        let found = pair(5_000, 1_000, 2_000, 2_000).difference();
        let half = 1.959_964 * ((0.3_f64 - 0.01) / 10_000.0).sqrt();
        assert!((found.low - (0.1 - half)).abs() < 0.02 * half, "{found:?}");
        assert!((found.high - (0.1 + half)).abs() < 0.02 * half, "{found:?}");
    }

    #[test]
    fn intervals_of_rare_changes_match_poisson_limits_by_hand() {
        // Exact 95 % limits of Poisson means (Garwood 1936): 0 to 3.689 for none, 0.619 to 8.767
        // for 3, 1.623 to 11.668 for 5; of 20,000 images the binomial ones are as good as those.
        let check = |lost, gained, low: f64, high: f64| {
            let n = 20_000;
            let found = pair(0, lost, gained, n - lost - gained).difference();
            let (found_low, found_high) = (found.low * n as f64, found.high * n as f64);
            assert!((found_low - low).abs() < 0.01, "{lost}:{gained} {found:?}");
            assert!(
                (found_high - high).abs() < 0.01,
                "{lost}:{gained} {found:?}"
            );
        };
        check(0, 0, -3.689, 3.689);
        check(0, 3, 3.0 - 2.381_f64.hypot(3.689), 8.767);
        check(3, 0, -8.767, -3.0 + 2.381_f64.hypot(3.689));
        check(
            3,
            5,
            2.0 - 3.377_f64.hypot(5.767),
            2.0 + 6.668_f64.hypot(2.381),
        );
    }

    #[test]
    fn the_interval_holds_zero_where_mcnemars_test_finds_nothing() {
        for lost in 0..25 {
            for gained in 0..25 {
                let found = pair(0, lost, gained, 2_000).difference();
                let nothing = found.low <= 0.0 && 0.0 <= found.high;
                match found.p.unwrap() {
                    // The two differ a little on what is just 5 %.
                    0.05..0.065 => {}
                    p => assert_eq!(nothing, p > 0.05, "{lost}:{gained} {found:?}"),
                }
            }
        }
    }

    #[test]
    fn swapping_negates() {
        let one = pair(60, 5, 15, 20).difference();
        let other = pair(60, 15, 5, 20).difference();
        assert_eq!((one.value, one.p), (-other.value, other.p));
        assert_eq!((one.low, one.high), (-other.high, -other.low));
    }

    #[test]
    fn no_change_seen_is_not_certainty() {
        let same = pair(20, 0, 0, 10).difference();
        let bound = 1.0 - 0.025_f64.powf(1.0 / 30.0);
        assert_eq!((same.value, same.p), (0.0, Some(1.0)));
        assert!((same.high - bound).abs() < 1e-12 && (same.low + bound).abs() < 1e-12);
        let all = pair(0, 0, 30, 0).difference();
        assert!((all.low - (1.0 - 2_f64.sqrt() * bound)).abs() < 1e-12);
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
        assert!(matches!(mean_difference(&[]), Err(Error::Empty { .. })));
    }

    #[test]
    fn mean_over_tasks_weighs_tasks_and_narrows() {
        let small = pair(20, 0, 20, 60).difference();
        let large = pair(500, 100, 100, 300).difference();
        let found = mean_difference(&[small, large]).unwrap();
        assert!((found.value - 0.1).abs() < 1e-12);
        assert_eq!((found.n, found.p), (1_100, None));
        let four = mean_difference(&[small; 4]).unwrap();
        let ratio = (four.high - four.low) / (small.high - small.low);
        assert!((ratio - 0.5).abs() < 1e-12, "{ratio}");
    }

    #[test]
    fn predictions_of_other_images_are_refused() {
        let of = |key: &str| answers(&[true, false]).of_images(key);
        let images = Paired::new(&of("a"), &of("b"));
        assert!(
            matches!(&images, Err(Error::Images { before, after }) if before == "a" && after == "b")
        );
        assert!(Paired::shared(&[(&of("a"), &of("a")), (&of("a"), &of("b"))]).is_err());
        Paired::new(&of("a"), &of("a")).unwrap();
        // What does not say is compared by its labels.
        Paired::new(&of("a"), &answers(&[true, true])).unwrap();
    }

    #[test]
    fn shared_images_do_not_narrow_when_models_agree() {
        let before = answers(&[[true; 60].as_slice(), &[false; 40]].concat());
        let after = answers(&[[false; 5].as_slice(), &[true; 75], &[false; 20]].concat());
        let one = Paired::new(&before, &after).unwrap().difference();
        let four = Paired::shared(&[(&before, &after); 4])
            .unwrap()
            .difference();
        assert!((one.value - four.value).abs() < 1e-12);
        assert!((one.low - four.low).abs() < 1e-12 && (one.high - four.high).abs() < 1e-12);
        assert_eq!((four.n, four.p), (100, None));
    }

    /// How often the interval holds the true difference, of `n` images that each are lost or
    /// gained with these probabilities.
    fn coverage(n: usize, lost: f32, gained: f32) -> f64 {
        let n_trials = 600;
        let mut rng = Rng::new(17);
        let covers = |_| {
            let (mut n_lost, mut n_gained) = (0, 0);
            for _ in 0..n {
                match rng.uniform() {
                    u if u < lost => n_lost += 1,
                    u if u < lost + gained => n_gained += 1,
                    _ => {}
                }
            }
            let found = pair(n - n_lost - n_gained, n_lost, n_gained, 0).difference();
            let truth = f64::from(gained) - f64::from(lost);
            usize::from(found.low <= truth && truth <= found.high)
        };
        (0..n_trials).map(covers).sum::<usize>() as f64 / n_trials as f64
    }

    #[test]
    fn intervals_cover_at_the_stated_rate_and_rare_changes_above_it() {
        for (n, lost, gained) in [(200, 0.10, 0.25), (50, 0.05, 0.6)] {
            let rate = coverage(n, lost, gained);
            assert!((0.94..=0.985).contains(&rate), "{rate}");
        }
        for (n, lost, gained) in [(200, 0.005, 0.01), (200, 0.0, 0.015), (1_000, 0.002, 0.002)] {
            let rate = coverage(n, lost, gained);
            assert!(rate >= 0.96, "{n} {lost} {gained}: {rate}");
        }
    }
}
