//! `cargo xtask verify`: do two checkpoints give the same answers, and by how much do they differ?

use anyhow::{Context, Result, bail, ensure};
use candle_core::Tensor;
use image::{Rgb, RgbImage};
use paint_clip::ClipConfig;
use paint_data::Rng;
use serde_json::{Value, json};

use crate::model::Model;
use crate::models::find_model;
use crate::progress::{Console, answer};
use crate::tasks::hub_of;

/// Compare the logits of two checkpoints on fixed images and prompts
///
/// Exits with an error if they differ by more than the tolerance, or cannot be compared.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A checkpoint directory in either layout, an embedded model, or ORG/NAME of the Hub
    a: String,
    /// The other one
    b: String,
    /// Allowed difference, as a part of the largest logit
    #[arg(long, default_value_t = 2e-4)]
    tolerance: f32,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// The drawn images; changing one of these numbers changes what is compared.
const N_IMAGES: usize = 8;
const SEED: u64 = 7;

const PROMPTS: [&str; 12] = [
    "a photo of a cat.",
    "a photo of a dog.",
    "a red square on a blue background",
    "a diagram",
    "a satellite photo of a forest.",
    "the number seven",
    "it's raining in the street",
    "a blurry photo of many small things",
    "a street sign that says 50 km/h",
    "abstract art, noise and stripes",
    "an empty room",
    "nothing",
];

/// Weights further apart than this part of their length have nothing to do with each other:
/// independent ones of equal length are 1.4 apart, fine-tuning moves a CLIP by about 0.01.
const UNRELATED: f64 = 0.5;

pub(crate) fn run(args: &Args, console: &Console) -> Result<()> {
    ensure!(
        args.tolerance >= 0.0,
        "--tolerance {}: must not be negative",
        args.tolerance
    );
    let hub = hub_of(None, console);
    let load = |name: &str| Model::load(find_model(name, &hub)?);
    let (a, b) = (load(&args.a)?, load(&args.b)?);
    compare_configurations(&a.config, &b.config)
        .with_context(|| format!("{} and {} cannot be compared", args.a, args.b))?;
    let distance = distance(&a, &b)?;
    let found = compare_logits(&a, &b)?;
    report(args, &found, distance);
    if distance > UNRELATED {
        bail!(
            "{} and {} have no common ancestor: their weights differ by {:.0} % of their length",
            args.a,
            args.b,
            100.0 * distance
        );
    }
    ensure!(
        found.relative() <= args.tolerance,
        "the logits differ by {:.1e} of the largest, more than {:.1e}",
        found.relative(),
        args.tolerance
    );
    Ok(())
}

/// What two models make of the same inputs.
struct Comparison {
    /// Largest absolute difference between two logits.
    difference: f32,
    /// Largest absolute logit of the first model.
    largest: f32,
    /// Images for which both models prefer the same prompt.
    agree: usize,
    /// Images whose pixels differ between the two preprocessors.
    pixels_differ: usize,
}

impl Comparison {
    fn relative(&self) -> f32 {
        self.difference / self.largest
    }
}

fn compare_logits(a: &Model, b: &Model) -> Result<Comparison> {
    let prompts = PROMPTS.map(str::to_owned);
    for prompt in &prompts {
        let (of_a, of_b) = (a.tokenizer.encode(prompt)?, b.tokenizer.encode(prompt)?);
        ensure!(
            of_a == of_b,
            "the tokenizers differ: {prompt:?} is {of_a:?} in the one and {of_b:?} in the other"
        );
    }
    let size = a.config.vision.image_size;
    let seen = |model: &Model| -> Vec<Vec<u8>> {
        (0..N_IMAGES)
            .map(|i| model.preprocessor.resize_crop(&drawn(i, size)))
            .collect()
    };
    let (by_a, by_b) = (seen(a), seen(b));
    let of_a = a.logits(&by_a.concat(), N_IMAGES, &prompts)?;
    let of_b = b.logits(&by_b.concat(), N_IMAGES, &prompts)?;
    let pairs = || of_a.iter().flatten().zip(of_b.iter().flatten());
    let largest_place = |row: &[f32]| {
        let places = row.iter().enumerate();
        places.max_by(|x, y| x.1.total_cmp(y.1)).map(|(i, _)| i)
    };
    Ok(Comparison {
        difference: pairs().map(|(x, y)| (x - y).abs()).fold(0.0, f32::max),
        largest: pairs().map(|(x, _)| x.abs()).fold(0.0, f32::max),
        agree: of_a
            .iter()
            .zip(&of_b)
            .filter(|(x, y)| largest_place(x) == largest_place(y))
            .count(),
        pixels_differ: by_a.iter().zip(&by_b).filter(|(x, y)| x != y).count(),
    })
}

