//! Every form of checkpoint that transformers and open_clip leave, read and written. The tiny
//! checkpoints and the libraries' own logits are made by tests/reference/make_checkpoint_fixtures.py.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod formula;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use paint_clip::{
    Clip, ClipConfig, Error, HiddenAct, Layout, Preprocessor, Provenance, Tensors, WeightDtype,
    l2_normalize, load_tensors, save_as, weight_files,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

fn checkpoints() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference/checkpoints")
}

/// A copy that a test may spoil.
fn copy(form: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(checkpoints().join(form)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    dir
}

fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    change(&mut value);
    fs::write(path, value.to_string()).unwrap();
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

fn load(dir: &Path) -> Result<Tensors, Error> {
    load_tensors(dir, &Device::Cpu)
}

#[derive(Deserialize)]
struct Golden {
    ids: Vec<Vec<u32>>,
    logits: BTreeMap<String, Vec<Vec<f32>>>,
}

fn golden() -> Golden {
    serde_json::from_slice(&fs::read(checkpoints().join("logits.json")).unwrap()).unwrap()
}

fn logits(dir: &Path, ids: &[Vec<u32>]) -> Vec<Vec<f32>> {
    let clip = Clip::load(dir, &Device::Cpu).unwrap();
    let pixels = formula::uniform("pixels", 3 * 3 * 16 * 16);
    let pixels = Tensor::from_vec(pixels, (3, 3, 16, 16), &Device::Cpu).unwrap();
    let image = l2_normalize(&clip.encode_image(&pixels).unwrap()).unwrap();
    let text = l2_normalize(&clip.encode_text(ids).unwrap()).unwrap();
    let cosines = image.matmul(&text.t().unwrap()).unwrap();
    let scale = clip.logit_scale().exp().unwrap();
    cosines.broadcast_mul(&scale).unwrap().to_vec2().unwrap()
}

#[track_caller]
fn assert_logits(what: &str, actual: &[Vec<f32>], expected: &[Vec<f32>]) {
    let largest = expected.iter().flatten().fold(0_f32, |m, x| m.max(x.abs()));
    assert_eq!(actual.len(), expected.len(), "{what}");
    for (a, e) in actual.iter().flatten().zip(expected.iter().flatten()) {
        assert!((a - e).abs() < 1e-5 * largest, "{what}: {a} instead of {e}");
    }
}

#[test]
fn every_form_gives_the_logits_of_its_library() {
    let Golden { ids, logits: all } = golden();
    assert_eq!(all.len(), 9);
    for (form, expected) in &all {
        assert_logits(form, &logits(&checkpoints().join(form), &ids), expected);
    }
}

#[test]
fn both_layouts_can_be_written_from_every_form_and_read_again() {
    let Golden { ids, logits: all } = golden();
    let root = tempfile::tempdir().unwrap();
    for (form, expected) in &all {
        let from = checkpoints().join(form);
        let (config, tensors) = (ClipConfig::load(&from).unwrap(), load(&from).unwrap());
        for layout in [Layout::OpenClip, Layout::HuggingFace] {
            let to = root.path().join("converted");
            let provenance = Provenance::default();
            let dtype = WeightDtype::F32;
            save_as(
                layout,
                &to,
                &config,
                &tensors,
                dtype,
                Some(&from),
                &provenance,
            )
            .unwrap();
            assert_eq!(Layout::of(&to), layout);
            let recorded = Provenance::load(&to).unwrap().unwrap();
            assert!(recorded.weights_sha256.is_some());
            assert_eq!(recorded.tool_version, provenance.tool_version);
            let again = load(&to).unwrap();
            assert!(again.keys().eq(tensors.keys()));
            for (name, tensor) in &tensors {
                let bits = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                assert_eq!(again[name].dims(), tensor.dims(), "{form}: {name}");
                assert_eq!(bits(&again[name]), bits(tensor), "{form}: {name}");
            }
            assert_logits(form, &logits(&to, &ids), expected);
        }
    }
}

#[test]
fn written_files_have_the_names_and_shapes_of_the_libraries_own() {
    let root = tempfile::tempdir().unwrap();
    for (form, layout, file) in [
        ("hf", Layout::HuggingFace, "model.safetensors"),
        ("open-clip", Layout::OpenClip, "open_clip_model.safetensors"),
    ] {
        let from = checkpoints().join(form);
        let to = root.path().join(form);
        let (config, tensors) = (ClipConfig::load(&from).unwrap(), load(&from).unwrap());
        let provenance = Provenance::default();
        let dtype = WeightDtype::F32;
        save_as(
            layout,
            &to,
            &config,
            &tensors,
            dtype,
            Some(&from),
            &provenance,
        )
        .unwrap();
        let (theirs, ours) = (
            fs::read(from.join(file)).unwrap(),
            fs::read(to.join(file)).unwrap(),
        );
        let theirs = safetensors::SafeTensors::deserialize(&theirs).unwrap();
        let ours = safetensors::SafeTensors::deserialize(&ours).unwrap();
        assert_eq!(ours.len(), theirs.len());
        for (name, tensor) in theirs.iter() {
            assert_eq!(ours.tensor(name).unwrap().data(), tensor.data(), "{name}");
            assert_eq!(ours.tensor(name).unwrap().shape(), tensor.shape(), "{name}");
        }
    }
    let text = fs::read_to_string(root.path().join("open-clip/open_clip_config.json")).unwrap();
    let written: Value = serde_json::from_str(&text).unwrap();
    let own = checkpoints().join("open-clip/open_clip_config.json");
    let own: Value = serde_json::from_slice(&fs::read(own).unwrap()).unwrap();
    assert_eq!(written, own);
}

#[test]
fn half_precision_is_written_rounded_once() {
    let root = tempfile::tempdir().unwrap();
    let (to, from) = (root.path().join("half"), checkpoints().join("hf"));
    let (config, tensors) = (ClipConfig::load(&from).unwrap(), load(&from).unwrap());
    let rounded = |x: f32, dtype| match dtype {
        WeightDtype::F16 => half::f16::from_f32(x).to_f32(),
        WeightDtype::BF16 => half::bf16::from_f32(x).to_f32(),
        WeightDtype::F32 => x,
    };
    for dtype in [WeightDtype::F16, WeightDtype::BF16] {
        for layout in [Layout::OpenClip, Layout::HuggingFace] {
            let provenance = Provenance::default();
            save_as(layout, &to, &config, &tensors, dtype, None, &provenance).unwrap();
            for (name, tensor) in load(&to).unwrap() {
                let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                let expected: Vec<f32> = values(&tensors[&name])
                    .into_iter()
                    .map(|x| rounded(x, dtype))
                    .collect();
                assert_eq!(values(&tensor), expected, "{name}");
            }
        }
    }
}

#[test]
fn preprocessing_goes_with_a_conversion() {
    let root = tempfile::tempdir().unwrap();
    let from = checkpoints().join("open-clip");
    let (config, tensors) = (ClipConfig::load(&from).unwrap(), load(&from).unwrap());
    let (hf, back) = (root.path().join("hf"), root.path().join("back"));
    let provenance = Provenance::default();
    let write = |layout, to: &Path, from: &Path| {
        let dtype = WeightDtype::F32;
        save_as(
            layout,
            to,
            &config,
            &tensors,
            dtype,
            Some(from),
            &provenance,
        )
        .unwrap();
        Preprocessor::load(to).unwrap()
    };
    let as_hf = write(Layout::HuggingFace, &hf, &from);
    let as_open_clip = write(Layout::OpenClip, &back, &hf);
    assert_eq!(as_open_clip, Preprocessor::load(&from).unwrap());
    // Twice the size along one side, and 4 pixels more than the crop along the other: the same
    // centre in both libraries.
    let picture = formula::picture("edges", 40, 32);
    let bytes = as_hf.resize_crop(&picture);
    assert_eq!(bytes, as_open_clip.resize_crop(&picture));
    let values = |p: &Preprocessor| {
        let pixels = p.normalize(&bytes, 1, &Device::Cpu).unwrap();
        pixels.flatten_all().unwrap().to_vec1::<f32>().unwrap()
    };
    assert_eq!(values(&as_hf), values(&as_open_clip));
    let white = as_hf
        .normalize(&[255; 16 * 16 * 3], 1, &Device::Cpu)
        .unwrap();
    let white: Vec<f32> = white.flatten_all().unwrap().to_vec1().unwrap();
    assert_eq!([white[0], white[256]], [1.0, 1.25]);
}

/// One row and 19 columns wider or not: torchvision's `round(1.5)` is 2 and `round(0.5)` is 0,
/// where transformers cuts 1 and 0.
#[test]
fn the_centre_is_where_the_layouts_library_finds_it() {
    let open_clip = Preprocessor::load(&checkpoints().join("open-clip")).unwrap();
    let hf = tempfile::tempdir().unwrap();
    let stated = json!({ "size": 16, "crop_size": 16 }).to_string();
    fs::write(hf.path().join("preprocessor_config.json"), stated).unwrap();
    let hf = Preprocessor::load(hf.path()).unwrap();
    let columns = |p: &Preprocessor, width: u32| {
        // Column x has the value 10 x; the image needs no resizing.
        let picture = image::RgbImage::from_fn(width, 16, |x, _| image::Rgb([10 * x as u8; 3]));
        p.resize_crop(&picture)[0] / 10
    };
    for (width, by_torchvision, by_transformers) in [
        (16, 0, 0),
        (17, 0, 0),
        (18, 1, 1),
        (19, 2, 1),
        (21, 2, 2),
        (23, 4, 3),
    ] {
        assert_eq!(columns(&open_clip, width), by_torchvision, "{width}");
        assert_eq!(columns(&hf, width), by_transformers, "{width}");
    }
}

#[test]
fn shards_that_do_not_fit_their_index_are_named() {
    let index = "model.safetensors.index.json";
    let dir = copy("hf-shards");
    fs::remove_file(dir.path().join("model-00002-of-00004.safetensors")).unwrap();
    assert_says(
        load(dir.path()),
        &[index, "`model-00002-of-00004.safetensors` is missing"],
    );

    for form in ["hf-shards", "hf-bin-shards"] {
        let dir = copy(form);
        let index = weight_index(dir.path());
        edit(&index, |value| {
            let map = value["weight_map"].as_object_mut().unwrap();
            map.remove("visual_projection.weight").unwrap();
            map.insert("left.over".to_owned(), map["logit_scale"].clone());
        });
        assert_says(
            load(dir.path()),
            &[
                "index.json",
                "1 listed but not there: left.over in ",
                "1 there but not listed so: visual_projection.weight in ",
            ],
        );
    }

    for (shard, part) in [
        ("../model.safetensors", "no plain file name"),
        ("/etc/passwd", "no plain file name"),
        ("", "no plain file name"),
        ("pytorch_model.bin", "of another format"),
        ("a.safetensors", "`a.safetensors` is missing"),
    ] {
        let dir = copy("hf-shards");
        edit(&dir.path().join(index), |value| {
            value["weight_map"]["logit_scale"] = json!(shard);
        });
        assert_says(load(dir.path()), &[index, part]);
    }

    let dir = copy("hf-shards");
    fs::write(dir.path().join(index), "{\"weight_map\": 3}").unwrap();
    assert_says(load(dir.path()), &[index, "not valid"]);
}

fn weight_index(dir: &Path) -> PathBuf {
    let names = [
        "model.safetensors.index.json",
        "pytorch_model.bin.index.json",
    ];
    let paths = names.map(|name| dir.join(name));
    paths.into_iter().find(|path| path.exists()).unwrap()
}

#[test]
fn weight_files_are_those_that_are_read() {
    let names = |form: &str| -> Vec<String> {
        weight_files(&checkpoints().join(form))
            .unwrap()
            .iter()
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names("hf"), ["model.safetensors"]);
    assert_eq!(names("hf-bin"), ["pytorch_model.bin"]);
    assert_eq!(names("open-clip-bin"), ["open_clip_pytorch_model.bin"]);
    assert_eq!(names("hf-shards").len(), 4);
    assert_eq!(
        names("hf-bin-shards")[1],
        "pytorch_model-00002-of-00002.bin"
    );
}

#[test]
fn a_repository_with_both_layouts_is_read_in_hugging_faces() {
    let dir = copy("open-clip");
    for name in ["config.json", "model.safetensors"] {
        fs::copy(checkpoints().join("hf").join(name), dir.path().join(name)).unwrap();
    }
    assert_eq!(Layout::of(dir.path()), Layout::HuggingFace);
    load(dir.path()).unwrap();
    // LAION's older repositories have a config.json, but weights in open_clip's layout alone.
    fs::remove_file(dir.path().join("model.safetensors")).unwrap();
    assert_eq!(Layout::of(dir.path()), Layout::OpenClip);
    load(dir.path()).unwrap();
}

#[test]
fn tensors_are_named_as_the_file_spells_them() {
    let dir = copy("open-clip");
    edit(&dir.path().join("open_clip_config.json"), |value| {
        value["model_cfg"]["embed_dim"] = json!(10);
        value["model_cfg"]["text_cfg"]["layers"] = json!(1);
        value["model_cfg"]["vision_cfg"]["layers"] = json!(3);
    });
    let result = load(dir.path());
    assert!(matches!(result, Err(Error::TensorMismatch(_))));
    assert_says(
        result,
        &[
            "12 missing: visual.transformer.resblocks.2.attn.in_proj_bias, ",
            "12 not part of the model: transformer.resblocks.1.attn.in_proj_bias, ",
            "2 of another shape or type: text_projection is [8, 12] instead of [8, 10], \
             visual.proj is [16, 12] instead of [16, 10]",
            "open_clip_model.safetensors",
        ],
    );
}

#[test]
fn what_open_clip_can_say_and_this_crate_not_is_refused_by_name() {
    let check = |pointer: &str, value: Value, parts: &[&str]| {
        let dir = copy("open-clip");
        let path = dir.path().join("open_clip_config.json");
        edit(&path, |document| {
            let (section, key) = pointer.rsplit_once('/').unwrap();
            document.pointer_mut(section).unwrap()[key] = value;
        });
        assert_says(ClipConfig::load(dir.path()), parts);
    };
    let vision = "/model_cfg/vision_cfg";
    let text = "/model_cfg/text_cfg";
    for (key, value) in [
        ("timm_model_name", json!("vit_base_patch16_siglip_224")),
        ("attentional_pool", json!(true)),
        ("no_ln_pre", json!(true)),
        ("pool_type", json!("avg")),
        ("ls_init_value", json!(0.1)),
        ("qk_norm", json!(true)),
        ("something_new", json!(1)),
    ] {
        let name = format!("`vision_cfg.{key}` is {value}");
        check(&format!("{vision}/{key}"), value, &[&name, "plain CLIP"]);
    }
    for (key, value) in [
        ("hf_model_name", json!("roberta-base")),
        ("no_causal_mask", json!(true)),
        ("pool_type", json!("last")),
        ("proj_type", json!("mlp")),
        ("embed_cls", json!(true)),
    ] {
        let name = format!("`text_cfg.{key}` is {value}");
        check(&format!("{text}/{key}"), value, &[&name, "plain CLIP"]);
    }
    check(
        &format!("{vision}/layers"),
        json!([3, 4, 6, 3]),
        &["ResNet"],
    );
    check(
        &format!("{vision}/image_size"),
        json!([16, 8]),
        &["squares"],
    );
    check(
        &format!("{vision}/head_width"),
        json!(7),
        &["head_width", "16"],
    );
    check(&format!("{vision}/width"), json!(-1), &["vision_cfg.width"]);
    check(
        &format!("{vision}/width"),
        json!(1_u64 << 40),
        &["hidden_size", "not between"],
    );
    check(
        "/model_cfg/embed_dim",
        Value::Null,
        &["model_cfg.embed_dim", "missing"],
    );
    check(
        "/model_cfg/multimodal_cfg",
        json!({ "width": 1 }),
        &["multimodal_cfg"],
    );
    check("/model_cfg", json!(1), &["model_cfg"]);

    let dir = copy("open-clip");
    edit(&dir.path().join("open_clip_config.json"), |document| {
        document["preprocess_cfg"]["resize_mode"] = json!("longest");
    });
    assert_says(
        Preprocessor::load(dir.path()),
        &["preprocess_cfg.resize_mode", "\"longest\"", "squash"],
    );
}

#[test]
fn configurations_of_the_published_models_are_understood() {
    let dir = tempfile::tempdir().unwrap();
    let load = |cfg: Value| {
        let document = json!({ "model_cfg": cfg }).to_string();
        fs::write(dir.path().join("open_clip_config.json"), document).unwrap();
        ClipConfig::load(dir.path()).unwrap()
    };
    let n = |config: &ClipConfig| -> usize {
        let shapes = config.tensor_shapes();
        shapes.values().map(|s| s.iter().product::<usize>()).sum()
    };
    // open_clip's model_configs/ViT-B-32.json and ViT-H-14.json.
    let b32 = load(json!({
        "embed_dim": 512,
        "vision_cfg": { "image_size": 224, "layers": 12, "width": 768, "patch_size": 32 },
        "text_cfg": { "context_length": 77, "vocab_size": 49408, "width": 512, "heads": 8, "layers": 12 },
    }));
    assert_eq!((n(&b32), b32.vision.num_attention_heads), (151_277_313, 12));
    assert_eq!(b32.vision.hidden_act, HiddenAct::Gelu);
    let h14 = load(json!({
        "embed_dim": 1024,
        "vision_cfg": { "image_size": 224, "layers": 32, "width": 1280, "head_width": 80, "patch_size": 14 },
        "text_cfg": { "context_length": 77, "vocab_size": 49408, "width": 1024, "heads": 16, "layers": 24 },
        "init_logit_bias": null, "custom_text": true,
    }));
    assert_eq!((n(&h14), h14.vision.num_attention_heads), (986_109_441, 16));
    // OpenAI's rule for the end of a text.
    assert_eq!(h14.text.eos_token_id, 2);
}

#[test]
fn what_open_clip_cannot_say_is_not_written() {
    let root = tempfile::tempdir().unwrap();
    let (from, to) = (checkpoints().join("hf"), root.path().join("new"));
    let tensors = load(&from).unwrap();
    let config = ClipConfig::load(&from).unwrap();
    let write = |config: &ClipConfig, source: Option<&Path>| {
        let (dtype, provenance) = (WeightDtype::F32, Provenance::default());
        save_as(
            Layout::OpenClip,
            &to,
            config,
            &tensors,
            dtype,
            source,
            &provenance,
        )
    };
    let mut two = config.clone();
    two.text.hidden_act = HiddenAct::Gelu;
    assert_says(
        write(&two, None),
        &["text_config.hidden_act", "one for both"],
    );
    let source = root.path().join("source");
    fs::create_dir(&source).unwrap();
    for (stated, key) in [
        (json!({ "size": 20, "crop_size": 16 }), "`size`"),
        (json!({ "size": 16, "crop_size": 18 }), "`crop_size`"),
        (
            json!({ "size": 16, "crop_size": 16, "do_rescale": false }),
            "rescale_factor",
        ),
    ] {
        fs::write(source.join("preprocessor_config.json"), stated.to_string()).unwrap();
        assert_says(
            write(&config, Some(&source)),
            &[key, "open_clip_config.json"],
        );
    }
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1, "left behind");
}

