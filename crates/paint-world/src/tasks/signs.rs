//! `signs`: traffic signs on their posts, in the manner of GTSRB.

use std::f32::consts::{FRAC_1_SQRT_2, PI, TAU};

use paint_data::Rng;

use super::noise::Noise;
use super::pen::{Pen, Point};
use super::{owned, two_of};
use crate::canvas::{Canvas, SIZE, placed, random_view, regular};
use crate::colour::{Colour, jitter, mix};
use crate::domain::{Domain, Drawing, Split};
use crate::fonts;

pub(super) struct Signs;

/// The plate; the pictogram is drawn over it in units of its half height.
#[derive(Clone, Copy)]
enum Plate {
    RedRing,
    Warning,
    Mandatory,
    Lifted,
    NoEntry,
    Stop,
    Yield,
    Priority,
}

struct Sign {
    name: &'static str,
    plate: Plate,
    pictogram: fn(&mut Pen, &Ink),
    looks: &'static [&'static str],
}

/// The colours a sign is printed in.
struct Ink {
    red: Colour,
    blue: Colour,
    white: Colour,
    black: Colour,
    yellow: Colour,
}

const LIMITS: [&str; 7] = ["20", "30", "50", "70", "80", "100", "120"];
const N_LIMITS: usize = LIMITS.len();

const LIMIT_NAMES: [&str; N_LIMITS] = [
    "20 km/h speed limit",
    "30 km/h speed limit",
    "50 km/h speed limit",
    "70 km/h speed limit",
    "80 km/h speed limit",
    "100 km/h speed limit",
    "120 km/h speed limit",
];
const LIMIT_LOOKS: [&[&str]; N_LIMITS] = [
    &[
        "a two and a zero in a red ring",
        "the figures 2 and 0 inside a red ring",
    ],
    &[
        "a three and a zero in a red ring",
        "the figures 3 and 0 inside a red ring",
    ],
    &[
        "a five and a zero in a red ring",
        "the figures 5 and 0 inside a red ring",
    ],
    &[
        "a seven and a zero in a red ring",
        "the figures 7 and 0 inside a red ring",
    ],
    &[
        "an eight and a zero in a red ring",
        "the figures 8 and 0 inside a red ring",
    ],
    &[
        "a one and a pair of zeros in a red ring",
        "the figures 1, 0 and 0 inside a red ring",
    ],
    &[
        "a one, a two and a zero in a red ring",
        "the figures 1, 2 and 0 inside a red ring",
    ],
];

