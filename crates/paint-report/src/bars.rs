//! The bars of the patching tasks: accuracy before, patched and fine-tuned.

use crate::axis::Axis;
use crate::escape::escape;
use crate::figure::{Figure, horizontal_axis, px, svg, swatch};
use crate::{Error, Estimate, Result, Rq1Row, format_percent, format_points, number};
use std::fmt::Write;

const WIDTH: f64 = 480.0;
const LEFT: f64 = 112.0;
const RIGHT: f64 = WIDTH - 56.0;
const TOP: f64 = 24.0;
const BAR: f64 = 10.0;
const GROUP: f64 = 44.0;
/// Longer names would run into the bars; the whole name is in the tooltip.
const NAME_LENGTH: usize = 15;

/// The accuracies of every patching task side by side: zero-shot, patched,
/// fine-tuned, in per cent with 95 % intervals, and the gain in points.
///
/// # Errors
/// Refuses no rows at all.
pub fn accuracy_bars(rows: &[Rq1Row]) -> Result<Figure> {
    if rows.is_empty() {
        return Err(Error::Empty);
    }
    let bottom = TOP + GROUP * rows.len() as f64;
    let axis = Axis::around([0.0, 100.0].into_iter(), LEFT, RIGHT);
    let mut out = String::new();
    horizontal_axis(&axis, TOP, bottom, &mut out);
    let _ = writeln!(
        out,
        "<text class=\"tick\" x=\"{WIDTH}\" y=\"15\" text-anchor=\"end\">gain</text>"
    );
    for (position, row) in rows.iter().enumerate() {
        draw_row(&axis, row, TOP + GROUP * position as f64, &mut out);
    }
    let _ = writeln!(
        out,
        "<path class=\"axis\" d=\"M{LEFT} {TOP}V{b}H{RIGHT}\"/>\n\
         <text class=\"label\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">Accuracy, %</text>",
        (LEFT + RIGHT) / 2.0,
        px(bottom + 38.0),
        b = px(bottom)
    );
    let title = "Accuracy of the zero-shot, the patched and the fine-tuned model on every patching task, test images";
    let bar = |class: &str| {
        swatch(&format!(
            "<rect class=\"bar {class}\" x=\"1\" y=\"2\" width=\"28\" height=\"10\"/>"
        ))
    };
    Ok(Figure {
        svg: svg("bars", WIDTH, bottom + 48.0, title, "The numbers are in the table of results.", &out),
        legend: vec![
            (bar("bar-zero-shot"), "zero-shot".to_owned()),
            (bar("bar-patched"), "patched".to_owned()),
            (bar("bar-fine-tuned"), "fine-tuned".to_owned()),
        ],
        caption: "Accuracy on every patching task, test images, with 95\u{a0}% intervals; right, what patching gained in points."
            .to_owned(),
    })
}

fn draw_row(axis: &Axis, row: &Rq1Row, top: f64, out: &mut String) {
    let _ = writeln!(
        out,
        "<g><text class=\"name\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text><title>{}</title></g>",
        px(LEFT - 8.0),
        px(top + GROUP / 2.0 + 4.5),
        escape(&shortened(&row.task)),
        escape(&row.task)
    );
    let bars = [
        ("zero-shot", &row.zero_shot),
        ("patched", &row.patched),
        ("fine-tuned", &row.fine_tuned),
    ];
    for (position, (name, accuracy)) in bars.into_iter().enumerate() {
        let y = top + (GROUP - 3.0 * BAR - 2.0) / 2.0 + position as f64 * (BAR + 1.0);
        draw_bar(axis, &row.task, name, accuracy, y, out);
    }
    let _ = writeln!(
        out,
        "<g><text class=\"gain\" x=\"{WIDTH}\" y=\"{}\" text-anchor=\"end\">{}</text><title>{}: {} points</title></g>",
        px(top + GROUP / 2.0 + 4.5),
        number::points(row.gain.value()),
        escape(&row.task),
        format_points(&row.gain)
    );
}

fn draw_bar(axis: &Axis, task: &str, name: &str, accuracy: &Estimate, y: f64, out: &mut String) {
    let end = axis.clamp(accuracy.value() * 100.0);
    let middle = px(y + BAR / 2.0);
    let _ = writeln!(
        out,
        "<g><rect class=\"bar bar-{name}\" x=\"{LEFT}\" y=\"{}\" width=\"{}\" height=\"{BAR}\"/>\
         <path class=\"whisker\" d=\"M{} {middle}H{}\"/><title>{}, {name}: {} %, n = {}</title></g>",
        px(y),
        px(end - LEFT),
        px(axis.clamp(accuracy.low() * 100.0)),
        px(axis.clamp(accuracy.high() * 100.0)),
        escape(task),
        format_percent(accuracy),
        number::count(accuracy.n())
    );
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= NAME_LENGTH {
        return name.to_owned();
    }
    let start: String = name.chars().take(NAME_LENGTH - 1).collect();
    format!("{start}…")
}
