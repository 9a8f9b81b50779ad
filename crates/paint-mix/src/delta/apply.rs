//! Adding deltas to a checkpoint, and taking one away again.

use super::{
    CHUNK,
    file::{Applied, Change, DeltaFile, Record, record_of, weights_sha256_of},
};
use crate::{
    Error, FloatDtype, Result,
    checkpoint::{Checkpoint, Entry},
    compatibility::Group,
    header::{Listed, header},
    interpolate::refuse_input,
    merge::{check_coefficient, moved},
    publish::Sibling,
    stream::Side,
    survey::scan,
};
use serde::Serialize;
use std::{cmp::Reverse, path::Path};

/// What a delta may be added to or taken from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// Only the weights it was made from; taken only from a file whose [`Record`] has it.
    #[default]
    Verified,
    /// Any weights with the same tensors: other deltas may be there already (stacking).
    Any,
}

/// What [`apply_delta`] wrote.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Patched {
    /// What the file says it carries.
    pub record: Record,
    /// [`weights_sha256`](crate::weights_sha256) of the file.
    pub weights_sha256: String,
    /// Its size.
    pub n_bytes: u64,
}

/// What [`remove_delta`] wrote.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Removed {
    /// What the file still says it carries.
    pub record: Record,
    /// [`weights_sha256`](crate::weights_sha256) of the file.
    pub weights_sha256: String,
    /// Its size.
    pub n_bytes: u64,
    /// No value is farther than this from what it would be without the delta.
    pub max_error: f64,
    /// Once no delta is left: whether the weights are the base's bit for bit.
    pub restored: Option<bool>,
}

/// Writes `base + Σ alpha · delta` to `out`, another `model.safetensors` with the tensors and
/// dtypes of `base`, which says in its metadata what it carries.
///
/// Changes are summed in f64 in the order given and rounded once to the tensor's dtype; tensors
/// that no delta has keep their bytes. `out` is whole or not there.
///
/// # Errors
/// [`Error::WrongBase`] if `base` is not what a delta was made from, unless `origin` is
/// [`Origin::Any`]; [`Error::NotDelta`], [`Error::Nothing`] without deltas, [`Error::Setting`] if
/// an `alpha` is not finite, [`Error::Foreign`] if `base` lacks a delta's tensor,
/// [`Error::Overflow`], and those of reading and writing files.
pub fn apply_delta(
    base: &Path,
    deltas: &[(&Path, f64)],
    out: &Path,
    origin: Origin,
) -> Result<Patched> {
    if deltas.is_empty() {
        return Err(Error::Nothing("no deltas to apply; name at least one"));
    }
    for &(path, alpha) in deltas {
        check_coefficient(format!("alpha of {}", path.display()), alpha)?;
        refuse_input(&[base, path], out)?;
    }
    let base = Checkpoint::open(base)?;
    let found = weights_sha256_of(&base)?;
    let mut record = record_of(&base)?.unwrap_or_else(|| Record {
        base_sha256: found.clone(),
        deltas: Vec::new(),
    });
    let mut terms = Vec::new();
    for &(path, alpha) in deltas {
        let delta = DeltaFile::open(path)?;
        if origin == Origin::Verified && delta.info.base_sha256 != found {
            return Err(wrong_base(&base, found, &delta, &record));
        }
        check_tensors(&base, &delta)?;
        terms.push((delta, alpha));
    }
    for (delta, alpha) in &terms {
        let sha256 = delta.info.sha256.clone();
        record.deltas.push(Applied {
            sha256,
            alpha: *alpha,
        });
    }
    let written = add(&base, &terms, &record, out)?;
    Ok(Patched {
        record,
        weights_sha256: written.weights_sha256,
        n_bytes: written.n_bytes,
    })
}

