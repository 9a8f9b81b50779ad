//! Writing a dataset as Parquet in the Hub's layout.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, Int64Builder, ListBuilder, RecordBatch, StringBuilder, StructArray,
};
use arrow::datatypes::{DataType, Field, Fields, Schema};
use paint_atomic::UnfinishedFile;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use serde_json::json;

use crate::atomic::unfinished;
use crate::{Error, Result};

/// Rows in one row group: small enough that a reader holds few images at a time.
const ROW_GROUP_ROWS: usize = 1000;

/// A row group is also closed when its images reach this many bytes.
const ROW_GROUP_BYTES: usize = 32 << 20;

/// What stands beside the image in every row of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Features {
    /// Columns `image` and `label`; the names in label order.
    Labelled(Vec<String>),
    /// Columns `image` and `caption`.
    Captioned,
    /// Columns `image`, `question`, `choices` (a list of text), `answer` (a position in it) and
    /// `kind`, as [`MultipleChoice`](crate::MultipleChoice) reads them.
    MultipleChoice,
}

/// The value beside the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Class index.
    Label(u32),
    /// Free text.
    Caption(String),
    /// A question with candidate answers.
    Question(Question),
}

/// A question about an image, with candidate answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What is asked.
    pub question: String,
    /// The candidates, each once.
    pub choices: Vec<String>,
    /// Position of the right one among `choices`.
    pub answer: u32,
    /// What the question is about, such as "colour": accuracy is told for each kind.
    pub kind: String,
}

/// One row to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The encoded image file (PNG, JPEG, …), stored as it is.
    pub image: Vec<u8>,
    /// The image's file name, if it has one.
    pub file_name: Option<String>,
    /// Label, caption or question, as the file's [`Features`] say.
    pub target: Target,
}

/// Writes `rows` to `path`, returning how many; nothing appears at `path` on failure.
///
/// The file opens in Python's `datasets` and `pandas`, and through [`Dataset`](crate::Dataset).
///
/// # Errors
/// As [`ParquetWriter::push`] and [`ParquetWriter::finish`].
pub fn write_parquet(
    path: &Path,
    features: Features,
    rows: impl IntoIterator<Item = Row>,
) -> Result<usize> {
    let mut writer = ParquetWriter::create(path, features)?;
    for row in rows {
        writer.push(row)?;
    }
    writer.finish()
}

/// Writes a Parquet file row by row, holding at most one row group in memory.
///
/// Dropped before [`finish`](ParquetWriter::finish), it leaves nothing behind.
pub struct ParquetWriter {
    path: PathBuf,
    features: Features,
    schema: Arc<Schema>,
    writer: ArrowWriter<UnfinishedFile>,
    pending: Vec<Row>,
    pending_bytes: usize,
    n_rows: usize,
}

impl ParquetWriter {
    /// Starts a file that will appear at `path`; missing parent directories are made.
    ///
    /// # Errors
    /// If the directory cannot be written to, or class names are missing or given twice.
    pub fn create(path: &Path, features: Features) -> Result<Self> {
        if let Features::Labelled(names) = &features {
            crate::task::check_class_names(&path.display().to_string(), names)?;
            if names.is_empty() {
                return Err(Error::Argument(format!(
                    "{}: a labelled file needs class names",
                    path.display()
                )));
            }
        }
        let schema = Arc::new(schema(&features));
        let file = unfinished(path)?;
        let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties(&features)))
            .map_err(|e| write_error(path, e))?;
        let path = path.to_owned();
        let pending = Vec::new();
        Ok(Self {
            path,
            features,
            schema,
            writer,
            pending,
            pending_bytes: 0,
            n_rows: 0,
        })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// If the target is not what the features say, a label has no name, or the disk is full.
    pub fn push(&mut self, row: Row) -> Result<()> {
        self.check(&row)?;
        self.n_rows += 1;
        self.pending_bytes += row.image.len();
        self.pending.push(row);
        if self.pending.len() == ROW_GROUP_ROWS || self.pending_bytes >= ROW_GROUP_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes what is left, syncs, and puts the file in place; returns the number of rows.
    ///
    /// # Errors
    /// If the disk is full or the file cannot be renamed.
    pub fn finish(mut self) -> Result<usize> {
        self.flush()?;
        let Self {
            path,
            writer,
            n_rows,
            ..
        } = self;
        let file = writer.into_inner().map_err(|e| write_error(&path, e))?;
        file.publish().map_err(Error::io("write", &path))?;
        Ok(n_rows)
    }

    fn check(&self, row: &Row) -> Result<()> {
        let fail =
            |column, message: String| Err(Error::row(&self.path, self.n_rows, column, message));
        match (&self.features, &row.target) {
            (Features::Labelled(names), Target::Label(label)) if *label as usize >= names.len() => {
                fail(
                    "label",
                    format!("label {label} has no name; there are {}", names.len()),
                )
            }
            (Features::MultipleChoice, Target::Question(asked)) => asked
                .check()
                .or_else(|(column, message)| fail(column, message)),
            (Features::Labelled(_), Target::Label(_))
            | (Features::Captioned, Target::Caption(_)) => Ok(()),
            (features, target) => {
                let (column, has) = features.column();
                fail(
                    column,
                    format!("{} was given where the file has {has}", target.noun()),
                )
            }
        }
    }

    fn flush(&mut self) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut columns = vec![image_column(&self.pending)];
        columns.extend(target_columns(&self.pending, &self.features));
        self.pending.clear();
        self.pending_bytes = 0;
        RecordBatch::try_new(self.schema.clone(), columns)
            .map_err(ParquetError::from)
            .and_then(|batch| self.writer.write(&batch))
            .and_then(|()| self.writer.flush())
            .map_err(|e| write_error(&self.path, e))
    }
}

