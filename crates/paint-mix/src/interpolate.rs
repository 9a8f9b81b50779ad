//! Two checkpoints and a coefficient to a third, in bounded memory.

use crate::{
    Error, FloatDtype, Result,
    blend::Blend,
    checkpoint::{Checkpoint, Entry},
    compatibility::{Pairing, pair},
    element::Kind,
    plan::Plan,
    publish::Sibling,
    stream::write,
    survey::{scan, survey},
};
use serde::Serialize;
use std::{collections::BTreeMap, num::NonZeroUsize, path::Path};

/// Settings of [`interpolate`].
#[derive(Clone, Debug)]
pub struct Options {
    /// Element type of every floating-point tensor of the output; by default the zero-shot
    /// tensor's if both sides have the same, else f32.
    pub output_dtype: Option<FloatDtype>,
    /// Whether `alpha` may lie outside [0, 1].
    pub extrapolate: bool,
    /// Elements that a thread works on at a time; any number gives the same bytes. Memory is at most
    /// 32 bytes times this for each thread, and 32 bytes for each chunk of the output.
    pub chunk_elements: NonZeroUsize,
    /// Whether the report has the SHA-256 of the three files (by default it has). Hashing takes
    /// longer than reading, interpolating and writing together.
    pub checksums: bool,
    /// Whether the output is on the disk before it appears under its name (by default it is). If
    /// not, a power failure soon after may leave it damaged, as after most tools' writes.
    pub durable: bool,
}

impl Default for Options {
    fn default() -> Self {
        let chunk_elements = NonZeroUsize::new(1 << 15).expect("32,768 is not zero");
        Self {
            output_dtype: None,
            extrapolate: false,
            chunk_elements,
            checksums: true,
            durable: true,
        }
    }
}

/// How an output came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// `alpha` = 0: the zero-shot file, byte for byte.
    CopiedZeroShot,
    /// `alpha` = 1: the fine-tuned file, byte for byte.
    CopiedFineTuned,
    /// Tensor by tensor.
    Interpolated,
}

/// A file's size and content hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileIdentity {
    /// Size.
    pub n_bytes: u64,
    /// SHA-256 in hexadecimal, if [`Options::checksums`] asks for it.
    pub sha256: Option<String>,
}

/// What [`interpolate`] did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The coefficient.
    pub alpha: f64,
    /// Copied or interpolated.
    pub method: Method,
    /// Floating-point tensors of the output.
    pub n_interpolated: usize,
    /// Integer and boolean tensors of the output.
    pub n_carried: usize,
    /// Values in all floating-point tensors.
    pub n_parameters: u64,
    /// Number of tensors of the output by dtype, spelled as in the file.
    pub dtypes: BTreeMap<String, usize>,
    /// `position_ids` buffers that only one input has.
    pub one_sided: Vec<String>,
    /// The zero-shot file.
    pub zero_shot: FileIdentity,
    /// The fine-tuned file.
    pub fine_tuned: FileIdentity,
    /// The file written.
    pub output: FileIdentity,
}

/// Writes `(1 - alpha) * zero_shot + alpha * fine_tuned` to `output`.
///
/// Inputs are two `model.safetensors` files of one architecture. Floats (f16, bf16, f32, f64, also
/// mixed) are interpolated in f32 by the formula of [`interpolate_values`](crate::interpolate_values)
/// and rounded once to the output's dtype, to nearest; f64 inputs are rounded to f32 first.
/// Integers and booleans must be equal and are carried over; a `position_ids` buffer may be
/// missing on one side and is kept if the zero-shot file has it. At `alpha` = 0 and 1 the output is
/// a byte-exact copy of the input, unless [`Options::output_dtype`] asks for another dtype.
///
/// Names, shapes and dtypes are compared before any tensor is read. Of a copied checkpoint's
/// counterpart the values do not matter and may be anything. Tensors are streamed by positioned
/// reads and writes, on all threads, in chunks of [`Options::chunk_elements`]; hashes are found in
/// passes of their own. The output is a temporary sibling until it is complete
/// and synchronised ([`Options::durable`]), so after an error there is none; its header lists names in order with the metadata
/// `{"format":"pt"}`, wider elements' data first as the reference writer does.
///
/// # Errors
/// [`Error::Alpha`], [`Error::NotSafetensors`], [`Error::Incompatible`], [`Error::CarriedDiffers`],
/// [`Error::NonFinite`] for the inputs and [`Error::Overflow`] for the output,
/// [`Error::OutputIsInput`], [`Error::Changed`], [`Error::Read`] and [`Error::Write`].
pub fn interpolate(
    zero_shot: &Path,
    fine_tuned: &Path,
    alpha: f64,
    output: &Path,
    options: &Options,
) -> Result<Report> {
    if !alpha.is_finite() || (!options.extrapolate && !(0.0..=1.0).contains(&alpha)) {
        return Err(Error::Alpha { alpha });
    }
    refuse_input(&[zero_shot, fine_tuned], output)?;
    let zero_shot = Checkpoint::open(zero_shot)?;
    let fine_tuned = Checkpoint::open(fine_tuned)?;
    let pairing = pair(&zero_shot, &fine_tuned)?;
    let chunk = options.chunk_elements.get();
    check_carried(&zero_shot, &fine_tuned, &pairing, chunk)?;

    let copied = copied(&zero_shot, &fine_tuned, alpha, options.output_dtype);
    let identify = |input: &Checkpoint, method| {
        survey(input, chunk, copied == Some(method), options.checksums)
    };
    let (zero_shot_sha256, fine_tuned_sha256) = rayon::join(
        || identify(&zero_shot, Method::CopiedZeroShot),
        || identify(&fine_tuned, Method::CopiedFineTuned),
    );
    let (zero_shot_sha256, fine_tuned_sha256) = (zero_shot_sha256?, fine_tuned_sha256?);
    let (plan, written) = match copied {
        Some(Method::CopiedFineTuned) => (
            Plan::of_copy(&fine_tuned),
            copy(&fine_tuned, fine_tuned_sha256.as_deref(), output, options)?,
        ),
        Some(_) => (
            Plan::of_copy(&zero_shot),
            copy(&zero_shot, zero_shot_sha256.as_deref(), output, options)?,
        ),
        None => {
            let plan = Plan::new(&pairing, options.output_dtype);
            let inputs = [&zero_shot, &fine_tuned];
            let written = mix(inputs, &plan, alpha, output, options)?;
            (plan, written)
        }
    };
    let one_sided = pairing.zero_shot_only.iter().map(|&(name, _)| name);
    Ok(Report {
        alpha,
        method: copied.unwrap_or(Method::Interpolated),
        n_interpolated: plan.n_floats(),
        n_carried: plan.tensors.len() - plan.n_floats(),
        n_parameters: plan.n_parameters(),
        dtypes: plan.dtypes(),
        one_sided: one_sided
            .chain(pairing.fine_tuned_only.iter().copied())
            .map(str::to_owned)
            .collect(),
        zero_shot: FileIdentity {
            n_bytes: zero_shot.n_bytes,
            sha256: zero_shot_sha256,
        },
        fine_tuned: FileIdentity {
            n_bytes: fine_tuned.n_bytes,
            sha256: fine_tuned_sha256,
        },
        output: written,
    })
}

