//! The figure of question 1: patching accuracy against supported accuracy over alpha.

use crate::axis::Axis;
use crate::escape::escape;
use crate::figure::{Figure, N_SERIES, horizontal_axis, marker, px, svg, swatch, vertical_axis};
use crate::rq1::split_name;
use crate::{Alpha, Error, Estimate, Result, Split, format_percent, number};
use std::fmt::Write;

/// Both accuracies at one alpha.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurvePoint {
    /// Mixing coefficient, in [0, 1].
    pub alpha: Alpha,
    /// Accuracy on the supported task, a fraction.
    pub supported: Estimate,
    /// Accuracy on the patching task, a fraction.
    pub patching: Estimate,
}

/// The path of one patching task from the zero-shot to the fine-tuned model.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// The patching task.
    pub task: String,
    /// One point per alpha; drawn in the order of alpha.
    pub points: Vec<CurvePoint>,
    /// The alpha that validation chose.
    pub chosen: Option<Alpha>,
}

pub(crate) const WIDTH: f64 = 480.0;
pub(crate) const HEIGHT: f64 = 400.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = WIDTH - 16.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = HEIGHT - 50.0;

/// Supported accuracy to the right, patching accuracy upwards, in per cent.
pub(crate) struct Frame {
    pub(crate) x: Axis,
    pub(crate) y: Axis,
}

impl Frame {
    pub(crate) fn around<'a>(points: impl Iterator<Item = &'a CurvePoint> + Clone) -> Self {
        Self {
            x: Axis::around(points.clone().map(|p| percent(&p.supported)), LEFT, RIGHT),
            y: Axis::around(points.map(|p| percent(&p.patching)), BOTTOM, TOP),
        }
    }

    pub(crate) fn place(&self, point: &CurvePoint) -> (f64, f64) {
        (
            self.x.place(percent(&point.supported)),
            self.y.place(percent(&point.patching)),
        )
    }

    /// Both intervals of a point as the path of a cross.
    pub(crate) fn intervals(&self, point: &CurvePoint) -> String {
        let (x, y) = self.place(point);
        let end_x = |fraction: f64| px(self.x.clamp(fraction * 100.0));
        let end_y = |fraction: f64| px(self.y.clamp(fraction * 100.0));
        format!(
            "M{} {}H{}M{} {}V{}",
            end_x(point.supported.low()),
            px(y),
            end_x(point.supported.high()),
            px(x),
            end_y(point.patching.low()),
            end_y(point.patching.high())
        )
    }
}

/// The figure of RQ1: supported accuracy against patching accuracy in per cent, one curve
/// per task over all alphas, the chosen alpha marked, the average in bold.
///
/// `supported` names the horizontal axis, `split` says whose images these are.
///
/// # Errors
/// Refuses no curves at all and a curve without points.
pub fn tradeoff_figure(curves: &[Curve], supported: &str, split: Split) -> Result<Figure> {
    let numbers = " The numbers are in the table of results.";
    tasks_figure(
        ("tradeoff", "each patching task", numbers),
        curves,
        supported,
        split,
    )
}

/// As [`tradeoff_figure`], of one model of several: its position among them and its name.
///
/// # Errors
/// Refuses what [`tradeoff_figure`] refuses.
pub(crate) fn size_figure(
    (position, name): (usize, &str),
    curves: &[Curve],
    supported: &str,
    split: Split,
) -> Result<Figure> {
    let (id, tasks) = (
        format!("size-{position}"),
        format!("each patching task with {name}"),
    );
    tasks_figure((&id, &tasks, ""), curves, supported, split)
}

/// One curve per patching task and their average; `numbers` says where to find the numbers.
fn tasks_figure(
    (id, tasks, numbers): (&str, &str, &str),
    curves: &[Curve],
    supported: &str,
    split: Split,
) -> Result<Figure> {
    let split_name = split_name(split);
    draw(
        curves,
        supported,
        &Wording {
            id: format!("{id}-{split_name}"),
            patching: "the patching task",
            title: format!(
                "Accuracy on {supported} against accuracy on {tasks}, {split_name} images"
            ),
            description: format!(
                "One curve per patching task from the zero-shot model, alpha 0, to the fine-tuned \
                 model, alpha 1.{numbers}"
            ),
            has_average: true,
            shape: "task",
            caption: caption(supported, tasks, split),
        },
    )
}

/// The figure of RQ2: one curve per model size, each the mean over the patching tasks.
///
/// # Errors
/// Refuses what [`tradeoff_figure`] refuses.
pub(crate) fn sizes_figure(sizes: &[Curve], supported: &str, split: Split) -> Result<Figure> {
    let split_name = split_name(split);
    draw(
        sizes,
        supported,
        &Wording {
            id: format!("sizes-{split_name}"),
            patching: "the patching tasks, mean",
            title: format!(
                "Accuracy on {supported} against mean accuracy on the patching tasks by model size, {split_name} images"
            ),
            description: "One curve per model size from the zero-shot model, alpha 0, to the fine-tuned model, alpha 1. \
                          Gains and distances are in the table of results."
                .to_owned(),
            has_average: false,
            shape: "size",
            caption: caption(supported, "the patching tasks, on average,", split),
        },
    )
}

