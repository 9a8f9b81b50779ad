//! What can go wrong, with the sample, group or setting.

/// What this crate's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Errors of samples, groups and training.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Sizes that must agree do not.
    #[error("{what}: expected {expected}, found {actual}")]
    Size {
        /// What was counted.
        what: &'static str,
        /// As it should be.
        expected: usize,
        /// As it is.
        actual: usize,
    },
    /// Nothing where something is needed.
    #[error("no {what}; at least one is needed")]
    Empty {
        /// What is missing.
        what: &'static str,
    },
    /// A class, attribute or group that does not exist.
    #[error("sample {sample}: {what} {value} is not below {n}, the number of them")]
    Range {
        /// Position of the sample.
        sample: usize,
        /// "label" or "attribute".
        what: &'static str,
        /// The value.
        value: u32,
        /// How many there are.
        n: usize,
    },
    /// An embedding is not finite.
    #[error("sample {sample}: the embedding is not finite; compute it again")]
    NotFinite {
        /// Position of the sample.
        sample: usize,
    },
    /// The column of the attribute is not there.
    #[error("the attribute {name} has no values: its column is missing")]
    MissingAttribute {
        /// Name of the attribute.
        name: String,
    },
    /// An attribute that cannot be relied on wrongly, since it never changes.
    #[error("the attribute {name} is {value} for all {n} samples; groups need one that varies")]
    ConstantAttribute {
        /// Name of the attribute.
        name: String,
        /// Its only value.
        value: u32,
        /// Number of samples.
        n: usize,
    },
    /// Labels and attributes are not of the same samples.
    #[error("{n_labels} labels but {n_attributes} values of the attribute {name}")]
    AttributeLength {
        /// Name of the attribute.
        name: String,
        /// Number of labels.
        n_labels: usize,
        /// Number of attribute values.
        n_attributes: usize,
    },
    /// A group without samples where every group is needed.
    #[error(
        "the group of class {class} with attribute {attribute} has no samples{of}; {method} needs \
         every group"
    )]
    EmptyGroup {
        /// Class of the group.
        class: u32,
        /// Attribute of the group.
        attribute: u32,
        /// Of which data, or nothing.
        of: &'static str,
        /// What needs it.
        method: &'static str,
    },
    /// A class of which no training sample is classified right, so that it has no positives.
    #[error(
        "class {class}: the judging classifier gets no training sample right, so that CFR has no \
         positives for it; train it longer or judge with the zero-shot classifier"
    )]
    NoPositives {
        /// The class.
        class: u32,
    },
    /// A class without samples of other classes or without samples.
    #[error("class {class} has no training samples; leave it out or add some")]
    NoSamples {
        /// The class.
        class: u32,
    },
    /// A setting outside its range.
    #[error("{name} = {value}: {problem}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What it must be.
        problem: &'static str,
    },
    /// The loss is no longer a number.
    #[error("the loss is not finite in epoch {epoch}; lower the learning rate {learning_rate}")]
    Diverged {
        /// Epoch, from 0.
        epoch: usize,
        /// The learning rate it was trained with.
        learning_rate: f64,
    },
    /// The statistics refused their input.
    #[error(transparent)]
    Eval(#[from] paint_eval::Error),
}

pub(crate) fn check_size(what: &'static str, expected: usize, actual: usize) -> Result<()> {
    match expected == actual {
        true => Ok(()),
        false => Err(Error::Size {
            what,
            expected,
            actual,
        }),
    }
}

/// Fails unless the setting is in the range.
pub(crate) fn check_setting(
    name: &'static str,
    value: f64,
    is_sound: bool,
    problem: &'static str,
) -> Result<()> {
    match is_sound {
        true => Ok(()),
        false => Err(Error::Setting {
            name,
            value,
            problem,
        }),
    }
}
