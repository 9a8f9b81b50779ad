//! WebDataset tars: read like any other data, and refused with a reason where they are not sound.

use std::path::{Path, PathBuf};

use paint_data::{Dataset, Hub, Result, Rng, SplitName, Task, TaskSource};
use tar::{Builder, EntryType, Header};

use crate::fixture::{check_error, image, nowhere, png};

fn append(tar: &mut Builder<Vec<u8>>, name: &str, content: &[u8]) {
    let mut header = Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, name, content).unwrap();
}

/// Members in the order given.
fn tar_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    members
        .iter()
        .for_each(|(name, content)| append(&mut tar, name, content));
    tar.into_inner().unwrap()
}

/// `n` samples whose sample `i` has label `i % 2` and an image that says `first + i`.
fn samples(first: u8, n: u8) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for i in first..first + n {
        append(
            &mut tar,
            &format!("s{i:07}.cls"),
            (i % 2).to_string().as_bytes(),
        );
        append(&mut tar, &format!("s{i:07}.png"), &png(i));
    }
    tar.into_inner().unwrap()
}

fn task(path: impl Into<PathBuf>) -> Task {
    let names = ["left", "right"].map(str::to_owned).to_vec();
    let templates = vec!["a photo of a {}.".to_owned()];
    Task::new("toy", names, templates, TaskSource::WebDataset(path.into())).unwrap()
}

fn open(path: &Path, split: SplitName) -> Result<Dataset> {
    Dataset::open(&task(path), split, &nowhere())
}

/// What each image says that it is.
fn ids(dataset: &Dataset) -> Vec<u8> {
    let mut ids = Vec::new();
    let read = dataset.each_image(|bytes| {
        let decoded = paint_data::decode_image(&bytes.unwrap())?;
        assert_eq!(decoded, image(decoded.get_pixel(0, 0).0[0]));
        ids.push(decoded.get_pixel(0, 0).0[0]);
        Ok(())
    });
    read.unwrap();
    ids
}

/// Writes a tar as a dataset's only file, and opens a split.
fn open_bytes(bytes: &[u8], split: SplitName) -> Result<Dataset> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("all.tar");
    std::fs::write(&path, bytes).unwrap();
    open(&path, split)
}

fn refused(bytes: &[u8], words: &[&str]) {
    check_error(open_bytes(bytes, SplitName::Train), &["all.tar"]);
    check_error(open_bytes(bytes, SplitName::Train), words);
}

