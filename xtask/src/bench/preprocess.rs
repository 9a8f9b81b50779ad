//! Photographs to what the model sees: encoded bytes to normalised pixels, on all threads.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use candle_core::Device;
use paint_clip::Preprocessor;
use paint_data::{Dataset, Hub, SplitName, Task, decode_image};
use rayon::prelude::*;

/// Images that become one tensor.
const BATCH: usize = 50;

const TASK: &str = "
name = 'photographs'
hub = 'photos/imagenet-sample-200'
templates = ['{}']
";

/// Encoded photographs, and what a model wants done to them.
pub(crate) struct Photographs {
    images: Vec<Vec<u8>>,
    preprocessor: Preprocessor,
}

impl Photographs {
    /// Reads `hub/datasets/photos/imagenet-sample-200` and the preprocessing of
    /// `hub/models/openai/clip-vit-base-patch32`.
    pub(crate) fn read(hub: &Path) -> Result<Self> {
        let task = Task::parse(TASK, "the benchmark")?;
        let dataset = Dataset::open(&task, SplitName::Test, &Hub::Directory(hub.to_owned()))?;
        let mut images = Vec::with_capacity(dataset.len());
        dataset.each_image(|image| {
            images.extend(image);
            Ok(())
        })?;
        let model = hub.join("models/openai/clip-vit-base-patch32");
        Ok(Self {
            images,
            preprocessor: Preprocessor::load(&model)?,
        })
    }
}

/// Images per second of one pass over all photographs.
pub(crate) fn ours(photographs: &Photographs) -> Result<f64> {
    let start = Instant::now();
    for images in photographs.images.chunks(BATCH) {
        std::hint::black_box(tensor(images, &photographs.preprocessor)?);
    }
    Ok(photographs.images.len() as f64 / start.elapsed().as_secs_f64())
}

fn tensor(images: &[Vec<u8>], preprocessor: &Preprocessor) -> Result<candle_core::Tensor> {
    let image_bytes = preprocessor.height() * preprocessor.width() * 3;
    let mut pixels = vec![0; images.len() * image_bytes];
    pixels
        .par_chunks_exact_mut(image_bytes)
        .zip(images)
        .enumerate()
        .try_for_each(|(i, (pixels, bytes))| {
            let image = decode_image(bytes).with_context(|| format!("photograph {i}"))?;
            pixels.copy_from_slice(&preprocessor.resize_crop(&image));
            anyhow::Ok(())
        })?;
    Ok(preprocessor.normalize(&pixels, images.len(), &Device::Cpu)?)
}
