//! Images re-ranked a second, beside the matrix product alone, alternating in one run:
//! `cargo run --example throughput [IMAGES]` (default 100,000 of width 512 against 1,000 classes).
#![expect(clippy::print_stdout, reason = "an example prints what it found")]

use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};
use paint_data::Rng;
use paint_hierarchy::{Augmentation, Embeddings, Phrases, Reranker, Sparse, parse_toml_tree};

const WIDTH: usize = 512;
const CLASSES: usize = 1_000;
const BATCH: usize = 2_048;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let n: usize = match std::env::args().nth(1) {
        Some(n) => n.parse()?,
        None => 100_000,
    };
    let mut rng = Rng::new(0);
    let mut random = |n: usize| -> Vec<f32> { (0..n).map(|_| rng.normal()).collect() };
    let names: Vec<String> = (0..CLASSES).map(|c| format!("class {c}")).collect();
    // As ImageNet: a third of the classes has children, and every class a parent.
    let child = |c: usize| {
        if c.is_multiple_of(3) {
            format!("'child {c} a', 'child {c} b'")
        } else {
            String::new()
        }
    };
    let list: Vec<String> = (0..CLASSES)
        .map(|c| format!("'class {c}' = [{}]", child(c)))
        .collect();
    let hierarchy = parse_toml_tree(&format!("[thing]\n{}", list.join("\n")), "made up")?;
    let synsets: Vec<_> = names.iter().cloned().map(Some).collect();
    let phrases = Phrases::new(
        &Sparse::all(&hierarchy),
        &names,
        &synsets,
        Augmentation::default(),
    )?;
    let classes = Embeddings::new("class", &random(CLASSES * WIDTH), WIDTH)?;
    let embedded = Embeddings::new("phrase", &random(phrases.texts().len() * WIDTH), WIDTH)?;
    let reranker = Reranker::new(&classes, &phrases, &embedded)?;
    let values = random(BATCH * WIDTH);
    let weights = Tensor::from_vec(random(CLASSES * WIDTH), (CLASSES, WIDTH), &Device::Cpu)?;
    // A fifth of the images, as the paper finds.
    let low: Vec<bool> = (0..BATCH).map(|i| i % 5 == 0).collect();

    let (mut reranking, mut product) = (Duration::ZERO, Duration::ZERO);
    let n_batches = n.div_ceil(BATCH);
    for _ in 0..n_batches {
        let started = Instant::now();
        let images = Embeddings::new("image", &values, WIDTH)?;
        std::hint::black_box(reranker.rerank(&images, &low)?);
        reranking += started.elapsed();
        let started = Instant::now();
        let images = Tensor::from_slice(&values, (BATCH, WIDTH), &Device::Cpu)?;
        std::hint::black_box(images.matmul(&weights.t()?)?);
        product += started.elapsed();
    }
    let images = (n_batches * BATCH) as f64;
    let rate = |time: Duration| images / time.as_secs_f64();
    println!(
        "{images} images: re-ranked {:.0}/s, product alone {:.0}/s, share of the limit {:.2}",
        rate(reranking),
        rate(product),
        product.as_secs_f64() / reranking.as_secs_f64(),
    );
    Ok(())
}
