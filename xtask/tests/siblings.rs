//! `groups` and `hierarchy` with an untrained model and a few images: they end with a verdict and a
//! page, and say in one line what is wrong with bad input.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "other tests use the rest")]
mod tiny;

use std::path::PathBuf;
use std::process::{Command, Output};

use image::{Rgb, RgbImage};
use paint_clip::{Parent, Provenance};
use paint_world::Sizes;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// A directory for a model, data and runs.
struct Place {
    directory: TempDir,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        tiny::write_model(&path.join("texts"), &path.join("model"));
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn world(&self) -> PathBuf {
        self.path(&format!("runs/world-{}", paint_world::VERSION))
    }

    fn ask(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(arguments).current_dir(self.directory.path());
        command
            .env("PAINT_RUNS", self.path("runs"))
            .output()
            .unwrap()
    }

    /// The lines of the answer, and the page.
    fn answer(&self, arguments: &[&str]) -> (Vec<Value>, String) {
        let output = self.ask(&[arguments, &["--json", "--out", "run"]].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        let text = String::from_utf8(output.stdout).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        let page = std::fs::read_to_string(self.path("run/report.html")).unwrap();
        assert!(page.trim_end().ends_with("</html>"));
        (lines.collect(), page)
    }

    /// Records of the run with numbers of patched models.
    fn n_records_of_patched(&self) -> usize {
        let text = std::fs::read_to_string(self.path("run/records.jsonl")).unwrap();
        let records = text
            .lines()
            .map(|line| -> Value { serde_json::from_str(line).unwrap() });
        records.filter(|record| record["task"] == "signs").count()
    }

    /// The finished run is not continued, since this entry of its `run.toml` would be another.
    fn is_another_run(&self, arguments: &[&str], entry: &str) {
        let output = self.ask(&[arguments, &["--out", "run"]].concat());
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{arguments:?} did not fail");
        for part in ["holds another run", entry] {
            assert!(message.contains(part), "{part:?} is not in {message}");
        }
    }

    /// Fails with one line that has these parts, and leaves no run.
    fn fails(&self, arguments: &[&str], expected: &[&str]) {
        let output = self.ask(&[arguments, &["--out", "failed"]].concat());
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{arguments:?} did not fail");
        let lines: Vec<&str> = message
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        assert_eq!(lines.len(), 1, "{message}");
        for part in expected {
            assert!(message.contains(part), "{part:?} is not in {message}");
        }
        assert!(!self.path("failed").exists(), "{arguments:?} left a run");
    }

    /// Images of two colours on two brightnesses as a CSV with splits and a column of places.
    fn write_csv(&self, name: &str, place: impl Fn(usize) -> usize) {
        let folder = self.path(name);
        std::fs::create_dir_all(&folder).unwrap();
        let mut csv = String::from("path,label,split,place\n");
        for i in 0..80 {
            let split = ["train", "validation", "test", "test"][i / 20];
            let (class, place) = (i % 2, place(i));
            let light = 40 + 120 * (place as u8) + i as u8;
            let colour = [Rgb([light, 20, 20]), Rgb([20, 20, light])][class];
            let file = format!("{i}.png");
            RgbImage::from_pixel(48, 48, colour)
                .save(folder.join(&file))
                .unwrap();
            let (class, place) = (["red", "blue"][class], ["dark", "light"][place]);
            csv.push_str(&format!("{file},{class},{split},{place}\n"));
        }
        std::fs::write(folder.join("labels.csv"), csv).unwrap();
    }

    /// What a finished run of `patch` leaves, of a model with other weights whose parent is `parent`.
    fn write_patched(&self, run: &str, parent: &str) {
        let patched = self.path(run).join("checkpoints/signs/patched");
        tiny::write_model_of(24, &self.path("texts of patched"), &patched);
        let bytes = std::fs::read(self.path(parent).join("model.safetensors")).unwrap();
        let sha256: String = Sha256::digest(bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let provenance = Provenance {
            parents: vec![Parent {
                name: parent.to_owned(),
                sha256,
            }],
            ..Default::default()
        };
        let json = serde_json::to_vec(&provenance).unwrap();
        std::fs::write(patched.join("paint.json"), json).unwrap();
        std::fs::write(self.path(run).join("report.html"), "").unwrap();
    }

    fn write_task(&self, file: &str, csv: &str, attribute: &str) {
        let task = format!(
            "name = \"colours\"\ncsv = \"{csv}/labels.csv\"\nclass_names = [\"red\", \"blue\"]\n\
             templates = [\"a {{}} sheet\"]\n{attribute}"
        );
        std::fs::write(self.path(file), task).unwrap();
    }
}

const ATTRIBUTE: &str = "[attribute]\ncolumn = \"place\"\nvalues = [\"dark\", \"light\"]\n";

/// Fast enough for an untrained model to learn anything.
const TRAINING: [&str; 6] = ["--seeds", "2", "--epochs", "20", "--learning-rate", "0.3"];

fn verdict<'a>(lines: &'a [Value], question: &str, measures: &[&str]) -> &'a Value {
    let last = lines.last().unwrap();
    assert_eq!(
        (&last["kind"], &last["question"]),
        (&"verdict".into(), &question.into())
    );
    for name in measures {
        let measure = &last["measures"][name];
        let [low, value, high] = ["low", "value", "high"].map(|f| measure[f].as_f64().unwrap());
        assert!(
            low <= value && value <= high && measure["n"].is_u64(),
            "{name}: {measure}"
        );
    }
    last
}

