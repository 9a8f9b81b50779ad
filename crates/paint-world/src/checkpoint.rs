//! The embedded checkpoints: small CLIP models pretrained on the caption corpus.

use std::path::Path;

use crate::error::{Error, Result};
use crate::publish::{write_bytes, write_text};
use crate::tokenizer::write_tokenizer;

/// A pretrained model that comes with this crate, f16; how it was made stands in its
/// `paint.json` and in `checkpoints/README.md`.
#[derive(Debug, Clone, Copy)]
pub struct Checkpoint {
    /// Its name.
    pub name: &'static str,
    config: &'static str,
    provenance: &'static str,
    weights: &'static [u8],
}

macro_rules! checkpoint {
    ($name:literal) => {
        Checkpoint {
            name: $name,
            config: include_str!(concat!("../checkpoints/", $name, "/config.json")),
            provenance: include_str!(concat!("../checkpoints/", $name, "/paint.json")),
            weights: include_bytes!(concat!("../checkpoints/", $name, "/model.safetensors")),
        }
    };
}

static CHECKPOINTS: [Checkpoint; 1] = [checkpoint!("world-xs")];

/// All embedded checkpoints, smallest first.
#[must_use]
pub fn checkpoints() -> &'static [Checkpoint] {
    &CHECKPOINTS
}

impl Checkpoint {
    /// Writes the checkpoint as a directory in Hugging Face layout, weights last; files that
    /// are there with the same content are left alone.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self, directory: &Path) -> Result<()> {
        let weights = directory.join("model.safetensors");
        if std::fs::read(&weights).is_ok_and(|found| found == self.weights) {
            return Ok(());
        }
        std::fs::create_dir_all(directory).map_err(|source| Error::Io {
            path: directory.to_owned(),
            source,
        })?;
        write_tokenizer(directory)?;
        write_text(&directory.join("config.json"), self.config)?;
        write_text(&directory.join("paint.json"), self.provenance)?;
        write_bytes(&weights, self.weights)
    }
}
