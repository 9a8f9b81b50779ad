//! Fields, courts, tracks and pools from above.

use std::f32::consts::{FRAC_PI_2, PI, TAU};

use paint_data::Rng;

use super::super::ground::{along, cover, house, roof, trees};
use super::super::pen::{Point, smooth};
use super::{Land, centre, frame, grassland};
use crate::canvas::{Canvas, placed, regular};
use crate::colour::{Colour, jitter, mix};

pub(super) fn baseball(land: &Land, rng: &mut Rng) -> Canvas {
    let mut canvas = grassland(land, rng);
    let lawn = mix(land.grass, [60, 140, 50], 0.5);
    let clay = jitter([176, 120, 78], 14.0, rng);
    let angle = rng.range(0.0, TAU);
    let size = rng.range(15.0, 21.0);
    let home = along(angle, -0.75 * size, 0.0);
    let at = frame(home, angle, size);
    let fan = |r: f32| {
        let mut points = vec![at(-0.1 * r, 0.0)];
        points.extend((-5..=5).map(|i| {
            let (sin, cos) = (PI / 4.0 * i as f32 / 5.0).sin_cos();
            at(r * cos, r * sin)
        }));
        points
    };
    canvas.polygon(&fan(1.75), lawn);
    canvas.polygon(&fan(1.05), clay);
    canvas.polygon(
        &[
            at(0.16, 0.0),
            at(0.55, 0.39),
            at(0.94, 0.0),
            at(0.55, -0.39),
        ],
        lawn,
    );
    let mound = at(0.52, 0.0);
    canvas.circle(mound.0, mound.1, 0.09 * size, clay);
    canvas.circle(home.0, home.1, 0.16 * size, clay);
    for side in [-1.0, 1.0] {
        canvas.line(home, at(1.25, 1.25 * side), 0.7, [236, 232, 224]);
    }
    canvas
}

/// A rectangular field of `colour` on ground; returns its frame (half length and half width 1).
pub(super) fn field(
    canvas: &mut Canvas,
    (half_length, half_width): Point,
    (border, colour): (Colour, Colour),
    rng: &mut Rng,
) -> impl Fn(f32, f32) -> Point + use<> {
    let (middle, angle) = (centre(3.0, rng), rng.range(0.0, PI));
    let at = frame(middle, angle, 1.0);
    canvas.rotated_rect(
        middle.0,
        middle.1,
        2.0 * half_length + 8.0,
        2.0 * half_width + 7.0,
        angle,
        border,
    );
    canvas.rotated_rect(
        middle.0,
        middle.1,
        2.0 * half_length,
        2.0 * half_width,
        angle,
        colour,
    );
    move |x, y| at(x * half_length, y * half_width)
}

fn court_colours(rng: &mut Rng) -> (Colour, Colour) {
    const PAIRS: [(Colour, Colour); 5] = [
        ([70, 120, 90], [60, 100, 160]),
        ([150, 80, 64], [70, 124, 90]),
        ([60, 104, 76], [150, 84, 66]),
        ([120, 124, 130], [90, 130, 110]),
        ([90, 110, 140], [186, 130, 90]),
    ];
    *rng.pick(&PAIRS)
}

fn outline(canvas: &mut Canvas, points: &[Point], width: f32) {
    canvas.polygon_outline(points, width, [238, 238, 234]);
}

pub(super) fn tennis(land: &Land, rng: &mut Rng) -> Canvas {
    let mut canvas = grassland(land, rng);
    let length = rng.range(14.0, 19.0);
    let colours = court_colours(rng);
    let at = field(&mut canvas, (length, 0.5 * length), colours, rng);
    outline(
        &mut canvas,
        &[at(-1.0, -1.0), at(1.0, -1.0), at(1.0, 1.0), at(-1.0, 1.0)],
        0.9,
    );
    for side in [-0.74, 0.74] {
        canvas.line(at(-1.0, side), at(1.0, side), 0.8, [238, 238, 234]);
        canvas.line(
            at(0.7 * side, -0.74),
            at(0.7 * side, 0.74),
            0.8,
            [238, 238, 234],
        );
    }
    canvas.line(at(-0.52, 0.0), at(0.52, 0.0), 0.8, [238, 238, 234]);
    canvas.line(at(0.0, -1.15), at(0.0, 1.15), 1.3, [40, 44, 44]);
    canvas
}

