//! Anchors towards their positives and away from their negatives.

use paint_nn::{lane_sum, vectorized};

/// Loss of one anchor, and its derivatives by the anchor's dot products with what it meets.
pub(crate) struct Pull {
    pub(crate) value: f64,
    /// `[n_positives]`
    pub(crate) positives: Vec<f32>,
    /// `[n_negatives]`
    pub(crate) negatives: Vec<f32>,
}

/// `(1/P) Σᵢ −ln( e^{a·pᵢ/τ} / (e^{a·pᵢ/τ} + Σⱼ e^{a·nⱼ/τ}) )` of unit vectors: each positive meets
/// all negatives, and no other positive.
pub(crate) fn contrastive(
    anchor: &[f32],
    positives: &[&[f32]],
    negatives: &[&[f32]],
    temperature: f32,
) -> Pull {
    let logits = |others: &[&[f32]]| -> Vec<f32> {
        let logit = |other: &&[f32]| dot(anchor, other) / temperature;
        others.iter().map(logit).collect()
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
    Pull {
        value,
        positives: on_positives,
        negatives: pushes.iter().map(on_negative).collect(),
    }
}

/// The direction of the mean of unit vectors of this width, and the mean's length.
pub(crate) fn centroid(members: &[&[f32]], width: usize) -> (Vec<f32>, f32) {
    let share = 1.0 / members.len() as f32;
    let mut mean = vec![0.0; width];
    for member in members {
        add_scaled(&mut mean, share, member);
    }
    let length = dot(&mean, &mean).sqrt().max(1e-12);
    mean.iter_mut().for_each(|m| *m /= length);
    (mean, length)
}

/// Gradient on every one of `n` members of a [`centroid`] whose dot product with `anchor` has the
/// derivative `by_product`.
pub(crate) fn centroid_backward(
    direction: &[f32],
    length: f32,
    anchor: &[f32],
    by_product: f32,
    n: usize,
) -> Vec<f32> {
    let along = dot(direction, anchor);
    let factor = by_product / (length * n as f32);
    let pair = anchor.iter().zip(direction);
    pair.map(|(a, c)| factor * (a - along * c)).collect()
}

pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    vectorized(
        #[inline(always)]
        || lane_sum(a, b, |a, b| a * b),
    )
}

/// `sum += factor · x`.
pub(crate) fn add_scaled(sum: &mut [f32], factor: f32, x: &[f32]) {
    vectorized(
        #[inline(always)]
        || {
            for (sum, x) in sum.iter_mut().zip(x) {
                *sum += factor * x;
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classifier::{Loss, tests::check_gradient};

    #[test]
    fn known_value() {
        let anchor: &[f32] = &[1.0, 0.0];
        let pull = contrastive(anchor, &[anchor], &[[0.0, 1.0].as_slice(); 16], 1.0);
        assert!((pull.value - 1.929_50).abs() < 5e-6, "{}", pull.value);
        let none = contrastive(anchor, &[anchor], &[], 1.0);
        assert_eq!(none.value, 0.0);
    }

    #[test]
    fn has_its_gradient() {
        for temperature in [1.0, 0.3] {
            check_gradient(6, |_, unit| {
                // One anchor, two positives, three negatives.
                let rows: Vec<&[f32]> = unit.chunks_exact(5).collect();
                let pull = contrastive(rows[0], &rows[1..3], &rows[3..], temperature);
                let weights = [pull.positives, pull.negatives].concat();
                let mut gradient = vec![0.0; unit.len()];
                let (on_anchor, on_others) = gradient.split_at_mut(5);
                for (i, weight) in weights.into_iter().enumerate() {
                    add_scaled(on_anchor, weight, rows[1 + i]);
                    add_scaled(&mut on_others[5 * i..][..5], weight, rows[0]);
                }
                Loss {
                    value: pull.value,
                    unit: gradient,
                    log_scale: 0.0,
                }
            });
        }
    }

    /// A loss that is the dot product of an anchor with the centroid of the others.
    #[test]
    fn a_centroid_has_its_gradient() {
        check_gradient(4, |_, unit| {
            let rows: Vec<&[f32]> = unit.chunks_exact(5).collect();
            let (direction, length) = centroid(&rows[1..], 5);
            let member = centroid_backward(&direction, length, rows[0], 1.0, 3);
            Loss {
                value: f64::from(dot(rows[0], &direction)),
                unit: [direction, member.repeat(3)].concat(),
                log_scale: 0.0,
            }
        });
    }
}
