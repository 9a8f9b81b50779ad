//! The drawing surface of the world: shapes, sprites, text and camera effects.
//!
//! Coordinates are pixels, x to the right and y down, from (0, 0) to (`SIDE`, `SIDE`).
//! Angles are radians, clockwise. Everything is antialiased at the final size.

use ab_glyph::{Font, FontRef, Glyph, PxScale, ScaleFont, point};
use image::RgbImage;
use paint_data::Rng;
use tiny_skia::{
    Color, FillRule, FilterQuality, LineCap, LineJoin, Paint, Path, PathBuilder, Pixmap,
    PixmapPaint, Rect, Stroke, Transform,
};

use crate::colour::{Colour, to_byte};

/// Width and height of every image of the world, pixels.
pub(crate) const SIDE: u32 = 48;
/// [`SIDE`] as a float.
pub(crate) const SIZE: f32 = SIDE as f32;

/// An opaque image being drawn.
#[derive(Clone)]
pub(crate) struct Canvas {
    pixmap: Pixmap,
}

impl Canvas {
    /// A canvas of one colour.
    pub(crate) fn filled(colour: Colour) -> Self {
        let mut pixmap = Pixmap::new(SIDE, SIDE).expect("SIDE is positive");
        pixmap.fill(Color::from_rgba8(colour[0], colour[1], colour[2], 255));
        Self { pixmap }
    }

    /// A canvas whose pixel at (x, y) is `pixel(x, y)`, sampled at pixel centres.
    pub(crate) fn from_fn(mut pixel: impl FnMut(f32, f32) -> Colour) -> Self {
        let mut canvas = Self::filled([0, 0, 0]);
        canvas.map(|x, y, _| pixel(x, y));
        canvas
    }

    /// Replaces every pixel by `pixel(x, y, old)`, with (x, y) the pixel's centre.
    pub(crate) fn map(&mut self, mut pixel: impl FnMut(f32, f32, Colour) -> Colour) {
        for (i, rgba) in self.pixmap.data_mut().chunks_exact_mut(4).enumerate() {
            let (x, y) = (i as u32 % SIDE, i as u32 / SIDE);
            let new = pixel(x as f32 + 0.5, y as f32 + 0.5, [rgba[0], rgba[1], rgba[2]]);
            rgba[..3].copy_from_slice(&new);
        }
    }

    /// The colour at (x, y), clamped to the canvas.
    pub(crate) fn get(&self, x: i32, y: i32) -> Colour {
        let last = SIDE as i32 - 1;
        let i = 4 * (y.clamp(0, last) * SIDE as i32 + x.clamp(0, last)) as usize;
        let data = self.pixmap.data();
        [data[i], data[i + 1], data[i + 2]]
    }

    /// Bilinear sample at the point (x, y), clamped to the canvas.
    pub(crate) fn sample(&self, x: f32, y: f32) -> Colour {
        let (x, y) = (x - 0.5, y - 0.5);
        let (x0, y0) = (x.floor(), y.floor());
        let (fx, fy) = (x - x0, y - y0);
        let (x0, y0) = (x0 as i32, y0 as i32);
        let top = crate::colour::mix(self.get(x0, y0), self.get(x0 + 1, y0), fx);
        let bottom = crate::colour::mix(self.get(x0, y0 + 1), self.get(x0 + 1, y0 + 1), fx);
        crate::colour::mix(top, bottom, fy)
    }

    // ---- shapes -----------------------------------------------------------

    /// Fills `path`, moved by `transform`; `opacity` is in [0, 1].
    pub(crate) fn fill(&mut self, path: &Path, colour: Colour, opacity: f32, transform: Transform) {
        self.pixmap.fill_path(
            path,
            &paint(colour, opacity),
            FillRule::Winding,
            transform,
            None,
        );
    }

    /// Strokes `path`, moved by `transform`, with a line of `width`.
    pub(crate) fn stroke(&mut self, path: &Path, colour: Colour, width: f32, transform: Transform) {
        let stroke = Stroke {
            width,
            line_cap: LineCap::Round,
            line_join: LineJoin::Round,
            ..Stroke::default()
        };
        self.pixmap
            .stroke_path(path, &paint(colour, 1.0), &stroke, transform, None);
    }

