//! A model's answers to every image of a table.

use crate::{
    Error, Predictions, Result,
    predictions::{check_labels, rank},
};
use candle_core::{Device, Tensor};
use paint_clip::{Clip, Preprocessor, ZeroShotHead};
use paint_data::{Asked, PixelTable};
use paint_nn::Lanes;
use std::sync::{Mutex, PoisonError};

/// Classifies every image with a zero-shot head.
///
/// At most `batch` images are encoded at a time, one thread each; 64 to 256 are fast. `progress` is told
/// how many images are done in all. Results of a batch are copied out at once, so no graph of
/// operations outlives it even where the model's weights are variables.
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
    let rows: Vec<usize> = (0..pixels.len()).collect();
    let predictions = predict_rows(clip, preprocessor, head, pixels, &rows, batch, progress)?;
    Ok(predictions.of_images(images(pixels)))
}

/// As [`predict()`], for some images of the table in the order given; says of them no more than
/// what is given.
///
/// # Errors
/// As [`predict()`], and if a row is beyond the table.
pub fn predict_rows(
    clip: &Clip,
    preprocessor: &Preprocessor,
    head: &ZeroShotHead,
    pixels: &PixelTable,
    rows: &[usize],
    batch: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Predictions> {
    let n_classes = head.n_classes();
    let label = |&row: &usize| pixels.labels().get(row).copied();
    let labels: Option<Vec<u32>> = rows.iter().map(label).collect();
    let labels = labels.ok_or_else(|| Error::Size {
        what: "images in the table",
        expected: rows.iter().max().map_or(0, |&last| last + 1),
        actual: pixels.len(),
    })?;
    check_labels(&labels, n_classes)?;
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
    let lanes = Lanes::new().map_err(Error::Threads)?;
    let done = Mutex::new(0);
    let work = |rows: &[usize]| -> Result<Vec<u32>> {
        let images = images_of(preprocessor, pixels, rows)?;
        let logits = head.logits(&clip.encode_image(&images)?)?;
        let mut ranked = Vec::new();
        let logits = logits.flatten_all()?.to_vec1::<f32>()?;
        rank(&logits, n_classes, rows[0], &mut ranked)?;
        // Counted and told under one lock, so that the numbers rise.
        let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
        *done += rows.len() as u64;
        progress(*done);
        Ok(ranked)
    };
    let ranked = lanes.map(batches(rows, batch, &lanes), work);
    let ranked = ranked.into_iter().collect::<Result<Vec<_>>>()?.concat();
    Predictions::new(labels, ranked, n_classes)
}

/// Answers to questions with candidates of their own for every image: `head` has all candidates'
/// prompts as its classes, `asked` says which are compared for an image. The classes of the
/// predictions are the positions among the candidates.
///
/// # Errors
/// As [`predict()`], and if `asked` is not of the table's images, images have different numbers of
/// candidates, or a candidate is not one of the head's classes.
pub fn predict_choices(
    clip: &Clip,
    preprocessor: &Preprocessor,
    head: &ZeroShotHead,
    pixels: &PixelTable,
    asked: &Asked<'_>,
    batch: usize,
) -> Result<Predictions> {
    let n_classes = head.n_classes();
    let n_choices = asked.candidates.first().map_or(0, |first| first.len());
    for (what, expected, actual) in [
        (
            "images with candidates",
            pixels.len(),
            asked.candidates.len(),
        ),
        ("images with answers", pixels.len(), asked.answers.len()),
    ] {
        check_size(what, expected, actual)?;
    }
    for candidates in &asked.candidates {
        check_size("candidates of an image", n_choices, candidates.len())?;
        if let Some(&candidate) = candidates.iter().find(|c| **c as usize >= n_classes) {
            return Err(Error::Size {
                what: "classes of the head, for the candidate",
                expected: candidate as usize + 1,
                actual: n_classes,
            });
        }
    }
    let rows: Vec<usize> = (0..pixels.len()).collect();
    let features = features(clip, preprocessor, pixels, &rows, batch)?;
    let shape = (pixels.len(), features.len() / pixels.len().max(1));
    let features = Tensor::from_vec(features, shape, &Device::Cpu)?;
    let logits = head.logits(&features)?.flatten_all()?.to_vec1::<f32>()?;
    let of_image = |(logits, candidates): (&[f32], &&[u32])| {
        let of = |&candidate: &u32| logits[candidate as usize];
        candidates.iter().map(of).collect::<Vec<f32>>()
    };
    let logits: Vec<f32> = logits
        .chunks_exact(n_classes)
        .zip(&asked.candidates)
        .flat_map(of_image)
        .collect();
    let predictions = Predictions::from_logits(&asked.answers, &logits, n_choices)?;
    Ok(predictions.of_images(images(pixels)))
}

/// Image features of some images of the table, in the order given, as [`Clip::encode_image`] gives
/// them: `[rows.len(), d]`, row by row. At most `batch` images are encoded at a time, one thread each.
///
/// # Errors
/// If a row is beyond the table, the table's size is not the preprocessor's, or the model fails.
pub fn features(
    clip: &Clip,
    preprocessor: &Preprocessor,
    pixels: &PixelTable,
    rows: &[usize],
    batch: usize,
) -> Result<Vec<f32>> {
    let lanes = Lanes::new().map_err(Error::Threads)?;
    let work = |rows: &[usize]| -> Result<Vec<f32>> {
        let images = images_of(preprocessor, pixels, rows)?;
        Ok(clip.encode_image(&images)?.flatten_all()?.to_vec1()?)
    };
    let parts = lanes.map(batches(rows, batch, &lanes), work);
    Ok(parts.into_iter().collect::<Result<Vec<_>>>()?.concat())
}

/// `rows` in batches of one size, at most `batch`, and of a number that no lane waits for another's
/// last one.
fn batches<'a>(rows: &'a [usize], batch: usize, lanes: &Lanes) -> Vec<&'a [usize]> {
    let n_batches = rows.len().div_ceil(batch.max(1));
    let n_batches = n_batches.next_multiple_of(lanes.count()).max(1);
    rows.chunks(rows.len().div_ceil(n_batches).max(1)).collect()
}

/// Normalised pixels of some images: `[rows.len(), 3, h, w]`.
fn images_of(preprocessor: &Preprocessor, pixels: &PixelTable, rows: &[usize]) -> Result<Tensor> {
    let mut bytes = vec![0; rows.len() * pixels.image_bytes()];
    pixels.read(rows, &mut bytes)?;
    Ok(preprocessor.normalize(&bytes, rows.len(), &Device::Cpu)?)
}

/// What the images are: the dataset's content, and which of them are not there. The transform is
/// no part of it, for a model that sees the same images larger can be compared.
fn images(pixels: &PixelTable) -> String {
    let skipped: Vec<_> = pixels.skipped().iter().map(|s| s.row.to_string()).collect();
    match skipped.is_empty() {
        true => pixels.content_key().to_owned(),
        false => format!("{} without {}", pixels.content_key(), skipped.join(" ")),
    }
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
