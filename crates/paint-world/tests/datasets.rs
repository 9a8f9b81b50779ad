//! The world on disk: readable, reproducible, and in agreement with the manifests.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use paint_data::{CaptionDataset, Dataset, Hub, SplitName, Task};
use paint_world::{
    Corpus, Error, Recipe, Role, Sizes, Split, captions_task, picture, tasks, write_captions,
    write_task,
};

const SMALL: Sizes = Sizes {
    train: 12,
    validation: 5,
    test: 7,
};

fn in_threads<T: Send>(n: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new()
        .num_threads(n)
        .build()
        .expect("a few threads can be started")
        .install(work)
}

#[test]
fn bytes_do_not_depend_on_the_number_of_threads() {
    let (one, many) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let done = AtomicU64::new(0);
    let count = |n| {
        done.fetch_add(n, Ordering::Relaxed);
    };
    for (root, n_threads) in [(&one, 1), (&many, 4)] {
        in_threads(n_threads, || {
            write_task("objects", root.path(), SMALL, &count).unwrap();
            write_captions(root.path(), 40, 7, &Recipe::default(), &count).unwrap();
        });
    }
    assert_eq!(done.into_inner(), 2 * (12 + 5 + 7 + 40));
    for file in [
        "objects/data/train-00000-of-00001.parquet",
        "objects/data/test-00000-of-00001.parquet",
        "objects/README.md",
        "captions/data/train-00000-of-00001.parquet",
        "captions/README.md",
    ] {
        let path = Path::new("datasets/paint-world").join(file);
        let read = |root: &tempfile::TempDir| std::fs::read(root.path().join(&path)).unwrap();
        assert!(
            read(&one) == read(&many),
            "{file} differs between 1 and 4 threads"
        );
    }
}

#[test]
fn what_is_written_is_read_back() {
    let root = tempfile::tempdir().unwrap();
    let hub = Hub::Directory(root.path().to_owned());
    let small = Sizes { train: 24, ..SMALL };
    write_task("land-use", root.path(), small, &|_| ()).unwrap();
    let task = tasks()
        .into_iter()
        .find(|t| t.task.name == "land-use")
        .unwrap()
        .task;
    for (split, n) in [
        (SplitName::Train, 24),
        (SplitName::Validation, 5),
        (SplitName::Test, 7),
    ] {
        let dataset = Dataset::open(&task, split, &hub).unwrap();
        let expected: Vec<u32> = (0..n).map(|i| i % 10).collect();
        assert_eq!(dataset.labels(), expected, "{split}");
        assert_eq!(dataset.class_names(), task.class_names);
    }
    write_captions(root.path(), 30, 5, &Recipe::default(), &|_| ()).unwrap();
    // Validation is cut from the training images, since the corpus has one split.
    let read = |split| {
        CaptionDataset::open(&captions_task(), split, &hub, 0)
            .unwrap()
            .captions()
            .to_vec()
    };
    let mut captions = [read(SplitName::Train), read(SplitName::Validation)].concat();
    let corpus = Corpus::new(Recipe::default(), 5).unwrap();
    let mut drawn: Vec<String> = corpus.iter(0).take(30).map(|item| item.caption).collect();
    captions.sort();
    drawn.sort();
    assert_eq!(captions, drawn);
}

#[test]
fn splits_and_the_corpus_share_no_image() {
    for name in ["objects", "digits", "flags"] {
        let mut seen = BTreeSet::new();
        for split in [
            Split::Pretrain,
            Split::Train,
            Split::Validation,
            Split::Test,
        ] {
            for index in 0..50 {
                let (image, label) = picture(name, split, index).unwrap();
                let n_classes = tasks()
                    .iter()
                    .find(|t| t.task.name == name)
                    .unwrap()
                    .task
                    .class_names
                    .len();
                assert_eq!(u64::from(label), index % n_classes as u64);
                assert!(
                    seen.insert(image.into_raw()),
                    "{name} {split:?} {index} is not new"
                );
            }
        }
    }
}