    /// A filled circle.
    pub(crate) fn circle(&mut self, cx: f32, cy: f32, radius: f32, colour: Colour) {
        self.ellipse(cx, cy, radius, radius, 0.0, colour);
    }

    /// A circle's outline; `radius` is to the middle of the line.
    pub(crate) fn ring(&mut self, cx: f32, cy: f32, radius: f32, width: f32, colour: Colour) {
        if let Some(path) = PathBuilder::from_circle(cx, cy, radius) {
            self.stroke(&path, colour, width, Transform::identity());
        }
    }

    /// A filled ellipse with half axes `rx` and `ry`, turned by `angle`.
    pub(crate) fn ellipse(
        &mut self,
        cx: f32,
        cy: f32,
        rx: f32,
        ry: f32,
        angle: f32,
        colour: Colour,
    ) {
        let path = Rect::from_xywh(-rx, -ry, 2.0 * rx, 2.0 * ry).and_then(PathBuilder::from_oval);
        if let Some(path) = path {
            self.fill(&path, colour, 1.0, placed(cx, cy, angle));
        }
    }

    /// A filled axis-parallel rectangle with its upper left corner at (x, y).
    pub(crate) fn rect(&mut self, x: f32, y: f32, width: f32, height: f32, colour: Colour) {
        self.rotated_rect(
            x + width / 2.0,
            y + height / 2.0,
            width,
            height,
            0.0,
            colour,
        );
    }

    /// A filled rectangle with its centre at (cx, cy), turned by `angle`.
    pub(crate) fn rotated_rect(
        &mut self,
        cx: f32,
        cy: f32,
        width: f32,
        height: f32,
        angle: f32,
        colour: Colour,
    ) {
        if let Some(rect) = Rect::from_xywh(-width / 2.0, -height / 2.0, width, height) {
            self.fill(
                &PathBuilder::from_rect(rect),
                colour,
                1.0,
                placed(cx, cy, angle),
            );
        }
    }

    /// A filled polygon.
    pub(crate) fn polygon(&mut self, points: &[(f32, f32)], colour: Colour) {
        if let Some(path) = polygon(points, true) {
            self.fill(&path, colour, 1.0, Transform::identity());
        }
    }

    /// A polygon's outline.
    pub(crate) fn polygon_outline(&mut self, points: &[(f32, f32)], width: f32, colour: Colour) {
        if let Some(path) = polygon(points, true) {
            self.stroke(&path, colour, width, Transform::identity());
        }
    }

    /// Lines from point to point.
    pub(crate) fn polyline(&mut self, points: &[(f32, f32)], width: f32, colour: Colour) {
        if let Some(path) = polygon(points, false) {
            self.stroke(&path, colour, width, Transform::identity());
        }
    }

    /// One straight line.
    pub(crate) fn line(&mut self, from: (f32, f32), to: (f32, f32), width: f32, colour: Colour) {
        self.polyline(&[from, to], width, colour);
    }

    // ---- sprites and text -------------------------------------------------

    /// Draws `sprite` with its centre at (cx, cy), its longer side `size` pixels long.
    pub(crate) fn sprite(&mut self, sprite: &Pixmap, cx: f32, cy: f32, size: f32, angle: f32) {
        self.sprite_warped(sprite, size, placed(cx, cy, angle), 1.0);
    }

    /// Draws `sprite`, centred at the origin with its longer side `size` pixels long, then
    /// moved by `transform`.
    pub(crate) fn sprite_warped(
        &mut self,
        sprite: &Pixmap,
        size: f32,
        transform: Transform,
        opacity: f32,
    ) {
        let longer = sprite.width().max(sprite.height()) as f32;
        // Bilinear sampling sees two pixels a direction: halve first what shrinks by more.
        if size < 0.6 * longer && longer > 8.0 {
            return self.sprite_warped(&halved(sprite), size, transform, opacity);
        }
        let to_unit = Transform::from_translate(
            -(sprite.width() as f32) / 2.0,
            -(sprite.height() as f32) / 2.0,
        );
        let transform = to_unit
            .post_scale(size / longer, size / longer)
            .post_concat(transform);
        let paint = PixmapPaint {
            opacity,
            quality: FilterQuality::Bilinear,
            ..PixmapPaint::default()
        };
        self.pixmap
            .draw_pixmap(0, 0, sprite.as_ref(), &paint, transform, None);
    }

