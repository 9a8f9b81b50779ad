//! What can go wrong, each message with the file or tensor, the facts and the remedy.

use std::{io, path::PathBuf};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Errors of mixing checkpoints and choosing coefficients.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `alpha` is not a number, or lies outside [0, 1] without leave to extrapolate.
    #[error("alpha {alpha} is outside [0, 1]; extrapolation must be asked for explicitly")]
    Alpha {
        /// The coefficient as given.
        alpha: f64,
    },
    /// Slices of different lengths cannot be interpolated.
    #[error("lengths differ: zero_shot {zero_shot}, fine_tuned {fine_tuned}, out {out} values")]
    Lengths {
        /// Values in `zero_shot`.
        zero_shot: usize,
        /// Values in `fine_tuned`.
        fine_tuned: usize,
        /// Values that `out` holds.
        out: usize,
    },
    /// Values that belong together are of different number.
    #[error("{what}: expected {expected} values, found {actual}")]
    Length {
        /// Whose values.
        what: String,
        /// As it should be.
        expected: usize,
        /// As it is.
        actual: usize,
    },
    /// A setting out of its range.
    #[error("{name} is {value}; it must be {allowed}")]
    Setting {
        /// Its name.
        name: String,
        /// The value as given.
        value: f64,
        /// What it may be.
        allowed: &'static str,
    },
    /// Nothing to merge or to search.
    #[error("{0}")]
    Nothing(&'static str),
    /// An objective's value is not a number, so that no point can be better.
    #[error("the score of the coefficients {coefficients:?} is not a number")]
    Score {
        /// The point.
        coefficients: Vec<f64>,
    },
    /// The optimiser refused its settings.
    #[error("cannot search coefficients: {0}")]
    Search(#[from] genoxide::Error),
    /// The file is not a complete safetensors file.
    #[error("{}: {problem}; {remedy}", path.display())]
    NotSafetensors {
        /// The file.
        path: PathBuf,
        /// What was found, with expected and actual bytes where they are known.
        problem: String,
        /// How to get a good file.
        remedy: &'static str,
    },
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The output could not be written; nothing is left of it.
    #[error("cannot write {} ({n_bytes} bytes): {source}; nothing was left behind", path.display())]
    Write {
        /// The output as asked for.
        path: PathBuf,
        /// Its full size.
        n_bytes: u64,
        /// The system's answer.
        source: io::Error,
    },
    /// An input file changed while it was being read.
    #[error("{} changed while it was being read; nothing was written, try again once it is complete", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The output would replace one of its own inputs.
    #[error("the output {} is also an input; choose another path", path.display())]
    OutputIsInput {
        /// The file.
        path: PathBuf,
    },
    /// Names, shapes or kinds of tensors differ between the two checkpoints.
    #[error(
        "{} and {} are not checkpoints of one architecture: {differences}",
        zero_shot.display(),
        fine_tuned.display()
    )]
    Incompatible {
        /// The zero-shot checkpoint.
        zero_shot: PathBuf,
        /// The fine-tuned checkpoint.
        fine_tuned: PathBuf,
        /// The first few differences of each kind.
        differences: String,
    },
    /// An integer or boolean tensor, which is carried over, differs.
    #[error(
        "{tensor}: {n_different} of {n} values differ between the checkpoints; \
         integer and boolean tensors are never interpolated and must be equal"
    )]
    CarriedDiffers {
        /// Name of the tensor.
        tensor: String,
        /// How many elements differ.
        n_different: u64,
        /// How many elements it has.
        n: u64,
    },
    /// An input holds NaN or infinite values.
    #[error("{}: NaN or infinite values in {tensors}; nothing was written", path.display())]
    NonFinite {
        /// The file.
        path: PathBuf,
        /// The first few tensors with their counts.
        tensors: String,
    },
    /// Finite inputs gave values that the output dtype cannot hold.
    #[error(
        "values overflow in {tensors}; nothing was written, choose a wider output dtype (f32 or bf16)"
    )]
    Overflow {
        /// The first few tensors with their counts and output dtypes.
        tensors: String,
    },
    /// A file that is no delta, or none that this version reads.
    #[error("{} is not a usable delta: {problem}; write it again with `cargo xtask delta write`", path.display())]
    NotDelta {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A delta was made from other weights.
    #[error(
        "{}: its weights are {found}, and {} was made from {expected}; {remedy}",
        base.display(),
        delta.display()
    )]
    WrongBase {
        /// The checkpoint.
        base: PathBuf,
        /// What its weights are.
        found: String,
        /// The delta.
        delta: PathBuf,
        /// What they should be.
        expected: String,
        /// What to do.
        remedy: String,
    },
    /// Two deltas that are compared have different bases.
    #[error(
        "{} was made from {a_base} and {} from {b_base}; only deltas of one base can be compared",
        a.display(),
        b.display()
    )]
    OtherBase {
        /// One delta.
        a: PathBuf,
        /// What it was made from.
        a_base: String,
        /// The other one.
        b: PathBuf,
        /// What that was made from.
        b_base: String,
    },
    /// A delta has tensors that its checkpoint has not.
    #[error("{} does not fit {}: {tensors}", delta.display(), base.display())]
    Foreign {
        /// The checkpoint, or the other delta.
        base: PathBuf,
        /// The delta.
        delta: PathBuf,
        /// The first few tensors.
        tensors: String,
    },
    /// A delta is to be removed that was not added.
    #[error(
        "{} does not say that it carries {} ({sha256}) with alpha {alpha}; it carries {carried}; \
         to subtract it all the same, allow other weights (--unrecorded)",
        path.display(),
        delta.display()
    )]
    NotCarried {
        /// The patched file.
        path: PathBuf,
        /// The delta.
        delta: PathBuf,
        /// The delta's SHA-256.
        sha256: String,
        /// The coefficient as given.
        alpha: f64,
        /// What the file says it carries.
        carried: String,
    },
    /// An accuracy that is not a fraction in [0, 1].
    #[error("validation accuracy {value} is not a fraction in [0, 1]")]
    Accuracy {
        /// The value as given.
        value: f64,
    },
    /// The candidates or the rule do not allow a choice.
    #[error("cannot choose alpha: {0}")]
    Candidates(String),
    /// A race got another number of answers than it asked for.
    #[error("asked about {expected} images, got {actual} answers")]
    Answers {
        /// Images asked about.
        expected: usize,
        /// Answers that came.
        actual: usize,
    },
}