/// All signs but the speed limits, which come first in the list of classes.
const SIGNS: [Sign; 23] = [
    Sign {
        name: "no overtaking",
        plate: Plate::RedRing,
        pictogram: overtaking,
        looks: &[
            "a red and a black car side by side",
            "a pair of cars in a red ring",
        ],
    },
    Sign {
        name: "no trucks",
        plate: Plate::RedRing,
        pictogram: truck,
        looks: &[
            "a black lorry in a red ring",
            "a dark lorry on a white disc",
        ],
    },
    Sign {
        name: "no vehicles",
        plate: Plate::RedRing,
        pictogram: nothing,
        looks: &[
            "an empty red ring",
            "a white disc with a red border and nothing inside",
        ],
    },
    Sign {
        name: "end of speed limit",
        plate: Plate::Lifted,
        pictogram: slashes,
        looks: &[
            "black slanted lines on a white disc",
            "a white disc crossed out with thin lines",
        ],
    },
    Sign {
        name: "no entry",
        plate: Plate::NoEntry,
        pictogram: nothing,
        looks: &["a white bar on a red disc", "a full red disc with a bar"],
    },
    Sign {
        name: "stop",
        plate: Plate::Stop,
        pictogram: nothing,
        looks: &[
            "a red octagon",
            "white capitals on a red plate with eight corners",
        ],
    },
    Sign {
        name: "yield",
        plate: Plate::Yield,
        pictogram: nothing,
        looks: &[
            "an empty triangle that points down",
            "a red and white triangle on its tip",
        ],
    },
    Sign {
        name: "priority road",
        plate: Plate::Priority,
        pictogram: nothing,
        looks: &[
            "a yellow square on its corner",
            "a yellow diamond with a white border",
        ],
    },
    Sign {
        name: "general caution",
        plate: Plate::Warning,
        pictogram: exclamation,
        looks: &[
            "an exclamation mark in a red triangle",
            "a black bar above a dot in a triangle",
        ],
    },
    Sign {
        name: "slippery road",
        plate: Plate::Warning,
        pictogram: skid,
        looks: &[
            "a car above winding tracks in a triangle",
            "wavy tracks in a red triangle",
        ],
    },
    Sign {
        name: "pedestrian crossing",
        plate: Plate::Warning,
        pictogram: walker,
        looks: &[
            "a person walking over stripes in a triangle",
            "a walking person in a red triangle",
        ],
    },
    Sign {
        name: "children crossing",
        plate: Plate::Warning,
        pictogram: children,
        looks: &[
            "a pair of running figures in a triangle",
            "a tall and a small person in a red triangle",
        ],
    },
    Sign {
        name: "bicycles crossing",
        plate: Plate::Warning,
        pictogram: bicycle,
        looks: &[
            "a pair of wheels with a frame in a triangle",
            "wheels in a red triangle",
        ],
    },
    Sign {
        name: "road work",
        plate: Plate::Warning,
        pictogram: digger,
        looks: &[
            "a person with a shovel in a triangle",
            "a worker beside a heap in a red triangle",
        ],
    },
    Sign {
        name: "traffic signals",
        plate: Plate::Warning,
        pictogram: lamps,
        looks: &[
            "red, yellow and green dots in a triangle",
            "coloured lamps in a red triangle",
        ],
    },
    Sign {
        name: "double curve",
        plate: Plate::Warning,
        pictogram: bends,
        looks: &[
            "a line that bends left and right in a triangle",
            "a black s shape in a red triangle",
        ],
    },
    Sign {
        name: "snow or ice",
        plate: Plate::Warning,
        pictogram: flake,
        looks: &[
            "a flake with six arms in a triangle",
            "a black star of thin lines in a red triangle",
        ],
    },
    Sign {
        name: "bumpy road",
        plate: Plate::Warning,
        pictogram: bumps,
        looks: &[
            "a pair of humps in a triangle",
            "a black wavy ground line in a red triangle",
        ],
    },
    Sign {
        name: "turn right ahead",
        plate: Plate::Mandatory,
        pictogram: arrow_right,
        looks: &[
            "a white arrow that bends to the right on a blue disc",
            "an arrow to the right on blue",
        ],
    },
    Sign {
        name: "turn left ahead",
        plate: Plate::Mandatory,
        pictogram: arrow_left,
        looks: &[
            "a white arrow that bends to the left on a blue disc",
            "an arrow to the left on blue",
        ],
    },
    Sign {
        name: "ahead only",
        plate: Plate::Mandatory,
        pictogram: arrow_up,
        looks: &[
            "a straight white arrow upwards on a blue disc",
            "an arrow that points up on blue",
        ],
    },
    Sign {
        name: "keep right",
        plate: Plate::Mandatory,
        pictogram: arrow_down_right,
        looks: &[
            "a slanted white arrow to the lower right on a blue disc",
            "an arrow that points down and right on blue",
        ],
    },
    Sign {
        name: "roundabout mandatory",
        plate: Plate::Mandatory,
        pictogram: circling,
        looks: &[
            "arrows running in a circle on a blue disc",
            "three white curved arrows on blue",
        ],
    },
];

