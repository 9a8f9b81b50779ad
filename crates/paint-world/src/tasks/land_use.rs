//! `land-use`: land cover seen from a satellite, in the manner of EuroSAT.

use std::f32::consts::{PI, TAU};

use paint_data::Rng;

use super::ground::{along, anywhere, beside, cover, covered, house, lay, roof};
use super::noise::{Noise, step};
use super::pen::smooth;
use super::{owned, two_of};
use crate::canvas::Canvas;
use crate::colour::{Colour, jitter, mix};
use crate::domain::{Domain, Drawing, Split};

pub(super) struct LandUse;

struct Land {
    name: &'static str,
    paint: fn(&Season, &mut Rng) -> Canvas,
    looks: &'static [&'static str],
}

const LANDS: [Land; 10] = [
    Land {
        name: "annual crop land",
        paint: annual_crop,
        looks: &[
            "large bare and green plots",
            "brown and green rectangles",
            "broad plots with straight borders",
        ],
    },
    Land {
        name: "forest",
        paint: forest,
        looks: &[
            "dense dark green",
            "a dark green carpet of trees",
            "nothing but tree tops",
        ],
    },
    Land {
        name: "brushland or shrubland",
        paint: brushland,
        looks: &[
            "mottled olive ground with bushes",
            "scattered small bushes",
            "patchy brown and green ground",
        ],
    },
    Land {
        name: "highway or road",
        paint: highway,
        looks: &[
            "a long gray line across the land",
            "a straight line through the country",
            "a pair of lanes crossing the picture",
        ],
    },
    Land {
        name: "industrial buildings or commercial buildings",
        paint: industrial,
        looks: &[
            "large bright flat roofs",
            "big white and gray blocks",
            "halls with paved yards",
        ],
    },
    Land {
        name: "pasture land",
        paint: pasture,
        looks: &[
            "smooth light green meadows",
            "green grass with hedges",
            "an even green with a few trees",
        ],
    },
    Land {
        name: "permanent crop land",
        paint: permanent_crop,
        looks: &[
            "fine parallel rows of plants",
            "dots planted in rows",
            "plots with rows of bushes",
        ],
    },
    Land {
        name: "residential buildings or homes",
        paint: residential,
        looks: &[
            "many small roofs along streets",
            "small red and gray roofs",
            "a dense pattern of tiny houses",
        ],
    },
    Land {
        name: "river",
        paint: river,
        looks: &[
            "a winding band of water",
            "a dark curved band through the land",
            "water between banks",
        ],
    },
    Land {
        name: "lake or sea",
        paint: lake,
        looks: &[
            "an even blue surface",
            "nothing but dark water",
            "a wide water surface",
        ],
    },
];

/// The light and the state of the vegetation; held-out splits have seasons of their own.
struct Season {
    green: Colour,
    soil: Colour,
}

const SEASONS: [Season; 6] = [
    Season {
        green: [84, 116, 62],
        soil: [150, 124, 92],
    },
    Season {
        green: [96, 132, 70],
        soil: [170, 140, 104],
    },
    Season {
        green: [70, 100, 66],
        soil: [128, 110, 90],
    },
    Season {
        green: [110, 128, 76],
        soil: [176, 152, 116],
    },
    Season {
        green: [128, 130, 80],
        soil: [186, 160, 110],
    },
    Season {
        green: [74, 112, 84],
        soil: [140, 112, 98],
    },
];
const N_SEEN_SEASONS: usize = 4;

