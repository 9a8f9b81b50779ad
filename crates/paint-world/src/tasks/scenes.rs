//! `scenes`: indoor and outdoor places, in the manner of SUN397.

mod nature;
mod rooms;
mod town;

use paint_data::Rng;
use tiny_skia::Transform;

use super::noise::Noise;
use super::pen::Point;
use super::{owned, two_of};
use crate::canvas::{Canvas, SIZE, placed};
use crate::colour::{Colour, jitter, mix};
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
        paint: nature::beach,
        looks: &["sand, sea and sky in bands", "yellow sand below blue water"],
    },
    Scene {
        name: "mountain",
        paint: nature::mountain,
        looks: &["gray peaks with snow", "pointed summits against the sky"],
    },
    Scene {
        name: "desert",
        paint: nature::desert,
        looks: &["yellow dunes under the sky", "waves of bare sand"],
    },
    Scene {
        name: "night sky",
        paint: nature::night_sky,
        looks: &["stars on dark blue", "tiny bright dots above a dark hill"],
    },
    Scene {
        name: "snowfield",
        paint: nature::snowfield,
        looks: &["bright ground under a pale sky", "gentle white slopes"],
    },
    Scene {
        name: "forest path",
        paint: nature::forest_path,
        looks: &["tall trunks left and right", "a brown trail between trees"],
    },
    Scene {
        name: "waterfall",
        paint: nature::waterfall,
        looks: &[
            "white water falling between rocks",
            "a white band over a dark cliff",
        ],
    },
    Scene {
        name: "cave",
        paint: nature::cave,
        looks: &[
            "a bright opening in dark rock",
            "pointed stones hanging in the dark",
        ],
    },
    Scene {
        name: "coral reef",
        paint: nature::coral_reef,
        looks: &["fish in blue water", "coloured branches under water"],
    },
    Scene {
        name: "garden",
        paint: town::garden,
        looks: &["flowers before a hedge", "rows of blossoms on green"],
    },
    Scene {
        name: "farm",
        paint: town::farm,
        looks: &["a red barn on a green field", "furrows beside a barn"],
    },
    Scene {
        name: "harbor",
        paint: town::harbor,
        looks: &["boats at a quay", "masts and a crane above water"],
    },
    Scene {
        name: "city street",
        paint: town::city_street,
        looks: &[
            "tall buildings left and right",
            "a road between rows of windows",
        ],
    },
    Scene {
        name: "playground",
        paint: town::playground,
        looks: &["a slide and a swing", "coloured bars on a lawn"],
    },
    Scene {
        name: "stadium",
        paint: town::stadium,
        looks: &[
            "a crowd above a green pitch",
            "white lines on grass below rows of people",
        ],
    },
    Scene {
        name: "airport",
        paint: town::airport,
        looks: &["a plane on wide concrete", "a control tower behind a plane"],
    },
    Scene {
        name: "library",
        paint: rooms::library,
        looks: &["shelves full of books", "rows of coloured spines"],
    },
    Scene {
        name: "bedroom",
        paint: rooms::bedroom,
        looks: &["a bed with a pillow", "a coloured blanket over a low bed"],
    },
    Scene {
        name: "kitchen",
        paint: rooms::kitchen,
        looks: &["cupboards above a stove", "an oven between cupboards"],
    },
    Scene {
        name: "bathroom",
        paint: rooms::bathroom,
        looks: &["tiles and a white tub", "a mirror above a wash basin"],
    },
    Scene {
        name: "classroom",
        paint: rooms::classroom,
        looks: &["a dark board on the wall", "desks before a board"],
    },
    Scene {
        name: "office",
        paint: rooms::office,
        looks: &["a screen on a desk", "desks with keyboards and chairs"],
    },
    Scene {
        name: "restaurant",
        paint: rooms::restaurant,
        looks: &["round tables with meals", "plates on a tablecloth"],
    },
    Scene {
        name: "supermarket",
        paint: rooms::supermarket,
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
