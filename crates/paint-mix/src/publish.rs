//! Output that appears whole or not at all: a temporary sibling, fsync, rename.

use crate::{Error, FileIdentity, Result, survey::hexadecimal};
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
};
use tempfile::NamedTempFile;

/// A file being written beside its destination; dropped unfinished it removes itself.
pub(crate) struct Sibling {
    path: PathBuf,
    n_bytes: u64,
    file: NamedTempFile,
    hash: Option<Sha256>,
}

impl Sibling {
    /// `n_bytes` is the size the file will have, for the message when space runs out; `checksum`
    /// whether what is written is hashed.
    pub(crate) fn create(path: &Path, n_bytes: u64, checksum: bool) -> Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".paint-mix-").suffix(".part");
        // As any created file, subject to the umask; a temporary file's own 0600 would hide the
        // result from other users.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = builder
            .tempfile_in(directory(path))
            .map_err(|source| write_error(path, n_bytes, source))?;
        Ok(Self {
            path: path.to_owned(),
            n_bytes,
            file,
            hash: checksum.then(Sha256::new),
        })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if let Some(hash) = &mut self.hash {
            hash.update(bytes);
        }
        let written = self.file.write_all(bytes);
        written.map_err(|source| write_error(&self.path, self.n_bytes, source))
    }

    /// SHA-256 of what was written so far, in hexadecimal.
    pub(crate) fn sha256(&self) -> Option<String> {
        self.hash.clone().map(hexadecimal)
    }

    /// Makes the file appear at its destination.
    pub(crate) fn publish(self) -> Result<FileIdentity> {
        let Self {
            path,
            n_bytes,
            file,
            hash,
        } = self;
        let failed = |source| write_error(&path, n_bytes, source);
        file.as_file().sync_all().map_err(failed)?;
        file.persist(&path).map_err(|error| failed(error.error))?;
        sync_directory(directory(&path)).map_err(failed)?;
        Ok(FileIdentity {
            n_bytes,
            sha256: hash.map(hexadecimal),
        })
    }
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes the rename itself durable.
#[cfg(unix)]
fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

fn write_error(path: &Path, n_bytes: u64, source: io::Error) -> Error {
    Error::Write {
        path: path.to_owned(),
        n_bytes,
        source,
    }
}
