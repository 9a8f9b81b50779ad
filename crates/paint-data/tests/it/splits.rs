//! Splits, parts and subsets: disjoint, deterministic, stratified.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use paint_data::{Dataset, Features, Part, Rng, Row, SplitName, Target, Task, write_parquet};

use crate::fixture::{
    check_error, images, names, open, png, row_in_file, task, write_columns, write_named,
    write_split,
};

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

fn toy(splits: &[(&str, usize)]) -> (tempfile::TempDir, Task) {
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
    // Which images these are is part of the contract: they must not move with a version.
    let rows: Vec<usize> = (0..validation.len())
        .map(|row| row_in_file(&validation.place(row)))
        .collect();
    assert_eq!(
        rows,
        [
            12, 18, 23, 39, 50, 51, 78, 95, 119, 120, 131, 137, 151, 171, 172, 179, 182, 188, 190,
            194
        ]
    );
}

#[test]
fn validation_is_the_same_for_every_part() {
    let (_dir, whole) = toy(&[("train", 200), ("test", 50)]);
    let with = |train| {
        let mut task = whole.clone();
        task.part.train = Some(train);
        task
    };
    let expected = open(&whole, VALIDATION).unwrap();
    let parts = [0.0..0.5, 0.5..1.0, 0.25..0.5, 0.0..1.0].map(with);
    for task in &parts {
        let validation = open(task, VALIDATION).unwrap();
        assert_eq!(validation.content_key(), expected.content_key());
        let train = open(task, TRAIN).unwrap();
        assert!(places(&train).is_disjoint(&places(&expected)));
    }
    let sizes = parts
        .each_ref()
        .map(|task| open(task, TRAIN).unwrap().len());
    assert_eq!(sizes, [90, 90, 45, 180]);
    // A part of validation images that do not exist by themselves.
    let mut task = whole.clone();
    task.part.validation = Some(0.0..0.5);
    for split in [TRAIN, VALIDATION, TEST] {
        check_error(
            open(&task, split),
            &["part.validation", "remove part.validation"],
        );
    }
    let (_dir, mut task) = toy(&[("train", 20)]);
    task.part.test = Some(0.0..0.5);
    check_error(open(&task, TRAIN), &["part.test", "only train"]);
}

#[test]
fn cuts_do_not_depend_on_the_names_and_numbers_of_classes() {
    let dir = tempfile::tempdir().unwrap();
    let path = |file: &str| dir.path().join(file);
    // The same images, whose labels are numbered the other way round.
    let write = |file: &str, label: &dyn Fn(usize) -> usize| {
        let row = |i: usize| Row {
            image: png(i as u8),
            file_name: None,
            target: Target::Label(label(i) as u32),
        };
        let names = Features::Labelled(names(5));
        write_parquet(&path(file), names, (0..200).map(row)).unwrap();
    };
    write("a.parquet", &|i| i % 5);
    write("b.parquet", &|i| 4 - i % 5);
    let rows = |file: &str, names: &[&str], split| {
        let dataset = open(&task(path(file), names), split).unwrap();
        let rows = (0..dataset.len()).map(|row| row_in_file(&dataset.place(row)));
        rows.collect::<Vec<usize>>()
    };
    for split in [TRAIN, VALIDATION, TEST] {
        let expected = rows("a.parquet", &[], split);
        assert_eq!(rows("b.parquet", &[], split), expected);
        let renamed = ["v", "w", "x", "y", "z"];
        assert_eq!(rows("a.parquet", &renamed, split), expected);
    }
}

/// Tracks of 1 to 7 frames, scattered over the rows: `TRACK_FRAME.png`, class by track.
fn tracks(path: &std::path::Path, n: usize) -> Vec<String> {
    let mut rng = Rng::new(7);
    let mut frames: Vec<(usize, usize)> = Vec::new();
    for track in 0.. {
        frames.extend((0..1 + rng.below(7)).map(|frame| (track, frame)));
        if frames.len() >= n {
            break;
        }
    }
    frames.truncate(n);
    rng.shuffle(&mut frames);
    let row = |&(track, frame): &(usize, usize)| Row {
        image: png(frame as u8),
        file_name: Some(format!("{track:05}_{frame:05}.png")),
        target: Target::Label((track % 5) as u32),
    };
    write_parquet(path, Features::Labelled(names(5)), frames.iter().map(row)).unwrap();
    frames
        .iter()
        .map(|(track, _)| format!("{track:05}"))
        .collect()
}

