//! Coloured shapes: the supported task `shapes`, and shapes for captions.

use paint_data::Rng;

use crate::backgrounds;
use crate::canvas::{Canvas, placed, polygon, regular, star};
use crate::colour::{Colour, NAMED, jitter, shade_of};
use crate::domain::{Domain, Drawing, Split};
use crate::objects::{photograph, position};
use tiny_skia::{Path, PathBuilder, Rect};

/// The supported task with coloured shapes.
pub(crate) struct Shapes;

/// Shapes by name.
pub(crate) const FORMS: [&str; 8] = [
    "circle", "ring", "square", "triangle", "star", "heart", "cross", "crescent",
];

/// How many of the named colours the task uses: those that tell apart even in dim light.
pub(crate) const N_COLOURS: usize = 8;

/// One shape in one colour.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    /// Index into [`FORMS`].
    pub(crate) form: usize,
    /// A name of [`NAMED`].
    pub(crate) colour: &'static str,
}

impl Shape {
    /// The shape with this class index.
    pub(crate) fn of_class(class_idx: usize) -> Self {
        Self {
            form: class_idx % FORMS.len(),
            colour: NAMED[class_idx / FORMS.len()].0,
        }
    }

    /// A random one.
    pub(crate) fn random(rng: &mut Rng) -> Self {
        Self::of_class(rng.below(FORMS.len() * N_COLOURS))
    }

    /// E.g. "red circle".
    pub(crate) fn name(self) -> String {
        format!("{} {}", self.colour, FORMS[self.form])
    }

    /// Draws the shape, `size` pixels across, turned a little.
    pub(crate) fn put(self, canvas: &mut Canvas, (cx, cy): (f32, f32), size: f32, rng: &mut Rng) {
        let colour = shade_of(self.colour, rng);
        let turn = rng.range(-0.22, 0.22);
        if let Some(path) = outline(FORMS[self.form], size / 2.0) {
            canvas.fill(&path, colour, 1.0, placed(cx, cy, turn));
        }
    }

    /// A background on which the shape can be seen.
    pub(crate) fn background(self, split: Split, rng: &mut Rng) -> Canvas {
        let own = shade_of(self.colour, rng);
        for _ in 0..12 {
            let canvas = backgrounds::any(split, rng);
            if nearest(&canvas, own) > 70.0 {
                return canvas;
            }
        }
        backgrounds::near(far_from(own), rng)
    }
}

impl Domain for Shapes {
    fn name(&self) -> &'static str {
        "shapes"
    }

    fn class_names(&self) -> Vec<String> {
        (0..FORMS.len() * N_COLOURS)
            .map(|i| Shape::of_class(i).name())
            .collect()
    }

    fn templates(&self) -> Vec<String> {
        ["a {}", "the {}", "a picture of a {}"]
            .map(str::to_owned)
            .to_vec()
    }

    fn draw(&self, class_idx: usize, split: Split, rng: &mut Rng) -> Drawing {
        let shape = Shape::of_class(class_idx);
        let mut canvas = shape.background(split, rng);
        let size = rng.range(14.0, 40.0);
        let centre = position(size, rng);
        shape.put(&mut canvas, centre, size, rng);
        photograph(&mut canvas, rng);
        Drawing {
            image: canvas.finish(),
            attributes: Vec::new(),
        }
    }

    fn vague(&self) -> &'static [&'static str] {
        &["a shape", "a coloured shape"]
    }
}

fn outline(form: &str, r: f32) -> Option<Path> {
    let square = |r: f32| Rect::from_xywh(-r, -r, 2.0 * r, 2.0 * r);
    match form {
        "circle" => PathBuilder::from_circle(0.0, 0.0, r),
        "ring" => crescent_or_ring(r, 0.62 * r, 0.0),
        "square" => square(0.88 * r).map(PathBuilder::from_rect),
        "triangle" => polygon(&regular(3, 0.0, 0.1 * r, 1.1 * r, 0.0), true),
        "star" => polygon(&star(5, (0.0, 0.0), 1.1 * r, 0.45 * r, 0.0), true),
        "heart" => heart(r),
        "cross" => cross(r),
        _ => crescent_or_ring(r, 0.8 * r, 0.42 * r),
    }
}

