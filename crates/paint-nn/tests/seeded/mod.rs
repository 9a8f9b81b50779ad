//! Numbers for the tests of operations.

use candle_core::{Device, Tensor};

/// Seeded values in [-1, 1), from SplitMix64.
pub(crate) fn values(shape: &[usize], seed: u64) -> Tensor {
    let n: usize = shape.iter().product();
    let value = |i: u64| {
        let mut z = (seed + 1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .wrapping_mul(i + 1);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    let values: Vec<f32> = (0..n as u64).map(value).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}
