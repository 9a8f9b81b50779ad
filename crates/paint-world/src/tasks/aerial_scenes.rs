//! `aerial-scenes`: places seen from an aeroplane, in the manner of RESISC45.

use std::f32::consts::{FRAC_PI_2, PI, TAU};

use paint_data::Rng;

use super::ground::{
    along, anywhere, asphalt, beside, cover, covered, dashes, house, is_outside, lay, road, roof,
    tree, trees, vehicle,
};
use super::noise::Noise;
use super::pen::{Point, smooth};
use super::{owned, two_of};
use crate::canvas::{Canvas, SIZE, placed, regular};
use crate::colour::{Colour, jitter, mix};
use crate::domain::{Domain, Drawing, Split};

pub(super) struct AerialScenes;

struct Scene {
    name: &'static str,
    paint: fn(&Land, &mut Rng) -> Canvas,
    looks: &'static [&'static str],
}

/// The colours of the country; held-out splits add those after the first `N_SEEN_LANDS`.
struct Land {
    grass: Colour,
    soil: Colour,
    water: Colour,
}

const LANDS: [Land; 6] = [
    Land {
        grass: [96, 128, 70],
        soil: [168, 146, 112],
        water: [50, 96, 130],
    },
    Land {
        grass: [120, 140, 80],
        soil: [184, 160, 120],
        water: [60, 110, 128],
    },
    Land {
        grass: [80, 112, 66],
        soil: [146, 126, 100],
        water: [40, 78, 110],
    },
    Land {
        grass: [108, 124, 88],
        soil: [160, 140, 116],
        water: [70, 120, 150],
    },
    Land {
        grass: [140, 140, 92],
        soil: [196, 168, 124],
        water: [48, 110, 120],
    },
    Land {
        grass: [78, 120, 90],
        soil: [150, 120, 104],
        water: [36, 66, 96],
    },
];
const N_SEEN_LANDS: usize = 4;

const MIDDLE: Point = (SIZE / 2.0, SIZE / 2.0);

const SCENES: [Scene; 25] = [
    Scene {
        name: "airplane",
        paint: airplane,
        looks: &[
            "white wings and a tail",
            "a white body with wings on concrete",
        ],
    },
    Scene {
        name: "airport runway",
        paint: runway,
        looks: &[
            "a broad strip with white bars at its end",
            "a long straight strip in grass",
        ],
    },
    Scene {
        name: "baseball diamond",
        paint: baseball,
        looks: &[
            "a brown quarter disc in grass",
            "a sandy fan with a green square",
        ],
    },
    Scene {
        name: "basketball court",
        paint: basketball,
        looks: &[
            "a coloured field with curved white lines at both ends",
            "half circles of white lines on a small field",
        ],
    },
    Scene {
        name: "tennis court",
        paint: tennis,
        looks: &[
            "a field of rectangles in white lines",
            "straight white lines with a net across",
        ],
    },
    Scene {
        name: "running track",
        paint: track,
        looks: &[
            "a red oval ring around grass",
            "red lanes around a green field",
        ],
    },
    Scene {
        name: "stadium",
        paint: stadium,
        looks: &[
            "rows of seats around a green field",
            "gray stands in a ring",
        ],
    },
    Scene {
        name: "beach",
        paint: beach,
        looks: &[
            "yellow sand along blue water",
            "white surf between sand and water",
        ],
    },
    Scene {
        name: "island",
        paint: island,
        looks: &[
            "a piece of land surrounded by water",
            "green in the middle of blue",
        ],
    },
    Scene {
        name: "harbor",
        paint: harbor,
        looks: &[
            "rows of small boats at piers",
            "many white boats side by side",
        ],
    },
    Scene {
        name: "bridge",
        paint: bridge,
        looks: &["a road across water", "a straight deck from bank to bank"],
    },
    Scene {
        name: "sea ice",
        paint: sea_ice,
        looks: &["white floes on dark water", "angular white plates"],
    },
    Scene {
        name: "circular farmland",
        paint: circular_farmland,
        looks: &[
            "round green fields side by side",
            "large green discs on brown ground",
        ],
    },
    Scene {
        name: "terraced fields",
        paint: terraces,
        looks: &["curved steps of green", "narrow bands that follow a hill"],
    },
    Scene {
        name: "golf course",
        paint: golf,
        looks: &[
            "smooth light green lanes with sandy spots",
            "white sand spots between trees and lawn",
        ],
    },
    Scene {
        name: "desert",
        paint: desert,
        looks: &["waves of yellow sand", "bare dunes"],
    },
    Scene {
        name: "roundabout",
        paint: roundabout,
        looks: &[
            "a ring of road with arms",
            "a green disc inside a ring of road",
        ],
    },
    Scene {
        name: "intersection",
        paint: intersection,
        looks: &[
            "a pair of roads that cross",
            "zebra stripes where roads meet",
        ],
    },
    Scene {
        name: "freeway",
        paint: freeway,
        looks: &["many lanes side by side", "vehicles on parallel lanes"],
    },
    Scene {
        name: "overpass",
        paint: overpass,
        looks: &[
            "a road above another road",
            "a deck casting a shadow on lanes below",
        ],
    },
    Scene {
        name: "railway",
        paint: railway,
        looks: &["parallel tracks with sleepers", "thin rails on gray gravel"],
    },
    Scene {
        name: "parking lot",
        paint: parking_lot,
        looks: &["rows of parked cars", "many cars side by side on asphalt"],
    },
    Scene {
        name: "storage tanks",
        paint: tanks,
        looks: &["round white roofs", "white discs in rows"],
    },
    Scene {
        name: "solar panels",
        paint: solar,
        looks: &["dark blue rectangles in rows", "rows of shiny dark plates"],
    },
    Scene {
        name: "swimming pool",
        paint: pool,
        looks: &[
            "a bright turquoise basin beside a house",
            "light blue water with a pale rim",
        ],
    },
];

