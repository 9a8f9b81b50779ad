//! The file of records: appended to, synced, continued after a kill.

use crate::{Error, Key, Record, Result};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// An append-only `records.jsonl` from which a run resumes.
///
/// A line is on disk when [`RecordLog::append`] returns. A process killed in
/// the middle of a line leaves a torn one, which the next opening cuts off.
/// While a log is open, no other process can open it.
#[derive(Debug)]
pub struct RecordLog {
    path: PathBuf,
    file: File,
    length: u64,
    records: Vec<Record>,
    index: BTreeMap<Key, usize>,
    cut: Option<String>,
}

impl RecordLog {
    /// Opens a log, creating it where there is none, and reads what it holds.
    ///
    /// # Errors
    /// Fails where the file cannot be read and written, where another process
    /// has it open, and where a complete line is not a record or contradicts
    /// an earlier one.
    pub fn open(path: &Path) -> Result<Self> {
        let io = |action| {
            move |source| Error::Io {
                action,
                path: path.to_owned(),
                source,
            }
        };
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .map_err(io("open"))?;
        // File systems without locks are used unlocked rather than not at all.
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(Error::Locked {
                path: path.to_owned(),
            });
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io("read"))?;
        let (complete, torn) = split_at_last_line(&bytes);
        let (records, index) = parse(path, complete)?;
        if !torn.is_empty() {
            file.set_len(complete.len() as u64)
                .map_err(io("cut the torn last line of"))?;
            file.sync_all().map_err(io("write"))?;
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            length: complete.len() as u64,
            records,
            index,
            cut: cut_note(path, torn),
        })
    }

    /// Writes one record and waits until it is on disk.
    ///
    /// A fact that is on record already is not written again: the answer is
    /// `false`, and the first wall time stays.
    ///
    /// # Errors
    /// Refuses numbers outside the unit of their kind and results that
    /// contradict the record of the same key. On a failed write (a full disk)
    /// the half-written line is taken back.
    pub fn append(&mut self, record: &Record) -> Result<bool> {
        record.check()?;
        let mut line = to_line(record, &self.path)?;
        // What is kept is what a later reader gets, to the last bit.
        let record = from_line(&line, &self.path, self.records.len() + 1)?;
        let key = record.key();
        if let Some(earlier) = self.find(&key) {
            return agree(&self.path, earlier, &record).map(|()| false);
        }
        line.push('\n');
        let written = self
            .file
            .write_all(line.as_bytes())
            .and_then(|()| self.file.sync_data());
        if let Err(source) = written {
            // If this fails as well, the next opening cuts the torn line.
            let _ = self.file.set_len(self.length);
            return Err(Error::Io {
                action: "append to",
                path: self.path.clone(),
                source,
            });
        }
        self.length += line.len() as u64;
        self.index.insert(key, self.records.len());
        self.records.push(record);
        Ok(true)
    }

    /// The record of a fact, if it has been measured.
    pub fn find(&self, key: &Key) -> Option<&Record> {
        self.index.get(key).map(|&position| &self.records[position])
    }

    /// All records in the order in which they were written.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// What was cut off on opening, as a sentence for the log, if anything was.
    pub fn cut(&self) -> Option<&str> {
        self.cut.as_deref()
    }
}

/// Reads a log without touching it; a torn last line is left out.
///
/// # Errors
/// Fails where the file cannot be read, and where a complete line is not a
/// record or contradicts an earlier one.
pub fn read_records(path: &Path) -> Result<Vec<Record>> {
    let bytes = std::fs::read(path).map_err(|source| Error::Io {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    Ok(parse(path, split_at_last_line(&bytes).0)?.0)
}

fn split_at_last_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |newline| newline + 1);
    bytes.split_at(end)
}

fn cut_note(path: &Path, torn: &[u8]) -> Option<String> {
    (!torn.is_empty()).then(|| {
        format!(
            "{}: cut off a torn last line of {} bytes; that fact is measured again",
            path.display(),
            torn.len()
        )
    })
}

type Indexed = (Vec<Record>, BTreeMap<Key, usize>);

fn parse(path: &Path, complete: &[u8]) -> Result<Indexed> {
    let mut records: Vec<Record> = Vec::new();
    let mut index = BTreeMap::new();
    for (position, line) in complete.split(|&byte| byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let text = String::from_utf8_lossy(line);
        let record = from_line(&text, path, position + 1)?;
        record.check()?;
        match index.get(&record.key()) {
            Some(&earlier) => agree(path, &records[earlier], &record)?,
            None => {
                index.insert(record.key(), records.len());
                records.push(record);
            }
        }
    }
    Ok((records, index))
}

fn to_line(record: &Record, path: &Path) -> Result<String> {
    serde_json::to_string(record).map_err(|source| Error::Io {
        action: "write a record to",
        path: path.to_owned(),
        source: source.into(),
    })
}

fn from_line(line: &str, path: &Path, number: usize) -> Result<Record> {
    serde_json::from_str(line).map_err(|source| Error::Line {
        path: path.to_owned(),
        line: number,
        source,
    })
}

