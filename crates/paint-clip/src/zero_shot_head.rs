//! Class names and templates to a linear classifier on image features.

use std::collections::BTreeSet;

use candle_core::Tensor;

use crate::{Clip, Error, Result, Tokenizer, l2_normalize};

/// Prompts encoded at a time; bounds the memory of the text tower.
const BATCH: usize = 64;

/// A frozen classifier: for each class the normalised mean of its normalised prompt features,
/// times `exp(logit_scale)`.
///
/// Source: Ilharco et al. 2022, "Patching open-vocabulary models by interpolating weights", §2.
#[derive(Debug, Clone)]
pub struct ZeroShotHead {
    weights: Tensor,
    n_truncated: usize,
}

impl ZeroShotHead {
    /// Encodes every template filled with every class name. Nothing of it learns.
    ///
    /// # Errors
    /// If there are no classes or templates, a class name is empty or comes twice, a template has
    /// no `{}`, or the tokenizer and the model do not fit each other.
    pub fn build(
        clip: &Clip,
        tokenizer: &Tokenizer,
        class_names: &[String],
        templates: &[String],
    ) -> Result<Self> {
        check(class_names, templates)?;
        let mut n_truncated = 0;
        let mut rows = Vec::new();
        for classes in class_names.chunks((BATCH / templates.len()).max(1)) {
            let mut ids = Vec::with_capacity(classes.len() * templates.len());
            for class in classes {
                for template in templates {
                    let prompt = template.replace("{}", class);
                    n_truncated += usize::from(tokenizer.truncates(&prompt)?);
                    ids.push(tokenizer.encode(&prompt)?);
                }
            }
            let features = l2_normalize(&clip.encode_text(&ids)?.detach())?;
            let by_class = features.reshape((classes.len(), templates.len(), ()))?;
            rows.push(l2_normalize(&by_class.mean(1)?)?);
        }
        let scale = clip.logit_scale().detach().exp()?;
        let weights = Tensor::cat(&rows, 0)?.broadcast_mul(&scale)?;
        check_finite(&weights, class_names)?;
        Ok(Self {
            weights,
            n_truncated,
        })
    }

    /// Logits = weights · normalised features. `features`: [b, d] as
    /// [`Clip::encode_image`] gives them → [b, n_classes].
    ///
    /// # Errors
    /// If the features have another width than the head.
    pub fn logits(&self, features: &Tensor) -> Result<Tensor> {
        Ok(paint_nn::linear(
            &l2_normalize(features)?,
            &self.weights,
            None,
        )?)
    }

    /// The head of some classes: `classes[i]` is its class `i`.
    ///
    /// # Errors
    /// If there are none, or one is not the head's.
    pub fn of_classes(&self, classes: &[u32]) -> Result<Self> {
        let n_classes = self.n_classes();
        if let Some(class) = classes.iter().find(|class| **class as usize >= n_classes) {
            return Err(Error::Classes(format!(
                "class {class} of a head of {n_classes}"
            )));
        }
        if classes.is_empty() {
            return Err(Error::Classes("a head of no classes".to_owned()));
        }
        let rows = Tensor::new(classes, self.weights.device())?;
        Ok(Self {
            weights: self.weights.index_select(&rows, 0)?,
            n_truncated: self.n_truncated,
        })
    }

    /// [n_classes, d], `exp(logit_scale)` included.
    #[must_use]
    pub fn weights(&self) -> &Tensor {
        &self.weights
    }

    /// The two classes whose vectors are closest, with the cosine between these: near 1, no image
    /// tells the two apart, and training the image side cannot help. Nothing for a single class.
    ///
    /// # Errors
    /// If an operation fails.
    pub fn closest_classes(&self) -> Result<Option<(f32, usize, usize)>> {
        let vectors = l2_normalize(&self.weights)?;
        let cosines = vectors.matmul(&vectors.t()?)?.to_vec2::<f32>()?;
        let pairs = cosines
            .iter()
            .enumerate()
            .flat_map(|(b, row)| row[..b].iter().enumerate().map(move |(a, &c)| (c, a, b)));
        // The first of equals.
        Ok(pairs.reduce(|best, pair| if pair.0 > best.0 { pair } else { best }))
    }

    /// How many classes it tells apart.
    #[must_use]
    pub fn n_classes(&self) -> usize {
        self.weights.dims()[0]
    }

    /// How many prompts were longer than the model's context and were cut.
    #[must_use]
    pub fn n_truncated(&self) -> usize {
        self.n_truncated
    }
}

fn check(class_names: &[String], templates: &[String]) -> Result<()> {
    let refuse = |problem: String| Err(Error::Classes(problem));
    if class_names.is_empty() || templates.is_empty() {
        let (c, t) = (class_names.len(), templates.len());
        return refuse(format!(
            "{c} class names and {t} templates; at least one of each is needed"
        ));
    }
    if let Some(template) = templates.iter().find(|t| !t.contains("{}")) {
        return refuse(format!(
            "the template {template:?} has no `{{}}`, the place of the class name"
        ));
    }
    let mut seen = BTreeSet::new();
    for (class_idx, name) in class_names.iter().enumerate() {
        if name.trim().is_empty() {
            return refuse(format!("class {class_idx} has an empty name"));
        }
        if !seen.insert(name) {
            return refuse(format!(
                "the class name {name:?} comes twice, again as class {class_idx}"
            ));
        }
    }
    Ok(())
}

/// A class whose prompts cancel out, or a broken text tower, must not become NaN logits.
fn check_finite(weights: &Tensor, class_names: &[String]) -> Result<()> {
    let sums: Vec<f32> = weights.sum(1)?.to_vec1()?;
    match sums
        .iter()
        .zip(class_names)
        .find(|(sum, _)| !sum.is_finite())
    {
        Some((_, name)) => Err(Error::Classes(format!(
            "the vector of class {name:?} is not finite: the text tower or logit_scale is broken"
        ))),
        None => Ok(()),
    }
}
