//! Datasets under typographic attack, as ordinary Parquet.

use std::path::Path;

use image::RgbImage;
use paint_data::{
    Dataset, Error as DataError, Features, Hub, ParquetWriter, Rng, Row, SplitName, Target, Task,
    class_halves, decode_image, write_atomically,
};
use rayon::prelude::*;

use crate::card;
use crate::domain::Domain;
use crate::error::Result;
use crate::objects::Objects;
use crate::publish::{Sizes, png, remove_card, write_task};
use crate::typographic::attack;
use crate::world::{self, ORGANISATION};

/// Keeps the attacks apart from whatever else a run draws by the same seed.
const STREAM: u64 = 0x7479_706f;
/// Photographs that are decoded together; bounds the memory.
const CHUNK: usize = 128;

/// The embedded experiment with typographic attacks: classes to patch on, and others to test on.
#[derive(Debug)]
pub struct Typographic {
    /// Half of the classes of `objects`, attacked: all splits.
    pub patching: Task,
    /// The other half, attacked: only a test split.
    pub unseen: Task,
    /// The images of `unseen` before the attack, in the same order.
    pub unseen_clean: Dataset,
}

/// Images of the attacked objects; their test images are those of the task `objects`.
pub const TYPOGRAPHIC_SIZES: Sizes = Sizes {
    train: 12_000,
    validation: 600,
    test: 2_000,
};

/// The class whose name is written on each image of a split: never its own, each other as likely.
/// Another split has other draws, or what a model learns by heart would be asked again.
///
/// # Errors
/// If there are fewer than two classes.
pub fn wrong_classes(
    labels: &[u32],
    n_classes: usize,
    split: SplitName,
    seed: u64,
) -> Result<Vec<u32>> {
    at_least_two(n_classes)?;
    let wrong = |(row, &label)| wrong_class(label, n_classes, &mut stream(seed, split, row));
    Ok(labels.iter().enumerate().map(wrong).collect())
}

/// The class whose name is written on each of the given rows of `attacked`: a split that
/// [`write_attacked`] wrote, or some rows of it.
///
/// # Errors
/// If there are fewer than two classes.
pub fn written_classes(
    attacked: &Dataset,
    rows: &[u32],
    split: SplitName,
    seed: u64,
) -> Result<Vec<u32>> {
    let n_classes = attacked.class_names().len();
    at_least_two(n_classes)?;
    let written = |&row: &u32| {
        let (row, label) = (row as usize, attacked.labels()[row as usize]);
        let rng = &mut stream(seed, split, attacked.stored_row(row));
        wrong_class(label, n_classes, rng)
    };
    Ok(rows.iter().map(written).collect())
}

fn at_least_two(n_classes: usize) -> Result<()> {
    if n_classes < 2 {
        let message = "a typographic attack needs the name of another class; give at least two";
        return Err(DataError::Argument(message.to_owned()).into());
    }
    Ok(())
}

fn wrong_class(label: u32, n_classes: usize, rng: &mut Rng) -> u32 {
    let away = 1 + rng.below(n_classes - 1) as u32;
    (label + away) % n_classes as u32
}

fn stream(seed: u64, split: SplitName, row: usize) -> Rng {
    Rng::derive(seed, &[STREAM, split as u64, row as u64])
}

