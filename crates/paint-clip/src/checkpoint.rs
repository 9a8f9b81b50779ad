//! Reading `model.safetensors`: header first, then tensor by tensor, everything as f32.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use safetensors::tensor::{Dtype, Metadata, TensorInfo};

use crate::replace::restore;
use crate::{Error, Result};

/// Tensors by their `transformers` names, all f32.
pub type Tensors = BTreeMap<String, Tensor>;

/// Bytes read at a time; bounds the memory beside the tensors themselves.
const CHUNK: usize = 1 << 20;

/// The header's length is stored in this many bytes.
const LENGTH_BYTES: u64 = 8;

/// Headers above this are refused, as the format itself demands.
const MAX_HEADER: u64 = 100_000_000;

/// Reads `dir/model.safetensors`: f32, f16 and bf16 tensors as f32, `position_ids` left out.
///
/// The file is read with plain reads through a small buffer, never mapped into memory, so that a
/// file that shrinks meanwhile is an error and not a crash.
///
/// # Errors
/// If there is no such file, it is not a complete safetensors file, a tensor has another dtype, or
/// a value is not finite.
pub fn load_tensors(dir: &Path, device: &Device) -> Result<Tensors> {
    restore(dir)?;
    let path = weights_path(dir)?;
    let mut file = File::open(&path).map_err(Error::io("open", &path))?;
    let (data_start, header) = read_header(&mut file, &path)?;
    file.seek(SeekFrom::Start(data_start))
        .map_err(Error::io("read", &path))?;
    let mut tensors = Tensors::new();
    // In the order of their offsets, which the header check has shown to be gapless.
    for name in header.offset_keys() {
        let Some(info) = header.info(&name) else {
            continue;
        };
        if is_position_ids(&name) {
            skip(&mut file, info, &path)?;
            continue;
        }
        let values = read_f32(&mut file, &name, info, &path)?;
        check_finite(&name, &values, || format!(" in {}", path.display()))?;
        tensors.insert(
            name,
            Tensor::from_vec(values, info.shape.as_slice(), device)?,
        );
    }
    Ok(tensors)
}

