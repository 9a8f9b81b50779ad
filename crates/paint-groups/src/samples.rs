//! Embeddings with labels, and, apart from them, groups.

use std::borrow::Cow;

use paint_data::Rng;

use crate::{Error, Result, error::check_size};

/// Embeddings with class labels and nothing else: what a method without group labels may see.
#[derive(Clone, Debug)]
pub struct Samples<'a> {
    embeddings: Cow<'a, [f32]>,
    width: usize,
    labels: Cow<'a, [u32]>,
    n_classes: usize,
}

impl<'a> Samples<'a> {
    /// `embeddings`: [n, width] row by row, of any length each; `labels`: `[n]`.
    ///
    /// # Errors
    /// If there are none, the sizes do not fit, a label is not below `n_classes`, or a value is not
    /// finite.
    pub fn new(
        embeddings: &'a [f32],
        width: usize,
        labels: &'a [u32],
        n_classes: usize,
    ) -> Result<Self> {
        if labels.is_empty() || width == 0 {
            return Err(Error::Empty { what: "samples" });
        }
        check_size(
            "values of embeddings",
            labels.len() * width,
            embeddings.len(),
        )?;
        check_below("label", labels, n_classes)?;
        if let Some(place) = embeddings.iter().position(|x| !x.is_finite()) {
            return Err(Error::NotFinite {
                sample: place / width,
            });
        }
        Ok(Self {
            embeddings: Cow::Borrowed(embeddings),
            width,
            labels: Cow::Borrowed(labels),
            n_classes,
        })
    }

    /// Number of samples, at least 1.
    #[expect(
        clippy::len_without_is_empty,
        reason = "there is always at least one sample"
    )]
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Width of an embedding.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of classes.
    #[must_use]
    pub fn n_classes(&self) -> usize {
        self.n_classes
    }

    /// Class of each sample: `[n]`.
    #[must_use]
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    pub(crate) fn embeddings(&self) -> &[f32] {
        &self.embeddings
    }

    pub(crate) fn label(&self, row: usize) -> usize {
        self.labels[row] as usize
    }

    /// The embeddings of these rows, one after the other.
    pub(crate) fn gather(&self, rows: &[usize]) -> Vec<f32> {
        let mut values = Vec::with_capacity(rows.len() * self.width);
        for &row in rows {
            values.extend_from_slice(&self.embeddings[row * self.width..][..self.width]);
        }
        values
    }

    /// Copies of some of the samples.
    ///
    /// # Errors
    /// If `rows` is empty or one of them does not exist.
    pub fn subset(&self, rows: &[usize]) -> Result<Samples<'static>> {
        check_rows(rows, self.len())?;
        Ok(Samples {
            embeddings: Cow::Owned(self.gather(rows)),
            width: self.width,
            labels: Cow::Owned(rows.iter().map(|&row| self.labels[row]).collect()),
            n_classes: self.n_classes,
        })
    }

    /// A random `share` of the samples and the rest, for methods that train twice (AFR).
    ///
    /// # Errors
    /// If one of the two would be empty.
    pub fn split(&self, share: f64, seed: u64) -> Result<(Samples<'static>, Samples<'static>)> {
        let mut rows: Vec<usize> = (0..self.len()).collect();
        Rng::derive(seed, &[SPLIT]).shuffle(&mut rows);
        let n_first = (share.clamp(0.0, 1.0) * self.len() as f64).round() as usize;
        let (first, second) = rows.split_at_mut(n_first);
        first.sort_unstable();
        second.sort_unstable();
        Ok((self.subset(first)?, self.subset(second)?))
    }
}

/// Stream of random numbers for splits.
const SPLIT: u64 = 1;

/// The group of each sample, a class together with a value of the attribute.
///
/// Group `class * n_attributes + attribute`; it is made from labels and *one* attribute, and only
/// what takes [`GroupedSamples`] or this can see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groups {
    of_sample: Vec<u32>,
    n_classes: usize,
    n_attributes: usize,
}