/// Writes `patched - alpha · delta` to `out`.
///
/// How exact: a patched value was rounded when the delta was added, which nothing undoes. The
/// result is the value without the delta to half a unit in the last place of each,
/// [`Removed::max_error`] at most; in practice most values come back bit for bit, and those do not
/// that the delta had taken over a power of two. If the file says that no other delta is left,
/// [`Removed::restored`] tells whether all did. To have the base exactly, keep the base.
///
/// # Errors
/// [`Error::NotCarried`] if the file does not say that it carries `delta` with this `alpha`, unless
/// `origin` is [`Origin::Any`]; otherwise as [`apply_delta`].
pub fn remove_delta(
    patched: &Path,
    delta: &Path,
    alpha: f64,
    out: &Path,
    origin: Origin,
) -> Result<Removed> {
    check_coefficient("alpha", alpha)?;
    refuse_input(&[patched, delta], out)?;
    let patched = Checkpoint::open(patched)?;
    let delta = DeltaFile::open(delta)?;
    check_tensors(&patched, &delta)?;
    let known = record_of(&patched)?;
    let sha256 = &delta.info.sha256;
    let is_it = |one: &Applied| one.sha256 == *sha256 && (one.alpha - alpha).abs() < 1e-12;
    let place = known
        .as_ref()
        .and_then(|record| record.deltas.iter().position(is_it));
    if origin == Origin::Verified && place.is_none() {
        return Err(Error::NotCarried {
            path: patched.path.clone(),
            delta: delta.file.path.clone(),
            sha256: sha256.clone(),
            alpha,
            carried: carried(known.as_ref()),
        });
    }
    let mut record = known.unwrap_or_else(|| Record {
        base_sha256: delta.info.base_sha256.clone(),
        deltas: Vec::new(),
    });
    if let Some(place) = place {
        record.deltas.remove(place);
    }
    let written = add(&patched, &[(delta, -alpha)], &record, out)?;
    let restored = record.deltas.is_empty();
    Ok(Removed {
        restored: restored.then(|| written.weights_sha256 == record.base_sha256),
        record,
        weights_sha256: written.weights_sha256,
        n_bytes: written.n_bytes,
        max_error: written.max_error,
    })
}

fn wrong_base(base: &Checkpoint, found: String, delta: &DeltaFile, record: &Record) -> Error {
    let expected = delta.info.base_sha256.clone();
    let remedy = if record.base_sha256 == expected && !record.deltas.is_empty() {
        let n = record.deltas.len();
        format!("it carries {n} deltas on that base; to add another, allow stacking (--stack)")
    } else {
        "name the checkpoint the delta was made from, or allow other weights (--stack)".to_owned()
    };
    Error::WrongBase {
        base: base.path.clone(),
        found,
        delta: delta.file.path.clone(),
        expected,
        remedy,
    }
}

