//! `scenes`: indoor and outdoor places, in the manner of SUN397.

use paint_data::Rng;
use tiny_skia::Transform;

use super::noise::Noise;
use super::pen::Point;
use super::{owned, two_of};
use crate::canvas::{Canvas, SIZE, placed};
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

const SCENES: [Scene; 24] = [
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
        looks: &["yellow dunes under the sky", "waves of bare sand"],
    },
    Scene {
        name: "night sky",
        paint: night_sky,
        looks: &["stars on dark blue", "tiny bright dots above a dark hill"],
    },
    Scene {
        name: "snowfield",
        paint: snowfield,
        looks: &["bright ground under a pale sky", "gentle white slopes"],
    },
    Scene {
        name: "forest path",
        paint: forest_path,
        looks: &["tall trunks left and right", "a brown trail between trees"],
    },
    Scene {
        name: "waterfall",
        paint: waterfall,
        looks: &[
            "white water falling between rocks",
            "a white band over a dark cliff",
        ],
    },
    Scene {
        name: "cave",
        paint: cave,
        looks: &[
            "a bright opening in dark rock",
            "pointed stones hanging in the dark",
        ],
    },
    Scene {
        name: "coral reef",
        paint: coral_reef,
        looks: &["fish in blue water", "coloured branches under water"],
    },
    Scene {
        name: "garden",
        paint: garden,
        looks: &["flowers before a hedge", "rows of blossoms on green"],
    },
    Scene {
        name: "farm",
        paint: farm,
        looks: &["a red barn on a green field", "furrows beside a barn"],
    },
    Scene {
        name: "harbor",
        paint: harbor,
        looks: &["boats at a quay", "masts and a crane above water"],
    },
    Scene {
        name: "city street",
        paint: city_street,
        looks: &[
            "tall buildings left and right",
            "a road between rows of windows",
        ],
    },
    Scene {
        name: "playground",
        paint: playground,
        looks: &["a slide and a swing", "coloured bars on a lawn"],
    },
    Scene {
        name: "stadium",
        paint: stadium,
        looks: &[
            "a crowd above a green pitch",
            "white lines on grass below rows of people",
        ],
    },
    Scene {
        name: "airport",
        paint: airport,
        looks: &["a plane on wide concrete", "a control tower behind a plane"],
    },
    Scene {
        name: "library",
        paint: library,
        looks: &["shelves full of books", "rows of coloured spines"],
    },
    Scene {
        name: "bedroom",
        paint: bedroom,
        looks: &["a bed with a pillow", "a coloured blanket over a low bed"],
    },
    Scene {
        name: "kitchen",
        paint: kitchen,
        looks: &["cupboards above a stove", "an oven between cupboards"],
    },
    Scene {
        name: "bathroom",
        paint: bathroom,
        looks: &["tiles and a white tub", "a mirror above a wash basin"],
    },
    Scene {
        name: "classroom",
        paint: classroom,
        looks: &["a dark board on the wall", "desks before a board"],
    },
    Scene {
        name: "office",
        paint: office,
        looks: &["a screen on a desk", "desks with keyboards and chairs"],
    },
    Scene {
        name: "restaurant",
        paint: restaurant,
        looks: &["round tables with meals", "plates on a tablecloth"],
    },
    Scene {
        name: "supermarket",
        paint: supermarket,
        looks: &[
            "an aisle between shelves of goods",
            "bright packages left and right",
        ],
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
        canvas.warp(closer(rng));
        if rng.chance(0.3) {
            passer_by(&mut canvas, split, rng);
        }
        let warmth = rng.range(-0.14, 0.14);
        canvas.tint([1.0 + warmth, 1.0, 1.0 - warmth]);
        canvas.degrade(rng.range(0.1, 0.7), rng);
        Drawing {
            image: canvas.finish(),
            attributes: two_of(scene.looks, rng),
        }
    }
}

/// Somebody or something that may be anywhere, close to the camera.
fn passer_by(canvas: &mut Canvas, split: Split, rng: &mut Rng) {
    const ANYBODY: [&str; 9] = ["🧍", "🚶", "🐕", "👫", "🎒", "🐈", "🧑", "☂", "🧳"];
    let anybody = split.pool(&ANYBODY, 6);
    let at = (rng.range(2.0, SIZE - 2.0), rng.range(40.0, 56.0));
    prop(canvas, anybody, at, rng.range(14.0, 30.0), rng);
}

