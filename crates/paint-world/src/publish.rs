//! The world as ordinary datasets on disk, in the Hub's layout.

use std::path::{Path, PathBuf};

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder, RgbImage};
use paint_data::{Features, ParquetWriter, Rng, Row, Target, write_atomically};
use rayon::prelude::*;

use crate::captions::Corpus;
use crate::card;
use crate::domain::{Domain, Split};
use crate::error::Result;
use crate::recipe::Recipe;
use crate::world::{ORGANISATION, Role, find, tasks};

/// The seed of all tasks' images; each (task, split, index) has a stream of its own.
pub(crate) const SEED: u64 = 2_022;

/// Images that are rendered together, in parallel; bounds the memory.
const CHUNK: u64 = 1_000;

/// How many images each split of a task gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Images to fine-tune on.
    pub train: u64,
    /// Images that choose alpha.
    pub validation: u64,
    /// Images that are only reported on.
    pub test: u64,
}

impl Sizes {
    /// The sizes that published numbers use.
    pub fn of(role: Role) -> Self {
        match role {
            Role::Supported => Self {
                train: 1_000,
                validation: 1_000,
                test: 2_000,
            },
            Role::Patching => Self {
                train: 2_000,
                validation: 500,
                test: 1_000,
            },
        }
    }

    pub(crate) fn splits(self) -> [(Split, &'static str, u64); 3] {
        [
            (Split::Train, "train", self.train),
            (Split::Validation, "validation", self.validation),
            (Split::Test, "test", self.test),
        ]
    }
}

/// Image `index` of a split of the task `name`, and its class index.
///
/// Depends on its arguments alone; the classes take turns.
///
/// # Errors
/// If there is no such task.
pub fn picture(name: &str, split: Split, index: u64) -> Result<(RgbImage, u32)> {
    let (task_idx, domain) = find(name)?;
    Ok(drawn(
        task_idx,
        domain,
        domain.class_names().len(),
        split,
        index,
    ))
}

fn drawn(
    task_idx: usize,
    domain: &dyn Domain,
    n_classes: usize,
    split: Split,
    index: u64,
) -> (RgbImage, u32) {
    let label = index % n_classes as u64;
    let rng = &mut Rng::derive(SEED, &[task_idx as u64, split as u64, index]);
    (domain.draw(label as usize, split, rng).image, label as u32)
}

/// Writes the task `name` to `ROOT/datasets/paint-world/NAME` as Parquet with a dataset
/// card; returns that directory. The card is written last: where it is, all is.
///
/// The bytes do not depend on the number of threads. `progress` is told of each number of
/// images done since it was last called.
///
/// # Errors
/// If there is no such task or the files cannot be written.
pub fn write_task(
    name: &str,
    root: &Path,
    sizes: Sizes,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<PathBuf> {
    let (task_idx, domain) = find(name)?;
    let names = domain.class_names();
    let features = Features::Labelled(names.clone());
    let card = card::of_task(domain, tasks()[task_idx].role, sizes);
    write_dataset(
        name,
        root,
        sizes,
        &features,
        &card,
        progress,
        |split, index| {
            let (image, label) = drawn(task_idx, domain, names.len(), split, index);
            (image, Target::Label(label))
        },
    )
}

/// Writes all splits of a dataset to `ROOT/datasets/paint-world/NAME`, then its card; returns that
/// directory.
pub(crate) fn write_dataset(
    name: &str,
    root: &Path,
    sizes: Sizes,
    features: &Features,
    card: &str,
    progress: &(dyn Fn(u64) + Sync),
    draw: impl Fn(Split, u64) -> (RgbImage, Target) + Sync,
) -> Result<PathBuf> {
    let directory = root.join("datasets").join(ORGANISATION).join(name);
    let card_path = directory.join("README.md");
    if std::fs::read(&card_path).is_ok_and(|written| written == card.as_bytes()) {
        return Ok(directory);
    }
    remove_card(&card_path)?;
    for (split, split_name, n) in sizes.splits() {
        let path = directory.join(format!("data/{split_name}-00000-of-00001.parquet"));
        let features = features.clone();
        write_rows(&path, features, 0..n, progress, |index| draw(split, index))?;
    }
    write_atomically(&card_path, card.as_bytes())?;
    Ok(directory)
}

/// A card says that all is there: it goes before anything is written anew.
pub(crate) fn remove_card(card: &Path) -> Result<()> {
    match std::fs::remove_file(card) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(
            paint_data::Error::Argument(format!("cannot remove {}: {error}", card.display()))
                .into(),
        ),
        _ => Ok(()),
    }
}

/// The random stream of a dataset that is no task of the list.
pub(crate) fn stream_of(name: &str) -> u64 {
    let bytes = name.bytes();
    bytes.fold(0, |hash: u64, b| hash.wrapping_mul(31) ^ u64::from(b))
}

/// Writes the first `n` items of a caption corpus to `ROOT/datasets/paint-world/captions`;
/// returns that directory. The card is written last.
///
/// # Errors
/// If the recipe is not valid or the files cannot be written.
pub fn write_captions(
    root: &Path,
    n: u64,
    seed: u64,
    recipe: &Recipe,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<PathBuf> {
    let corpus = Corpus::new(recipe.clone(), seed)?;
    let directory = root.join("datasets").join(ORGANISATION).join("captions");
    let path = directory.join("data/train-00000-of-00001.parquet");
    write_rows(&path, Features::Captioned, 0..n, progress, |index| {
        let item = corpus.get(index);
        (item.image, Target::Caption(item.caption))
    })?;
    let card = card::of_captions(n, seed, recipe);
    write_atomically(&directory.join("README.md"), card.as_bytes())?;
    Ok(directory)
}

fn write_rows(
    path: &Path,
    features: Features,
    indices: std::ops::Range<u64>,
    progress: &(dyn Fn(u64) + Sync),
    draw: impl Fn(u64) -> (RgbImage, Target) + Sync,
) -> Result<()> {
    let mut writer = ParquetWriter::create(path, features)?;
    let mut start = indices.start;
    while start < indices.end {
        let end = indices.end.min(start + CHUNK);
        let rows: Vec<Row> = (start..end)
            .into_par_iter()
            .map(|i| row(i, draw(i)))
            .collect();
        for row in rows {
            writer.push(row)?;
        }
        progress(end - start);
        start = end;
    }
    writer.finish()?;
    Ok(())
}

fn row(index: u64, (image, target): (RgbImage, Target)) -> Row {
    Row {
        image: png(&image),
        file_name: Some(format!("{index:06}.png")),
        target,
    }
}

/// `image` as a PNG file.
pub(crate) fn png(image: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 << 10);
    PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Sub)
        .write_image(
            image,
            image.width(),
            image.height(),
            ExtendedColorType::Rgb8,
        )
        .expect("an image in memory is encoded to memory");
    bytes
}
