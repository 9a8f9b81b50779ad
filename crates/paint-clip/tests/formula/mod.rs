//! Weights and pictures from formulas, the same as in tests/reference/make_clip_reference.py.

use candle_core::{Device, Tensor};
use image::RgbImage;
use paint_clip::{ClipConfig, Tensors};

/// n numbers in [-1, 1) from a name: SplitMix64 of its FNV-1a hash, top 24 bits.
pub(crate) fn uniform(name: &str, n: usize) -> Vec<f32> {
    let hash = name.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |h, byte| {
        (h ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
    });
    let value = |i: u64| {
        let mut z = hash.wrapping_add(i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (1..=n as u64).map(value).collect()
}

/// Weights of a model, large enough that every part of it shows in the result.
#[allow(dead_code, reason = "each test binary takes what it needs")]
pub(crate) fn weights(config: &ClipConfig) -> Tensors {
    let weight = |(name, shape): (String, Vec<usize>)| {
        let centre = if name.contains("norm") && name.ends_with("weight") {
            1.0
        } else {
            0.0
        };
        let mut values = uniform(&name, shape.iter().product());
        values.iter_mut().for_each(|u| *u = *u * 0.25 + centre);
        if name == "logit_scale" {
            values = vec![2.5];
        }
        let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
        (name, tensor)
    };
    config.tensor_shapes().into_iter().map(weight).collect()
}

/// Smooth slopes, hard edges, or noise.
#[allow(dead_code, reason = "each test binary takes what it needs")]
pub(crate) fn picture(kind: &str, width: u32, height: u32) -> RgbImage {
    let noise = uniform(
        &format!("noise {width} {height}"),
        (width * height * 3) as usize,
    );
    RgbImage::from_fn(width, height, |x, y| {
        let value = |c: u32| match kind {
            "slopes" => ((x * 3 + y * 5 + c * 40) / 2 % 256) as u8,
            "edges" => ((x / 5 + y / 3 + c) % 2 * 255) as u8,
            _ => ((noise[((y * width + x) * 3 + c) as usize] + 1.0) * 128.0).floor() as u8,
        };
        image::Rgb([value(0), value(1), value(2)])
    })
}
