//! Everything that can go wrong, each with what was expected, what was found and what to do.

use std::path::PathBuf;

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a model could not be read, built, used or written.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused to read or write a file.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb: "read", "write", "rename".
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A JSON file does not parse, or a value in it has the wrong type.
    #[error("{} is not valid: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The parser's reason, with line and column where known.
        source: serde_json::Error,
    },
    /// A configuration value that this crate cannot honour.
    #[error("{origin}: `{key}` {problem}")]
    Config {
        /// The file the value came from, or "config" for one made in memory.
        origin: String,
        /// The key, with its section.
        key: String,
        /// What is wrong with its value, and what is accepted.
        problem: String,
    },
    /// The weights are there in a form this crate does not read.
    #[error("{}: {problem}", path.display())]
    UnsupportedCheckpoint {
        /// The checkpoint directory or file.
        path: PathBuf,
        /// What it is and how to convert it.
        problem: String,
    },
    /// A weight file that is something else: a web page, a git-lfs pointer, nothing at all.
    #[error("{} ({actual} bytes) is not {format} file: {problem}", path.display())]
    NotWeights {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        actual: u64,
        /// What it should be, with its article.
        format: &'static str,
        /// What it looks like and how to get the real one.
        problem: String,
    },
    /// A weight file whose length differs from what its header says.
    #[error(
        "{} has {actual} bytes where its header says {expected}: {}; fetch the file again",
        path.display(),
        if actual < expected { "it is truncated" } else { "something follows the tensors" }
    )]
    WrongLength {
        /// The file.
        path: PathBuf,
        /// Bytes according to the header.
        expected: u64,
        /// Bytes on disk.
        actual: u64,
    },
    /// A PyTorch file whose pickle is more, or other, than a dict of tensors. Nothing in it was
    /// executed.
    #[error("{}: data.pkl, byte {position}: {problem}", path.display())]
    Pickle {
        /// The file.
        path: PathBuf,
        /// Where in the pickle.
        position: usize,
        /// What was found there.
        problem: String,
    },
    /// The tensors are not those of the configuration.
    #[error("the tensors do not fit the configuration: {0}")]
    TensorMismatch(String),
    /// A tensor holds NaN or infinity, or would after rounding to f16.
    #[error("tensor `{tensor}` has {count} value(s) that are not finite{context}")]
    NotFinite {
        /// The tensor's name.
        tensor: String,
        /// How many of its values are NaN or infinite.
        count: usize,
        /// Where, starting with a space, or nothing.
        context: String,
    },
    /// `tokenizer.json` does not parse, or a text cannot be encoded.
    #[error("tokenizer{}: {message}", path.as_ref().map(|p| format!(" {}", p.display())).unwrap_or_default())]
    Tokenizer {
        /// The file, when reading it failed.
        path: Option<PathBuf>,
        /// The reason.
        message: String,
    },
    /// Token ids that the text tower cannot take.
    #[error("prompt {index}: {problem}")]
    Prompt {
        /// Position in the batch.
        index: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// Class names or templates from which no head can be made.
    #[error("zero-shot head: {0}")]
    Classes(String),
    /// Pixels or features of the wrong shape.
    #[error("{what} must have shape {expected}, got {actual}")]
    Shape {
        /// What was passed.
        what: &'static str,
        /// The shape that was expected.
        expected: String,
        /// The shape that came.
        actual: String,
    },
    /// The destination of a save holds files that are no part of a checkpoint.
    #[error(
        "{} holds `{entry}`, which is no part of a checkpoint: saving replaces the whole directory, \
         choose another one or remove the file",
        path.display()
    )]
    ForeignFile {
        /// The destination.
        path: PathBuf,
        /// The first file that a save would destroy.
        entry: String,
    },
    /// A tensor operation failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

impl Error {
    /// For `map_err`: attaches the path and what was tried.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }

    /// For `map_err`: attaches the path to a JSON error.
    pub(crate) fn json(path: impl Into<PathBuf>) -> impl FnOnce(serde_json::Error) -> Self {
        let path = path.into();
        move |source| Self::Json { path, source }
    }
}
