//! A model's answers to every image of a table.

use crate::{
    Error, Predictions, Result,
    predictions::{check_labels, rank},
};
use candle_core::{Device, Tensor};
use paint_clip::{Clip, Preprocessor, ZeroShotHead};
use paint_data::PixelTable;
use paint_nn::Lanes;
use std::sync::atomic::{AtomicU64, Ordering};

/// Classifies every image with a zero-shot head.
///
/// `batch` images are encoded at a time; 64 to 256 are fast. `progress` is told how many images
/// are done in all. Results of a batch are copied out at once, so no graph of operations outlives
/// it even where the model's weights are variables.
///
/// # Errors
/// If the table is empty, a label is not one of the head's classes, the table's size is not the
/// preprocessor's, the model fails, or a logit is NaN.
pub fn predict(
    clip: &Clip,
    preprocessor: &Preprocessor,
    head: &ZeroShotHead,
    pixels: &PixelTable,
    batch: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Predictions> {
    let n_classes = head.n_classes();
    check_labels(pixels.labels(), n_classes)?;
    let mut ranked = Vec::new();
    each_batch(
        clip,
        preprocessor,
        pixels,
        batch,
        progress,
        |first, features| {
            let logits = head.logits(features)?.flatten_all()?.to_vec1::<f32>()?;
            rank(&logits, n_classes, first, &mut ranked)
        },
    )?;
    Predictions::new(pixels.labels().to_vec(), ranked, n_classes)
}

/// Image features of every image as the model gives them, not normalised: [n, d] row by row.
///
/// # Errors
/// As [`predict`], labels and logits aside.
pub fn features(
    clip: &Clip,
    preprocessor: &Preprocessor,
    pixels: &PixelTable,
    batch: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Vec<f32>> {
    let mut all = Vec::new();
    each_batch(
        clip,
        preprocessor,
        pixels,
        batch,
        progress,
        |_, features| {
            all.extend(features.flatten_all()?.to_vec1::<f32>()?);
            Ok(())
        },
    )?;
    Ok(all)
}

/// Gives the position of each batch's first image and its features [b, d] to `see`.
fn each_batch(
    clip: &Clip,
    preprocessor: &Preprocessor,
    pixels: &PixelTable,
    batch: usize,
    progress: &(dyn Fn(u64) + Sync),
    mut see: impl FnMut(usize, &Tensor) -> Result<()>,
) -> Result<()> {
    if batch == 0 {
        return Err(Error::Empty {
            what: "images in a batch",
        });
    }
    check_size(
        "height of the pixels",
        preprocessor.height(),
        pixels.height(),
    )?;
    check_size("width of the pixels", preprocessor.width(), pixels.width())?;
    let rows: Vec<usize> = (0..pixels.len()).collect();
    let lanes = Lanes::new().map_err(Error::Threads)?;
    let done = AtomicU64::new(0);
    let encode = |rows: &[usize]| -> Result<Tensor> {
        let mut bytes = vec![0; rows.len() * pixels.image_bytes()];
        pixels.read(rows, &mut bytes)?;
        let images = preprocessor.normalize(&bytes, rows.len(), &Device::Cpu)?;
        // Nobody asks for a gradient, so the operations that led here are let go at once.
        let features = clip.encode_image(&images)?.detach();
        let n = rows.len() as u64;
        progress(done.fetch_add(n, Ordering::Relaxed) + n);
        Ok(features)
    };
    let batches: Vec<&[usize]> = rows.chunks(batch).collect();
    for (rows, features) in batches.iter().zip(lanes.map(batches.clone(), encode)) {
        see(rows[0], &features?)?;
    }
    Ok(())
}

fn check_size(what: &'static str, expected: usize, actual: usize) -> Result<()> {
    if expected == actual {
        Ok(())
    } else {
        Err(Error::Size {
            what,
            expected,
            actual,
        })
    }
}
