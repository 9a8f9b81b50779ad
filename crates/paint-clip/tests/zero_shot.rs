//! Classification from class names, with a small tokenizer made here.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod formula;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use candle_core::{Device, Tensor};
use image::RgbImage;
use paint_clip::{
    Clip, ClipConfig, Error, Preprocessor, TextConfig, Tokenizer, VisionConfig, ZeroShotHead,
};
use serde_json::{Value, json};

const WORDS: [&str; 8] = ["a", "photo", "of", "cat", "dog", "big", "small", "red"];
const SOT: u32 = 8;
const EOT: u32 = 9;

fn config(eos_token_id: u32) -> ClipConfig {
    ClipConfig {
        projection_dim: 6,
        vision: VisionConfig {
            hidden_size: 8,
            intermediate_size: 16,
            num_hidden_layers: 1,
            num_attention_heads: 2,
            image_size: 8,
            patch_size: 4,
            ..VisionConfig::default()
        },
        text: TextConfig {
            vocab_size: 10,
            hidden_size: 8,
            intermediate_size: 16,
            num_hidden_layers: 1,
            num_attention_heads: 2,
            max_position_embeddings: 6,
            eos_token_id,
            ..TextConfig::default()
        },
        ..ClipConfig::default()
    }
}

/// Whole words, start and end tokens, and settings that must not matter.
fn tokenizer_json() -> Value {
    let mut vocab: BTreeMap<&str, u32> = WORDS.iter().copied().zip(0..).collect();
    vocab.insert("<s>", SOT);
    vocab.insert("</s>", EOT);
    json!({
        "version": "1.0",
        "truncation": { "direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0 },
        "padding": { "strategy": { "Fixed": 9 }, "direction": "Right", "pad_to_multiple_of": null,
                     "pad_id": 0, "pad_type_id": 0, "pad_token": "a" },
        "added_tokens": [],
        "normalizer": { "type": "Lowercase" },
        "pre_tokenizer": { "type": "WhitespaceSplit" },
        "post_processor": { "type": "RobertaProcessing", "sep": ["</s>", EOT], "cls": ["<s>", SOT],
                            "trim_offsets": false, "add_prefix_space": false },
        "decoder": null,
        "model": { "type": "WordLevel", "vocab": vocab, "unk_token": "a" },
    })
}

fn tokenizer_from(value: &Value) -> Result<Tokenizer, Error> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("tokenizer.json"), value.to_string()).unwrap();
    fs::write(dir.path().join("config.json"), config(EOT).to_json()).unwrap();
    Tokenizer::load(dir.path())
}

fn tokenizer() -> Tokenizer {
    tokenizer_from(&tokenizer_json()).unwrap()
}

