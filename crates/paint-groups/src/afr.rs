//! Last-layer retraining on what the base model finds hard, without group labels.

use candle_core::{Device, Tensor};

use crate::{Classifier, Error, Result, Samples, Selection, error::check_setting, product::matrix};

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
    let features = matrix(&unit, base.width)?;
    for &gamma in &config.gammas {
        let weights = weights(base, &unit, &labels, gamma)?;
        for &lambda in &config.lambdas {
            let settings = format!("γ {gamma}, λ {lambda}, ");
            let head = Head::of(base);
            head.retrain(
                &features,
                &labels,
                &weights,
                lambda,
                config,
                &mut |head, step| {
                    selection.offer(&head.on(base), &format!("{settings}step {step}"))
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
fn weights(base: &Classifier, unit: &[f32], labels: &[usize], gamma: f64) -> Result<Vec<f32>> {
    let n_classes = base.n_classes();
    let logits = base.logits(unit)?;
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
    Ok(weights.into_iter().map(|w| (w / sum) as f32).collect())
}

/// A head with its scale multiplied in.
#[derive(Clone)]
struct Head {
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl Head {
    fn of(base: &Classifier) -> Self {
        let scale = base.log_scale.exp();
        Self {
            weights: base.head.iter().map(|w| w * scale).collect(),
            bias: base.bias.clone(),
        }
    }

    fn on(&self, base: &Classifier) -> Classifier {
        base.with_head(self.weights.clone(), self.bias.clone())
    }

    fn retrain(
        mut self,
        features: &Tensor,
        labels: &[usize],
        weights: &[f32],
        lambda: f64,
        config: &AfrConfig,
        offer: &mut dyn FnMut(&Self, usize) -> Result<()>,
    ) -> Result<()> {
        let start = self.clone();
        let n_classes = self.bias.len();
        // Features have length 1 and the bias adds a feature of 1: the curvature of the
        // cross-entropy is at most half of 2, and the penalty's is 2λ.
        let rate = (1.0 / (1.0 + 2.0 * lambda)) as f32;
        let pull = 2.0 * lambda as f32;
        for step in 1..=config.steps {
            let residuals = residuals(&self, features, labels, weights)?;
            let gradient = matrix(&residuals, n_classes)?.t()?.matmul(features)?;
            let gradient: Vec<f32> = gradient.flatten_all()?.to_vec1()?;
            let moved = self.weights.iter_mut().zip(&gradient).zip(&start.weights);
            for ((weight, gradient), start) in moved {
                *weight -= rate * (gradient + pull * (*weight - start));
            }
            for (class, bias) in self.bias.iter_mut().enumerate() {
                let gradient: f32 = residuals.iter().skip(class).step_by(n_classes).sum();
                *bias -= rate * (gradient + pull * (*bias - start.bias[class]));
            }
            if step % config.steps_between == 0 || step == config.steps {
                offer(&self, step)?;
            }
        }
        Ok(())
    }
}

/// Weighted probabilities minus truth: [n, n_classes].
fn residuals(
    head: &Head,
    features: &Tensor,
    labels: &[usize],
    weights: &[f32],
) -> Result<Vec<f32>> {
    let n_classes = head.bias.len();
    let shape = (n_classes, head.weights.len() / n_classes);
    let weights_of = Tensor::from_slice(&head.weights, shape, &Device::Cpu)?;
    let mut logits: Vec<f32> = features
        .matmul(&weights_of.t()?)?
        .flatten_all()?
        .to_vec1()?;
    let rows = logits.chunks_exact_mut(n_classes).zip(labels).zip(weights);
    for ((row, &label), &weight) in rows {
        row.iter_mut().zip(&head.bias).for_each(|(l, b)| *l += b);
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        row.iter_mut().for_each(|l| *l = (*l - largest).exp());
        let sum: f32 = row.iter().sum();
        row.iter_mut().for_each(|p| *p *= weight / sum);
        row[label] -= weight;
    }
    Ok(logits)
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
        let found = weights(&base, &unit, &[0, 1, 1], 4.0).unwrap();
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
            let (start, mut losses, mut distance) = (Head::of(&base), Vec::new(), 0.0);
            let retrain = start.clone().retrain(
                &matrix(&unit, 4).unwrap(),
                &labels,
                &weights,
                lambda,
                &config,
                &mut |head, _| {
                    let squares = head
                        .weights
                        .iter()
                        .zip(&start.weights)
                        .map(|(a, b)| (a - b).powi(2));
                    distance = squares.sum::<f32>();
                    let loss = cross_entropy(&head.on(&base), &unit, &labels, &weights)?.value;
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
