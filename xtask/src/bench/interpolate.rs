//! Two checkpoints of ViT-B/32's size to a third, file to file.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use candle_core::Device;
use paint_clip::ClipConfig;
use paint_data::Rng;
use paint_mix::Options;

/// Two checkpoints with random weights, 605 MB each; they are deleted with this value.
pub(crate) struct Checkpoints {
    dir: PathBuf,
}

impl Checkpoints {
    /// Where they are going to be under `directory`.
    pub(crate) fn at(directory: &Path) -> Self {
        Self {
            dir: directory.join("interpolate"),
        }
    }

    /// Writes them.
    pub(crate) fn make(&self) -> Result<()> {
        std::fs::create_dir_all(&self.dir)?;
        for (path, seed) in [(self.zero_shot(), 1), (self.fine_tuned(), 2)] {
            let mut rng = Rng::new(seed);
            let config = ClipConfig::default();
            let tensors = paint_clip::init(&config, &mut || rng.normal(), &Device::Cpu)?;
            candle_core::safetensors::save(&tensors.into_iter().collect(), path)?;
        }
        Ok(())
    }

    /// The first input, also the peer's.
    pub(crate) fn zero_shot(&self) -> PathBuf {
        self.dir.join("zero_shot.safetensors")
    }

    /// The second input, also the peer's.
    pub(crate) fn fine_tuned(&self) -> PathBuf {
        self.dir.join("fine_tuned.safetensors")
    }

    /// Where `who` writes.
    pub(crate) fn output(&self, who: &str) -> PathBuf {
        self.dir.join(format!("{who}.safetensors"))
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        if !self.dir.exists() {
            return;
        }
        if let Err(error) = std::fs::remove_dir_all(&self.dir) {
            tracing::warn!("cannot remove {}: {error}", self.dir.display());
        }
    }
}

/// MB of output per second of one interpolation; `as_published`: on the disk when it returns, with
/// checksums of all three files. The peer makes none.
pub(crate) fn ours(checkpoints: &Checkpoints, as_published: bool) -> Result<f64> {
    let options = Options {
        checksums: as_published,
        durable: as_published,
        ..Options::default()
    };
    let (zero_shot, fine_tuned) = (checkpoints.zero_shot(), checkpoints.fine_tuned());
    let output = checkpoints.output("ours");
    // A new file, as one writes it: deleting the last one is not the work.
    if output.exists() {
        std::fs::remove_file(&output)?;
    }
    let start = Instant::now();
    let report = paint_mix::interpolate(&zero_shot, &fine_tuned, 0.4, &output, &options)?;
    Ok(report.output.n_bytes as f64 / 1e6 / start.elapsed().as_secs_f64())
}
