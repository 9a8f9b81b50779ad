//! The planned tensors, read, interpolated and written on all threads, each at its own place.

use crate::{
    Error, FloatDtype, Result,
    blend::Blend,
    checkpoint::{Checkpoint, Entry},
    compatibility::Group,
    element::Kind,
    plan::{Plan, Planned},
    publish::Sibling,
};
use rayon::prelude::*;
use std::ops::Add;

/// Puts the tensors of `plan` into `sibling`, from `data_start` on, `chunk` elements at a time on
/// every thread; an error if an input or a result is not finite. `inputs` are the zero-shot and the
/// fine-tuned file.
pub(crate) fn write(
    inputs: [&Checkpoint; 2],
    plan: &Plan<'_>,
    blend: Blend,
    sibling: &Sibling,
    data_start: u64,
    chunk: usize,
) -> Result<()> {
    let pieces = pieces(plan, data_start, chunk as u64);
    // One after the other, whoever is free: then the file grows at its end.
    let mut bad = pieces
        .iter()
        .par_bridge()
        .map_init(Scratch::default, |scratch, piece| {
            let bad = piece.compute(inputs, &plan.tensors[piece.tensor_idx], blend, scratch)?;
            sibling.write_at(&scratch.out, piece.position)?;
            Ok((piece.tensor_idx, bad))
        })
        .filter(|bad| !matches!(bad, Ok((_, bad)) if bad.is_none()))
        .collect::<Result<Vec<_>>>()?;
    bad.sort_unstable_by_key(|(tensor_idx, _)| *tensor_idx);
    let mut findings = Findings::new();
    for of_tensor in bad.chunk_by(|(one, _), (other, _)| one == other) {
        let sum = of_tensor
            .iter()
            .fold(NonFinite::default(), |sum, (_, bad)| sum + *bad);
        findings.add(&plan.tensors[of_tensor[0].0], sum);
    }
    findings.into_result(inputs)?;
    inputs.iter().try_for_each(|input| input.verify_unchanged())
}

/// Consecutive elements of a tensor.
struct Piece {
    tensor_idx: usize,
    /// The first element.
    first: u64,
    len: usize,
    /// Where they belong in the output file.
    position: u64,
}

/// All tensors, in the order of the output. A tensor is cut where the file's position is a multiple
/// of a chunk: the system writes whole pages, and many together, several times as fast.
fn pieces(plan: &Plan<'_>, data_start: u64, chunk: u64) -> Vec<Piece> {
    let (mut pieces, mut position) = (Vec::new(), data_start);
    for (tensor_idx, tensor) in plan.tensors.iter().enumerate() {
        let n = tensor.zero_shot.n_elements();
        let size = tensor.dtype.bitsize() as u64 / 8;
        let mut first = 0;
        while first < n {
            let begun = position / size % chunk;
            let len = (n - first).min(chunk - begun);
            pieces.push(Piece {
                tensor_idx,
                first,
                len: len as usize,
                position,
            });
            first += len;
            position += len * size;
        }
    }
    pieces
}

impl Piece {
    /// The output's bytes into `scratch.out`.
    fn compute(
        &self,
        inputs: [&Checkpoint; 2],
        tensor: &Planned<'_>,
        blend: Blend,
        scratch: &mut Scratch,
    ) -> Result<NonFinite> {
        let size = tensor.dtype.bitsize() / 8;
        scratch.out.resize(self.len * size, 0);
        match FloatPair::of(inputs, tensor) {
            Some(pair) => pair.mix(blend, self.first, scratch),
            None => {
                let start = tensor.zero_shot.start + self.first * size as u64;
                inputs[0].read(start, &mut scratch.out)?;
                Ok(NonFinite::default())
            }
        }
    }
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
    out: Vec<u8>,
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

    /// Elements from `first`, as many as `scratch.out` has room for.
    fn mix(&self, blend: Blend, first: u64, scratch: &mut Scratch) -> Result<NonFinite> {
        let n = scratch.out.len() / self.to.size();
        let [zero_shot, fine_tuned] = &mut scratch.bytes;
        scratch.theta.resize(n, 0.0);
        scratch.values.resize(n, 0.0);
        self.zero_shot.read(first, zero_shot, &mut scratch.theta)?;
        self.fine_tuned
            .read(first, fine_tuned, &mut scratch.values)?;
        blend.apply(&mut scratch.theta, &scratch.values);
        let output = self.to.encode(&scratch.theta, &mut scratch.out);
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

impl NonFinite {
    fn is_none(&self) -> bool {
        self.zero_shot == 0 && self.fine_tuned == 0 && self.output == 0
    }
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

#[cfg(test)]
mod tests {
    use safetensors::Dtype;

    use super::*;

    #[test]
    fn pieces_leave_no_gap_and_are_cut_at_multiples_of_a_chunk() {
        let (chunk, data_start) = (16, 200);
        let entry = |dtype, n| Entry {
            dtype,
            shape: vec![n],
            start: 0,
            n_bytes: 0,
        };
        let entries = [
            entry(Dtype::F64, 3),
            entry(Dtype::F32, 50),
            entry(Dtype::F32, 0),
            entry(Dtype::F16, 40),
        ];
        let tensors = entries.iter().map(|zero_shot| Planned {
            name: "",
            dtype: zero_shot.dtype,
            zero_shot,
            fine_tuned: None,
        });
        let plan = Plan {
            tensors: tensors.collect(),
        };
        let mut position = data_start;
        let mut done = [0; 4];
        for piece in pieces(&plan, data_start, chunk) {
            let tensor = &plan.tensors[piece.tensor_idx];
            let size = tensor.dtype.bitsize() as u64 / 8;
            assert_eq!(piece.position, position);
            assert_eq!(piece.first, done[piece.tensor_idx]);
            assert!(piece.first == 0 || position.is_multiple_of(chunk * size));
            assert!((1..=chunk as usize).contains(&piece.len));
            position += piece.len as u64 * size;
            done[piece.tensor_idx] += piece.len as u64;
        }
        assert_eq!(done, [3, 50, 0, 40]);
        assert_eq!(position, data_start + 3 * 8 + 50 * 4 + 40 * 2);
    }
}
