//! `digits`: handwritten figures, in the manner of MNIST.

use paint_data::Rng;

use super::figures::{NAMES, SHAPES};
use super::pen::{Point, smooth};
use super::{owned, two_of};
use crate::canvas::{Canvas, SIZE};
use crate::colour::{Colour, jitter};
use crate::domain::{Domain, Drawing, Split};

pub(super) struct Digits;

/// A stroke's control points in a unit box, y down.
enum Stroke {
    Straight(&'static [Point]),
    Curved(&'static [Point]),
}
use Stroke::{Curved, Straight};

/// The ways in which people write each figure.
const HANDS: [&[&[Stroke]]; 10] = [
    &[
        &[Curved(&[
            (0.5, 0.0),
            (0.15, 0.2),
            (0.06, 0.55),
            (0.22, 0.9),
            (0.5, 1.0),
            (0.8, 0.85),
            (0.93, 0.5),
            (0.8, 0.13),
            (0.5, 0.0),
        ])],
        &[Curved(&[
            (0.65, 0.05),
            (0.3, 0.08),
            (0.1, 0.45),
            (0.2, 0.88),
            (0.55, 1.0),
            (0.85, 0.75),
            (0.9, 0.35),
            (0.62, 0.0),
            (0.4, 0.1),
        ])],
    ],
    &[
        &[Straight(&[(0.5, 0.0), (0.5, 1.0)])],
        &[Straight(&[(0.62, 0.0), (0.42, 1.0)])],
        &[Straight(&[(0.3, 0.2), (0.55, 0.0), (0.55, 1.0)])],
        &[
            Straight(&[(0.3, 0.2), (0.52, 0.0), (0.52, 1.0)]),
            Straight(&[(0.25, 1.0), (0.8, 1.0)]),
        ],
    ],
    &[
        &[
            Curved(&[
                (0.1, 0.25),
                (0.3, 0.03),
                (0.7, 0.03),
                (0.88, 0.28),
                (0.62, 0.62),
                (0.1, 1.0),
            ]),
            Straight(&[(0.1, 1.0), (0.95, 0.98)]),
        ],
        &[Curved(&[
            (0.1, 0.2),
            (0.45, 0.0),
            (0.85, 0.2),
            (0.7, 0.6),
            (0.25, 0.97),
            (0.1, 0.85),
            (0.3, 0.78),
            (0.6, 0.95),
            (0.97, 0.93),
        ])],
    ],
    &[
        &[
            Curved(&[
                (0.1, 0.12),
                (0.5, 0.0),
                (0.85, 0.2),
                (0.72, 0.42),
                (0.4, 0.48),
            ]),
            Curved(&[
                (0.4, 0.48),
                (0.8, 0.58),
                (0.9, 0.8),
                (0.55, 1.0),
                (0.08, 0.9),
            ]),
        ],
        &[
            Straight(&[(0.1, 0.02), (0.85, 0.02), (0.42, 0.4)]),
            Curved(&[
                (0.42, 0.4),
                (0.85, 0.52),
                (0.88, 0.82),
                (0.5, 1.0),
                (0.06, 0.9),
            ]),
        ],
    ],
    &[
        &[
            Straight(&[(0.25, 0.0), (0.1, 0.55), (0.95, 0.55)]),
            Straight(&[(0.75, 0.1), (0.7, 1.0)]),
        ],
        &[
            Straight(&[(0.7, 0.0), (0.05, 0.65), (0.95, 0.65)]),
            Straight(&[(0.7, 0.0), (0.7, 1.0)]),
        ],
        &[
            Curved(&[(0.18, 0.02), (0.12, 0.35), (0.25, 0.52), (0.8, 0.48)]),
            Straight(&[(0.82, 0.0), (0.74, 1.0)]),
        ],
    ],
    &[
        &[
            Straight(&[(0.88, 0.02), (0.25, 0.02), (0.18, 0.42)]),
            Curved(&[
                (0.18, 0.42),
                (0.55, 0.36),
                (0.9, 0.62),
                (0.75, 0.92),
                (0.4, 1.0),
                (0.06, 0.9),
            ]),
        ],
        &[
            Curved(&[
                (0.3, 0.05),
                (0.22, 0.42),
                (0.6, 0.42),
                (0.85, 0.68),
                (0.6, 0.97),
                (0.1, 0.95),
            ]),
            Straight(&[(0.28, 0.04), (0.95, 0.0)]),
        ],
    ],
    &[
        &[Curved(&[
            (0.75, 0.02),
            (0.35, 0.25),
            (0.12, 0.65),
            (0.3, 0.97),
            (0.7, 0.97),
            (0.88, 0.72),
            (0.6, 0.52),
            (0.25, 0.62),
            (0.14, 0.75),
        ])],
        &[Curved(&[
            (0.42, 0.0),
            (0.18, 0.45),
            (0.16, 0.85),
            (0.5, 1.0),
            (0.84, 0.82),
            (0.66, 0.58),
            (0.35, 0.66),
            (0.18, 0.85),
        ])],
    ],
    &[
        &[Straight(&[(0.08, 0.04), (0.9, 0.04), (0.4, 1.0)])],
        &[
            Curved(&[(0.05, 0.17), (0.12, 0.03), (0.5, 0.08), (0.92, 0.02)]),
            Curved(&[(0.92, 0.02), (0.6, 0.5), (0.45, 1.0)]),
        ],
        &[
            Straight(&[(0.08, 0.05), (0.9, 0.03), (0.4, 1.0)]),
            Straight(&[(0.3, 0.52), (0.85, 0.5)]),
        ],
    ],
    &[
        &[Curved(&[
            (0.5, 0.48),
            (0.18, 0.24),
            (0.5, 0.0),
            (0.82, 0.22),
            (0.5, 0.48),
            (0.1, 0.75),
            (0.5, 1.0),
            (0.9, 0.75),
            (0.5, 0.48),
        ])],
        &[Curved(&[
            (0.82, 0.12),
            (0.45, 0.0),
            (0.2, 0.22),
            (0.5, 0.46),
            (0.84, 0.74),
            (0.5, 1.0),
            (0.14, 0.78),
            (0.45, 0.5),
            (0.82, 0.2),
            (0.8, 0.1),
        ])],
    ],
    &[
        &[
            Curved(&[
                (0.85, 0.25),
                (0.5, 0.02),
                (0.13, 0.25),
                (0.4, 0.5),
                (0.8, 0.35),
                (0.87, 0.2),
            ]),
            Straight(&[(0.87, 0.2), (0.8, 1.0)]),
        ],
        &[
            Curved(&[
                (0.85, 0.22),
                (0.5, 0.0),
                (0.13, 0.22),
                (0.4, 0.5),
                (0.78, 0.38),
                (0.86, 0.2),
            ]),
            Curved(&[(0.86, 0.2), (0.86, 0.65), (0.6, 0.98), (0.2, 0.93)]),
        ],
    ],
];

/// Ground and ink; the first `N_SEEN_PAPERS` are seen in training.
const PAPERS: [(Colour, Colour, &str); 9] = [
    ([0, 0, 0], [255, 255, 255], "white on black"),
    ([4, 4, 4], [232, 232, 232], "white on black"),
    ([246, 244, 236], [24, 24, 28], "black ink on white paper"),
    ([250, 250, 248], [36, 52, 150], "blue ink on white paper"),
    ([34, 66, 52], [226, 232, 224], "chalk on a green board"),
    ([244, 226, 120], [40, 36, 30], "black ink on a yellow note"),
    ([232, 218, 190], [120, 50, 30], "brown ink on old paper"),
    ([24, 34, 84], [240, 220, 120], "yellow on dark blue"),
    ([246, 200, 210], [90, 30, 90], "purple ink on a pink note"),
];
const N_SEEN_PAPERS: usize = 6;

impl Domain for Digits {
    fn name(&self) -> &'static str {
        "digits"
    }

    fn class_names(&self) -> Vec<String> {
        owned(&NAMES)
    }

    fn templates(&self) -> Vec<String> {
        owned(&[
            "a photo of the number: \"{}\".",
            "the handwritten digit {}.",
            "a handwritten {}.",
        ])
    }

    fn vague(&self) -> &'static [&'static str] {
        &[
            "some handwriting",
            "a handwritten figure",
            "a scribble in ink",
            "a number written by hand",
            "a pen stroke",
            "something written by hand",
        ]
    }

