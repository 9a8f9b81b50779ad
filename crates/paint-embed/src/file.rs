//! One Arrow file of embeddings: written a batch at a time, read through a memory map.
//!
//! Schema: `embedding` `FixedSizeList<Float32>`, and for images `row` and `label` UInt32. The schema's
//! metadata is the key; the footer's holds a SHA-256 of the key and of all values, which is checked
//! when the file is opened.

use std::any::Any;
use std::collections::HashMap;
use std::fs::File;
use std::io::BufWriter;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, Float32Array, RecordBatch, UInt32Array,
};
use arrow::buffer::{Buffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, Float32Type, Schema, SchemaRef, UInt32Type};
use arrow::ipc::convert::try_fb_to_schema;
use arrow::ipc::reader::{FileDecoder, read_footer_length};
use arrow::ipc::root_as_footer;
use arrow::ipc::writer::FileWriter;
use memmap2::Mmap;
use paint_atomic::{UnfinishedFile, directory_of};
use sha2::{Digest, Sha256};

use crate::key::hexadecimal;
use crate::{Error, Key, Result};

const HASH: &str = "sha256";

/// Embeddings on disk, mapped into memory: [n, width], as the towers give them, not normalised.
///
/// They take no memory of their own; the system reads pages when they are looked at.
#[derive(Debug)]
pub struct Embeddings {
    batches: Vec<ScalarBuffer<f32>>,
    width: usize,
    rows: Vec<u32>,
    labels: Vec<u32>,
}

impl Embeddings {
    /// Opens the file, compares its key and verifies every byte of its values.
    ///
    /// # Errors
    /// [`Error::Other`] if it is of another checkpoint, other inputs, another preprocessing or
    /// view; [`Error::Damaged`] if it is not what was written; [`Error::Io`].
    pub fn open(path: &Path, key: &Key) -> Result<Self> {
        let file = File::open(path).map_err(Error::io("open", path))?;
        #[expect(unsafe_code, reason = "a memory map is what the store is for")]
        // SAFETY: the map is read-only, and files of the store are never written to: they are made
        // under another name and renamed, and a new one leaves the old one's pages as they are.
        let map = unsafe { Mmap::map(&file) }.map_err(Error::io("map", path))?;
        let read = || read(map, key, path);
        match catch_unwind(AssertUnwindSafe(read)) {
            Ok(result) => result,
            Err(panic) => Err(Error::damaged(path, said(&*panic))),
        }
    }

    /// Number of embeddings.
    #[must_use]
    pub fn len(&self) -> usize {
        self.batches
            .iter()
            .map(|batch| batch.len() / self.width)
            .sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Width of an embedding.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Row of the dataset of each image; empty for texts.
    #[must_use]
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// Class index of each image; empty for texts.
    #[must_use]
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// The values a batch at a time, straight from the file: [m, width] each.
    pub fn batches(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.batches.iter().map(|batch| &batch[..])
    }

    /// All values in one piece: [n, width].
    #[must_use]
    pub fn to_vec(&self) -> Vec<f32> {
        self.batches().flatten().copied().collect()
    }
}

fn read(map: Mmap, key: &Key, path: &Path) -> Result<Embeddings> {
    let damaged = |error: arrow::error::ArrowError| Error::damaged(path, error.to_string());
    let cut = || Error::damaged(path, "it is cut off or no Arrow file");
    let buffer = Buffer::from(bytes::Bytes::from_owner(map));
    let trailer = buffer.len().checked_sub(10).ok_or_else(cut)?;
    let tail: [u8; 10] = buffer[trailer..].try_into().map_err(|_| cut())?;
    let footer_length = read_footer_length(tail).map_err(damaged)?;
    let start = trailer.checked_sub(footer_length).ok_or_else(cut)?;
    let footer = root_as_footer(&buffer[start..trailer])
        .map_err(|error| Error::damaged(path, error.to_string()))?;
    let schema = try_fb_to_schema(footer.schema().ok_or_else(cut)?).map_err(damaged)?;
    let schema: SchemaRef = Arc::new(schema);
    check_key(&schema, key, path)?;
    let stored = footer.custom_metadata().into_iter().flatten();
    let stored = stored
        .filter(|pair| pair.key() == Some(HASH))
        .find_map(|pair| pair.value());
    let (mut hash, mut found) = (ContentHash::new(key), Embeddings::empty());
    let decoder = FileDecoder::new(schema, footer.version());
    for block in footer.recordBatches().into_iter().flatten() {
        let length = usize::try_from(block.bodyLength()).map_err(|_| cut())?
            + usize::try_from(block.metaDataLength()).map_err(|_| cut())?;
        let offset = usize::try_from(block.offset()).map_err(|_| cut())?;
        if offset.checked_add(length).is_none_or(|end| end > start) {
            return Err(cut());
        }
        let data = buffer.slice_with_length(offset, length);
        let batch = decoder.read_record_batch(block, &data).map_err(damaged)?;
        found
            .append(&batch.ok_or_else(cut)?, &mut hash)
            .ok_or_else(|| Error::damaged(path, "its columns are not those of embeddings"))?;
    }
    match Some(hash.finish().as_str()) == stored {
        true if found.width > 0 => Ok(found),
        _ => Err(Error::damaged(
            path,
            "its content has another hash than when it was written",
        )),
    }
}

fn check_key(schema: &Schema, key: &Key, path: &Path) -> Result<()> {
    for (what, expected) in key.parts() {
        let found = schema.metadata().get(what).map_or("", String::as_str);
        if found != expected {
            return Err(Error::Other {
                path: path.to_owned(),
                what,
                found: if found.is_empty() { "nothing" } else { found }.to_owned(),
                expected: expected.to_owned(),
            });
        }
    }
    Ok(())
}

impl Embeddings {
    fn empty() -> Self {
        Self {
            batches: Vec::new(),
            width: 0,
            rows: Vec::new(),
            labels: Vec::new(),
        }
    }