/// What the figures say differently.
struct Wording {
    id: String,
    patching: &'static str,
    title: String,
    description: String,
    has_average: bool,
    /// What a curve stands for.
    shape: &'static str,
    caption: String,
}

fn draw(curves: &[Curve], supported: &str, wording: &Wording) -> Result<Figure> {
    if curves.is_empty() || curves.iter().any(|curve| curve.points.is_empty()) {
        return Err(Error::Empty);
    }
    let curves: Vec<Curve> = curves.iter().map(in_order).collect();
    let frame = Frame::around(curves.iter().flat_map(|curve| &curve.points));
    let average = match wording.has_average {
        true => average(&curves),
        false => Vec::new(),
    };
    let mut out = String::new();
    draw_frame(&frame, supported, wording.patching, &mut out);
    let numbered = || curves.iter().enumerate();
    numbered().for_each(|(series, curve)| draw_line(&frame, series, curve, &mut out));
    draw_average(&frame, &average, curves.len(), &mut out);
    numbered().for_each(|(series, curve)| draw_points(&frame, series, curve, &mut out));
    numbered().for_each(|(series, curve)| draw_chosen(&frame, series, curve, &mut out));
    let Wording {
        id,
        title,
        description,
        ..
    } = wording;
    Ok(Figure {
        svg: svg(id, WIDTH, HEIGHT, title, description, &out),
        legend: legend(&curves, !average.is_empty(), wording.shape),
        caption: wording.caption.clone(),
    })
}

fn caption(supported: &str, patching: &str, split: Split) -> String {
    let use_of_split = match split {
        Split::Test => "Test images, which had no part in choosing α.",
        Split::Validation => {
            "Validation images: α was chosen on these, so its accuracies here are flattering."
        }
        Split::Train => "Training images.",
    };
    format!(
        "Accuracy on {supported} (supported) against accuracy on {patching} while α goes from 0 to 1. \
         Up is a better patch, left is something lost. {use_of_split}"
    )
}

pub(crate) fn in_order(curve: &Curve) -> Curve {
    let mut curve = curve.clone();
    curve
        .points
        .sort_by(|a, b| a.alpha.get().total_cmp(&b.alpha.get()));
    curve
}

fn percent(estimate: &Estimate) -> f64 {
    estimate.value() * 100.0
}

pub(crate) fn near(a: Alpha, b: Alpha) -> bool {
    (a.get() - b.get()).abs() < 1e-6
}

/// Mean accuracies (supported, patching) in per cent at the alphas that all curves have.
fn average(curves: &[Curve]) -> Vec<(Alpha, f64, f64)> {
    let at = |alpha: Alpha| -> Option<Vec<&CurvePoint>> {
        curves
            .iter()
            .map(|curve| curve.points.iter().find(|p| near(p.alpha, alpha)))
            .collect()
    };
    let mean = |points: &[&CurvePoint], get: fn(&CurvePoint) -> f64| {
        points.iter().map(|point| get(point)).sum::<f64>() / points.len() as f64
    };
    if curves.len() < 2 {
        return Vec::new();
    }
    let alphas = curves[0].points.iter().map(|point| point.alpha);
    alphas
        .filter_map(|alpha| {
            let points = at(alpha)?;
            Some((
                alpha,
                mean(&points, |p| percent(&p.supported)),
                mean(&points, |p| percent(&p.patching)),
            ))
        })
        .collect()
}

pub(crate) fn draw_frame(frame: &Frame, supported: &str, patching: &str, out: &mut String) {
    horizontal_axis(&frame.x, TOP, BOTTOM, out);
    vertical_axis(&frame.y, LEFT, RIGHT, out);
    let middle = (TOP + BOTTOM) / 2.0;
    let _ = writeln!(
        out,
        "<path class=\"axis\" d=\"M{LEFT} {TOP}V{BOTTOM}H{RIGHT}\"/>\n\
         <text class=\"label\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">Accuracy on {}, %</text>\n\
         <text class=\"label\" transform=\"translate(14 {middle}) rotate(-90)\" text-anchor=\"middle\">Accuracy on {}, %</text>",
        (LEFT + RIGHT) / 2.0,
        HEIGHT - 10.0,
        escape(supported),
        escape(patching),
    );
}

pub(crate) fn draw_line(frame: &Frame, series: usize, curve: &Curve, out: &mut String) {
    let places: Vec<(f64, f64)> = curve
        .points
        .iter()
        .map(|point| frame.place(point))
        .collect();
    let _ = writeln!(
        out,
        "<path class=\"series s{} line\" d=\"{}\"/>",
        series % N_SERIES,
        path(&places)
    );
}

