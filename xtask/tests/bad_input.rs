//! Bad input gets one clear line and a non-zero exit, and leaves nothing half-written.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs `xtask` with its files below `directory`; returns what it says as it fails.
fn fails(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(arguments)
        .env("PAINT_RUNS", directory)
        .output()
        .unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{arguments:?} did not fail");
    assert!(output.stdout.is_empty(), "{arguments:?} printed an answer");
    let lines: Vec<&str> = message
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    assert_eq!(lines.len(), 1, "{message}");
    assert_eq!(
        half_written(directory),
        Vec::<PathBuf>::new(),
        "left by {arguments:?}"
    );
    message
}

/// What a failed command must not leave: parts of a run, and files being written.
fn half_written(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let of_run = [
            "run.toml",
            "records.jsonl",
            "report.html",
            "checkpoints",
            "predictions",
        ];
        if of_run.contains(&name) || name.starts_with('.') || name.ends_with(".part") {
            found.push(path);
        } else if path.is_dir() {
            found.extend(half_written(&path));
        }
    }
    found
}

fn check(arguments: &[&str], expected: &[&str]) {
    let directory = tempfile::tempdir().unwrap();
    let message = fails(directory.path(), arguments);
    for part in expected {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
}

#[test]
fn unknown_names_are_answered_with_the_known_ones() {
    check(
        &["rq1", "--suite", "embeded"],
        &[
            "suite embeded",
            "data-manifests/suites, but embedded;",
            ".toml",
        ],
    );
    check(
        &["rq1", "--tasks", "nothing"],
        &["--tasks nothing", "digits"],
    );
    check(
        &["rq1", "--tasks", "digits,flags,digits"],
        &["--tasks: digits twice"],
    );
    check(
        &["rq1", "--model", "nothing"],
        &["model nothing", "world-xs"],
    );
    let patch = ["patch", "--model", "world-xs", "--support", "objects"];
    let task = [&patch[..], &["--task", "nothing"]].concat();
    check(&task, &["task nothing", "data-manifests/tasks;", ".toml"]);
    let task = [&patch[..], &["--task", "cifar-10"]].concat();
    check(&task, &["task cifar-10", "but cifar10, cifar100", ".toml"]);
    check(
        &["pretrain", "--preset", "world-sx"],
        &["preset world-sx", "but world-s, world-xs"],
    );
}

/// An embedded task's name does not stand in the way of a file.
#[test]
fn what_has_a_separator_or_ends_in_toml_is_a_file() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["digits", "digits.toml"] {
        let manifest = directory.path().join(name);
        std::fs::write(&manifest, "name = 1").unwrap();
        let patch = ["patch", "--model", "world-xs", "--support", "objects"];
        let path = manifest.to_str().unwrap();
        let task = [&patch[..], &["--task", path]].concat();
        check(&task, &[&format!("{path}: "), "expected a string"]);
    }
    check(
        &["rq1", "--suite", "./nothing"],
        &["suite ./nothing", "cannot read ./nothing"],
    );
}

#[test]
fn models_that_are_none_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let model = directory.path().join("model");
    std::fs::create_dir(&model).unwrap();
    let path = model.to_str().unwrap();
    let patch = |expected: &[&str]| {
        check(
            &[
                "patch",
                "--model",
                path,
                "--task",
                "digits",
                "--support",
                "objects",
            ],
            expected,
        );
    };
    patch(&["config.json"]);
    std::fs::write(model.join("config.json"), "{").unwrap();
    patch(&["config.json", "not valid"]);
    std::fs::write(model.join("config.json"), "{}").unwrap();
    patch(&["model.safetensors"]);
    std::fs::write(model.join("model.safetensors"), "").unwrap();
    patch(&["model.safetensors", "0 bytes"]);
    std::fs::write(model.join("model.safetensors"), "<!DOCTYPE html><html>").unwrap();
    patch(&["model.safetensors", "web page"]);
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n";
    std::fs::write(model.join("model.safetensors"), pointer).unwrap();
    patch(&["model.safetensors", "git-lfs"]);
}

#[test]
fn task_manifests_are_checked_by_key() {
    let directory = tempfile::tempdir().unwrap();
    let manifest = directory.path().join("my.toml");
    let path = manifest.to_str().unwrap();
    let patch = |text: &str, expected: &[&str]| {
        std::fs::write(&manifest, text).unwrap();
        check(
            &[
                "patch",
                "--model",
                "world-xs",
                "--task",
                path,
                "--support",
                "objects",
            ],
            expected,
        );
    };
    patch(
        "name = \"my\"\ntemplates = [\"a photo\"]\nfolder = \".\"\n",
        &["my.toml", "has no `{}`"],
    );
    patch(
        "name = \"my\"\ntemplate = [\"a {}\"]\nfolder = \".\"\n",
        &["my.toml", "`template`"],
    );
    patch(
        "name = \"my\"\ntemplates = [\"a {}\"]\n",
        &["my.toml", "folder"],
    );
    patch(
        "name = \"my\"\ntemplates = [\"a {}\"]\nparquet = \"none.parquet\"\n",
        &["none.parquet"],
    );
    std::fs::write(directory.path().join("cut.parquet"), "PAR1 and no more").unwrap();
    patch(
        "name = \"my\"\ntemplates = [\"a {}\"]\nparquet = \"cut.parquet\"\n",
        &["cut.parquet"],
    );
    patch(
        "name = \"objects\"\ntemplates = [\"a {}\"]\nfolder = \".\"\n",
        &["two tasks are called objects"],
    );
}

#[test]
fn a_hub_that_is_away_is_one_line() {
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["rq1", "--suite", "photos-small"])
        .env("PAINT_RUNS", home.path())
        .env("HF_HOME", home.path())
        .env("HF_ENDPOINT", "http://127.0.0.1:9")
        .env_remove("HF_HUB_CACHE")
        .env_remove("HF_HUB_OFFLINE")
        .env_remove("PAINT_LOG")
        .output()
        .unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert_eq!(message.lines().count(), 1, "{message}");
    for part in ["uoft-cs/cifar10", "http://127.0.0.1:9", "HF_HUB_OFFLINE=1"] {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
}

#[test]
fn hyperparameters_out_of_range_are_named() {
    check(&["rq1", "--steps", "0"], &["steps"]);
    check(&["rq1", "--learning-rate", "0"], &["learning_rate"]);
    check(&["rq1", "--max-drop", "200"], &["--max-drop 200"]);
}