pub(super) fn basketball(land: &Land, rng: &mut Rng) -> Canvas {
    let mut canvas = grassland(land, rng);
    let length = rng.range(14.0, 19.0);
    let colours = court_colours(rng);
    let at = field(&mut canvas, (length, 0.55 * length), colours, rng);
    let white = [238, 238, 234];
    outline(
        &mut canvas,
        &[at(-1.0, -1.0), at(1.0, -1.0), at(1.0, 1.0), at(-1.0, 1.0)],
        0.9,
    );
    canvas.line(at(0.0, -1.0), at(0.0, 1.0), 0.8, white);
    let circle = |cx: f32, r: f32, from: f32, to: f32| -> Vec<Point> {
        (0..=10)
            .map(|i| {
                let (sin, cos) = (from + (to - from) * i as f32 / 10.0).sin_cos();
                at(cx + r * cos, r / 0.55 * sin)
            })
            .collect()
    };
    canvas.polyline(&circle(0.0, 0.16, 0.0, TAU), 0.8, white);
    for side in [-1.0, 1.0] {
        let facing = if side > 0.0 { PI } else { 0.0 };
        canvas.polyline(
            &circle(0.95 * side, 0.46, facing - FRAC_PI_2, facing + FRAC_PI_2),
            0.9,
            white,
        );
        canvas.polygon(
            &[
                at(side, -0.26),
                at(0.6 * side, -0.26),
                at(0.6 * side, 0.26),
                at(side, 0.26),
            ],
            mix(colours.0, [190, 90, 60], 0.6),
        );
    }
    canvas
}

/// An oval with straight sides, as a polygon.
pub(super) fn oval(at: &impl Fn(f32, f32) -> Point, half_length: f32, radius: f32) -> Vec<Point> {
    let end = |side: f32, i: i32| {
        let (sin, cos) = (side * FRAC_PI_2 * i as f32 / 5.0).sin_cos();
        at(side * (half_length + radius * cos), radius * sin)
    };
    (-5..=5)
        .map(|i| end(1.0, i))
        .chain((-5..=5).map(|i| end(-1.0, i)))
        .collect()
}

pub(super) fn track(land: &Land, rng: &mut Rng) -> Canvas {
    let mut canvas = grassland(land, rng);
    let lanes = jitter([176, 76, 58], 16.0, rng);
    let at = frame(centre(2.0, rng), rng.range(0.0, PI), rng.range(0.9, 1.15));
    canvas.polygon(&oval(&at, 9.0, 13.0), lanes);
    for r in [10.2, 11.6] {
        canvas.polygon_outline(&oval(&at, 9.0, r), 0.5, [226, 200, 190]);
    }
    canvas.polygon(&oval(&at, 9.0, 8.8), mix(land.grass, [70, 150, 60], 0.5));
    outline(
        &mut canvas,
        &[
            at(-11.0, -5.5),
            at(11.0, -5.5),
            at(11.0, 5.5),
            at(-11.0, 5.5),
        ],
        0.6,
    );
    canvas.line(at(0.0, -5.5), at(0.0, 5.5), 0.6, [230, 234, 226]);
    canvas
}

pub(super) fn stadium(land: &Land, rng: &mut Rng) -> Canvas {
    let paved = jitter([150, 148, 144], 14.0, rng);
    let mut canvas = cover(paved, mix(paved, land.grass, 0.3), 9.0, rng);
    let at = frame(centre(2.0, rng), rng.range(0.0, PI), rng.range(0.85, 1.1));
    let outer = jitter([214, 216, 220], 14.0, rng);
    let seats = *rng.pick(&[
        [70, 90, 150],
        [150, 60, 60],
        [120, 124, 130],
        [60, 120, 100],
    ]);
    let straight = rng.range(3.0, 8.0);
    let shadow: Vec<Point> = oval(&at, straight, 18.0)
        .into_iter()
        .map(|(x, y)| (x + 2.0, y + 2.0))
        .collect();
    canvas.polygon(&shadow, mix(paved, [0, 0, 0], 0.55));
    canvas.polygon(&oval(&at, straight, 18.0), outer);
    canvas.polygon(&oval(&at, straight, 14.5), seats);
    for r in [13.2, 11.6] {
        canvas.polygon_outline(
            &oval(&at, straight, r),
            0.5,
            mix(seats, [255, 255, 255], 0.35),
        );
    }
    canvas.polygon(
        &oval(&at, straight, 9.6),
        mix(land.grass, [50, 150, 50], 0.6),
    );
    outline(
        &mut canvas,
        &[
            at(-10.0, -5.0),
            at(10.0, -5.0),
            at(10.0, 5.0),
            at(-10.0, 5.0),
        ],
        0.6,
    );
    canvas
}

