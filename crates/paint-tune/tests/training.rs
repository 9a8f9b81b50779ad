//! Training on a tiny model and drawn images: it learns, it changes what it should, it
//! continues exactly, and it refuses what does not fit.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use candle_core::Device;
use image::RgbImage;
use paint_clip::{
    Clip, ClipConfig, Preprocessor, Tensors, TextConfig, Tokenizer, VisionConfig, ZeroShotHead,
    image_tensor_names, init,
};
use paint_data::{
    Dataset, Features, Hub, PixelTable, PixelTransform, Rng, Row, SkipPolicy, SplitName, Target,
    Task, TaskSource, write_parquet,
};
use paint_tune::{
    Corpus, Error, FineTuneConfig, FineTuneInput, PretrainConfig, PretrainInput, fine_tune,
    pretrain,
};

const SIDE: usize = 16;
const COLOURS: [(&str, [u8; 3]); 3] = [
    ("red", [220, 30, 30]),
    ("green", [30, 200, 40]),
    ("blue", [40, 60, 230]),
];

struct World {
    config: ClipConfig,
    tokenizer: Tokenizer,
    preprocessor: Preprocessor,
    images: PixelTable,
    tensors: Tensors,
    _directory: tempfile::TempDir,
}

struct AsTheyAre<'a>(&'a Preprocessor);

impl PixelTransform for AsTheyAre<'_> {
    fn key(&self) -> String {
        self.0.key()
    }
    fn height(&self) -> usize {
        SIDE
    }
    fn width(&self) -> usize {
        SIDE
    }
    fn apply(&self, image: &RgbImage) -> Vec<u8> {
        self.0.resize_crop(image)
    }
}

/// 24 noisy images of three colours and a tiny model.
fn world() -> World {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let rng = &mut Rng::new(5);
    let rows = (0..24u32).map(|i| {
        let colour = COLOURS[i as usize % 3].1;
        let image = RgbImage::from_fn(SIDE as u32, SIDE as u32, |_, _| {
            image::Rgb(
                colour.map(|c| (f32::from(c) + rng.range(-30.0, 30.0)).clamp(0.0, 255.0) as u8),
            )
        });
        let mut bytes = std::io::Cursor::new(Vec::new());
        image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        Row {
            image: bytes.into_inner(),
            file_name: None,
            target: Target::Label(i % 3),
        }
    });
    let names: Vec<String> = COLOURS.map(|(name, _)| name.to_owned()).into();
    let parquet = path.join("data/train-00000-of-00001.parquet");
    write_parquet(&parquet, Features::Labelled(names.clone()), rows).unwrap();
    let source = TaskSource::Parquet(path.join("data"));
    let mut task = Task::new("colours", names, vec!["a {} image".to_owned()], source).unwrap();
    task.files.train = Some("train-*.parquet".to_owned());
    let dataset =
        Dataset::open(&task, SplitName::Train, &Hub::Directory(path.to_owned()), 0).unwrap();

    let config = ClipConfig {
        vision: VisionConfig {
            image_size: SIDE,
            patch_size: 8,
            hidden_size: 16,
            intermediate_size: 32,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            ..Default::default()
        },
        text: TextConfig {
            vocab_size: 8,
            hidden_size: 16,
            intermediate_size: 32,
            num_hidden_layers: 1,
            num_attention_heads: 2,
            max_position_embeddings: 8,
            eos_token_id: 7,
            ..Default::default()
        },
        projection_dim: 12,
        ..Default::default()
    };
    write_tokenizer(path, &config);
    let tokenizer = Tokenizer::load(path).unwrap();
    let preprocessor = Preprocessor::load(path).unwrap();
    let images = PixelTable::build(
        &dataset,
        &AsTheyAre(&preprocessor),
        &path.join("cache"),
        SkipPolicy::default(),
        &|_| {},
    )
    .unwrap();
    let rng = &mut Rng::new(1);
    let tensors = init(&config, &mut || rng.normal(), &Device::Cpu).unwrap();
    World {
        config,
        tokenizer,
        preprocessor,
        images,
        tensors,
        _directory: directory,
    }
}

