//! Folders, CSVs, manifests and the Hub's directory layout.

use std::path::Path;

use paint_data::{Dataset, Hub, PixelTable, SkipPolicy, SplitName, Suite, Task};

use crate::fixture::{Corner, check_error, open, png, write_split};

const TEMPLATES: &str = "templates = [\"a photo of a {}.\"]\n";

fn load(dir: &Path, manifest: &str) -> paint_data::Result<Task> {
    let path = dir.join("toy.toml");
    std::fs::write(&path, format!("name = \"toy\"\n{TEMPLATES}{manifest}")).unwrap();
    Task::load(&path)
}

fn put(path: &Path, id: u8) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, png(id)).unwrap();
}

fn first_bytes(dataset: &Dataset, cache: &Path) -> Vec<u8> {
    let table = PixelTable::build(dataset, &Corner, cache, SkipPolicy::default(), &|_| ()).unwrap();
    let mut out = vec![0; table.len() * 6];
    table
        .read(&(0..table.len()).collect::<Vec<_>>(), &mut out)
        .unwrap();
    out.chunks(6).map(|image| image[0]).collect()
}

#[test]
fn a_folder_with_one_sub_folder_per_class() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..20 {
        put(
            &dir.path()
                .join(format!("photos/{}/{i:02}.jpg", ["cat", "dog"][i % 2])),
            i as u8,
        );
    }
    put(&dir.path().join("photos/dog/.hidden"), 0);
    std::fs::write(dir.path().join("photos/README"), "x").unwrap();
    let task = load(dir.path(), "folder = \"photos\"").unwrap();
    let sizes = [SplitName::Train, SplitName::Validation, SplitName::Test]
        .map(|split| open(&task, split).unwrap().len());
    assert_eq!(sizes, [15, 1, 4]);
    let test = open(&task, SplitName::Test).unwrap();
    assert_eq!(test.class_names(), ["cat", "dog"]);
    let ids = first_bytes(&test, &dir.path().join("cache"));
    assert!(
        ids.iter()
            .zip(test.labels())
            .all(|(&id, &label)| u32::from(id % 2) == label)
    );
    // Names in another order than the alphabet's are honoured; unknown folders are not.
    let named = load(
        dir.path(),
        "folder = \"photos\"\nclass_names = [\"dog\", \"cat\"]",
    )
    .unwrap();
    let renamed = open(&named, SplitName::Test).unwrap();
    assert!(
        renamed
            .labels()
            .iter()
            .zip(test.labels())
            .all(|(a, b)| a + b == 1)
    );
    let unknown = load(dir.path(), "folder = \"photos\"\nclass_names = [\"cat\"]").unwrap();
    check_error(open(&unknown, SplitName::Test), &["dog", "class_names"]);
    // The bytes of the files are the key: not where they lie or when they were written.
    let key = |task| {
        open(task, SplitName::Test)
            .unwrap()
            .content_key()
            .to_owned()
    };
    std::fs::rename(dir.path().join("photos"), dir.path().join("moved")).unwrap();
    let moved = load(dir.path(), "folder = \"moved\"").unwrap();
    assert_eq!(key(&moved), test.content_key());
    let changed = dir.path().join("moved/cat/00.jpg");
    let modified = changed.metadata().unwrap().modified().unwrap();
    put(&changed, 99);
    let file = std::fs::File::options().write(true).open(&changed).unwrap();
    file.set_modified(modified).unwrap();
    assert_ne!(key(&moved), test.content_key());
}

