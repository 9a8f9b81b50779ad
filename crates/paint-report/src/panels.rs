//! One small panel per task: accuracies over alpha, and the alpha that was chosen.

use crate::escape::escape;
use crate::figure::{Figure, px, svg, swatch};
use crate::rq1::split_name;
use crate::tradeoff::{in_order, near, path, tooltip};
use crate::{Curve, CurvePoint, Error, Estimate, Result, Split, number};
use std::fmt::Write;

const COLUMNS: usize = 3;
const WIDTH: f64 = 480.0;
const LEFT: f64 = 52.0;
const GAP: f64 = 14.0;
const PANEL_WIDTH: f64 = (WIDTH - LEFT - 6.0 - GAP * (COLUMNS as f64 - 1.0)) / COLUMNS as f64;
const PANEL_HEIGHT: f64 = 96.0;
const TITLE: f64 = 22.0;
const ROW: f64 = TITLE + PANEL_HEIGHT + 10.0;

/// A small panel per task: both accuracies in per cent against alpha with bands
/// of 95 %, and a line at the chosen alpha.
///
/// # Errors
/// Refuses no curves at all and a curve without points.
pub fn alpha_panels(curves: &[Curve], supported: &str, split: Split) -> Result<Figure> {
    if curves.is_empty() || curves.iter().any(|curve| curve.points.is_empty()) {
        return Err(Error::Empty);
    }
    let mut out = String::new();
    for (position, curve) in curves.iter().enumerate() {
        let (panel, curve) = (Panel::at(position, curves.len()), in_order(curve));
        draw_frame(&panel, &curve.task, &mut out);
        draw_chosen(&panel, &curve, &mut out);
        draw_line(
            &panel,
            &curve,
            ("s1", "line dashed"),
            |p| &p.supported,
            &mut out,
        );
        draw_line(&panel, &curve, ("s0", "line"), |p| &p.patching, &mut out);
        draw_targets(&panel, &curve, &mut out);
    }
    let rows = curves.len().div_ceil(COLUMNS) as f64;
    let middle = px(rows * ROW / 2.0);
    let _ = writeln!(
        out,
        "<text class=\"label\" transform=\"translate(12 {middle}) rotate(-90)\" text-anchor=\"middle\">Accuracy, %</text>\n\
         <text class=\"label\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">α</text>",
        px((LEFT + WIDTH) / 2.0),
        px(rows * ROW + 30.0)
    );
    let split = split_name(split);
    let title =
        format!("Accuracy on each patching task and on {supported} against alpha, {split} images");
    let description = "One panel per patching task; alpha from 0, zero-shot, to 1, fine-tuned.";
    let drawing = |class: &str, line: &str| {
        swatch(&format!(
            "<g class=\"series {class}\"><rect class=\"band\" x=\"1\" y=\"3\" width=\"28\" height=\"8\"/>{line}</g>"
        ))
    };
    Ok(Figure {
        svg: svg(
            &format!("panels-{split}"),
            WIDTH,
            rows * ROW + 36.0,
            &title,
            description,
            &out,
        ),
        legend: vec![
            (
                drawing("s0", "<path class=\"line\" d=\"M1 7H29\"/>"),
                "the patching task".to_owned(),
            ),
            (
                drawing("s1", "<path class=\"line dashed\" d=\"M1 7H29\"/>"),
                format!("{supported} (supported)"),
            ),
            (
                swatch("<path class=\"chosen\" d=\"M15 0V14\"/>"),
                "chosen α".to_owned(),
            ),
        ],
        caption: format!("Accuracy on {split} images against α, with bands of 95\u{a0}%."),
    })
}

/// The place of one panel.
struct Panel {
    left: f64,
    top: f64,
    bottom: f64,
    is_leftmost: bool,
    is_lowest: bool,
}

