//! What lies in a delta's file, and in a patched file's metadata.

use super::CHUNK;
use crate::{
    Error, FloatDtype, Result,
    checkpoint::{Checkpoint, Entry},
    element::Kind,
    survey::{hexadecimal, scan, survey},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, path::Path};

pub(super) const FORMAT: &str = "paint-delta";
pub(super) const VERSION: &str = "1";
const BASE: &str = "paint_base_sha256";
const DELTAS: &str = "paint_deltas";

/// How far the stored changes are from the real ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rounding {
    /// Largest error of a value.
    pub max_absolute: f64,
    /// Largest error of a value divided by the value; 1 means that a value was lost.
    pub max_relative: f64,
    /// Euclidean norm of all errors divided by that of all changes.
    pub relative_l2: f64,
}

/// What a delta is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeltaInfo {
    /// SHA-256 of the delta's file.
    pub sha256: String,
    /// Size of the file.
    pub n_bytes: u64,
    /// Element type of the stored changes.
    pub dtype: FloatDtype,
    /// Tensors that differ.
    pub n_tensors: usize,
    /// Values in them.
    pub n_values: u64,
    /// [`weights_sha256`] of the checkpoint it is added to.
    pub base_sha256: String,
    /// [`weights_sha256`] of the fine-tuned checkpoint.
    pub fine_tuned_sha256: String,
    /// How exact it is.
    pub rounding: Rounding,
}

/// Which deltas a patched file carries.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Record {
    /// [`weights_sha256`] of what the first delta was added to.
    pub base_sha256: String,
    /// The deltas in the order in which they were added.
    pub deltas: Vec<Applied>,
}

/// A delta in a patched file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Applied {
    /// SHA-256 of the delta's file.
    pub sha256: String,
    /// Its coefficient.
    pub alpha: f64,
}

/// SHA-256 of the weights in a safetensors file: names, dtypes, shapes and values, by name. Files
/// that differ in their metadata or in the order of their tensors have the same.
///
/// # Errors
/// [`Error::Read`], [`Error::NotSafetensors`] and [`Error::Changed`].
pub fn weights_sha256(path: &Path) -> Result<String> {
    weights_sha256_of(&Checkpoint::open(path)?)
}

pub(super) fn weights_sha256_of(input: &Checkpoint) -> Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = Vec::new();
    for (name, entry) in &input.tensors {
        hash.update(format!("{name:?} {:?} {:?}\n", entry.dtype, entry.shape));
        let see = |bytes: &[u8]| hash.update(bytes);
        scan(input, entry.start, entry.n_bytes, CHUNK, &mut buffer, see)?;
    }
    input.verify_unchanged()?;
    Ok(hexadecimal(hash))
}

/// What a delta's file says of itself.
///
/// # Errors
/// [`Error::NotDelta`], [`Error::Read`], [`Error::NotSafetensors`] and [`Error::Changed`].
pub fn read_delta(path: &Path) -> Result<DeltaInfo> {
    DeltaFile::open(path).map(|delta| delta.info)
}

/// Which deltas a checkpoint's file says it carries; `None` if it says nothing.
///
/// # Errors
/// [`Error::NotDelta`] if it says so in an unreadable way, [`Error::Read`] and
/// [`Error::NotSafetensors`].
pub fn read_record(path: &Path) -> Result<Option<Record>> {
    record_of(&Checkpoint::open(path)?)
}

pub(super) fn record_of(input: &Checkpoint) -> Result<Option<Record>> {
    let (Some(base), Some(deltas)) = (input.metadata.get(BASE), input.metadata.get(DELTAS)) else {
        return Ok(None);
    };
    let unreadable = |error| not_delta(&input.path, format!("{DELTAS} is unreadable: {error}"));
    Ok(Some(Record {
        base_sha256: base.clone(),
        deltas: serde_json::from_str(deltas).map_err(unreadable)?,
    }))
}