impl Domain for LandUse {
    fn name(&self) -> &'static str {
        "land-use"
    }

    fn class_names(&self) -> Vec<String> {
        LANDS.iter().map(|l| l.name.to_owned()).collect()
    }

    fn templates(&self) -> Vec<String> {
        owned(&[
            "a centered satellite photo of {}.",
            "a centered satellite photo of a {}.",
            "a satellite picture of {}.",
        ])
    }

    fn vague(&self) -> &'static [&'static str] {
        &[
            "a satellite picture",
            "some land seen from space",
            "a view from far above",
            "a piece of country from a satellite",
            "the ground from above",
        ]
    }

    fn draw(&self, class_idx: usize, split: Split, rng: &mut Rng) -> Drawing {
        let land = &LANDS[class_idx];
        let season = rng.pick(split.pool(&SEASONS, N_SEEN_SEASONS));
        let season = Season {
            green: jitter(season.green, 14.0, rng),
            soil: jitter(season.soil, 14.0, rng),
        };
        let mut canvas = (land.paint)(&season, rng);
        // Haze: a little of the sky's colour over everything, and the sensor's softness.
        let haze = rng.range(0.0, 0.22);
        canvas.map(|_, _, c| mix(c, [150, 165, 185], haze));
        canvas.blur(rng.range(0.2, 0.75));
        canvas.tone(
            rng.range(-22.0, 18.0),
            rng.range(0.8, 1.15),
            rng.range(0.75, 1.15),
        );
        canvas.noise(rng.range(1.0, 7.0), rng);
        Drawing {
            image: canvas.finish(),
            attributes: two_of(land.looks, rng),
        }
    }
}

/// Plots of farmland: long rectangles in one direction, each with a colour of its own.
fn plots(
    season: &Season,
    size: (f32, f32),
    fill: impl Fn(f32, f32, f32) -> Colour,
    rng: &mut Rng,
) -> Canvas {
    let noise = Noise::new(rng);
    let angle = rng.range(0.0, PI);
    let (w, h) = size;
    // Far enough that the whole picture has positive coordinates.
    let shift = rng.range(100.0, 200.0);
    let edge = mix(season.green, [40, 50, 30], 0.4);
    Canvas::from_fn(|x, y| {
        let v = (beside(angle, 0.0, x, y) + shift) / h;
        let row = v.floor();
        let u =
            (beside(angle + PI / 2.0, 0.0, x, y) + shift) / w + 0.37 * noise.lattice(row as i32, 3);
        let tone = noise.lattice(u.floor() as i32, row as i32);
        let border = (u.fract() * w).min(v.fract() * h) < 0.8;
        let grain = noise.fractal(x / 3.0, y / 3.0, 2) - 0.5;
        let colour = if border {
            edge
        } else {
            fill(tone, u * w, v * h)
        };
        mix(colour, [20, 20, 10], 0.12 + 0.24 * grain)
    })
}

fn annual_crop(season: &Season, rng: &mut Rng) -> Canvas {
    let (green, soil) = (season.green, season.soil);
    let ripe = [206, 190, 120];
    let size = (rng.range(18.0, 40.0), rng.range(10.0, 24.0));
    plots(
        season,
        size,
        |tone, _, _| match (tone * 10.0) as u32 {
            0..=3 => mix(soil, [220, 190, 150], tone),
            4..=6 => mix(green, [120, 170, 60], 2.0 * (tone - 0.4)),
            7..=8 => mix(ripe, soil, 0.3),
            _ => mix(green, soil, 0.5),
        },
        rng,
    )
}

fn permanent_crop(season: &Season, rng: &mut Rng) -> Canvas {
    let (green, soil) = (
        mix(season.green, [30, 60, 20], 0.4),
        mix(season.soil, [200, 180, 150], 0.3),
    );
    let pitch = rng.range(2.6, 4.2);
    let orchard = rng.chance(0.5);
    let size = (rng.range(20.0, 36.0), rng.range(14.0, 26.0));
    plots(
        season,
        size,
        |tone, u, v| {
            let across = (if tone < 0.5 { v } else { u } / pitch * TAU).sin();
            let dots = if orchard {
                ((if tone < 0.5 { u } else { v }) / pitch * TAU).sin()
            } else {
                1.0
            };
            mix(
                soil,
                green,
                step(-0.5, 0.5, across.min(dots)) * (0.6 + 0.4 * tone),
            )
        },
        rng,
    )
}