fn cross(r: f32) -> Option<Path> {
    let w = 0.34 * r;
    let points = [
        (-w, -r),
        (w, -r),
        (w, -w),
        (r, -w),
        (r, w),
        (w, w),
        (w, r),
        (-w, r),
        (-w, w),
        (-r, w),
        (-r, -w),
        (-w, -w),
    ];
    polygon(&points, true)
}

fn heart(r: f32) -> Option<Path> {
    let mut path = PathBuilder::new();
    path.move_to(0.0, r);
    path.cubic_to(-1.5 * r, 0.1 * r, -0.9 * r, -1.3 * r, 0.0, -0.45 * r);
    path.cubic_to(0.9 * r, -1.3 * r, 1.5 * r, 0.1 * r, 0.0, r);
    path.close();
    path.finish()
}

/// A disc with a round hole of radius `hole`, moved `shift` to the right: the hole's
/// contour runs the other way, so that the winding rule leaves it empty.
fn crescent_or_ring(r: f32, hole: f32, shift: f32) -> Option<Path> {
    let mut points = Vec::new();
    let mut path = PathBuilder::new();
    if shift == 0.0 {
        path.push_circle(0.0, 0.0, r);
        let inner = regular(24, 0.0, 0.0, hole, 0.0);
        for (i, (x, y)) in inner.into_iter().rev().enumerate() {
            if i == 0 {
                path.move_to(x, y)
            } else {
                path.line_to(x, y)
            }
        }
        path.close();
        return path.finish();
    }
    // Where the two circles meet.
    let x = (r * r - hole * hole + shift * shift) / (2.0 * shift);
    let angle = x.clamp(-r, r).atan2((r * r - x * x).max(0.0).sqrt());
    let start = std::f32::consts::FRAC_PI_2 - angle;
    let outer_end = std::f32::consts::TAU - start;
    for i in 0..=24 {
        let t = start + (outer_end - start) * i as f32 / 24.0;
        points.push((r * t.cos(), r * t.sin()));
    }
    let y = (r * r - x * x).max(0.0).sqrt();
    let inner = y.atan2(x - shift);
    for i in 1..24 {
        let t = -inner - (std::f32::consts::TAU - 2.0 * inner) * i as f32 / 24.0;
        points.push((shift + hole * t.cos(), hole * t.sin()));
    }
    polygon(&points, true)
}

/// The smallest distance in colour between `own` and a grid of the canvas' pixels.
fn nearest(canvas: &Canvas, own: Colour) -> f32 {
    let mut smallest = f32::INFINITY;
    for y in (2..48).step_by(6) {
        for x in (2..48).step_by(6) {
            smallest = smallest.min(distance(canvas.get(x, y), own));
        }
    }
    smallest
}

fn distance(a: Colour, b: Colour) -> f32 {
    let squared: f32 = (0..3)
        .map(|i| (f32::from(a[i]) - f32::from(b[i])).powi(2))
        .sum();
    squared.sqrt()
}

fn far_from(own: Colour) -> Colour {
    let candidates = [
        [236, 236, 230],
        [24, 24, 30],
        [60, 60, 140],
        [150, 200, 150],
    ];
    candidates
        .into_iter()
        .find(|c| distance(*c, own) > 150.0)
        .unwrap_or([128, 128, 128])
}

/// A background in a named colour other than the shape's, and that colour's name.
pub(crate) fn named_background(shape: Shape, rng: &mut Rng) -> (&'static str, Canvas) {
    let own = shade_of(shape.colour, rng);
    for _ in 0..12 {
        let (name, colour) = *rng.pick(&NAMED);
        if distance(colour, own) > 90.0 {
            return (name, backgrounds::near(jitter(colour, 10.0, rng), rng));
        }
    }
    ("gray", Canvas::filled([132, 134, 136]))
}
