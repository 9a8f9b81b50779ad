//! The tensors of a `.bin` file of torch: a zip archive with a pickle and the storages.
//!
//! Nothing is unpacked and no name of the archive is used as a path: storages must be stored
//! uncompressed, as torch stores them, and their values are read where they lie. Checksums are not
//! looked at, as torch does not either and may write wrong ones
//! (`torch.serialization.set_crc32_options`).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use zip::{CompressionMethod, ZipArchive};

use crate::pickle::{PickledTensor, state_dict};
use crate::safetensors_file::{first_bytes, mistaken_identity};
use crate::stored::{Stored, StoredDtype, span};
use crate::{Error, Result};

/// A state dict takes about 200 bytes for each tensor.
const MAX_PICKLE: u64 = 4 << 20;

/// Entries of an archive: one for each storage, and a few.
const MAX_ENTRIES: usize = 1 << 16;

/// Bytes of the file.
struct Entry {
    start: u64,
    len: u64,
}

/// Every tensor of the file by its name.
pub(crate) fn tensors(path: &Path) -> Result<BTreeMap<String, Stored>> {
    let mut file = File::open(path).map_err(Error::io("open", path))?;
    refuse_what_is_no_archive(&mut file, path)?;
    let entries = entries(&file, path)?;
    let refuse = |problem: String| Error::UnsupportedCheckpoint {
        path: path.to_owned(),
        problem,
    };
    let root = root(&entries).map_err(refuse)?;
    if let Some(order) = entries.get(&format!("{root}/byteorder"))
        && read(&file, order, 16).map_err(Error::io("read", path))? != b"little"
    {
        return Err(refuse("its numbers are not little-endian".to_owned()));
    }
    let pickle = &entries[&format!("{root}/data.pkl")];
    if pickle.len > MAX_PICKLE {
        let problem = format!(
            "its data.pkl has {} bytes, too many for a state dict; save model.state_dict() alone",
            pickle.len
        );
        return Err(refuse(problem));
    }
    let pickle = read(&file, pickle, MAX_PICKLE).map_err(Error::io("read", path))?;
    let pickled = state_dict(&pickle).map_err(|refused| Error::Pickle {
        path: path.to_owned(),
        position: refused.position,
        problem: refused.problem,
    })?;
    let path: Arc<Path> = path.into();
    let stored = pickled.into_iter().map(|(name, tensor)| {
        let entry = entries.get(&format!("{root}/data/{}", tensor.key));
        let stored = locate(tensor, entry, &path)
            .map_err(|problem| refuse(format!("tensor `{name}` {problem}")))?;
        Ok((name, stored))
    });
    stored.collect()
}

fn refuse_what_is_no_archive(file: &mut File, path: &Path) -> Result<()> {
    let actual = file.metadata().map_err(Error::io("read", path))?.len();
    let start = first_bytes(file, path)?;
    let problem = if let Some(problem) = mistaken_identity(&start) {
        problem
    } else if start.starts_with(b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19") {
        "it is in the format that PyTorch wrote before 1.6; convert it with Python: \
         torch.save(torch.load(file, weights_only=True), file)"
            .to_owned()
    } else if !start.starts_with(b"PK\x03\x04") {
        "it does not start as a zip archive; fetch the file again".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::NotWeights {
        path: path.to_owned(),
        actual,
        format: "a PyTorch weight",
        problem,
    })
}

/// Where the entries of the archive lie, all of them stored as they are.
fn entries(file: &File, path: &Path) -> Result<BTreeMap<String, Entry>> {
    let length = file.metadata().map_err(Error::io("read", path))?.len();
    let refuse = |problem: String| Error::UnsupportedCheckpoint {
        path: path.to_owned(),
        problem,
    };
    let damaged = |e: zip::result::ZipError| {
        refuse(format!(
            "the archive is truncated or damaged ({e}); fetch the file again"
        ))
    };
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(damaged)?;
    if archive.has_duplicate_names() {
        return Err(refuse("two entries have the same name".to_owned()));
    }
    if archive.len() > MAX_ENTRIES {
        return Err(refuse(format!("it has {} entries", archive.len())));
    }
    let mut entries = BTreeMap::new();
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(damaged)?;
        let name = entry.name().map_err(damaged)?.into_owned();
        if name.starts_with('/') || name.split(['/', '\\']).any(|part| part == "..") {
            return Err(refuse(format!("entry `{name}` lies outside the archive")));
        }
        if entry.compression() != CompressionMethod::Stored || entry.encrypted() {
            return Err(refuse(format!(
                "entry `{name}` is compressed or encrypted, which torch.save never does; save the \
                 state dict again with torch.save"
            )));
        }
        let (start, len) = (entry.data_start().unwrap_or(u64::MAX), entry.size());
        if len != entry.compressed_size() || start.checked_add(len).is_none_or(|end| end > length) {
            return Err(refuse(format!(
                "entry `{name}` does not lie inside the file; fetch it again"
            )));
        }
        entries.insert(name, Entry { start, len });
    }
    Ok(entries)
}

