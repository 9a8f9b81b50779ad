//! What can go wrong, with the file and what to do.

use std::path::{Path, PathBuf};

/// What this crate's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Errors of computing, keeping and reading embeddings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The system refused a file.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file is not what was written.
    #[error("{path} is damaged ({problem}); remove it, it can be computed again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A sound file of something else.
    #[error(
        "{path} holds embeddings of another {what}: {found} and not {expected}; remove the file or \
         use another directory"
    )]
    Other {
        /// The file.
        path: PathBuf,
        /// "checkpoint", "inputs", "preprocessing" or "view".
        what: &'static str,
        /// As it is.
        found: String,
        /// As it should be.
        expected: String,
    },
    /// The pixels are not those that the key names.
    #[error("the pixels are of another {what} than the key says: {found} and not {expected}")]
    Pixels {
        /// "inputs" or "preprocessing".
        what: &'static str,
        /// As it is.
        found: String,
        /// As it should be.
        expected: String,
    },
    /// Nothing to embed.
    #[error("no {what} to embed")]
    Empty {
        /// What is missing.
        what: &'static str,
    },
    /// An embedding is not finite.
    #[error("{what} {row}: the embedding is not finite; the weights are broken")]
    NotFinite {
        /// What is embedded.
        what: &'static str,
        /// Which one.
        row: usize,
    },
    /// Arrow refused to write.
    #[error("cannot write {path}: {source}")]
    Arrow {
        /// The file.
        path: PathBuf,
        /// Arrow's reason.
        source: arrow::error::ArrowError,
    },
    /// The system refused a thread.
    #[error("cannot start the threads that encode images: {0}")]
    Threads(rayon::ThreadPoolBuildError),
    /// The model or its inputs failed.
    #[error(transparent)]
    Clip(#[from] paint_clip::Error),
    /// The pixels failed.
    #[error(transparent)]
    Data(#[from] paint_data::Error),
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn damaged(path: &Path, problem: impl Into<String>) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            problem: problem.into(),
        }
    }

    pub(crate) fn arrow(path: &Path) -> impl FnOnce(arrow::error::ArrowError) -> Self {
        move |source| Self::Arrow {
            path: path.to_owned(),
            source,
        }
    }
}
