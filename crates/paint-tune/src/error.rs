//! Everything that can go wrong while training.

use std::path::PathBuf;

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a training run stopped or did not start.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A hyperparameter outside its range.
    #[error("`{key}` = {value}: {expected}")]
    Config {
        /// The hyperparameter.
        key: &'static str,
        /// Its value.
        value: String,
        /// What is accepted.
        expected: &'static str,
    },
    /// Model, head and data do not fit each other.
    #[error("{0}")]
    Mismatch(String),
    /// A tensor that should learn received no gradient.
    #[error(
        "tensor `{tensor}` received no gradient at step {step}: an operation without a backward \
         pass is in its way"
    )]
    NoGradient {
        /// The tensor's name.
        tensor: String,
        /// The step.
        step: u64,
    },
    /// The loss or a gradient is NaN or infinite.
    #[error(
        "{what} is {value} at step {step}; the last saved state is intact, try a smaller learning \
         rate"
    )]
    NotFinite {
        /// The loss, or the gradient's norm.
        what: &'static str,
        /// Its value.
        value: f64,
        /// The step.
        step: u64,
    },
    /// The saved state is of another run.
    #[error(
        "{} is the state of another run (another model, data, head or setting); remove it to start \
         anew, or choose another directory",
        path.display()
    )]
    ForeignState {
        /// The state file.
        path: PathBuf,
    },
    /// The saved state cannot be read.
    #[error("{}: {problem}; remove it to start anew", path.display())]
    DamagedState {
        /// The state file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The state cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// The state file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The system refused a thread.
    #[error("cannot start the training threads: {0}")]
    Threads(rayon::ThreadPoolBuildError),
    /// The model failed.
    #[error(transparent)]
    Clip(#[from] paint_clip::Error),
    /// The data failed.
    #[error(transparent)]
    Data(#[from] paint_data::Error),
    /// A tensor operation failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}
