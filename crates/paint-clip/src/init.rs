//! Random weights with the spreads of CLIP's own `initialize_parameters` and
//! `VisionTransformer` (openai/CLIP, `model.py`).
//!
//! `transformers`' `_init_weights` differs: its queries and keys begin so small that
//! attention is uniform for long, and what blocks add is not scaled by depth.

use candle_core::{Device, Tensor};

use crate::{ClipConfig, Result, Tensors};

/// Initial weights. `normal` gives independent standard normals; it is called once per random
/// value, tensors in alphabetical order of their names, so that a seeded generator determines all.
///
/// # Errors
/// If the configuration does not hold together, or the device has no room.
pub fn init(
    config: &ClipConfig,
    normal: &mut dyn FnMut() -> f32,
    device: &Device,
) -> Result<Tensors> {
    config.check("config")?;
    let tensor = |(name, shape): (String, Vec<usize>)| {
        let n = shape.iter().product();
        let values: Vec<f32> = match initial(config, &name) {
            Initial::Constant(value) => vec![value; n],
            Initial::Normal(std) => (0..n).map(|_| normal() * std).collect(),
        };
        Ok((name, Tensor::from_vec(values, shape, device)?))
    };
    config.tensor_shapes().into_iter().map(tensor).collect()
}

enum Initial {
    Constant(f32),
    /// Standard deviation; the mean is 0.
    Normal(f32),
}

fn initial(config: &ClipConfig, name: &str) -> Initial {
    let (width, n_layers) = if name.starts_with("vision_model.") || name.starts_with("visual_") {
        (
            config.vision.hidden_size as f32,
            config.vision.num_hidden_layers as f32,
        )
    } else {
        (
            config.text.hidden_size as f32,
            config.text.num_hidden_layers as f32,
        )
    };
    let (owner, kind) = name.rsplit_once('.').unwrap_or(("", name));
    let module = owner.rsplit('.').next().unwrap_or_default();
    match (module, kind) {
        ("", "logit_scale") => Initial::Constant(config.logit_scale_init_value as f32),
        (_, "bias") => Initial::Constant(0.0),
        (norm, _) if norm.contains("norm") => Initial::Constant(1.0),
        ("token_embedding", _) => Initial::Normal(0.02),
        ("position_embedding", _) if owner.starts_with("text_model.") => Initial::Normal(0.01),
        ("fc1", _) => Initial::Normal((2.0 * width).sqrt().recip()),
        ("out_proj" | "fc2", _) => Initial::Normal((width * 2.0 * n_layers).sqrt().recip()),
        ("patch_embedding", _) => {
            // The spread of a convolution's default weights, uniform in ±1/sqrt(inputs).
            let n_inputs = (3 * config.vision.patch_size * config.vision.patch_size) as f32;
            Initial::Normal((3.0 * n_inputs).sqrt().recip())
        }
        // Queries, keys, values, both projections, the image side's class and positions.
        _ => Initial::Normal(width.sqrt().recip()),
    }
}
