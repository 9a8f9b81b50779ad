//! The table of pixels: its content, its cache, its readers.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use image::RgbImage;
use paint_data::{Dataset, PixelTable, PixelTransform, Rng, SkipPolicy, SplitName};

use crate::fixture::{Corner, check_error, open, task, write_split};

/// [`Corner`], counting how many images it has seen.
#[derive(Default)]
struct Counting {
    n: AtomicUsize,
}

impl PixelTransform for Counting {
    fn key(&self) -> String {
        Corner.key()
    }
    fn height(&self) -> usize {
        Corner.height()
    }
    fn width(&self) -> usize {
        Corner.width()
    }
    fn apply(&self, image: &RgbImage) -> Vec<u8> {
        self.n.fetch_add(1, Ordering::Relaxed);
        Corner.apply(image)
    }
}

fn build(dataset: &Dataset, transform: &dyn PixelTransform, cache: &Path) -> PixelTable {
    PixelTable::build(dataset, transform, cache, SkipPolicy::default(), &|_| ()).unwrap()
}

fn toy(n: usize) -> (tempfile::TempDir, Dataset) {
    let dir = tempfile::tempdir().unwrap();
    write_split(&dir.path().join("test-0.parquet"), n, 3);
    let dataset = open(&task(dir.path(), &[]), SplitName::Test).unwrap();
    (dir, dataset)
}

