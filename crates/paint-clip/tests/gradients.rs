//! Every tensor of both towers against central differences, at batch 1 and 3.
//!
//! Layer norms, softmax and other fused operations without a backward pass give missing or wrong
//! gradients without an error, and which ones depends on the batch size; hence both sizes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod formula;

use std::collections::BTreeMap;

use candle_core::{Device, Tensor, Var};
use paint_clip::{Clip, ClipConfig, HiddenAct, Tensors, TextConfig, VisionConfig, l2_normalize};

const STEP: f32 = 4e-3;

/// Largest accepted |g·d - quotient| / (|g| |d|); f32 forward passes leave about 2e-3.
const RELATIVE: f64 = 5e-3;

/// Added to that, for rounding; small beside the least |g| |d| that is accepted as a gradient.
const ABSOLUTE: f64 = 6e-4;
const SMALLEST: f64 = 2e-2;

fn config(hidden_act: HiddenAct, eos_token_id: u32) -> ClipConfig {
    ClipConfig {
        projection_dim: 6,
        vision: VisionConfig {
            hidden_size: 8,
            intermediate_size: 16,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            image_size: 8,
            patch_size: 4,
            hidden_act,
            ..VisionConfig::default()
        },
        text: TextConfig {
            vocab_size: 12,
            hidden_size: 8,
            intermediate_size: 16,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            max_position_embeddings: 6,
            hidden_act,
            eos_token_id,
            ..TextConfig::default()
        },
        ..ClipConfig::default()
    }
}

struct Inputs {
    pixels: Tensor,
    ids: Vec<Vec<u32>>,
    /// The patches that are seen; all, if none are given.
    seen: Option<Vec<u32>>,
}

impl Inputs {
    fn new(batch: usize) -> Self {
        let texts = [
            vec![10, 3, 7, 4, 11],
            vec![10, 5, 11],
            vec![10, 3, 3, 8, 2, 11],
        ];
        let pixels = formula::uniform("pixels", batch * 3 * 64);
        let pixels = Tensor::from_vec(pixels, (batch, 3, 8, 8), &Device::Cpu).unwrap();
        Self {
            pixels,
            ids: texts[..batch].to_vec(),
            seen: None,
        }
    }

    /// Features of both towers and the logits between them, in a row: everything a loss can use.
    fn outputs(&self, clip: &Clip) -> Tensor {
        let image = match &self.seen {
            None => clip.encode_image(&self.pixels).unwrap(),
            Some(seen) => clip.encode_image_patches(&self.pixels, seen).unwrap(),
        };
        let text = clip.encode_text(&self.ids).unwrap();
        let cosines = l2_normalize(&image).unwrap();
        let cosines = cosines
            .matmul(&l2_normalize(&text).unwrap().t().unwrap())
            .unwrap();
        let logits = cosines
            .broadcast_mul(&clip.logit_scale().exp().unwrap())
            .unwrap();
        let row = |x: &Tensor| x.flatten_all().unwrap();
        Tensor::cat(&[row(&image), row(&text), row(&logits)], 0).unwrap()
    }

    fn coefficients(&self, n: usize) -> Vec<f32> {
        formula::uniform("coefficients", n)
    }

    fn loss(&self, clip: &Clip) -> Tensor {
        let outputs = self.outputs(clip);
        let n = outputs.elem_count();
        let coefficients = Tensor::from_vec(self.coefficients(n), n, &Device::Cpu).unwrap();
        (outputs * coefficients).unwrap().sum_all().unwrap()
    }