#[test]
fn split_folders() {
    let dir = tempfile::tempdir().unwrap();
    for (i, place) in ["train/b", "train/a", "val/a", "test/b", "test/a"]
        .iter()
        .enumerate()
    {
        put(&dir.path().join(format!("photos/{place}/x.png")), i as u8);
    }
    let task = load(dir.path(), "folder = \"photos\"").unwrap();
    let ids = |split| {
        let dataset = open(&task, split).unwrap();
        (
            dataset.labels().to_vec(),
            first_bytes(&dataset, &dir.path().join("cache")),
        )
    };
    assert_eq!(ids(SplitName::Train), (vec![0, 1], vec![1, 0]));
    // `val` has no `b`, yet its `a` is still class 0 of two.
    assert_eq!(ids(SplitName::Validation), (vec![0], vec![2]));
    assert_eq!(ids(SplitName::Test), (vec![0, 1], vec![4, 3]));
    std::fs::create_dir(dir.path().join("photos/train/empty")).unwrap();
    check_error(open(&task, SplitName::Train), &["empty", "without images"]);
    let flat = load(dir.path(), "folder = \"photos/train/a\"").unwrap();
    check_error(open(&flat, SplitName::Train), &["no class folders"]);
    let missing = load(dir.path(), "folder = \"nothing\"").unwrap();
    check_error(
        open(&missing, SplitName::Train),
        &["cannot list", "nothing"],
    );
}

#[test]
fn sub_folders_named_as_splits_may_be_classes() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..30 {
        let class = ["train", "cat", "dog"][i % 3];
        put(&dir.path().join(format!("photos/{class}/{i}.png")), i as u8);
    }
    let open = |manifest: &str| open(&load(dir.path(), manifest).unwrap(), SplitName::Train);
    check_error(
        open("folder = \"photos\""),
        &["photos", "as splits (train)", "(cat, dog)", "class_names"],
    );
    let some = "folder = \"photos\"\nclass_names = [\"cat\", \"dog\"]";
    check_error(open(some), &["as splits (train)"]);
    let named = "folder = \"photos\"\nclass_names = [\"train\", \"dog\", \"cat\"]";
    assert_eq!(open(named).unwrap().class_names()[0], "train");
    let values = "class_names = [\"a cat\", \"a dog\", \"a train\"]\n\
                  label_values = [\"cat\", \"dog\", \"train\"]";
    let dataset = open(&format!("folder = \"photos\"\n{values}")).unwrap();
    assert_eq!(dataset.class_names()[2], "a train");
    assert_eq!(dataset.len(), 22);
    // Only folders count, and hidden ones do not.
    for i in 0..4 {
        put(&dir.path().join(format!("split/train/cat/{i}.png")), i);
    }
    put(&dir.path().join("split/.git/x"), 0);
    std::fs::write(dir.path().join("split/README"), "x").unwrap();
    let dataset = open("folder = \"split\"").unwrap();
    assert_eq!(dataset.class_names(), ["cat"]);
}

#[test]
fn groups_by_file_and_by_folder() {
    let dir = tempfile::tempdir().unwrap();
    let mut csv = "path,label\n".to_owned();
    for i in 0..200 {
        let (class, track) = (["a_cat", "a_dog"][i % 2], i / 10);
        let file = format!("{class}/{track}/{track}_{i}.png");
        put(&dir.path().join("photos").join(&file), i as u8);
        csv += &format!("photos/{file},{class}\n");
    }
    std::fs::write(dir.path().join("list.csv"), csv).unwrap();
    for source in ["folder = \"photos\"", "csv = \"list.csv\""] {
        for separator in ["_", "/"] {
            let manifest = format!("{source}\ngroup_by_path = \"{separator}\"");
            let task = load(dir.path(), &manifest).unwrap();
            let splits = [SplitName::Train, SplitName::Validation, SplitName::Test]
                .map(|split| open(&task, split).unwrap());
            // 40 tracks of five.
            assert_eq!(splits.each_ref().map(Dataset::len), [140, 20, 40]);
            let mut folders = std::collections::BTreeSet::new();
            for split in &splits {
                let here: std::collections::BTreeSet<String> = (0..split.len())
                    .map(|row| {
                        let place = split.place(row);
                        let path = place.rsplit(": ").next().unwrap();
                        path.rsplit_once('/').unwrap().0.to_owned()
                    })
                    .collect();
                assert_eq!(here.len() * 5, split.len());
                folders.extend(here);
            }
            assert_eq!(folders.len(), 40);
        }
    }
}

