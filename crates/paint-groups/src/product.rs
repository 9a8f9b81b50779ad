//! Matrix products over slices.

use candle_core::{Device, Result, Tensor};

/// `a · b`: [m, k] and [k, n] to [m, n].
pub(crate) fn times(a: &[f32], k: usize, b: &[f32], n: usize) -> Result<Vec<f32>> {
    matrix(a, k)?
        .matmul(&matrix(b, n)?)?
        .flatten_all()?
        .to_vec1()
}

/// `a · bᵀ`: [m, k] and [n, k] to [m, n].
pub(crate) fn times_transposed(a: &[f32], b: &[f32], k: usize) -> Result<Vec<f32>> {
    let a = matrix(a, k)?;
    let b = matrix(b, k)?;
    a.matmul(&b.t()?)?.flatten_all()?.to_vec1()
}

/// `aᵀ · b`: [m, k] and [m, n] to [k, n].
pub(crate) fn transposed_times(a: &[f32], k: usize, b: &[f32], n: usize) -> Result<Vec<f32>> {
    let a = matrix(a, k)?;
    let b = matrix(b, n)?;
    a.t()?.matmul(&b)?.flatten_all()?.to_vec1()
}

/// [values.len() / columns, columns]
pub(crate) fn matrix(values: &[f32], columns: usize) -> Result<Tensor> {
    Tensor::from_slice(values, (values.len() / columns, columns), &Device::Cpu)
}
