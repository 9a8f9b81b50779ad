//! Loading takes no more memory than 1.3 times the weights as f32. Alone in its process, so that
//! its high-water mark is that of loading.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use candle_core::{Device, Tensor};
use paint_clip::{
    ClipConfig, Layout, Provenance, Tensors, TextConfig, VisionConfig, WeightDtype, init,
    load_tensors, save_as,
};

/// About 80 MB as f32, no tensor much more than a tenth of it.
fn config() -> ClipConfig {
    ClipConfig {
        vision: VisionConfig {
            num_hidden_layers: 2,
            ..VisionConfig::default()
        },
        text: TextConfig {
            vocab_size: 1000,
            num_hidden_layers: 1,
            ..TextConfig::default()
        },
        ..ClipConfig::default()
    }
}

/// What the allocator may keep of an earlier model, and stacks; little beside a real checkpoint.
const KEPT: u64 = 8 << 20;

/// In bytes; `VmRSS` now, `VmHWM` at most so far.
fn memory(key: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(key)).unwrap();
    let kilobytes = line.split_whitespace().nth(1).unwrap();
    kilobytes.parse::<u64>().unwrap() * 1024
}

fn bytes(tensors: &Tensors) -> u64 {
    tensors.values().map(|t| 4 * t.elem_count() as u64).sum()
}

fn write(layout: Layout, dir: &Path, dtype: WeightDtype) -> u64 {
    let mut x = 0_f32;
    let mut next = || {
        x = (x + 0.37) % 1.0;
        x
    };
    let tensors = init(&config(), &mut next, &Device::Cpu).unwrap();
    let provenance = Provenance::default();
    save_as(layout, dir, &config(), &tensors, dtype, None, &provenance).unwrap();
    bytes(&tensors)
}

#[test]
fn loading_takes_little_more_than_the_weights() {
    let before = memory("VmRSS");
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("model");
    for (layout, dtype) in [
        (Layout::HuggingFace, WeightDtype::F32),
        (Layout::OpenClip, WeightDtype::F32),
        (Layout::HuggingFace, WeightDtype::F16),
    ] {
        let weights = write(layout, &dir, dtype);
        // Forgets the high-water mark; not everywhere allowed.
        if fs::write("/proc/self/clear_refs", "5").is_err() {
            return;
        }
        let tensors = load_tensors(&dir, &Device::Cpu).unwrap();
        let peak = memory("VmHWM").saturating_sub(before);
        assert_eq!(bytes(&tensors), weights);
        let largest: &Tensor = &tensors["vision_model.encoder.layers.0.mlp.fc1.weight"];
        assert_eq!(largest.elem_count(), 3072 * 768);
        assert!(
            peak <= weights * 13 / 10 + KEPT,
            "{layout:?} {dtype:?}: {peak} bytes for weights of {weights}"
        );
        assert!(peak >= weights, "{peak} bytes cannot hold {weights}");
    }
}