impl Domain for Signs {
    fn name(&self) -> &'static str {
        "signs"
    }

    fn class_names(&self) -> Vec<String> {
        let others = SIGNS.iter().map(|s| s.name);
        LIMIT_NAMES
            .into_iter()
            .chain(others)
            .map(str::to_owned)
            .collect()
    }

    fn templates(&self) -> Vec<String> {
        owned(&[
            "a photo of a \"{}\" traffic sign.",
            "a close up photo of a \"{}\" traffic sign.",
            "a zoomed in photo of a {} sign.",
        ])
    }

    fn vague(&self) -> &'static [&'static str] {
        &[
            "a road sign",
            "a traffic sign",
            "a sign beside the street",
            "a metal plate on a post",
            "a sign for drivers",
            "a blurry photo of a sign",
        ]
    }

    fn draw(&self, class_idx: usize, split: Split, rng: &mut Rng) -> Drawing {
        let ink = Ink {
            red: jitter([196, 30, 40], 22.0, rng),
            blue: jitter([24, 84, 170], 22.0, rng),
            white: jitter([236, 236, 232], 14.0, rng),
            black: jitter([26, 26, 28], 12.0, rng),
            yellow: jitter([246, 196, 30], 18.0, rng),
        };
        let mut canvas = paint_surroundings(split, rng);
        canvas.rect(SIZE / 2.0 - 1.2, SIZE / 2.0, 2.4, SIZE, [120, 124, 126]);
        let radius = rng.range(17.5, 21.0);
        let plate = SIGNS
            .get(class_idx.wrapping_sub(N_LIMITS))
            .map_or(Plate::RedRing, |s| s.plate);
        paint_plate(&mut canvas, plate, radius, &ink, split, rng);
        let looks = match class_idx.checked_sub(N_LIMITS) {
            None => {
                let text = LIMITS[class_idx];
                let height = radius * if text.len() == 2 { 0.82 } else { 0.62 };
                let face = fonts::pick(split, rng);
                canvas.text(text, face, (SIZE / 2.0, SIZE / 2.0), height, 0.0, ink.black);
                LIMIT_LOOKS[class_idx]
            }
            Some(i) => {
                let mut pen = Pen::new(&mut canvas, (SIZE / 2.0, SIZE / 2.0), radius);
                (SIGNS[i].pictogram)(&mut pen, &ink);
                SIGNS[i].looks
            }
        };
        canvas.warp(random_view(0.14, 0.16, 0.12, 3.0, rng));
        weather(&mut canvas, rng);
        Drawing {
            image: canvas.finish(),
            attributes: two_of(looks, rng),
        }
    }
}

/// Leaves, sky, walls and streets out of focus.
fn paint_surroundings(split: Split, rng: &mut Rng) -> Canvas {
    const PAIRS: [(Colour, Colour); 8] = [
        ([60, 90, 50], [30, 44, 28]),
        ([150, 190, 230], [220, 228, 236]),
        ([150, 140, 130], [90, 86, 84]),
        ([110, 120, 110], [60, 60, 50]),
        ([190, 170, 140], [120, 90, 70]),
        ([40, 44, 60], [16, 18, 26]),
        ([214, 140, 90], [120, 70, 60]),
        ([226, 230, 236], [170, 180, 190]),
    ];
    let (a, b) = *rng.pick(split.pool(&PAIRS, 5));
    let (a, b) = (jitter(a, 20.0, rng), jitter(b, 20.0, rng));
    let noise = Noise::new(rng);
    let patch = rng.range(4.0, 16.0);
    Canvas::from_fn(|x, y| {
        let t = noise.fractal(x / patch, y / patch, 3);
        mix(a, b, (1.8 * (t - 0.5) + 0.5).clamp(0.0, 1.0))
    })
}

