//! Aeroplanes, ships, roads, rails and where they stop, from above.

use std::f32::consts::{FRAC_PI_2, PI, TAU};

use paint_data::Rng;

use super::super::ground::{
    along, asphalt, beside, cover, covered, dashes, is_outside, lay, road, tree, trees, vehicle,
};
use super::super::noise::Noise;
use super::super::pen::Point;
use super::land::suburb;
use super::{Land, centre, frame, grassland};
use crate::canvas::Canvas;
use crate::colour::{Colour, jitter, mix};

pub(super) fn airplane(land: &Land, rng: &mut Rng) -> Canvas {
    let concrete = mix(asphalt(rng), [190, 188, 180], 0.5);
    let mut canvas = cover(concrete, mix(concrete, land.soil, 0.2), 14.0, rng);
    let line = rng.range(0.0, PI);
    canvas.line(
        along(line, -40.0, 9.0),
        along(line, 40.0, 9.0),
        0.8,
        [220, 190, 60],
    );
    for _ in 0..1 + rng.below(2) {
        let body = jitter([236, 238, 240], 10.0, rng);
        let at = frame(centre(9.0, rng), rng.range(0.0, TAU), rng.range(9.0, 15.0));
        for (shift, colour) in [(0.12, mix(concrete, [0, 0, 0], 0.55)), (0.0, body)] {
            let p = |x: f32, y: f32| at(x + shift, y + shift);
            canvas.line(p(-0.95, 0.0), p(0.95, 0.0), 2.6, colour);
            for side in [-1.0, 1.0] {
                canvas.polygon(
                    &[p(0.3, 0.0), p(-0.35, side), p(-0.5, side), p(-0.15, 0.0)],
                    colour,
                );
                canvas.polygon(
                    &[
                        p(-0.75, 0.0),
                        p(-1.0, 0.4 * side),
                        p(-1.1, 0.4 * side),
                        p(-0.95, 0.0),
                    ],
                    colour,
                );
            }
        }
    }
    canvas
}

pub(super) fn runway(land: &Land, rng: &mut Rng) -> Canvas {
    let mut canvas = grassland(land, rng);
    let (angle, offset) = (rng.range(0.0, TAU), rng.range(-5.0, 5.0));
    let strip = asphalt(rng);
    let width = rng.range(11.0, 16.0);
    let end = rng.range(-18.0, 2.0);
    canvas.polygon(
        &[
            along(angle, end, offset - width / 2.0),
            along(angle, 60.0, offset - width / 2.0),
            along(angle, 60.0, offset + width / 2.0),
            along(angle, end, offset + width / 2.0),
        ],
        strip,
    );
    let white = [232, 232, 228];
    for i in -3..=3 {
        let o = offset + width * 0.125 * i as f32;
        if i != 0 {
            canvas.line(
                along(angle, end + 2.0, o),
                along(angle, end + 6.0, o),
                0.9,
                white,
            );
        }
    }
    dashes(
        &mut canvas,
        &[along(angle, end + 9.0, offset), along(angle, 60.0, offset)],
        3.0,
        0.9,
        white,
    );
    if rng.chance(0.5) {
        let o = offset + 1.6 * width;
        canvas.line(
            along(angle, -60.0, o),
            along(angle, 60.0, o),
            4.0,
            mix(strip, [200, 200, 200], 0.25),
        );
    }
    canvas
}

