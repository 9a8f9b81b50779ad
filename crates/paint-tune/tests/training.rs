//! Training on a tiny model and drawn images: it learns, it changes what it should, it
//! continues exactly, and it refuses what does not fit.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod tiny;

use std::path::Path;

use candle_core::Device;
use image::RgbImage;
use paint_clip::{
    Clip, ClipConfig, Preprocessor, Tensors, Tokenizer, ZeroShotHead, image_tensor_names, init,
};
use paint_data::{
    Asked, Dataset, Features, Hub, PixelTable, PixelTransform, Rng, Row, SkipPolicy, SplitName,
    Target, Task, TaskSource, write_parquet,
};
use paint_tune::{
    Augment, Corpus, Error, FineTuneConfig, FineTuneInput, PretrainConfig, PretrainInput,
    TrainingSet, fine_tune, pretrain,
};
use tiny::SIDE;

const MEAN: [f64; 3] = [0.5, 0.4, 0.3];
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
    let dataset = Dataset::open(&task, SplitName::Train, &Hub::Directory(path.to_owned())).unwrap();

    let config = tiny::config();
    tiny::write_files(path, tiny::WORDS, MEAN);
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

impl World {
    fn head(&self) -> ZeroShotHead {
        self.head_of("a {} image")
    }

    fn head_of(&self, template: &str) -> ZeroShotHead {
        let clip = Clip::from_tensors(&self.config, &self.tensors).unwrap();
        let names = COLOURS.map(|(name, _)| name.to_owned());
        ZeroShotHead::build(&clip, &self.tokenizer, &names, &[template.to_owned()]).unwrap()
    }

    fn fine_tune(
        &self,
        config: &FineTuneConfig,
        state: &Path,
        each: impl FnMut(u64, f64),
    ) -> Result<Tensors, Error> {
        self.fine_tune_on(&[&self.head()], None, config, state, each)
    }

    /// Learns the same images under several heads.
    fn fine_tune_on(
        &self,
        heads: &[&ZeroShotHead],
        asked: Option<&Asked<'_>>,
        config: &FineTuneConfig,
        state: &Path,
        mut each: impl FnMut(u64, f64),
    ) -> Result<Tensors, Error> {
        let images = &self.images;
        let tasks: Vec<TrainingSet<'_>> = heads
            .iter()
            .map(|head| TrainingSet {
                head,
                images,
                asked,
            })
            .collect();
        let input = FineTuneInput {
            config: &self.config,
            theta: &self.tensors,
            tasks: &tasks,
            preprocessor: &self.preprocessor,
        };
        fine_tune(input, config, state, &mut |p| each(p.step, p.loss))
    }

    fn pretrain(
        &self,
        config: &PretrainConfig,
        state: &Path,
    ) -> Result<(Tensors, Vec<f64>), Error> {
        self.pretrain_from(None, config, state)
    }

