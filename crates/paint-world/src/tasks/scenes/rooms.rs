//! Indoor places.

use paint_data::Rng;

use super::super::pen::Point;
use super::{Mood, land, prop};
use crate::canvas::{Canvas, SIZE};
use crate::colour::{any, jitter, mix};

/// A room: the back wall, the floor, and sometimes a side wall; returns the floor's edge.
pub(super) fn room(mood: &Mood, rng: &mut Rng) -> (Canvas, f32) {
    let edge = rng.range(28.0, 34.0);
    let mut canvas = Canvas::filled(mood.wall);
    let shade = rng.range(-0.3, 0.3);
    canvas.map(|x, _, c| mix(c, [0, 0, 0], (0.12 + shade * (x / SIZE - 0.5)).max(0.0)));
    land(
        &mut canvas,
        |_| edge,
        (mix(mood.floor, [0, 0, 0], 0.2), mood.floor),
        rng,
    );
    canvas.rect(
        0.0,
        edge - 1.0,
        SIZE,
        1.2,
        mix(mood.wall, [255, 255, 255], 0.5),
    );
    (canvas, edge)
}

fn window(canvas: &mut Canvas, (x, y): Point, width: f32, height: f32, mood: &Mood) {
    canvas.rect(x - 1.0, y - 1.0, width + 2.0, height + 2.0, [240, 238, 230]);
    canvas.rect(x, y, width, height, mood.sky.0);
    canvas.rect(x, y + 0.6 * height, width, 0.4 * height, mood.sky.1);
    canvas.rect(x + width / 2.0 - 0.5, y, 1.0, height, [240, 238, 230]);
}

pub(super) fn library(mood: &Mood, rng: &mut Rng) -> Canvas {
    let (mut canvas, edge) = room(mood, rng);
    let wood = jitter([110, 74, 46], 16.0, rng);
    let shelf = rng.range(7.0, 10.0);
    let bottom = edge + rng.range(0.0, 8.0);
    canvas.rect(0.0, 0.0, SIZE, bottom, mix(wood, [0, 0, 0], 0.45));
    let mut y = bottom;
    while y > 0.0 {
        let mut x = rng.range(-2.0, 1.0);
        while x < SIZE {
            let (width, height) = (rng.range(1.2, 3.0), shelf * rng.range(0.6, 0.85));
            if rng.chance(0.92) {
                let spine = mix(any(rng), [110, 70, 50], 0.3);
                canvas.rect(x, y - height, width - 0.3, height, spine);
            }
            x += width;
        }
        canvas.rect(0.0, y, SIZE, 1.2, wood);
        y -= shelf;
    }
    for upright in 0..4 {
        canvas.rect(
            -3.0 + 16.0 * upright as f32 + rng.range(0.0, 2.0),
            0.0,
            1.4,
            bottom,
            wood,
        );
    }
    if rng.chance(0.5) {
        canvas.rect(
            rng.range(2.0, 20.0),
            40.0,
            24.0,
            3.0,
            mix(wood, [220, 180, 130], 0.4),
        );
    }
    canvas
}

