//! The numbers of question 5, and the tables and sections that show them.

use crate::page::{Block, Section};
use crate::table::{Cell, Table};
use crate::{
    Alpha, BeforeAfter, Curve, CurvePoint, Error, Estimate, Gallery, Result, Split, alpha_panels,
    number,
};

/// One set of images of a study, before and after patching.
#[derive(Clone, Debug, PartialEq)]
pub struct StudySet {
    /// What is on the images: "attacked, unseen classes", "clean", "count 7".
    pub name: String,
    /// Accuracy of the unpatched model, a fraction.
    pub before: Estimate,
    /// Accuracy of the patched model, a fraction.
    pub after: Estimate,
    /// `after` minus `before`, paired.
    pub change: Estimate,
    /// Whether the fractions are of a certain wrong answer, which `name` tells, and not accuracies:
    /// fewer are better, and their change is not coloured.
    pub of_errors: bool,
}

/// One case study.
#[derive(Clone, Debug, PartialEq)]
pub struct Rq5Study {
    /// "Typographic attacks".
    pub name: String,
    /// What was trained and what was tested, in a sentence or two.
    pub description: String,
    /// The alpha that validation chose.
    pub alpha: Alpha,
    /// Accuracies on validation images of what was trained on, from which alpha was chosen; with
    /// the points of alpha = 0 and 1.
    pub validation: Curve,
    /// The sets tested, at least one.
    pub sets: Vec<StudySet>,
    /// The supported tasks, each with its whole test split.
    pub supported: Vec<StudySet>,
    /// Mean change on the supported tasks, a fraction, paired.
    pub supported_change: Estimate,
    /// A few images with the predictions of both models; may be empty.
    pub examples: Vec<BeforeAfter>,
}

/// All that the page says about RQ5 beside verdict and repetition.
#[derive(Clone, Debug, PartialEq)]
pub struct Rq5Findings {
    /// The studies, in reading order.
    pub studies: Vec<Rq5Study>,
    /// What the curves' supported accuracies are of: the task, or "mean of three supported tasks".
    pub supported: String,
    /// Remarks on how the numbers came about; sentences.
    pub notes: Vec<String>,
}

/// The table of RQ5: every set of every study before and after, with its change.
///
/// # Errors
/// Refuses no studies at all and a study without sets.
pub fn rq5_table(studies: &[Rq5Study]) -> Result<Table> {
    if studies.is_empty() || studies.iter().any(|study| study.sets.is_empty()) {
        return Err(Error::Empty);
    }
    let columns = ["study", "tested on", "before", "after", "change", "α"];
    let caption = "Accuracy on test images before and after patching in per cent, the change in points, ▲ or ▼ where its \
                   interval leaves 0 out; in brackets 95\u{a0}% intervals";
    let errors = "; of what says “fewer is better” the share of that answer, not marked";
    let of_errors = studies.iter().flat_map(|study| &study.sets);
    let caption = match of_errors.into_iter().any(|set| set.of_errors) {
        true => format!("{caption}{errors}"),
        false => caption.to_owned(),
    };
    let rows = studies.iter().flat_map(study_rows).collect();
    Ok(Table::new(
        &caption,
        columns.map(str::to_owned).into(),
        rows,
    ))
}

/// The sections of the page that are particular to RQ5.
///
/// # Errors
/// Refuses what [`rq5_table`] refuses.
pub fn rq5_sections(findings: &Rq5Findings) -> Result<Vec<Section>> {
    let mut table = rq5_table(&findings.studies)?;
    table.notes.clone_from(&findings.notes);
    let results = Section::new("Results by study", vec![Block::Table(table)]);
    let study = |study: &Rq5Study| {
        let mut blocks = vec![Block::Paragraph(study.description.clone())];
        if !study.examples.is_empty() {
            let caption = format!(
                "{}: some test images, with what the model saw before and after patching.",
                study.name
            );
            blocks.push(Block::Gallery(Gallery {
                caption,
                examples: study.examples.clone(),
            }));
        }
        Section::new(&study.name, blocks)
    };
    let studies = findings.studies.iter().map(study);
    let alpha = Section::new("How far patching could go", limits(findings)?);
    Ok(std::iter::once(results)
        .chain(studies)
        .chain([alpha])
        .collect())
}

/// What fine-tuning would reach and at what cost, and what was left of it at the chosen alpha.
fn limits(findings: &Rq5Findings) -> Result<Vec<Block>> {
    let curves: Vec<Curve> = findings
        .studies
        .iter()
        .map(|study| study.validation.clone())
        .collect();
    let columns = [
        "study",
        "model",
        "α",
        "patched on",
        findings.supported.as_str(),
    ];
    let caption = "Accuracy on validation images in per cent: what the study was fine-tuned on, and the supported \
                   tasks; in brackets 95\u{a0}% intervals";
    let rows = findings.studies.iter().flat_map(limit_rows).collect();
    let table = Table::new(caption, columns.map(str::to_owned).into(), rows);
    let figure = alpha_panels(&curves, &findings.supported, Split::Validation)?;
    Ok(vec![Block::Table(table), Block::Figure(figure)])
}

fn limit_rows(study: &Rq5Study) -> Vec<Vec<Cell>> {
    let row = |model: &str, alpha: f64| {
        let is_there = |point: &&CurvePoint| point.alpha.get() == alpha;
        let point = study.validation.points.iter().find(is_there)?;
        Some(vec![
            Cell::text(&study.name),
            Cell::text(model),
            Cell::number(number::alpha(point.alpha)),
            Cell::percent(&point.patching),
            Cell::percent(&point.supported),
        ])
    };
    let models = [
        ("zero-shot", 0.0),
        ("patched", study.alpha.get()),
        ("fine-tuned", 1.0),
    ];
    models
        .into_iter()
        .filter_map(|(model, alpha)| row(model, alpha))
        .collect()
}

fn study_rows(study: &Rq5Study) -> Vec<Vec<Cell>> {
    let alpha = Cell::number(number::alpha(study.alpha));
    let empty = || Cell::number(String::new());
    let row = |name: &str, set: &StudySet| {
        vec![
            Cell::text(&study.name),
            Cell::text(name),
            Cell::percent(&set.before),
            Cell::percent(&set.after),
            match set.of_errors {
                true => Cell::points(&set.change),
                false => Cell::Change(set.change),
            },
            alpha.clone(),
        ]
    };
    let supported = study.supported.iter();
    let supported = supported.map(|set| row(&format!("supported: {}", set.name), set));
    let mean = vec![
        Cell::text(&study.name),
        Cell::text("supported tasks, mean"),
        empty(),
        empty(),
        Cell::Change(study.supported_change),
        alpha.clone(),
    ];
    let sets = study.sets.iter().map(|set| row(&set.name, set));
    sets.chain(supported).chain([mean]).collect()
}
