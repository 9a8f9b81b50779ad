//! What re-ranking changed, on the low-confidence images and on all.

use std::collections::BTreeMap;

use paint_eval::{Difference, Paired, Predictions, Proportion};

use crate::{Phrases, Result, error::check_size};

/// Accuracy before and after, of the same images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// Before re-ranking.
    pub before: Proportion,
    /// After it.
    pub after: Proportion,
    /// After minus before, paired.
    pub difference: Difference,
}

/// What re-ranking did to one base: bare names, or the prompt ensemble.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RerankReport {
    /// Over all images.
    pub all: Change,
    /// In the low-confidence set; none if it is empty.
    pub low: Option<Change>,
    /// How often the class is among the five in the low-confidence set, which re-ranking cannot
    /// exceed.
    pub low_top5: Option<Proportion>,
    /// Images wrong before and right after.
    pub n_fixed: u64,
    /// Images right before and wrong after.
    pub n_broken: u64,
}

impl RerankReport {
    /// `low`: `[n]`, the low-confidence set.
    ///
    /// # Errors
    /// If the predictions are not of the same images, or `low` has another length.
    pub fn new(before: &Predictions, after: &Predictions, low: &[bool]) -> Result<Self> {
        check_size("low-confidence marks of images", before.len(), low.len())?;
        let pairs = || before.correct().into_iter().zip(after.correct());
        let all = change(before, after)?;
        let (low_change, low_top5) = match low.contains(&true) {
            true => {
                let (before, after) = (before.subset(low)?, after.subset(low)?);
                (Some(change(&before, &after)?), Some(before.top5()))
            }
            false => (None, None),
        };
        Ok(Self {
            all,
            low: low_change,
            low_top5,
            n_fixed: pairs().filter(|&(b, a)| !b && a).count() as u64,
            n_broken: pairs().filter(|&(b, a)| b && !a).count() as u64,
        })
    }
}

fn change(before: &Predictions, after: &Predictions) -> Result<Change> {
    Ok(Change {
        before: before.accuracy(),
        after: after.accuracy(),
        difference: Paired::new(before, after)?.difference(),
    })
}

/// The change on the images of classes with each number of children: a maximum over many phrases
/// favours their class, which this shows.
///
/// # Errors
/// If the predictions are not of the same images or have other classes than the phrases.
pub fn by_number_of_children(
    before: &Predictions,
    after: &Predictions,
    phrases: &Phrases,
) -> Result<BTreeMap<usize, Change>> {
    check_size(
        "classes of the phrases",
        before.n_classes(),
        phrases.n_classes(),
    )?;
    let n_children: Vec<usize> = before
        .labels()
        .iter()
        .map(|&label| phrases.n_children()[label as usize])
        .collect();
    let mut numbers = n_children.clone();
    numbers.sort_unstable();
    numbers.dedup();
    let of = |number: usize| {
        let chosen: Vec<bool> = n_children.iter().map(|&n| n == number).collect();
        let change = change(&before.subset(&chosen)?, &after.subset(&chosen)?)?;
        Ok((number, change))
    };
    numbers.into_iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Augmentation, Sparse, parse_toml_tree};

    fn predictions(labels: &[u32], best: &[u32]) -> Predictions {
        let ranked = best.iter().flat_map(|&b| [b, (b + 1) % 3, (b + 2) % 3]);
        Predictions::new(labels.to_vec(), ranked.collect(), 3).unwrap()
    }

    #[test]
    fn counts_by_hand() {
        let labels = [0, 1, 2, 0, 1];
        let before = predictions(&labels, &[0, 0, 0, 1, 1]);
        let after = predictions(&labels, &[0, 1, 2, 1, 0]);
        let low = [false, true, true, true, true];
        let report = RerankReport::new(&before, &after, &low).unwrap();
        assert_eq!((report.n_fixed, report.n_broken), (2, 1));
        assert_eq!(
            (report.all.before.value, report.all.after.value),
            (0.4, 0.6)
        );
        let inside = report.low.unwrap();
        assert_eq!((inside.before.value, inside.after.value), (0.25, 0.5));
        assert_eq!((inside.difference.value, inside.difference.n), (0.25, 4));
        assert_eq!(report.low_top5.unwrap().value, 1.0);
        let none = RerankReport::new(&before, &before, &[false; 5]).unwrap();
        assert_eq!((none.low, none.all.difference.value), (None, 0.0));
        assert!(RerankReport::new(&before, &after, &[true]).is_err());
    }

    #[test]
    fn by_children() {
        let h = parse_toml_tree("a = ['x', 'y']\nb = []\nc = []", "t").unwrap();
        let names = ["a", "b", "c"].map(str::to_owned);
        let ids = names.clone().map(Some);
        let phrases =
            Phrases::new(&Sparse::all(&h), &names, &ids, Augmentation::default()).unwrap();
        let labels = [0, 1, 2, 0];
        let (before, after) = (
            predictions(&labels, &[0, 0, 0, 1]),
            predictions(&labels, &[0, 1, 0, 0]),
        );
        let found = by_number_of_children(&before, &after, &phrases).unwrap();
        let shares: Vec<_> = found
            .iter()
            .map(|(&n, change)| (n, change.before.value, change.after.value))
            .collect();
        assert_eq!(shares, [(0, 0.0, 0.5), (2, 0.5, 1.0)]);
    }
}