/// Writes what is planned.
fn mix(
    inputs: [&Checkpoint; 2],
    plan: &Plan,
    alpha: f64,
    output: &Path,
    options: &Options,
) -> Result<FileIdentity> {
    let header = plan.header();
    let n_bytes = header.len() as u64 + plan.data_bytes();
    let mut sibling = Sibling::create(output, n_bytes)?;
    sibling.write(&header)?;
    let (blend, data_start) = (Blend::new(alpha), header.len() as u64);
    let chunk = options.chunk_elements.get();
    write(inputs, plan, blend, &sibling, data_start, chunk)?;
    let settled = sibling.settle(options.durable, options.checksums)?;
    let sha256 = settled.publish()?;
    Ok(FileIdentity { n_bytes, sha256 })
}

/// An error if `output` is one of the `inputs`.
pub(crate) fn refuse_input(inputs: &[&Path], output: &Path) -> Result<()> {
    if inputs.iter().any(|input| is_same_file(input, output)) {
        let path = output.to_owned();
        return Err(Error::OutputIsInput { path });
    }
    Ok(())
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

/// Which input the output is a copy of, if any.
fn copied(
    zero_shot: &Checkpoint,
    fine_tuned: &Checkpoint,
    alpha: f64,
    output_dtype: Option<FloatDtype>,
) -> Option<Method> {
    let (method, source) = if alpha == 0.0 {
        (Method::CopiedZeroShot, zero_shot)
    } else if alpha == 1.0 {
        (Method::CopiedFineTuned, fine_tuned)
    } else {
        return None;
    };
    let converts = |entry: &Entry| match (entry.kind(), output_dtype) {
        (Kind::Float(dtype), Some(wanted)) => dtype != wanted,
        _ => false,
    };
    (!source.tensors.values().any(converts)).then_some(method)
}

/// An error if an integer or boolean tensor that both have differs.
pub(crate) fn check_carried(
    zero_shot: &Checkpoint,
    fine_tuned: &Checkpoint,
    pairing: &Pairing<'_>,
    chunk: usize,
) -> Result<()> {
    for &(name, one, other) in &pairing.shared {
        if one.kind() != Kind::Carried {
            continue;
        }
        let size = one.dtype.bitsize() / 8;
        let (mut left, mut right) = (Vec::new(), Vec::new());
        let (mut position, mut n_different) = (0, 0);
        while position < one.n_bytes {
            let n = (one.n_bytes - position).min((chunk * size) as u64) as usize;
            left.resize(n, 0);
            right.resize(n, 0);
            zero_shot.read(one.start + position, &mut left)?;
            fine_tuned.read(other.start + position, &mut right)?;
            let pairs = left.chunks_exact(size).zip(right.chunks_exact(size));
            n_different += pairs.filter(|(left, right)| left != right).count() as u64;
            position += n as u64;
        }
        if n_different > 0 {
            let (tensor, n) = (name.to_owned(), one.n_elements());
            return Err(Error::CarriedDiffers {
                tensor,
                n_different,
                n,
            });
        }
    }
    Ok(())
}

/// A byte-exact copy, whose hash must be the one found before, if one was asked for.
fn copy(
    source: &Checkpoint,
    sha256: Option<&str>,
    output: &Path,
    options: &Options,
) -> Result<FileIdentity> {
    let chunk = options.chunk_elements.get();
    let n_bytes = source.n_bytes;
    let mut sibling = Sibling::create(output, n_bytes)?;
    let mut written = Ok(());
    scan(source, 0, n_bytes, chunk, &mut Vec::new(), |bytes| {
        if written.is_ok() {
            written = sibling.write(bytes);
        }
    })?;
    written?;
    source.verify_unchanged()?;
    let settled = sibling.settle(options.durable, sha256.is_some())?;
    if settled.sha256() != sha256 {
        return Err(Error::Changed {
            path: source.path.clone(),
        });
    }
    Ok(FileIdentity {
        n_bytes,
        sha256: settled.publish()?,
    })
}
