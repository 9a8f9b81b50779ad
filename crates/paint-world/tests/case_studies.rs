//! Typographic attacks, counting and questions on disk: readable, reproducible, as promised.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "a skipped test says so")]

use paint_data::{
    Dataset, Features, Hub, MultipleChoice, PixelTable, PixelTransform, Row, SkipPolicy, SplitName,
    Target, Task, TaskSource, class_halves, decode_image, write_parquet,
};
use paint_world::{
    COUNTS, QUESTION_KINDS, SEEN_COUNTS, Sizes, Split, attack, counting_task, picture,
    questions_task, tasks, write_attacked, write_counting, write_questions, write_task,
    wrong_classes,
};

const SMALL: Sizes = Sizes {
    train: 20,
    validation: 10,
    test: 16,
};

fn images(dataset: &Dataset) -> Vec<Vec<u8>> {
    let mut images = Vec::new();
    let take = |bytes: Result<Vec<u8>, String>| {
        images.push(bytes.unwrap());
        Ok(())
    };
    dataset.each_image(take).unwrap();
    images
}

#[test]
fn an_attacked_copy_has_the_rows_of_the_original() {
    let root = tempfile::tempdir().unwrap();
    let hub = Hub::Directory(root.path().to_owned());
    let sizes = Sizes { test: 400, ..SMALL };
    write_task("objects", root.path(), sizes, &|_| ()).unwrap();
    let objects = tasks().remove(0).task;
    let (_, half) = class_halves(objects.class_names.len(), 3);
    let clean = Dataset::open(&objects, SplitName::Test, &hub).unwrap();
    let clean = clean.of_classes(&half).unwrap();
    let splits = [(SplitName::Test, &clean)];
    let write =
        |name, seed| write_attacked(&objects, &splits, name, root.path(), seed, &|_| ()).unwrap();
    let task = write("attacked", 5);
    assert_eq!((task.templates.len(), task.name.as_str()), (3, "attacked"));
    let attacked = Dataset::open(&task, SplitName::Test, &hub).unwrap();
    assert_eq!(attacked.labels(), clean.labels());
    assert_eq!(attacked.class_names(), clean.class_names());
    assert_eq!(
        attacked.class_names()[0],
        objects.class_names[half[0] as usize]
    );
    for (before, after) in images(&clean).iter().zip(images(&attacked)) {
        let (before, after) = (decode_image(before).unwrap(), decode_image(&after).unwrap());
        assert_eq!(before.dimensions(), after.dimensions());
        assert_ne!(before, after);
    }
    // The same attack again is the same bytes, or none at all; another seed is another attack.
    let again = Dataset::open(&write("again", 5), SplitName::Test, &hub).unwrap();
    let other = Dataset::open(&write("other", 6), SplitName::Test, &hub).unwrap();
    assert_eq!(again.content_key(), attacked.content_key());
    assert_ne!(other.content_key(), attacked.content_key());
    let file = root
        .path()
        .join("datasets/paint-world/attacked/data/test-00000-of-00001.parquet");
    let written = std::fs::metadata(&file).unwrap().modified().unwrap();
    write("attacked", 5);
    assert_eq!(
        std::fs::metadata(&file).unwrap().modified().unwrap(),
        written
    );
    write("attacked", 6);
    assert_ne!(
        std::fs::metadata(&file).unwrap().modified().unwrap(),
        written
    );
}

#[test]
fn what_cannot_be_decoded_stays_in_its_row() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("me/test-0.parquet");
    let (image, _) = picture("objects", Split::Test, 0).unwrap();
    let mut png = std::io::Cursor::new(Vec::new());
    image.write_to(&mut png, image::ImageFormat::Png).unwrap();
    let row = |i: u32| Row {
        image: if i == 1 {
            b"broken".to_vec()
        } else {
            png.get_ref().clone()
        },
        file_name: None,
        target: Target::Label(i % 2),
    };
    let names = vec!["dog".to_owned(), "cat".to_owned()];
    write_parquet(&path, Features::Labelled(names), (0..3).map(row)).unwrap();
    let source = TaskSource::Parquet(root.path().join("me"));
    let task = Task::new("me", vec![], vec!["a {}".to_owned()], source).unwrap();
    let hub = Hub::Directory(root.path().to_owned());
    let dataset = Dataset::open(&task, SplitName::Test, &hub).unwrap();
    let splits = [(SplitName::Test, &dataset)];
    let attacked = write_attacked(&task, &splits, "bad", root.path(), 0, &|_| ()).unwrap();
    let attacked = images(&Dataset::open(&attacked, SplitName::Test, &hub).unwrap());
    assert_eq!(attacked[1], b"broken");
    assert_eq!(
        (attacked.len(), decode_image(&attacked[2]).is_ok()),
        (3, true)
    );
    // One class has no wrong name.
    let one = dataset.of_classes(&[0]).unwrap();
    let splits = [(SplitName::Test, &one)];
    let error = write_attacked(&task, &splits, "one", root.path(), 0, &|_| ()).unwrap_err();
    assert!(error.to_string().contains("at least two"), "{error}");
    let splits = [(SplitName::Train, &dataset), (SplitName::Test, &one)];
    let error = write_attacked(&task, &splits, "two", root.path(), 0, &|_| ()).unwrap_err();
    assert!(
        error.to_string().contains("test has other classes"),
        "{error}"
    );
}

