//! Coasts, fields, deserts and what stands on the land, from above.

use std::f32::consts::{PI, TAU};

use paint_data::Rng;

use super::super::ground::{
    along, anywhere, beside, cover, covered, house, is_outside, roof, tree,
};
use super::super::noise::Noise;
use super::{Land, centre, frame, grassland};
use crate::canvas::Canvas;
use crate::colour::{jitter, mix};

pub(super) fn beach(land: &Land, rng: &mut Rng) -> Canvas {
    let noise = Noise::new(rng);
    let sand = jitter([226, 204, 156], 14.0, rng);
    let (angle, offset, width) = (
        rng.range(0.0, TAU),
        rng.range(-8.0, 8.0),
        rng.range(9.0, 17.0),
    );
    let (water, grass) = (
        mix(land.water, [60, 160, 180], rng.range(0.0, 0.4)),
        land.grass,
    );
    let mut canvas = Canvas::from_fn(|x, y| {
        let d = beside(angle, offset, x, y) + 7.0 * (noise.at(x / 14.0, y / 14.0) - 0.5);
        let foam = 2.2 * noise.at(x / 5.0 + 9.0, y / 5.0);
        if d < -1.0 - foam {
            mix(
                mix(water, [240, 246, 246], 0.25 * noise.at(x / 3.0, y / 3.0)),
                [150, 200, 200],
                (1.0 + d / 18.0).clamp(0.0, 0.5),
            )
        } else if d < 0.5 {
            [238, 242, 240]
        } else if d < width {
            mix(
                sand,
                [180, 150, 110],
                0.3 * noise.fractal(x / 3.0, y / 3.0, 2),
            )
        } else {
            covered(grass, mix(grass, [20, 40, 20], 0.4), 4.0, (x, y), &noise)
        }
    });
    for _ in 0..rng.below(9) {
        let umbrella = along(
            angle,
            rng.range(-24.0, 24.0),
            offset + rng.range(0.3, 0.9) * width,
        );
        canvas.circle(umbrella.0, umbrella.1, 1.1, crate::colour::any(rng));
    }
    canvas
}

pub(super) fn island(land: &Land, rng: &mut Rng) -> Canvas {
    let noise = Noise::new(rng);
    let (middle, radius) = (centre(5.0, rng), rng.range(9.0, 15.0));
    let squash = rng.range(0.65, 1.0);
    let (water, grass) = (land.water, land.grass);
    let mut canvas = cover(water, mix(water, [20, 50, 80], 0.3), 12.0, rng);
    canvas.map(|x, y, sea| {
        let d = (x - middle.0).hypot((y - middle.1) / squash)
            + 9.0 * (noise.fractal(x / 9.0, y / 9.0, 2) - 0.5)
            - radius;
        if d > 3.5 {
            sea
        } else if d > 0.0 {
            mix(sea, [110, 190, 190], 0.5)
        } else if d > -1.8 {
            [226, 210, 170]
        } else {
            covered(mix(grass, [30, 70, 30], 0.5), grass, 3.0, (x, y), &noise)
        }
    });
    canvas
}

pub(super) fn sea_ice(land: &Land, rng: &mut Rng) -> Canvas {
    let noise = Noise::new(rng);
    let sea = mix(land.water, [16, 40, 64], 0.7);
    let size = rng.range(7.0, 13.0);
    let gap = rng.range(0.08, 0.22);
    let open = rng.range(0.1, 0.4);
    Canvas::from_fn(|x, y| {
        let cell = noise.cell(x / size, y / size);
        if cell.second - cell.nearest < gap || cell.tone < open {
            sea
        } else {
            mix(
                [240, 246, 250],
                [190, 206, 220],
                noise.fractal(x / 4.0, y / 4.0, 2),
            )
        }
    })
}

pub(super) fn circular_farmland(land: &Land, rng: &mut Rng) -> Canvas {
    let ground = mix(land.soil, [200, 180, 140], 0.3);
    let mut canvas = cover(ground, mix(ground, land.grass, 0.3), 8.0, rng);
    let pitch = rng.range(17.0, 30.0);
    let shift = centre(pitch / 2.0, rng);
    for (i, j) in (-2..=2).flat_map(|i| (-2..=2).map(move |j| (i, j))) {
        let (x, y) = (shift.0 + pitch * i as f32, shift.1 + pitch * j as f32);
        let crop = match rng.below(4) {
            0 => mix(land.grass, [50, 110, 40], 0.6),
            1 => mix(land.grass, land.soil, 0.4),
            _ => mix(land.grass, [90, 150, 60], 0.4),
        };
        canvas.circle(x, y, 0.47 * pitch, crop);
        if rng.chance(0.4) {
            let a = rng.range(0.0, TAU);
            let at = |t: f32| (x + 0.47 * pitch * t.cos(), y + 0.47 * pitch * t.sin());
            canvas.polygon(
                &[(x, y), at(a), at(a + 0.5), at(a + 1.0)],
                mix(crop, land.soil, 0.5),
            );
        }
        canvas.ring(x, y, 0.3 * pitch, 0.4, mix(crop, [20, 40, 20], 0.3));
    }
    canvas
}

