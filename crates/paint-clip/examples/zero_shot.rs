//! Zero-shot classification of one image: `zero_shot CHECKPOINT IMAGE CLASS...`
#![allow(clippy::print_stdout, reason = "printing is what this program is for")]

use std::path::Path;

use candle_core::Device;
use paint_clip::{Clip, Preprocessor, Tokenizer, ZeroShotHead};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [checkpoint, image, classes @ ..] = args.as_slice() else {
        return Err("usage: zero_shot CHECKPOINT IMAGE CLASS...".into());
    };
    let (dir, device) = (Path::new(checkpoint), Device::Cpu);
    let clip = Clip::load(dir, &device)?;
    let templates = ["a photo of a {}.".to_owned()];
    let head = ZeroShotHead::build(&clip, &Tokenizer::load(dir)?, classes, &templates)?;

    let preprocessor = Preprocessor::load(dir)?;
    let pixels = preprocessor.resize_crop(&image::open(image)?.to_rgb8());
    let pixels = preprocessor.normalize(&pixels, 1, &device)?;
    let logits = head.logits(&clip.encode_image(&pixels)?)?;

    let odds: Vec<f32> = logits
        .broadcast_sub(&logits.max_keepdim(1)?)?
        .exp()?
        .flatten_all()?
        .to_vec1()?;
    for (class, odds_of_class) in classes.iter().zip(&odds) {
        println!("{:.4}  {class}", odds_of_class / odds.iter().sum::<f32>());
    }
    Ok(())
}