#[test]
fn there_are_three_supported_and_nine_patching_tasks() {
    let of_role = |role| tasks().into_iter().filter(|t| t.role == role).count();
    assert_eq!((of_role(Role::Supported), of_role(Role::Patching)), (3, 9));
    let n_classes = |name: &str| {
        tasks()
            .iter()
            .find(|t| t.task.name == name)
            .map(|t| t.task.class_names.len())
            .unwrap()
    };
    assert!(n_classes("objects") >= 150);
    assert!(n_classes("shapes") >= 60);
    assert!(n_classes("flags") >= 60);
    assert_eq!(n_classes("distance"), 4);
    for world_task in tasks() {
        world_task.task.check("the world").unwrap();
    }
}

#[test]
fn manifests_say_what_the_crate_draws() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data-manifests/tasks");
    for world_task in tasks() {
        let path = directory.join(format!("{}.toml", world_task.task.name));
        let manifest = Task::load(&path).unwrap();
        assert_eq!(
            manifest, world_task.task,
            "run `cargo run -p paint-world --example manifests -- data-manifests`"
        );
    }
}

#[test]
fn captions_hold_what_the_recipe_says() {
    let only = |words: f32, domains: f32| {
        let mut recipe = Recipe {
            words,
            domains,
            numbers: 0.0,
            ..Recipe::default()
        };
        recipe.objects = 0.0;
        recipe.sketches = 0.0;
        recipe.shapes = 0.0;
        recipe.counts = 0.0;
        recipe.pairs = 0.0;
        recipe
    };
    let mut named = only(0.0, 1.0);
    named.named.insert("digits".to_owned(), 1.0);
    named.domain_weights = tasks()
        .into_iter()
        .filter(|t| t.role == Role::Patching)
        .map(|t| {
            (
                t.task.name.clone(),
                f32::from(u8::from(t.task.name == "digits")),
            )
        })
        .collect();
    let digits = tasks()
        .into_iter()
        .find(|t| t.task.name == "digits")
        .unwrap()
        .task;
    for item in Corpus::new(named.clone(), 3).unwrap().iter(0).take(50) {
        let prompts: Vec<String> = digits
            .templates
            .iter()
            .flat_map(|t| digits.class_names.iter().map(move |n| t.replace("{}", n)))
            .collect();
        assert!(prompts.contains(&item.caption), "{}", item.caption);
    }
    named.named.insert("digits".to_owned(), 0.0);
    for item in Corpus::new(named, 3).unwrap().iter(0).take(50) {
        let names_a_digit = digits.class_names.iter().any(|n| {
            item.caption.ends_with(&format!("digit {n}."))
                || item.caption.contains(&format!("\"{n}\""))
        });
        assert!(!names_a_digit, "{}", item.caption);
    }
    let corpus = Corpus::new(Recipe::default(), 1).unwrap();
    let distinct: BTreeSet<String> = corpus
        .iter(0)
        .take(2_000)
        .map(|item| item.caption)
        .collect();
    assert!(
        distinct.len() > 1_500,
        "{} distinct captions of 2000",
        distinct.len()
    );
    for caption in &distinct {
        assert!(
            !caption.trim().is_empty() && !caption.contains("  ") && !caption.contains("{}"),
            "{caption:?}"
        );
    }
}

#[test]
fn unknown_tasks_are_refused_with_the_known_ones() {
    let root = tempfile::tempdir().unwrap();
    let error = write_task("objekts", root.path(), SMALL, &|_| ()).unwrap_err();
    assert!(matches!(error, Error::UnknownTask { .. }));
    assert!(
        error
            .to_string()
            .contains("objects, shapes, sketches, digits"),
        "{error}"
    );
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let root = tempfile::NamedTempFile::new().unwrap();
    let error = write_task("shapes", root.path(), SMALL, &|_| ()).unwrap_err();
    let path = root.path().display().to_string();
    assert!(error.to_string().contains(&path), "{error}");
}