pub(super) fn golf(land: &Land, rng: &mut Rng) -> Canvas {
    let rough = mix(land.grass, [50, 84, 44], 0.5);
    let mut canvas = cover(rough, mix(rough, land.soil, 0.2), 6.0, rng);
    let lawn = mix(land.grass, [140, 190, 90], 0.55);
    let angle = rng.range(0.0, PI);
    let mut fairways = Vec::new();
    for lane in [-0.9, 0.9] {
        let sway = rng.range(-7.0, 7.0);
        let points = smooth(&[
            along(angle, -34.0, 13.0 * lane),
            along(angle, 0.0, 13.0 * lane + sway),
            along(angle, 34.0, 13.0 * lane),
        ]);
        canvas.polyline(&points, rng.range(9.0, 13.0), lawn);
        fairways.extend(points);
    }
    trees(
        &mut canvas,
        70,
        (1.2, 2.3),
        |(x, y)| fairways.iter().all(|f| (f.0 - x).hypot(f.1 - y) > 7.0),
        rng,
    );
    for _ in 0..3 + rng.below(4) {
        let at = *rng.pick(&fairways);
        let (x, y) = (at.0 + rng.range(-5.0, 5.0), at.1 + rng.range(-5.0, 5.0));
        canvas.ellipse(
            x,
            y,
            rng.range(1.5, 3.2),
            rng.range(1.1, 2.0),
            rng.range(0.0, PI),
            [236, 226, 196],
        );
    }
    let green = *rng.pick(&fairways);
    canvas.circle(green.0, green.1, 3.2, mix(lawn, [170, 230, 120], 0.5));
    canvas
}

pub(super) fn pool(land: &Land, rng: &mut Rng) -> Canvas {
    let mut canvas = grassland(land, rng);
    let angle = rng.range(0.0, PI);
    let (x, y) = centre(5.0, rng);
    let (width, height) = (rng.range(15.0, 24.0), rng.range(8.0, 13.0));
    let water = jitter([70, 190, 216], 16.0, rng);
    let side = along(angle + FRAC_PI_2, rng.range(19.0, 23.0), 0.0);
    house(
        &mut canvas,
        side,
        (rng.range(18.0, 30.0), 12.0),
        angle,
        roof(rng),
    );
    trees(
        &mut canvas,
        16,
        (1.6, 3.0),
        |p| (p.0 - x).hypot(p.1 - y) > 15.0,
        rng,
    );
    let rim = jitter([222, 212, 196], 12.0, rng);
    canvas.rotated_rect(x, y, width + 8.0, height + 7.0, angle, rim);
    if rng.chance(0.4) {
        canvas.ellipse(x, y, width / 2.0, height / 2.0, angle, water);
        canvas.ellipse(
            x - 1.0,
            y - 1.0,
            width / 3.0,
            height / 3.0,
            angle,
            mix(water, [200, 244, 250], 0.35),
        );
    } else {
        canvas.rotated_rect(x, y, width, height, angle, water);
        canvas.rotated_rect(
            x,
            y,
            width * 0.7,
            height * 0.5,
            angle,
            mix(water, [200, 244, 250], 0.3),
        );
    }
    for _ in 0..rng.below(5) {
        let (sin, cos) = rng.range(0.0, TAU).sin_cos();
        let chair = placed(x, y, angle);
        let at = (
            chair.tx + (width / 2.0 + 2.5) * cos,
            chair.ty + (height / 2.0 + 2.5) * sin,
        );
        canvas.polygon(&regular(4, at.0, at.1, 1.2, angle), [244, 244, 240]);
    }
    canvas
}
