//! What a report says about the machine and the tool, and content hashes.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, bail};
use paint_clip::Provenance;
use sha2::{Digest, Sha256};

/// The command that was typed, with `cargo xtask` for the program.
pub(crate) fn command_line() -> String {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    format!("cargo xtask {}", arguments.join(" "))
}

pub(crate) fn versions() -> BTreeMap<String, String> {
    BTreeMap::from([("paint".to_owned(), env!("CARGO_PKG_VERSION").to_owned())])
}

/// The processor's name where the system tells it.
pub(crate) fn cpu() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or_else(
        || std::env::consts::ARCH.to_owned(),
        |(_, name)| name.trim().to_owned(),
    )
}

pub(crate) fn cores() -> usize {
    rayon::current_num_threads()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub(crate) fn sha256_of_file(path: &Path) -> Result<String> {
    let mut hasher = Sha256::new();
    let mut file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    std::io::copy(&mut file, &mut hasher)
        .with_context(|| format!("cannot read {}", path.display()))?;
    Ok(hex(&hasher.finalize()))
}

/// One hash for the weights of a checkpoint: that of the file, or of the shards' hashes in the order
/// of their names. That of one file is compared with the one that `paint.json` has, if it has one.
pub(crate) fn sha256_of_weights(dir: &Path) -> Result<String> {
    let files = paint_clip::weight_files(dir)?;
    let hashes = files.iter().map(|path| sha256_of_file(path));
    let hashes: Vec<String> = hashes.collect::<Result<_>>()?;
    // Of shards there is no record: paint writes none, somebody else has cut the file.
    let [found] = hashes.as_slice() else {
        return Ok(sha256(hashes.join("\n").as_bytes()));
    };
    match Provenance::recorded_sha256(dir) {
        Some(written) if written != *found => bail!(
            "{}: the weights are not those that were written: their SHA-256 is {found}, and \
             paint.json has {written}; make or fetch the checkpoint again, or, if you have \
             replaced the weights yourself, remove weights_sha256 from paint.json",
            files[0].display()
        ),
        _ => Ok(found.clone()),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
