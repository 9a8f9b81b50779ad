//! `cargo xtask rq1`: does interpolating improve the patching tasks without hurting the
//! supported ones? And `cargo xtask patch`, the same for a model and tasks of one's own.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use paint_data::Suite;

use crate::progress::Console;
use crate::question::{Common, Question};
use crate::tasks::find_suite;

/// Does interpolating improve the patching tasks without hurting the supported ones?
#[derive(clap::Args)]
pub(crate) struct Rq1Args {
    /// A suite of data-manifests/suites, or a .toml file
    #[arg(long, default_value = "embedded")]
    suite: String,
    /// Three patching tasks and fewer alphas: a look, not a result
    #[arg(long)]
    quick: bool,
    /// Only these patching tasks, comma-separated
    #[arg(long, value_delimiter = ',')]
    tasks: Vec<String>,
    #[command(flatten)]
    common: Common,
}

/// Patch your own model on your own task, keeping what it can do
#[derive(clap::Args)]
pub(crate) struct PatchArgs {
    /// Manifest of the task to learn: a .toml file, or the name of a known task
    #[arg(long)]
    task: String,
    /// Manifest of a task that must stay; may be given several times
    #[arg(long, required = true)]
    support: Vec<String>,
    #[command(flatten)]
    common: Common,
}

pub(crate) fn rq1(args: &Rq1Args, console: &Console) -> Result<()> {
    let suite = find_suite(&args.suite)?;
    let mut patching = suite.patching.clone();
    if let Some(unknown) = args.tasks.iter().find(|task| !patching.contains(task)) {
        bail!(
            "--tasks {unknown}: the suite patches on {}",
            patching.join(", ")
        );
    }
    if !args.tasks.is_empty() {
        patching.retain(|task| args.tasks.contains(task));
    }
    if args.quick {
        // Three kinds of task: strokes, colours, a whole scene.
        let quick = ["digits", "flags", "land-use"].map(str::to_owned);
        match patching.iter().any(|task| quick.contains(task)) {
            true => patching.retain(|task| quick.contains(task)),
            false => patching.truncate(3),
        }
    }
    let model = args.common.model.clone().or(suite.model.clone());
    let model = model.with_context(|| {
        format!(
            "suite {} comes with no model; give one with --model DIR",
            suite.name
        )
    })?;
    if patching.len() < suite.patching.len() {
        console.say(format!(
            "{} of the suite's {} patching tasks: a look, not the suite's result",
            patching.len(),
            suite.patching.len()
        ));
    }
    let run = Question {
        suite: &suite,
        patching,
        model,
        grid: grid(if args.quick { 5 } else { 10 }),
        name: if args.quick { "rq1-quick" } else { "rq1" },
    };
    run.answer(&args.common, console)
}

pub(crate) fn patch_own(args: &PatchArgs, console: &Console) -> Result<()> {
    let suite = Suite {
        name: "own".to_owned(),
        supported: args.support.clone(),
        patching: vec![args.task.clone()],
        train_part: BTreeMap::new(),
        model: None,
        fine_tune: None,
    };
    let model = args
        .common
        .model
        .clone()
        .context("give the model with --model DIR")?;
    let run = Question {
        patching: suite.patching.clone(),
        suite: &suite,
        model,
        grid: grid(20),
        name: "patch",
    };
    run.answer(&args.common, console)
}

/// 0, 1/n, …, 1.
fn grid(n: u32) -> Vec<f64> {
    (0..=n).map(|i| f64::from(i) / f64::from(n)).collect()
}
