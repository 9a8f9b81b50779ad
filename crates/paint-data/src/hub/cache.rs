//! The Hub's cache on disk, as Python's `huggingface_hub` lays it out and shares it:
//!
//! ```text
//! CACHE/datasets--ORG--NAME/
//!   refs/main                the commit that `main` was
//!   blobs/ETAG               a file's bytes
//!   snapshots/COMMIT/PATH    a link to its blob
//!   trees/COMMIT.json        all files of a commit (Python's), COMMIT.names (ours)
//! CACHE/.locks/datasets--ORG--NAME/ETAG.lock
//! ```

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::RepositoryKind;

/// The part of the cache that belongs to one repository.
#[derive(Clone, Debug)]
pub(super) struct RepositoryCache {
    cache: PathBuf,
    folder: String,
}

impl RepositoryCache {
    pub(super) fn new(cache: &Path, kind: RepositoryKind, id: &str) -> Self {
        Self {
            cache: cache.to_owned(),
            folder: format!("{}--{}", kind.plural(), id.replace('/', "--")),
        }
    }

    fn root(&self) -> PathBuf {
        self.cache.join(&self.folder)
    }

    pub(super) fn blob(&self, etag: &str) -> PathBuf {
        self.root().join("blobs").join(etag)
    }

    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.root().join("snapshots").join(commit)
    }

    /// The commit that a branch was when last asked for; a commit is itself.
    pub(super) fn commit_of(&self, revision: &str) -> String {
        fs::read_to_string(self.root().join("refs").join(revision))
            .map_or_else(|_| revision.to_owned(), |text| text.trim().to_owned())
    }

    /// The names of all files of a commit, sorted, if they were listed before.
    pub(super) fn names(&self, commit: &str) -> Option<Vec<String>> {
        let trees = self.root().join("trees");
        if let Ok(text) = fs::read_to_string(trees.join(format!("{commit}.names"))) {
            return Some(text.lines().map(str::to_owned).collect());
        }
        let text = fs::read_to_string(trees.join(format!("{commit}.json"))).ok()?;
        let tree: serde_json::Value = serde_json::from_str(&text).ok()?;
        let mut names: Vec<String> = tree["files"].as_object()?.keys().cloned().collect();
        names.sort();
        Some(names)
    }

    /// Keeps what a revision is and which files it has.
    pub(super) fn remember(&self, revision: &str, commit: &str, names: &[String]) -> Result<()> {
        if revision != commit && self.commit_of(revision) != commit {
            paint_atomic::write(&self.root().join("refs").join(revision), commit.as_bytes())?;
        }
        if self.names(commit).is_none() {
            let text: String = names.iter().map(|name| format!("{name}\n")).collect();
            let path = self.root().join("trees").join(format!("{commit}.names"));
            paint_atomic::write(&path, text.as_bytes())?;
        }
        Ok(())
    }

    /// Waits until no other process fetches this blob. The lock ends with the process, however
    /// it ends.
    pub(super) async fn lock(&self, etag: &str) -> Result<File> {
        let directory = self.cache.join(".locks").join(&self.folder);
        fs::create_dir_all(&directory)?;
        let path = directory.join(format!("{etag}.lock"));
        let file = File::options().create(true).append(true).open(&path)?;
        let mut waited = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) => {
                    if !waited {
                        tracing::info!("waiting for another process: {}", path.display());
                        waited = true;
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                // Two processes without locks write the same bytes to the same places, and the
                // hash is checked at the end.
                Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {
                    return Ok(file);
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }

    /// Puts a blob into a snapshot under its name; the path there.
    pub(super) fn link(&self, commit: &str, name: &str, etag: &str) -> Result<PathBuf> {
        let path = self.snapshot(commit).join(name);
        if path.is_file() {
            return Ok(path);
        }
        let directory = path.parent().unwrap_or(Path::new(""));
        fs::create_dir_all(directory)?;
        let depth = 2 + name.matches('/').count();
        let target = format!("{}blobs/{etag}", "../".repeat(depth));
        // A link to a blob that is no more.
        if path.is_symlink() {
            fs::remove_file(&path)?;
        }
        match place(&target, &self.blob(etag), &path) {
            // Another process was as fast.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(path),
            other => other.map(|()| path),
        }
    }
}

#[cfg(unix)]
fn place(target: &str, _: &Path, path: &Path) -> Result<()> {
    std::os::unix::fs::symlink(target, path)
}

/// Links need a privilege there; as Python does, the blob itself takes the name.
#[cfg(not(unix))]
fn place(_: &str, blob: &Path, path: &Path) -> Result<()> {
    fs::rename(blob, path)
}

/// Whether a server's name for a file stays below the snapshot.
pub(super) fn is_inside(name: &str) -> bool {
    let is_plain = |part: &str| !matches!(part, "" | "." | "..");
    !name.contains(['\\', '\n', '\0']) && name.split('/').all(is_plain)
}

/// Whether a server's word can be the name of one file.
pub(super) fn is_word(word: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !word.is_empty() && !word.starts_with('.') && word.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_the_snapshot() {
        for good in ["a", "data/a.parquet", "a b/é.txt", ".gitattributes"] {
            assert!(is_inside(good), "{good}");
        }
        for bad in [
            "", "/a", "../a", "a/../b", "a//b", "a/", "./a", "a\\b", "a\nb",
        ] {
            assert!(!is_inside(bad), "{bad:?}");
        }
        assert!(is_word("5891b5") && is_word("abc-12"));
        assert!(!is_word("") && !is_word("../x") && !is_word("a/b") && !is_word(".x"));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_relative_as_pythons_are() {
        let dir = tempfile::tempdir().unwrap();
        let cache = RepositoryCache::new(dir.path(), RepositoryKind::Model, "org/name");
        fs::create_dir_all(dir.path().join("models--org--name/blobs")).unwrap();
        fs::write(cache.blob("e1"), "x").unwrap();
        for (name, target) in [
            ("a.txt", "../../blobs/e1"),
            ("b/c/a.txt", "../../../../blobs/e1"),
        ] {
            let path = cache.link("c0", name, "e1").unwrap();
            assert_eq!(
                path,
                dir.path().join("models--org--name/snapshots/c0").join(name)
            );
            assert_eq!(fs::read_link(&path).unwrap(), Path::new(target));
            assert_eq!(fs::read(&path).unwrap(), b"x");
        }
        // A link whose blob was removed leads to the new one.
        fs::write(cache.blob("e2"), "y").unwrap();
        fs::remove_file(cache.blob("e1")).unwrap();
        assert_eq!(
            fs::read(cache.link("c0", "a.txt", "e2").unwrap()).unwrap(),
            b"y"
        );
    }

    #[test]
    fn what_a_revision_was_is_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let cache = RepositoryCache::new(dir.path(), RepositoryKind::Dataset, "name");
        assert_eq!(cache.commit_of("main"), "main");
        assert_eq!(cache.names("c0"), None);
        let names = ["a".to_owned(), "b c/d".to_owned()];
        cache.remember("main", "c0", &names).unwrap();
        cache.remember("refs/pr/1", "c0", &names).unwrap();
        assert_eq!(cache.commit_of("main"), "c0");
        assert_eq!(cache.names("c0").unwrap(), names);
        let refs = dir.path().join("datasets--name/refs");
        assert_eq!(fs::read_to_string(refs.join("main")).unwrap(), "c0");
        assert_eq!(fs::read_to_string(refs.join("refs/pr/1")).unwrap(), "c0");
        // Python's listing.
        let tree = r#"{"format_version": 1, "files": {"x/y": {"size": 1, "blob_id": "b"}}}"#;
        fs::write(dir.path().join("datasets--name/trees/c1.json"), tree).unwrap();
        assert_eq!(cache.names("c1").unwrap(), ["x/y"]);
    }
}
