//! The one error type of this crate.

use std::net::SocketAddr;
use std::path::PathBuf;

/// What this crate's functions return.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a mirror cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The directory holds neither models nor datasets.
    #[error(
        "{}: has neither `models` nor `datasets`; lay files out as \
         {{models,datasets}}/ORG/NAME/FILE", .0.display()
    )]
    Layout(PathBuf),

    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose another with --bind and --port")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// The operating system's reason.
        source: std::io::Error,
    },

    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },

    /// The server's threads cannot be started.
    #[error("cannot start the server: {0}")]
    Runtime(std::io::Error),
}