#[test]
fn groups_stay_on_one_side_of_every_cut() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("all.parquet");
    let track_of = tracks(&path, 1000);
    let mut task = task(&path, &[]);
    task.part.group_by_path = Some("_".to_owned());
    let tracks = |dataset: &Dataset| -> BTreeSet<&str> {
        (0..dataset.len())
            .map(|row| track_of[row_in_file(&dataset.place(row))].as_str())
            .collect()
    };
    let with = |train| {
        let mut task = task.clone();
        task.part.train = Some(train);
        task
    };
    let (first, second) = (with(0.0..0.3), with(0.3..1.0));
    let pieces = [
        open(&first, TRAIN).unwrap(),
        open(&second, TRAIN).unwrap(),
        open(&first, VALIDATION).unwrap(),
        open(&first, TEST).unwrap(),
    ];
    let sizes = pieces.each_ref().map(Dataset::len);
    assert_eq!(sizes.iter().sum::<usize>(), 1000);
    for (size, wanted) in sizes.iter().zip([216, 504, 80, 200]) {
        assert!(size.abs_diff(wanted) <= 7, "{sizes:?}");
    }
    let (a, b) = pieces[1].partition(0.5, 3);
    assert!(a.len().abs_diff(b.len()) <= 12, "{} {}", a.len(), b.len());
    let [p0, _, p2, p3] = &pieces;
    let all = [p0, &a, &b, p2, p3];
    let n_tracks: usize = all.iter().map(|piece| tracks(piece).len()).sum();
    let distinct: BTreeSet<&str> = track_of.iter().map(String::as_str).collect();
    assert_eq!(n_tracks, distinct.len());
    // A subset is no cut: it shows all of its dataset, not a few tracks.
    assert!(tracks(&pieces[1].subset(100, 0)).len() > 60);
    // Without the option, tracks are divided.
    task.part.group_by_path = None;
    let (train, test) = (open(&task, TRAIN).unwrap(), open(&task, TEST).unwrap());
    assert!(!tracks(&train).is_disjoint(&tracks(&test)));
}

#[test]
fn groups_need_file_names_and_their_separator() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("train-0.parquet");
    let check = |words: &[&str]| {
        let mut task = task(dir.path(), &["class 0", "class 1"]);
        task.part.group_by_path = Some("_".to_owned());
        check_error(open(&task, TRAIN), words);
    };
    let row = |file_name: Option<&str>| Row {
        image: png(0),
        file_name: file_name.map(str::to_owned),
        target: Target::Label(0),
    };
    let write = |rows: Vec<Row>| {
        write_parquet(&path, Features::Labelled(names(2)), rows).unwrap();
    };
    let place = "train-0.parquet: row 1, column `image`";
    write(vec![row(Some("a_1")), row(None)]);
    check(&[place, "no `path`", "remove group_by_path"]);
    write(vec![row(Some("a_1")), row(Some(""))]);
    check(&[place]);
    write(vec![row(Some("my_cats/1.png"))]);
    check(&["group_by_path = \"_\"", "my_cats/1.png"]);
    let labels: ArrayRef = Arc::new(Int64Array::from(vec![0, 1]));
    write_columns(&path, vec![("image", images(2)), ("label", labels)], None);
    check(&["column `image`", "no `path`", "remove group_by_path"]);
    let manifest = "name = 't'\nhub = 'a/b'\ntemplates = ['{}']\ngroup_by_path = ''";
    check_error(
        Task::parse(manifest, "t.toml"),
        &["t.toml", "group_by_path = \"\""],
    );
    let task = Task::parse(&manifest.replace("''", "'_'"), "t.toml").unwrap();
    assert_eq!(task.part.group_by_path.as_deref(), Some("_"));
    // Test images are not cut, and may stand alone.
    write_named(&dir.path().join("test-0.parquet"), 4, 2, |i| {
        format!("{i}.png")
    });
    let mut task = self::task(dir.path(), &[]);
    task.part.group_by_path = Some("_".to_owned());
    assert_eq!(open(&task, TEST).unwrap().len(), 4);
}

#[test]
fn one_group_is_not_divided_at_all() {
    let dir = tempfile::tempdir().unwrap();
    write_named(&dir.path().join("train-0.parquet"), 20, 2, |i| {
        format!("one_{i}")
    });
    let mut task = task(dir.path(), &[]);
    task.part.group_by_path = Some("_".to_owned());
    assert_eq!(open(&task, VALIDATION).unwrap().len(), 20);
    check_error(open(&task, TRAIN), &["split train is empty"]);
}

