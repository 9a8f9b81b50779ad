//! Patching from drawn images to a checkpoint on disk, by the public interfaces of the crates
//! alone: what a program of one's own does that has no `xtask`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use candle_core::{Device, Tensor};
use paint_clip::{
    Clip, ClipConfig, Preprocessor, Provenance, Tensors, TextConfig, Tokenizer, VisionConfig,
    WeightDtype, ZeroShotHead, image_tensor_names, init, load_tensors, save,
};
use paint_data::{Dataset, Hub, PixelTable, Rng, SkipPolicy, SplitName, Task};
use paint_eval::{Predictions, SeenBy, predict};
use paint_mix::{
    Candidate, Options, Rule, ValidationAccuracy, choose, interpolate, interpolate_values,
};
use paint_tune::{Augment, FineTuneConfig, FineTuneInput, TrainingSet, fine_tune};
use paint_world::Sizes;

const SIZES: Sizes = Sizes {
    train: 80,
    validation: 40,
    test: 40,
};

/// The untrained model in a checkpoint directory.
struct Model {
    config: ClipConfig,
    tensors: Tensors,
    tokenizer: Tokenizer,
    preprocessor: Preprocessor,
}

impl Model {
    fn load(dir: &Path) -> Self {
        Self {
            config: ClipConfig::load(dir).unwrap(),
            tensors: load_tensors(dir, &Device::Cpu).unwrap(),
            tokenizer: Tokenizer::load(dir).unwrap(),
            preprocessor: Preprocessor::load(dir).unwrap(),
        }
    }

    fn head(&self, task: &Task) -> ZeroShotHead {
        let clip = Clip::from_tensors(&self.config, &self.tensors).unwrap();
        ZeroShotHead::build(&clip, &self.tokenizer, &task.class_names, &task.templates).unwrap()
    }
}

