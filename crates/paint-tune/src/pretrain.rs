//! Contrastive pretraining of both towers from scratch.
//!
//! Source: Radford et al. 2021, section 2.3.

use std::path::Path;

use candle_core::Device;
use paint_clip::{Clip, ClipConfig, Preprocessor, Tensors, Tokenizer, init};
use paint_data::{PixelTable, Rng};
use paint_nn::Lanes;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::batches::{Drawn, Permutations, check_size, read_varied};
use crate::contrastive::{Batch, Towers};
use crate::optimizer::Optimizer;
use crate::range::{at_least_one, check_all, positive, share};
use crate::state::{RunKey, restore, save};
use crate::{Augment, Error, Progress, Result, Schedule};

/// Stream of random numbers for the first weights.
const INIT: u64 = 3;

/// Stream of random numbers for the patches that are seen.
const PATCHES: u64 = 4;

/// The share of the steps, at the end, that see whole images in any case.
const WHOLE: f64 = 0.2;

/// CLIP's bound on the temperature: `logit_scale` at most ln 100.
const LOGIT_SCALE_MAX: f64 = 4.605_170_185_988_092;

/// Hyperparameters of contrastive pretraining.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PretrainConfig {
    /// Optimiser steps.
    pub steps: u64,
    /// Image–caption pairs a step.
    pub batch: usize,
    /// Neighbouring pairs of a corpus that go into a batch together, at least 1. Where
    /// neighbours show things of one kind, a batch holds what is hard to tell apart.
    pub album: usize,
    /// Images or captions that go through a tower together on one thread; the result does not
    /// depend on the number of threads.
    pub micro_batch: usize,
    /// Peak learning rate of AdamW.
    pub learning_rate: f64,
    /// Peak learning rate of Muon, which moves the matrices of the layers.
    pub muon_learning_rate: f64,
    /// Share of the steps that warm up, in [0, 1).
    pub warmup: f64,
    /// Decoupled weight decay of matrices.
    pub weight_decay: f64,
    /// Largest norm of the whole gradient.
    pub clip_norm: f64,
    /// Variation of the images, where their corpus has none of its own.
    pub augment: Augment,
    /// Share of each image's patches that a step sees, in (0, 1]: half of them are about
    /// half of the work. The last fifth of the steps sees whole images (Li et al. 2022, "Scaling
    /// language-image pre-training via masking").
    pub patches: f64,
    /// Seed of first weights, order and variation.
    pub seed: u64,
    /// Steps between saved states.
    pub save_every: u64,
}

impl Default for PretrainConfig {
    fn default() -> Self {
        Self {
            steps: 1_000,
            batch: 256,
            album: 1,
            micro_batch: 32,
            learning_rate: 1e-3,
            muon_learning_rate: 0.02,
            warmup: 0.05,
            weight_decay: 0.1,
            clip_norm: 1.0,
            augment: Augment::default(),
            patches: 1.0,
            seed: 0,
            save_every: 250,
        }
    }
}

impl PretrainConfig {
    /// The learning rates of the run.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        Schedule {
            peak: self.learning_rate,
            steps: self.steps,
            warmup: self.warmup,
        }
    }

    /// Checks every hyperparameter.
    ///
    /// # Errors
    /// Names the first one outside its range.
    pub fn check(&self) -> Result<()> {
        self.schedule().check()?;
        self.augment.check()?;
        check_all(&[
            (
                "batch",
                self.batch as f64,
                self.batch > 1,
                "at least 2: a contrast needs two pairs",
            ),
            at_least_one("album", self.album as u64),
            at_least_one("micro_batch", self.micro_batch as u64),
            at_least_one("save_every", self.save_every),
            positive("clip_norm", self.clip_norm),
            positive("muon_learning_rate", self.muon_learning_rate),
            share("weight_decay", self.weight_decay),
            (
                "patches",
                self.patches,
                self.patches > 0.0 && self.patches <= 1.0,
                "a share in (0, 1]",
            ),
        ])
    }
}

