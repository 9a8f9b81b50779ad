//! Reading the weights of a checkpoint directory: what is there first, then tensor by tensor,
//! everything as f32.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use serde::Deserialize;

use crate::inventory::{Found, first_few, mismatch};
use crate::layout::{Layout, Part};
use crate::replace::restore;
use crate::stored::{Stored, StoredDtype};
use crate::{ClipConfig, Error, Result, safetensors_file, torch_file};

/// Tensors by their `transformers` names, all f32.
pub type Tensors = BTreeMap<String, Tensor>;

/// Reads the weights of a checkpoint in either [`Layout`]: f32, f16 and bf16 tensors as f32, under
/// their `transformers` names. Buffers that hold no weights (`position_ids`) are left out.
///
/// Of several weight files the first is read of, for Hugging Face: `model.safetensors`, the shards
/// of `model.safetensors.index.json`, `pytorch_model.bin`, the shards of
/// `pytorch_model.bin.index.json`; for open_clip: `open_clip_model.safetensors`,
/// `open_clip_pytorch_model.safetensors`, `open_clip_pytorch_model.bin`. Of a pickle only the
/// description of tensors is interpreted, nothing is ever executed.
///
/// What the files hold is compared with the configuration before any value is read. Then they are
/// read with plain reads through a small buffer, never mapped into memory, so that a file that
/// shrinks meanwhile is an error and not a crash; beside the tensors there is never more than the
/// largest projection in memory.
///
/// # Errors
/// Those of [`ClipConfig::load`]; if there is no weight file, one is not complete or not what its
/// name says, tensors are missing, unknown or of a wrong shape or type (one error names them all),
/// or a value is not finite.
pub fn load_tensors(dir: &Path, device: &Device) -> Result<Tensors> {
    let config = ClipConfig::load(dir)?;
    let mut places = locate(dir, &config)?;
    // In the order of the disk.
    places.sort_by(|(_, a), (_, b)| (&a.path, a.start).cmp(&(&b.path, b.start)));
    let mut tensors = Tensors::new();
    let mut open: Option<(&Path, File)> = None;
    for (name, stored) in &places {
        let file = match &mut open {
            Some((path, file)) if *path == &*stored.path => file,
            open => {
                let file = File::open(&stored.path).map_err(Error::io("open", &*stored.path))?;
                &mut open.insert((&stored.path, file)).1
            }
        };
        let values = stored.read(file)?;
        check_finite(name, &values, || format!(" in {}", stored.path.display()))?;
        let tensor = Tensor::from_vec(values, stored.shape.as_slice(), device)?;
        tensors.insert(name.clone(), tensor);
    }
    Ok(tensors)
}

/// The weight files of a checkpoint that [`load_tensors`] reads, shards in alphabetical order.
///
/// # Errors
/// If there is none, or the index of the shards cannot be read or names a file that is not there.
pub fn weight_files(dir: &Path) -> Result<Vec<PathBuf>> {
    restore(dir)?;
    Ok(Weights::find(dir)?.files)
}

/// Some checkpoints store the constant 0, 1, 2, … under these names.
pub(crate) fn is_position_ids(name: &str) -> bool {
    name.ends_with(".position_ids")
}

/// Constants that files of a layout may hold beside the weights.
fn is_buffer(layout: Layout, name: &str) -> bool {
    is_position_ids(name)
        || layout == Layout::OpenClip
            && [
                // The causal mask, in files of old versions.
                "attn_mask",
                "text.attn_mask",
                // Of OpenAI's own archives.
                "input_resolution",
                "context_length",
                "vocab_size",
            ]
            .contains(&name)
}

pub(crate) fn check_finite(
    tensor: &str,
    values: &[f32],
    context: impl FnOnce() -> String,
) -> Result<()> {
    let count = values.iter().filter(|x| !x.is_finite()).count();
    if count == 0 {
        return Ok(());
    }
    Err(Error::NotFinite {
        tensor: tensor.to_owned(),
        count,
        context: context(),
    })
}

/// Every tensor of the model by its `transformers` name, and where it is stored.
fn locate(dir: &Path, config: &ClipConfig) -> Result<Vec<(String, Stored)>> {
    let layout = Layout::of(dir);
    let weights = Weights::find(dir)?;
    let mut stored = weights.tensors()?;
    stored.retain(|name, _| !is_buffer(layout, name));
    if layout == Layout::OpenClip {
        normalise_open_clip(&mut stored);
    }
    if let Some(problem) = compare(layout, config, &stored) {
        let problem = format!("{problem} (in {})", weights.named.display());
        return Err(Error::TensorMismatch(problem));
    }
    let of_model = |name: String| {
        let place = layout.place(&name);
        let stored = stored.get(&place.name)?.clone();
        let stored = match place.part {
            Part::Whole => stored,
            Part::Transposed => stored.transposed(),
            Part::Third(third) => stored.third(third),
        };
        Some((name, stored))
    };
    let names = config.tensor_shapes().into_keys();
    Ok(names.filter_map(of_model).collect())
}

fn compare(
    layout: Layout,
    config: &ClipConfig,
    stored: &BTreeMap<String, Stored>,
) -> Option<String> {
    let found = stored.iter().map(|(name, stored)| {
        let wrong_dtype = match &stored.dtype {
            StoredDtype::Other(dtype) => Some(format!("{dtype} instead of F32, F16 or BF16")),
            _ => None,
        };
        let shape = stored.shape.as_slice();
        (name.as_str(), Found { shape, wrong_dtype })
    });
    mismatch(&layout.tensor_shapes(config), &found.collect())
}

