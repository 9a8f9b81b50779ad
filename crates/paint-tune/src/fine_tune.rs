//! Fine-tuning the image side against frozen zero-shot heads, of one task or of several.
//!
//! Source: Ilharco et al. 2022, section 2 and appendix A: cross-entropy, AdamW with decay
//! 0.1, gradient norm clipped at 1, cosine schedule with linear warm-up; joint patching is its way for several tasks.

use std::path::Path;

use candle_core::Tensor;
use paint_clip::{Clip, ClipConfig, Preprocessor, Tensors, ZeroShotHead, image_tensor_names};
use paint_data::{Asked, PixelTable};
use paint_nn::Lanes;
use serde::{Deserialize, Serialize};

use crate::batches::{Drawn, Order, check_size, read_varied};
use crate::optimizer::Optimizer;
use crate::range::{at_least_one, check_all, positive, share};
use crate::state::{RunKey, restore, save};
use crate::{Augment, Error, Progress, Result, Schedule};

/// Hyperparameters of fine-tuning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FineTuneConfig {
    /// Optimiser steps.
    pub steps: u64,
    /// Images a step.
    pub batch: usize,
    /// Images that go through the model together on one thread; `batch` is cut into parts of
    /// this size whose gradients add up in order, so that the result does not depend on the
    /// number of threads. A batch of one part goes through on all threads.
    pub micro_batch: usize,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Share of the steps that warm up, in [0, 1).
    pub warmup: f64,
    /// Decoupled weight decay of matrices.
    pub weight_decay: f64,
    /// Largest norm of the whole gradient.
    pub clip_norm: f64,
    /// Label smoothing in [0, 1).
    pub label_smoothing: f64,
    /// Variation of the images.
    pub augment: Augment,
    /// Seed of order and variation.
    pub seed: u64,
    /// Steps between saved states.
    pub save_every: u64,
}

impl Default for FineTuneConfig {
    fn default() -> Self {
        Self {
            steps: 2_000,
            batch: 128,
            micro_batch: 32,
            learning_rate: 1e-5,
            warmup: 0.1,
            weight_decay: 0.1,
            clip_norm: 1.0,
            label_smoothing: 0.0,
            augment: Augment::default(),
            seed: 0,
            save_every: 100,
        }
    }
}

impl FineTuneConfig {
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
            at_least_one("batch", self.batch as u64),
            at_least_one("micro_batch", self.micro_batch as u64),
            at_least_one("save_every", self.save_every),
            positive("clip_norm", self.clip_norm),
            share("weight_decay", self.weight_decay),
            share("label_smoothing", self.label_smoothing),
        ])
    }
}

/// A task to learn.
#[derive(Clone, Copy)]
pub struct TrainingSet<'a> {
    /// The task's head, built by the zero-shot model's text tower.
    pub head: &'a ZeroShotHead,
    /// Training images with their labels.
    pub images: &'a PixelTable,
    /// Where each image has candidates of its own: which classes of the head they are. The right
    /// one is then what is learnt, not the label.
    pub asked: Option<&'a Asked<'a>>,
}

/// What is fine-tuned on what.
#[derive(Clone, Copy)]
pub struct FineTuneInput<'a> {
    /// Architecture of the model.
    pub config: &'a ClipConfig,
    /// The weights to start from, f32, not changed: the zero-shot model's, or patched ones.
    pub theta: &'a Tensors,
    /// One task, or several to learn jointly: each has the same share of every batch, however
    /// many images it has, and each image is judged by its own task's head.
    pub tasks: &'a [TrainingSet<'a>],
    /// Mean and deviation of the pixels.
    pub preprocessor: &'a Preprocessor,
}