    fn pretrain_from(
        &self,
        start: Option<&Tensors>,
        config: &PretrainConfig,
        state: &Path,
    ) -> Result<(Tensors, Vec<f64>), Error> {
        let captions: Vec<&str> = self
            .images
            .labels()
            .iter()
            .map(|&label| ["a red image", "a green image", "a blue image"][label as usize])
            .collect();
        let corpora = [Corpus {
            images: &self.images,
            captions,
            augment: None,
        }];
        let input = PretrainInput {
            config: &self.config,
            tokenizer: &self.tokenizer,
            preprocessor: &self.preprocessor,
            corpora: &corpora,
            start,
        };
        let mut losses = Vec::new();
        let tensors = pretrain(&input, config, state, &mut |p| losses.push(p.loss))?;
        Ok((tensors, losses))
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
    // Without decay, which alone would change every matrix.
    let config = FineTuneConfig {
        steps: 60,
        weight_decay: 0.0,
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
        let learns = learns.contains(name) && !is_without_effect(name, &world.config);
        assert_eq!(new != old, learns, "{name}");
    }
}

/// A bias of keys adds the same to all scores of a head, which softmax does not see; the last layer
/// of a tower leaves it out, and its gradient is zero.
fn is_without_effect(name: &str, config: &ClipConfig) -> bool {
    let last = |tower: &str, n_layers: usize| {
        let last = n_layers - 1;
        name == format!("{tower}.encoder.layers.{last}.self_attn.k_proj.bias")
    };
    last("vision_model", config.vision.num_hidden_layers)
        || last("text_model", config.text.num_hidden_layers)
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
fn jointly_every_image_is_judged_by_its_own_tasks_head() {
    let directory = tempfile::tempdir().unwrap();
    let world = world();
    let heads = [world.head(), world.head_of("{}")];
    let of = |heads: &[&ZeroShotHead], batch, name: &str| {
        let config = FineTuneConfig {
            steps: 1,
            batch,
            // One part then holds images of both tasks.
            micro_batch: 3,
            augment: Augment {
                min_area: 1.0,
                mirror: false,
            },
            ..short()
        };
        let mut first = 0.0;
        let state = directory.path().join(name);
        world
            .fine_tune_on(heads, None, &config, &state, |_, loss| first = loss)
            .unwrap();
        first
    };
    let alone = [of(&[&heads[0]], 4, "one"), of(&[&heads[1]], 4, "other")];
    assert!((alone[0] - alone[1]).abs() > 1e-3, "{alone:?}");
    let jointly = of(&[&heads[0], &heads[1]], 8, "both");
    let mean = (alone[0] + alone[1]) / 2.0;
    assert!((jointly - mean).abs() < 1e-5, "{jointly} {alone:?}");
}

#[test]
fn every_image_may_have_candidates_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let world = world();
    let labels = world.images.labels().to_vec();
    // All classes in the order of the head are the ordinary task; swapped with their answers, too.
    let of = |candidates: [u32; 3], steps, name: &str| {
        let at = |label: &u32| candidates.iter().position(|c| c == label).unwrap() as u32;
        let asked = Asked {
            candidates: vec![&candidates; labels.len()],
            answers: labels.iter().map(at).collect(),
            kinds: vec!["colour"; labels.len()],
        };
        let config = FineTuneConfig { steps, ..short() };
        let (head, state) = (world.head(), directory.path().join(name));
        let mut losses = Vec::new();
        world
            .fine_tune_on(&[&head], Some(&asked), &config, &state, |_, loss| {
                losses.push(loss)
            })
            .unwrap();
        losses
    };
    let mut plain = Vec::new();
    let state = directory.path().join("plain");
    world
        .fine_tune(&short(), &state, |_, loss| plain.push(loss))
        .unwrap();
    for (candidates, name) in [([0, 1, 2], "same"), ([2, 0, 1], "swapped")] {
        let found = of(candidates, short().steps, name);
        for (found, expected) in found.iter().zip(&plain) {
            assert!((found - expected).abs() < 1e-4, "{found} {expected}");
        }
    }
    let refused = |asked: Asked<'_>, expected: &str| {
        let (head, state) = (world.head(), directory.path().join("refused"));
        let error = world
            .fine_tune_on(&[&head], Some(&asked), &short(), &state, |_, _| {})
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{error}");
    };
    let n = labels.len();
    let asked = |candidates: &'static [u32], n, answer| Asked {
        candidates: vec![candidates; n],
        answers: vec![answer; n],
        kinds: vec!["colour"; n],
    };
    let lists = format!("{} lists of candidates", n - 1);
    refused(asked(&[0, 1], n - 1, 0), &lists);
    refused(asked(&[0, 3], n, 0), "candidates [0, 3] with answer 0");
    refused(asked(&[0, 1], n, 2), "candidates [0, 1] with answer 2");
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
    let named = |checked: Result<(), Error>, name: &str| match checked {
        Err(Error::Config { key, .. }) => assert_eq!(key, name),
        other => panic!("{name} is out of range: {other:?}"),
    };
    macro_rules! refuses {
        ($config:ident { $($key:ident: $($value:expr),+;)+ }) => {{
            $config::default().check().unwrap();
            $($(
                let config = $config { $key: $value, ..Default::default() };
                named(config.check(), stringify!($key));
            )+)+
        }};
    }
    refuses!(FineTuneConfig {
        steps: 0;
        batch: 0;
        micro_batch: 0;
        save_every: 0;
        learning_rate: 0.0, -1e-3, f64::NAN, f64::INFINITY;
        clip_norm: 0.0, f64::NAN;
        warmup: 1.0, -0.1, f64::NAN;
        weight_decay: 1.0, -0.1;
        label_smoothing: 1.0, -0.1;
    });
    refuses!(PretrainConfig {
        steps: 0;
        batch: 0, 1;
        album: 0;
        micro_batch: 0;
        save_every: 0;
        learning_rate: 0.0, -1e-3, f64::NAN, f64::INFINITY;
        clip_norm: 0.0, f64::NAN;
        warmup: 1.0, -0.1, f64::NAN;
        weight_decay: 1.0, -0.1;
        patches: 0.0, 1.1, f64::NAN;
        muon_learning_rate: 0.0, -1e-3, f64::INFINITY;
    });
    for min_area in [0.0, 1.1, f32::NAN] {
        let augment = Augment {
            min_area,
            mirror: false,
        };
        let fine_tune = FineTuneConfig {
            augment,
            ..Default::default()
        };
        named(fine_tune.check(), "min_area");
        let pretrain = PretrainConfig {
            augment,
            ..Default::default()
        };
        named(pretrain.check(), "min_area");
    }
    // And training asks first.
    let config = FineTuneConfig {
        steps: 0,
        ..short()
    };
    let started = world().fine_tune(&config, Path::new("unused"), |_, _| {});
    named(started.map(|_| ()), "steps");
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
    // Without decay, which alone would change every matrix.
    let config = PretrainConfig {
        steps: 40,
        batch: 8,
        learning_rate: 3e-3,
        weight_decay: 0.0,
        save_every: 15,
        ..Default::default()
    };
    let run = |name| {
        world
            .pretrain(&config, &directory.path().join(name))
            .unwrap()
    };
    let (tensors, losses) = run("a");
    assert!(
        losses[39] < 0.7 * losses[0],
        "{} then {}",
        losses[0],
        losses[39]
    );
    let rng = &mut Rng::derive(config.seed, &[3]);
    let first = init(&world.config, &mut || rng.normal(), &Device::Cpu).unwrap();
    for ((name, now), (_, then)) in bits(&tensors).iter().zip(bits(&first)) {
        let learns = !is_without_effect(name, &world.config);
        assert_eq!(*now != then, learns, "{name}");
    }
    let (again, _) = run("b");
    assert_eq!(bits(&again), bits(&tensors));
}

