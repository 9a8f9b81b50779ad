//! The same sums in vectors of 16 bytes' products.
//!
//! A weight of 23 bits does not fit the 16-bit multiplier, its parts do:
//! `weight = high · 2^11 + low`. Both sums are exact, so the bytes are those of the plain ones.

use std::arch::x86_64::{__m128i, __m256i};

use pulp::NullaryFnOnce;
use pulp::bytemuck::cast;
use pulp::x86::V3;

use super::{Axis, HALF, PRECISION_BITS, to_byte};

/// Bits of the lower part of a weight.
const LOW_BITS: i32 = 11;
/// Source pixels whose products are summed at a time, in two halves.
const TAPS: usize = 8;
/// Bytes of half of them.
const HALF_BYTES: usize = TAPS / 2 * 3;
/// Bytes read for a half; the last four are not used.
const LOADED: usize = 16;
/// Bytes of a row that the vertical pass sums at a time.
const BLOCK: usize = 32;

/// As [`super::resample`], of the rows that have weight only.
pub(super) fn resample(
    simd: V3,
    source: &[u8],
    width: usize,
    rows: &Axis,
    columns: &Axis,
) -> Vec<u8> {
    simd.vectorize(Resample {
        simd,
        source,
        width,
        rows,
        columns,
    })
}

/// The work as a type of its own: a closure's call is compiled apart, without the vectors.
struct Resample<'a> {
    simd: V3,
    source: &'a [u8],
    width: usize,
    rows: &'a Axis,
    columns: &'a Axis,
}

impl NullaryFnOnce for Resample<'_> {
    type Output = Vec<u8>;

    #[inline(always)]
    fn call(self) -> Vec<u8> {
        let narrow = narrow(self.simd, self.source, self.width, self.columns);
        shorten(self.simd, &narrow, self.columns.len() * 3 + 1, self.rows)
    }
}

/// Weights of half of [`TAPS`] pixels in the order in which [`pairs`] lays out their bytes.
struct Weights {
    high: __m256i,
    low: __m256i,
}

impl Weights {
    /// Missing ones are 0.
    fn new(weights: &[i32]) -> Self {
        let order = |part: fn(i32) -> i16| -> __m256i {
            let at = |tap: usize| weights.get(tap).map_or(0, |&weight| part(weight));
            cast::<[i16; 16], _>(std::array::from_fn(|lane| at(lane / 8 * 2 + lane % 2)))
        };
        Self {
            high: order(|weight| (weight >> LOW_BITS) as i16),
            low: order(|weight| (weight & ((1 << LOW_BITS) - 1)) as i16),
        }
    }
}

/// Where [`pairs`] takes its bytes from: red, green and blue of pixels 0 and 1 as 16-bit numbers
/// side by side, then those of 2 and 3. -1 is a zero.
#[rustfmt::skip]
const PAIRS: [i8; 32] = [
    0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1,
    6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1,
];

#[inline(always)]
fn pairs(simd: V3, bytes: [u8; LOADED]) -> __m256i {
    let both = simd.avx2._mm256_broadcastsi128_si256(cast(bytes));
    simd.avx2._mm256_shuffle_epi8(both, cast(PAIRS))
}

/// Every row of `source` resampled, and a byte that means nothing.
#[inline(always)]
fn narrow(simd: V3, source: &[u8], width: usize, columns: &Axis) -> Vec<u8> {
    let avx2 = simd.avx2;
    let kept = columns.needed();
    let taps: Vec<(usize, Vec<[Weights; 2]>)> = columns
        .taps
        .iter()
        .map(|(start, weights)| {
            let halves = |weights: &[i32]| {
                let (first, second) = weights.split_at(weights.len().min(TAPS / 2));
                [Weights::new(first), Weights::new(second)]
            };
            let weights = weights.chunks(TAPS).map(halves).collect();
            ((start - kept.start) * 3, weights)
        })
        .collect();
    // What is loaded past the last pixel has no weight.
    let mut row = vec![0; kept.len() * 3 + TAPS * 3 + LOADED];
    let stride = columns.len() * 3 + 1;
    let mut narrow = vec![0; source.len() / (width * 3) * stride];
    for (seen, out) in source
        .chunks_exact(width * 3)
        .zip(narrow.chunks_exact_mut(stride))
    {
        row[..kept.len() * 3].copy_from_slice(&seen[kept.start * 3..kept.end * 3]);
        for (x, (start, weights)) in taps.iter().enumerate() {
            let (mut high, mut low) = (cast([0; 8]), cast([0; 8]));
            let mut from = *start;
            for halves in weights {
                for half in halves {
                    let bytes = row[from..from + LOADED].as_chunks().0[0];
                    let values = pairs(simd, bytes);
                    high = avx2._mm256_add_epi32(high, avx2._mm256_madd_epi16(values, half.high));
                    low = avx2._mm256_add_epi32(low, avx2._mm256_madd_epi16(values, half.low));
                    from += HALF_BYTES;
                }
            }
            let sums = avx2._mm256_add_epi32(avx2._mm256_slli_epi32::<LOW_BITS>(high), low);
            // The fourth byte is overwritten by the next pixel.
            out[x * 3..x * 3 + 4].copy_from_slice(&bytes_of(simd, sums).to_le_bytes());
        }
    }
    narrow
}

