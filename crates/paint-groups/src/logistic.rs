//! Multinomial logistic regression with an ℓ1 penalty.

use paint_nn::{lane_sum, vectorized};

use crate::contrastive::{add_scaled, dot};

/// Weights [n_classes, width + 1], the last column the bias.
pub(crate) type Weights = Vec<f32>;

/// Steps at most; a few hundred are usual.
const MAX_STEPS: usize = 2_000;
/// Largest change of a weight in a step, as a share of the largest weight, at which it is done.
const TOLERANCE: f32 = 1e-5;

/// Minimises `mean cross-entropy + penalty · Σ |weight|`, the biases free of it, by accelerated
/// proximal gradient steps (Beck & Teboulle 2009) that start anew where they overshoot (O'Donoghue
/// & Candès 2015), from `start`.
///
/// `features`: [n, width]; scaled to unit variance the steps are few.
pub(crate) fn fit(
    features: &[f32],
    width: usize,
    labels: &[usize],
    n_classes: usize,
    penalty: f32,
    start: Option<Weights>,
) -> Weights {
    let x = with_ones(features, width);
    let columns = width + 1;
    let rate = 1.0 / lipschitz(&x, columns);
    let share = vec![1.0 / labels.len() as f32; labels.len()];
    let mut gradient = vec![0.0; n_classes * columns];
    let mut weights = start.unwrap_or_else(|| vec![0.0; n_classes * columns]);
    let mut ahead = weights.clone();
    let mut momentum = 1.0_f32;
    for _ in 0..MAX_STEPS {
        softmax_gradient(&x, labels, &share, &ahead, &mut gradient);
        let mut next = ahead.clone();
        for (i, (weight, gradient)) in next.iter_mut().zip(&gradient).enumerate() {
            *weight -= rate * gradient;
            if i % columns != width {
                *weight = weight.signum() * (weight.abs() - rate * penalty).max(0.0);
            }
        }
        let moved = |i: usize| next[i] - weights[i];
        let uphill: f32 = (0..next.len())
            .map(|i| (ahead[i] - next[i]) * moved(i))
            .sum();
        if uphill > 0.0 {
            momentum = 1.0;
        }
        let after = 0.5 * (1.0 + (1.0 + 4.0 * momentum * momentum).sqrt());
        let carry = (momentum - 1.0) / after;
        momentum = after;
        let largest = next.iter().fold(1e-3_f32, |a, w| a.max(w.abs()));
        let change = (0..next.len()).map(|i| moved(i).abs()).fold(0.0, f32::max);
        ahead = (0..next.len())
            .map(|i| next[i] + carry * moved(i))
            .collect();
        weights = next;
        if change < TOLERANCE * largest {
            break;
        }
    }
    weights
}

/// [n, width] to [n, width + 1]: the last weight of a class is its bias.
pub(crate) fn with_ones(features: &[f32], width: usize) -> Vec<f32> {
    let n = features.len() / width;
    let mut values = Vec::with_capacity(n * (width + 1));
    for row in features.chunks_exact(width) {
        values.extend_from_slice(row);
        values.push(1.0);
    }
    values
}

/// An upper bound on the curvature: half the largest eigenvalue of `xᵀx / n`, by power iteration
/// with a margin for what it has not found.
fn lipschitz(x: &[f32], columns: usize) -> f32 {
    let n = (x.len() / columns) as f32;
    // No direction is favoured, and none of a symmetric problem missed.
    let mut vector: Vec<f32> = (0..columns).map(|i| 1.0 + (i % 7) as f32 / 7.0).collect();
    let mut eigenvalue = 0.0;
    for _ in 0..30 {
        let length = dot(&vector, &vector).sqrt().max(1e-30);
        vector.iter_mut().for_each(|v| *v /= length);
        let mut next = vec![0.0; columns];
        for row in x.chunks_exact(columns) {
            add_scaled(&mut next, dot(row, &vector) / n, row);
        }
        eigenvalue = dot(&next, &next).sqrt();
        vector = next;
    }
    0.5 * 1.2 * eigenvalue.max(1e-6)
}

/// The gradient of `Σ shareᵢ · cross-entropyᵢ` of linear logits: rows `x` [n, columns] under
/// `weights` [n_classes, columns], in one pass over the rows.
pub(crate) fn softmax_gradient(
    x: &[f32],
    labels: &[usize],
    shares: &[f32],
    weights: &[f32],
    gradient: &mut [f32],
) {
    let columns = x.len() / labels.len();
    gradient.fill(0.0);
    let mut residuals = vec![0.0; weights.len() / columns];
    let rows = x.chunks_exact(columns).zip(labels).zip(shares);
    vectorized(
        #[inline(always)]
        || {
            for ((row, &label), &share) in rows {
                for (logit, weights) in residuals.iter_mut().zip(weights.chunks_exact(columns)) {
                    *logit = lane_sum(row, weights, |x, w| x * w);
                }
                to_residuals(&mut residuals, label, share);
                for (gradient, residual) in gradient.chunks_exact_mut(columns).zip(&residuals) {
                    for (gradient, x) in gradient.iter_mut().zip(row) {
                        *gradient += residual * x;
                    }
                }
            }
        },
    );
}

/// Probabilities minus the truth, times `share`, in place of logits.
fn to_residuals(logits: &mut [f32], label: usize, share: f32) {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    logits.iter_mut().for_each(|l| *l = (*l - largest).exp());
    let sum: f32 = logits.iter().sum();
    logits.iter_mut().for_each(|p| *p *= share / sum);
    logits[label] -= share;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classifier::tests::random;

    /// At the minimum the gradient of the smooth part is `-penalty · sign` where a weight is not
    /// 0, and no larger than `penalty` where it is.
    #[test]
    fn the_minimum_satisfies_its_conditions() {
        let (n, width, n_classes) = (200, 6, 3);
        let features = random(n * width, 1);
        let noise = random(n * n_classes, 2);
        let labels: Vec<usize> = (0..n)
            .map(|i| {
                let score = |c: usize| features[i * width + c] + noise[i * n_classes + c];
                (0..n_classes)
                    .max_by(|&a, &b| score(a).total_cmp(&score(b)))
                    .unwrap()
            })
            .collect();
        for penalty in [0.003, 0.03] {
            let weights = fit(&features, width, &labels, n_classes, penalty, None);
            let x = with_ones(&features, width);
            let mut gradient = vec![0.0; weights.len()];
            softmax_gradient(&x, &labels, &[1.0 / n as f32; 200], &weights, &mut gradient);
            let mut n_zero = 0;
            for (i, (weight, gradient)) in weights.iter().zip(&gradient).enumerate() {
                let expected = match i % (width + 1) == width {
                    true => 0.0,
                    false => -penalty * weight.signum(),
                };
                if *weight == 0.0 {
                    n_zero += 1;
                    assert!(gradient.abs() < penalty * 1.02, "{i}: {gradient}");
                } else {
                    assert!(
                        (gradient - expected).abs() < 3e-4,
                        "{i}: {gradient} {expected}"
                    );
                }
            }
            assert!(penalty < 0.01 || n_zero >= 6, "{n_zero}");
        }
    }
}
