//! Beaches, mountains, deserts and other places without people.

use paint_data::Rng;

use super::super::noise::Noise;
use super::super::pen::Point;
use super::{Mood, land, prop, sky};
use crate::canvas::{Canvas, SIZE};
use crate::colour::{jitter, mix};

pub(super) fn beach(mood: &Mood, rng: &mut Rng) -> Canvas {
    let horizon = rng.range(14.0, 22.0);
    let mut canvas = sky(mood, horizon, rng);
    let sea = jitter([40, 120, 170], 18.0, rng);
    land(
        &mut canvas,
        |_| horizon,
        (sea, mix(sea, [150, 220, 220], 0.6)),
        rng,
    );
    let (shore, slope) = (rng.range(27.0, 34.0), rng.range(-0.2, 0.2));
    let sand = jitter([232, 206, 150], 14.0, rng);
    let edge = |x: f32| shore + slope * (x - SIZE / 2.0) + (x * 0.4).sin();
    land(
        &mut canvas,
        |x| edge(x) - 1.4,
        ([246, 248, 248], [246, 248, 248]),
        rng,
    );
    land(
        &mut canvas,
        edge,
        (mix(sand, [150, 120, 80], 0.3), sand),
        rng,
    );
    let x = rng.range(5.0, 43.0);
    prop(
        &mut canvas,
        &["⛱", "🌴", "🏖", "🐚", "🏐"],
        (x, rng.range(38.0, 46.0)),
        rng.range(12.0, 22.0),
        rng,
    );
    canvas
}

pub(super) fn mountain(mood: &Mood, rng: &mut Rng) -> Canvas {
    let mut canvas = sky(mood, 34.0, rng);
    let rock = jitter([104, 106, 120], 18.0, rng);
    for layer in 0..3 {
        let base = 40.0 + 3.0 * layer as f32;
        for _ in 0..2 {
            let (x, top, half) = (
                rng.range(0.0, SIZE),
                rng.range(5.0, 18.0) + 6.0 * layer as f32,
                rng.range(14.0, 24.0),
            );
            let tone = mix(
                mix(mood.sky.1, rock, 0.45 + 0.25 * layer as f32),
                [40, 46, 60],
                0.12 * layer as f32,
            );
            canvas.polygon(&[(x - half, base), (x, top), (x + half, base)], tone);
            canvas.polygon(
                &[(x, top), (x + half, base), (x + 0.2 * half, base)],
                mix(tone, [0, 0, 0], 0.25),
            );
            let d = 0.28;
            let cap = [
                (x, top),
                (x - d * half, top + d * (base - top)),
                (x - 0.1 * half, top + 0.2 * (base - top)),
                (x + 0.08 * half, top + 0.34 * (base - top)),
                (x + d * half, top + d * (base - top)),
            ];
            canvas.polygon(&cap, [240, 244, 248]);
        }
    }
    let meadow = jitter([86, 120, 70], 16.0, rng);
    let level = rng.range(37.0, 42.0);
    land(
        &mut canvas,
        |x| level + 1.5 * (x * 0.2).sin(),
        (meadow, mix(meadow, [40, 60, 40], 0.5)),
        rng,
    );
    canvas
}

pub(super) fn desert(mood: &Mood, rng: &mut Rng) -> Canvas {
    let mut canvas = sky(mood, 24.0, rng);
    let sand = jitter([226, 178, 104], 16.0, rng);
    for layer in 0..4 {
        let (level, swing, phase) = (
            19.0 + 7.0 * layer as f32,
            rng.range(1.5, 4.5),
            rng.range(0.0, 6.0),
        );
        let tone = jitter(sand, 12.0, rng);
        let edge = |x: f32| level + swing * (x * 0.13 + phase).sin();
        land(
            &mut canvas,
            edge,
            (
                mix(tone, [255, 230, 170], 0.4),
                mix(tone, [140, 90, 50], 0.4),
            ),
            rng,
        );
    }
    if rng.chance(0.7) {
        let x = rng.range(6.0, 42.0);
        prop(
            &mut canvas,
            &["🌵", "🌵", "🐪", "🐫"],
            (x, rng.range(34.0, 44.0)),
            rng.range(10.0, 18.0),
            rng,
        );
    }
    canvas
}