/// The sums of both halves as four bytes.
#[inline(always)]
fn bytes_of(simd: V3, sums: __m256i) -> i32 {
    let sse2 = simd.sse2;
    let upper: __m128i = simd.avx2._mm256_extracti128_si256::<1>(sums);
    let sums = sse2._mm_add_epi32(simd.avx._mm256_castsi256_si128(sums), upper);
    let sums = sse2._mm_add_epi32(sums, sse2._mm_set1_epi32(HALF));
    let sums = sse2._mm_srai_epi32::<{ PRECISION_BITS as i32 }>(sums);
    let words = sse2._mm_packs_epi32(sums, sums);
    sse2._mm_cvtsi128_si32(sse2._mm_packus_epi16(words, words))
}

/// Every column of `narrow` resampled; its first row is the first that has weight.
#[inline(always)]
fn shorten(simd: V3, narrow: &[u8], stride: usize, rows: &Axis) -> Vec<u8> {
    let first = rows.needed().start;
    let width = stride - 1;
    let mut out = vec![0; rows.len() * width];
    for (out, (start, weights)) in out.chunks_exact_mut(width).zip(&rows.taps) {
        let seen = &narrow[(start - first) * stride..];
        let (blocks, rest) = out.as_chunks_mut::<BLOCK>();
        let rest_start = blocks.len() * BLOCK;
        for (block_idx, out) in blocks.iter_mut().enumerate() {
            *out = block(simd, &seen[block_idx * BLOCK..], stride, weights);
        }
        for (i, out) in rest.iter_mut().enumerate() {
            let column = seen[rest_start + i..].iter().step_by(stride);
            let products = column
                .zip(weights)
                .map(|(&v, weight)| i32::from(v) * weight);
            *out = to_byte(HALF + products.sum::<i32>());
        }
    }
    out
}

/// [`BLOCK`] columns: `seen` starts at the first byte of the first row that has weight.
#[inline(always)]
fn block(simd: V3, seen: &[u8], stride: usize, weights: &[i32]) -> [u8; BLOCK] {
    let avx2 = simd.avx2;
    let mut sums = [simd.avx._mm256_set1_epi32(HALF); BLOCK / 8];
    for (tap, &weight) in weights.iter().enumerate() {
        let weight = simd.avx._mm256_set1_epi32(weight);
        let (eights, _) = seen[tap * stride..][..BLOCK].as_chunks::<8>();
        for (sum, &eight) in sums.iter_mut().zip(eights) {
            let values = avx2._mm256_cvtepu8_epi32(cast([eight, [0; 8]]));
            *sum = avx2._mm256_add_epi32(*sum, avx2._mm256_mullo_epi32(values, weight));
        }
    }
    let [a, b, c, d] = sums.map(
        #[inline(always)]
        |sum| avx2._mm256_srai_epi32::<{ PRECISION_BITS as i32 }>(sum),
    );
    let (ab, cd) = (avx2._mm256_packs_epi32(a, b), avx2._mm256_packs_epi32(c, d));
    // Packing works on each half apart.
    let in_order = cast([0, 4, 1, 5, 2, 6, 3, 7]);
    cast(avx2._mm256_permutevar8x32_epi32(avx2._mm256_packus_epi16(ab, cd), in_order))
}
