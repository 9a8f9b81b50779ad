//! What can go wrong, and where.

use std::path::{Path, PathBuf};

/// What this crate's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Errors of hierarchies and of what is computed with them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A line of a file is not what the format says.
    #[error("{path}, line {line}: {problem}")]
    Line {
        /// The file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// A TOML tree is not one.
    #[error("{origin}: {problem}")]
    Tree {
        /// Where the text comes from.
        origin: String,
        /// What is wrong, with the key.
        problem: String,
    },
    /// Two nodes have the same id.
    #[error("the synset {id} comes twice in the hierarchy; keep one")]
    DuplicateNode {
        /// The id.
        id: String,
    },
    /// An edge is written twice.
    #[error("the edge from {parent} to {child} comes twice in the hierarchy; keep one")]
    DuplicateEdge {
        /// Id of the parent.
        parent: String,
        /// Id of the child.
        child: String,
    },
    /// An edge leads to a node that does not exist.
    #[error("the edge from {parent} to {child}: there is no node {missing}; give it a name")]
    UnknownNode {
        /// Id of the parent.
        parent: String,
        /// Id of the child.
        child: String,
        /// Which of the two is not there.
        missing: String,
    },
    /// A node is its own ancestor.
    #[error("the hierarchy has a cycle: {path}; remove one of its edges")]
    Cycle {
        /// The ids along the cycle, parent first, ending where it starts.
        path: String,
    },
    /// A class names a synset that is not there.
    #[error(
        "class {class_idx} ({name}): the synset {id} is not in the hierarchy; mend the table of \
         classes, or leave the class without a synset"
    )]
    UnknownClass {
        /// The class.
        class_idx: usize,
        /// Its name.
        name: String,
        /// The id that was looked for.
        id: String,
    },
    /// Two classes name the same synset, so that one gets the other's parents and children.
    #[error("classes {first} and {second} share the synset {id}; each class needs its own")]
    SharedSynset {
        /// The first class.
        first: usize,
        /// The second class.
        second: usize,
        /// The id.
        id: String,
    },
    /// Sizes that must agree do not.
    #[error("{what}: expected {expected}, found {actual}")]
    Size {
        /// What was counted.
        what: &'static str,
        /// As it should be.
        expected: usize,
        /// As it is.
        actual: usize,
    },
    /// Nothing where something is needed.
    #[error("no {what}; at least one is needed")]
    Empty {
        /// What is missing.
        what: &'static str,
    },
    /// An embedding has no direction.
    #[error("{what} {row}: the embedding is zero or not finite; compute it again")]
    Direction {
        /// What is embedded.
        what: &'static str,
        /// Which one.
        row: usize,
    },
    /// A setting outside its range.
    #[error("{name} = {value}: {problem}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What it must be.
        problem: &'static str,
    },
    /// The statistics refused their input.
    #[error(transparent)]
    Eval(#[from] paint_eval::Error),
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

impl Error {
    pub(crate) fn line(path: &Path, line: usize, problem: impl Into<String>) -> Self {
        Self::Line {
            path: path.to_owned(),
            line,
            problem: problem.into(),
        }
    }
}

/// The text of a file.
pub(crate) fn read_to_string(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })
}

pub(crate) fn check_size(what: &'static str, expected: usize, actual: usize) -> Result<()> {
    match expected == actual {
        true => Ok(()),
        false => Err(Error::Size {
            what,
            expected,
            actual,
        }),
    }
}