impl Domain for AerialScenes {
    fn name(&self) -> &'static str {
        "aerial-scenes"
    }

    fn class_names(&self) -> Vec<String> {
        SCENES.iter().map(|s| s.name.to_owned()).collect()
    }

    fn templates(&self) -> Vec<String> {
        owned(&[
            "aerial imagery of {}.",
            "an aerial photo of a {}.",
            "a view of a {} from above.",
        ])
    }

    fn vague(&self) -> &'static [&'static str] {
        &[
            "an aerial photo",
            "a place seen from above",
            "a picture taken from an aircraft",
            "a view straight down",
            "some place from the air",
        ]
    }

    fn draw(&self, class_idx: usize, split: Split, rng: &mut Rng) -> Drawing {
        let scene = &SCENES[class_idx];
        let land = rng.pick(split.pool(&LANDS, N_SEEN_LANDS));
        let land = Land {
            grass: jitter(land.grass, 14.0, rng),
            soil: jitter(land.soil, 14.0, rng),
            water: jitter(land.water, 14.0, rng),
        };
        let mut canvas = (scene.paint)(&land, rng);
        let haze = rng.range(0.0, 0.15);
        canvas.map(|_, _, c| mix(c, [160, 175, 190], haze));
        canvas.blur(rng.range(0.1, 0.6));
        canvas.tone(
            rng.range(-24.0, 20.0),
            rng.range(0.8, 1.15),
            rng.range(0.7, 1.2),
        );
        canvas.noise(rng.range(1.0, 7.0), rng);
        Drawing {
            image: canvas.finish(),
            attributes: two_of(scene.looks, rng),
        }
    }
}

/// A place near the middle.
fn centre(spread: f32, rng: &mut Rng) -> Point {
    (
        MIDDLE.0 + rng.range(-spread, spread),
        MIDDLE.1 + rng.range(-spread, spread),
    )
}

/// From an object's own plane (x along, y across) to the picture.
fn frame((cx, cy): Point, angle: f32, scale: f32) -> impl Fn(f32, f32) -> Point {
    let (sin, cos) = angle.sin_cos();
    move |x, y| {
        (
            cx + scale * (cos * x - sin * y),
            cy + scale * (sin * x + cos * y),
        )
    }
}

fn grassland(land: &Land, rng: &mut Rng) -> Canvas {
    cover(land.grass, mix(land.grass, land.soil, 0.35), 9.0, rng)
}

fn airplane(land: &Land, rng: &mut Rng) -> Canvas {
    let concrete = mix(asphalt(rng), [190, 188, 180], 0.5);
    let mut canvas = cover(concrete, mix(concrete, land.soil, 0.2), 14.0, rng);
    let line = rng.range(0.0, PI);
    canvas.line(
        along(line, -40.0, 9.0),
        along(line, 40.0, 9.0),
        0.8,
        [220, 190, 60],
    );
    for _ in 0..1 + rng.below(2) {
        let body = jitter([236, 238, 240], 10.0, rng);
        let at = frame(centre(9.0, rng), rng.range(0.0, TAU), rng.range(9.0, 15.0));
        for (shift, colour) in [(0.12, mix(concrete, [0, 0, 0], 0.55)), (0.0, body)] {
            let p = |x: f32, y: f32| at(x + shift, y + shift);
            canvas.line(p(-0.95, 0.0), p(0.95, 0.0), 2.6, colour);
            for side in [-1.0, 1.0] {
                canvas.polygon(
                    &[p(0.3, 0.0), p(-0.35, side), p(-0.5, side), p(-0.15, 0.0)],
                    colour,
                );
                canvas.polygon(
                    &[
                        p(-0.75, 0.0),
                        p(-1.0, 0.4 * side),
                        p(-1.1, 0.4 * side),
                        p(-0.95, 0.0),
                    ],
                    colour,
                );
            }
        }
    }
    canvas
}

