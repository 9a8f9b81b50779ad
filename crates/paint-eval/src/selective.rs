//! Accuracy when the least certain answers are held back.

use crate::{
    Error, Result,
    auroc::{by_falling_confidence, check},
};

/// Accuracy of the surest images, for every number of them.
///
/// Where equal confidences are cut, each of them is as likely to stay: the curve does not depend on
/// the order of the images.
#[derive(Clone, Debug, PartialEq)]
pub struct SelectiveCurve {
    /// Accuracy of the k + 1 surest images: `[n]`.
    accuracy: Vec<f64>,
}

impl SelectiveCurve {
    /// `confidence`: `[n]`, more is surer; `correct`: `[n]`.
    ///
    /// # Errors
    /// [`Error::Size`] if the lengths differ, [`Error::Empty`] without images,
    /// [`Error::NanConfidence`].
    pub fn new(confidence: &[f64], correct: &[bool]) -> Result<Self> {
        check(confidence, correct)?;
        if correct.is_empty() {
            return Err(Error::Empty { what: "images" });
        }
        let order = by_falling_confidence(confidence);
        let mut accuracy = Vec::with_capacity(order.len());
        let mut right_above = 0.0;
        for tied in order.chunk_by(|&a, &b| confidence[a] == confidence[b]) {
            let right = tied.iter().filter(|&&i| correct[i]).count() as f64;
            for taken in 1..=tied.len() {
                let share = taken as f64 / tied.len() as f64;
                accuracy.push((right_above + right * share) / (accuracy.len() + 1) as f64);
            }
            right_above += right;
        }
        Ok(Self { accuracy })
    }

    /// Accuracy when the share `abstained` in [0, 1) of the images, the least certain, is held
    /// back; at least one image is answered.
    #[must_use]
    pub fn accuracy(&self, abstained: f64) -> f64 {
        let n = self.accuracy.len();
        let answered = ((1.0 - abstained.clamp(0.0, 1.0)) * n as f64).round() as usize;
        self.accuracy[answered.clamp(1, n) - 1]
    }

    /// Mean accuracy over all shares held back.
    #[must_use]
    pub fn area(&self) -> f64 {
        self.accuracy.iter().sum::<f64>() / self.accuracy.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let curve =
            SelectiveCurve::new(&[0.1, 0.9, 0.5, 0.7], &[false, true, false, true]).unwrap();
        assert_eq!(curve.accuracy, [1.0, 1.0, 2.0 / 3.0, 0.5]);
        assert_eq!((curve.accuracy(0.0), curve.accuracy(0.5)), (0.5, 1.0));
        assert_eq!(
            (curve.accuracy(0.25), curve.accuracy(1.0)),
            (2.0 / 3.0, 1.0)
        );
        assert!((curve.area() - (2.0 + 2.0 / 3.0 + 0.5) / 4.0).abs() < 1e-12);
    }

    #[test]
    fn ties_do_not_depend_on_the_order_of_images() {
        let one = SelectiveCurve::new(&[1.0, 1.0, 0.0], &[true, false, true]).unwrap();
        let other = SelectiveCurve::new(&[1.0, 1.0, 0.0], &[false, true, true]).unwrap();
        assert_eq!(one, other);
        assert_eq!(one.accuracy, [0.5, 0.5, 2.0 / 3.0]);
    }

    #[test]
    fn nothing_and_nan_are_refused() {
        assert!(matches!(
            SelectiveCurve::new(&[], &[]),
            Err(Error::Empty { .. })
        ));
        assert!(matches!(
            SelectiveCurve::new(&[f64::NAN], &[true]),
            Err(Error::NanConfidence { image: 0 })
        ));
    }
}