    /// Writes `text` with its middle at (cx, cy), its capitals about `height` pixels high,
    /// turned by `angle`.
    pub(crate) fn text(
        &mut self,
        text: &str,
        face: &FontRef<'static>,
        (cx, cy): (f32, f32),
        height: f32,
        angle: f32,
        colour: Colour,
    ) {
        self.text_warped(text, face, height, placed(cx, cy, angle), colour);
    }

    /// Writes `text` centred at the origin, its capitals about `height` pixels high, then
    /// moved by `transform`.
    pub(crate) fn text_warped(
        &mut self,
        text: &str,
        face: &FontRef<'static>,
        height: f32,
        transform: Transform,
        colour: Colour,
    ) {
        if let Some(path) = text_path(text, face, height) {
            self.fill(&path, colour, 1.0, transform);
        }
    }

    // ---- camera effects ---------------------------------------------------

    /// The whole image moved by `transform` (about the origin); what comes from outside
    /// repeats the edge.
    pub(crate) fn warp(&mut self, transform: Transform) {
        let Some(back) = transform.invert() else {
            return;
        };
        let old = self.clone();
        self.map(|x, y, _| {
            let (sx, sy) = (
                back.sx * x + back.kx * y + back.tx,
                back.ky * x + back.sy * y + back.ty,
            );
            old.sample(sx, sy)
        });
    }

    /// Adds normal noise with standard deviation `sigma` (of 255) to every channel.
    pub(crate) fn noise(&mut self, sigma: f32, rng: &mut Rng) {
        // A table look-up for each channel: a true normal for each would take longer than
        // all of the drawing.
        let table: [f32; 64] = std::array::from_fn(|_| sigma * rng.normal());
        self.map(|_, _, c| {
            let bits = rng.next_u64();
            std::array::from_fn(|i| {
                to_byte(f32::from(c[i]) + table[(bits >> (6 * i)) as usize & 63])
            })
        });
    }

    /// Blurs with two box filters of about standard deviation `sigma`, pixels.
    pub(crate) fn blur(&mut self, sigma: f32) {
        if sigma <= 0.05 {
            return;
        }
        // A three-tap filter [w, 1 - 2w, w] has variance 2w; several passes make up sigma².
        let variance = sigma * sigma;
        let passes = (variance / 0.6).ceil().max(1.0);
        let w = variance / passes / 2.0;
        for _ in 0..passes as usize {
            let old = self.clone();
            self.filter(&old, 1, 0, w);
            let old = self.clone();
            self.filter(&old, 0, 1, w);
        }
    }

    fn filter(&mut self, old: &Self, dx: i32, dy: i32, w: f32) {
        self.map(|x, y, c| {
            let (x, y) = (x as i32, y as i32);
            let (a, b) = (old.get(x - dx, y - dy), old.get(x + dx, y + dy));
            std::array::from_fn(|i| {
                to_byte((1.0 - 2.0 * w) * f32::from(c[i]) + w * (f32::from(a[i]) + f32::from(b[i])))
            })
        });
    }

    /// `contrast` about the middle gray, then `brightness` (of 255) added, and colours pulled
    /// towards gray (`saturation` < 1) or away from it.
    pub(crate) fn tone(&mut self, brightness: f32, contrast: f32, saturation: f32) {
        self.map(|_, _, c| {
            let gray = crate::colour::luma(c);
            c.map(|v| {
                let v = gray + (f32::from(v) - gray) * saturation;
                to_byte((v - 128.0) * contrast + 128.0 + brightness)
            })
        });
    }

    /// Multiplies the three channels, as coloured light does.
    pub(crate) fn tint(&mut self, gain: [f32; 3]) {
        self.map(|_, _, c| std::array::from_fn(|i| to_byte(f32::from(c[i]) * gain[i])));
    }

