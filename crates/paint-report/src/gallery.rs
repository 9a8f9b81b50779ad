//! Example images with what a model saw on them before and after patching.

use crate::Png;
use crate::escape::escape;

/// An example image and two predictions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BeforeAfter {
    /// The image as it is shown to the reader.
    pub png: Png,
    /// The true class.
    pub label: String,
    /// What the unpatched model predicts.
    pub before: String,
    /// What the patched model predicts.
    pub after: String,
}

/// A figure of example images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gallery {
    /// What is shown, in a sentence.
    pub caption: String,
    /// In reading order.
    pub examples: Vec<BeforeAfter>,
}

impl Gallery {
    pub(crate) fn to_html(&self) -> String {
        let items: String = self.examples.iter().map(item).collect();
        format!(
            "<figure>\n<ul class=\"gallery\">\n{items}</ul>\n<figcaption>{}</figcaption>\n</figure>\n",
            escape(&self.caption)
        )
    }
}

fn item(example: &BeforeAfter) -> String {
    let label = escape(&example.label);
    let answer = |when: &str, prediction: &str| {
        format!(
            "<p>{when}: {}</p>",
            prediction_html(prediction, &example.label)
        )
    };
    format!(
        "<li>{}<p class=\"label\">{label}</p>{}{}</li>\n",
        image(&example.png, &example.label),
        answer("before", &example.before),
        answer("after", &example.after)
    )
}

/// The image, named by its true class.
pub(crate) fn image(png: &Png, label: &str) -> String {
    format!(
        "<img src=\"{}\" alt=\"image of: {}\"/>",
        png.data_uri(),
        escape(label)
    )
}

/// A prediction; the style sheet tells right from wrong by a sign, a word for screen readers, and
/// colour.
pub(crate) fn prediction_html(prediction: &str, label: &str) -> String {
    let class = if prediction == label {
        "right"
    } else {
        "wrong"
    };
    format!("<b class=\"prediction {class}\">{}</b>", escape(prediction))
}
