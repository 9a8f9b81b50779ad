//! The interactive figure: alpha under the reader's hand, on one supported and one patching task.
//!
//! Everything it can show is on the page already: JSON beside the figure, every number printed and
//! every place on the plot computed here. The script copies strings and counts right answers. Without JavaScript the
//! figure stands still at the chosen alpha, with a table of all others.

use crate::escape::escape;
use crate::figure::{px, svg};
use crate::gallery::{image, prediction_html};
use crate::rq1::split_name;
use crate::table::{Cell, Table};
use crate::tradeoff::{
    Frame, HEIGHT, WIDTH, draw_chosen, draw_frame, draw_line, draw_points, near,
};
use crate::{Curve, CurvePoint, Error, Estimate, Png, Result, Split, number};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// What moves the figures; the same for all of them.
pub(crate) const SCRIPT: &str = include_str!("slider.js");

/// An image and what the model sees on it at every alpha.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SliderExample {
    /// The image as it is shown to the reader.
    pub png: Png,
    /// The task it is from.
    pub task: String,
    /// The true class.
    pub label: String,
    /// The predicted class at every point of the curve.
    pub predictions: Vec<String>,
}

/// The figure with a slider for alpha.
#[derive(Clone, Debug, PartialEq)]
pub struct Slider {
    curve: Curve,
    i_chosen: usize,
    supported: String,
    split: Split,
    examples: Vec<SliderExample>,
}

impl Slider {
    /// A figure over `curve`, whose points are in the order of alpha and whose chosen alpha is one
    /// of them: there the slider starts. `supported` names the supported task, `split` says whose
    /// images the curve is of; a page shows the same three once. A dozen examples whose predictions
    /// change with alpha show most.
    ///
    /// # Errors
    /// Refuses a curve without points, alphas that do not rise, a chosen alpha that is none of
    /// them, and an example without a prediction for every point.
    pub fn new(
        curve: Curve,
        supported: &str,
        split: Split,
        examples: Vec<SliderExample>,
    ) -> Result<Self> {
        let points = &curve.points;
        if points.is_empty() {
            return Err(Error::Empty);
        }
        if let Some(pair) = points
            .windows(2)
            .find(|pair| pair[0].alpha >= pair[1].alpha)
        {
            return Err(Error::AlphaOrder {
                task: curve.task.clone(),
                alpha: pair[1].alpha.get(),
            });
        }
        let i_chosen = curve
            .chosen
            .and_then(|chosen| points.iter().position(|point| near(point.alpha, chosen)))
            .ok_or_else(|| Error::ChosenAlpha {
                task: curve.task.clone(),
            })?;
        let n_points = points.len();
        if let Some(example) = examples.iter().find(|e| e.predictions.len() != n_points) {
            return Err(Error::Predictions {
                task: example.task.clone(),
                label: example.label.clone(),
                actual: example.predictions.len(),
                expected: n_points,
            });
        }
        Ok(Self {
            curve,
            i_chosen,
            supported: supported.to_owned(),
            split,
            examples,
        })
    }

    pub(crate) fn to_html(&self) -> String {
        let frame = Frame::around(self.curve.points.iter());
        format!(
            "<figure class=\"slider\">\n<script type=\"application/json\">{data}</script>\n\
             <div class=\"panel\">\n{control}<div class=\"now\">\n{now}</div>\n{plot}</div>\n\
             {gallery}<noscript>{table}</noscript>\n<figcaption>{caption}</figcaption>\n</figure>\n",
            data = self.data(&frame),
            control = self.control(),
            now = self.now(),
            plot = self.plot(&frame),
            gallery = self.gallery(),
            table = self.table().to_html(),
            caption = escape(&self.caption()),
        )
    }

    fn chosen(&self) -> &CurvePoint {
        &self.curve.points[self.i_chosen]
    }

    /// The same for the same two tasks and split: names hold characters that ids may not.
    fn id(&self) -> String {
        let names = [&self.curve.task, &self.supported, split_name(self.split)];
        format!("slider-{:.8x}", Sha256::digest(names.join("\n")))
    }