    /// Hides about `fraction` of the picture behind a bar or a disc at one edge.
    pub(crate) fn occlude(&mut self, fraction: f32, rng: &mut Rng) {
        let colour = crate::colour::any(rng);
        let along = rng.range(0.0, SIZE);
        let depth = SIZE * fraction * 2.0;
        let (x, y) = match rng.below(4) {
            0 => (along, 0.0),
            1 => (along, SIZE),
            2 => (0.0, along),
            _ => (SIZE, along),
        };
        if rng.chance(0.5) {
            self.circle(x, y, depth.max(2.0), colour);
        } else {
            let angle = rng.range(0.0, 3.2);
            self.rotated_rect(x, y, depth * 1.6, depth * 1.6, angle, colour);
        }
    }

    /// What a cheap camera does, `strength` in [0, 1]: light, blur and noise.
    pub(crate) fn degrade(&mut self, strength: f32, rng: &mut Rng) {
        self.tone(
            rng.range(-40.0, 40.0) * strength,
            1.0 + rng.range(-0.4, 0.3) * strength,
            1.0 + rng.range(-0.5, 0.3) * strength,
        );
        if rng.chance(0.6) {
            self.blur(rng.range(0.2, 1.1) * strength);
        }
        if rng.chance(0.8) {
            self.noise(rng.range(1.0, 16.0) * strength, rng);
        }
    }

    /// The finished picture.
    pub(crate) fn finish(&self) -> RgbImage {
        let rgb = self
            .pixmap
            .data()
            .chunks_exact(4)
            .flat_map(|p| [p[0], p[1], p[2]])
            .collect();
        RgbImage::from_raw(SIDE, SIDE, rgb).expect("the canvas has SIDE x SIDE pixels")
    }
}

/// The mean of each square of four pixels; an odd last row or column is dropped.
fn halved(sprite: &Pixmap) -> Pixmap {
    let (width, height) = ((sprite.width() / 2).max(1), (sprite.height() / 2).max(1));
    let mut small = Pixmap::new(width, height).expect("both sides are at least 1");
    let stride = 4 * sprite.width() as usize;
    let data = sprite.data();
    for (i, byte) in small.data_mut().iter_mut().enumerate() {
        let (x, y) = (i / 4 % width as usize, i / 4 / width as usize);
        let first = 2 * y * stride + 8 * x + i % 4;
        let right = if sprite.width() > 1 { 4 } else { 0 };
        let below = if sprite.height() > 1 { stride } else { 0 };
        let sum = [0, right, below, below + right]
            .iter()
            .map(|d| u16::from(data[first + d]))
            .sum::<u16>();
        *byte = ((sum + 2) / 4) as u8;
    }
    small
}

/// The transform that turns by `angle` about the origin and then moves to (cx, cy).
pub(crate) fn placed(cx: f32, cy: f32, angle: f32) -> Transform {
    let (sin, cos) = angle.sin_cos();
    Transform::from_row(cos, sin, -sin, cos, cx, cy)
}

/// Turn, scale and shear about the picture's middle by random amounts up to the given ones
/// (radians, relative, relative), plus a shift of up to `shift` pixels.
pub(crate) fn random_view(
    turn: f32,
    scale: f32,
    shear: f32,
    shift: f32,
    rng: &mut Rng,
) -> Transform {
    let zoom = 1.0 + rng.range(-scale, scale);
    Transform::from_translate(-SIZE / 2.0, -SIZE / 2.0)
        .post_concat(Transform::from_row(
            zoom,
            rng.range(-shear, shear),
            rng.range(-shear, shear),
            zoom,
            0.0,
            0.0,
        ))
        .post_concat(placed(
            SIZE / 2.0 + rng.range(-shift, shift),
            SIZE / 2.0 + rng.range(-shift, shift),
            rng.range(-turn, turn),
        ))
}

/// The points of a regular polygon with `n` corners, the first one at the top.
pub(crate) fn regular(n: usize, cx: f32, cy: f32, radius: f32, angle: f32) -> Vec<(f32, f32)> {
    (0..n)
        .map(|i| {
            let t = angle + std::f32::consts::TAU * i as f32 / n as f32;
            (cx + radius * t.sin(), cy - radius * t.cos())
        })
        .collect()
}

