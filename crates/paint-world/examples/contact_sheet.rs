//! Writes a contact sheet as PNG, for people to look at.
//!
//! `cargo run -p paint-world --example contact_sheet -- captions sheet.png 0 60` shows
//! 60 items of the caption corpus from item 0 on, with the captions on standard output;
//! a task's name in place of `captions` shows its test images.

use std::time::Instant;

use image::{RgbImage, imageops};
use paint_world::{Corpus, Recipe, Split, picture, tasks};

const COLUMNS: u32 = 10;
const SIDE: u32 = 48;
const CELL: u32 = 2 * SIDE + 4;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, path, rest @ ..] = arguments.as_slice() else {
        return Err("usage: contact_sheet NAME|captions FILE.png [FIRST [COUNT [SPLIT]]]".into());
    };
    let number = |i: usize, default: u64| rest.get(i).map_or(Ok(default), |s| s.parse::<u64>());
    let (first, n) = (number(0, 0)?, number(1, 60)?);
    let split = match rest.get(2).map(String::as_str) {
        Some("train") => Split::Train,
        _ => Split::Test,
    };
    let mut images = Vec::new();
    let start = Instant::now();
    let corpus = Corpus::new(Recipe::default(), 1)?;
    for index in first..first + n {
        let (image, text) = item(&corpus, what, split, index)?;
        write_line(&format!("{index}: {text}"))?;
        images.push(image);
    }
    write_line(&format!(
        "{:.0} images/s",
        n as f64 / start.elapsed().as_secs_f64()
    ))?;
    sheet(&images).save(path)?;
    Ok(())
}

fn item(
    corpus: &Corpus,
    what: &str,
    split: Split,
    index: u64,
) -> Result<(RgbImage, String), paint_world::Error> {
    if what == "captions" {
        let item = corpus.get(index);
        return Ok((item.image, item.caption));
    }
    let (image, label) = picture(what, split, index)?;
    let task = tasks().into_iter().find(|t| t.task.name == what);
    let name = task
        .map(|t| t.task.class_names[label as usize].clone())
        .unwrap_or_default();
    Ok((image, name))
}

fn write_line(line: &str) -> std::io::Result<()> {
    use std::io::Write;
    writeln!(std::io::stdout(), "{line}")
}

fn sheet(images: &[RgbImage]) -> RgbImage {
    let rows = (images.len() as u32).div_ceil(COLUMNS);
    let mut sheet = RgbImage::from_pixel(COLUMNS * CELL, rows * CELL, image::Rgb([255; 3]));
    for (i, image) in images.iter().enumerate() {
        let large = imageops::resize(image, 2 * SIDE, 2 * SIDE, imageops::FilterType::Nearest);
        let (x, y) = (i as u32 % COLUMNS * CELL + 2, i as u32 / COLUMNS * CELL + 2);
        imageops::replace(&mut sheet, &large, i64::from(x), i64::from(y));
    }
    sheet
}
