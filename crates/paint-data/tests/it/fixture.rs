//! Small datasets on disk and a transform that keeps the first pixels.

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryArray, RecordBatch};
use image::{ImageFormat, Rgb, RgbImage};
use paint_data::{
    Dataset, Error, Features, Hub, PixelTransform, Result, Row, SplitName, Target, Task,
    TaskSource, write_parquet,
};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;

/// A 3 × 2 image that says which it is.
pub(crate) fn image(id: u8) -> RgbImage {
    RgbImage::from_fn(3, 2, |x, y| Rgb([id, x as u8, y as u8]))
}

pub(crate) fn encoded(image: &RgbImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

pub(crate) fn png(id: u8) -> Vec<u8> {
    encoded(&image(id), ImageFormat::Png)
}

pub(crate) fn names(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("class {i}")).collect()
}

/// `n` rows whose row `i` has label `i % n_classes` and an image that says `i % 256`.
pub(crate) fn write_split(path: &Path, n: usize, n_classes: usize) {
    write_named(path, n, n_classes, |i| format!("{i}.png"));
}

/// [`write_split`] with these file names.
pub(crate) fn write_named(path: &Path, n: usize, n_classes: usize, name: impl Fn(usize) -> String) {
    let row = |i: usize| Row {
        image: png(i as u8),
        file_name: Some(name(i)),
        target: Target::Label((i % n_classes) as u32),
    };
    let written = write_parquet(path, Features::Labelled(names(n_classes)), (0..n).map(row));
    assert_eq!(written.unwrap(), n);
}

/// The file names in the column `image`, read with no code of this crate.
pub(crate) fn file_names(path: &Path) -> Vec<String> {
    let file = std::fs::File::open(path).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let mut names = Vec::new();
    for batch in reader.build().unwrap() {
        let batch = batch.unwrap();
        let image = batch.column_by_name("image").unwrap().as_struct();
        let paths = image.column_by_name("path").unwrap().as_string::<i32>();
        names.extend(paths.iter().map(|path| path.unwrap().to_owned()));
    }
    names
}

/// The row in a [`place`](Dataset::place) of a Parquet file.
pub(crate) fn row_in_file(place: &str) -> usize {
    let (_, row) = place.split_once("row ").unwrap();
    row.split(',').next().unwrap().parse().unwrap()
}

/// A task on local Parquet with one class-name template.
pub(crate) fn task(path: impl Into<PathBuf>, class_names: &[&str]) -> Task {
    let class_names = class_names.iter().map(|name| (*name).to_owned()).collect();
    let templates = vec!["a photo of a {}.".to_owned()];
    Task::new(
        "toy",
        class_names,
        templates,
        TaskSource::Parquet(path.into()),
    )
    .unwrap()
}

pub(crate) fn nowhere() -> Hub {
    Hub::Directory(PathBuf::from("/nonexistent"))
}

pub(crate) fn open(task: &Task, split: SplitName) -> Result<Dataset> {
    Dataset::open(task, split, &nowhere())
}

/// Writes a Parquet file with arbitrary columns and `huggingface` metadata.
pub(crate) fn write_columns(
    path: &Path,
    columns: Vec<(&str, ArrayRef)>,
    hugging_face: Option<&str>,
) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let metadata = hugging_face.map(|text| {
        vec![parquet::file::metadata::KeyValue::new(
            "huggingface".to_owned(),
            text.to_owned(),
        )]
    });
    let properties = WriterProperties::builder()
        .set_key_value_metadata(metadata)
        .build();
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// A plain binary image column.
pub(crate) fn images(n: usize) -> ArrayRef {
    let images: Vec<Vec<u8>> = (0..n).map(|i| png(i as u8)).collect();
    Arc::new(BinaryArray::from_iter_values(images))
}

/// The message of an error, which must hold each of the words.
pub(crate) fn check_error<T>(result: Result<T>, words: &[&str]) -> Error {
    let error = result.err().expect("this input must be refused");
    let message = error.to_string();
    for word in words {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
    assert!(!message.ends_with('.'), "{message}");
    error
}

/// Keeps the top left `2 × 1` pixels.
pub(crate) struct Corner;

impl PixelTransform for Corner {
    fn key(&self) -> String {
        "corner".to_owned()
    }
    fn height(&self) -> usize {
        1
    }
    fn width(&self) -> usize {
        2
    }
    fn apply(&self, image: &RgbImage) -> Vec<u8> {
        [image.get_pixel(0, 0).0, image.get_pixel(1, 0).0].concat()
    }
}
