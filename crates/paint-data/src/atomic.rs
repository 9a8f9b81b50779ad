//! Files that appear whole or not at all, with this crate's errors.

use std::path::Path;

use paint_atomic::{UnfinishedFile, directory_of};

use crate::{Error, Result};

/// A new file in the directory of `path` (made if missing), removed again when dropped.
pub(crate) fn unfinished(path: &Path) -> Result<UnfinishedFile> {
    let directory = directory_of(path);
    std::fs::create_dir_all(directory).map_err(Error::io("create directory", directory))?;
    UnfinishedFile::create(path).map_err(Error::io("create a file in", directory))
}

/// Writes a file as a whole or not at all, and its directory if that is missing.
///
/// # Errors
/// If it cannot be written; what was there before is still there then.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    paint_atomic::write(path, bytes).map_err(Error::io("write", path))
}
