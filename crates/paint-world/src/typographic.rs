//! Typographic attacks: the name of a wrong class written on an image.
//!
//! Source: Ilharco et al. 2022, "Patching open-vocabulary models by interpolating weights",
//! its case studies, after Goh et al. 2021, "Multimodal neurons in artificial neural networks".

use image::RgbImage;
use paint_data::Rng;
use tiny_skia::{Color, FillRule, LineCap, LineJoin, Paint, Path, Pixmap, Stroke, Transform};

use crate::canvas::{placed, text_path, text_width};
use crate::colour::{Colour, any, contrasting};
use crate::domain::Split;
use crate::fonts::{self, Face};

/// Capitals of fewer pixels cannot be read.
const LEAST_HEIGHT: f32 = 6.0;
/// From baseline to baseline, in heights of a capital.
const LINE: f32 = 1.5;
/// What outlines and slanted letters need beside a line, both sides together, in heights.
const MARGIN: f32 = 0.5;
/// Words are broken into at most so many lines.
const MOST_LINES: usize = 4;

/// `image` with `word` written on it, in a random typeface, size, colour and place, with an
/// outline of a colour that stands out from the letters', so that it can be read on anything.
///
/// Letters are about a fifth of the shorter side high, smaller where the word needs it: a word that
/// would be wider than the image is broken into up to four lines. On less than about 32 pixels it
/// may run over the edge. Depends on its arguments alone; without a word, or pixels, nothing changes.
pub fn attack(image: &RgbImage, word: &str, rng: &mut Rng) -> RgbImage {
    let word = cased(word.trim(), rng);
    let face = fonts::able(&word, rng);
    write_on(image, &word, face, rng)
}

/// As [`attack`], with one of the typefaces that pretraining may see.
pub(crate) fn write_in_seen_face(image: &RgbImage, word: &str, rng: &mut Rng) -> RgbImage {
    let word = cased(word.trim(), rng);
    let face = fonts::pick(Split::Pretrain, rng);
    write_on(image, &word, face, rng)
}

