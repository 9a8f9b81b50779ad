//! The interactive figure as markup; `tests/browser` moves it.
#![expect(
    clippy::unwrap_used,
    reason = "a failed unwrap is a failed test, in the fixtures too"
)]

use paint_report::{
    Alpha, Block, Curve, CurvePoint, Error, Estimate, Png, Repetition, ReportInput, Section,
    Slider, SliderExample, Split, Verdict, report,
};
use roxmltree::{Document, Node};

/// A class name that tries to leave the script and the element it is put in.
const HOSTILE: &str = "</script><!--<script>alert(1)</script>]]>&\u{2028}\"'\u{0}";

fn curve(alphas: &[f64], chosen: Option<f64>) -> Curve {
    let estimate = |value| Estimate::new(value, value - 0.02, value + 0.02, 1500).unwrap();
    let point = |&alpha: &f64| CurvePoint {
        alpha: Alpha::new(alpha).unwrap(),
        supported: estimate(0.8 - 0.2 * alpha),
        patching: estimate(0.4 + 0.5 * alpha),
    };
    Curve {
        task: HOSTILE.to_owned(),
        points: alphas.iter().map(point).collect(),
        chosen: chosen.map(|alpha| Alpha::new(alpha).unwrap()),
    }
}

fn example(predictions: &[&str]) -> SliderExample {
    SliderExample {
        png: Png::new(b"\x89PNG\r\n\x1a\n".to_vec()).unwrap(),
        task: "digits".to_owned(),
        label: HOSTILE.to_owned(),
        predictions: predictions.iter().map(|&p| p.to_owned()).collect(),
    }
}

fn slider(curve: Curve, examples: Vec<SliderExample>) -> Result<Slider, Error> {
    Slider::new(curve, "objects", Split::Test, examples)
}

fn page(blocks: Vec<Block>) -> String {
    report(&ReportInput {
        title: "T".to_owned(),
        question: "Q".to_owned(),
        verdict: Verdict::rq2(&[]),
        sections: vec![Section::new("Slider", blocks)],
        repetition: Repetition::default(),
    })
}

/// What stands between the tags, which is well-formed XML.
fn main_of(page: &str) -> &str {
    let start = page.find("<main>").unwrap();
    let end = page.find("</main>").unwrap() + "</main>".len();
    &page[start..end]
}

#[test]
fn everything_it_can_show_is_on_the_page() {
    let examples = vec![
        example(&["teapot", "teapot", HOSTILE]),
        example(&["teapot", HOSTILE, HOSTILE]),
    ];
    let slider = slider(curve(&[0.0, 0.5, 1.0], Some(0.5)), examples).unwrap();
    let page = page(vec![Block::Slider(slider)]);
    let document = Document::parse(main_of(&page)).unwrap_or_else(|e| panic!("{e}\n{page}"));
    let element = |tag: &str| -> Node {
        let mut found = document.descendants().filter(|n| n.has_tag_name(tag));
        found.next().unwrap_or_else(|| panic!("no {tag}"))
    };
    let data: serde_json::Value = serde_json::from_str(element("script").text().unwrap()).unwrap();
    assert_eq!(data["chosen"], 1);
    assert_eq!(data["points"][2]["alpha"], "1.00");
    assert_eq!(data["points"][2]["patching"]["value"], "90.0");
    assert_eq!(
        data["points"][0]["supported"]["detail"],
        "[78.0, 82.0], n = 1,500"
    );
    assert_eq!(data["examples"][0]["label"], HOSTILE);
    assert_eq!(data["examples"][0]["predictions"][2], HOSTILE);
    let range = element("input");
    assert_eq!(range.attribute("type"), Some("range"));
    assert_eq!(
        (range.attribute("value"), range.attribute("max")),
        (Some("1"), Some("2"))
    );
    assert_eq!(element("label").attribute("for"), range.attribute("id"));
    // At the chosen alpha one of the two examples is right, before any script has run.
    assert!(page.contains("<b class=\"n-right\">1</b> of 2 right"));
    assert_eq!(page.matches("class=\"prediction right\"").count(), 1);
    let table = element("noscript");
    let rows = table.descendants().filter(|n| n.has_tag_name("tr"));
    assert_eq!(rows.count(), 4);
}

#[test]
fn pages_without_a_slider_run_no_script() {
    let still = page(vec![Block::Paragraph("text".to_owned())]);
    assert!(!still.contains("<script") && still.contains("script-src 'none'"));
    let slider = slider(curve(&[0.0, 1.0], Some(0.0)), Vec::new()).unwrap();
    let mut other = curve(&[0.0, 1.0], Some(1.0));
    other.task = "signs".to_owned();
    let other = Slider::new(other, "objects", Split::Test, Vec::new()).unwrap();
    let moving = page(vec![Block::Slider(slider), Block::Slider(other)]);
    // The data of each, and one script for both.
    assert_eq!(moving.matches("<script").count(), 3);
    assert!(moving.contains("script-src 'sha256-"));
    assert!(!moving.contains("class=\"gallery\""));
}

#[test]
fn data_that_do_not_fit_are_refused() {
    let message = |curve: Curve, examples| {
        let mut curve = curve;
        curve.task = "signs".to_owned();
        slider(curve, examples).unwrap_err().to_string()
    };
    let rising = [0.0, 0.5, 1.0];
    assert!(matches!(
        slider(curve(&[], Some(0.5)), Vec::new()),
        Err(Error::Empty)
    ));
    assert_eq!(
        message(curve(&[0.0, 0.5, 0.5], Some(0.5)), Vec::new()),
        "task signs: alpha 0.5 does not rise; sort the points of the slider by alpha, each once"
    );
    for chosen in [None, Some(0.3)] {
        assert_eq!(
            message(curve(&rising, chosen), Vec::new()),
            "task signs: the slider has no point at the chosen alpha; measure that alpha too"
        );
    }
    let mut short = example(&["one", "two"]);
    short.label = "a cat".to_owned();
    assert_eq!(
        message(curve(&rising, Some(0.5)), vec![short]),
        "task digits, an example of a cat: 2 predictions, expected 3, one per alpha"
    );
}
