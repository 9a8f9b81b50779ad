//! The Hub, played by a mirror of this machine. A binary of its own, because it starts itself as
//! the other process.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cache;
mod failures;
mod processes;
mod room;

use std::path::{Path, PathBuf};
use std::time::Duration;

use paint_data::{Error, Hub, Online, Repository, RepositoryKind, Result, Rng};
use paint_mirror::{Failure, Fault, Mirror, Served};
use tempfile::TempDir;

/// The large file of the dataset `org/name`, in several parts.
const LARGE: &str = "data/large.parquet";
const LARGE_SIZE: u64 = 300_000;
const PART: u64 = 1 << 16;
/// The small one, which has git's hash.
const SMALL: &str = "README.md";

/// A mirror of one dataset and one model, and a cache that is empty.
struct World {
    dir: TempDir,
    mirror: Mirror,
}

fn large_bytes() -> Vec<u8> {
    let mut rng = Rng::new(7);
    (0..LARGE_SIZE).map(|_| rng.below(256) as u8).collect()
}

/// Writes a file of a repository below `root`.
fn publish(root: &Path, name: &str, bytes: &[u8]) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn start(root: &Path) -> Mirror {
    Mirror::start(root, ([127, 0, 0, 1], 0).into()).unwrap()
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        publish(&root.join("datasets/org/name"), LARGE, &large_bytes());
        publish(&root.join("datasets/org/name"), SMALL, b"hello\n");
        publish(&root.join("models/org/net"), "config.json", b"{}");
        publish(&root.join("models/org/net"), "a b/é.bin", b"weights");
        let mirror = start(&root);
        Self { dir, mirror }
    }

    fn cache(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    fn online(&self) -> Online {
        online(&self.mirror.endpoint(), &self.cache())
    }

    fn hub(&self) -> Hub {
        Hub::Online(self.online())
    }

    /// The dataset `org/name` at `main`.
    fn dataset(&self) -> Result<Repository> {
        self.hub().open(RepositoryKind::Dataset, "org/name", None)
    }

    /// Makes the next `times` requests with `on` in `METHOD PATH` fail.
    fn fail(&self, on: &str, times: usize, failure: Failure) {
        self.mirror.inject(Fault {
            on: on.to_owned(),
            times,
            failure,
        });
    }

    /// The bodies of files that were sent.
    fn gets(&self) -> Vec<Served> {
        let mut served = self.mirror.served();
        served.retain(|request| request.method == "GET" && request.path.contains("/resolve/"));
        served
    }

    /// Bytes of files that were sent.
    fn bytes_sent(&self) -> u64 {
        self.gets().iter().map(|request| request.bytes).sum()
    }
}

/// Small parts and short pauses.
fn online(endpoint: &str, cache: &Path) -> Online {
    let mut online = Online::new(endpoint, cache);
    online.part_size = PART;
    online.connections = 2;
    online.first_pause = Duration::from_millis(1);
    online.timeout = Duration::from_secs(1);
    online
}

/// A status without more.
fn status(status: u16) -> Failure {
    Failure::Status {
        status,
        code: None,
        retry_after: None,
    }
}

/// The refusal has these words.
fn check_error<T>(result: Result<T>, words: &[&str]) -> Error {
    let error = result.err().expect("this must be refused");
    let message = error.to_string();
    for word in words {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
    assert!(!message.ends_with('.'), "{message}");
    error
}
