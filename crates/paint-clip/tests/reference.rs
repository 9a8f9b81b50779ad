//! Agreement with `transformers` and PIL. The reference values stand beside the script that made
//! them, tests/reference/make_clip_reference.py.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

mod formula;

use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use paint_clip::{Clip, ClipConfig, Preprocessor, Tokenizer, l2_normalize};
use serde::Deserialize;
use serde_json::{Value, json};

fn reference(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/reference")
        .join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn reference_json<T: for<'de> Deserialize<'de>>(name: &str) -> T {
    serde_json::from_slice(&reference(name)).unwrap()
}

/// The real tokenizer is too large for the repository.
fn real_tokenizer() -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/hub/models/openai/clip-vit-base-patch32");
    if dir.join("tokenizer.json").exists() {
        return Some(dir);
    }
    eprintln!("SKIPPED: no tokenizer at {}", dir.display());
    None
}

fn config_of(value: &Value) -> ClipConfig {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("config.json"), value.to_string()).unwrap();
    ClipConfig::load(dir.path()).unwrap()
}

fn preprocessor(config: &Value) -> Preprocessor {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("preprocessor_config.json"),
        config.to_string(),
    )
    .unwrap();
    Preprocessor::load(dir.path()).unwrap()
}

#[derive(Deserialize)]
struct Features {
    prompts: Vec<String>,
    ids: Vec<Vec<u32>>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    config: Value,
    image_features: Vec<Vec<f32>>,
    text_features: Vec<Vec<f32>>,
    logits_per_image: Vec<Vec<f32>>,
}

fn assert_close(what: &str, actual: &Tensor, expected: &[Vec<f32>]) {
    let actual: Vec<Vec<f32>> = actual.to_vec2().unwrap();
    assert_eq!(actual.len(), expected.len(), "{what}");
    for (row, (actual, expected)) in actual.iter().zip(expected).enumerate() {
        assert_eq!(actual.len(), expected.len(), "{what}");
        for (a, e) in actual.iter().zip(expected) {
            assert!(
                (a - e).abs() < 1e-4,
                "{what}, row {row}: {a} instead of {e}"
            );
        }
    }
}

#[test]
fn features_and_logits_are_those_of_transformers() {
    let features: Features = reference_json("clip_features.json");
    let preprocessor = preprocessor(&json!({ "size": 32, "crop_size": 32 }));
    let pixels: Vec<u8> = ["slopes", "edges", "noise"]
        .iter()
        .flat_map(|kind| preprocessor.resize_crop(&formula::picture(kind, 32, 32)))
        .collect();
    let pixels = preprocessor.normalize(&pixels, 3, &Device::Cpu).unwrap();
    assert_eq!(features.cases.len(), 3);
    for (i, case) in features.cases.iter().enumerate() {
        let config = config_of(&case.config);
        let clip = Clip::from_tensors(&config, &formula::weights(&config)).unwrap();
        let image = clip.encode_image(&pixels).unwrap();
        let text = clip.encode_text(&features.ids).unwrap();
        assert_close(
            &format!("case {i}, image features"),
            &image,
            &case.image_features,
        );
        assert_close(
            &format!("case {i}, text features"),
            &text,
            &case.text_features,
        );
        let cosines = l2_normalize(&image).unwrap();
        let cosines = cosines
            .matmul(&l2_normalize(&text).unwrap().t().unwrap())
            .unwrap();
        let logits = cosines
            .broadcast_mul(&clip.logit_scale().exp().unwrap())
            .unwrap();
        assert_close(
            &format!("case {i}, logits"),
            &logits,
            &case.logits_per_image,
        );
    }
}

#[test]
fn a_text_is_encoded_alike_alone_and_among_longer_ones() {
    let features: Features = reference_json("clip_features.json");
    let config = config_of(&features.cases[0].config);
    let clip = Clip::from_tensors(&config, &formula::weights(&config)).unwrap();
    for (ids, expected) in features.ids.iter().zip(&features.cases[0].text_features) {
        let alone = clip.encode_text(std::slice::from_ref(ids)).unwrap();
        assert_close("alone", &alone, std::slice::from_ref(expected));
    }
}

#[derive(Deserialize)]
struct Tokens {
    text: String,
    ids: Vec<u32>,
}

