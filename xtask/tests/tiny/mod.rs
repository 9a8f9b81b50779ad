//! A question that takes a second: an untrained model, tasks of a few drawn images, a suite.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use candle_core::Device;
use paint_clip::{ClipConfig, Provenance, TextConfig, VisionConfig, WeightDtype, init, save};
use paint_data::Rng;
use paint_world::Sizes;

const SUITE: &str = r#"
name = "tiny"
supported = ["shapes"]
patching = ["digits", "signs"]

[fine_tune]
steps = 40
batch = 8
micro_batch = 4
learning_rate = 3e-3
save_every = 2
"#;

/// What `xtask rq1` is asked: the files of the question, and the place of its data and caches.
pub(crate) struct Question {
    pub(crate) suite: PathBuf,
    pub(crate) model: PathBuf,
    /// `PAINT_RUNS`.
    pub(crate) runs: PathBuf,
}

impl Question {
    /// Writes suite and model to `directory`, and the tasks' images to where the runner draws
    /// them, fewer than it would draw.
    pub(crate) fn write(directory: &Path, runs: &Path) -> Self {
        let question = Self {
            suite: directory.join("suite.toml"),
            model: directory.join("model"),
            runs: runs.to_owned(),
        };
        std::fs::write(&question.suite, SUITE).unwrap();
        write_model(&directory.join("texts"), &question.model);
        draw_world(runs);
        question
    }

    /// The same question with its data, caches and trained weights in another place.
    pub(crate) fn elsewhere(&self, runs: &Path) -> Self {
        draw_world(runs);
        Self {
            suite: self.suite.clone(),
            model: self.model.clone(),
            runs: runs.to_owned(),
        }
    }

    /// `xtask rq1` with its run in `out`.
    pub(crate) fn ask(&self, out: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(["rq1", "--json", "--suite"]).arg(&self.suite);
        command.arg("--model").arg(&self.model);
        command.arg("--out").arg(out);
        command.env("PAINT_RUNS", &self.runs);
        command
    }
}

fn draw_world(runs: &Path) {
    let world = runs.join(format!("world-{}", paint_world::VERSION));
    let sizes = Sizes {
        train: 24,
        validation: 20,
        test: 20,
    };
    for task in ["shapes", "digits", "signs"] {
        paint_world::write_task(task, &world, sizes, &|_| {}).unwrap();
    }
}

/// Writes an untrained model, and its tokenizer to `texts`.
pub(crate) fn write_model(texts: &Path, model: &Path) {
    write_model_of(16, texts, model);
}

/// As [`write_model`], with an image side of another width.
pub(crate) fn write_model_of(width: usize, texts: &Path, model: &Path) {
    paint_world::write_tokenizer(texts, 48).unwrap();
    let end = paint_world::VOCABULARY_SIZE as u32 - 1;
    let config = ClipConfig {
        vision: VisionConfig {
            image_size: 48,
            patch_size: 16,
            hidden_size: width,
            intermediate_size: 2 * width,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            ..Default::default()
        },
        text: TextConfig {
            vocab_size: paint_world::VOCABULARY_SIZE,
            max_position_embeddings: paint_world::CONTEXT_LENGTH,
            hidden_size: 16,
            intermediate_size: 32,
            num_hidden_layers: 1,
            num_attention_heads: 2,
            bos_token_id: end - 1,
            eos_token_id: end,
            pad_token_id: end,
            ..Default::default()
        },
        projection_dim: 16,
        ..Default::default()
    };
    let rng = &mut Rng::new(1);
    let tensors = init(&config, &mut || rng.normal(), &Device::Cpu).unwrap();
    save(
        model,
        &config,
        &tensors,
        WeightDtype::F32,
        Some(texts),
        &Provenance::default(),
    )
    .unwrap();
}

/// The files below `directory` by their path in it. What a process was writing when it died lies
/// under a name with a dot in front, is no part of a run, and is left out.
pub(crate) fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let Ok(entries) = std::fs::read_dir(directory) else {
        return found;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        let name = PathBuf::from(path.file_name().unwrap());
        if name.to_str().unwrap().starts_with('.') {
            continue;
        }
        if path.is_dir() {
            let below = files(&path).into_iter();
            found.extend(below.map(|(inner, bytes)| (name.join(inner), bytes)));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            found.insert(name, bytes);
        }
    }
    found
}

/// Says of two runs of one question that they are the same, file by file; a report tells its
/// directory and its wall time, so that of it only the end is compared.
pub(crate) fn assert_same_run(one: &Path, other: &Path) {
    let (one, other) = (files(one), files(other));
    let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&one), names(&other));
    for (name, bytes) in &one {
        if name == Path::new("report.html") {
            assert!(other[name].trim_ascii_end().ends_with(b"</html>"));
        } else {
            assert!(*bytes == other[name], "{} differs", name.display());
        }
    }
}
