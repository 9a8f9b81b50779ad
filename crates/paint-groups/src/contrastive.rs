//! Anchors towards their positives and away from their negatives.

/// Loss and gradients of one anchor.
pub(crate) struct Pull {
    pub(crate) value: f64,
    /// `[width]`
    pub(crate) anchor: Vec<f32>,
    /// [n_positives, width]
    pub(crate) positives: Vec<f32>,
    /// [n_negatives, width]
    pub(crate) negatives: Vec<f32>,
}

/// `(1/P) Σᵢ −ln( e^{a·pᵢ/τ} / (e^{a·pᵢ/τ} + Σⱼ e^{a·nⱼ/τ}) )` of unit vectors: each positive meets
/// all negatives, and no other positive.
pub(crate) fn contrastive(
    anchor: &[f32],
    positives: &[f32],
    negatives: &[f32],
    temperature: f32,
) -> Pull {
    let width = anchor.len();
    let logits = |others: &[f32]| -> Vec<f32> {
        let logit = |other: &[f32]| dot(anchor, other) / temperature;
        others.chunks_exact(width).map(logit).collect()
    };
    let (to_positives, to_negatives) = (logits(positives), logits(negatives));
    let all = to_positives.iter().chain(&to_negatives);
    let largest = all.copied().fold(f32::NEG_INFINITY, f32::max);
    let exp = |logit: &f32| (logit - largest).exp();
    let pushes: Vec<f32> = to_negatives.iter().map(exp).collect();
    let push: f32 = pushes.iter().sum();
    let n = to_positives.len() as f32;
    let (mut value, mut inverse_sum) = (0.0, 0.0);
    let mut on_positives = Vec::with_capacity(to_positives.len());
    for logit in &to_positives {
        let pull = exp(logit);
        let sum = pull + push;
        value += f64::from((sum.ln() - (logit - largest)) / n);
        inverse_sum += 1.0 / sum;
        on_positives.push(-push / sum / n / temperature);
    }
    let on_negative = |push: &f32| push * inverse_sum / n / temperature;
    let on_negatives: Vec<f32> = pushes.iter().map(on_negative).collect();
    let mut gradient = vec![0.0; width];
    let mut outer = |weights: &[f32], others: &[f32]| -> Vec<f32> {
        let mut gradients = Vec::with_capacity(others.len());
        for (weight, other) in weights.iter().zip(others.chunks_exact(width)) {
            gradient
                .iter_mut()
                .zip(other)
                .for_each(|(g, x)| *g += weight * x);
            gradients.extend(anchor.iter().map(|a| weight * a));
        }
        gradients
    };
    let positives = outer(&on_positives, positives);
    let negatives = outer(&on_negatives, negatives);
    Pull {
        value,
        anchor: gradient,
        positives,
        negatives,
    }
}

/// The direction of the mean of unit vectors `[n, width]`, and the mean's length.
pub(crate) fn centroid(members: &[f32], width: usize) -> (Vec<f32>, f32) {
    let n = (members.len() / width) as f32;
    let mut mean = vec![0.0; width];
    for member in members.chunks_exact(width) {
        mean.iter_mut().zip(member).for_each(|(m, x)| *m += x / n);
    }
    let length = dot(&mean, &mean).sqrt().max(1e-12);
    mean.iter_mut().for_each(|m| *m /= length);
    (mean, length)
}

/// Gradient on every member of a [`centroid`] of `n` members.
pub(crate) fn centroid_backward(
    direction: &[f32],
    length: f32,
    gradient: &[f32],
    n: usize,
) -> Vec<f32> {
    let along = dot(direction, gradient);
    let divisor = length * n as f32;
    let pair = gradient.iter().zip(direction);
    pair.map(|(g, c)| (g - along * c) / divisor).collect()
}

pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    // Several sums side by side: one alone would wait for each addition.
    const LANES: usize = 16;
    let mut sums = [0.0_f32; LANES];
    let (a_lanes, a_rest) = a.as_chunks::<LANES>();
    let (b_lanes, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_lanes.iter().zip(b_lanes) {
        for i in 0..LANES {
            sums[i] += a[i] * b[i];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classifier::{Loss, tests::check_gradient};

    #[test]
    fn known_value() {
        let anchor = [1.0, 0.0];
        let negatives = [0.0, 1.0].repeat(16);
        let pull = contrastive(&anchor, &anchor, &negatives, 1.0);
        assert!((pull.value - 1.929_50).abs() < 5e-6, "{}", pull.value);
        let none = contrastive(&anchor, &anchor, &[], 1.0);
        assert_eq!(none.value, 0.0);
    }

    #[test]
    fn has_its_gradient() {
        for temperature in [1.0, 0.3] {
            check_gradient(6, |_, unit| {
                // One anchor, two positives, three negatives.
                let (anchor, rest) = unit.split_at(5);
                let (positives, negatives) = rest.split_at(10);
                let pull = contrastive(anchor, positives, negatives, temperature);
                Loss {
                    value: pull.value,
                    unit: [pull.anchor, pull.positives, pull.negatives].concat(),
                    log_scale: 0.0,
                }
            });
        }
    }

    #[test]
    fn a_centroid_has_its_gradient() {
        check_gradient(6, |_, unit| {
            let (anchor, rest) = unit.split_at(5);
            let (members, negatives) = rest.split_at(15);
            let (direction, length) = centroid(members, 5);
            let pull = contrastive(anchor, &direction, negatives, 0.5);
            let member = centroid_backward(&direction, length, &pull.positives, 3);
            Loss {
                value: pull.value,
                unit: [pull.anchor, member.repeat(3), pull.negatives].concat(),
                log_scale: 0.0,
            }
        });
    }
}
