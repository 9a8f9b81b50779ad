//! Other looks at the same image.

/// How an image is turned before a model sees it, on the pixels that preprocessing has made.
///
/// Source of the list: Ge et al. 2023, "Improving zero-shot generalization and robustness of
/// multi-modal models"; angle and size are not given there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum View {
    /// As it is.
    Identity,
    /// Mirrored: left is right.
    FlipLeftRight,
    /// Upside down.
    FlipUpDown,
    /// Turned clockwise about the middle; what comes in from outside is the nearest edge.
    Rotation {
        /// The angle.
        degrees: f32,
    },
    /// The middle, enlarged.
    Crop {
        /// Side of the part that is left, in (0, 1].
        share: f32,
    },
}

impl View {
    /// Changes whenever the output for some image could.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Identity => "identity".to_owned(),
            Self::FlipLeftRight => "flip left-right".to_owned(),
            Self::FlipUpDown => "flip up-down".to_owned(),
            Self::Rotation { degrees } => format!("rotation {degrees}"),
            Self::Crop { share } => format!("crop {share}"),
        }
    }

    /// Turns one image in place. `pixels`: [height, width, 3].
    pub(crate) fn apply(&self, pixels: &mut [u8], height: usize, width: usize) {
        match *self {
            Self::Identity => {}
            Self::FlipLeftRight => pixels.chunks_exact_mut(3 * width).for_each(mirror),
            Self::FlipUpDown => {
                let (mut top, mut bottom) = (0, height.saturating_sub(1));
                while top < bottom {
                    let (above, below) = pixels.split_at_mut(bottom * 3 * width);
                    above[top * 3 * width..][..3 * width].swap_with_slice(&mut below[..3 * width]);
                    (top, bottom) = (top + 1, bottom - 1);
                }
            }
            Self::Rotation { degrees } => {
                let (sin, cos) = degrees.to_radians().sin_cos();
                resample(pixels, height, width, |x, y| {
                    (cos * x + sin * y, cos * y - sin * x)
                });
            }
            Self::Crop { share } => resample(pixels, height, width, |x, y| (share * x, share * y)),
        }
    }
}

fn mirror(row: &mut [u8]) {
    let n = row.len() / 3;
    for x in 0..n / 2 {
        for channel in 0..3 {
            row.swap(3 * x + channel, 3 * (n - 1 - x) + channel);
        }
    }
}

/// Every pixel from where `source` says, relative to the middle, between its four neighbours.
fn resample(
    pixels: &mut [u8],
    height: usize,
    width: usize,
    source: impl Fn(f32, f32) -> (f32, f32),
) {
    let old = pixels.to_vec();
    let (cx, cy) = ((width as f32 - 1.0) / 2.0, (height as f32 - 1.0) / 2.0);
    for (i, pixel) in pixels.chunks_exact_mut(3).enumerate() {
        let (x, y) = source((i % width) as f32 - cx, (i / width) as f32 - cy);
        let x = (x + cx).clamp(0.0, 2.0 * cx);
        let y = (y + cy).clamp(0.0, 2.0 * cy);
        let (left, top) = (x as usize, y as usize);
        let (right, below) = ((left + 1).min(width - 1), (top + 1).min(height - 1));
        let (dx, dy) = (x - left as f32, y - top as f32);
        for (channel, value) in pixel.iter_mut().enumerate() {
            let at = |x: usize, y: usize| f32::from(old[3 * (y * width + x) + channel]);
            let upper = at(left, top) * (1.0 - dx) + at(right, top) * dx;
            let lower = at(left, below) * (1.0 - dx) + at(right, below) * dx;
            *value = (upper * (1.0 - dy) + lower * dy).round() as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The red channel after the view; 3 columns, `red.len() / 3` rows.
    fn seen(view: View, red: &[u8]) -> Vec<u8> {
        let mut pixels: Vec<u8> = red.iter().flat_map(|&r| [r, 0, 255 - r]).collect();
        view.apply(&mut pixels, red.len() / 3, 3);
        assert!(pixels.chunks_exact(3).all(|p| p[2] == 255 - p[0]));
        pixels.chunks_exact(3).map(|p| p[0]).collect()
    }

    #[test]
    fn views_by_hand() {
        let image = [1, 2, 3, 4, 5, 6];
        assert_eq!(seen(View::Identity, &image), image);
        assert_eq!(seen(View::FlipLeftRight, &image), [3, 2, 1, 6, 5, 4]);
        assert_eq!(seen(View::FlipUpDown, &image), [4, 5, 6, 1, 2, 3]);
        let square = [1, 2, 3, 4, 5, 6, 7, 8, 9];
        assert_eq!(seen(View::FlipUpDown, &square), [7, 8, 9, 4, 5, 6, 1, 2, 3]);
        let quarter = View::Rotation { degrees: 90.0 };
        assert_eq!(seen(quarter, &square), [7, 4, 1, 8, 5, 2, 9, 6, 3]);
        let turned = seen(View::Rotation { degrees: 180.0 }, &square);
        assert_eq!(turned, [9, 8, 7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(seen(View::Crop { share: 1.0 }, &square), square);
        let ramp = [0, 100, 200, 0, 100, 200, 0, 100, 200];
        assert_eq!(
            seen(View::Crop { share: 0.5 }, &ramp),
            [50, 100, 150].repeat(3)
        );
    }
}
