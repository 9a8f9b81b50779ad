//! Stochastic gradient descent on the block and the scale.

use paint_data::Rng;
use paint_nn::vectorized;

use crate::{
    Classifier, Error, Result, Samples, Selection,
    classifier::{Forward, Loss},
    error::check_setting,
};

/// Hyperparameters of training; the defaults are CFR's public reference code's, which trains from
/// a CLIP with far larger activations. On unit embeddings larger rates learn more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdConfig {
    /// Passes over the training samples.
    pub epochs: usize,
    /// Samples a step; the last partial batch of an epoch is dropped.
    pub batch: usize,
    /// Step size, constant.
    pub learning_rate: f64,
    /// Momentum, as in PyTorch's SGD.
    pub momentum: f64,
    /// L2 penalty added to the gradient.
    pub weight_decay: f64,
    /// Seed of all random numbers.
    pub seed: u64,
}

impl Default for SgdConfig {
    fn default() -> Self {
        Self {
            epochs: 100,
            batch: 128,
            learning_rate: 1e-4,
            momentum: 0.9,
            weight_decay: 1e-5,
            seed: 0,
        }
    }
}

impl SgdConfig {
    fn check(&self) -> Result<()> {
        let finite = |x: f64| x.is_finite() && x >= 0.0;
        let (epochs, batch) = (self.epochs as f64, self.batch as f64);
        check_setting("epochs", epochs, self.epochs > 0, "must be at least 1")?;
        check_setting("batch", batch, self.batch > 0, "must be at least 1")?;
        let rate = self.learning_rate;
        check_setting(
            "learning_rate",
            rate,
            finite(rate) && rate > 0.0,
            "must be above 0",
        )?;
        let momentum = self.momentum;
        let is_share = (0.0..1.0).contains(&momentum);
        check_setting("momentum", momentum, is_share, "must be in [0, 1)")?;
        let decay = self.weight_decay;
        check_setting("weight_decay", decay, finite(decay), "must not be negative")
    }
}

/// One step's loss and gradients.
pub(crate) struct Gradient {
    pub(crate) loss: f64,
    /// [width, width_in]
    pub(crate) block: Vec<f32>,
    pub(crate) log_scale: f32,
}

impl Gradient {
    /// From a loss on the outputs of `forward`.
    pub(crate) fn new(classifier: &Classifier, forward: &Forward, loss: Loss) -> Self {
        Self {
            loss: loss.value,
            block: forward.backward(classifier, loss.unit),
            log_scale: loss.log_scale,
        }
    }
}

/// Streams of random numbers, apart from each other.
pub(crate) const ORDER: u64 = 2;
pub(crate) const BALANCE: u64 = 3;
pub(crate) const DRAWS: u64 = 4;

/// Trains `start` on `rows` of `samples` (a row may occur more than once); `step` gives the
/// gradient of a batch and is told the epoch. Every epoch's end is offered to the selection under
/// `settings`; the last one is returned.
pub(crate) fn descend(
    start: &Classifier,
    samples: &Samples<'_>,
    mut rows: Vec<usize>,
    config: &SgdConfig,
    mut selection: Option<(&mut Selection<'_>, &str)>,
    mut step: impl FnMut(&Classifier, &[usize], usize) -> Gradient,
) -> Result<Classifier> {
    config.check()?;
    start.check(samples)?;
    let mut classifier = start.clone();
    let mut velocity = (vec![0.0; classifier.block.len()], vec![0.0]);
    let batch = config.batch.min(rows.len());
    for epoch in 0..config.epochs {
        rows.sort_unstable();
        Rng::derive(config.seed, &[ORDER, epoch as u64]).shuffle(&mut rows);
        for rows in rows.chunks_exact(batch) {
            let gradient = step(&classifier, rows, epoch);
            if !gradient.loss.is_finite() {
                return Err(Error::Diverged {
                    epoch,
                    learning_rate: config.learning_rate,
                });
            }
            update(
                &mut classifier.block,
                &mut velocity.0,
                &gradient.block,
                config,
            );
            let scale = std::slice::from_mut(&mut classifier.log_scale);
            update(scale, &mut velocity.1, &[gradient.log_scale], config);
        }
        if let Some((selection, settings)) = &mut selection {
            selection.offer(&classifier, &format!("{settings}epoch {}", epoch + 1))?;
        }
    }
    Ok(classifier)
}

fn update(weights: &mut [f32], velocity: &mut [f32], gradient: &[f32], config: &SgdConfig) {
    let (rate, momentum) = (config.learning_rate as f32, config.momentum as f32);
    let decay = config.weight_decay as f32;
    vectorized(
        #[inline(always)]
        || {
            for ((weight, velocity), gradient) in weights.iter_mut().zip(velocity).zip(gradient) {
                *velocity = momentum * *velocity + gradient + decay * *weight;
                *weight -= rate * *velocity;
            }
        },
    );
}
