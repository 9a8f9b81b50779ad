//! One step of contrastive learning: loss and gradients of a batch, the towers over its parts
//! side by side.
//!
//! Source: Radford et al. 2021, section 2.3. Captions repeat in small corpora, so each
//! distinct caption of a batch is encoded once: an image has one right caption, a caption
//! shares its probability between its images.

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use paint_clip::{Clip, Preprocessor, Tokenizer, l2_normalize};
use paint_nn::Lanes;

use crate::optimizer::{Gradients, Optimizer};
use crate::{Error, Result};

/// The two towers over parts of a batch, joined by the loss.
pub(crate) struct Towers<'a> {
    pub(crate) tokenizer: &'a Tokenizer,
    pub(crate) preprocessor: &'a Preprocessor,
    /// Images or captions of a part.
    pub(crate) micro_batch: usize,
    pub(crate) lanes: Lanes,
}

/// The pairs of one step.
pub(crate) struct Batch<'a> {
    /// u8 `[n, h, w, 3]`.
    pub(crate) pixels: Vec<u8>,
    /// As many captions.
    pub(crate) captions: Vec<&'a str>,
    /// The patches of each image that are seen; all, if none are given.
    pub(crate) seen: Option<Vec<u32>>,
}

/// A part's features with the operations they came from.
type Features = Result<Tensor>;

impl Towers<'_> {
    /// Loss and gradients. The loss needs the features of all parts, so parts go forward,
    /// the loss gives the gradient of the features, and parts go backward from these.
    pub(crate) fn step(
        &self,
        clip: &Clip,
        batch: &Batch<'_>,
        optimizer: &Optimizer,
        step: u64,
    ) -> Result<(f64, Gradients)> {
        let (distinct, caption_of) = distinct(&batch.captions);
        let images = self.images(clip, batch);
        let texts = self.texts(clip, &distinct);
        let images: Vec<Tensor> = images.into_iter().collect::<Result<_>>()?;
        let texts: Vec<Tensor> = texts.into_iter().collect::<Result<_>>()?;
        let joined = |parts: &[Tensor]| Var::from_tensor(&Tensor::cat(parts, 0)?.detach());
        let (all_images, all_texts) = (joined(&images)?, joined(&texts)?);

        let loss = contrastive_loss(&all_images, &all_texts, clip.logit_scale(), &caption_of)?;
        let joint = loss.backward()?;
        let mut jobs = Vec::new();
        for (features, parts) in [(&all_images, images), (&all_texts, texts)] {
            let Some(gradient) = joint.get(features) else {
                return Err(Error::NoGradient {
                    tensor: "features".to_owned(),
                    step,
                });
            };
            let mut start = 0;
            for part in parts {
                let n = part.dim(0)?;
                jobs.push((part, gradient.narrow(0, start, n)?.contiguous()?));
                start += n;
            }
        }
        let stores = self
            .lanes
            .map(jobs, |(part, gradient)| -> Result<GradStore> {
                // Its gradient with respect to the part is `gradient`.
                Ok(paint_nn::backward(&(part * gradient)?.sum_all()?)?)
            });
        let mut stores = stores.into_iter().collect::<Result<Vec<_>>>()?;
        stores.push(joint);
        Ok((
            f64::from(loss.to_scalar::<f32>()?),
            optimizer.summed_gradients(&stores, step)?,
        ))
    }

    fn images(&self, clip: &Clip, batch: &Batch<'_>) -> Vec<Features> {
        let image_bytes = batch.pixels.len() / batch.captions.len();
        let parts = batch
            .pixels
            .chunks(self.micro_batch * image_bytes)
            .collect();
        self.lanes.map(parts, |pixels| {
            let n = pixels.len() / image_bytes;
            let pixels = self.preprocessor.normalize(pixels, n, clip.device())?;
            let features = match &batch.seen {
                None => clip.encode_image(&pixels)?,
                Some(seen) => clip.encode_image_patches(&pixels, seen)?,
            };
            Ok(l2_normalize(&features)?)
        })
    }

    fn texts(&self, clip: &Clip, captions: &[&str]) -> Vec<Features> {
        let parts = captions.chunks(self.micro_batch).collect();
        self.lanes.map(parts, |captions| {
            let ids = captions
                .iter()
                .map(|caption| Ok(self.tokenizer.encode(caption)?));
            Ok(l2_normalize(
                &clip.encode_text(&ids.collect::<Result<Vec<_>>>()?)?,
            )?)
        })
    }
}

