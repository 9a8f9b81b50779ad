//! Towers of real sizes with random weights: the forward pass, the training step, latency, memory.

use std::time::Instant;

use anyhow::Result;
use candle_core::{Device, Tensor};
use paint_clip::{Clip, ClipConfig, TextConfig, VisionConfig, init};
use paint_data::Rng;

use super::memory::peak_memory;
use super::stepper::{Stepper, Training};
use super::{Case, Measure, request};
use crate::preset::Preset;

/// What is measured of which model: name, batch of the passes.
const MODELS: [(&str, &[usize]); 4] = [
    ("vit-b-32", &[16, 64]),
    ("vit-b-16", &[16]),
    ("world-xs", &[128]),
    ("world-s", &[128]),
];

pub(super) fn cases() -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (model, batches) in MODELS {
        for &batch in batches {
            cases.push(case(
                "vision_forward",
                model,
                batch,
                "images/s",
                vision_forward,
            )?);
            if model != "vit-b-16" {
                cases.push(case(
                    "training_step",
                    model,
                    batch,
                    "images/s",
                    training_step,
                )?);
            }
        }
    }
    cases.push(case(
        "forward_latency",
        "vit-b-32",
        1,
        "images/s",
        vision_forward,
    )?);
    cases.push(case(
        "peak_memory",
        "vit-b-32",
        MEMORY_BATCH,
        "MB",
        |model, _, _| Ok(peak_memory(model)),
    )?);
    cases.push(matrix_product_share()?);
    Ok(cases)
}

fn case(
    name: &'static str,
    model: &str,
    batch: usize,
    unit: &'static str,
    prepare: fn(&str, usize, usize) -> Result<Measure>,
) -> Result<Case> {
    let owned = model.to_owned();
    Ok(Case {
        name,
        model: model.to_owned(),
        batch: Some(batch),
        unit,
        request: Some(request(name, &config(model)?, batch)?),
        prepare: Box::new(move |times| prepare(&owned, batch, times)),
    })
}

/// The architecture of that name; its text tower reads the embedded world's tokens.
fn config(model: &str) -> Result<ClipConfig> {
    let patch_size = match model {
        "vit-b-32" => 32,
        "vit-b-16" => 16,
        embedded => return Ok(Preset::find(embedded)?.clip_config()),
    };
    let end = paint_world::VOCABULARY_SIZE as u32 - 1;
    Ok(ClipConfig {
        vision: VisionConfig {
            patch_size,
            ..Default::default()
        },
        text: TextConfig {
            bos_token_id: end - 1,
            eos_token_id: end,
            pad_token_id: end,
            ..Default::default()
        },
        ..Default::default()
    })
}

fn random_weights(config: &ClipConfig) -> Result<paint_clip::Tensors> {
    let rng = &mut Rng::new(1);
    Ok(init(config, &mut || rng.normal(), &Device::Cpu)?)
}

fn noise(config: &ClipConfig, batch: usize) -> Result<Tensor> {
    let size = config.vision.image_size;
    let rng = &mut Rng::new(2);
    let values: Vec<f32> = (0..batch * 3 * size * size).map(|_| rng.normal()).collect();
    Ok(Tensor::from_vec(
        values,
        (batch, 3, size, size),
        &Device::Cpu,
    )?)
}

fn vision_forward(model: &str, batch: usize, _: usize) -> Result<Measure> {
    let config = config(model)?;
    let clip = Clip::from_tensors(&config, &random_weights(&config)?)?;
    let pixels = noise(&config, batch)?;
    Ok(Box::new(move || {
        let start = Instant::now();
        clip.encode_image(&pixels)?;
        Ok(batch as f64 / start.elapsed().as_secs_f64())
    }))
}

fn training_step(model: &str, batch: usize, times: usize) -> Result<Measure> {
    let config = config(model)?;
    let weights = random_weights(&config)?;
    let training = Training::new(config, weights, batch)?;
    let mut stepper = Stepper::start(training, batch, times as u64 + 1)?;
    Ok(Box::new(move || Ok(batch as f64 / stepper.step()?)))
}

/// Images a second through the image side.
pub(crate) struct Speeds {
    pub(crate) forward: f64,
    /// Forward, backward and the optimizer.
    pub(crate) training: f64,
    pub(crate) n_layers: usize,
    /// Layers that the measured model had; the speeds are those of all, by their operations.
    pub(crate) n_measured: usize,
}

