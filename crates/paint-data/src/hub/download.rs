//! One file from the Hub into the cache: in parts, several at a time, continued after a crash,
//! compared with its hash.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use futures_util::future::try_join_all;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::cache::RepositoryCache;
use super::client::{Remote, Result, Session};
use super::failure::Failure;
use super::partial::Partial;
use super::{RepositoryKind, Transfer};

/// A file that is wanted.
pub(super) struct Wanted<'a> {
    pub(super) kind: RepositoryKind,
    pub(super) id: &'a str,
    pub(super) commit: &'a str,
    pub(super) name: &'a str,
}

impl Session<'_> {
    /// The file in the cache, fetched unless it is there already.
    pub(super) async fn fetch(
        &self,
        cache: &RepositoryCache,
        wanted: &Wanted<'_>,
    ) -> Result<PathBuf> {
        let Wanted {
            kind,
            id,
            commit,
            name,
        } = wanted;
        let remote = self
            .patiently(async || self.describe(*kind, id, commit, name).await)
            .await?;
        let blob = cache.blob(&remote.etag);
        let lock = cache.lock(&remote.etag).await;
        let _lock = lock.map_err(Failure::disk(&blob))?;
        if blob.metadata().map(|blob| blob.len()).ok() != Some(remote.size) {
            self.download(wanted, &remote, &blob).await?;
        }
        let linked = cache.link(commit, name, &remote.etag);
        linked.map_err(Failure::disk(&blob))
    }

    async fn download(&self, wanted: &Wanted<'_>, remote: &Remote, blob: &Path) -> Result<()> {
        let directory = blob.parent().unwrap_or(Path::new(""));
        std::fs::create_dir_all(directory).map_err(Failure::disk(directory))?;
        let mut part_size = self.online.part_size.max(1);
        let mut starts = 0;
        loop {
            starts += 1;
            // Not `ETAG.incomplete`: older clients take that file's length for what it has.
            let path = directory.join(format!("{}.paint-partial", remote.etag));
            let partial = Partial::open(&path, remote.size, part_size);
            let partial = partial.map_err(Failure::disk(&path))?;
            check_room(remote.size - partial.n_received(), directory)?;
            let job = Job {
                session: self,
                wanted,
                remote,
                partial: &partial,
                path: &path,
                next: Cell::new(0),
            };
            match job.receive_all().await {
                // All of it in one part, then, and from the beginning each time.
                Err(Failure::NoRanges) if starts < self.online.tries => {
                    part_size = remote.size;
                    partial.discard().map_err(Failure::disk(&path))?;
                    continue;
                }
                received => received?,
            }
            let found = digest(&partial, &remote.etag, remote.size);
            let found = found.map_err(Failure::disk(&path))?;
            if found.as_ref().is_none_or(|found| *found == remote.etag) {
                return partial.publish(blob).map_err(Failure::disk(blob));
            }
            let resumed = partial.resumed > 0;
            partial.discard().map_err(Failure::disk(&path))?;
            // What an earlier process left may have lost bytes when the machine went down.
            if !resumed {
                return Err(Failure::Damaged {
                    told: remote.etag.clone(),
                    found: found.unwrap_or_default(),
                });
            }
            tracing::warn!(
                "{}: what was left of it is damaged; starting anew",
                wanted.name
            );
        }
    }
}

/// The parts of one file, on their way.
struct Job<'a> {
    session: &'a Session<'a>,
    wanted: &'a Wanted<'a>,
    remote: &'a Remote,
    partial: &'a Partial,
    path: &'a Path,
    /// The first part that no connection has taken.
    next: Cell<usize>,
}

