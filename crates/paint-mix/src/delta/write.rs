//! Two checkpoints to a delta.

use super::{
    CHUNK,
    file::{DeltaInfo, FORMAT, Rounding, VERSION, json, read_delta, weights_sha256_of},
};
use crate::{
    Error, FloatDtype, Result,
    checkpoint::{Checkpoint, Entry},
    compatibility::{Group, pair},
    header::{Listed, header},
    interpolate::{check_carried, refuse_input},
    publish::Sibling,
    stream::Side,
};
use std::{collections::BTreeMap, path::Path};

/// The largest change of a tensor is stored between 2^14 and 2^15, where f16 ends.
const F16_TOP: i32 = 14;

/// Element types of a delta.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeltaDtype {
    /// Eleven bits of every change within 2^-28 of the tensor's largest, by a power of two for
    /// each tensor, without which small changes would be subnormal; bf16 has eight.
    #[default]
    F16,
    /// Eight bits of every change.
    Bf16,
}

impl From<DeltaDtype> for FloatDtype {
    fn from(dtype: DeltaDtype) -> Self {
        match dtype {
            DeltaDtype::F16 => Self::F16,
            DeltaDtype::Bf16 => Self::Bf16,
        }
    }
}

/// Writes what `fine_tuned` changed of `zero_shot`, two `model.safetensors` of one architecture, to
/// the delta `out`: the tensors that differ, in `dtype`.
///
/// Changes are differences of f32 values. Memory does not grow with the files; `out` is whole or
/// not there. How exact it is stands in the file and is returned.
///
/// # Errors
/// [`Error::Nothing`] if no tensor differs, and as [`interpolate`](crate::interpolate()).
pub fn write_delta(
    zero_shot: &Path,
    fine_tuned: &Path,
    out: &Path,
    dtype: DeltaDtype,
) -> Result<DeltaInfo> {
    refuse_input(&[zero_shot, fine_tuned], out)?;
    let zero_shot = Checkpoint::open(zero_shot)?;
    let fine_tuned = Checkpoint::open(fine_tuned)?;
    let pairing = pair(&zero_shot, &fine_tuned)?;
    check_carried(&zero_shot, &fine_tuned, &pairing, CHUNK)?;
    let tensors = changed(&zero_shot, &fine_tuned, &pairing.shared, dtype)?;
    if tensors.is_empty() {
        return Err(Error::Nothing(
            "the checkpoints have the same weights; there is no delta to write",
        ));
    }
    let (base, tuned) = rayon::join(
        || weights_sha256_of(&zero_shot),
        || weights_sha256_of(&fine_tuned),
    );
    let rounding = rounding(&tensors)?;
    let exponents: BTreeMap<&str, i32> = tensors.iter().map(|t| (t.name, t.exponent)).collect();
    let metadata = [
        ("format", FORMAT.to_owned()),
        ("version", VERSION.to_owned()),
        ("base_sha256", base?),
        ("fine_tuned_sha256", tuned?),
        ("exponents", json(&exponents)),
        ("rounding", json(&rounding)),
    ];
    let metadata = metadata.map(|(key, value)| (key.to_owned(), value));
    let listed: Vec<_> = tensors.iter().map(Difference::listed).collect();
    let header = header(&metadata.into(), &listed);
    let n_bytes = header.len() as u64 + listed.iter().map(Listed::n_bytes).sum::<u64>();
    let mut sibling = Sibling::create(out, n_bytes)?;
    sibling.write(&header)?;
    for tensor in &tensors {
        tensor.each_chunk(|_, _, bytes| sibling.write(bytes))?;
    }
    zero_shot.verify_unchanged()?;
    fine_tuned.verify_unchanged()?;
    sibling.settle(true, false)?.publish()?;
    read_delta(out)
}

/// A tensor that differs.
struct Difference<'a> {
    name: &'a str,
    entry: &'a Entry,
    sides: [Side<'a>; 2],
    dtype: FloatDtype,
    exponent: i32,
}

