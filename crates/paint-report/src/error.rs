//! What can be wrong with a record, a log or a report, and what to do about it.

use std::path::PathBuf;

/// Why a record, a log or a report was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be opened, read, written or renamed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb: "open", "append to".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A line of a record log is not a record.
    #[error(
        "{}, line {line}: not a record ({source}); mend or remove the line, or start a new run directory",
        path.display()
    )]
    Line {
        /// The log.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// Another process has the log open.
    #[error("{} is being written by another process; wait for it or use another run directory", path.display())]
    Locked {
        /// The log.
        path: PathBuf,
    },
    /// The same fact was measured twice with different results.
    #[error(
        "{}: {key} was recorded as {recorded} and is now {measured}; the run directory belongs to other settings or another version: start a new one",
        path.display()
    )]
    Conflict {
        /// The log.
        path: PathBuf,
        /// The identity of the fact.
        key: String,
        /// The value on record.
        recorded: f64,
        /// The value just measured.
        measured: f64,
    },
    /// A number is NaN or infinite.
    #[error("{what} is {value}, expected a finite number; the measurement before it failed")]
    NotFinite {
        /// What the number stands for.
        what: String,
        /// The number.
        value: f64,
    },
    /// A number is outside the range of its unit.
    #[error("{what} is {value}, expected {low} to {high} (fractions, not per cent)")]
    OutOfRange {
        /// What the number stands for.
        what: String,
        /// The number.
        value: f64,
        /// Least value allowed.
        low: f64,
        /// Greatest value allowed.
        high: f64,
    },
    /// The ends of an interval are in the wrong order or leave the value out.
    #[error("the interval [{low}, {high}] does not hold its value {value}")]
    Interval {
        /// The value.
        value: f64,
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
    },
    /// A record was asked for its interval and has none.
    #[error("{key} has no interval or no n; only accuracies and differences have them")]
    NoInterval {
        /// The identity of the fact.
        key: String,
    },
    /// Rows of one table disagree on the supported tasks.
    #[error("task {task}: supported tasks are {actual}, expected {expected} as in the first row")]
    SupportedTasks {
        /// The patching task of the row.
        task: String,
        /// The first row's supported tasks.
        expected: String,
        /// This row's.
        actual: String,
    },
    /// Two rows of a table bear one name.
    #[error("{name} is named twice; give every model a name of its own")]
    SameName {
        /// The name.
        name: String,
    },
    /// Model sizes are not in the order of their parameters.
    #[error(
        "{name} stands after {larger}, which has more parameters; put the smallest model first"
    )]
    SizeOrder {
        /// The smaller model.
        name: String,
        /// The larger model before it.
        larger: String,
    },
    /// Rows of one table disagree on the methods.
    #[error("task {task}: methods are {actual}, expected {expected} as in the first row")]
    Methods {
        /// The task of the row.
        task: String,
        /// The first row's methods.
        expected: String,
        /// This row's.
        actual: String,
    },
    /// The points of a slider are not in the order of alpha.
    #[error(
        "task {task}: alpha {alpha} does not rise; sort the points of the slider by alpha, each once"
    )]
    AlphaOrder {
        /// The patching task.
        task: String,
        /// The alpha that is not above the one before it.
        alpha: f64,
    },
    /// The chosen alpha of a slider is missing, or none of its points.
    #[error("task {task}: the slider has no point at the chosen alpha; measure that alpha too")]
    ChosenAlpha {
        /// The patching task.
        task: String,
    },
    /// An example lacks predictions.
    #[error(
        "task {task}, an example of {label}: {actual} predictions, expected {expected}, one per alpha"
    )]
    Predictions {
        /// The example's task.
        task: String,
        /// The example's class.
        label: String,
        /// Number of predictions.
        actual: usize,
        /// Number of points of the curve.
        expected: usize,
    },
    /// An example image is not a PNG file.
    #[error("an example image is not a PNG file; encode its pixels as PNG first")]
    NotPng,
    /// A table or figure was asked for without any row.
    #[error(
        "no rows: measure at least one patching task, size, method or study before asking for a table"
    )]
    Empty,
}

/// Result with this crate's [`enum@Error`].
pub type Result<T> = std::result::Result<T, Error>;
