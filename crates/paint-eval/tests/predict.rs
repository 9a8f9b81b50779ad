//! Predicting a small dataset with a small random model.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use candle_core::{DType, Device, Tensor};
use image::{ImageFormat, Rgb, RgbImage};
use paint_clip::{
    Clip, ClipConfig, Preprocessor, Tensors, TextConfig, Tokenizer, VisionConfig, ZeroShotHead,
};
use paint_data::{
    Dataset, Features, Hub, PixelTable, Rng, Row, SkipPolicy, SplitName, Target, Task, TaskSource,
    write_parquet,
};
use paint_eval::{Error, Predictions, SeenBy, predict};
use serde_json::json;
use std::{fs, io::Cursor, path::Path, sync::Mutex};

const NAMES: [&str; 7] = ["cat", "dog", "bird", "fish", "cow", "hen", "bee"];
const N: usize = 11;
const SIZE: u32 = 8;
const WIDTH: usize = 6;

fn config() -> ClipConfig {
    let vision = VisionConfig {
        hidden_size: 8,
        intermediate_size: 16,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        image_size: SIZE as usize,
        patch_size: 4,
        ..VisionConfig::default()
    };
    let text = TextConfig {
        vocab_size: 9,
        hidden_size: 8,
        intermediate_size: 16,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        max_position_embeddings: 4,
        eos_token_id: 8,
        ..TextConfig::default()
    };
    ClipConfig {
        projection_dim: WIDTH,
        vision,
        text,
        ..ClipConfig::default()
    }
}

fn weights() -> Tensors {
    let mut rng = Rng::new(11);
    paint_clip::init(&config(), &mut || rng.normal(), &Device::Cpu).unwrap()
}

fn clip(tensors: &Tensors) -> Clip {
    Clip::from_tensors(&config(), tensors).unwrap()
}

fn preprocessor(dir: &Path, size: u32) -> Preprocessor {
    let crop = json!({ "height": size, "width": size });
    let config = json!({ "size": { "shortest_edge": size }, "crop_size": crop });
    fs::write(dir.join("preprocessor_config.json"), config.to_string()).unwrap();
    Preprocessor::load(dir).unwrap()
}

fn head(dir: &Path, n_classes: usize) -> ZeroShotHead {
    let mut vocab: serde_json::Map<_, _> = NAMES
        .iter()
        .zip(0..)
        .map(|(name, id)| ((*name).to_owned(), json!(id)))
        .collect();
    vocab.insert("<s>".to_owned(), json!(7));
    vocab.insert("</s>".to_owned(), json!(8));
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": { "type": "WhitespaceSplit" },
        "post_processor": { "type": "RobertaProcessing", "sep": ["</s>", 8], "cls": ["<s>", 7],
                            "trim_offsets": false, "add_prefix_space": false },
        "decoder": null, "model": { "type": "WordLevel", "vocab": vocab, "unk_token": "cat" },
    });
    fs::write(dir.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    fs::write(dir.join("config.json"), config().to_json()).unwrap();
    let tokenizer = Tokenizer::load(dir).unwrap();
    let names: Vec<_> = NAMES[..n_classes]
        .iter()
        .map(|&name| name.to_owned())
        .collect();
    ZeroShotHead::build(&clip(&weights()), &tokenizer, &names, &["{}".to_owned()]).unwrap()
}

fn picture(seed: u64) -> RgbImage {
    let mut rng = Rng::new(seed);
    RgbImage::from_fn(SIZE, SIZE, |_, _| {
        Rgb(std::array::from_fn(|_| rng.below(256) as u8))
    })
}

fn label(image_idx: usize) -> u32 {
    (image_idx * 3 % NAMES.len()) as u32
}

