//! Splits, parts and subsets: disjoint, deterministic, stratified.

use std::collections::BTreeSet;

use paint_data::{Dataset, Part, SplitName};

use crate::fixture::{check_error, names, nowhere, open, task, write_split};

const TRAIN: SplitName = SplitName::Train;
const VALIDATION: SplitName = SplitName::Validation;
const TEST: SplitName = SplitName::Test;

/// Files and rows, which tell images apart.
fn places(dataset: &Dataset) -> BTreeSet<String> {
    (0..dataset.len()).map(|row| dataset.place(row)).collect()
}

fn counts(dataset: &Dataset) -> Vec<usize> {
    let mut counts = vec![0; dataset.class_names().len()];
    dataset
        .labels()
        .iter()
        .for_each(|&label| counts[label as usize] += 1);
    counts
}

fn toy(splits: &[(&str, usize)]) -> (tempfile::TempDir, paint_data::Task) {
    let dir = tempfile::tempdir().unwrap();
    for (split, n) in splits {
        write_split(
            &dir.path().join(format!("{split}-00000-of-00001.parquet")),
            *n,
            5,
        );
    }
    let task = task(dir.path(), &[]);
    (dir, task)
}

#[test]
fn validation_is_cut_from_train() {
    let (_dir, task) = toy(&[("train", 200), ("test", 50)]);
    let train = open(&task, TRAIN).unwrap();
    let validation = open(&task, VALIDATION).unwrap();
    assert_eq!(
        (
            train.len(),
            validation.len(),
            open(&task, TEST).unwrap().len()
        ),
        (180, 20, 50)
    );
    assert_eq!(
        (counts(&train), counts(&validation)),
        (vec![36; 5], vec![4; 5])
    );
    assert!(places(&train).is_disjoint(&places(&validation)));
    assert_eq!(train.class_names(), names(5));
    // The same seed gives the same cut, another seed another.
    let again = Dataset::open(&task, VALIDATION, &nowhere(), 0).unwrap();
    assert_eq!(again.content_key(), validation.content_key());
    let other = Dataset::open(&task, VALIDATION, &nowhere(), 1).unwrap();
    assert_ne!(places(&other), places(&validation));
}

#[test]
fn a_validation_split_of_its_own_is_used() {
    let (_dir, mut task) = toy(&[("train", 100), ("validation", 30), ("test", 20)]);
    let sizes = [TRAIN, VALIDATION, TEST].map(|split| open(&task, split).unwrap().len());
    assert_eq!(sizes, [100, 30, 20]);
    // Once files are named, only the named ones count: here validation is the test split.
    task.files.train = Some("train-*.parquet".to_owned());
    task.files.test = Some("validation-*.parquet".to_owned());
    let sizes = [TRAIN, VALIDATION, TEST].map(|split| open(&task, split).unwrap().len());
    assert_eq!(sizes, [90, 10, 30]);
    task.files.test = Some("train-*.parquet".to_owned());
    check_error(open(&task, TEST), &["[files]", "the same files"]);
    // Patterns that differ but meet in a file are the same mistake.
    task.files.test = Some("train-00000*".to_owned());
    check_error(
        open(&task, TEST),
        &["train-00000-of-00001.parquet", "both train and test"],
    );
    task.files.test = Some("nothing-*".to_owned());
    check_error(
        open(&task, TRAIN),
        &["files.test = \"nothing-*\"", "there is test-00000"],
    );
}

#[test]
fn a_split_that_is_not_there_is_an_error() {
    let (_dir, task) = toy(&[("test", 10)]);
    assert_eq!(open(&task, TEST).unwrap().len(), 10);
    check_error(open(&task, TRAIN), &["no split train", "only test"]);
    check_error(open(&task, VALIDATION), &["no split train"]);
    let (_dir, task) = toy(&[("train", 0)]);
    check_error(open(&task, TRAIN), &["empty"]);
}

#[test]
fn one_file_is_divided_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("all.parquet");
    write_split(&path, 100, 5);
    let task = task(&path, &[]);
    let [train, validation, test] =
        [TRAIN, VALIDATION, TEST].map(|split| open(&task, split).unwrap());
    assert_eq!((train.len(), validation.len(), test.len()), (72, 8, 20));
    assert_eq!(counts(&test), [4; 5]);
    let mut all = places(&train);
    all.append(&mut places(&validation));
    all.append(&mut places(&test));
    assert_eq!(all.len(), 100);
    // The test images do not move with the seed.
    let other = Dataset::open(&task, TEST, &nowhere(), 9).unwrap();
    assert_eq!(other.content_key(), test.content_key());
}

#[test]
fn parts_of_two_manifests_never_share_an_image() {
    let (_dir, whole) = toy(&[("train", 200), ("test", 50)]);
    let part = |start, end| {
        let part = Part {
            train: Some(start..end),
            ..Part::default()
        };
        paint_data::Task {
            part,
            ..whole.clone()
        }
    };
    let (first, second) = (part(0.0, 0.4), part(0.4, 1.0));
    let all = |task: &paint_data::Task, seed| {
        let open = |split| places(&Dataset::open(task, split, &nowhere(), seed).unwrap());
        open(TRAIN)
            .union(&open(VALIDATION))
            .cloned()
            .collect::<BTreeSet<String>>()
    };
    // Runs with different seeds, too.
    let (a, b) = (all(&first, 3), all(&second, 4));
    assert_eq!((a.len(), b.len()), (80, 120));
    assert!(a.is_disjoint(&b));
    assert_eq!(all(&first, 3), all(&first, 8));
    assert_eq!(
        counts(&open(&first, VALIDATION).unwrap())
            .iter()
            .sum::<usize>(),
        8
    );
    assert_eq!(open(&first, TEST).unwrap().len(), 50);
}

#[test]
fn subsets_nest_and_partitions_cover() {
    let (_dir, task) = toy(&[("test", 100)]);
    let dataset = open(&task, TEST).unwrap();
    let (small, large) = (dataset.subset(10, 1), dataset.subset(30, 1));
    assert_eq!((counts(&small), counts(&large)), (vec![2; 5], vec![6; 5]));
    assert!(places(&small).is_subset(&places(&large)));
    assert_ne!(small.content_key(), large.content_key());
    assert_eq!(dataset.subset(1000, 1).content_key(), dataset.content_key());
    let (a, b) = dataset.partition(0.25, 2);
    assert_eq!((a.len(), b.len()), (25, 75));
    assert!(places(&a).is_disjoint(&places(&b)));
    assert_eq!(dataset.partition(0.0, 2).0.len(), 0);
    assert_eq!(dataset.partition(1.0, 2).1.len(), 0);
    // Rows stay in the order of the file, and keep their labels.
    for row in 0..a.len() {
        let place = a.place(row);
        let in_file: u32 = place
            .split("row ")
            .nth(1)
            .unwrap()
            .split(',')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        assert_eq!(a.labels()[row], in_file % 5);
    }
}