#[test]
fn an_attribute_is_a_second_column_of_labels() {
    let dir = tempfile::tempdir().unwrap();
    let mut csv = "path,label,split,place\n".to_owned();
    for (i, split) in ["train", "train", "test", "test"].iter().enumerate() {
        put(&dir.path().join(format!("{i}.png")), i as u8);
        let (class, place) = (["a", "b"][i % 2], ["sea", "land"][usize::from(i == 2)]);
        csv += &format!("{i}.png,{class},{split},{place}\n");
    }
    std::fs::write(dir.path().join("list.csv"), csv).unwrap();
    let attribute = "csv = \"list.csv\"\n[attribute]\ncolumn = \"place\"\n\
                     values = [\"sea\", \"land\"]";
    let task = load(dir.path(), attribute).unwrap();
    let of_attribute = task.of_attribute().unwrap();
    assert_eq!(of_attribute.class_names, ["sea", "land"]);
    let (classes, places) = (
        open(&task, SplitName::Test).unwrap(),
        open(&of_attribute, SplitName::Test).unwrap(),
    );
    assert!(classes.has_rows_of(&places));
    assert_eq!(
        (classes.labels(), places.labels()),
        (&[0, 1][..], &[1, 0][..])
    );
    assert!(!classes.has_rows_of(&open(&of_attribute, SplitName::Train).unwrap()));
    let unknown = attribute.replace("\"land\"", "\"hill\"");
    let task = load(dir.path(), &unknown).unwrap().of_attribute().unwrap();
    check_error(open(&task, SplitName::Test), &["land"]);
    assert!(
        load(dir.path(), "csv = \"list.csv\"")
            .unwrap()
            .of_attribute()
            .is_none()
    );
}

#[test]
fn a_csv_of_paths_and_labels() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..10 {
        put(&dir.path().join(format!("images/{i}.png")), i);
    }
    let csv = dir.path().join("list.csv");
    let mut text = "\u{feff}label,path,split\r\n".to_owned();
    for i in 0..10 {
        let split = if i < 6 { "train" } else { "test" };
        text += &format!("\"class, {}\",images/{i}.png,{split}\r\n", i % 2);
    }
    std::fs::write(&csv, &text).unwrap();
    let task = load(dir.path(), "csv = \"list.csv\"").unwrap();
    let test = open(&task, SplitName::Test).unwrap();
    assert_eq!(
        (test.labels(), test.class_names().len()),
        (&[0, 1, 0, 1][..], 2)
    );
    assert_eq!(test.class_names()[1], "class, 1");
    assert_eq!(first_bytes(&test, dir.path()), [6, 7, 8, 9]);
    assert_eq!(open(&task, SplitName::Train).unwrap().len(), 5);
    let check = |text: &str, words: &[&str]| {
        std::fs::write(&csv, text).unwrap();
        check_error(open(&task, SplitName::Train), &["list.csv"]);
        check_error(open(&task, SplitName::Train), words);
    };
    check("", &["header"]);
    check("path,label\n", &["no rows"]);
    check("file,label\na,b\n", &["`path`", "the header is file,label"]);
    check("path,label\na\n", &["row 0", "1 fields, the header 2"]);
    check("path,label\na,b\nc,\n", &["row 1", "empty"]);
    check(
        "path,label,split\na,b,dev\n",
        &["row 0", "`split`", "\"dev\""],
    );
    check("path,label\n\"a,b\n", &["line 2", "quote"]);
    std::fs::write(&csv, b"path,label\n\xff,b\n").unwrap();
    check_error(open(&task, SplitName::Train), &["list.csv", "UTF-8"]);
    check(
        "path;label\na;b\n",
        &["the header is path;label", "by commas"],
    );
}

