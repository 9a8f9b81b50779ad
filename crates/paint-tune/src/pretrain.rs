//! Contrastive pretraining of both towers from scratch.
//!
//! Source: Radford et al. 2021, section 2.3. Captions repeat in small corpora, so each
//! distinct caption of a batch is encoded once: an image has one right caption, a caption
//! shares its probability between its images.

use std::path::Path;

use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor, Var};
use paint_clip::{Clip, ClipConfig, Preprocessor, Tensors, Tokenizer, init, l2_normalize};
use paint_data::{PixelTable, Rng};
use paint_nn::Lanes;
use serde::{Deserialize, Serialize};

use crate::batches::{Order, read_varied};
use crate::fine_tune::{check_all, positive, share};
use crate::optimizer::{Gradients, Optimizer};
use crate::state::{RunKey, restore, save};
use crate::{Augment, Error, Progress, Result, Schedule};

/// Stream of random numbers for the first weights.
const INIT: u64 = 3;

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
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Share of the steps that warm up, in [0, 1).
    pub warmup: f64,
    /// Decoupled weight decay of matrices.
    pub weight_decay: f64,
    /// Largest norm of the whole gradient.
    pub clip_norm: f64,
    /// Variation of the images.
    pub augment: Augment,
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
            warmup: 0.05,
            weight_decay: 0.1,
            clip_norm: 1.0,
            augment: Augment::default(),
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
        let area = f64::from(self.augment.min_area);
        check_all(&[
            ("steps", self.steps as f64, self.steps > 0, "at least 1"),
            (
                "batch",
                self.batch as f64,
                self.batch > 1,
                "at least 2: a contrast needs two pairs",
            ),
            (
                "album",
                self.album as f64,
                self.album > 0,
                "at least 1",
            ),
            (
                "save_every",
                self.save_every as f64,
                self.save_every > 0,
                "at least 1",
            ),
            (
                "micro_batch",
                self.micro_batch as f64,
                self.micro_batch > 0,
                "at least 1",
            ),
            positive("learning_rate", self.learning_rate),
            positive("clip_norm", self.clip_norm),
            share("warmup", self.warmup),
            share("weight_decay", self.weight_decay),
            (
                "min_area",
                area,
                area > 0.0 && area <= 1.0,
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
}

/// Trains both towers from seeded first weights.
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
    let first = init(input.config, &mut || rng.normal(), &Device::Cpu)?;
    let mut optimizer = Optimizer::new(&first, config.weight_decay, config.clip_norm)?;
    let key = run_key(input, config);
    let done = restore(state, &key, &mut optimizer)?;

    let tensors: Tensors = optimizer
        .parameters
        .iter()
        .map(|(name, parameter)| (name.clone(), parameter.theta.as_tensor().clone()))
        .collect();
    let clip = Clip::from_tensors(input.config, &tensors)?;
    let schedule = config.schedule();
    let towers = Towers {
        input,
        lanes: Lanes::new().map_err(Error::Threads)?,
    };
    let n_pairs = input.corpora.iter().map(|corpus| corpus.images.len()).sum();
    let mut order = Order::new(n_pairs, config.album, config.seed);
    for step in done + 1..=config.steps {
        let rows = order.batch(step, config.batch);
        let batch = read_batch(input, &rows, config, step)?;
        let (value, gradients) = towers.step(&clip, &batch, config, &optimizer, step)?;
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

/// The pairs of one step.
struct Batch<'a> {
    pixels: Vec<u8>,
    captions: Vec<&'a str>,
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
    };
    let mut start = 0;
    for (i, corpus) in input.corpora.iter().enumerate() {
        let here = start..start + corpus.images.len();
        let rows: Vec<usize> = rows
            .iter()
            .filter(|row| here.contains(row))
            .map(|row| row - start)
            .collect();
        let seed = config.seed.wrapping_add(i as u64);
        batch.pixels.extend(read_varied(
            corpus.images,
            &rows,
            &config.augment,
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

/// The two towers over parts of a batch, joined by the loss.
struct Towers<'a> {
    input: &'a PretrainInput<'a>,
    lanes: Lanes,
}

/// A part's features with the operations they came from.
type Features = Result<Tensor>;

impl Towers<'_> {
    /// Loss and gradients. The loss needs the features of all parts, so parts go forward,
    /// the loss gives the gradient of the features, and parts go backward from these.
    fn step(
        &self,
        clip: &Clip,
        batch: &Batch<'_>,
        config: &PretrainConfig,
        optimizer: &Optimizer,
        step: u64,
    ) -> Result<(f64, Gradients)> {
        let (distinct, caption_of) = distinct(&batch.captions);
        let images = self.images(clip, batch, config);
        let texts = self.texts(clip, &distinct, config);
        let images: Vec<Tensor> = images.into_iter().collect::<Result<_>>()?;
        let texts: Vec<Tensor> = texts.into_iter().collect::<Result<_>>()?;
        let joined = |parts: &[Tensor]| Var::from_tensor(&Tensor::cat(parts, 0)?.detach());
        let (all_images, all_texts) = (joined(&images)?, joined(&texts)?);

        let loss = contrastive_loss(&all_images, &all_texts, clip.logit_scale(), &caption_of)?;
        let joint = loss.backward()?;
        let mut jobs = Vec::new();
        for (features, parts) in [(&all_images, images), (&all_texts, texts)] {
            let Some(gradient) = joint.get(features) else {
                return Err(Error::NoGradient {
                    tensor: "features".to_owned(),
                    step,
                });
            };
            let mut start = 0;
            for part in parts {
                let n = part.dim(0)?;
                jobs.push((part, gradient.narrow(0, start, n)?.contiguous()?));
                start += n;
            }
        }
        let stores = self
            .lanes
            .map(jobs, |(part, gradient)| -> Result<GradStore> {
                // Its gradient with respect to the part is `gradient`.
                Ok((part * gradient)?.sum_all()?.backward()?)
            });
        let mut stores = stores.into_iter().collect::<Result<Vec<_>>>()?;
        stores.push(joint);
        Ok((
            f64::from(loss.to_scalar::<f32>()?),
            optimizer.summed_gradients(&stores, step)?,
        ))
    }

    fn images(&self, clip: &Clip, batch: &Batch<'_>, config: &PretrainConfig) -> Vec<Features> {
        let image_bytes = batch.pixels.len() / batch.captions.len();
        let parts = batch
            .pixels
            .chunks(config.micro_batch * image_bytes)
            .collect();
        self.lanes.map(parts, |pixels| {
            let n = pixels.len() / image_bytes;
            let pixels = self
                .input
                .preprocessor
                .normalize(pixels, n, clip.device())?;
            Ok(l2_normalize(&clip.encode_image(&pixels)?)?)
        })
    }

    fn texts(&self, clip: &Clip, captions: &[&str], config: &PretrainConfig) -> Vec<Features> {
        let parts = captions.chunks(config.micro_batch).collect();
        self.lanes.map(parts, |captions| {
            let ids = captions
                .iter()
                .map(|caption| Ok(self.input.tokenizer.encode(caption)?));
            Ok(l2_normalize(
                &clip.encode_text(&ids.collect::<Result<Vec<_>>>()?)?,
            )?)
        })
    }
}

/// The distinct captions, sorted, and for each caption which of them it is.
fn distinct<'a>(captions: &[&'a str]) -> (Vec<&'a str>, Vec<u32>) {
    let mut distinct = captions.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let position = |caption: &&str| distinct.partition_point(|known| known < caption) as u32;
    let caption_of = captions.iter().map(position).collect();
    (distinct, caption_of)
}

/// Symmetric cross-entropy; features are normalised, `[n, d]` and `[distinct captions, d]`.
fn contrastive_loss(
    images: &Tensor,
    texts: &Tensor,
    logit_scale: &Tensor,
    caption_of: &[u32],
) -> Result<Tensor> {
    let logits = images
        .matmul(&texts.t()?)?
        .broadcast_mul(&logit_scale.exp()?)?;
    let to_caption = paint_nn::cross_entropy(&logits, caption_of, 0.0)?;
    let to_images = shared_cross_entropy(&logits.t()?.contiguous()?, caption_of)?;
    Ok(((to_caption + to_images)? * 0.5)?)
}

/// Cross-entropy of captions to images, `logits: [captions, images]`, where the images of a
/// caption are equally right.
fn shared_cross_entropy(logits: &Tensor, caption_of: &[u32]) -> Result<Tensor> {
    let (n_captions, n_images) = logits.dims2()?;
    let mut counts = vec![0.0f32; n_captions];
    caption_of
        .iter()
        .for_each(|&caption| counts[caption as usize] += 1.0);
    let mut targets = vec![0.0f32; n_captions * n_images];
    for (image, &caption) in caption_of.iter().enumerate() {
        let caption = caption as usize;
        targets[caption * n_images + image] = 1.0 / (counts[caption] * n_captions as f32);
    }
    let targets = Tensor::from_vec(targets, (n_captions, n_images), logits.device())?;
    let shifted = logits.broadcast_sub(&logits.max_keepdim(1)?.detach())?;
    let log_sums = shifted.exp()?.sum_keepdim(1)?.log()?;
    Ok((shifted.broadcast_sub(&log_sums)? * targets)?
        .sum_all()?
        .neg()?)
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
    let size = input.config.vision.image_size;
    if input.corpora.iter().all(|corpus| corpus.images.is_empty()) {
        return Err(Error::Mismatch(
            "there are no image–caption pairs".to_owned(),
        ));
    }
    for corpus in input.corpora {
        let (height, width) = (corpus.images.height(), corpus.images.width());
        if (height, width) != (size, size) {
            let message =
                format!("the model sees {size}×{size} pixels, the images are {height}×{width}");
            return Err(Error::Mismatch(message));
        }
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

fn run_key(input: &PretrainInput<'_>, config: &PretrainConfig) -> String {
    // How often the state is saved changes no result.
    let config = PretrainConfig {
        save_every: 1,
        ..config.clone()
    };
    let mut key = RunKey::new("pretrain 1")
        .text(&format!("{config:?}"))
        .text(&format!("{:?}", input.config));
    for corpus in input.corpora {
        key = key
            .text(corpus.images.content_key())
            .text(corpus.images.transform_key());
        for caption in &corpus.captions {
            key = key.text(caption);
        }
    }
    key.finish()
}
