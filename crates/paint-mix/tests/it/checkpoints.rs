//! Small checkpoints and seeded values for the tests of the public API.

use safetensors::{Dtype, serialize, tensor::TensorView};
use std::path::{Path, PathBuf};

pub(crate) type Tensor = (&'static str, Dtype, Vec<usize>, Vec<u8>);

/// SplitMix64.
pub(crate) struct Values(pub(crate) u64);

impl Values {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In [0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Weights of many magnitudes and both signs, some of them zero.
    pub(crate) fn weights(&mut self, n: usize) -> Vec<f32> {
        let weight = |values: &mut Self| match values.next() % 16 {
            0 => 0.0,
            1 => -0.0,
            _ => ((values.unit() - 0.5) * 10_f64.powf(values.unit() * 8.0 - 6.0)) as f32,
        };
        (0..n).map(|_| weight(self)).collect()
    }

    /// The weights after a little training; a third of them untouched.
    pub(crate) fn tuned(&mut self, weights: &[f32]) -> Vec<f32> {
        let tuned = |&weight: &f32| match self.next() % 3 {
            0 => weight,
            _ => {
                (f64::from(weight) * (0.9 + 0.2 * self.unit()) + 0.01 * (self.unit() - 0.5)) as f32
            }
        };
        weights.iter().map(tuned).collect()
    }
}

pub(crate) fn f32s(name: &'static str, shape: &[usize], values: &[f32]) -> Tensor {
    let bytes = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    (name, Dtype::F32, shape.to_vec(), bytes)
}

pub(crate) fn f16s(name: &'static str, values: &[f32]) -> Tensor {
    let bytes = values
        .iter()
        .flat_map(|&value| half::f16::from_f32(value).to_le_bytes())
        .collect();
    (name, Dtype::F16, vec![values.len()], bytes)
}

pub(crate) fn bf16s(name: &'static str, values: &[f32]) -> Tensor {
    let bytes = values
        .iter()
        .flat_map(|&value| half::bf16::from_f32(value).to_le_bytes())
        .collect();
    (name, Dtype::BF16, vec![values.len()], bytes)
}

pub(crate) fn f64s(name: &'static str, values: &[f64]) -> Tensor {
    let bytes = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    (name, Dtype::F64, vec![values.len()], bytes)
}

pub(crate) fn i64s(name: &'static str, values: &[i64]) -> Tensor {
    let bytes = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    (name, Dtype::I64, vec![values.len()], bytes)
}

/// Writes a checkpoint with the format's reference writer.
pub(crate) fn save(dir: &Path, name: &str, tensors: &[Tensor]) -> PathBuf {
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        (
            *name,
            TensorView::new(*dtype, shape.clone(), bytes).unwrap(),
        )
    });
    let path = dir.join(name);
    std::fs::write(&path, serialize(views, None).unwrap()).unwrap();
    path
}

/// Names of everything in a directory.
pub(crate) fn listing(dir: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.unwrap().file_name().into_string().unwrap()
    };
    let mut names: Vec<_> = std::fs::read_dir(dir).unwrap().map(name).collect();
    names.sort();
    names
}