pub(crate) fn draw_points(frame: &Frame, series: usize, curve: &Curve, out: &mut String) {
    let _ = writeln!(out, "<g class=\"series s{}\">", series % N_SERIES);
    for point in &curve.points {
        let (x, y) = frame.place(point);
        let (class, radius) = match point.alpha.get() {
            0.0 => ("zero-shot", 3.6),
            1.0 => ("fine-tuned", 3.6),
            _ => ("step", 1.8),
        };
        let _ = writeln!(
            out,
            "<circle class=\"{class}\" cx=\"{}\" cy=\"{}\" r=\"{radius}\"><title>{}</title></circle>",
            px(x),
            px(y),
            tooltip(&curve.task, point)
        );
    }
    out.push_str("</g>\n");
}

fn draw_average(frame: &Frame, average: &[(Alpha, f64, f64)], n_tasks: usize, out: &mut String) {
    if average.is_empty() {
        return;
    }
    let places: Vec<(f64, f64)> = average
        .iter()
        .map(|&(_, x, y)| (frame.x.place(x), frame.y.place(y)))
        .collect();
    let line = path(&places);
    let _ = writeln!(
        out,
        "<path class=\"halo\" d=\"{line}\"/><path class=\"average\" d=\"{line}\"><title>average of {n_tasks} tasks</title></path>"
    );
    for ((alpha, supported, patching), (x, y)) in average.iter().zip(places) {
        let class = if alpha.get() == 0.0 {
            "average-start"
        } else {
            "average-step"
        };
        let _ = writeln!(
            out,
            "<circle class=\"{class}\" cx=\"{}\" cy=\"{}\" r=\"{}\"><title>average of {n_tasks} tasks, α = {}: patching {} %, supported {} %</title></circle>",
            px(x),
            px(y),
            if matches!(alpha.get(), 0.0 | 1.0) {
                4.5
            } else {
                3.0
            },
            number::alpha(*alpha),
            number::fixed(*patching, 1),
            number::fixed(*supported, 1)
        );
    }
}

pub(crate) fn draw_chosen(frame: &Frame, series: usize, curve: &Curve, out: &mut String) {
    let Some(point) = curve
        .chosen
        .and_then(|alpha| curve.points.iter().find(|p| near(p.alpha, alpha)))
    else {
        return;
    };
    let (x, y) = frame.place(point);
    let _ = writeln!(
        out,
        "<g class=\"series s{}\"><path class=\"interval\" d=\"{}\"/>{}</g>",
        series % N_SERIES,
        frame.intervals(point),
        titled(
            &marker(series, x, y, 5.2),
            &format!("chosen. {}", tooltip(&curve.task, point))
        )
    );
}

/// `tooltip` is markup already; it becomes the title of a childless element.
fn titled(element: &str, tooltip: &str) -> String {
    format!("<g>{element}<title>{tooltip}</title></g>")
}

pub(crate) fn tooltip(task: &str, point: &CurvePoint) -> String {
    format!(
        "{}, α = {}: patching {} %, supported {} %",
        escape(task),
        number::alpha(point.alpha),
        format_percent(&point.patching),
        format_percent(&point.supported)
    )
}

pub(crate) fn path(places: &[(f64, f64)]) -> String {
    let places: Vec<String> = places
        .iter()
        .map(|&(x, y)| format!("{} {}", px(x), px(y)))
        .collect();
    format!("M{}", places.join("L"))
}

fn legend(curves: &[Curve], has_average: bool, shape: &str) -> Vec<(String, String)> {
    let line = "<path class=\"line\" d=\"M1 7H29\"/>";
    let mut items: Vec<(String, String)> = curves
        .iter()
        .enumerate()
        .map(|(series, curve)| {
            let drawing = format!(
                "<g class=\"series s{}\">{line}{}</g>",
                series % N_SERIES,
                marker(series, 15.0, 7.0, 4.2)
            );
            (swatch(&drawing), curve.task.clone())
        })
        .collect();
    if has_average {
        items.push((
            swatch("<path class=\"average\" d=\"M1 7H29\"/>"),
            "average".to_owned(),
        ));
    }
    let neutral = |content: &str| swatch(&format!("<g class=\"series neutral\">{content}</g>"));
    items.extend([
        (
            neutral(&format!(
                "{line}<circle class=\"zero-shot\" cx=\"15\" cy=\"7\" r=\"4\"/>"
            )),
            "zero-shot, α = 0".to_owned(),
        ),
        (
            neutral(&format!(
                "{line}<circle class=\"fine-tuned\" cx=\"15\" cy=\"7\" r=\"4\"/>"
            )),
            "fine-tuned, α = 1".to_owned(),
        ),
    ]);
    if curves.iter().any(|curve| curve.chosen.is_some()) {
        items.push((
            neutral("<path class=\"interval\" d=\"M4 7H26M15 0V14\"/><path class=\"mark\" d=\"M10.5 2.5H19.5V11.5H10.5Z\"/>"),
            format!("chosen α (the {shape}’s shape) with 95\u{a0}% intervals"),
        ));
    }
    items
}
