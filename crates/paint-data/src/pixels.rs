//! Decoded, resized pixels of a dataset in a cache file, read by position.
//!
//! The file is
//!
//! ```text
//! "paintpx2"                   magic and version, 8 bytes
//! pixels                       n · height · width · 3 bytes, in row order
//! index                        JSON: keys, counts, rows, labels, skipped images, hash of the pixels
//! index length                 u64, little endian
//! SHA-256 of the index         32 bytes
//! ```
//!
//! The index is last, as in Parquet, because which images decode is known only at the end.
//!
//! All of it is checked when a table is opened, once: the pixels are hashed in blocks, on all
//! threads, since one core's SHA-256 is slower than a disk. They are not hashed again when they
//! are read.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

use paint_atomic::UnfinishedFile;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::atomic::unfinished;
use crate::dataset::Dataset;
use crate::decode::decode_rgb;
use crate::parquet_file::ImageBytes;
use crate::{Error, Result};

const MAGIC: &[u8; 8] = b"paintpx2";
/// Length and hash of the index.
const TAIL_BYTES: u64 = 8 + 32;
/// Images decoded together; bounds the decoded pixels in memory.
const CHUNK_ROWS: usize = 256;
/// Encoded bytes in one chunk.
const CHUNK_BYTES: usize = 16 << 20;
/// Bytes of pixels that are hashed together.
const BLOCK_BYTES: usize = 1 << 20;

/// What turns a decoded image into the pixels a model sees.
///
/// Implemented by whoever knows the model, so that this crate need not.
pub trait PixelTransform: Sync {
    /// Changes whenever the output for some image could.
    fn key(&self) -> String;
    /// Height of the output.
    fn height(&self) -> usize;
    /// Width of the output.
    fn width(&self) -> usize;
    /// Pixels of one image: `[height, width, 3]`, row-major RGB.
    fn apply(&self, image: &image::RgbImage) -> Vec<u8>;
}

/// How many images may fail to decode before it is an error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SkipPolicy {
    /// Largest share of the images, in [0, 1].
    pub max_rate: f64,
}

impl Default for SkipPolicy {
    fn default() -> Self {
        Self { max_rate: 0.01 }
    }
}

/// An image that is not in the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Row of the dataset.
    pub row: usize,
    /// Where the image is and why it cannot be decoded.
    pub reason: String,
}