#[test]
fn tars_below_split_folders() {
    let dir = tempfile::tempdir().unwrap();
    for (name, first, n) in [("train/0", 0, 30), ("train/1", 30, 20), ("test/0", 100, 6)] {
        let path = dir.path().join(format!("{name}.tar"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, samples(first, n)).unwrap();
    }
    std::fs::write(
        dir.path().join("classnames.txt"),
        "to the left\nto the right\n",
    )
    .unwrap();
    std::fs::write(dir.path().join("train/nshards.txt"), "2\n").unwrap();
    let [train, validation, test] = [SplitName::Train, SplitName::Validation, SplitName::Test]
        .map(|split| open(dir.path(), split).unwrap());
    assert_eq!((train.len(), validation.len(), test.len()), (45, 5, 6));
    assert_eq!((train.n_stored(), validation.n_stored()), (50, 50));
    assert_eq!(train.files().len(), 2);
    assert_eq!(test.class_names(), ["left", "right"]);
    assert_eq!(
        test.stored_class_names().unwrap(),
        ["to the left", "to the right"]
    );
    let mut both = [ids(&train), ids(&validation)].concat();
    both.sort_unstable();
    assert_eq!(both, (0..50).collect::<Vec<u8>>());
    assert_eq!(ids(&test), [100, 101, 102, 103, 104, 105]);
    assert_eq!(test.labels(), [0, 1, 0, 1, 0, 1]);
    assert!(
        test.place(3).ends_with("0.tar: member s0000103.png"),
        "{}",
        test.place(3)
    );
    // The same images through a repository of the Hub, where [files] says that they are tars.
    let hub = tempfile::tempdir().unwrap();
    let there = hub.path().join("datasets/me/toy");
    std::fs::create_dir_all(there.parent().unwrap()).unwrap();
    std::fs::rename(dir.path(), &there).unwrap();
    let manifest = "name = 'toy'\nhub = 'me/toy'\ntemplates = ['{}']\nclass_names = ['a', 'b']\n\
                    files = { train = 'train/*.tar', test = 'test/*.tar' }";
    let on_hub = Task::parse(manifest, "toy.toml").unwrap();
    let hub = Hub::Directory(hub.path().to_owned());
    let same = Dataset::open(&on_hub, SplitName::Train, &hub).unwrap();
    assert_eq!(same.content_key(), train.content_key());
    std::fs::write(there.join("train/nshards.txt"), "3").unwrap();
    check_error(
        Dataset::open(&on_hub, SplitName::Train, &hub),
        &["nshards.txt says 3 tars, and 2 are there"],
    );
    std::fs::write(there.join("classnames.txt"), "b\na\n").unwrap();
    std::fs::remove_file(there.join("train/nshards.txt")).unwrap();
    check_error(
        Dataset::open(&on_hub, SplitName::Train, &hub),
        &["another order"],
    );
    std::fs::write(there.join("train/more.parquet"), "").unwrap();
    let mixed = Task::parse(&manifest.replace("train/*.tar", "train/*"), "toy.toml").unwrap();
    check_error(
        Dataset::open(&mixed, SplitName::Train, &hub),
        &["matches tars and other files"],
    );
}

#[test]
fn members_in_any_order_with_others_between() {
    let (one, two, three) = (png(1), png(2), png(3));
    let mut tar = Builder::new(Vec::new());
    let mut directory = Header::new_gnu();
    directory.set_entry_type(EntryType::Directory);
    directory.set_size(0);
    tar.append_data(&mut directory, "a.png/", [].as_slice())
        .unwrap();
    append(&mut tar, "b.cls", b"1\n");
    append(&mut tar, "README", b"other");
    append(&mut tar, "c.JPEG", &three);
    append(&mut tar, "./a.png", &one);
    append(&mut tar, "._a.png", b"a desktop's litter");
    append(&mut tar, "b.json", b"{}");
    append(&mut tar, "b.webp", &two);
    append(&mut tar, "a.cls", b" 0 ");
    append(&mut tar, "c.cls", b"1");
    let dataset = open_bytes(&tar.into_inner().unwrap(), SplitName::Train).unwrap();
    // One image is the test split, and one validates.
    assert_eq!((dataset.len(), dataset.n_stored()), (1, 3));
    // The rows are in the order of the images in the tar.
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("test")).unwrap();
    let bytes = tar_of(&[
        ("x/b.cls", b"1"),
        ("x/c.png", &three),
        ("x/b.png", &two),
        ("x/c.cls", b"0"),
    ]);
    std::fs::write(dir.path().join("test/0.tar"), bytes).unwrap();
    let dataset = open(dir.path(), SplitName::Test).unwrap();
    assert_eq!((ids(&dataset), dataset.labels()), (vec![3, 2], &[0, 1][..]));
}

#[test]
fn long_names_of_gnu_and_pax() {
    let long = "d/".repeat(90) + "image";
    let (png, cls) = (format!("{long}.png"), format!("{long}.cls"));
    let gnu = tar_of(&[
        (&png, &self::png(7)),
        (&cls, b"1"),
        ("b.png", &self::png(8)),
        ("b.cls", b"0"),
    ]);
    let mut tar = Builder::new(Vec::new());
    for (name, content) in [(&png, self::png(7)), (&cls, b"1".to_vec())] {
        let records = [("path", name.as_bytes()), ("mtime", b"1.5")];
        tar.append_pax_extensions(records).unwrap();
        append(&mut tar, "short.name", &content);
    }
    append(&mut tar, "b.png", &self::png(8));
    append(&mut tar, "b.cls", b"0");
    for bytes in [gnu, tar.into_inner().unwrap()] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("test")).unwrap();
        std::fs::write(dir.path().join("test/0.tar"), bytes).unwrap();
        let dataset = open(dir.path(), SplitName::Test).unwrap();
        assert_eq!((ids(&dataset), dataset.labels()), (vec![7, 8], &[1, 0][..]));
        assert!(dataset.place(0).ends_with(&png));
    }
}

#[test]
fn samples_that_are_not_sound() {
    let image = png(1);
    let check = |members: &[(&str, &[u8])], words| refused(&tar_of(members), words);
    check(
        &[("a.png", &image)],
        &[
            "image a.png at byte 512 has no label a.cls",
            "leave out the image",
        ],
    );
    check(
        &[("a.cls", b"1")],
        &["label a.cls has no image (jpg, jpeg, png, webp)"],
    );
    check(
        &[("a.png", &image), ("a.cls", b"dog")],
        &["member a.cls", "\"dog\", which is no number"],
    );
    check(
        &[("a.png", &image), ("a.cls", b"")],
        &["member a.cls", "no number"],
    );
    check(
        &[("a.png", &image), ("a.cls", &[b'1'; 40])],
        &["member a.cls", "no number"],
    );
    check(
        &[("a.png", &image), ("a.cls", b"2")],
        &["member a.png: label 2 is out of range: expected 0 to 1"],
    );
    check(
        &[("a.png", &image), ("a.cls", b"-1")],
        &["label -1 is out of range", "unlabelled"],
    );
    check(
        &[("a.png", &image), ("a.cls", b"1"), ("a.png", &image)],
        &["member a.png: is the second image of the key \"a\""],
    );
    check(
        &[("a.png", &image), ("a.cls", b"1"), ("a.jpg", &image)],
        &["member a.jpg: is the second image"],
    );
    check(
        &[("a.cls", b"1"), ("a.png", &image), ("a.cls", b"1")],
        &["member a.cls: is the second label"],
    );
    check(
        &[("README.md", b"nothing")],
        &["holds no images with labels"],
    );
    check(&[], &["holds no images with labels"]);
}