/// Patches of colour over a slope with some noise. Twice as large as the model wants along one
/// side, and longer along the other by a multiple of 8, so that transformers and torchvision cut
/// out the same centre.
fn drawn(index: usize, size: usize) -> RgbImage {
    let mut rng = Rng::derive(SEED, &[index as u64]);
    let (short, long) = (2 * size as u32, 2 * (size + 8 * index) as u32);
    let (width, height) = if index.is_multiple_of(2) {
        (long, short)
    } else {
        (short, long)
    };
    let mut colour = || std::array::from_fn::<f32, 3, _>(|_| rng.range(0.0, 256.0));
    let corners = [colour(), colour()];
    let patches: Vec<_> = (0..3 + index)
        .map(|_| (colour(), colour(), colour()))
        .collect();
    let noise = 8.0 * index as f32;
    RgbImage::from_fn(width, height, |x, y| {
        let (u, v) = (x as f32 / width as f32, y as f32 / height as f32);
        let inside = patches.iter().rev().find(|(_, corner, extent)| {
            let within = |at: f32, start: f32, length: f32| {
                (start..start + length / 2.0).contains(&(at * 256.0))
            };
            within(u, corner[0], extent[0]) && within(v, corner[1], extent[1])
        });
        Rgb(std::array::from_fn(|channel| {
            let value = match inside {
                Some((colour, ..)) => colour[channel],
                None => corners[0][channel] * (1.0 - u) + corners[1][channel] * v,
            };
            (value + rng.range(-noise, noise)).clamp(0.0, 255.0) as u8
        }))
    })
}

/// Refuses models of different architectures, naming every key that differs. How they tell where
/// a text ends, and the ids of its ends, show in the logits.
fn compare_configurations(a: &ClipConfig, b: &ClipConfig) -> Result<()> {
    let value = |config: &ClipConfig| -> Result<Value> {
        let mut value: Value = serde_json::from_str(&config.to_json())?;
        for key in ["bos_token_id", "eos_token_id", "pad_token_id"] {
            value["text_config"][key] = Value::Null;
        }
        value["logit_scale_init_value"] = Value::Null;
        Ok(value)
    };
    let mut differences = Vec::new();
    collect_differences("", &value(a)?, &value(b)?, &mut differences);
    if differences.is_empty() {
        return Ok(());
    }
    let only_activation = differences.iter().all(|d| d.contains("hidden_act"));
    bail!(
        "{}: {}",
        if only_activation {
            "the activations are different"
        } else {
            "the architectures are different"
        },
        differences.join(", ")
    )
}

fn collect_differences(key: &str, a: &Value, b: &Value, found: &mut Vec<String>) {
    match (a.as_object(), b.as_object()) {
        (Some(a), Some(b)) => {
            for (name, value) in a {
                let key = format!("{key}{}{name}", if key.is_empty() { "" } else { "." });
                collect_differences(&key, value, b.get(name).unwrap_or(&Value::Null), found);
            }
        }
        _ if a != b => found.push(format!("{key} is {a} and {b}")),
        _ => {}
    }
}

/// The length of the difference of all weights, as a part of the length of the first ones.
fn distance(a: &Model, b: &Model) -> Result<f64> {
    let square = |tensor: &Tensor| -> Result<f64> {
        Ok(f64::from(tensor.sqr()?.sum_all()?.to_scalar::<f32>()?))
    };
    let (mut difference, mut length) = (0.0, 0.0);
    for (name, tensor) in &a.tensors {
        let other = &b.tensors[name];
        difference += square(&(tensor - other)?)?;
        length += square(tensor)?;
    }
    Ok((difference / length).sqrt())
}

fn report(args: &Args, found: &Comparison, distance: f64) {
    if args.json {
        let line = json!({
            "a": args.a,
            "b": args.b,
            "images": N_IMAGES,
            "prompts": PROMPTS.len(),
            "largest_difference": found.difference,
            "relative_to_largest_logit": found.relative(),
            "argmax_agreement": found.agree as f64 / N_IMAGES as f64,
            "images_with_other_pixels": found.pixels_differ,
            "weight_distance": distance,
        });
        answer(line);
        return;
    }
    answer(format!(
        "largest difference {:.2e} of logits up to {:.2} (relative {:.2e}); same best prompt for \
         {} of {N_IMAGES} images; weights {distance:.2e} apart",
        found.difference,
        found.largest,
        found.relative(),
        found.agree,
    ));
    if found.pixels_differ > 0 {
        answer(format!(
            "the preprocessing differs: {} of {N_IMAGES} images have other pixels",
            found.pixels_differ
        ));
    }
}
