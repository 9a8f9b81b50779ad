//! Files appear whole or not at all: a temporary sibling, fsync, rename.

use std::io::Write;
use std::path::Path;

use tempfile::NamedTempFile;

use crate::{Error, Result};

/// A new file in the directory of `path` (made if missing), removed again when dropped.
pub(crate) fn temporary_beside(path: &Path) -> Result<NamedTempFile> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(directory).map_err(Error::io("create directory", directory))?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".partial-");
    // Temporary files are private by default; a dataset or cache is as public as its directory.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder
        .tempfile_in(directory)
        .map_err(Error::io("create a file in", directory))
}

/// Puts a finished temporary file in place of whatever is at `path`.
pub(crate) fn publish(temporary: NamedTempFile, path: &Path) -> Result<()> {
    temporary
        .as_file()
        .sync_all()
        .map_err(Error::io("write", path))?;
    temporary
        .persist(path)
        .map_err(|e| Error::io("write", path)(e.error))?;
    Ok(())
}

/// Writes a file as a whole or not at all, and its directory if that is missing.
///
/// # Errors
/// If it cannot be written; what was there before is still there then.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut temporary = temporary_beside(path)?;
    temporary
        .write_all(bytes)
        .map_err(Error::io("write", path))?;
    publish(temporary, path)
}