#[test]
fn the_preprocessing_of_a_saved_processor_goes_with_the_checkpoint() {
    let root = tempfile::tempdir().unwrap();
    let source = root.path().join("source");
    fs::create_dir(&source).unwrap();
    let stated = json!({ "image_processor": { "size": 16, "crop_size": 16, "image_mean": [0.4, 0.5, 0.6] } });
    fs::write(source.join("processor_config.json"), stated.to_string()).unwrap();
    let from = checkpoints().join("hf");
    let (tensors, config) = (load(&from).unwrap(), ClipConfig::load(&from).unwrap());
    // What preprocessing makes of a black image.
    let black = |dir: &Path| {
        let preprocessor = Preprocessor::load(dir).unwrap();
        let pixels = preprocessor.normalize(&[0; 16 * 16 * 3], 1, &Device::Cpu);
        pixels
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap()
    };
    let write = |layout: Layout, to: &Path| {
        let (dtype, provenance) = (WeightDtype::F32, Provenance::default());
        let source = Some(source.as_path());
        save_as(layout, to, &config, &tensors, dtype, source, &provenance).unwrap();
    };
    for layout in [Layout::HuggingFace, Layout::OpenClip] {
        let to = root.path().join(format!("{layout:?}"));
        // What is there may be replaced.
        for _ in 0..2 {
            write(layout, &to);
            assert_eq!(black(&to), black(&source), "{layout:?}");
        }
    }
    // A processor of an older version states no preprocessing, and is no obstacle.
    let legacy = json!({ "processor_class": "CLIPProcessor" });
    fs::write(source.join("processor_config.json"), legacy.to_string()).unwrap();
    write(Layout::OpenClip, &root.path().join("legacy"));
}