    /// Nothing if the columns or their lengths are others.
    fn append(&mut self, batch: &RecordBatch, hash: &mut ContentHash) -> Option<()> {
        let list = batch
            .column_by_name("embedding")?
            .as_fixed_size_list_opt()?;
        let values = list.values().as_primitive_opt::<Float32Type>()?;
        let width = usize::try_from(list.value_length()).ok()?;
        let n_values = list.len().checked_mul(width)?;
        let has_nulls = list.null_count() + values.null_count() > 0;
        if has_nulls || width == 0 || values.len() != n_values || ![0, width].contains(&self.width)
        {
            return None;
        }
        self.width = width;
        hash.update(bytemuck::cast_slice(values.values()));
        self.batches.push(values.values().clone());
        for (name, kept) in [("row", &mut self.rows), ("label", &mut self.labels)] {
            if let Some(column) = batch.column_by_name(name) {
                let column = column.as_primitive_opt::<UInt32Type>()?;
                if column.null_count() > 0 {
                    return None;
                }
                hash.update(bytemuck::cast_slice(column.values()));
                kept.extend_from_slice(column.values());
            }
        }
        Some(())
    }
}

/// Writes a file that appears whole or not at all.
pub(crate) struct Writer {
    path: PathBuf,
    writer: FileWriter<BufWriter<UnfinishedFile>>,
    schema: SchemaRef,
    hash: ContentHash,
    width: usize,
    n: usize,
}

impl Writer {
    /// A file of `key` with embeddings of `width`; `of_images` adds the columns `row` and `label`.
    pub(crate) fn create(path: &Path, key: &Key, width: usize, of_images: bool) -> Result<Self> {
        let directory = directory_of(path);
        std::fs::create_dir_all(directory).map_err(Error::io("create directory", directory))?;
        let file =
            UnfinishedFile::create(path).map_err(Error::io("create a file in", directory))?;
        let schema = Arc::new(schema(key, width, of_images));
        let writer =
            FileWriter::try_new(BufWriter::new(file), &schema).map_err(Error::arrow(path))?;
        Ok(Self {
            path: path.to_owned(),
            writer,
            schema,
            hash: ContentHash::new(key),
            width,
            n: 0,
        })
    }

    /// Appends embeddings [m, width]; for images with the rows and labels `[m]`.
    pub(crate) fn push(
        &mut self,
        values: Vec<f32>,
        images: Option<(Vec<u32>, Vec<u32>)>,
    ) -> Result<()> {
        let what = if images.is_some() { "image" } else { "text" };
        if let Some(place) = values.iter().position(|x| !x.is_finite()) {
            return Err(Error::NotFinite {
                what,
                row: self.n + place / self.width,
            });
        }
        self.n += values.len() / self.width;
        self.hash.update(bytemuck::cast_slice(&values));
        let mut columns = vec![list(values, self.width).map_err(Error::arrow(&self.path))?];
        for column in images.into_iter().flat_map(|(rows, labels)| [rows, labels]) {
            self.hash.update(bytemuck::cast_slice(&column));
            columns.push(Arc::new(UInt32Array::from(column)));
        }
        RecordBatch::try_new(self.schema.clone(), columns)
            .and_then(|batch| self.writer.write(&batch))
            .map_err(Error::arrow(&self.path))
    }