fn clip(eos_token_id: u32) -> Clip {
    let config = config(eos_token_id);
    Clip::from_tensors(&config, &formula::weights(&config)).unwrap()
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn head(classes: &[&str], templates: &[&str]) -> Result<ZeroShotHead, Error> {
    ZeroShotHead::build(
        &clip(EOT),
        &tokenizer(),
        &strings(classes),
        &strings(templates),
    )
}

#[track_caller]
fn assert_says<T>(result: Result<T, Error>, parts: &[&str]) {
    let message = result.err().expect("this must fail").to_string();
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
}

fn normalized(x: &[f64]) -> Vec<f64> {
    let length = x.iter().map(|x| x * x).sum::<f64>().sqrt();
    x.iter().map(|x| x / length).collect()
}

fn rows(tensor: &Tensor) -> Vec<Vec<f64>> {
    let rows: Vec<Vec<f32>> = tensor.to_vec2().unwrap();
    rows.iter()
        .map(|row| row.iter().map(|x| f64::from(*x)).collect())
        .collect()
}

#[test]
fn tokens_are_neither_padded_nor_cut_by_the_file_and_the_end_is_kept() {
    let tokenizer = tokenizer();
    assert_eq!(tokenizer.encode("A photo of").unwrap(), [SOT, 0, 1, 2, EOT]);
    assert_eq!(tokenizer.encode("").unwrap(), [SOT, EOT]);
    assert_eq!(
        tokenizer.encode("a photo of dog").unwrap(),
        [SOT, 0, 1, 2, 4, EOT]
    );
    assert!(!tokenizer.truncates("a photo of dog").unwrap());
    assert_eq!(
        tokenizer.encode("a photo of big dog").unwrap(),
        [SOT, 0, 1, 2, 5, EOT]
    );
    assert!(tokenizer.truncates("a photo of big dog").unwrap());
}

#[test]
fn a_tokenizer_without_start_and_end_is_refused() {
    let mut bare = tokenizer_json();
    bare["post_processor"] = Value::Null;
    assert_says(
        tokenizer_from(&bare),
        &["tokenizer.json", "0 tokens for the empty text"],
    );
    assert_says(tokenizer_from(&json!({ "model": 1 })), &["tokenizer.json"]);
    assert_says(
        Tokenizer::load(Path::new("/nowhere")),
        &["cannot read /nowhere/config.json"],
    );
}

#[test]
fn the_head_is_the_normalised_mean_of_normalised_prompts() {
    let (clip, tokenizer) = (clip(EOT), tokenizer());
    // More prompts than are encoded at a time.
    let classes = ["cat", "dog", "big dog", "photo", "red"];
    let templates: Vec<String> = (0..20)
        .map(|i| format!("{} {{}} {}", WORDS[i % 8], WORDS[i * 3 % 7]))
        .collect();
    let head = ZeroShotHead::build(&clip, &tokenizer, &strings(&classes), &templates).unwrap();
    assert_eq!((head.n_classes(), head.n_truncated()), (5, 0));
    for (class, actual) in classes.iter().zip(rows(head.weights())) {
        let mut sum = vec![0.0; 6];
        for template in &templates {
            let ids = tokenizer.encode(&template.replace("{}", class)).unwrap();
            let features = rows(&clip.encode_text(&[ids]).unwrap());
            sum.iter_mut()
                .zip(normalized(&features[0]))
                .for_each(|(s, x)| *s += x);
        }
        for (a, e) in actual.iter().zip(normalized(&sum)) {
            let e = e * 2.5_f64.exp();
            assert!((a - e).abs() < 1e-4, "{class}: {a} instead of {e}");
        }
    }
    let features =
        Tensor::from_vec(formula::uniform("features", 12), (2, 6), &Device::Cpu).unwrap();
    let logits = rows(&head.logits(&features).unwrap());
    for (image, logits) in rows(&features).iter().zip(logits) {
        for (weights, logit) in rows(head.weights()).iter().zip(logits) {
            let expected: f64 = normalized(image)
                .iter()
                .zip(weights)
                .map(|(x, w)| x * w)
                .sum();
            assert!(
                (logit - expected).abs() < 1e-4,
                "{logit} instead of {expected}"
            );
        }
    }
    assert!(head.logits(&features.narrow(1, 0, 5).unwrap()).is_err());
}

#[test]
fn the_closest_classes_are_found_whatever_the_logit_scale() {
    let head_of = |classes: &[&str]| head(classes, &["{}"]).unwrap();
    // Case does not matter to this tokenizer, so that two of the names are one.
    let (cosine, a, b) = head_of(&["cat", "dog", "red", "DOG"])
        .closest_classes()
        .unwrap()
        .unwrap();
    assert!((cosine - 1.0).abs() < 1e-5, "{cosine}");
    assert_eq!((a, b), (1, 3));
    let two = head_of(&["cat", "dog"]);
    let (cosine, a, b) = two.closest_classes().unwrap().unwrap();
    let vectors: Vec<_> = rows(two.weights())
        .iter()
        .map(|row| normalized(row))
        .collect();
    let expected: f64 = vectors[0].iter().zip(&vectors[1]).map(|(x, y)| x * y).sum();
    assert!((f64::from(cosine) - expected).abs() < 1e-5, "{cosine}");
    assert_eq!((a, b), (0, 1));
    assert_eq!(head_of(&["cat"]).closest_classes().unwrap(), None);
}

#[test]
fn a_head_of_some_classes_has_their_vectors() {
    let all = head(&["cat", "dog", "red"], &["{}"]).unwrap();
    let some = all.of_classes(&[2, 0]).unwrap();
    let vectors = rows(all.weights());
    assert_eq!(
        rows(some.weights()),
        [vectors[2].clone(), vectors[0].clone()]
    );
    assert_says(all.of_classes(&[3]), &["class 3 of a head of 3"]);
    assert_says(all.of_classes(&[]), &["no classes"]);
}

#[test]
fn heads_that_make_no_sense_are_refused() {
    assert_says(head(&[], &["a {}"]), &["0 class names"]);
    assert_says(head(&["cat"], &[]), &["0 templates"]);
    assert_says(
        head(&["cat"], &["a {}", "a photo of {c}"]),
        &["\"a photo of {c}\"", "`{}`"],
    );
    assert_says(
        head(&["cat", "dog", "cat"], &["a {}"]),
        &["\"cat\" comes twice", "class 2"],
    );
    assert_says(
        head(&["cat", " "], &["a {}"]),
        &["class 1 has an empty name"],
    );
    let cut = head(&["cat", "big red cat"], &["a {}", "a photo of {}"]).unwrap();
    assert_eq!(cut.n_truncated(), 1);
}

#[test]
fn a_broken_logit_scale_is_an_error_not_nan() {
    let config = config(EOT);
    let mut tensors = formula::weights(&config);
    tensors.insert(
        "logit_scale".to_owned(),
        Tensor::new(1000_f32, &Device::Cpu).unwrap(),
    );
    let clip = Clip::from_tensors(&config, &tensors).unwrap();
    let result = ZeroShotHead::build(&clip, &tokenizer(), &strings(&["cat"]), &strings(&["{}"]));
    assert_says(result, &["\"cat\" is not finite"]);
}

#[test]
fn texts_that_the_model_cannot_read_are_refused() {
    let clip = clip(EOT);
    assert_says(clip.encode_text(&[]), &["token ids", "n >= 1"]);
    assert_says(
        clip.encode_text(&[vec![SOT, EOT], vec![]]),
        &["prompt 1", "no tokens"],
    );
    assert_says(
        clip.encode_text(&[vec![SOT, 0, 0, 0, 0, 0, EOT]]),
        &["7 tokens", "reads 6"],
    );
    assert_says(
        clip.encode_text(&[vec![SOT, 10, EOT]]),
        &["token 10", "knows 10"],
    );
    assert_says(
        clip.encode_text(&[vec![SOT, 0]]),
        &["end-of-text token 9", "wrong tokenizer"],
    );
}

#[test]
fn both_end_rules_take_the_first_of_equals() {
    for eos in [2, EOT] {
        let clip = clip(eos);
        let short = rows(&clip.encode_text(&[vec![SOT, 3, EOT]]).unwrap());
        let padded = rows(&clip.encode_text(&[vec![SOT, 3, EOT, EOT, 1, EOT]]).unwrap());
        assert_eq!(short, padded, "eos_token_id {eos}");
    }
    let by_id = rows(&clip(3).encode_text(&[vec![SOT, 3, EOT]]).unwrap());
    let until = rows(&clip(3).encode_text(&[vec![SOT, 3]]).unwrap());
    assert_eq!(by_id, until);
}

#[test]
fn pixels_of_another_size_are_refused() {
    let pixels =
        |shape: &[usize]| Tensor::zeros(shape, candle_core::DType::F32, &Device::Cpu).unwrap();
    for shape in [
        &[1, 3, 8, 9][..],
        &[1, 1, 8, 8],
        &[3, 8, 8],
        &[0, 3, 8, 8],
        &[1, 3, 224, 224],
    ] {
        assert_says(
            clip(EOT).encode_image(&pixels(shape)),
            &["[b >= 1, 3, 8, 8]", "image_size"],
        );
    }
}

fn preprocessor(value: &Value) -> Result<Preprocessor, Error> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("preprocessor_config.json"),
        value.to_string(),
    )
    .unwrap();
    Preprocessor::load(dir.path())
}

