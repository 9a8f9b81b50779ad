//! `distance`: how far the nearest car is on a road scene, in the manner of KITTI.

use paint_data::Rng;

use super::noise::Noise;
use super::owned;
use super::pen::{Pen, Point};
use crate::canvas::{Canvas, SIZE};
use crate::colour::{Colour, jitter, mix};
use crate::domain::{Domain, Drawing, Split};

pub(super) struct Distance;

/// The four classes with the class names of the CLIP and PAINT papers.
const NAMES: [&str; 4] = [
    "a photo i took of a car on my left or right side.",
    "a photo i took with a car nearby.",
    "a photo i took with a car in the distance.",
    "a photo i took with no car.",
];

/// The country the road runs through; held-out splits add what comes after `N_SEEN_PLACES`.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Town,
    Country,
    Wood,
    Suburb,
    Night,
    Snow,
}
const PLACES: [Place; 6] = [
    Place::Town,
    Place::Country,
    Place::Wood,
    Place::Suburb,
    Place::Night,
    Place::Snow,
];
const N_SEEN_PLACES: usize = 4;

/// The road in perspective.
struct Road {
    /// Where all lines along the road meet.
    vanishing: Point,
    /// Half the road's width at the lower edge of the picture.
    half_width: f32,
}

impl Road {
    /// The point of the road `across` (-1 at its left edge, 1 at its right) and `near` (0 at the
    /// horizon, 1 at the picture's lower edge).
    fn at(&self, across: f32, near: f32) -> Point {
        let (vx, vy) = self.vanishing;
        (
            vx + near * (SIZE / 2.0 - vx + across * self.half_width),
            vy + near * (SIZE - vy),
        )
    }
}

impl Domain for Distance {
    fn name(&self) -> &'static str {
        "distance"
    }

    fn class_names(&self) -> Vec<String> {
        owned(&NAMES)
    }

    fn templates(&self) -> Vec<String> {
        owned(&["{}"])
    }

    fn vague(&self) -> &'static [&'static str] {
        &[
            "a photo i took while driving",
            "a view over the road ahead",
            "a street seen from a moving vehicle",
            "traffic ahead of me",
            "a photo i took on the way",
        ]
    }

    fn draw(&self, class_idx: usize, split: Split, rng: &mut Rng) -> Drawing {
        let place = *rng.pick(split.pool(&PLACES, N_SEEN_PLACES));
        let road = Road {
            vanishing: (SIZE / 2.0 + rng.range(-4.0, 4.0), rng.range(17.0, 23.0)),
            half_width: rng.range(20.0, 32.0),
        };
        let mut canvas = paint_country(place, &road, rng);
        paint_roadside(&mut canvas, place, &road, class_idx == 3, rng);
        paint_vehicles(&mut canvas, class_idx, &road, rng);
        light(&mut canvas, place, rng);
        Drawing {
            image: canvas.finish(),
            attributes: describe(class_idx, place, rng),
        }
    }
}

fn describe(class_idx: usize, place: Place, rng: &mut Rng) -> Vec<String> {
    const LOOKS: [&[&str]; 4] = [
        &[
            "a vehicle beside me, cut by the edge",
            "a large vehicle at the edge of the picture",
            "the lane ahead is free but a vehicle is beside it",
        ],
        &[
            "a large vehicle right in front of me",
            "rear lights close ahead",
            "a vehicle that fills the lane ahead",
        ],
        &[
            "a small vehicle far ahead",
            "a tiny vehicle near the horizon",
            "a free road with something small far away",
        ],
        &[
            "an empty road",
            "a free road up to the horizon",
            "a lane without any vehicle",
        ],
    ];
    let scenery = match place {
        Place::Town => "houses along the street",
        Place::Country => "fields along the road",
        Place::Wood => "trees along the road",
        Place::Suburb => "hedges and houses",
        Place::Night => "a dark night sky",
        Place::Snow => "snow beside the road",
    };
    let mut order = LOOKS[class_idx].to_vec();
    rng.shuffle(&mut order);
    vec![order[0].to_owned(), order[1].to_owned(), scenery.to_owned()]
}

