//! `house-numbers`: printed figures on walls and plates, in the manner of SVHN.

use paint_data::Rng;
use tiny_skia::Transform;

use super::figures::{NAMES, SHAPES};
use super::noise::Noise;
use super::{owned, two_of};
use crate::canvas::{Canvas, SIZE, placed};
use crate::colour::{Colour, contrasting, jitter, luma, mix};
use crate::domain::{Domain, Drawing, Split};
use crate::fonts;

pub(super) struct HouseNumbers;

/// What the figures stand on; the first `N_SEEN_WALLS` are seen in training.
#[derive(Clone, Copy)]
enum Wall {
    Plain,
    Stucco,
    Bricks,
    Boards,
    Gradient,
    Tiles,
}
const WALLS: [(Wall, &str); 6] = [
    (Wall::Plain, "a plain wall"),
    (Wall::Stucco, "a rough wall"),
    (Wall::Bricks, "a brick wall"),
    (Wall::Boards, "wooden boards"),
    (Wall::Gradient, "a shaded wall"),
    (Wall::Tiles, "a tiled wall"),
];
const N_SEEN_WALLS: usize = 4;

impl Domain for HouseNumbers {
    fn name(&self) -> &'static str {
        "house-numbers"
    }

    fn class_names(&self) -> Vec<String> {
        owned(&NAMES)
    }

    fn templates(&self) -> Vec<String> {
        owned(&[
            "a photo of the house number {}.",
            "a street number with a {} in the middle.",
            "a photo of the number \"{}\" on a wall.",
        ])
    }

    fn vague(&self) -> &'static [&'static str] {
        &[
            "a house number",
            "figures on a wall",
            "a number plate beside a door",
            "printed figures in the street",
            "a photo of an address",
            "a blurry number on a house",
        ]
    }

    fn draw(&self, class_idx: usize, split: Split, rng: &mut Rng) -> Drawing {
        let (wall, wall_phrase) = *rng.pick(split.pool(&WALLS, N_SEEN_WALLS));
        let ground = wall_colour(split, rng);
        let mut canvas = paint_wall(wall, ground, rng);
        let plate = rng.chance(0.45).then(|| contrasting(ground, 20.0, rng));
        if let Some(plate) = plate {
            paint_plate(&mut canvas, plate, rng);
        }
        let behind = plate.unwrap_or(ground);
        let ink = contrasting(behind, 75.0, rng);
        write_figures(&mut canvas, class_idx, split, ink, rng);
        canvas.degrade(rng.range(0.3, 1.0), rng);

        let tone = |c| if luma(c) > 140.0 { "light" } else { "dark" };
        let mut attributes = two_of(SHAPES[class_idx], rng);
        attributes.push(format!("{} figures on {} ground", tone(ink), tone(behind)));
        if plate.is_none() {
            attributes.push(wall_phrase.to_owned());
        }
        Drawing {
            image: canvas.finish(),
            attributes,
        }
    }
}

/// Held-out splits also meet bluish and violet walls.
fn wall_colour(split: Split, rng: &mut Rng) -> Colour {
    const WALL_COLOURS: [Colour; 10] = [
        [200, 190, 170],
        [150, 90, 70],
        [230, 228, 220],
        [90, 90, 92],
        [170, 150, 100],
        [110, 130, 100],
        [60, 50, 45],
        [90, 110, 150],
        [150, 120, 160],
        [60, 110, 110],
    ];
    let base = *rng.pick(split.pool(&WALL_COLOURS, 7));
    jitter(base, 30.0, rng)
}

fn paint_wall(wall: Wall, ground: Colour, rng: &mut Rng) -> Canvas {
    let noise = Noise::new(rng);
    let other = contrasting(ground, 12.0, rng);
    let other = mix(ground, other, 0.35);
    let (pitch, slope) = (rng.range(6.0, 12.0), rng.range(-1.0, 1.0));
    Canvas::from_fn(|x, y| {
        let t = match wall {
            Wall::Plain => 0.15 * noise.at(x / 20.0, y / 20.0),
            Wall::Stucco => noise.fractal(x / 4.0, y / 4.0, 2),
            Wall::Bricks => {
                let row = (y / (0.5 * pitch)).floor();
                let column = x / pitch + 0.5 * (row as i32 & 1) as f32;
                let joint = (y / (0.5 * pitch)).fract() < 0.2 || column.fract() < 0.12;
                if joint {
                    1.0
                } else {
                    0.4 * noise.lattice(column as i32, row as i32)
                }
            }
            Wall::Boards => {
                let board = y / pitch;
                let joint = board.fract() < 0.1;
                let grain = 0.5 * noise.at(x / 12.0, y * 0.9);
                if joint { 1.0 } else { grain }
            }
            Wall::Gradient => (x * slope + y * (1.0 - slope.abs())) / SIZE,
            Wall::Tiles => f32::from((x / pitch).fract() < 0.1 || (y / pitch).fract() < 0.1),
        };
        mix(ground, other, t.clamp(0.0, 1.0))
    })
}

fn paint_plate(canvas: &mut Canvas, plate: Colour, rng: &mut Rng) {
    let (width, height) = (rng.range(34.0, 60.0), rng.range(34.0, 46.0));
    let (cx, cy) = (
        SIZE / 2.0 + rng.range(-3.0, 3.0),
        SIZE / 2.0 + rng.range(-2.0, 2.0),
    );
    let edge = contrasting(plate, 40.0, rng);
    if rng.chance(0.25) {
        canvas.ellipse(cx, cy, width / 2.0 + 1.0, height / 2.0 + 1.0, 0.0, edge);
        canvas.ellipse(cx, cy, width / 2.0, height / 2.0, 0.0, plate);
    } else {
        let angle = rng.range(-0.08, 0.08);
        let border = if rng.chance(0.6) {
            rng.range(1.0, 3.0)
        } else {
            0.0
        };
        canvas.rotated_rect(cx, cy, width + border, height + border, angle, edge);
        canvas.rotated_rect(cx, cy, width, height, angle, plate);
    }
}

/// The figure in the middle, mostly with others beside it, cut by the picture's edge.
fn write_figures(canvas: &mut Canvas, class_idx: usize, split: Split, ink: Colour, rng: &mut Rng) {
    let face = fonts::pick(split, rng);
    let height = rng.range(21.0, 32.0);
    let turn = rng.range(-0.14, 0.14);
    let view = Transform::from_row(
        rng.range(0.8, 1.1),
        rng.range(-0.1, 0.1),
        rng.range(-0.2, 0.2),
        1.0,
        0.0,
        0.0,
    )
    .post_concat(placed(
        SIZE / 2.0 + rng.range(-2.5, 2.5),
        SIZE / 2.0 + rng.range(-2.5, 2.5),
        turn,
    ));
    let spacing = height * rng.range(0.92, 1.1);
    let shadow = rng.chance(0.25).then(|| mix(ink, [0, 0, 0], 0.6));
    for side in [-1.0, 1.0, 0.0] {
        let figure = if side == 0.0 {
            class_idx
        } else {
            rng.below(10)
        };
        if side != 0.0 && rng.chance(0.35) {
            continue;
        }
        let text = figure.to_string();
        let at = Transform::from_translate(side * spacing, 0.0).post_concat(view);
        if let Some(shadow) = shadow {
            canvas.text_warped(&text, face, height, at.post_translate(1.2, 1.2), shadow);
        }
        canvas.text_warped(&text, face, height, at, ink);
    }
}