pub(super) fn bedroom(mood: &Mood, rng: &mut Rng) -> Canvas {
    let (mut canvas, edge) = room(mood, rng);
    if rng.chance(0.6) {
        window(
            &mut canvas,
            (rng.range(4.0, 12.0), rng.range(3.0, 8.0)),
            12.0,
            12.0,
            mood,
        );
    }
    let (x, width) = (rng.range(8.0, 16.0), rng.range(24.0, 32.0));
    let wood = jitter([120, 80, 50], 18.0, rng);
    let cover = any(rng);
    canvas.rect(x, edge - 11.0, width, 12.0, wood);
    canvas.polygon(
        &[
            (x + 1.0, edge - 3.0),
            (x + width - 1.0, edge - 3.0),
            (x + width + 3.0, 46.0),
            (x - 3.0, 46.0),
        ],
        mix(cover, [0, 0, 0], 0.15),
    );
    canvas.polygon(
        &[
            (x + 1.0, edge - 3.0),
            (x + width - 1.0, edge - 3.0),
            (x + width + 2.0, 42.0),
            (x - 2.0, 42.0),
        ],
        cover,
    );
    for side in [0.27, 0.73] {
        canvas.ellipse(
            x + side * width,
            edge - 3.5,
            0.19 * width,
            2.8,
            0.0,
            [244, 242, 236],
        );
    }
    if rng.chance(0.7) {
        let lamp = (x - 5.0, edge - 6.0);
        canvas.rect(
            lamp.0 - 3.0,
            edge - 3.0,
            6.0,
            9.0,
            mix(wood, [0, 0, 0], 0.2),
        );
        canvas.polygon(
            &[
                (lamp.0 - 3.0, lamp.1),
                (lamp.0 - 1.6, lamp.1 - 5.0),
                (lamp.0 + 1.6, lamp.1 - 5.0),
                (lamp.0 + 3.0, lamp.1),
            ],
            [250, 226, 150],
        );
        canvas.rect(lamp.0 - 0.5, lamp.1, 1.0, 3.0, [90, 80, 70]);
    }
    canvas
}

pub(super) fn kitchen(mood: &Mood, rng: &mut Rng) -> Canvas {
    let (mut canvas, edge) = room(mood, rng);
    let doors = jitter(
        *rng.pick(&[
            [236, 234, 226],
            [170, 120, 76],
            [90, 130, 140],
            [200, 90, 80],
            [120, 150, 110],
        ]),
        14.0,
        rng,
    );
    let line = mix(doors, [0, 0, 0], 0.35);
    let (counter, bottom) = (edge - rng.range(4.0, 7.0), edge + 8.0);
    let cupboards = rng.range(9.0, 13.0);
    for i in 0..5 {
        let x = 10.0 * i as f32 - rng.range(0.0, 1.0);
        if i != 2 {
            canvas.rect(x, 0.0, 9.4, cupboards, doors);
            canvas.rect(x + 7.4, cupboards - 4.0, 0.8, 2.5, line);
        }
        canvas.rect(x, counter, 9.4, bottom - counter, doors);
        canvas.rect(x + 3.0, counter + 3.0, 3.5, 0.8, line);
    }
    canvas.rect(
        0.0,
        counter - 1.5,
        SIZE,
        2.0,
        mix(mood.floor, [240, 230, 220], 0.4),
    );
    // The stove stands under its hood.
    canvas.polygon(
        &[(19.0, 8.0), (22.0, 2.0), (27.0, 2.0), (30.0, 8.0)],
        [170, 174, 180],
    );
    canvas.rect(
        19.0,
        counter - 0.5,
        11.0,
        bottom - counter + 0.5,
        [206, 208, 212],
    );
    canvas.rect(20.5, counter + 5.0, 8.0, 5.5, [40, 40, 46]);
    for knob in 0..4 {
        canvas.circle(21.0 + 2.4 * knob as f32, counter + 2.4, 0.7, [50, 50, 54]);
    }
    let pot = any(rng);
    canvas.rect(21.5, counter - 5.5, 6.0, 4.2, pot);
    canvas.rect(20.3, counter - 4.5, 8.4, 0.9, mix(pot, [0, 0, 0], 0.4));
    let food = (*rng.pick(&[6.0, 38.0, 42.0]), counter - 1.0);
    prop(
        &mut canvas,
        &["🍎", "🍞", "🫖", "🥕", "🍌", "🧀"],
        food,
        rng.range(6.0, 9.0),
        rng,
    );
    canvas
}