pub(super) fn harbor(land: &Land, rng: &mut Rng) -> Canvas {
    let water = mix(land.water, [24, 50, 70], 0.4);
    let mut canvas = cover(water, mix(water, [40, 70, 90], 0.3), 10.0, rng);
    let angle = rng.range(0.0, PI);
    let pitch = rng.range(12.0, 16.0);
    let shift = rng.range(-6.0, 6.0);
    let pier = jitter([186, 180, 168], 12.0, rng);
    for row in -3..=3 {
        let o = shift + pitch * row as f32;
        canvas.line(along(angle, -40.0, o), along(angle, 40.0, o), 1.6, pier);
        for slot in -11..=11 {
            for side in [-1.0, 1.0] {
                let d = 3.3 * slot as f32 + rng.range(-0.3, 0.3);
                let at = along(angle, d, o + side * 3.9);
                if rng.chance(0.8) && !is_outside(at, 3.0) {
                    moored_boat(&mut canvas, at, angle + FRAC_PI_2, rng);
                }
            }
        }
    }
    if rng.chance(0.5) {
        let (edge, quay) = (rng.range(14.0, 20.0), mix(land.soil, [170, 168, 160], 0.5));
        lay(
            &mut canvas,
            |x, y| beside(angle + FRAC_PI_2, edge, x, y),
            |_, _| quay,
        );
    }
    canvas
}

fn moored_boat(canvas: &mut Canvas, (x, y): Point, angle: f32, rng: &mut Rng) {
    let hull = jitter([232, 234, 236], 14.0, rng);
    canvas.ellipse(x, y, rng.range(2.0, 3.1), 1.15, angle, hull);
    canvas.ellipse(x, y, 1.0, 0.5, angle, mix(hull, [40, 60, 90], 0.6));
}

pub(super) fn bridge(land: &Land, rng: &mut Rng) -> Canvas {
    let noise = Noise::new(rng);
    let (water, grass) = (land.water, land.grass);
    let mut canvas = cover(water, mix(water, [70, 110, 130], 0.3), 9.0, rng);
    let angle = rng.range(0.0, PI);
    let half = rng.range(10.0, 17.0);
    let wavy = |x: f32, y: f32| 5.0 * (noise.at(x / 9.0, y / 9.0) - 0.5);
    for side in [angle + FRAC_PI_2, angle - FRAC_PI_2] {
        lay(
            &mut canvas,
            |x, y| beside(side, half, x, y) + wavy(x, y),
            |x, y| covered(grass, mix(grass, [40, 60, 30], 0.5), 5.0, (x, y), &noise),
        );
    }
    let width = rng.range(4.5, 8.0);
    let offset = rng.range(-6.0, 6.0);
    let deck = mix(asphalt(rng), [180, 180, 180], 0.3);
    canvas.line(
        along(angle, -half - 2.0, offset + 0.55 * width),
        along(angle, half + 2.0, offset + 0.55 * width),
        width,
        mix(water, [0, 0, 0], 0.55),
    );
    road(
        &mut canvas,
        &[along(angle, -50.0, offset), along(angle, 50.0, offset)],
        width,
        deck,
    );
    for side in [-0.5, 0.5] {
        let o = offset + side * width;
        canvas.line(
            along(angle, -half, o),
            along(angle, half, o),
            0.8,
            [226, 226, 222],
        );
    }
    for _ in 0..rng.below(4) {
        vehicle(
            &mut canvas,
            along(angle, rng.range(-24.0, 24.0), offset + 0.22 * width),
            2.8,
            angle,
            rng,
        );
    }
    canvas
}

pub(super) fn roundabout(land: &Land, rng: &mut Rng) -> Canvas {
    let mut canvas = suburb(land, rng);
    let surface = asphalt(rng);
    let (middle, radius) = (centre(3.0, rng), rng.range(8.0, 11.5));
    let width = rng.range(4.5, 6.5);
    let first = rng.range(0.0, TAU);
    let arms = 3 + rng.below(3);
    let at = frame(middle, first, 1.0);
    for arm in 0..arms {
        let (sin, cos) = (TAU * arm as f32 / arms as f32).sin_cos();
        road(
            &mut canvas,
            &[at(radius * cos, radius * sin), at(60.0 * cos, 60.0 * sin)],
            width,
            surface,
        );
    }
    canvas.circle(middle.0, middle.1, radius + width / 2.0, surface);
    canvas.circle(
        middle.0,
        middle.1,
        radius - width / 2.0 + 0.6,
        [214, 210, 200],
    );
    canvas.circle(
        middle.0,
        middle.1,
        radius - width / 2.0,
        mix(land.grass, [70, 140, 60], 0.4),
    );
    if rng.chance(0.5) {
        tree(&mut canvas, middle, 2.2, rng);
    }
    for _ in 0..1 + rng.below(4) {
        let a = rng.range(0.0, TAU);
        vehicle(
            &mut canvas,
            at(radius * a.cos(), radius * a.sin()),
            3.4,
            first + a + FRAC_PI_2,
            rng,
        );
    }
    canvas
}