impl Panel {
    fn at(position: usize, n_panels: usize) -> Self {
        let top = (position / COLUMNS) as f64 * ROW + TITLE;
        Self {
            left: LEFT + (position % COLUMNS) as f64 * (PANEL_WIDTH + GAP),
            top,
            bottom: top + PANEL_HEIGHT,
            is_leftmost: position.is_multiple_of(COLUMNS),
            is_lowest: position + COLUMNS >= n_panels,
        }
    }

    fn x(&self, point: &CurvePoint) -> f64 {
        self.left + point.alpha.get() * PANEL_WIDTH
    }

    fn y(&self, fraction: f64) -> f64 {
        self.bottom - fraction.clamp(0.0, 1.0) * PANEL_HEIGHT
    }
}

fn draw_frame(panel: &Panel, task: &str, out: &mut String) {
    let (left, top, bottom) = (px(panel.left), px(panel.top), px(panel.bottom));
    let width = px(PANEL_WIDTH);
    let name = escape(task);
    let _ = writeln!(
        out,
        "<text class=\"name\" x=\"{left}\" y=\"{}\">{name}</text>",
        px(panel.top - 6.0)
    );
    for tick in [0.0, 0.5, 1.0] {
        let y = panel.y(tick);
        let _ = writeln!(
            out,
            "<path class=\"grid\" d=\"M{left} {}h{width}\"/>",
            px(y)
        );
        if panel.is_leftmost {
            let (x, y) = (px(panel.left - 6.0), px(y + 4.0));
            let label = number::fixed(tick * 100.0, 0);
            let _ = writeln!(
                out,
                "<text class=\"tick\" x=\"{x}\" y=\"{y}\" text-anchor=\"end\">{label}</text>"
            );
        }
    }
    let _ = writeln!(
        out,
        "<path class=\"axis\" d=\"M{left} {top}V{bottom}h{width}\"/>"
    );
    if panel.is_lowest {
        for (alpha, anchor) in [(0.0, "start"), (0.5, "middle"), (1.0, "end")] {
            let (x, y) = (
                px(panel.left + alpha * PANEL_WIDTH),
                px(panel.bottom + 15.0),
            );
            let _ = writeln!(
                out,
                "<text class=\"tick\" x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{alpha}</text>"
            );
        }
    }
}

fn draw_chosen(panel: &Panel, curve: &Curve, out: &mut String) {
    let chosen = curve
        .chosen
        .and_then(|alpha| curve.points.iter().find(|p| near(p.alpha, alpha)));
    if let Some(point) = chosen {
        let (x, top, bottom) = (px(panel.x(point)), px(panel.top), px(panel.bottom));
        let title = tooltip(&curve.task, point);
        let _ = writeln!(
            out,
            "<path class=\"chosen\" d=\"M{x} {top}V{bottom}\"><title>chosen. {title}</title></path>"
        );
    }
}

fn draw_line(
    panel: &Panel,
    curve: &Curve,
    style: (&str, &str),
    get: fn(&CurvePoint) -> &Estimate,
    out: &mut String,
) {
    let at =
        |value: fn(&Estimate) -> f64| move |p: &CurvePoint| (panel.x(p), panel.y(value(get(p))));
    let above: Vec<_> = curve.points.iter().map(at(Estimate::high)).collect();
    let below: Vec<_> = curve.points.iter().rev().map(at(Estimate::low)).collect();
    let middle: Vec<_> = curve.points.iter().map(at(Estimate::value)).collect();
    let (series, line) = style;
    let _ = writeln!(
        out,
        "<g class=\"series {series}\"><path class=\"band\" d=\"{}Z\"/><path class=\"{line}\" d=\"{}\"/></g>",
        path(&[above, below].concat()),
        path(&middle)
    );
}

/// Circles wider than the line, so that the pointer finds them.
fn draw_targets(panel: &Panel, curve: &Curve, out: &mut String) {
    for point in &curve.points {
        let (x, y) = (px(panel.x(point)), px(panel.y(point.patching.value())));
        let title = tooltip(&curve.task, point);
        let _ = writeln!(
            out,
            "<circle class=\"target\" cx=\"{x}\" cy=\"{y}\" r=\"5\"><title>{title}</title></circle>"
        );
    }
}
