//! Where the files of a dataset are: a directory in Hub layout, the Hub's cache, the Hub.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use hf_hub::{HFClient, HFClientSync, HFError};

use crate::{Error, Result};

/// Where datasets named by a Hub id are found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hub {
    /// A local mirror: `DIR/datasets/ORG/NAME/…`, files as in the repository. It holds one
    /// revision, so a manifest's `revision` is not looked at.
    Directory(PathBuf),
    /// The Hub's own cache, `DIR/datasets--ORG--NAME/snapshots/COMMIT/…`; never the network.
    Cache(PathBuf),
    /// The Hub itself; downloaded files stay in the cache.
    Online(Online),
}

/// How to reach the Hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Online {
    /// Base address, or the environment's `HF_ENDPOINT`, or the Hub's own.
    pub endpoint: Option<String>,
    /// Cache directory.
    pub cache: PathBuf,
}

impl Hub {
    /// What the environment says, as Python's client reads it: the cache is `HF_HUB_CACHE`,
    /// else `HF_HOME/hub`, else `~/.cache/huggingface/hub`; with `HF_HUB_OFFLINE` set to 1,
    /// `ON`, `YES` or `TRUE` only that cache is used. `HF_ENDPOINT` and `HF_TOKEN` (or the
    /// token file) are honoured when files are fetched.
    pub fn from_env() -> Self {
        Self::from_variables(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn from_variables(get: impl Fn(&str) -> Option<String>) -> Self {
        let home = || {
            let home = PathBuf::from(
                get("HOME")
                    .or_else(|| get("USERPROFILE"))
                    .unwrap_or_default(),
            );
            let cache = get("XDG_CACHE_HOME").map_or_else(|| home.join(".cache"), PathBuf::from);
            cache.join("huggingface")
        };
        let cache = get("HF_HUB_CACHE")
            .or_else(|| get("HUGGINGFACE_HUB_CACHE"))
            .map_or_else(
                || get("HF_HOME").map_or_else(home, PathBuf::from).join("hub"),
                PathBuf::from,
            );
        let offline = get("HF_HUB_OFFLINE").is_some_and(|value| {
            ["1", "ON", "YES", "TRUE"].contains(&value.to_uppercase().as_str())
        });
        if offline {
            Self::Cache(cache)
        } else {
            Self::Online(Online {
                endpoint: get("HF_ENDPOINT"),
                cache,
            })
        }
    }

    /// The files of dataset `id` at `revision` (a commit or branch; `None` is `main`).
    pub(crate) fn repository(&self, id: &str, revision: Option<&str>) -> Result<Repository> {
        check_id(id).map_err(|message| Error::hub(id, message))?;
        match self {
            Self::Directory(root) => {
                let directory = root.join("datasets").join(id);
                if !directory.is_dir() {
                    let message = format!(
                        "not found at {}; put its files there as they are on the Hub, or name \
                         another place to look",
                        directory.display()
                    );
                    return Err(Error::hub(id, message));
                }
                Repository::local(id, directory)
            }
            Self::Cache(cache) => {
                let Some(directory) = snapshot(cache, id, revision) else {
                    let message = format!(
                        "revision {} is not in the cache at {}; download it while online, or \
                         unset HF_HUB_OFFLINE",
                        revision.unwrap_or("main"),
                        cache.display()
                    );
                    return Err(Error::hub(id, message));
                };
                Repository::local(id, directory)
            }
            Self::Online(online) => Repository::online(id, revision, online),
        }
    }
}

/// `org/name`, or the old form `name`; nothing that could leave the directory.
pub(crate) fn check_id(id: &str) -> std::result::Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let word = |part: &str| !part.is_empty() && !part.starts_with('.') && part.chars().all(allowed);
    let parts: Vec<&str> = id.split('/').collect();
    if parts.len() <= 2 && parts.into_iter().all(word) {
        Ok(())
    } else {
        Err(format!("hub = {id:?} is not a Hub id; write \"org/name\""))
    }
}

fn snapshot(cache: &Path, id: &str, revision: Option<&str>) -> Option<PathBuf> {
    let revision = revision.unwrap_or("main");
    let repository = cache.join(format!("datasets--{}", id.replace('/', "--")));
    let commit = std::fs::read_to_string(repository.join("refs").join(revision))
        .map_or_else(|_| revision.to_owned(), |text| text.trim().to_owned());
    let directory = repository.join("snapshots").join(commit);
    directory.is_dir().then_some(directory)
}

/// The list of a dataset's files, any of which can be had as a local file.
pub(crate) struct Repository {
    id: String,
    /// Paths within the repository, with `/`, sorted.
    pub(crate) names: Vec<String>,
    place: Place,
}

enum Place {
    Local(PathBuf),
    Online {
        client: Box<HFClientSync>,
        commit: String,
        endpoint: String,
        cache: PathBuf,
    },
}

impl Repository {
    /// The files below a local directory.
    pub(crate) fn local(id: &str, directory: PathBuf) -> Result<Self> {
        let mut names = Vec::new();
        list(&directory, "", &mut names)?;
        names.sort();
        Ok(Self {
            id: id.to_owned(),
            names,
            place: Place::Local(directory),
        })
    }

