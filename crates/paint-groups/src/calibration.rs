//! Which training samples CFR pulls at, and where to.

use paint_nn::times_transposed;

use crate::{Classifier, Error, Result, Samples};

/// What a classifier's answers to the training samples say of them; no group labels.
///
/// The misclassified samples are the anchors. Positives come from the samples of a class that are
/// classified right, negatives from all samples of the other classes. The judge may be the ERM
/// classifier (the public code) or the zero-shot one (the abstract).
#[derive(Clone, Debug)]
pub struct CalibrationSet {
    anchors: Vec<usize>,
    /// Rows of each class that are classified right.
    pub(crate) correct: Vec<Vec<usize>>,
    /// Rows of the other classes, for each class.
    pub(crate) others: Vec<Vec<usize>>,
    /// All rows of each class.
    pub(crate) all: Vec<Vec<usize>>,
    /// Unit embeddings under the judge: [n, width].
    embeddings: Vec<f32>,
    width: usize,
}

impl CalibrationSet {
    /// # Errors
    /// If sizes do not fit, a class has no samples, or none of an anchor's class is right.
    pub fn new(judge: &Classifier, train: &Samples<'_>) -> Result<Self> {
        let embeddings = judge.embed(train)?;
        let predicted = judge.classes(&embeddings);
        let n_classes = train.n_classes();
        let rows_where = |wanted: &dyn Fn(usize) -> bool| -> Vec<usize> {
            (0..train.len()).filter(|&row| wanted(row)).collect()
        };
        let is_right = |row: usize| predicted[row] == train.labels()[row];
        let by_class = |wanted: &dyn Fn(usize, usize) -> bool| -> Vec<Vec<usize>> {
            (0..n_classes)
                .map(|class| rows_where(&|row| wanted(row, class)))
                .collect()
        };
        let set = Self {
            anchors: rows_where(&|row| !is_right(row)),
            correct: by_class(&|row, class| train.label(row) == class && is_right(row)),
            others: by_class(&|row, class| train.label(row) != class),
            all: by_class(&|row, class| train.label(row) == class),
            embeddings,
            width: judge.width,
        };
        set.check(train)?;
        Ok(set)
    }

    fn check(&self, train: &Samples<'_>) -> Result<()> {
        if let Some(class) = self.all.iter().position(Vec::is_empty) {
            return Err(Error::NoSamples {
                class: class as u32,
            });
        }
        let lacking = |&&row: &&usize| self.correct[train.label(row)].is_empty();
        match self.anchors.iter().find(lacking) {
            Some(&row) => Err(Error::NoPositives {
                class: train.labels()[row],
            }),
            None => Ok(()),
        }
    }

    /// Training samples that the judge gets wrong.
    #[must_use]
    pub fn anchors(&self) -> &[usize] {
        &self.anchors
    }

    /// For every anchor the `n` samples of other classes with the largest cosines under the judge,
    /// the nearest first; all of them if there are fewer.
    pub(crate) fn nearest_others(&self, train: &Samples<'_>, n: usize) -> Vec<Vec<usize>> {
        let mut nearest = Vec::with_capacity(self.anchors.len());
        for anchors in self.anchors.chunks(256) {
            let rows = anchors.iter().flat_map(|&row| self.embedding(row));
            let rows: Vec<f32> = rows.copied().collect();
            let cosines = times_transposed(&rows, &self.embeddings, self.width);
            for (&anchor, cosines) in anchors.iter().zip(cosines.chunks_exact(train.len())) {
                let mut others = self.others[train.label(anchor)].clone();
                let n = n.min(others.len());
                let order =
                    |a: &usize, b: &usize| cosines[*b].total_cmp(&cosines[*a]).then(a.cmp(b));
                if n < others.len() {
                    others.select_nth_unstable_by(n, order);
                    others.truncate(n);
                }
                others.sort_by(order);
                nearest.push(others);
            }
        }
        nearest
    }

    fn embedding(&self, row: usize) -> &[f32] {
        &self.embeddings[row * self.width..][..self.width]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_and_banks_by_hand() {
        let values = [1.0, 0.0, 0.9, 0.1, 0.1, 0.9, 0.0, 1.0, 0.7, 0.2, 1.0, 0.9];
        let train = Samples::new(&values, 2, &[0, 0, 0, 1, 1, 1], 2).unwrap();
        let judge = Classifier::zero_shot(&[1.0, 0.0, 0.0, 1.0], 2).unwrap();
        let set = CalibrationSet::new(&judge, &train).unwrap();
        assert_eq!(set.anchors(), [2, 4, 5]);
        assert_eq!(set.correct, [vec![0, 1], vec![3]]);
        assert_eq!(set.others, [vec![3, 4, 5], vec![0, 1, 2]]);
        let nearest = set.nearest_others(&train, 2);
        assert_eq!(nearest, [vec![3, 5], vec![1, 0], vec![1, 2]]);
        assert_eq!(set.nearest_others(&train, 9)[0], [3, 5, 4]);
    }

    #[test]
    fn classes_without_samples_or_right_answers_are_refused() {
        let judge = Classifier::zero_shot(&[1.0, 0.0, 0.0, 1.0], 2).unwrap();
        let check = |labels: &[u32], expected: &str| {
            let train = Samples::new(&[1.0, 0.0, 0.9, 0.1], 2, labels, 2).unwrap();
            let error = CalibrationSet::new(&judge, &train).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(&[0, 0], "class 1 has no training samples");
        check(
            &[0, 1],
            "class 1: the judging classifier gets no training sample right",
        );
    }
}
