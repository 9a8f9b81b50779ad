//! What all methods train or make: a linear block, and a head on its unit outputs.

use paint_nn::{lane_sum, times_transposed, transposed_times, vectorized};

use crate::{Error, Result, Samples, error::check_size};

/// CLIP's own initial temperature, ln(1 / 0.07).
const LOG_SCALE: f32 = 2.659_26;

/// `logits = exp(log_scale) · f · headᵀ + bias` with `f = h · blockᵀ` divided by its length.
///
/// `h` is what the towers leave: the input of the last projection, or the image embedding itself
/// with the identity for a block. ERM, JTT, group DRO and CFR train the block and the scale and
/// leave the head, the class texts, as it is; DFR and AFR put another head on the block.
#[derive(Clone, Debug, PartialEq)]
pub struct Classifier {
    pub(crate) width_in: usize,
    pub(crate) width: usize,
    /// [width, width_in]
    pub(crate) block: Vec<f32>,
    /// [n_classes, width]
    pub(crate) head: Vec<f32>,
    /// `[n_classes]`
    pub(crate) bias: Vec<f32>,
    pub(crate) log_scale: f32,
}

impl Classifier {
    /// The zero-shot classifier of embeddings: `texts` [n_classes, width], one embedding for each
    /// class, of any length; the block is the identity.
    ///
    /// # Errors
    /// As [`Classifier::with_block`].
    pub fn zero_shot(texts: &[f32], width: usize) -> Result<Self> {
        let identity = (0..width * width).map(|i| f32::from(u8::from(i % (width + 1) == 0)));
        Self::with_block(texts, &identity.collect::<Vec<_>>(), width)
    }

    /// The zero-shot classifier of the activations before a projection `block` [width, width_in].
    ///
    /// The scale starts at 1 / 0.07 as in the public reference code, not at a trained model's 100:
    /// it only matters to training.
    ///
    /// # Errors
    /// If there is no class, the sizes do not fit, a value is not finite or a text is zero.
    pub fn with_block(texts: &[f32], block: &[f32], width: usize) -> Result<Self> {
        if width == 0 || texts.is_empty() || block.is_empty() {
            return Err(Error::Empty { what: "classes" });
        }
        check_size(
            "values of class texts",
            texts.len().div_ceil(width) * width,
            texts.len(),
        )?;
        let width_in = block.len().div_ceil(width);
        check_size("values of the block", width_in * width, block.len())?;
        let mut head = texts.to_vec();
        let lengths = normalize_rows(&mut head, width);
        let sound = |length: &f32| length.is_finite() && *length > 0.0;
        if let Some(sample) = lengths.iter().position(|length| !sound(length)) {
            return Err(Error::NotFinite { sample });
        }
        Ok(Self {
            width_in,
            width,
            block: block.to_vec(),
            bias: vec![0.0; head.len() / width],
            head,
            log_scale: LOG_SCALE,
        })
    }

    /// The same block with another head [n_classes, width] and bias, and no scale.
    pub(crate) fn with_head(&self, head: Vec<f32>, bias: Vec<f32>) -> Self {
        Self {
            head,
            bias,
            log_scale: 0.0,
            ..self.clone()
        }
    }

    /// Number of classes.
    #[must_use]
    pub fn n_classes(&self) -> usize {
        self.bias.len()
    }

    /// The block's weights, [width, width_in]: what goes back into a model.
    #[must_use]
    pub fn block(&self) -> &[f32] {
        &self.block
    }

    /// Unit embeddings of samples: [n, width].
    ///
    /// # Errors
    /// If the width is another.
    pub fn embed(&self, samples: &Samples<'_>) -> Result<Vec<f32>> {
        self.check(samples)?;
        let mut unit = times_transposed(samples.embeddings(), &self.block, self.width_in);
        normalize_rows(&mut unit, self.width);
        Ok(unit)
    }

    /// Logits of unit embeddings: [n, n_classes].
    pub(crate) fn logits(&self, unit: &[f32]) -> Vec<f32> {
        let scale = self.log_scale.exp();
        let mut logits = times_transposed(unit, &self.head, self.width);
        for row in logits.chunks_exact_mut(self.n_classes()) {
            row.iter_mut()
                .zip(&self.bias)
                .for_each(|(logit, bias)| *logit = *logit * scale + bias);
        }
        logits
    }

    /// The most probable class of each sample, the lower of equals: `[n]`.
    ///
    /// # Errors
    /// If the width is another.
    pub fn predict(&self, samples: &Samples<'_>) -> Result<Vec<u32>> {
        Ok(self.classes(&self.embed(samples)?))
    }