    /// One file of a local directory.
    pub(crate) fn one_file(id: &str, directory: PathBuf, name: &str) -> Self {
        Self {
            id: id.to_owned(),
            names: vec![name.to_owned()],
            place: Place::Local(directory),
        }
    }

    fn online(id: &str, revision: Option<&str>, online: &Online) -> Result<Self> {
        match Self::listed(id, revision, online) {
            Ok(repository) => Ok(repository),
            Err(reason) => {
                let Some(directory) = snapshot(&online.cache, id, revision) else {
                    return Err(Error::hub(id, reason));
                };
                tracing::warn!("dataset {id}: {reason}; using the cached copy");
                Self::local(id, directory)
            }
        }
    }

    fn listed(
        id: &str,
        revision: Option<&str>,
        online: &Online,
    ) -> std::result::Result<Self, String> {
        let (owner, name) = id.split_once('/').unwrap_or(("", id));
        // Three tries take under a second when there is no network; the default five take long.
        let mut builder = HFClient::builder()
            .cache_dir(&online.cache)
            .retry_max_attempts(3);
        if let Some(endpoint) = &online.endpoint {
            builder = builder.endpoint(endpoint);
        }
        let endpoint = online.endpoint.as_deref().unwrap_or("the Hub").to_owned();
        let revision = revision.unwrap_or("main");
        guarded(&endpoint, || {
            let client = builder.build_sync()?;
            let info = client
                .dataset(owner, name)
                .info()
                .revision(revision)
                .send()?;
            Ok((client, info))
        })
        .map(|(client, info)| {
            let siblings = info.siblings.unwrap_or_default();
            let mut names: Vec<String> = siblings.into_iter().map(|s| s.rfilename).collect();
            names.sort();
            let commit = info.sha.unwrap_or_else(|| revision.to_owned());
            let place = Place::Online {
                client: Box::new(client),
                commit,
                endpoint,
                cache: online.cache.clone(),
            };
            Self {
                id: id.to_owned(),
                names,
                place,
            }
        })
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

    /// A file of the list, if it is on this machine.
    pub(crate) fn at_hand(&self, file: &str) -> Option<PathBuf> {
        let directory = match &self.place {
            Place::Local(directory) => directory.clone(),
            Place::Online { commit, cache, .. } => snapshot(cache, &self.id, Some(commit))?,
        };
        Some(directory.join(file)).filter(|path| path.is_file())
    }

    /// A file of the list as a local file, downloaded if need be.
    pub(crate) fn fetch(&self, file: &str) -> Result<PathBuf> {
        match &self.place {
            Place::Local(directory) => Ok(directory.join(file)),
            Place::Online {
                client,
                commit,
                endpoint,
                ..
            } => {
                let (owner, name) = self.id.split_once('/').unwrap_or(("", &self.id));
                guarded(endpoint, || {
                    let dataset = client.dataset(owner, name);
                    dataset
                        .download_file()
                        .filename(file)
                        .revision(commit)
                        .send()
                })
                .map_err(|reason| Error::hub(&self.id, format!("{file}: {reason}")))
            }
        }
    }
}

/// Runs a call into the Hub's client; whatever happens comes back as one line.
fn guarded<T>(
    endpoint: &str,
    call: impl FnOnce() -> std::result::Result<T, HFError>,
) -> std::result::Result<T, String> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(format!("{endpoint}: {error}; {}", advice(&error))),
        Err(_) => Err(format!("{endpoint}: the Hub's client failed; try again")),
    }
}