fn runway(land: &Land, rng: &mut Rng) -> Canvas {
    let mut canvas = grassland(land, rng);
    let (angle, offset) = (rng.range(0.0, TAU), rng.range(-5.0, 5.0));
    let strip = asphalt(rng);
    let width = rng.range(11.0, 16.0);
    let end = rng.range(-18.0, 2.0);
    canvas.polygon(
        &[
            along(angle, end, offset - width / 2.0),
            along(angle, 60.0, offset - width / 2.0),
            along(angle, 60.0, offset + width / 2.0),
            along(angle, end, offset + width / 2.0),
        ],
        strip,
    );
    let white = [232, 232, 228];
    for i in -3..=3 {
        let o = offset + width * 0.125 * i as f32;
        if i != 0 {
            canvas.line(
                along(angle, end + 2.0, o),
                along(angle, end + 6.0, o),
                0.9,
                white,
            );
        }
    }
    dashes(
        &mut canvas,
        &[along(angle, end + 9.0, offset), along(angle, 60.0, offset)],
        3.0,
        0.9,
        white,
    );
    if rng.chance(0.5) {
        let o = offset + 1.6 * width;
        canvas.line(
            along(angle, -60.0, o),
            along(angle, 60.0, o),
            4.0,
            mix(strip, [200, 200, 200], 0.25),
        );
    }
    canvas
}

fn baseball(land: &Land, rng: &mut Rng) -> Canvas {
    let mut canvas = grassland(land, rng);
    let lawn = mix(land.grass, [60, 140, 50], 0.5);
    let clay = jitter([176, 120, 78], 14.0, rng);
    let angle = rng.range(0.0, TAU);
    let size = rng.range(15.0, 21.0);
    let home = along(angle, -0.75 * size, 0.0);
    let at = frame(home, angle, size);
    let fan = |r: f32| {
        let mut points = vec![at(-0.1 * r, 0.0)];
        points.extend((-5..=5).map(|i| {
            let (sin, cos) = (PI / 4.0 * i as f32 / 5.0).sin_cos();
            at(r * cos, r * sin)
        }));
        points
    };
    canvas.polygon(&fan(1.75), lawn);
    canvas.polygon(&fan(1.05), clay);
    canvas.polygon(
        &[
            at(0.16, 0.0),
            at(0.55, 0.39),
            at(0.94, 0.0),
            at(0.55, -0.39),
        ],
        lawn,
    );
    let mound = at(0.52, 0.0);
    canvas.circle(mound.0, mound.1, 0.09 * size, clay);
    canvas.circle(home.0, home.1, 0.16 * size, clay);
    for side in [-1.0, 1.0] {
        canvas.line(home, at(1.25, 1.25 * side), 0.7, [236, 232, 224]);
    }
    canvas
}

/// A rectangular field of `colour` on ground; returns its frame (half length and half width 1).
fn field(
    canvas: &mut Canvas,
    (half_length, half_width): Point,
    (border, colour): (Colour, Colour),
    rng: &mut Rng,
) -> impl Fn(f32, f32) -> Point + use<> {
    let (middle, angle) = (centre(3.0, rng), rng.range(0.0, PI));
    let at = frame(middle, angle, 1.0);
    canvas.rotated_rect(
        middle.0,
        middle.1,
        2.0 * half_length + 8.0,
        2.0 * half_width + 7.0,
        angle,
        border,
    );
    canvas.rotated_rect(
        middle.0,
        middle.1,
        2.0 * half_length,
        2.0 * half_width,
        angle,
        colour,
    );
    move |x, y| at(x * half_length, y * half_width)
}

fn court_colours(rng: &mut Rng) -> (Colour, Colour) {
    const PAIRS: [(Colour, Colour); 5] = [
        ([70, 120, 90], [60, 100, 160]),
        ([150, 80, 64], [70, 124, 90]),
        ([60, 104, 76], [150, 84, 66]),
        ([120, 124, 130], [90, 130, 110]),
        ([90, 110, 140], [186, 130, 90]),
    ];
    *rng.pick(&PAIRS)
}

