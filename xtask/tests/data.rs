//! `xtask data`: a manifest beside its files, sound and wrong, and the sheet that a person looks at.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "other tests ask questions")]
mod tiny;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use image::{ImageFormat, RgbImage, imageops};
use paint_clip::Preprocessor;
use paint_data::{Features, Row, Target, write_parquet};
use paint_world::{Sizes, Split, picture};
use serde_json::Value;
use tempfile::TempDir;

fn xtask(runs: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(arguments)
        .env("PAINT_RUNS", runs)
        .output()
        .unwrap()
}

fn png(image: &RgbImage) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

fn digit(split: Split, index: u64) -> (Vec<u8>, u32) {
    let (image, label) = picture("digits", split, index).unwrap();
    (png(&image), label)
}

const NAMES: [&str; 10] = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
];

fn write_split(directory: &Path, split: &str, rows: Vec<(Vec<u8>, u32)>) {
    let rows = rows.into_iter().map(|(image, label)| Row {
        image,
        file_name: None,
        target: Target::Label(label),
    });
    let path = directory.join(format!("{split}-00000-of-00001.parquet"));
    let names = NAMES.map(str::to_owned).to_vec();
    write_parquet(&path, Features::Labelled(names), rows).unwrap();
}

/// Writes a manifest of the files in the same directory.
fn manifest(directory: &Path, more: &str) -> String {
    let path = directory.join("digits.toml");
    let text =
        format!("name = 'my-digits'\nparquet = '.'\ntemplates = ['the digit {{}}.']\n{more}");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// Outcome and detail by check.
fn findings(task: &str) -> (bool, BTreeMap<String, (String, String)>) {
    let runs = tempfile::tempdir().unwrap();
    let output = xtask(runs.path(), &["data", "check", "--json", task]);
    let text = String::from_utf8(output.stdout).unwrap();
    let finding = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let word = |key: &str| line[key].as_str().unwrap().to_owned();
        assert_eq!(
            (word("kind"), word("task")),
            ("check".into(), "my-digits".into())
        );
        (word("check"), (word("outcome"), word("detail")))
    };
    (output.status.success(), text.lines().map(finding).collect())
}