/// One token a word.
fn write_tokenizer(dir: &Path, config: &ClipConfig) {
    let tokenizer = serde_json::json!({
        "version": "1.0",
        "added_tokens": [],
        "normalizer": { "type": "Lowercase" },
        "pre_tokenizer": { "type": "Whitespace" },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [
                { "SpecialToken": { "id": "<s>", "type_id": 0 } },
                { "Sequence": { "id": "A", "type_id": 0 } },
                { "SpecialToken": { "id": "</s>", "type_id": 0 } },
            ],
            "pair": [{ "Sequence": { "id": "A", "type_id": 0 } }],
            "special_tokens": {
                "<s>": { "id": "<s>", "ids": [6], "tokens": ["<s>"] },
                "</s>": { "id": "</s>", "ids": [7], "tokens": ["</s>"] },
            },
        },
        "model": {
            "type": "WordLevel",
            "vocab": {
                "a": 0, "red": 1, "green": 2, "blue": 3, "image": 4, "?": 5, "<s>": 6, "</s>": 7,
            },
            "unk_token": "?",
        },
    });
    let preprocessor = serde_json::json!({ "size": SIDE, "crop_size": SIDE });
    std::fs::write(dir.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    std::fs::write(
        dir.join("preprocessor_config.json"),
        preprocessor.to_string(),
    )
    .unwrap();
    std::fs::write(dir.join("config.json"), config.to_json()).unwrap();
}

impl World {
    fn head(&self) -> ZeroShotHead {
        let clip = Clip::from_tensors(&self.config, &self.tensors).unwrap();
        let names = COLOURS.map(|(name, _)| name.to_owned());
        ZeroShotHead::build(&clip, &self.tokenizer, &names, &["a {} image".to_owned()]).unwrap()
    }

    fn fine_tune(
        &self,
        config: &FineTuneConfig,
        state: &Path,
        mut each: impl FnMut(u64, f64),
    ) -> Result<Tensors, Error> {
        let input = FineTuneInput {
            config: &self.config,
            zero_shot: &self.tensors,
            head: &self.head(),
            images: &self.images,
            preprocessor: &self.preprocessor,
        };
        fine_tune(input, config, state, &mut |p| each(p.step, p.loss))
    }

    fn pretrain(&self, config: &PretrainConfig, state: &Path) -> (Tensors, Vec<f64>) {
        let captions: Vec<&str> = self
            .images
            .labels()
            .iter()
            .map(|&label| ["a red image", "a green image", "a blue image"][label as usize])
            .collect();
        let corpora = [Corpus {
            images: &self.images,
            captions,
        }];
        let input = PretrainInput {
            config: &self.config,
            tokenizer: &self.tokenizer,
            preprocessor: &self.preprocessor,
            corpora: &corpora,
        };
        let mut losses = Vec::new();
        let tensors = pretrain(&input, config, state, &mut |p| losses.push(p.loss)).unwrap();
        (tensors, losses)
    }
}

fn bits(tensors: &Tensors) -> Vec<(String, Vec<u32>)> {
    let bits = |t: &candle_core::Tensor| -> Vec<u32> {
        let values = t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        values.into_iter().map(f32::to_bits).collect()
    };
    tensors
        .iter()
        .map(|(name, tensor)| (name.clone(), bits(tensor)))
        .collect()
}

fn short() -> FineTuneConfig {
    FineTuneConfig {
        steps: 8,
        batch: 6,
        learning_rate: 3e-3,
        save_every: 3,
        ..Default::default()
    }
}

#[test]
fn fine_tuning_learns_and_changes_the_image_side_alone() {
    let world = world();
    let directory = tempfile::tempdir().unwrap();
    let before = bits(&world.tensors);
    let config = FineTuneConfig {
        steps: 60,
        ..short()
    };
    let mut losses = Vec::new();
    let tuned = world
        .fine_tune(&config, &directory.path().join("state"), |_, loss| {
            losses.push(loss)
        })
        .unwrap();
    assert!(
        losses[59] < 0.5 * losses[0],
        "{} then {}",
        losses[0],
        losses[59]
    );
    assert_eq!(
        bits(&world.tensors),
        before,
        "the zero-shot weights must stay as they are"
    );
    let learns = image_tensor_names(&world.config);
    for ((name, new), (_, old)) in bits(&tuned).iter().zip(&before) {
        assert_eq!(new != old, learns.contains(name), "{name}");
    }
}

#[test]
fn a_run_that_continues_ends_with_the_same_bytes() {
    let world = world();
    let directory = tempfile::tempdir().unwrap();
    let whole = world
        .fine_tune(&short(), &directory.path().join("whole"), |_, _| {})
        .unwrap();
    // The state after step 6, as a process killed in step 8 leaves it.
    let state = directory.path().join("cut");
    let copy = directory.path().join("copy");
    world
        .fine_tune(&short(), &state, |step, _| {
            if step == 7 {
                std::fs::copy(&state, &copy).unwrap();
            }
        })
        .unwrap();
    let mut steps = Vec::new();
    let continued = world
        .fine_tune(&short(), &copy, |step, _| steps.push(step))
        .unwrap();
    assert_eq!(steps, [7, 8]);
    assert_eq!(bits(&continued), bits(&whole));
    let mut more = 0;
    let again = world.fine_tune(&short(), &copy, |_, _| more += 1).unwrap();
    assert_eq!((more, bits(&again)), (0, bits(&whole)));
}

