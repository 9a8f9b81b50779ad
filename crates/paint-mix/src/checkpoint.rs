//! An opened safetensors file: its tensors' places, read by position.
//!
//! `pread` and not a memory map: a map of a file that shrinks kills the process.

use crate::{Error, Result, element::Kind};
use safetensors::Dtype;
use serde::{
    Deserialize,
    de::{MapAccess, Visitor},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// Limit of the format's reference implementation.
const MAX_HEADER: u64 = 100_000_000;
const LENGTH: u64 = 8;
const REFETCH: &str = "fetch the file again from where it came, for instance with \
                       `hf download REPOSITORY model.safetensors`";
const LFS: &str = "fetch the content with `git lfs pull` or `hf download REPOSITORY`";
const PICKLE: &str = "pickles are never read; convert it with `safetensors.torch.save_file`";

/// One tensor of a file.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<u64>,
    /// Position in the file.
    pub(crate) start: u64,
    pub(crate) n_bytes: u64,
}

impl Entry {
    pub(crate) fn kind(&self) -> Kind {
        Kind::of(self.dtype)
    }

    /// Elements; bytes for dtypes smaller than a byte, which are never read.
    pub(crate) fn n_elements(&self) -> u64 {
        self.shape.iter().product()
    }
}

/// A safetensors file whose header has been checked against its length.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    pub(crate) path: PathBuf,
    pub(crate) n_bytes: u64,
    pub(crate) tensors: BTreeMap<String, Entry>,
    /// The texts under `__metadata__`; what is no text is left out.
    pub(crate) metadata: BTreeMap<String, String>,
    /// Where the tensors' bytes begin.
    pub(crate) data_start: u64,
    file: File,
    modified: Option<SystemTime>,
}

impl Checkpoint {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let read_error = |source| Error::Read {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(read_error)?;
        let attributes = file.metadata().map_err(read_error)?;
        if !attributes.is_file() {
            let source = io::Error::other("not a regular file; name the model.safetensors itself");
            return Err(read_error(source));
        }
        let n_bytes = attributes.len();
        let header = read_header(&file, path, n_bytes)?;
        let data_start = LENGTH + header.len() as u64;
        let (tensors, metadata) = parse(&header, data_start, n_bytes)
            .map_err(|problem| not_safetensors(path, problem, REFETCH))?;
        let modified = attributes.modified().ok();
        Ok(Self {
            path: path.to_owned(),
            n_bytes,
            tensors,
            metadata,
            data_start,
            file,
            modified,
        })
    }

    /// Fills `buffer` from `position`.
    pub(crate) fn read(&self, position: u64, buffer: &mut [u8]) -> Result<()> {
        read_exact_at(&self.file, buffer, position).map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => Error::Changed {
                path: self.path.clone(),
            },
            _ => Error::Read {
                path: self.path.clone(),
                source,
            },
        })
    }

    /// Fails if length or time of modification are no longer those of opening.
    pub(crate) fn verify_unchanged(&self) -> Result<()> {
        let now = self.file.metadata().map_err(|source| Error::Read {
            path: self.path.clone(),
            source,
        })?;
        if now.len() == self.n_bytes && now.modified().ok() == self.modified {
            Ok(())
        } else {
            Err(Error::Changed {
                path: self.path.clone(),
            })
        }
    }
}

#[cfg(unix)]
pub(crate) fn read_exact_at(file: &File, buffer: &mut [u8], position: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, position)
}

#[cfg(windows)]
pub(crate) fn read_exact_at(
    file: &File,
    mut buffer: &mut [u8],
    mut position: u64,
) -> io::Result<()> {
    while !buffer.is_empty() {
        let n = std::os::windows::fs::FileExt::seek_read(file, buffer, position)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buffer = &mut buffer[n..];
        position += n as u64;
    }
    Ok(())
}

#[cfg(unix)]
pub(crate) fn write_all_at(file: &File, bytes: &[u8], position: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, position)
}

#[cfg(windows)]
pub(crate) fn write_all_at(file: &File, mut bytes: &[u8], mut position: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let n = std::os::windows::fs::FileExt::seek_write(file, bytes, position)?;
        if n == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[n..];
        position += n as u64;
    }
    Ok(())
}

fn not_safetensors(path: &Path, problem: String, remedy: &'static str) -> Error {
    Error::NotSafetensors {
        path: path.to_owned(),
        problem,
        remedy,
    }
}

