//! The planned tensors, read and interpolated on all threads while another one writes.

use crate::{
    Error, FloatDtype, Result,
    blend::{Blend, PIECE},
    checkpoint::{Checkpoint, Entry},
    compatibility::Group,
    element::Kind,
    plan::{Plan, Planned},
    publish::Sibling,
};
use rayon::prelude::*;
use std::{
    ops::Add,
    sync::mpsc::{Receiver, channel, sync_channel},
};

/// Pieces that one thread takes at least, so that its scratch space is worth making.
const MIN_PIECES: usize = 8;

/// Appends the tensors of `plan` to `sibling`; an error if an input or a result is not finite.
/// `inputs` are the zero-shot and the fine-tuned file.
pub(crate) fn write(
    inputs: [&Checkpoint; 2],
    plan: &Plan<'_>,
    blend: Blend,
    sibling: &mut Sibling,
    chunk: usize,
) -> Result<()> {
    let mixed = std::thread::scope(|scope| {
        let (sender, full) = sync_channel(1);
        let (give_back, empty) = channel();
        let writer = scope.spawn(move || {
            full.iter().try_for_each(|bytes: Vec<u8>| {
                sibling.write(&bytes)?;
                // Nobody wants the buffer after the last chunk.
                let _ = give_back.send(bytes);
                Ok(())
            })
        });
        // A writer that has gone has an error to tell.
        let send = |bytes| sender.send(bytes).is_ok();
        let mixed = mix(inputs, plan, blend, chunk, &empty, send);
        drop(sender);
        let written = writer
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        written.and(mixed)
    });
    mixed?.into_result(inputs)?;
    inputs.iter().try_for_each(|input| input.verify_unchanged())
}

/// Computes all tensors chunk by chunk into buffers from `empty`, until `send` returns false.
fn mix<'a>(
    inputs: [&Checkpoint; 2],
    plan: &Plan<'a>,
    blend: Blend,
    chunk: usize,
    empty: &Receiver<Vec<u8>>,
    send: impl Fn(Vec<u8>) -> bool,
) -> Result<Findings> {
    let mut findings = Findings::new();
    for tensor in &plan.tensors {
        let n = tensor.zero_shot.n_elements();
        let (mut first, mut bad) = (0, NonFinite::default());
        while first < n {
            let len = (n - first).min(chunk as u64) as usize;
            let mut bytes = empty.try_recv().unwrap_or_default();
            bytes.resize(len * tensor.dtype.bitsize() / 8, 0);
            bad = bad + mix_chunk(inputs, tensor, blend, first, &mut bytes)?;
            if !send(bytes) {
                return Ok(findings);
            }
            first += len as u64;
        }
        findings.add(tensor, bad);
    }
    Ok(findings)
}

/// Elements of `tensor` from `first` into `out`.
fn mix_chunk(
    inputs: [&Checkpoint; 2],
    tensor: &Planned<'_>,
    blend: Blend,
    first: u64,
    out: &mut [u8],
) -> Result<NonFinite> {
    let Some(pair) = FloatPair::of(inputs, tensor) else {
        let size = tensor.dtype.bitsize() as u64 / 8;
        inputs[0].read(tensor.zero_shot.start + first * size, out)?;
        return Ok(NonFinite::default());
    };
    out.par_chunks_mut(PIECE * pair.to.size())
        .enumerate()
        .with_min_len(MIN_PIECES)
        .map_init(Scratch::default, |scratch, (piece_idx, out)| {
            pair.mix(blend, first + (piece_idx * PIECE) as u64, out, scratch)
        })
        .try_reduce(NonFinite::default, |one, other| Ok(one + other))
}

/// One side of a floating-point tensor.
#[derive(Clone, Copy)]
pub(crate) struct Side<'a> {
    input: &'a Checkpoint,
    entry: &'a Entry,
    pub(crate) dtype: FloatDtype,
}

impl<'a> Side<'a> {
    pub(crate) fn of(input: &'a Checkpoint, entry: &'a Entry) -> Option<Self> {
        match entry.kind() {
            Kind::Float(dtype) => Some(Self {
                input,
                entry,
                dtype,
            }),
            _ => None,
        }
    }

