//! What a model answered, image by image.

use crate::{Error, Proportion, Result, mean_proportion};
use serde::{Deserialize, Serialize};

/// Classes kept for each image, best first; fewer if the task has fewer.
pub const TOP: usize = 5;

/// The true class of every image and the model's best classes for it.
///
/// Serialises as two flat lists, the number of classes and what the images are, if that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Predictions {
    labels: Vec<u32>,
    ranked: Vec<u32>,
    n_classes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    images: Option<String>,
}

/// As read, not yet checked.
#[derive(Deserialize)]
struct Stored {
    labels: Vec<u32>,
    ranked: Vec<u32>,
    n_classes: usize,
    images: Option<String>,
}

impl TryFrom<Stored> for Predictions {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self> {
        let predictions = Self::new(stored.labels, stored.ranked, stored.n_classes)?;
        Ok(Self {
            images: stored.images,
            ..predictions
        })
    }
}

impl Predictions {
    /// `labels`: `[n]`; `ranked`: [n, min([`TOP`], `n_classes`)], best first, row by row.
    ///
    /// # Errors
    /// If there is no image, the sizes do not fit, a class is not below `n_classes`, or an image
    /// ranks a class twice.
    pub fn new(labels: Vec<u32>, ranked: Vec<u32>, n_classes: usize) -> Result<Self> {
        check_labels(&labels, n_classes)?;
        let width = n_classes.min(TOP);
        let (expected, actual) = (labels.len() * width, ranked.len());
        if expected != actual {
            return Err(Error::Size {
                what: "ranked classes",
                expected,
                actual,
            });
        }
        for (image, classes) in ranked.chunks_exact(width).enumerate() {
            for (rank, &class) in classes.iter().enumerate() {
                check_class(image, "predicted class", class, n_classes)?;
                if classes[..rank].contains(&class) {
                    return Err(Error::RankedTwice { image, class });
                }
            }
        }
        Ok(Self {
            labels,
            ranked,
            n_classes,
            images: None,
        })
    }

    /// Says which images these are, by a key that other images do not have; [`predict`] says so
    /// itself. Predictions that say it can only be paired with those of the same images.
    ///
    /// [`predict`]: crate::predict()
    #[must_use]
    pub fn of_images(mut self, key: impl Into<String>) -> Self {
        self.images = Some(key.into());
        self
    }

    /// `labels`: `[n]`; `logits`: [n, `n_classes`] row by row. Equal logits rank the lower class
    /// index first.
    ///
    /// # Errors
    /// As [`Predictions::new`], and [`Error::NanLogit`].
    pub fn from_logits(labels: &[u32], logits: &[f32], n_classes: usize) -> Result<Self> {
        check_labels(labels, n_classes)?;
        let mut ranked = Vec::with_capacity(labels.len() * n_classes.min(TOP));
        let (expected, actual) = (labels.len() * n_classes, logits.len());
        if expected != actual {
            return Err(Error::Size {
                what: "logits",
                expected,
                actual,
            });
        }
        rank(logits, n_classes, 0, &mut ranked)?;
        Self::new(labels.to_vec(), ranked, n_classes)
    }

    /// Number of images, at least 1.
    #[expect(
        clippy::len_without_is_empty,
        reason = "there is always at least one image"
    )]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Number of classes of the task.
    pub fn n_classes(&self) -> usize {
        self.n_classes
    }

    /// Which images these are, if that was said.
    pub fn images(&self) -> Option<&str> {
        self.images.as_deref()
    }

    /// True class of each image: `[n]`.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// Best classes of each image, best first: n slices of min([`TOP`], `n_classes`).
    pub fn ranked(&self) -> impl ExactSizeIterator<Item = &[u32]> {
        self.ranked.chunks_exact(self.n_classes.min(TOP))
    }

    /// Whether each image's best class is its label: `[n]`.
    pub fn correct(&self) -> Vec<bool> {
        self.hits(1)
    }

    /// Share of images whose best class is the label.
    pub fn accuracy(&self) -> Proportion {
        proportion(self.hits(1))
    }

    /// Share of images whose label is among the best [`TOP`] classes.
    pub fn top5(&self) -> Proportion {
        proportion(self.hits(TOP))
    }

    /// Accuracy on the images of each class; none for a class without images.
    pub fn per_class(&self) -> Vec<Option<Proportion>> {
        let mut counts = vec![(0, 0); self.n_classes];
        for (&label, hit) in self.labels.iter().zip(self.correct()) {
            let (n_correct, n) = &mut counts[label as usize];
            *n_correct += u64::from(hit);
            *n += 1;
        }
        counts
            .into_iter()
            .map(|(n_correct, n)| Proportion::new(n_correct, n).ok())
            .collect()
    }

    /// Mean over the classes that have images, each with the same weight.
    pub fn mean_per_class(&self) -> Proportion {
        let parts: Vec<_> = self.per_class().into_iter().flatten().collect();
        mean_proportion(&parts).expect("there is an image, so its class has one")
    }

    /// The same answers beside other labels (`[n]`): how often is another class answered?
    ///
    /// # Errors
    /// As [`Predictions::new`].
    pub fn of_labels(&self, labels: &[u32]) -> Result<Self> {
        let mut other = Self::new(labels.to_vec(), self.ranked.clone(), self.n_classes)?;
        other.images.clone_from(&self.images);
        Ok(other)
    }

    /// The predictions for the images that `chosen` (`[n]`) names.
    ///
    /// # Errors
    /// [`Error::Size`] if `chosen` has another length, [`Error::Empty`] if no image is chosen.
    pub fn subset(&self, chosen: &[bool]) -> Result<Self> {
        let (expected, actual) = (self.len(), chosen.len());
        if expected != actual {
            return Err(Error::Size {
                what: "choices of images",
                expected,
                actual,
            });
        }
        let rows = || chosen.iter().enumerate().filter(|(_, chosen)| **chosen);
        let labels: Vec<u32> = rows().map(|(row, _)| self.labels[row]).collect();
        check_labels(&labels, self.n_classes)?;
        let width = self.n_classes.min(TOP);
        let ranked = rows().flat_map(|(row, _)| &self.ranked[row * width..][..width]);
        Ok(Self {
            ranked: ranked.copied().collect(),
            labels,
            n_classes: self.n_classes,
            images: None,
        })
    }

    fn hits(&self, k: usize) -> Vec<bool> {
        let hit =
            |(&label, classes): (&u32, &[u32])| classes.iter().take(k).any(|&class| class == label);
        self.labels.iter().zip(self.ranked()).map(hit).collect()
    }
}

