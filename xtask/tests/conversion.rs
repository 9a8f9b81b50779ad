//! `convert` and `verify`: a checkpoint in both layouts, and what two models have in common.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test binary takes what it needs")]
mod tiny;

mod command;

use std::path::Path;

use candle_core::Device;
use command::{succeeds, xtask};
use paint_clip::{
    ClipConfig, HiddenAct, Layout, Provenance, Tensors, WeightDtype, init, load_tensors, save,
};
use paint_data::Rng;
use serde_json::Value;

#[track_caller]
fn fails(directory: &Path, arguments: &[&str], parts: &[&str]) {
    let output = xtask(directory, arguments);
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{arguments:?} did not fail");
    assert_eq!(message.trim().lines().count(), 1, "{message}");
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
}

/// `verify --json` of two checkpoints that are alike.
fn verified(directory: &Path, a: &str, b: &str, tolerance: &str) -> Value {
    let arguments = ["verify", a, b, "--json", "--tolerance", tolerance];
    serde_json::from_str(&succeeds(directory, &arguments)).unwrap()
}

/// A directory with a `model` in it.
fn with_model() -> (tempfile::TempDir, ClipConfig, Tensors) {
    let directory = tempfile::tempdir().unwrap();
    let model = directory.path().join("model");
    tiny::write_model(&directory.path().join("texts"), &model);
    let config = ClipConfig::load(&model).unwrap();
    let tensors = load_tensors(&model, &Device::Cpu).unwrap();
    (directory, config, tensors)
}

fn write(directory: &Path, name: &str, config: &ClipConfig, tensors: &Tensors) {
    let (dtype, source) = (WeightDtype::F32, directory.join("model"));
    let provenance = Provenance::default();
    save(
        &directory.join(name),
        config,
        tensors,
        dtype,
        Some(&source),
        &provenance,
    )
    .unwrap();
}

#[test]
fn a_checkpoint_goes_to_open_clip_and_back_without_a_difference() {
    let (directory, ..) = with_model();
    let at = directory.path();
    succeeds(at, &["convert", "model", "there", "--layout", "open-clip"]);
    assert_eq!(Layout::of(&at.join("there")), Layout::OpenClip);
    succeeds(at, &["convert", "there", "back", "--layout", "hf"]);
    for (a, b) in [("model", "there"), ("there", "back"), ("model", "back")] {
        let found = verified(at, a, b, "0");
        assert_eq!(found["largest_difference"], 0.0, "{found}");
        assert_eq!(found["argmax_agreement"], 1.0, "{found}");
        assert_eq!(found["images_with_other_pixels"], 0, "{found}");
        assert_eq!(found["weight_distance"], 0.0, "{found}");
    }
    let bytes = |name: &str| std::fs::read(at.join(name).join("model.safetensors")).unwrap();
    assert_eq!(bytes("model"), bytes("back"));
    assert_eq!(
        std::fs::read(at.join("model/tokenizer.json")).unwrap(),
        std::fs::read(at.join("there/tokenizer.json")).unwrap()
    );
    let provenance = Provenance::load(&at.join("there")).unwrap().unwrap();
    assert_eq!(provenance.parents[0].name, "model");
    assert_eq!(provenance.parents[0].sha256.len(), 64);
    assert_eq!(provenance.notes["converted_from"]["layout"], "hf");
}