    /// The JSON that the script reads.
    fn data(&self, frame: &Frame) -> String {
        let points = self.curve.points.iter();
        let examples = self.examples.iter();
        let data = Data {
            chosen: self.i_chosen,
            points: points.map(|point| PointData::new(frame, point)).collect(),
            examples: examples.map(ExampleData::new).collect(),
        };
        // Strings and indices alone: this cannot fail.
        script_safe(&serde_json::to_string(&data).unwrap_or_default())
    }

    /// Hidden until the script is there to serve it.
    fn control(&self) -> String {
        let id = self.id();
        let alpha = number::alpha(self.chosen().alpha);
        format!(
            "<div class=\"control\" hidden=\"\">\n<label for=\"{id}\">Mixing coefficient <output class=\"alpha\" for=\"{id}\">α = {alpha}, chosen</output></label>\n\
             <input id=\"{id}\" type=\"range\" min=\"0\" max=\"{last}\" step=\"1\" value=\"{chosen}\" list=\"{id}-chosen\" autocomplete=\"off\"/>\n\
             <datalist id=\"{id}-chosen\"><option value=\"{chosen}\">chosen</option></datalist>\n\
             <div class=\"ends\"><span>zero-shot</span><button type=\"button\">back to α = {alpha}</button><span>fine-tuned</span></div>\n</div>\n",
            last = self.curve.points.len() - 1,
            chosen = self.i_chosen,
        )
    }

    /// Both accuracies, and how many examples are right, at the chosen alpha.
    fn now(&self) -> String {
        let set = |role: &str, name: &str, accuracy: &Estimate| {
            let SetData { value, detail } = SetData::new(accuracy);
            format!(
                "<div class=\"{role}\"><dt>{} ({role})</dt><dd><b>{value}</b> %</dd><dd class=\"ci\">{detail}</dd></div>\n",
                escape(name)
            )
        };
        let is_right = |e: &&SliderExample| e.predictions[self.i_chosen] == e.label;
        let n_right = self.examples.iter().filter(is_right).count();
        let examples = match self.examples.len() {
            0 => String::new(),
            n => format!(
                "<div><dt>Images below</dt><dd><b class=\"n-right\">{n_right}</b> of {n} right</dd></div>\n"
            ),
        };
        format!(
            "<dl class=\"measures\" aria-live=\"polite\">\n{}{}{examples}</dl>\n",
            set("patching", &self.curve.task, &self.chosen().patching),
            set("supported", &self.supported, &self.chosen().supported),
        )
    }

    fn plot(&self, frame: &Frame) -> String {
        let mut out = String::new();
        draw_frame(frame, &self.supported, &self.curve.task, &mut out);
        draw_line(frame, 0, &self.curve, &mut out);
        draw_points(frame, 0, &self.curve, &mut out);
        draw_chosen(frame, 0, &self.curve, &mut out);
        let now = PointData::new(frame, self.chosen());
        let _ = writeln!(
            out,
            "<g class=\"cursor\"><path d=\"{}\"/><circle cx=\"{}\" cy=\"{}\" r=\"9\"/></g>",
            now.intervals, now.x, now.y
        );
        let title = format!(
            "Accuracy on {} against accuracy on {}, {} images; a ring marks the alpha of the slider",
            self.supported,
            self.curve.task,
            split_name(self.split)
        );
        let description =
            "The curve goes from the zero-shot model, alpha 0, to the fine-tuned model, alpha 1.";
        let id = format!("{}-plot", self.id());
        svg(&id, WIDTH, HEIGHT, &title, description, &out)
    }

    fn gallery(&self) -> String {
        if self.examples.is_empty() {
            return String::new();
        }
        let item = |example: &SliderExample| {
            format!(
                "<li>{}<p class=\"label\">{}</p><p class=\"note\">{}</p><p>{}</p></li>\n",
                image(&example.png, &example.label),
                escape(&example.label),
                escape(&example.task),
                prediction_html(&example.predictions[self.i_chosen], &example.label)
            )
        };
        let items: String = self.examples.iter().map(item).collect();
        format!("<ul class=\"gallery\">\n{items}</ul>\n")
    }

