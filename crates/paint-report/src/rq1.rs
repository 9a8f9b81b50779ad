//! The numbers of question 1, and the table and sections that show them.

use crate::page::{Block, Section};
use crate::table::{Cell, Table};
use crate::{
    Alpha, Curve, Error, Estimate, Result, Split, accuracy_bars, alpha_panels, number,
    tradeoff_figure,
};

/// One patching task in the table of RQ1, all of it measured on test images.
#[derive(Clone, Debug, PartialEq)]
pub struct Rq1Row {
    /// The patching task.
    pub task: String,
    /// Accuracy on the task before, a fraction.
    pub zero_shot: Estimate,
    /// Accuracy on the task at alpha = 1, a fraction.
    pub fine_tuned: Estimate,
    /// The alpha that validation chose; none in a mean row.
    pub alpha: Option<Alpha>,
    /// Accuracy on the task at the chosen alpha, a fraction.
    pub patched: Estimate,
    /// `patched` minus `zero_shot`, a fraction, paired on the same images.
    pub gain: Estimate,
    /// For every supported task, in one order for all rows: its name and its
    /// accuracy after minus before, a fraction, paired.
    pub supported_change: Vec<(String, Estimate)>,
    /// A remark on this row, such as why alpha is 0.
    pub note: Option<String>,
}

/// How alpha was chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct AlphaChoice {
    /// The rule in a sentence.
    pub rule: String,
    /// The values tried, each in [0, 1].
    pub grid: Vec<Alpha>,
    /// Every task looked at and its number of validation images.
    pub validation: Vec<(String, u64)>,
    /// How it was searched, where not every value was measured on every image; sentences.
    pub search: Option<String>,
}

/// Images of one task and split that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedImages {
    /// The task.
    pub task: String,
    /// Its split.
    pub split: Split,
    /// Number of images left out.
    pub n_skipped: u64,
    /// Number of images in the split, those left out included.
    pub n_images: u64,
    /// A few of the reasons.
    pub reasons: Vec<String>,
}

/// All that the page says about RQ1 beside verdict and repetition.
#[derive(Clone, Debug, PartialEq)]
pub struct Rq1Findings {
    /// One row per patching task.
    pub rows: Vec<Rq1Row>,
    /// Their mean, called so: statistics are not this crate's.
    pub mean: Rq1Row,
    /// What the horizontal axis of the curves shows: the supported task, or
    /// "mean of three supported tasks".
    pub supported: String,
    /// The curves on validation images, from which alpha was chosen.
    pub validation_curves: Vec<Curve>,
    /// The curves on test images; may be empty, and then the figure shows those
    /// on validation images and says so.
    pub test_curves: Vec<Curve>,
    /// How alpha was chosen.
    pub choice: AlphaChoice,
    /// Images left out; may be empty.
    pub skipped: Vec<SkippedImages>,
}

/// The table of RQ1: task, zero-shot, fine-tuned, chosen α, patched, and the
/// change on every supported task; in per cent and points, each with its 95 %
/// interval, with the mean as the last row.
///
/// # Errors
/// Refuses no rows at all and rows that disagree on the supported tasks.
pub fn rq1_table(rows: &[Rq1Row], mean: &Rq1Row) -> Result<Table> {
    check(rows)?;
    same_supported(&rows[0], mean)?;
    let mut columns: Vec<String> = ["task", "zero-shot", "fine-tuned", "chosen α", "patched"]
        .map(str::to_owned)
        .into();
    columns.extend(
        rows[0]
            .supported_change
            .iter()
            .map(|(name, _)| format!("{name}, change")),
    );
    let caption = "Accuracy on test images in per cent, and its change on the supported tasks in points; \
                   in brackets 95\u{a0}% intervals";
    let mut table = Table::new(caption, columns, rows.iter().map(cells).collect());
    table.summary = Some(cells(mean));
    table.notes = rows
        .iter()
        .filter_map(|row| Some(format!("{}: {}", row.task, row.note.as_ref()?)))
        .collect();
    Ok(table)
}

