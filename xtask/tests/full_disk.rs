//! On a full disk a command says so in one line and leaves only whole files; with room again,
//! the same command ends as it would have.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "other tests use the rest")]
mod tiny;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use tiny::{Question, assert_same_run, files};

/// A file system in memory, as large as `new` is told; gone when dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// Nothing where this is not permitted, which a line on standard error tells: it takes root.
    fn new(megabytes: u32) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mount = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={megabytes}m"),
                "paint-test",
            ])
            .arg(directory.path())
            .output();
        match mount {
            Ok(output) if output.status.success() => Some(Self(directory)),
            _ => {
                // Not with eprintln!, which a passing test is not heard with.
                let mut stderr = std::io::stderr();
                writeln!(
                    stderr,
                    "SKIPPED: a small file system cannot be mounted here"
                )
                .unwrap();
                None
            }
        }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Fills the disk but for `free` bytes.
    fn leave(&self, free: u64) {
        let path = self.path().join("filler");
        let mut file = File::create(path).unwrap();
        let zeros = [0; 4096];
        let mut length: u64 = 0;
        loop {
            match file.write(&zeros) {
                Ok(n) => length += n as u64,
                Err(e) if e.kind() == ErrorKind::StorageFull => break,
                Err(e) => panic!("{e}"),
            }
        }
        file.set_len(length.saturating_sub(free)).unwrap();
    }

    fn make_room(&self) {
        fs::remove_file(self.path().join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(self.path())
            .status();
    }
}

/// Checks how a command failed; returns the one line that tells why.
fn told(disk: &SmallDisk, output: &Output) -> String {
    let message = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(!output.status.success(), "it did not fail: {message}");
    assert!(output.stdout.is_empty(), "it printed an answer");
    let errors: Vec<&str> = message.lines().filter(|l| l.contains("error")).collect();
    assert_eq!(errors.len(), 1, "{message}");
    assert_eq!(message.lines().last(), Some(errors[0]), "{message}");
    for part in [disk.path().to_str().unwrap(), "No space left on device"] {
        assert!(errors[0].contains(part), "{part:?} is not in {message}");
    }
    errors[0].to_owned()
}

/// Files being written, of which none may be left where space is short.
fn assert_no_litter(directory: &Path) {
    let left = litter(directory);
    assert!(left.is_empty(), "{left:?}");
}

fn litter(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.starts_with('.') || name.ends_with(".part") {
            found.push(path);
        } else if path.is_dir() {
            found.extend(litter(&path));
        }
    }
    found
}

#[test]
fn question_1_runs_out_of_space_again_and_again_and_ends_as_it_would_have() {
    let Some(disk) = SmallDisk::new(8) else {
        return;
    };
    let elsewhere = tempfile::tempdir().unwrap();
    let question = Question::write(elsewhere.path(), &disk.path().join("runs"));
    let ask = |out: &Path| {
        let mut command = question.ask(out);
        command.args(["--tasks", "digits"]).output().unwrap()
    };
    let alone = elsewhere.path().join("alone");
    disk.leave(0);
    let reason = told(&disk, &ask(&alone));
    assert!(reason.contains("/cache/"), "{reason}");
    assert_no_litter(disk.path());
    assert!(files(&alone).is_empty(), "a run without its data");
    disk.make_room();
    let expected = ask(&alone);
    assert!(expected.status.success());
    let whole = files(&alone);
    // What other runs have trained and measured would be found.
    for kept in ["runs/weights", "runs/answers"] {
        fs::remove_dir_all(disk.path().join(kept)).unwrap();
    }

    let out = disk.path().join("run");
    let mut reasons: Vec<String> = Vec::new();
    let output = loop {
        // Each command gets a little more room than the one before it, or none at all.
        let round = reasons.len() as u64;
        disk.leave(if round.is_multiple_of(2) {
            0
        } else {
            round * (16 << 10)
        });
        let output = ask(&out);
        if output.status.success() {
            break output;
        }
        reasons.push(told(&disk, &output));
        check_left(&disk, &out, &whole);
        assert!(reasons.len() < 60, "{reasons:#?}");
    };
    assert_eq!(output.stdout, expected.stdout);
    assert_same_run(&out, &alone);

    let prediction = out.join("predictions/digits/0.500/shapes-validation.json");
    fs::remove_file(&prediction).unwrap();
    disk.leave(0);
    reasons.push(told(&disk, &ask(&out)));
    check_left(&disk, &out, &whole);
    disk.make_room();
    assert_eq!(ask(&out).stdout, expected.stdout);
    assert_same_run(&out, &alone);
    for part in [
        "run.toml",
        "state.safetensors",
        "patched",
        "validation.json",
    ] {
        let hit = reasons.iter().any(|reason| reason.contains(part));
        assert!(hit, "never at {part}: {reasons:#?}");
    }
}

/// Whole files alone, as they are in `whole`.
fn check_left(disk: &SmallDisk, out: &Path, whole: &BTreeMap<PathBuf, Vec<u8>>) {
    assert_no_litter(disk.path());
    for (name, bytes) in files(out) {
        let whole = &whole[&name];
        match name.file_name().and_then(|name| name.to_str()) {
            Some("records.jsonl") => {
                assert!(whole.starts_with(&bytes), "other records");
                assert!(bytes.is_empty() || bytes.ends_with(b"\n"), "half a record");
            }
            // Of an earlier step, or another time; that they are sound shows at the end.
            Some("state.safetensors" | "report.html") => {}
            _ => assert!(*whole == bytes, "{} is not whole", name.display()),
        }
    }
}

#[test]
fn neither_the_model_nor_the_world_is_left_half_written() {
    let Some(disk) = SmallDisk::new(1) else {
        return;
    };
    let elsewhere = tempfile::tempdir().unwrap();
    let question = Question::write(elsewhere.path(), &elsewhere.path().join("runs"));
    let patch = |model: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args([
            "patch",
            "--task",
            "digits",
            "--support",
            "shapes",
            "--model",
            model,
        ]);
        command.env("PAINT_RUNS", disk.path()).output().unwrap()
    };
    let message = told(&disk, &patch("world-xs"));
    assert!(message.contains("model.safetensors"), "{message}");
    assert!(
        !disk
            .path()
            .join("models/world-xs/model.safetensors")
            .exists()
    );
    assert_no_litter(disk.path());

    let message = told(&disk, &patch(question.model.to_str().unwrap()));
    assert!(
        message.contains("train-00000-of-00001.parquet"),
        "{message}"
    );
    let written = files(disk.path());
    let data = written
        .keys()
        .filter(|name| name.extension() == Some("parquet".as_ref()));
    assert_eq!(data.count(), 0, "{:?}", written.keys());
    assert_no_litter(disk.path());
}
