//! One sequential pass over an input before anything is written: its hash, and for a copy whether
//! every value is finite.

use crate::{Error, Result, checkpoint::Checkpoint, compatibility::Group, element::Kind};
use sha2::{Digest, Sha256};

/// SHA-256 of the file in hexadecimal if `checksum`; an error if `check_finite` and a value is not.
pub(crate) fn survey(
    input: &Checkpoint,
    chunk: usize,
    check_finite: bool,
    checksum: bool,
) -> Result<Option<String>> {
    if !check_finite && !checksum {
        return Ok(None);
    }
    let mut hash = checksum.then(Sha256::new);
    let mut update = |bytes: &[u8]| {
        if let Some(hash) = &mut hash {
            hash.update(bytes);
        }
    };
    let mut buffer = Vec::new();
    let mut bad = Group::new("tensors");
    scan(input, 0, input.data_start, chunk, &mut buffer, &mut update)?;
    let mut by_position: Vec<_> = input.tensors.iter().collect();
    by_position.sort_by_key(|(name, entry)| (entry.start, *name));
    for (name, entry) in by_position {
        let mut n_bad = 0;
        scan(
            input,
            entry.start,
            entry.n_bytes,
            chunk,
            &mut buffer,
            |bytes| {
                update(bytes);
                if let (Kind::Float(dtype), true) = (entry.kind(), check_finite) {
                    n_bad += dtype.count_non_finite(bytes);
                }
            },
        )?;
        if n_bad > 0 {
            bad.add(|| format!("{name}: {n_bad} of {}", entry.n_elements()));
        }
    }
    input.verify_unchanged()?;
    match bad.into_text() {
        None => Ok(hash.map(hexadecimal)),
        Some(tensors) => Err(Error::NonFinite {
            path: input.path.clone(),
            tensors,
        }),
    }
}

/// Shows `n_bytes` from `start` to `see` in pieces of at most `chunk` elements of the widest dtype.
pub(crate) fn scan(
    input: &Checkpoint,
    start: u64,
    n_bytes: u64,
    chunk: usize,
    buffer: &mut Vec<u8>,
    mut see: impl FnMut(&[u8]),
) -> Result<()> {
    let mut done = 0;
    while done < n_bytes {
        let n = (n_bytes - done).min(chunk as u64 * 8) as usize;
        buffer.resize(n, 0);
        input.read(start + done, buffer)?;
        see(buffer);
        done += n as u64;
    }
    Ok(())
}

pub(crate) fn hexadecimal(hash: Sha256) -> String {
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
