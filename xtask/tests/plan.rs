//! `--plan`: every question says what it takes, and leaves nothing behind.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "other tests ask the question itself")]
mod tiny;

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tiny::write_model;

/// A suite of the embedded world.
const SUITE: &str = r#"
name = "tiny"
supported = ["shapes"]
patching = ["digits", "signs"]

[fine_tune]
steps = 40
batch = 8
"#;

struct Planned {
    directory: tempfile::TempDir,
}

impl Planned {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        write_model(
            &directory.path().join("texts"),
            &directory.path().join("model"),
        );
        std::fs::write(directory.path().join("suite.toml"), SUITE).unwrap();
        Self { directory }
    }

    fn command(&self, question: &str, suite: &Path) -> Command {
        let empty = self.directory.path().join("empty");
        std::fs::create_dir_all(&empty).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args([question, "--plan", "--suite"]).arg(suite);
        command.env("PAINT_RUNS", empty.join("runs"));
        command.env("HF_HOME", empty.join("hub"));
        // Nobody answers there.
        command.env("HF_ENDPOINT", "http://127.0.0.1:9");
        for name in ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE"] {
            command.env_remove(name);
        }
        command.current_dir(&empty);
        command
    }

    /// The lines of a plan for the model of random weights, which must write nothing.
    fn lines(&self, question: &str, suite: &Path) -> Vec<Value> {
        self.lines_with(question, suite, &[])
    }

    fn lines_with(&self, question: &str, suite: &Path, options: &[&str]) -> Vec<Value> {
        let model = self.directory.path().join("model");
        let mut command = self.command(question, suite);
        command.arg("--json").args(options);
        match question {
            "rq2" => {
                // The same model under two names.
                let models = format!("{0},{0}/", model.display());
                command.arg("--models").arg(models)
            }
            _ => command.arg("--model").arg(model),
        };
        let output = command.output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{question}: {message}");
        let empty = self.directory.path().join("empty");
        assert_eq!(std::fs::read_dir(empty).unwrap().count(), 0, "{question}");
        let text = String::from_utf8(output.stdout).unwrap();
        let line = |line| serde_json::from_str(line).unwrap();
        text.lines().map(line).collect()
    }

    fn suite(&self) -> std::path::PathBuf {
        self.directory.path().join("suite.toml")
    }
}

/// Passes of the step of that name.
fn passes(lines: &[Value], step: &str) -> u64 {
    let found = lines.iter().find(|line| line["step"] == step);
    found.unwrap()["passes"].as_u64().unwrap()
}

#[test]
fn every_question_is_planned_and_nothing_is_written() {
    let planned = Planned::new();
    for question in ["rq1", "rq2", "rq3", "rq4", "rq5"] {
        let lines = planned.lines(question, &planned.suite());
        let total = lines.last().unwrap();
        assert_eq!(total["kind"], "total", "{question}");
        assert_eq!(total["unknown_steps"], 0, "{question}");
        assert!(total["seconds"].as_f64().unwrap() > 0.0, "{question}");
        let steps: Vec<&Value> = lines.iter().filter(|l| l["kind"] == "step").collect();
        assert!(steps.len() > 6, "{question}: {}", steps.len());
        let seconds = steps.iter().map(|step| step["seconds"].as_f64().unwrap());
        let sum: f64 = seconds.sum();
        assert!(
            (sum - total["seconds"].as_f64().unwrap()).abs() < 1e-6 * sum,
            "{question}"
        );
    }
}

#[test]
fn passes_are_those_of_the_run() {
    let planned = Planned::new();
    let lines = planned.lines("rq1", &planned.suite());
    // The world: 1,000 and 2,000 images of a supported task, 500 and 1,000 of a patching one.
    assert_eq!(passes(&lines, "supported tasks, zero-shot"), 1_000 + 2_000);
    assert_eq!(passes(&lines, "digits: fine-tuning"), 40 * 8);
    // Five alphas, and three times two between.
    assert_eq!(
        passes(&lines, "signs: alpha on validation"),
        11 * 500 + 10 * 1_000
    );
    assert_eq!(passes(&lines, "signs: test"), 3 * 1_000 + 2_000);
    // With --quick two halvings; a race has eleven and halves none.
    let quick_and_race: [(&[&str], u64); 2] = [(&["--quick"], 7), (&["--search", "race"], 11)];
    for (options, n) in quick_and_race {
        let lines = planned.lines_with("rq1", &planned.suite(), options);
        let expected = n * 500 + (n - 1) * 1_000;
        assert_eq!(passes(&lines, "digits: alpha on validation"), expected);
    }
}

