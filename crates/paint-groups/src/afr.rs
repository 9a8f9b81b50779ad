//! Last-layer retraining on what the base model finds hard, without group labels.

use crate::{
    Classifier, Error, Result, Samples, Selection,
    error::check_setting,
    logistic::{softmax_gradient, with_ones},
};

/// Settings of [`afr`]: every pair of `gammas` and `lambdas` is a candidate, at several steps.
#[derive(Clone, Debug, PartialEq)]
pub struct AfrConfig {
    /// How much harder samples count: their weight is `exp(-γ · probability of their class)`.
    pub gammas: Vec<f64>,
    /// How much the head is kept near the base's.
    pub lambdas: Vec<f64>,
    /// Gradient steps.
    pub steps: usize,
    /// Steps between two candidates.
    pub steps_between: usize,
}

impl Default for AfrConfig {
    fn default() -> Self {
        Self {
            gammas: vec![0.0, 2.0, 4.0, 8.0, 16.0],
            lambdas: vec![0.0, 0.01, 0.1],
            steps: 500,
            steps_between: 50,
        }
    }
}

/// Automatic feature reweighting: retrains the head of `base`, an ERM model, on `reweighting`,
/// training samples that it has not seen, weighted by how unsure it is of them. Candidates go to
/// the selection.
///
/// The weights are `exp(-γ p̂) / n_class`, made to add up to 1, and the loss has `λ‖W - W_base‖²`
/// added. Gradient steps on all samples at once, of the largest size that is sure to descend.
/// Source: Qiu et al. 2023, "Simple and fast group robustness by automatic feature reweighting".
///
/// # Errors
/// If sizes do not fit or a setting is out of range.
pub fn afr(
    base: &Classifier,
    reweighting: &Samples<'_>,
    config: &AfrConfig,
    selection: &mut Selection<'_>,
) -> Result<()> {
    check(config)?;
    let unit = base.embed(reweighting)?;
    let labels: Vec<usize> = reweighting.labels().iter().map(|&l| l as usize).collect();
    let features = with_ones(&unit, base.width);
    for &gamma in &config.gammas {
        let weights = weights(base, &unit, &labels, gamma);
        for &lambda in &config.lambdas {
            let settings = format!("γ {gamma}, λ {lambda}, ");
            retrain(
                head(base),
                &features,
                &labels,
                &weights,
                lambda,
                config,
                &mut |head, step| {
                    let head = on(base, head);
                    selection.offer(&head, &format!("{settings}step {step}"))
                },
            )?;
        }
    }
    Ok(())
}

fn check(config: &AfrConfig) -> Result<()> {
    if config.gammas.is_empty() || config.lambdas.is_empty() {
        return Err(Error::Empty {
            what: "gammas or lambdas",
        });
    }
    let sound = |x: f64| x.is_finite() && x >= 0.0;
    for (name, values) in [("gamma", &config.gammas), ("lambda", &config.lambdas)] {
        for &value in values {
            check_setting(name, value, sound(value), "must not be negative")?;
        }
    }
    let (steps, between) = (config.steps, config.steps_between);
    check_setting("steps", steps as f64, steps > 0, "must be at least 1")?;
    check_setting(
        "steps_between",
        between as f64,
        between > 0,
        "must be at least 1",
    )
}

/// `exp(-γ p̂) / n_class` of each sample, adding up to 1.
fn weights(base: &Classifier, unit: &[f32], labels: &[usize], gamma: f64) -> Vec<f32> {
    let n_classes = base.n_classes();
    let logits = base.logits(unit);
    let mut counts = vec![0.0; n_classes];
    labels.iter().for_each(|&label| counts[label] += 1.0);
    let weight = |(row, &label): (&[f32], &usize)| {
        let sum: f64 = row.iter().map(|&l| f64::from(l - row[label]).exp()).sum();
        (-gamma / sum).exp() / counts[label]
    };
    let weights: Vec<f64> = logits
        .chunks_exact(n_classes)
        .zip(labels)
        .map(weight)
        .collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|w| (w / sum) as f32).collect()
}