/// The pixels of a dataset: u8 RGB, `[n, height, width, 3]`, on disk.
///
/// Rows are read with positioned reads, from any thread, so that memory does not
/// grow with the dataset.
#[derive(Debug)]
pub struct PixelTable {
    file: Arc<File>,
    path: PathBuf,
    index: Index,
    /// Where each image stands in the file, counted in images, ascending.
    places: Vec<usize>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Index {
    content_key: String,
    transform_key: String,
    height: usize,
    width: usize,
    rows: Vec<u32>,
    labels: Vec<u32>,
    skipped: Vec<Skipped>,
    /// SHA-256 of the SHA-256 of each block of pixels, in hexadecimal digits.
    pixels_hash: String,
}

impl PixelTable {
    /// Opens the table of `dataset` and `transform` in `cache_dir`, building it if it is not
    /// there or is damaged: every byte of it is read and compared with its hash, this once.
    /// `progress` is told how many images have been done in all.
    ///
    /// # Errors
    /// If more images fail to decode than `policy` allows, a file is damaged, or the cache
    /// cannot be written.
    pub fn build(
        dataset: &Dataset,
        transform: &dyn PixelTransform,
        cache_dir: &Path,
        policy: SkipPolicy,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Self> {
        let path = cache_dir.join(format!("{}.pixels", cache_name(dataset, transform)));
        let table = match Self::reopen(&path, dataset, transform) {
            Some(table) => table,
            None => {
                write_table(&path, dataset, transform, policy, progress)?;
                Self::reopen(&path, dataset, transform).ok_or_else(|| {
                    Error::file(&path, "was damaged while being written; check the disk")
                })?
            }
        };
        progress(dataset.len() as u64);
        check_skipped(dataset, &table.index.skipped, policy)?;
        Ok(table)
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.index.rows.len()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.index.rows.is_empty()
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.index.height
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.index.width
    }

    /// Bytes of one image: height · width · 3.
    pub fn image_bytes(&self) -> usize {
        self.index.image_bytes()
    }

    /// Class index of each image.
    pub fn labels(&self) -> &[u32] {
        &self.index.labels
    }

    /// Row of the dataset of each image, ascending; all of them if none was skipped.
    pub fn rows(&self) -> &[u32] {
        &self.index.rows
    }

    /// The dataset's images that are not here, and why.
    pub fn skipped(&self) -> &[Skipped] {
        &self.index.skipped
    }

    /// Content key of the dataset.
    pub fn content_key(&self) -> &str {
        &self.index.content_key
    }

    /// Key of the transform that made the pixels.
    pub fn transform_key(&self) -> &str {
        &self.index.transform_key
    }

    /// The images of some classes, over the same file: class `classes[i]` is called `i`.
    ///
    /// # Errors
    /// If `classes` names none or one twice, or none of the images is of them.
    pub fn of_classes(&self, classes: &[u32]) -> Result<Self> {
        let mut new_labels = BTreeMap::new();
        for (new, &class) in (0..).zip(classes) {
            if new_labels.insert(class, new).is_some() {
                return Err(Error::Argument(format!("class {class} is named twice")));
            }
        }
        let kept = self.index.labels.iter().enumerate();
        let kept: Vec<(usize, u32)> = kept
            .filter_map(|(i, label)| Some((i, *new_labels.get(label)?)))
            .collect();
        if kept.is_empty() {
            return Err(Error::Argument(format!(
                "no image of {} is of the classes {classes:?}",
                self.path.display()
            )));
        }
        let names: Vec<String> = classes.iter().map(ToString::to_string).collect();
        Ok(Self {
            file: Arc::clone(&self.file),
            path: self.path.clone(),
            places: kept.iter().map(|&(i, _)| self.places[i]).collect(),
            index: Index {
                content_key: format!("{} classes {}", self.index.content_key, names.join(" ")),
                rows: kept.iter().map(|&(i, _)| self.index.rows[i]).collect(),
                labels: kept.iter().map(|&(_, label)| label).collect(),
                skipped: Vec::new(),
                ..self.index.clone()
            },
        })
    }

    /// Reads images by position, in any order, into `out` of
    /// `rows.len() ·` [`image_bytes`](Self::image_bytes).
    ///
    /// # Errors
    /// If a position is out of range, `out` has another length, or the file cannot be read.
    pub fn read(&self, rows: &[usize], out: &mut [u8]) -> Result<()> {
        let size = self.image_bytes();
        if out.len() != rows.len() * size {
            let (expected, actual) = (rows.len() * size, out.len());
            let message = format!("{} images need {expected} bytes, not {actual}", rows.len());
            return Err(Error::Argument(message));
        }
        if let Some(row) = rows.iter().find(|&&row| row >= self.len()) {
            return Err(Error::Argument(format!(
                "image {row} of a table of {}",
                self.len()
            )));
        }
        let places: Vec<usize> = rows.iter().map(|&row| self.places[row]).collect();
        let mut rest = out;
        // Neighbours, as in evaluation, are read at once.
        for run in places.chunk_by(|a, b| a + 1 == *b) {
            let (here, after) = rest.split_at_mut(run.len() * size);
            let start = (MAGIC.len() + run[0] * size) as u64;
            read_at(&self.file, here, start).map_err(Error::io("read", &self.path))?;
            rest = after;
        }
        Ok(())
    }

    /// The table at `path`, unless it is missing, damaged, or of something else.
    fn reopen(path: &Path, dataset: &Dataset, transform: &dyn PixelTransform) -> Option<Self> {
        if !path.exists() {
            return None;
        }
        match open_index(path) {
            Ok((file, index)) if index.is_of(dataset, transform) => Some(Self {
                file: Arc::new(file),
                path: path.to_owned(),
                places: (0..index.rows.len()).collect(),
                index,
            }),
            Ok(_) => {
                tracing::warn!("{} is of other images; building it again", path.display());
                None
            }
            Err(reason) => {
                tracing::warn!("{}: {reason}; building it again", path.display());
                None
            }
        }
    }
}

impl Index {
    fn image_bytes(&self) -> usize {
        self.height * self.width * 3
    }

