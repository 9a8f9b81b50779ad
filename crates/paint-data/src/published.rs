//! What a manifest promises of its dataset.

use serde::{Deserialize, Serialize};

use crate::SplitName;

/// What was published of a dataset, as numbers that its files can be compared with: the table
/// `[published]` of a manifest. What is not known is left out.
///
/// ```toml
/// [published]
/// rows = { train = 21_600, test = 2_700 }
/// bytes = 82_630_000
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Published {
    /// Images of each split as the dataset divides them, before any is set aside for validation.
    pub rows: PerSplit,
    /// Size of the files of these splits together; often rounded to three digits.
    pub bytes: Option<u64>,
}

/// A number for each split that the dataset has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PerSplit {
    /// Training images.
    pub train: Option<u64>,
    /// Validation images, where the dataset has its own.
    pub validation: Option<u64>,
    /// Test images.
    pub test: Option<u64>,
}

impl PerSplit {
    /// The number of one split.
    pub fn get(&self, split: SplitName) -> Option<u64> {
        match split {
            SplitName::Train => self.train,
            SplitName::Validation => self.validation,
            SplitName::Test => self.test,
        }
    }
}