/// Where the photographer stands: a step nearer, a little to one side, not quite level.
fn closer(rng: &mut Rng) -> Transform {
    let zoom = rng.range(1.02, 1.6);
    let slack = 0.5 * (zoom - 1.0) * SIZE;
    let shift = |rng: &mut Rng| SIZE / 2.0 + rng.range(-slack, slack);
    let (x, y) = (shift(rng), shift(rng));
    placed(x, y, rng.range(-0.05, 0.05))
        .pre_scale(zoom, zoom)
        .pre_translate(-SIZE / 2.0, -SIZE / 2.0)
}

fn mirror(canvas: &mut Canvas) {
    let old = canvas.clone();
    canvas.map(|x, y, _| old.get((SIZE - x) as i32, y as i32));
}

/// One of `emoji`, standing with its feet at (x, y), `size` pixels tall.
fn prop(canvas: &mut Canvas, emoji: &[&str], (x, y): Point, size: f32, rng: &mut Rng) {
    let picture = sprite(emoji[rng.below(emoji.len())]).expect("Twemoji has every prop");
    canvas.sprite(picture, x, y - size / 2.0, size, rng.range(-0.05, 0.05));
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
        &["⛱", "🌴", "🏖", "🐚", "🏐"],
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

fn snowfield(mood: &Mood, rng: &mut Rng) -> Canvas {
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

fn forest_path(mood: &Mood, rng: &mut Rng) -> Canvas {
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

fn waterfall(mood: &Mood, rng: &mut Rng) -> Canvas {
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

fn cave(mood: &Mood, rng: &mut Rng) -> Canvas {
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

fn coral_reef(_: &Mood, rng: &mut Rng) -> Canvas {
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

fn garden(mood: &Mood, rng: &mut Rng) -> Canvas {
    let horizon = rng.range(12.0, 18.0);
    let mut canvas = sky(mood, horizon, rng);
    let grass = jitter([96, 150, 70], 16.0, rng);
    land(
        &mut canvas,
        |_| horizon,
        (mix(grass, [50, 90, 40], 0.4), grass),
        rng,
    );
    let hedge = jitter([48, 96, 48], 12.0, rng);
    for i in 0..9 {
        canvas.circle(
            6.0 * i as f32,
            horizon + rng.range(-2.0, 1.0),
            rng.range(3.0, 5.0),
            jitter(hedge, 8.0, rng),
        );
    }
    if rng.chance(0.7) {
        let top = horizon + rng.range(0.0, 3.0);
        let paint = *rng.pick(&[[244, 244, 240], [160, 116, 76], [210, 200, 180]]);
        for i in 0..12 {
            let x = 4.2 * i as f32;
            canvas.polygon(
                &[
                    (x, top + 9.0),
                    (x, top + 1.5),
                    (x + 1.2, top),
                    (x + 2.4, top + 1.5),
                    (x + 2.4, top + 9.0),
                ],
                paint,
            );
        }
        canvas.rect(0.0, top + 3.0, SIZE, 1.2, mix(paint, [0, 0, 0], 0.15));
    }
    for row in 0..3 {
        let y = horizon + 15.0 + 7.5 * row as f32;
        let bloom = jitter(
            *rng.pick(&[
                [226, 60, 80],
                [250, 200, 60],
                [236, 120, 190],
                [150, 90, 200],
                [250, 250, 246],
            ]),
            20.0,
            rng,
        );
        for i in 0..8 {
            let (x, y) = (
                6.4 * i as f32 + rng.range(-1.0, 2.5),
                y + rng.range(-1.0, 1.0),
            );
            canvas.line((x, y), (x, y + 4.0), 0.9, mix(grass, [20, 60, 20], 0.6));
            let size = 1.2 + 0.4 * row as f32;
            canvas.circle(x, y, size, bloom);
            canvas.circle(x, y, 0.4 * size, [250, 230, 120]);
        }
    }
    if rng.chance(0.5) {
        let x = rng.range(8.0, 40.0);
        prop(
            &mut canvas,
            &["🌻", "🌷", "🌹", "🦋", "🌳"],
            (x, rng.range(36.0, 46.0)),
            rng.range(10.0, 18.0),
            rng,
        );
    }
    canvas
}

fn farm(mood: &Mood, rng: &mut Rng) -> Canvas {
    let horizon = rng.range(18.0, 24.0);
    let mut canvas = sky(mood, horizon, rng);
    let grass = jitter([130, 160, 80], 18.0, rng);
    land(
        &mut canvas,
        |_| horizon,
        (mix(grass, [90, 110, 60], 0.4), grass),
        rng,
    );
    let soil = jitter([140, 102, 66], 14.0, rng);
    let vanishing = rng.range(10.0, 38.0);
    for i in -7..=7 {
        let x = vanishing + 9.0 * i as f32;
        canvas.polygon(
            &[
                (vanishing + 0.9 * i as f32, horizon + 2.0),
                (x, SIZE),
                (x + 3.6, SIZE),
            ],
            soil,
        );
    }
    let (x, width, height) = (
        rng.range(4.0, 24.0),
        rng.range(15.0, 21.0),
        rng.range(9.0, 12.0),
    );
    let base = horizon + rng.range(3.0, 6.0);
    let wall = jitter([168, 44, 38], 16.0, rng);
    canvas.rect(x, base - height, width, height, wall);
    let roof = [
        (x - 1.5, base - height),
        (x + 0.2 * width, base - 1.6 * height),
        (x + 0.8 * width, base - 1.6 * height),
        (x + width + 1.5, base - height),
    ];
    canvas.polygon(&roof, jitter([96, 92, 94], 12.0, rng));
    let door = (x + 0.32 * width, base - 0.65 * height);
    canvas.rect(door.0, door.1, 0.36 * width, 0.65 * height, [240, 236, 226]);
    canvas.line(door, (door.0 + 0.36 * width, base), 0.9, wall);
    canvas.line((door.0 + 0.36 * width, door.1), (door.0, base), 0.9, wall);
    for _ in 0..1 + rng.below(2) {
        let at = (rng.range(8.0, 42.0), rng.range(38.0, 46.0));
        prop(
            &mut canvas,
            &["🐄", "🐖", "🐑", "🐓", "🚜", "🐎"],
            at,
            rng.range(9.0, 14.0),
            rng,
        );
    }
    canvas
}

fn harbor(mood: &Mood, rng: &mut Rng) -> Canvas {
    let horizon = rng.range(18.0, 24.0);
    let mut canvas = sky(mood, horizon, rng);
    let sea = mix(jitter([44, 96, 130], 16.0, rng), mood.sky.0, 0.3);
    let steel = jitter([120, 126, 140], 16.0, rng);
    for i in 0..6 {
        let (x, height) = (8.5 * i as f32 + rng.range(-2.0, 2.0), rng.range(3.0, 9.0));
        canvas.rect(
            x,
            horizon - height,
            rng.range(4.0, 8.0),
            height,
            mix(steel, mood.sky.1, 0.4),
        );
    }
    for _ in 0..1 + rng.below(2) {
        let (x, top) = (rng.range(4.0, 40.0), rng.range(3.0, 8.0));
        let paint = *rng.pick(&[[200, 80, 50], [230, 170, 60], [70, 90, 150]]);
        canvas.line((x, horizon), (x, top), 1.2, paint);
        canvas.line((x - 4.0, top + 1.0), (x + 11.0, top + 1.0), 1.1, paint);
        canvas.line(
            (x + 9.0, top + 1.0),
            (x + 9.0, top + 6.0),
            0.5,
            [60, 60, 64],
        );
    }
    land(
        &mut canvas,
        |_| horizon,
        (mix(sea, [180, 200, 210], 0.4), sea),
        rng,
    );
    for i in 0..3 + rng.below(3) {
        let (x, y) = (rng.range(4.0, 44.0), horizon + 3.0 + 3.2 * i as f32);
        let half = rng.range(4.0, 7.0);
        let hull = jitter(
            *rng.pick(&[[236, 236, 232], [170, 50, 44], [50, 70, 120], [70, 110, 90]]),
            12.0,
            rng,
        );
        canvas.line((x, y), (x, y - 11.0), 0.7, [110, 90, 70]);
        if rng.chance(0.5) {
            canvas.polygon(
                &[(x + 0.6, y - 10.5), (x + 0.6, y - 1.5), (x + 5.0, y - 1.5)],
                [244, 242, 234],
            );
        }
        canvas.polygon(
            &[
                (x - half, y - 1.0),
                (x + half, y - 1.0),
                (x + 0.7 * half, y + 2.0),
                (x - 0.7 * half, y + 2.0),
            ],
            hull,
        );
    }
    let quay = rng.range(40.0, 44.0);
    land(
        &mut canvas,
        |_| quay,
        ([150, 146, 140], [120, 116, 110]),
        rng,
    );
    for i in 0..4 {
        canvas.rect(13.0 * i as f32 + 3.0, quay - 2.0, 2.2, 3.5, [50, 48, 50]);
    }
    canvas
}

fn city_street(mood: &Mood, rng: &mut Rng) -> Canvas {
    let vanishing = (SIZE / 2.0 + rng.range(-5.0, 5.0), rng.range(26.0, 31.0));
    let mut canvas = sky(mood, vanishing.1, rng);
    let g = rng.range(80.0, 120.0) as u8;
    land(
        &mut canvas,
        |_| vanishing.1,
        ([g + 40, g + 38, g + 36], [g + 30, g + 28, g + 26]),
        rng,
    );
    canvas.polygon(
        &[
            (4.0, SIZE),
            (vanishing.0 - 1.0, vanishing.1),
            (vanishing.0 + 1.0, vanishing.1),
            (44.0, SIZE),
        ],
        [g, g, g],
    );
    for side in [-1.0, 1.0] {
        for i in 0..5 {
            // From far to near; each facade runs along the lines to the vanishing point.
            let (far, near) = (2.0 + 4.6 * i as f32, 6.8 + 4.6 * i as f32);
            let height = rng.range(0.8, 2.4);
            let wall = jitter(
                *rng.pick(&[
                    [176, 120, 96],
                    [196, 186, 170],
                    [130, 136, 150],
                    [210, 196, 150],
                    [110, 100, 100],
                ]),
                18.0,
                rng,
            );
            let at = |d: f32, level: f32| {
                (
                    vanishing.0 + side * (d + 1.5),
                    vanishing.1 + 0.72 * d - level * d * 1.5,
                )
            };
            canvas.polygon(
                &[
                    at(far, 0.0),
                    at(far, height),
                    at(near, height),
                    at(near, 0.0),
                ],
                wall,
            );
            let dark = mix(wall, [24, 30, 44], 0.7);
            for floor in 0..4 {
                let low = 0.3 + 0.5 * floor as f32;
                if low + 0.25 < height {
                    for (a, b) in [(0.15, 0.42), (0.58, 0.85)] {
                        let (a, b) = (far + (near - far) * a, far + (near - far) * b);
                        canvas.polygon(
                            &[at(a, low), at(a, low + 0.26), at(b, low + 0.26), at(b, low)],
                            dark,
                        );
                    }
                }
            }
        }
    }
    for i in 0..4 {
        let y = vanishing.1 + 2.5 + 5.0 * i as f32;
        let x = vanishing.0 + (SIZE / 2.0 - vanishing.0) * (y - vanishing.1) / (SIZE - vanishing.1);
        canvas.rect(x - 0.4, y, 0.8, 2.0 + 0.5 * i as f32, [230, 228, 220]);
    }
    if rng.chance(0.6) {
        let at = (rng.range(14.0, 34.0), rng.range(38.0, 46.0));
        prop(
            &mut canvas,
            &["🚗", "🚕", "🚌", "🚶", "🚲", "🚦"],
            at,
            rng.range(7.0, 13.0),
            rng,
        );
    }
    canvas
}

fn playground(mood: &Mood, rng: &mut Rng) -> Canvas {
    let horizon = rng.range(16.0, 24.0);
    let mut canvas = sky(mood, horizon, rng);
    let lawn = jitter([120, 170, 80], 18.0, rng);
    land(
        &mut canvas,
        |_| horizon,
        (mix(lawn, [70, 110, 60], 0.4), lawn),
        rng,
    );
    let pit = jitter([226, 200, 150], 12.0, rng);
    canvas.ellipse(SIZE / 2.0, 43.0, 22.0, 6.0, 0.0, pit);
    let bright = |rng: &mut Rng| {
        jitter(
            *rng.pick(&[
                [226, 50, 50],
                [250, 190, 40],
                [50, 110, 210],
                [60, 170, 90],
                [240, 120, 40],
            ]),
            14.0,
            rng,
        )
    };
    let (slide, bars) = (bright(rng), bright(rng));
    let x = rng.range(5.0, 10.0);
    canvas.line((x, 44.0), (x, 20.0), 1.4, bars);
    canvas.line((x + 4.0, 44.0), (x + 4.0, 20.0), 1.4, bars);
    for rung in 0..5 {
        let y = 24.0 + 4.5 * rung as f32;
        canvas.line((x, y), (x + 4.0, y), 0.9, bars);
    }
    canvas.polygon(
        &[(x - 1.0, 20.0), (x + 2.0, 15.0), (x + 5.0, 20.0)],
        bright(rng),
    );
    canvas.polyline(
        &[
            (x + 4.5, 25.0),
            (x + 12.0, 38.0),
            (x + 17.0, 42.5),
            (x + 20.0, 43.0),
        ],
        2.6,
        slide,
    );
    let swing = rng.range(28.0, 33.0);
    let (frame, top) = (bright(rng), rng.range(17.0, 22.0));
    canvas.polyline(
        &[
            (swing - 3.0, 44.0),
            (swing, top),
            (swing + 12.0, top),
            (swing + 15.0, 44.0),
        ],
        1.3,
        frame,
    );
    for seat in [3.5, 8.5] {
        let lean = rng.range(-3.0, 3.0);
        canvas.line(
            (swing + seat, top),
            (swing + seat + lean, 36.0),
            0.6,
            [70, 70, 74],
        );
        canvas.line(
            (swing + seat + lean - 1.4, 36.5),
            (swing + seat + lean + 1.4, 36.5),
            1.5,
            slide,
        );
    }
    if rng.chance(0.5) {
        let at = (rng.range(16.0, 34.0), rng.range(42.0, 47.0));
        prop(
            &mut canvas,
            &["🧒", "👧", "👦", "🪁", "⚽", "🏃"],
            at,
            rng.range(8.0, 12.0),
            rng,
        );
    }
    canvas
}

fn stadium(mood: &Mood, rng: &mut Rng) -> Canvas {
    let rim = rng.range(5.0, 10.0);
    let pitch = rng.range(26.0, 31.0);
    let mut canvas = sky(mood, rim + 3.0, rng);
    let noise = Noise::new(rng);
    let team = any(rng);
    let seats = jitter([120, 124, 136], 18.0, rng);
    canvas.map(|x, y, old| {
        let top = rim + 0.006 * (x - SIZE / 2.0).powi(2);
        if y < top || y > pitch {
            return old;
        }
        let head = noise.lattice((x * 0.9) as i32, (y * 0.9) as i32);
        let row = if (y * 0.5).fract() < 0.4 { 0.25 } else { 0.0 };
        let person = if head < 0.3 {
            team
        } else if head < 0.6 {
            [226, 200, 180]
        } else {
            seats
        };
        mix(person, [30, 32, 40], row + 0.2 * noise.at(x / 3.0, y / 3.0))
    });
    let board = any(rng);
    canvas.rect(
        0.0,
        pitch - 2.2,
        SIZE,
        2.4,
        mix(board, [240, 240, 240], 0.4),
    );
    let grass = jitter([66, 140, 62], 14.0, rng);
    land(
        &mut canvas,
        |_| pitch,
        (mix(grass, [40, 100, 40], 0.4), grass),
        rng,
    );
    let stripe = mix(grass, [160, 220, 120], 0.22);
    for i in 0..4 {
        let x = 14.0 * i as f32 - 4.0;
        canvas.polygon(
            &[
                (x + 4.0, pitch),
                (x + 9.0, pitch),
                (x + 6.0, SIZE),
                (x - 3.0, SIZE),
            ],
            stripe,
        );
    }
    let white = [240, 244, 238];
    canvas.line((-2.0, pitch + 2.5), (50.0, pitch + 2.5), 0.7, white);
    let goal = rng.range(14.0, 34.0);
    canvas.polygon_outline(
        &[
            (goal - 11.0, pitch + 2.5),
            (goal + 11.0, pitch + 2.5),
            (goal + 15.0, pitch + 11.0),
            (goal - 15.0, pitch + 11.0),
        ],
        0.7,
        white,
    );
    canvas.polyline(
        &[
            (goal - 4.0, pitch + 3.0),
            (goal - 4.0, pitch - 4.0),
            (goal + 4.0, pitch - 4.0),
            (goal + 4.0, pitch + 3.0),
        ],
        0.9,
        white,
    );
    for side in [3.0, 45.0] {
        if rng.chance(0.5) {
            canvas.line((side, rim + 6.0), (side, 1.5), 0.8, [90, 94, 100]);
            canvas.rect(side - 2.5, 0.5, 5.0, 2.4, [252, 250, 226]);
        }
    }
    canvas
}

fn airport(mood: &Mood, rng: &mut Rng) -> Canvas {
    let horizon = rng.range(20.0, 27.0);
    let mut canvas = sky(mood, horizon, rng);
    let terminal = jitter([190, 196, 204], 14.0, rng);
    let (x, width) = (rng.range(-4.0, 16.0), rng.range(20.0, 32.0));
    canvas.rect(x, horizon - 6.0, width, 6.0, terminal);
    canvas.rect(x + 1.0, horizon - 4.6, width - 2.0, 2.0, [70, 96, 124]);
    let tower = rng.range(36.0, 43.0);
    canvas.rect(
        tower - 1.2,
        horizon - 13.0,
        2.4,
        13.0,
        mix(terminal, [150, 150, 150], 0.4),
    );
    canvas.polygon(
        &[
            (tower - 2.6, horizon - 13.0),
            (tower - 3.6, horizon - 17.0),
            (tower + 3.6, horizon - 17.0),
            (tower + 2.6, horizon - 13.0),
        ],
        [60, 84, 110],
    );
    let concrete = jitter([164, 164, 162], 14.0, rng);
    land(
        &mut canvas,
        |_| horizon,
        (mix(concrete, [110, 112, 114], 0.5), concrete),
        rng,
    );
    canvas.polyline(
        &[(-2.0, SIZE), (rng.range(14.0, 30.0), horizon)],
        0.8,
        [226, 190, 50],
    );
    plane(
        &mut canvas,
        (SIZE / 2.0 + rng.range(-7.0, 7.0), rng.range(33.0, 39.0)),
        rng.range(15.0, 20.0),
        rng,
    );
    if rng.chance(0.4) {
        prop(
            &mut canvas,
            &["✈", "🛫", "🛬"],
            (rng.range(8.0, 32.0), rng.range(9.0, 14.0)),
            rng.range(6.0, 9.0),
            rng,
        );
    }
    canvas
}

/// An airliner on the ground, seen from its side.
fn plane(canvas: &mut Canvas, (x, y): Point, half: f32, rng: &mut Rng) {
    let body = jitter([240, 242, 244], 8.0, rng);
    let tail = any(rng);
    canvas.ellipse(x, y + 5.5, 0.9 * half, 1.6, 0.0, [80, 82, 84]);
    canvas.polygon(
        &[
            (x - half, y - 1.0),
            (x - 1.05 * half, y - 8.5),
            (x - 0.8 * half, y - 8.5),
            (x - 0.55 * half, y - 1.0),
        ],
        tail,
    );
    canvas.ellipse(x, y, half, 2.9, 0.0, body);
    for i in 0..9 {
        canvas.circle(
            x - 0.6 * half + 0.15 * half * i as f32,
            y - 0.8,
            0.5,
            [60, 80, 110],
        );
    }
    canvas.polygon(
        &[
            (x + 0.15 * half, y + 0.6),
            (x - 0.35 * half, y + 5.6),
            (x - 0.5 * half, y + 5.6),
            (x - 0.25 * half, y + 0.6),
        ],
        [176, 180, 186],
    );
    canvas.ellipse(
        x - 0.05 * half,
        y + 3.2,
        2.4,
        1.3,
        0.0,
        mix(tail, [120, 120, 120], 0.5),
    );
    for wheel in [-0.3, 0.65] {
        canvas.circle(x + wheel * half, y + 4.6, 1.1, [30, 30, 32]);
    }
}

fn kitchen(mood: &Mood, rng: &mut Rng) -> Canvas {
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

fn bathroom(mood: &Mood, rng: &mut Rng) -> Canvas {
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

fn classroom(mood: &Mood, rng: &mut Rng) -> Canvas {
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

fn office(mood: &Mood, rng: &mut Rng) -> Canvas {
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

fn restaurant(mood: &Mood, rng: &mut Rng) -> Canvas {
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

fn supermarket(mood: &Mood, rng: &mut Rng) -> Canvas {
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