/// The sections of the page that are particular to RQ1.
///
/// # Errors
/// Refuses what [`rq1_table`] and [`tradeoff_figure`] refuse.
pub fn rq1_sections(findings: &Rq1Findings) -> Result<Vec<Section>> {
    let (curves, split) = match findings.test_curves.is_empty() {
        true => (&findings.validation_curves, Split::Validation),
        false => (&findings.test_curves, Split::Test),
    };
    let curves = Block::Figure(tradeoff_figure(curves, &findings.supported, split)?);
    let bars = Block::Figure(accuracy_bars(&findings.rows)?);
    let table = Block::Table(rq1_table(&findings.rows, &findings.mean)?);
    Ok(vec![
        Section::new("Results by task", vec![table, bars]),
        Section::new("From zero-shot to fine-tuned", vec![curves]),
        Section::new("How α was chosen", choice_blocks(findings)?),
        Section::new("Images left out", skipped_blocks(&findings.skipped)),
    ])
}

fn choice_blocks(findings: &Rq1Findings) -> Result<Vec<Block>> {
    let choice = &findings.choice;
    let panels = alpha_panels(
        &findings.validation_curves,
        &findings.supported,
        Split::Validation,
    )?;
    let grid: Vec<String> = choice
        .grid
        .iter()
        .map(|&alpha| number::alpha(alpha))
        .collect();
    let rows = choice
        .validation
        .iter()
        .map(|(task, n)| vec![Cell::Text(task.clone()), count_cell(*n)])
        .collect();
    let columns = vec!["task".to_owned(), "validation images".to_owned()];
    let mut blocks = vec![
        Block::Paragraph(format!(
            "α is the one with the {}. Test images had no part in it.",
            choice.rule
        )),
        Block::Paragraph(format!("Values tried: {}.", grid.join(", "))),
    ];
    blocks.extend(choice.search.clone().map(Block::Paragraph));
    blocks.extend([
        Block::Figure(panels),
        Block::Table(Table::new(
            "Number of images that the choice was made on",
            columns,
            rows,
        )),
    ]);
    Ok(blocks)
}

fn skipped_blocks(skipped: &[SkippedImages]) -> Vec<Block> {
    if skipped.iter().all(|s| s.n_skipped == 0) {
        return vec![Block::Paragraph(
            "None: every image could be read.".to_owned(),
        )];
    }
    let row = |s: &SkippedImages| {
        vec![
            Cell::Text(s.task.clone()),
            Cell::Text(split_name(s.split).to_owned()),
            count_cell(s.n_skipped),
            count_cell(s.n_images),
            Cell::Text(s.reasons.join("; ")),
        ]
    };
    let columns = ["task", "split", "left out", "of", "reasons"]
        .map(str::to_owned)
        .into();
    let rows = skipped
        .iter()
        .filter(|s| s.n_skipped > 0)
        .map(row)
        .collect();
    let caption =
        "Images that could not be read; they count neither as right nor as wrong, for any α";
    vec![Block::Table(Table::new(caption, columns, rows))]
}

pub(crate) fn split_name(split: Split) -> &'static str {
    match split {
        Split::Train => "train",
        Split::Validation => "validation",
        Split::Test => "test",
    }
}

fn cells(row: &Rq1Row) -> Vec<Cell> {
    let mut cells = vec![
        Cell::text(&row.task),
        Cell::percent(&row.zero_shot),
        Cell::percent(&row.fine_tuned),
        Cell::number(row.alpha.map_or(String::new(), number::alpha)),
        Cell::percent(&row.patched),
    ];
    let changes = row.supported_change.iter();
    cells.extend(changes.map(|(_, change)| Cell::points(change)));
    cells
}

fn count_cell(n: u64) -> Cell {
    Cell::number(number::count(n))
}

fn check(rows: &[Rq1Row]) -> Result<()> {
    let first = rows.first().ok_or(Error::Empty)?;
    rows.iter().try_for_each(|row| same_supported(first, row))
}

fn same_supported(first: &Rq1Row, row: &Rq1Row) -> Result<()> {
    let names = |row: &Rq1Row| {
        row.supported_change
            .iter()
            .map(|(name, _)| name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let (expected, actual) = (names(first), names(row));
    if expected == actual {
        Ok(())
    } else {
        Err(Error::SupportedTasks {
            task: row.task.clone(),
            expected,
            actual,
        })
    }
}