fn only_file(cache: &Path) -> PathBuf {
    let files: Vec<PathBuf> = std::fs::read_dir(cache)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

/// Image `i` of the toy dataset, as [`Corner`] keeps it.
fn expected(i: usize) -> [u8; 6] {
    [i as u8, 0, 0, i as u8, 1, 0]
}

#[test]
fn pixels_are_those_of_the_rows() {
    // More rows than a row group, a chunk and a batch hold.
    let (dir, dataset) = toy(2300);
    let cache = dir.path().join("cache");
    let done = AtomicU64::new(0);
    let progress = |n| {
        assert!(done.swap(n, Ordering::Relaxed) <= n);
    };
    let table =
        PixelTable::build(&dataset, &Corner, &cache, SkipPolicy::default(), &progress).unwrap();
    assert_eq!(done.into_inner(), 2300);
    assert_eq!((table.len(), table.height(), table.width()), (2300, 1, 2));
    assert_eq!(table.labels(), dataset.labels());
    assert!(table.skipped().is_empty());
    let order = [0, 1, 2, 2299, 7, 7, 1500, 255, 256];
    let mut out = vec![0; order.len() * 6];
    table.read(&order, &mut out).unwrap();
    for (image, &i) in out.chunks(6).zip(&order) {
        assert_eq!(image, expected(i));
    }
    table.read(&[], &mut []).unwrap();
    check_error(
        table.read(&[2300], &mut [0; 6]),
        &["image 2300 of a table of 2300"],
    );
    check_error(table.read(&[0], &mut [0; 5]), &["need 6 bytes, not 5"]);
}

#[test]
fn a_subset_holds_the_images_of_its_own_rows() {
    let (dir, dataset) = toy(2300);
    let subset = dataset.subset(300, 5);
    let table = build(&subset, &Corner, dir.path());
    let mut out = vec![0; 300 * 6];
    table.read(&(0..300).collect::<Vec<_>>(), &mut out).unwrap();
    for (row, image) in out.chunks(6).enumerate() {
        let place = subset.place(row);
        let in_file = place
            .split("row ")
            .nth(1)
            .unwrap()
            .split(',')
            .next()
            .unwrap();
        assert_eq!(image, expected(in_file.parse().unwrap()));
    }
}

#[test]
fn a_table_of_some_classes_reads_their_images_under_new_labels() {
    let (dir, dataset) = toy(2300);
    let table = build(&dataset, &Corner, dir.path());
    let some = table.of_classes(&[2, 0]).unwrap();
    let of_both: Vec<usize> = (0..2300)
        .filter(|&i| [2, 0].contains(&dataset.labels()[i]))
        .collect();
    assert_eq!(some.len(), of_both.len());
    assert!(some.len() < table.len());
    let mut out = vec![0; some.len() * 6];
    some.read(&(0..some.len()).collect::<Vec<_>>(), &mut out)
        .unwrap();
    for ((image, label), &i) in out.chunks(6).zip(some.labels()).zip(&of_both) {
        assert_eq!(image, expected(i));
        assert_eq!([2, 0][*label as usize], dataset.labels()[i]);
    }
    assert_ne!(some.content_key(), table.content_key());
    let other = table.of_classes(&[0, 2]).unwrap();
    assert_ne!(some.content_key(), other.content_key());
    let one = some.of_classes(&[1]).unwrap();
    assert_eq!(one.rows(), table.of_classes(&[0]).unwrap().rows());
    check_error(table.of_classes(&[9]), &["no image", "[9]"]);
    check_error(table.of_classes(&[1, 1]), &["class 1 is named twice"]);
}

#[test]
fn a_second_run_decodes_nothing_and_other_content_is_another_table() {
    let (dir, dataset) = toy(20);
    let cache = dir.path().join("cache");
    let counting = Counting::default();
    build(&dataset, &counting, &cache);
    build(&dataset, &counting, &cache);
    assert_eq!(counting.n.load(Ordering::Relaxed), 20);
    build(&dataset.subset(5, 0), &counting, &cache);
    assert_eq!(counting.n.load(Ordering::Relaxed), 25);
    // The same path with other images.
    write_split(&dir.path().join("test-0.parquet"), 21, 3);
    let dataset = open(&task(dir.path(), &[]), SplitName::Test).unwrap();
    assert_eq!(build(&dataset, &counting, &cache).len(), 21);
    assert_eq!(counting.n.load(Ordering::Relaxed), 46);
    assert_eq!(std::fs::read_dir(&cache).unwrap().count(), 3);
}

#[test]
fn a_damaged_cache_is_built_again() {
    let (dir, dataset) = toy(20);
    let cache = dir.path().join("cache");
    build(&dataset, &Corner, &cache);
    let path = only_file(&cache);
    let sound = std::fs::read(&path).unwrap();
    let flip = |at: usize| {
        let mut bytes = sound.clone();
        bytes[at] ^= 1;
        bytes
    };
    let mut longer = sound.clone();
    longer.splice(20..20, [0]);
    let damages = [
        Vec::new(),
        sound[..4].to_vec(),
        sound[..sound.len() - 1].to_vec(),
        sound[..sound.len() / 2].to_vec(),
        sound[1..].to_vec(),
        flip(0),
        // The first and the last pixel.
        flip(8),
        flip(8 + 20 * 6 - 1),
        flip(sound.len() - 1),
        flip(sound.len() - 40),
        flip(sound.len() - 60),
        longer,
        b"<html>".to_vec(),
    ];
    for damaged in damages {
        std::fs::write(&path, damaged).unwrap();
        let counting = Counting::default();
        let table = build(&dataset, &counting, &cache);
        assert_eq!(counting.n.load(Ordering::Relaxed), 20);
        let mut out = [0; 6];
        table.read(&[19], &mut out).unwrap();
        assert_eq!(out, expected(19));
        assert_eq!(std::fs::read(only_file(&cache)).unwrap(), sound);
    }
}

/// A transform whose images together are more than the blocks that are hashed at a time.
struct Large;

impl PixelTransform for Large {
    fn key(&self) -> String {
        "large".to_owned()
    }
    fn height(&self) -> usize {
        300
    }
    fn width(&self) -> usize {
        700
    }
    fn apply(&self, image: &RgbImage) -> Vec<u8> {
        vec![image.get_pixel(0, 0).0[0]; 300 * 700 * 3]
    }
}

#[test]
fn a_damaged_byte_is_found_in_any_block() {
    let (dir, dataset) = toy(4);
    let cache = dir.path().join("cache");
    build(&dataset, &Large, &cache);
    let path = only_file(&cache);
    let sound = std::fs::read(&path).unwrap();
    let n_bytes = 4 * 300 * 700 * 3;
    for at in [0, (1 << 20) - 1, 1 << 20, n_bytes - 1] {
        let mut damaged = sound.clone();
        damaged[8 + at] ^= 0x80;
        std::fs::write(&path, &damaged).unwrap();
        build(&dataset, &Large, &cache);
        assert_eq!(std::fs::read(&path).unwrap(), sound, "{at}");
    }
}

#[test]
fn the_file_has_the_same_bytes_for_any_number_of_threads() {
    let (dir, dataset) = toy(700);
    let bytes = [1, 4].map(|n_threads| {
        let cache = dir.path().join(format!("cache-{n_threads}"));
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(n_threads)
            .build()
            .unwrap();
        pool.install(|| build(&dataset, &Corner, &cache));
        std::fs::read(only_file(&cache)).unwrap()
    });
    assert_eq!(bytes[0], bytes[1]);
}

#[test]
fn two_builders_and_many_readers_get_along() {
    let (dir, dataset) = toy(500);
    let cache = dir.path().join("cache");
    let tables = std::thread::scope(|scope| {
        let builders = [0, 1].map(|_| scope.spawn(|| build(&dataset, &Corner, &cache)));
        builders.map(|builder| builder.join().unwrap())
    });
    only_file(&cache);
    std::thread::scope(|scope| {
        for seed in 0..4 {
            let table = &tables[seed % 2];
            scope.spawn(move || {
                let mut rng = Rng::new(seed as u64);
                for _ in 0..200 {
                    let rows = [rng.below(500), rng.below(500)];
                    let mut out = [0; 12];
                    table.read(&rows, &mut out).unwrap();
                    assert_eq!(out[..], [expected(rows[0]), expected(rows[1])].concat());
                }
            });
        }
    });
}

#[test]
fn failures_leave_nothing_behind() {
    struct Wrong;
    impl PixelTransform for Wrong {
        fn key(&self) -> String {
            "wrong".to_owned()
        }
        fn height(&self) -> usize {
            1
        }
        fn width(&self) -> usize {
            1
        }
        fn apply(&self, _: &RgbImage) -> Vec<u8> {
            vec![0; 5]
        }
    }
    let (dir, dataset) = toy(600);
    let cache = dir.path().join("cache");
    let build = || PixelTable::build(&dataset, &Wrong, &cache, SkipPolicy::default(), &|_| ());
    check_error(build(), &["gave 5 bytes", "not 3"]);
    assert_eq!(std::fs::read_dir(&cache).unwrap().count(), 0);
    // A cache that cannot be written.
    let blocked = dir.path().join("file");
    std::fs::write(&blocked, "x").unwrap();
    let result = PixelTable::build(&dataset, &Corner, &blocked, SkipPolicy::default(), &|_| ());
    check_error(result, &["cannot create directory", "file"]);
    // A file that is gone or changed after it was opened.
    write_split(&dir.path().join("test-0.parquet"), 10, 3);
    let result = PixelTable::build(&dataset, &Corner, &cache, SkipPolicy::default(), &|_| ());
    check_error(result, &["was changed while in use"]);
    std::fs::remove_file(dir.path().join("test-0.parquet")).unwrap();
    let result = PixelTable::build(&dataset, &Corner, &cache, SkipPolicy::default(), &|_| ());
    check_error(result, &["cannot read", "test-0.parquet"]);
    assert_eq!(std::fs::read_dir(&cache).unwrap().count(), 0);
}