/// Some checkpoints store the constant 0, 1, 2, … under these names.
pub(crate) fn is_position_ids(name: &str) -> bool {
    name.ends_with(".position_ids")
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

/// The weight file, or why a directory without it cannot be used.
fn weights_path(dir: &Path) -> Result<PathBuf> {
    let path = dir.join("model.safetensors");
    if path.exists() {
        return Ok(path);
    }
    for (name, problem) in [
        (
            "model.safetensors.index.json",
            "the checkpoint is split into several safetensors files, which is not supported; \
             save it as one file (transformers: save_pretrained(dir, max_shard_size=\"1000GB\"))",
        ),
        (
            "pytorch_model.bin",
            "only pytorch_model.bin is there; pickles are never executed, convert it to \
             model.safetensors (transformers: CLIPModel.from_pretrained(dir).save_pretrained(dir))",
        ),
        (
            "open_clip_model.safetensors",
            "the weights are in open_clip's layout; convert them to Hugging Face's CLIPModel layout",
        ),
    ] {
        if dir.join(name).exists() {
            return Err(Error::UnsupportedCheckpoint {
                path: dir.to_owned(),
                problem: problem.to_owned(),
            });
        }
    }
    Err(Error::Io {
        action: "open",
        path,
        source: std::io::Error::from(std::io::ErrorKind::NotFound),
    })
}

/// Where the data starts, and the header, checked against the file's length.
fn read_header(file: &mut File, path: &Path) -> Result<(u64, Metadata)> {
    let actual = file.metadata().map_err(Error::io("read", path))?.len();
    let refuse = |problem: String| Error::NotSafetensors {
        path: path.to_owned(),
        actual,
        problem,
    };
    let mut start = Vec::new();
    file.by_ref()
        .take(512)
        .read_to_end(&mut start)
        .map_err(Error::io("read", path))?;
    if let Some(problem) = mistaken_identity(&start) {
        return Err(refuse(problem));
    }
    let Some(length) = start
        .first_chunk::<8>()
        .map(|bytes| u64::from_le_bytes(*bytes))
    else {
        return Err(refuse(
            "it is shorter than a header; fetch the file again".to_owned(),
        ));
    };
    if length > MAX_HEADER {
        return Err(refuse(
            "it does not start with a safetensors header; fetch it again".to_owned(),
        ));
    }
    if LENGTH_BYTES + length > actual {
        return Err(Error::WrongLength {
            path: path.to_owned(),
            expected: LENGTH_BYTES + length,
            actual,
        });
    }
    let mut header = vec![0; length as usize];
    file.seek(SeekFrom::Start(LENGTH_BYTES))
        .map_err(Error::io("read", path))?;
    file.read_exact(&mut header)
        .map_err(Error::io("read", path))?;
    let header: Metadata = serde_json::from_slice(&header).map_err(|e| {
        refuse(format!(
            "its header does not parse ({e}); fetch the file again"
        ))
    })?;
    let data_start = LENGTH_BYTES + length;
    let expected = data_start + header.data_len() as u64;
    if expected != actual {
        return Err(Error::WrongLength {
            path: path.to_owned(),
            expected,
            actual,
        });
    }
    Ok((data_start, header))
}

/// What is commonly found under the name of a weight file, by its first bytes.
fn mistaken_identity(start: &[u8]) -> Option<String> {
    if start.is_empty() {
        return Some("it is empty; fetch the file again".to_owned());
    }
    if start.starts_with(b"version https://git-lfs") {
        let text = String::from_utf8_lossy(start);
        let size = text
            .lines()
            .find_map(|line| line.strip_prefix("size "))
            .unwrap_or("unknown");
        return Some(format!(
            "it is a git-lfs pointer to a file of {size} bytes; run `git lfs pull`"
        ));
    }
    if start.trim_ascii_start().starts_with(b"<") {
        return Some("it is a web page, perhaps a login or error page; fetch it again".to_owned());
    }
    if start.starts_with(b"PK\x03\x04") || start.starts_with(b"\x80\x02") {
        return Some("it is a PyTorch pickle; convert it to safetensors".to_owned());
    }
    None
}

fn read_f32(file: &mut File, name: &str, info: &TensorInfo, path: &Path) -> Result<Vec<f32>> {
    let decode: fn(&[u8], &mut Vec<f32>) = match info.dtype {
        Dtype::F32 => |bytes, out| {
            let (quads, _) = bytes.as_chunks::<4>();
            out.extend(quads.iter().map(|b| f32::from_le_bytes(*b)));
        },
        Dtype::F16 => |bytes, out| {
            let (pairs, _) = bytes.as_chunks::<2>();
            out.extend(pairs.iter().map(|b| half::f16::from_le_bytes(*b).to_f32()));
        },
        Dtype::BF16 => |bytes, out| {
            let (pairs, _) = bytes.as_chunks::<2>();
            out.extend(pairs.iter().map(|b| half::bf16::from_le_bytes(*b).to_f32()));
        },
        dtype => {
            let problem = format!("tensor `{name}` is {dtype:?}; F32, F16 and BF16 can be read");
            return Err(Error::UnsupportedCheckpoint {
                path: path.to_owned(),
                problem,
            });
        }
    };
    let mut left = info.data_offsets.1 - info.data_offsets.0;
    let mut values = Vec::with_capacity(info.shape.iter().product());
    let mut buffer = vec![0; CHUNK.min(left)];
    while left > 0 {
        let chunk = &mut buffer[..CHUNK.min(left)];
        file.read_exact(chunk).map_err(Error::io("read", path))?;
        decode(chunk, &mut values);
        left -= chunk.len();
    }
    Ok(values)
}

fn skip(file: &mut File, info: &TensorInfo, path: &Path) -> Result<()> {
    let bytes = (info.data_offsets.1 - info.data_offsets.0) as i64;
    file.seek(SeekFrom::Current(bytes))
        .map_err(Error::io("read", path))?;
    Ok(())
}
