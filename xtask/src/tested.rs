//! Test answers of one way of patching on several tasks, by one model or by one per task.

use anyhow::Result;
use paint_eval::{
    Difference, Paired, Predictions, Proportion, mean_difference, mean_proportion,
    mean_proportion_shared,
};

/// A task's name and the answers of every model to its test images.
pub(crate) type OfTask<'a> = (&'a str, Vec<Predictions>);

/// Answers to test images.
pub(crate) struct Tested<'a> {
    /// Of the tasks patched on: one model's, for it is one model or the task's own specialist.
    pub(crate) patching: Vec<OfTask<'a>>,
    /// Of the supported tasks: the one model's, or every specialist's.
    pub(crate) supported: Vec<OfTask<'a>>,
}

impl Tested<'_> {
    /// Mean accuracy over the tasks patched on.
    pub(crate) fn patching(&self) -> Result<Proportion> {
        mean(&self.patching)
    }

    /// Mean accuracy over the supported tasks and the models.
    pub(crate) fn supported(&self) -> Result<Proportion> {
        mean(&self.supported)
    }

    /// Mean of the two means.
    pub(crate) fn combined(&self) -> Result<Proportion> {
        Ok(mean_proportion(&[self.patching()?, self.supported()?])?)
    }

    /// The difference of the combined accuracies, paired.
    pub(crate) fn minus(&self, other: &Self) -> Result<Difference> {
        Ok(mean_difference(&[
            minus(&self.patching, &other.patching)?,
            minus(&self.supported, &other.supported)?,
        ])?)
    }

    /// The answers to a task's images; none if it is not one of these.
    pub(crate) fn answers(&self, task: &str) -> &[Predictions] {
        let mut tasks = self.patching.iter().chain(&self.supported);
        let found = tasks.find(|(name, _)| *name == task);
        found.map_or(&[], |(_, answers)| answers)
    }
}

fn mean(tasks: &[OfTask<'_>]) -> Result<Proportion> {
    let of_task = |(_, answers): &OfTask<'_>| {
        let accuracies: Vec<Proportion> = answers.iter().map(Predictions::accuracy).collect();
        mean_proportion_shared(&accuracies)
    };
    let means = tasks.iter().map(of_task).collect::<Result<Vec<_>, _>>()?;
    Ok(mean_proportion(&means)?)
}

fn minus(these: &[OfTask<'_>], others: &[OfTask<'_>]) -> Result<Difference> {
    let of_task = |((_, these), (_, others)): (&OfTask<'_>, &OfTask<'_>)| {
        // One model is compared with every specialist.
        let n = these.len().max(others.len());
        let at = |all: &[Predictions], i: usize| if all.len() == 1 { 0 } else { i };
        let pairs: Vec<(&Predictions, &Predictions)> = (0..n)
            .map(|i| (&others[at(others, i)], &these[at(these, i)]))
            .collect();
        Ok(Paired::shared(&pairs)?.difference())
    };
    let differences = these
        .iter()
        .zip(others)
        .map(of_task)
        .collect::<Result<Vec<_>>>()?;
    Ok(mean_difference(&differences)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two classes, every label 0: right means that the best class is 0.
    fn answers(right: &[bool]) -> Predictions {
        let of = |&right: &bool| if right { [0, 1] } else { [1, 0] };
        Predictions::new(vec![0; right.len()], right.iter().flat_map(of).collect(), 2).unwrap()
    }

    #[test]
    fn one_model_is_compared_with_the_mean_of_the_specialists() {
        let (all, half, none) = (
            answers(&[true; 4]),
            answers(&[true, true, false, false]),
            answers(&[false; 4]),
        );
        let joint = Tested {
            patching: vec![("a", vec![half.clone()]), ("b", vec![half.clone()])],
            supported: vec![("s", vec![all.clone()])],
        };
        let specialists = Tested {
            patching: vec![("a", vec![all.clone()]), ("b", vec![half.clone()])],
            supported: vec![("s", vec![half, none])],
        };
        let close =
            |found: f64, expected: f64| assert!((found - expected).abs() < 1e-12, "{found}");
        close(specialists.patching().unwrap().value, 0.75);
        close(specialists.supported().unwrap().value, 0.25);
        close(joint.combined().unwrap().value, 0.75);
        close(joint.minus(&specialists).unwrap().value, 0.25);
        close(joint.minus(&joint).unwrap().value, 0.0);
        assert_eq!(specialists.answers("s").len(), 2);
        assert!(specialists.answers("t").is_empty());
    }
}
