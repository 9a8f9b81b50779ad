//! Files and directories that appear whole or not at all: written beside their place under a name
//! that begins with a dot, synced, renamed.
//!
//! Whoever writes holds a lock on what is unfinished. The system takes the locks of a killed
//! process from it, so the next one that writes to the same place knows what was left there, and
//! removes it once it has not been touched for an hour: on a shared file system the lock may be
//! unknown to other machines. Where there are no locks at all, nothing is taken for left over.
//!
//! Knows nothing of what is in the files; errors are the system's own.
//!
//! ```
//! use paint_atomic::UnfinishedFile;
//! use std::io::Write;
//!
//! let directory = tempfile::tempdir()?;
//! let path = directory.path().join("theta");
//! let mut file = UnfinishedFile::create(&path)?;
//! file.write_all(b"0.4")?;
//! assert!(!path.exists());
//! file.publish()?;
//! assert_eq!(std::fs::read(&path)?, b"0.4");
//! # Ok::<(), std::io::Error>(())
//! ```

mod directory;
mod file;
mod place;

pub use directory::UnfinishedDirectory;
pub use file::{UnfinishedFile, write};
pub use place::directory_of;