/// Images with one caption each.
pub struct Corpus<'a> {
    /// The images.
    pub images: &'a PixelTable,
    /// As many captions, in the order of the images.
    pub captions: Vec<&'a str>,
    /// Variation of these images, in place of the run's: what may be mirrored differs.
    pub augment: Option<Augment>,
}

/// What is trained on what.
pub struct PretrainInput<'a> {
    /// Architecture of the model.
    pub config: &'a ClipConfig,
    /// Text to ids.
    pub tokenizer: &'a Tokenizer,
    /// Mean and deviation of the pixels.
    pub preprocessor: &'a Preprocessor,
    /// One or more corpora, mixed in proportion to their sizes.
    pub corpora: &'a [Corpus<'a>],
    /// Weights to begin with, f32; seeded random ones if there are none.
    pub start: Option<&'a Tensors>,
}

/// Trains both towers.
///
/// The state is kept in `state`, a file; a call with the same input continues there.
///
/// # Errors
/// If a hyperparameter is out of range, model and images do not fit, a tensor gets no
/// gradient, the loss is not finite, or the state cannot be read or written.
pub fn pretrain(
    input: &PretrainInput<'_>,
    config: &PretrainConfig,
    state: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Tensors> {
    config.check()?;
    check_input(input)?;
    let mut rng = Rng::derive(config.seed, &[INIT]);
    let random;
    let first = match input.start {
        Some(start) => start,
        None => {
            random = init(input.config, &mut || rng.normal(), &Device::Cpu)?;
            &random
        }
    };
    let mut optimizer = Optimizer::new(first, config.weight_decay, config.clip_norm)?
        .with_muon(config.muon_learning_rate / config.learning_rate);
    let key = run_key(input, config)?;
    let done = restore(state, &key, &mut optimizer)?;

    let tensors: Tensors = optimizer
        .parameters
        .iter()
        .map(|(name, parameter)| (name.clone(), parameter.theta.as_tensor().clone()))
        .collect();
    let clip = Clip::from_tensors(input.config, &tensors)?;
    let schedule = config.schedule();
    let towers = Towers {
        tokenizer: input.tokenizer,
        preprocessor: input.preprocessor,
        micro_batch: config.micro_batch,
        lanes: Lanes::new().map_err(Error::Threads)?,
    };
    let n_pairs = input.corpora.iter().map(|corpus| corpus.images.len()).sum();
    let mut order = Permutations::new(n_pairs, config.album, config.seed);
    for step in done + 1..=config.steps {
        let rows = order.batch(step, config.batch);
        let batch = read_batch(input, &rows, config, step)?;
        let (value, gradients) = towers.step(&clip, &batch, &optimizer, step)?;
        if !value.is_finite() {
            return Err(Error::NotFinite {
                what: "the loss",
                value,
                step,
            });
        }
        let learning_rate = schedule.learning_rate(step);
        optimizer.step(&gradients, learning_rate, step)?;
        bound_temperature(&optimizer)?;
        if step % config.save_every == 0 || step == config.steps {
            save(state, &key, step, &optimizer)?;
        }
        progress(Progress {
            step,
            steps: config.steps,
            loss: value,
            learning_rate,
        });
    }
    Ok(tensors
        .into_iter()
        .map(|(name, tensor)| (name, tensor.detach()))
        .collect())
}

/// The patches that a step sees: the same ones of every image, so that none is padded.
fn seen_patches(config: &PretrainConfig, n_patches: usize, step: u64) -> Option<Vec<u32>> {
    let n_seen = (config.patches * n_patches as f64).ceil() as usize;
    let whole_from = (1.0 - WHOLE) * config.steps as f64;
    if n_seen >= n_patches || step as f64 > whole_from {
        return None;
    }
    let mut patches: Vec<u32> = (0..n_patches as u32).collect();
    Rng::derive(config.seed, &[PATCHES, step]).shuffle(&mut patches);
    patches.truncate(n_seen);
    patches.sort_unstable();
    Some(patches)
}

fn read_batch<'a>(
    input: &PretrainInput<'a>,
    rows: &[usize],
    config: &PretrainConfig,
    step: u64,
) -> Result<Batch<'a>> {
    let mut batch = Batch {
        pixels: Vec::new(),
        captions: Vec::new(),
        seen: seen_patches(config, input.config.vision.n_patches(), step),
    };
    let mut start = 0;
    for (i, corpus) in input.corpora.iter().enumerate() {
        let here = start..start + corpus.images.len();
        let rows: Vec<usize> = rows
            .iter()
            .filter(|row| here.contains(row))
            .map(|row| row - start)
            .collect();
        let drawn: Vec<Drawn> = rows.iter().map(|&row| Drawn { table: 0, row }).collect();
        let seed = config.seed.wrapping_add(i as u64);
        batch.pixels.extend(read_varied(
            &[corpus.images],
            &drawn,
            corpus.augment.as_ref().unwrap_or(&config.augment),
            seed,
            step,
        )?);
        batch
            .captions
            .extend(rows.iter().map(|&row| corpus.captions[row]));
        start = here.end;
    }
    Ok(batch)
}

