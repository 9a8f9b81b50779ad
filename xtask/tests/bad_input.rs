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
fn a_task_is_there_once() {
    let patch = ["patch", "--model", "world-xs", "--task", "digits"];
    let twice = [&patch[..], &["--support", "digits"]].concat();
    check(&twice, &["task digits is named twice"]);

    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    let my = "name = \"my\"\ntemplates = [\"a {}\"]\nfolder = \".\"\n";
    write("one.toml", my);
    write("other.toml", &my.replace("a {}", "the {}"));
    let suite = "name = \"mine\"\nmodel = \"world-xs\"\nsupported = [\"objects\"]\n";
    write(
        "many.toml",
        &format!("{suite}patching = [\"one.toml\", \"other.toml\"]\n"),
    );
    let many = directory.path().join("many.toml");
    for question in ["rq1", "rq3"] {
        let asked = [question, "--suite", many.to_str().unwrap()];
        check(&asked, &["two tasks are called my", "rename one"]);
    }
    write(
        "transfer.toml",
        &format!("{suite}patching = [\"digits\"]\ntransfer = [\"digits.toml\"]\n"),
    );
    write("digits.toml", &my.replace("my", "digits"));
    let transfer = directory.path().join("transfer.toml");
    let asked = ["rq4", "--suite", transfer.to_str().unwrap()];
    check(&asked, &["two tasks are called digits"]);
}

/// Whoever asks for a delta of weights in another layout hears of it before they are trained.
#[test]
fn a_delta_needs_weights_in_one_file() {
    let directory = tempfile::tempdir().unwrap();
    let world = paint_world::checkpoints();
    let world = world.iter().find(|c| c.name == "world-2xs").unwrap();
    let (hf, open_clip) = (directory.path().join("hf"), directory.path().join("oc"));
    world.write(&hf).unwrap();
    let converted = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["convert", "--layout", "open-clip"])
        .args([&hf, &open_clip])
        .output()
        .unwrap();
    assert!(converted.status.success());
    let model = open_clip.to_str().unwrap();
    let task = photographed(directory.path(), "task", &["one", "two"]);
    let support = photographed(directory.path(), "support", &["three", "four"]);
    let patch = ["patch", "--model", model, "--task", &task];
    let patch = [&patch[..], &["--support", &support, "--emit-delta"]].concat();
    check(&patch, &["has no model.safetensors", "convert"]);
}

#[test]
fn one_class_is_no_task() {
    let directory = tempfile::tempdir().unwrap();
    let one = photographed(directory.path(), "one", &["thing"]);
    let support = photographed(directory.path(), "support", &["three", "four"]);
    let patch = ["patch", "--model", "world-2xs", "--task", &one];
    let patch = [&patch[..], &["--support", &support]].concat();
    check(&patch, &["task one: has 1 class;"]);
}

/// A folder of a few images of each class, and its manifest.
fn photographed(directory: &Path, name: &str, classes: &[&str]) -> String {
    for (label, class) in (0..).zip(classes) {
        let of_class = directory.join(name).join(class);
        std::fs::create_dir_all(&of_class).unwrap();
        for i in 0..20 {
            let split = paint_world::Split::Train;
            let (image, _) = paint_world::picture("digits", split, 10 * i + label).unwrap();
            image.save(of_class.join(format!("{i}.png"))).unwrap();
        }
    }
    let manifest = directory.join(format!("{name}.toml"));
    let text = format!("name = {name:?}\ntemplates = [\"a {{}}\"]\nfolder = {name:?}\n");
    std::fs::write(&manifest, text).unwrap();
    manifest.to_str().unwrap().to_owned()
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