fn write_on(image: &RgbImage, word: &str, face: &Face, rng: &mut Rng) -> RgbImage {
    let (width, height) = image.dimensions();
    let Some(mut pixmap) = Pixmap::new(width, height) else {
        return image.clone();
    };
    let room = (width as f32, height as f32);
    let (lines, size) = fitted(word, face, room, rng);
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

/// In capitals, with a capital, or as it is.
pub(crate) fn cased(word: &str, rng: &mut Rng) -> String {
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
        ((width - 2.0) / (widest + MARGIN)).min((height - 2.0) / (LINE * n_lines))
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
    let half_width = size * (widest(lines, face) + MARGIN) / 2.0;
    let half_height = size * LINE * lines.len() as f32 / 2.0;
    // A turn blurs small letters.
    let most = if size < 12.0 { 0.02 } else { 0.12 };
    let turn = rng.range(-most, most);
    let (sin, cos) = (turn.sin().abs(), turn.cos());
    let turned = (
        half_width * cos + half_height * sin,
        half_width * sin + half_height * cos,
    );
    let (turn, halves) = match 2.0 * turned.0 < width && 2.0 * turned.1 < height {
        true => (turn, turned),
        false => (0.0, (half_width, half_height)),
    };
    let mut along = |room: f32, half: f32| {
        let slack = (room / 2.0 - half).max(0.0);
        room / 2.0 + rng.range(-slack, slack)
    };
    let (x, y) = (along(width, halves.0), along(height, halves.1));
    placed(x, y, turn)
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

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;
    use crate::colour::luma;

    fn noise(width: u32, height: u32) -> RgbImage {
        let mut rng = Rng::new(9);
        RgbImage::from_fn(width, height, |_, _| {
            Rgb([0; 3].map(|_: u8| rng.below(256) as u8))
        })
    }

    fn share_changed(before: &RgbImage, after: &RgbImage) -> f32 {
        assert_eq!(before.dimensions(), after.dimensions());
        let pairs = before.pixels().zip(after.pixels());
        pairs.filter(|(a, b)| a != b).count() as f32 / before.pixels().len() as f32
    }

    #[test]
    fn a_bounded_share_changes_at_every_size() {
        let words = ["cat", "automobile", "four leaf clover", "ship"];
        for (width, height, most) in [
            (32, 32, 0.7),
            (48, 48, 0.6),
            (300, 500, 0.35),
            (640, 480, 0.35),
        ] {
            let image = noise(width, height);
            for seed in 0..25 {
                for word in words {
                    let attacked = attack(&image, word, &mut Rng::new(seed));
                    let share = share_changed(&image, &attacked);
                    let what = format!("{word} on {width} x {height}, seed {seed}: {share}");
                    assert!((0.004..most).contains(&share), "{what}");
                    assert_eq!(attacked, attack(&image, word, &mut Rng::new(seed)));
                    assert_ne!(attacked, attack(&image, word, &mut Rng::new(seed + 100)));
                }
            }
        }
    }

    #[test]
    fn letters_stand_out_from_their_outline_on_any_ground() {
        for seed in 0..200 {
            let (ink, outline) = colours(&mut Rng::new(seed));
            assert!(
                (luma(ink) - luma(outline)).abs() > 100.0,
                "{ink:?} {outline:?}"
            );
        }
        for ground in [[0; 3], [128; 3], [255; 3], [214, 36, 36]] {
            let image = RgbImage::from_pixel(32, 32, Rgb(ground));
            for seed in 0..40 {
                let attacked = attack(&image, "horse", &mut Rng::new(seed));
                let written = attacked.pixels().filter(|pixel| pixel.0 != ground);
                let lumas: Vec<f32> = written.map(|pixel| luma(pixel.0)).collect();
                let range = lumas
                    .iter()
                    .fold((255f32, 0f32), |(low, high), l| (low.min(*l), high.max(*l)));
                assert!(range.1 - range.0 > 80.0, "seed {seed}: {range:?}");
            }
        }
    }

    #[test]
    fn a_word_stays_inside() {
        // What is written keeps away from the edge, unless the image is too small for it.
        for seed in 0..60 {
            let image = RgbImage::from_pixel(320, 200, Rgb([128; 3]));
            let attacked = attack(&image, "hippopotamus", &mut Rng::new(seed));
            let edge = attacked
                .enumerate_pixels()
                .filter(|(x, _, _)| [0, 319].contains(x));
            assert!(
                edge.into_iter().all(|(_, _, pixel)| pixel.0 == [128; 3]),
                "seed {seed}"
            );
        }
    }

    #[test]
    fn long_words_are_broken_and_short_ones_are_not() {
        assert_eq!(broken("ship", 1), ["ship"]);
        assert_eq!(broken("automobile", 2), ["autom", "obile"]);
        assert_eq!(broken("four leaf clover", 2), ["four leaf", "clover"]);
        assert_eq!(
            broken("four leaf clover", 4),
            ["four", "leaf", "clo", "ver"]
        );
        assert_eq!(broken("ox", 4), ["o", "x"]);
        assert_eq!(broken("zürich", 2), ["zür", "ich"]);
    }

    #[test]
    fn nothing_to_write_and_nowhere_to_write_are_no_error() {
        let image = noise(20, 10);
        assert_eq!(attack(&image, " ", &mut Rng::new(0)), image);
        assert_ne!(attack(&image, "漢字", &mut Rng::new(0)), image);
        for (width, height) in [(0, 0), (1, 1), (1, 40), (40, 1), (3, 3)] {
            let image = RgbImage::new(width, height);
            let attacked = attack(&image, "automobile", &mut Rng::new(0));
            assert_eq!(attacked.dimensions(), (width, height));
        }
    }
}
