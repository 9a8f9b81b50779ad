//! The figure of selective prediction: accuracy against the share of images held back.

use crate::axis::Axis;
use crate::figure::{Figure, N_SERIES, horizontal_axis, px, svg, swatch, vertical_axis};
use crate::tradeoff::path;
use crate::{Error, Result};
use std::fmt::Write;

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = WIDTH - 16.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = HEIGHT - 50.0;

/// A line per score: the share of the least certain images that is held back to the right, accuracy
/// on the rest upwards; both fractions.
///
/// # Errors
/// Refuses no curves at all and a curve without points.
pub(crate) fn selective_figure(curves: &[(&str, &[(f64, f64)])]) -> Result<Figure> {
    if curves.is_empty() || curves.iter().any(|(_, points)| points.is_empty()) {
        return Err(Error::Empty);
    }
    let points = || curves.iter().flat_map(|(_, points)| points.iter());
    let x = Axis::around(points().map(|(held, _)| 100.0 * held), LEFT, RIGHT);
    let y = Axis::around(points().map(|(_, accuracy)| 100.0 * accuracy), BOTTOM, TOP);
    let mut out = String::new();
    horizontal_axis(&x, TOP, BOTTOM, &mut out);
    vertical_axis(&y, LEFT, RIGHT, &mut out);
    let _ = writeln!(
        out,
        "<path class=\"axis\" d=\"M{LEFT} {TOP}V{BOTTOM}H{RIGHT}\"/>\n\
         <text class=\"label\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">Least certain images held back, %</text>\n\
         <text class=\"label\" transform=\"translate(14 {}) rotate(-90)\" text-anchor=\"middle\">Accuracy on the rest, %</text>",
        px((LEFT + RIGHT) / 2.0),
        px(HEIGHT - 10.0),
        px((TOP + BOTTOM) / 2.0),
    );
    for (series, (_, points)) in curves.iter().enumerate() {
        let place =
            |(held, accuracy): &(f64, f64)| (x.place(100.0 * held), y.place(100.0 * accuracy));
        let places: Vec<(f64, f64)> = points.iter().map(place).collect();
        let _ = writeln!(out, "{}", line(series, &path(&places)));
    }
    let names = curves.iter().map(|(name, _)| (*name).to_owned());
    let legend = |(series, name)| (swatch(&line(series, "M1 7H29")), name);
    Ok(Figure {
        svg: svg(
            "selective",
            WIDTH,
            HEIGHT,
            "Accuracy against the share of the least certain images held back, a line per score, test images",
            "The areas under the curves are in the table.",
            &out,
        ),
        legend: names.enumerate().map(legend).collect(),
        caption: "Selective prediction: the least certain images are held back, and accuracy is that on the rest, test \
                  images. A score that knows wrong answers rises early."
            .to_owned(),
    })
}

fn line(series: usize, d: &str) -> String {
    let class = if series.is_multiple_of(2) {
        "line"
    } else {
        "line dashed"
    };
    format!(
        "<g class=\"series s{}\"><path class=\"{class}\" d=\"{d}\"/></g>",
        series % N_SERIES
    )
}
