//! A run killed with SIGKILL, again and again, ends with the same bytes as one left alone.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod tiny;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tiny::{Question, assert_same_run, files};

const PRESET: &str = r#"
name = "tiny"
projection_dim = 16

[vision]
image_size = 48
patch_size = 16
hidden_size = 32
num_hidden_layers = 2
num_attention_heads = 2

[text]
hidden_size = 32
num_hidden_layers = 1
num_attention_heads = 2

[[corpus]]
world = { n = 300, seed = 4 }

[train]
steps = 40
batch = 16
micro_batch = 8
learning_rate = 1e-3
save_every = 2
seed = 9

[[then]]
train = { steps = 80, batch = 16, micro_batch = 8, learning_rate = 1e-3, save_every = 2 }

[[then.corpus]]
world = { n = 200, seed = 5, recipe = { scattered = 0.2, arranged = 0.2, labelled = 0.2 } }

[[then]]
train = { steps = 10, batch = 16, micro_batch = 8, learning_rate = 1e-3, save_every = 2 }

[[then.corpus]]
world = { n = 100, seed = 6 }
"#;

fn pretrain(preset: &Path, out: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command
        .args(["pretrain", "--f32", "--preset"])
        .arg(preset)
        .arg("--out")
        .arg(out);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[test]
fn pretraining_killed_at_any_moment_ends_with_the_same_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let preset = directory.path().join("tiny.toml");
    std::fs::write(&preset, PRESET).unwrap();
    let weights = |out: &Path| std::fs::read(out.join("tiny/model.safetensors")).unwrap();

    let alone = directory.path().join("alone");
    assert!(pretrain(&preset, &alone).status().unwrap().success());

    let killed = directory.path().join("killed");
    let states = || {
        ["state-1", "state-2", "state"]
            .map(|name| modified(&killed.join(name).with_extension("safetensors")))
    };
    let mut n_killed = 0;
    for wait in [0, 30, 80, 200] {
        let before = states();
        let mut child = pretrain(&preset, &killed).spawn().unwrap();
        // Past the start, so that every process adds something and dies in the middle.
        let deadline = Instant::now() + Duration::from_secs(60);
        while states() == before && child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "no state was written");
            std::thread::sleep(Duration::from_millis(2));
        }
        std::thread::sleep(Duration::from_millis(wait));
        n_killed += usize::from(child.try_wait().unwrap().is_none());
        // On Unix this is SIGKILL.
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(
        n_killed >= 2,
        "{n_killed} processes were killed, the others were done before"
    );
    assert!(pretrain(&preset, &killed).status().unwrap().success());
    assert!(weights(&alone) == weights(&killed), "the weights differ");
    let state_of = |out: &Path| std::fs::read(out.join("state.safetensors")).unwrap();
    assert!(state_of(&alone) == state_of(&killed), "the states differ");
    // Whoever dies while writing leaves one unfinished state, which only time takes away.
    let unfinished = |name: &OsString| {
        let name = name.to_string_lossy();
        name.starts_with(".state") && name.ends_with(".part")
    };
    let (left, names_of_killed): (BTreeSet<_>, BTreeSet<_>) =
        names(&killed).into_iter().partition(unfinished);
    assert!(left.len() <= n_killed, "{left:?}");
    assert_eq!(names_of_killed, names(&alone), "a killed process left more");

    // A stage that is done needs none before it.
    for name in ["stage-1", "tiny"] {
        std::fs::remove_dir_all(alone.join(name)).unwrap();
    }
    assert!(pretrain(&preset, &alone).status().unwrap().success());
    assert!(weights(&alone) == weights(&killed), "the weights differ");
    assert!(
        !alone.join("stage-1").exists(),
        "the first stage was made again"
    );
}