fn forest(season: &Season, rng: &mut Rng) -> Canvas {
    let dark = mix(season.green, [14, 34, 22], rng.range(0.55, 0.8));
    let mut canvas = cover(
        mix(dark, [0, 0, 0], 0.35),
        mix(dark, season.green, 0.25),
        rng.range(2.0, 4.0),
        rng,
    );
    if rng.chance(0.2) {
        clearing(&mut canvas, season, rng);
    }
    canvas
}

fn clearing(canvas: &mut Canvas, season: &Season, rng: &mut Rng) {
    let (x, y) = anywhere(rng);
    canvas.ellipse(
        x,
        y,
        rng.range(3.0, 7.0),
        rng.range(2.0, 5.0),
        rng.range(0.0, PI),
        season.green,
    );
}

fn brushland(season: &Season, rng: &mut Rng) -> Canvas {
    let olive = mix(season.green, season.soil, rng.range(0.35, 0.6));
    let mut canvas = cover(
        olive,
        mix(olive, season.soil, 0.7),
        rng.range(5.0, 10.0),
        rng,
    );
    for _ in 0..rng.below(120) + 70 {
        let (x, y) = anywhere(rng);
        let bush = jitter(mix(season.green, [30, 46, 26], 0.6), 10.0, rng);
        canvas.circle(x, y, rng.range(0.5, 1.5), bush);
    }
    canvas
}

fn pasture(season: &Season, rng: &mut Rng) -> Canvas {
    let grass = mix(season.green, [128, 182, 84], rng.range(0.45, 0.75));
    let mut canvas = cover(
        grass,
        mix(grass, [160, 190, 110], 0.4),
        rng.range(14.0, 26.0),
        rng,
    );
    let hedge = mix(season.green, [24, 44, 22], 0.6);
    for _ in 0..rng.below(3) {
        let (angle, offset) = (rng.range(0.0, PI), rng.range(-18.0, 18.0));
        canvas.line(
            along(angle, -40.0, offset),
            along(angle, 40.0, offset),
            rng.range(0.8, 1.6),
            hedge,
        );
    }
    for _ in 0..rng.below(7) {
        let (x, y) = anywhere(rng);
        canvas.circle(x, y, rng.range(0.8, 1.8), hedge);
    }
    canvas
}

/// Farmland, meadow or wood, for something else to lie in.
fn country(season: &Season, rng: &mut Rng) -> Canvas {
    match rng.below(4) {
        0 => annual_crop(season, rng),
        1 => pasture(season, rng),
        2 => brushland(season, rng),
        _ => forest(season, rng),
    }
}

fn highway(season: &Season, rng: &mut Rng) -> Canvas {
    let mut canvas = country(season, rng);
    let (angle, offset) = (rng.range(0.0, PI), rng.range(-8.0, 8.0));
    let bend = rng.range(-6.0, 6.0);
    let path = |o: f32| {
        smooth(&[
            along(angle, -40.0, offset + o),
            along(angle, 0.0, offset + bend + o),
            along(angle, 40.0, offset + o),
        ])
    };
    let g = rng.range(130.0, 190.0) as u8;
    let width = rng.range(1.4, 2.4);
    let verge = mix(season.soil, [190, 180, 160], 0.4);
    canvas.polyline(&path(0.0), 2.6 * width + 1.5, verge);
    if rng.chance(0.6) {
        canvas.polyline(&path(-0.8 * width), width, [g, g, g]);
        canvas.polyline(&path(0.8 * width), width, [g, g, g]);
    } else {
        canvas.polyline(&path(0.0), 1.5 * width, [g, g, g]);
    }
    if rng.chance(0.4) {
        let turn = angle + rng.range(0.6, 2.4);
        canvas.line(
            along(turn, -40.0, 0.0),
            along(turn, 40.0, 0.0),
            1.2,
            [g, g, g],
        );
    }
    canvas
}

