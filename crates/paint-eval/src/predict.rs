//! A model's answers to every image of a table.

use crate::{
    Error, Predictions, Result,
    predictions::{check_labels, rank},
};
use candle_core::{Device, Tensor};
use paint_clip::{Clip, Preprocessor, ZeroShotHead};
use paint_data::PixelTable;
use paint_nn::Lanes;
use std::sync::{Mutex, PoisonError};

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
    let ranked = each_batch(
        clip,
        preprocessor,
        pixels,
        batch,
        progress,
        |first, features| {
            let logits = head.logits(features)?.flatten_all()?.to_vec1::<f32>()?;
            let mut ranked = Vec::new();
            rank(&logits, n_classes, first, &mut ranked)?;
            Ok(ranked)
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
    each_batch(
        clip,
        preprocessor,
        pixels,
        batch,
        progress,
        |_, features| Ok(features.flatten_all()?.to_vec1::<f32>()?),
    )
}

/// What `see` makes of the position of each batch's first image and its features [b, d],
/// joined in the order of the images. Batches go side by side, one thread each.
fn each_batch<T: Clone + Send>(
    clip: &Clip,
    preprocessor: &Preprocessor,
    pixels: &PixelTable,
    batch: usize,
    progress: &(dyn Fn(u64) + Sync),
    see: impl Fn(usize, &Tensor) -> Result<Vec<T>> + Sync,
) -> Result<Vec<T>> {
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
    let done = Mutex::new(0);
    let work = |rows: &[usize]| -> Result<Vec<T>> {
        let mut bytes = vec![0; rows.len() * pixels.image_bytes()];
        pixels.read(rows, &mut bytes)?;
        let images = preprocessor.normalize(&bytes, rows.len(), &Device::Cpu)?;
        let seen = see(rows[0], &clip.encode_image(&images)?)?;
        // Counted and told under one lock, so that the numbers rise.
        let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
        *done += rows.len() as u64;
        progress(*done);
        Ok(seen)
    };
    let all = lanes.map(rows.chunks(batch).collect(), work);
    Ok(all.into_iter().collect::<Result<Vec<_>>>()?.concat())
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
