//! The embedded checkpoints: small CLIP models pretrained on the caption corpus.

use std::path::Path;

use paint_data::write_atomically;

use crate::error::Result;
use crate::tokenizer::write_tokenizer;

/// A pretrained model that comes with this crate, f16; how it was made stands in its
/// `paint.json` and in `checkpoints/README.md`.
#[derive(Debug, Clone, Copy)]
pub struct Checkpoint {
    /// Its name.
    pub name: &'static str,
    image_size: usize,
    config: &'static str,
    provenance: &'static str,
    weights: &'static [u8],
}

macro_rules! checkpoint {
    ($name:literal, $image_size:literal) => {
        Checkpoint {
            name: $name,
            image_size: $image_size,
            config: include_str!(concat!("../checkpoints/", $name, "/config.json")),
            provenance: include_str!(concat!("../checkpoints/", $name, "/paint.json")),
            weights: include_bytes!(concat!("../checkpoints/", $name, "/model.safetensors")),
        }
    };
}

static CHECKPOINTS: [Checkpoint; 5] = [
    checkpoint!("world-2xs", 48),
    checkpoint!("world-xs", 48),
    checkpoint!("world-s", 48),
    checkpoint!("world-reads", 48),
    checkpoint!("photos-small", 32),
];

/// All embedded checkpoints: of the world, smallest first, then the one that reads, then of
/// photographs.
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
        write_tokenizer(directory, self.image_size)?;
        write_atomically(&directory.join("config.json"), self.config.as_bytes())?;
        write_atomically(&directory.join("paint.json"), self.provenance.as_bytes())?;
        Ok(write_atomically(&weights, self.weights)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_sizes_are_those_of_the_configurations() {
        for checkpoint in checkpoints() {
            let config: serde_json::Value = serde_json::from_str(checkpoint.config).unwrap();
            assert_eq!(config["vision_config"]["image_size"], checkpoint.image_size);
        }
    }
}
