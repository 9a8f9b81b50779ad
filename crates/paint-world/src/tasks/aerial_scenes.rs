//! `aerial-scenes`: places seen from an aeroplane, in the manner of RESISC45.

mod land;
mod sport;
mod traffic;

use paint_data::Rng;

use super::ground::cover;
use super::pen::Point;
use super::{owned, two_of};
use crate::canvas::{Canvas, SIZE};
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
        paint: traffic::airplane,
        looks: &[
            "white wings and a tail",
            "a white body with wings on concrete",
        ],
    },
    Scene {
        name: "airport runway",
        paint: traffic::runway,
        looks: &[
            "a broad strip with white bars at its end",
            "a long straight strip in grass",
        ],
    },
    Scene {
        name: "baseball diamond",
        paint: sport::baseball,
        looks: &[
            "a brown quarter disc in grass",
            "a sandy fan with a green square",
        ],
    },
    Scene {
        name: "basketball court",
        paint: sport::basketball,
        looks: &[
            "a coloured field with curved white lines at both ends",
            "half circles of white lines on a small field",
        ],
    },
    Scene {
        name: "tennis court",
        paint: sport::tennis,
        looks: &[
            "a field of rectangles in white lines",
            "straight white lines with a net across",
        ],
    },
    Scene {
        name: "running track",
        paint: sport::track,
        looks: &[
            "a red oval ring around grass",
            "red lanes around a green field",
        ],
    },
    Scene {
        name: "stadium",
        paint: sport::stadium,
        looks: &[
            "rows of seats around a green field",
            "gray stands in a ring",
        ],
    },
    Scene {
        name: "beach",
        paint: land::beach,
        looks: &[
            "yellow sand along blue water",
            "white surf between sand and water",
        ],
    },
    Scene {
        name: "island",
        paint: land::island,
        looks: &[
            "a piece of land surrounded by water",
            "green in the middle of blue",
        ],
    },
    Scene {
        name: "harbor",
        paint: traffic::harbor,
        looks: &[
            "rows of small boats at piers",
            "many white boats side by side",
        ],
    },
    Scene {
        name: "bridge",
        paint: traffic::bridge,
        looks: &["a road across water", "a straight deck from bank to bank"],
    },
    Scene {
        name: "sea ice",
        paint: land::sea_ice,
        looks: &["white floes on dark water", "angular white plates"],
    },
    Scene {
        name: "circular farmland",
        paint: land::circular_farmland,
        looks: &[
            "round green fields side by side",
            "large green discs on brown ground",
        ],
    },
    Scene {
        name: "terraced fields",
        paint: land::terraces,
        looks: &["curved steps of green", "narrow bands that follow a hill"],
    },
    Scene {
        name: "golf course",
        paint: sport::golf,
        looks: &[
            "smooth light green lanes with sandy spots",
            "white sand spots between trees and lawn",
        ],
    },
    Scene {
        name: "desert",
        paint: land::desert,
        looks: &["waves of yellow sand", "bare dunes"],
    },
    Scene {
        name: "roundabout",
        paint: traffic::roundabout,
        looks: &[
            "a ring of road with arms",
            "a green disc inside a ring of road",
        ],
    },
    Scene {
        name: "intersection",
        paint: traffic::intersection,
        looks: &[
            "a pair of roads that cross",
            "zebra stripes where roads meet",
        ],
    },
    Scene {
        name: "freeway",
        paint: traffic::freeway,
        looks: &["many lanes side by side", "vehicles on parallel lanes"],
    },
    Scene {
        name: "overpass",
        paint: traffic::overpass,
        looks: &[
            "a road above another road",
            "a deck casting a shadow on lanes below",
        ],
    },
    Scene {
        name: "railway",
        paint: traffic::railway,
        looks: &["parallel tracks with sleepers", "thin rails on gray gravel"],
    },
    Scene {
        name: "parking lot",
        paint: traffic::parking_lot,
        looks: &["rows of parked cars", "many cars side by side on asphalt"],
    },
    Scene {
        name: "storage tanks",
        paint: land::tanks,
        looks: &["round white roofs", "white discs in rows"],
    },
    Scene {
        name: "solar panels",
        paint: land::solar,
        looks: &["dark blue rectangles in rows", "rows of shiny dark plates"],
    },
    Scene {
        name: "swimming pool",
        paint: sport::pool,
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
