//! The numbers of question 4, and the tables and sections that show them.

use crate::page::{Block, Section};
use crate::table::{Cell, Table, distinct};
use crate::{Error, Estimate, Result, number};

/// One task whose classes were cut into halves A and B at random: patched on A, tested on B.
#[derive(Clone, Debug, PartialEq)]
pub struct Rq4Row {
    /// The task.
    pub task: String,
    /// Accuracy on A before patching on A, a fraction.
    pub a_before: Estimate,
    /// The same after.
    pub a_after: Estimate,
    /// Accuracy on B, with B's classes alone to choose from, before patching on A; a fraction.
    pub b_before: Estimate,
    /// The same after.
    pub b_after: Estimate,
    /// `b_after` minus `b_before`, paired.
    pub b_change: Estimate,
    /// Number of random halvings.
    pub n_draws: u64,
    /// The paper's accuracies on B before and after, fractions, where it has the task.
    pub paper: Option<[f64; 2]>,
}

/// Patched on one task, tested on another.
#[derive(Clone, Debug, PartialEq)]
pub struct Transfer {
    /// The task patched on.
    pub patched_on: String,
    /// The task tested on.
    pub tested_on: String,
    /// Accuracy after minus before, a fraction, on test images, paired.
    pub change: Estimate,
}

/// All that the page says about RQ4 beside verdict and repetition.
#[derive(Clone, Debug, PartialEq)]
pub struct Rq4Findings {
    /// One row per task.
    pub rows: Vec<Rq4Row>,
    /// Their mean, called so: statistics are not this crate's.
    pub mean: Rq4Row,
    /// Pairs of tasks; may be empty or leave pairs out.
    pub transfers: Vec<Transfer>,
    /// Remarks on how the numbers came about; sentences.
    pub notes: Vec<String>,
}

/// The table of RQ4: per task accuracy on the classes patched on and on the others, before and
/// after, with the mean as the last row, and the paper's numbers where there are any.
///
/// # Errors
/// Refuses no rows at all.
pub fn rq4_table(rows: &[Rq4Row], mean: &Rq4Row) -> Result<Table> {
    if rows.is_empty() {
        return Err(Error::Empty);
    }
    let with_paper = rows.iter().any(|row| row.paper.is_some());
    let mut columns = vec![
        "task",
        "A before",
        "A after",
        "B before",
        "B after",
        "B, change",
        "draws",
    ];
    if with_paper {
        columns.extend(["paper: B before", "paper: B after", "paper: change"]);
    }
    let caption = "Patched on half A of the classes, tested on A and on the other half B, test images, in per cent; the \
                   change on B in points, ▲ or ▼ where its interval leaves 0 out; in brackets 95\u{a0}% intervals";
    let columns = columns.into_iter().map(str::to_owned).collect();
    let cells = |row: &Rq4Row| cells(row, with_paper);
    let mut table = Table::new(caption, columns, rows.iter().map(cells).collect());
    table.summary = Some(cells(mean));
    Ok(table)
}

/// The sections of the page that are particular to RQ4.
///
/// # Errors
/// Refuses what [`rq4_table`] refuses.
pub fn rq4_sections(findings: &Rq4Findings) -> Result<Vec<Section>> {
    let mut table = rq4_table(&findings.rows, &findings.mean)?;
    table.notes.clone_from(&findings.notes);
    let cross = transfer_table(&findings.transfers).map(Block::Table);
    Ok(vec![
        Section::new("Classes never patched on", vec![Block::Table(table)]),
        Section::new("From task to task", cross.into_iter().collect()),
    ])
}

/// The cross-task matrix: patched on the row, tested on the column, in points; none without pairs.
pub fn transfer_table(transfers: &[Transfer]) -> Option<Table> {
    let patched_on = distinct(transfers.iter().map(|t| t.patched_on.as_str()));
    // Tasks on both sides stand in one order.
    let tested = |name: &&str| transfers.iter().any(|t| t.tested_on == *name);
    let in_both = patched_on.iter().copied().filter(tested);
    let tested_on = distinct(in_both.chain(transfers.iter().map(|t| t.tested_on.as_str())));
    let cell = |row: &str, column: &str| {
        let found = transfers
            .iter()
            .find(|t| t.patched_on == row && t.tested_on == column);
        found.map_or(Cell::number(String::new()), |t| Cell::Change(t.change))
    };
    let rows: Vec<Vec<Cell>> = patched_on
        .iter()
        .map(|row| {
            let columns = tested_on.iter().map(|column| cell(row, column));
            std::iter::once(Cell::text(row)).chain(columns).collect()
        })
        .collect();
    let mut columns = vec!["patched on ↓, tested on →".to_owned()];
    columns.extend(tested_on.iter().map(|&name| name.to_owned()));
    let caption = "What patching on one task changed on another, test images, in points; ▲ and ▼ and a tint mark changes \
                   whose 95\u{a0}% interval leaves 0 out, a deeper tint a larger one";
    (!rows.is_empty()).then(|| Table::new(caption, columns, rows))
}

fn cells(row: &Rq4Row, with_paper: bool) -> Vec<Cell> {
    let mut cells = vec![Cell::text(&row.task)];
    let accuracies = [&row.a_before, &row.a_after, &row.b_before, &row.b_after];
    cells.extend(accuracies.map(Cell::percent));
    cells.push(Cell::Change(row.b_change));
    cells.push(Cell::number(number::count(row.n_draws)));
    if with_paper {
        let paper = row.paper.map(|[before, after]| {
            [
                number::percent(before),
                number::percent(after),
                number::points(after - before),
            ]
        });
        cells.extend(paper.unwrap_or_default().map(Cell::number));
    }
    cells
}