    pub(crate) fn classes(&self, unit: &[f32]) -> Vec<u32> {
        let logits = self.logits(unit);
        logits
            .chunks_exact(self.n_classes())
            .map(first_max)
            .collect()
    }

    pub(crate) fn check(&self, samples: &Samples<'_>) -> Result<()> {
        check_size("width of the embeddings", self.width_in, samples.width())?;
        check_size(
            "classes of the samples",
            self.n_classes(),
            samples.n_classes(),
        )
    }
}

fn first_max(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (class, &logit) in logits.iter().enumerate() {
        if logit > logits[best] {
            best = class;
        }
    }
    best as u32
}

/// Divides every row by its length; returns the lengths.
pub(crate) fn normalize_rows(values: &mut [f32], width: usize) -> Vec<f32> {
    vectorized(
        #[inline(always)]
        || {
            let mut lengths = Vec::with_capacity(values.len() / width);
            for row in values.chunks_exact_mut(width) {
                let length = lane_sum(row, row, |x, _| x * x).sqrt();
                // A row of zeros has no direction and stays.
                let divisor = if length > 0.0 { length } else { 1.0 };
                row.iter_mut().for_each(|x| *x /= divisor);
                lengths.push(length);
            }
            lengths
        },
    )
}

/// A forward pass through the block whose gradient will be asked for.
pub(crate) struct Forward {
    inputs: Vec<f32>,
    /// 0 where an output is dropped.
    mask: Option<Vec<f32>>,
    lengths: Vec<f32>,
    /// [n, width], of unit length
    pub(crate) unit: Vec<f32>,
}

impl Forward {
    /// `inputs`: [n, width_in]; `mask`: [n, width], applied before rows are divided by their
    /// lengths, so that dropped rows have unit length too.
    pub(crate) fn new(classifier: &Classifier, inputs: Vec<f32>, mask: Option<Vec<f32>>) -> Self {
        let mut unit = times_transposed(&inputs, &classifier.block, classifier.width_in);
        if let Some(mask) = &mask {
            unit.iter_mut().zip(mask).for_each(|(x, keep)| *x *= keep);
        }
        let lengths = normalize_rows(&mut unit, classifier.width);
        Self {
            inputs,
            mask,
            lengths,
            unit,
        }
    }

    /// Gradient on the block from the gradient on the unit outputs, which is used up.
    pub(crate) fn backward(&self, classifier: &Classifier, mut unit: Vec<f32>) -> Vec<f32> {
        let width = classifier.width;
        vectorized(
            #[inline(always)]
            || {
                let rows = unit
                    .chunks_exact_mut(width)
                    .zip(self.unit.chunks_exact(width));
                for ((gradient, f), &length) in rows.zip(&self.lengths) {
                    // The part along f would change the length only, which is divided away.
                    let along = lane_sum(gradient, f, |g, f| g * f);
                    let divisor = if length > 0.0 { length } else { f32::INFINITY };
                    gradient
                        .iter_mut()
                        .zip(f)
                        .for_each(|(g, f)| *g = (*g - along * f) / divisor);
                }
            },
        );
        if let Some(mask) = &self.mask {
            unit.iter_mut().zip(mask).for_each(|(g, keep)| *g *= keep);
        }
        transposed_times(&unit, width, &self.inputs, classifier.width_in)
    }
}

/// A loss with its gradient on unit embeddings and on the logarithm of the scale.
pub(crate) struct Loss {
    pub(crate) value: f64,
    /// [n, width]
    pub(crate) unit: Vec<f32>,
    pub(crate) log_scale: f32,
}