fn carried(record: Option<&Record>) -> String {
    let deltas = record
        .map(|record| record.deltas.as_slice())
        .unwrap_or_default();
    if deltas.is_empty() {
        return "nothing".to_owned();
    }
    let one = |one: &Applied| format!("{} with alpha {}", one.sha256, one.alpha);
    deltas.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// An error unless `base` has every tensor of the delta, as floats of that shape.
fn check_tensors(base: &Checkpoint, delta: &DeltaFile) -> Result<()> {
    let mut foreign = Group::new("tensors");
    for (name, change) in &delta.file.tensors {
        match base.tensors.get(name) {
            Some(entry) if entry.shape == change.shape && Side::of(base, entry).is_some() => {}
            Some(entry) => foreign.add(|| {
                let (dtype, shape) = (entry.dtype, &entry.shape);
                format!("{name} {:?} is {dtype:?} {shape:?}", change.shape)
            }),
            None => foreign.add(|| format!("{name} {:?} is missing", change.shape)),
        }
    }
    match foreign.into_text() {
        None => Ok(()),
        Some(tensors) => Err(Error::Foreign {
            base: base.path.clone(),
            delta: delta.file.path.clone(),
            tensors,
        }),
    }
}

struct Written {
    weights_sha256: String,
    n_bytes: u64,
    /// Half a unit in the last place of the value before and of that after, at most.
    max_error: f64,
}

/// Writes `base` with the terms added.
fn add(
    base: &Checkpoint,
    terms: &[(DeltaFile, f64)],
    record: &Record,
    out: &Path,
) -> Result<Written> {
    let mut tensors: Vec<(&String, &Entry)> = base.tensors.iter().collect();
    tensors.sort_by_key(|(name, entry)| (Reverse(entry.dtype.bitsize()), *name));
    let listed: Vec<Listed<'_>> = tensors
        .iter()
        .map(|(name, entry)| Listed {
            name,
            dtype: entry.dtype,
            shape: &entry.shape,
        })
        .collect();
    let header = header(&record.metadata(), &listed);
    let n_bytes = header.len() as u64 + listed.iter().map(Listed::n_bytes).sum::<u64>();
    let mut sibling = Sibling::create(out, n_bytes)?;
    sibling.write(&header)?;
    let (mut overflow, mut max_error) = (Group::new("tensors"), 0_f64);
    for (name, entry) in tensors {
        let changes: Vec<_> = terms
            .iter()
            .filter_map(|(delta, alpha)| Some((delta.change(name)?, *alpha)))
            .collect();
        let side = Side::of(base, entry).filter(|_| !changes.is_empty());
        let Some(side) = side else {
            copy(base, entry, &mut sibling)?;
            continue;
        };
        let n = entry.n_elements();
        let (n_bad, error) = add_tensor(side, n, &changes, &mut sibling)?;
        max_error = max_error.max(error);
        if n_bad > 0 {
            overflow.add(|| format!("{name} ({:?}): {n_bad} of {n}", entry.dtype));
        }
    }
    if let Some(tensors) = overflow.into_text() {
        return Err(Error::Overflow { tensors });
    }
    base.verify_unchanged()?;
    sibling.settle(true, false)?.publish()?;
    Ok(Written {
        weights_sha256: weights_sha256_of(&Checkpoint::open(out)?)?,
        n_bytes,
        max_error,
    })
}

/// Writes a tensor with its changes added; how many results are not finite, and how far rounding
/// can have moved a value.
fn add_tensor(
    side: Side<'_>,
    n: u64,
    changes: &[(Change<'_>, f64)],
    sibling: &mut Sibling,
) -> Result<(u64, f64)> {
    let (mut n_bad, mut largest, mut first) = (0, 0_f64, 0);
    while first < n {
        let len = (n - first).min(CHUNK as u64) as usize;
        let (mut before, mut stored) = (vec![0.0; len], vec![0.0; len]);
        let mut bytes = Vec::new();
        side.read(first, &mut bytes, &mut before)?;
        let mut sum = vec![0.0; len];
        for (change, alpha) in changes {
            change.read(first, &mut stored)?;
            for (sum, &value) in sum.iter_mut().zip(&stored) {
                *sum += alpha * change.scale * f64::from(value);
            }
        }
        let pairs = before.iter().zip(&sum);
        let after: Vec<f32> = pairs.map(|(&z, &change)| moved(z, change)).collect();
        n_bad += side.dtype.encode(&after, &mut bytes);
        let magnitude = |(b, a): (&f32, &f32)| f64::from(b.abs()) + f64::from(a.abs());
        let magnitudes = before.iter().zip(&after).map(magnitude);
        largest = magnitudes.fold(largest, f64::max);
        sibling.write(&bytes)?;
        first += len as u64;
    }
    Ok((n_bad, rounding(side.dtype, largest)))
}

/// How far rounding moves a value of this magnitude, at most; f64 passes through f32, on the way in
/// and on the way out.
fn rounding(dtype: FloatDtype, magnitude: f64) -> f64 {
    let (half_unit, least) = match dtype {
        FloatDtype::F16 => (2_f64.powi(-11), 2_f64.powi(-25)),
        FloatDtype::Bf16 => (2_f64.powi(-8), 2_f64.powi(-134)),
        FloatDtype::F32 => (2_f64.powi(-24), 2_f64.powi(-150)),
        FloatDtype::F64 => (2_f64.powi(-23), 2_f64.powi(-149)),
    };
    (magnitude * half_unit).max(least)
}

fn copy(base: &Checkpoint, entry: &Entry, sibling: &mut Sibling) -> Result<()> {
    let mut written = Ok(());
    let mut buffer = Vec::new();
    scan(
        base,
        entry.start,
        entry.n_bytes,
        CHUNK,
        &mut buffer,
        |bytes| {
            if written.is_ok() {
                written = sibling.write(bytes);
            }
        },
    )?;
    written
}