#[test]
fn question_1_killed_at_any_moment_ends_with_the_same_answer() {
    let directory = tempfile::tempdir().unwrap();
    // Each with a folder of runs of its own, or the second would find all that the first trained.
    let at = |name: &str| directory.path().join(name);
    let question = Question::write(directory.path(), &at("runs of alone"));
    let elsewhere = question.elsewhere(&at("runs of killed"));
    let (alone, killed) = ((question, at("alone")), (elsewhere, at("killed")));
    let answer = |(question, out): &(Question, PathBuf)| {
        let output = question.ask(out).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{message}");
        String::from_utf8(output.stdout).unwrap()
    };
    let expected = answer(&alone);
    assert!(expected.contains("\"verdict\""), "{expected}");

    // A process dies as soon as it has come so far; the next one goes on from there.
    let moments = [
        "run.toml",
        "the state of 1",
        "checkpoints/digits/fine_tuned",
        "predictions/digits/0.500",
        "checkpoints/digits/patched",
        "the state of 2",
        "checkpoints/signs/fine_tuned",
        "predictions/signs/1.000",
        "checkpoints/signs/patched",
    ];
    let mut n_killed = 0;
    for moment in moments {
        let there = || match moment.strip_prefix("the state of ") {
            Some(n) => n_states(&killed.0.runs) >= n.parse().unwrap(),
            None => killed.1.join(moment).exists(),
        };
        if there() {
            continue;
        }
        let mut child = killed.0.ask(&killed.1);
        let child = child.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = child.spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while !there() && child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "{moment} did not appear");
            std::thread::sleep(Duration::from_millis(1));
        }
        n_killed += usize::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(n_killed >= 3, "{n_killed} processes were killed");
    assert_eq!(answer(&killed), expected);
    assert_same_run(&killed.1, &alone.1);

    // Asked again it answers from what it has: nothing is trained, measured or written again.
    let written = |out: &Path| -> Vec<_> {
        let names = files(out).into_keys();
        let names = names.filter(|name| name != Path::new("report.html"));
        names.map(|name| modified(&out.join(name))).collect()
    };
    let before = written(&killed.1);
    assert_eq!(answer(&killed), expected);
    assert_eq!(written(&killed.1), before);

    // Asked in another directory, it measures and trains nothing either.
    let again = (killed.0, at("again"));
    assert_eq!(answer(&again), expected);
    assert_same_run(&again.1, &alone.1);
    assert_eq!(n_states(&again.0.runs), 2);
}

#[test]
fn a_race_killed_at_any_moment_ends_with_the_same_answer() {
    let directory = tempfile::tempdir().unwrap();
    let question = Question::write(directory.path(), &directory.path().join("runs"));
    let race = |out: &Path| {
        let mut command = question.ask(out);
        command.args(["--search", "race", "--rule", "best-mean"]);
        command
    };
    let answer = |out: &Path| {
        let output = race(out).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{message}");
        String::from_utf8(output.stdout).unwrap()
    };
    let (alone, killed) = (
        directory.path().join("alone"),
        directory.path().join("killed"),
    );
    let expected = answer(&alone);
    let records = std::fs::read_to_string(alone.join("records.jsonl")).unwrap();
    assert!(
        records.contains(r#""measure":"image_passes","method":"race""#),
        "{records}"
    );

    // The first two values that are measured after the zero-shot model, then the test images.
    for moment in [
        "digits/1.000/digits-validation-from-0.json",
        "signs/1.000/signs-test.json",
    ] {
        let there = || killed.join("predictions").join(moment).exists();
        let mut child = race(&killed);
        let child = child.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = child.spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while !there() && child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "{moment} did not appear");
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(there(), "{moment} was not measured");
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(answer(&killed), expected);
    assert_same_run(&killed, &alone);

    // The grid would be another run.
    let grid = question.ask(&killed).output().unwrap();
    let message = String::from_utf8_lossy(&grid.stderr);
    assert!(
        !grid.status.success() && message.contains("another run"),
        "{message}"
    );
}

/// How many fine-tunings have been begun.
fn n_states(runs: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(runs.join("weights")) else {
        return 0;
    };
    let begun = |folder: &Path| {
        let parts = ["state.safetensors", "fine_tuned"];
        parts.iter().any(|part| folder.join(part).exists())
    };
    let entries = entries.map(|entry| entry.unwrap().path());
    entries.filter(|folder| begun(folder)).count()
}

fn names(directory: &Path) -> BTreeSet<OsString> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name()).collect()
}

fn modified(path: &Path) -> Option<std::time::SystemTime> {
    std::fs::metadata(path)
        .and_then(|metadata| metadata.modified())
        .ok()
}