/// The distinct captions, sorted, and for each caption which of them it is.
fn distinct<'a>(captions: &[&'a str]) -> (Vec<&'a str>, Vec<u32>) {
    let mut distinct = captions.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let position = |caption: &&str| distinct.partition_point(|known| known < caption) as u32;
    let caption_of = captions.iter().map(position).collect();
    (distinct, caption_of)
}

/// Symmetric cross-entropy; features are normalised, `[n, d]` and `[distinct captions, d]`.
fn contrastive_loss(
    images: &Tensor,
    texts: &Tensor,
    logit_scale: &Tensor,
    caption_of: &[u32],
) -> Result<Tensor> {
    let logits = images
        .matmul(&texts.t()?)?
        .broadcast_mul(&logit_scale.exp()?)?;
    let to_caption = paint_nn::cross_entropy(&logits, caption_of, 0.0)?;
    let to_images = shared_cross_entropy(&logits.t()?.contiguous()?, caption_of)?;
    Ok(((to_caption + to_images)? * 0.5)?)
}

/// Cross-entropy of captions to images, `logits: [captions, images]`, where the images of a
/// caption are equally right.
fn shared_cross_entropy(logits: &Tensor, caption_of: &[u32]) -> Result<Tensor> {
    let (n_captions, n_images) = logits.dims2()?;
    let mut counts = vec![0.0f32; n_captions];
    caption_of
        .iter()
        .for_each(|&caption| counts[caption as usize] += 1.0);
    let mut targets = vec![0.0f32; n_captions * n_images];
    for (image, &caption) in caption_of.iter().enumerate() {
        let caption = caption as usize;
        targets[caption * n_images + image] = 1.0 / (counts[caption] * n_captions as f32);
    }
    let targets = Tensor::from_vec(targets, (n_captions, n_images), logits.device())?;
    let shifted = logits.broadcast_sub(&logits.max_keepdim(1)?.detach())?;
    let log_sums = shifted.exp()?.sum_keepdim(1)?.log()?;
    Ok((shifted.broadcast_sub(&log_sums)? * targets)?
        .sum_all()?
        .neg()?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use candle_core::{D, DType, Device};
    use paint_clip::Tensors;
    use paint_data::Rng;

    use super::*;
    use crate::tiny;

    /// Eight images; of the five captions one comes three times and one twice.
    const CAPTIONS: [&str; 8] = [
        "a red image",
        "a blue image",
        "green",
        "a red image",
        "red a",
        "a red image",
        "green",
        "blue",
    ];

    struct Fixture {
        tokenizer: Tokenizer,
        preprocessor: Preprocessor,
        tensors: Tensors,
        pixels: Vec<u8>,
    }

    /// Weights large enough that every tensor shows in the loss.
    fn fixture() -> Fixture {
        let directory = tempfile::tempdir().unwrap();
        tiny::write_files(directory.path(), tiny::WORDS, [0.4, 0.5, 0.6]);
        let rng = &mut Rng::new(11);
        let shapes = tiny::config().tensor_shapes();
        let tensors = shapes.into_iter().map(|(name, shape)| {
            let norm = name.contains("norm") && name.ends_with("weight");
            let centre = if norm { 1.0 } else { 0.0 };
            let n: usize = shape.iter().product();
            let values: Vec<f32> = match name.as_str() {
                "logit_scale" => vec![1.5],
                _ => (0..n).map(|_| centre + 0.3 * rng.normal()).collect(),
            };
            let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
            (name, tensor)
        });
        let tensors = tensors.collect();
        let n_bytes = CAPTIONS.len() * tiny::SIDE * tiny::SIDE * 3;
        Fixture {
            tokenizer: Tokenizer::load(directory.path()).unwrap(),
            preprocessor: Preprocessor::load(directory.path()).unwrap(),
            tensors,
            pixels: (0..n_bytes).map(|_| rng.below(256) as u8).collect(),
        }
    }

    impl Fixture {
        /// What training does, with parts of `micro_batch` on `n_lanes` lanes.
        fn in_parts(
            &self,
            micro_batch: usize,
            n_lanes: usize,
            seen: Option<&[u32]>,
        ) -> (f64, Gradients) {
            let optimizer = Optimizer::new(&self.tensors, 0.0, 1.0).unwrap();
            let variables = optimizer
                .parameters
                .iter()
                .map(|(name, parameter)| (name.clone(), parameter.theta.as_tensor().clone()));
            let clip = Clip::from_tensors(&tiny::config(), &variables.collect()).unwrap();
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_lanes);
            let towers = Towers {
                tokenizer: &self.tokenizer,
                preprocessor: &self.preprocessor,
                micro_batch,
                lanes: pool.build().unwrap().install(Lanes::new).unwrap(),
            };
            let batch = Batch {
                pixels: self.pixels.clone(),
                captions: CAPTIONS.to_vec(),
                seen: seen.map(<[u32]>::to_vec),
            };
            towers.step(&clip, &batch, &optimizer, 1).unwrap()
        }

        /// The loss of the whole batch in one graph: the formula of the paper with candle's own
        /// operations, in f64 from the towers' features on.
        fn plain_loss(
            &self,
            tensors: &Tensors,
            seen: Option<&[u32]>,
        ) -> candle_core::Result<Tensor> {
            let clip = Clip::from_tensors(&tiny::config(), tensors).unwrap();
            let n = CAPTIONS.len();
            let distinct: Vec<&str> = BTreeMap::from(CAPTIONS.map(|c| (c, ())))
                .into_keys()
                .collect();
            let ids = distinct.iter().map(|c| self.tokenizer.encode(c).unwrap());
            let texts = clip.encode_text(&ids.collect::<Vec<_>>()).unwrap();
            let pixels = self.preprocessor.normalize(&self.pixels, n, &Device::Cpu);
            let images = match seen {
                None => clip.encode_image(&pixels.unwrap()),
                Some(seen) => clip.encode_image_patches(&pixels.unwrap(), seen),
            };
            let images = images.unwrap();
            let unit = |x: Tensor| {
                let x = x.to_dtype(DType::F64)?;
                x.broadcast_div(&x.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?)
            };
            let scale = clip.logit_scale().to_dtype(DType::F64)?.exp()?;
            let logits = unit(images)?
                .matmul(&unit(texts)?.t()?)?
                .broadcast_mul(&scale)?;
            // Cosines are at most 1, so that no exponential overflows.
            let log_softmax = |dim| logits.broadcast_sub(&logits.exp()?.sum_keepdim(dim)?.log()?);
            let m = distinct.len();
            let (mut of_images, mut of_captions) = (vec![0.0; n * m], vec![0.0; n * m]);
            for (i, caption) in CAPTIONS.iter().enumerate() {
                let j = distinct.iter().position(|d| d == caption).unwrap();
                let n_images = CAPTIONS.iter().filter(|c| *c == caption).count();
                of_images[i * m + j] = 1.0 / n as f64;
                of_captions[i * m + j] = 1.0 / (n_images * m) as f64;
            }
            let targets = |targets| Tensor::from_vec(targets, (n, m), &Device::Cpu);
            let to_captions = (log_softmax(1)? * targets(of_images)?)?.sum_all()?;
            let to_images = (log_softmax(0)? * targets(of_captions)?)?.sum_all()?;
            (to_captions + to_images)? * -0.5
        }
    }

    fn values(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    fn largest(values: impl IntoIterator<Item = f32>) -> f32 {
        values.into_iter().fold(0.0, |max, x| max.max(x.abs()))
    }

    /// Whole images, and two of their four patches.
    const SEEN: [Option<&[u32]>; 2] = [None, Some(&[1, 2])];

    #[test]
    fn parts_on_lanes_are_the_whole_batch_in_one_graph() {
        let fixture = fixture();
        let vars: BTreeMap<&String, Var> = fixture
            .tensors
            .iter()
            .map(|(name, tensor)| (name, Var::from_tensor(tensor).unwrap()))
            .collect();
        let tensors: Tensors = vars
            .iter()
            .map(|(name, var)| ((*name).clone(), var.as_tensor().clone()))
            .collect();
        for seen in SEEN {
            let plain = fixture.plain_loss(&tensors, seen).unwrap();
            let expected = plain.backward().unwrap();
            let plain = plain.to_scalar::<f64>().unwrap();
            // 8 images and 5 captions: whole, in even and in uneven parts, one by one.
            for micro_batch in [8, 4, 3, 1] {
                let (loss, gradients) = fixture.in_parts(micro_batch, 3, seen);
                assert!((loss - plain).abs() < 1e-6 * plain, "{loss}, not {plain}");
                for (name, var) in &vars {
                    let expected = values(expected.get(var).unwrap());
                    let ours = values(&gradients[*name]);
                    let difference = largest(ours.iter().zip(&expected).map(|(a, b)| a - b));
                    let bound = 1e-6 + 2e-5 * largest(expected);
                    assert!(
                        difference < bound,
                        "{name} in parts of {micro_batch}: {difference} above {bound}"
                    );
                }
            }
        }
    }

    #[test]
    fn lanes_do_not_change_a_bit() {
        let fixture = fixture();
        let bits = |n_lanes| {
            let (loss, gradients) = fixture.in_parts(3, n_lanes, None);
            let bits = |t: &Tensor| values(t).into_iter().map(f32::to_bits).collect();
            let gradients: Vec<Vec<u32>> = gradients.values().map(bits).collect();
            (loss.to_bits(), gradients)
        };
        let one = bits(1);
        assert!(one == bits(3));
        assert!(one == bits(5));
    }

    #[test]
    fn gradients_are_the_slopes_of_the_loss() {
        let fixture = fixture();
        for seen in SEEN {
            let (_, gradients) = fixture.in_parts(3, 2, seen);
            for (name, tensor) in &fixture.tensors {
                check_slopes(&fixture, seen, name, tensor, &values(&gradients[name]));
            }
        }
    }

    fn check_slopes(
        fixture: &Fixture,
        seen: Option<&[u32]>,
        name: &str,
        tensor: &Tensor,
        gradient: &[f32],
    ) {
        let h = 1e-2;
        let slope = |i: usize| {
            let at = |step: f32| {
                let mut moved = values(tensor);
                moved[i] += step;
                let moved = Tensor::from_vec(moved, tensor.shape(), &Device::Cpu).unwrap();
                let mut tensors = fixture.tensors.clone();
                tensors.insert(name.to_owned(), moved);
                let loss = fixture.plain_loss(&tensors, seen).unwrap();
                loss.to_scalar::<f64>().unwrap()
            };
            (at(h) - at(-h)) / (2.0 * f64::from(h))
        };
        // The steepest entry and two that no rule has chosen.
        let steepest = (0..gradient.len())
            .max_by(|&a, &b| gradient[a].abs().total_cmp(&gradient[b].abs()))
            .unwrap();
        for i in [steepest, gradient.len() / 3, gradient.len() - 1] {
            let (slope, gradient) = (slope(i), f64::from(gradient[i]));
            assert!(
                (slope - gradient).abs() < 1e-4 + 1e-2 * slope.abs(),
                "{name}[{i}]: slope {slope}, gradient {gradient}"
            );
        }
    }
}