fn paint_country(place: Place, road: &Road, rng: &mut Rng) -> Canvas {
    let (sky_top, sky_low, verge): (Colour, Colour, Colour) = match place {
        Place::Night => ([14, 18, 40], [46, 48, 66], [30, 36, 32]),
        Place::Snow => ([176, 190, 206], [214, 220, 226], [226, 230, 236]),
        Place::Town => ([140, 176, 214], [206, 216, 224], [150, 146, 140]),
        Place::Wood => ([120, 160, 200], [190, 206, 214], [62, 92, 50]),
        Place::Suburb => ([130, 170, 220], [214, 224, 232], [110, 136, 80]),
        Place::Country => ([110, 160, 220], [210, 222, 230], [120, 146, 70]),
    };
    let (sky_top, verge) = (jitter(sky_top, 16.0, rng), jitter(verge, 14.0, rng));
    let noise = Noise::new(rng);
    let horizon = road.vanishing.1;
    let mut canvas = Canvas::from_fn(|x, y| {
        if y < horizon {
            let cloud = (noise.fractal(x / 14.0, y / 6.0, 3) - 0.45).max(0.0);
            mix(
                mix(sky_top, sky_low, y / horizon),
                sky_low,
                (2.0 * cloud).min(1.0),
            )
        } else {
            let grain = noise.fractal(x / 4.0, y / 2.0, 2);
            mix(verge, [30, 32, 24], 0.5 * grain)
        }
    });
    let g = rng.range(70.0, 130.0) as u8;
    let surface = if place == Place::Night {
        [44, 44, 50]
    } else {
        [g, g, g]
    };
    let edges = [
        road.at(-1.0, 1.05),
        road.at(-1.0, 0.0),
        road.at(1.0, 0.0),
        road.at(1.0, 1.05),
    ];
    canvas.polygon(&edges, surface);
    paint_markings(&mut canvas, road, rng);
    canvas
}

fn paint_markings(canvas: &mut Canvas, road: &Road, rng: &mut Rng) {
    let white = [222, 222, 216];
    let phase = rng.uniform();
    let lanes: &[f32] = if rng.chance(0.5) {
        &[0.0]
    } else {
        &[-0.33, 0.33]
    };
    for i in 0..7 {
        // Dashes of equal length on the ground: their nearness falls as one over distance.
        let (near, far) = (
            1.0 / (0.7 + 0.8 * (i as f32 + phase)),
            1.0 / (1.1 + 0.8 * (i as f32 + phase)),
        );
        for lane in lanes {
            let w = 0.02;
            let quad = [
                road.at(lane - w, near),
                road.at(lane - w, far),
                road.at(lane + w, far),
                road.at(lane + w, near),
            ];
            canvas.polygon(&quad, white);
        }
    }
    for side in [-0.92, 0.92] {
        let quad = [
            road.at(side - 0.02, 1.1),
            road.at(side, 0.02),
            road.at(side + 0.02, 1.1),
        ];
        canvas.polygon(&quad, white);
    }
}

/// Houses, trees and poles, from far to near; on empty roads also things that are not vehicles.
fn paint_roadside(canvas: &mut Canvas, place: Place, road: &Road, empty: bool, rng: &mut Rng) {
    for i in 0..9 {
        let near = 0.12 + 0.075 * i as f32 + rng.range(0.0, 0.05);
        for side in [-1.0, 1.0] {
            if rng.chance(0.3) {
                continue;
            }
            let (x, y) = road.at(side * rng.range(1.35, 1.8), near);
            let size = near * rng.range(22.0, 34.0);
            let built = matches!(place, Place::Town | Place::Suburb | Place::Night);
            if built && rng.chance(if place == Place::Suburb { 0.4 } else { 0.75 }) {
                paint_house(canvas, (x + side * size * 0.3, y), size, rng);
            } else {
                paint_tree(canvas, place, (x, y), size, rng);
            }
        }
    }
    if empty && rng.chance(0.5) {
        let side = if rng.chance(0.5) { -1.0 } else { 1.0 };
        let (x, y) = road.at(side * 1.1, rng.range(0.3, 0.6));
        paint_person(canvas, (x, y), rng.range(5.0, 9.0), rng);
    }
}

