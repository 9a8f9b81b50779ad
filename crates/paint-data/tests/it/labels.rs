//! Label columns of every kind, and those that do not fit the class names.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float32Array, Int8Array, Int32Array, Int64Array, LargeBinaryArray,
    StringArray, StructArray, UInt16Array,
};
use arrow::datatypes::{DataType, Field, Fields};
use paint_data::{Dataset, PixelTable, Result, SkipPolicy, SplitName, class_halves};

use crate::fixture::{
    Corner, check_error, images, names, open, png, row_in_file, task, write_columns, write_split,
};

/// Opens a file of these labels as a test split.
fn open_labels(labels: ArrayRef, class_names: &[&str], metadata: Option<&str>) -> Result<Dataset> {
    let columns = vec![("image", images(labels.len())), ("label", labels)];
    open_columns(columns, class_names, metadata)
}

fn open_columns(
    columns: Vec<(&str, ArrayRef)>,
    class_names: &[&str],
    metadata: Option<&str>,
) -> Result<Dataset> {
    let dir = tempfile::tempdir().unwrap();
    write_columns(&dir.path().join("test-0.parquet"), columns, metadata);
    open(&task(dir.path(), class_names), SplitName::Test)
}

fn class_label(names: &str) -> String {
    format!(r#"{{"info":{{"features":{{"label":{{"names":{names},"_type":"ClassLabel"}}}}}}}}"#)
}

#[test]
fn any_width_of_integer_and_booleans() {
    let columns: [ArrayRef; 5] = [
        Arc::new(Int8Array::from(vec![1, 0, 1])),
        Arc::new(UInt16Array::from(vec![1, 0, 1])),
        Arc::new(Int32Array::from(vec![1, 0, 1])),
        Arc::new(Int64Array::from(vec![1, 0, 1])),
        Arc::new(BooleanArray::from(vec![true, false, true])),
    ];
    for column in columns {
        assert_eq!(
            open_labels(column, &["a", "b"], None).unwrap().labels(),
            [1, 0, 1]
        );
    }
    let error = open_labels(Arc::new(Float32Array::from(vec![1.0])), &["a"], None);
    check_error(
        error,
        &["test-0.parquet", "column `label`", "Float32", "integers"],
    );
}

#[test]
fn text_labels() {
    let text = |values: &[&str]| Arc::new(StringArray::from(values.to_vec()));
    let dataset = open_labels(text(&["b", "a", "b"]), &["b", "a"], None).unwrap();
    assert_eq!(dataset.labels(), [0, 1, 0]);
    // Without names in the manifest, the different values in order.
    let dataset = open_labels(text(&["dog", "cat", "dog"]), &[], None).unwrap();
    assert_eq!(
        (dataset.labels(), dataset.class_names()),
        (&[1, 0, 1][..], &["cat".to_owned(), "dog".to_owned()][..])
    );
    let dataset = open_labels(text(&["10", "9", "100"]), &[], None).unwrap();
    assert_eq!(dataset.class_names(), ["9", "10", "100"]);
    // Numbers written as text, and names that are numbers.
    assert_eq!(
        open_labels(text(&["1", "0"]), &["a", "b"], None)
            .unwrap()
            .labels(),
        [1, 0]
    );
    assert_eq!(
        open_labels(text(&["1", "0"]), &["1", "0"], None)
            .unwrap()
            .labels(),
        [0, 1]
    );
    check_error(
        open_labels(text(&["a", "x", "b"]), &["a", "b"], None),
        &["row 1", "column `label`", "\"x\"", "label_values"],
    );
}

#[test]
fn label_values_say_how_text_labels_are_written() {
    let dir = tempfile::tempdir().unwrap();
    let labels: ArrayRef = Arc::new(StringArray::from(vec!["n02", "n01"]));
    let path = dir.path().join("test-0.parquet");
    write_columns(&path, vec![("image", images(2)), ("label", labels)], None);
    let mut task = task(dir.path(), &["tench", "goldfish"]);
    task.label_values = vec!["n01".to_owned(), "n02".to_owned()];
    assert_eq!(open(&task, SplitName::Test).unwrap().labels(), [1, 0]);
    task.label_values.pop();
    check_error(
        open(&task, SplitName::Test),
        &["label_values has 1 entries and class_names 2"],
    );
}

#[test]
fn out_of_range_labels_name_their_row() {
    let labels = |values: &[i64]| Arc::new(Int64Array::from(values.to_vec()));
    check_error(
        open_labels(labels(&[0, 1, 2]), &["a", "b"], None),
        &[
            "test-0.parquet",
            "row 2",
            "column `label`",
            "label 2",
            "0 to 1",
        ],
    );
    check_error(
        open_labels(labels(&[0, -1]), &["a", "b"], None),
        &["row 1", "unlabelled"],
    );
    check_error(
        open_labels(labels(&[i64::MAX]), &["a"], None),
        &["row 0", "9223372036854775807"],
    );
    let null = Arc::new(Int64Array::from(vec![Some(0), None]));
    check_error(
        open_labels(null, &["a"], None),
        &["row 1", "column `label`", "null"],
    );
}

#[test]
fn class_names_come_from_the_manifest_or_the_file_and_must_agree() {
    let labels = || Arc::new(Int64Array::from(vec![0, 1]));
    let metadata = class_label(r#"["cat","dog"]"#);
    let dataset = open_labels(labels(), &[], Some(&metadata)).unwrap();
    assert_eq!(dataset.class_names(), ["cat", "dog"]);
    let dataset = open_labels(labels(), &["a cat", "a dog"], Some(&metadata)).unwrap();
    assert_eq!(dataset.class_names(), ["a cat", "a dog"]);
    check_error(
        open_labels(labels(), &["cat", "dog", "bird"], Some(&metadata)),
        &["class_names has 3 names", "2 classes"],
    );
    check_error(
        open_labels(labels(), &["dog", "cat"], Some(&metadata)),
        &["another order", "\"dog\"", "\"cat\""],
    );
    check_error(open_labels(labels(), &[], None), &["give class_names"]);
    check_error(
        open_labels(labels(), &[], Some("{not json")),
        &["test-0.parquet", "not JSON"],
    );
    let twice = class_label(r#"["cat","cat"]"#);
    check_error(
        open_labels(labels(), &[], Some(&twice)),
        &["\"cat\" is given twice"],
    );
    let numbers = class_label("[1, 2]");
    check_error(
        open_labels(labels(), &[], Some(&numbers)),
        &["are not all text"],
    );
    // Metadata without names is no error as long as the manifest has them.
    assert!(open_labels(labels(), &["a", "b"], Some(r#"{"info":null}"#)).is_ok());
}

#[test]
fn missing_columns_are_listed() {
    let labels: ArrayRef = Arc::new(Int64Array::from(vec![0]));
    check_error(
        open_columns(
            vec![("img", images(1)), ("label", labels.clone())],
            &["a"],
            None,
        ),
        &["column `image`", "the file has img, label", "[columns]"],
    );
    check_error(
        open_columns(
            vec![("image", images(1)), ("fine_label", labels.clone())],
            &["a"],
            None,
        ),
        &["column `label`", "image, fine_label"],
    );
    let swapped = vec![("image", labels.clone()), ("label", labels)];
    check_error(
        open_columns(swapped, &["a"], None),
        &["column `image`", "Int64", "struct<bytes"],
    );
}

#[test]
fn struct_plain_and_large_binary_images_and_nulls() {
    let fields = Fields::from(vec![
        Field::new("path", DataType::Utf8, true),
        Field::new("bytes", DataType::LargeBinary, true),
    ]);
    let bytes = LargeBinaryArray::from_iter([Some(png(7)), None, Some(png(9)), Some(png(8))]);
    let paths = StringArray::from(vec![Some("a.png"), Some("only/a/path.png"), None, None]);
    let valid = vec![true, true, false, true];
    let column = StructArray::new(
        fields,
        vec![Arc::new(paths), Arc::new(bytes)],
        Some(valid.into()),
    );
    let labels: ArrayRef = Arc::new(Int64Array::from(vec![0, 0, 1, 1]));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("test-0.parquet");
    write_columns(
        &path,
        vec![("image", Arc::new(column)), ("label", labels)],
        None,
    );
    let dataset = open(&task(dir.path(), &["a", "b"]), SplitName::Test).unwrap();
    let build = |max_rate| {
        PixelTable::build(
            &dataset,
            &Corner,
            &dir.path().join("cache"),
            SkipPolicy { max_rate },
            &|_| (),
        )
    };
    check_error(
        build(0.49),
        &["2 of 4", "49 %", "row 1, column `image`: the image is null"],
    );
    let table = build(0.5).unwrap();
    assert_eq!((table.rows(), table.labels()), (&[0, 3][..], &[0, 1][..]));
    let mut out = [0; 12];
    table.read(&[1, 0], &mut out).unwrap();
    assert_eq!(out, [8, 0, 0, 8, 1, 0, 7, 0, 0, 7, 1, 0]);
    // A table that exists is held to the policy all the same.
    check_error(build(0.25), &["2 of 4", "25 %"]);
}

#[test]
fn files_of_one_split_are_joined_in_order() {
    let dir = tempfile::tempdir().unwrap();
    for (shard, label) in [(0, 0), (1, 2), (2, 1)] {
        let labels: ArrayRef = Arc::new(Int64Array::from(vec![label, label]));
        let path = dir
            .path()
            .join(format!("test-0000{shard}-of-00003.parquet"));
        write_columns(&path, vec![("image", images(2)), ("label", labels)], None);
    }
    let names = names(3);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let dataset = open(&task(dir.path(), &names), SplitName::Test).unwrap();
    assert_eq!(dataset.labels(), [0, 0, 2, 2, 1, 1]);
    assert!(
        dataset
            .place(3)
            .contains("test-00001-of-00003.parquet: row 1")
    );
    let table = PixelTable::build(
        &dataset,
        &Corner,
        dir.path(),
        SkipPolicy::default(),
        &|_| (),
    )
    .unwrap();
    let mut out = vec![0; 36];
    table.read(&[0, 1, 2, 3, 4, 5], &mut out).unwrap();
    let first: Vec<u8> = out.chunks(6).map(|image| image[0]).collect();
    assert_eq!(first, [0, 1, 0, 1, 0, 1]);
}

#[test]
fn the_rows_of_some_classes_are_numbered_anew() {
    let dir = tempfile::tempdir().unwrap();
    write_split(&dir.path().join("test-0.parquet"), 12, 4);
    let all = open(&task(dir.path(), &[]), SplitName::Test).unwrap();
    let some = all.of_classes(&[3, 1]).unwrap();
    assert_eq!(some.labels(), [1, 0, 1, 0, 1, 0]);
    assert_eq!(some.class_names(), ["class 3", "class 1"]);
    assert_eq!(row_in_file(&some.place(0)), 1);
    assert_ne!(
        some.content_key(),
        all.of_classes(&[1, 3]).unwrap().content_key()
    );
    check_error(
        all.of_classes(&[1, 4]),
        &["class 4 does not exist", "there are 4"],
    );
    check_error(
        all.of_classes(&[1, 1]),
        &["class 1 (\"class 1\") is given twice"],
    );
    check_error(all.of_classes(&[]), &["no images of the 0 classes"]);
}

#[test]
fn halves_of_classes_are_disjoint_and_drawn_by_the_seed() {
    for n in [0, 1, 2, 7, 100] {
        let (first, second) = class_halves(n, 5);
        assert_eq!((first.len(), second.len()), (n.div_ceil(2), n / 2));
        let mut all = [first, second].concat();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..n as u32));
    }
    assert_ne!(class_halves(100, 1), class_halves(100, 2));
    assert_eq!(class_halves(100, 1), class_halves(100, 1));
}
