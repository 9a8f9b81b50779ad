//! `scenes`: indoor and outdoor places, in the manner of SUN397.

use paint_data::Rng;

use super::noise::Noise;
use super::pen::Point;
use super::{owned, two_of};
use crate::canvas::{Canvas, SIZE};
use crate::colour::{Colour, any, jitter, mix};
use crate::domain::{Domain, Drawing, Split};
use crate::sprites::sprite;

pub(super) struct Scenes;

struct Scene {
    name: &'static str,
    paint: fn(&Mood, &mut Rng) -> Canvas,
    looks: &'static [&'static str],
}

/// The light of the day and the colours of a room; held-out splits have moods of their own.
struct Mood {
    sky: (Colour, Colour),
    wall: Colour,
    floor: Colour,
}

const MOODS: [Mood; 8] = [
    Mood {
        sky: ([90, 150, 226], [200, 224, 240]),
        wall: [226, 216, 196],
        floor: [150, 110, 76],
    },
    Mood {
        sky: ([120, 170, 230], [220, 232, 240]),
        wall: [206, 214, 220],
        floor: [120, 120, 124],
    },
    Mood {
        sky: ([160, 176, 190], [214, 218, 222]),
        wall: [214, 196, 160],
        floor: [170, 140, 104],
    },
    Mood {
        sky: ([70, 110, 190], [246, 196, 150]),
        wall: [190, 206, 190],
        floor: [136, 100, 80],
    },
    Mood {
        sky: ([104, 160, 210], [190, 220, 226]),
        wall: [230, 226, 220],
        floor: [96, 80, 70],
    },
    Mood {
        sky: ([130, 110, 180], [250, 170, 130]),
        wall: [220, 190, 190],
        floor: [180, 170, 150],
    },
    Mood {
        sky: ([70, 130, 160], [176, 210, 200]),
        wall: [176, 190, 214],
        floor: [110, 96, 110],
    },
    Mood {
        sky: ([190, 190, 180], [230, 222, 200]),
        wall: [200, 200, 160],
        floor: [130, 130, 110],
    },
];
const N_SEEN_MOODS: usize = 5;

const SCENES: [Scene; 6] = [
    Scene {
        name: "beach",
        paint: beach,
        looks: &["sand, sea and sky in bands", "yellow sand below blue water"],
    },
    Scene {
        name: "mountain",
        paint: mountain,
        looks: &["gray peaks with snow", "pointed summits against the sky"],
    },
    Scene {
        name: "desert",
        paint: desert,
        looks: &["yellow dunes under the sky", "bare sand with a cactus"],
    },
    Scene {
        name: "night sky",
        paint: night_sky,
        looks: &["stars on dark blue", "a moon above a dark hill"],
    },
    Scene {
        name: "library",
        paint: library,
        looks: &["shelves full of books", "rows of coloured spines"],
    },
    Scene {
        name: "bedroom",
        paint: bedroom,
        looks: &["a bed with a pillow", "a blanket beside a lamp"],
    },
];

impl Domain for Scenes {
    fn name(&self) -> &'static str {
        "scenes"
    }

    fn class_names(&self) -> Vec<String> {
        SCENES.iter().map(|s| s.name.to_owned()).collect()
    }

    fn templates(&self) -> Vec<String> {
        owned(&[
            "a photo of a {}.",
            "a picture of the {}.",
            "the scene is a {}.",
        ])
    }

    fn vague(&self) -> &'static [&'static str] {
        &[
            "a view of some place",
            "a place i have been to",
            "a scene",
            "the surroundings",
            "a picture of my visit",
            "somewhere",
        ]
    }

    fn draw(&self, class_idx: usize, split: Split, rng: &mut Rng) -> Drawing {
        let scene = &SCENES[class_idx];
        let mood = rng.pick(split.pool(&MOODS, N_SEEN_MOODS));
        let mood = Mood {
            sky: (jitter(mood.sky.0, 22.0, rng), jitter(mood.sky.1, 18.0, rng)),
            wall: jitter(mood.wall, 22.0, rng),
            floor: jitter(mood.floor, 22.0, rng),
        };
        let mut canvas = (scene.paint)(&mood, rng);
        if rng.chance(0.5) {
            mirror(&mut canvas);
        }
        canvas.degrade(rng.range(0.1, 0.7), rng);
        Drawing {
            image: canvas.finish(),
            attributes: two_of(scene.looks, rng),
        }
    }
}

fn mirror(canvas: &mut Canvas) {
    let old = canvas.clone();
    canvas.map(|x, y, _| old.get((SIZE - x) as i32, y as i32));
}

/// One of `emoji`, standing with its feet at (x, y), `size` pixels tall.
fn prop(canvas: &mut Canvas, emoji: &[&str], (x, y): Point, size: f32, rng: &mut Rng) {
    if let Some(picture) = sprite(emoji[rng.below(emoji.len())]) {
        canvas.sprite(picture, x, y - size / 2.0, size, rng.range(-0.05, 0.05));
    }
}

/// The sky down to `horizon`, with clouds.
fn sky(mood: &Mood, horizon: f32, rng: &mut Rng) -> Canvas {
    let noise = Noise::new(rng);
    let cover = rng.range(0.4, 0.7);
    Canvas::from_fn(|x, y| {
        let clear = mix(mood.sky.0, mood.sky.1, (y / horizon).min(1.0));
        let cloud = (noise.fractal(x / 14.0, y / 7.0, 3) - cover).max(0.0);
        mix(clear, [248, 248, 250], (3.0 * cloud).min(1.0))
    })
}

/// Ground below `edge(x)`, between the colours `far` and `near`, with grain.
fn land(
    canvas: &mut Canvas,
    edge: impl Fn(f32) -> f32,
    (far, near): (Colour, Colour),
    rng: &mut Rng,
) {
    let noise = Noise::new(rng);
    canvas.map(|x, y, old| {
        let top = edge(x);
        if y < top {
            return old;
        }
        let grain = 0.35 * (noise.fractal(x / 4.0, y / 2.0, 2) - 0.5);
        mix(
            far,
            near,
            ((y - top) / (SIZE - top + 1.0) + grain).clamp(0.0, 1.0),
        )
    });
}

fn beach(mood: &Mood, rng: &mut Rng) -> Canvas {
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
        &["⛱️", "🌴", "🏖️", "🐚", "🏐"],
        (x, rng.range(38.0, 46.0)),
        rng.range(12.0, 22.0),
        rng,
    );
    canvas
}

fn mountain(mood: &Mood, rng: &mut Rng) -> Canvas {
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

fn desert(mood: &Mood, rng: &mut Rng) -> Canvas {
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

fn night_sky(_: &Mood, rng: &mut Rng) -> Canvas {
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

/// A room: the back wall, the floor, and sometimes a side wall; returns the floor's edge.
fn room(mood: &Mood, rng: &mut Rng) -> (Canvas, f32) {
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

fn library(mood: &Mood, rng: &mut Rng) -> Canvas {
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

fn bedroom(mood: &Mood, rng: &mut Rng) -> Canvas {
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
