//! The files of one repository, any of which can be had as a local file.

use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use super::cache::RepositoryCache;
use super::client::converse;
use super::download::Wanted;
use super::failure::Failure;
use super::{Listed, Online, RepositoryKind};
use crate::{Error, Result};

/// One revision of a model or dataset.
#[derive(Debug)]
pub struct Repository {
    kind: RepositoryKind,
    id: String,
    commit: Option<String>,
    names: Vec<String>,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Directory(PathBuf),
    /// What is in the cache, and nothing else.
    Cache(RepositoryCache),
    /// The cache, and what it lacks from the Hub.
    Online(RepositoryCache, Online),
}

impl Repository {
    /// `org/name`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The commit that these files are; none where they lie in a plain directory.
    pub fn commit(&self) -> Option<&str> {
        self.commit.as_deref()
    }

    /// Paths within the repository, with `/`, sorted.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The directory in which the files are, once fetched.
    pub fn directory(&self) -> PathBuf {
        match &self.place {
            Place::Directory(directory) => directory.clone(),
            Place::Cache(cache) | Place::Online(cache, _) => {
                cache.snapshot(self.commit.as_deref().unwrap_or_default())
            }
        }
    }

    /// A file as a local file, downloaded unless it is at hand.
    ///
    /// # Errors
    /// If the repository has no such file, or it cannot be fetched; the message says what to do.
    pub fn fetch(&self, name: &str) -> Result<PathBuf> {
        if let Some(path) = self.at_hand(name) {
            return Ok(path);
        }
        if self
            .names
            .binary_search_by(|other| other.as_str().cmp(name))
            .is_err()
        {
            return Err(self.fail(format!("has no file {name}; check its name")));
        }
        match &self.place {
            Place::Directory(directory) => {
                let path = directory.join(name);
                Err(self.fail(format!(
                    "cannot read {}: there is no such file",
                    path.display()
                )))
            }
            Place::Cache(_) => Err(self.fail(format!(
                "{name} is not in the cache, at {}; download it while online, or unset \
                 HF_HUB_OFFLINE",
                self.directory().display()
            ))),
            Place::Online(cache, online) => {
                let commit = self.commit.as_deref().unwrap_or_default();
                let (kind, id) = (self.kind, self.id.as_str());
                let wanted = Wanted {
                    kind,
                    id,
                    commit,
                    name,
                };
                converse(online, async |session| session.fetch(cache, &wanted).await).map_err(
                    |failure| {
                        let asked = online.asked(kind, id, commit, Some(name));
                        self.fail(failure.sentence(&asked))
                    },
                )
            }
        }
    }

    /// A file, if it is on this machine.
    pub(crate) fn at_hand(&self, name: &str) -> Option<PathBuf> {
        Some(self.directory().join(name)).filter(|path| path.is_file())
    }

    /// The names that match a pattern of `*` and `?`, which do not match `/`.
    pub(crate) fn matching(&self, pattern: &str) -> Vec<String> {
        let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
        self.names
            .iter()
            .filter(|name| matches(pattern, name))
            .cloned()
            .collect()
    }

    fn fail(&self, message: String) -> Error {
        Error::hub(self.kind, &self.id, message)
    }

    /// The files below a local directory.
    pub(crate) fn local(kind: RepositoryKind, id: &str, directory: PathBuf) -> Result<Self> {
        let mut names = Vec::new();
        list(&directory, "", &mut names)?;
        names.sort();
        Ok(Self {
            kind,
            id: id.to_owned(),
            commit: None,
            names,
            place: Place::Directory(directory),
        })
    }

    /// One file of a local directory.
    pub(crate) fn one_file(id: &str, directory: PathBuf, name: &str) -> Self {
        Self {
            kind: RepositoryKind::Dataset,
            id: id.to_owned(),
            commit: None,
            names: vec![name.to_owned()],
            place: Place::Directory(directory),
        }
    }

    /// What the cache has of a revision.
    pub(super) fn cached(
        kind: RepositoryKind,
        id: &str,
        revision: &str,
        cache: &Path,
    ) -> Result<Option<Self>> {
        let cache = RepositoryCache::new(cache, kind, id);
        let commit = cache.commit_of(revision);
        let directory = cache.snapshot(&commit);
        if !directory.is_dir() {
            return Ok(None);
        }
        let names = match cache.names(&commit) {
            Some(names) => names,
            None => Self::local(kind, id, directory)?.names,
        };
        Ok(Some(Self {
            kind,
            id: id.to_owned(),
            commit: Some(commit),
            names,
            place: Place::Cache(cache),
        }))
    }