#[test]
fn other_rules_for_the_end_of_a_text_survive_a_conversion() {
    let root = tempfile::tempdir().unwrap();
    let (from, to) = (checkpoints().join("hf"), root.path().join("new"));
    let (tensors, mut config) = (load(&from).unwrap(), ClipConfig::load(&from).unwrap());
    // (in Hugging Face's words, after open_clip's)
    for (eos, back) in [(63, 2), (2, 2), (40, 40)] {
        config.text.eos_token_id = eos;
        let (dtype, provenance) = (WeightDtype::F32, Provenance::default());
        save_as(
            Layout::OpenClip,
            &to,
            &config,
            &tensors,
            dtype,
            None,
            &provenance,
        )
        .unwrap();
        assert_eq!(ClipConfig::load(&to).unwrap().text.eos_token_id, back);
    }
}

#[test]
fn a_published_model_with_the_wrong_activation_is_named() {
    let root = tempfile::tempdir().unwrap();
    let place = |form: &str, path: &str| {
        let dir = root.path().join(path);
        fs::create_dir_all(&dir).unwrap();
        for entry in fs::read_dir(checkpoints().join(form)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), dir.join(entry.file_name())).unwrap();
        }
        dir
    };
    // All with quick_gelu, but open-clip-bin.
    let cached = "models--laion--CLIP-ViT-B-32-laion2B-s34B-b79K/snapshots/1a25";
    for (form, path, right) in [
        ("hf", "openai/clip-vit-base-patch32", true),
        ("hf", "laion/CLIP-ViT-B-16-laion2B-s34B-b88K", false),
        ("hf", cached, false),
        ("open-clip", "timm/vit_base_patch32_clip_224.openai", true),
        (
            "open-clip-bin",
            "timm/vit_base_patch16_clip_224.openai",
            false,
        ),
        (
            "open-clip-bin",
            "laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
            true,
        ),
        ("open-clip-bin", "me/finetuned", true),
    ] {
        let result = ClipConfig::load(&place(form, path));
        if right {
            result.unwrap();
        } else {
            assert_says(result, &["vision_config.hidden_act", "was trained with"]);
        }
    }
    let dir = copy("hf");
    edit(&dir.path().join("config.json"), |value| {
        value["_name_or_path"] = json!("openai/clip-vit-large-patch14");
        value["text_config"]["hidden_act"] = json!("gelu");
    });
    assert_says(
        ClipConfig::load(dir.path()),
        &[
            "`text_config.hidden_act` is gelu",
            "openai/clip-vit-large-patch14 was trained with quick_gelu",
        ],
    );
}
