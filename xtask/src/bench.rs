//! `cargo xtask bench`: how fast this machine does the work, beside PyTorch doing the same.
//!
//! Ours and the peer's repetitions are taken in turn in one run, so that whatever else slows the
//! machine slows both; medians are compared.

mod alpha;
mod files;
mod interpolate;
mod memory;
mod model;
mod peer;
mod preprocess;
mod rerank;
mod stepper;

use std::path::PathBuf;

use anyhow::{Result, bail};
use serde::Serialize;
use serde_json::{Value, json};

pub(crate) use self::model::{Speeds, speeds};
use self::peer::Peer;
use crate::machine;
use crate::progress::{Console, answer};

/// Measure speed and memory on this machine, beside PyTorch if wanted
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only the benchmark of this name; may be given several times
    #[arg(long)]
    only: Vec<String>,
    /// Only this model
    #[arg(long)]
    model: Vec<String>,
    /// Measure the peer in the same run
    #[arg(long, value_enum)]
    against: Option<Against>,
    /// The Python that has torch and transformers
    #[arg(long, default_value = "python3")]
    python: String,
    /// For `preprocess`: a directory in Hub layout with datasets/photos/imagenet-sample-200
    #[arg(long)]
    hub: Option<PathBuf>,
    /// For `alpha_passes`: the directory of a finished run of rq1
    #[arg(long)]
    run: Option<PathBuf>,
    /// Repetitions of each, of which the median counts
    #[arg(long, default_value_t = 7)]
    repeat: usize,
    /// One JSON object per line on standard output
    #[arg(long)]
    json: bool,
    /// Trains a few steps, or re-ranks, and prints this process's peak memory in MB
    #[arg(long, hide = true, value_name = "MODEL|rerank")]
    peak_memory_of: Option<String>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Against {
    /// PyTorch with transformers
    Torch,
}

/// One thing to measure.
pub(crate) struct Case {
    name: &'static str,
    model: String,
    batch: Option<usize>,
    unit: &'static str,
    /// What the peer is asked to do; nothing if it has no counterpart.
    request: Option<Value>,
    /// Prepares what is measured.
    prepare: Prepare,
}

/// Told how often it will be measured.
type Prepare = Box<dyn FnOnce(usize) -> Result<Measure>>;
/// One repetition's value, in the case's unit.
type Measure = Box<dyn FnMut() -> Result<f64>>;

/// One line of the table.
#[derive(Serialize)]
struct Figure {
    kind: &'static str,
    name: &'static str,
    model: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<usize>,
    threads: usize,
    value: f64,
    unit: &'static str,
    peer: Option<f64>,
    /// Ours over the peer's: of speeds, more is better; of times and memory, less.
    ratio: Option<f64>,
}

pub(crate) fn run(args: &Args, console: &Console) -> Result<()> {
    if let Some(model) = &args.peak_memory_of {
        answer(memory::peak_memory_here(model)?);
        return Ok(());
    }
    let cases = chosen(args)?;
    let mut peer = match args.against {
        Some(Against::Torch) => Some(Peer::start(&args.python)?),
        None => None,
    };
    if !args.json {
        answer(heading(peer.as_ref()));
    }
    let bar = console.bar("measuring", cases.len() as u64);
    for case in cases {
        bar.set_message(format!("{} {}", case.name, case.model));
        let figure = measure(case, peer.as_mut(), args.repeat.max(1))?;
        bar.inc(1);
        let line = match args.json {
            true => serde_json::to_string(&figure)?,
            false => line(&figure),
        };
        bar.suspend(|| answer(line));
    }
    bar.finish_and_clear();
    Ok(())
}

fn chosen(args: &Args) -> Result<Vec<Case>> {
    let mut cases = model::cases()?;
    cases.extend(files::cases(args.hub.as_deref(), args.run.as_deref())?);
    let names: Vec<&str> = cases.iter().map(|case| case.name).collect();
    if let Some(unknown) = args
        .only
        .iter()
        .find(|name| !names.contains(&name.as_str()))
    {
        let mut names = names;
        names.dedup();
        bail!(
            "there is no benchmark {unknown}; there are {} (preprocess needs --hub, alpha_passes --run)",
            names.join(", ")
        );
    }
    let wanted = |list: &[String], name: &str| list.is_empty() || list.iter().any(|n| n == name);
    cases.retain(|case| wanted(&args.only, case.name) && wanted(&args.model, &case.model));
    if cases.is_empty() {
        bail!("no benchmark is left: --model {}", args.model.join(" "));
    }
    Ok(cases)
}

fn measure(case: Case, peer: Option<&mut Peer>, repeat: usize) -> Result<Figure> {
    let mut ours = (case.prepare)(repeat + 1)?;
    let mut peer = peer.zip(case.request.as_ref());
    // Once before, for caches, pages and lazily built things.
    ours()?;
    if let Some((peer, request)) = &mut peer {
        peer.measure(request)?;
    }
    let (mut values, mut peers) = (Vec::new(), Vec::new());
    for _ in 0..repeat {
        values.push(ours()?);
        if let Some((peer, request)) = &mut peer {
            peers.push(peer.measure(request)?);
        }
    }
    let value = median(&mut values);
    let peer = (!peers.is_empty()).then(|| median(&mut peers));
    Ok(Figure {
        kind: "bench",
        name: case.name,
        model: case.model,
        batch: case.batch,
        threads: machine::cores(),
        value,
        unit: case.unit,
        peer,
        ratio: peer.map(|peer| value / peer),
    })
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        1 => values[middle],
        _ => 0.5 * (values[middle - 1] + values[middle]),
    }
}

/// What was measured where, and the columns' names.
fn heading(peer: Option<&Peer>) -> String {
    let peer = peer.map_or(String::new(), |peer| format!("peer: {}\n", peer.versions()));
    let columns =
        row(["work", "model", "batch", "ours", "peer", "ratio", "unit"].map(str::to_owned));
    format!(
        "{}, {} threads\n{peer}{columns}",
        machine::cpu(),
        machine::cores()
    )
}

fn line(figure: &Figure) -> String {
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    row([
        figure.name.to_owned(),
        figure.model.clone(),
        or_dash(figure.batch.map(|batch| batch.to_string())),
        format!("{:.2}", figure.value),
        or_dash(figure.peer.map(|peer| format!("{peer:.2}"))),
        or_dash(figure.ratio.map(|ratio| format!("{ratio:.2}"))),
        figure.unit.to_owned(),
    ])
}

fn row([work, model, batch, ours, peer, ratio, unit]: [String; 7]) -> String {
    format!("{work:<21} {model:<10} {batch:>5} {ours:>10} {peer:>10} {ratio:>6}  {unit}")
}

/// What the peer is asked for a model.
fn request(work: &str, model: &paint_clip::ClipConfig, batch: usize) -> Result<Value> {
    let config: Value = serde_json::from_str(&model.to_json())?;
    Ok(json!({"work": work, "config": config, "batch": batch, "threads": machine::cores()}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_between_the_middle_values() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 3.0, 2.0]), 2.5);
    }
}
