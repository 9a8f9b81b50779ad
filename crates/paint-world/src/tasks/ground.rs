//! The earth seen from above: ground cover, trees, houses, roads and vehicles.

use paint_data::Rng;

use super::noise::{Noise, step};
use super::pen::Point;
use crate::canvas::{Canvas, SIZE};
use crate::colour::{Colour, jitter, mix};

/// Ground covered by two colours in soft patches about `patch` pixels wide, with fine grain.
pub(super) fn cover(a: Colour, b: Colour, patch: f32, rng: &mut Rng) -> Canvas {
    let noise = Noise::new(rng);
    Canvas::from_fn(|x, y| covered(a, b, patch, (x, y), &noise))
}

/// The colour of such ground at one place.
pub(super) fn covered(a: Colour, b: Colour, patch: f32, (x, y): Point, noise: &Noise) -> Colour {
    let t = noise.fractal(x / patch, y / patch, 3);
    let grain = noise.lattice(x as i32 + 77, y as i32) - 0.5;
    mix(a, b, (1.6 * (t - 0.5) + 0.5 + 0.25 * grain).clamp(0.0, 1.0))
}

/// Lays `paint(x, y, old)` over the ground where `inside` is positive, with an edge one pixel soft.
pub(super) fn lay(
    canvas: &mut Canvas,
    inside: impl Fn(f32, f32) -> f32,
    paint: impl Fn(f32, f32) -> Colour,
) {
    canvas.map(|x, y, old| {
        let t = step(-0.7, 0.7, inside(x, y));
        if t == 0.0 {
            old
        } else {
            mix(old, paint(x, y), t)
        }
    });
}

/// A tree crown with its shadow.
pub(super) fn tree(canvas: &mut Canvas, (x, y): Point, radius: f32, rng: &mut Rng) {
    let leaf = jitter([46, 92, 42], 18.0, rng);
    canvas.circle(
        x + 0.35 * radius,
        y + 0.35 * radius,
        radius,
        mix(leaf, [0, 0, 0], 0.6),
    );
    canvas.circle(x, y, radius, leaf);
    canvas.circle(
        x - 0.3 * radius,
        y - 0.3 * radius,
        0.5 * radius,
        mix(leaf, [170, 210, 120], 0.35),
    );
}

/// `n` trees anywhere that `allowed` says.
pub(super) fn trees(
    canvas: &mut Canvas,
    n: usize,
    (low, high): (f32, f32),
    allowed: impl Fn(Point) -> bool,
    rng: &mut Rng,
) {
    for _ in 0..n {
        let at = anywhere(rng);
        if allowed(at) {
            tree(canvas, at, rng.range(low, high), rng);
        }
    }
}

/// A building's roof with its shadow; a ridge divides it into a lit and a shaded half.
pub(super) fn house(
    canvas: &mut Canvas,
    (x, y): Point,
    (width, height): (f32, f32),
    angle: f32,
    roof: Colour,
) {
    if is_outside((x, y), width.max(height)) {
        return;
    }
    canvas.rotated_rect(x + 1.0, y + 1.0, width, height, angle, [40, 40, 42]);
    canvas.rotated_rect(x, y, width, height, angle, roof);
    if height < 3.0 {
        return; // Too small for its ridge to be seen.
    }
    let (sin, cos) = angle.sin_cos();
    let (dx, dy) = (-sin * height / 4.0, cos * height / 4.0);
    let shaded = mix(roof, [0, 0, 0], 0.28);
    canvas.rotated_rect(x + dx, y + dy, width, height / 2.0, angle, shaded);
}

/// A roof colour of dwellings.
pub(super) fn roof(rng: &mut Rng) -> Colour {
    const ROOFS: [Colour; 6] = [
        [168, 82, 60],
        [190, 110, 80],
        [120, 90, 80],
        [150, 146, 140],
        [96, 98, 104],
        [206, 190, 170],
    ];
    let base = *rng.pick(&ROOFS);
    jitter(base, 16.0, rng)
}

/// A road along `points`, with a broken line in its middle if it is wide enough.
pub(super) fn road(canvas: &mut Canvas, points: &[Point], width: f32, surface: Colour) {
    canvas.polyline(points, width + 1.2, mix(surface, [210, 200, 180], 0.5));
    canvas.polyline(points, width, surface);
    if width > 4.0 {
        dashes(canvas, points, 2.5, 0.7, [236, 236, 228]);
    }
}

/// A broken line along `points`: dashes of `length` with gaps of the same length.
pub(super) fn dashes(
    canvas: &mut Canvas,
    points: &[Point],
    length: f32,
    width: f32,
    colour: Colour,
) {
    for pair in points.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        let n = ((b.0 - a.0).hypot(b.1 - a.1) / (2.0 * length))
            .round()
            .max(1.0);
        let along = |t: f32| (a.0 + (b.0 - a.0) * t, a.1 + (b.1 - a.1) * t);
        for i in 0..n as usize {
            let t = i as f32 / n;
            if is_outside(along(t), 2.0 * length) {
                continue;
            }
            canvas.line(along(t), along(t + 0.5 / n), width, colour);
        }
    }
}

/// A road's gray.
pub(super) fn asphalt(rng: &mut Rng) -> Colour {
    let g = rng.range(78.0, 150.0) as u8;
    jitter([g, g, g], 6.0, rng)
}

/// A vehicle of some colour.
pub(super) fn vehicle(canvas: &mut Canvas, (x, y): Point, length: f32, angle: f32, rng: &mut Rng) {
    if is_outside((x, y), length) {
        return;
    }
    const PAINTS: [Colour; 6] = [
        [236, 236, 236],
        [30, 30, 34],
        [176, 36, 36],
        [40, 70, 150],
        [160, 164, 170],
        [214, 190, 60],
    ];
    let body = *rng.pick(&PAINTS);
    canvas.rotated_rect(x, y, length, 0.48 * length, angle, body);
    canvas.rotated_rect(
        x,
        y,
        0.45 * length,
        0.4 * length,
        angle,
        mix(body, [0, 0, 0], 0.45),
    );
}

/// Whether nothing of an object `size` pixels long with its middle at a point can be seen; rows of
/// things are laid out beyond the picture's edges, and drawing what is cut off takes time.
pub(super) fn is_outside((x, y): Point, size: f32) -> bool {
    let seen = -size..SIZE + size;
    !(seen.contains(&x) && seen.contains(&y))
}

/// A random point of the picture.
pub(super) fn anywhere(rng: &mut Rng) -> Point {
    (rng.range(0.0, SIZE), rng.range(0.0, SIZE))
}

/// The point `distance` from the picture's middle (plus `offset` sideways) in direction `angle`.
pub(super) fn along(angle: f32, distance: f32, offset: f32) -> Point {
    let (sin, cos) = angle.sin_cos();
    (
        SIZE / 2.0 + cos * distance - sin * offset,
        SIZE / 2.0 + sin * distance + cos * offset,
    )
}

/// Signed distance of a point from the line through the picture's middle, moved sideways by `offset`.
pub(super) fn beside(angle: f32, offset: f32, x: f32, y: f32) -> f32 {
    let (sin, cos) = angle.sin_cos();
    cos * (y - SIZE / 2.0) - sin * (x - SIZE / 2.0) - offset
}