/// The folder that everything of the archive is in.
fn root(entries: &BTreeMap<String, Entry>) -> std::result::Result<&str, String> {
    let mut roots = entries
        .keys()
        .filter_map(|name| name.strip_suffix("/data.pkl"));
    let (Some(root), None) = (roots.next(), roots.next()) else {
        return Err("it has not one data.pkl, as torch.save writes".to_owned());
    };
    if entries.contains_key(&format!("{root}/constants.pkl")) {
        return Err(
            "it is a TorchScript program, not a state dict; convert it with Python: \
                    torch.save(torch.jit.load(file).state_dict(), \"pytorch_model.bin\")"
                .to_owned(),
        );
    }
    match entries
        .keys()
        .find(|name| name.strip_prefix(root).is_none_or(|n| !n.starts_with('/')))
    {
        Some(stray) => Err(format!("entry `{stray}` lies outside of `{root}`")),
        None => Ok(root),
    }
}

fn read(mut file: &File, entry: &Entry, most: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(entry.start))?;
    file.take(entry.len.min(most)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A tensor's place in the file, checked against its storage; or what is wrong with it.
fn locate(
    tensor: PickledTensor,
    storage: Option<&Entry>,
    path: &Arc<Path>,
) -> std::result::Result<Stored, String> {
    let storage = storage.ok_or_else(|| {
        let key: String = tensor.key.chars().take(80).collect();
        format!("is in storage `{key}`, which the archive lacks")
    })?;
    let (dtype, size) = dtype(&tensor.storage_type)?;
    let bytes = tensor.storage_len.checked_mul(size);
    if bytes.and_then(|n| u64::try_from(n).ok()) != Some(storage.len) {
        return Err(format!(
            "is in a storage of {} bytes that should hold {} values of {size} bytes",
            storage.len, tensor.storage_len
        ));
    }
    let strides = normal_strides(&tensor.shape, tensor.strides);
    let span = span(&tensor.shape, &strides);
    let end = span.and_then(|span| span.checked_add(tensor.offset));
    if end.is_none_or(|end| end > tensor.storage_len) {
        return Err(format!(
            "reaches beyond its storage: offset {}, shape {:?}, strides {strides:?} of {} values",
            tensor.offset, tensor.shape, tensor.storage_len
        ));
    }
    let n = tensor
        .shape
        .iter()
        .try_fold(1_usize, |n, len| n.checked_mul(*len));
    if n.is_none_or(|n| Some(n) > span) {
        return Err(format!(
            "uses values of its storage twice: shape {:?}, strides {strides:?}",
            tensor.shape
        ));
    }
    Ok(Stored {
        path: path.clone(),
        dtype,
        start: storage.start + (tensor.offset * size) as u64,
        shape: tensor.shape,
        strides,
    })
}

/// The stride of an axis with one element says nothing, and torch writes anything there.
fn normal_strides(shape: &[usize], mut strides: Vec<usize>) -> Vec<usize> {
    let mut below = 1_usize;
    for (n, stride) in shape.iter().zip(&mut strides).rev() {
        if *n == 1 {
            *stride = below;
        }
        below = stride.saturating_mul(*n);
    }
    strides
}

/// Of a storage type, and the bytes of one value.
fn dtype(storage_type: &str) -> std::result::Result<(StoredDtype, usize), String> {
    let other = |size| (StoredDtype::Other(storage_type.to_owned()), size);
    Ok(match storage_type {
        "FloatStorage" => (StoredDtype::F32, 4),
        "HalfStorage" => (StoredDtype::F16, 2),
        "BFloat16Storage" => (StoredDtype::BF16, 2),
        "DoubleStorage" | "LongStorage" | "ComplexFloatStorage" => other(8),
        "IntStorage" => other(4),
        "ShortStorage" => other(2),
        "CharStorage" | "ByteStorage" | "BoolStorage" => other(1),
        _ => return Err(format!("has the unknown type `{storage_type}`")),
    })
}
