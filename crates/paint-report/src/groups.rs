//! The numbers of the group-robustness methods, and the tables and sections that show them.

use crate::page::{Block, Section};
use crate::table::{Cell, Table};
use crate::{Error, Estimate, Result, number};

/// Mean and standard deviation over seeds, fractions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// The standard deviation; 0 for one seed.
    pub deviation: f64,
}

/// One method as one selector chose it.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupsRow {
    /// The method.
    pub method: String,
    /// What chose hyperparameters and epoch.
    pub chosen_by: String,
    /// Accuracy of the group that fares worst.
    pub worst: Spread,
    /// Accuracy over all images.
    pub mean: Spread,
    /// `mean` minus `worst`.
    pub gap: Spread,
    /// Mean of the groups' accuracies weighted by how frequent the groups are in training.
    pub adjusted: Spread,
}

/// All that the page says about one dataset.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupsDataset {
    /// Its name.
    pub name: String,
    /// Methods by selectors, in the order in which they are shown.
    pub rows: Vec<GroupsRow>,
    /// Number of seeds.
    pub n_seeds: u64,
    /// Settings and remarks; sentences.
    pub notes: Vec<String>,
}

/// A zero-shot model before and after patching, on test images with groups.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupsSideEffect {
    /// What was patched on.
    pub patched_on: String,
    /// The dataset with groups.
    pub dataset: String,
    /// Worst-group accuracy before and after, fractions.
    pub worst: [Estimate; 2],
    /// After minus before.
    pub worst_change: Estimate,
    /// Mean accuracy before and after.
    pub mean: [Estimate; 2],
    /// After minus before, paired.
    pub mean_change: Estimate,
}

/// The table of one dataset: methods by selectors, test images.
///
/// # Errors
/// Refuses no rows at all.
pub fn groups_table(dataset: &GroupsDataset) -> Result<Table> {
    if dataset.rows.is_empty() {
        return Err(Error::Empty);
    }
    let columns = [
        "method",
        "chosen by",
        "worst group",
        "mean",
        "gap",
        "adjusted",
    ];
    let caption = format!(
        "{}: accuracy on test images in per cent, mean ± standard deviation over {} seeds; “chosen by” is what \
         looked at validation images to choose settings and epoch",
        dataset.name,
        number::count(dataset.n_seeds)
    );
    let columns = columns.map(str::to_owned).to_vec();
    let mut table = Table::new(&caption, columns, dataset.rows.iter().map(cells).collect());
    table.notes.clone_from(&dataset.notes);
    Ok(table)
}

/// What patching changed in the eyes of groups; none without patched models.
#[must_use]
pub fn groups_side_effects(all: &[GroupsSideEffect]) -> Option<Table> {
    let row = |effect: &GroupsSideEffect| {
        let [worst_before, worst_after] = &effect.worst;
        let [mean_before, mean_after] = &effect.mean;
        vec![
            Cell::text(&effect.patched_on),
            Cell::text(&effect.dataset),
            Cell::percent(worst_before),
            Cell::percent(worst_after),
            Cell::Change(effect.worst_change),
            Cell::percent(mean_before),
            Cell::percent(mean_after),
            Cell::Change(effect.mean_change),
        ]
    };
    let columns = [
        "patched on",
        "dataset",
        "worst group before",
        "after",
        "change",
        "mean before",
        "after",
        "change",
    ];
    let caption = "Patched models, zero-shot: accuracy on test images in per cent, changes in points, ▲ or ▼ where the \
                   interval leaves 0 out; in brackets 95\u{a0}% intervals. The worst group after may be another than before, so that \
                   their change is not paired";
    let rows: Vec<Vec<Cell>> = all.iter().map(row).collect();
    (!rows.is_empty()).then(|| Table::new(caption, columns.map(str::to_owned).to_vec(), rows))
}

/// The sections of the page that are particular to group robustness.
///
/// # Errors
/// Refuses what [`groups_table`] refuses.
pub fn groups_sections(
    datasets: &[GroupsDataset],
    side_effects: &[GroupsSideEffect],
) -> Result<Vec<Section>> {
    let mut sections = Vec::new();
    for dataset in datasets {
        let table = groups_table(dataset)?;
        sections.push(Section::new(&dataset.name, vec![Block::Table(table)]));
    }
    let patched = groups_side_effects(side_effects).map(Block::Table);
    sections.push(Section::new(
        "What patching changed",
        patched.into_iter().collect(),
    ));
    Ok(sections)
}

fn cells(row: &GroupsRow) -> Vec<Cell> {
    let spread = |spread: &Spread| Cell::Number {
        value: number::percent(spread.mean),
        interval: Some(format!("± {}", number::percent(spread.deviation))),
    };
    let mut cells = vec![Cell::text(&row.method), Cell::text(&row.chosen_by)];
    cells.extend([&row.worst, &row.mean, &row.gap, &row.adjusted].map(spread));
    cells
}