#[test]
fn parts_of_a_batch_add_up_to_the_batch() {
    let world = world();
    let directory = tempfile::tempdir().unwrap();
    let whole = world
        .fine_tune(&short(), &directory.path().join("a"), |_, _| {})
        .unwrap();
    let config = FineTuneConfig {
        micro_batch: 4,
        ..short()
    };
    let parts = world
        .fine_tune(&config, &directory.path().join("b"), |_, _| {})
        .unwrap();
    for (name, whole) in &whole {
        let difference = (whole - &parts[name])
            .unwrap()
            .abs()
            .unwrap()
            .flatten_all()
            .unwrap();
        let largest = difference.max(0).unwrap().to_scalar::<f32>().unwrap();
        assert!(largest < 2e-4, "{name}: {largest}");
    }
}

#[test]
fn another_runs_state_and_a_damaged_one_are_refused() {
    let world = world();
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    world.fine_tune(&short(), &state, |_, _| {}).unwrap();
    let other = FineTuneConfig {
        learning_rate: 1e-3,
        ..short()
    };
    let error = world.fine_tune(&other, &state, |_, _| {}).unwrap_err();
    assert!(matches!(error, Error::ForeignState { .. }), "{error}");
    let bytes = std::fs::read(&state).unwrap();
    for cut in [0, 5, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&state, &bytes[..cut]).unwrap();
        let error = world.fine_tune(&short(), &state, |_, _| {}).unwrap_err();
        assert!(
            matches!(error, Error::DamagedState { .. }),
            "{cut} bytes: {error}"
        );
    }
}

#[test]
fn hyperparameters_out_of_range_are_named() {
    let world = world();
    let check = |config: FineTuneConfig, key: &str| {
        let error = world
            .fine_tune(&config, Path::new("unused"), |_, _| {})
            .unwrap_err();
        assert!(error.to_string().contains(key), "{error}");
    };
    check(
        FineTuneConfig {
            steps: 0,
            ..short()
        },
        "steps",
    );
    check(
        FineTuneConfig {
            micro_batch: 0,
            ..short()
        },
        "micro_batch",
    );
    check(
        FineTuneConfig {
            batch: 0,
            ..short()
        },
        "batch",
    );
    check(
        FineTuneConfig {
            learning_rate: f64::NAN,
            ..short()
        },
        "learning_rate",
    );
    check(
        FineTuneConfig {
            warmup: 1.0,
            ..short()
        },
        "warmup",
    );
    check(
        FineTuneConfig {
            label_smoothing: -0.1,
            ..short()
        },
        "label_smoothing",
    );
}

#[test]
fn a_learning_rate_that_diverges_is_an_error() {
    let world = world();
    let directory = tempfile::tempdir().unwrap();
    let config = FineTuneConfig {
        learning_rate: 1e30,
        steps: 20,
        ..short()
    };
    let error = world
        .fine_tune(&config, &directory.path().join("state"), |_, _| {})
        .unwrap_err();
    assert!(matches!(error, Error::NotFinite { .. }), "{error}");
}

#[test]
fn pretraining_learns_every_tensor_and_repeats_exactly() {
    let world = world();
    let directory = tempfile::tempdir().unwrap();
    let config = PretrainConfig {
        steps: 40,
        batch: 8,
        learning_rate: 3e-3,
        save_every: 15,
        ..Default::default()
    };
    let (tensors, losses) = world.pretrain(&config, &directory.path().join("a"));
    assert!(
        losses[39] < 0.7 * losses[0],
        "{} then {}",
        losses[0],
        losses[39]
    );
    let rng = &mut Rng::derive(config.seed, &[3]);
    let first = init(&world.config, &mut || rng.normal(), &Device::Cpu).unwrap();
    for ((name, now), (_, then)) in bits(&tensors).iter().zip(bits(&first)) {
        assert_ne!(*now, then, "{name} did not learn");
    }
    let (again, _) = world.pretrain(&config, &directory.path().join("b"));
    assert_eq!(bits(&again), bits(&tensors));
}
