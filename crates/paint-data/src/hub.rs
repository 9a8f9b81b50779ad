//! Where models and datasets named by a Hub id are: a directory in Hub layout, the Hub's cache,
//! the Hub.

mod cache;
mod client;
mod download;
mod environment;
mod failure;
mod partial;
mod repository;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use self::failure::Asked;
pub use self::repository::Repository;
use crate::{Error, Result};

/// Where repositories named by a Hub id are found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Hub {
    /// A local mirror: `DIR/{models,datasets}/ORG/NAME/…`, files as in the repository. It holds
    /// one revision, so that a manifest's `revision` is not looked at.
    Directory(PathBuf),
    /// The Hub's own cache, `DIR/datasets--ORG--NAME/snapshots/COMMIT/…`; never the network.
    Cache(PathBuf),
    /// The Hub itself; downloaded files stay in the cache.
    Online(Online),
}

/// The two kinds of repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepositoryKind {
    /// Weights and what belongs to them.
    Model,
    /// Images and labels.
    Dataset,
}

/// How to reach the Hub.
#[derive(Clone)]
#[non_exhaustive]
pub struct Online {
    /// Base address, such as `https://huggingface.co`.
    pub endpoint: String,
    /// Cache directory, shared with Python's `huggingface_hub`.
    pub cache: PathBuf,
    /// Sent to the endpoint, and to no other host.
    pub token: Option<String>,
    /// How long nothing may come before a connection is given up.
    pub timeout: Duration,
    /// How often a request is tried, if each time fails in a way that may pass.
    pub tries: u32,
    /// The pause before the second try; it doubles. A server's `Retry-After` comes first.
    pub first_pause: Duration,
    /// Bytes of a part, which one connection receives.
    pub part_size: u64,
    /// Parts of a file received at the same time.
    pub connections: usize,
    /// Told of what comes in.
    pub progress: Option<Progress>,
    /// What was listed, by endpoint, cache, kind, id and revision: all who hold a clone see one commit of a branch.
    listed: Arc<Mutex<BTreeMap<String, Listed>>>,
}

/// What a revision is, and whether its files come from the cache alone.
#[derive(Clone)]
struct Listed {
    commit: String,
    names: Vec<String>,
    is_away: bool,
}

/// Told of every piece that comes in, on the thread that receives it.
pub type Progress = Arc<dyn Fn(&Transfer<'_>) + Send + Sync>;

/// How far a file is.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Transfer<'a> {
    /// Of its repository.
    pub kind: RepositoryKind,
    /// Of its repository, `org/name`.
    pub id: &'a str,
    /// Path within the repository.
    pub file: &'a str,
    /// Bytes at hand, those of earlier processes included.
    pub received: u64,
    /// Bytes in all.
    pub size: u64,
}

impl Hub {
    /// The files of a repository at `revision`: a commit, branch or tag, `main` if none.
    ///
    /// # Errors
    /// If it is not found there, or the Hub does not answer and the cache has no copy.
    pub fn open(
        &self,
        kind: RepositoryKind,
        id: &str,
        revision: Option<&str>,
    ) -> Result<Repository> {
        check_id(id).map_err(|message| Error::hub(kind, id, message))?;
        let revision = revision.unwrap_or("main");
        if !cache::is_inside(revision) {
            let message = format!("revision {revision:?} is no commit, branch or tag");
            return Err(Error::hub(kind, id, message));
        }
        match self {
            Self::Directory(root) => local(root, kind, id),
            Self::Cache(cache) => Repository::cached(kind, id, revision, cache)?.ok_or_else(|| {
                let message = format!(
                    "revision {revision} is not in the cache at {}; download it while online, \
                     or unset HF_HUB_OFFLINE",
                    cache.display()
                );
                Error::hub(kind, id, message)
            }),
            Self::Online(online) => Repository::online(kind, id, revision, online),
        }
    }

    /// The same, telling `progress` of downloads.
    pub fn with_progress(mut self, progress: Progress) -> Self {
        if let Self::Online(online) = &mut self {
            online.progress = Some(progress);
        }
        self
    }
}