impl Record {
    /// As a checkpoint's metadata has it, beside what `transformers` asks for.
    pub(super) fn metadata(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            ("format".to_owned(), "pt".to_owned()),
            (BASE.to_owned(), self.base_sha256.clone()),
            (DELTAS.to_owned(), json(&self.deltas)),
        ])
    }
}

pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("strings, numbers and lists serialise")
}

/// An opened delta.
pub(super) struct DeltaFile {
    pub(super) file: Checkpoint,
    pub(super) info: DeltaInfo,
    exponents: BTreeMap<String, i32>,
}

/// A tensor of a delta.
pub(super) struct Change<'a> {
    file: &'a Checkpoint,
    pub(super) entry: &'a Entry,
    dtype: FloatDtype,
    /// The stored values are multiplied with this.
    pub(super) scale: f64,
}

impl DeltaFile {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = Checkpoint::open(path)?;
        let refuse = |problem: String| not_delta(path, problem);
        let text = |key: &str| {
            let found = file.metadata.get(key);
            found.ok_or_else(|| refuse(format!("its metadata has no {key}")))
        };
        if file.metadata.get("format").map(String::as_str) != Some(FORMAT) {
            return Err(refuse(format!("its format is not {FORMAT}")));
        }
        if text("version")? != VERSION {
            let version = text("version")?;
            return Err(refuse(format!("version {version}; {VERSION} is read")));
        }
        let unreadable = |error: serde_json::Error| refuse(format!("metadata: {error}"));
        let exponents: BTreeMap<String, i32> =
            serde_json::from_str(text("exponents")?).map_err(unreadable)?;
        let rounding = serde_json::from_str(text("rounding")?).map_err(unreadable)?;
        let dtype = two_bytes(&file).map_err(refuse)?;
        let known = |name: &String| {
            exponents
                .get(name)
                .is_some_and(|e| (-200..=200).contains(e))
        };
        if let Some(name) = file.tensors.keys().find(|name| !known(name)) {
            return Err(refuse(format!("tensor {name} has no usable exponent")));
        }
        let info = DeltaInfo {
            sha256: survey(&file, CHUNK, true, true)?.unwrap_or_default(),
            n_bytes: file.n_bytes,
            dtype,
            n_tensors: file.tensors.len(),
            n_values: file.tensors.values().map(Entry::n_elements).sum(),
            base_sha256: text("base_sha256")?.clone(),
            fine_tuned_sha256: text("fine_tuned_sha256")?.clone(),
            rounding,
        };
        Ok(Self {
            file,
            info,
            exponents,
        })
    }

    pub(super) fn change(&self, tensor: &str) -> Option<Change<'_>> {
        Some(Change {
            file: &self.file,
            entry: self.file.tensors.get(tensor)?,
            dtype: self.info.dtype,
            scale: 2_f64.powi(*self.exponents.get(tensor)?),
        })
    }
}

impl Change<'_> {
    /// Stored values from `first` on.
    pub(super) fn read(&self, first: u64, values: &mut [f32]) -> Result<()> {
        let size = self.dtype.size();
        let mut bytes = vec![0; values.len() * size];
        let position = self.entry.start + first * size as u64;
        self.file.read(position, &mut bytes)?;
        self.dtype.decode(&bytes, values);
        Ok(())
    }
}

/// The one dtype of all tensors.
fn two_bytes(file: &Checkpoint) -> Result<FloatDtype, String> {
    let mut kinds = file.tensors.values().map(Entry::kind);
    match kinds.next() {
        Some(Kind::Float(dtype @ (FloatDtype::F16 | FloatDtype::Bf16)))
            if kinds.all(|kind| kind == Kind::Float(dtype)) =>
        {
            Ok(dtype)
        }
        _ => Err("its tensors are not all f16 or all bf16".to_owned()),
    }
}

fn not_delta(path: &Path, problem: String) -> Error {
    Error::NotDelta {
        path: path.to_owned(),
        problem,
    }
}
