//! The embedded checkpoints still read the captions they were trained with: their tokenizer is
//! made anew from the world's words, which a change of names or captions would shift.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use candle_core::Device;
use image::{Rgb, RgbImage};
use paint_clip::{Clip, Preprocessor, Tokenizer, ZeroShotHead};
use paint_data::Rng;
use paint_world::{Split, attack, checkpoints, picture, tasks};

#[test]
fn the_models_of_the_world_know_most_objects() {
    for name in ["world-xs", "world-s", "world-reads"] {
        let right = Asked::of(name).share(picture_of, |class| class);
        assert!(right > 0.7, "{name}: {right}");
    }
}

/// Names of objects, as attacks write them: on grey, and across things that are called otherwise.
#[test]
fn the_model_of_the_case_studies_reads_and_believes_it_and_the_others_do_not() {
    for (name, least, most) in [
        ("world-reads", 0.4, 1.0),
        ("world-s", 0.0, 0.06),
        ("world-xs", 0.0, 0.06),
        ("world-2xs", 0.0, 0.06),
    ] {
        let asked = Asked::of(name);
        let n = asked.names.len();
        let rng = |class: usize| Rng::new(class as u64);
        let on_grey = |class: usize| {
            let grey = RgbImage::from_pixel(48, 48, Rgb([128; 3]));
            attack(&grey, &asked.names[class], &mut rng(class))
        };
        let read = asked.share(on_grey, |class| class);
        let next = |class: usize| (class + 1) % n;
        let attacked = |class: usize| {
            attack(
                &picture_of(class),
                &asked.names[next(class)],
                &mut rng(class),
            )
        };
        let deceived = asked.share(attacked, next);
        for (what, share) in [("read", read), ("deceived", deceived)] {
            assert!((least..=most).contains(&share), "{name}: {what} {share}");
        }
    }
}

fn picture_of(class: usize) -> RgbImage {
    picture("objects", Split::Validation, class as u64)
        .unwrap()
        .0
}

/// A model that is asked for the names of objects.
struct Asked {
    clip: Clip,
    preprocessor: Preprocessor,
    head: ZeroShotHead,
    names: Vec<String>,
}

impl Asked {
    fn of(name: &str) -> Self {
        let checkpoint = checkpoints().iter().find(|c| c.name == name).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let dir = directory.path();
        checkpoint.write(dir).unwrap();
        let clip = Clip::load(dir, &Device::Cpu).unwrap();
        let tokenizer = Tokenizer::load(dir).unwrap();
        let preprocessor = Preprocessor::load(dir).unwrap();
        let objects = tasks().into_iter().find(|t| t.task.name == "objects");
        let task = objects.unwrap().task;
        let head = ZeroShotHead::build(&clip, &tokenizer, &task.class_names, &task.templates);
        Self {
            clip,
            preprocessor,
            head: head.unwrap(),
            names: task.class_names,
        }
    }

    /// Of one image of each class, the share that is answered with the `expected` class.
    fn share(&self, image: impl Fn(usize) -> RgbImage, expected: impl Fn(usize) -> usize) -> f32 {
        let n = self.names.len();
        let crop = |class| self.preprocessor.resize_crop(&image(class));
        let pixels: Vec<u8> = (0..n).flat_map(crop).collect();
        let pixels = self.preprocessor.normalize(&pixels, n, &Device::Cpu);
        let features = self.clip.encode_image(&pixels.unwrap()).unwrap();
        let logits = self.head.logits(&features).unwrap();
        let found: Vec<u32> = logits.argmax(1).unwrap().to_vec1().unwrap();
        let as_expected = |class: &usize| found[*class] as usize == expected(*class);
        (0..n).filter(as_expected).count() as f32 / n as f32
    }
}
