//! Towers over whole datasets.

use std::sync::Mutex;
use std::sync::PoisonError;

use candle_core::Device;
use paint_clip::{Clip, Tokenizer};
use paint_data::PixelTable;
use paint_nn::Lanes;

use crate::{Error, ImageEncoder, Result, View, file::Writer};

/// Images that one thread encodes at a time.
const BATCH: usize = 128;
/// Images in one record batch of the file: what is in memory at once.
const RECORD: usize = 8_192;
/// Texts encoded at a time.
const TEXTS: usize = 64;

pub(crate) fn encode_images(
    encoder: ImageEncoder<'_>,
    pixels: &PixelTable,
    view: View,
    writer: &mut Writer,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<()> {
    let lanes = Lanes::new().map_err(Error::Threads)?;
    let done = Mutex::new(0);
    let all: Vec<usize> = (0..pixels.len()).collect();
    for record in all.chunks(RECORD) {
        let work = |rows: &[usize]| -> Result<Vec<f32>> {
            let features = encode_batch(encoder, pixels, view, rows)?;
            // Counted and told under one lock, so that the numbers rise.
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            *done += rows.len() as u64;
            progress(*done);
            Ok(features)
        };
        let features = lanes.map(record.chunks(BATCH).collect(), work);
        let features = features.into_iter().collect::<Result<Vec<_>>>()?.concat();
        let of = |column: &[u32]| record.iter().map(|&row| column[row]).collect();
        writer.push(features, Some((of(pixels.rows()), of(pixels.labels()))))?;
    }
    Ok(())
}

fn encode_batch(
    encoder: ImageEncoder<'_>,
    pixels: &PixelTable,
    view: View,
    rows: &[usize],
) -> Result<Vec<f32>> {
    let mut bytes = vec![0; rows.len() * pixels.image_bytes()];
    pixels.read(rows, &mut bytes)?;
    for image in bytes.chunks_exact_mut(pixels.image_bytes()) {
        view.apply(image, pixels.height(), pixels.width());
    }
    let images = encoder
        .preprocessor
        .normalize(&bytes, rows.len(), &Device::Cpu)?;
    let features = encoder.clip.encode_image(&images)?;
    Ok(features.flatten_all()?.to_vec1()?)
}

pub(crate) fn encode_texts(
    clip: &Clip,
    tokenizer: &Tokenizer,
    texts: &[String],
    writer: &mut Writer,
) -> Result<()> {
    for texts in texts.chunks(TEXTS) {
        let ids = texts.iter().map(|text| tokenizer.encode(text));
        let ids = ids.collect::<paint_clip::Result<Vec<_>>>()?;
        let features = clip.encode_text(&ids)?;
        writer.push(features.flatten_all()?.to_vec1()?, None)?;
    }
    Ok(())
}
