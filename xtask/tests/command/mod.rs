//! The command, run in a directory that also holds its runs.

use std::path::Path;
use std::process::{Command, Output};

pub(crate) fn xtask(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(arguments).current_dir(directory);
    command.env("PAINT_RUNS", directory).output().unwrap()
}

/// What it prints; fails with what it says.
pub(crate) fn succeeds(directory: &Path, arguments: &[&str]) -> String {
    let output = xtask(directory, arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}