#[test]
fn a_further_stage_begins_where_the_first_ended() {
    let world = world();
    let directory = tempfile::tempdir().unwrap();
    let config = PretrainConfig {
        steps: 20,
        batch: 8,
        learning_rate: 3e-3,
        weight_decay: 0.0,
        ..Default::default()
    };
    let at = |name| directory.path().join(name);
    let (first, losses) = world.pretrain(&config, &at("first")).unwrap();
    let (further, more) = world
        .pretrain_from(Some(&first), &config, &at("then"))
        .unwrap();
    assert!(more[0] < 0.9 * losses[0], "{} then {}", losses[0], more[0]);
    assert_ne!(bits(&further), bits(&first));
    // With other weights it is another run.
    let error = world
        .pretrain_from(Some(&further), &config, &at("then"))
        .unwrap_err();
    assert!(matches!(error, Error::ForeignState { .. }), "{error}");
}

#[test]
fn pretraining_is_continued_only_with_its_own_pixels_and_tokens() {
    let mut world = world();
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let config = PretrainConfig {
        steps: 2,
        batch: 4,
        ..Default::default()
    };
    world.pretrain(&config, &state).unwrap();
    // The same images in the same cache, seen in another light.
    tiny::write_files(directory.path(), tiny::WORDS, [0.5, 0.4, 0.2]);
    let darker = Preprocessor::load(directory.path()).unwrap();
    let preprocessor = std::mem::replace(&mut world.preprocessor, darker);
    let error = world.pretrain(&config, &state).unwrap_err();
    assert!(matches!(error, Error::ForeignState { .. }), "{error}");
    world.preprocessor = preprocessor;
    // The same captions in other ids.
    let swapped = ["a", "green", "red", "blue", "image", "?"];
    tiny::write_files(directory.path(), swapped, MEAN);
    let other = Tokenizer::load(directory.path()).unwrap();
    let tokenizer = std::mem::replace(&mut world.tokenizer, other);
    let error = world.pretrain(&config, &state).unwrap_err();
    assert!(matches!(error, Error::ForeignState { .. }), "{error}");
    world.tokenizer = tokenizer;
    let (_, more) = world.pretrain(&config, &state).unwrap();
    assert_eq!(more, [0.0; 0], "the run was finished");
}
