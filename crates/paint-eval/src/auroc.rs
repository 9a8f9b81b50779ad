//! How well a confidence tells right answers from wrong ones.

use crate::{Difference, Error, Result, proportion::wilson};
use serde::{Deserialize, Serialize};

/// 97.5 % quantile of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// Area under the ROC curve of a confidence as predictor of "the answer is right", with its 95 %
/// interval: the probability that a right answer has more confidence than a wrong one, ties half.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Auroc {
    /// The area, in [0, 1]; 0.5 says nothing.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Number of images.
    pub n: u64,
}

/// A confidence together with whether the answers it is about are right.
///
/// What each image contributes to the area is kept, so that two confidences on the same images
/// are compared as pairs (DeLong et al. 1988, "Comparing the areas under two or more correlated
/// receiver operating characteristic curves"). They may be about different answers: the images
/// are the pairs, not the right ones among them.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking {
    auroc: Auroc,
    /// Influence of each image on the area; their mean is 0.
    influence: Vec<f64>,
}

impl Ranking {
    /// `confidence`: `[n]`, more is surer, on any scale; `correct`: `[n]`.
    ///
    /// The interval is Wilson's for the sample size that gives DeLong's variance (Kottas et al.
    /// 2014, "A modified Wald interval for the area under the ROC curve"), or for the rarer of the
    /// two kinds of answers where the order is perfect: it stays in [0, 1].
    ///
    /// # Errors
    /// [`Error::Size`] if the lengths differ, [`Error::Empty`] unless there are right and wrong
    /// answers, [`Error::NanConfidence`].
    pub fn new(confidence: &[f64], correct: &[bool]) -> Result<Self> {
        check(confidence, correct)?;
        let n = correct.len() as f64;
        let n_right = correct.iter().filter(|&&right| right).count() as f64;
        let n_wrong = n - n_right;
        if n_right == 0.0 {
            return Err(Error::Empty {
                what: "right answers",
            });
        }
        if n_wrong == 0.0 {
            return Err(Error::Empty {
                what: "wrong answers",
            });
        }
        let placements = placements(confidence, correct, n_right, n_wrong);
        let value = mean_where(&placements, correct, true, n_right);
        // DeLong's unbiased variances, written as one influence for each image.
        let right = n / (n_right * (n_right - 1.0).max(1.0)).sqrt();
        let wrong = n / (n_wrong * (n_wrong - 1.0).max(1.0)).sqrt();
        let influence: Vec<f64> = placements
            .iter()
            .zip(correct)
            .map(|(placement, &is_right)| {
                (placement - value) * if is_right { right } else { wrong }
            })
            .collect();
        let variance = influence.iter().map(|i| i * i).sum::<f64>() / (n * n);
        let size = match variance > 0.0 && value * (1.0 - value) > 0.0 {
            true => value * (1.0 - value) / variance,
            false => n_right.min(n_wrong),
        };
        let (low, high) = wilson(value, size);
        let auroc = Auroc {
            value,
            low,
            high,
            n: correct.len() as u64,
        };
        Ok(Self { auroc, influence })
    }

    /// The area and its interval.
    #[must_use]
    pub fn auroc(&self) -> Auroc {
        self.auroc
    }

    /// This area minus `other`'s on the same images, with the interval of pairs.
    ///
    /// # Errors
    /// [`Error::Size`] if these cannot be the same images.
    pub fn minus(&self, other: &Self) -> Result<Difference> {
        let (expected, actual) = (self.influence.len(), other.influence.len());
        if expected != actual {
            return Err(Error::Size {
                what: "images of a paired comparison",
                expected,
                actual,
            });
        }
        let pairs = self.influence.iter().zip(&other.influence);
        let half = Z * pairs.map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt() / expected as f64;
        let value = self.auroc.value - other.auroc.value;
        Ok(Difference {
            value,
            low: (value - half).max(-1.0),
            high: (value + half).min(1.0),
            n: self.auroc.n,
            p: None,
        })
    }
}

pub(crate) fn check(confidence: &[f64], correct: &[bool]) -> Result<()> {
    let (expected, actual) = (correct.len(), confidence.len());
    if expected != actual {
        return Err(Error::Size {
            what: "confidences of images",
            expected,
            actual,
        });
    }
    match confidence.iter().position(|c| c.is_nan()) {
        Some(image) => Err(Error::NanConfidence { image }),
        None => Ok(()),
    }
}

/// Positions in the order of falling confidence, equal ones together.
pub(crate) fn by_falling_confidence(confidence: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..confidence.len()).collect();
    order.sort_by(|&a, &b| confidence[b].total_cmp(&confidence[a]));
    order
}

/// For a right answer the share of wrong ones below it, for a wrong one the share of right ones
/// above it; ties count half.
fn placements(confidence: &[f64], correct: &[bool], n_right: f64, n_wrong: f64) -> Vec<f64> {
    let order = by_falling_confidence(confidence);
    let mut placements = vec![0.0; correct.len()];
    let (mut right_above, mut wrong_above) = (0.0, 0.0);
    // 0 and -0 are equal.
    for tied in order.chunk_by(|&a, &b| confidence[a] == confidence[b]) {
        let right = tied.iter().filter(|&&i| correct[i]).count() as f64;
        let wrong = tied.len() as f64 - right;
        for &i in tied {
            placements[i] = match correct[i] {
                true => (n_wrong - wrong_above - 0.5 * wrong) / n_wrong,
                false => (right_above + 0.5 * right) / n_right,
            };
        }
        right_above += right;
        wrong_above += wrong;
    }
    placements
}

