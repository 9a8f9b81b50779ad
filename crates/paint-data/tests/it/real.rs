//! Real datasets in Hub layout, where they are at hand.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use image::RgbImage;
use paint_data::{Dataset, Hub, PixelTable, PixelTransform, SkipPolicy, SplitName, Suite, Task};

use crate::fixture::{file_names, row_in_file};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn manifest(name: &str) -> Task {
    Task::load(&workspace().join(format!("data-manifests/tasks/{name}.toml"))).unwrap()
}

/// The mirror, if this machine has one.
fn mirror() -> Option<Hub> {
    let directory = workspace().join("../shared/hub");
    if directory.join("datasets").is_dir() {
        return Some(Hub::Directory(directory));
    }
    eprintln!("skipped: no datasets at {}", directory.display());
    None
}

/// The mean colour.
struct Mean;

impl PixelTransform for Mean {
    fn key(&self) -> String {
        "mean".to_owned()
    }
    fn height(&self) -> usize {
        1
    }
    fn width(&self) -> usize {
        1
    }
    fn apply(&self, image: &RgbImage) -> Vec<u8> {
        let n = u64::from(image.width() * image.height());
        let sum = |c: usize| image.pixels().map(|p| u64::from(p.0[c])).sum::<u64>();
        (0..3).map(|c| (sum(c) / n) as u8).collect()
    }
}

/// The manifests or suites of `directory`.
fn stems(directory: &Path) -> Vec<String> {
    let files = std::fs::read_dir(directory).unwrap();
    let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    files.map(|file| stem(file.unwrap().path())).collect()
}

#[test]
fn every_manifest_loads() {
    let names = stems(&workspace().join("data-manifests/tasks"));
    assert!(names.len() >= 27, "{names:?}");
    for name in names {
        let task = manifest(&name);
        assert_eq!(task.name, name);
        assert!(!task.class_names.is_empty(), "{name}");
        // CLIP's tokenizer does not tell upper from lower case.
        let lower: BTreeSet<_> = task.class_names.iter().map(|n| n.to_lowercase()).collect();
        assert_eq!(lower.len(), task.class_names.len(), "{name}");
        let templates: BTreeSet<_> = task.templates.iter().collect();
        assert_eq!(templates.len(), task.templates.len(), "{name}");
        for template in templates {
            assert_eq!(template.matches("{}").count(), 1, "{name}: {template}");
        }
    }
}

#[test]
fn every_suite_names_manifests() {
    let directory = workspace().join("data-manifests/suites");
    for name in stems(&directory) {
        let suite = Suite::load(&directory.join(format!("{name}.toml"))).unwrap();
        assert_eq!(suite.name, name);
        for task in suite.supported.iter().chain(&suite.patching) {
            Task::load(&Suite::task_path(&directory, task)).unwrap();
        }
    }
}

#[test]
fn the_papers_datasets_have_their_classes_and_templates() {
    // Classes, templates, and one class in the middle, as published.
    let facts = [
        ("cars", 196, 8, (98, "FIAT 500 Abarth 2012")),
        ("cifar10", 10, 18, (3, "cat")),
        ("cifar100", 100, 18, (26, "crab")),
        ("dtd", 47, 8, (30, "polka-dotted")),
        ("eurosat", 10, 3, (0, "annual crop land")),
        ("fashion-mnist", 10, 8, (9, "Ankle boot")),
        ("food101", 101, 1, (6, "beignets")),
        ("gtsrb", 43, 3, (14, "stop")),
        ("imagenet", 1000, 80, (517, "construction crane")),
        ("kitti-distance", 4, 1, (3, "a photo i took with no car.")),
        ("mnist", 10, 1, (0, "0")),
        ("resisc45", 45, 18, (2, "baseball diamond")),
        ("stl10", 10, 2, (7, "monkey")),
        ("sun397", 397, 2, (1, "airplane cabin")),
        ("svhn", 10, 1, (0, "0")),
    ];
    for (name, n_classes, n_templates, (class_idx, class_name)) in facts {
        let task = manifest(name);
        let found = (task.class_names.len(), task.templates.len());
        assert_eq!(found, (n_classes, n_templates), "{name}");
        assert_eq!(task.class_names[class_idx], class_name, "{name}");
    }
    assert!(manifest("kitti-distance").unverified.is_some());
    assert_eq!(manifest("cifar100").unverified, None);
}

