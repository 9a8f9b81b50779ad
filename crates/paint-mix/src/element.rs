//! Elements of a tensor: bytes of a dtype to and from f32.

use half::{bf16, f16};
use safetensors::Dtype;
use serde::{Deserialize, Serialize};

/// Floating-point element types that can be interpolated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FloatDtype {
    /// IEEE 754 binary16.
    F16,
    /// The upper half of a binary32.
    Bf16,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
}

/// What interpolation does with a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Interpolated.
    Float(FloatDtype),
    /// Integers and booleans: carried over.
    Carried,
    /// Neither, for instance eight-bit floats.
    Unsupported,
}

impl Kind {
    pub(crate) fn of(dtype: Dtype) -> Self {
        match dtype {
            Dtype::F16 => Self::Float(FloatDtype::F16),
            Dtype::BF16 => Self::Float(FloatDtype::Bf16),
            Dtype::F32 => Self::Float(FloatDtype::F32),
            Dtype::F64 => Self::Float(FloatDtype::F64),
            Dtype::BOOL
            | Dtype::U8
            | Dtype::I8
            | Dtype::U16
            | Dtype::I16
            | Dtype::U32
            | Dtype::I32
            | Dtype::U64
            | Dtype::I64 => Self::Carried,
            _ => Self::Unsupported,
        }
    }
}

impl From<FloatDtype> for Dtype {
    fn from(dtype: FloatDtype) -> Self {
        match dtype {
            FloatDtype::F16 => Self::F16,
            FloatDtype::Bf16 => Self::BF16,
            FloatDtype::F32 => Self::F32,
            FloatDtype::F64 => Self::F64,
        }
    }
}

impl FloatDtype {
    /// Bytes of one element.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::F16 | Self::Bf16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// Reads little-endian `bytes` into `values`, one each; f64 is rounded to f32.
    pub(crate) fn decode(self, bytes: &[u8], values: &mut [f32]) {
        match self {
            Self::F16 => decode(bytes, values, |b| f16::from_le_bytes(b).to_f32()),
            Self::Bf16 => decode(bytes, values, |b| bf16::from_le_bytes(b).to_f32()),
            Self::F32 => decode(bytes, values, f32::from_le_bytes),
            Self::F64 => decode(bytes, values, |b| f64::from_le_bytes(b) as f32),
        }
    }

    /// Rounds `values` once to this dtype (to nearest, ties to even) into little-endian `bytes`;
    /// returns how many results are not finite.
    pub(crate) fn encode(self, values: &[f32], bytes: &mut [u8]) -> u64 {
        match self {
            Self::F16 => encode(values, bytes, |v| f16::from_f32(v).to_le_bytes()),
            Self::Bf16 => encode(values, bytes, |v| bf16::from_f32(v).to_le_bytes()),
            Self::F32 => encode(values, bytes, f32::to_le_bytes),
            Self::F64 => encode(values, bytes, |v| f64::from(v).to_le_bytes()),
        }
        self.count_non_finite(bytes)
    }

    /// How many elements of little-endian `bytes` are NaN or infinite.
    pub(crate) fn count_non_finite(self, bytes: &[u8]) -> u64 {
        match self {
            Self::F16 => count(bytes, |b| !f16::from_le_bytes(b).is_finite()),
            Self::Bf16 => count(bytes, |b| !bf16::from_le_bytes(b).is_finite()),
            Self::F32 => count(bytes, |b| !f32::from_le_bytes(b).is_finite()),
            Self::F64 => count(bytes, |b| !f64::from_le_bytes(b).is_finite()),
        }
    }
}

fn decode<const N: usize>(bytes: &[u8], values: &mut [f32], read: impl Fn([u8; N]) -> f32) {
    for (value, &element) in values.iter_mut().zip(bytes.as_chunks::<N>().0) {
        *value = read(element);
    }
}

// A loop of its own for writing and for counting: together they are not vectorised.
fn encode<const N: usize>(values: &[f32], bytes: &mut [u8], write: impl Fn(f32) -> [u8; N]) {
    for (&value, element) in values.iter().zip(bytes.as_chunks_mut::<N>().0) {
        *element = write(value);
    }
}

/// How many values are counted in 32 bits, which vectors have more of than of 64, and without a
/// check for overflow at each.
const BLOCK: usize = 1 << 12;

fn count<const N: usize>(bytes: &[u8], bad: impl Fn([u8; N]) -> bool) -> u64 {
    let mut n_bad = 0;
    for block in bytes.as_chunks::<N>().0.chunks(BLOCK) {
        let mut in_block = 0_u32;
        for &element in block {
            in_block = in_block.wrapping_add(u32::from(bad(element)));
        }
        n_bad += u64::from(in_block);
    }
    n_bad
}