fn paint_house(canvas: &mut Canvas, (x, y): Point, size: f32, rng: &mut Rng) {
    let wall = jitter(
        *rng.pick(&[
            [196, 180, 156],
            [170, 120, 96],
            [214, 210, 200],
            [150, 150, 156],
        ]),
        18.0,
        rng,
    );
    let (w, h) = (size * rng.range(0.7, 1.1), size * rng.range(0.8, 1.5));
    canvas.rect(x - w / 2.0, y - h, w, h, wall);
    let window = mix(wall, [30, 36, 50], 0.7);
    for (i, j) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
        let (wx, wy) = (
            x - 0.33 * w + 0.42 * w * i as f32,
            y - 0.85 * h + 0.4 * h * j as f32,
        );
        canvas.rect(wx, wy, 0.22 * w, 0.22 * h, window);
    }
    if rng.chance(0.5) {
        let roof = [
            (x - 0.55 * w, y - h),
            (x, y - 1.3 * h),
            (x + 0.55 * w, y - h),
        ];
        canvas.polygon(&roof, [120, 66, 54]);
    }
}

fn paint_tree(canvas: &mut Canvas, place: Place, (x, y): Point, size: f32, rng: &mut Rng) {
    let leaf = if place == Place::Snow {
        [190, 200, 204]
    } else {
        [50, 90, 44]
    };
    let leaf = jitter(leaf, 20.0, rng);
    let trunk = (0.1 * size).max(0.5);
    canvas.line((x, y), (x, y - 0.6 * size), trunk, [74, 56, 44]);
    canvas.ellipse(x, y - 0.75 * size, 0.3 * size, 0.42 * size, 0.0, leaf);
    canvas.circle(
        x - 0.1 * size,
        y - 0.85 * size,
        0.16 * size,
        mix(leaf, [200, 220, 140], 0.25),
    );
}

fn paint_person(canvas: &mut Canvas, at: Point, height: f32, rng: &mut Rng) {
    let coat = crate::colour::any(rng);
    let mut pen = Pen::new(canvas, at, height);
    pen.line(
        &[(-0.06, 0.0), (0.0, -0.45), (0.08, 0.0)],
        0.09,
        [40, 40, 60],
    );
    pen.line(&[(0.0, -0.45), (0.0, -0.75)], 0.22, coat);
    pen.disc((0.0, -0.9), 0.1, [200, 160, 130]);
}

/// Where vehicles stand: across the road, near (see [`Road::at`]).
fn paint_vehicles(canvas: &mut Canvas, class_idx: usize, road: &Road, rng: &mut Rng) {
    let lane = |rng: &mut Rng| *rng.pick(&[-0.35, 0.3, 0.0]) + rng.range(-0.08, 0.08);
    match class_idx {
        0 => {
            let side = if rng.chance(0.5) { -1.0 } else { 1.0 };
            if rng.chance(0.3) {
                paint_vehicle(canvas, road, -side * 0.85, rng.range(0.45, 0.6), side, rng);
            }
            paint_vehicle(
                canvas,
                road,
                side * rng.range(0.85, 1.05),
                rng.range(0.62, 0.95),
                -side,
                rng,
            );
        }
        1 => {
            let across = lane(rng) * 0.5;
            paint_vehicle(canvas, road, across, rng.range(0.5, 0.85), 0.0, rng);
        }
        2 => {
            for _ in 0..1 + rng.below(2) {
                let across = lane(rng);
                paint_vehicle(canvas, road, across, rng.range(0.16, 0.27), 0.0, rng);
            }
        }
        _ => {}
    }
}

