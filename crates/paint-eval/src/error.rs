//! What can go wrong, with what was expected and what was found.

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Errors of predicting and of statistics.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The system refused a thread.
    #[error("cannot start the threads that encode images: {0}")]
    Threads(rayon::ThreadPoolBuildError),
    /// An accuracy of nothing is not defined.
    #[error("no {what} to compute from; at least one is needed")]
    Empty {
        /// What is missing.
        what: &'static str,
    },
    /// Two things that must have the same size do not.
    #[error("{what}: expected {expected}, found {actual}")]
    Size {
        /// What was counted.
        what: &'static str,
        /// As it should be.
        expected: usize,
        /// As it is.
        actual: usize,
    },
    /// A label or a predicted class is not one of the classes.
    #[error("image {image}: {what} {class} is not below the number of classes {n_classes}")]
    Class {
        /// Position of the image.
        image: usize,
        /// "label" or "predicted class".
        what: &'static str,
        /// The class index.
        class: u32,
        /// Number of classes.
        n_classes: usize,
    },
    /// A logit is not a number; weights or pixels are broken.
    #[error("image {image}, class {class}: the logit is NaN; check the weights for NaN")]
    NanLogit {
        /// Position of the image.
        image: usize,
        /// The class index.
        class: usize,
    },
    /// A confidence is not a number, so that it has no place in an order.
    #[error("image {image}: the confidence is NaN")]
    NanConfidence {
        /// Position of the image.
        image: usize,
    },
    /// The same class is listed twice for one image.
    #[error("image {image}: class {class} is ranked twice")]
    RankedTwice {
        /// Position of the image.
        image: usize,
        /// The class index.
        class: u32,
    },
    /// More successes than trials.
    #[error("{n_correct} correct of {n} images is impossible")]
    Count {
        /// Successes.
        n_correct: u64,
        /// Trials.
        n: u64,
    },
    /// A paired comparison needs the same images on both sides.
    #[error(
        "not the same images: image {image} has label {before} in one and {after} in the other"
    )]
    Labels {
        /// Position of the first difference.
        image: usize,
        /// Label on the first side.
        before: u32,
        /// Label on the second side.
        after: u32,
    },
    /// As [`Error::Labels`], known before any label is compared.
    #[error("not the same images: {before} in one and {after} in the other")]
    Images {
        /// What the images of the first side are.
        before: String,
        /// What those of the second side are.
        after: String,
    },
    /// A batch too small for an unbiased estimate.
    #[error(
        "a batch of {n} images; CKA needs at least {} in each",
        crate::cka::MIN_BATCH
    )]
    Batch {
        /// Images in the batch.
        n: usize,
    },
    /// A feature is NaN or infinite; weights or pixels are broken.
    #[error("image {image}: a feature is NaN or infinite; check the weights for NaN")]
    NotFinite {
        /// Position of the image, counted over all batches.
        image: usize,
    },
    /// Features that are the same for all images are alike to nothing.
    #[error("the features of one model do not vary between images; CKA is not defined")]
    Constant,
    /// The model or its inputs failed.
    #[error(transparent)]
    Clip(#[from] paint_clip::Error),
    /// The table of pixels failed.
    #[error(transparent)]
    Data(#[from] paint_data::Error),
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}
