//! Accuracy group by group.

use paint_eval::{Difference, Proportion, mean_proportion};

use crate::{Groups, Result, error::check_size};

/// Accuracies of the groups, with 95 % intervals, which are wide where a group is small.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupMetrics {
    /// Accuracy of each group; none for an empty one.
    pub groups: Vec<Option<Proportion>>,
    /// Accuracy over all samples.
    pub mean: Proportion,
}

/// A weighted mean of groups' accuracies, with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdjustedAverage {
    /// The mean, in [0, 1].
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

impl GroupMetrics {
    /// `predicted`: `[n]` classes, of the samples that `groups` describes.
    ///
    /// # Errors
    /// If the lengths differ.
    pub fn new(predicted: &[u32], groups: &Groups) -> Result<Self> {
        check_size(
            "predictions of samples",
            groups.of_sample().len(),
            predicted.len(),
        )?;
        let mut counts = vec![(0, 0); groups.n_groups()];
        for (&predicted, &group) in predicted.iter().zip(groups.of_sample()) {
            let (n_right, n) = &mut counts[group as usize];
            *n_right += u64::from(predicted == groups.parts(group as usize).0);
            *n += 1;
        }
        let n_right = counts.iter().map(|&(n_right, _)| n_right).sum();
        Ok(Self {
            groups: counts
                .into_iter()
                .map(|(n_right, n)| Proportion::new(n_right, n).ok())
                .collect(),
            mean: Proportion::new(n_right, predicted.len() as u64)?,
        })
    }

    /// The group that fares worst, and its accuracy; empty groups are not looked at, and of equals
    /// it is the first.
    #[must_use]
    pub fn worst(&self) -> (usize, Proportion) {
        let present = self.groups.iter().enumerate();
        let present = present.filter_map(|(group, accuracy)| Some((group, (*accuracy)?)));
        let least = present.min_by(|a, b| a.1.value.total_cmp(&b.1.value));
        least.unwrap_or((0, self.mean))
    }

    /// Mean accuracy minus the worst group's.
    #[must_use]
    pub fn gap(&self) -> f64 {
        self.mean.value - self.worst().1.value
    }

    /// This worst group's accuracy minus the other's, which may be of another group: the interval
    /// joins the two as if they were independent (Zou & Donner 2008). `n` counts the images of one
    /// group once.
    #[must_use]
    pub fn worst_minus(&self, other: &Self) -> Difference {
        let ((group, this), (other_group, other)) = (self.worst(), other.worst());
        let value = this.value - other.value;
        let below = (this.value - this.low).hypot(other.high - other.value);
        let above = (this.high - this.value).hypot(other.value - other.low);
        Difference {
            value,
            low: (value - below).max(-1.0),
            high: (value + above).min(1.0),
            n: match group == other_group {
                true => this.n,
                false => this.n + other.n,
            },
            p: None,
        }
    }

    /// Mean of the group accuracies, weighted by how frequent the groups are in *training*: what
    /// the mean would be if the test data were distributed like the training data.
    ///
    /// The interval adds the groups' own (Zou & Donner 2008), as [`mean_proportion`] does.
    ///
    /// # Errors
    /// If the groups are others, or one that occurs in training has no samples here.
    pub fn adjusted_average(&self, training: &Groups) -> Result<AdjustedAverage> {
        check_size("groups", training.n_groups(), self.groups.len())?;
        let n: usize = training.of_sample().len();
        let (mut value, mut below, mut above) = (0.0, 0.0, 0.0);
        for (group, count) in training.counts().into_iter().enumerate() {
            if count == 0 {
                continue;
            }
            let accuracy = self.groups[group].ok_or_else(|| {
                training.empty(group, " here but some in training", "the adjusted average")
            })?;
            let weight = count as f64 / n as f64;
            value += weight * accuracy.value;
            below += (weight * (accuracy.value - accuracy.low)).powi(2);
            above += (weight * (accuracy.high - accuracy.value)).powi(2);
        }
        Ok(AdjustedAverage {
            value,
            low: (value - below.sqrt()).max(0.0),
            high: (value + above.sqrt()).min(1.0),
        })
    }

    /// Mean of the accuracies of the groups that have samples, each with the same weight.
    ///
    /// # Errors
    /// None for metrics that [`GroupMetrics::new`] made.
    pub fn balanced(&self) -> Result<Proportion> {
        let present: Vec<Proportion> = self.groups.iter().flatten().copied().collect();
        Ok(mean_proportion(&present)?)
    }
}

