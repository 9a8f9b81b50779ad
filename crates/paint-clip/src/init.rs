//! Random weights with the spreads of `transformers`' `CLIPPreTrainedModel._init_weights`.

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
        ("token_embedding" | "position_embedding" | "patch_embedding", _) => Initial::Normal(0.02),
        ("q_proj" | "k_proj" | "v_proj" | "fc2", _) => {
            Initial::Normal((width * 2.0 * n_layers).sqrt().recip())
        }
        ("fc1", _) => Initial::Normal((2.0 * width).sqrt().recip()),
        // class_embedding, out_proj and both projections.
        _ => Initial::Normal(width.sqrt().recip()),
    }
}
