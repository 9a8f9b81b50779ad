//! Procedural backgrounds: smooth noise, gradients, patterns, clutter.

use paint_data::Rng;

use crate::canvas::{Canvas, SIZE};
use crate::colour::{self, Colour, mix};
use crate::domain::Split;

/// Smooth random values in [0, 1] over the plane, with one knot for each unit square.
pub(crate) struct ValueNoise {
    knots: [f32; 1024],
}

impl ValueNoise {
    /// A new random field.
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let mut knots = [0.0; 1024];
        for knot in &mut knots {
            *knot = rng.uniform();
        }
        Self { knots }
    }

    /// The field at (x, y); repeats after 32 units.
    pub(crate) fn at(&self, x: f32, y: f32) -> f32 {
        let (x0, y0) = (x.floor(), y.floor());
        let (fx, fy) = (smooth(x - x0), smooth(y - y0));
        let knot = |dx: i32, dy: i32| {
            let (x, y) = (x0 as i32 + dx, y0 as i32 + dy);
            self.knots[((y & 31) << 5 | (x & 31)) as usize]
        };
        let top = knot(0, 0) + (knot(1, 0) - knot(0, 0)) * fx;
        let bottom = knot(0, 1) + (knot(1, 1) - knot(0, 1)) * fx;
        top + (bottom - top) * fy
    }

    /// The sum of `octaves` fields, each twice as fine and half as strong, in [0, 1].
    pub(crate) fn fractal(&self, x: f32, y: f32, octaves: usize) -> f32 {
        let (mut sum, mut total, mut weight, mut scale) = (0.0, 0.0, 1.0, 1.0);
        for i in 0..octaves {
            let shift = 7.3 * i as f32;
            sum += weight * self.at(x * scale + shift, y * scale + shift);
            total += weight;
            weight /= 2.0;
            scale *= 2.0;
        }
        sum / total
    }
}

fn smooth(t: f32) -> f32 {
    t * t * (3.0 - 2.0 * t)
}

/// Any background without a name: plain, gradient, clouds, stripes, checks, dots or clutter.
///
/// Held-out splits add kinds that training does not have: rings, waves and facets.
pub(crate) fn any(split: Split, rng: &mut Rng) -> Canvas {
    let a = colour::any(rng);
    let b = if rng.chance(0.6) {
        colour::jitter(a, 60.0, rng)
    } else {
        colour::any(rng)
    };
    of_colours(a, b, split, rng)
}

/// A background that stays close to one colour.
pub(crate) fn near(colour: Colour, rng: &mut Rng) -> Canvas {
    let (a, b) = (
        colour::jitter(colour, 12.0, rng),
        colour::jitter(colour, 22.0, rng),
    );
    match rng.below(3) {
        0 => Canvas::filled(a),
        1 => gradient(a, b, rng.range(0.0, 6.3)),
        _ => clouds(a, b, rng.range(1.5, 6.0), 2, rng),
    }
}

fn of_colours(a: Colour, b: Colour, split: Split, rng: &mut Rng) -> Canvas {
    match rng.below(if split.is_seen() { 10 } else { 13 }) {
        0 | 1 => Canvas::filled(a),
        2 | 3 => gradient(a, b, rng.range(0.0, 6.3)),
        4 | 5 => clouds(a, b, rng.range(1.5, 10.0), 3, rng),
        6 => stripes(a, b, rng.range(3.0, 14.0), rng.range(0.0, 3.2)),
        7 => checks(a, b, rng.range(3.0, 12.0), rng.range(0.0, 1.6)),
        8 => grain(a, rng.range(4.0, 30.0), rng),
        10 => rings(a, b, rng),
        11 => waves(a, b, rng),
        12 => facets(a, b, rng),
        _ => {
            let mut canvas = gradient(a, b, rng.range(0.0, 6.3));
            clutter(&mut canvas, 4, rng);
            canvas
        }
    }
}

/// From `a` to `b` along `angle`.
pub(crate) fn gradient(a: Colour, b: Colour, angle: f32) -> Canvas {
    let (sin, cos) = angle.sin_cos();
    let half = SIZE / 2.0;
    Canvas::from_fn(|x, y| {
        mix(
            a,
            b,
            0.5 + ((x - half) * cos + (y - half) * sin) / (1.2 * SIZE),
        )
    })
}

