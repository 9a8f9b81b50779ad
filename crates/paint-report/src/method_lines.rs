//! The figure of question 3: combined accuracy against the number of tasks, a line per method.

use crate::axis::Axis;
use crate::escape::escape;
use crate::figure::{Figure, N_SERIES, marker, px, svg, swatch, vertical_axis};
use crate::table::distinct;
use crate::tradeoff::path;
use crate::{Error, Result, Rq3Row, format_percent, number};
use std::fmt::Write;

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = WIDTH - 16.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = HEIGHT - 50.0;
/// Share of the room between two numbers of tasks over which the methods are spread, so that their
/// intervals stand side by side.
const SPREAD: f64 = 0.55;

/// The means over seeds of [`Rq3Row`]s as lines over k, with 95 % intervals.
///
/// # Errors
/// Refuses rows without any mean over seeds.
pub(crate) fn method_lines(rows: &[Rq3Row]) -> Result<Figure> {
    let means: Vec<&Rq3Row> = rows.iter().filter(|row| row.seed.is_none()).collect();
    if means.is_empty() {
        return Err(Error::Empty);
    }
    let methods = distinct(means.iter().map(|row| row.method.as_str()));
    let ends = means
        .iter()
        .flat_map(|row| [row.combined.low(), row.combined.high()]);
    let frame = Frame {
        tasks: Tasks::of(&means),
        y: Axis::around(ends.map(|end| end * 100.0), BOTTOM, TOP),
        n_methods: methods.len(),
    };
    let mut out = String::new();
    draw_frame(&frame, &mut out);
    for (series, method) in methods.iter().enumerate() {
        let line = means.iter().filter(|row| row.method == *method).copied();
        draw_method(&frame, series, line.collect(), &mut out);
    }
    let title = "Combined accuracy against the number of tasks in one model, a line per method, test images";
    let description = "The numbers are in the tables.";
    Ok(Figure {
        svg: svg("methods", WIDTH, HEIGHT, title, description, &out),
        legend: methods.iter().enumerate().map(legend).collect(),
        caption: "Mean accuracy over the patching and the supported tasks against the number of tasks patched into one \
                  model, test images, means over seeds with 95\u{a0}% intervals. Methods stand side by side at each number."
            .to_owned(),
    })
}

/// The numbers of tasks, evenly spaced.
struct Tasks(Vec<u64>);

impl Tasks {
    fn of(rows: &[&Rq3Row]) -> Self {
        let mut ks: Vec<u64> = rows.iter().map(|row| row.k).collect();
        ks.sort_unstable();
        ks.dedup();
        Self(ks)
    }

    fn room(&self) -> f64 {
        (RIGHT - LEFT) / self.0.len() as f64
    }

    fn place(&self, k: u64) -> f64 {
        let position = self.0.partition_point(|&other| other < k);
        LEFT + (position as f64 + 0.5) * self.room()
    }
}

struct Frame {
    tasks: Tasks,
    y: Axis,
    n_methods: usize,
}

impl Frame {
    fn x(&self, k: u64, series: usize) -> f64 {
        let step = SPREAD * self.tasks.room() / self.n_methods as f64;
        self.tasks.place(k) + step * (series as f64 - (self.n_methods as f64 - 1.0) / 2.0)
    }

    fn y(&self, fraction: f64) -> f64 {
        self.y.clamp(fraction * 100.0)
    }
}

fn draw_frame(frame: &Frame, out: &mut String) {
    vertical_axis(&frame.y, LEFT, RIGHT, out);
    for &k in &frame.tasks.0 {
        let (x, y) = (px(frame.tasks.place(k)), px(BOTTOM + 17.0));
        let label = number::count(k);
        let _ = writeln!(
            out,
            "<text class=\"tick\" x=\"{x}\" y=\"{y}\" text-anchor=\"middle\">{label}</text>"
        );
    }
    let _ = writeln!(
        out,
        "<path class=\"axis\" d=\"M{LEFT} {TOP}V{BOTTOM}H{RIGHT}\"/>\n\
         <text class=\"label\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">Number of patching tasks</text>\n\
         <text class=\"label\" transform=\"translate(14 {}) rotate(-90)\" text-anchor=\"middle\">Combined accuracy, %</text>",
        (LEFT + RIGHT) / 2.0,
        HEIGHT - 10.0,
        (TOP + BOTTOM) / 2.0,
    );
}

fn draw_method(frame: &Frame, series: usize, mut rows: Vec<&Rq3Row>, out: &mut String) {
    rows.sort_by_key(|row| row.k);
    let place = |row: &&Rq3Row| (frame.x(row.k, series), frame.y(row.combined.value()));
    let places: Vec<(f64, f64)> = rows.iter().map(place).collect();
    let _ = writeln!(
        out,
        "<g class=\"series s{}\"><path class=\"{}\" d=\"{}\"/>",
        series % N_SERIES,
        line_class(series),
        path(&places)
    );
    for (row, (x, y)) in rows.iter().zip(places) {
        let _ = writeln!(
            out,
            "<g><path class=\"interval\" d=\"M{} {}V{}\"/>{}<title>{}, {} tasks: {} %</title></g>",
            px(x),
            px(frame.y(row.combined.low())),
            px(frame.y(row.combined.high())),
            marker(series, x, y, 3.6),
            escape(&row.method),
            number::count(row.k),
            format_percent(&row.combined)
        );
    }
    out.push_str("</g>\n");
}

/// Past the last colour, lines are dashed.
fn line_class(series: usize) -> &'static str {
    if series < N_SERIES {
        "line"
    } else {
        "line dashed"
    }
}

fn legend((series, method): (usize, &&str)) -> (String, String) {
    let drawing = format!(
        "<g class=\"series s{}\"><path class=\"{}\" d=\"M1 7H29\"/>{}</g>",
        series % N_SERIES,
        line_class(series),
        marker(series, 15.0, 7.0, 4.2)
    );
    (swatch(&drawing), (*method).to_owned())
}