#[test]
fn splits_must_name_their_classes_alike() {
    let dir = tempfile::tempdir().unwrap();
    write_split(&dir.path().join("train-0.parquet"), 20, 3);
    write_split(&dir.path().join("test-0.parquet"), 20, 3);
    let metadata = |names: &str| {
        format!(r#"{{"info":{{"features":{{"label":{{"names":{names},"_type":"ClassLabel"}}}}}}}}"#)
    };
    let write = |names: &str| {
        let labels: ArrayRef = Arc::new(Int64Array::from(vec![0, 1]));
        write_columns(
            &dir.path().join("test-0.parquet"),
            vec![("image", images(2)), ("label", labels)],
            Some(&metadata(names)),
        );
    };
    let check = |words: &[&str]| {
        // Whether or not the manifest names them: labels of the two mean different things.
        for class_names in [&[][..], &["a", "b", "c"]] {
            for split in [TRAIN, TEST] {
                let error = open(&task(dir.path(), class_names), split);
                check_error(error, &["train-0.parquet", "test-0.parquet"]);
            }
        }
        check_error(open(&task(dir.path(), &[]), TRAIN), words);
    };
    assert!(open(&task(dir.path(), &[]), TEST).is_ok());
    write(r#"["class 0","class 2","class 1"]"#);
    check(&["class 1 is", "\"class 1\"", "\"class 2\"", "the same order"]);
    // Names that are in only one of the splits are no contradiction.
    write("null");
    assert!(open(&task(dir.path(), &["a", "b", "c"]), TEST).is_ok());
    // A split that is damaged is the business of whoever opens it.
    std::fs::write(dir.path().join("test-0.parquet"), "x").unwrap();
    assert!(open(&task(dir.path(), &[]), TRAIN).is_ok());
    check_error(open(&task(dir.path(), &[]), TEST), &["test-0.parquet"]);
}

#[test]
fn missing_shards_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str| write_split(&dir.path().join(name), 10, 2);
    write("train-00000-of-00005.parquet");
    write("train-00003-of-00005.parquet");
    let mut task = task(dir.path(), &[]);
    check_error(
        open(&task, TRAIN),
        &[
            "files.train = \"./train-*.parquet\"",
            "of 5 files",
            "train-00001-of-00005.parquet, train-00002-of-00005.parquet, \
             train-00004-of-00005.parquet are missing",
            "fetch",
        ],
    );
    write("test-0.parquet");
    // An incomplete split is found whichever is opened.
    check_error(open(&task, TEST), &["files.train"]);
    write("train-00004-of-00005.parquet");
    check_error(open(&task, TRAIN), &["00001", "00002"]);
    // One file that is asked for by its name is enough.
    task.files.train = Some("train-00003-of-00005.parquet".to_owned());
    assert_eq!(open(&task, TRAIN).unwrap().len(), 9);
    task.files.train = None;
    write("train-00001-of-00005.parquet");
    write("train-00002-of-00005.parquet");
    assert_eq!(open(&task, TRAIN).unwrap().len(), 45);
    // Hashes in names, and many files.
    let dir = tempfile::tempdir().unwrap();
    let path = dir
        .path()
        .join("train-00001-of-4294967295-0123abcd.parquet");
    write_split(&path, 10, 2);
    let task = self::task(dir.path(), &[]);
    check_error(open(&task, TRAIN), &["00000-of", "and 4294967291 more"]);
    // Counted from 1, or not counted at all.
    let dir = tempfile::tempdir().unwrap();
    write_split(&dir.path().join("train-1-of-2.parquet"), 10, 2);
    write_split(&dir.path().join("train-2-of-2.parquet"), 10, 2);
    write_split(&dir.path().join("train-best-of-many.parquet"), 10, 2);
    let task = self::task(dir.path(), &[]);
    assert_eq!(open(&task, TRAIN).unwrap().len(), 27);
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
    let mut task = task;
    task.files.test = Some("all.parquet".to_owned());
    check_error(open(&task, TEST), &["all.parquet", "[files]"]);
}

#[test]
fn parts_of_two_manifests_never_share_an_image() {
    let (_dir, whole) = toy(&[("train", 200), ("test", 50)]);
    let part = |start, end| {
        let part = Part {
            train: Some(start..end),
            ..Part::default()
        };
        Task {
            part,
            ..whole.clone()
        }
    };
    let (first, second) = (part(0.0, 0.4), part(0.4, 1.0));
    let train = |task: &Task| places(&open(task, TRAIN).unwrap());
    let (a, b) = (train(&first), train(&second));
    assert_eq!((a.len(), b.len()), (72, 108));
    assert!(a.is_disjoint(&b));
    let all: BTreeSet<String> = a.union(&b).cloned().collect();
    assert_eq!(all, train(&whole));
    assert_eq!(
        counts(&open(&first, TRAIN).unwrap()).iter().max(),
        Some(&15)
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
        let in_file = row_in_file(&a.place(row));
        assert_eq!(a.labels()[row] as usize, in_file % 5);
    }
}