/// As transformers 5 saves a `CLIPProcessor`, and as older versions do.
#[test]
fn a_processor_states_the_preprocessing_first() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, value: &Value| {
        fs::write(dir.path().join(name), value.to_string()).unwrap();
    };
    let of = |edge: usize| json!({ "size": { "shortest_edge": edge }, "crop_size": edge });
    let width = || Preprocessor::load(dir.path()).map(|p| p.width());
    write(
        "processor_config.json",
        &json!({ "image_processor": of(48), "processor_class": "CLIPProcessor" }),
    );
    assert_eq!(width().unwrap(), 48);
    write("preprocessor_config.json", &of(32));
    assert_eq!(width().unwrap(), 48);
    write(
        "processor_config.json",
        &json!({ "processor_class": "CLIPProcessor" }),
    );
    assert_eq!(width().unwrap(), 32);
    write(
        "processor_config.json",
        &json!({ "image_processor": { "size": "large" } }),
    );
    assert_says(width(), &["processor_config.json", "size"]);
    fs::remove_file(dir.path().join("processor_config.json")).unwrap();
    assert_eq!(width().unwrap(), 32);
}

#[test]
fn sizes_are_read_in_every_spelling() {
    let default = preprocessor(&json!({})).unwrap();
    assert_eq!((default.height(), default.width()), (224, 224));
    for value in [
        json!({ "size": 224, "crop_size": 224, "feature_extractor_type": "CLIPFeatureExtractor" }),
        json!({ "size": { "shortest_edge": 224 }, "crop_size": { "height": 224, "width": 224 } }),
    ] {
        assert_eq!(preprocessor(&value).unwrap(), default);
    }
    let squash = json!({ "size": { "height": 8, "width": 6 }, "do_center_crop": false });
    let squash = preprocessor(&squash).unwrap();
    assert_eq!((squash.height(), squash.width()), (8, 6));
    let edges = RgbImage::from_fn(60, 20, |x, _| image::Rgb([if x < 30 { 0 } else { 200 }; 3]));
    let pixels = squash.resize_crop(&edges);
    assert_eq!((pixels[0], pixels[15], pixels.len()), (0, 200, 144));
    assert_ne!(squash.key(), default.key());
    assert_eq!(
        default.key(),
        "resize=shortest-edge-224 filter=bicubic crop=224x224"
    );
}