/// `Σ weightᵢ · cross-entropyᵢ` of unit embeddings [n, width].
pub(crate) fn cross_entropy(
    classifier: &Classifier,
    unit: &[f32],
    labels: &[usize],
    weights: &[f32],
) -> Loss {
    let (n_classes, width) = (classifier.n_classes(), classifier.width);
    let mut logits = classifier.logits(unit);
    let (mut value, mut log_scale) = (0.0, 0.0);
    let rows = logits.chunks_exact_mut(n_classes);
    for ((row, &label), &weight) in rows.zip(labels).zip(weights) {
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f32 = row.iter().map(|logit| (logit - largest).exp()).sum();
        value += f64::from(weight) * f64::from(largest + sum.ln() - row[label]);
        for (class, logit) in row.iter_mut().enumerate() {
            let cosine_part = *logit - classifier.bias[class];
            let truth = f32::from(u8::from(class == label));
            *logit = weight * ((*logit - largest).exp() / sum - truth);
            log_scale += *logit * cosine_part;
        }
    }
    let scale = classifier.log_scale.exp();
    let mut gradient = vec![0.0; unit.len()];
    for (gradient, row) in gradient
        .chunks_exact_mut(width)
        .zip(logits.chunks_exact(n_classes))
    {
        for (text, logit) in classifier.head.chunks_exact(width).zip(row) {
            let factor = scale * logit;
            gradient
                .iter_mut()
                .zip(text)
                .for_each(|(g, t)| *g += factor * t);
        }
    }
    Loss {
        value,
        unit: gradient,
        log_scale,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use paint_data::Rng;

    pub(crate) fn random(n: usize, seed: u64) -> Vec<f32> {
        let mut rng = Rng::new(seed);
        (0..n).map(|_| rng.normal()).collect()
    }

    /// Compares the gradients of `loss` with central differences along random directions, through
    /// a block from 7 to 5 with some outputs dropped.
    pub(crate) fn check_gradient(n: usize, loss: impl Fn(&Classifier, &[f32]) -> Loss) {
        let classifier = Classifier::with_block(&random(3 * 5, 1), &random(5 * 7, 2), 5).unwrap();
        let inputs = random(n * 7, 3);
        let mask: Vec<f32> = (0..n * 5)
            .map(|i| f32::from(u8::from(i % 6 != 1)))
            .collect();
        let forward = |c: &Classifier| Forward::new(c, inputs.clone(), Some(mask.clone()));
        let at = forward(&classifier);
        let found = loss(&classifier, &at.unit);
        let block = at.backward(&classifier, found.unit);
        for seed in 0..6 {
            let direction = random(5 * 7, 10 + seed);
            // The last directions turn the scale too.
            let scale_step = if seed > 3 { 1.0 } else { 0.0 };
            let moved = |step: f32| {
                let mut c = classifier.clone();
                c.block
                    .iter_mut()
                    .zip(&direction)
                    .for_each(|(w, d)| *w += step * d);
                c.log_scale += step * scale_step;
                let forward = forward(&c);
                loss(&c, &forward.unit).value
            };
            let step = 3e-3;
            let expected = (moved(step) - moved(-step)) / (2.0 * f64::from(step));
            let along: f64 = block
                .iter()
                .zip(&direction)
                .map(|(g, d)| f64::from(g * d))
                .sum();
            let along = along + f64::from(found.log_scale * scale_step);
            let error = (along - expected).abs();
            assert!(error < 2e-3 * (1.0 + expected.abs()), "{along} {expected}");
        }
    }

    #[test]
    fn cross_entropy_has_its_gradient() {
        let (labels, weights) = ([0, 2, 1, 1], [0.5, 0.25, 2.0, 1.0]);
        check_gradient(4, |c, unit| cross_entropy(c, unit, &labels, &weights));
    }

    #[test]
    fn zero_shot_is_cosine() {
        let classifier = Classifier::zero_shot(&[5.0, 0.0, 0.0, 0.1], 2).unwrap();
        let values = [0.1, 0.2, 9.0, 1.0, 1.0, 1.0];
        let samples = Samples::new(&values, 2, &[0, 0, 0], 2).unwrap();
        assert_eq!(classifier.predict(&samples).unwrap(), [1, 0, 0]);
        let logits = classifier.logits(&[0.6, 0.8]);
        assert!((logits[0] - 0.6 / 0.07).abs() < 1e-3, "{logits:?}");
    }

    #[test]
    fn cross_entropy_by_hand() {
        let classifier = Classifier {
            log_scale: 0.0,
            ..Classifier::zero_shot(&[1.0, 0.0, 0.0, 1.0], 2).unwrap()
        };
        let loss = cross_entropy(&classifier, &[1.0, 0.0], &[0], &[1.0]);
        assert!((loss.value - (1.0 + (-1.0_f64).exp()).ln()).abs() < 1e-6);
    }

    #[test]
    fn sizes_must_fit() {
        assert!(Classifier::zero_shot(&[1.0, 0.0, 1.0], 2).is_err());
        assert!(Classifier::zero_shot(&[0.0, 0.0], 2).is_err());
        assert!(Classifier::with_block(&[1.0, 0.0], &[1.0; 5], 2).is_err());
        let classifier = Classifier::zero_shot(&[1.0, 0.0], 2).unwrap();
        let samples = Samples::new(&[1.0; 3], 3, &[0], 1).unwrap();
        assert!(classifier.predict(&samples).is_err());
    }
}