/// Smooth noise between two colours, about `cells` blobs across the picture.
pub(crate) fn clouds(a: Colour, b: Colour, cells: f32, octaves: usize, rng: &mut Rng) -> Canvas {
    let noise = ValueNoise::new(rng);
    let scale = cells / SIZE;
    Canvas::from_fn(|x, y| {
        let t = noise.fractal(x * scale, y * scale, octaves);
        mix(a, b, ((t - 0.5) * 1.8 + 0.5).clamp(0.0, 1.0))
    })
}

/// Stripes with a period of `period` pixels, across the direction `angle`.
pub(crate) fn stripes(a: Colour, b: Colour, period: f32, angle: f32) -> Canvas {
    let (sin, cos) = angle.sin_cos();
    Canvas::from_fn(|x, y| mix(a, b, soft_square((x * cos + y * sin) / period, period)))
}

/// A chess board with squares of `cell` pixels, turned by `angle`.
pub(crate) fn checks(a: Colour, b: Colour, cell: f32, angle: f32) -> Canvas {
    let (sin, cos) = angle.sin_cos();
    Canvas::from_fn(|x, y| {
        let u = soft_square((x * cos + y * sin) / (2.0 * cell), 2.0 * cell);
        let v = soft_square((y * cos - x * sin) / (2.0 * cell), 2.0 * cell);
        mix(a, b, u + v - 2.0 * u * v)
    })
}

/// A square wave of period 1 in [0, 1] whose edges are one pixel wide.
fn soft_square(t: f32, period: f32) -> f32 {
    let phase = (t - t.floor()) * 2.0 - 1.0;
    let distance = if phase.abs() > 0.5 {
        1.0 - phase.abs()
    } else {
        phase.abs()
    };
    let edge = (distance * period / 2.0 + 0.5).clamp(0.0, 1.0);
    if phase < 0.0 { 1.0 - edge } else { edge }
}

/// Rings about a random point.
fn rings(a: Colour, b: Colour, rng: &mut Rng) -> Canvas {
    let (cx, cy, period) = (
        rng.range(0.0, SIZE),
        rng.range(0.0, SIZE),
        rng.range(4.0, 12.0),
    );
    Canvas::from_fn(|x, y| mix(a, b, soft_square((x - cx).hypot(y - cy) / period, period)))
}

/// Wavy bands.
fn waves(a: Colour, b: Colour, rng: &mut Rng) -> Canvas {
    let (period, length, swing) = (
        rng.range(4.0, 12.0),
        rng.range(2.0, 6.0),
        rng.range(1.0, 5.0),
    );
    Canvas::from_fn(|x, y| {
        mix(
            a,
            b,
            soft_square((y + swing * (x / length).sin()) / period, period),
        )
    })
}

/// Triangles in tones between two colours.
fn facets(a: Colour, b: Colour, rng: &mut Rng) -> Canvas {
    let (noise, cell) = (ValueNoise::new(rng), rng.range(6.0, 14.0));
    Canvas::from_fn(|x, y| {
        let (u, v) = (x / cell, y / cell);
        let upper = u.fract() > v.fract();
        mix(
            a,
            b,
            noise.at(u.floor() * 2.0 + f32::from(u8::from(upper)), v.floor()),
        )
    })
}

/// Independent noise in every pixel.
pub(crate) fn grain(a: Colour, sigma: f32, rng: &mut Rng) -> Canvas {
    let mut canvas = Canvas::filled(a);
    canvas.noise(sigma, rng);
    canvas
}

/// Adds up to `n` random shapes in random colours.
pub(crate) fn clutter(canvas: &mut Canvas, n: usize, rng: &mut Rng) {
    for _ in 0..1 + rng.below(n) {
        let (x, y) = (rng.range(0.0, SIZE), rng.range(0.0, SIZE));
        let (a, b) = (rng.range(2.0, 14.0), rng.range(2.0, 14.0));
        let (angle, colour) = (rng.range(0.0, 3.2), colour::any(rng));
        match rng.below(3) {
            0 => canvas.ellipse(x, y, a, b, angle, colour),
            1 => canvas.rotated_rect(x, y, 1.6 * a, 1.6 * b, angle, colour),
            _ => {
                let to = (rng.range(0.0, SIZE), rng.range(0.0, SIZE));
                canvas.line((x, y), to, rng.range(0.7, 3.0), colour);
            }
        }
    }
}