pub(super) fn bathroom(mood: &Mood, rng: &mut Rng) -> Canvas {
    let edge = rng.range(32.0, 37.0);
    let pitch = rng.range(3.5, 6.0);
    let tile = mix(
        mood.wall,
        *rng.pick(&[
            [150, 200, 220],
            [240, 244, 244],
            [160, 210, 190],
            [226, 190, 190],
        ]),
        0.7,
    );
    let joint = mix(tile, [255, 255, 255], 0.6);
    let mut canvas = Canvas::from_fn(|x, y| {
        if (x / pitch).fract() < 0.16 || (y / pitch).fract() < 0.16 {
            joint
        } else {
            tile
        }
    });
    land(
        &mut canvas,
        |_| edge,
        (mix(mood.floor, tile, 0.5), mix(mood.floor, tile, 0.3)),
        rng,
    );
    let (x, white) = (rng.range(1.0, 5.0), jitter([246, 246, 244], 6.0, rng));
    canvas.rect(x, edge - 6.0, 24.0, 9.0, white);
    canvas.ellipse(x + 12.0, edge + 3.0, 12.0, 4.0, 0.0, white);
    canvas.ellipse(
        x + 12.0,
        edge - 6.0,
        12.5,
        2.0,
        0.0,
        mix(white, [90, 110, 120], 0.3),
    );
    canvas.ellipse(x + 12.0, edge - 6.0, 11.0, 1.2, 0.0, [150, 210, 230]);
    canvas.polyline(
        &[
            (x + 2.5, edge - 7.0),
            (x + 2.5, edge - 21.0),
            (x + 7.0, edge - 22.0),
        ],
        1.0,
        [150, 154, 160],
    );
    canvas.circle(x + 7.5, edge - 21.0, 1.8, [150, 154, 160]);
    let basin = rng.range(37.0, 40.0);
    canvas.rect(
        basin - 1.5,
        edge - 8.0,
        3.0,
        10.0,
        mix(white, [90, 110, 120], 0.15),
    );
    canvas.ellipse(basin, edge - 9.0, 7.0, 3.0, 0.0, white);
    canvas.rect(basin - 0.6, edge - 14.0, 1.2, 4.0, [150, 154, 160]);
    canvas.ellipse(basin, edge - 22.0, 6.2, 7.2, 0.0, [150, 130, 100]);
    canvas.ellipse(basin, edge - 22.0, 5.2, 6.2, 0.0, [206, 224, 234]);
    if rng.chance(0.5) {
        prop(
            &mut canvas,
            &["🦆", "🧼", "🪥", "🧴"],
            (x + rng.range(8.0, 20.0), edge - 5.5),
            rng.range(5.0, 7.0),
            rng,
        );
    }
    canvas
}

pub(super) fn classroom(mood: &Mood, rng: &mut Rng) -> Canvas {
    let (mut canvas, edge) = room(mood, rng);
    let (x, width) = (rng.range(5.0, 11.0), rng.range(27.0, 33.0));
    let (top, height) = (rng.range(4.0, 7.0), rng.range(13.0, 17.0));
    canvas.rect(
        x - 1.2,
        top - 1.2,
        width + 2.4,
        height + 2.4,
        jitter([150, 106, 66], 14.0, rng),
    );
    let board = jitter(
        *rng.pick(&[[40, 80, 62], [44, 48, 52], [36, 70, 66]]),
        10.0,
        rng,
    );
    canvas.rect(x, top, width, height, board);
    for row in 0..3 {
        let mut at = x + 2.0;
        while at < x + width - 5.0 && rng.chance(0.85) {
            let length = rng.range(1.5, 5.0);
            let y = top + 3.0 + 4.0 * row as f32 + rng.range(-0.5, 0.5);
            canvas.polyline(
                &[
                    (at, y),
                    (at + 0.5 * length, y - rng.range(0.0, 1.6)),
                    (at + length, y),
                ],
                0.8,
                [222, 228, 222],
            );
            at += length + 1.5;
        }
    }
    let wood = jitter([190, 140, 90], 16.0, rng);
    for row in 0..2 {
        let y = edge + 3.0 + 7.0 * row as f32;
        for i in 0..3 {
            let at = 4.0 + 15.0 * i as f32 + 2.0 * row as f32;
            canvas.rect(at, y, 11.0, 2.2, wood);
            canvas.line((at + 1.0, y + 2.0), (at + 1.0, y + 7.0), 0.9, [90, 90, 96]);
            canvas.line(
                (at + 10.0, y + 2.0),
                (at + 10.0, y + 7.0),
                0.9,
                [90, 90, 96],
            );
            if rng.chance(0.5) {
                canvas.rect(at + 3.5, y + 3.5, 4.0, 3.5, mix(any(rng), wood, 0.4));
            }
        }
    }
    if rng.chance(0.5) {
        let side = *rng.pick(&[3.0, 44.0]);
        prop(
            &mut canvas,
            &["👩‍🏫", "👨‍🏫", "🌍", "🎒", "📐"],
            (side, edge + 6.0),
            rng.range(9.0, 15.0),
            rng,
        );
    }
    canvas
}

