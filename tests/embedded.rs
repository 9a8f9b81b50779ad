//! The embedded checkpoints still read the captions they were trained with: their tokenizer is
//! made anew from the world's words, which a change of names or captions would shift.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use candle_core::Device;
use paint_clip::{Clip, Preprocessor, Tokenizer, ZeroShotHead};
use paint_world::{Split, checkpoints, picture, tasks};

#[test]
fn the_models_of_the_world_know_most_objects() {
    for name in ["world-xs", "world-s"] {
        knows_most_objects(name);
    }
}

fn knows_most_objects(name: &str) {
    let checkpoint = checkpoints().iter().find(|c| c.name == name).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let dir = directory.path();
    checkpoint.write(dir).unwrap();
    let clip = Clip::load(dir, &Device::Cpu).unwrap();
    let (tokenizer, preprocessor) = (
        Tokenizer::load(dir).unwrap(),
        Preprocessor::load(dir).unwrap(),
    );
    let objects = tasks().into_iter().find(|t| t.task.name == "objects");
    let task = objects.unwrap().task;
    let head = ZeroShotHead::build(&clip, &tokenizer, &task.class_names, &task.templates).unwrap();

    let n = task.class_names.len();
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for index in 0..n as u64 {
        let (image, label) = picture("objects", Split::Validation, index).unwrap();
        pixels.extend(preprocessor.resize_crop(&image));
        labels.push(label);
    }
    let pixels = preprocessor.normalize(&pixels, n, &Device::Cpu).unwrap();
    let logits = head.logits(&clip.encode_image(&pixels).unwrap()).unwrap();
    let found: Vec<u32> = logits.argmax(1).unwrap().to_vec1().unwrap();
    let right = found.iter().zip(&labels).filter(|(a, b)| a == b).count();
    assert!(100 * right > 70 * n, "{name}: {right} of {n}");
}
