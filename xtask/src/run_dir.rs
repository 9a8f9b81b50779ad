//! A run is a directory: what determines it, its records, predictions and checkpoints.
//! The same command continues it; another one is refused.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use paint_eval::Predictions;
use paint_report::{Record, RecordLog};
use serde::Serialize;

use crate::workspace;

/// An opened run directory.
pub(crate) struct RunDir {
    pub(crate) path: PathBuf,
    /// The contents of `run.toml`.
    pub(crate) toml: String,
    log: RecordLog,
}

impl RunDir {
    /// Opens or creates the directory of the run that `plan` determines.
    pub(crate) fn open(path: &Path, plan: &impl Serialize) -> Result<Self> {
        let toml = toml::to_string(plan).context("run.toml")?;
        fs::create_dir_all(path).with_context(|| format!("cannot create {}", path.display()))?;
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
        })
    }

    /// Appends a measured fact unless it is there already.
    pub(crate) fn record(&mut self, record: &Record) -> Result<()> {
        self.log.append(record)?;
        Ok(())
    }

    /// Predictions kept under `name`, or made by `make` and kept. Those with a `key`, which says
    /// all that decides them, may have been made by another run.
    pub(crate) fn predictions(
        &self,
        name: &str,
        key: Option<&str>,
        make: impl FnOnce() -> Result<Predictions>,
    ) -> Result<Predictions> {
        let path = self.path.join("predictions").join(format!("{name}.json"));
        if let Some(found) = read_predictions(&path)? {
            return Ok(found);
        }
        let predictions = match key {
            Some(key) => shared_predictions(key, make)?,
            None => make()?,
        };
        write_atomically(&path, &serde_json::to_vec(&predictions)?)?;
        Ok(predictions)
    }
}

/// Predictions that any run may have made; `key` says all that decides them.
pub(crate) fn shared_predictions(
    key: &str,
    make: impl FnOnce() -> Result<Predictions>,
) -> Result<Predictions> {
    let folder = workspace::runs().join("answers").join(&key[..2]);
    let path = folder.join(format!("{key}.json"));
    if let Some(found) = read_predictions(&path)? {
        return Ok(found);
    }
    let predictions = make()?;
    // Several processes may measure the same.
    let part = path.with_extension(format!("{}.part", std::process::id()));
    write_through(&part, &path, &serde_json::to_vec(&predictions)?)?;
    Ok(predictions)
}

fn read_predictions(path: &Path) -> Result<Option<Predictions>> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .with_context(|| format!("{}: remove it to measure again", path.display())),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Writes a file as a whole or not at all, with its directory.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    // One name for all attempts: what a killed process leaves, the next one overwrites.
    write_through(&path.with_extension("part"), path, bytes)
}

fn write_through(part: &Path, path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let directory = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(directory)?;
        let mut file = fs::File::create(part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(part, path)?;
        // Makes the rename itself durable; Windows cannot open a directory to do so.
        match cfg!(unix) {
            true => fs::File::open(directory)?.sync_all(),
            false => Ok(()),
        }
    };
    write().with_context(|| {
        // The first error is the one to tell.
        let _ = fs::remove_file(part);
        format!("cannot write {}", path.display())
    })
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
