//! A run is a directory: what determines it, its records, predictions and checkpoints.
//! The same command continues it; another one is refused.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use paint_data::write_atomically;
use paint_eval::Predictions;
use paint_report::{Record, RecordLog};
use serde::{Deserialize, Serialize};

use crate::workspace;

/// An opened run directory.
pub(crate) struct RunDir {
    pub(crate) path: PathBuf,
    /// The contents of `run.toml`.
    pub(crate) toml: String,
    log: RecordLog,
    /// Held as long as this process is at it.
    _lock: fs::File,
}

impl RunDir {
    /// Opens or creates the directory of the run that `plan` determines.
    pub(crate) fn open(path: &Path, plan: &impl Serialize) -> Result<Self> {
        let toml = toml::to_string(plan).context("run.toml")?;
        fs::create_dir_all(path).with_context(|| format!("cannot create {}", path.display()))?;
        let lock = lock(path)?;
        let file = path.join("run.toml");
        match fs::read_to_string(&file) {
            Ok(found) if found == toml => {}
            Ok(found) => bail!(
                "{} holds another run ({}); choose another directory with --out",
                path.display(),
                first_difference(&found, &toml)
            ),
            Err(e) if e.kind() == ErrorKind::NotFound => {
                if path.join("records.jsonl").exists() {
                    bail!(
                        "{} has records but no run.toml; choose another directory",
                        path.display()
                    );
                }
                write_atomically(&file, toml.as_bytes())?;
            }
            Err(e) => return Err(e).with_context(|| format!("cannot read {}", file.display())),
        }
        let log = RecordLog::open(&path.join("records.jsonl"))?;
        Ok(Self {
            path: path.to_owned(),
            toml,
            log,
            _lock: lock,
        })
    }

    /// Appends a measured fact unless it is there already.
    pub(crate) fn record(&mut self, record: &Record) -> Result<()> {
        self.log.append(record)?;
        Ok(())
    }

    /// Predictions kept under `name`, or made by `make` and kept. `key` says all that decides
    /// them: what is kept under the name with another key is of something else, and what has this
    /// key may have been made by another run.
    pub(crate) fn predictions(
        &self,
        name: &str,
        key: &str,
        make: impl FnOnce() -> Result<Predictions>,
    ) -> Result<Predictions> {
        let path = self.path.join("predictions").join(format!("{name}.json"));
        match read_kept(&path)? {
            Some(kept) if kept.key == key => return Ok(kept.predictions),
            Some(_) => bail!(
                "{} is of other weights or images than this run's {name}; remove it, and please \
                 report it",
                path.display()
            ),
            None => {}
        }
        let kept = Kept {
            predictions: shared_predictions(key, make)?,
            key: key.to_owned(),
        };
        write_atomically(&path, &serde_json::to_vec(&kept)?)?;
        Ok(kept.predictions)
    }
}

/// Two processes would write over each other's files.
fn lock(path: &Path) -> Result<fs::File> {
    let name = path.join("lock");
    let mut options = fs::OpenOptions::new();
    let file = options.create(true).append(true).open(&name);
    let file = file.with_context(|| format!("cannot create {}", name.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => bail!(
            "another process is at the run in {}; wait for it, or choose another directory with \
             --out",
            path.display()
        ),
        // Some file systems cannot lock; one process there is as before.
        Err(fs::TryLockError::Error(_)) => Ok(file),
    }
}

/// Predictions that any run may have made; `key` says all that decides them.
pub(crate) fn shared_predictions(
    key: &str,
    make: impl FnOnce() -> Result<Predictions>,
) -> Result<Predictions> {
    let folder = workspace::runs().join("answers").join(&key[..2]);
    let path = folder.join(format!("{key}.json"));
    if let Some(kept) = read_kept(&path)? {
        return Ok(kept.predictions);
    }
    let kept = Kept {
        predictions: make()?,
        key: key.to_owned(),
    };
    write_atomically(&path, &serde_json::to_vec(&kept)?)?;
    Ok(kept.predictions)
}

/// Predictions as they are kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// Says all that decides them.
    key: String,
    #[serde(flatten)]
    predictions: Predictions,
}

fn read_kept(path: &Path) -> Result<Option<Kept>> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .with_context(|| format!("{}: remove it to measure again", path.display())),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn first_difference(found: &str, wanted: &str) -> String {
    let pair = found
        .lines()
        .zip(wanted.lines())
        .find(|(found, wanted)| found != wanted);
    pair.map_or("of another length".to_owned(), |(found, wanted)| {
        format!("`{found}` there, `{wanted}` here")
    })
}