/// A column that a model may rely on wrongly, such as what is behind an object.
#[derive(Clone, Copy, Debug)]
pub struct Attribute<'a> {
    /// Its name, for messages.
    pub name: &'a str,
    /// Value of each sample: `[n]`, below `n_values`.
    pub values: &'a [u32],
    /// How many values there can be, in any split.
    pub n_values: usize,
}

impl Groups {
    /// # Errors
    /// [`Error::MissingAttribute`], [`Error::AttributeLength`], [`Error::ConstantAttribute`], or if
    /// a label or value is out of range.
    pub fn new(labels: &[u32], n_classes: usize, attribute: Attribute<'_>) -> Result<Self> {
        let Attribute {
            name,
            values,
            n_values,
        } = attribute;
        let name = || name.to_owned();
        let Some(&first) = values.first() else {
            return Err(Error::MissingAttribute { name: name() });
        };
        if labels.len() != values.len() {
            return Err(Error::AttributeLength {
                name: name(),
                n_labels: labels.len(),
                n_attributes: values.len(),
            });
        }
        check_below("label", labels, n_classes)?;
        check_below("attribute", values, n_values)?;
        if values.iter().all(|&value| value == first) {
            return Err(Error::ConstantAttribute {
                name: name(),
                value: first,
                n: values.len(),
            });
        }
        let group = |(&label, &value): (&u32, &u32)| label * n_values as u32 + value;
        Ok(Self {
            of_sample: labels.iter().zip(values).map(group).collect(),
            n_classes,
            n_attributes: n_values,
        })
    }

    /// Number of groups, empty ones too.
    #[must_use]
    pub fn n_groups(&self) -> usize {
        self.n_classes * self.n_attributes
    }

    /// Group of each sample: `[n]`.
    #[must_use]
    pub fn of_sample(&self) -> &[u32] {
        &self.of_sample
    }

    /// Class and attribute of a group.
    #[must_use]
    pub fn parts(&self, group: usize) -> (u32, u32) {
        let n = self.n_attributes;
        ((group / n) as u32, (group % n) as u32)
    }

    /// Number of samples in each group.
    #[must_use]
    pub fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.n_groups()];
        for &group in &self.of_sample {
            counts[group as usize] += 1;
        }
        counts
    }

    /// Rows of each group; an error if one has none.
    pub(crate) fn rows(&self, method: &'static str) -> Result<Vec<Vec<usize>>> {
        let mut rows = vec![Vec::new(); self.n_groups()];
        for (row, &group) in self.of_sample.iter().enumerate() {
            rows[group as usize].push(row);
        }
        match rows.iter().position(Vec::is_empty) {
            Some(group) => Err(self.empty(group, "", method)),
            None => Ok(rows),
        }
    }

    pub(crate) fn empty(&self, group: usize, of: &'static str, method: &'static str) -> Error {
        let (class, attribute) = self.parts(group);
        Error::EmptyGroup {
            class,
            attribute,
            of,
            method,
        }
    }

    fn subset(&self, rows: &[usize]) -> Self {
        Self {
            of_sample: rows.iter().map(|&row| self.of_sample[row]).collect(),
            ..*self
        }
    }
}

/// Samples whose groups are known: only for oracles ([`dfr`](crate::dfr),
/// [`group_dro`](crate::group_dro)) and for choosing on validation.
#[derive(Clone, Debug)]
pub struct GroupedSamples<'a> {
    samples: Samples<'a>,
    groups: Cow<'a, Groups>,
}

impl<'a> GroupedSamples<'a> {
    /// # Errors
    /// If the groups are not those of these samples.
    pub fn new(samples: Samples<'a>, groups: &'a Groups) -> Result<Self> {
        check_size("groups of samples", samples.len(), groups.of_sample.len())?;
        check_size("classes of the groups", samples.n_classes, groups.n_classes)?;
        for (row, &group) in groups.of_sample.iter().enumerate() {
            let expected = samples.label(row);
            check_size(
                "class of a sample's group",
                expected,
                groups.parts(group as usize).0 as usize,
            )?;
        }
        Ok(Self {
            samples,
            groups: Cow::Borrowed(groups),
        })
    }

