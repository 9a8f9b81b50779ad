//! The tensors of a safetensors file, from its header.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use safetensors::tensor::{Dtype, Metadata};

use crate::stored::{Stored, StoredDtype, row_major};
use crate::{Error, Result};

/// The header's length is stored in this many bytes.
const LENGTH_BYTES: u64 = 8;

/// Headers above this are refused, as the format itself demands.
const MAX_HEADER: u64 = 100_000_000;

/// Every tensor of the file by its name.
pub(crate) fn tensors(path: &Path) -> Result<BTreeMap<String, Stored>> {
    let mut file = File::open(path).map_err(Error::io("open", path))?;
    let (data_start, header) = read_header(&mut file, path)?;
    let path: Arc<Path> = path.into();
    let stored = header.tensors().into_iter().map(|(name, info)| {
        let stored = Stored {
            path: path.clone(),
            dtype: match info.dtype {
                Dtype::F32 => StoredDtype::F32,
                Dtype::F16 => StoredDtype::F16,
                Dtype::BF16 => StoredDtype::BF16,
                other => StoredDtype::Other(format!("{other:?}")),
            },
            start: data_start + info.data_offsets.0 as u64,
            shape: info.shape.clone(),
            strides: row_major(&info.shape),
        };
        (name, stored)
    });
    Ok(stored.collect())
}

/// Where the data starts, and the header, checked against the file's length. Parsing it shows that
/// the tensors follow each other without gaps and are as long as their shapes say.
fn read_header(file: &mut File, path: &Path) -> Result<(u64, Metadata)> {
    let actual = file.metadata().map_err(Error::io("read", path))?.len();
    let refuse = |problem: String| Error::NotWeights {
        path: path.to_owned(),
        actual,
        format: "a safetensors",
        problem,
    };
    let start = first_bytes(file, path)?;
    if let Some(problem) = mistaken_identity(&start) {
        return Err(refuse(problem));
    }
    if start.starts_with(b"PK\x03\x04") || start.starts_with(b"\x80\x02") {
        let problem = "it is a PyTorch pickle; name it pytorch_model.bin, or convert it";
        return Err(refuse(problem.to_owned()));
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

pub(crate) fn first_bytes(file: &mut File, path: &Path) -> Result<Vec<u8>> {
    let mut start = Vec::new();
    file.by_ref()
        .take(512)
        .read_to_end(&mut start)
        .map_err(Error::io("read", path))?;
    Ok(start)
}

/// What is commonly found under the name of a weight file, by its first bytes.
pub(crate) fn mistaken_identity(start: &[u8]) -> Option<String> {
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
    None
}
