//! Captions from a column and from templates.

use paint_data::{
    CaptionDataset, Dataset, Features, PixelTable, Row, SkipPolicy, SplitName, Target, Task,
    write_parquet,
};

use crate::fixture::{Corner, check_error, nowhere, open, png, task, write_split};

fn captioned(n: usize) -> (tempfile::TempDir, Task) {
    let dir = tempfile::tempdir().unwrap();
    let row = |i: usize| Row {
        image: if i == 2 {
            b"broken".to_vec()
        } else {
            png(i as u8)
        },
        file_name: None,
        target: Target::Caption(format!("number {i}")),
    };
    let path = dir.path().join("train-0.parquet");
    write_parquet(&path, Features::Captioned, (0..n).map(row)).unwrap();
    let text = "name = \"toy\"\nparquet = \".\"\n[columns]\ncaption = \"caption\"";
    let manifest = dir.path().join("toy.toml");
    std::fs::write(&manifest, text).unwrap();
    let task = Task::load(&manifest).unwrap();
    (dir, task)
}

#[test]
fn a_caption_column_stays_with_its_images() {
    let (dir, task) = captioned(50);
    let train = CaptionDataset::open(&task, SplitName::Train, &nowhere(), 0).unwrap();
    let validation = CaptionDataset::open(&task, SplitName::Validation, &nowhere(), 0).unwrap();
    assert_eq!(
        (train.captions().len(), validation.captions().len()),
        (45, 5)
    );
    for split in [&train, &validation] {
        let policy = SkipPolicy { max_rate: 0.2 };
        let table =
            PixelTable::build(split.images(), &Corner, dir.path(), policy, &|_| ()).unwrap();
        let captions = split.captions_of(&table).unwrap();
        assert_eq!(captions.len(), table.len());
        for (row, caption) in captions.iter().enumerate() {
            let mut out = [0; 6];
            table.read(&[row], &mut out).unwrap();
            assert_eq!(*caption, format!("number {}", out[0]));
        }
        let other = if std::ptr::eq(split, &train) {
            &validation
        } else {
            &train
        };
        check_error(other.captions_of(&table), &["other images"]);
    }
    check_error(open(&task, SplitName::Train), &["captions, not labels"]);
}

#[test]
fn templates_make_captions_of_labels() {
    let dir = tempfile::tempdir().unwrap();
    write_split(&dir.path().join("test-0.parquet"), 60, 3);
    let mut task = task(dir.path(), &["cat", "dog", "cow"]);
    task.templates = vec!["a {}".to_owned(), "the {}, a {}".to_owned()];
    let open = |seed| CaptionDataset::open(&task, SplitName::Test, &nowhere(), seed).unwrap();
    let captions = open(0);
    for (caption, &label) in captions.captions().iter().zip(captions.images().labels()) {
        let name = ["cat", "dog", "cow"][label as usize];
        assert!([format!("a {name}"), format!("the {name}, a {name}")].contains(caption));
    }
    let n_long = captions
        .captions()
        .iter()
        .filter(|caption| caption.contains(','))
        .count();
    assert!((15..45).contains(&n_long), "{n_long}");
    assert_eq!(open(0).captions(), captions.captions());
    assert_ne!(open(1).captions(), captions.captions());
    let images = Dataset::open(&task, SplitName::Test, &nowhere()).unwrap();
    let vague = CaptionDataset::new(images.clone(), |_| "an animal".to_owned()).unwrap();
    assert_eq!(vague.captions(), vec!["an animal"; 60]);
    check_error(
        CaptionDataset::new(images, |_| " ".to_owned()),
        &["row 0", "empty caption"],
    );
}