    /// The samples without their groups.
    #[must_use]
    pub fn samples(&self) -> &Samples<'a> {
        &self.samples
    }

    /// Their groups.
    #[must_use]
    pub fn groups(&self) -> &Groups {
        &self.groups
    }

    pub(crate) fn subset(&self, rows: &[usize]) -> Result<GroupedSamples<'static>> {
        Ok(GroupedSamples {
            samples: self.samples.subset(rows)?,
            groups: Cow::Owned(self.groups.subset(rows)),
        })
    }
}

fn check_below(what: &'static str, values: &[u32], n: usize) -> Result<()> {
    match values.iter().position(|&value| value as usize >= n) {
        Some(sample) => Err(Error::Range {
            sample,
            what,
            value: values[sample],
            n,
        }),
        None => Ok(()),
    }
}

fn check_rows(rows: &[usize], n: usize) -> Result<()> {
    if rows.is_empty() {
        return Err(Error::Empty { what: "samples" });
    }
    match rows.iter().find(|&&row| row >= n) {
        Some(&row) => Err(Error::Size {
            what: "a sample's position, at most",
            expected: n - 1,
            actual: row,
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(values: &[u32]) -> Attribute<'_> {
        Attribute {
            name: "background",
            values,
            n_values: 2,
        }
    }

    #[test]
    fn groups_are_class_by_attribute() {
        let groups = Groups::new(&[0, 0, 1, 1], 2, attribute(&[0, 1, 0, 0])).unwrap();
        assert_eq!(groups.of_sample(), [0, 1, 2, 2]);
        assert_eq!(
            (groups.counts(), groups.parts(2)),
            (vec![1, 1, 2, 0], (1, 0))
        );
        let error = groups.rows("DFR").unwrap_err().to_string();
        let expected =
            "the group of class 1 with attribute 1 has no samples; DFR needs every group";
        assert_eq!(error, expected);
    }

    #[test]
    fn bad_columns_are_refused_in_one_line() {
        let check = |labels: &[u32], values: &[u32], expected: &str| {
            let error = Groups::new(labels, 2, attribute(values)).unwrap_err();
            let error = error.to_string();
            assert!(error.contains(expected) && !error.contains('\n'), "{error}");
        };
        check(
            &[0, 1],
            &[],
            "background has no values: its column is missing",
        );
        check(&[0, 1], &[1, 1], "background is 1 for all 2 samples");
        check(
            &[0, 1],
            &[1],
            "2 labels but 1 values of the attribute background",
        );
        check(&[0, 1], &[0, 2], "sample 1: attribute 2 is not below 2");
        check(&[2, 1], &[0, 1], "sample 0: label 2");
    }

    #[test]
    fn samples_are_checked_and_cut() {
        let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let samples = Samples::new(&values, 2, &[0, 1, 0], 2).unwrap();
        let some = samples.subset(&[2, 0]).unwrap();
        assert_eq!(
            (some.embeddings(), some.labels()),
            (&[5.0, 6.0, 1.0, 2.0][..], &[0, 0][..])
        );
        let (two, one) = samples.split(2.0 / 3.0, 1).unwrap();
        assert_eq!((two.len(), one.len()), (2, 1));
        assert!(samples.split(1.0, 1).is_err() && samples.subset(&[3]).is_err());
        assert!(Samples::new(&values, 2, &[0, 1], 2).is_err());
        assert!(Samples::new(&values, 2, &[0, 1, 2], 2).is_err());
        assert!(Samples::new(&[], 2, &[], 2).is_err());
        let error = Samples::new(&[0.0, f32::NAN], 1, &[0, 0], 1).unwrap_err();
        assert!(error.to_string().contains("sample 1"));
        let groups = Groups::new(&[0, 1, 1], 2, attribute(&[0, 1, 0])).unwrap();
        assert!(GroupedSamples::new(samples, &groups).is_err());
    }
}
