//! Questions 2 to 5, asked of an untrained model and a few drawn images: they end with a verdict
//! of the promised measures, and a second call trains and measures nothing.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "other tests use the rest")]
mod tiny;

use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use serde_json::Value;
use tempfile::TempDir;
use tiny::{Question, files};

/// A question asked in a folder of its own.
struct Asked {
    directory: TempDir,
    question: Question,
}

impl Asked {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let question = Question::write(directory.path(), &directory.path().join("runs"));
        Self {
            directory,
            question,
        }
    }

    fn command(&self, name: &str, options: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args([name, "--json", "--suite"]);
        command.arg(&self.question.suite).args(options);
        command.env("PAINT_RUNS", &self.question.runs);
        command
    }

    /// The lines of the answer.
    fn lines(&self, name: &str, options: &[&str]) -> Vec<Value> {
        let out = self.directory.path().join("run");
        let mut command = self.command(name, options);
        let output = command.arg("--out").arg(&out).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{message}");
        let report = std::fs::read_to_string(out.join("report.html")).unwrap();
        assert!(report.trim_end().ends_with("</html>"));
        let text = String::from_utf8(output.stdout).unwrap();
        let line = |line| serde_json::from_str(line).unwrap();
        text.lines().map(line).collect()
    }

    /// Asks twice; returns the first answer's lines.
    fn answer(&self, name: &str, options: &[&str]) -> Vec<Value> {
        let first = self.lines(name, options);
        let before = written(&self.question.runs);
        assert_eq!(self.lines(name, options), first);
        assert_eq!(written(&self.question.runs), before, "measured again");
        first
    }

    fn fails(&self, name: &str, options: &[&str], expected: &[&str]) {
        let output = self.command(name, options).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{options:?} did not fail");
        for part in expected {
            assert!(message.contains(part), "{part:?} is not in {message}");
        }
    }
}

/// Trained weights and answers, with when they were written.
fn written(runs: &Path) -> Vec<(std::path::PathBuf, SystemTime)> {
    let mut found = Vec::new();
    for kept in ["weights", "answers"] {
        for name in files(&runs.join(kept)).into_keys() {
            // A lock is opened anew.
            if name.ends_with("lock") {
                continue;
            }
            let metadata = std::fs::metadata(runs.join(kept).join(&name)).unwrap();
            found.push((name, metadata.modified().unwrap()));
        }
    }
    assert!(!found.is_empty());
    found
}

fn verdict<'a>(lines: &'a [Value], question: &str) -> &'a Value {
    let last = lines.last().unwrap();
    assert_eq!(last["kind"], "verdict");
    assert_eq!(last["question"], question);
    let verdicts = ["supported", "not supported", "undecided"];
    assert!(verdicts.contains(&last["verdict"].as_str().unwrap()));
    last
}

fn assert_measures(verdict: &Value, names: &[&str]) {
    for name in names {
        let measure = &verdict["measures"][name];
        for field in ["value", "low", "high", "n"] {
            assert!(measure[field].is_number(), "{name}: {verdict}");
        }
        let [low, value, high] = ["low", "value", "high"].map(|f| measure[f].as_f64().unwrap());
        assert!(low <= value && value <= high, "{name}: {measure}");
    }
}

#[test]
fn question_2_compares_sizes() {
    let asked = Asked::new();
    let larger = asked.directory.path().join("larger");
    tiny::write_model_of(24, &asked.directory.path().join("texts of larger"), &larger);
    let models = format!("{},{}", asked.question.model.display(), larger.display());
    let lines = asked.answer("rq2", &["--models", &models]);
    let verdict = verdict(&lines, "rq2");
    let names = [&asked.question.model, &larger].map(|m| m.display().to_string());
    for name in &names {
        let of = |measure: &str| format!("{measure}_{name}");
        let measures = ["distance_to_ideal", "cka", "gain"].map(of);
        assert_measures(verdict, &measures.each_ref().map(String::as_str));
    }
    let sizes: Vec<&Value> = lines.iter().filter(|line| line["kind"] == "size").collect();
    assert_eq!(sizes.len(), 2);
    assert!(sizes[0]["parameters"].as_u64() < sizes[1]["parameters"].as_u64());
    assert!(sizes[0]["minus_smaller"].is_null() && sizes[1]["minus_smaller"].is_object());
    asked.fails(
        "rq2",
        &[],
        &["names no models of several sizes", "--models"],
    );
    let one = &names[0];
    asked.fails("rq2", &["--models", one], &["nothing to be compared with"]);
}

