//! Multinomial logistic regression with an ℓ1 penalty.

use candle_core::{Device, Tensor};

use crate::Result;

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
) -> Result<Weights> {
    let x = with_ones(features, width)?;
    let columns = width + 1;
    let rate = 1.0 / lipschitz(&x)?;
    let mut weights = start.unwrap_or_else(|| vec![0.0; n_classes * columns]);
    let mut ahead = weights.clone();
    let mut momentum = 1.0_f32;
    for _ in 0..MAX_STEPS {
        let gradient = gradient(&x, labels, &ahead, n_classes)?;
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
    Ok(weights)
}

fn with_ones(features: &[f32], width: usize) -> Result<Tensor> {
    let n = features.len() / width;
    let mut values = Vec::with_capacity(n * (width + 1));
    for row in features.chunks_exact(width) {
        values.extend_from_slice(row);
        values.push(1.0);
    }
    Ok(Tensor::from_vec(values, (n, width + 1), &Device::Cpu)?)
}

/// An upper bound on the curvature: half the largest eigenvalue of `xᵀx / n`, by power iteration
/// with a margin for what it has not found.
fn lipschitz(x: &Tensor) -> Result<f32> {
    let (n, columns) = x.dims2()?;
    // No direction is favoured, and none of a symmetric problem missed.
    let start: Vec<f32> = (0..columns).map(|i| 1.0 + (i % 7) as f32 / 7.0).collect();
    let mut vector = Tensor::from_vec(start, (columns, 1), &Device::Cpu)?;
    let mut eigenvalue = 0.0;
    for _ in 0..30 {
        let length = vector.sqr()?.sum_all()?.sqrt()?.to_scalar::<f32>()?;
        vector = (vector / f64::from(length.max(1e-30)))?;
        vector = (x.t()?.matmul(&x.matmul(&vector)?)? / n as f64)?;
        eigenvalue = vector.sqr()?.sum_all()?.sqrt()?.to_scalar::<f32>()?;
    }
    Ok(0.5 * 1.2 * eigenvalue.max(1e-6))
}

fn gradient(x: &Tensor, labels: &[usize], weights: &[f32], n_classes: usize) -> Result<Vec<f32>> {
    let (n, columns) = x.dims2()?;
    let weights = Tensor::from_slice(weights, (n_classes, columns), &Device::Cpu)?;
    let mut logits: Vec<f32> = x.matmul(&weights.t()?)?.flatten_all()?.to_vec1()?;
    for (row, &label) in logits.chunks_exact_mut(n_classes).zip(labels) {
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        row.iter_mut()
            .for_each(|logit| *logit = (*logit - largest).exp());
        let sum: f32 = row.iter().sum();
        row.iter_mut().for_each(|p| *p /= sum * n as f32);
        row[label] -= 1.0 / n as f32;
    }
    let logits = Tensor::from_vec(logits, (n, n_classes), &Device::Cpu)?;
    Ok(logits.t()?.matmul(x)?.flatten_all()?.to_vec1()?)
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
            let weights = fit(&features, width, &labels, n_classes, penalty, None).unwrap();
            let x = with_ones(&features, width).unwrap();
            let gradient = gradient(&x, &labels, &weights, n_classes).unwrap();
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
