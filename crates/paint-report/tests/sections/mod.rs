//! What the tests of tables and sections share.

use paint_report::{Estimate, Repetition, ReportInput, Section, Verdict, report};
use roxmltree::Document;

/// A name that tries to leave every context it is put in.
pub(crate) const HOSTILE: &str = "</td></svg><script src=\"http://x\">a&b'\u{0}</script>";

pub(crate) fn estimate(value: f64, half: f64) -> Estimate {
    Estimate::new(value, value - half, value + half, 900).unwrap()
}

/// The sections as a page, checked to be well-formed and to hold no markup of ours.
pub(crate) fn page(sections: Vec<Section>) -> String {
    let input = ReportInput {
        title: "T".to_owned(),
        question: "Q".to_owned(),
        verdict: Verdict::rq2(&[]),
        sections,
        repetition: Repetition::default(),
    };
    let page = report(&input);
    let (_, main) = page.split_once("<main>").unwrap();
    let (main, _) = main.split_once("</main>").unwrap();
    let xml = format!("<main>{main}</main>");
    Document::parse(&xml).unwrap_or_else(|error| panic!("{error}\n{xml}"));
    assert!(!page.contains("<script") && !page.contains('\0'));
    page
}
