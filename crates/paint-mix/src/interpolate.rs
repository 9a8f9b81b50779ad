//! Two checkpoints and a coefficient to a third, in bounded memory.

use crate::{
    Error, FloatDtype, Result,
    blend::{Blend, PIECE},
    checkpoint::{Checkpoint, Entry},
    compatibility::{Group, Pairing, pair},
    element::Kind,
    publish::Sibling,
    survey::{scan, survey},
};
use rayon::prelude::*;
use safetensors::Dtype;
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
    /// Elements of one tensor that are worked on at a time; any number gives the same bytes.
    ///
    /// Memory is at most 32 bytes times this (four buffers of the widest dtype: two inputs, the
    /// output and the output being written), plus 128 KiB for each thread and the headers.
    pub chunk_elements: NonZeroUsize,
}

impl Default for Options {
    fn default() -> Self {
        let chunk_elements = NonZeroUsize::new(1 << 20).expect("a million is not zero");
        Self {
            output_dtype: None,
            extrapolate: false,
            chunk_elements,
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
    /// SHA-256 in hexadecimal.
    pub sha256: String,
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
/// Names, shapes and dtypes are compared before any tensor is read, and the inputs are read whole
/// once (hash, finite values) before anything is written. Of a copied checkpoint's counterpart the
/// values do not matter and may be anything. Tensors are streamed by positioned reads in chunks
/// of [`Options::chunk_elements`]. The output is a temporary sibling until it is complete and
/// synchronised, so after an error there is none; its header lists names in order with the metadata
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
    for input in [zero_shot, fine_tuned] {
        if is_same_file(input, output) {
            return Err(Error::OutputIsInput {
                path: output.to_owned(),
            });
        }
    }
    let zero_shot = Checkpoint::open(zero_shot)?;
    let fine_tuned = Checkpoint::open(fine_tuned)?;
    let pairing = pair(&zero_shot, &fine_tuned)?;
    let chunk = options.chunk_elements.get();
    check_carried(&zero_shot, &fine_tuned, &pairing, chunk)?;

    let copied = copied(&zero_shot, &fine_tuned, alpha, options.output_dtype);
    let matters = |method| copied.is_none() || copied == Some(method);
    let (zero_shot_sha256, fine_tuned_sha256) = rayon::join(
        || survey(&zero_shot, chunk, matters(Method::CopiedZeroShot)),
        || survey(&fine_tuned, chunk, matters(Method::CopiedFineTuned)),
    );
    let (zero_shot_sha256, fine_tuned_sha256) = (zero_shot_sha256?, fine_tuned_sha256?);
    let (plan, written) = match copied {
        Some(Method::CopiedFineTuned) => (
            Plan::of_copy(&fine_tuned),
            copy(&fine_tuned, &fine_tuned_sha256, output, chunk)?,
        ),
        Some(_) => (
            Plan::of_copy(&zero_shot),
            copy(&zero_shot, &zero_shot_sha256, output, chunk)?,
        ),
        None => {
            let plan = Plan::new(&pairing, options.output_dtype);
            let blend = Blend::new(alpha);
            let written = write(&zero_shot, &fine_tuned, &plan, blend, output, chunk)?;
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

fn check_carried(
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

/// A byte-exact copy, whose hash must be the one found before.
fn copy(source: &Checkpoint, sha256: &str, output: &Path, chunk: usize) -> Result<FileIdentity> {
    let mut sibling = Sibling::create(output, source.n_bytes)?;
    let mut written = Ok(());
    scan(source, 0, source.n_bytes, chunk, &mut Vec::new(), |bytes| {
        if written.is_ok() {
            written = sibling.write(bytes);
        }
    })?;
    written?;
    if sibling.sha256() != sha256 {
        return Err(Error::Changed {
            path: source.path.clone(),
        });
    }
    sibling.publish()
}

/// A tensor of the output and where it comes from.
struct Planned<'a> {
    name: &'a str,
    dtype: Dtype,
    zero_shot: &'a Entry,
    /// Absent if the tensor is carried over.
    fine_tuned: Option<&'a Entry>,
}

impl Planned<'_> {
    fn n_bytes(&self) -> u64 {
        self.zero_shot.n_elements() * (self.dtype.bitsize() / 8) as u64
    }
}

/// The output's tensors in the order of their data.
struct Plan<'a> {
    tensors: Vec<Planned<'a>>,
}

impl<'a> Plan<'a> {
    fn new(pairing: &Pairing<'a>, output_dtype: Option<FloatDtype>) -> Self {
        let shared = pairing.shared.iter().map(|&(name, zero_shot, fine_tuned)| {
            match (zero_shot.kind(), fine_tuned.kind()) {
                (Kind::Float(one), Kind::Float(other)) => {
                    let common = if one == other { one } else { FloatDtype::F32 };
                    let dtype = output_dtype.unwrap_or(common).into();
                    Planned {
                        name,
                        dtype,
                        zero_shot,
                        fine_tuned: Some(fine_tuned),
                    }
                }
                _ => Planned {
                    name,
                    dtype: zero_shot.dtype,
                    zero_shot,
                    fine_tuned: None,
                },
            }
        });
        let carried = pairing
            .zero_shot_only
            .iter()
            .map(|&(name, zero_shot)| Planned {
                name,
                dtype: zero_shot.dtype,
                zero_shot,
                fine_tuned: None,
            });
        let mut tensors: Vec<_> = shared.chain(carried).collect();
        tensors.sort_by_key(|tensor| (std::cmp::Reverse(tensor.dtype.bitsize()), tensor.name));
        Self { tensors }
    }

    fn of_copy(source: &'a Checkpoint) -> Self {
        let planned = |(name, entry): (&'a String, &'a Entry)| Planned {
            name: name.as_str(),
            dtype: entry.dtype,
            zero_shot: entry,
            fine_tuned: None,
        };
        Self {
            tensors: source.tensors.iter().map(planned).collect(),
        }
    }

    fn floats(&self) -> impl Iterator<Item = &Planned<'a>> {
        self.tensors
            .iter()
            .filter(|tensor| matches!(Kind::of(tensor.dtype), Kind::Float(_)))
    }

    fn n_floats(&self) -> usize {
        self.floats().count()
    }

    fn n_parameters(&self) -> u64 {
        self.floats()
            .map(|tensor| tensor.zero_shot.n_elements())
            .sum()
    }

    fn dtypes(&self) -> BTreeMap<String, usize> {
        let mut dtypes = BTreeMap::new();
        for tensor in &self.tensors {
            *dtypes.entry(format!("{:?}", tensor.dtype)).or_default() += 1;
        }
        dtypes
    }

    fn data_bytes(&self) -> u64 {
        self.tensors.iter().map(Planned::n_bytes).sum()
    }

    /// Length prefix and JSON, padded with spaces to a multiple of eight as the format advises.
    fn header(&self) -> Vec<u8> {
        #[derive(Serialize)]
        #[serde(untagged)]
        enum Value<'a> {
            Metadata {
                format: &'static str,
            },
            Tensor {
                dtype: Dtype,
                shape: &'a [u64],
                data_offsets: [u64; 2],
            },
        }
        let mut header = BTreeMap::from([("__metadata__", Value::Metadata { format: "pt" })]);
        let mut end = 0;
        for tensor in &self.tensors {
            let data_offsets = [end, end + tensor.n_bytes()];
            end = data_offsets[1];
            let shape = tensor.zero_shot.shape.as_slice();
            header.insert(
                tensor.name,
                Value::Tensor {
                    dtype: tensor.dtype,
                    shape,
                    data_offsets,
                },
            );
        }
        let mut json = serde_json::to_vec(&header).expect("names, numbers and lists serialise");
        json.resize(json.len().next_multiple_of(8), b' ');
        let length = (json.len() as u64).to_le_bytes();
        [length.as_slice(), &json].concat()
    }
}

/// Buffers of one chunk.
#[derive(Default)]
struct Buffers {
    zero_shot: Vec<u8>,
    fine_tuned: Vec<u8>,
    output: Vec<u8>,
}

/// Streams the planned tensors; while one chunk is computed the one before is hashed and written.
fn write(
    zero_shot: &Checkpoint,
    fine_tuned: &Checkpoint,
    plan: &Plan<'_>,
    blend: Blend,
    output: &Path,
    chunk: usize,
) -> Result<FileIdentity> {
    let header = plan.header();
    let mut sibling = Sibling::create(output, header.len() as u64 + plan.data_bytes())?;
    let mut buffers = Buffers::default();
    let mut pending = header;
    let mut overflowed = Group::new("tensors");
    for tensor in &plan.tensors {
        let n = tensor.zero_shot.n_elements();
        let (mut first, mut n_bad) = (0, 0);
        while first < n {
            let len = (n - first).min(chunk as u64) as usize;
            let (computed, written) = rayon::join(
                || {
                    compute(
                        zero_shot,
                        fine_tuned,
                        tensor,
                        blend,
                        first,
                        len,
                        &mut buffers,
                    )
                },
                || sibling.write(&pending),
            );
            written?;
            n_bad += computed?;
            std::mem::swap(&mut pending, &mut buffers.output);
            first += len as u64;
        }
        if n_bad > 0 {
            overflowed.add(|| format!("{} ({:?}): {n_bad} of {n}", tensor.name, tensor.dtype));
        }
    }
    if let Some(tensors) = overflowed.into_text() {
        return Err(Error::Overflow { tensors });
    }
    sibling.write(&pending)?;
    zero_shot.verify_unchanged()?;
    fine_tuned.verify_unchanged()?;
    sibling.publish()
}

/// Elements `first..first + len` of a tensor into `buffers.output`; how many are not finite.
fn compute(
    zero_shot: &Checkpoint,
    fine_tuned: &Checkpoint,
    tensor: &Planned<'_>,
    blend: Blend,
    first: u64,
    len: usize,
    buffers: &mut Buffers,
) -> Result<u64> {
    let size = tensor.dtype.bitsize() / 8;
    buffers.output.resize(len * size, 0);
    let (Kind::Float(from), Some(other), Kind::Float(to)) = (
        tensor.zero_shot.kind(),
        tensor.fine_tuned,
        Kind::of(tensor.dtype),
    ) else {
        zero_shot.read(
            tensor.zero_shot.start + first * size as u64,
            &mut buffers.output,
        )?;
        return Ok(0);
    };
    let Kind::Float(other_from) = other.kind() else {
        unreachable!("floats are paired with floats only");
    };
    read_elements(
        zero_shot,
        tensor.zero_shot,
        from,
        first,
        len,
        &mut buffers.zero_shot,
    )?;
    read_elements(
        fine_tuned,
        other,
        other_from,
        first,
        len,
        &mut buffers.fine_tuned,
    )?;
    let pieces = buffers
        .output
        .par_chunks_mut(PIECE * to.size())
        .zip(buffers.zero_shot.par_chunks(PIECE * from.size()))
        .zip(buffers.fine_tuned.par_chunks(PIECE * other_from.size()));
    let blend_piece = |(theta, values): &mut (Vec<f32>, Vec<f32>),
                       ((out, zs), ft): ((&mut [u8], &[u8]), &[u8])| {
        let n = out.len() / to.size();
        let (theta, values) = (&mut theta[..n], &mut values[..n]);
        from.decode(zs, theta);
        other_from.decode(ft, values);
        blend.apply(theta, values);
        to.encode(theta, out)
    };
    let scratch = || (vec![0.0; PIECE.min(len)], vec![0.0; PIECE.min(len)]);
    Ok(pieces.map_init(scratch, blend_piece).sum())
}

fn read_elements(
    input: &Checkpoint,
    entry: &Entry,
    dtype: FloatDtype,
    first: u64,
    len: usize,
    buffer: &mut Vec<u8>,
) -> Result<()> {
    buffer.resize(len * dtype.size(), 0);
    input.read(entry.start + first * dtype.size() as u64, buffer)
}