    /// Ends the file and gives it its name.
    pub(crate) fn finish(mut self) -> Result<()> {
        if self.n == 0 {
            return Err(Error::Empty { what: "inputs" });
        }
        self.writer.write_metadata(HASH, self.hash.finish());
        let path = self.path;
        let file = self.writer.into_inner().map_err(Error::arrow(&path))?;
        let file = file
            .into_inner()
            .map_err(|error| Error::io("write", &path)(error.into_error()))?;
        file.publish().map_err(Error::io("write", &path))
    }
}

fn schema(key: &Key, width: usize, of_images: bool) -> Schema {
    let value = Arc::new(Field::new("item", DataType::Float32, false));
    let list = DataType::FixedSizeList(value, width as i32);
    let mut fields = vec![Field::new("embedding", list, false)];
    if of_images {
        fields.push(Field::new("row", DataType::UInt32, false));
        fields.push(Field::new("label", DataType::UInt32, false));
    }
    let metadata = key
        .parts()
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    Schema::new(fields).with_metadata(HashMap::from(metadata))
}

fn list(values: Vec<f32>, width: usize) -> Result<ArrayRef, arrow::error::ArrowError> {
    let field = Arc::new(Field::new("item", DataType::Float32, false));
    let values = Arc::new(Float32Array::from(values));
    Ok(Arc::new(FixedSizeListArray::try_new(
        field,
        width as i32,
        values,
        None,
    )?))
}

/// SHA-256 of the key and, in the order of the file, of all values.
struct ContentHash(Sha256);

impl ContentHash {
    fn new(key: &Key) -> Self {
        Self(Sha256::new_with_prefix(key.hash()))
    }

    fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> String {
        hexadecimal(&self.0.clone().finalize())
    }
}

/// What a panic of the Arrow reader said.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no reason given".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::View;

    fn key(checkpoint: &str) -> Key {
        Key::of_images(checkpoint, "images", "48 pixels", View::Identity)
    }

    fn written(dir: &Path) -> PathBuf {
        let path = dir.join("e.arrow");
        let mut writer = Writer::create(&path, &key("a"), 2, true).unwrap();
        writer
            .push(vec![1.0, 2.0, 3.0, 4.0], Some((vec![0, 2], vec![7, 8])))
            .unwrap();
        writer
            .push(vec![5.0, 6.0], Some((vec![3], vec![9])))
            .unwrap();
        assert!(!path.exists());
        writer.finish().unwrap();
        path
    }

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let found = Embeddings::open(&written(dir.path()), &key("a")).unwrap();
        assert_eq!(found.to_vec(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(
            found.batches().map(<[f32]>::len).collect::<Vec<_>>(),
            [4, 2]
        );
        assert_eq!(
            (found.rows(), found.labels()),
            (&[0, 2, 3][..], &[7, 8, 9][..])
        );
        assert_eq!(
            (found.len(), found.width(), found.is_empty()),
            (3, 2, false)
        );
    }

    #[test]
    fn values_lie_in_the_map() {
        let dir = tempfile::tempdir().unwrap();
        let found = Embeddings::open(&written(dir.path()), &key("a")).unwrap();
        // Both batches share the allocation of the file: nothing was copied.
        let place = |i: usize| found.batches[i].inner().data_ptr();
        assert_eq!(place(0), place(1));
    }

    #[test]
    fn other_keys_are_refused_in_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = written(dir.path());
        let error = Embeddings::open(&path, &key("b")).unwrap_err().to_string();
        assert!(
            error.contains("embeddings of another checkpoint: a and not b"),
            "{error}"
        );
        assert!(!error.contains('\n'));
        let other = Key::of_images("a", "images", "48 pixels", View::FlipUpDown);
        let error = Embeddings::open(&path, &other).unwrap_err().to_string();
        assert!(
            error.contains("another view: identity and not flip up-down"),
            "{error}"
        );
    }

    /// Every byte is flipped in turn: an error, or the very same values. Never a panic.
    #[test]
    fn damage_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = written(dir.path());
        let sound = std::fs::read(&path).unwrap();
        let bad = dir.path().join("bad.arrow");
        let values = Embeddings::open(&path, &key("a")).unwrap().to_vec();
        let mut n_found = 0;
        for place in 0..sound.len() {
            let mut bytes = sound.clone();
            bytes[place] ^= 1 << (place % 8);
            std::fs::write(&bad, &bytes).unwrap();
            match Embeddings::open(&bad, &key("a")) {
                Ok(found) => assert_eq!(
                    (found.to_vec(), found.labels()),
                    (values.clone(), &[7, 8, 9][..])
                ),
                Err(_) => n_found += 1,
            }
        }
        assert!(n_found > 100, "{n_found} of {}", sound.len());
        for length in [0, 5, 10, sound.len() / 2, sound.len() - 1] {
            std::fs::write(&bad, &sound[..length]).unwrap();
            assert!(Embeddings::open(&bad, &key("a")).is_err(), "{length}");
        }
    }

    #[test]
    fn nothing_and_nan_are_not_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("e.arrow");
        let writer = || Writer::create(&path, &key("a"), 2, false).unwrap();
        assert!(matches!(writer().finish(), Err(Error::Empty { .. })));
        let nan = writer().push(vec![1.0, 0.0, 0.0, f32::NAN], None);
        assert!(matches!(
            nan,
            Err(Error::NotFinite {
                what: "text",
                row: 1
            })
        ));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