impl Job<'_> {
    async fn receive_all(&self) -> Result<()> {
        self.tell();
        let n = self
            .session
            .online
            .connections
            .clamp(1, self.partial.n_parts().max(1));
        try_join_all((0..n).map(|_| self.receive_parts())).await?;
        Ok(())
    }

    async fn receive_parts(&self) -> Result<()> {
        while self.next.get() < self.partial.n_parts() {
            let part = self.next.replace(self.next.get() + 1);
            self.receive_part(part).await?;
        }
        Ok(())
    }

    /// One part, with as many connections as it takes, as long as each brings something.
    async fn receive_part(&self, part: usize) -> Result<()> {
        let mut tries = 0;
        let mut moved = None;
        loop {
            let missing = self.partial.missing(part);
            if missing.is_empty() {
                return Ok(());
            }
            let remote = moved.as_ref().unwrap_or(self.remote);
            let Err(failure) = self.receive(remote, part).await else {
                continue;
            };
            if self.partial.missing(part).start > missing.start {
                tries = 0;
            }
            // The address was signed for some hours only.
            let expired = matches!(
                failure,
                Failure::Status {
                    status: 401 | 403 | 404 | 410,
                    ..
                }
            );
            let is_new = moved.is_none();
            if !(failure.may_pass() || expired && is_new) {
                return Err(failure);
            }
            tries += 1;
            self.session.pause(failure, tries).await?;
            let Wanted {
                kind,
                id,
                commit,
                name,
            } = self.wanted;
            match self.session.describe(*kind, id, commit, name).await {
                Ok(remote) => moved = Some(remote),
                Err(failure) if failure.may_pass() => {}
                Err(failure) => return Err(failure),
            }
        }
    }

    /// What one connection brings.
    async fn receive(&self, remote: &Remote, part: usize) -> Result<()> {
        let may_be_page = self.wanted.name.ends_with(".html");
        let missing = self.partial.missing(part);
        let mut response = self.session.bytes(remote, missing, may_be_page).await?;
        while let Some(bytes) = response.chunk().await? {
            let missing = self.partial.missing(part);
            if bytes.len() as u64 > missing.end - missing.start {
                return Err(Failure::NotTheHub(
                    "it sent more than the file has".to_owned(),
                ));
            }
            let written = self.partial.write(part, &bytes);
            written.map_err(|error| self.disk(error))?;
            self.tell();
        }
        match self.partial.missing(part).is_empty() {
            true => Ok(()),
            false => Err(Failure::Cut("the answer ended too early".to_owned())),
        }
    }

    fn disk(&self, error: std::io::Error) -> Failure {
        if error.kind() != std::io::ErrorKind::StorageFull {
            return Failure::disk(self.path)(error);
        }
        Failure::NoRoom {
            needed: self.remote.size - self.partial.n_received(),
            directory: self.path.parent().unwrap_or(self.path).to_owned(),
        }
    }

    fn tell(&self) {
        if let Some(progress) = &self.session.online.progress {
            progress(&Transfer {
                kind: self.wanted.kind,
                id: self.wanted.id,
                file: self.wanted.name,
                received: self.partial.n_received(),
                size: self.remote.size,
            });
        }
    }
}

/// The content's hash of the kind that `etag` is; nothing where it is of no known kind.
fn digest(partial: &Partial, etag: &str, size: u64) -> std::io::Result<Option<String>> {
    let is_hex = etag.bytes().all(|byte| byte.is_ascii_hexdigit());
    Ok(match etag.len() {
        64 if is_hex => {
            let mut sha256 = Sha256::new();
            partial.read(|bytes| sha256.update(bytes))?;
            Some(hex(&sha256.finalize()))
        }
        // What `git hash-object` says.
        40 if is_hex => {
            let mut sha1 = Sha1::new_with_prefix(format!("blob {size}\0"));
            partial.read(|bytes| sha1.update(bytes))?;
            Some(hex(&sha1.finalize()))
        }
        _ => None,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A download should not fail at its end for want of room that was never there.
#[cfg(unix)]
fn check_room(needed: u64, directory: &Path) -> Result<()> {
    let Ok(disk) = rustix::fs::statvfs(directory) else {
        return Ok(());
    };
    if disk.f_bavail.saturating_mul(disk.f_frsize) < needed {
        return Err(Failure::NoRoom {
            needed,
            directory: directory.to_owned(),
        });
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_room(_: u64, _: &Path) -> Result<()> {
    Ok(())
}
