//! Files that are not what they should be: one clear error each, never a panic.

use std::path::Path;

use paint_data::{PixelTable, Rng, SkipPolicy, SplitName};

use crate::fixture::{Corner, check_error, open, task, write_split};

/// Writes bytes where a task's only file is expected, and opens the task.
fn check(bytes: &[u8], words: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("all.parquet");
    std::fs::write(&path, bytes).unwrap();
    check_error(
        open(&task(&path, &["a", "b"]), SplitName::Train),
        &["all.parquet"],
    );
    check_error(open(&task(&path, &["a", "b"]), SplitName::Train), words);
}

fn sound_file() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sound.parquet");
    write_split(&path, 40, 2);
    std::fs::read(path).unwrap()
}

#[test]
fn what_downloads_leave_behind() {
    check(b"", &["0 bytes", "fetch it again"]);
    check(b"<!doctype html><p>Not found", &["web page"]);
    check(b"\n  <html>", &["web page"]);
    check(
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n",
        &["git-lfs pointer", "git lfs pull"],
    );
    check(b"PK\x03\x04 something else", &["does not begin with PAR1"]);
    check(b"PAR1", &["cut off after 4 bytes"]);
    check(b"PAR1PAR1", &["cut off after 8 bytes"]);
    check(b"PAR1\xff\xff\xff\x7fPAR1", &["damaged"]);
}

#[test]
fn truncation_at_any_length_is_an_error() {
    let bytes = sound_file();
    for length in (0..bytes.len()).step_by(bytes.len() / 40) {
        check(&bytes[..length], &["fetch it again"]);
    }
}

#[test]
fn a_missing_file_and_a_directory_are_errors() {
    let error = open(&task("/nonexistent/x.parquet", &["a"]), SplitName::Train);
    check_error(error, &["/nonexistent/x.parquet", "cannot read"]);
    let dir = tempfile::tempdir().unwrap();
    let result = open(&task(dir.path(), &["a"]), SplitName::Train);
    check_error(result, &["no Parquet and no tar at all", "[files]"]);
    std::fs::write(dir.path().join("other.parquet"), "x").unwrap();
    check_error(
        open(&task(dir.path(), &["a"]), SplitName::Train),
        &["there is other.parquet"],
    );
}

/// Every outcome of a damaged file is an error or a table; the test fails on a panic.
fn survives(path: &Path, cache: &Path) {
    let Ok(dataset) = open(&task(path, &["class 0", "class 1"]), SplitName::Train) else {
        return;
    };
    let policy = SkipPolicy { max_rate: 1.0 };
    if let Ok(table) = PixelTable::build(&dataset, &Corner, cache, policy, &|_| ()) {
        assert_eq!(table.len() + table.skipped().len(), dataset.len());
    }
}

#[test]
fn flipped_bits_never_panic() {
    let bytes = sound_file();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("all.parquet");
    let mut rng = Rng::new(0);
    for _ in 0..300 {
        let mut damaged = bytes.clone();
        for _ in 0..1 + rng.below(4) {
            // Half of the flips hit the footer, where they hurt most.
            let from = if rng.chance(0.5) {
                bytes.len() - 700
            } else {
                4
            };
            let at = from + rng.below(bytes.len() - from);
            damaged[at] ^= 1 << rng.below(8);
        }
        std::fs::write(&path, &damaged).unwrap();
        survives(&path, &dir.path().join("cache"));
    }
}