#[test]
fn wrong_classes_are_wrong_and_each_as_likely() {
    let labels: Vec<u32> = (0..9_000).map(|i| i % 3).collect();
    let wrong = wrong_classes(&labels, 3, SplitName::Test, 1).unwrap();
    let mut counts = [[0; 3]; 3];
    for (label, wrong) in labels.iter().zip(&wrong) {
        counts[*label as usize][*wrong as usize] += 1;
    }
    for (label, counts) in counts.iter().enumerate() {
        for (wrong, &n) in counts.iter().enumerate() {
            let expected = if wrong == label { 0..1 } else { 1_380..1_620 };
            assert!(expected.contains(&n), "{label} {counts:?}");
        }
    }
    assert_ne!(
        wrong,
        wrong_classes(&labels, 3, SplitName::Test, 2).unwrap()
    );
    assert_ne!(
        wrong,
        wrong_classes(&labels, 3, SplitName::Train, 1).unwrap()
    );
    assert_eq!(
        wrong[..50],
        wrong_classes(&labels[..50], 3, SplitName::Test, 1).unwrap()
    );
}

#[test]
fn the_photographs_at_hand_can_be_attacked() {
    let hub = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/hub");
    if !hub.exists() {
        eprintln!("skipped: {} is not there", hub.display());
        return;
    }
    let source = TaskSource::Hub {
        id: "photos/imagenet-sample-200".to_owned(),
        config: None,
        revision: None,
    };
    let task = Task::new("photos", vec![], vec!["{}".to_owned()], source).unwrap();
    let photos = Dataset::open(&task, SplitName::Test, &Hub::Directory(hub)).unwrap();
    let names = photos.class_names();
    for (row, bytes) in images(&photos.subset(12, 0)).iter().enumerate() {
        let image = decode_image(bytes).unwrap();
        let attacked = attack(&image, &names[row], &mut paint_data::Rng::new(row as u64));
        let changed = image
            .pixels()
            .zip(attacked.pixels())
            .filter(|(a, b)| a != b)
            .count();
        let share = changed as f64 / image.pixels().len() as f64;
        assert!((0.005..0.4).contains(&share), "{row}: {share}");
    }
}

#[test]
fn counting_is_read_back() {
    let root = tempfile::tempdir().unwrap();
    let hub = Hub::Directory(root.path().to_owned());
    write_counting(root.path(), SMALL, &|_| ()).unwrap();
    let open = |split| Dataset::open(&counting_task(), split, &hub).unwrap();
    let train = open(SplitName::Train);
    assert!(
        train
            .labels()
            .iter()
            .all(|label| SEEN_COUNTS.contains(label))
    );
    assert_eq!(open(SplitName::Validation).len(), 10);
    assert_eq!(
        open(SplitName::Test).labels()[..8],
        [0, 1, 2, 3, 4, 5, 6, 7]
    );
    assert_eq!(train.class_names().len(), COUNTS.len());
    // A head of the seen counts alone.
    let seen = train.of_classes(&SEEN_COUNTS).unwrap();
    assert_eq!(seen.class_names(), ["four", "five", "six", "eight", "nine"]);
    assert_eq!((seen.len(), seen.labels()[3]), (20, 3));
}

/// Small pixels for a table.
struct Half;

impl PixelTransform for Half {
    fn key(&self) -> String {
        "half".to_owned()
    }

    fn height(&self) -> usize {
        24
    }

    fn width(&self) -> usize {
        24
    }

    fn apply(&self, image: &image::RgbImage) -> Vec<u8> {
        let every_other = |x, y| *image.get_pixel(2 * x, 2 * y);
        image::RgbImage::from_fn(24, 24, every_other).into_raw()
    }
}

#[test]
fn questions_are_read_back() {
    let root = tempfile::tempdir().unwrap();
    let hub = Hub::Directory(root.path().to_owned());
    write_questions(root.path(), SMALL, &|_| ()).unwrap();
    let test = MultipleChoice::open(&questions_task(), SplitName::Test, &hub).unwrap();
    assert_eq!((test.images().len(), test.n_choices()), (16, 4));
    let policy = SkipPolicy::default();
    let table = PixelTable::build(test.images(), &Half, root.path(), policy, &|_| ()).unwrap();
    let asked = test.asked(&table).unwrap();
    for row in 0..16 {
        let kind = asked.kinds[row];
        assert_eq!(kind, QUESTION_KINDS[row % 4]);
        assert_eq!(asked.answers[row] as usize, row / 4);
        let right = asked.candidates[row][asked.answers[row] as usize];
        assert_eq!(right, test.images().labels()[row]);
        for &prompt in asked.candidates[row] {
            let prompt = &test.prompts()[prompt as usize];
            let start = [
                "where is the ",
                "how many ",
                "what color is the ",
                "what word is written ",
            ];
            assert!(prompt.starts_with(start[row % 4]), "{prompt}");
        }
    }
}