fn bound_temperature(optimizer: &Optimizer) -> Result<()> {
    if let Some(parameter) = optimizer.parameters.get("logit_scale") {
        parameter
            .theta
            .set(&parameter.theta.minimum(LOGIT_SCALE_MAX)?)?;
    }
    Ok(())
}

fn check_input(input: &PretrainInput<'_>) -> Result<()> {
    if input.corpora.iter().all(|corpus| corpus.images.is_empty()) {
        return Err(Error::Mismatch(
            "there are no image–caption pairs".to_owned(),
        ));
    }
    for corpus in input.corpora {
        corpus.augment.map_or(Ok(()), |augment| augment.check())?;
        check_size(corpus.images, input.config)?;
        if corpus.images.len() != corpus.captions.len() {
            let message = format!(
                "{} images with {} captions",
                corpus.images.len(),
                corpus.captions.len()
            );
            return Err(Error::Mismatch(message));
        }
    }
    Ok(())
}

fn run_key(input: &PretrainInput<'_>, config: &PretrainConfig) -> Result<String> {
    // How often the state is saved changes no result.
    let config = PretrainConfig {
        save_every: 1,
        ..config.clone()
    };
    let mut key = RunKey::new("pretrain 4")
        .text(&format!("{config:?}"))
        .text(&format!("{:?}", input.config))
        .text(&format!("{:?}", input.preprocessor));
    for (name, tensor) in input.start.into_iter().flatten() {
        key = key.tensor(name, tensor)?;
    }
    for corpus in input.corpora {
        key = key
            .text(corpus.images.content_key())
            .text(corpus.images.transform_key())
            .text(&format!("{:?}", corpus.augment));
        // A tokenizer is to the run what it makes of the captions.
        let ids = |caption: &&str| input.tokenizer.encode(caption);
        let ids: Vec<Vec<u32>> = corpus
            .captions
            .par_iter()
            .map(ids)
            .collect::<std::result::Result<_, _>>()?;
        for (caption, ids) in corpus.captions.iter().zip(&ids) {
            key = key.text(caption).ids(ids);
        }
    }
    Ok(key.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_patches_are_seen_until_the_last_fifth() {
        let config = PretrainConfig {
            steps: 100,
            patches: 0.5,
            ..Default::default()
        };
        let seen = |step| seen_patches(&config, 9, step);
        let first = seen(1).unwrap();
        assert_eq!(first.len(), 5);
        assert!(first.windows(2).all(|pair| pair[0] < pair[1]) && first[4] < 9);
        assert_ne!(seen(2).unwrap(), first);
        assert_eq!(seen(1).unwrap(), first);
        assert!(seen(80).is_some() && seen(81).is_none());
        let whole = PretrainConfig {
            patches: 1.0,
            ..config
        };
        assert_eq!(seen_patches(&whole, 9, 1), None);
    }
}