fn paint_plate(
    canvas: &mut Canvas,
    plate: Plate,
    radius: f32,
    ink: &Ink,
    split: Split,
    rng: &mut Rng,
) {
    let middle = (SIZE / 2.0, SIZE / 2.0);
    let mut pen = Pen::new(canvas, middle, radius);
    match plate {
        Plate::RedRing => {
            pen.disc((0.0, 0.0), 1.0, ink.red);
            pen.disc((0.0, 0.0), 0.78, ink.white);
        }
        Plate::Lifted => {
            pen.disc((0.0, 0.0), 1.0, ink.black);
            pen.disc((0.0, 0.0), 0.95, ink.white);
        }
        Plate::Mandatory => {
            pen.disc((0.0, 0.0), 1.0, ink.white);
            pen.disc((0.0, 0.0), 0.95, ink.blue);
        }
        Plate::NoEntry => {
            pen.disc((0.0, 0.0), 1.0, ink.red);
            pen.rect((-0.72, -0.16), 1.44, 0.32, ink.white);
        }
        Plate::Warning | Plate::Yield => {
            let flip = if matches!(plate, Plate::Yield) {
                -1.0
            } else {
                1.0
            };
            let triangle = |r: f32| {
                [
                    (0.0, -r * flip),
                    (0.97 * r, 0.68 * r * flip),
                    (-0.97 * r, 0.68 * r * flip),
                ]
            };
            pen.polygon(&triangle(1.12), ink.red);
            pen.polygon(&triangle(0.8), ink.white);
        }
        Plate::Priority => {
            let square = |r: f32| [(0.0, -r), (r, 0.0), (0.0, r), (-r, 0.0)];
            pen.polygon(&square(1.12), ink.black);
            pen.polygon(&square(1.07), ink.white);
            pen.polygon(&square(0.78), ink.yellow);
        }
        Plate::Stop => {
            pen.polygon(&regular(8, 0.0, 0.0, 1.06, PI / 8.0), ink.white);
            pen.polygon(&regular(8, 0.0, 0.0, 0.97, PI / 8.0), ink.red);
            let face = fonts::pick(split, rng);
            let view = placed(middle.0, middle.1, 0.0).pre_scale(0.8, 1.0);
            canvas.text_warped("STOP", face, 0.54 * radius, view, ink.white);
        }
    }
}

/// Sun, shade, dirt, distance and a moving camera.
fn weather(canvas: &mut Canvas, rng: &mut Rng) {
    let (slope, dark) = (rng.range(-0.9, 0.9), rng.range(0.0, 0.45));
    if rng.chance(0.4) {
        let edge = rng.range(8.0, 40.0);
        canvas.map(|x, y, c| {
            if x + slope * y > edge {
                mix(c, [10, 12, 24], dark)
            } else {
                c
            }
        });
    }
    if rng.chance(0.15) {
        canvas.occlude(0.12, rng);
    }
    let gain = rng.range(0.45, 1.1);
    canvas.tint([
        gain,
        gain * rng.range(0.94, 1.04),
        gain * rng.range(0.9, 1.1),
    ]);
    canvas.blur(rng.range(0.1, 1.0));
    canvas.noise(rng.range(1.0, 9.0), rng);
}

fn nothing(_: &mut Pen, _: &Ink) {}

fn car(pen: &mut Pen, (x, y): Point, size: f32, colour: Colour) {
    let at = |dx: f32, dy: f32| (x + dx * size, y + dy * size);
    pen.polygon(
        &[
            at(-0.5, 0.3),
            at(-0.5, -0.05),
            at(-0.3, -0.4),
            at(0.3, -0.4),
            at(0.5, -0.05),
            at(0.5, 0.3),
        ],
        colour,
    );
    pen.rect(at(-0.45, 0.2), 0.22 * size, 0.28 * size, colour);
    pen.rect(at(0.23, 0.2), 0.22 * size, 0.28 * size, colour);
    pen.polygon(
        &[
            at(-0.33, -0.06),
            at(-0.22, -0.3),
            at(0.22, -0.3),
            at(0.33, -0.06),
        ],
        [236, 236, 232],
    );
}

fn overtaking(pen: &mut Pen, ink: &Ink) {
    car(pen, (-0.33, 0.0), 0.58, ink.red);
    car(pen, (0.33, 0.0), 0.58, ink.black);
}

fn truck(pen: &mut Pen, ink: &Ink) {
    pen.rect((-0.6, -0.35), 0.78, 0.55, ink.black);
    pen.polygon(
        &[
            (0.22, 0.2),
            (0.22, -0.18),
            (0.45, -0.18),
            (0.6, 0.02),
            (0.6, 0.2),
        ],
        ink.black,
    );
    pen.disc((-0.35, 0.27), 0.14, ink.black);
    pen.disc((0.38, 0.27), 0.14, ink.black);
}