pub(super) fn terraces(land: &Land, rng: &mut Rng) -> Canvas {
    let noise = Noise::new(rng);
    let (light, dark) = (
        mix(land.grass, [150, 180, 90], 0.5),
        mix(land.grass, [30, 60, 30], 0.5),
    );
    let steps = rng.range(9.0, 16.0);
    let size = rng.range(22.0, 34.0);
    Canvas::from_fn(|x, y| {
        let height =
            steps * (noise.at(x / size, y / size) + 0.25 * noise.at(x / 12.0 + 5.0, y / 12.0));
        let edge = height.fract();
        let tone = noise.lattice(height.floor() as i32, 1);
        if edge < 0.2 {
            dark
        } else {
            mix(mix(light, land.soil, 0.5 * tone), dark, 0.25 * edge)
        }
    })
}

pub(super) fn desert(land: &Land, rng: &mut Rng) -> Canvas {
    let noise = Noise::new(rng);
    let sand = mix(land.soil, [226, 184, 116], 0.7);
    let angle = rng.range(0.0, PI);
    let wave = rng.range(5.0, 11.0);
    Canvas::from_fn(|x, y| {
        let bent = beside(angle, 0.0, x, y) + 12.0 * noise.fractal(x / 20.0, y / 20.0, 2);
        let slope = (bent / wave).fract().abs();
        let ripple = 0.12 * noise.at(x / 2.0, y / 2.0);
        mix(
            mix(sand, [250, 224, 170], 0.5),
            mix(sand, [110, 76, 44], 0.5),
            slope * slope + ripple,
        )
    })
}

/// Houses and gardens for roads to lead through.
pub(super) fn suburb(land: &Land, rng: &mut Rng) -> Canvas {
    let mut canvas = grassland(land, rng);
    let angle = rng.range(0.0, PI);
    for _ in 0..14 {
        let at = anywhere(rng);
        if rng.chance(0.5) {
            let colour = roof(rng);
            house(
                &mut canvas,
                at,
                (rng.range(5.0, 8.0), rng.range(4.0, 6.0)),
                angle,
                colour,
            );
        } else {
            tree(&mut canvas, at, rng.range(1.4, 2.6), rng);
        }
    }
    canvas
}

pub(super) fn tanks(land: &Land, rng: &mut Rng) -> Canvas {
    let ground = mix(land.soil, [170, 166, 156], 0.5);
    let mut canvas = cover(ground, mix(ground, land.grass, 0.4), 9.0, rng);
    let pitch = rng.range(12.0, 20.0);
    let at = frame(centre(5.0, rng), rng.range(0.0, PI), pitch);
    let radius = pitch * rng.range(0.32, 0.42);
    for (i, j) in (-2..=2).flat_map(|i| (-2..=2).map(move |j| (i, j))) {
        if rng.chance(0.15) {
            continue;
        }
        let (x, y) = at(i as f32, j as f32);
        let top = jitter([230, 230, 226], 14.0, rng);
        canvas.circle(
            x + 0.35 * radius,
            y + 0.35 * radius,
            radius,
            mix(ground, [0, 0, 0], 0.6),
        );
        canvas.circle(x, y, radius, mix(top, [90, 90, 96], 0.4));
        canvas.circle(x, y, 0.86 * radius, top);
        canvas.circle(x, y, 0.14 * radius, [150, 150, 150]);
    }
    canvas
}

pub(super) fn solar(land: &Land, rng: &mut Rng) -> Canvas {
    let mut canvas = cover(mix(land.grass, land.soil, 0.5), land.soil, 8.0, rng);
    let angle = rng.range(0.0, PI);
    let (pitch, thick) = (rng.range(5.5, 8.5), rng.range(0.5, 0.68));
    let cell = jitter([34, 46, 92], 12.0, rng);
    let gap = rng.range(14.0, 26.0);
    for row in -7..=7 {
        let o = pitch * row as f32;
        for block in -3..=3 {
            let at = along(angle, gap * block as f32, o);
            if is_outside(at, 0.6 * gap) {
                continue;
            }
            canvas.rotated_rect(at.0, at.1, gap - 2.0, pitch * thick, angle, cell);
            canvas.rotated_rect(at.0, at.1, gap - 2.0, 0.5, angle, [130, 146, 190]);
            for k in -2..=2 {
                let d = gap * block as f32 + k as f32 * (gap - 2.0) / 5.0 + 0.1 * gap;
                let half = 0.5 * pitch * thick;
                canvas.line(
                    along(angle, d, o - half),
                    along(angle, d, o + half),
                    0.4,
                    [110, 126, 170],
                );
            }
        }
    }
    canvas
}