    /// A revision on the Hub. A commit that was listed before cannot change and is not asked for
    /// again; where the Hub is out of reach, what the cache has must do.
    pub(super) fn online(
        kind: RepositoryKind,
        id: &str,
        revision: &str,
        online: &Online,
    ) -> Result<Self> {
        let cache = RepositoryCache::new(&online.cache, kind, id);
        if is_commit(revision)
            && let Some(names) = cache.names(revision)
        {
            let known = Listed {
                commit: revision.to_owned(),
                names,
                is_away: false,
            };
            return Ok(Self::of(kind, id, known, cache, online));
        }
        let cache_path = online.cache.display();
        let key = format!("{} {cache_path} {kind} {id} {revision}", online.endpoint);
        // Held while the Hub is asked, so that it is asked once, and its reasons told once.
        let mut listed = online.listed.lock().unwrap_or_else(PoisonError::into_inner);
        let found = match listed.get(&key) {
            Some(found) => found.clone(),
            None => {
                let found = Self::ask(kind, id, revision, online, &cache)?;
                // What is out of reach now may be there the next time.
                if !found.is_away {
                    listed.insert(key, found.clone());
                }
                found
            }
        };
        Ok(Self::of(kind, id, found, cache, online))
    }

    /// What the Hub says a revision is, else what the cache knows of it.
    fn ask(
        kind: RepositoryKind,
        id: &str,
        revision: &str,
        online: &Online,
        cache: &RepositoryCache,
    ) -> Result<Listed> {
        let listing = converse(online, async |session| {
            session.list(kind, id, revision).await
        });
        let listing = match listing {
            Ok(listing) => listing,
            Err(failure) => return Self::instead(&failure, kind, id, revision, online),
        };
        if is_commit(revision) && revision != listing.commit {
            tracing::warn!(
                "{kind} {id}: {} has not commit {revision}; it serves {}",
                online.endpoint,
                listing.commit
            );
        }
        if let Err(error) = cache.remember(revision, &listing.commit, &listing.names) {
            tracing::warn!("{kind} {id}: the cache cannot be written: {error}");
        }
        Ok(Listed {
            commit: listing.commit,
            names: listing.names,
            is_away: false,
        })
    }

    fn instead(
        failure: &Failure,
        kind: RepositoryKind,
        id: &str,
        revision: &str,
        online: &Online,
    ) -> Result<Listed> {
        let reason = failure.sentence(&online.asked(kind, id, revision, None));
        let cached = match failure.is_absence() {
            true => Self::cached(kind, id, revision, &online.cache)?,
            false => None,
        };
        let Some(cached) = cached else {
            return Err(Error::hub(kind, id, reason));
        };
        tracing::warn!("{kind} {id}: {reason}; using the cached copy");
        Ok(Listed {
            commit: cached.commit.unwrap_or_default(),
            names: cached.names,
            is_away: true,
        })
    }

    fn of(
        kind: RepositoryKind,
        id: &str,
        listed: Listed,
        cache: RepositoryCache,
        online: &Online,
    ) -> Self {
        Self {
            kind,
            id: id.to_owned(),
            commit: Some(listed.commit),
            names: listed.names,
            place: match listed.is_away {
                true => Place::Cache(cache),
                false => Place::Online(cache, online.clone()),
            },
        }
    }
}

fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn list(directory: &Path, prefix: &str, names: &mut Vec<String>) -> Result<()> {
    let fail = Error::io("list", directory);
    let entries: std::io::Result<Vec<_>> = match std::fs::read_dir(directory) {
        Ok(entries) => entries.collect(),
        Err(error) => return Err(fail(error)),
    };
    for entry in entries.map_err(fail)? {
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        // Hidden entries hold no data; `.git` of a cloned dataset is large.
        if name.starts_with('.') {
            continue;
        }
        let path = entry.path();
        // `is_dir` follows links, as the cache's snapshots need; a linked directory could
        // be a loop, and the Hub never makes one.
        if path.is_dir() {
            if !path.is_symlink() {
                list(&path, &format!("{prefix}{name}/"), names)?;
            }
        } else {
            names.push(format!("{prefix}{name}"));
        }
    }
    Ok(())
}

fn matches(pattern: &str, name: &str) -> bool {
    // The classic two-pointer match: on a mismatch, the last `*` takes one more character.
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == name[n] || (c == b'?' && name[n] != b'/') => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((star_p, star_n)) if name[star_n] != b'/' => {
                    star = Some((star_p, star_n + 1));
                    p = star_p + 1;
                    n = star_n + 1;
                }
                _ => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let check = |pattern, name, expected| {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        };
        check(
            "data/train-*.parquet",
            "data/train-00000-of-00001.parquet",
            true,
        );
        check("data/train-*.parquet", "data/x/train-0.parquet", false);
        check("data/*", "data/x/train-0.parquet", false);
        check("*/train-?.parquet", "data/train-0.parquet", true);
        check("train", "train", true);
        check("train", "train2", false);
        check("*", "", true);
        check("a*b*c", "a-b-b-c", true);
        check("a*b*c", "a-b-b-d", false);
        check("*/*-0*", "plain_text/train-00.parquet", true);
        check("?", "/", false);
    }
}
