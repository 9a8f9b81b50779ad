//! The oracle that trains on group labels.

use crate::{
    Classifier, GroupedSamples, Result, Selection, SgdConfig,
    classifier::{Forward, cross_entropy},
    descent::{Gradient, descend},
    error::check_setting,
};

/// Group distributionally robust optimisation: each group's mean loss has a weight that grows with
/// it by `exp(step · loss)`. The public code's step is 0.01. **Sees the groups of training.**
///
/// Source: Sagawa et al. 2020, "Distributionally robust neural networks for group shifts".
///
/// # Errors
/// As [`erm`](crate::erm), and [`EmptyGroup`](crate::Error::EmptyGroup).
pub fn group_dro(
    start: &Classifier,
    train: &GroupedSamples<'_>,
    step: f64,
    config: &SgdConfig,
    selection: Option<&mut Selection<'_>>,
) -> Result<Classifier> {
    check_setting(
        "step",
        step,
        step.is_finite() && step > 0.0,
        "must be above 0",
    )?;
    let n_groups = train.groups().rows("group DRO")?.len();
    let mut weights = vec![1.0 / n_groups as f64; n_groups];
    let (samples, of_sample) = (train.samples(), train.groups().of_sample());
    let rows = (0..samples.len()).collect();
    let selection = selection.map(|s| (s, ""));
    descend(
        start,
        samples,
        rows,
        config,
        selection,
        |classifier, rows, _| {
            let groups: Vec<usize> = rows.iter().map(|&row| of_sample[row] as usize).collect();
            let labels: Vec<usize> = rows.iter().map(|&row| samples.label(row)).collect();
            let forward = Forward::new(classifier, samples.gather(rows), None);
            let logits = classifier.logits(&forward.unit);
            let losses = mean_losses(&logits, &labels, &groups, n_groups);
            let mut in_batch = vec![0.0; n_groups];
            groups.iter().for_each(|&group| in_batch[group] += 1.0);
            adjust(&mut weights, &losses, step);
            let share = |&group: &usize| (weights[group] / in_batch[group]) as f32;
            let shares: Vec<f32> = groups.iter().map(share).collect();
            let loss = cross_entropy(classifier, &forward.unit, &labels, &shares);
            Gradient::new(classifier, &forward, loss)
        },
    )
}

/// Mean cross-entropy of each group; 0 for a group that is not in the batch, whose weight stays.
fn mean_losses(logits: &[f32], labels: &[usize], groups: &[usize], n_groups: usize) -> Vec<f64> {
    let n_classes = logits.len() / labels.len();
    let mut sums = vec![(0.0, 0.0); n_groups];
    for ((row, &label), &group) in logits.chunks_exact(n_classes).zip(labels).zip(groups) {
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f32 = row.iter().map(|logit| (logit - largest).exp()).sum();
        sums[group].0 += f64::from(largest + sum.ln() - row[label]);
        sums[group].1 += 1.0;
    }
    let mean = |(sum, n): (f64, f64)| if n > 0.0 { sum / n } else { 0.0 };
    sums.into_iter().map(mean).collect()
}

fn adjust(weights: &mut [f64], losses: &[f64], step: f64) {
    for (weight, loss) in weights.iter_mut().zip(losses) {
        *weight *= (step * loss).exp();
    }
    let sum: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|weight| *weight /= sum);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_by_hand() {
        let mut weights = vec![0.5, 0.5];
        adjust(&mut weights, &[0.0, 3.0_f64.ln()], 1.0);
        assert!((weights[0] - 0.25).abs() < 1e-12 && (weights[1] - 0.75).abs() < 1e-12);
        let losses = mean_losses(&[0.0, 0.0, 0.0, 0.0, 9.0, 9.0], &[0, 1, 0], &[2, 2, 0], 3);
        let ln2 = 2.0_f64.ln();
        assert!((losses[0] - ln2).abs() < 1e-6 && (losses[2] - ln2).abs() < 1e-6);
        assert_eq!(losses[1], 0.0);
    }
}
