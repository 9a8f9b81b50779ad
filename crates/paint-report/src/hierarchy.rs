//! The numbers of self-consistency and re-ranking, and the tables, figure and sections that show
//! them.

use crate::figure::Figure;
use crate::page::{Block, Section};
use crate::selective::selective_figure;
use crate::table::{Cell, Table};
use crate::{Error, Estimate, Result, number};

/// A score that tells right answers from wrong ones.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfidenceRow {
    /// The score.
    pub score: String,
    /// Area under the ROC curve, a fraction.
    pub auroc: Estimate,
    /// The first score's area minus this one's, paired; none for the first.
    pub first_minus: Option<Estimate>,
    /// Mean accuracy over all shares held back.
    pub area: f64,
    /// Share held back and accuracy on the rest, fractions, ascending.
    pub curve: Vec<(f64, f64)>,
}

/// What re-ranking with one part of the hierarchy made of one base.
#[derive(Clone, Debug, PartialEq)]
pub struct RerankRow {
    /// The base: bare names or the prompt ensemble.
    pub base: String,
    /// What of the hierarchy is in the texts: parents, children, or both.
    pub with: String,
    /// Top-1 over all images before and after, and the change, paired.
    pub all: [Estimate; 3],
    /// The same at low confidence; none if no image is there.
    pub low: Option<[Estimate; 3]>,
    /// Top-5 at low confidence, which re-ranking cannot exceed.
    pub ceiling: Option<Estimate>,
    /// Images wrong before and right after.
    pub n_fixed: u64,
    /// Images right before and wrong after.
    pub n_broken: u64,
}

/// Confidence of a model before and after patching.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfidenceSideEffect {
    /// What was patched on.
    pub patched_on: String,
    /// AUROC of self-consistency before and after, fractions.
    pub self_consistency: [Estimate; 2],
    /// AUROC of the largest logit before and after.
    pub max_logit: [Estimate; 2],
    /// Top-1 of bare names before and after.
    pub top1: [Estimate; 2],
}

/// All that the page says beside verdict and repetition.
#[derive(Clone, Debug, PartialEq)]
pub struct HierarchyFindings {
    /// Scores, the first the one that the others are compared with.
    pub confidence: Vec<ConfidenceRow>,
    /// Bases by parts of the hierarchy; empty without one.
    pub reranking: Vec<RerankRow>,
    /// Patched models; may be empty.
    pub patched: Vec<ConfidenceSideEffect>,
    /// Remarks; sentences.
    pub notes: Vec<String>,
}

/// AUROC and selective prediction of each score.
///
/// # Errors
/// Refuses no scores at all.
pub fn confidence_table(rows: &[ConfidenceRow]) -> Result<Table> {
    if rows.is_empty() {
        return Err(Error::Empty);
    }
    let columns = ["score", "AUROC", "first minus this", "selective area"];
    let caption = "How well each score tells right answers from wrong ones, test images: area under the ROC curve in per \
                   cent, differences in points, and the mean accuracy over all shares held back; in brackets 95\u{a0}% intervals";
    let cells = |row: &ConfidenceRow| {
        let none = || Cell::number(String::new());
        vec![
            Cell::text(&row.score),
            Cell::percent(&row.auroc),
            row.first_minus.map_or_else(none, Cell::Change),
            Cell::number(number::percent(row.area)),
        ]
    };
    let columns = columns.map(str::to_owned).to_vec();
    Ok(Table::new(
        caption,
        columns,
        rows.iter().map(cells).collect(),
    ))
}

/// What re-ranking changed; none without a hierarchy.
#[must_use]
pub fn rerank_table(rows: &[RerankRow]) -> Option<Table> {
    let columns = [
        "base",
        "with",
        "low: before",
        "low: after",
        "low: change",
        "low: top-5",
        "all: before",
        "all: after",
        "all: change",
        "fixed",
        "broken",
    ];
    let caption = "Top-1 before and after re-ranking the five best classes of images of low confidence, test images, in per \
                   cent, changes in points; top-5 is the ceiling of the re-ranking; in brackets 95\u{a0}% intervals";
    let cells = |row: &RerankRow| {
        let none = || Cell::number(String::new());
        let mut cells = vec![Cell::text(&row.base), Cell::text(&row.with)];
        match &row.low {
            Some([before, after, change]) => cells.extend([
                Cell::percent(before),
                Cell::percent(after),
                Cell::Change(*change),
            ]),
            None => cells.extend([none(), none(), none()]),
        }
        cells.push(row.ceiling.as_ref().map_or_else(none, Cell::percent));
        let [before, after, change] = &row.all;
        cells.extend([
            Cell::percent(before),
            Cell::percent(after),
            Cell::Change(*change),
            Cell::number(number::count(row.n_fixed)),
            Cell::number(number::count(row.n_broken)),
        ]);
        cells
    };
    let rows: Vec<Vec<Cell>> = rows.iter().map(cells).collect();
    (!rows.is_empty()).then(|| Table::new(caption, columns.map(str::to_owned).to_vec(), rows))
}

/// What patching changed in the confidence; none without patched models.
#[must_use]
pub fn confidence_side_effects(all: &[ConfidenceSideEffect]) -> Option<Table> {
    let columns = [
        "patched on",
        "self-consistency before",
        "after",
        "max-logit before",
        "after",
        "top-1 before",
        "after",
    ];
    let caption = "Patched models: AUROC of two scores and top-1 of bare names, test images, in per cent; in brackets \
                   95\u{a0}% intervals";
    let cells = |effect: &ConfidenceSideEffect| {
        let measured = [&effect.self_consistency, &effect.max_logit, &effect.top1];
        let pairs = measured.into_iter().flatten().map(Cell::percent);
        std::iter::once(Cell::text(&effect.patched_on))
            .chain(pairs)
            .collect()
    };
    let rows: Vec<Vec<Cell>> = all.iter().map(cells).collect();
    (!rows.is_empty()).then(|| Table::new(caption, columns.map(str::to_owned).to_vec(), rows))
}

/// The sections of the page that are particular to confidence and hierarchies.
///
/// # Errors
/// Refuses what [`confidence_table`] refuses.
pub fn hierarchy_sections(findings: &HierarchyFindings) -> Result<Vec<Section>> {
    let mut table = confidence_table(&findings.confidence)?;
    table.notes.clone_from(&findings.notes);
    let curves: Vec<(&str, &[(f64, f64)])> = findings
        .confidence
        .iter()
        .map(|row| (row.score.as_str(), row.curve.as_slice()))
        .collect();
    let figure: Figure = selective_figure(&curves)?;
    let reranked = rerank_table(&findings.reranking).map(Block::Table);
    let patched = confidence_side_effects(&findings.patched).map(Block::Table);
    Ok(vec![
        Section::new(
            "Is the model sure?",
            vec![Block::Table(table), Block::Figure(figure)],
        ),
        Section::new(
            "Re-ranked with the hierarchy",
            reranked.into_iter().collect(),
        ),
        Section::new("What patching changed", patched.into_iter().collect()),
    ])
}
