//! One Parquet file: its columns as labels, text and image bytes, streamed.
//!
//! Nothing in a file, however damaged, may become a panic or fill the memory: every call into the
//! reader is guarded, and images are read a few megabytes at a time.

use std::any::Any;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder, RowSelection,
};
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// Image bytes wanted in one batch; a single image may be larger.
const BATCH_BYTES: i64 = 4 << 20;
/// Rows in one batch of labels or text.
const TEXT_BATCH_ROWS: usize = 8192;

/// A file whose footer has been read and found sound.
pub(crate) struct ParquetFile {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
}

/// A column of labels, as it stands in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RawLabels {
    Integers(Vec<i64>),
    Text(Vec<String>),
}

/// The bytes of an encoded image, or why there are none.
pub(crate) type ImageBytes = std::result::Result<Vec<u8>, String>;

impl ParquetFile {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = sound_ends(path)?;
        // The Arrow schema that writers embed can ask for dictionaries, views or extension types;
        // without it each column has the one type that Parquet itself gives.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let metadata = guard(path, || Ok(ArrowReaderMetadata::load(&file, options)?))?;
        Ok(Self {
            path: path.to_owned(),
            metadata,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn n_rows(&self) -> usize {
        let n_rows = self.metadata.metadata().file_metadata().num_rows();
        usize::try_from(n_rows).unwrap_or(0)
    }

    /// The label column; row numbers in errors are the file's.
    pub(crate) fn labels(&self, column: &str) -> Result<RawLabels> {
        let data_type = self.column_type(column)?;
        if data_type.is_integer() || data_type == DataType::Boolean {
            let mut values = Vec::with_capacity(self.n_rows().min(1 << 20));
            self.each_value(column, &DataType::Int64, |array| {
                let array = array.as_primitive::<Int64Type>();
                values.extend((0..array.len()).map(|i| array.value(i)));
            })?;
            Ok(RawLabels::Integers(values))
        } else {
            self.text(column).map(RawLabels::Text)
        }
    }

    /// A column of text.
    pub(crate) fn text(&self, column: &str) -> Result<Vec<String>> {
        let data_type = self.column_type(column)?;
        let text = matches!(
            data_type,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
        );
        if !text && data_type != DataType::Binary {
            let message = format!("is {data_type}; expected integers, booleans or text");
            return Err(Error::column(&self.path, column, message));
        }
        let mut values = Vec::with_capacity(self.n_rows().min(1 << 20));
        self.each_value(column, &DataType::Utf8, |array| {
            let array = array.as_string::<i32>();
            values.extend((0..array.len()).map(|i| array.value(i).to_owned()));
        })?;
        Ok(values)
    }

    /// A column of lists of text; nothing within a list reads as empty text.
    pub(crate) fn text_lists(&self, column: &str) -> Result<Vec<Vec<String>>> {
        let data_type = self.column_type(column)?;
        if !matches!(data_type, DataType::List(_) | DataType::LargeList(_)) {
            let message = format!("is {data_type}; expected lists of text");
            return Err(Error::column(&self.path, column, message));
        }
        let item = Arc::new(Field::new("item", DataType::Utf8, true));
        let mut values = Vec::with_capacity(self.n_rows().min(1 << 20));
        self.each_value(column, &DataType::List(item), |array| {
            let lists = array.as_list::<i32>();
            values.extend((0..lists.len()).map(|i| {
                let list = lists.value(i);
                let text = list.as_string::<i32>();
                text.iter()
                    .map(|item| item.unwrap_or_default().to_owned())
                    .collect()
            }));
        })?;
        Ok(values)
    }

    /// Class names of a column in the file's `huggingface` metadata, if it has any.
    pub(crate) fn class_names(&self, column: &str) -> Result<Option<Vec<String>>> {
        let metadata = self
            .metadata
            .metadata()
            .file_metadata()
            .key_value_metadata();
        let entry = metadata.and_then(|pairs| pairs.iter().find(|pair| pair.key == "huggingface"));
        let Some(text) = entry.and_then(|pair| pair.value.as_deref()) else {
            return Ok(None);
        };
        let json: serde_json::Value = serde_json::from_str(text).map_err(|e| {
            let message = format!("its `huggingface` metadata is not JSON ({e}); write it again");
            Error::file(&self.path, message)
        })?;
        let names = &json["info"]["features"][column]["names"];
        let Some(names) = names.as_array() else {
            return Ok(None);
        };
        let names: Option<Vec<String>> = names
            .iter()
            .map(|name| name.as_str().map(str::to_owned))
            .collect();
        names.map(Some).ok_or_else(|| {
            let message = format!("class names of column `{column}` are not all text");
            Error::file(&self.path, message)
        })
    }

    /// Checks that a column can hold images: `struct<bytes, …>` or binary.
    pub(crate) fn check_image_column(&self, column: &str) -> Result<()> {
        let data_type = self.column_type(column)?;
        let sound = match &data_type {
            DataType::Struct(fields) => fields
                .iter()
                .any(|f| f.name() == "bytes" && f.data_type().is_binary()),
            other => other.is_binary(),
        };
        if sound {
            return Ok(());
        }
        let message =
            format!("is {data_type}; expected struct<bytes: binary, path: string> or binary");
        Err(Error::column(&self.path, column, message))
    }

    /// Hands over the images of these rows (ascending), in order.
    pub(crate) fn each_image(
        &self,
        column: &str,
        rows: &[usize],
        mut take: impl FnMut(ImageBytes) -> Result<()>,
    ) -> Result<()> {
        let leaves = self.leaves(column)?;
        let batch_rows = self.image_batch_rows(&leaves);
        let selection = RowSelection::from_consecutive_ranges(runs(rows), self.n_rows());
        let selection = (rows.len() < self.n_rows()).then_some(selection);
        let mut reader = self.reader(leaves, batch_rows, selection)?;
        let mut n_read = 0;
        while let Some(batch) = self.next_batch(&mut reader)? {
            n_read += batch.num_rows();
            let image = batch.column(0);
            for i in 0..image.len() {
                take(self.image_bytes(column, image, i)?)?;
            }
        }
        self.check_count(n_read, rows.len())
    }

    fn image_bytes(&self, column: &str, image: &ArrayRef, i: usize) -> Result<ImageBytes> {
        let Some(parts) = image.as_struct_opt() else {
            return binary(image, i).ok_or_else(|| self.not_images(column));
        };
        let Some(bytes) = parts.column_by_name("bytes") else {
            return Err(self.not_images(column));
        };
        if parts.is_null(i) {
            return Ok(Err("the image is null".to_owned()));
        }
        binary(bytes, i).ok_or_else(|| self.not_images(column))
    }

    fn not_images(&self, column: &str) -> Error {
        Error::column(&self.path, column, "holds no image bytes")
    }

    /// The file name of each image: the text `path` beside its bytes.
    pub(crate) fn image_paths(&self, column: &str) -> Result<Vec<String>> {
        let advice = "group_by_path needs it; write the file names, or remove group_by_path";
        let no_paths = || {
            let message = format!("images have no `path` beside their bytes; {advice}");
            Error::column(&self.path, column, message)
        };
        let schema = self.metadata.parquet_schema();
        let mut leaves = self.leaves(column)?;
        leaves.retain(|&leaf| schema.column(leaf).path().parts() == [column, "path"]);
        if leaves.is_empty() {
            return Err(no_paths());
        }
        let mut paths = Vec::with_capacity(self.n_rows().min(1 << 20));
        let mut reader = self.reader(leaves, TEXT_BATCH_ROWS, None)?;
        while let Some(batch) = self.next_batch(&mut reader)? {
            let images = batch.column(0);
            let inside = images.as_struct_opt();
            let inside = inside.and_then(|parts| parts.column_by_name("path"));
            let inside = inside.ok_or_else(no_paths)?;
            let inside = guard(&self.path, || Ok(cast(inside, &DataType::Utf8)?))?;
            let text = inside.as_string::<i32>();
            for i in 0..text.len() {
                if images.is_null(i) || text.is_null(i) || text.value(i).is_empty() {
                    let message = format!("the image has no `path`; {advice}");
                    return Err(Error::row(&self.path, paths.len(), column, message));
                }
                paths.push(text.value(i).to_owned());
            }
        }
        self.check_count(paths.len(), self.n_rows())?;
        Ok(paths)
    }

    /// The Parquet columns that a column of the table is stored in.
    fn leaves(&self, column: &str) -> Result<Vec<usize>> {
        let root = self.column_index(column)?;
        let schema = self.metadata.parquet_schema();
        let leaves = (0..schema.num_columns()).filter(|&i| schema.get_column_root_idx(i) == root);
        Ok(leaves.collect())
    }

    /// Rows per batch from the mean size of some columns in the largest row group.
    fn image_batch_rows(&self, leaves: &[usize]) -> usize {
        let metadata = self.metadata.metadata();
        let mean = |group: &parquet::file::metadata::RowGroupMetaData| {
            let bytes: i64 = leaves
                .iter()
                .filter_map(|&i| group.columns().get(i))
                .map(|chunk| chunk.uncompressed_size().max(0))
                .fold(0, i64::saturating_add);
            bytes / group.num_rows().max(1)
        };
        let mean = metadata
            .row_groups()
            .iter()
            .map(mean)
            .max()
            .unwrap_or(1)
            .max(1);
        (BATCH_BYTES / mean).clamp(1, 512) as usize
    }

    fn each_value(
        &self,
        column: &str,
        data_type: &DataType,
        mut take: impl FnMut(&ArrayRef),
    ) -> Result<()> {
        let mut reader = self.reader(self.leaves(column)?, TEXT_BATCH_ROWS, None)?;
        let mut n_read = 0;
        while let Some(batch) = self.next_batch(&mut reader)? {
            let values = guard(&self.path, || Ok(cast(batch.column(0), data_type)?))?;
            if let Some(null) = (0..values.len()).find(|&i| values.is_null(i)) {
                let message = "is null or out of range; every image needs a value";
                return Err(Error::row(&self.path, n_read + null, column, message));
            }
            n_read += values.len();
            take(&values);
        }
        self.check_count(n_read, self.n_rows())
    }

    fn check_count(&self, n_read: usize, expected: usize) -> Result<()> {
        if n_read == expected {
            return Ok(());
        }
        let message =
            format!("gave {n_read} rows where its footer says {expected}; fetch it again");
        Err(Error::file(&self.path, message))
    }

    fn column_index(&self, column: &str) -> Result<usize> {
        let fields = self.metadata.schema().fields();
        fields
            .iter()
            .position(|field| field.name() == column)
            .ok_or_else(|| {
                let names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
                let message = format!(
                    "is missing; the file has {}; name the right one under [columns]",
                    names.join(", ")
                );
                Error::column(&self.path, column, message)
            })
    }

    fn column_type(&self, column: &str) -> Result<DataType> {
        let index = self.column_index(column)?;
        Ok(self.metadata.schema().field(index).data_type().clone())
    }

    fn reader(
        &self,
        leaves: Vec<usize>,
        batch_rows: usize,
        selection: Option<RowSelection>,
    ) -> Result<ParquetRecordBatchReader> {
        let file = File::open(&self.path).map_err(Error::io("read", &self.path))?;
        guard(&self.path, || {
            let metadata = self.metadata.clone();
            let mask = ProjectionMask::leaves(metadata.parquet_schema(), leaves);
            let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
                .with_projection(mask)
                .with_batch_size(batch_rows);
            if let Some(selection) = selection {
                builder = builder.with_row_selection(selection);
            }
            Ok(builder.build()?)
        })
    }

    fn next_batch(&self, reader: &mut ParquetRecordBatchReader) -> Result<Option<RecordBatch>> {
        guard(&self.path, || Ok(reader.next().transpose()?))
    }
}

/// The bytes at `i`; nothing if the column is not binary.
fn binary(array: &ArrayRef, i: usize) -> Option<ImageBytes> {
    if array.is_null(i) && array.data_type().is_binary() {
        return Some(Err("the image is null".to_owned()));
    }
    let bytes = match array.data_type() {
        DataType::Binary => array.as_binary::<i32>().value(i),
        DataType::LargeBinary => array.as_binary::<i64>().value(i),
        DataType::BinaryView => array.as_binary_view().value(i),
        _ => return None,
    };
    Some(Ok(bytes.to_vec()))
}

/// Ascending rows as runs of consecutive ones.
fn runs(rows: &[usize]) -> impl Iterator<Item = Range<usize>> {
    rows.chunk_by(|a, b| a + 1 == *b)
        .map(|run| run[0]..run[run.len() - 1] + 1)
}

/// SHA-256 of a file's bytes.
pub(crate) fn file_hash(path: &Path) -> Result<[u8; 32]> {
    let mut file = File::open(path).map_err(Error::io("read", path))?;
    let mut hash = Sha256::new();
    std::io::copy(&mut file, &mut hash).map_err(Error::io("read", path))?;
    Ok(hash.finalize().into())
}

/// Opens a file that begins and ends as Parquet does, or says what it is instead.
fn sound_ends(path: &Path) -> Result<File> {
    let mut file = File::open(path).map_err(Error::io("read", path))?;
    let length = file.metadata().map_err(Error::io("read", path))?.len();
    let mut head = Vec::new();
    (&mut file)
        .take(64)
        .read_to_end(&mut head)
        .map_err(Error::io("read", path))?;
    if let Some(problem) = not_the_data(&head, "Parquet") {
        return Err(Error::file(path, problem));
    }
    if !head.starts_with(b"PAR1") {
        let message = "is not Parquet (it does not begin with PAR1); fetch it again";
        return Err(Error::file(path, message));
    }
    let mut tail = [0; 4];
    if length >= 12 {
        file.seek(SeekFrom::End(-4))
            .map_err(Error::io("read", path))?;
        file.read_exact(&mut tail)
            .map_err(Error::io("read", path))?;
    }
    if &tail != b"PAR1" {
        return Err(Error::file(
            path,
            format!("is cut off after {length} bytes; fetch it again"),
        ));
    }
    Ok(file)
}

/// What a file is in place of the data, told by its first bytes; nothing if they could be data.
pub(crate) fn not_the_data(head: &[u8], wanted: &str) -> Option<String> {
    if head.is_empty() {
        return Some("is empty (0 bytes); fetch it again".to_owned());
    }
    if head.starts_with(b"version https://git-lfs") {
        let message = "is a git-lfs pointer, not the data; run `git lfs pull` or download the file";
        return Some(message.to_owned());
    }
    if head.trim_ascii_start().starts_with(b"<") {
        return Some(format!(
            "is a web page, not {wanted}; the download went wrong, fetch it again"
        ));
    }
    if head.starts_with(&[0x1f, 0x8b]) {
        return Some("is compressed; unpack it with `gunzip`".to_owned());
    }
    None
}

/// Runs a call into the Parquet reader, which panics on some damaged files.
fn guard<T>(
    path: &Path,
    call: impl FnOnce() -> std::result::Result<T, Box<dyn std::error::Error>>,
) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Error::file(
            path,
            format!("is damaged ({error}); fetch it again"),
        )),
        Err(panic) => {
            let message = format!("is damaged ({}); fetch it again", panic_message(&*panic));
            Err(Error::file(path, message))
        }
    }
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no reason given")
}