pub(super) fn night_sky(_: &Mood, rng: &mut Rng) -> Canvas {
    let (top, low) = (
        jitter([8, 10, 30], 8.0, rng),
        jitter([30, 34, 76], 18.0, rng),
    );
    let noise = Noise::new(rng);
    let mut canvas = Canvas::from_fn(|x, y| {
        let milky = 0.4 * (noise.fractal((x + y) / 12.0, (x - y) / 5.0, 3) - 0.4).max(0.0);
        mix(mix(top, low, y / SIZE), [190, 180, 220], milky)
    });
    for _ in 0..30 + rng.below(60) {
        let (x, y) = (rng.range(0.0, SIZE), rng.range(0.0, SIZE));
        canvas.circle(x, y, rng.range(0.3, 0.9), [250, 248, 230]);
    }
    if rng.chance(0.6) {
        prop(
            &mut canvas,
            &["🌙", "🌕", "🌔", "🪐", "🌛"],
            (rng.range(8.0, 40.0), rng.range(14.0, 24.0)),
            rng.range(8.0, 14.0),
            rng,
        );
    }
    let (level, swing) = (rng.range(38.0, 50.0), rng.range(1.0, 4.0));
    land(
        &mut canvas,
        |x| level + swing * (x * 0.12).sin(),
        ([6, 8, 12], [4, 4, 6]),
        rng,
    );
    canvas
}

pub(super) fn snowfield(mood: &Mood, rng: &mut Rng) -> Canvas {
    let horizon = rng.range(16.0, 24.0);
    let pale = Mood {
        sky: (
            mix(mood.sky.0, [200, 210, 220], 0.6),
            mix(mood.sky.1, [236, 240, 244], 0.6),
        ),
        ..*mood
    };
    let mut canvas = sky(&pale, horizon, rng);
    let snow = jitter([234, 240, 248], 8.0, rng);
    for layer in 0..3 {
        let (level, phase) = (horizon + 7.0 * layer as f32, rng.range(0.0, 6.0));
        let edge = |x: f32| level + 2.0 * (x * 0.15 + phase).sin();
        land(
            &mut canvas,
            edge,
            (mix(snow, [150, 176, 210], 0.35), snow),
            rng,
        );
        for _ in 0..rng.below(4) {
            let x = rng.range(0.0, SIZE);
            fir(
                &mut canvas,
                (x, edge(x) + 1.0),
                rng.range(5.0, 9.0) + 3.0 * layer as f32,
                true,
                rng,
            );
        }
    }
    if rng.chance(0.4) {
        let x = rng.range(8.0, 40.0);
        prop(
            &mut canvas,
            &["⛄", "☃", "🐧", "🎿", "🛷"],
            (x, rng.range(40.0, 46.0)),
            rng.range(9.0, 16.0),
            rng,
        );
    }
    canvas
}

/// A conifer with its foot at (x, y).
fn fir(canvas: &mut Canvas, (x, y): Point, height: f32, snowy: bool, rng: &mut Rng) {
    let needle = jitter([36, 78, 54], 14.0, rng);
    for tier in 0..3 {
        let (top, half) = (
            y - height * (1.0 - 0.25 * tier as f32),
            height * (0.16 + 0.08 * tier as f32),
        );
        let low = top + 0.45 * height;
        canvas.polygon(&[(x - half, low), (x, top), (x + half, low)], needle);
        if snowy {
            canvas.polygon(
                &[
                    (x - 0.5 * half, top + 0.22 * height),
                    (x, top),
                    (x + 0.3 * half, top + 0.16 * height),
                ],
                [238, 244, 250],
            );
        }
    }
}