/// A text tower of open_clip's `CustomTextCLIP` is under `text.`, and its logit scale may have one
/// axis of length 1.
fn normalise_open_clip(stored: &mut BTreeMap<String, Stored>) {
    if stored.contains_key("text.positional_embedding") {
        let plain = |(name, tensor): (String, Stored)| match name.strip_prefix("text.") {
            Some(plain) => (plain.to_owned(), tensor),
            None => (name, tensor),
        };
        *stored = std::mem::take(stored).into_iter().map(plain).collect();
    }
    if let Some(scale) = stored.get_mut("logit_scale")
        && scale.shape == [1]
    {
        (scale.shape, scale.strides) = (Vec::new(), Vec::new());
    }
}

/// The weight files of a directory.
struct Weights {
    /// The one file, or the index of the shards.
    named: PathBuf,
    files: Vec<PathBuf>,
    /// File name of the shard of each tensor, where there are shards.
    shard_of: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Weights {
    fn find(dir: &Path) -> Result<Self> {
        let candidates = Layout::of(dir).weight_files();
        let named = candidates
            .iter()
            .map(|name| dir.join(name))
            .find(|path| path.exists());
        let Some(named) = named else {
            return Err(no_weights(dir, candidates));
        };
        if named
            .extension()
            .is_none_or(|extension| extension != "json")
        {
            let (files, shard_of) = (vec![named.clone()], None);
            return Ok(Self {
                named,
                files,
                shard_of,
            });
        }
        let text = std::fs::read_to_string(&named).map_err(Error::io("read", &named))?;
        let index: Index = serde_json::from_str(&text).map_err(Error::json(&named))?;
        let mut shards: Vec<&String> = index.weight_map.values().collect();
        shards.sort();
        shards.dedup();
        let files = shards
            .into_iter()
            .map(|shard| shard_path(dir, &named, shard));
        Ok(Self {
            files: files.collect::<Result<_>>()?,
            shard_of: Some(index.weight_map),
            named,
        })
    }

    /// Every tensor of all files by its name in them.
    fn tensors(&self) -> Result<BTreeMap<String, Stored>> {
        let mut all = BTreeMap::new();
        let mut astray = Vec::new();
        for path in &self.files {
            let pickled = path.extension().is_some_and(|extension| extension == "bin");
            let stored = if pickled {
                torch_file::tensors(path)?
            } else {
                safetensors_file::tensors(path)?
            };
            let shard = path.file_name().and_then(|name| name.to_str());
            for (name, tensor) in stored {
                let said = self.shard_of.as_ref().map(|map| map.get(&name));
                match said {
                    Some(said) if said.map(String::as_str) != shard => {
                        astray.push(format!("{name} in {}", shard.unwrap_or_default()));
                    }
                    _ => drop(all.insert(name, tensor)),
                }
            }
        }
        let listed = self.shard_of.iter().flatten();
        let absent = listed
            .filter(|(name, _)| !all.contains_key(*name))
            .map(|(name, shard)| format!("{name} in {shard}"));
        let problems: Vec<String> = [
            first_few("listed but not there", &absent.collect::<Vec<_>>()),
            first_few("there but not listed so", &astray),
        ]
        .into_iter()
        .flatten()
        .collect();
        if problems.is_empty() {
            return Ok(all);
        }
        Err(Error::UnsupportedCheckpoint {
            path: self.named.clone(),
            problem: format!(
                "the shards do not hold what the index says: {}; fetch the files of one revision",
                problems.join("; ")
            ),
        })
    }
}

/// A shard beside its index, never elsewhere.
fn shard_path(dir: &Path, index: &Path, shard: &str) -> Result<PathBuf> {
    let refuse = |problem: String| Error::UnsupportedCheckpoint {
        path: index.to_owned(),
        problem,
    };
    if Path::new(shard).file_name() != Some(shard.as_ref()) {
        return Err(refuse(format!("shard `{shard}` is no plain file name")));
    }
    // `model.safetensors.index.json` → safetensors, `pytorch_model.bin.index.json` → bin.
    let format = index.file_stem().map(Path::new).and_then(Path::file_stem);
    let format = format.map(Path::new).and_then(Path::extension);
    if Path::new(shard).extension() != format {
        return Err(refuse(format!(
            "shard `{shard}` is of another format than the index"
        )));
    }
    let path = dir.join(shard);
    if path.is_file() {
        return Ok(path);
    }
    Err(refuse(format!(
        "shard `{shard}` is missing; fetch it into the same directory"
    )))
}

fn no_weights(dir: &Path, candidates: &[&str]) -> Error {
    for other in ["tf_model.h5", "flax_model.msgpack"] {
        if dir.join(other).exists() {
            return Error::UnsupportedCheckpoint {
                path: dir.to_owned(),
                problem: format!(
                    "there are weights for other frameworks ({other}) only; fetch {}",
                    candidates[0]
                ),
            };
        }
    }
    let names = candidates.join(", ");
    Error::UnsupportedCheckpoint {
        path: dir.to_owned(),
        problem: format!("there are no weights; one of {names} is needed"),
    }
}
