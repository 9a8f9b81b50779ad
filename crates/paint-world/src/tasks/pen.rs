//! Drawing in the coordinates of an object: the origin in its middle, one unit its half size.

use crate::canvas::{Canvas, polygon};
use crate::colour::Colour;
use tiny_skia::Transform;

/// A point, x to the right and y down.
pub(super) type Point = (f32, f32);

/// A canvas seen from an object's own coordinates.
pub(super) struct Pen<'a> {
    pub(super) canvas: &'a mut Canvas,
    /// Where the object's origin lies, pixels.
    pub(super) at: Point,
    /// Pixels for one unit.
    pub(super) scale: f32,
}

impl<'a> Pen<'a> {
    pub(super) fn new(canvas: &'a mut Canvas, at: Point, scale: f32) -> Self {
        Self { canvas, at, scale }
    }

    fn place(&self, (x, y): Point) -> Point {
        (self.at.0 + x * self.scale, self.at.1 + y * self.scale)
    }

    fn all(&self, points: &[Point]) -> Vec<Point> {
        points.iter().map(|p| self.place(*p)).collect()
    }

    pub(super) fn polygon(&mut self, points: &[Point], colour: Colour) {
        let points = self.all(points);
        self.canvas.polygon(&points, colour);
    }

    /// A polygon through which the ground shows; `opacity` is in [0, 1].
    pub(super) fn veil(&mut self, points: &[Point], colour: Colour, opacity: f32) {
        if let Some(path) = polygon(&self.all(points), true) {
            self.canvas
                .fill(&path, colour, opacity, Transform::identity());
        }
    }

    pub(super) fn line(&mut self, points: &[Point], width: f32, colour: Colour) {
        let points = self.all(points);
        self.canvas.polyline(&points, width * self.scale, colour);
    }

    pub(super) fn curve(&mut self, points: &[Point], width: f32, colour: Colour) {
        self.line(&smooth(points), width, colour);
    }

    pub(super) fn disc(&mut self, centre: Point, radius: f32, colour: Colour) {
        let (x, y) = self.place(centre);
        self.canvas.circle(x, y, radius * self.scale, colour);
    }

    pub(super) fn ring(&mut self, centre: Point, radius: f32, width: f32, colour: Colour) {
        let (x, y) = self.place(centre);
        self.canvas
            .ring(x, y, radius * self.scale, width * self.scale, colour);
    }

    /// An axis-parallel rectangle from its upper left corner.
    pub(super) fn rect(&mut self, (x, y): Point, width: f32, height: f32, colour: Colour) {
        let (x, y) = self.place((x, y));
        self.canvas
            .rect(x, y, width * self.scale, height * self.scale, colour);
    }
}

/// A smooth (Catmull-Rom) curve through `points`, as a fine polyline.
pub(super) fn smooth(points: &[Point]) -> Vec<Point> {
    const PIECES: usize = 5;
    let Some(&last) = points.last() else {
        return Vec::new();
    };
    let point = |i: isize| points[i.clamp(0, points.len() as isize - 1) as usize];
    let mut curve = Vec::with_capacity(points.len() * PIECES);
    for i in 0..points.len() as isize - 1 {
        let (a, b, c, d) = (point(i - 1), point(i), point(i + 1), point(i + 2));
        for piece in 0..PIECES {
            let t = piece as f32 / PIECES as f32;
            curve.push((
                spline(t, [a.0, b.0, c.0, d.0]),
                spline(t, [a.1, b.1, c.1, d.1]),
            ));
        }
    }
    curve.push(last);
    curve
}

fn spline(t: f32, [a, b, c, d]: [f32; 4]) -> f32 {
    let linear = (c - a) * t;
    let square = (2.0 * a - 5.0 * b + 4.0 * c - d) * t * t;
    let cube = (3.0 * b - a - 3.0 * c + d) * t * t * t;
    b + 0.5 * (linear + square + cube)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smooth_meets_its_points() {
        let points = [(0.0, 0.0), (1.0, 2.0), (3.0, 1.0)];
        let curve = smooth(&points);
        assert_eq!([curve[0], curve[5], curve[10]], points);
        assert!(smooth(&[]).is_empty());
        assert_eq!(smooth(&[(1.0, 1.0)]), [(1.0, 1.0)]);
    }
}
