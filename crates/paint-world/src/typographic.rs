//! Typographic attacks: the name of a wrong class written on an image.
//!
//! Source: Ilharco et al. 2022, "Patching open-vocabulary models by interpolating weights",
//! section 6.1, after Goh et al. 2021, "Multimodal neurons in artificial neural networks".

use image::RgbImage;
use paint_data::Rng;
use tiny_skia::{Color, FillRule, LineCap, LineJoin, Paint, Path, Pixmap, Stroke, Transform};

use crate::canvas::{placed, text_path, text_width};
use crate::colour::{Colour, any, contrasting};
use crate::fonts::{self, Face};

/// Capitals of fewer pixels cannot be read.
const LEAST_HEIGHT: f32 = 6.0;
/// From baseline to baseline, in heights of a capital.
const LINE: f32 = 1.5;
/// Words are broken into at most so many lines.
const MOST_LINES: usize = 4;

/// `image` with `word` written on it, in a random typeface, size, colour and place, with an
/// outline of a colour that stands out from the letters', so that it can be read on anything.
///
/// Letters are as high as a fifth of the shorter side at most, and as 6 pixels at least: a word
/// that would be wider than the image is broken. On less than about 32 pixels it may run over the
/// edge. Depends on its arguments alone; without a word, or pixels, nothing changes.
pub fn attack(image: &RgbImage, word: &str, rng: &mut Rng) -> RgbImage {
    let (width, height) = image.dimensions();
    let Some(mut pixmap) = Pixmap::new(width, height) else {
        return image.clone();
    };
    let word = cased(word.trim(), rng);
    let face = fonts::able(&word, rng);
    let room = (width as f32, height as f32);
    let (lines, size) = fitted(&word, face, room, rng);
    let (ink, outline) = colours(rng);
    for (pixel, rgb) in pixmap.data_mut().chunks_exact_mut(4).zip(image.pixels()) {
        pixel.copy_from_slice(&[rgb[0], rgb[1], rgb[2], 255]);
    }
    let view = place(&lines, face, size, room, rng);
    let paths: Vec<Path> = lines
        .iter()
        .enumerate()
        .filter_map(|(i, line)| {
            let row = i as f32 - (lines.len() as f32 - 1.0) / 2.0;
            let down = Transform::from_translate(0.0, row * LINE * size);
            text_path(line, face, size)?.transform(down.post_concat(view))
        })
        .collect();
    // All outlines first: they must not cover the letters of the line above.
    for path in &paths {
        pixmap.stroke_path(
            path,
            &paint(outline),
            &around(size),
            Transform::identity(),
            None,
        );
    }
    for path in &paths {
        pixmap.fill_path(
            path,
            &paint(ink),
            FillRule::Winding,
            Transform::identity(),
            None,
        );
    }
    let rgb = pixmap
        .data()
        .chunks_exact(4)
        .flat_map(|p| [p[0], p[1], p[2]]);
    RgbImage::from_raw(width, height, rgb.collect()).expect("the pixmap is as large as the image")
}

/// The letters' colour and the outline's.
fn colours(rng: &mut Rng) -> (Colour, Colour) {
    let ink = any(rng);
    (ink, contrasting(ink, 120.0, rng))
}

fn cased(word: &str, rng: &mut Rng) -> String {
    match (rng.below(3), word.chars().next()) {
        (0, _) => word.to_uppercase(),
        (1, Some(first)) => first.to_uppercase().chain(word.chars().skip(1)).collect(),
        _ => word.to_owned(),
    }
}

/// The word on as few lines as let it be read, and the height of its capitals.
fn fitted(
    word: &str,
    face: &Face,
    (width, height): (f32, f32),
    rng: &mut Rng,
) -> (Vec<String>, f32) {
    let shorter = width.min(height);
    let largest = (0.2 * shorter).max(LEAST_HEIGHT + 3.0);
    let least = (0.07 * shorter).max(LEAST_HEIGHT);
    let wanted = rng.range(least, largest);
    let fits = |lines: &[String]| {
        let widest = widest(lines, face).max(0.1);
        // Outlines stand out on both sides.
        let n_lines = lines.len() as f32;
        ((width - 2.0) / (widest + 0.3)).min((height - 2.0) / (LINE * n_lines))
    };
    let options = (1..=MOST_LINES).map(|n| {
        let lines = broken(word, n);
        let most = fits(&lines);
        (lines, most)
    });
    let mut best: (Vec<String>, f32) = (Vec::new(), 0.0);
    for (lines, most) in options {
        if most > best.1 {
            best = (lines, most);
        }
        if best.1 >= least {
            break;
        }
    }
    let size = wanted.min(best.1).max(1.0);
    (best.0, size)
}

/// Width of the widest line in heights of a capital.
fn widest(lines: &[String], face: &Face) -> f32 {
    let widths = lines.iter().map(|line| text_width(line, face, 1.0));
    widths.fold(0.0, f32::max)
}

/// `text` on about `n` lines of about equal length, broken at spaces where there are enough.
fn broken(text: &str, n: usize) -> Vec<String> {
    let mut words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    // Halve the longest word until there is one for each line.
    while words.len() < n {
        let Some((i, letters)) = (0..words.len())
            .map(|i| (i, words[i].chars().count()))
            .rev()
            .max_by_key(|(_, letters)| *letters)
            .filter(|(_, letters)| *letters > 1)
        else {
            break;
        };
        let tail: String = words[i].chars().skip(letters.div_ceil(2)).collect();
        words[i] = words[i].chars().take(letters.div_ceil(2)).collect();
        words.insert(i + 1, tail);
    }
    // Then join the neighbours that are shortest together.
    while words.len() > n.max(1) {
        let length = |i: usize| words[i].chars().count() + words[i + 1].chars().count();
        let shortest = (0..words.len() - 1).min_by_key(|&i| length(i)).unwrap_or(0);
        let next = words.remove(shortest + 1);
        words[shortest] = format!("{} {next}", words[shortest]);
    }
    words
}

/// A place where all of it is in the picture, and a slight turn.
fn place(
    lines: &[String],
    face: &Face,
    size: f32,
    (width, height): (f32, f32),
    rng: &mut Rng,
) -> Transform {
    let half_width = size * (widest(lines, face) + 0.3) / 2.0;
    let half_height = size * LINE * lines.len() as f32 / 2.0;
    let mut along = |room: f32, half: f32| {
        let slack = (room / 2.0 - half).max(0.0);
        room / 2.0 + rng.range(-slack, slack)
    };
    let (x, y) = (along(width, half_width), along(height, half_height));
    // A turn blurs small letters.
    let turn = if size < 12.0 { 0.02 } else { 0.12 };
    placed(x, y, rng.range(-turn, turn))
}

fn around(size: f32) -> Stroke {
    Stroke {
        width: (0.28 * size).max(2.0),
        line_cap: LineCap::Round,
        line_join: LineJoin::Round,
        ..Stroke::default()
    }
}

fn paint(colour: Colour) -> Paint<'static> {
    let mut paint = Paint::default();
    paint.set_color(Color::from_rgba8(colour[0], colour[1], colour[2], 255));
    paint
}