fn write_model(texts: &Path, dir: &Path) {
    paint_world::write_tokenizer(texts, 48).unwrap();
    let end = paint_world::VOCABULARY_SIZE as u32 - 1;
    let config = ClipConfig {
        vision: VisionConfig {
            image_size: 48,
            patch_size: 16,
            hidden_size: 32,
            intermediate_size: 64,
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
        projection_dim: 32,
        ..Default::default()
    };
    let rng = &mut Rng::new(3);
    let tensors = init(&config, &mut || rng.normal(), &Device::Cpu).unwrap();
    write(dir, &config, &tensors, texts);
}

fn write(dir: &Path, config: &ClipConfig, tensors: &Tensors, source: &Path) {
    let provenance = Provenance::default();
    save(
        dir,
        config,
        tensors,
        WeightDtype::F32,
        Some(source),
        &provenance,
    )
    .unwrap();
}

/// One task of the world: drawn, written as Parquet, read back.
struct Images {
    task: Task,
    train: PixelTable,
    validation: PixelTable,
    test: PixelTable,
}

fn images(name: &str, root: &Path, preprocessor: &Preprocessor) -> Images {
    paint_world::write_task(name, root, SIZES, &|_| {}).unwrap();
    let known = paint_world::tasks().into_iter().map(|world| world.task);
    let task = known.into_iter().find(|task| task.name == name).unwrap();
    let hub = Hub::Directory(root.to_owned());
    let table = |split| {
        let dataset = Dataset::open(&task, split, &hub).unwrap();
        let (transform, cache) = (SeenBy(preprocessor), root.join("cache"));
        PixelTable::build(&dataset, &transform, &cache, SkipPolicy::default(), &|_| {}).unwrap()
    };
    Images {
        train: table(SplitName::Train),
        validation: table(SplitName::Validation),
        test: table(SplitName::Test),
        task,
    }
}

fn mixed(zero_shot: &Tensors, fine_tuned: &Tensors, alpha: f64) -> Tensors {
    let values = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let mix = |(name, from): (&String, &Tensor)| {
        let mut theta = vec![0.0; from.elem_count()];
        let (zero_shot, fine_tuned) = (values(from), values(&fine_tuned[name]));
        interpolate_values(&zero_shot, &fine_tuned, alpha, &mut theta).unwrap();
        let theta = Tensor::from_vec(theta, from.shape(), &Device::Cpu).unwrap();
        (name.clone(), theta)
    };
    zero_shot.iter().map(mix).collect()
}

#[test]
fn a_patched_checkpoint_is_chosen_on_validation_and_is_what_was_measured() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    write_model(&at("texts"), &at("zero_shot"));
    let model = Model::load(&at("zero_shot"));
    let patching = images("land-use", directory.path(), &model.preprocessor);
    let supported = images("shapes", directory.path(), &model.preprocessor);
    let heads = [model.head(&patching.task), model.head(&supported.task)];

    let input = FineTuneInput {
        config: &model.config,
        theta: &model.tensors,
        tasks: &[TrainingSet {
            head: &heads[0],
            images: &patching.train,
            asked: None,
        }],
        preprocessor: &model.preprocessor,
    };
    let config = FineTuneConfig {
        steps: 60,
        batch: 16,
        micro_batch: 8,
        learning_rate: 3e-3,
        augment: Augment {
            min_area: 1.0,
            mirror: true,
        },
        ..Default::default()
    };
    let fine_tuned = fine_tune(input, &config, &at("state"), &mut |_| {}).unwrap();
    write(
        &at("fine_tuned"),
        &model.config,
        &fine_tuned,
        &at("zero_shot"),
    );

    let answers = |tensors: &Tensors, head: &ZeroShotHead, pixels: &PixelTable| -> Predictions {
        let clip = Clip::from_tensors(&model.config, tensors).unwrap();
        predict(&clip, &model.preprocessor, head, pixels, 16, &|_| {}).unwrap()
    };
    // Validation chooses.
    let candidate = |alpha: f64| {
        let theta = mixed(&model.tensors, &fine_tuned, alpha);
        let on = |head, pixels| {
            let accuracy = answers(&theta, head, pixels).accuracy().value;
            ValidationAccuracy::new(accuracy).unwrap()
        };
        Candidate {
            alpha,
            patch: on(&heads[0], &patching.validation),
            supported: vec![on(&heads[1], &supported.validation)],
            drop_margin: 0.0,
        }
    };
    let candidates: Vec<Candidate> = [0.0, 0.25, 0.5, 0.75, 1.0].map(candidate).into();
    let choice = choose(&candidates, Rule::BestPatch { max_drop: 1.0 }).unwrap();
    let chosen = candidates.iter().find(|c| c.alpha == choice.alpha).unwrap();
    assert!(
        candidates.iter().all(|c| c.patch <= chosen.patch),
        "{candidates:?}: {choice:?}"
    );
    assert!(
        chosen.patch.get() >= candidates[0].patch.get() + 0.2,
        "{candidates:?}: nothing was learnt"
    );

    // The streamed mix of the two files, read back, is the mix in memory that was measured.
    let theta = |alpha: f64| {
        let dir = at(&format!("mixed-{alpha}"));
        write(&dir, &model.config, &model.tensors, &at("zero_shot"));
        let weights = |of: &str| at(of).join("model.safetensors");
        let out = dir.join("model.safetensors");
        let options = Options::default();
        let (zero_shot, fine_tuned) = (weights("zero_shot"), weights("fine_tuned"));
        interpolate(&zero_shot, &fine_tuned, alpha, &out, &options).unwrap();
        dir
    };
    let bytes = |dir: &Path| std::fs::read(dir.join("model.safetensors")).unwrap();
    assert!(bytes(&theta(0.0)) == bytes(&at("zero_shot")));
    assert!(bytes(&theta(1.0)) == bytes(&at("fine_tuned")));
    let ends = [(0.0, &model.tensors), (1.0, &fine_tuned)];
    let chosen = mixed(&model.tensors, &fine_tuned, choice.alpha);
    for (alpha, tensors) in ends.into_iter().chain([
        (choice.alpha, &chosen),
        (0.5, &mixed(&model.tensors, &fine_tuned, 0.5)),
    ]) {
        let patched = Model::load(&theta(alpha));
        for (images, head) in [&patching, &supported].into_iter().zip(&heads) {
            let expected = answers(tensors, head, &images.test);
            // With its own head: the text side is the zero-shot model's, bit for bit.
            let head = patched.head(&images.task);
            let found = answers(&patched.tensors, &head, &images.test);
            assert_eq!(found, expected, "alpha {alpha} on {}", images.task.name);
        }
        let learns = image_tensor_names(&model.config);
        for (name, tensor) in &patched.tensors {
            let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let moved = values(tensor) != values(&model.tensors[name]);
            // A bias of keys adds the same to all scores, which softmax does not see; in the last
            // layer it is left out.
            let seen = !name.ends_with("layers.1.self_attn.k_proj.bias");
            assert_eq!(
                moved,
                alpha > 0.0 && learns.contains(name) && seen,
                "{name} at {alpha}"
            );
        }
    }
}