    fn is_of(&self, dataset: &Dataset, transform: &dyn PixelTransform) -> bool {
        self.content_key == dataset.content_key()
            && self.transform_key == transform.key()
            && (self.height, self.width) == (transform.height(), transform.width())
            && self.rows.len() == self.labels.len()
            && self.rows.len() + self.skipped.len() == dataset.len()
    }
}

fn cache_name(dataset: &Dataset, transform: &dyn PixelTransform) -> String {
    let mut hash = Sha256::new();
    hash.update(MAGIC);
    hash.update(dataset.content_key());
    hash.update((transform.height() as u64).to_le_bytes());
    hash.update((transform.width() as u64).to_le_bytes());
    hash.update(transform.key());
    hexadecimal(&hash.finalize()[..16])
}

/// Opens a file and checks all of it; the error says what is damaged.
fn open_index(path: &Path) -> std::result::Result<(File, Index), String> {
    let fail = |error: std::io::Error| error.to_string();
    let mut file = File::open(path).map_err(fail)?;
    let length = file.metadata().map_err(fail)?.len();
    let (mut magic, mut index_length, mut hash) = ([0; 8], [0; 8], [0; 32]);
    file.read_exact(&mut magic).map_err(fail)?;
    if &magic != MAGIC || length < MAGIC.len() as u64 + TAIL_BYTES {
        return Err("is not a table of pixels".to_owned());
    }
    file.seek(SeekFrom::Start(length - TAIL_BYTES))
        .map_err(fail)?;
    file.read_exact(&mut index_length).map_err(fail)?;
    file.read_exact(&mut hash).map_err(fail)?;
    let index_length = u64::from_le_bytes(index_length);
    let room = length - MAGIC.len() as u64 - TAIL_BYTES;
    let Some(pixel_bytes) = room.checked_sub(index_length) else {
        return Err(format!(
            "{length} bytes are too few; it is cut off or damaged"
        ));
    };
    file.seek(SeekFrom::Start(MAGIC.len() as u64 + pixel_bytes))
        .map_err(fail)?;
    let mut text = Vec::new();
    (&mut file)
        .take(index_length)
        .read_to_end(&mut text)
        .map_err(fail)?;
    if Sha256::digest(&text)[..] != hash {
        return Err("its index is damaged".to_owned());
    }
    let index: Index = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    let sizes = [index.height, index.width, 3, index.rows.len()].map(|size| size as u64);
    let expected = sizes.into_iter().try_fold(1, u64::checked_mul);
    if expected != Some(pixel_bytes) {
        return Err(format!(
            "has {pixel_bytes} bytes of pixels where its index promises another number"
        ));
    }
    if hash_of_pixels(&file, pixel_bytes).map_err(fail)? != index.pixels_hash {
        return Err("its pixels are damaged".to_owned());
    }
    Ok((file, index))
}

/// What [`PixelHash`] gives for the pixels of a file.
fn hash_of_pixels(file: &File, pixel_bytes: u64) -> std::io::Result<String> {
    let n_blocks = pixel_bytes.div_ceil(BLOCK_BYTES as u64);
    let hash = |block: u64| {
        let start = block * BLOCK_BYTES as u64;
        let mut bytes = vec![0; (pixel_bytes - start).min(BLOCK_BYTES as u64) as usize];
        read_at(file, &mut bytes, MAGIC.len() as u64 + start)?;
        Ok(Sha256::digest(&bytes).into())
    };
    let blocks: std::io::Result<Vec<[u8; 32]>> = (0..n_blocks).into_par_iter().map(hash).collect();
    let mut whole = Sha256::new();
    blocks?.iter().for_each(|block| whole.update(block));
    Ok(hexadecimal(&whole.finalize()))
}

/// The hash of pixels that are written one image at a time.
#[derive(Default)]
struct PixelHash {
    whole: Sha256,
    block: Sha256,
    /// Bytes in the block.
    filled: usize,
}

impl PixelHash {
    fn update(&mut self, mut pixels: &[u8]) {
        while !pixels.is_empty() {
            let (here, rest) = pixels.split_at(pixels.len().min(BLOCK_BYTES - self.filled));
            self.block.update(here);
            self.filled += here.len();
            if self.filled == BLOCK_BYTES {
                self.close_block();
            }
            pixels = rest;
        }
    }

    fn close_block(&mut self) {
        self.whole.update(self.block.finalize_reset());
        self.filled = 0;
    }

    fn finish(mut self) -> String {
        if self.filled > 0 {
            self.close_block();
        }
        hexadecimal(&self.whole.finalize())
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Fills `out` from a position of a file.
#[cfg(unix)]
pub(crate) fn read_at(file: &File, out: &mut [u8], offset: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, out, offset)
}

/// Fills `out` from a position of a file.
#[cfg(windows)]
pub(crate) fn read_at(file: &File, out: &mut [u8], offset: u64) -> std::io::Result<()> {
    let mut n_read = 0;
    while n_read < out.len() {
        use std::os::windows::fs::FileExt;
        match file.seek_read(&mut out[n_read..], offset + n_read as u64)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            n => n_read += n,
        }
    }
    Ok(())
}

/// Decodes every image and writes the table; one thread reads, the pool decodes.
fn write_table(
    path: &Path,
    dataset: &Dataset,
    transform: &dyn PixelTransform,
    policy: SkipPolicy,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<()> {
    let mut writer = TableWriter::create(path, dataset, transform)?;
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::sync_channel(1);
        let reader = scope.spawn(move || read_chunks(dataset, &sender));
        let written = receiver.iter().try_for_each(|chunk: Vec<ImageBytes>| {
            writer.write(&chunk)?;
            progress(writer.n_done as u64);
            check_skipped(dataset, &writer.index.skipped, policy)
        });
        // Without a receiver the reader stops at its next chunk.
        drop(receiver);
        let read = reader.join().unwrap_or_else(|_| {
            Err(Error::Argument(
                "the reader of images failed; please report it".to_owned(),
            ))
        });
        written.and(read)
    })?;
    writer.finish()
}

/// Sends the dataset's images in chunks, until all are sent or nobody listens.
fn read_chunks(dataset: &Dataset, sender: &mpsc::SyncSender<Vec<ImageBytes>>) -> Result<()> {
    let (mut chunk, mut n_bytes, mut listening) = (Vec::new(), 0, true);
    dataset.each_image(|image| {
        n_bytes += image.as_ref().map_or(0, Vec::len);
        chunk.push(image);
        if chunk.len() == CHUNK_ROWS || n_bytes >= CHUNK_BYTES {
            n_bytes = 0;
            listening = sender.send(std::mem::take(&mut chunk)).is_ok();
        }
        match listening {
            true => Ok(()),
            false => Err(Error::Argument("the table is no longer wanted".to_owned())),
        }
    })?;
    if !chunk.is_empty() {
        // The writer's own error is the one reported if it has gone.
        let _ = sender.send(chunk);
    }
    Ok(())
}

struct TableWriter<'a> {
    path: &'a Path,
    dataset: &'a Dataset,
    transform: &'a dyn PixelTransform,
    out: BufWriter<UnfinishedFile>,
    index: Index,
    hash: PixelHash,
    n_done: usize,
}