fn outline(canvas: &mut Canvas, points: &[Point], width: f32) {
    canvas.polygon_outline(points, width, [238, 238, 234]);
}

fn tennis(land: &Land, rng: &mut Rng) -> Canvas {
    let mut canvas = grassland(land, rng);
    let length = rng.range(14.0, 19.0);
    let colours = court_colours(rng);
    let at = field(&mut canvas, (length, 0.5 * length), colours, rng);
    outline(
        &mut canvas,
        &[at(-1.0, -1.0), at(1.0, -1.0), at(1.0, 1.0), at(-1.0, 1.0)],
        0.9,
    );
    for side in [-0.74, 0.74] {
        canvas.line(at(-1.0, side), at(1.0, side), 0.8, [238, 238, 234]);
        canvas.line(
            at(0.7 * side, -0.74),
            at(0.7 * side, 0.74),
            0.8,
            [238, 238, 234],
        );
    }
    canvas.line(at(-0.52, 0.0), at(0.52, 0.0), 0.8, [238, 238, 234]);
    canvas.line(at(0.0, -1.15), at(0.0, 1.15), 1.3, [40, 44, 44]);
    canvas
}

fn basketball(land: &Land, rng: &mut Rng) -> Canvas {
    let mut canvas = grassland(land, rng);
    let length = rng.range(14.0, 19.0);
    let colours = court_colours(rng);
    let at = field(&mut canvas, (length, 0.55 * length), colours, rng);
    let white = [238, 238, 234];
    outline(
        &mut canvas,
        &[at(-1.0, -1.0), at(1.0, -1.0), at(1.0, 1.0), at(-1.0, 1.0)],
        0.9,
    );
    canvas.line(at(0.0, -1.0), at(0.0, 1.0), 0.8, white);
    let circle = |cx: f32, r: f32, from: f32, to: f32| -> Vec<Point> {
        (0..=10)
            .map(|i| {
                let (sin, cos) = (from + (to - from) * i as f32 / 10.0).sin_cos();
                at(cx + r * cos, r / 0.55 * sin)
            })
            .collect()
    };
    canvas.polyline(&circle(0.0, 0.16, 0.0, TAU), 0.8, white);
    for side in [-1.0, 1.0] {
        let facing = if side > 0.0 { PI } else { 0.0 };
        canvas.polyline(
            &circle(0.95 * side, 0.46, facing - FRAC_PI_2, facing + FRAC_PI_2),
            0.9,
            white,
        );
        canvas.polygon(
            &[
                at(side, -0.26),
                at(0.6 * side, -0.26),
                at(0.6 * side, 0.26),
                at(side, 0.26),
            ],
            mix(colours.0, [190, 90, 60], 0.6),
        );
    }
    canvas
}

/// An oval with straight sides, as a polygon.
fn oval(at: &impl Fn(f32, f32) -> Point, half_length: f32, radius: f32) -> Vec<Point> {
    let end = |side: f32, i: i32| {
        let (sin, cos) = (side * FRAC_PI_2 * i as f32 / 5.0).sin_cos();
        at(side * (half_length + radius * cos), radius * sin)
    };
    (-5..=5)
        .map(|i| end(1.0, i))
        .chain((-5..=5).map(|i| end(-1.0, i)))
        .collect()
}

fn track(land: &Land, rng: &mut Rng) -> Canvas {
    let mut canvas = grassland(land, rng);
    let lanes = jitter([176, 76, 58], 16.0, rng);
    let at = frame(centre(2.0, rng), rng.range(0.0, PI), rng.range(0.9, 1.15));
    canvas.polygon(&oval(&at, 9.0, 13.0), lanes);
    for r in [10.2, 11.6] {
        canvas.polygon_outline(&oval(&at, 9.0, r), 0.5, [226, 200, 190]);
    }
    canvas.polygon(&oval(&at, 9.0, 8.8), mix(land.grass, [70, 150, 60], 0.5));
    outline(
        &mut canvas,
        &[
            at(-11.0, -5.5),
            at(11.0, -5.5),
            at(11.0, 5.5),
            at(-11.0, 5.5),
        ],
        0.6,
    );
    canvas.line(at(0.0, -5.5), at(0.0, 5.5), 0.6, [230, 234, 226]);
    canvas
}

