//! Choosing among trained classifiers on validation data.

use paint_eval::Proportion;

use crate::{
    Classifier, GroupMetrics, GroupedSamples, Groups, Result, Samples, metrics::worst_class,
};

/// By what a classifier was chosen: a number without it means little.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SelectedBy {
    /// Worst-group accuracy, which needs group labels on validation.
    WorstGroup,
    /// Worst-class accuracy, which does not (Yang et al. 2023, "Change is hard").
    WorstClass,
    /// Mean accuracy.
    Mean,
}

impl std::fmt::Display for SelectedBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::WorstGroup => "worst group on validation",
            Self::WorstClass => "worst class on validation",
            Self::Mean => "mean on validation",
        })
    }
}

/// The best candidate in one selector's eyes.
#[derive(Clone, Debug)]
pub struct Selected {
    /// The selector.
    pub by: SelectedBy,
    /// What it saw on validation.
    pub score: Proportion,
    /// Hyperparameters and epoch of the candidate.
    pub settings: String,
    /// The candidate.
    pub classifier: Classifier,
}

/// Validation data and the best candidate so far, for every selector at once.
///
/// Training offers each epoch; of equals the first stays. Without groups there is no worst-group
/// selector, and none of the data is test data.
#[derive(Debug)]
pub struct Selection<'a> {
    validation: Samples<'a>,
    groups: Option<&'a Groups>,
    best: Vec<Selected>,
    /// The last block and the embeddings under it: many candidates share theirs.
    embedded: Option<(Vec<f32>, Vec<f32>)>,
}

impl<'a> Selection<'a> {
    /// The two selectors that see no group labels.
    #[must_use]
    pub fn without_groups(validation: Samples<'a>) -> Self {
        Self {
            validation,
            groups: None,
            best: Vec::new(),
            embedded: None,
        }
    }

    /// All three selectors.
    #[must_use]
    pub fn with_groups(validation: &'a GroupedSamples<'a>) -> Self {
        Self {
            groups: Some(validation.groups()),
            ..Self::without_groups(validation.samples().clone())
        }
    }

    /// Looks at a candidate and keeps it where it is better than those before.
    ///
    /// # Errors
    /// If the classifier has other sizes than the validation data.
    pub fn offer(&mut self, candidate: &Classifier, settings: &str) -> Result<()> {
        let predicted = self.predict(candidate)?;
        let labels = self.validation.labels();
        let n_right = predicted.iter().zip(labels).filter(|(p, l)| p == l).count() as u64;
        let mean = Proportion::new(n_right, labels.len() as u64)?;
        let of_class = worst_class(&predicted, labels, self.validation.n_classes())?;
        let mut scores = vec![(SelectedBy::Mean, mean), (SelectedBy::WorstClass, of_class)];
        if let Some(groups) = self.groups {
            let (_, worst) = GroupMetrics::new(&predicted, groups)?.worst();
            scores.push((SelectedBy::WorstGroup, worst));
        }
        for (by, score) in scores {
            if self.is_beaten(by, &score) {
                self.keep(Selected {
                    by,
                    score,
                    settings: settings.to_owned(),
                    classifier: candidate.clone(),
                });
            }
        }
        Ok(())
    }

    /// Takes over the other's winners where they are better, as if their candidates had been
    /// offered here; both must be on the same validation data.
    pub fn merge(&mut self, other: Self) {
        for selected in other.best {
            if self.is_beaten(selected.by, &selected.score) {
                self.keep(selected);
            }
        }
    }

    fn is_beaten(&self, by: SelectedBy, score: &Proportion) -> bool {
        self.by(by)
            .is_none_or(|best| best.score.value < score.value)
    }

    fn keep(&mut self, selected: Selected) {
        self.best.retain(|best| best.by != selected.by);
        self.best.push(selected);
    }

    fn predict(&mut self, candidate: &Classifier) -> Result<Vec<u32>> {
        let known = self
            .embedded
            .take()
            .filter(|(block, _)| *block == candidate.block);
        let (block, unit) = match known {
            Some(known) => known,
            None => (candidate.block.clone(), candidate.embed(&self.validation)?),
        };
        let classes = candidate.classes(&unit);
        self.embedded = Some((block, unit));
        Ok(classes)
    }

    /// The winners, one for each selector; none if nothing was offered.
    #[must_use]
    pub fn selected(&self) -> &[Selected] {
        &self.best
    }

    /// The winner of one selector.
    #[must_use]
    pub fn by(&self, by: SelectedBy) -> Option<&Selected> {
        self.best.iter().find(|best| best.by == by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Attribute;

    /// Two candidates on the plane: one looks at the first axis, one at the second.
    #[test]
    fn selectors_differ_and_the_first_of_equals_stays() {
        // Class 0 points left, class 1 right, but for one sample of a rare group, which lies higher.
        let values = [-1.0, 1.0, -1.0, 1.0, 1.0, 1.0, 1.0, 0.9, 1.0, 0.4];
        let labels = [0, 0, 0, 1, 1];
        let samples = Samples::new(&values, 2, &labels, 2).unwrap();
        let attribute = Attribute {
            name: "a",
            values: &[0, 0, 1, 1, 1],
            n_values: 2,
        };
        let groups = Groups::new(&labels, 2, attribute).unwrap();
        let grouped = GroupedSamples::new(samples.clone(), &groups).unwrap();
        let mut selection = Selection::with_groups(&grouped);
        let by_first = Classifier::zero_shot(&[-1.0, 0.0, 1.0, 0.0], 2).unwrap();
        let by_both = Classifier::zero_shot(&[0.0, 1.0, 1.0, -0.4], 2).unwrap();
        selection.offer(&by_first, "first").unwrap();
        selection.offer(&by_first, "again").unwrap();
        selection.offer(&by_both, "both").unwrap();
        let winner = |by| &selection.by(by).unwrap().settings;
        assert_eq!(winner(SelectedBy::Mean), "first");
        assert_eq!(winner(SelectedBy::WorstClass), "first");
        assert_eq!(winner(SelectedBy::WorstGroup), "both");
        let worst = selection.by(SelectedBy::WorstGroup).unwrap().score;
        assert_eq!((worst.value, worst.n), (0.5, 2));
        assert_eq!(selection.selected().len(), 3);

        let mut merged = Selection::with_groups(&grouped);
        merged.offer(&by_both, "both").unwrap();
        merged.merge(selection);
        let winner = |by| &merged.by(by).unwrap().settings;
        // Both are right on four of five: the first that was offered stays.
        assert_eq!(winner(SelectedBy::Mean), "both");
        assert_eq!(winner(SelectedBy::WorstClass), "first");
        assert_eq!(merged.selected().len(), 3);
        let mut blind = Selection::without_groups(samples);
        blind.offer(&by_first, "first").unwrap();
        assert!(blind.by(SelectedBy::WorstGroup).is_none());
        assert_eq!(blind.by(SelectedBy::Mean).unwrap().score.value, 0.8);
        let worst = blind.by(SelectedBy::WorstClass).unwrap().score;
        assert_eq!((worst.value, worst.n), (2.0 / 3.0, 3));
    }
}