#[test]
fn an_image_that_is_not_there_counts_as_one_that_does_not_decode() {
    let dir = tempfile::tempdir().unwrap();
    let mut csv = "path,label,split\n".to_owned();
    for i in 0..200 {
        if ![101, 107].contains(&i) {
            put(&dir.path().join(format!("{i}.png")), i as u8);
        }
        let split = if i < 100 { "test" } else { "train" };
        csv += &format!("{i}.png,{},{split}\n", ["cat", "dog"][i % 2]);
    }
    std::fs::write(dir.path().join("list.csv"), csv).unwrap();
    let task = load(dir.path(), "csv = \"list.csv\"").unwrap();
    let cache = dir.path().join("cache");
    let table = |max_rate| {
        let dataset = open(&task, SplitName::Train).unwrap();
        let table = PixelTable::build(&dataset, &Corner, &cache, SkipPolicy { max_rate }, &|_| ())?;
        Ok((dataset, table))
    };
    assert_eq!(
        first_bytes(&open(&task, SplitName::Test).unwrap(), &cache).len(),
        100
    );
    let (dataset, kept) = table(0.03).unwrap();
    let held_out = open(&task, SplitName::Validation).unwrap();
    assert_eq!(dataset.len() + held_out.len(), 100);
    assert_eq!(kept.len() + kept.skipped().len(), dataset.len());
    // The row is that of the CSV, not of the split.
    let reasons: Vec<&str> = kept.skipped().iter().map(|s| s.reason.as_str()).collect();
    for (reason, i) in reasons.iter().zip([101, 107]) {
        let expected = format!("list.csv: row {i}: {}/{i}.png: ", dir.path().display());
        assert!(reason.contains(&expected), "{reason}");
    }
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    check_error(
        table(0.01),
        &["2 of 90 images", "first is", "list.csv: row 101", "101.png"],
    );
    // Where the file comes back, it is another dataset.
    put(&dir.path().join("101.png"), 101);
    let (mended, kept) = table(0.02).unwrap();
    assert_ne!(mended.content_key(), dataset.content_key());
    assert_eq!(kept.skipped().len(), 1);
}

#[test]
fn a_link_to_no_file_in_a_class_folder_is_left_out_too() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..4 {
        put(&dir.path().join(format!("photos/test/cat/{i}.png")), i);
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink("nowhere", dir.path().join("photos/test/cat/5.png")).unwrap();
    let task = load(dir.path(), "folder = \"photos\"").unwrap();
    let test = open(&task, SplitName::Test).unwrap();
    let policy = SkipPolicy { max_rate: 0.5 };
    let table = PixelTable::build(&test, &Corner, dir.path(), policy, &|_| ()).unwrap();
    assert_eq!(table.len(), 4);
    assert_eq!(table.skipped().len(), usize::from(cfg!(unix)));
}

#[test]
fn bad_manifests_say_what_to_do() {
    let check = |text: &str, words: &[&str]| {
        check_error(Task::parse(text, "my.toml"), &["my.toml"]);
        check_error(Task::parse(text, "my.toml"), words);
    };
    let good = format!("name = \"t\"\nhub = \"a/b\"\n{TEMPLATES}");
    assert!(Task::parse(&good, "my.toml").is_ok());
    check(&format!("{good}colour = 1"), &["unknown field `colour`"]);
    check(
        &format!("{good}[columns]\nimg = \"x\""),
        &["unknown field `img`"],
    );
    check("hub = \"a/b\"", &["missing field `name`"]);
    check("name = ", &["line 1"]);
    check(
        "name = \"t\"\nhub = \"a/b\"",
        &["templates", "at least one"],
    );
    check(
        "name = \"t\"\nhub = \"a/b\"\ntemplates = [\"a {}\", \"b\"]",
        &["\"b\" has no `{}`"],
    );
    check(
        &format!("{good}class_names = [\"x\", \"y\", \"x\"]"),
        &["\"x\" is given twice"],
    );
    let attribute = |keys: &str| format!("{good}[attribute]\ncolumn = \"place\"\n{keys}");
    check(
        &attribute("values = [\"sea\"]"),
        &["attribute.values has 1 entries", "at least two"],
    );
    check(
        &attribute("values = [\"sea\", \"sea\"]"),
        &["attribute.values: \"sea\" is given twice"],
    );
    check(
        &attribute("values = [\"sea\", \"land\"]\nlabel_values = [\"0\"]"),
        &["attribute.label_values has 1 entries", "attribute.values 2"],
    );
    check(
        &attribute("values = [\"sea\", \"land\"]\nlabel_values = [\"0\", \"0\"]"),
        &["attribute.label_values: \"0\" is given twice"],
    );
    check(
        &format!("{good}unverified = \"\""),
        &["say what is not verified"],
    );
    check(
        &format!("{good}class_names = [\" \"]"),
        &["a name is empty"],
    );
    check(
        &format!("name = \"t\"\n{TEMPLATES}"),
        &["exactly one of", "folder"],
    );
    check(&format!("{good}csv = \"x\""), &["exactly one of"]);
    check(
        &format!("name = \"t\"\nhub = \"../b\"\n{TEMPLATES}"),
        &["\"../b\"", "org/name"],
    );
    check(
        &format!("name = \"t/u\"\nhub = \"a/b\"\n{TEMPLATES}"),
        &["without slashes"],
    );
    check(
        &format!("name = \"t\"\nfolder = \"x\"\nconfig = \"y\"\n{TEMPLATES}"),
        &["only for `hub`"],
    );
    check(
        &format!("{good}[part]\ntrain = \"half\""),
        &["part.train", "\"0.0..0.5\""],
    );
    for range in ["0.5..0.5", "0.6..0.5", "-0.1..1", "0..1.1", "NaN..1"] {
        check(
            &format!("{good}[part]\ntrain = \"{range}\""),
            &["part.train"],
        );
    }
    let folder = format!("name = \"t\"\nfolder = \"x\"\n{TEMPLATES}");
    check(
        &format!("{folder}[files]\ntrain = \"y\""),
        &["[files] is only for"],
    );
    check(
        &format!("{folder}[columns]\nlabel = \"y\""),
        &["[columns]", "folders and tars have none"],
    );
    check(
        &format!("{good}config = \"c\"\n[files]\ntrain = \"y\""),
        &["config is not looked at", "remove config"],
    );
    check_error(
        Task::load(Path::new("/nonexistent/t.toml")),
        &["/nonexistent/t.toml"],
    );
}