fn stadium(land: &Land, rng: &mut Rng) -> Canvas {
    let paved = jitter([150, 148, 144], 14.0, rng);
    let mut canvas = cover(paved, mix(paved, land.grass, 0.3), 9.0, rng);
    let at = frame(centre(2.0, rng), rng.range(0.0, PI), rng.range(0.85, 1.1));
    let outer = jitter([214, 216, 220], 14.0, rng);
    let seats = *rng.pick(&[
        [70, 90, 150],
        [150, 60, 60],
        [120, 124, 130],
        [60, 120, 100],
    ]);
    let straight = rng.range(3.0, 8.0);
    let shadow: Vec<Point> = oval(&at, straight, 18.0)
        .into_iter()
        .map(|(x, y)| (x + 2.0, y + 2.0))
        .collect();
    canvas.polygon(&shadow, mix(paved, [0, 0, 0], 0.55));
    canvas.polygon(&oval(&at, straight, 18.0), outer);
    canvas.polygon(&oval(&at, straight, 14.5), seats);
    for r in [13.2, 11.6] {
        canvas.polygon_outline(
            &oval(&at, straight, r),
            0.5,
            mix(seats, [255, 255, 255], 0.35),
        );
    }
    canvas.polygon(
        &oval(&at, straight, 9.6),
        mix(land.grass, [50, 150, 50], 0.6),
    );
    outline(
        &mut canvas,
        &[
            at(-10.0, -5.0),
            at(10.0, -5.0),
            at(10.0, 5.0),
            at(-10.0, 5.0),
        ],
        0.6,
    );
    canvas
}