#[test]
fn members_that_readers_would_see_differently() {
    let with = |entry: EntryType| {
        let mut tar = Builder::new(Vec::new());
        let mut header = Header::new_gnu();
        header.set_entry_type(entry);
        header.set_size(0);
        header.set_link_name("other.png").unwrap();
        tar.append_data(&mut header, "a.png", [].as_slice())
            .unwrap();
        append(&mut tar, "a.cls", b"1");
        tar.into_inner().unwrap()
    };
    refused(&with(EntryType::Symlink), &["member a.png: is a link"]);
    refused(&with(EntryType::Link), &["member a.png: is a link"]);
    refused(
        &with(EntryType::GNUSparse),
        &["member a.png: is stored sparse"],
    );
    let with_pax = |key, value: &[u8]| {
        let mut tar = Builder::new(Vec::new());
        tar.append_pax_extensions([(key, value)]).unwrap();
        append(&mut tar, "a.png", &png(1));
        append(&mut tar, "a.cls", b"1");
        tar.into_inner().unwrap()
    };
    refused(
        &with_pax("GNU.sparse.major", b"1"),
        &["member a.png: is stored sparse"],
    );
    refused(
        &with_pax("size", b"3"),
        &["member a.png: has one size in its header"],
    );
    refused(
        &with_pax("path", b"\xff.png"),
        &["a name that is not UTF-8"],
    );
    let both = [samples(0, 4), samples(4, 4)].concat();
    refused(&both, &["has data after its end, at byte"]);
}

#[test]
fn a_tar_cut_off_anywhere_is_an_error() {
    let bytes = samples(0, 12);
    let content = bytes.len() - 1024;
    assert!(open_bytes(&bytes, SplitName::Train).is_ok());
    for length in (0..content + 512)
        .step_by(151)
        .chain([content, content - 512])
    {
        let error = open_bytes(&bytes[..length], SplitName::Train);
        check_error(error, &["all.tar", "fetch it again"]);
    }
    // The last image's own bytes.
    let words = [
        "member s0000011.png: has",
        "but the file ends at byte",
        "cut off",
    ];
    refused(&bytes[..content - 512], &words);
    refused(&bytes[..content], &["its end mark should be at byte"]);
    let mut huge = samples(0, 1);
    let name = huge.windows(12).position(|w| w == b"s0000000.png").unwrap();
    huge[name + 124..name + 135].copy_from_slice(b"77777777777");
    let sum: u32 = (name..name + 512)
        .map(|i| match i - name {
            148..156 => 32,
            _ => u32::from(huge[i]),
        })
        .sum();
    huge[name + 148..name + 155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    refused(
        &huge,
        &["member s0000000.png: has 8589934591 bytes", "cut off"],
    );
    refused(b"", &["0 bytes"]);
    refused(b"<!doctype html>", &["web page, not a tar"]);
    refused(&[0x1f, 0x8b, 8, 0], &["gunzip"]);
    refused(b"PAR1", &["damaged at byte 0"]);
}

#[test]
fn flipped_bits_never_panic() {
    let bytes = samples(0, 8);
    let mut rng = Rng::new(0);
    let mut n_errors = 0;
    for _ in 0..300 {
        let mut damaged = bytes.clone();
        // Headers, which are what a walk looks at.
        let at = 512 * rng.below(bytes.len() / 512) + rng.below(512);
        damaged[at] ^= 1 << rng.below(8);
        match open_bytes(&damaged, SplitName::Train) {
            Ok(dataset) => assert_eq!(dataset.n_stored(), 8),
            Err(_) => n_errors += 1,
        }
    }
    assert!(n_errors > 100, "{n_errors}");
}

#[test]
fn a_tar_that_changes_under_the_reader_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("all.tar");
    std::fs::write(&path, samples(0, 10)).unwrap();
    let dataset = open(&path, SplitName::Train).unwrap();
    std::fs::write(&path, samples(0, 9)).unwrap();
    check_error(dataset.each_image(|_| Ok(())), &["changed while in use"]);
}
