//! Reading and writing checkpoint directories, whole and broken.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod formula;

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use candle_core::{DType, Device, Tensor};
use paint_clip::{
    Clip, ClipConfig, Error, HiddenAct, Parent, Preprocessor, Provenance, Tensors, TextConfig,
    Tokenizer, VisionConfig, WeightDtype, image_tensor_names, load_tensors, restore, save,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

fn config() -> ClipConfig {
    ClipConfig {
        projection_dim: 6,
        vision: VisionConfig {
            hidden_size: 8,
            intermediate_size: 16,
            num_hidden_layers: 1,
            num_attention_heads: 2,
            image_size: 8,
            patch_size: 4,
            hidden_act: HiddenAct::Gelu,
            ..VisionConfig::default()
        },
        text: TextConfig {
            vocab_size: 12,
            hidden_size: 4,
            intermediate_size: 8,
            num_hidden_layers: 1,
            num_attention_heads: 2,
            max_position_embeddings: 6,
            ..TextConfig::default()
        },
        ..ClipConfig::default()
    }
}

fn write(dir: &Path, tensors: &Tensors, dtype: WeightDtype) -> Result<(), Error> {
    save(dir, &config(), tensors, dtype, None, &Provenance::default())
}

/// A directory with a complete checkpoint in `model`.
fn checkpoint() -> (TempDir, std::path::PathBuf, Tensors) {
    let root = tempfile::tempdir().unwrap();
    let (dir, tensors) = (root.path().join("model"), formula::weights(&config()));
    write(&dir, &tensors, WeightDtype::F32).unwrap();
    (root, dir, tensors)
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn names_in(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// An empty directory but for a configuration.
fn without_weights() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("config.json"), config().to_json()).unwrap();
    dir
}

/// Writes a safetensors file from a header and data, whatever they say.
fn raw_weights(dir: &Path, header: &Value, data: &[u8]) {
    let header = header.to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    fs::write(dir.join("model.safetensors"), bytes).unwrap();
}

fn message<T>(result: Result<T, Error>) -> String {
    let message = result.err().expect("this must fail").to_string();
    assert!(
        !message.contains('\n') && !message.ends_with('.'),
        "{message}"
    );
    message
}

#[track_caller]
fn assert_says<T>(result: Result<T, Error>, parts: &[&str]) {
    let message = message(result);
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
}

#[test]
fn what_is_saved_as_f32_loads_bit_for_bit() {
    let (_root, dir, tensors) = checkpoint();
    assert_eq!(ClipConfig::load(&dir).unwrap(), config());
    let loaded = load_tensors(&dir, &Device::Cpu).unwrap();
    assert!(loaded.keys().eq(tensors.keys()));
    for (name, tensor) in &tensors {
        assert_eq!(loaded[name].dims(), tensor.dims(), "{name}");
        assert_eq!(values(&loaded[name]), values(tensor), "{name}");
    }
    Clip::load(&dir, &Device::Cpu).unwrap();
}

#[test]
fn what_is_saved_as_f16_is_rounded_once_and_half_as_large() {
    let (root, f32_dir, tensors) = checkpoint();
    let dir = root.path().join("half");
    write(&dir, &tensors, WeightDtype::F16).unwrap();
    let size = |dir: &Path| fs::metadata(dir.join("model.safetensors")).unwrap().len();
    let n: usize = tensors.values().map(Tensor::elem_count).sum();
    assert!(size(&f32_dir) - size(&dir) + 8 >= 2 * n as u64);
    let loaded = load_tensors(&dir, &Device::Cpu).unwrap();
    for (name, tensor) in &tensors {
        for (a, b) in values(&loaded[name]).iter().zip(values(tensor)) {
            assert_eq!(*a, half::f16::from_f32(b).to_f32(), "{name}");
        }
    }
}

#[test]
fn the_weights_are_read_by_the_safetensors_crate() {
    let (_root, dir, tensors) = checkpoint();
    let bytes = fs::read(dir.join("model.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.len(), tensors.len());
    let (header_len, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(header_len % 8, 0);
    assert_eq!(header.metadata().as_ref().unwrap()["format"], "pt");
    let view = file.tensor("visual_projection.weight").unwrap();
    let first = f32::from_le_bytes(*view.data().first_chunk().unwrap());
    assert_eq!(first, values(&tensors["visual_projection.weight"])[0]);
}

#[test]
fn mixed_dtypes_and_position_ids_are_read() {
    let dir = without_weights();
    let (mut header, mut data) = (json!({}), Vec::new());
    let mut put = |name: &str, dtype: &str, shape: &[usize], bytes: Vec<u8>| {
        let start = data.len();
        data.extend(bytes);
        header[name] =
            json!({ "dtype": dtype, "shape": shape, "data_offsets": [start, data.len()] });
    };
    let ids = 7_i64.to_le_bytes().to_vec();
    put("text_model.embeddings.position_ids", "I64", &[1, 1], ids);
    let (weights, mut expected) = (formula::weights(&config()), Vec::new());
    for (i, (name, tensor)) in weights.iter().enumerate() {
        let x = values(tensor);
        let (f16, bf16) = (half::f16::from_f32, half::bf16::from_f32);
        let (dtype, bytes, stored): (_, Vec<u8>, Vec<f32>) = match i % 3 {
            0 => {
                let bytes = x.iter().flat_map(|x| x.to_le_bytes()).collect();
                ("F32", bytes, x)
            }
            1 => {
                let bytes = x.iter().flat_map(|x| f16(*x).to_le_bytes()).collect();
                ("F16", bytes, x.iter().map(|x| f16(*x).to_f32()).collect())
            }
            _ => {
                let bytes = x.iter().flat_map(|x| bf16(*x).to_le_bytes()).collect();
                ("BF16", bytes, x.iter().map(|x| bf16(*x).to_f32()).collect())
            }
        };
        put(name, dtype, tensor.dims(), bytes);
        expected.push(stored);
    }
    raw_weights(dir.path(), &header, &data);
    let tensors = load_tensors(dir.path(), &Device::Cpu).unwrap();
    assert!(tensors.keys().eq(weights.keys()));
    for ((name, tensor), stored) in tensors.iter().zip(&expected) {
        assert_eq!(tensor.dims(), weights[name].dims(), "{name}");
        assert_eq!(values(tensor), *stored, "{name}");
    }
}

#[test]
fn files_that_are_something_else_are_named() {
    let dir = without_weights();
    for (content, parts) in [
        (&b""[..], ["0 bytes", "is empty"]),
        (b"abc", ["3 bytes", "shorter than a header"]),
        (
            b"<!DOCTYPE html><html>Sign in</html>",
            ["35 bytes", "web page"],
        ),
        (b"\n <html></html>", ["15 bytes", "web page"]),
        (
            b"PK\x03\x04 archive/data.pkl",
            ["PyTorch pickle", "pytorch_model.bin"],
        ),
        (
            b"just some text, quite long",
            ["26 bytes", "does not start with"],
        ),
        (b"\x04\0\0\0\0\0\0\0{}xx", ["12 bytes", "does not parse"]),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 605157884\n",
            [
                "git-lfs pointer to a file of 605157884 bytes",
                "git lfs pull",
            ],
        ),
    ] {
        fs::write(dir.path().join("model.safetensors"), content).unwrap();
        let result = load_tensors(dir.path(), &Device::Cpu);
        assert!(matches!(result, Err(Error::NotWeights { .. })));
        assert_says(result, &parts);
    }
}

#[test]
fn a_file_cut_anywhere_or_grown_is_refused() {
    let (_root, dir, _) = checkpoint();
    let path = dir.join("model.safetensors");
    let whole = fs::read(&path).unwrap();
    for length in (1..whole.len()).step_by(97).chain([whole.len() - 1]) {
        fs::write(&path, &whole[..length]).unwrap();
        let result = load_tensors(&dir, &Device::Cpu);
        assert!(
            matches!(
                result,
                Err(Error::WrongLength { .. } | Error::NotWeights { .. })
            ),
            "cut to {length} bytes"
        );
    }
    fs::write(&path, &whole[..whole.len() - 5]).unwrap();
    let (has, should) = ((whole.len() - 5).to_string(), whole.len().to_string());
    assert_says(
        load_tensors(&dir, &Device::Cpu),
        &[&has, &should, "truncated"],
    );
    fs::write(&path, [whole.as_slice(), b"more"].concat()).unwrap();
    assert_says(load_tensors(&dir, &Device::Cpu), &["something follows"]);
}

#[test]
fn headers_that_lie_are_refused() {
    let dir = without_weights();
    for header in [
        json!({ "a": { "dtype": "F32", "shape": [2], "data_offsets": [0, 4] } }),
        json!({ "a": { "dtype": "F32", "shape": [1], "data_offsets": [4, 8] } }),
        json!({ "a": { "dtype": "F32", "shape": [1], "data_offsets": [4, 0] } }),
        json!({ "a": { "dtype": "F32", "shape": [u64::MAX, 2], "data_offsets": [0, 4] } }),
        json!({ "a": { "dtype": "F32", "shape": [0, u64::MAX, 2], "data_offsets": [0, 0] } }),
        json!({ "a": { "dtype": "F32", "shape": [1], "data_offsets": [0, 4] },
                "b": { "dtype": "F32", "shape": [1], "data_offsets": [0, 4] } }),
        json!([1, 2]),
        json!({ "a": 1 }),
    ] {
        raw_weights(dir.path(), &header, &[0; 4]);
        let result = load_tensors(dir.path(), &Device::Cpu);
        assert!(result.is_err(), "{header}");
        message(result);
    }
    let integers =
        json!({ "logit_scale": { "dtype": "I32", "shape": [], "data_offsets": [0, 4] } });
    raw_weights(dir.path(), &integers, &[0; 4]);
    assert_says(
        load_tensors(dir.path(), &Device::Cpu),
        &["logit_scale is I32 instead of F32, F16 or BF16"],
    );
}

#[test]
fn missing_weights_and_those_of_other_frameworks_are_explained() {
    let dir = without_weights();
    let load = || load_tensors(dir.path(), &Device::Cpu);
    assert_says(
        load(),
        &["no weights", "model.safetensors, ", "pytorch_model.bin"],
    );
    fs::write(dir.path().join("tf_model.h5"), "{}").unwrap();
    assert_says(
        load(),
        &["other frameworks (tf_model.h5)", "model.safetensors"],
    );
    let empty = tempfile::tempdir().unwrap();
    assert_says(
        load_tensors(empty.path(), &Device::Cpu),
        &["cannot read", "config.json"],
    );
}

#[test]
fn values_that_are_not_finite_are_refused_by_name() {
    let (root, dir, mut tensors) = checkpoint();
    let before = fs::read(dir.join("model.safetensors")).unwrap();
    // The last tensor of the file.
    let name = "visual_projection.weight";
    let mut spoiled = before.clone();
    let end = spoiled.len();
    spoiled[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    spoiled[end - 8..end - 4].copy_from_slice(&f32::INFINITY.to_le_bytes());
    fs::write(dir.join("model.safetensors"), &spoiled).unwrap();
    assert_says(
        load_tensors(&dir, &Device::Cpu),
        &[&format!("`{name}`"), "2 value(s)", "model.safetensors"],
    );
    fs::write(dir.join("model.safetensors"), &before).unwrap();

    tensors.insert(
        name.to_owned(),
        Tensor::full(f32::NAN, (6, 8), &Device::Cpu).unwrap(),
    );
    assert_says(
        write(&dir, &tensors, WeightDtype::F32),
        &[name, "48 value(s)"],
    );
    for (value, dtype, part) in [
        (7e4, WeightDtype::F16, "f16"),
        (f32::MAX, WeightDtype::BF16, "bf16"),
    ] {
        let large = Tensor::full(value, (6, 8), &Device::Cpu).unwrap();
        tensors.insert(name.to_owned(), large);
        assert_says(write(&dir, &tensors, dtype), &[name, "48 value(s)", part]);
    }
    assert_eq!(fs::read(dir.join("model.safetensors")).unwrap(), before);
    assert_eq!(names_in(root.path()), ["model"]);
}

#[test]
fn tensors_that_do_not_fit_are_listed_in_one_error() {
    let config = config();
    let mut tensors = formula::weights(&config);
    for name in image_tensor_names(&config).iter().take(5) {
        tensors.remove(name);
    }
    let wrong = Tensor::zeros((6, 9), DType::F32, &Device::Cpu).unwrap();
    tensors.insert("visual_projection.weight".to_owned(), wrong);
    let double = Tensor::zeros((6, 4), DType::F64, &Device::Cpu).unwrap();
    tensors.insert("text_projection.weight".to_owned(), double);
    let stranger = Tensor::zeros(1, DType::F32, &Device::Cpu).unwrap();
    tensors.insert("visual.proj".to_owned(), stranger.clone());
    tensors.insert("text_model.embeddings.position_ids".to_owned(), stranger);
    assert_says(
        Clip::from_tensors(&config, &tensors),
        &[
            "5 missing: vision_model.embeddings.class_embedding, ",
            ", …; 1 not part of the model: visual.proj; ",
            "2 of another shape or type",
            "visual_projection.weight is [6, 9] instead of [6, 8]",
            "text_projection.weight is F64 instead of F32",
        ],
    );
}

/// The provenance as it was given; the hash that was added is that of the weights.
fn recorded(dir: &Path) -> Provenance {
    let mut provenance = Provenance::load(dir).unwrap().unwrap();
    let hash = Sha256::digest(fs::read(dir.join("model.safetensors")).unwrap());
    let digits: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(provenance.weights_sha256.take(), Some(digits));
    provenance
}

#[test]
fn saving_replaces_a_checkpoint_and_carries_its_tokenizer_over() {
    let (root, dir, mut tensors) = checkpoint();
    fs::write(dir.join("tokenizer.json"), "the tokenizer").unwrap();
    fs::write(dir.join("preprocessor_config.json"), "{}").unwrap();
    let provenance = Provenance {
        parents: vec![Parent {
            name: "zero_shot".to_owned(),
            sha256: "00ff".to_owned(),
        }],
        alpha: Some(0.3),
        task: Some("digits".to_owned()),
        seed: Some(u64::MAX),
        ..Provenance::default()
    };
    assert_eq!(recorded(&dir), Provenance::default());
    let name = "logit_scale";
    tensors.insert(name.to_owned(), Tensor::new(4.5_f32, &Device::Cpu).unwrap());
    // The source may be the destination itself.
    save(
        &dir,
        &config(),
        &tensors,
        WeightDtype::F32,
        Some(&dir),
        &provenance,
    )
    .unwrap();
    assert_eq!(
        names_in(&dir),
        [
            "config.json",
            "model.safetensors",
            "paint.json",
            "preprocessor_config.json",
            "tokenizer.json"
        ]
    );
    assert_eq!(
        fs::read(dir.join("tokenizer.json")).unwrap(),
        b"the tokenizer"
    );
    assert_eq!(
        values(&load_tensors(&dir, &Device::Cpu).unwrap()[name]),
        [4.5]
    );
    assert_eq!(recorded(&dir), provenance);
    assert_eq!(names_in(root.path()), ["model"]);
    assert_eq!(Provenance::load(root.path()).unwrap(), None);
}

#[test]
fn saving_never_destroys_the_files_of_others() {
    let (root, dir, tensors) = checkpoint();
    fs::write(dir.join("notes.txt"), "mine").unwrap();
    let result = write(&dir, &tensors, WeightDtype::F32);
    assert!(matches!(result, Err(Error::ForeignFile { .. })));
    assert_says(result, &["notes.txt"]);
    assert_eq!(fs::read(dir.join("notes.txt")).unwrap(), b"mine");
    assert_eq!(names_in(root.path()), ["model"]);
    let result = write(Path::new(""), &tensors, WeightDtype::F32);
    assert_says(result, &["cannot save to"]);
}

/// What a `save` leaves that was killed between its last two renames, two hours ago.
fn kill_between_renames(dir: &Path) {
    fs::rename(dir, dir.with_file_name(".model.old")).unwrap();
    let unfinished = dir.with_file_name(".model.aaaaaa.part");
    fs::create_dir(&unfinished).unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(7200);
    let unfinished = fs::File::open(unfinished).unwrap();
    unfinished.set_modified(long_ago).unwrap();
}

#[test]
fn what_a_killed_save_left_aside_gets_its_name_back_from_any_load() {
    type Load = fn(&Path) -> Result<(), Error>;
    let loads: [Load; 6] = [
        restore,
        |dir| ClipConfig::load(dir).map(drop),
        |dir| load_tensors(dir, &Device::Cpu).map(drop),
        |dir| Provenance::load(dir).map(|found| assert!(found.is_some())),
        |dir| Preprocessor::load(dir).map(drop),
        |dir| Clip::load(dir, &Device::Cpu).map(drop),
    ];
    for load in loads {
        let (root, dir, _) = checkpoint();
        fs::write(dir.join("preprocessor_config.json"), "{}").unwrap();
        kill_between_renames(&dir);
        load(&dir).unwrap();
        assert_eq!(names_in(root.path()), [".model.aaaaaa.part", "model"]);
    }
    let (_root, dir, _) = checkpoint();
    kill_between_renames(&dir);
    assert_says(Tokenizer::load(&dir), &["model/tokenizer.json"]);
}

#[test]
fn a_save_after_a_killed_one_goes_on_from_what_was_there() {
    let (root, dir, mut tensors) = checkpoint();
    fs::write(dir.join("tokenizer.json"), "the tokenizer").unwrap();
    kill_between_renames(&dir);
    tensors.insert(
        "logit_scale".to_owned(),
        Tensor::new(4.5_f32, &Device::Cpu).unwrap(),
    );
    let provenance = Provenance::default();
    let dtype = WeightDtype::F32;
    save(&dir, &config(), &tensors, dtype, Some(&dir), &provenance).unwrap();
    assert_eq!(names_in(root.path()), ["model"]);
    let loaded = load_tensors(&dir, &Device::Cpu).unwrap();
    assert_eq!(values(&loaded["logit_scale"]), [4.5]);
    // It was its own source, and that had its tokenizer.
    assert!(dir.join("tokenizer.json").exists());

    // A foreign file in it is as safe as before.
    fs::write(dir.join("notes.txt"), "mine").unwrap();
    fs::rename(&dir, root.path().join(".model.old")).unwrap();
    assert_says(write(&dir, &tensors, dtype), &["notes.txt"]);
    assert_eq!(fs::read(dir.join("notes.txt")).unwrap(), b"mine");
}

#[test]
fn an_older_checkpoint_aside_never_replaces_a_newer_one() {
    let (root, dir, tensors) = checkpoint();
    // Killed after both renames.
    let aside = root.path().join(".model.old");
    fs::create_dir(&aside).unwrap();
    fs::write(aside.join("config.json"), "{").unwrap();
    restore(&dir).unwrap();
    Clip::load(&dir, &Device::Cpu).unwrap();
    write(&dir, &tensors, WeightDtype::F32).unwrap();
    assert_eq!(names_in(root.path()), ["model"]);
    Clip::load(&dir, &Device::Cpu).unwrap();
    for nowhere in ["/", ".", "", "/nowhere"] {
        restore(Path::new(nowhere)).unwrap();
    }
}

#[test]
fn a_source_that_cannot_be_read_leaves_nothing_behind() {
    let (root, dir, tensors) = checkpoint();
    let source = root.path().join("source");
    // A directory in the place of a file fails to read after other files have been written.
    fs::create_dir_all(source.join("vocab.json")).unwrap();
    let target = root.path().join("new");
    let provenance = Provenance::default();
    for target in [&target, &dir] {
        let result = save(
            target,
            &config(),
            &tensors,
            WeightDtype::F32,
            Some(&source),
            &provenance,
        );
        assert_says(result, &["cannot read", "vocab.json"]);
    }
    assert_eq!(names_in(root.path()), ["model", "source"]);
    Clip::load(&dir, &Device::Cpu).unwrap();
}

fn load_config(text: &str) -> Result<ClipConfig, Error> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("config.json"), text).unwrap();
    ClipConfig::load(dir.path())
}

#[test]
fn missing_keys_of_a_configuration_take_the_defaults() {
    let vit_b32 = ClipConfig::default();
    assert_eq!(load_config("{}").unwrap(), vit_b32);
    let n: usize = vit_b32
        .tensor_shapes()
        .values()
        .map(|s| s.iter().product::<usize>())
        .sum();
    assert_eq!((n, vit_b32.tensor_shapes().len()), (151_277_313, 398));
    assert_eq!(image_tensor_names(&vit_b32).len(), 200);

    let laion = r#"{ "model_type": "clip", "text_config": { "hidden_act": "gelu" },
        "vision_config": null, "vision_config_dict": { "hidden_act": "gelu", "dropout": 0.0 },
        "text_config_dict": null, "projection_dim": 512 }"#;
    let laion = load_config(laion).unwrap();
    assert_eq!(
        (laion.text.hidden_act, laion.vision.hidden_act),
        (HiddenAct::Gelu, HiddenAct::Gelu)
    );
    assert_eq!(laion.vision.hidden_size, 768);
    assert_eq!(load_config(&laion.to_json()).unwrap(), laion);

    // As transformers: the legacy section, completed by the defaults, wins.
    let both = r#"{ "text_config": { "hidden_size": 64, "vocab_size": 9 },
        "text_config_dict": { "hidden_size": 128 } }"#;
    let both = load_config(both).unwrap().text;
    assert_eq!((both.hidden_size, both.vocab_size), (128, 49408));
}