fn beach(land: &Land, rng: &mut Rng) -> Canvas {
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

fn island(land: &Land, rng: &mut Rng) -> Canvas {
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

fn harbor(land: &Land, rng: &mut Rng) -> Canvas {
    let water = mix(land.water, [24, 50, 70], 0.4);
    let mut canvas = cover(water, mix(water, [40, 70, 90], 0.3), 10.0, rng);
    let angle = rng.range(0.0, PI);
    let pitch = rng.range(12.0, 16.0);
    let shift = rng.range(-6.0, 6.0);
    let pier = jitter([186, 180, 168], 12.0, rng);
    for row in -3..=3 {
        let o = shift + pitch * row as f32;
        canvas.line(along(angle, -40.0, o), along(angle, 40.0, o), 1.6, pier);
        for slot in -11..=11 {
            for side in [-1.0, 1.0] {
                let d = 3.3 * slot as f32 + rng.range(-0.3, 0.3);
                let at = along(angle, d, o + side * 3.9);
                if rng.chance(0.8) && !is_outside(at, 3.0) {
                    moored_boat(&mut canvas, at, angle + FRAC_PI_2, rng);
                }
            }
        }
    }
    if rng.chance(0.5) {
        let (edge, quay) = (rng.range(14.0, 20.0), mix(land.soil, [170, 168, 160], 0.5));
        lay(
            &mut canvas,
            |x, y| beside(angle + FRAC_PI_2, edge, x, y),
            |_, _| quay,
        );
    }
    canvas
}

fn moored_boat(canvas: &mut Canvas, (x, y): Point, angle: f32, rng: &mut Rng) {
    let hull = jitter([232, 234, 236], 14.0, rng);
    canvas.ellipse(x, y, rng.range(2.0, 3.1), 1.15, angle, hull);
    canvas.ellipse(x, y, 1.0, 0.5, angle, mix(hull, [40, 60, 90], 0.6));
}

fn bridge(land: &Land, rng: &mut Rng) -> Canvas {
    let noise = Noise::new(rng);
    let (water, grass) = (land.water, land.grass);
    let mut canvas = cover(water, mix(water, [70, 110, 130], 0.3), 9.0, rng);
    let angle = rng.range(0.0, PI);
    let half = rng.range(10.0, 17.0);
    let wavy = |x: f32, y: f32| 5.0 * (noise.at(x / 9.0, y / 9.0) - 0.5);
    for side in [angle + FRAC_PI_2, angle - FRAC_PI_2] {
        lay(
            &mut canvas,
            |x, y| beside(side, half, x, y) + wavy(x, y),
            |x, y| covered(grass, mix(grass, [40, 60, 30], 0.5), 5.0, (x, y), &noise),
        );
    }
    let width = rng.range(4.5, 8.0);
    let offset = rng.range(-6.0, 6.0);
    let deck = mix(asphalt(rng), [180, 180, 180], 0.3);
    canvas.line(
        along(angle, -half - 2.0, offset + 0.55 * width),
        along(angle, half + 2.0, offset + 0.55 * width),
        width,
        mix(water, [0, 0, 0], 0.55),
    );
    road(
        &mut canvas,
        &[along(angle, -50.0, offset), along(angle, 50.0, offset)],
        width,
        deck,
    );
    for side in [-0.5, 0.5] {
        let o = offset + side * width;
        canvas.line(
            along(angle, -half, o),
            along(angle, half, o),
            0.8,
            [226, 226, 222],
        );
    }
    for _ in 0..rng.below(4) {
        vehicle(
            &mut canvas,
            along(angle, rng.range(-24.0, 24.0), offset + 0.22 * width),
            2.8,
            angle,
            rng,
        );
    }
    canvas
}

fn sea_ice(land: &Land, rng: &mut Rng) -> Canvas {
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

fn circular_farmland(land: &Land, rng: &mut Rng) -> Canvas {
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

fn terraces(land: &Land, rng: &mut Rng) -> Canvas {
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

fn golf(land: &Land, rng: &mut Rng) -> Canvas {
    let rough = mix(land.grass, [50, 84, 44], 0.5);
    let mut canvas = cover(rough, mix(rough, land.soil, 0.2), 6.0, rng);
    let lawn = mix(land.grass, [140, 190, 90], 0.55);
    let angle = rng.range(0.0, PI);
    let mut fairways = Vec::new();
    for lane in [-0.9, 0.9] {
        let sway = rng.range(-7.0, 7.0);
        let points = smooth(&[
            along(angle, -34.0, 13.0 * lane),
            along(angle, 0.0, 13.0 * lane + sway),
            along(angle, 34.0, 13.0 * lane),
        ]);
        canvas.polyline(&points, rng.range(9.0, 13.0), lawn);
        fairways.extend(points);
    }
    trees(
        &mut canvas,
        70,
        (1.2, 2.3),
        |(x, y)| fairways.iter().all(|f| (f.0 - x).hypot(f.1 - y) > 7.0),
        rng,
    );
    for _ in 0..3 + rng.below(4) {
        let at = *rng.pick(&fairways);
        let (x, y) = (at.0 + rng.range(-5.0, 5.0), at.1 + rng.range(-5.0, 5.0));
        canvas.ellipse(
            x,
            y,
            rng.range(1.5, 3.2),
            rng.range(1.1, 2.0),
            rng.range(0.0, PI),
            [236, 226, 196],
        );
    }
    let green = *rng.pick(&fairways);
    canvas.circle(green.0, green.1, 3.2, mix(lawn, [170, 230, 120], 0.5));
    canvas
}

fn desert(land: &Land, rng: &mut Rng) -> Canvas {
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

fn roundabout(land: &Land, rng: &mut Rng) -> Canvas {
    let mut canvas = suburb(land, rng);
    let surface = asphalt(rng);
    let (middle, radius) = (centre(3.0, rng), rng.range(8.0, 11.5));
    let width = rng.range(4.5, 6.5);
    let first = rng.range(0.0, TAU);
    let arms = 3 + rng.below(3);
    let at = frame(middle, first, 1.0);
    for arm in 0..arms {
        let (sin, cos) = (TAU * arm as f32 / arms as f32).sin_cos();
        road(
            &mut canvas,
            &[at(radius * cos, radius * sin), at(60.0 * cos, 60.0 * sin)],
            width,
            surface,
        );
    }
    canvas.circle(middle.0, middle.1, radius + width / 2.0, surface);
    canvas.circle(
        middle.0,
        middle.1,
        radius - width / 2.0 + 0.6,
        [214, 210, 200],
    );
    canvas.circle(
        middle.0,
        middle.1,
        radius - width / 2.0,
        mix(land.grass, [70, 140, 60], 0.4),
    );
    if rng.chance(0.5) {
        tree(&mut canvas, middle, 2.2, rng);
    }
    for _ in 0..1 + rng.below(4) {
        let a = rng.range(0.0, TAU);
        vehicle(
            &mut canvas,
            at(radius * a.cos(), radius * a.sin()),
            3.4,
            first + a + FRAC_PI_2,
            rng,
        );
    }
    canvas
}

/// Houses and gardens for roads to lead through.
fn suburb(land: &Land, rng: &mut Rng) -> Canvas {
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

fn intersection(land: &Land, rng: &mut Rng) -> Canvas {
    let mut canvas = suburb(land, rng);
    let (surface, angle) = (asphalt(rng), rng.range(0.0, TAU));
    let (middle, width) = (centre(5.0, rng), rng.range(8.0, 12.0));
    let across = angle + FRAC_PI_2 + rng.range(-0.25, 0.25);
    let ways = if rng.chance(0.25) { 3 } else { 4 };
    let arms: Vec<f32> = [angle, across, angle + PI, across + PI][..ways].to_vec();
    for arm in &arms {
        let at = frame(middle, *arm, 1.0);
        canvas.line(at(0.0, 0.0), at(60.0, 0.0), width + 1.6, [196, 192, 184]);
    }
    for arm in &arms {
        let at = frame(middle, *arm, 1.0);
        canvas.line(at(0.0, 0.0), at(60.0, 0.0), width, surface);
    }
    for arm in &arms {
        let at = frame(middle, *arm, 1.0);
        dashes(
            &mut canvas,
            &[at(width * 1.1, 0.0), at(50.0, 0.0)],
            2.5,
            0.7,
            [232, 220, 150],
        );
        for stripe in -2..=2 {
            let y = width * 0.18 * stripe as f32;
            canvas.line(
                at(width * 0.68, y),
                at(width * 0.95, y),
                0.8,
                [232, 232, 228],
            );
        }
        if rng.chance(0.6) {
            vehicle(
                &mut canvas,
                at(rng.range(0.9, 2.2) * width, 0.25 * width),
                3.6,
                *arm,
                rng,
            );
        }
    }
    canvas
}

fn freeway(land: &Land, rng: &mut Rng) -> Canvas {
    let mut canvas = grassland(land, rng);
    trees(&mut canvas, 25, (1.2, 2.4), |_| true, rng);
    let (angle, offset) = (rng.range(0.0, PI), rng.range(-4.0, 4.0));
    let surface = asphalt(rng);
    lanes(
        &mut canvas,
        angle,
        offset,
        rng.range(8.0, 11.0),
        surface,
        land,
        rng,
    );
    canvas
}

/// Two carriageways with a green strip between, and traffic.
fn lanes(
    canvas: &mut Canvas,
    angle: f32,
    offset: f32,
    width: f32,
    surface: Colour,
    land: &Land,
    rng: &mut Rng,
) {
    let line = |o: f32| {
        [
            along(angle, -50.0, offset + o),
            along(angle, 50.0, offset + o),
        ]
    };
    canvas.polyline(
        &line(0.0),
        2.0 * width + 4.0,
        mix(land.grass, [190, 180, 150], 0.4),
    );
    for side in [-1.0, 1.0] {
        let middle = side * (width / 2.0 + 1.0);
        canvas.polyline(&line(middle), width, surface);
        for lane in [-0.17, 0.17] {
            dashes(
                canvas,
                &line(middle + lane * width),
                2.2,
                0.6,
                [230, 230, 226],
            );
        }
        for _ in 0..2 + rng.below(4) {
            let o = offset + middle + width * *rng.pick(&[-0.33, 0.0, 0.33]);
            vehicle(
                canvas,
                along(angle, rng.range(-28.0, 28.0), o),
                rng.range(2.8, 4.6),
                angle,
                rng,
            );
        }
    }
}

fn overpass(land: &Land, rng: &mut Rng) -> Canvas {
    let mut canvas = grassland(land, rng);
    let angle = rng.range(0.0, PI);
    let surface = asphalt(rng);
    lanes(
        &mut canvas,
        angle,
        rng.range(-3.0, 3.0),
        rng.range(6.0, 8.0),
        surface,
        land,
        rng,
    );
    let over = angle + FRAC_PI_2 + rng.range(-0.5, 0.5);
    let (offset, width) = (rng.range(-5.0, 5.0), rng.range(6.0, 9.0));
    let line = |o: f32| {
        [
            along(over, -50.0, offset + o),
            along(over, 50.0, offset + o),
        ]
    };
    canvas.polyline(&line(3.0), width, [34, 36, 38]);
    canvas.polyline(&line(0.0), width + 1.8, [224, 222, 214]);
    canvas.polyline(&line(0.0), width, mix(surface, [170, 168, 164], 0.5));
    dashes(&mut canvas, &line(0.0), 2.5, 0.7, [240, 240, 236]);
    for _ in 0..rng.below(4) {
        vehicle(
            &mut canvas,
            along(over, rng.range(-22.0, 22.0), offset + 0.25 * width),
            3.4,
            over,
            rng,
        );
    }
    canvas
}

fn railway(land: &Land, rng: &mut Rng) -> Canvas {
    let mut canvas = grassland(land, rng);
    let gravel = jitter([136, 126, 118], 14.0, rng);
    let (angle, n) = (rng.range(0.0, PI), 2 + rng.below(4));
    let pitch = rng.range(6.0, 8.0);
    let offset = rng.range(-4.0, 4.0);
    let bed = pitch * n as f32 + 2.0;
    canvas.rotated_rect(
        along(angle, 0.0, offset).0,
        along(angle, 0.0, offset).1,
        120.0,
        bed,
        angle,
        gravel,
    );
    for track in 0..n {
        let o = offset + pitch * (track as f32 - 0.5 * (n - 1) as f32);
        for sleeper in -17..=17 {
            let d = 2.1 * sleeper as f32;
            canvas.line(
                along(angle, d, o - 2.3),
                along(angle, d, o + 2.3),
                0.8,
                [84, 70, 60],
            );
        }
        for rail in [-1.4, 1.4] {
            canvas.line(
                along(angle, -50.0, o + rail),
                along(angle, 50.0, o + rail),
                0.6,
                [206, 206, 210],
            );
        }
        if rng.chance(0.3) {
            let train = jitter(
                *rng.pick(&[[170, 50, 44], [60, 90, 140], [200, 200, 196], [90, 110, 80]]),
                12.0,
                rng,
            );
            let from = rng.range(-30.0, 10.0);
            for car in 0..3 {
                let at = along(angle, from + 12.5 * car as f32, o);
                canvas.rotated_rect(at.0, at.1, 11.5, 4.2, angle, train);
                canvas.rotated_rect(
                    at.0,
                    at.1,
                    11.5,
                    1.4,
                    angle,
                    mix(train, [230, 230, 230], 0.35),
                );
            }
        }
    }
    canvas
}

fn parking_lot(land: &Land, rng: &mut Rng) -> Canvas {
    let surface = asphalt(rng);
    let mut canvas = cover(surface, mix(surface, land.soil, 0.25), 10.0, rng);
    let angle = rng.range(0.0, PI);
    let (pitch, bay) = (rng.range(11.0, 14.0), rng.range(3.2, 4.0));
    let shift = rng.range(-5.0, 5.0);
    let fill = rng.range(0.5, 0.95);
    for row in -3..=3 {
        let o = shift + pitch * row as f32;
        for slot in -11..=11 {
            let d = bay * slot as f32;
            if is_outside(along(angle, d, o), 8.0) {
                continue;
            }
            canvas.line(
                along(angle, d + bay / 2.0, o - 5.0),
                along(angle, d + bay / 2.0, o + 5.0),
                0.5,
                [220, 220, 216],
            );
            for side in [-2.6, 2.6] {
                if rng.chance(fill) {
                    vehicle(
                        &mut canvas,
                        along(angle, d, o + side),
                        rng.range(4.0, 4.8),
                        angle + FRAC_PI_2,
                        rng,
                    );
                }
            }
        }
    }
    canvas
}

fn tanks(land: &Land, rng: &mut Rng) -> Canvas {
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

fn solar(land: &Land, rng: &mut Rng) -> Canvas {
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

fn pool(land: &Land, rng: &mut Rng) -> Canvas {
    let mut canvas = grassland(land, rng);
    let angle = rng.range(0.0, PI);
    let (x, y) = centre(5.0, rng);
    let (width, height) = (rng.range(15.0, 24.0), rng.range(8.0, 13.0));
    let water = jitter([70, 190, 216], 16.0, rng);
    let side = along(angle + FRAC_PI_2, rng.range(19.0, 23.0), 0.0);
    house(
        &mut canvas,
        side,
        (rng.range(18.0, 30.0), 12.0),
        angle,
        roof(rng),
    );
    trees(
        &mut canvas,
        16,
        (1.6, 3.0),
        |p| (p.0 - x).hypot(p.1 - y) > 15.0,
        rng,
    );
    let rim = jitter([222, 212, 196], 12.0, rng);
    canvas.rotated_rect(x, y, width + 8.0, height + 7.0, angle, rim);
    if rng.chance(0.4) {
        canvas.ellipse(x, y, width / 2.0, height / 2.0, angle, water);
        canvas.ellipse(
            x - 1.0,
            y - 1.0,
            width / 3.0,
            height / 3.0,
            angle,
            mix(water, [200, 244, 250], 0.35),
        );
    } else {
        canvas.rotated_rect(x, y, width, height, angle, water);
        canvas.rotated_rect(
            x,
            y,
            width * 0.7,
            height * 0.5,
            angle,
            mix(water, [200, 244, 250], 0.3),
        );
    }
    for _ in 0..rng.below(5) {
        let (sin, cos) = rng.range(0.0, TAU).sin_cos();
        let chair = placed(x, y, angle);
        let at = (
            chair.tx + (width / 2.0 + 2.5) * cos,
            chair.ty + (height / 2.0 + 2.5) * sin,
        );
        canvas.polygon(&regular(4, at.0, at.1, 1.2, angle), [244, 244, 240]);
    }
    canvas
}