fn advice(error: &HFError) -> &'static str {
    match error {
        HFError::AuthRequired { .. } | HFError::Forbidden { .. } => {
            "accept its terms on the Hub if it has any, and set HF_TOKEN"
        }
        HFError::RepoNotFound { .. } => "check the id, or set HF_TOKEN if it is private",
        HFError::RevisionNotFound { .. } => "check `revision` in the manifest",
        HFError::RateLimited { .. } => "wait and try again, or set HF_TOKEN",
        _ => "check the network and HF_ENDPOINT, or use a local copy",
    }
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

    #[test]
    fn the_environment_is_read_as_python_reads_it() {
        let hub = |pairs: &[(&str, &str)]| {
            Hub::from_variables(|name| {
                let pair = pairs.iter().find(|pair| pair.0 == name);
                pair.map(|pair| pair.1.to_owned())
            })
        };
        assert_eq!(
            hub(&[("HF_HUB_CACHE", "/c"), ("HF_HUB_OFFLINE", "yes")]),
            Hub::Cache("/c".into())
        );
        let online = |cache: &str, endpoint: Option<&str>| {
            Hub::Online(Online {
                endpoint: endpoint.map(str::to_owned),
                cache: cache.into(),
            })
        };
        assert_eq!(
            hub(&[("HF_HOME", "/h"), ("HF_HUB_OFFLINE", "0")]),
            online("/h/hub", None)
        );
        assert_eq!(
            hub(&[("HOME", "/u")]),
            online("/u/.cache/huggingface/hub", None)
        );
        let mirror = [
            ("HOME", "/u"),
            ("XDG_CACHE_HOME", "/x"),
            ("HF_ENDPOINT", "http://m"),
        ];
        assert_eq!(hub(&mirror), online("/x/huggingface/hub", Some("http://m")));
    }

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
        #[cfg(unix)]
        std::os::unix::fs::symlink("../../../blobs/ff", snapshot.join("data/a.parquet")).unwrap();
        let hub = Hub::Cache(dir.path().to_owned());
        for revision in [None, Some("main"), Some("0123")] {
            let repository = hub.repository("org/name", revision).unwrap();
            assert_eq!(repository.matching("data/*.parquet"), ["data/a.parquet"]);
            assert_eq!(
                std::fs::read(repository.fetch("data/a.parquet").unwrap()).unwrap(),
                b"x"
            );
        }
        let error = hub
            .repository("org/name", Some("4567"))
            .err()
            .unwrap()
            .to_string();
        assert!(
            error.contains("4567") && error.contains("HF_HUB_OFFLINE"),
            "{error}"
        );
    }

    #[test]
    fn an_unreachable_hub_is_one_error_and_the_cache_is_used_if_there() {
        let dir = tempfile::tempdir().unwrap();
        // Nothing listens on port 9 of this machine.
        let online = Online {
            endpoint: Some("http://127.0.0.1:9".to_owned()),
            cache: dir.path().to_owned(),
        };
        let hub = Hub::Online(online);
        let error = hub.repository("org/name", None).err().unwrap().to_string();
        assert!(
            error.contains("http://127.0.0.1:9") && error.contains("HF_ENDPOINT"),
            "{error}"
        );
        let snapshot = dir.path().join("datasets--org--name/snapshots/main");
        std::fs::create_dir_all(&snapshot).unwrap();
        std::fs::write(snapshot.join("a.parquet"), "x").unwrap();
        assert_eq!(
            hub.repository("org/name", None).unwrap().names,
            ["a.parquet"]
        );
    }
}