#[test]
fn suites() {
    let good = "name = \"s\"\nsupported = [\"a\"]\npatching = [\"b\", \"./c.toml\"]";
    let suite = Suite::parse(good, "s.toml").unwrap();
    let path = |task: &str| Suite::task_path(Path::new("suites"), task);
    assert_eq!(
        path(&suite.patching[0]),
        Path::new("suites/../tasks/b.toml")
    );
    assert_eq!(path(&suite.patching[1]), Path::new("suites/./c.toml"));
    assert_eq!(path("mine/d"), Path::new("suites/mine/d"));
    let check = |text: &str, words: &[&str]| check_error(Suite::parse(text, "s.toml"), words);
    check(
        &format!("{good}\nextra = 1"),
        &["s.toml", "unknown field `extra`"],
    );
    check(
        "name = \"s\"\nsupported = []\npatching = [\"b\"]",
        &["supported", "at least one"],
    );
    check(
        "name = \"s\"\nsupported = [\"b\"]\npatching = [\"b\"]",
        &["\"b\" is named twice"],
    );
    let some = Suite::parse(&format!("{good}\nvalidation = 7"), "s.toml").unwrap();
    assert_eq!(some.validation.map(std::num::NonZeroUsize::get), Some(7));
    check(&format!("{good}\nvalidation = 0"), &["s.toml", "nonzero"]);
}

#[test]
fn the_hubs_directory_layout() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("datasets/org/name");
    write_split(&data.join("data/test-00000-of-00001.parquet"), 4, 2);
    write_split(&data.join("other/test-00000-of-00001.parquet"), 6, 2);
    let hub = Hub::Directory(dir.path().to_owned());
    let task = load(dir.path(), "hub = \"org/name\"").unwrap();
    assert_eq!(
        Dataset::open(&task, SplitName::Test, &hub).unwrap().len(),
        4
    );
    let task = load(dir.path(), "hub = \"org/name\"\nconfig = \"other\"").unwrap();
    assert_eq!(
        Dataset::open(&task, SplitName::Test, &hub).unwrap().len(),
        6
    );
    let task = load(dir.path(), "hub = \"org/name\"\nconfig = \"third\"").unwrap();
    let result = Dataset::open(&task, SplitName::Test, &hub);
    check_error(
        result,
        &["third/", "data/test-00000-of-00001.parquet", "config"],
    );
    check_error(
        open(&task, SplitName::Test),
        &["org/name", "/nonexistent/datasets/org/name"],
    );
}
