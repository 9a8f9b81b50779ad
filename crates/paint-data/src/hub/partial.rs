//! A file that is being received in parts, and says after a crash what it has.

use std::cell::Cell;
use std::fs::File;
use std::io::{Read, Result, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The bytes, and behind them for each part how many of its bytes are there (`u64`, little
/// endian). A count is written after its bytes, so that a killed process loses nothing it
/// counted; what a power failure takes, the hash of the whole tells.
pub(super) struct Partial {
    path: PathBuf,
    file: File,
    size: u64,
    part_size: u64,
    received: Vec<Cell<u64>>,
    /// Bytes that an earlier process received.
    pub(super) resumed: u64,
}

impl Partial {
    /// Opens what an earlier process left at `path`, or starts anew.
    pub(super) fn open(path: &Path, size: u64, part_size: u64) -> Result<Self> {
        let n_parts = size.div_ceil(part_size) as usize;
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        let mut partial = Self {
            path: path.to_owned(),
            file,
            size,
            part_size,
            received: vec![Cell::new(0); n_parts],
            resumed: 0,
        };
        let length = size + 8 * n_parts as u64;
        if partial.file.metadata()?.len() == length {
            partial.read_counts()?;
        } else {
            // Emptied first: a file of another size holds other bytes.
            partial.file.set_len(0)?;
            partial.file.set_len(length)?;
        }
        partial.resumed = partial.n_received();
        Ok(partial)
    }

    fn read_counts(&mut self) -> Result<()> {
        (&self.file).seek(SeekFrom::Start(self.size))?;
        for part in 0..self.received.len() {
            let mut count = [0; 8];
            (&self.file).read_exact(&mut count)?;
            let range = self.range(part);
            let count = u64::from_le_bytes(count).min(range.end - range.start);
            self.received[part].set(count);
        }
        Ok(())
    }

    pub(super) fn n_parts(&self) -> usize {
        self.received.len()
    }

    pub(super) fn n_received(&self) -> u64 {
        self.received.iter().map(Cell::get).sum()
    }

    fn range(&self, part: usize) -> Range<u64> {
        let start = part as u64 * self.part_size;
        start..(start + self.part_size).min(self.size)
    }

    /// What of a part is still to come; empty when there is nothing.
    pub(super) fn missing(&self, part: usize) -> Range<u64> {
        let range = self.range(part);
        range.start + self.received[part].get()..range.end
    }

    /// Keeps the next bytes of a part, which must not be more than are missing.
    pub(super) fn write(&self, part: usize, bytes: &[u8]) -> Result<()> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(self.missing(part).start))?;
        file.write_all(bytes)?;
        let count = self.received[part].get() + bytes.len() as u64;
        file.seek(SeekFrom::Start(self.size + 8 * part as u64))?;
        file.write_all(&count.to_le_bytes())?;
        self.received[part].set(count);
        Ok(())
    }

    /// Reads all bytes in order.
    pub(super) fn read(&self, mut take: impl FnMut(&[u8])) -> Result<()> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(0))?;
        let mut left = self.size;
        let mut bytes = vec![0; 1 << 20];
        while left > 0 {
            let n = left.min(bytes.len() as u64) as usize;
            file.read_exact(&mut bytes[..n])?;
            take(&bytes[..n]);
            left -= n as u64;
        }
        Ok(())
    }

    /// Gives the whole file its name.
    pub(super) fn publish(self, path: &Path) -> Result<()> {
        self.file.set_len(self.size)?;
        self.file.sync_all()?;
        std::fs::rename(&self.path, path)
    }

    /// Removes it.
    pub(super) fn discard(self) -> Result<()> {
        std::fs::remove_file(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_kept_and_continued() {
        let dir = tempfile::tempdir().unwrap();
        let (path, done) = (dir.path().join("p"), dir.path().join("done"));
        let partial = Partial::open(&path, 10, 4).unwrap();
        assert_eq!((partial.n_parts(), partial.resumed), (3, 0));
        partial.write(2, b"ij").unwrap();
        partial.write(1, b"ef").unwrap();
        // As a killed process leaves it.
        drop(partial);
        let partial = Partial::open(&path, 10, 4).unwrap();
        assert_eq!(partial.resumed, 4);
        let missing: Vec<_> = (0..3).map(|part| partial.missing(part)).collect();
        assert_eq!(missing, [0..4, 6..8, 10..10]);
        partial.write(1, b"gh").unwrap();
        partial.write(0, b"abcd").unwrap();
        let mut all = Vec::new();
        partial.read(|bytes| all.extend_from_slice(bytes)).unwrap();
        assert_eq!(all, b"abcdefghij");
        partial.publish(&done).unwrap();
        assert_eq!(std::fs::read(&done).unwrap(), b"abcdefghij");
        assert!(!path.exists());
    }

    #[test]
    fn what_is_of_another_size_is_not_continued() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p");
        let partial = Partial::open(&path, 10, 4).unwrap();
        partial.write(0, b"abcd").unwrap();
        assert_eq!(Partial::open(&path, 10, 5).unwrap().resumed, 0);
        std::fs::write(&path, "garbage").unwrap();
        assert_eq!(Partial::open(&path, 10, 4).unwrap().resumed, 0);
        // Counts that cannot be are cut to what can.
        std::fs::write(&path, [0xff; 10 + 3 * 8]).unwrap();
        let partial = Partial::open(&path, 10, 4).unwrap();
        assert_eq!(
            (0..3)
                .map(|part| partial.missing(part).start)
                .collect::<Vec<_>>(),
            [4, 8, 10]
        );
    }
}
