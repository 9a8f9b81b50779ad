//! Models by name or directory.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::workspace;

/// A checkpoint directory, or an embedded model written to `runs/models/NAME`.
pub(crate) fn find_model(name: &str) -> Result<PathBuf> {
    let directory = Path::new(name);
    paint_clip::restore(directory)?;
    if directory.join("config.json").exists() {
        return Ok(directory.to_owned());
    }
    if let Some(checkpoint) = paint_world::checkpoints().iter().find(|c| c.name == name) {
        let directory = workspace::runs().join("models").join(name);
        checkpoint.write(&directory)?;
        return Ok(directory);
    }
    let known: Vec<&str> = paint_world::checkpoints().iter().map(|c| c.name).collect();
    bail!(
        "model {name}: no directory with a config.json, and no embedded model of this name ({})",
        known.join(", ")
    )
}