/// The header's JSON, after telling apart what commonly lies where weights should be.
fn read_header(file: &File, path: &Path, n_bytes: u64) -> Result<Vec<u8>> {
    let read_error = |source| Error::Read {
        path: path.to_owned(),
        source,
    };
    let mut start = vec![0; n_bytes.min(64) as usize];
    read_exact_at(file, &mut start, 0).map_err(read_error)?;
    if let Some((problem, remedy)) = foreign(&start, n_bytes) {
        return Err(not_safetensors(path, problem, remedy));
    }
    let Some(length) = start.first_chunk().map(|&bytes| u64::from_le_bytes(bytes)) else {
        let problem = format!("truncated: {n_bytes} bytes, not even the 8 of the header's length");
        return Err(not_safetensors(path, problem, REFETCH));
    };
    if length > MAX_HEADER {
        let problem = format!(
            "not a safetensors file: its first 8 bytes announce a header of {length} bytes \
             (at most {MAX_HEADER} are allowed) in a file of {n_bytes}"
        );
        return Err(not_safetensors(path, problem, REFETCH));
    }
    if LENGTH + length > n_bytes {
        let problem = format!(
            "truncated: the header alone needs {} bytes, the file has {n_bytes}",
            LENGTH + length
        );
        return Err(not_safetensors(path, problem, REFETCH));
    }
    let mut header = vec![0; length as usize];
    read_exact_at(file, &mut header, LENGTH).map_err(read_error)?;
    Ok(header)
}

fn foreign(start: &[u8], n_bytes: u64) -> Option<(String, &'static str)> {
    let text = start.trim_ascii_start();
    let found = |what: &str, remedy| Some((format!("{what} ({n_bytes} bytes)"), remedy));
    if start.is_empty() {
        found("the file is empty", REFETCH)
    } else if start.starts_with(b"version https://git-lfs") {
        found("a Git LFS pointer and not the weights", LFS)
    } else if text.starts_with(b"<") {
        found("an HTML or XML page and not the weights", REFETCH)
    } else if start.starts_with(b"PK\x03\x04") || start.starts_with(b"\x80\x02") {
        found("a PyTorch pickle and not safetensors", PICKLE)
    } else {
        None
    }
}

#[derive(Deserialize)]
struct RawEntry {
    dtype: Dtype,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// The header's object; a plain map would silently keep the last of two equal names.
struct RawHeader {
    tensors: BTreeMap<String, RawEntry>,
    metadata: BTreeMap<String, String>,
}

impl<'de> Deserialize<'de> for RawHeader {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Header;
        impl<'de> Visitor<'de> for Header {
            type Value = RawHeader;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawHeader, A::Error> {
                let mut tensors = BTreeMap::new();
                let mut metadata = BTreeMap::new();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        metadata = texts(map.next_value()?);
                    } else if tensors.insert(name.clone(), map.next_value()?).is_some() {
                        let problem = format!("tensor {name} is listed twice");
                        return Err(serde::de::Error::custom(problem));
                    }
                }
                Ok(RawHeader { tensors, metadata })
            }
        }
        deserializer.deserialize_map(Header)
    }
}

fn texts(metadata: Value) -> BTreeMap<String, String> {
    let Value::Object(entries) = metadata else {
        return BTreeMap::new();
    };
    let text = |(key, value)| match value {
        Value::String(text) => Some((key, text)),
        _ => None,
    };
    entries.into_iter().filter_map(text).collect()
}

/// What a header says: tensors by name, and the metadata.
type Contents = (BTreeMap<String, Entry>, BTreeMap<String, String>);

/// Entries with absolute positions, known to tile the file exactly; or what is wrong.
fn parse(header: &[u8], data_start: u64, n_bytes: u64) -> Result<Contents, String> {
    let RawHeader {
        tensors: raw,
        metadata,
    } = serde_json::from_slice(header)
        .map_err(|error| format!("not a safetensors file: header unreadable: {error}"))?;
    let mut by_position: Vec<_> = raw.iter().collect();
    by_position.sort_by_key(|(name, entry)| (entry.data_offsets, *name));
    let mut end = 0;
    for (name, entry) in by_position {
        let (from, to) = entry.data_offsets;
        if from != end {
            return Err(format!(
                "damaged header: tensor {name} begins at data byte {from}, expected {end}"
            ));
        }
        let expected = expected_bytes(entry)
            .ok_or_else(|| format!("damaged header: tensor {name} has an impossible shape"))?;
        if from.checked_add(expected) != Some(to) {
            return Err(format!(
                "damaged header: tensor {name} {:?}{:?} takes {expected} bytes, its place is {from}..{to}",
                entry.dtype, entry.shape
            ));
        }
        end = to;
    }
    let total = data_start.saturating_add(end);
    if total != n_bytes {
        let what = if total > n_bytes {
            "truncated"
        } else {
            "bytes after the last tensor"
        };
        return Err(format!("{what}: {total} bytes expected, {n_bytes} found"));
    }
    let place = |(name, entry): (String, RawEntry)| {
        let (from, to) = entry.data_offsets;
        let start = data_start + from;
        (
            name,
            Entry {
                dtype: entry.dtype,
                shape: entry.shape,
                start,
                n_bytes: to - from,
            },
        )
    };
    Ok((raw.into_iter().map(place).collect(), metadata))
}

fn expected_bytes(entry: &RawEntry) -> Option<u64> {
    let n = entry
        .shape
        .iter()
        .try_fold(1_u64, |n, &dim| n.checked_mul(dim))?;
    let bits = n.checked_mul(entry.dtype.bitsize() as u64)?;
    bits.is_multiple_of(8).then_some(bits / 8)
}