fn slashes(pen: &mut Pen, ink: &Ink) {
    for offset in [-0.28, -0.14, 0.0, 0.14, 0.28] {
        let (o, reach) = (offset, 0.6);
        pen.line(
            &[(-reach + o, reach + o), (reach + o, -reach + o)],
            0.06,
            ink.black,
        );
    }
}

fn exclamation(pen: &mut Pen, ink: &Ink) {
    pen.polygon(
        &[(-0.12, -0.42), (0.12, -0.42), (0.07, 0.18), (-0.07, 0.18)],
        ink.black,
    );
    pen.disc((0.0, 0.36), 0.11, ink.black);
}

fn skid(pen: &mut Pen, ink: &Ink) {
    car(pen, (0.0, -0.16), 0.48, ink.black);
    for side in [-0.16, 0.16] {
        pen.curve(
            &[
                (side, 0.1),
                (side - 0.1, 0.22),
                (side + 0.1, 0.36),
                (side - 0.06, 0.52),
            ],
            0.07,
            ink.black,
        );
    }
}

fn person(pen: &mut Pen, (x, y): Point, size: f32, colour: Colour) {
    let at = |dx: f32, dy: f32| (x + dx * size, y + dy * size);
    pen.disc(at(0.0, -0.48), 0.13 * size, colour);
    pen.line(&[at(0.0, -0.3), at(0.0, 0.08)], 0.19 * size, colour);
    pen.line(
        &[at(-0.24, 0.5), at(0.0, 0.08), at(0.22, 0.5)],
        0.11 * size,
        colour,
    );
    pen.line(
        &[at(-0.26, 0.02), at(0.0, -0.26), at(0.27, -0.02)],
        0.09 * size,
        colour,
    );
}

fn walker(pen: &mut Pen, ink: &Ink) {
    for i in 0..5 {
        pen.rect((-0.52 + 0.23 * i as f32, 0.42), 0.12, 0.14, ink.black);
    }
    person(pen, (0.0, -0.02), 0.82, ink.black);
}

fn children(pen: &mut Pen, ink: &Ink) {
    person(pen, (-0.2, 0.04), 0.82, ink.black);
    person(pen, (0.26, 0.2), 0.6, ink.black);
}

fn bicycle(pen: &mut Pen, ink: &Ink) {
    pen.ring((-0.3, 0.3), 0.21, 0.07, ink.black);
    pen.ring((0.3, 0.3), 0.21, 0.07, ink.black);
    pen.line(
        &[
            (-0.3, 0.3),
            (-0.12, 0.0),
            (0.2, 0.0),
            (0.0, 0.3),
            (-0.3, 0.3),
        ],
        0.06,
        ink.black,
    );
    pen.line(&[(0.0, 0.3), (-0.15, -0.1)], 0.06, ink.black);
    pen.line(&[(0.3, 0.3), (0.16, -0.16), (0.3, -0.16)], 0.06, ink.black);
}

fn digger(pen: &mut Pen, ink: &Ink) {
    pen.disc((-0.12, -0.38), 0.11, ink.black);
    pen.line(&[(-0.14, -0.22), (-0.26, 0.14)], 0.17, ink.black);
    pen.line(&[(-0.4, 0.52), (-0.26, 0.14), (-0.06, 0.5)], 0.1, ink.black);
    pen.line(&[(-0.34, -0.08), (0.2, 0.34)], 0.07, ink.black);
    pen.polygon(&[(0.08, 0.55), (0.34, 0.16), (0.62, 0.55)], ink.black);
}

fn lamps(pen: &mut Pen, ink: &Ink) {
    pen.rect((-0.17, -0.42), 0.34, 0.98, ink.black);
    pen.disc((0.0, -0.26), 0.12, [226, 40, 40]);
    pen.disc((0.0, 0.06), 0.12, ink.yellow);
    pen.disc((0.0, 0.38), 0.12, [40, 170, 80]);
}

