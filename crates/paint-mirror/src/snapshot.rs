//! A repository's files as the Hub would list them.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// One revision of a repository.
pub(crate) struct Snapshot {
    /// 40 hexadecimal digits, from all names and contents.
    pub(crate) commit: String,
    /// By path within the repository, with `/`.
    pub(crate) files: BTreeMap<String, FileInfo>,
}

/// A file of a repository.
#[derive(Clone)]
pub(crate) struct FileInfo {
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
    /// Git's hash of the blob: of the pointer, where the file is kept in Git LFS.
    pub(crate) oid: String,
    /// SHA-256 of the content of what the Hub would keep in Git LFS.
    pub(crate) sha256: Option<String>,
}

/// The file that git keeps in place of one in Git LFS.
pub(crate) fn lfs_pointer(sha256: &str, size: u64) -> String {
    format!("version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n")
}

impl FileInfo {
    /// What the Hub sends as (linked) ETag.
    pub(crate) fn etag(&self) -> &str {
        self.sha256.as_deref().unwrap_or(&self.oid)
    }
}

/// Hashes by path, as long as size and time stay the same.
#[derive(Default)]
pub(crate) struct Hashes(Mutex<HashMap<PathBuf, (u64, SystemTime, FileInfo)>>);

/// Files of these kinds are in Git LFS whatever their size, as the Hub's `.gitattributes` says.
const LFS: [&str; 14] = [
    "arrow",
    "bin",
    "gz",
    "h5",
    "jpg",
    "msgpack",
    "npz",
    "onnx",
    "parquet",
    "png",
    "pt",
    "safetensors",
    "tar",
    "zip",
];
/// And all files of this size, in bytes.
const LFS_SIZE: u64 = 10 << 20;

impl Snapshot {
    /// Lists and hashes `directory`; nothing if there is none.
    pub(crate) fn of(directory: &Path, hashes: &Hashes) -> Result<Option<Self>> {
        if !directory.is_dir() {
            return Ok(None);
        }
        let mut paths = BTreeMap::new();
        list(directory, "", &mut paths)?;
        let mut files = BTreeMap::new();
        let mut commit = Sha1::new();
        for (name, path) in paths {
            let info = hashes.of(&path)?;
            commit.update(format!("{name}\0{}\n", info.etag()));
            files.insert(name, info);
        }
        Ok(Some(Self {
            commit: hex(&commit.finalize()),
            files,
        }))
    }
}

impl Hashes {
    fn of(&self, path: &Path) -> Result<FileInfo> {
        let io = |source| Error::Io {
            path: path.to_owned(),
            source,
        };
        let metadata = path.metadata().map_err(io)?;
        let (size, modified) = (metadata.len(), metadata.modified().map_err(io)?);
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((old_size, old_time, info)) = known().get(path)
            && (*old_size, *old_time) == (size, modified)
        {
            return Ok(info.clone());
        }
        let info = hash(path, size).map_err(io)?;
        known().insert(path.to_owned(), (size, modified, info.clone()));
        Ok(info)
    }
}

fn hash(path: &Path, size: u64) -> std::io::Result<FileInfo> {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
    let file = BufReader::with_capacity(1 << 20, File::open(path)?);
    let (oid, sha256) = if size >= LFS_SIZE || LFS.contains(&extension) {
        let sha256 = hex(&digest::<Sha256>(file, Sha256::new())?);
        let pointer = lfs_pointer(&sha256, size);
        let blob = Sha1::new().chain_update(format!("blob {}\0", pointer.len()));
        (hex(&blob.chain_update(pointer).finalize()), Some(sha256))
    } else {
        let blob = Sha1::new().chain_update(format!("blob {size}\0"));
        (hex(&digest(file, blob)?), None)
    };
    Ok(FileInfo {
        path: path.to_owned(),
        size,
        oid,
        sha256,
    })
}

fn digest<D: Digest>(mut file: impl Read, mut digest: D) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; 1 << 20];
    loop {
        match file.read(&mut bytes)? {
            0 => return Ok(digest.finalize().to_vec()),
            n => digest.update(&bytes[..n]),
        }
    }
}

/// Files below `directory`. Hidden ones are no part of a repository, but for git's own.
fn list(directory: &Path, prefix: &str, found: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    let io = |source| Error::Io {
        path: directory.to_owned(),
        source,
    };
    for entry in std::fs::read_dir(directory).map_err(io)? {
        let entry = entry.map_err(io)?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let path = entry.path();
        if name.starts_with('.') && name != ".gitattributes" {
            continue;
        }
        // A linked file is common, as in the Hub's cache; a linked directory could be a loop.
        if !path.is_dir() {
            found.insert(format!("{prefix}{name}"), path);
        } else if !path.is_symlink() {
            list(&path, &format!("{prefix}{name}/"), found)?;
        }
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_git_and_of_git_lfs() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("data")).unwrap();
        std::fs::create_dir(dir.path().join(".git")).unwrap();
        std::fs::write(dir.path().join(".git/config"), "x").unwrap();
        std::fs::write(dir.path().join("README.md"), "hello\n").unwrap();
        std::fs::write(dir.path().join("data/a.parquet"), "hello\n").unwrap();
        let hashes = Hashes::default();
        let snapshot = || Snapshot::of(dir.path(), &hashes).unwrap().unwrap();
        let first = snapshot();
        let names: Vec<&String> = first.files.keys().collect();
        assert_eq!(names, ["README.md", "data/a.parquet"]);
        // `printf 'hello\n' | git hash-object --stdin`, and `sha256sum`.
        assert_eq!(
            first.files["README.md"].etag(),
            "ce013625030ba8dba906f756967f9e9ca394464a"
        );
        assert_eq!(
            first.files["data/a.parquet"].etag(),
            "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
        );
        assert_eq!(snapshot().commit, first.commit);
        std::fs::write(dir.path().join("README.md"), "hello!\n").unwrap();
        let changed = snapshot();
        assert_ne!(changed.commit, first.commit);
        assert_eq!(changed.commit.len(), 40);
        assert!(
            Snapshot::of(&dir.path().join("no"), &hashes)
                .unwrap()
                .is_none()
        );
    }
}
