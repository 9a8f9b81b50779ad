//! PIL's resampling of byte images, bit for bit.
//!
//! The fixed-point arithmetic is PIL's own: a resize library with other coefficients differs from
//! it wherever a sum falls near one half, and after two passes by two levels in places. Zero-shot
//! predictions that agree with `transformers` start with equal pixels.
//!
//! Source: Pillow, `src/libImaging/Resample.c` (`precompute_coeffs`,
//! `normalize_coeffs_8bpc`, `ImagingResampleHorizontal_8bpc`, `ImagingResampleVertical_8bpc`).

#[cfg(target_arch = "x86_64")]
mod avx2;

use std::ops::Range;

/// Coefficients are integers in units of 2^-22, which leaves room for a sum of bytes in 32 bits.
const PRECISION_BITS: u32 = 22;

/// The kernels that CLIP checkpoints ask for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Filter {
    Bilinear,
    Bicubic,
}

impl Filter {
    /// Pixels on either side that have weight.
    fn support(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
        }
    }

    fn at(self, x: f64) -> f64 {
        const A: f64 = -0.5;
        let x = x.abs();
        match self {
            Self::Bilinear if x < 1.0 => 1.0 - x,
            Self::Bicubic if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
            Self::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
            _ => 0.0,
        }
    }
}

/// One axis: for each pixel of the result, which source pixels it sums with which weights.
pub(crate) struct Axis {
    taps: Vec<(usize, Vec<i32>)>,
}

impl Axis {
    /// `source` pixels resized to `resized`, of which `kept` are computed.
    pub(crate) fn new(source: usize, resized: usize, kept: Range<usize>, filter: Filter) -> Self {
        let scale = source as f64 / resized as f64;
        // Where the result is smaller, the kernel is stretched: antialiasing.
        let stretch = scale.max(1.0);
        let support = filter.support() * stretch;
        let tap = |x: usize| {
            let center = (x as f64 + 0.5) * scale;
            let start = (center - support + 0.5) as usize;
            let end = ((center + support + 0.5) as usize).min(source);
            let weight = |i: usize| filter.at((i as f64 - center + 0.5) * (1.0 / stretch));
            let weights: Vec<f64> = (start..end).map(weight).collect();
            let sum: f64 = weights.iter().sum();
            (
                start,
                weights.iter().map(|w| fixed_point(w / sum)).collect(),
            )
        };
        Self {
            taps: kept.map(tap).collect(),
        }
    }

    /// Length of the result.
    fn len(&self) -> usize {
        self.taps.len()
    }

    /// The source pixels that have weight anywhere in the result.
    fn needed(&self) -> Range<usize> {
        let start = self.taps.iter().map(|(start, _)| *start).min();
        let end = self
            .taps
            .iter()
            .map(|(start, weights)| start + weights.len())
            .max();
        start.unwrap_or(0)..end.unwrap_or(0)
    }
}

/// Rounded half away from zero, as the C cast of ±0.5 does.
fn fixed_point(weight: f64) -> i32 {
    (weight * f64::from(1 << PRECISION_BITS)).round() as i32
}

/// Resamples along both axes. `source`: [_, width, 3] bytes → [rows, columns, 3].
pub(crate) fn resample(source: &[u8], width: usize, rows: &Axis, columns: &Axis) -> Vec<u8> {
    let needed = rows.needed();
    let source = &source[needed.start * width * 3..needed.end * width * 3];
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = pulp::x86::V3::try_new() {
        return avx2::resample(simd, source, width, rows, columns);
    }
    shorten(&narrow(source, width, columns), columns.len() * 3, rows)
}

/// Every row of `source` resampled.
fn narrow(source: &[u8], width: usize, columns: &Axis) -> Vec<u8> {
    let rows = source.chunks_exact(width * 3);
    let mut narrow = Vec::with_capacity(rows.len() * columns.len() * 3);
    for row in rows {
        let (pixels, _) = row.as_chunks::<3>();
        narrow.extend(columns.taps.iter().flat_map(|(start, weights)| {
            let mut sums = [HALF; 3];
            for (pixel, weight) in pixels[*start..].iter().zip(weights) {
                for (sum, value) in sums.iter_mut().zip(pixel) {
                    *sum += i32::from(*value) * weight;
                }
            }
            sums.map(to_byte)
        }));
    }
    narrow
}

/// Every column of `narrow` resampled; its first row is the first that has weight.
fn shorten(narrow: &[u8], stride: usize, rows: &Axis) -> Vec<u8> {
    let first = rows.needed().start;
    let mut out = Vec::with_capacity(rows.len() * stride);
    let mut sums = vec![0; stride];
    for (start, weights) in &rows.taps {
        sums.fill(HALF);
        let seen = narrow[(start - first) * stride..].chunks_exact(stride);
        for (row, weight) in seen.zip(weights) {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += i32::from(*value) * weight;
            }
        }
        out.extend(sums.iter().map(|sum| to_byte(*sum)));
    }
    out
}

const HALF: i32 = 1 << (PRECISION_BITS - 1);

fn to_byte(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn vectors_give_the_bytes_of_the_plain_sums() {
        let Some(simd) = pulp::x86::V3::try_new() else {
            return;
        };
        let shapes = [
            ((1, 1), (1, 1)),
            ((1, 2), (3, 5)),
            ((5, 3), (2, 7)),
            ((37, 91), (16, 16)),
            ((64, 48), (33, 24)),
            ((9, 700), (4, 31)),
        ];
        for ((height, width), (n_rows, n_columns)) in shapes {
            for filter in [Filter::Bilinear, Filter::Bicubic] {
                // Black, white and between: sums below 0 and above 255 occur.
                let byte = |i: usize| [0, 255, ((i * 7919) >> 3) as u8][i * 31 % 7 % 3];
                let source: Vec<u8> = (0..height * width * 3).map(byte).collect();
                let rows = Axis::new(height, n_rows, 0..n_rows, filter);
                let columns = Axis::new(width, n_columns, n_columns / 3..n_columns, filter);
                let source = &source[rows.needed().start * width * 3..];
                let plain = shorten(&narrow(source, width, &columns), columns.len() * 3, &rows);
                let vectors = avx2::resample(simd, source, width, &rows, &columns);
                assert_eq!(vectors, plain, "{height}×{width} to {n_rows}×{n_columns}");
            }
        }
    }
}