pub(super) fn office(mood: &Mood, rng: &mut Rng) -> Canvas {
    let (mut canvas, edge) = room(mood, rng);
    if rng.chance(0.6) {
        for i in 0..8 {
            canvas.rect(
                2.0,
                2.0 + 1.9 * i as f32,
                44.0,
                1.1,
                mix(mood.sky.1, [250, 250, 250], 0.4),
            );
        }
    }
    let wood = jitter(
        *rng.pick(&[[190, 160, 120], [210, 210, 206], [120, 90, 70]]),
        14.0,
        rng,
    );
    let y = edge + rng.range(0.0, 4.0);
    canvas.rect(0.0, y, SIZE, 2.6, wood);
    canvas.rect(0.0, y + 2.6, SIZE, 12.0, mix(wood, [0, 0, 0], 0.35));
    for i in 0..2 {
        let x = 4.0 + 23.0 * i as f32 + rng.range(-1.0, 2.0);
        let glow = *rng.pick(&[
            [90, 150, 220],
            [230, 236, 240],
            [60, 70, 90],
            [120, 190, 170],
        ]);
        canvas.rect(x - 1.0, y - 14.0, 17.0, 11.0, [34, 36, 40]);
        canvas.rect(x, y - 13.0, 15.0, 9.0, glow);
        for row in 0..3 {
            let width = rng.range(4.0, 12.0);
            canvas.rect(
                x + 1.2,
                y - 11.5 + 2.4 * row as f32,
                width,
                1.0,
                mix(glow, [30, 40, 60], 0.4),
            );
        }
        canvas.rect(x + 6.0, y - 3.2, 3.0, 3.0, [44, 46, 50]);
        canvas.rect(x + 1.0, y - 0.6, 12.0, 1.4, [70, 72, 78]);
        let cloth = mix(any(rng), [40, 44, 60], 0.5);
        canvas.rect(x + 3.0, y + 3.0, 9.0, 7.5, cloth);
        canvas.rect(x + 7.0, y + 10.0, 1.2, 5.0, [50, 52, 56]);
    }
    if rng.chance(0.5) {
        prop(
            &mut canvas,
            &["☕", "📁", "🪴", "📞", "🗂"],
            (rng.range(20.0, 28.0), y),
            rng.range(6.0, 8.0),
            rng,
        );
    }
    canvas
}