/// Accuracy of the class that fares worst: needs labels, but no groups.
///
/// # Errors
/// If the lengths differ or there is no sample.
pub fn worst_class(predicted: &[u32], labels: &[u32], n_classes: usize) -> Result<Proportion> {
    check_size("predictions of samples", labels.len(), predicted.len())?;
    let mut counts = vec![(0, 0); n_classes];
    for (predicted, &label) in predicted.iter().zip(labels) {
        let (n_right, n) = &mut counts[label as usize];
        *n_right += u64::from(*predicted == label);
        *n += 1;
    }
    let accuracies = counts
        .into_iter()
        .filter_map(|(n_right, n)| Proportion::new(n_right, n).ok());
    let least = accuracies.min_by(|a, b| a.value.total_cmp(&b.value));
    least.ok_or(crate::Error::Empty { what: "samples" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Attribute;

    fn groups(labels: &[u32], values: &[u32]) -> Groups {
        let attribute = Attribute {
            name: "place",
            values,
            n_values: 2,
        };
        Groups::new(labels, 2, attribute).unwrap()
    }

    #[test]
    fn by_hand() {
        // Groups (0,0): 2 of 2; (0,1): 1 of 2; (1,0): none there; (1,1): 3 of 4.
        let test = groups(&[0, 0, 0, 0, 1, 1, 1, 1], &[0, 0, 1, 1, 1, 1, 1, 1]);
        let metrics = GroupMetrics::new(&[0, 0, 0, 1, 1, 1, 1, 0], &test).unwrap();
        let values: Vec<_> = metrics.groups.iter().map(|g| g.map(|p| p.value)).collect();
        assert_eq!(values, [Some(1.0), Some(0.5), None, Some(0.75)]);
        assert_eq!((metrics.mean.value, metrics.gap()), (0.75, 0.25));
        assert_eq!(metrics.worst(), (1, Proportion::new(1, 2).unwrap()));
        assert_eq!(metrics.balanced().unwrap().value, 0.75);
        // Training: 3 of (0,0), 1 of (1,1).
        let training = groups(&[0, 0, 0, 1], &[0, 0, 0, 1]);
        let adjusted = metrics.adjusted_average(&training).unwrap();
        assert_eq!(adjusted.value, 0.75 + 0.25 * 0.75);
        assert!(adjusted.low < 0.8 && adjusted.high > 0.95 && adjusted.high <= 1.0);
        let training = groups(&[0, 1], &[1, 0]);
        let error = metrics.adjusted_average(&training).unwrap_err().to_string();
        assert!(
            error.contains("class 1 with attribute 0 has no samples here"),
            "{error}"
        );
        assert!(GroupMetrics::new(&[0], &test).is_err());
    }

    #[test]
    fn worst_groups_are_compared() {
        let test = groups(&[0, 0, 0, 0, 1, 1, 1, 1], &[0, 0, 1, 1, 0, 0, 1, 1]);
        let of = |predicted: &[u32]| GroupMetrics::new(predicted, &test).unwrap();
        let (better, worse) = (of(&[0, 0, 0, 1, 1, 1, 1, 1]), of(&[0, 0, 0, 0, 0, 0, 1, 1]));
        let difference = better.worst_minus(&worse);
        assert_eq!((difference.value, difference.n), (0.5, 4));
        assert!(
            difference.low < 0.0 && difference.high > 0.5,
            "{difference:?}"
        );
        let back = worse.worst_minus(&better);
        assert_eq!((back.value, back.low), (-0.5, -difference.high));
        // Both are worst in the third group, of two images.
        let still_worse = of(&[0, 0, 0, 1, 0, 0, 1, 1]);
        assert_eq!(worse.worst_minus(&still_worse).n, 2);
    }

    #[test]
    fn small_groups_have_wide_intervals() {
        let test = groups(&[0, 0, 1], &[0, 1, 1]);
        let metrics = GroupMetrics::new(&[0, 0, 1], &test).unwrap();
        assert!(metrics.worst().1.low < 0.21);
    }

    #[test]
    fn worst_class_needs_no_groups() {
        let worst = worst_class(&[0, 1, 1, 1], &[0, 0, 1, 1], 3).unwrap();
        assert_eq!((worst.value, worst.n), (0.5, 2));
        assert!(worst_class(&[], &[], 2).is_err() && worst_class(&[0], &[0, 1], 2).is_err());
    }
}
