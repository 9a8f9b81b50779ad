//! Pictures of one object: the supported task `objects`, and what captions show.

use paint_data::Rng;
use tiny_skia::{Pixmap, Transform};

use crate::artwork::{Artwork, OBJECTS};
use crate::backgrounds;
use crate::canvas::{Canvas, SIZE, placed};
use crate::colour::to_byte;
use crate::domain::{Domain, Drawing, Split};
use crate::places::PLACES;

/// What the classes of the task `objects` are kinds of, and what is a kind of them: a tree in TOML
/// for `paint_hierarchy::parse_toml_tree`, whose ids are the class names.
pub const OBJECTS_HIERARCHY: &str = include_str!("objects-hierarchy.toml");

/// The supported task with everyday objects.
pub(crate) struct Objects;

impl Domain for Objects {
    fn name(&self) -> &'static str {
        "objects"
    }

    fn class_names(&self) -> Vec<String> {
        OBJECTS.iter().map(|a| a.name.to_owned()).collect()
    }

    fn templates(&self) -> Vec<String> {
        ["{}", "the {}", "a picture of the {}"]
            .map(str::to_owned)
            .to_vec()
    }

    fn draw(&self, class_idx: usize, split: Split, rng: &mut Rng) -> Drawing {
        let artwork = &OBJECTS[class_idx];
        let mut canvas = loop {
            let canvas = if rng.chance(0.3) {
                (rng.pick(&PLACES).draw)(rng)
            } else {
                backgrounds::any(split, rng)
            };
            if stands_out(artwork, &canvas) || rng.chance(0.05) {
                break canvas;
            }
        };
        let size = rng.range(29.0, 45.0);
        let centre = position(size, rng);
        put(&mut canvas, artwork, centre, size, 0.35, rng);
        photograph(&mut canvas, rng);
        Drawing {
            image: canvas.finish(),
            attributes: Vec::new(),
        }
    }

    fn vague(&self) -> &'static [&'static str] {
        &["an object", "a thing", "something"]
    }
}

/// Whether the object's mean colour differs enough from the background's to be seen by
/// people too; a few that do not are let through by the callers.
pub(crate) fn stands_out(artwork: &Artwork, canvas: &Canvas) -> bool {
    let (mut sum, mut weight) = ([0.0; 3], 1.0);
    for rgba in artwork.sprite().data().chunks_exact(4).step_by(7) {
        (0..3).for_each(|i| sum[i] += f32::from(rgba[i]));
        weight += f32::from(rgba[3]) / 255.0;
    }
    let points = [(12, 12), (36, 12), (24, 24), (12, 36), (36, 36)];
    let near = |(x, y): (i32, i32)| {
        let ground = canvas.get(x, y);
        let squared: f32 = (0..3)
            .map(|i| (sum[i] / weight - f32::from(ground[i])).powi(2))
            .sum();
        squared.sqrt() < 60.0
    };
    points.into_iter().filter(|p| near(*p)).count() <= 1
}

/// A centre for an object of this size, so that nearly all of it is in the picture.
pub(crate) fn position(size: f32, rng: &mut Rng) -> (f32, f32) {
    let slack = (SIZE - size).max(0.0) / 2.0 + 1.5;
    let mut coordinate = || SIZE / 2.0 + rng.range(-slack, slack);
    (coordinate(), coordinate())
}

/// Draws `artwork` turned by up to `turn` radians, perhaps mirrored, a little sheared and
/// in slightly other colours.
pub(crate) fn put(
    canvas: &mut Canvas,
    artwork: &Artwork,
    (cx, cy): (f32, f32),
    size: f32,
    turn: f32,
    rng: &mut Rng,
) {
    let sprite = recoloured(artwork.sprite(), rng);
    let mirror = if rng.chance(0.4) { -1.0 } else { 1.0 };
    let shear = rng.range(-0.12, 0.12);
    let stretch = rng.range(0.9, 1.1);
    let view = Transform::from_row(mirror * stretch, 0.0, shear, 1.0 / stretch, 0.0, 0.0)
        .post_concat(placed(cx, cy, rng.range(-turn, turn)));
    canvas.sprite_warped(&sprite, size, view, 1.0);
}

/// Occlusion, camera and light, each in some of the pictures.
pub(crate) fn photograph(canvas: &mut Canvas, rng: &mut Rng) {
    if rng.chance(0.2) {
        canvas.occlude(rng.range(0.03, 0.1), rng);
    }
    if rng.chance(0.5) {
        canvas.degrade(rng.range(0.1, 0.7), rng);
    }
}

fn recoloured(sprite: &Pixmap, rng: &mut Rng) -> Pixmap {
    let mut copy = sprite.clone();
    let gain: [f32; 3] = std::array::from_fn(|_| rng.range(0.78, 1.18));
    for rgba in copy.data_mut().chunks_exact_mut(4) {
        let alpha = rgba[3];
        for (channel, gain) in rgba.iter_mut().zip(gain) {
            // Premultiplied colours never exceed alpha.
            *channel = to_byte(f32::from(*channel) * gain).min(alpha);
        }
    }
    copy
}
