//! Objects in other styles: the supported task `sketches`.

use paint_data::Rng;
use tiny_skia::{Pixmap, Transform};

use crate::artwork::{Artwork, SKETCHED};
use crate::canvas::{Canvas, placed};
use crate::colour::{Colour, any, luma, mix, to_byte};
use crate::domain::{Domain, Drawing, Split};
use crate::objects::position;

/// The supported task with silhouettes, outlines and posters of objects.
pub(crate) struct Sketches;

/// How an object is drawn.
#[derive(Clone, Copy)]
pub(crate) enum Style {
    /// Light and shade without colour.
    Gray,
    /// Dark lines where the picture changes.
    Outline,
    /// Three tones of one ink.
    Poster,
    /// One flat tone with a few lines in it.
    Silhouette,
    /// Light lines on a dark ground.
    Chalk,
    /// Complementary colours; only in held-out splits.
    Negative,
}

impl Style {
    /// A style that `split` may use; the first [`N_SEEN`] are in pretraining and training.
    pub(crate) fn pick(split: Split, rng: &mut Rng) -> Self {
        *rng.pick(split.pool(&STYLES, N_SEEN))
    }
}

const STYLES: [Style; 6] = [
    Style::Gray,
    Style::Outline,
    Style::Poster,
    Style::Silhouette,
    Style::Chalk,
    Style::Negative,
];
const N_SEEN: usize = 5;

impl Style {
    /// What a caption may call it, to be followed by "of …".
    pub(crate) fn phrase(self) -> &'static [&'static str] {
        match self {
            Self::Gray => &["a gray picture", "a pencil drawing", "a sketch"],
            Self::Outline => &["an outline", "a line drawing", "a sketch"],
            Self::Poster => &["a poster", "a print", "a sketch"],
            Self::Silhouette => &["a silhouette", "a shadow", "a sketch"],
            Self::Chalk => &["a chalk drawing", "a drawing", "a sketch"],
            Self::Negative => &["a negative", "a sketch"],
        }
    }
}

impl Domain for Sketches {
    fn name(&self) -> &'static str {
        "sketches"
    }

    fn class_names(&self) -> Vec<String> {
        SKETCHED.iter().map(|a| a.name.to_owned()).collect()
    }

    fn templates(&self) -> Vec<String> {
        [
            "a sketch of the {}",
            "a drawing of the {}",
            "a picture of the {}",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    fn draw(&self, class_idx: usize, split: Split, rng: &mut Rng) -> Drawing {
        let style = Style::pick(split, rng);
        let image = sketch(&SKETCHED[class_idx], style, rng).finish();
        Drawing {
            image,
            attributes: Vec::new(),
        }
    }

    fn vague(&self) -> &'static [&'static str] {
        &["a sketch", "a drawing"]
    }
}

/// `artwork` in `style`.
pub(crate) fn sketch(artwork: &Artwork, style: Style, rng: &mut Rng) -> Canvas {
    let paper = paper(style, rng);
    let ink = ink(style, paper, rng);
    let drawn = restyled(artwork.sprite(), style, ink);
    let mut canvas = Canvas::filled(paper);
    if rng.chance(0.5) {
        canvas.noise(rng.range(2.0, 9.0), rng);
    }
    let size = rng.range(30.0, 45.0);
    let (cx, cy) = position(size, rng);
    let mirror = if rng.chance(0.4) { -1.0 } else { 1.0 };
    let view = Transform::from_row(mirror, 0.0, rng.range(-0.1, 0.1), 1.0, 0.0, 0.0)
        .post_concat(placed(cx, cy, rng.range(-0.35, 0.35)));
    canvas.sprite_warped(&drawn, size, view, 1.0);
    if rng.chance(0.4) {
        canvas.degrade(rng.range(0.1, 0.6), rng);
    }
    canvas
}

fn paper(style: Style, rng: &mut Rng) -> Colour {
    match style {
        Style::Chalk => mix([16, 20, 26], [50, 66, 60], rng.uniform()),
        Style::Negative => mix([10, 10, 14], any(rng), 0.2),
        _ => mix([252, 250, 246], any(rng), rng.range(0.0, 0.25)),
    }
}

fn ink(style: Style, paper: Colour, rng: &mut Rng) -> Colour {
    match style {
        Style::Chalk => mix([255, 255, 255], any(rng), rng.range(0.0, 0.3)),
        Style::Gray => [0, 0, 0],
        _ => mix(
            [10, 10, 14],
            mix(any(rng), paper, 0.2),
            rng.range(0.0, 0.45),
        ),
    }
}

fn restyled(sprite: &Pixmap, style: Style, ink: Colour) -> Pixmap {
    let (width, height) = (sprite.width() as i32, sprite.height() as i32);
    let mut out = sprite.clone();
    let data = sprite.data();
    let at = |x: i32, y: i32| -> (f32, f32) {
        if x < 0 || y < 0 || x >= width || y >= height {
            return (255.0, 0.0);
        }
        let i = 4 * (y * width + x) as usize;
        // Over white, so that the border of the picture is an edge too.
        let alpha = f32::from(data[i + 3]);
        (
            luma([data[i], data[i + 1], data[i + 2]]) + 255.0 - alpha,
            alpha,
        )
    };
    for y in 0..height {
        for x in 0..width {
            let i = 4 * (y * width + x) as usize;
            let (tone, alpha) = at(x, y);
            let edge = edge_strength(&at, x, y);
            let rgba = match style {
                Style::Gray => {
                    // Light things on white paper are known by their darker rim.
                    let gray = (tone - 255.0 + alpha) * (0.9 - 0.45 * edge);
                    flat([to_byte(gray); 3], alpha)
                }
                Style::Outline | Style::Chalk => covered(ink, edge),
                Style::Silhouette => {
                    covered(mix(ink, [255; 3], 0.55 * inner(edge, alpha)), alpha / 255.0)
                }
                Style::Poster => {
                    let level = (tone / 255.0 * 3.0).floor().min(2.0) / 2.0;
                    let tone = mix(ink, [244, 240, 230], (level * 0.9).min(1.0 - 0.6 * edge));
                    covered(tone, alpha / 255.0)
                }
                Style::Negative => {
                    let p = [data[i], data[i + 1], data[i + 2]];
                    flat(p.map(|c| to_byte(alpha - f32::from(c))), alpha)
                }
            };
            out.data_mut()[i..i + 4].copy_from_slice(&rgba);
        }
    }
    out
}

/// How much the tone or the coverage changes around a pixel, 0 to 1.
fn edge_strength(at: &impl Fn(i32, i32) -> (f32, f32), x: i32, y: i32) -> f32 {
    let difference = |a: (f32, f32), b: (f32, f32)| (a.0 - b.0).abs().max(0.8 * (a.1 - b.1).abs());
    let across = difference(at(x - 2, y), at(x + 2, y));
    let down = difference(at(x, y - 2), at(x, y + 2));
    ((across.max(down) - 24.0) / 90.0).clamp(0.0, 1.0)
}

/// Edges within the covered part only.
fn inner(edge: f32, alpha: f32) -> f32 {
    if alpha > 250.0 { edge * 0.8 } else { 0.0 }
}

fn covered(colour: Colour, coverage: f32) -> [u8; 4] {
    let [r, g, b] = colour.map(|c| to_byte(f32::from(c) * coverage));
    [r, g, b, to_byte(255.0 * coverage)]
}

fn flat(premultiplied: Colour, alpha: f32) -> [u8; 4] {
    let alpha = to_byte(alpha);
    let [r, g, b] = premultiplied.map(|c| c.min(alpha));
    [r, g, b, alpha]
}