pub(super) fn forest_path(mood: &Mood, rng: &mut Rng) -> Canvas {
    let noise = Noise::new(rng);
    let leaf = jitter([52, 98, 44], 18.0, rng);
    let light = mix(leaf, mood.sky.1, 0.6);
    let vanishing = (SIZE / 2.0 + rng.range(-6.0, 6.0), rng.range(22.0, 27.0));
    let mut canvas = Canvas::from_fn(|x, y| {
        let glow = 1.0 - ((x - vanishing.0).hypot(y - vanishing.1) / 18.0).min(1.0);
        mix(
            mix(leaf, [20, 44, 24], noise.fractal(x / 5.0, y / 5.0, 3)),
            light,
            0.8 * glow,
        )
    });
    let floor = jitter([76, 92, 48], 14.0, rng);
    land(
        &mut canvas,
        |_| vanishing.1,
        (mix(floor, [20, 40, 20], 0.3), floor),
        rng,
    );
    let soil = jitter([150, 116, 80], 16.0, rng);
    let foot = SIZE / 2.0 + rng.range(-8.0, 8.0);
    let half = rng.range(8.0, 14.0);
    canvas.polygon(
        &[
            (foot - half, SIZE),
            (vanishing.0 - 0.8, vanishing.1),
            (vanishing.0 + 0.8, vanishing.1),
            (foot + half, SIZE),
        ],
        soil,
    );
    for i in 0..9 {
        let near = 0.15 + 0.1 * i as f32;
        let side = if i % 2 == 0 { -1.0 } else { 1.0 };
        let x = vanishing.0 + side * (4.0 + near * rng.range(16.0, 30.0));
        let y = vanishing.1 + near * 20.0;
        let bark = mix(jitter([92, 66, 46], 14.0, rng), light, 0.4 * (1.0 - near));
        canvas.line(
            (x, y),
            (x + rng.range(-2.0, 2.0), -2.0),
            1.2 + 5.0 * near,
            bark,
        );
    }
    canvas
}

pub(super) fn waterfall(mood: &Mood, rng: &mut Rng) -> Canvas {
    let mut canvas = sky(mood, 20.0, rng);
    let noise = Noise::new(rng);
    let rock = jitter([92, 88, 84], 16.0, rng);
    let (x0, half) = (SIZE / 2.0 + rng.range(-8.0, 8.0), rng.range(4.0, 9.0));
    let (top, pool) = (rng.range(4.0, 12.0), rng.range(34.0, 40.0));
    let moss = jitter([60, 100, 56], 14.0, rng);
    canvas.map(|x, y, old| {
        let crest = top + 5.0 * (noise.at(x / 7.0, 3.0) - 0.5) + 0.1 * (x - x0).abs();
        if y < crest {
            return old;
        }
        let stone = mix(rock, [36, 36, 40], noise.fractal(x / 4.0, y / 9.0, 3));
        mix(
            stone,
            moss,
            if y < crest + 3.0 {
                0.8
            } else {
                0.5 * noise.at(x / 5.0 + 40.0, y / 5.0)
            },
        )
    });
    let water = mix(mood.sky.0, [60, 130, 140], 0.6);
    land(
        &mut canvas,
        |_| pool,
        (mix(water, [220, 240, 240], 0.5), water),
        rng,
    );
    canvas.map(|x, y, old| {
        let wide = half * (1.0 + 0.3 * (y - top) / SIZE);
        if y < top + 1.0 || y > pool + 2.0 || (x - x0).abs() > wide {
            return old;
        }
        mix(
            [246, 250, 252],
            [150, 190, 210],
            1.3 * (noise.fractal(x / 1.3, y / 12.0, 2) - 0.25).max(0.0),
        )
    });
    for _ in 0..6 {
        canvas.circle(
            x0 + rng.range(-1.3, 1.3) * half,
            pool + rng.range(-1.0, 2.5),
            rng.range(1.0, 2.6),
            [236, 244, 246],
        );
    }
    canvas
}