#[test]
fn token_ids_are_those_of_transformers() {
    let Some(dir) = real_tokenizer() else { return };
    let tokenizer = Tokenizer::load(&dir).unwrap();
    assert_eq!(tokenizer.context_length(), 77);
    let expected: Vec<Tokens> = reference_json("clip_tokens.json");
    assert!(expected.len() >= 60);
    for Tokens { text, ids } in &expected {
        assert_eq!(tokenizer.encode(text).unwrap(), *ids, "{text:?}");
    }
    let features: Features = reference_json("clip_features.json");
    for (text, ids) in features.prompts.iter().zip(&features.ids) {
        assert_eq!(tokenizer.encode(text).unwrap(), *ids, "{text:?}");
    }
    let at_most = format!("word{}", " word".repeat(74));
    assert_eq!(tokenizer.encode(&at_most).unwrap().len(), 77);
    assert!(!tokenizer.truncates(&at_most).unwrap());
    assert!(tokenizer.truncates(&(at_most + " word")).unwrap());
}

/// Ids of two thousand drawn texts, as hashes; tests/reference/make_token_reference.py.
#[test]
fn token_ids_of_many_kinds_of_text_are_those_of_transformers() {
    let Some(dir) = real_tokenizer() else { return };
    let tokenizer = Tokenizer::load(&dir).unwrap();
    let expected: Vec<(String, String)> = reference_json("clip_token_hashes.json");
    assert!(expected.len() >= 2_000);
    for (text, hash) in &expected {
        let ids = tokenizer.encode(text).unwrap();
        assert_eq!(fnv1a(&ids), *hash, "{text:?}: {ids:?}");
    }
}

/// Of the ids' bytes, as 16 digits.
fn fnv1a(ids: &[u32]) -> String {
    let bytes = ids.iter().flat_map(|id| id.to_le_bytes());
    let hash = bytes.fold(0xCBF2_9CE4_8422_2325_u64, |h, byte| {
        (h ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
    });
    format!("{hash:016x}")
}

/// As transformers does with a directory that has only these.
#[test]
fn vocabulary_and_merges_make_the_same_tokenizer() {
    let Some(real) = real_tokenizer() else { return };
    let dir = tempfile::tempdir().unwrap();
    for name in ["config.json", "vocab.json", "merges.txt"] {
        std::fs::copy(real.join(name), dir.path().join(name)).unwrap();
    }
    let tokenizer = Tokenizer::load(dir.path()).unwrap();
    let expected: Vec<(String, String)> = reference_json("clip_token_hashes.json");
    for (text, hash) in &expected {
        assert_eq!(fnv1a(&tokenizer.encode(text).unwrap()), *hash, "{text:?}");
    }
    std::fs::remove_file(dir.path().join("vocab.json")).unwrap();
    let error = Tokenizer::load(dir.path()).err().unwrap().to_string();
    assert!(error.contains("tokenizer.json: is not there"), "{error}");
}

#[derive(Deserialize)]
struct ResizeCase {
    kind: String,
    width: u32,
    height: u32,
    shortest_edge: usize,
    crop: usize,
    resample: u32,
}

#[test]
fn pixels_are_those_of_pil() {
    let cases: Vec<ResizeCase> = reference_json("clip_pixels.json");
    let pixels = reference("clip_pixels.bin");
    let mut expected = pixels.as_slice();
    for (i, case) in cases.iter().enumerate() {
        let preprocessor = preprocessor(&json!({
            "size": { "shortest_edge": case.shortest_edge },
            "crop_size": { "height": case.crop, "width": case.crop },
            "resample": case.resample,
        }));
        let picture = formula::picture(&case.kind, case.width, case.height);
        let actual = preprocessor.resize_crop(&picture);
        let (here, rest) = expected.split_at(case.crop * case.crop * 3);
        expected = rest;
        assert_eq!(actual.len(), here.len());
        let worst = actual
            .iter()
            .zip(here)
            .map(|(a, e)| a.abs_diff(*e))
            .max()
            .unwrap();
        assert_eq!(worst, 0, "case {i} ({}): off by {worst} levels", case.kind);
    }
    assert!(expected.is_empty());
}