    /// Elements from `first` into `values`, their bytes into `bytes`.
    pub(crate) fn read(self, first: u64, bytes: &mut Vec<u8>, values: &mut [f32]) -> Result<()> {
        let size = self.dtype.size();
        bytes.resize(values.len() * size, 0);
        self.input
            .read(self.entry.start + first * size as u64, bytes)?;
        self.dtype.decode(bytes, values);
        Ok(())
    }
}

/// A tensor to interpolate.
struct FloatPair<'a> {
    zero_shot: Side<'a>,
    fine_tuned: Side<'a>,
    to: FloatDtype,
}

/// Buffers of one thread.
#[derive(Default)]
struct Scratch {
    bytes: [Vec<u8>; 2],
    theta: Vec<f32>,
    values: Vec<f32>,
}

impl<'a> FloatPair<'a> {
    /// `None` if the tensor is carried over.
    fn of([zero_shot, fine_tuned]: [&'a Checkpoint; 2], tensor: &Planned<'a>) -> Option<Self> {
        let Kind::Float(to) = Kind::of(tensor.dtype) else {
            return None;
        };
        Some(Self {
            zero_shot: Side::of(zero_shot, tensor.zero_shot)?,
            fine_tuned: Side::of(fine_tuned, tensor.fine_tuned?)?,
            to,
        })
    }

    fn mix(
        &self,
        blend: Blend,
        first: u64,
        out: &mut [u8],
        scratch: &mut Scratch,
    ) -> Result<NonFinite> {
        let n = out.len() / self.to.size();
        let [zero_shot, fine_tuned] = &mut scratch.bytes;
        scratch.theta.resize(n, 0.0);
        scratch.values.resize(n, 0.0);
        self.zero_shot.read(first, zero_shot, &mut scratch.theta)?;
        self.fine_tuned
            .read(first, fine_tuned, &mut scratch.values)?;
        blend.apply(&mut scratch.theta, &scratch.values);
        let output = self.to.encode(&scratch.theta, out);
        // What is not finite in an input shows in the output, unless that side has no weight.
        if output == 0 && !blend.is_one_side() {
            return Ok(NonFinite::default());
        }
        Ok(NonFinite {
            zero_shot: self.zero_shot.dtype.count_non_finite(zero_shot),
            fine_tuned: self.fine_tuned.dtype.count_non_finite(fine_tuned),
            output,
        })
    }
}

/// How many values are NaN or infinite.
#[derive(Clone, Copy, Default)]
struct NonFinite {
    zero_shot: u64,
    fine_tuned: u64,
    output: u64,
}

impl Add for NonFinite {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            zero_shot: self.zero_shot + other.zero_shot,
            fine_tuned: self.fine_tuned + other.fine_tuned,
            output: self.output + other.output,
        }
    }
}

/// The tensors with values that are not finite.
struct Findings {
    inputs: [Group; 2],
    output: Group,
}

impl Findings {
    fn new() -> Self {
        Self {
            inputs: [Group::new("tensors"), Group::new("tensors")],
            output: Group::new("tensors"),
        }
    }

    fn add(&mut self, tensor: &Planned<'_>, bad: NonFinite) {
        let (name, n) = (tensor.name, tensor.zero_shot.n_elements());
        let n_bad = [bad.zero_shot, bad.fine_tuned];
        for (group, n_bad) in self.inputs.iter_mut().zip(n_bad) {
            if n_bad > 0 {
                group.add(|| format!("{name}: {n_bad} of {n}"));
            }
        }
        if bad.output > 0 {
            let (dtype, n_bad) = (tensor.dtype, bad.output);
            self.output
                .add(|| format!("{name} ({dtype:?}): {n_bad} of {n}"));
        }
    }

    fn into_result(self, inputs: [&Checkpoint; 2]) -> Result<()> {
        for (input, group) in inputs.into_iter().zip(self.inputs) {
            if let Some(tensors) = group.into_text() {
                let path = input.path.clone();
                return Err(Error::NonFinite { path, tensors });
            }
        }
        match self.output.into_text() {
            Some(tensors) => Err(Error::Overflow { tensors }),
            None => Ok(()),
        }
    }
}
