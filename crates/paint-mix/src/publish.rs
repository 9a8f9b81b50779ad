//! Output that appears whole or not at all, and its hash.

use crate::{
    Error, Result,
    checkpoint::{read_exact_at, write_all_at},
    survey::hexadecimal,
};
use paint_atomic::UnfinishedFile;
use sha2::{Digest, Sha256};
use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

/// A file being written beside its destination; dropped unfinished it removes itself.
pub(crate) struct Sibling {
    path: PathBuf,
    n_bytes: u64,
    file: UnfinishedFile,
}

/// Bytes that are read back at a time for their hash.
const CHUNK: usize = 1 << 18;

impl Sibling {
    /// `n_bytes` is the size the file will have.
    pub(crate) fn create(path: &Path, n_bytes: u64) -> Result<Self> {
        let file =
            UnfinishedFile::create(path).map_err(|source| write_error(path, n_bytes, source))?;
        Ok(Self {
            path: path.to_owned(),
            n_bytes,
            file,
        })
    }

    /// Appends `bytes`.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.file.write_all(bytes);
        written.map_err(|source| self.failed(source))
    }

    /// Puts `bytes` at `position`; any number of threads may do this.
    pub(crate) fn write_at(&self, bytes: &[u8], position: u64) -> Result<()> {
        let written = write_all_at(self.file.as_file(), bytes, position);
        written.map_err(|source| self.failed(source))
    }

    /// Everything is written: the file goes to the disk if it is to be `durable`, and meanwhile its
    /// hash is found if `checksum`.
    pub(crate) fn settle(self, durable: bool, checksum: bool) -> Result<Settled> {
        let (synced, hash) = rayon::join(
            || match durable {
                true => self.file.as_file().sync_all(),
                false => Ok(()),
            },
            || checksum.then(|| self.sha256()).transpose(),
        );
        let sha256 = synced.and(hash).map_err(|source| self.failed(source))?;
        Ok(Settled {
            sibling: self,
            durable,
            sha256,
        })
    }

    fn sha256(&self) -> io::Result<String> {
        let (mut hash, mut buffer, mut position) = (Sha256::new(), vec![0; CHUNK], 0);
        while position < self.n_bytes {
            let n = (self.n_bytes - position).min(CHUNK as u64) as usize;
            read_exact_at(self.file.as_file(), &mut buffer[..n], position)?;
            hash.update(&buffer[..n]);
            position += n as u64;
        }
        Ok(hexadecimal(hash))
    }

    fn failed(&self, source: io::Error) -> Error {
        write_error(&self.path, self.n_bytes, source)
    }
}

/// A sibling that nothing more is written to, on the disk if it was to be durable.
pub(crate) struct Settled {
    sibling: Sibling,
    durable: bool,
    sha256: Option<String>,
}

impl Settled {
    /// SHA-256 of what is in the file, in hexadecimal, if it was asked for.
    pub(crate) fn sha256(&self) -> Option<&str> {
        self.sha256.as_deref()
    }

    /// Makes the file appear at its destination; its hash.
    pub(crate) fn publish(self) -> Result<Option<String>> {
        let Sibling {
            path,
            n_bytes,
            file,
        } = self.sibling;
        let published = match self.durable {
            true => file.publish(),
            false => file.publish_unsynced(),
        };
        published.map_err(|source| write_error(&path, n_bytes, source))?;
        Ok(self.sha256)
    }
}

fn write_error(path: &Path, n_bytes: u64, source: io::Error) -> Error {
    Error::Write {
        path: path.to_owned(),
        n_bytes,
        source,
    }
}