fn bends(pen: &mut Pen, ink: &Ink) {
    pen.line(
        &[
            (0.16, 0.54),
            (0.16, 0.3),
            (-0.16, 0.1),
            (-0.16, -0.1),
            (0.06, -0.3),
        ],
        0.15,
        ink.black,
    );
    pen.polygon(&[(-0.12, -0.26), (0.22, -0.14), (0.16, -0.46)], ink.black);
}

fn flake(pen: &mut Pen, ink: &Ink) {
    let middle = (0.0, 0.12);
    for arm in 0..6 {
        let (sin, cos) = (TAU * arm as f32 / 6.0).sin_cos();
        let out = |r: f32, s: f32| (middle.0 + r * sin + s * cos, middle.1 - r * cos + s * sin);
        pen.line(&[middle, out(0.42, 0.0)], 0.07, ink.black);
        pen.line(
            &[out(0.4, -0.14), out(0.26, 0.0), out(0.4, 0.14)],
            0.05,
            ink.black,
        );
    }
}

fn bumps(pen: &mut Pen, ink: &Ink) {
    let ground = [
        (-0.56, 0.4),
        (-0.42, 0.32),
        (-0.27, 0.1),
        (-0.1, 0.32),
        (0.0, 0.36),
        (0.1, 0.32),
        (0.27, 0.1),
        (0.42, 0.32),
        (0.56, 0.4),
    ];
    let mut outline = super::pen::smooth(&ground);
    outline.extend([(0.56, 0.54), (-0.56, 0.54)]);
    pen.polygon(&outline, ink.black);
}

/// An arrow's head at `tip`, pointing along (dx, dy).
fn arrow_head(pen: &mut Pen, tip: Point, (dx, dy): Point, size: f32, colour: Colour) {
    let back = (tip.0 - dx * size, tip.1 - dy * size);
    let side = (-dy * size * 0.75, dx * size * 0.75);
    pen.polygon(
        &[
            tip,
            (back.0 + side.0, back.1 + side.1),
            (back.0 - side.0, back.1 - side.1),
        ],
        colour,
    );
}

fn turn(pen: &mut Pen, side: f32, colour: Colour) {
    let s = side;
    pen.line(
        &[
            (-0.22 * s, 0.6),
            (-0.22 * s, 0.0),
            (-0.14 * s, -0.12),
            (0.2 * s, -0.14),
        ],
        0.24,
        colour,
    );
    arrow_head(pen, (0.68 * s, -0.14), (s, 0.0), 0.46, colour);
}

fn arrow_right(pen: &mut Pen, ink: &Ink) {
    turn(pen, 1.0, ink.white);
}

fn arrow_left(pen: &mut Pen, ink: &Ink) {
    turn(pen, -1.0, ink.white);
}

fn arrow_up(pen: &mut Pen, ink: &Ink) {
    pen.line(&[(0.0, 0.62), (0.0, -0.2)], 0.24, ink.white);
    arrow_head(pen, (0.0, -0.72), (0.0, -1.0), 0.5, ink.white);
}

fn arrow_down_right(pen: &mut Pen, ink: &Ink) {
    pen.line(&[(-0.45, -0.45), (0.18, 0.18)], 0.24, ink.white);
    arrow_head(
        pen,
        (0.52, 0.52),
        (FRAC_1_SQRT_2, FRAC_1_SQRT_2),
        0.5,
        ink.white,
    );
}

fn circling(pen: &mut Pen, ink: &Ink) {
    for i in 0..3 {
        let start = TAU * i as f32 / 3.0;
        let on = |a: f32| (0.5 * a.cos(), 0.5 * a.sin());
        let arc: Vec<Point> = (0..6).map(|k| on(start - 0.22 * k as f32)).collect();
        pen.line(&arc, 0.16, ink.white);
        let end = start - 1.25;
        let tip = on(end - 0.55);
        arrow_head(pen, tip, (end.sin(), -end.cos()), 0.36, ink.white);
    }
}