#[test]
fn real_datasets_have_their_documented_sizes() {
    let Some(hub) = mirror() else { return };
    let sizes = [
        ("cifar10", 45_000, 5_000, 10_000),
        // A tenth of 7,120, and the rest of a track of ten frames.
        ("gtsrb", 6_400, 720, 1_760),
        ("mnist", 7_200, 800, 2_000),
    ];
    for (name, train, validation, test) in sizes {
        let task = manifest(name);
        let open = |split| Dataset::open(&task, split, &hub).unwrap();
        assert_eq!(open(SplitName::Train).len(), train, "{name}");
        assert_eq!(open(SplitName::Validation).len(), validation, "{name}");
        assert_eq!(open(SplitName::Test).len(), test, "{name}");
    }
}

#[test]
fn tracks_of_traffic_signs_are_not_divided() {
    let Some(hub) = mirror() else { return };
    let task = |train: std::ops::Range<f64>| {
        let mut task = manifest("gtsrb");
        task.part.train = Some(train);
        task
    };
    let open = |task: &Task, split| Dataset::open(task, split, &hub).unwrap();
    let (first, second) = (task(0.0..0.5), task(0.5..1.0));
    let splits = [
        open(&first, SplitName::Train),
        open(&second, SplitName::Train),
        open(&first, SplitName::Validation),
    ];
    // Each of the 712 tracks has ten frames here.
    assert_eq!(splits.each_ref().map(Dataset::len), [3_200, 3_200, 720]);
    assert_eq!(
        open(&second, SplitName::Validation).content_key(),
        splits[2].content_key()
    );
    let path = "datasets/tanganke/gtsrb/data/train-00000-of-00001.parquet";
    let Hub::Directory(root) = &hub else { return };
    let names = file_names(&root.join(path));
    let tracks = splits.each_ref().map(|split| {
        let rows = (0..split.len()).map(|row| row_in_file(&split.place(row)));
        let track = |row: usize| names[row].rsplit_once('_').unwrap().0;
        rows.map(track).collect::<BTreeSet<&str>>()
    });
    assert_eq!(tracks.each_ref().map(BTreeSet::len), [320, 320, 72]);
    let all: BTreeSet<&str> = tracks.iter().flatten().copied().collect();
    assert_eq!(all.len(), 712);
    // Half of the tracks of a class, give or take one or two: classes have four tracks and more.
    for class_idx in 0..43 {
        let n = |split: &Dataset| split.labels().iter().filter(|&&l| l == class_idx).count();
        let (a, b) = (n(&splits[0]), n(&splits[1]));
        assert!(a.abs_diff(b) <= 20, "class {class_idx}: {a} {b}");
    }
}

#[test]
fn real_images_decode() {
    let Some(hub) = mirror() else { return };
    let cache = tempfile::tempdir().unwrap();
    let check = |task: &Task, n: usize, mean: std::ops::Range<f64>| {
        let dataset = Dataset::open(task, SplitName::Test, &hub)
            .unwrap()
            .subset(n, 0);
        let policy = SkipPolicy { max_rate: 0.0 };
        let table = PixelTable::build(&dataset, &Mean, cache.path(), policy, &|_| ()).unwrap();
        let mut out = vec![0; table.len() * 3];
        table
            .read(&(0..table.len()).collect::<Vec<_>>(), &mut out)
            .unwrap();
        let got = out.iter().map(|&v| f64::from(v)).sum::<f64>() / out.len() as f64;
        assert!(mean.contains(&got), "{}: {got}", task.name);
    };
    // Known means of the pixels: MNIST 0.13, CIFAR-10 0.47 of 255.
    check(&manifest("mnist"), 500, 28.0..38.0);
    check(&manifest("cifar10"), 500, 112.0..130.0);
    check(&manifest("gtsrb"), 300, 50.0..120.0);
    let mut task = manifest("cifar10");
    task.source = paint_data::TaskSource::Hub {
        id: "photos/imagenet-sample-200".to_owned(),
        config: None,
        revision: None,
    };
    (task.name, task.class_names, task.columns.image) = ("photos".to_owned(), Vec::new(), None);
    check(&task, 200, 80.0..150.0);
}
