//! `delta`: a fine-tuned checkpoint as a small file, added to its base, taken away, compared.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test binary takes what it needs")]
mod tiny;

mod command;

use std::path::Path;

use candle_core::Device;
use command::{succeeds, xtask};
use paint_clip::{ClipConfig, Provenance, Tensors, WeightDtype, load_tensors, save};
use serde_json::Value;

fn json(directory: &Path, arguments: &[&str]) -> Value {
    let arguments = [arguments, &["--json"]].concat();
    serde_json::from_str(&succeeds(directory, &arguments)).unwrap()
}

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

/// Writes `model`, and `tuned` whose image side is a little different.
fn write_models(at: &Path) {
    let model = at.join("model");
    tiny::write_model(&at.join("texts"), &model);
    let config = ClipConfig::load(&model).unwrap();
    let tensors = load_tensors(&model, &Device::Cpu).unwrap();
    let moved = tensors.into_iter().map(|(name, tensor)| {
        let is_image = name.starts_with("vision_model") || name.starts_with("visual");
        let by = if is_image { 1e-3 } else { 0.0 };
        (name, tensor.affine(1.0 + by, 0.0).unwrap())
    });
    let moved: Tensors = moved.collect();
    let (dtype, provenance) = (WeightDtype::F32, Provenance::default());
    let tuned = at.join("tuned");
    save(&tuned, &config, &moved, dtype, Some(&model), &provenance).unwrap();
}

#[test]
fn a_patch_goes_through_a_file_and_back() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    write_models(at);
    let written = json(at, &["delta", "write", "model", "tuned", "d.safetensors"]);
    assert_eq!(written["dtype"], "f16");
    assert!(written["rounding"]["relative_l2"].as_f64().unwrap() < 3e-4);
    let size = |name: &str| std::fs::metadata(at.join(name)).unwrap().len();
    assert!(size("d.safetensors") < size("tuned/model.safetensors") / 2);

    let patched = json(
        at,
        &["delta", "apply", "model", "half", "d.safetensors=0.5"],
    );
    assert_eq!(patched["record"]["base_sha256"], written["base_sha256"]);
    let whole = succeeds(at, &["delta", "apply", "model", "whole", "d.safetensors"]);
    for part in [
        "base     model",
        "1 · d.safetensors",
        "absolute",
        "wrote    whole",
    ] {
        assert!(whole.contains(part), "{part:?} is not in {whole}");
    }
    // The patched checkpoint is one that every command reads.
    let found = json(at, &["verify", "whole", "tuned", "--tolerance", "1e-3"]);
    assert!(found["weight_distance"].as_f64().unwrap() < 1e-6, "{found}");
    let provenance = Provenance::load(&at.join("half")).unwrap().unwrap();
    let names: Vec<_> = provenance.parents.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["model", "d.safetensors"]);
    assert_eq!(provenance.notes["applied"][0]["alpha"], 0.5);

    let removed = json(
        at,
        &["delta", "remove", "half", "back", "d.safetensors=0.5"],
    );
    assert!(removed["max_error"].as_f64().unwrap() < 1e-6);
    let found = json(at, &["verify", "back", "model", "--tolerance", "1e-4"]);
    assert!(found["weight_distance"].as_f64().unwrap() < 1e-7, "{found}");

    let same = json(at, &["delta", "conflict", "d.safetensors", "d.safetensors"]);
    for group in same["groups"].as_array().unwrap() {
        assert_eq!(group["sign_disagreement"], 0.0, "{group}");
    }
    let table = succeeds(at, &["delta", "conflict", "d.safetensors", "d.safetensors"]);
    assert!(table.contains("vision layer 1"), "{table}");
}

#[test]
fn what_does_not_fit_is_said_in_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    write_models(at);
    succeeds(at, &["delta", "write", "model", "tuned", "d.safetensors"]);
    let apply = |base, to, delta| ["delta", "apply", base, to, delta];
    fails(
        at,
        &apply("tuned", "new", "d.safetensors"),
        &["its weights are", "was made from", "--stack"],
    );
    fails(
        at,
        &apply("model", "tuned", "d.safetensors"),
        &["tuned exists; choose another directory"],
    );
    fails(
        at,
        &apply("model", "new", "d.safetensors=much"),
        &["\"much\" is no number"],
    );
    fails(
        at,
        &["delta", "remove", "tuned", "new", "d.safetensors"],
        &["it carries nothing", "--unrecorded"],
    );
    fails(
        at,
        &apply("model", "new", "model/model.safetensors"),
        &["is not a usable delta"],
    );
    assert!(!at.join("new").exists());
    succeeds(
        at,
        &["delta", "apply", "tuned", "new", "d.safetensors", "--stack"],
    );
    // What it wrote is known by its hash.
    succeeds(at, &["verify", "new", "new"]);
    let provenance = Provenance::load(&at.join("new")).unwrap().unwrap();
    assert_eq!(provenance.weights_sha256.unwrap().len(), 64);
}
