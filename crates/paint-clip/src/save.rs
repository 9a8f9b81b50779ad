//! Writing a checkpoint directory that `transformers` opens, all of it or nothing.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::checkpoint::check_finite;
use crate::replace::{remove_if_there, replace, restore, sibling};
use crate::{Clip, ClipConfig, Error, Result, Tensors};

/// The files a checkpoint takes over from its source, where that has them.
const CARRIED_OVER: [&str; 6] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
    "preprocessor_config.json",
];

/// The files that this module writes itself.
const WRITTEN: [&str; 3] = ["config.json", "model.safetensors", "paint.json"];

/// How weights are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightDtype {
    /// Exactly as they are.
    F32,
    /// Rounded to half precision: half the bytes.
    F16,
}

/// Where a checkpoint comes from; `paint.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// What it was made from.
    #[serde(default)]
    pub parents: Vec<Parent>,
    /// Interpolation coefficient, in [0, 1].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
    /// The task it was tuned or patched on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// The seed of whatever was random.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Version of the program that wrote it.
    #[serde(default)]
    pub tool_version: String,
    /// Anything else worth knowing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub notes: BTreeMap<String, serde_json::Value>,
}

/// One of the checkpoints that another was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// What it is: a role, an id or a directory's name.
    pub name: String,
    /// SHA-256 of its weight file, in hexadecimal.
    pub sha256: String,
}

impl Default for Provenance {
    fn default() -> Self {
        Self {
            parents: Vec::new(),
            alpha: None,
            task: None,
            seed: None,
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            notes: BTreeMap::new(),
        }
    }
}

impl Provenance {
    /// Reads `dir/paint.json`; `None` for a checkpoint without one.
    ///
    /// # Errors
    /// If the file cannot be read or does not parse.
    pub fn load(dir: &Path) -> Result<Option<Self>> {
        restore(dir)?;
        let path = dir.join("paint.json");
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(Error::json(path)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("read", path)(e)),
        }
    }
}

/// Writes the checkpoint directory `dir`, replacing an older checkpoint there.
///
/// `source`: the checkpoint whose tokenizer and preprocessor go with the weights. Everything is
/// written to a sibling directory, synced, and renamed at the end, so that a full disk or a killed
/// process leaves what was at `dir` intact. For a moment at the end it is called `.NAME.old`: of a
/// process that is killed just then, the next load or save of `dir` gives it its name back.
///
/// # Errors
/// If the tensors do not fit the configuration, a value is not finite (or not in f16), `dir` holds
/// files that are no part of a checkpoint, or writing fails.
pub fn save(
    dir: &Path,
    config: &ClipConfig,
    tensors: &Tensors,
    dtype: WeightDtype,
    source: Option<&Path>,
    provenance: &Provenance,
) -> Result<()> {
    Clip::from_tensors(config, tensors)?;
    restore(dir)?;
    if let Some(source) = source {
        restore(source)?;
    }
    refuse_foreign_files(dir)?;
    let building = sibling(dir, &format!("tmp-{}", std::process::id()))?;
    remove_if_there(&building)?;
    let written = write_all(&building, config, tensors, dtype, source, provenance)
        .and_then(|()| replace(dir, &building));
    if written.is_err() {
        // The error that matters is the first one.
        let _ = fs::remove_dir_all(&building);
    }
    written
}

fn write_all(
    dir: &Path,
    config: &ClipConfig,
    tensors: &Tensors,
    dtype: WeightDtype,
    source: Option<&Path>,
    provenance: &Provenance,
) -> Result<()> {
    fs::create_dir_all(dir).map_err(Error::io("create", dir))?;
    write_file(&dir.join("config.json"), |out| {
        out.write_all(config.to_json().as_bytes())
    })?;
    let provenance = serde_json::to_string_pretty(provenance).map_err(Error::json("paint.json"))?;
    write_file(&dir.join("paint.json"), |out| writeln!(out, "{provenance}"))?;
    for name in CARRIED_OVER {
        let Some(from) = source.map(|s| s.join(name)).filter(|from| from.exists()) else {
            continue;
        };
        let bytes = fs::read(&from).map_err(Error::io("read", &from))?;
        write_file(&dir.join(name), |out| out.write_all(&bytes))?;
    }
    write_weights(&dir.join("model.safetensors"), tensors, dtype)
}

/// Header, then tensor by tensor; beside the model only one tensor is in memory.
fn write_weights(path: &Path, tensors: &Tensors, dtype: WeightDtype) -> Result<()> {
    let header = header(tensors, dtype);
    let file = File::create(path).map_err(Error::io("create", path))?;
    let mut out = BufWriter::new(file);
    let mut put = |bytes: &[u8]| out.write_all(bytes).map_err(Error::io("write", path));
    put(&(header.len() as u64).to_le_bytes())?;
    put(&header)?;
    for (name, tensor) in tensors {
        let values: Vec<f32> = tensor.flatten_all()?.to_vec1()?;
        check_finite(name, &values, String::new)?;
        put(&encode(name, &values, dtype)?)?;
    }
    finish(out, path)
}

/// Padded with blanks to a multiple of 8, so that the data is aligned.
fn header(tensors: &Tensors, dtype: WeightDtype) -> Vec<u8> {
    let (dtype, size) = match dtype {
        WeightDtype::F32 => ("F32", 4),
        WeightDtype::F16 => ("F16", 2),
    };
    let mut header = json!({ "__metadata__": { "format": "pt" } });
    let mut start = 0;
    for (name, tensor) in tensors {
        let end = start + tensor.elem_count() * size;
        header[name] =
            json!({ "dtype": dtype, "shape": tensor.dims(), "data_offsets": [start, end] });
        start = end;
    }
    let mut bytes = header.to_string().into_bytes();
    bytes.resize(bytes.len().next_multiple_of(8), b' ');
    bytes
}

fn encode(name: &str, values: &[f32], dtype: WeightDtype) -> Result<Vec<u8>> {
    if dtype == WeightDtype::F32 {
        return Ok(values.iter().flat_map(|x| x.to_le_bytes()).collect());
    }
    let rounded: Vec<half::f16> = values.iter().map(|x| half::f16::from_f32(*x)).collect();
    let count = rounded.iter().filter(|x| !x.is_finite()).count();
    if count > 0 {
        let context = " in f16 (its range ends at 65504); save as f32".to_owned();
        return Err(Error::NotFinite {
            tensor: name.to_owned(),
            count,
            context,
        });
    }
    Ok(rounded.iter().flat_map(|x| x.to_le_bytes()).collect())
}

fn write_file(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
) -> Result<()> {
    let mut out = BufWriter::new(File::create(path).map_err(Error::io("create", path))?);
    write(&mut out).map_err(Error::io("write", path))?;
    finish(out, path)
}

fn finish(out: BufWriter<File>, path: &Path) -> Result<()> {
    let file = out
        .into_inner()
        .map_err(|e| Error::io("write", path)(e.into_error()))?;
    file.sync_all().map_err(Error::io("write", path))
}

/// Replacing a directory must not destroy what someone else put there.
fn refuse_foreign_files(dir: &Path) -> Result<()> {
    let entries = match fs::read_dir(dir) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(Error::io("read", dir))?,
    };
    for entry in entries {
        let entry = entry.map_err(Error::io("read", dir))?.file_name();
        let entry = entry.to_string_lossy();
        if !CARRIED_OVER
            .iter()
            .chain(&WRITTEN)
            .any(|known| *known == entry)
        {
            return Err(Error::ForeignFile {
                path: dir.to_owned(),
                entry: entry.into_owned(),
            });
        }
    }
    Ok(())
}
