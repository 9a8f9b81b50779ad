//! A line of text as an image, for people.

use image::RgbImage;
use tiny_skia::{Color, FillRule, Paint, Pixmap, Transform};

use crate::canvas::{text_path, text_width};
use crate::fonts::{Face, plain};

/// A line of dark text on white, `width` × `height` pixels, from the left; what does not fit is
/// left out, and an ellipsis says so. Nothing is drawn where there are no pixels.
pub fn label(text: &str, width: u32, height: u32) -> RgbImage {
    let Some(mut pixmap) = Pixmap::new(width, height) else {
        return RgbImage::new(width, height);
    };
    pixmap.fill(Color::WHITE);
    let (face, capitals) = (plain(), height as f32 * 0.5);
    let text = fitting(text, face, capitals, width as f32);
    let half = text_width(&text, face, capitals) / 2.0;
    if let Some(path) = text_path(&text, face, capitals) {
        let mut paint = Paint::default();
        paint.set_color_rgba8(30, 30, 30, 255);
        let place = Transform::from_translate(half, height as f32 / 2.0);
        pixmap.fill_path(&path, &paint, FillRule::Winding, place, None);
    }
    let rgb = pixmap
        .data()
        .chunks_exact(4)
        .flat_map(|p| [p[0], p[1], p[2]]);
    RgbImage::from_raw(width, height, rgb.collect()).expect("the pixmap is as large as the image")
}

fn fitting(text: &str, face: &Face, capitals: f32, width: f32) -> String {
    let fits = |text: &str| text_width(text, face, capitals) <= width;
    if fits(text) {
        return text.to_owned();
    }
    let mut kept: Vec<char> = text.chars().collect();
    while kept.pop().is_some() {
        let cut = format!("{}…", kept.iter().collect::<String>().trim_end());
        if fits(&cut) {
            return cut;
        }
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pixels that are not paper, and the rightmost of them.
    fn ink(text: &str, width: u32) -> (usize, u32) {
        let image = label(text, width, 18);
        assert_eq!(image.dimensions(), (width, 18));
        let dark = image.enumerate_pixels().filter(|(_, _, p)| p.0[0] < 128);
        let columns: Vec<u32> = dark.map(|(x, _, _)| x).collect();
        (columns.len(), columns.iter().copied().max().unwrap_or(0))
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let (n, right) = ink("stop sign", 200);
        assert!(n > 50 && right < 100, "{n} {right}");
        assert_eq!(ink("stop sign", 300), (n, right));
        let (cut, right) = ink("red and white circle 20 kph speed limit", 100);
        assert!(cut > 50 && right > 70, "{cut} {right}");
        assert_eq!(ink("", 100).0, 0);
        assert_eq!(ink("stop sign", 2).0, 0);
        assert_eq!(label("stop", 0, 18).dimensions(), (0, 18));
    }
}
