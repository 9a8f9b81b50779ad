//! Images of a dataset as they are decoded: some for what they are like, all for what they share.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Cursor;

use anyhow::Result;
use image::{ImageDecoder, ImageReader};
use paint_data::{Dataset, SplitName, decode_image};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

/// Images decoded of each split.
const PER_SPLIT: usize = 64;
/// Images held in memory at once.
const CHUNK: usize = 256;

/// What some images of a dataset are like.
#[derive(Default)]
pub(super) struct Sample {
    n: usize,
    /// Smallest and largest, as width × height in pixels.
    range: Option<((u32, u32), (u32, u32))>,
    /// Images of each format and mode.
    modes: BTreeMap<String, usize>,
    /// How many do not decode, and the first of them.
    failed: usize,
    first_failure: Option<String>,
}

impl Sample {
    /// Decodes images spread over a split.
    pub(super) fn add(&mut self, dataset: &Dataset) -> Result<()> {
        let some = dataset.subset(PER_SPLIT, 0);
        let mut row = 0;
        some.each_image(|bytes| {
            let decoded = bytes.and_then(|bytes| {
                let image = decode_image(&bytes).map_err(|error| error.to_string())?;
                Ok((image.dimensions(), mode(&bytes)))
            });
            match decoded {
                Ok((size, mode)) => self.keep(size, mode),
                Err(reason) => {
                    self.failed += 1;
                    let failure = || format!("{}: {reason}", some.place(row));
                    self.first_failure.get_or_insert_with(failure);
                }
            }
            self.n += 1;
            row += 1;
            Ok(())
        })?;
        Ok(())
    }

    fn keep(&mut self, size: (u32, u32), mode: String) {
        let pixels = |(width, height): (u32, u32)| u64::from(width) * u64::from(height);
        let (smallest, largest) = self.range.get_or_insert((size, size));
        if pixels(size) < pixels(*smallest) {
            *smallest = size;
        }
        if pixels(size) > pixels(*largest) {
            *largest = size;
        }
        *self.modes.entry(mode).or_default() += 1;
    }

    /// The images that do not decode, if there are any.
    pub(super) fn failure(&self) -> Option<String> {
        let first = self.first_failure.as_ref()?;
        let (failed, n) = (self.failed, self.n);
        Some(format!(
            "{failed} of {n} looked at do not decode, the first is {first}"
        ))
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} decode", self.n)?;
        match self.range {
            Some((one, other)) if one == other => write!(f, ", {} × {} pixels", one.0, one.1)?,
            Some((least, most)) => {
                let ((a, b), (c, d)) = (least, most);
                write!(f, ", {a} × {b} to {c} × {d} pixels")?;
            }
            None => {}
        }
        let modes = self.modes.iter().map(|(mode, n)| format!("{n} {mode}"));
        write!(f, "; {}", modes.collect::<Vec<_>>().join(", "))
    }
}

/// Format and samples, such as `Jpeg Rgb8`.
fn mode(bytes: &[u8]) -> String {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let Ok(reader) = reader else {
        return "of an unknown format".to_owned();
    };
    let format = reader
        .format()
        .map_or_else(String::new, |f| format!("{f:?}"));
    match reader.into_decoder() {
        Ok(decoder) => format!("{format} {:?}", decoder.original_color_type()),
        Err(_) => format,
    }
}

/// An image by its content.
pub(super) struct Seen {
    pub(super) split: SplitName,
    pub(super) row: usize,
    /// A hash of the encoded bytes.
    pub(super) bytes: u128,
    /// Of size and pixels; none of an image that does not decode or was not asked to.
    pub(super) pixels: Option<u128>,
}

/// All images of a split by their content; `progress` is told of each number that is done.
pub(super) fn seen(
    split: SplitName,
    dataset: &Dataset,
    with_pixels: bool,
    progress: &dyn Fn(u64),
) -> Result<Vec<Seen>> {
    let mut all = Vec::with_capacity(dataset.len());
    let mut chunk: Vec<(usize, Vec<u8>)> = Vec::new();
    let mut row = 0;
    let mut done = |chunk: &mut Vec<(usize, Vec<u8>)>| {
        progress(chunk.len() as u64);
        let hashed = chunk.par_iter().map(|(row, bytes)| Seen {
            split,
            row: *row,
            bytes: hash([bytes]),
            pixels: with_pixels.then(|| pixel_hash(bytes)).flatten(),
        });
        all.par_extend(hashed);
        chunk.clear();
    };
    dataset.each_image(|bytes| {
        // One that the file does not hold is equal to none.
        chunk.extend(bytes.ok().map(|bytes| (row, bytes)));
        row += 1;
        if chunk.len() == CHUNK {
            done(&mut chunk);
        }
        Ok(())
    })?;
    done(&mut chunk);
    Ok(all)
}

fn pixel_hash(bytes: &[u8]) -> Option<u128> {
    let image = decode_image(bytes).ok()?;
    let (width, height) = image.dimensions();
    let size = [width.to_le_bytes(), height.to_le_bytes()].concat();
    Some(hash([&size, image.as_raw()]))
}

/// Half of a SHA-256.
fn hash<'a>(parts: impl IntoIterator<Item = &'a Vec<u8>>) -> u128 {
    let mut hash = Sha256::new();
    parts.into_iter().for_each(|part| hash.update(part));
    let hash: [u8; 32] = hash.finalize().into();
    hash.iter()
        .take(16)
        .fold(0, |value, byte| value << 8 | u128::from(*byte))
}