/// Writes `splits` of `task` with a wrong class's name on each image to
/// `ROOT/datasets/paint-world/NAME`, and returns the task of this name that reads them, with the
/// templates of `task`.
///
/// Rows, labels and classes stay ([`Dataset::of_classes`] leaves some of them), so that an image
/// can be compared with itself under attack; [`written_classes`] tells what is written. What cannot
/// be decoded is copied as it is. If these very images are there already, nothing is written.
/// `progress` is told of each number of images done since it was last called.
///
/// # Errors
/// If there are fewer than two classes, the splits have different ones, or files cannot be read
/// or written.
pub fn write_attacked(
    task: &Task,
    splits: &[(SplitName, &Dataset)],
    name: &str,
    root: &Path,
    seed: u64,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Task> {
    let Some((_, first)) = splits.first() else {
        let message = format!("{name}: give at least one split to attack");
        return Err(DataError::Argument(message).into());
    };
    let class_names = first.class_names();
    if let Some((split, _)) = splits.iter().find(|(_, d)| d.class_names() != class_names) {
        let message = format!("{name}: split {split} has other classes than the first");
        return Err(DataError::Argument(message).into());
    }
    let templates = task.templates.clone();
    let attacked = Task::new(name, class_names.to_vec(), templates, world::source(name))?;
    let directory = root.join("datasets").join(ORGANISATION).join(name);
    let card_path = directory.join("README.md");
    let card = card::of_attacked(task, splits, name, seed);
    if std::fs::read(&card_path).is_ok_and(|written| written == card.as_bytes()) {
        return Ok(attacked);
    }
    remove_card(&card_path)?;
    for (split, dataset) in splits {
        let path = directory.join(format!("data/{split}-00000-of-00001.parquet"));
        write_split(dataset, &path, (seed, *split), progress)?;
    }
    write_atomically(&card_path, card.as_bytes())?;
    Ok(attacked)
}

fn write_split(
    dataset: &Dataset,
    path: &Path,
    (seed, split): (u64, SplitName),
    progress: &(dyn Fn(u64) + Sync),
) -> Result<()> {
    let names = dataset.class_names();
    let wrong = wrong_classes(dataset.labels(), names.len(), split, seed)?;
    let mut writer = ParquetWriter::create(path, Features::Labelled(names.to_vec()))?;
    let mut pending: Vec<Vec<u8>> = Vec::with_capacity(CHUNK);
    let mut done = 0;
    let mut flush = |pending: &mut Vec<Vec<u8>>| {
        let row = |(i, bytes): (usize, &Vec<u8>)| {
            let row = done + i;
            let word = &names[wrong[row] as usize];
            Row {
                image: attacked(
                    bytes,
                    word,
                    &mut after_class((seed, split), row, names.len()),
                ),
                file_name: Some(format!("{row:06}.png")),
                target: Target::Label(dataset.labels()[row]),
            }
        };
        let rows: Vec<Row> = pending.par_iter().enumerate().map(row).collect();
        done += rows.len();
        progress(rows.len() as u64);
        pending.clear();
        rows.into_iter().try_for_each(|row| writer.push(row))
    };
    dataset.each_image(|bytes| {
        // Without bytes the reader of the copy says what the reader of the original did.
        pending.push(bytes.unwrap_or_default());
        match pending.len() {
            CHUNK => flush(&mut pending),
            _ => Ok(()),
        }
    })?;
    flush(&mut pending)?;
    writer.finish()?;
    Ok(())
}

/// The row's random numbers after those that chose the class.
fn after_class((seed, split): (u64, SplitName), row: usize, n_classes: usize) -> Rng {
    let mut rng = stream(seed, split, row);
    wrong_class(0, n_classes, &mut rng);
    rng
}

fn attacked(bytes: &[u8], word: &str, rng: &mut Rng) -> Vec<u8> {
    let image: paint_data::Result<RgbImage> = decode_image(bytes);
    image.map_or_else(|_| bytes.to_vec(), |image| png(&attack(&image, word, rng)))
}

/// Writes the embedded experiment below `root`: half of the classes of `objects`, drawn by `seed`,
/// and the other half. Nothing that is there already is written again.
///
/// # Errors
/// If files cannot be written.
pub fn write_typographic(
    root: &Path,
    seed: u64,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Typographic> {
    let objects = world::task(&Objects);
    // More training images than the task has: a root of its own.
    let clean_root = root.join("typographic-clean");
    write_task("objects", &clean_root, TYPOGRAPHIC_SIZES, progress)?;
    let hub = Hub::Directory(clean_root);
    let (seen, unseen) = class_halves(Objects.class_names().len(), seed);
    let open = |split, classes: &[u32]| Dataset::open(&objects, split, &hub)?.of_classes(classes);
    let patching = [SplitName::Train, SplitName::Validation, SplitName::Test]
        .map(|split| Ok((split, open(split, &seen)?)));
    let patching: Vec<(SplitName, Dataset)> = patching.into_iter().collect::<Result<_>>()?;
    let patching: Vec<(SplitName, &Dataset)> = patching.iter().map(|(s, d)| (*s, d)).collect();
    let unseen_clean = open(SplitName::Test, &unseen)?;
    let write = |splits: &[_], name: &str| {
        write_attacked(
            &objects,
            splits,
            &format!("{name}-{seed}"),
            root,
            seed,
            progress,
        )
    };
    Ok(Typographic {
        patching: write(&patching, "typographic-seen")?,
        unseen: write(&[(SplitName::Test, &unseen_clean)], "typographic-unseen")?,
        unseen_clean,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::Objects;

    #[test]
    fn what_is_said_to_be_written_is_what_was_drawn() {
        let root = tempfile::tempdir().unwrap();
        let sizes = Sizes {
            train: 1,
            validation: 1,
            test: 12,
        };
        write_task("objects", root.path(), sizes, &|_| ()).unwrap();
        let hub = Hub::Directory(root.path().to_owned());
        let objects = world::task(&Objects);
        let test = SplitName::Test;
        let clean = Dataset::open(&objects, test, &hub).unwrap();
        // Not the first rows of the file, as where half of the classes are attacked.
        let clean = clean.subset(8, 3);
        let splits = [(test, &clean)];
        let task = write_attacked(&objects, &splits, "some", root.path(), 5, &|_| ()).unwrap();
        let attacked = Dataset::open(&task, test, &hub).unwrap().subset(5, 9);
        let written = written_classes(&attacked, &[0, 2, 3, 4], test, 5).unwrap();
        let bytes_of = |dataset: &Dataset| {
            let mut all = Vec::new();
            let mut take = |bytes: std::result::Result<Vec<u8>, String>| {
                all.push(bytes.unwrap());
                Ok(())
            };
            dataset.each_image(&mut take).unwrap();
            all
        };
        let (before, after) = (bytes_of(&clean), bytes_of(&attacked));
        for (row, written) in [0, 2, 3, 4].into_iter().zip(written) {
            let stored = attacked.stored_row(row);
            let word = &clean.class_names()[written as usize];
            let rng = &mut after_class((5, test), stored, clean.class_names().len());
            let image: RgbImage = decode_image(&before[stored]).unwrap();
            assert!(
                png(&attack(&image, word, rng)) == after[row],
                "row {row}: {word}"
            );
        }
    }
}