/// The head with its scale multiplied in: [n_classes, width + 1], the last column the bias.
fn head(base: &Classifier) -> Vec<f32> {
    let scale = base.log_scale.exp();
    let rows = base.head.chunks_exact(base.width).zip(&base.bias);
    rows.flat_map(|(row, &bias)| row.iter().map(move |w| w * scale).chain([bias]))
        .collect()
}

/// The base with this head.
fn on(base: &Classifier, head: &[f32]) -> Classifier {
    let rows = head.chunks_exact(base.width + 1);
    let (weights, bias): (Vec<&[f32]>, Vec<f32>) = rows
        .map(|row| (&row[..base.width], row[base.width]))
        .unzip();
    base.with_head(weights.concat(), bias)
}

/// `features`: [n, width + 1], ones in the last column.
fn retrain(
    start: Vec<f32>,
    features: &[f32],
    labels: &[usize],
    weights: &[f32],
    lambda: f64,
    config: &AfrConfig,
    offer: &mut dyn FnMut(&[f32], usize) -> Result<()>,
) -> Result<()> {
    // Features have length 1 and the bias adds a feature of 1: the curvature of the
    // cross-entropy is at most half of 2, and the penalty's is 2λ.
    let rate = (1.0 / (1.0 + 2.0 * lambda)) as f32;
    let pull = 2.0 * lambda as f32;
    let mut head = start.clone();
    let mut gradient = vec![0.0; head.len()];
    for step in 1..=config.steps {
        softmax_gradient(features, labels, weights, &head, &mut gradient);
        for ((weight, gradient), start) in head.iter_mut().zip(&gradient).zip(&start) {
            *weight -= rate * (gradient + pull * (*weight - start));
        }
        if step % config.steps_between == 0 || step == config.steps {
            offer(&head, step)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classifier::{cross_entropy, normalize_rows, tests::random};

    #[test]
    fn weights_by_hand() {
        let base = Classifier::zero_shot(&[1.0, 0.0, 0.0, 1.0], 2).unwrap();
        // The first is right for sure, the second as wrong; each class has its own count.
        let unit = [1.0, 0.0, 1.0, 0.0, 0.0, 1.0];
        let found = weights(&base, &unit, &[0, 1, 1], 4.0);
        let (sure, wrong) = ((-4.0_f64).exp(), 1.0);
        let sum = sure + wrong / 2.0 + sure / 2.0;
        let expected = [sure / sum, wrong / 2.0 / sum, sure / 2.0 / sum];
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (f64::from(*found) - expected).abs() < 1e-4,
                "{found} {expected}"
            );
        }
    }

    #[test]
    fn steps_descend_and_the_penalty_holds() {
        let base = Classifier::zero_shot(&random(3 * 4, 1), 4).unwrap();
        let mut unit = random(40 * 4, 2);
        normalize_rows(&mut unit, 4);
        let labels: Vec<usize> = (0..40).map(|i| i % 3).collect();
        let weights = vec![1.0 / 40.0; 40];
        let config = AfrConfig {
            steps: 40,
            steps_between: 1,
            ..AfrConfig::default()
        };
        let far = |lambda: f64| {
            let (start, mut losses, mut distance) = (head(&base), Vec::new(), 0.0);
            let retrain = retrain(
                start.clone(),
                &with_ones(&unit, 4),
                &labels,
                &weights,
                lambda,
                &config,
                &mut |head, _| {
                    let moved = head.iter().zip(&start).map(|(a, b)| (a - b).powi(2));
                    distance = moved.sum::<f32>();
                    let loss = cross_entropy(&on(&base, head), &unit, &labels, &weights).value;
                    losses.push(loss + lambda * f64::from(distance));
                    Ok(())
                },
            );
            retrain.unwrap();
            assert!(
                losses.windows(2).all(|pair| pair[1] <= pair[0] + 1e-6),
                "{losses:?}"
            );
            distance
        };
        assert!(far(10.0) < 0.1 * far(0.0));
    }
}