/// A car, van or lorry from behind; `flank` is the side (-1 left, 1 right) of it that is seen, 0 for none.
fn paint_vehicle(
    canvas: &mut Canvas,
    road: &Road,
    across: f32,
    near: f32,
    flank: f32,
    rng: &mut Rng,
) {
    const PAINTS: [Colour; 8] = [
        [200, 204, 208],
        [34, 36, 42],
        [170, 30, 34],
        [36, 70, 150],
        [240, 240, 240],
        [120, 124, 130],
        [40, 96, 70],
        [196, 150, 50],
    ];
    let base = *rng.pick(&PAINTS);
    let body = jitter(base, 14.0, rng);
    let tall = *rng.pick(&[1.0, 1.0, 1.0, 1.3, 1.75]);
    let at = road.at(across, near);
    let mut pen = Pen::new(canvas, at, near * road.half_width * 0.42);
    let glass = [40, 52, 66];
    pen.veil(
        &[(-1.15, -0.05), (1.15, -0.05), (1.1, 0.14), (-1.1, 0.14)],
        [10, 10, 12],
        0.6,
    );
    if flank != 0.0 {
        // The side runs back towards the vanishing point.
        let far = 1.9 * flank;
        let side = mix(body, [0, 0, 0], 0.22);
        pen.polygon(
            &[
                (0.9 * flank, -0.1),
                (0.9 * flank, -0.85 * tall),
                (far, -0.8 * tall),
                (far, -0.35),
            ],
            side,
        );
        pen.polygon(
            &[
                (0.85 * flank, -0.85 * tall),
                (0.7 * flank, -1.35 * tall),
                (far - 0.4 * flank, -1.2 * tall),
                (far, -0.8 * tall),
            ],
            glass,
        );
        pen.disc((1.15 * flank, -0.2), 0.26, [20, 20, 22]);
        pen.disc((far - 0.15 * flank, -0.4), 0.18, [20, 20, 22]);
    }
    for side in [-0.7, 0.7] {
        pen.rect((side - 0.18, -0.25), 0.36, 0.3, [18, 18, 20]);
    }
    pen.rect((-0.98, -0.85 * tall), 1.96, 0.85 * tall - 0.12, body);
    pen.polygon(
        &[
            (-0.92, -0.82 * tall),
            (-0.7, -1.4 * tall),
            (0.7, -1.4 * tall),
            (0.92, -0.82 * tall),
        ],
        mix(body, [0, 0, 0], 0.12),
    );
    pen.polygon(
        &[
            (-0.78, -0.86 * tall),
            (-0.6, -1.28 * tall),
            (0.6, -1.28 * tall),
            (0.78, -0.86 * tall),
        ],
        glass,
    );
    for side in [-0.8, 0.8] {
        pen.rect((side - 0.15, -0.72), 0.3, 0.2, [220, 40, 34]);
    }
    pen.rect((-0.26, -0.42), 0.52, 0.16, [236, 236, 226]);
}

fn light(canvas: &mut Canvas, place: Place, rng: &mut Rng) {
    if place == Place::Night {
        canvas.tone(-12.0, 0.9, 0.8);
    }
    canvas.degrade(rng.range(0.1, 0.6), rng);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_road_runs_from_its_vanishing_point_to_the_lower_edge() {
        let road = Road {
            vanishing: (20.0, 18.0),
            half_width: 30.0,
        };
        assert_eq!(road.at(-1.0, 0.0), (20.0, 18.0));
        assert_eq!(road.at(1.0, 1.0), (54.0, 48.0));
        assert_eq!(road.at(0.0, 0.5), (22.0, 33.0));
    }
}