/// The value stays finite and nothing else could notice it.
#[test]
fn a_bit_that_flipped_in_written_weights_is_noticed() {
    let (directory, config, tensors) = with_model();
    let at = directory.path();
    write(at, "patched", &config, &tensors);
    let weights = at.join("patched/model.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    let middle = bytes.len() / 4 * 2;
    bytes[middle] ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    let recorded = Provenance::load(&at.join("patched")).unwrap().unwrap();
    let recorded = recorded.weights_sha256.unwrap();
    let parts = [
        "patched/model.safetensors",
        "SHA-256",
        &recorded,
        "paint.json",
        "remove weights_sha256",
    ];
    let patch = ["patch", "--model", "patched", "--task", "digits"];
    let patch = [&patch[..], &["--support", "shapes", "--limit", "20"]].concat();
    fails(at, &["verify", "model", "patched"], &parts);
    fails(at, &["convert", "patched", "new", "--layout", "hf"], &parts);
    fails(at, &patch, &parts);
    // Without the record they are weights like any other.
    std::fs::remove_file(at.join("patched/paint.json")).unwrap();
    verified(at, "model", "patched", "1");
}

#[test]
fn rounding_shows_and_is_judged_by_the_tolerance() {
    let (directory, ..) = with_model();
    let at = directory.path();
    for (dtype, tolerance) in [("f16", "1e-2"), ("bf16", "1e-1")] {
        let arguments = [
            "convert",
            "model",
            dtype,
            "--layout",
            "open-clip",
            "--dtype",
            dtype,
        ];
        succeeds(at, &arguments);
        let found = verified(at, "model", dtype, tolerance);
        assert!(found["largest_difference"].as_f64().unwrap() > 0.0);
        fails(
            at,
            &["verify", "model", dtype, "--tolerance", "1e-9"],
            &["the logits differ by", "more than 1.0e-9"],
        );
    }
    let text = succeeds(at, &["verify", "model", "model"]);
    assert!(
        text.contains("same best prompt for 8 of 8 images"),
        "{text}"
    );
}

#[test]
fn models_that_have_nothing_in_common_are_told_apart() {
    let (directory, config, tensors) = with_model();
    let at = directory.path();
    let rng = &mut Rng::new(2);
    let stranger = init(&config, &mut || rng.normal(), &Device::Cpu).unwrap();
    write(at, "stranger", &config, &stranger);
    fails(
        at,
        &["verify", "model", "stranger"],
        &["model and stranger have no common ancestor"],
    );
    let mut wider = config.clone();
    wider.vision.num_hidden_layers = 1;
    let rng = &mut Rng::new(2);
    let tensors_of_wider = init(&wider, &mut || rng.normal(), &Device::Cpu).unwrap();
    write(at, "wider", &wider, &tensors_of_wider);
    fails(
        at,
        &["verify", "model", "wider"],
        &[
            "the architectures are different",
            "vision_config.num_hidden_layers is 2 and 1",
        ],
    );
    let mut other = config.clone();
    other.text.hidden_act = HiddenAct::Gelu;
    write(at, "gelu", &other, &tensors);
    fails(
        at,
        &["verify", "model", "gelu"],
        &[
            "the activations are different",
            "text_config.hidden_act is \"quick_gelu\" and \"gelu\"",
        ],
    );
    fails(
        at,
        &["convert", "gelu", "new", "--layout", "open-clip"],
        &["text_config.hidden_act", "one for both"],
    );
    fails(
        at,
        &["convert", "model", "model", "--layout", "open-clip"],
        &["would be replaced by its own conversion"],
    );
    fails(at, &["verify", "model", "nowhere"], &["nowhere"]);
}

#[test]
fn logits_are_printed_for_files_and_texts() {
    let (directory, ..) = with_model();
    let at = directory.path();
    for (name, shade) in [("dark.png", 20), ("light.png", 220)] {
        let image = image::RgbImage::from_pixel(60, 50, image::Rgb([shade; 3]));
        image.save(at.join(name)).unwrap();
    }
    let arguments = [
        "logits",
        "model",
        "--image",
        "dark.png",
        "--image",
        "light.png",
    ];
    let prompts = [
        "--prompt",
        "a red circle",
        "--prompt",
        "a",
        "--prompt",
        "a blue square",
    ];
    let answer = succeeds(at, &[&arguments[..], &prompts].concat());
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let rows = answer["logits"].as_array().unwrap();
    assert_eq!((rows.len(), rows[0].as_array().unwrap().len()), (2, 3));
    assert_ne!(rows[0], rows[1]);
    assert_eq!(answer["images"][1], "light.png");
    fails(
        at,
        &["logits", "model", "--image", "none.png", "--prompt", "a"],
        &["cannot read none.png"],
    );
}
