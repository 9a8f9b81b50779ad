//! The spread of every initial tensor. Where each "normal" number is 1, a tensor shows its own.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use candle_core::Device;
use paint_clip::{ClipConfig, TextConfig, VisionConfig, init};

fn config() -> ClipConfig {
    ClipConfig {
        projection_dim: 6,
        vision: VisionConfig {
            hidden_size: 16,
            intermediate_size: 40,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            image_size: 8,
            patch_size: 4,
            ..VisionConfig::default()
        },
        text: TextConfig {
            vocab_size: 12,
            hidden_size: 64,
            intermediate_size: 80,
            num_hidden_layers: 8,
            num_attention_heads: 2,
            ..TextConfig::default()
        },
        ..ClipConfig::default()
    }
}

#[test]
fn spreads_are_those_of_clip() {
    let tensors = init(&config(), &mut || 1.0, &Device::Cpu).unwrap();
    assert!(tensors.keys().eq(config().tensor_shapes().keys()));
    // From initialize_parameters and VisionTransformer: vision width 16, 2 layers; text 64, 8.
    let expected = [
        ("logit_scale", 2.6592),
        ("text_projection.weight", 0.125),
        ("visual_projection.weight", 0.25),
        ("text_model.embeddings.token_embedding.weight", 0.02),
        ("text_model.embeddings.position_embedding.weight", 0.01),
        ("vision_model.embeddings.class_embedding", 0.25),
        ("vision_model.embeddings.patch_embedding.weight", 1.0 / 12.0),
        ("vision_model.embeddings.position_embedding.weight", 0.25),
        ("vision_model.pre_layrnorm.weight", 1.0),
        ("vision_model.pre_layrnorm.bias", 0.0),
        ("text_model.final_layer_norm.weight", 1.0),
        ("text_model.encoder.layers.7.layer_norm2.weight", 1.0),
        ("text_model.encoder.layers.7.self_attn.q_proj.weight", 0.125),
        ("text_model.encoder.layers.7.self_attn.v_proj.bias", 0.0),
        (
            "text_model.encoder.layers.7.self_attn.out_proj.weight",
            0.03125,
        ),
        ("text_model.encoder.layers.7.mlp.fc1.weight", 0.088_388_35),
        ("text_model.encoder.layers.7.mlp.fc2.weight", 0.03125),
        (
            "vision_model.encoder.layers.1.self_attn.k_proj.weight",
            0.25,
        ),
        (
            "vision_model.encoder.layers.1.self_attn.out_proj.weight",
            0.125,
        ),
        ("vision_model.encoder.layers.1.mlp.fc1.weight", 0.176_776_7),
        ("vision_model.encoder.layers.1.mlp.fc2.weight", 0.125),
    ];
    for (name, spread) in expected {
        let values: Vec<f32> = tensors[name].flatten_all().unwrap().to_vec1().unwrap();
        assert!(
            values.iter().all(|x| (x - spread).abs() < 1e-6),
            "{name}: {}",
            values[0]
        );
    }
}

#[test]
fn the_generator_determines_every_value_in_order() {
    let counted = || {
        let mut n = 0.0;
        let tensors = init(
            &config(),
            &mut || {
                n += 1.0;
                n
            },
            &Device::Cpu,
        )
        .unwrap();
        (
            n,
            tensors["text_model.embeddings.position_embedding.weight"].clone(),
        )
    };
    let ((n, tensor), (again, same)) = (counted(), counted());
    assert_eq!(n, again);
    let values: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
    assert_eq!(
        values,
        same.flatten_all().unwrap().to_vec1::<f32>().unwrap()
    );
    assert!(values.windows(2).all(|pair| pair[0] < pair[1]));
}