fn industrial(season: &Season, rng: &mut Rng) -> Canvas {
    let yard = jitter([150, 146, 140], 14.0, rng);
    let mut canvas = cover(yard, mix(yard, season.soil, 0.4), 8.0, rng);
    let angle = rng.range(0.0, PI);
    if rng.chance(0.5) {
        let side = rng.range(8.0, 20.0);
        let grass = season.green;
        lay(&mut canvas, |x, y| beside(angle, side, x, y), |_, _| grass);
    }
    for _ in 0..rng.below(6) + 5 {
        let at = along(angle, rng.range(-24.0, 24.0), rng.range(-24.0, 24.0));
        let bright = rng.range(150.0, 250.0) as u8;
        let roof = if rng.chance(0.15) {
            [120, 150, 190]
        } else {
            jitter([bright, bright, bright], 8.0, rng)
        };
        let size = (rng.range(7.0, 18.0), rng.range(5.0, 12.0));
        canvas.rotated_rect(at.0 + 1.0, at.1 + 1.0, size.0, size.1, angle, [60, 60, 64]);
        canvas.rotated_rect(at.0, at.1, size.0, size.1, angle, roof);
    }
    let road = along(angle, 0.0, rng.range(-14.0, 14.0));
    canvas.rotated_rect(road.0, road.1, 90.0, 2.0, angle, [96, 96, 98]);
    canvas
}

fn residential(season: &Season, rng: &mut Rng) -> Canvas {
    let mut canvas = cover(season.green, mix(season.green, season.soil, 0.6), 4.0, rng);
    let angle = rng.range(0.0, PI);
    let block = rng.range(7.0, 11.0);
    let street = jitter([150, 148, 146], 14.0, rng);
    for row in -5..=5 {
        let o = row as f32 * block;
        canvas.line(along(angle, -40.0, o), along(angle, 40.0, o), 1.3, street);
        for column in -10..=10 {
            let d = column as f32 * 3.6 + rng.range(-0.7, 0.7);
            for side in [-0.28, 0.28] {
                if rng.chance(0.85) {
                    let size = (rng.range(1.9, 2.9), rng.range(1.7, 2.6));
                    let colour = roof(rng);
                    house(
                        &mut canvas,
                        along(angle, d, o + side * block),
                        size,
                        angle,
                        colour,
                    );
                }
            }
        }
    }
    for _ in 0..rng.below(2) + 1 {
        let d = rng.range(-16.0, 16.0);
        canvas.line(along(angle, d, -40.0), along(angle, d, 40.0), 1.4, street);
    }
    canvas
}

/// A colour of water, from muddy green to deep blue.
fn water(rng: &mut Rng) -> Colour {
    const WATERS: [Colour; 4] = [[36, 62, 98], [28, 48, 74], [48, 82, 92], [62, 88, 84]];
    let base = *rng.pick(&WATERS);
    jitter(base, 8.0, rng)
}

fn river(season: &Season, rng: &mut Rng) -> Canvas {
    let mut canvas = country(season, rng);
    let angle = rng.range(0.0, PI);
    let swing = rng.range(4.0, 11.0);
    let offset = rng.range(-6.0, 6.0);
    let points: Vec<_> = (-3..=3)
        .map(|i| {
            along(
                angle,
                12.0 * i as f32,
                offset + swing * (i as f32 * 1.3 + swing).sin(),
            )
        })
        .collect();
    let width = rng.range(4.0, 10.0);
    let line = smooth(&points);
    canvas.polyline(&line, width + 2.0, mix(season.green, season.soil, 0.6));
    canvas.polyline(&line, width, water(rng));
    canvas
}

fn lake(season: &Season, rng: &mut Rng) -> Canvas {
    let deep = water(rng);
    let mut canvas = cover(deep, mix(deep, [70, 110, 130], 0.18), 18.0, rng);
    if rng.chance(0.35) {
        let (angle, offset) = (rng.range(0.0, TAU), rng.range(12.0, 22.0));
        let noise = Noise::new(rng);
        let (green, soil) = (season.green, season.soil);
        let shore =
            |x: f32, y: f32| beside(angle, offset, x, y) + 6.0 * (noise.at(x / 8.0, y / 8.0) - 0.5);
        lay(&mut canvas, shore, |x, y| {
            covered(green, soil, 5.0, (x, y), &noise)
        });
    }
    canvas
}