fn proportion(hits: Vec<bool>) -> Proportion {
    let n_correct = hits.iter().filter(|&&hit| hit).count() as u64;
    Proportion::new(n_correct, hits.len() as u64).expect("there is at least one image")
}

/// Fails unless there are labels and all are below `n_classes`.
pub(crate) fn check_labels(labels: &[u32], n_classes: usize) -> Result<()> {
    if labels.is_empty() {
        return Err(Error::Empty { what: "images" });
    }
    let mut labels = labels.iter().enumerate();
    labels.try_for_each(|(image, &label)| check_class(image, "label", label, n_classes))
}

fn check_class(image: usize, what: &'static str, class: u32, n_classes: usize) -> Result<()> {
    if (class as usize) < n_classes {
        Ok(())
    } else {
        Err(Error::Class {
            image,
            what,
            class,
            n_classes,
        })
    }
}

/// Appends the best classes of each row of `logits` [b, `n_classes`], which starts at image
/// `first`.
pub(crate) fn rank(
    logits: &[f32],
    n_classes: usize,
    first: usize,
    ranked: &mut Vec<u32>,
) -> Result<()> {
    let width = n_classes.min(TOP);
    for (row, logits) in logits.chunks_exact(n_classes).enumerate() {
        if let Some(class) = logits.iter().position(|logit| logit.is_nan()) {
            return Err(Error::NanLogit {
                image: first + row,
                class,
            });
        }
        let mut best: Vec<u32> = Vec::with_capacity(width + 1);
        for (class, &logit) in logits.iter().enumerate() {
            // Strictly greater only: an equal logit stays behind the lower index.
            let place = best
                .iter()
                .position(|&other| logit > logits[other as usize])
                .unwrap_or(best.len());
            if place < width {
                best.insert(place, class as u32);
                best.truncate(width);
            }
        }
        ranked.extend(best);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seven_classes() -> Predictions {
        let logits = [
            [0.0, 9.0, 1.0, 8.0, 2.0, 7.0, 3.0],
            [5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0],
            [-1.0, f32::NEG_INFINITY, 3.0, f32::INFINITY, 0.0, -0.0, 3.0],
        ];
        Predictions::from_logits(&[4, 5, 3], logits.as_flattened(), 7).unwrap()
    }

    #[test]
    fn ranks_best_first_and_ties_by_index() {
        let predictions = seven_classes();
        let ranked: Vec<_> = predictions.ranked().collect();
        assert_eq!(ranked, [[1, 3, 5, 6, 4], [0, 1, 2, 3, 4], [3, 2, 6, 4, 5]]);
        assert_eq!(predictions.correct(), [false, false, true]);
        assert_eq!(predictions.accuracy(), Proportion::new(1, 3).unwrap());
        assert_eq!(predictions.top5(), Proportion::new(2, 3).unwrap());
    }

    #[test]
    fn the_same_answers_beside_other_labels() {
        let of_right = seven_classes().of_images("three");
        let of_wrong = of_right.of_labels(&[1, 0, 0]).unwrap();
        assert_eq!(of_wrong.correct(), [true, true, false]);
        assert!(of_wrong.ranked().eq(of_right.ranked()));
        assert_eq!(of_wrong.images(), Some("three"));
        assert!(of_right.of_labels(&[1, 0]).is_err());
        assert!(of_right.of_labels(&[1, 0, 7]).is_err());
    }

    #[test]
    fn fewer_classes_than_five() {
        let predictions = Predictions::from_logits(&[1, 0], &[0.1, 0.2, 0.3, 0.4], 2).unwrap();
        let ranked: Vec<_> = predictions.ranked().collect();
        assert_eq!(ranked, [[1, 0], [1, 0]]);
        assert_eq!(predictions.top5().value, 1.0);
        let one = Predictions::from_logits(&[0], &[0.1], 1).unwrap();
        assert_eq!(one.accuracy().value, 1.0);
    }

    #[test]
    fn classes_weigh_the_same_and_empty_ones_are_left_out() {
        let ranked = vec![0, 1, 2, 0, 1, 2, 0, 1, 2, 1, 0, 2];
        let predictions = Predictions::new(vec![0, 0, 0, 0], ranked.clone(), 3).unwrap();
        assert_eq!(predictions.mean_per_class().value, 0.75);
        let predictions = Predictions::new(vec![0, 0, 2, 1], ranked, 3).unwrap();
        let per_class = predictions.per_class();
        assert_eq!(per_class[0], Some(Proportion::new(2, 2).unwrap()));
        assert_eq!(per_class[1], Some(Proportion::new(1, 1).unwrap()));
        assert_eq!(per_class[2], Some(Proportion::new(0, 1).unwrap()));
        let mean = predictions.mean_per_class();
        assert!((mean.value - 2.0 / 3.0).abs() < 1e-12);
        let two = Predictions::new(vec![0, 2], vec![0, 1, 2, 2, 1, 0], 3).unwrap();
        assert_eq!(two.per_class()[1], None);
        assert_eq!(two.mean_per_class().value, 1.0);
    }

    #[test]
    fn subsets_keep_the_chosen() {
        let all = seven_classes();
        let some = all.subset(&[true, false, true]).unwrap();
        assert_eq!(some.labels(), [4, 3]);
        assert_eq!(
            some.ranked().collect::<Vec<_>>(),
            [[1, 3, 5, 6, 4], [3, 2, 6, 4, 5]]
        );
        assert!(matches!(all.subset(&[true]), Err(Error::Size { .. })));
        assert!(matches!(all.subset(&[false; 3]), Err(Error::Empty { .. })));
    }

    #[test]
    fn bad_input_is_refused() {
        let nan = Predictions::from_logits(&[0, 1], &[0.0, 1.0, 2.0, f32::NAN], 2);
        assert!(matches!(nan, Err(Error::NanLogit { image: 1, class: 1 })));
        let label = Predictions::from_logits(&[0, 2], &[0.0; 4], 2);
        assert!(matches!(
            label,
            Err(Error::Class {
                image: 1,
                class: 2,
                n_classes: 2,
                ..
            })
        ));
        let short = Predictions::from_logits(&[0, 1], &[0.0; 3], 2);
        assert!(matches!(
            short,
            Err(Error::Size {
                expected: 4,
                actual: 3,
                ..
            })
        ));
        assert!(matches!(
            Predictions::from_logits(&[], &[], 2),
            Err(Error::Empty { .. })
        ));
        assert!(matches!(
            Predictions::from_logits(&[0], &[], 0),
            Err(Error::Class { .. })
        ));
        let class = Predictions::new(vec![0], vec![0, 9], 2);
        assert!(matches!(class, Err(Error::Class { class: 9, .. })));
        let twice = Predictions::new(vec![0], vec![1, 1], 2);
        assert!(matches!(
            twice,
            Err(Error::RankedTwice { image: 0, class: 1 })
        ));
        let ranked = Predictions::new(vec![0], vec![1], 2);
        assert!(matches!(
            ranked,
            Err(Error::Size {
                expected: 2,
                actual: 1,
                ..
            })
        ));
    }

    #[test]
    fn serialises_compactly_and_is_checked_when_read() {
        let predictions = seven_classes();
        let text = serde_json::to_string(&predictions).unwrap();
        let expected =
            r#"{"labels":[4,5,3],"ranked":[1,3,5,6,4,0,1,2,3,4,3,2,6,4,5],"n_classes":7}"#;
        assert_eq!(text, expected);
        assert_eq!(
            serde_json::from_str::<Predictions>(&text).unwrap(),
            predictions
        );
        let known = seven_classes().of_images("7f");
        let text_of_known = serde_json::to_string(&known).unwrap();
        let expected = text.replace('}', r#","images":"7f"}"#);
        assert_eq!(text_of_known, expected);
        assert_eq!(
            serde_json::from_str::<Predictions>(&text_of_known).unwrap(),
            known
        );
        let bad = text.replace("[4,5,3]", "[4,5,7]");
        let error = serde_json::from_str::<Predictions>(&bad)
            .unwrap_err()
            .to_string();
        assert!(error.contains("image 2: label 7"), "{error}");
    }
}