fn check_methods(lines: &[Value], page: &str, n_seeds: u64) {
    let methods: Vec<&Value> = lines
        .iter()
        .filter(|line| line["kind"] == "method")
        .collect();
    // Zero-shot and DFR once; ERM, JTT, AFR, six CFRs, the best of them and group DRO by three.
    assert_eq!(methods.len(), 2 + 3 * 11);
    let mean = |measure: &Value| measure["mean"].as_f64().unwrap();
    for method in &methods {
        assert_eq!(method["seeds"], n_seeds);
        assert!(mean(&method["worst_group"]) <= mean(&method["mean"]));
        let text = method["method"].as_str().unwrap();
        assert!(page.contains(text), "{text}");
    }
    assert!(page.contains("worst class on validation"));
}

#[test]
fn groups_compares_methods_on_drawn_images() {
    let place = Place::new();
    let sizes = Sizes {
        train: 160,
        validation: 80,
        test: 80,
    };
    let birds = paint_world::spurious("spurious-birds").unwrap();
    birds.write(&place.world(), sizes, &|_| {}).unwrap();
    let arguments = [
        "groups",
        "--datasets",
        "spurious-birds",
        "--seeds",
        "1",
        "--epochs",
        "5",
    ];
    let (lines, page) = place.answer(&arguments);
    let measures = [
        "cfr_minus_erm_spurious-birds",
        "cfr_minus_erm_by_class_spurious-birds",
    ];
    verdict(&lines, "groups", &measures);
    check_methods(&lines, &page, 1);
}

#[test]
fn groups_takes_a_table_with_an_attribute_and_patched_models() {
    let place = Place::new();
    place.write_csv("sheets", |i| (i / 2 + i / 8) % 2);
    place.write_task("named.toml", "sheets", ATTRIBUTE);
    // Names of classes may be left to the data.
    let named = std::fs::read_to_string(place.path("named.toml")).unwrap();
    let unnamed = named.replace("class_names = [\"red\", \"blue\"]\n", "");
    assert_ne!(unnamed, named);
    std::fs::write(place.path("task.toml"), unnamed).unwrap();
    place.write_patched("patch", "model");
    let of_model = [&["groups", "--datasets", "task.toml"], &TRAINING[..]].concat();
    let arguments = [&of_model[..], &["--model", "model", "--patched", "patch"]].concat();
    let (lines, page) = place.answer(&arguments);
    verdict(&lines, "groups", &["cfr_minus_erm_colours"]);
    check_methods(&lines, &page, 2);
    let patched = lines.iter().find(|line| line["kind"] == "patched").unwrap();
    assert_eq!(patched["patched_on"], "signs");
    let change = patched["mean_after"]["value"].as_f64().unwrap()
        - patched["mean_before"]["value"].as_f64().unwrap();
    assert!((change - patched["mean_change"]["value"].as_f64().unwrap()).abs() < 1e-9);
    assert!(page.contains("What patching changed"));
    // Before, after and change of the worst group and of the mean.
    assert_eq!(place.n_records_of_patched(), 6);
    // The same command with other data is another run.
    place.write_csv("sheets", |i| (i / 2 + i / 6) % 2);
    place.is_another_run(&arguments, "colours = ");

    // One checkpoint's file under the name of another's is refused.
    let embeddings = place.path("runs/embeddings");
    let entries = std::fs::read_dir(&embeddings).unwrap();
    let files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    let bytes: Vec<Vec<u8>> = files
        .iter()
        .map(|file| std::fs::read(file).unwrap())
        .collect();
    for (file, others) in files.iter().zip(bytes.iter().cycle().skip(1)) {
        std::fs::write(file, others).unwrap();
    }
    let arguments = [&of_model[..], &["--model", "model"]].concat();
    place.fails(&arguments, &["embeddings", "another"]);
}