/// The points of a star with `n` rays; `inner` is the inner radius.
pub(crate) fn star(
    n: usize,
    (cx, cy): (f32, f32),
    outer: f32,
    inner: f32,
    angle: f32,
) -> Vec<(f32, f32)> {
    (0..2 * n)
        .map(|i| {
            let t = angle + std::f32::consts::PI * i as f32 / n as f32;
            let r = if i % 2 == 0 { outer } else { inner };
            (cx + r * t.sin(), cy - r * t.cos())
        })
        .collect()
}

/// A path through `points`; `None` for fewer than two or for coordinates that are not finite.
pub(crate) fn polygon(points: &[(f32, f32)], closed: bool) -> Option<Path> {
    let mut builder = PathBuilder::new();
    for (i, &(x, y)) in points.iter().enumerate() {
        if i == 0 {
            builder.move_to(x, y)
        } else {
            builder.line_to(x, y)
        }
    }
    if closed {
        builder.close();
    }
    builder.finish()
}

/// Width of `text` in pixels when its capitals are about `height` pixels high.
pub(crate) fn text_width(text: &str, face: &FontRef<'static>, height: f32) -> f32 {
    layout(text, face, height).1
}

/// The outline of `text`, its middle at the origin; `None` if nothing of it is visible.
pub(crate) fn text_path(text: &str, face: &FontRef<'static>, height: f32) -> Option<Path> {
    let (glyphs, width) = layout(text, face, height);
    let mut builder = PathBuilder::new();
    let scaled = face.as_scaled(scale(height));
    let (h, v) = (scaled.h_scale_factor(), scaled.v_scale_factor());
    for glyph in &glyphs {
        let Some(outline) = face.outline(glyph.id) else {
            continue;
        };
        let at = |p: ab_glyph::Point| {
            (
                glyph.position.x - width / 2.0 + p.x * h,
                height / 2.0 - p.y * v,
            )
        };
        add_outline(&mut builder, &outline.curves, at);
    }
    builder.finish()
}

fn add_outline(
    builder: &mut PathBuilder,
    curves: &[ab_glyph::OutlineCurve],
    at: impl Fn(ab_glyph::Point) -> (f32, f32),
) {
    use ab_glyph::OutlineCurve::{Cubic, Line, Quad};
    let mut pen = None;
    for curve in curves {
        let (Line(start, end) | Quad(start, _, end) | Cubic(start, _, _, end)) = *curve;
        if pen != Some(start) {
            let (x, y) = at(start);
            builder.move_to(x, y);
        }
        let (x, y) = at(end);
        match *curve {
            Line(..) => builder.line_to(x, y),
            Quad(_, c, _) => {
                let (cx, cy) = at(c);
                builder.quad_to(cx, cy, x, y);
            }
            Cubic(_, c, d, _) => {
                let ((cx, cy), (dx, dy)) = (at(c), at(d));
                builder.cubic_to(cx, cy, dx, dy, x, y);
            }
        }
        pen = Some(end);
    }
    builder.close();
}

/// Capitals are about 0.7 of the em, and ab_glyph's scale is the line's height, about 1.17 em.
fn scale(height: f32) -> PxScale {
    PxScale::from(height * 1.65)
}

fn layout(text: &str, face: &FontRef<'static>, height: f32) -> (Vec<Glyph>, f32) {
    let scaled = face.as_scaled(scale(height));
    let mut x = 0.0;
    let mut previous = None;
    let mut glyphs = Vec::with_capacity(text.len());
    for c in text.chars() {
        let id = scaled.glyph_id(c);
        if let Some(previous) = previous {
            x += scaled.kern(previous, id);
        }
        glyphs.push(id.with_scale_and_position(scale(height), point(x, 0.0)));
        x += scaled.h_advance(id);
        previous = Some(id);
    }
    (glyphs, x)
}

fn paint(colour: Colour, opacity: f32) -> Paint<'static> {
    let mut paint = Paint::default();
    let alpha = to_byte(255.0 * opacity.clamp(0.0, 1.0));
    paint.set_color_rgba8(colour[0], colour[1], colour[2], alpha);
    paint.anti_alias = true;
    paint
}