/// Fine-tunes the image side; the rest of the returned weights is that of `input.theta`.
///
/// The state is kept in `state`, a file; a call with the same input continues there. It is
/// left in place at the end, so that a finished run is not repeated.
///
/// # Errors
/// If a hyperparameter is out of range, model, head and images do not fit, a tensor gets no
/// gradient, the loss is not finite, or the state cannot be read or written.
pub fn fine_tune(
    input: FineTuneInput<'_>,
    config: &FineTuneConfig,
    state: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Tensors> {
    config.check()?;
    check_input(&input)?;
    let names = image_tensor_names(input.config);
    let learning = names
        .iter()
        .filter_map(|name| input.theta.get_key_value(name));
    let mut optimizer = Optimizer::new(learning, config.weight_decay, config.clip_norm)?;
    let key = fine_tune_key(&input, config)?;
    let done = restore(state, &key, &mut optimizer)?;

    let mut tensors = input.theta.clone();
    for (name, parameter) in &optimizer.parameters {
        tensors.insert(name.clone(), parameter.theta.as_tensor().clone());
    }
    let clip = Clip::from_tensors(input.config, &tensors)?;
    let schedule = config.schedule();
    let lanes = Lanes::new().map_err(Error::Threads)?;
    let tables: Vec<&PixelTable> = input.tasks.iter().map(|task| task.images).collect();
    let mut order = Order::balanced(&tables, config.seed);
    for step in done + 1..=config.steps {
        let drawn = order.batch(step, config.batch);
        let pixels = read_varied(&tables, &drawn, &config.augment, config.seed, step)?;
        let parts = drawn
            .chunks(config.micro_batch)
            .zip(pixels.chunks(config.micro_batch * tables[0].image_bytes()));
        let parts = lanes.map(parts.collect(), |(drawn, pixels)| -> Result<_> {
            let loss = loss(&clip, &input, config, drawn, pixels)?;
            Ok((
                f64::from(loss.to_scalar::<f32>()?),
                paint_nn::backward(&loss)?,
            ))
        });
        let (losses, stores): (Vec<f64>, Vec<_>) = parts.into_iter().collect::<Result<_>>()?;
        let loss_sum: f64 = losses.iter().sum();
        if !loss_sum.is_finite() {
            return Err(Error::NotFinite {
                what: "the loss",
                value: loss_sum,
                step,
            });
        }
        let learning_rate = schedule.learning_rate(step);
        optimizer.step(
            &optimizer.summed_gradients(&stores, step)?,
            learning_rate,
            step,
        )?;
        if step % config.save_every == 0 || step == config.steps {
            save(state, &key, step, &optimizer)?;
        }
        progress(Progress {
            step,
            steps: config.steps,
            loss: loss_sum,
            learning_rate,
        });
    }
    for (name, parameter) in &optimizer.parameters {
        tensors.insert(name.clone(), parameter.theta.as_detached_tensor());
    }
    Ok(tensors)
}

/// What a part of a batch adds to the mean loss of the batch.
fn loss(
    clip: &Clip,
    input: &FineTuneInput<'_>,
    config: &FineTuneConfig,
    drawn: &[Drawn],
    pixels: &[u8],
) -> Result<Tensor> {
    let pixels = input
        .preprocessor
        .normalize(pixels, drawn.len(), clip.device())?;
    let features = clip.encode_image(&pixels)?;
    let (mut first, mut sum) = (0, None);
    for of_task in drawn.chunk_by(|a, b| a.table == b.table) {
        let task = &input.tasks[of_task[0].table];
        let logits = task
            .head
            .logits(&features.narrow(0, first, of_task.len())?)?;
        let rows = of_task.iter().map(|drawn| drawn.row);
        let (logits, labels): (_, Vec<u32>) = match task.asked {
            None => (logits, rows.map(|row| task.images.labels()[row]).collect()),
            Some(asked) => {
                let candidates: Vec<&[u32]> =
                    rows.clone().map(|row| asked.candidates[row]).collect();
                let shape = (candidates.len(), candidates[0].len());
                let columns = Tensor::from_vec(candidates.concat(), shape, logits.device())?;
                let answers = rows.map(|row| asked.answers[row]).collect();
                (logits.gather(&columns, 1)?, answers)
            }
        };
        let loss = paint_nn::cross_entropy(&logits, &labels, config.label_smoothing)?;
        // The mean over the batch, whatever the sizes of the parts.
        let loss = (loss * (of_task.len() as f64 / config.batch as f64))?;
        sum = Some(match sum {
            None => loss,
            Some(sum) => (sum + loss)?,
        });
        first += of_task.len();
    }
    sum.ok_or_else(|| Error::Mismatch("a batch without images".to_owned()))
}

fn check_input(input: &FineTuneInput<'_>) -> Result<()> {
    if input.tasks.is_empty() {
        return Err(Error::Mismatch("there is no task to learn".to_owned()));
    }
    for task in input.tasks {
        check_size(task.images, input.config)?;
        if task.images.is_empty() {
            return Err(Error::Mismatch("there are no training images".to_owned()));
        }
        let n_classes = task.head.n_classes();
        if let Some(asked) = task.asked {
            check_asked(asked, task.images.len(), n_classes)?;
            continue;
        }
        if let Some(&largest) = task.images.labels().iter().max()
            && largest as usize >= n_classes
        {
            return Err(Error::Mismatch(format!(
                "the training images have label {largest}, the head has {n_classes} classes"
            )));
        }
    }
    Ok(())
}

fn check_asked(asked: &Asked<'_>, n_images: usize, n_classes: usize) -> Result<()> {
    let refuse = |problem: String| Err(Error::Mismatch(problem));
    let (n_asked, n_answers) = (asked.candidates.len(), asked.answers.len());
    if n_asked != n_images || n_answers != n_images {
        return refuse(format!(
            "{n_images} training images with {n_asked} lists of candidates and {n_answers} answers"
        ));
    }
    let n_choices = asked.candidates[0].len();
    for (image, (candidates, &answer)) in asked.candidates.iter().zip(&asked.answers).enumerate() {
        let within = candidates.iter().all(|&c| (c as usize) < n_classes);
        if !within || candidates.len() != n_choices || answer as usize >= n_choices {
            return refuse(format!(
                "training image {image}: candidates {candidates:?} with answer {answer}, where \
                 images have {n_choices} of {n_classes} classes"
            ));
        }
    }
    Ok(())
}

/// A hash of everything that decides what [`fine_tune`] returns: equal keys, equal weights.
///
/// # Errors
/// If a tensor is not f32.
pub fn fine_tune_key(input: &FineTuneInput<'_>, config: &FineTuneConfig) -> Result<String> {
    // How often the state is saved changes no result.
    let config = FineTuneConfig {
        save_every: 1,
        ..config.clone()
    };
    let mut key = RunKey::new("fine-tune 3")
        .text(&format!("{config:?}"))
        .text(&format!("{:?}", input.config))
        .text(&format!("{:?}", input.preprocessor));
    for task in input.tasks {
        key = key
            .text(task.images.content_key())
            .text(task.images.transform_key())
            .tensor("head", task.head.weights())?;
        if let Some(asked) = task.asked {
            key = key.ids(&asked.candidates.concat()).ids(&asked.answers);
        }
    }
    for (name, tensor) in input.theta {
        key = key.tensor(name, tensor)?;
    }
    Ok(key.finish())
}