#[test]
fn a_quick_look_at_many_tasks_takes_fewer_images() {
    let planned = Planned::new();
    let of = |options: &[&str]| {
        let lines = planned.lines_with("rq3", &planned.suite(), options);
        passes(&lines, "seed 0: one after the other: alphas")
    };
    let quick = of(&["--quick", "--tasks", "digits,signs"]);
    assert_eq!(quick, of(&["--validation", "50"]));
    assert!(quick < of(&[]));
}

/// What is local is counted, and divided as what was published is.
#[test]
fn local_data_are_counted_whatever_was_published() {
    let planned = Planned::new();
    let directory = planned.directory.path();
    let hub = directory.join("mirror");
    let with_hub = ["--hub", hub.to_str().unwrap()];
    let sizes = paint_world::Sizes {
        train: 50,
        validation: 15,
        test: 20,
    };
    let dataset = paint_world::write_task("digits", &hub, sizes, &|_| {}).unwrap();
    let task = |name: &str, rows: &str| {
        let hub = "hub = \"paint-world/digits\"\ntemplates = [\"{}\"]\n[published]";
        let text = format!("name = \"{name}\"\n{hub}\nrows = {{ {rows} }}\nbytes = 1_000_000\n");
        std::fs::write(directory.join(format!("{name}.toml")), text).unwrap();
    };
    task("right", "train = 50, validation = 15, test = 20");
    task("wrong", "train = 50_000, test = 20_000");
    let suite = |name: &str, part: &str| {
        let patching = format!("[\"{name}.toml\"]");
        let suite = SUITE.replace(r#"["digits", "signs"]"#, &patching);
        let path = directory.join(format!("{name}-suite.toml"));
        std::fs::write(&path, format!("{suite}\n{part}")).unwrap();
        path
    };
    let data = |suite: &Path, task: &str, options: &[&str]| {
        let lines = planned.lines_with("rq1", suite, options);
        let data = lines.iter().find(|line| line["task"] == task);
        (data.unwrap().clone(), lines)
    };

    let (local, lines) = data(&suite("wrong", ""), "wrong", &with_hub);
    assert_eq!(
        (&local["from"], &local["bytes"]),
        (&"local".into(), &0.into())
    );
    let rows = serde_json::json!({ "train": 50, "validation": 15, "test": 20 });
    assert_eq!(local["rows"], rows);
    assert_eq!(
        passes(&lines, "wrong: alpha on validation"),
        11 * 15 + 10 * 1_000
    );
    // Without the directory it would come from the Hub, as published; from another, not at all.
    let (remote, _) = data(&suite("wrong", ""), "wrong", &[]);
    assert_eq!(remote["from"], "from the Hub");
    assert_eq!(remote["bytes"], 1_000_000);
    assert_eq!(remote["rows"]["test"], 20_000);
    let empty = ["--hub", directory.to_str().unwrap()];
    let (missing, lines) = data(&suite("wrong", ""), "wrong", &empty);
    let total = lines.last().unwrap();
    assert_eq!((&total["bytes"], &total["missing"]), (&0.into(), &1.into()));
    assert_eq!(missing["from"], "missing in --hub");
    assert_eq!(missing["rows"], remote["rows"]);

    // Parts, and validation cut from training.
    let same = |part: &str| {
        let suite = suite("right", part);
        let rows = [&with_hub[..], &[]].map(|hub| data(&suite, "right", hub).0["rows"].clone());
        assert_eq!(rows[0], rows[1], "{part}");
        rows[0].clone()
    };
    let half = "[train_part]\n\"right.toml\" = \"0.5..1.0\"";
    assert_eq!(same(half)["train"], 25);
    let is_validation = |file: &std::path::PathBuf| file.to_string_lossy().contains("validation");
    let files = std::fs::read_dir(dataset.join("data")).unwrap();
    let mut files = files.map(|file| file.unwrap().path());
    std::fs::remove_file(files.find(is_validation).unwrap()).unwrap();
    task("right", "train = 50, test = 20");
    let cut = same("");
    assert!(cut["validation"].as_u64().unwrap() > 0);
    same(half);
}

#[test]
fn case_studies_are_fine_tuned_as_the_suite_says() {
    let planned = Planned::new();
    let suite = |name: &str, study: &str| {
        let path = planned.directory.path().join(name);
        std::fs::write(
            &path,
            format!("{SUITE}\n[case_studies.{study}]\nsteps = 90\n"),
        )
        .unwrap();
        path
    };
    let known = suite("known.toml", "counting");
    let lines = planned.lines("rq5", &known);
    assert_eq!(passes(&lines, "counting: fine-tuning"), 90 * 8);
    assert_eq!(passes(&lines, "questions: fine-tuning"), 40 * 8);
    // A third of the suite's forty.
    let lines = planned.lines_with("rq5", &known, &["--quick"]);
    assert_eq!(passes(&lines, "counting: fine-tuning"), 14 * 8);
    let lines = planned.lines_with("rq5", &known, &["--quick", "--steps", "7"]);
    assert_eq!(passes(&lines, "counting: fine-tuning"), 7 * 8);
    let lines = planned.lines_with("rq5", &known, &["--steps", "7"]);
    assert_eq!(passes(&lines, "counting: fine-tuning"), 7 * 8);
    let refused = |path: &Path, words: &[&str]| {
        let model = planned.directory.path().join("model");
        let mut command = planned.command("rq5", path);
        let output = command.arg("--model").arg(model).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{message}");
        for word in words {
            assert!(message.contains(word), "{word:?} is not in {message}");
        }
    };
    refused(
        &suite("unknown.toml", "counts"),
        &["[case_studies.counts]", "typographic, counting, questions"],
    );
    // Of a table within, one key is given and the other kept.
    let nested = |name: &str, keys: &str| {
        let path = planned.directory.path().join(name);
        let augment = "augment = { min_area = 0.5, mirror = false }";
        let text = format!("{SUITE}{augment}\n[case_studies.counting]\nsteps = 90\n{keys}\n");
        std::fs::write(&path, text).unwrap();
        path
    };
    let lines = planned.lines("rq5", &nested("nested.toml", "augment.mirror = true"));
    assert_eq!(passes(&lines, "counting: fine-tuning"), 90 * 8);
    refused(
        &nested("key.toml", "stepz = 3"),
        &["[case_studies.counting]", "unknown field `stepz`"],
    );
    refused(
        &nested("inner.toml", "augment.shear = 0.5"),
        &["[case_studies.counting]", "unknown field `shear`"],
    );
}

#[test]
fn the_paper_can_be_planned_without_a_network() {
    let planned = Planned::new();
    let lines = planned.lines("rq1", Path::new("paper"));
    let data = |task: &str| lines.iter().find(|line| line["task"] == task).unwrap();
    assert_eq!(data("cifar100")["bytes"], 142_291_368);
    assert_eq!(data("kitti-distance")["bytes"], Value::Null);
    let total = lines.last().unwrap();
    // Cars, KITTI, RESISC45 and SUN397; the model is here.
    assert_eq!(total["unknown_bytes"], 4);
    assert!(total["bytes"].as_u64().unwrap() > 13_000_000_000);
    assert_eq!(passes(&lines, "mnist: fine-tuning"), 2_000 * 128);
    // A tenth of 60,000, at most 5,000; and at least 15,500 of the supported tasks.
    assert!(passes(&lines, "mnist: alpha on validation") > 11 * 5_000 + 10 * 15_500);
}
