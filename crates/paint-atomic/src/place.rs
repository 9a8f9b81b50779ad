//! Where something will be, and what is unfinished beside it.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::time::Duration;

/// Letters and digits that tell what several processes write to one place apart.
const N_RANDOM: usize = 6;
const SUFFIX: &str = ".part";
/// What was written to more recently may be another machine's.
const UNTOUCHED: Duration = Duration::from_secs(3600);

/// Beside it, what is unfinished is called `.NAME.RANDOM.part`.
pub(crate) struct Place<'a> {
    pub(crate) directory: &'a Path,
    prefix: OsString,
}

/// The directory that the file or directory at `path` is in: the current one for a bare name.
pub fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

impl<'a> Place<'a> {
    pub(crate) fn of(path: &'a Path) -> io::Result<Self> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
        let mut prefix = OsString::from(".");
        prefix.push(name);
        prefix.push(".");
        Ok(Self {
            directory: directory_of(path),
            prefix,
        })
    }

    /// A name beside the place.
    pub(crate) fn builder(&self) -> tempfile::Builder<'_, '_> {
        let mut builder = tempfile::Builder::new();
        builder
            .prefix(&self.prefix)
            .rand_bytes(N_RANDOM)
            .suffix(SUFFIX);
        builder
    }

    /// Removes what processes that are no more have left unfinished: what nobody has locked, and
    /// nobody has touched for an hour, since locks may not reach other machines. That it fails is no
    /// reason not to write.
    pub(crate) fn remove_leftovers(&self) {
        let Ok(entries) = fs::read_dir(self.directory) else {
            return;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            if !self.is_unfinished(entry.file_name().as_encoded_bytes()) {
                continue;
            }
            // Held until it is gone: its writer, if it has only just made it, looks for that.
            let Ok(file) = File::open(&path) else {
                continue;
            };
            if is_old(&file) && file.try_lock().is_ok() {
                let _ = match path.is_dir() {
                    true => fs::remove_dir_all(&path),
                    false => fs::remove_file(&path),
                };
            }
        }
    }

    fn is_unfinished(&self, name: &[u8]) -> bool {
        let random = name
            .strip_prefix(self.prefix.as_encoded_bytes())
            .and_then(|name| name.strip_suffix(SUFFIX.as_bytes()));
        random.is_some_and(|random| {
            random.len() == N_RANDOM && random.iter().all(u8::is_ascii_alphanumeric)
        })
    }

    /// Makes the names in the directory survive a power cut; Windows cannot open a directory to do
    /// so.
    pub(crate) fn sync(&self) -> io::Result<()> {
        match cfg!(unix) {
            true => File::open(self.directory)?.sync_all(),
            false => Ok(()),
        }
    }
}

fn is_old(file: &File) -> bool {
    let modified = file.metadata().and_then(|metadata| metadata.modified());
    modified.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > UNTOUCHED))
}

/// Locks what was just made at `path`; false if another process took it for left over before.
pub(crate) fn lock(file: &File, path: &Path) -> bool {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => false,
        Ok(()) | Err(TryLockError::Error(_)) => path.exists(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_others_are_not_unfinished() {
        let place = Place::of(Path::new("runs/theta")).unwrap();
        assert_eq!(place.directory, Path::new("runs"));
        assert!(place.is_unfinished(b".theta.aB3xyz.part"));
        for other in [
            ".theta.aB3xyz",
            ".theta.aB3xy.part",
            ".theta.json.aB3xyz.part",
            ".theta.old.part",
            ".beta.aB3xyz.part",
            "theta",
        ] {
            assert!(!place.is_unfinished(other.as_bytes()), "{other}");
        }
        assert_eq!(
            Place::of(Path::new("theta")).unwrap().directory,
            Path::new(".")
        );
        assert!(Place::of(Path::new("/")).is_err());
    }

    #[test]
    fn what_another_holds_or_has_removed_is_not_ours() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(".theta.aB3xyz.part");
        let held = File::create(&path).unwrap();
        held.lock().unwrap();
        assert!(!lock(&File::open(&path).unwrap(), &path));
        drop(held);
        let ours = File::open(&path).unwrap();
        assert!(lock(&ours, &path));
        fs::remove_file(&path).unwrap();
        assert!(!lock(&ours, &path));
    }
}