fn agree(path: &Path, earlier: &Record, record: &Record) -> Result<()> {
    if earlier.agrees_with(record) {
        return Ok(());
    }
    Err(Error::Conflict {
        path: path.to_owned(),
        key: record.key().to_string(),
        recorded: earlier.value,
        measured: record.value,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, Role, Split};

    fn accuracy(task: &str, alpha: f64, value: f64) -> Record {
        Record::new("rq1", Kind::Accuracy)
            .model("world-s")
            .task(task)
            .on(task, Role::Patching, Split::Test)
            .alpha(alpha)
            .seed(7)
            .value(value)
            .seconds(1.5)
    }

    #[test]
    fn one_line_of_stable_order_per_fact() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("records.jsonl");
        let mut log = RecordLog::open(&path).unwrap();
        assert!(log.append(&accuracy("digits", 0.3, 0.5)).unwrap());
        let expected = concat!(
            r#"{"question":"rq1","kind":"accuracy","model":"world-s","task":"digits","on":"digits","#,
            r#""role":"patching","split":"test","alpha":0.3,"seed":7,"value":0.5,"seconds":1.5}"#,
            "\n"
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
    }

    #[test]
    fn a_resumed_run_finds_every_fact_to_the_last_bit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("records.jsonl");
        let mut log = RecordLog::open(&path).unwrap();
        let facts: Vec<Record> = (0..=20u32)
            .map(|i| accuracy("digits", f64::from(i) / 20.0, f64::from(i * 37 % 97) / 97.0))
            .collect();
        for fact in &facts {
            log.append(fact).unwrap();
        }
        let before = log.records().to_vec();
        drop(log);
        let resumed = RecordLog::open(&path).unwrap();
        assert_eq!(resumed.records(), before);
        assert_eq!(resumed.cut(), None);
        for (fact, kept) in facts.iter().zip(&before) {
            assert_eq!(resumed.find(&fact.key()), Some(kept));
        }
        assert_eq!(resumed.find(&accuracy("flags", 0.3, 0.0).key()), None);
        assert_eq!(read_records(&path).unwrap(), before);
    }

    #[test]
    fn a_torn_last_line_is_cut_wherever_it_was_torn() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("records.jsonl");
        let mut log = RecordLog::open(&path).unwrap();
        log.append(&accuracy("digits", 0.0, 0.25)).unwrap();
        let whole = std::fs::read(&path).unwrap();
        log.append(&accuracy("flags", 0.0, 0.75)).unwrap();
        drop(log);
        let both = std::fs::read(&path).unwrap();
        for torn_at in whole.len() + 1..both.len() {
            std::fs::write(&path, &both[..torn_at]).unwrap();
            assert_eq!(read_records(&path).unwrap().len(), 1);
            let mut log = RecordLog::open(&path).unwrap();
            assert!(
                log.cut().unwrap().contains("torn last line"),
                "torn at {torn_at}"
            );
            assert_eq!(std::fs::read(&path).unwrap(), whole);
            assert!(log.append(&accuracy("flags", 0.0, 0.75)).unwrap());
            assert_eq!(std::fs::read(&path).unwrap(), both);
        }
    }

    #[test]
    fn a_repeated_fact_is_kept_once_and_a_contradiction_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("records.jsonl");
        let mut log = RecordLog::open(&path).unwrap();
        assert!(log.append(&accuracy("digits", 0.3, 0.5)).unwrap());
        // Another way to compute the same alpha, and another wall time.
        assert!(
            !log.append(&accuracy("digits", 3.0 * 0.1, 0.5).seconds(9.0))
                .unwrap()
        );
        let error = log
            .append(&accuracy("digits", 0.3, 0.6))
            .unwrap_err()
            .to_string();
        assert!(error.contains("recorded as 0.5 and is now 0.6"), "{error}");
        assert_eq!(log.records().len(), 1);
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 1);
        let timing = Record::new("rq1", Kind::Timing)
            .measure("fine-tune")
            .task("digits");
        assert!(log.append(&timing.clone().value(3.0)).unwrap());
        assert!(!log.append(&timing.value(4.0)).unwrap());
    }

    #[test]
    fn a_number_out_of_its_unit_is_never_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("records.jsonl");
        let mut log = RecordLog::open(&path).unwrap();
        for (record, part) in [
            (accuracy("digits", 0.3, f64::NAN), "is NaN"),
            (accuracy("digits", 0.3, 41.3), "expected 0 to 1"),
            (accuracy("digits", 1.5, 0.4), "alpha of"),
            (
                accuracy("digits", 0.3, 0.4).seconds(f64::INFINITY),
                "seconds of",
            ),
        ] {
            let error = log.append(&record).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
    }

    #[test]
    fn a_broken_line_in_the_middle_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("records.jsonl");
        let good = serde_json::to_string(&accuracy("digits", 0.0, 0.5)).unwrap();
        let other = serde_json::to_string(&accuracy("digits", 0.5, 0.5)).unwrap();
        for bad in [
            "{\"question\":\"rq1\"",
            "<html>",
            "{\"question\":\"rq1\",\"kind\":\"accuracy\",\"vaule\":1}",
        ] {
            std::fs::write(&path, format!("{good}\n{bad}\n{other}\n")).unwrap();
            let error = RecordLog::open(&path).unwrap_err().to_string();
            assert!(
                error.contains("records.jsonl, line 2: not a record"),
                "{error}"
            );
        }
        std::fs::write(&path, b"\xff\xfe\n").unwrap();
        assert!(RecordLog::open(&path).is_err());
        std::fs::write(&path, format!("{good}\n\n{other}\n")).unwrap();
        assert_eq!(RecordLog::open(&path).unwrap().records().len(), 2);
    }

    #[test]
    fn two_writers_cannot_share_a_log() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("records.jsonl");
        let first = RecordLog::open(&path).unwrap();
        let error = RecordLog::open(&path).unwrap_err();
        assert!(matches!(error, Error::Locked { .. }), "{error}");
        drop(first);
        RecordLog::open(&path).unwrap();
    }

    #[test]
    fn no_task_name_can_imitate_another_key() {
        let tricky = accuracy("a\" on=\"b", 0.0, 0.5);
        let plain = accuracy("a", 0.0, 0.5);
        assert_ne!(tricky.key(), plain.key());
        assert!(tricky.key().to_string().contains(r#"task="a\" on=\"b""#));
    }
}
