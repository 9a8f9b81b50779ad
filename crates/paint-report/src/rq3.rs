//! The numbers of question 3, and the tables and sections that show them.

use crate::method_lines::method_lines;
use crate::page::{Block, Section};
use crate::table::{Cell, Table};
use crate::{Error, Estimate, Result};

/// One way of patching k tasks, all of it measured on test images.
#[derive(Clone, Debug, PartialEq)]
pub struct Rq3Row {
    /// Number of patching tasks.
    pub k: u64,
    /// "joint", "sequential", "parallel", "specialists", "unpatched", "ties", ….
    pub method: String,
    /// The seed, or the order of the tasks; none for the mean over them.
    pub seed: Option<u64>,
    /// Mean accuracy on the k patching tasks, a fraction.
    pub patching: Estimate,
    /// Mean accuracy on the supported tasks, a fraction.
    pub supported: Estimate,
    /// Mean of `patching` and `supported`, a fraction, as the paper weighs them.
    pub combined: Estimate,
    /// `combined` minus that of the specialists, paired; none for the specialists themselves.
    pub minus_specialists: Option<Estimate>,
}

/// One task at the largest k.
#[derive(Clone, Debug, PartialEq)]
pub struct Rq3Task {
    /// The task.
    pub task: String,
    /// Method and accuracy, a fraction, in one order of methods for all tasks.
    pub accuracies: Vec<(String, Estimate)>,
}

/// All that the page says about RQ3 beside verdict and repetition.
#[derive(Clone, Debug, PartialEq)]
pub struct Rq3Findings {
    /// For every k and method the mean over seeds, and each seed.
    pub rows: Vec<Rq3Row>,
    /// Patching and supported tasks at the largest k.
    pub tasks: Vec<Rq3Task>,
    /// Remarks on how the numbers came about, such as the budget of a search; sentences.
    pub notes: Vec<String>,
}

/// The table of RQ3: the methods at the largest k, mean over seeds.
///
/// # Errors
/// Refuses rows without any mean over seeds.
pub fn rq3_table(rows: &[Rq3Row]) -> Result<Table> {
    let means: Vec<&Rq3Row> = rows.iter().filter(|row| row.seed.is_none()).collect();
    let k = means.iter().map(|row| row.k).max().ok_or(Error::Empty)?;
    let largest = means.into_iter().filter(|row| row.k == k);
    let caption = format!(
        "{k} tasks in one model: mean accuracy on test images in per cent and its difference to {k} specialists in \
         points, means over seeds; ▲ and ▼ mark differences whose interval leaves 0 out; in brackets 95\u{a0}% intervals"
    );
    Ok(table(&caption, largest, false))
}

/// The sections of the page that are particular to RQ3.
///
/// # Errors
/// Refuses what [`rq3_table`] refuses, and tasks that disagree on the methods.
pub fn rq3_sections(findings: &Rq3Findings) -> Result<Vec<Section>> {
    let mut largest = rq3_table(&findings.rows)?;
    largest.notes.clone_from(&findings.notes);
    let figure = Block::Figure(method_lines(&findings.rows)?);
    let tasks = tasks_table(&findings.tasks)?.map(Block::Table);
    let caption = "Every number of tasks, method and seed; accuracy in per cent, differences in points, in brackets \
                   95\u{a0}% intervals";
    let every = table(caption, findings.rows.iter(), true);
    Ok(vec![
        Section::new("All tasks in one model", vec![Block::Table(largest)]),
        Section::new("By number of tasks", vec![figure]),
        Section::new("By task", tasks.into_iter().collect()),
        Section::new("Every measurement", vec![Block::Table(every)]),
    ])
}

fn table<'a>(caption: &str, rows: impl Iterator<Item = &'a Rq3Row>, every: bool) -> Table {
    let mut columns = vec![
        "method",
        "patching tasks",
        "supported tasks",
        "combined",
        "minus specialists",
    ];
    if every {
        columns.splice(1..1, ["tasks", "seed"]);
    }
    let row = |row: &Rq3Row| {
        let difference = row.minus_specialists;
        let mut cells = vec![Cell::text(&row.method)];
        if every {
            let seed = row.seed.map_or("mean".to_owned(), |seed| seed.to_string());
            cells.extend([Cell::number(row.k.to_string()), Cell::number(seed)]);
        }
        cells.extend([&row.patching, &row.supported, &row.combined].map(Cell::percent));
        cells.push(difference.map_or(Cell::number(String::new()), Cell::Change));
        cells
    };
    let columns = columns.into_iter().map(str::to_owned).collect();
    Table::new(caption, columns, rows.map(row).collect())
}

fn tasks_table(tasks: &[Rq3Task]) -> Result<Option<Table>> {
    let Some(first) = tasks.first() else {
        return Ok(None);
    };
    let names = |task: &Rq3Task| -> Vec<String> {
        let methods = task.accuracies.iter();
        methods.map(|(name, _)| name.clone()).collect()
    };
    let methods = names(first);
    if let Some(other) = tasks.iter().find(|task| names(task) != methods) {
        return Err(Error::Methods {
            task: other.task.clone(),
            expected: methods.join(", "),
            actual: names(other).join(", "),
        });
    }
    let row = |task: &Rq3Task| {
        let accuracies = task.accuracies.iter().map(|(_, a)| Cell::percent(a));
        std::iter::once(Cell::text(&task.task))
            .chain(accuracies)
            .collect()
    };
    let columns = std::iter::once("task".to_owned()).chain(methods).collect();
    let caption = "Accuracy on each task with all tasks in one model, test images, in per cent; in brackets 95\u{a0}% \
                   intervals";
    let rows = tasks.iter().map(row).collect();
    Ok(Some(Table::new(caption, columns, rows)))
}