pub(super) fn intersection(land: &Land, rng: &mut Rng) -> Canvas {
    let mut canvas = suburb(land, rng);
    let (surface, angle) = (asphalt(rng), rng.range(0.0, TAU));
    let (middle, width) = (centre(5.0, rng), rng.range(8.0, 12.0));
    let across = angle + FRAC_PI_2 + rng.range(-0.25, 0.25);
    let ways = if rng.chance(0.25) { 3 } else { 4 };
    let arms: Vec<f32> = [angle, across, angle + PI, across + PI][..ways].to_vec();
    for arm in &arms {
        let at = frame(middle, *arm, 1.0);
        canvas.line(at(0.0, 0.0), at(60.0, 0.0), width + 1.6, [196, 192, 184]);
    }
    for arm in &arms {
        let at = frame(middle, *arm, 1.0);
        canvas.line(at(0.0, 0.0), at(60.0, 0.0), width, surface);
    }
    for arm in &arms {
        let at = frame(middle, *arm, 1.0);
        dashes(
            &mut canvas,
            &[at(width * 1.1, 0.0), at(50.0, 0.0)],
            2.5,
            0.7,
            [232, 220, 150],
        );
        for stripe in -2..=2 {
            let y = width * 0.18 * stripe as f32;
            canvas.line(
                at(width * 0.68, y),
                at(width * 0.95, y),
                0.8,
                [232, 232, 228],
            );
        }
        if rng.chance(0.6) {
            vehicle(
                &mut canvas,
                at(rng.range(0.9, 2.2) * width, 0.25 * width),
                3.6,
                *arm,
                rng,
            );
        }
    }
    canvas
}

pub(super) fn freeway(land: &Land, rng: &mut Rng) -> Canvas {
    let mut canvas = grassland(land, rng);
    trees(&mut canvas, 25, (1.2, 2.4), |_| true, rng);
    let (angle, offset) = (rng.range(0.0, PI), rng.range(-4.0, 4.0));
    let surface = asphalt(rng);
    lanes(
        &mut canvas,
        angle,
        offset,
        rng.range(8.0, 11.0),
        surface,
        land,
        rng,
    );
    canvas
}

/// Two carriageways with a green strip between, and traffic.
pub(super) fn lanes(
    canvas: &mut Canvas,
    angle: f32,
    offset: f32,
    width: f32,
    surface: Colour,
    land: &Land,
    rng: &mut Rng,
) {
    let line = |o: f32| {
        [
            along(angle, -50.0, offset + o),
            along(angle, 50.0, offset + o),
        ]
    };
    canvas.polyline(
        &line(0.0),
        2.0 * width + 4.0,
        mix(land.grass, [190, 180, 150], 0.4),
    );
    for side in [-1.0, 1.0] {
        let middle = side * (width / 2.0 + 1.0);
        canvas.polyline(&line(middle), width, surface);
        for lane in [-0.17, 0.17] {
            dashes(
                canvas,
                &line(middle + lane * width),
                2.2,
                0.6,
                [230, 230, 226],
            );
        }
        for _ in 0..2 + rng.below(4) {
            let o = offset + middle + width * *rng.pick(&[-0.33, 0.0, 0.33]);
            vehicle(
                canvas,
                along(angle, rng.range(-28.0, 28.0), o),
                rng.range(2.8, 4.6),
                angle,
                rng,
            );
        }
    }
}