#[test]
fn question_3_patches_one_model_on_several_tasks() {
    let asked = Asked::new();
    let model = asked.question.model.display().to_string();
    let options = ["--model", &model, "--seeds", "2", "--budget", "3"];
    let lines = asked.answer("rq3", &options);
    let verdict = verdict(&lines, "rq3");
    let methods = ["joint", "sequential", "parallel"];
    let measures = methods.map(|method| format!("{method}_minus_specialists"));
    assert_measures(verdict, &measures.each_ref().map(String::as_str));
    let rows = |method: &str| {
        let of = |line: &&Value| line["kind"] == "patched" && line["method"] == method;
        lines.iter().filter(of).count()
    };
    // Two seeds and their mean; the others with the first seed alone.
    assert_eq!(rows("joint"), 3);
    assert_eq!(rows("specialists"), 3);
    for method in ["ties", "dare", "slerp", "uniform soup", "greedy soup"] {
        assert_eq!(rows(method), 2, "{method}");
    }
    // Every seed has specialists of its own.
    let kept = |name: &str| {
        let file = format!("run/predictions/{name}/1.000/digits-test.json");
        std::fs::read(asked.directory.path().join(file)).unwrap()
    };
    assert_ne!(kept("digits"), kept("digits-seed1"));
    asked.fails(
        "rq3",
        &["--k", "3"],
        &["--k 3", "the number of patching tasks, 2"],
    );
    asked.fails("rq3", &["--tasks", "digits"], &["at least two"]);
    asked.fails("rq3", &["--search", "race"], &["--search grid"]);
    let too_many = ["--model", &model, "--validation", "21"];
    asked.fails(
        "rq3",
        &too_many,
        &["--validation 21", "20 validation images"],
    );
}

#[test]
fn question_4_halves_classes_and_crosses_tasks() {
    let asked = Asked::new();
    let model = asked.question.model.display().to_string();
    let lines = asked.answer("rq4", &["--model", &model, "--draws", "2"]);
    let verdict = verdict(&lines, "rq4");
    assert_measures(verdict, &["rows_improved", "mean_transfer"]);
    let of = |kind: &str| lines.iter().filter(|line| line["kind"] == kind).count();
    // Two tasks and their mean; each task to the other.
    assert_eq!((of("halves"), of("transfer")), (3, 2));
    asked.fails("rq4", &["--model", &model, "--draws", "0"], &["--draws 0"]);
}

#[test]
fn question_5_has_three_case_studies() {
    let asked = Asked::new();
    let model = asked.question.model.display().to_string();
    // What is given goes before the suite's model for case studies, and that before the suite's model.
    let suite = std::fs::read_to_string(&asked.question.suite).unwrap();
    let with = format!("model = \"no model\"\ncase_model = {model:?}\n{suite}");
    std::fs::write(&asked.question.suite, with).unwrap();
    asked.fails("rq5", &["--model", "nothing"], &["model nothing"]);
    let lines = asked.answer("rq5", &["--limit", "30", "--steps", "4"]);
    let verdict = verdict(&lines, "rq5");
    let measures = [
        "attack_gain",
        "clean_change",
        "unseen_count_accuracy",
        "multiple_choice_gain",
    ];
    assert_measures(verdict, &measures);
    let studies: Vec<&Value> = lines
        .iter()
        .filter(|line| line["kind"] == "study")
        .collect();
    assert_eq!(studies.len(), 3);
    let attacked = &studies[0]["sets"];
    assert_eq!(attacked[0]["before"]["n"], attacked[1]["before"]["n"]);
    let supported = studies[0]["supported"].as_array().unwrap();
    assert_eq!(supported.len(), 1);
    assert_eq!(supported[0]["name"], "shapes");
    // What is written is never right.
    let value = |set: &Value| set["before"]["value"].as_f64().unwrap();
    assert_eq!(attacked[0]["before"]["n"], attacked[2]["before"]["n"]);
    assert!(value(&attacked[0]) + value(&attacked[2]) <= 100.0);
    asked.fails(
        "rq5",
        &["--tasks", "digits"],
        &["patching tasks of its own"],
    );
    // What a study lacks is said before anything is trained.
    let trained = written(&asked.question.runs);
    let few = ["--model", &model, "--limit", "4", "--steps", "3"];
    asked.fails("rq5", &few, &["counting: none of 4", "--limit"]);
    assert_eq!(written(&asked.question.runs), trained);
}

/// Weights of single tasks are trained once for all questions.
#[test]
fn what_one_question_trained_the_next_finds() {
    let asked = Asked::new();
    let model = asked.question.model.display().to_string();
    let trained = |name: &str, options: &[&str]| {
        let mut command = asked.command(name, options);
        command.args(["--model", &model, "--out"]);
        let output = command.arg(asked.directory.path().join(name)).output();
        let output = output.unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{message}");
        let weights = std::fs::read_dir(asked.question.runs.join("weights")).unwrap();
        let names = weights.map(|entry| entry.unwrap().file_name());
        let found = names.filter(|name| !name.to_string_lossy().ends_with("lock"));
        found.collect::<std::collections::BTreeSet<_>>()
    };
    let alone = trained("rq1", &[]);
    assert_eq!(alone.len(), 2);
    let halves = trained("rq4", &["--draws", "1"]);
    assert!(
        halves.is_superset(&alone) && halves.len() == 4,
        "{halves:?}"
    );
    // One joint training, and two in a row: the first is known, and so is the second if the first
    // was not worth keeping.
    let many = trained("rq3", &["--seeds", "1", "--budget", "3"]);
    assert!(many.is_superset(&halves), "{many:?}");
    assert!((5..=6).contains(&many.len()), "{many:?}");
}

#[test]
fn alphas_are_checked() {
    let asked = Asked::new();
    let model = asked.question.model.display().to_string();
    let check = |alphas: &str, expected: &[&str]| {
        asked.fails("rq1", &["--model", &model, "--alphas", alphas], expected);
    };
    check("0.5,1", &["--alphas", "0 is not among them"]);
    check("0,1.5", &["--alphas 1.5", "from 0 to 1"]);
    check("0,0.5,0.5", &["--alphas 0.5", "twice"]);
}