#[test]
fn configurations_that_cannot_work_are_refused() {
    for (text, parts) in [
        ("{", ["config.json", "line 1"]),
        ("[]", ["config.json", "not valid"]),
        (
            r#"{"model_type": "siglip"}"#,
            ["`model_type` is \"siglip\"", "\"clip\""],
        ),
        (
            r#"{"model_type": "clip_vision_model"}"#,
            ["clip_vision_model", "both towers"],
        ),
        (
            r#"{"text_config": {"hidden_act": "relu"}}"#,
            ["relu", "quick_gelu"],
        ),
        (
            r#"{"text_config": {"hidden_size": 100}}"#,
            ["text_config.hidden_size", "heads 8"],
        ),
        (
            r#"{"vision_config": {"num_attention_heads": 0}}"#,
            ["num_attention_heads", "is 0"],
        ),
        (
            r#"{"vision_config": {"hidden_size": -1}}"#,
            ["config.json", "-1"],
        ),
        (
            r#"{"vision_config": {"patch_size": 30}}"#,
            ["image_size", "patch_size 30"],
        ),
        (
            r#"{"vision_config": {"num_channels": 1}}"#,
            ["num_channels", "only 3"],
        ),
        (
            r#"{"text_config": {"vocab_size": 99999999999}}"#,
            ["vocab_size", "99999999999"],
        ),
        (
            r#"{"text_config": {"num_hidden_layers": 0}}"#,
            ["text_config.num_hidden_layers", "is 0"],
        ),
        // Would be a list of 16 names for each layer.
        (
            r#"{"text_config": {"num_hidden_layers": 1000000000000}}"#,
            ["text_config.num_hidden_layers", "not between 1 and 1024"],
        ),
        (
            r#"{"vision_config": {"num_hidden_layers": 18446744073709551615}}"#,
            ["vision_config.num_hidden_layers", "not between 1 and 1024"],
        ),
        (
            r#"{"vision_config": {"hidden_size": 16777216}}"#,
            ["vision_config.hidden_size", "not between 1 and 65536"],
        ),
        (
            r#"{"projection_dim": 65537}"#,
            ["projection_dim", "not between 1 and 65536"],
        ),
        (
            r#"{"vision_config": {"image_size": 1048576, "patch_size": 1}}"#,
            ["vision_config.image_size", "not between 1 and 16384"],
        ),
        (
            r#"{"text_config": {"max_position_embeddings": 10000000000}}"#,
            ["max_position_embeddings", "not between 2 and 65536"],
        ),
        (
            r#"{"text_config": {"max_position_embeddings": 1}}"#,
            ["max_position_embeddings", "not between 2 and 65536"],
        ),
    ] {
        assert_says(load_config(text), &parts);
    }
    assert_says(
        ClipConfig::load(Path::new("/nowhere")),
        &["cannot read /nowhere/config.json"],
    );
}