pub(super) fn restaurant(mood: &Mood, rng: &mut Rng) -> Canvas {
    let (mut canvas, edge) = room(mood, rng);
    for i in 0..3 {
        let x = 8.0 + 16.0 * i as f32 + rng.range(-2.0, 2.0);
        let length = rng.range(4.0, 9.0);
        canvas.line((x, 0.0), (x, length), 0.6, [60, 56, 54]);
        canvas.polygon(
            &[
                (x - 3.0, length + 2.5),
                (x - 1.2, length),
                (x + 1.2, length),
                (x + 3.0, length + 2.5),
            ],
            jitter([236, 180, 80], 18.0, rng),
        );
    }
    let cloth = jitter(
        *rng.pick(&[
            [240, 238, 232],
            [190, 50, 50],
            [60, 90, 140],
            [230, 210, 160],
        ]),
        14.0,
        rng,
    );
    let seat = jitter([120, 80, 54], 18.0, rng);
    for (i, (x, y)) in [(10.0, edge + 1.0), (37.0, edge + 2.0), (23.0, edge + 9.0)]
        .into_iter()
        .enumerate()
    {
        let (x, wide) = (x + rng.range(-2.0, 2.0), 8.0 + 1.5 * i as f32);
        for side in [-1.0, 1.0] {
            canvas.rect(x + side * (wide + 1.0) - 1.2, y - 6.0, 2.4, 10.0, seat);
        }
        canvas.polygon(
            &[
                (x - wide, y),
                (x + wide, y),
                (x + 0.8 * wide, y + 6.0),
                (x - 0.8 * wide, y + 6.0),
            ],
            mix(cloth, [0, 0, 0], 0.2),
        );
        canvas.ellipse(x, y, wide, 2.6, 0.0, cloth);
        prop(
            &mut canvas,
            &["🍕", "🍝", "🍷", "🍽", "🥗", "🍔"],
            (x, y + 1.5),
            rng.range(5.5, 8.0),
            rng,
        );
    }
    if rng.chance(0.3) {
        prop(
            &mut canvas,
            &["👨‍🍳", "🧑‍🍳"],
            (rng.range(18.0, 30.0), edge + 1.0),
            13.0,
            rng,
        );
    }
    canvas
}

pub(super) fn supermarket(mood: &Mood, rng: &mut Rng) -> Canvas {
    let vanishing = (SIZE / 2.0 + rng.range(-4.0, 4.0), rng.range(18.0, 23.0));
    let mut canvas = Canvas::filled(mix(mood.wall, [245, 246, 246], 0.6));
    land(
        &mut canvas,
        |_| vanishing.1,
        (
            mix(mood.floor, [210, 210, 206], 0.7),
            mix(mood.floor, [230, 230, 226], 0.7),
        ),
        rng,
    );
    for i in 0..3 {
        let y = 2.0 + 5.0 * i as f32;
        let half = 10.0 - 2.8 * i as f32;
        canvas.rect(vanishing.0 - half, y, 2.0 * half, 1.4, [255, 255, 250]);
    }
    for side in [-1.0, 1.0] {
        for slice in 0..10 {
            let (far, near) = (3.0 + 2.6 * slice as f32, 5.6 + 2.6 * slice as f32);
            let at = |d: f32, level: f32| {
                (
                    vanishing.0 + side * (d + 1.0),
                    vanishing.1 + (0.95 - 0.48 * level) * d,
                )
            };
            for shelf in 0..4 {
                let (low, high) = (shelf as f32, shelf as f32 + 0.78);
                let goods = mix(
                    any(rng),
                    *rng.pick(&[[240, 60, 50], [250, 200, 50], [60, 140, 220], [80, 180, 90]]),
                    0.5,
                );
                canvas.polygon(
                    &[at(far, low), at(far, high), at(near, high), at(near, low)],
                    goods,
                );
                canvas.polygon(
                    &[
                        at(far, high),
                        at(far, low + 1.0),
                        at(near, low + 1.0),
                        at(near, high),
                    ],
                    [226, 226, 222],
                );
            }
        }
    }
    if rng.chance(0.5) {
        prop(
            &mut canvas,
            &["🛒", "🛒", "🧺", "🛍"],
            (rng.range(18.0, 30.0), rng.range(40.0, 46.0)),
            rng.range(9.0, 14.0),
            rng,
        );
    }
    canvas
}
