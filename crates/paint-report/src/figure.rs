//! What the figures have in common: colours, shapes, the frame, the legend.

use crate::axis::Axis;
use crate::escape::escape;
use std::fmt::Write;

/// A figure as inline SVG, with a legend and a caption as HTML.
///
/// Its colours are CSS variables of the page that [`crate::report`] writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    pub(crate) svg: String,
    pub(crate) legend: Vec<(String, String)>,
    pub(crate) caption: String,
}

/// Number of colours in the style sheet, and of shapes.
pub(crate) const N_SERIES: usize = 9;

/// A number of pixels, short.
pub(crate) fn px(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

impl Figure {
    /// The drawing alone: one well-formed `<svg>` element.
    pub fn svg(&self) -> &str {
        &self.svg
    }

    pub(crate) fn to_html(&self) -> String {
        let items: String = self
            .legend
            .iter()
            .map(|(swatch, name)| format!("<li>{swatch}<span>{}</span></li>", escape(name)))
            .collect();
        let caption = escape(&self.caption);
        let svg = &self.svg;
        format!(
            "<figure>\n<ul class=\"legend\">{items}</ul>\n{svg}<figcaption>{caption}</figcaption>\n</figure>\n"
        )
    }
}

/// An `<svg>` with its accessible name and description around `content`.
pub(crate) fn svg(
    id: &str,
    width: f64,
    height: f64,
    title: &str,
    description: &str,
    content: &str,
) -> String {
    format!(
        "<svg class=\"plot\" viewBox=\"0 0 {} {}\" role=\"img\" aria-labelledby=\"{id}-title {id}-desc\">\n\
         <title id=\"{id}-title\">{}</title>\n<desc id=\"{id}-desc\">{}</desc>\n{content}</svg>\n",
        px(width),
        px(height),
        escape(title),
        escape(description)
    )
}

/// A small drawing beside a name in the legend.
pub(crate) fn swatch(content: &str) -> String {
    format!("<svg class=\"swatch\" viewBox=\"0 0 30 14\" aria-hidden=\"true\">{content}</svg>")
}

/// Grid lines and tick labels of a horizontal axis whose line is at `bottom`.
pub(crate) fn horizontal_axis(axis: &Axis, top: f64, bottom: f64, out: &mut String) {
    for (x, label) in axis.ticks() {
        let x = px(x);
        let _ = writeln!(
            out,
            "<path class=\"grid\" d=\"M{x} {}V{}\"/><text class=\"tick\" x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{label}</text>",
            px(top),
            px(bottom),
            px(bottom + 17.0)
        );
    }
}

/// Grid lines and tick labels of a vertical axis whose line is at `left`.
pub(crate) fn vertical_axis(axis: &Axis, left: f64, right: f64, out: &mut String) {
    for (y, label) in axis.ticks() {
        let _ = writeln!(
            out,
            "<path class=\"grid\" d=\"M{} {}H{}\"/><text class=\"tick\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{label}</text>",
            px(left),
            px(y),
            px(right),
            px(left - 7.0),
            px(y + 4.5)
        );
    }
}

/// The marker of a series, so that colour is never the only difference.
pub(crate) fn marker(series: usize, x: f64, y: f64, radius: f64) -> String {
    // Corners, ratio of the inner to the outer radius (1: no inner corners),
    // turn in degrees, size relative to the circle.
    let (corners, inner, turn, size) = match series % N_SERIES {
        0 => {
            return format!(
                "<circle class=\"mark\" cx=\"{}\" cy=\"{}\" r=\"{}\"/>",
                px(x),
                px(y),
                px(radius)
            );
        }
        1 => (4, 1.0, 45.0, 1.25),
        2 => (3, 1.0, 0.0, 1.35),
        3 => (4, 1.0, 0.0, 1.3),
        4 => (3, 1.0, 180.0, 1.35),
        5 => (5, 0.45, 0.0, 1.5),
        6 => (4, 0.4, 45.0, 1.5),
        7 => (6, 1.0, 0.0, 1.15),
        _ => (4, 0.4, 0.0, 1.5),
    };
    let starred = inner < 1.0;
    let n_points = if starred { 2 * corners } else { corners };
    let points: Vec<String> = (0..n_points)
        .map(|i| {
            let length = radius * size * if starred && i % 2 == 1 { inner } else { 1.0 };
            let angle = (turn + 360.0 * f64::from(i) / f64::from(n_points)).to_radians();
            format!(
                "{} {}",
                px(x + length * angle.sin()),
                px(y - length * angle.cos())
            )
        })
        .collect();
    format!("<path class=\"mark\" d=\"M{}Z\"/>", points.join("L"))
}
