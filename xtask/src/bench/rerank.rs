//! A million embeddings re-ranked among 1,000 classes, a batch at a time.

use std::time::Instant;

use anyhow::Result;
use candle_core::{Device, Tensor};
use paint_data::Rng;
use paint_hierarchy::{Augmentation, Embeddings, Phrases, Reranker, Sparse, parse_toml_tree};

const N_IMAGES: usize = 1_000_000;
const N_CLASSES: usize = 1_000;
const WIDTH: usize = 512;
/// Images in memory at a time.
pub(super) const BATCH: usize = 4_096;
/// One image in so many is of low confidence: a fifth, as published for ViT-B/16.
const LOW: usize = 5;

/// Classes with a parent, and a child each, in the way of ImageNet's; embeddings are random.
pub(super) struct Million {
    batch: Vec<f32>,
    classes: Vec<f32>,
    phrases: Phrases,
    embedded: Embeddings,
}

impl Million {
    pub(super) fn make() -> Result<Self> {
        let names: Vec<String> = (0..N_CLASSES).map(|i| format!("class {i}")).collect();
        let leaves = names
            .iter()
            .map(|name| format!("\"{name}\" = [\"young {name}\"]\n"));
        let tree = format!("[kind]\n{}", leaves.collect::<String>());
        let hierarchy = parse_toml_tree(&tree, "the benchmark's tree")?;
        let synsets: Vec<Option<String>> = names.iter().cloned().map(Some).collect();
        let augmentation = Augmentation::default();
        let phrases = Phrases::new(&Sparse::all(&hierarchy), &names, &synsets, augmentation)?;
        let mut rng = Rng::new(1);
        let mut random = |n: usize| -> Vec<f32> { (0..n * WIDTH).map(|_| rng.normal()).collect() };
        Ok(Self {
            embedded: Embeddings::new("phrase", &random(phrases.texts().len()), WIDTH)?,
            phrases,
            classes: random(N_CLASSES),
            batch: random(BATCH),
        })
    }

    /// Images a second. What is done before the first batch counts too; every batch is copied and
    /// normalised anew, as if it came from a file.
    pub(super) fn rerank(&self) -> Result<f64> {
        let start = Instant::now();
        let classes = Embeddings::new("class", &self.classes, WIDTH)?;
        let reranker = Reranker::new(&classes, &self.phrases, &self.embedded)?;
        let low: Vec<bool> = (0..BATCH).map(|i| i % LOW == 0).collect();
        let mut done = 0;
        while done < N_IMAGES {
            let n = BATCH.min(N_IMAGES - done);
            let images = Embeddings::new("image", &self.batch[..n * WIDTH], WIDTH)?;
            reranker.rerank(&images, &low[..n])?;
            done += n;
        }
        Ok(N_IMAGES as f64 / start.elapsed().as_secs_f64())
    }

    /// Images a second of the products with the classes alone, which no re-ranking can exceed.
    pub(super) fn product(&self) -> Result<f64> {
        let classes = Tensor::from_slice(&self.classes, (N_CLASSES, WIDTH), &Device::Cpu)?.t()?;
        let images = Tensor::from_slice(&self.batch, (BATCH, WIDTH), &Device::Cpu)?;
        let n_batches = N_IMAGES / BATCH / 8;
        let start = Instant::now();
        (0..n_batches).try_for_each(|_| images.matmul(&classes).map(drop))?;
        Ok((n_batches * BATCH) as f64 / start.elapsed().as_secs_f64())
    }

    /// Speed of re-ranking in per cent of the products', one measured right after the other.
    pub(super) fn rerank_of_product(&self) -> Result<f64> {
        Ok(100.0 * self.rerank()? / self.product()?)
    }
}