pub(super) fn overpass(land: &Land, rng: &mut Rng) -> Canvas {
    let mut canvas = grassland(land, rng);
    let angle = rng.range(0.0, PI);
    let surface = asphalt(rng);
    lanes(
        &mut canvas,
        angle,
        rng.range(-3.0, 3.0),
        rng.range(6.0, 8.0),
        surface,
        land,
        rng,
    );
    let over = angle + FRAC_PI_2 + rng.range(-0.5, 0.5);
    let (offset, width) = (rng.range(-5.0, 5.0), rng.range(6.0, 9.0));
    let line = |o: f32| {
        [
            along(over, -50.0, offset + o),
            along(over, 50.0, offset + o),
        ]
    };
    canvas.polyline(&line(3.0), width, [34, 36, 38]);
    canvas.polyline(&line(0.0), width + 1.8, [224, 222, 214]);
    canvas.polyline(&line(0.0), width, mix(surface, [170, 168, 164], 0.5));
    dashes(&mut canvas, &line(0.0), 2.5, 0.7, [240, 240, 236]);
    for _ in 0..rng.below(4) {
        vehicle(
            &mut canvas,
            along(over, rng.range(-22.0, 22.0), offset + 0.25 * width),
            3.4,
            over,
            rng,
        );
    }
    canvas
}

pub(super) fn railway(land: &Land, rng: &mut Rng) -> Canvas {
    let mut canvas = grassland(land, rng);
    let gravel = jitter([136, 126, 118], 14.0, rng);
    let (angle, n) = (rng.range(0.0, PI), 2 + rng.below(4));
    let pitch = rng.range(6.0, 8.0);
    let offset = rng.range(-4.0, 4.0);
    let bed = pitch * n as f32 + 2.0;
    canvas.rotated_rect(
        along(angle, 0.0, offset).0,
        along(angle, 0.0, offset).1,
        120.0,
        bed,
        angle,
        gravel,
    );
    for track in 0..n {
        let o = offset + pitch * (track as f32 - 0.5 * (n - 1) as f32);
        for sleeper in -17..=17 {
            let d = 2.1 * sleeper as f32;
            canvas.line(
                along(angle, d, o - 2.3),
                along(angle, d, o + 2.3),
                0.8,
                [84, 70, 60],
            );
        }
        for rail in [-1.4, 1.4] {
            canvas.line(
                along(angle, -50.0, o + rail),
                along(angle, 50.0, o + rail),
                0.6,
                [206, 206, 210],
            );
        }
        if rng.chance(0.3) {
            let train = jitter(
                *rng.pick(&[[170, 50, 44], [60, 90, 140], [200, 200, 196], [90, 110, 80]]),
                12.0,
                rng,
            );
            let from = rng.range(-30.0, 10.0);
            for car in 0..3 {
                let at = along(angle, from + 12.5 * car as f32, o);
                canvas.rotated_rect(at.0, at.1, 11.5, 4.2, angle, train);
                canvas.rotated_rect(
                    at.0,
                    at.1,
                    11.5,
                    1.4,
                    angle,
                    mix(train, [230, 230, 230], 0.35),
                );
            }
        }
    }
    canvas
}

pub(super) fn parking_lot(land: &Land, rng: &mut Rng) -> Canvas {
    let surface = asphalt(rng);
    let mut canvas = cover(surface, mix(surface, land.soil, 0.25), 10.0, rng);
    let angle = rng.range(0.0, PI);
    let (pitch, bay) = (rng.range(11.0, 14.0), rng.range(3.2, 4.0));
    let shift = rng.range(-5.0, 5.0);
    let fill = rng.range(0.5, 0.95);
    for row in -3..=3 {
        let o = shift + pitch * row as f32;
        for slot in -11..=11 {
            let d = bay * slot as f32;
            if is_outside(along(angle, d, o), 8.0) {
                continue;
            }
            canvas.line(
                along(angle, d + bay / 2.0, o - 5.0),
                along(angle, d + bay / 2.0, o + 5.0),
                0.5,
                [220, 220, 216],
            );
            for side in [-2.6, 2.6] {
                if rng.chance(fill) {
                    vehicle(
                        &mut canvas,
                        along(angle, d, o + side),
                        rng.range(4.0, 4.8),
                        angle + FRAC_PI_2,
                        rng,
                    );
                }
            }
        }
    }
    canvas
}