    fn draw(&self, class_idx: usize, split: Split, rng: &mut Rng) -> Drawing {
        // Most images are white on black, as MNIST's are.
        let papers = split.pool(&PAPERS, N_SEEN_PAPERS);
        let (ground, ink, paper) = if rng.chance(0.55) {
            PAPERS[0]
        } else {
            *rng.pick(papers)
        };
        let (ground, ink) = (jitter(ground, 8.0, rng), jitter(ink, 12.0, rng));
        let mut canvas = Canvas::filled(ground);
        let width = rng.range(2.0, 5.2);
        let place = random_placement(rng);
        for stroke in *rng.pick(HANDS[class_idx]) {
            let line = match stroke {
                Straight(points) => wobbled(points, rng),
                Curved(points) => smooth(&wobbled(points, rng)),
            };
            let line: Vec<Point> = line.into_iter().map(&place).collect();
            canvas.polyline(&line, width, ink);
        }
        canvas.blur(rng.range(0.2, 0.8));
        canvas.noise(rng.range(0.0, 8.0), rng);

        let mut attributes = two_of(SHAPES[class_idx], rng);
        attributes.push(paper.to_owned());
        if width > 4.2 {
            attributes.push("a thick stroke".to_owned());
        } else if width < 2.7 {
            attributes.push("a thin stroke".to_owned());
        }
        Drawing {
            image: canvas.finish(),
            attributes,
        }
    }
}

/// An unsteady hand: control points a little off.
fn wobbled(points: &[Point], rng: &mut Rng) -> Vec<Point> {
    points
        .iter()
        .map(|&(x, y)| (x + 0.035 * rng.normal(), y + 0.03 * rng.normal()))
        .collect()
}

/// From the unit box to the picture, with a writer's own size, width, slant and place.
fn random_placement(rng: &mut Rng) -> impl Fn(Point) -> Point + use<> {
    let height = rng.range(26.0, 37.0);
    let width = height * rng.range(0.5, 0.85);
    let slant = rng.range(-0.12, 0.38);
    let (sin, cos) = rng.range(-0.16, 0.16).sin_cos();
    let middle = (
        SIZE / 2.0 + rng.range(-3.0, 3.0),
        SIZE / 2.0 + rng.range(-3.0, 3.0),
    );
    move |(x, y)| {
        let (x, y) = ((x - 0.5) * width, (y - 0.5) * height);
        let x = x - slant * y;
        (middle.0 + cos * x - sin * y, middle.1 + sin * x + cos * y)
    }
}