    /// The same, summed in f64.
    fn loss_value(&self, clip: &Clip) -> f64 {
        let outputs: Vec<f32> = self.outputs(clip).to_vec1().unwrap();
        let coefficients = self.coefficients(outputs.len());
        outputs
            .iter()
            .zip(coefficients)
            .map(|(x, c)| f64::from(*x) * f64::from(c))
            .sum()
    }
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// The difference quotient along `direction`; the model sees the variable change in place.
fn quotient(var: &Var, direction: &[f32], mut loss: impl FnMut() -> f64) -> f64 {
    let at = values(var);
    let mut moved = |step: f32| {
        let values: Vec<f32> = at
            .iter()
            .zip(direction)
            .map(|(x, d)| x + step * d)
            .collect();
        var.set(&Tensor::from_vec(values, var.shape(), &Device::Cpu).unwrap())
            .unwrap();
        loss()
    };
    let difference = moved(STEP) - moved(-STEP);
    moved(0.0);
    difference / (2.0 * f64::from(STEP))
}

/// The bias of the keys adds the same to all scores of a query, which softmax cancels.
fn is_zero_by_nature(name: &str) -> bool {
    name.ends_with("k_proj.bias")
}

fn check(config: &ClipConfig, batch: usize, seen: Option<Vec<u32>>) {
    let vars: BTreeMap<String, Var> = formula::weights(config)
        .into_iter()
        .map(|(name, tensor)| (name, Var::from_tensor(&tensor).unwrap()))
        .collect();
    let tensors: Tensors = vars
        .iter()
        .map(|(n, v)| (n.clone(), v.as_tensor().clone()))
        .collect();
    let clip = Clip::from_tensors(config, &tensors).unwrap();
    let inputs = Inputs {
        seen,
        ..Inputs::new(batch)
    };
    let gradients = inputs.loss(&clip).backward().unwrap();
    let missing: Vec<&String> = vars
        .iter()
        .filter(|(_, var)| gradients.get(var).is_none())
        .map(|(name, _)| name)
        .collect();
    assert!(
        missing.is_empty(),
        "batch {batch}: no gradient for {missing:?}"
    );
    for (name, var) in &vars {
        let gradient = values(gradients.get(var).unwrap());
        let norm = gradient
            .iter()
            .map(|g| f64::from(g * g))
            .sum::<f64>()
            .sqrt();
        assert_eq!(
            norm > 1e-4,
            !is_zero_by_nature(name),
            "batch {batch}, {name}: |g| = {norm}"
        );
        for probe in 0..3 {
            let direction = formula::uniform(&format!("{name} direction {probe}"), gradient.len());
            let length = direction
                .iter()
                .map(|d| f64::from(d * d))
                .sum::<f64>()
                .sqrt();
            let scale = norm * length;
            assert_eq!(
                scale > SMALLEST,
                !is_zero_by_nature(name),
                "{name}: |g||d| = {scale}"
            );
            let expected = quotient(var, &direction, || inputs.loss_value(&clip));
            let along: f64 = gradient
                .iter()
                .zip(&direction)
                .map(|(g, d)| f64::from(*g) * f64::from(*d))
                .sum();
            let tolerance = RELATIVE * scale + ABSOLUTE;
            assert!(
                (along - expected).abs() <= tolerance,
                "batch {batch}, {name}: gradient {along}, difference quotient {expected}"
            );
        }
    }
}

#[test]
fn gradients_are_right_at_batch_1() {
    check(&config(HiddenAct::QuickGelu, 11), 1, None);
    check(&config(HiddenAct::Gelu, 2), 1, None);
}

#[test]
fn gradients_are_right_at_batch_3() {
    check(&config(HiddenAct::QuickGelu, 2), 3, None);
    check(&config(HiddenAct::Gelu, 11), 3, None);
}

#[test]
fn gradients_are_right_where_patches_are_left_out() {
    check(&config(HiddenAct::QuickGelu, 11), 2, Some(vec![0, 3]));
}

#[test]
fn left_out_patches_make_no_difference_and_all_are_the_whole_image() {
    let clip = Clip::from_tensors(
        &config(HiddenAct::QuickGelu, 11),
        &formula::weights(&config(HiddenAct::QuickGelu, 11)),
    )
    .unwrap();
    let pixels = Inputs::new(2).pixels;
    let whole = values(&clip.encode_image(&pixels).unwrap());
    let all = clip.encode_image_patches(&pixels, &[0, 1, 2, 3]).unwrap();
    assert_eq!(values(&all), whole);

    // Patch 1 is the upper right quarter.
    let mask: Vec<f32> = (0..64)
        .map(|i| f32::from(u8::from(i / 8 < 4 && i % 8 >= 4)))
        .collect();
    let noise = Tensor::from_vec(mask, (8, 8), &Device::Cpu).unwrap();
    let other = pixels.broadcast_add(&noise).unwrap();
    let seen =
        |pixels: &Tensor, seen: &[u32]| values(&clip.encode_image_patches(pixels, seen).unwrap());
    assert_eq!(seen(&pixels, &[0, 2, 3]), seen(&other, &[0, 2, 3]));
    assert_ne!(seen(&pixels, &[0, 1]), seen(&other, &[0, 1]));
    assert_ne!(seen(&pixels, &[0]), whole);
    assert!(clip.encode_image_patches(&pixels, &[4]).is_err());
}