/// Operations of one measured pass, which takes a fraction of a second.
const QUICK: f64 = 16e9;

/// Measures an architecture in about a second: fewer layers, few images, random weights.
pub(crate) fn speeds(config: &ClipConfig) -> Result<Speeds> {
    let mut measured = config.clone();
    let vision = &mut measured.vision;
    let n_layers = vision.num_hidden_layers;
    // The last takes next to no time.
    vision.num_hidden_layers = n_layers.min(3);
    let n_measured = vision.num_hidden_layers;
    let share = operations(vision) / operations(&config.vision);
    let batch = ((QUICK / operations(vision)) as usize).clamp(2, 128);
    let end = paint_world::VOCABULARY_SIZE as u32 - 1;
    // A text side that takes no time; its width is all that a step sees of it.
    measured.text = TextConfig {
        vocab_size: paint_world::VOCABULARY_SIZE,
        max_position_embeddings: paint_world::CONTEXT_LENGTH,
        hidden_size: 32,
        intermediate_size: 64,
        num_hidden_layers: 1,
        num_attention_heads: 1,
        bos_token_id: end - 1,
        eos_token_id: end,
        pad_token_id: end,
        ..Default::default()
    };
    let weights = random_weights(&measured)?;
    let per_second = |seconds: f64| batch as f64 / seconds * share;
    let clip = Clip::from_tensors(&measured, &weights)?;
    let pixels = noise(&measured, batch)?;
    clip.encode_image(&pixels)?;
    let start = Instant::now();
    clip.encode_image(&pixels)?;
    let forward = per_second(start.elapsed().as_secs_f64());
    let mut stepper = Stepper::start(Training::new(measured, weights, batch)?, batch, 2)?;
    Ok(Speeds {
        forward,
        training: per_second(stepper.step()?),
        n_layers,
        n_measured,
    })
}

const MEMORY_BATCH: usize = 16;
const MEMORY_STEPS: u64 = 3;

/// Trains a few steps, for its peak memory.
pub(super) fn train_a_few_steps(model: &str) -> Result<()> {
    let config = config(model)?;
    let weights = random_weights(&config)?;
    Training::new(config, weights, MEMORY_BATCH)?.run(MEMORY_BATCH, MEMORY_STEPS)?;
    Ok(())
}

/// How much of the speed of plain matrix products the forward pass of ViT-B/32 has, per cent.
///
/// The products measured are those of the MLP, the largest; the pass's operations are those of all
/// the products that it computes.
fn matrix_product_share() -> Result<Case> {
    const BATCH: usize = 64;
    let config = config("vit-b-32")?;
    let prepare = move |times| -> Result<Measure> {
        let vision = config.vision.clone();
        let mut forward = vision_forward("vit-b-32", BATCH, times)?;
        let rows = BATCH * (vision.n_patches() + 1);
        let (d, hidden) = (vision.hidden_size, vision.intermediate_size);
        let device = &Device::Cpu;
        let x = Tensor::ones((rows, d), candle_core::DType::F32, device)?;
        let weight = Tensor::ones((hidden, d), candle_core::DType::F32, device)?;
        Ok(Box::new(move || {
            let start = Instant::now();
            for _ in 0..8 {
                paint_nn::linear(&x, &weight, None)?;
            }
            let product = 16.0 * (rows * d * hidden) as f64 / start.elapsed().as_secs_f64();
            Ok(100.0 * forward()? * operations(&vision) / product)
        }))
    };
    Ok(Case {
        name: "matrix_product_share",
        model: "vit-b-32".to_owned(),
        batch: Some(BATCH),
        unit: "%",
        request: None,
        prepare: Box::new(prepare),
    })
}

/// Multiplications and additions in the matrix products of one image's forward pass. Of the last
/// layer the class token alone is computed, at about the cost of one token.
fn operations(vision: &VisionConfig) -> f64 {
    let (tokens, d) = (vision.n_patches() + 1, vision.hidden_size);
    let linear = 4 * d * d + 2 * d * vision.intermediate_size;
    let attention = 2 * tokens * d;
    let last = linear + vision.num_attention_heads * attention;
    let layers = (vision.num_hidden_layers - 1) * tokens * (linear + attention) + last;
    let patches = vision.n_patches() * 3 * vision.patch_size * vision.patch_size * d;
    2.0 * (layers + patches) as f64
}