fn local(root: &Path, kind: RepositoryKind, id: &str) -> Result<Repository> {
    let directory = root.join(kind.plural()).join(id);
    if !directory.is_dir() {
        let message = format!(
            "not found at {}; put its files there as they are on the Hub, or name another place \
             to look",
            directory.display()
        );
        return Err(Error::hub(kind, id, message));
    }
    Repository::local(kind, id, directory)
}

impl Online {
    /// An endpoint and a cache, without a token; the rest as Python has it.
    pub fn new(endpoint: impl Into<String>, cache: impl Into<PathBuf>) -> Self {
        let endpoint = endpoint.into();
        Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            cache: cache.into(),
            token: None,
            timeout: Duration::from_secs(10),
            tries: 5,
            first_pause: Duration::from_millis(500),
            part_size: 16 << 20,
            connections: 8,
            progress: None,
            listed: Arc::default(),
        }
    }

    fn asked<'a>(
        &'a self,
        kind: RepositoryKind,
        id: &'a str,
        revision: &'a str,
        file: Option<&'a str>,
    ) -> Asked<'a> {
        Asked {
            kind,
            id,
            endpoint: &self.endpoint,
            revision,
            file,
            has_token: self.token.is_some(),
            timeout: self.timeout,
        }
    }
}

impl fmt::Debug for Online {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Online")
            .field("endpoint", &self.endpoint)
            .field("cache", &self.cache)
            .field("has_token", &self.token.is_some())
            .finish_non_exhaustive()
    }
}

impl RepositoryKind {
    fn plural(self) -> &'static str {
        match self {
            Self::Model => "models",
            Self::Dataset => "datasets",
        }
    }
}

impl fmt::Display for RepositoryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Model => "model",
            Self::Dataset => "dataset",
        })
    }
}

/// `org/name`, or the old form `name`; nothing that could leave the directory.
pub(crate) fn check_id(id: &str) -> std::result::Result<(), String> {
    let parts: Vec<&str> = id.split('/').collect();
    if parts.len() <= 2 && parts.into_iter().all(cache::is_word) {
        Ok(())
    } else {
        Err(format!("hub = {id:?} is not a Hub id; write \"org/name\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_cannot_leave_the_directory() {
        for good in ["mnist", "uoft-cs/cifar10", "a/b.c_d"] {
            assert_eq!(check_id(good), Ok(()));
        }
        for bad in [
            "", "/etc", "../x", "a/../b", "a/b/c", "a/", "a/ b", "a\\b", "a/.git",
        ] {
            assert!(check_id(bad).is_err(), "{bad}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_cached_snapshot_is_found_by_branch_and_by_commit() {
        let dir = tempfile::tempdir().unwrap();
        let repository = dir.path().join("datasets--org--name");
        let snapshot = repository.join("snapshots/0123");
        std::fs::create_dir_all(snapshot.join("data")).unwrap();
        std::fs::create_dir_all(repository.join("refs")).unwrap();
        std::fs::create_dir_all(repository.join("blobs")).unwrap();
        std::fs::write(repository.join("refs/main"), "0123\n").unwrap();
        std::fs::write(repository.join("blobs/ff"), "x").unwrap();
        std::os::unix::fs::symlink("../../../blobs/ff", snapshot.join("data/a.parquet")).unwrap();
        let hub = Hub::Cache(dir.path().to_owned());
        let open = |revision| hub.open(RepositoryKind::Dataset, "org/name", revision);
        for revision in [None, Some("main"), Some("0123")] {
            let repository = open(revision).unwrap();
            assert_eq!(repository.commit(), Some("0123"));
            assert_eq!(repository.matching("data/*.parquet"), ["data/a.parquet"]);
            let path = repository.fetch("data/a.parquet").unwrap();
            assert_eq!(std::fs::read(path).unwrap(), b"x");
            let error = repository.fetch("data/b.parquet").unwrap_err().to_string();
            assert!(
                error.contains("dataset org/name: has no file data/b"),
                "{error}"
            );
        }
        let error = open(Some("4567")).unwrap_err().to_string();
        assert!(
            error.contains("4567") && error.contains("HF_HUB_OFFLINE"),
            "{error}"
        );
        assert!(open(Some("../../x")).is_err());
    }
}
