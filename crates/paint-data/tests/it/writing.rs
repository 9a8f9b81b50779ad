//! Writing Parquet: what is refused, and that nothing half-written stays.

use paint_data::{Features, ParquetWriter, Row, Target, write_parquet};
use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::fixture::{check_error, names, png, write_split};

fn row(target: Target) -> Row {
    Row {
        image: png(0),
        file_name: None,
        target,
    }
}

#[test]
fn files_have_small_row_groups_and_the_metadata_that_datasets_reads() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/er/train-00000-of-00001.parquet");
    write_split(&path, 2500, 3);
    let reader = SerializedFileReader::new(std::fs::File::open(&path).unwrap()).unwrap();
    let metadata = reader.metadata();
    let sizes: Vec<i64> = metadata
        .row_groups()
        .iter()
        .map(|group| group.num_rows())
        .collect();
    assert_eq!(sizes, [1000, 1000, 500]);
    let pairs = metadata.file_metadata().key_value_metadata().unwrap();
    let value = |key: &str| {
        pairs
            .iter()
            .find(|pair| pair.key == key)
            .unwrap()
            .value
            .clone()
    };
    assert_eq!(
        value("huggingface").unwrap(),
        r#"{"info":{"features":{"image":{"_type":"Image"},"label":{"_type":"ClassLabel","names":["class 0","class 1","class 2"]}}}}"#
    );
    assert!(value("ARROW:schema").is_some());
    // The same rows give the same bytes.
    let again = dir.path().join("again.parquet");
    write_split(&again, 2500, 3);
    assert_eq!(
        std::fs::read(&path).unwrap(),
        std::fs::read(&again).unwrap()
    );
}

#[test]
fn rows_that_do_not_fit_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    let write = |features, target| write_parquet(&path, features, [row(target)]);
    let labelled = || Features::Labelled(names(2));
    check_error(
        write(labelled(), Target::Label(2)),
        &["x.parquet", "row 0", "label 2", "2"],
    );
    check_error(
        write(labelled(), Target::Caption("a".into())),
        &["where the file has labels"],
    );
    check_error(
        write(Features::Captioned, Target::Label(0)),
        &["where the file has captions"],
    );
    let twice = Features::Labelled(vec!["a".into(), "a".into()]);
    check_error(write(twice, Target::Label(0)), &["\"a\" is given twice"]);
    check_error(
        write(Features::Labelled(vec![]), Target::Label(0)),
        &["needs class names"],
    );
    drop(ParquetWriter::create(&path, labelled()).unwrap());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_place_that_cannot_be_written_is_one_error() {
    let dir = tempfile::tempdir().unwrap();
    let blocked = dir.path().join("file");
    std::fs::write(&blocked, "x").unwrap();
    let result = write_parquet(&blocked.join("x.parquet"), Features::Captioned, []);
    check_error(result, &["cannot create directory", "file"]);
    // Something that a file cannot replace.
    let taken = dir.path().join("taken");
    std::fs::create_dir_all(taken.join("full")).unwrap();
    check_error(
        write_parquet(&taken, Features::Captioned, []),
        &["cannot write", "taken"],
    );
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
}