#[test]
fn steps_can_be_left_out() {
    let crop_only = json!({ "do_resize": false, "crop_size": 4 });
    let picture = formula::picture("noise", 5, 3);
    let pixels = preprocessor(&crop_only).unwrap().resize_crop(&picture);
    // One column is lost at the right, one black row comes at the top.
    assert_eq!(pixels[..12], [0; 12]);
    assert_eq!(pixels[12..24], picture.as_raw()[..12]);
    assert_eq!(pixels[36..], picture.as_raw()[30..42]);

    let raw = json!({ "crop_size": 1, "do_rescale": false, "do_normalize": false });
    let values = preprocessor(&raw)
        .unwrap()
        .normalize(&[0, 7, 255], 1, &Device::Cpu)
        .unwrap();
    assert_eq!(
        values.flatten_all().unwrap().to_vec1::<f32>().unwrap(),
        [0.0, 7.0, 255.0]
    );
}

#[test]
fn normalising_separates_the_channels_of_every_image() {
    let value = json!({ "crop_size": { "height": 1, "width": 2 },
                        "image_mean": [0.0, 0.5, 1.0], "image_std": [1.0, 0.5, 0.25] });
    let preprocessor = preprocessor(&value).unwrap();
    let bytes = [0, 0, 0, 255, 255, 255, 51, 51, 51, 102, 102, 102];
    let values = preprocessor.normalize(&bytes, 2, &Device::Cpu).unwrap();
    assert_eq!(values.dims(), [2, 3, 1, 2]);
    let values: Vec<f32> = values.flatten_all().unwrap().to_vec1().unwrap();
    let expected = [
        0.0, 1.0, -1.0, 1.0, -4.0, 0.0, 0.2, 0.4, -0.6, -0.2, -3.2, -2.4,
    ];
    for (value, expected) in values.iter().zip(expected) {
        assert!((value - expected).abs() < 1e-6, "{values:?}");
    }
    let error = preprocessor.normalize(&bytes, 3, &Device::Cpu);
    assert_says(error, &["[3, 1, 2, 3]", "12 bytes"]);
}

#[test]
fn extreme_images_neither_fail_nor_swell() {
    let preprocessor = preprocessor(&json!({})).unwrap();
    for (width, height) in [(1, 20_000), (20_000, 1), (1, 1), (0, 5)] {
        let pixels =
            preprocessor.resize_crop(&RgbImage::from_pixel(width, height, image::Rgb([9; 3])));
        let expected = if width == 0 { 0 } else { 9 };
        assert!(pixels.iter().all(|p| *p == expected), "{width} x {height}");
        assert_eq!(pixels.len(), 224 * 224 * 3);
    }
}

#[test]
fn preprocessing_that_cannot_be_done_is_refused() {
    for (value, parts) in [
        (json!({ "resample": 1 }), ["`resample` is 1", "bicubic"]),
        (json!({ "size": 0 }), ["`size` is 0", "16384"]),
        (
            json!({ "crop_size": 100_000 }),
            ["`crop_size` is 100000", "16384"],
        ),
        (
            json!({ "do_center_crop": false }),
            ["do_center_crop", "differ in size"],
        ),
        (
            json!({ "image_std": [0.5, 0.0, 0.5] }),
            ["image_std", "above 0"],
        ),
        (
            json!({ "image_mean": [0.5] }),
            ["preprocessor_config.json", "length 1"],
        ),
        (
            json!({ "size": { "longest_edge": 4 } }),
            ["preprocessor_config.json", "size"],
        ),
    ] {
        assert_says(preprocessor(&value), &parts);
    }
}
