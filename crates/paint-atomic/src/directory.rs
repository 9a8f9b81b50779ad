//! A directory.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::place::{Place, lock};

/// A directory that is being filled beside its place; dropped unpublished it is gone.
#[derive(Debug)]
pub struct UnfinishedDirectory {
    place: PathBuf,
    directory: TempDir,
    /// Windows cannot open a directory to lock it.
    _lock: Option<File>,
}

impl UnfinishedDirectory {
    /// Begins the directory that will be at `place`, whose own directory must be there.
    ///
    /// # Errors
    /// If `place` is no name of a directory, or none can be made beside it.
    pub fn create(place: &Path) -> io::Result<Self> {
        let beside = Place::of(place)?;
        beside.remove_leftovers();
        let mut builder = beside.builder();
        // As any created directory, subject to the umask.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
        loop {
            let directory = builder.tempdir_in(beside.directory)?;
            let file = File::open(directory.path()).ok();
            if file
                .as_ref()
                .is_none_or(|file| lock(file, directory.path()))
            {
                return Ok(Self {
                    place: place.to_owned(),
                    directory,
                    _lock: file,
                });
            }
        }
    }

    /// What is to be filled.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Waits until the files in it, and their names, are on the disk. [`publish`](Self::publish) does
    /// so too, and takes no time for it after this.
    ///
    /// # Errors
    /// If they cannot be read or written.
    pub fn sync(&self) -> io::Result<()> {
        // Windows syncs only what is open for writing, and no directory.
        if cfg!(unix) {
            for entry in fs::read_dir(self.path())? {
                File::open(entry?.path())?.sync_all()?;
            }
            File::open(self.path())?.sync_all()?;
        }
        Ok(())
    }

    /// Puts it in its place, where there must be nothing or an empty directory, with its files on the
    /// disk; of directories in it only the names.
    ///
    /// # Errors
    /// If it cannot be synced or renamed.
    pub fn publish(self) -> io::Result<()> {
        self.sync()?;
        fs::rename(self.path(), &self.place)?;
        // It has its name; nothing is left to clean up.
        let _ = self.directory.keep();
        Place::of(&self.place)?.sync()
    }
}