fn table(dir: &Path, preprocessor: &Preprocessor) -> PixelTable {
    let path = dir.join("test.parquet");
    let names: Vec<_> = NAMES.iter().map(|&name| name.to_owned()).collect();
    let rows = (0..N).map(|i| {
        let mut image = Cursor::new(Vec::new());
        picture(i as u64)
            .write_to(&mut image, ImageFormat::Png)
            .unwrap();
        Row {
            image: image.into_inner(),
            file_name: None,
            target: Target::Label(label(i)),
        }
    });
    write_parquet(&path, Features::Labelled(names.clone()), rows).unwrap();
    let mut task = Task::new(
        "toy",
        names,
        vec!["{}".to_owned()],
        TaskSource::Parquet(dir.to_owned()),
    )
    .unwrap();
    task.files.test = Some("test.parquet".to_owned());
    let hub = Hub::Directory(dir.to_owned());
    let dataset = Dataset::open(&task, SplitName::Test, &hub).unwrap();
    let transform = SeenBy(preprocessor);
    PixelTable::build(
        &dataset,
        &transform,
        &dir.join("cache"),
        SkipPolicy::default(),
        &|_| {},
    )
    .unwrap()
}

/// Features of one image at a time, straight from the picture: [n, d].
fn one_by_one(clip: &Clip, preprocessor: &Preprocessor) -> Vec<Vec<f32>> {
    let encode = |i: usize| {
        let image = preprocessor
            .normalize(picture(i as u64).as_raw(), 1, &Device::Cpu)
            .unwrap();
        clip.encode_image(&image)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap()
    };
    (0..N).map(encode).collect()
}

#[test]
fn every_batch_size_gives_what_single_images_give() {
    let dir = tempfile::tempdir().unwrap();
    let preprocessor = preprocessor(dir.path(), SIZE);
    let (clip, head) = (clip(&weights()), head(dir.path(), NAMES.len()));
    let pixels = table(dir.path(), &preprocessor);
    let expected = one_by_one(&clip, &preprocessor);
    let logits: Vec<f32> = expected
        .iter()
        .flat_map(|features| {
            let features = Tensor::new(features.as_slice(), &Device::Cpu).unwrap();
            let logits = head.logits(&features.unsqueeze(0).unwrap()).unwrap();
            logits.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        })
        .collect();
    let labels: Vec<_> = (0..N).map(label).collect();
    let answers = Predictions::from_logits(&labels, &logits, NAMES.len())
        .unwrap()
        .of_images(pixels.content_key());
    for batch in [1, 4, 64] {
        let seen = Mutex::new(Vec::new());
        let note = |n| seen.lock().unwrap().push(n);
        let found = predict(&clip, &preprocessor, &head, &pixels, batch, &note).unwrap();
        assert_eq!(found, answers, "batches of {batch}");
        // Batches may finish in any order; the count rises all the same.
        let seen = seen.into_inner().unwrap();
        // As few as do not let a thread wait for another's last one.
        let n_threads = rayon::current_num_threads();
        let size = N.div_ceil(N.div_ceil(batch).next_multiple_of(n_threads));
        assert!(size <= batch);
        assert_eq!(seen.len(), N.div_ceil(size));
        assert!(seen.is_sorted_by(|a, b| a < b) && seen.last() == Some(&(N as u64)));
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let fitting = preprocessor(dir.path(), SIZE);
    let pixels = table(dir.path(), &fitting);
    let (sound, all) = (clip(&weights()), head(dir.path(), NAMES.len()));

    let few = predict(&sound, &fitting, &head(dir.path(), 3), &pixels, 4, &|_| {});
    assert!(
        matches!(
            few,
            Err(Error::Class {
                image: 1,
                class: 3,
                n_classes: 3,
                ..
            })
        ),
        "{few:?}"
    );

    let other = preprocessor(dir.path(), SIZE + 4);
    let size = predict(&sound, &other, &all, &pixels, 4, &|_| {});
    assert!(
        matches!(
            size,
            Err(Error::Size {
                expected: 12,
                actual: 8,
                ..
            })
        ),
        "{size:?}"
    );

    let none = predict(&sound, &fitting, &all, &pixels, 0, &|_| {});
    assert!(matches!(none, Err(Error::Empty { .. })), "{none:?}");

    let mut tensors = weights();
    let projection = Tensor::full(f32::NAN, (WIDTH, 8), &Device::Cpu).unwrap();
    tensors.insert(
        "visual_projection.weight".to_owned(),
        projection.to_dtype(DType::F32).unwrap(),
    );
    let nan = predict(&clip(&tensors), &fitting, &all, &pixels, 4, &|_| {});
    assert!(
        matches!(nan, Err(Error::NanLogit { image: 0, class: 0 })),
        "{nan:?}"
    );
}