    fn table(&self) -> Table {
        let row = |(i, point): (usize, &CurvePoint)| {
            let chosen = if i == self.i_chosen { ", chosen" } else { "" };
            vec![
                Cell::Text(format!("{}{chosen}", number::alpha(point.alpha))),
                Cell::percent(&point.patching),
                Cell::percent(&point.supported),
            ]
        };
        let columns = vec![
            "α".to_owned(),
            format!("{} (patching)", self.curve.task),
            format!("{} (supported)", self.supported),
        ];
        let caption = "Accuracy at every α in per cent, in brackets 95\u{a0}% intervals; with JavaScript a slider moves \
                       through these";
        let rows = self.curve.points.iter().enumerate().map(row).collect();
        Table::new(caption, columns, rows)
    }

    fn caption(&self) -> String {
        format!(
            "What α does to {} (patching) and {} (supported), {} images. The ring marks α on the way from the zero-shot \
             model (open circle) to the fine-tuned one (dot at the other end), with 95\u{a0}% intervals. Below each image its true \
             class, its task, and what the model sees at this α: ✓ right, ✗ wrong.{}",
            self.curve.task,
            self.supported,
            split_name(self.split),
            match self.split {
                Split::Validation =>
                    " α was chosen on these images, so its accuracies here are flattering.",
                Split::Train | Split::Test => "",
            }
        )
    }
}

/// The source that the page's policy allows: this script and no other.
pub(crate) fn script_source() -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(SCRIPT)))
}

/// JSON in which no character can end or open an element, nor trouble an XML parser.
fn script_safe(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<'
            | '>'
            | '&'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{fffe}'
            | '\u{ffff}'
            | '\u{7f}'..='\u{9f}' => {
                let _ = write!(safe, "\\u{:04x}", u32::from(c));
            }
            c => safe.push(c),
        }
    }
    safe
}

#[derive(Serialize)]
struct Data<'a> {
    chosen: usize,
    points: Vec<PointData>,
    examples: Vec<ExampleData<'a>>,
}

/// Numbers as they are printed, places in pixels of the plot.
#[derive(Serialize)]
struct PointData {
    alpha: String,
    patching: SetData,
    supported: SetData,
    x: String,
    y: String,
    intervals: String,
}

impl PointData {
    fn new(frame: &Frame, point: &CurvePoint) -> Self {
        let (x, y) = frame.place(point);
        let (x, y) = (px(x), px(y));
        Self {
            alpha: number::alpha(point.alpha),
            patching: SetData::new(&point.patching),
            supported: SetData::new(&point.supported),
            intervals: frame.intervals(point),
            x,
            y,
        }
    }
}

#[derive(Serialize)]
struct SetData {
    value: String,
    detail: String,
}

impl SetData {
    fn new(accuracy: &Estimate) -> Self {
        Self {
            value: number::percent(accuracy.value()),
            detail: format!(
                "{}, n = {}",
                number::percent_interval(accuracy),
                number::count(accuracy.n())
            ),
        }
    }
}

#[derive(Serialize)]
struct ExampleData<'a> {
    label: &'a str,
    predictions: &'a [String],
}

impl<'a> ExampleData<'a> {
    fn new(example: &'a SliderExample) -> Self {
        Self {
            label: &example.label,
            predictions: &example.predictions,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_cannot_leave_its_element() {
        let hostile = "</script><!--<script>]]>&amp;\u{2028}\u{0}\u{85}'\"\\";
        let safe = script_safe(&serde_json::to_string(hostile).unwrap());
        assert!(
            !safe.contains(['<', '>', '&', '\u{2028}', '\u{85}', '\u{0}']),
            "{safe}"
        );
        assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), hostile);
    }

    /// Neither `</script` nor `<!--` may stand in a script, and a page is checked as XML.
    #[test]
    fn the_script_needs_no_escaping() {
        assert!(!SCRIPT.contains(['<', '&']));
        assert!(!SCRIPT.contains("http"));
    }
}