#[test]
fn a_sound_task() {
    let directory = tempfile::tempdir().unwrap();
    let sizes = Sizes {
        train: 30,
        validation: 20,
        test: 20,
    };
    let drawn = paint_world::write_task("digits", directory.path(), sizes, &|_| {}).unwrap();
    let bytes: u64 = std::fs::read_dir(drawn.join("data"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    let rows = "rows = { train = 30, validation = 20, test = 20 }";
    let more = format!("[published]\n{rows}\nbytes = {bytes}");
    let task = manifest(&drawn.join("data"), &more);
    let (success, found) = findings(&task);
    assert!(success);
    for (check, (outcome, detail)) in &found {
        assert_eq!(outcome, "ok", "{check}: {detail}");
    }
    assert!(
        found["rows"].1.contains("validation 20"),
        "{}",
        found["rows"].1
    );
    assert!(
        found["labels"]
            .1
            .contains("0 to 9; train 3 to 3 of a class")
    );
    assert!(
        found["images"]
            .1
            .contains("70 decode, 48 × 48 pixels; 70 Png Rgb8")
    );
    // For people, and without what nobody has promised.
    let task = manifest(&drawn.join("data"), "unverified = 'who drew it'");
    let output = xtask(directory.path(), &["data", "check", &task]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("cannot be checked") && text.contains("who drew it"),
        "{text}"
    );
    assert!(!text.contains("DIFFERS"), "{text}");
}

/// A dataset whose test split holds a training image, one that is stored otherwise, one that is
/// cut off, and no nine; its manifest has other numbers and swaps two classes.
fn wrong(directory: &Path) -> String {
    let train: Vec<_> = (0..40).map(|i| digit(Split::Train, i)).collect();
    let mut test: Vec<_> = (0..9).map(|i| digit(Split::Test, i)).collect();
    test.push(train[3].clone());
    let stored_otherwise = image::load_from_memory(&train[4].0).unwrap().to_rgba8();
    let mut bytes = std::io::Cursor::new(Vec::new());
    stored_otherwise
        .write_to(&mut bytes, ImageFormat::Png)
        .unwrap();
    test.push((bytes.into_inner(), train[4].1));
    test.push((digit(Split::Test, 15).0[..200].to_vec(), 5));
    write_split(directory, "train", train);
    write_split(directory, "test", test);
    let names = NAMES.map(str::to_uppercase);
    let mut names = names.map(|name| format!("'{name}'"));
    names.swap(1, 2);
    let rows = "rows = { train = 40, validation = 5, test = 11 }";
    let names = names.join(", ");
    manifest(
        directory,
        &format!("class_names = [{names}]\n[published]\n{rows}\nbytes = 1_000"),
    )
}

#[test]
fn whatever_is_wrong_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let (success, found) = findings(&wrong(directory.path()));
    assert!(!success);
    let differs = |check: &str, words: &[&str]| {
        let (outcome, detail) = &found[check];
        assert_eq!(outcome, "differs", "{check}: {detail}");
        for word in words {
            assert!(
                detail.contains(word),
                "{word:?} is not in {check}: {detail}"
            );
        }
    };
    differs(
        "rows",
        &[
            "test: 12, published are 11",
            "validation: none, published are 5",
        ],
    );
    differs("bytes", &["published are 1000"]);
    differs("labels", &["test: no image of 9 (NINE)"]);
    differs("class names", &["\"TWO\" is class 1, in the files 2"]);
    differs("images", &["1 of 52 looked at do not decode", "test-00000"]);
    differs(
        "duplicates",
        &["1 images of test are in train too", "row 3, ", "row 9, "],
    );
    differs("equal pixels", &["2 images of test are in train too"]);
    assert_eq!(found["schema"].0, "ok");
    // Files that cannot be opened at all.
    std::fs::write(directory.path().join("test-00000-of-00001.parquet"), "PAR1").unwrap();
    let (success, found) = findings(&directory.path().join("digits.toml").display().to_string());
    assert!(!success);
    assert_eq!(found.keys().collect::<Vec<_>>(), ["schema"]);
    assert!(found["schema"].1.contains("cut off after 4 bytes"));
}

/// One image of two classes, and what `data show` makes of it.
fn shown(directory: &TempDir, options: &[&str]) -> RgbImage {
    let out: PathBuf = directory.path().join("sheet.png");
    let task = directory.path().join("digits.toml").display().to_string();
    let mut arguments = vec!["data", "show", &task, "--out", out.to_str().unwrap()];
    arguments.extend(options);
    let output = xtask(&directory.path().join("runs"), &arguments);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{message}");
    image::open(out).unwrap().to_rgb8()
}

#[test]
fn a_sheet_shows_the_pixels_that_a_model_sees() {
    let directory = tempfile::tempdir().unwrap();
    let rows: Vec<_> = (0..10).map(|i| digit(Split::Test, i)).collect();
    let first = image::load_from_memory(&rows[0].0).unwrap().to_rgb8();
    // Not square, so that resizing and cropping show.
    let wide = imageops::resize(&first, 130, 60, imageops::FilterType::Nearest);
    let mut rows = rows;
    rows[0].0 = png(&wide);
    write_split(directory.path(), "train", rows.clone());
    write_split(directory.path(), "test", rows);
    manifest(directory.path(), "");
    let model = directory.path().join("model");
    tiny::write_model(&directory.path().join("texts"), &model);

    let sheet = shown(
        &directory,
        &["--per-class", "1", "--model", model.to_str().unwrap()],
    );
    // The first tile lies below its label, every pixel a square of two by two.
    let preprocessor = Preprocessor::load(&model).unwrap();
    let seen = RgbImage::from_raw(48, 48, preprocessor.resize_crop(&wide)).unwrap();
    let tile = imageops::crop_imm(&sheet, 4, 4 + 18, 96, 96).to_image();
    assert_eq!(
        tile,
        imageops::resize(&seen, 96, 96, imageops::FilterType::Nearest)
    );
    let label = imageops::crop_imm(&sheet, 4, 4, 96, 18).to_image();
    assert!(label.pixels().filter(|pixel| pixel.0[0] < 128).count() > 30);

    let thumbnails = shown(&directory, &["--per-class", "2", "--split", "train"]);
    assert_ne!(thumbnails.dimensions(), sheet.dimensions());
}
