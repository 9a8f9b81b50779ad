//! A file.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::place::{Place, lock};

/// A file that is being written beside its place; dropped unpublished it is gone.
#[derive(Debug)]
pub struct UnfinishedFile {
    path: PathBuf,
    file: NamedTempFile,
}

impl UnfinishedFile {
    /// Begins the file that will be at `path`, whose directory must be there.
    ///
    /// # Errors
    /// If `path` is no name of a file, or none can be made beside it.
    pub fn create(path: &Path) -> io::Result<Self> {
        let place = Place::of(path)?;
        place.remove_leftovers();
        let mut builder = place.builder();
        // Temporary files are private by default; this one is as public as any other.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        loop {
            let file = builder.tempfile_in(place.directory)?;
            if lock(file.as_file(), file.path()) {
                let path = path.to_owned();
                return Ok(Self { path, file });
            }
        }
    }

    /// What is written to.
    pub fn as_file(&self) -> &File {
        self.file.as_file()
    }

    /// Syncs the file and puts it in the place of whatever is there.
    ///
    /// # Errors
    /// If it cannot be written or renamed; what was there before is still there then, unless only
    /// the name could not be synced.
    pub fn publish(self) -> io::Result<()> {
        self.as_file().sync_all()?;
        let path = self.path.clone();
        self.publish_unsynced()?;
        Place::of(&path)?.sync()
    }

    /// [`publish`](Self::publish) that does not wait for the disk: a power cut may take the file,
    /// or what is in it.
    ///
    /// # Errors
    /// If it cannot be renamed.
    pub fn publish_unsynced(self) -> io::Result<()> {
        let persisted = self.file.persist(&self.path);
        persisted.map(drop).map_err(|error| error.error)
    }
}

/// Writes a file as a whole or not at all, and its directory if that is missing.
///
/// # Errors
/// If it cannot be written; what was there before is still there then.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(Place::of(path)?.directory)?;
    let mut file = UnfinishedFile::create(path)?;
    file.write_all(bytes)?;
    file.publish()
}

impl Write for UnfinishedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.as_file().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.as_file().flush()
    }
}