fn mean_where(values: &[f64], flags: &[bool], flag: bool, n: f64) -> f64 {
    let of = values.iter().zip(flags).filter(|&(_, f)| *f == flag);
    of.map(|(value, _)| value).sum::<f64>() / n
}

#[cfg(test)]
mod tests {
    use super::*;
    use paint_data::Rng;

    fn auroc(confidence: &[f64], correct: &[bool]) -> f64 {
        Ranking::new(confidence, correct).unwrap().auroc().value
    }

    #[test]
    fn areas_by_hand() {
        let correct = [true, false, true, false];
        assert_eq!(auroc(&[4.0, 3.0, 2.0, 1.0], &correct), 0.75);
        assert_eq!(auroc(&[4.0, 1.0, 3.0, 2.0], &correct), 1.0);
        assert_eq!(auroc(&[1.0; 4], &correct), 0.5);
        // Pairs: 3 > 1, 3 > 2, 2 > 1, 2 = 2.
        assert_eq!(auroc(&[3.0, 1.0, 2.0, 2.0], &correct), 3.5 / 4.0);
        assert_eq!(
            auroc(&[0.0, -0.0, f64::INFINITY, -1.0], &correct),
            3.5 / 4.0
        );
    }

    #[test]
    fn variance_is_delongs() {
        // Right: 5, 4, 1; wrong: 3, 2, 0. By hand V10 = 1, 1, 1/3 and V01 = 2/3, 2/3, 1:
        // variance 0.148148 / 3 + 0.037037 / 3.
        let ranking = Ranking::new(
            &[5.0, 4.0, 1.0, 3.0, 2.0, 0.0],
            &[true, true, true, false, false, false],
        )
        .unwrap();
        assert!((ranking.auroc().value - 7.0 / 9.0).abs() < 1e-12);
        let variance = ranking.influence.iter().map(|i| i * i).sum::<f64>() / 36.0;
        assert!((variance - (4.0 / 27.0 + 1.0 / 27.0) / 3.0).abs() < 1e-12);
    }

    #[test]
    fn a_perfect_order_is_not_certain() {
        let ranking = Ranking::new(&[2.0, 3.0, 1.0, 0.0], &[true, true, false, false]).unwrap();
        let auroc = ranking.auroc();
        assert_eq!((auroc.value, auroc.high), (1.0, 1.0));
        assert!(auroc.low > 0.2 && auroc.low < 0.5, "{auroc:?}");
    }

    #[test]
    fn intervals_cover_and_pairs_are_narrower() {
        let mut rng = Rng::new(1);
        let (mut covered, mut covered_difference) = (0, 0);
        // Normal scores one apart: the area is Phi(1 / sqrt 2) = 0.76025; noise of unit variance
        // added to them leaves Phi(1 / 2) = 0.69146.
        for _ in 0..400 {
            let correct: Vec<bool> = (0..150).map(|i| i % 3 != 0).collect();
            let one: Vec<f64> = correct
                .iter()
                .map(|&c| f64::from(rng.normal()) + f64::from(u8::from(c)))
                .collect();
            let other: Vec<f64> = one.iter().map(|x| x + f64::from(rng.normal())).collect();
            let (one, other) = (
                Ranking::new(&one, &correct).unwrap(),
                Ranking::new(&other, &correct).unwrap(),
            );
            let area = one.auroc();
            covered += u32::from((area.low..area.high).contains(&0.760_25));
            let difference = one.minus(&other).unwrap();
            covered_difference +=
                u32::from((difference.low..difference.high).contains(&(0.760_25 - 0.691_46)));
            let width = |low: f64, high: f64| high - low;
            let other = other.auroc();
            let unpaired = width(area.low, area.high).hypot(width(other.low, other.high));
            assert!(width(difference.low, difference.high) < 0.8 * unpaired);
        }
        assert!((370..=392).contains(&covered), "{covered}");
        assert!(
            (368..=392).contains(&covered_difference),
            "{covered_difference}"
        );
    }

    #[test]
    fn a_ranking_does_not_differ_from_itself_and_answers_may_differ() {
        let confidence = [0.9, 0.1, 0.8, 0.3, 0.5];
        let a = Ranking::new(&confidence, &[true, false, true, true, false]).unwrap();
        let none = a.minus(&a).unwrap();
        assert_eq!((none.value, none.low, none.high), (0.0, 0.0, 0.0));
        let b = Ranking::new(&confidence, &[false, false, true, true, true]).unwrap();
        assert!(a.minus(&b).unwrap().high > a.auroc().value - b.auroc().value);
    }

    #[test]
    fn bad_input_is_refused() {
        let check = |confidence: &[f64], correct: &[bool], expected: &str| {
            let error = Ranking::new(confidence, correct).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(&[1.0], &[true, false], "expected 2, found 1");
        check(&[1.0, 2.0], &[true, true], "no wrong answers");
        check(&[1.0, 2.0], &[false, false], "no right answers");
        check(&[1.0, f64::NAN], &[true, false], "image 1");
    }
}