pub(super) fn cave(mood: &Mood, rng: &mut Rng) -> Canvas {
    let noise = Noise::new(rng);
    let rock = jitter([74, 62, 56], 14.0, rng);
    let (mx, my) = (SIZE / 2.0 + rng.range(-9.0, 9.0), rng.range(24.0, 31.0));
    let (rx, ry) = (rng.range(7.0, 13.0), rng.range(8.0, 13.0));
    let outside = mix(mood.sky.1, [250, 246, 220], 0.4);
    let mut canvas = Canvas::from_fn(|x, y| {
        let d = ((x - mx) / rx).hypot((y - my) / ry) + 0.5 * (noise.at(x / 5.0, y / 5.0) - 0.5);
        let stone = mix(
            rock,
            [14, 12, 14],
            0.35 + 0.7 * noise.fractal(x / 5.0, y / 6.0, 3) - 0.3 / d.max(0.6),
        );
        if d < 1.0 {
            mix(outside, [120, 150, 110], ((y - my) / ry).max(0.0))
        } else {
            stone
        }
    });
    for i in 0..12 {
        let x = 4.0 * i as f32 + rng.range(0.0, 4.0);
        let (half, length) = (rng.range(1.2, 2.6), rng.range(4.0, 14.0));
        let tone = mix(rock, [200, 180, 160], rng.range(0.05, 0.35));
        canvas.polygon(&[(x - half, 0.0), (x, length), (x + half, 0.0)], tone);
        if rng.chance(0.5) {
            canvas.polygon(
                &[(x - half, SIZE), (x, SIZE - 0.6 * length), (x + half, SIZE)],
                mix(tone, rock, 0.4),
            );
        }
    }
    canvas
}

pub(super) fn coral_reef(_: &Mood, rng: &mut Rng) -> Canvas {
    let noise = Noise::new(rng);
    let water = jitter([30, 120, 180], 22.0, rng);
    let mut canvas = Canvas::from_fn(|x, y| {
        let ray = 0.35 * (noise.at((x + 0.4 * y) / 4.0, 1.0) * (1.0 - y / SIZE));
        mix(
            mix(
                mix(water, [150, 220, 236], 0.4),
                mix(water, [6, 30, 70], 0.6),
                y / SIZE,
            ),
            [220, 246, 250],
            ray,
        )
    });
    let bed = rng.range(36.0, 42.0);
    let sand = jitter([190, 186, 150], 14.0, rng);
    land(
        &mut canvas,
        |x| bed + 2.0 * (x * 0.2).sin(),
        (mix(sand, water, 0.4), sand),
        rng,
    );
    for _ in 0..5 + rng.below(5) {
        let (x, y) = (rng.range(0.0, SIZE), bed + rng.range(0.0, 6.0));
        let colour = jitter(
            *rng.pick(&[
                [236, 110, 90],
                [230, 90, 150],
                [240, 170, 70],
                [150, 90, 180],
                [240, 220, 120],
            ]),
            20.0,
            rng,
        );
        for branch in 0..4 {
            let lean = 2.6 * (branch as f32 - 1.5) + rng.range(-1.0, 1.0);
            canvas.polyline(
                &[
                    (x, y),
                    (x + 0.4 * lean, y - 4.0),
                    (x + lean, y - rng.range(6.0, 11.0)),
                ],
                1.6,
                colour,
            );
        }
    }
    for _ in 0..1 + rng.below(3) {
        let at = (rng.range(6.0, 42.0), rng.range(12.0, 30.0));
        prop(
            &mut canvas,
            &["🐠", "🐟", "🐡", "🐠", "🐙"],
            at,
            rng.range(6.0, 13.0),
            rng,
        );
    }
    canvas
}
