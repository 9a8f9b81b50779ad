//! The one error type of this crate.

use std::path::{Path, PathBuf};

use crate::RepositoryKind;

/// What this crate's functions return.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong between a manifest and a table of pixels.
///
/// Every message names the file (and row, column or key) at fault and says
/// what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A task or suite manifest, or a [`Task`](crate::Task) made in code, is not valid.
    #[error("{origin}: {message}")]
    Manifest {
        /// The manifest's path, or the name of a task made in code.
        origin: String,
        /// What is wrong, the key at fault, and what to write instead.
        message: String,
    },

    /// The operating system refused to read or write a file.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried: "read", "write", …
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },

    /// A file is not what it should be: truncated, empty, a web page, damaged.
    #[error("{path}: {message}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        message: String,
    },

    /// A column is missing or has a type that cannot be used.
    #[error("{path}: column `{column}`: {message}")]
    Column {
        /// The file.
        path: PathBuf,
        /// The column's name.
        column: String,
        /// What is wrong, with the columns that exist.
        message: String,
    },

    /// One value of a column cannot be used.
    #[error("{path}: row {row}, column `{column}`: {message}")]
    Row {
        /// The file.
        path: PathBuf,
        /// Row within the file, from 0.
        row: usize,
        /// The column's name.
        column: String,
        /// What is wrong and what to do.
        message: String,
    },

    /// A model or dataset is not where it was looked for.
    #[error("{kind} {id}: {message}")]
    Hub {
        /// Which of the two.
        kind: RepositoryKind,
        /// Hub id, `org/name`.
        id: String,
        /// Where it was looked for, and what to do.
        message: String,
    },

    /// A split that a task does not have, or that turned out empty.
    #[error("task {task}: {message}")]
    Split {
        /// The task's name.
        task: String,
        /// Which split is missing and what to do.
        message: String,
    },

    /// More images are missing or fail to decode than the caller allows.
    #[error(
        "{skipped} of {total} images of task {task} are missing or cannot be decoded, more than \
         the allowed {percent} %; the first is {first}; mend or remove them, or allow a higher rate",
        percent = max_rate * 100.0
    )]
    TooManySkipped {
        /// The task's name.
        task: String,
        /// How many images are missing or could not be decoded.
        skipped: usize,
        /// How many images there are.
        total: usize,
        /// The allowed share, in [0, 1].
        max_rate: f64,
        /// Place of the first bad image, and the reason.
        first: String,
    },

    /// An image cannot be decoded.
    #[error("the image cannot be decoded: {0}; mend or leave it out")]
    Image(String),

    /// A function was called with arguments that do not fit together.
    #[error("{0}")]
    Argument(String),
}

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn file(path: &Path, message: impl Into<String>) -> Self {
        Self::File {
            path: path.to_owned(),
            message: message.into(),
        }
    }

    pub(crate) fn column(path: &Path, column: &str, message: impl Into<String>) -> Self {
        Self::Column {
            path: path.to_owned(),
            column: column.to_owned(),
            message: message.into(),
        }
    }

    pub(crate) fn row(path: &Path, row: usize, column: &str, message: impl Into<String>) -> Self {
        let (path, column) = (path.to_owned(), column.to_owned());
        Self::Row {
            path,
            row,
            column,
            message: message.into(),
        }
    }

    pub(crate) fn manifest(origin: &str, message: impl Into<String>) -> Self {
        Self::Manifest {
            origin: origin.to_owned(),
            message: message.into(),
        }
    }

    pub(crate) fn hub(kind: RepositoryKind, id: &str, message: impl Into<String>) -> Self {
        Self::Hub {
            kind,
            id: id.to_owned(),
            message: message.into(),
        }
    }
}
