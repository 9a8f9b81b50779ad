//! Random resized crops of pixels, seeded.

use paint_data::Rng;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::range::check_all;

/// How training images are varied.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augment {
    /// Smallest share of the image's area that a random crop keeps, in (0, 1]; 1 turns
    /// cropping off. The paper's fine-tuning uses 0.9.
    pub min_area: f32,
    /// Whether images are mirrored left to right half of the time.
    pub mirror: bool,
}

impl Default for Augment {
    fn default() -> Self {
        Self {
            min_area: 0.9,
            mirror: false,
        }
    }
}

impl Augment {
    /// Checks the share of the area.
    ///
    /// # Errors
    /// If it is outside (0, 1].
    pub fn check(&self) -> Result<()> {
        let area = f64::from(self.min_area);
        let ok = area > 0.0 && area <= 1.0;
        check_all(&[("min_area", area, ok, "a share in (0, 1]")])
    }

    /// Writes a varied `image` into `out`; both `[height, width, 3]`, row-major.
    pub(crate) fn apply(
        &self,
        image: &[u8],
        (height, width): (usize, usize),
        rng: &mut Rng,
        out: &mut [u8],
    ) {
        let side = rng.range(self.min_area, 1.0).sqrt();
        let top = rng.uniform() * (1.0 - side) * height as f32;
        let left = rng.uniform() * (1.0 - side) * width as f32;
        let mirrored = self.mirror && rng.chance(0.5);
        let columns: Vec<Tap> = (0..width)
            .map(|x| Tap::new(left, side, width, if mirrored { width - 1 - x } else { x }))
            .collect();
        for (y, out) in out.chunks_exact_mut(width * 3).enumerate() {
            let row = Tap::new(top, side, height, y);
            let upper = &image[row.first * width * 3..][..width * 3];
            let lower = &image[row.second * width * 3..][..width * 3];
            for (column, out) in columns.iter().zip(out.chunks_exact_mut(3)) {
                let (a, b) = (column.first * 3, column.second * 3);
                for (c, out) in out.iter_mut().enumerate() {
                    let mix = |line: &[u8]| {
                        let (l, r) = (f32::from(line[a + c]), f32::from(line[b + c]));
                        l + (r - l) * column.weight
                    };
                    let (u, l) = (mix(upper), mix(lower));
                    *out = (u + (l - u) * row.weight + 0.5) as u8;
                }
            }
        }
    }
}

/// The two source positions that one output position mixes, and the second one's weight.
struct Tap {
    first: usize,
    second: usize,
    weight: f32,
}

impl Tap {
    fn new(start: f32, side: f32, length: usize, position: usize) -> Self {
        let last = (length - 1) as f32;
        let at = (start + (position as f32 + 0.5) * side - 0.5).clamp(0.0, last);
        let first = at as usize;
        Self {
            first,
            second: (first + 1).min(length - 1),
            weight: at - first as f32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gradient() -> Vec<u8> {
        (0..8 * 6 * 3).map(|i| (i / 3 % 6 * 40) as u8).collect()
    }

    #[test]
    fn the_whole_area_is_the_image_itself() {
        let (image, mut out) = (gradient(), vec![0; 8 * 6 * 3]);
        let augment = Augment {
            min_area: 1.0,
            mirror: false,
        };
        augment.apply(&image, (8, 6), &mut Rng::new(1), &mut out);
        assert_eq!(out, image);
    }

    #[test]
    fn mirrors_and_crops_by_seed() {
        let image = gradient();
        let augment = Augment {
            min_area: 0.5,
            mirror: true,
        };
        let draw = |seed| {
            let mut out = vec![0; image.len()];
            augment.apply(&image, (8, 6), &mut Rng::new(seed), &mut out);
            out
        };
        assert_eq!(draw(3), draw(3));
        let rising = |out: &[u8]| out[0] < out[15];
        let outs: Vec<_> = (0..32).map(draw).collect();
        assert!(outs.iter().any(|out| rising(out)) && outs.iter().any(|out| !rising(out)));
        assert!(outs.iter().all(|out| *out != image));
    }
}