impl<'a> TableWriter<'a> {
    fn create(
        path: &'a Path,
        dataset: &'a Dataset,
        transform: &'a dyn PixelTransform,
    ) -> Result<Self> {
        let mut out = BufWriter::with_capacity(1 << 20, unfinished(path)?);
        out.write_all(MAGIC).map_err(Error::io("write", path))?;
        let index = Index {
            content_key: dataset.content_key().to_owned(),
            transform_key: transform.key(),
            height: transform.height(),
            width: transform.width(),
            rows: Vec::new(),
            labels: Vec::new(),
            skipped: Vec::new(),
            pixels_hash: String::new(),
        };
        Ok(Self {
            path,
            dataset,
            transform,
            out,
            index,
            hash: PixelHash::default(),
            n_done: 0,
        })
    }

    fn write(&mut self, chunk: &[ImageBytes]) -> Result<()> {
        let transform = self.transform;
        let pixels: Vec<std::result::Result<Vec<u8>, String>> = chunk
            .par_iter()
            .map(|bytes| Ok(transform.apply(&decode_rgb(bytes.as_ref().map_err(String::clone)?)?)))
            .collect();
        for pixels in pixels {
            let row = self.n_done;
            self.n_done += 1;
            match pixels {
                Ok(pixels) => self.keep(row, &pixels)?,
                Err(reason) => {
                    let reason = format!("{}: {reason}", self.dataset.place(row));
                    self.index.skipped.push(Skipped { row, reason });
                }
            }
        }
        Ok(())
    }

    fn keep(&mut self, row: usize, pixels: &[u8]) -> Result<()> {
        if pixels.len() != self.index.image_bytes() {
            let (expected, actual) = (self.index.image_bytes(), pixels.len());
            let message = format!("the transform gave {actual} bytes for an image, not {expected}");
            return Err(Error::Argument(message));
        }
        self.index.rows.push(row as u32);
        self.index.labels.push(self.dataset.labels()[row]);
        self.hash.update(pixels);
        self.out
            .write_all(pixels)
            .map_err(Error::io("write", self.path))
    }

    fn finish(self) -> Result<()> {
        let Self {
            path,
            mut out,
            mut index,
            hash,
            ..
        } = self;
        index.pixels_hash = hash.finish();
        let text = serde_json::to_vec(&index).expect("an index of numbers and text is JSON");
        let write = |out: &mut BufWriter<UnfinishedFile>| {
            out.write_all(&text)?;
            out.write_all(&(text.len() as u64).to_le_bytes())?;
            out.write_all(&Sha256::digest(&text))
        };
        write(&mut out).map_err(Error::io("write", path))?;
        let file = out
            .into_inner()
            .map_err(|e| Error::io("write", path)(e.into_error()))?;
        file.publish().map_err(Error::io("write", path))
    }
}

fn check_skipped(dataset: &Dataset, skipped: &[Skipped], policy: SkipPolicy) -> Result<()> {
    let total = dataset.len();
    if skipped.len() as f64 <= policy.max_rate * total as f64 && skipped.len() < total {
        return Ok(());
    }
    Err(Error::TooManySkipped {
        task: dataset.task().to_owned(),
        skipped: skipped.len(),
        total,
        max_rate: policy.max_rate,
        first: skipped
            .first()
            .map(|skipped| skipped.reason.clone())
            .unwrap_or_default(),
    })
}