#[test]
fn bad_groups_are_named() {
    let place = Place::new();
    let check = |task: &str, expected: &[&str]| {
        place.fails(
            &["groups", "--model", "model", "--datasets", task],
            expected,
        );
    };
    check("nothing", &["--datasets", "nothing", "spurious-birds"]);
    check("cifar10", &["cifar10", "[attribute]"]);
    place.write_csv("sheets", |i| (i / 2) % 2);
    place.write_csv("dark", |_| 0);
    let attribute = |column: &str| ATTRIBUTE.replace("place", column);
    place.write_task("missing.toml", "sheets", &attribute("background"));
    check("missing.toml", &["background"]);
    place.write_task("constant.toml", "dark", ATTRIBUTE);
    check("constant.toml", &["place", "0 for all 20 samples"]);
    place.write_task(
        "unknown.toml",
        "sheets",
        &ATTRIBUTE.replace("light", "bright"),
    );
    check("unknown.toml", &["colours, train images", "light"]);
    // Dark red, dark blue and light blue, but no light red.
    place.write_csv("empty", |i| usize::from(i % 4 == 3));
    place.write_task("empty.toml", "empty", ATTRIBUTE);
    check(
        "empty.toml",
        &["colours, train images", "no image of red with place light"],
    );
    // One light red image among those of validation, which are the second twenty.
    place.write_csv("few", |i| {
        usize::from(if i / 20 == 1 {
            i == 22 || i % 4 == 3
        } else {
            (i / 2) % 2 == 1
        })
    });
    place.write_task("few.toml", "few", ATTRIBUTE);
    check(
        "few.toml",
        &[
            "colours, validation images",
            "one image of red with place light",
            "2 or more",
        ],
    );
    place.fails(
        &["groups", "--model", "model", "--seeds", "0"],
        &["--seeds 0"],
    );
    place.fails(
        &["groups", "--model", "model", "--epochs", "0"],
        &["--epochs 0"],
    );
    place.fails(
        &["groups", "--model", "model", "--patched", "nowhere"],
        &["--patched nowhere", "checkpoints"],
    );
}

#[test]
fn only_finished_runs_of_the_same_model_are_compared() {
    let place = Place::new();
    tiny::write_model_of(32, &place.path("texts of other"), &place.path("other"));
    let check = |run: &str, expected: &[&str]| {
        for question in ["groups", "hierarchy"] {
            place.fails(&[question, "--model", "model", "--patched", run], expected);
        }
    };
    place.write_patched("of other", "other");
    check("of other", &["signs", "made from other, not from model"]);
    place.write_patched("patch", "model");
    std::fs::remove_file(place.path("patch/report.html")).unwrap();
    check("patch", &["--patched patch", "not finished"]);
    place.write_patched("patch", "model");
    std::fs::remove_file(place.path("patch/checkpoints/signs/patched/paint.json")).unwrap();
    check("patch", &["signs", "paint.json"]);
}

#[test]
fn hierarchy_tells_confidence_and_re_ranks() {
    let place = Place::new();
    place.write_csv("sheets", |i| i % 2);
    place.write_task("task.toml", "sheets", "");
    let tree = "[colour]\nred = [\"dark red\", \"light red\"]\nblue = []\n";
    std::fs::write(place.path("tree.toml"), tree).unwrap();
    place.write_patched("patch", "model");
    let plain = ["hierarchy", "--model", "model", "--task", "task.toml"];
    let arguments = [
        &plain[..],
        &["--hierarchy", "tree.toml", "--patched", "patch"],
    ]
    .concat();
    let (lines, page) = place.answer(&arguments);
    // The untrained model may be sure of everything; then nothing is re-ranked.
    verdict(
        &lines,
        "hierarchy",
        &["auroc_gain", "auroc_gain_over_prompts"],
    );
    let of = |kind: &str| lines.iter().filter(|line| line["kind"] == kind).count();
    // Four scores; three parts of the hierarchy on two bases.
    assert_eq!((of("score"), of("reranked"), of("patched")), (4, 6, 1));
    assert!(page.contains("<svg") && page.contains("Selective prediction"));
    // Both AUROCs and top-1, before and after.
    assert_eq!(place.n_records_of_patched(), 6);
    std::fs::write(place.path("tree.toml"), "[colour]\nred = []\nblue = []\n").unwrap();
    place.is_another_run(&arguments, "hierarchy_sha256");

    let fails = |tree: &str, expected: &[&str]| {
        place.fails(&[&plain[..], &["--hierarchy", tree]].concat(), expected);
    };
    std::fs::write(place.path("others.toml"), "[animal]\ncat = []\n").unwrap();
    fails("others.toml", &["--hierarchy others.toml", "none of the"]);
    std::fs::write(place.path("twice.toml"), "[a]\ncat = []\n[b]\ncat = []\n").unwrap();
    fails("twice.toml", &["cat", "twice"]);
    fails("nowhere.toml", &["nowhere.toml"]);
    let wordnet = place.path("wordnet");
    std::fs::create_dir(&wordnet).unwrap();
    fails("wordnet", &["data.noun"]);
    // Two synsets that are kinds of each other.
    let synset = |this: &str, name: &str, other: &str| {
        format!("{this} 03 n 01 {name} 0 001 @ {other} n 0000 | a gloss\n")
    };
    let data = synset("00000001", "one", "00000002") + &synset("00000002", "two", "00000001");
    std::fs::write(wordnet.join("data.noun"), data).unwrap();
    std::fs::write(wordnet.join("index.noun"), "one n 1 0 1 0 00000001\n").unwrap();
    fails("wordnet", &["cycle"]);
}
