//! The one error type of this crate.

/// What this crate's functions return.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong while the world is written to disk.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No task of the world has this name.
    #[error("there is no embedded task {name:?}; choose one of {known}")]
    UnknownTask {
        /// The name that was asked for.
        name: String,
        /// All names, with commas.
        known: String,
    },

    /// A share of a recipe cannot be used.
    #[error("recipe: {key} = {value}: {message}")]
    Recipe {
        /// The key at fault.
        key: String,
        /// Its value.
        value: f32,
        /// What it must be.
        message: &'static str,
    },

    /// A dataset or another file could not be written.
    #[error(transparent)]
    Data(#[from] paint_data::Error),
}