impl Features {
    /// The column that tells the right answer, and what stands in it.
    fn column(&self) -> (&'static str, &'static str) {
        match self {
            Self::Labelled(_) => ("label", "labels"),
            Self::Captioned => ("caption", "captions"),
            Self::MultipleChoice => ("question", "questions"),
        }
    }
}

impl Target {
    fn noun(&self) -> &'static str {
        match self {
            Self::Label(_) => "a label",
            Self::Caption(_) => "a caption",
            Self::Question(_) => "a question",
        }
    }
}

fn write_error(path: &Path, error: ParquetError) -> Error {
    let source = match error {
        ParquetError::External(inner) => match inner.downcast::<std::io::Error>() {
            Ok(io) => *io,
            Err(other) => std::io::Error::other(other),
        },
        other => std::io::Error::other(other),
    };
    Error::io("write", path)(source)
}

fn image_fields() -> Fields {
    Fields::from(vec![
        Field::new("bytes", DataType::Binary, true),
        Field::new("path", DataType::Utf8, true),
    ])
}

fn schema(features: &Features) -> Schema {
    let text = |name| Field::new(name, DataType::Utf8, true);
    let mut fields = vec![Field::new("image", DataType::Struct(image_fields()), true)];
    match features {
        Features::Labelled(_) => fields.push(Field::new("label", DataType::Int64, true)),
        Features::Captioned => fields.push(text("caption")),
        Features::MultipleChoice => fields.extend([
            text("question"),
            Field::new_list("choices", text("item"), true),
            Field::new("answer", DataType::Int64, true),
            text("kind"),
        ]),
    }
    let metadata = [("huggingface".to_owned(), hugging_face(features))];
    Schema::new(fields).with_metadata(metadata)
}

/// The feature description that Python's `datasets` reads: `{"info": {"features": …}}`.
fn hugging_face(features: &Features) -> String {
    let image = json!({ "_type": "Image" });
    let columns = match features {
        Features::Labelled(names) => {
            json!({ "image": image, "label": { "names": names, "_type": "ClassLabel" } })
        }
        Features::Captioned => {
            json!({ "image": image, "caption": { "dtype": "string", "_type": "Value" } })
        }
        Features::MultipleChoice => {
            let text = json!({ "dtype": "string", "_type": "Value" });
            json!({
                "image": image,
                "question": text,
                "choices": { "feature": text, "_type": "Sequence" },
                "answer": { "dtype": "int64", "_type": "Value" },
                "kind": text,
            })
        }
    };
    json!({ "info": { "features": columns } }).to_string()
}

fn properties(features: &Features) -> WriterProperties {
    // Encoded images do not shrink further; dictionaries and statistics of them only cost.
    let bytes = ColumnPath::from(vec!["image".to_owned(), "bytes".to_owned()]);
    let metadata = KeyValue::new("huggingface".to_owned(), hugging_face(features));
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_column_compression(bytes.clone(), Compression::UNCOMPRESSED)
        .set_column_dictionary_enabled(bytes.clone(), false)
        .set_column_statistics_enabled(bytes, EnabledStatistics::None)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_created_by(format!("paint-data {}", env!("CARGO_PKG_VERSION")))
        .set_key_value_metadata(Some(vec![metadata]))
        .build()
}

fn image_column(rows: &[Row]) -> ArrayRef {
    let mut bytes = BinaryBuilder::new();
    let mut names = StringBuilder::new();
    for row in rows {
        bytes.append_value(&row.image);
        names.append_option(row.file_name.as_deref());
    }
    let columns: Vec<ArrayRef> = vec![Arc::new(bytes.finish()), Arc::new(names.finish())];
    Arc::new(StructArray::new(image_fields(), columns, None))
}

fn target_columns(rows: &[Row], features: &Features) -> Vec<ArrayRef> {
    match features {
        Features::Labelled(_) => vec![integers(rows.iter().map(|row| match row.target {
            Target::Label(label) => Some(label),
            _ => None,
        }))],
        Features::Captioned => vec![text(rows.iter().map(|row| match &row.target {
            Target::Caption(caption) => Some(caption.as_str()),
            _ => None,
        }))],
        Features::MultipleChoice => {
            let each = || {
                rows.iter().map(|row| match &row.target {
                    Target::Question(asked) => Some(asked),
                    _ => None,
                })
            };
            vec![
                text(each().map(|asked| Some(asked?.question.as_str()))),
                lists(each().map(|asked| Some(asked?.choices.as_slice()))),
                integers(each().map(|asked| Some(asked?.answer))),
                text(each().map(|asked| Some(asked?.kind.as_str()))),
            ]
        }
    }
}

fn integers(values: impl Iterator<Item = Option<u32>>) -> ArrayRef {
    let mut column = Int64Builder::new();
    values.for_each(|value| column.append_option(value.map(i64::from)));
    Arc::new(column.finish())
}

fn text<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    let mut column = StringBuilder::new();
    values.for_each(|value| column.append_option(value));
    Arc::new(column.finish())
}

fn lists<'a>(values: impl Iterator<Item = Option<&'a [String]>>) -> ArrayRef {
    let mut column = ListBuilder::new(StringBuilder::new());
    for value in values {
        let items = value.unwrap_or_default();
        items
            .iter()
            .for_each(|item| column.values().append_value(item));
        column.append(value.is_some());
    }
    Arc::new(column.finish())
}
