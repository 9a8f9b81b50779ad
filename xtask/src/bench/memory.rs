//! Peak memory, of a process of its own each.

use anyhow::{Context, Result, bail};

use super::Measure;
use super::model::train_a_few_steps;
use super::rerank::Million;

/// What is measured if it is not the training of a model.
pub(super) const RERANK: &str = "rerank";

/// Peak memory in MB of a process that trains a model a few steps, or re-ranks the million.
pub(super) fn peak_memory(of: &str) -> Measure {
    let of = of.to_owned();
    Box::new(move || {
        let out = std::process::Command::new(std::env::current_exe()?)
            .args(["bench", "--peak-memory-of", &of])
            .output()?;
        let said = String::from_utf8_lossy(&out.stdout);
        said.trim()
            .parse()
            .with_context(|| String::from_utf8_lossy(&out.stderr).into_owned())
    })
}

/// Does the work here; the peak of this process's memory in MB.
pub(super) fn peak_memory_here(of: &str) -> Result<f64> {
    match of {
        RERANK => drop(Million::make()?.rerank()?),
        model => train_a_few_steps(model)?,
    }
    let status = std::fs::read_to_string("/proc/self/status")
        .context("peak memory is read from /proc, which this system does not have")?;
    let kilobytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    let Some(kilobytes) = kilobytes.and_then(|kb| kb.trim().parse::<f64>().ok()) else {
        bail!("/proc/self/status has no VmHWM");
    };
    Ok(kilobytes / 1000.0)
}
