//! What surrounds the model: photographs to pixels, checkpoints to a patched one, choosing alpha,
//! re-ranking.

use std::path::Path;

use anyhow::Result;
use paint_mix::Shape;
use serde_json::json;

use super::alpha::alpha_passes;
use super::interpolate::{self, Checkpoints};
use super::memory::{RERANK, peak_memory};
use super::preprocess::{self, Photographs};
use super::rerank::{self, Million};
use super::{Case, Measure};
use crate::{machine, workspace};

/// Those whose data is there: photographs in `hub`, predictions in `run`.
pub(super) fn cases(hub: Option<&Path>, run: Option<&Path>) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    if let Some(hub) = hub {
        // The peer in one process, as it is commonly used, and in as many as there are threads.
        for (name, workers) in [("preprocess", 0), ("preprocess_workers", machine::cores())] {
            cases.push(preprocess(name, hub, workers));
        }
    }
    // The peer's work; what `cargo xtask` does, beside the peer with an fsync.
    for (name, as_published) in [("interpolate", false), ("interpolate_published", true)] {
        cases.push(interpolate(name, as_published));
    }
    cases.extend([
        rerank("rerank", "images/s", Million::rerank),
        rerank("rerank_product", "images/s", Million::product),
        rerank("rerank_of_product", "%", Million::rerank_of_product),
        million("rerank_memory", "MB", || Ok(peak_memory(RERANK))),
    ]);
    if let Some(run) = run {
        let found = alpha_passes(run, Shape::Nested)?;
        let fewer = "times fewer";
        cases.extend([
            alpha("alpha_passes", fewer, found.ratio),
            alpha("alpha_passes_of_run", fewer, found.ratio_of_run),
            alpha("alpha_same_choice", "%", found.share(|task| task.n_same)),
            alpha("alpha_equal_choice", "%", found.share(|task| task.n_equal)),
        ]);
    }
    Ok(cases)
}

/// A million embeddings of width 512 among 1,000 classes; the products alone; and their ratio.
fn rerank(name: &'static str, unit: &'static str, work: fn(&Million) -> Result<f64>) -> Case {
    million(name, unit, move || {
        let million = Million::make()?;
        Ok(Box::new(move || work(&million)))
    })
}

fn million(
    name: &'static str,
    unit: &'static str,
    measure: impl FnOnce() -> Result<Measure> + 'static,
) -> Case {
    Case {
        name,
        model: "512 × 1000".to_owned(),
        batch: Some(rerank::BATCH),
        unit,
        request: None,
        prepare: Box::new(move |_| measure()),
    }
}

/// Counts, which no repetition changes.
fn alpha(name: &'static str, unit: &'static str, value: f64) -> Case {
    Case {
        name,
        model: "of the run".to_owned(),
        batch: None,
        unit,
        request: None,
        prepare: Box::new(move |_| Ok(Box::new(move || Ok(value)))),
    }
}

fn preprocess(name: &'static str, hub: &Path, workers: usize) -> Case {
    let hub = hub.to_owned();
    let photographs = hub.join("datasets/photos/imagenet-sample-200/data");
    Case {
        name,
        model: "224 px".to_owned(),
        batch: None,
        unit: "images/s",
        request: Some(json!({
            "work": "preprocess", "directory": photographs, "workers": workers,
            "threads": machine::cores(),
        })),
        prepare: Box::new(move |_| {
            let photographs = Photographs::read(&hub)?;
            let measure: Measure = Box::new(move || preprocess::ours(&photographs));
            Ok(measure)
        }),
    }
}

/// Both read the same two files; ours are made when the measurement begins, before the peer's.
fn interpolate(name: &'static str, as_published: bool) -> Case {
    let directory = workspace::runs().join("bench");
    let place = Checkpoints::at(&directory);
    Case {
        name,
        model: "vit-b-32".to_owned(),
        batch: None,
        unit: "MB/s",
        request: Some(json!({
            "work": "interpolate", "a": place.zero_shot(), "b": place.fine_tuned(),
            "out": place.output("peer"), "durable": as_published, "threads": machine::cores(),
        })),
        prepare: Box::new(move |_| {
            place.make()?;
            let measure: Measure = Box::new(move || interpolate::ours(&place, as_published));
            Ok(measure)
        }),
    }
}