/// The tensors that differ, by name; an error if a value is not finite.
fn changed<'a>(
    zero_shot: &'a Checkpoint,
    fine_tuned: &'a Checkpoint,
    shared: &[(&'a str, &'a Entry, &'a Entry)],
    dtype: DeltaDtype,
) -> Result<Vec<Difference<'a>>> {
    let mut tensors = Vec::new();
    let mut bad = [zero_shot, fine_tuned].map(|file| (file, Group::new("tensors")));
    for &(name, entry, other) in shared {
        let (Some(zero_shot), Some(fine_tuned)) =
            (Side::of(zero_shot, entry), Side::of(fine_tuned, other))
        else {
            continue;
        };
        let sides = [zero_shot, fine_tuned];
        let (largest, n_bad) = largest(sides, entry.n_elements())?;
        for ((_, group), n_bad) in bad.iter_mut().zip(n_bad) {
            if n_bad > 0 {
                group.add(|| format!("{name}: {n_bad} of {}", entry.n_elements()));
            }
        }
        if largest > 0.0 {
            let exponent = match dtype {
                DeltaDtype::F16 => largest.log2().floor() as i32 - F16_TOP,
                DeltaDtype::Bf16 => 0,
            };
            let dtype = dtype.into();
            tensors.push(Difference {
                name,
                entry,
                sides,
                dtype,
                exponent,
            });
        }
    }
    for (file, group) in bad {
        if let Some(tensors) = group.into_text() {
            let path = file.path.clone();
            return Err(Error::NonFinite { path, tensors });
        }
    }
    Ok(tensors)
}

/// Largest magnitude of a change, and how many values of either side are not finite.
fn largest(sides: [Side<'_>; 2], n: u64) -> Result<(f64, [u64; 2])> {
    let (mut largest, mut n_bad) = (0_f64, [0; 2]);
    each_pair(sides, n, |zero_shot, fine_tuned| {
        for (n_bad, values) in n_bad.iter_mut().zip([zero_shot, fine_tuned]) {
            *n_bad += values.iter().filter(|v| !v.is_finite()).count() as u64;
        }
        for (&z, &f) in zero_shot.iter().zip(fine_tuned) {
            largest = largest.max((f64::from(f) - f64::from(z)).abs());
        }
        Ok(())
    })?;
    Ok((largest, n_bad))
}

fn each_pair(
    sides: [Side<'_>; 2],
    n: u64,
    mut see: impl FnMut(&[f32], &[f32]) -> Result<()>,
) -> Result<()> {
    let mut bytes = Vec::new();
    let mut values = [Vec::new(), Vec::new()];
    let mut first = 0;
    while first < n {
        let len = (n - first).min(CHUNK as u64);
        for (side, values) in sides.iter().zip(&mut values) {
            values.resize(len as usize, 0.0);
            side.read(first, &mut bytes, values)?;
        }
        see(&values[0], &values[1])?;
        first += len;
    }
    Ok(())
}

impl Difference<'_> {
    fn listed(&self) -> Listed<'_> {
        Listed {
            name: self.name,
            dtype: self.dtype.into(),
            shape: &self.entry.shape,
        }
    }

    /// Shows the changes, what is stored of them in the same unit, and its bytes.
    fn each_chunk(&self, mut see: impl FnMut(&[f64], &[f64], &[u8]) -> Result<()>) -> Result<()> {
        let scale = 2_f64.powi(self.exponent);
        let mut bytes = Vec::new();
        each_pair(
            self.sides,
            self.entry.n_elements(),
            |zero_shot, fine_tuned| {
                let pairs = zero_shot.iter().zip(fine_tuned);
                let changes: Vec<f64> = pairs.map(|(&z, &f)| f64::from(f) - f64::from(z)).collect();
                let mut values: Vec<f32> = changes.iter().map(|c| (c / scale) as f32).collect();
                bytes.resize(values.len() * self.dtype.size(), 0);
                if self.dtype.encode(&values, &mut bytes) > 0 {
                    let tensors = self.name.to_owned();
                    return Err(Error::Overflow { tensors });
                }
                self.dtype.decode(&bytes, &mut values);
                let stored: Vec<f64> = values.iter().map(|&v| f64::from(v) * scale).collect();
                see(&changes, &stored, &bytes)
            },
        )
    }
}

fn rounding(tensors: &[Difference<'_>]) -> Result<Rounding> {
    let mut found = Rounding::default();
    let (mut errors, mut norm) = (0.0, 0.0);
    for tensor in tensors {
        tensor.each_chunk(|changes, stored, _| {
            for (change, stored) in changes.iter().zip(stored) {
                let error = (stored - change).abs();
                found.max_absolute = found.max_absolute.max(error);
                if *change != 0.0 {
                    found.max_relative = found.max_relative.max(error / change.abs());
                }
                errors += error * error;
                norm += change * change;
            }
            Ok(())
        })?;
    }
    found.relative_l2 = (errors / norm).sqrt();
    Ok(found)
}
