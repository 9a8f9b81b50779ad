//! `cargo xtask groups`: how far a model relies on what an object is seen with, such as the place
//! it is at, and what each method makes of it.

mod grouped;
mod methods;
mod patched;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use paint_eval::{Difference, mean_over_seeds};
use paint_groups::SelectedBy;
use paint_report::{
    Estimate, GroupsDataset, GroupsRow, GroupsSideEffect, Kind, Record, Spread, Verdict,
    groups_sections, groups_side_effects, groups_table,
};
use rayon::prelude::*;
use serde::Serialize;

use self::grouped::{Data, Grouped, find_datasets};
use self::methods::{CFR, ERM, Results, Schedules, Tested, all_methods, notes};
use crate::embeddings::Embedder;
use crate::findings::{change, estimate};
use crate::model::Model;
use crate::models::find_model;
use crate::progress::Console;
use crate::question::{Answer, Publication, default_directory, points, short_name};
use crate::run_dir::RunDir;
use crate::side_effects::{PatchedModel, find_patched, patched_keys};
use crate::tasks::hub_of;

/// Does a model rely on what an object is seen with, and which method mends it?
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A checkpoint directory in Hugging Face layout, or the name of an embedded model
    #[arg(long, default_value = "world-s")]
    model: String,
    /// Only these datasets, comma-separated: of the embedded world, or tasks with an attribute
    /// [default: spurious-birds,spurious-animals]
    #[arg(long, value_delimiter = ',')]
    datasets: Vec<String>,
    /// Look for datasets in this directory in Hub layout
    #[arg(long)]
    hub: Option<PathBuf>,
    /// How many seeds
    #[arg(long, default_value_t = 5)]
    seeds: u64,
    /// Epochs of every training on embeddings [default: each method's own]
    #[arg(long)]
    epochs: Option<usize>,
    /// Learning rate of every training on embeddings [default: each method's own]
    #[arg(long)]
    learning_rate: Option<f64>,
    /// Also what patching changed: the directory of a finished run of rq1 or patch of this model
    #[arg(long, value_name = "RUN")]
    patched: Option<PathBuf>,
    /// Directory of the run [default: runs/groups-MODEL-…]
    #[arg(long)]
    out: Option<PathBuf>,
    /// One JSON object per line on standard output
    #[arg(long)]
    json: bool,
}

/// Everything that determines a run; `run.toml`.
#[derive(Serialize)]
struct Plan {
    question: &'static str,
    model: String,
    tool_version: &'static str,
    checkpoint: String,
    datasets: Vec<String>,
    seeds: u64,
    /// By dataset, the hash of images, labels, attributes and prompts.
    data: BTreeMap<String, String>,
    /// By task, the hash of the patched checkpoint.
    patched: BTreeMap<String, String>,
    schedules: Schedules,
}

pub(crate) fn run(args: &Args, console: &Console) -> Result<()> {
    let started = Instant::now();
    check(args)?;
    let datasets = find_datasets(&args.datasets, args.hub.as_ref(), console)?;
    let hub = hub_of(args.hub.as_deref(), console);
    let model = Model::load(find_model(&args.model, &hub)?)?;
    let patched = match &args.patched {
        Some(run) => find_patched(run, &model, &args.model)?,
        None => Vec::new(),
    };
    let embedder = Embedder::new(&model)?;
    // What cannot be done is known before a directory is made.
    let open = |dataset: &Grouped| Data::open(dataset, &embedder, console);
    let data = datasets.iter().map(open).collect::<Result<Vec<_>>>()?;
    let plan = plan(args, &embedder, &datasets, &data, &patched)?;
    let directory = match &args.out {
        Some(out) => out.clone(),
        None => default_directory(&["groups", &short_name(&plan.model)], &plan)?,
    };
    let mut dir = RunDir::open(&directory, &plan)?;
    let findings = find(&plan, &datasets, &data, &patched, &mut dir, console)?;
    findings.publish(&Publication {
        dir: &dir,
        line: serde_json::json!({
            "kind": "run",
            "question": plan.question,
            "model": plan.model,
            "datasets": plan.datasets,
            "seeds": plan.seeds,
        }),
        seed: 0,
        hashes: BTreeMap::from([(format!("{} weights", plan.model), plan.checkpoint.clone())]),
        json: args.json,
        started,
        console,
    })
}

fn check(args: &Args) -> Result<()> {
    if args.seeds == 0 {
        bail!("--seeds 0: at least one is needed");
    }
    if args.epochs == Some(0) {
        bail!("--epochs 0: at least one is needed");
    }
    match args.learning_rate {
        Some(rate) if !(rate.is_finite() && rate > 0.0) => {
            bail!("--learning-rate {rate}: must be above 0")
        }
        _ => Ok(()),
    }
}

fn plan(
    args: &Args,
    embedder: &Embedder<'_>,
    datasets: &[Grouped],
    data: &[Data],
    patched: &[PatchedModel],
) -> Result<Plan> {
    let names = datasets.iter().map(|d| d.name.clone());
    Ok(Plan {
        question: "groups",
        model: args.model.clone(),
        tool_version: env!("CARGO_PKG_VERSION"),
        checkpoint: embedder.checkpoint.clone(),
        datasets: names.clone().collect(),
        seeds: args.seeds,
        data: names.zip(data.iter().map(|d| d.key.clone())).collect(),
        patched: patched_keys(patched)?,
        schedules: Schedules::new(args.epochs, args.learning_rate),
    })
}

/// All methods on all datasets, then the patched models.
fn find(
    plan: &Plan,
    datasets: &[Grouped],
    data: &[Data],
    patched: &[PatchedModel],
    dir: &mut RunDir,
    console: &Console,
) -> Result<Findings> {
    let mut findings = Findings::default();
    for (dataset, data) in datasets.iter().zip(data) {
        let results = of_seeds(dataset, data, plan, console)?;
        findings.add(&dataset.name, &results, plan, dir)?;
    }
    for (dataset, data) in datasets.iter().zip(data) {
        for model in patched {
            let effect = patched::side_effect(dataset, data, model, console)?;
            for record in patched::records(plan, &effect) {
                dir.record(&record)?;
            }
            findings.side_effects.push(effect);
        }
    }
    Ok(findings)
}

/// All methods with every seed; seeds and methods side by side, since the products of one are too
/// small for several threads. Each computes on one thread, so that the number of threads changes
/// nothing.
fn of_seeds(dataset: &Grouped, data: &Data, plan: &Plan, console: &Console) -> Result<Results> {
    let started = Instant::now();
    let bar = console.bar(&format!("{}: seeds", dataset.name), plan.seeds);
    let of_seed = |seed| -> Result<Results> {
        let found = all_methods(data, &plan.schedules, seed)
            .with_context(|| format!("{}, seed {seed}", dataset.name))?;
        bar.inc(1);
        Ok(found)
    };
    let of_seeds: Vec<Result<Results>> = (0..plan.seeds).into_par_iter().map(of_seed).collect();
    let mut results = Results::new();
    for of_seed in of_seeds {
        for (row, found) in of_seed? {
            results.entry(row).or_default().extend(found);
        }
    }
    bar.finish_and_clear();
    console.say(format!(
        "{}: {:.0} s on cached embeddings",
        dataset.name,
        started.elapsed().as_secs_f64()
    ));
    Ok(results)
}

/// What is reported.
#[derive(Default)]
struct Findings {
    datasets: Vec<GroupsDataset>,
    side_effects: Vec<GroupsSideEffect>,
    /// CFR's worst group minus ERM's, by dataset.
    minus_erm: Vec<(String, Estimate)>,
    minus_erm_by_class: Vec<(String, Estimate)>,
}

impl Findings {
    fn add(
        &mut self,
        dataset: &str,
        results: &Results,
        plan: &Plan,
        dir: &mut RunDir,
    ) -> Result<()> {
        for record in records(plan, dataset, results)? {
            dir.record(&record)?;
        }
        let name = || dataset.to_owned();
        let minus_erm = |by| minus_erm(results, by);
        self.minus_erm
            .push((name(), minus_erm(SelectedBy::WorstGroup)?));
        self.minus_erm_by_class
            .push((name(), minus_erm(SelectedBy::WorstClass)?));
        let rows = results.iter().map(|(row, seeds)| {
            let of = |value: fn(&Tested) -> f64| spread(seeds.iter().map(value));
            GroupsRow {
                method: row.method.clone(),
                chosen_by: row.chosen_by.clone(),
                worst: of(|t| t.metrics.worst().1.value),
                mean: of(|t| t.metrics.mean.value),
                gap: of(|t| t.metrics.gap()),
                adjusted: of(|t| t.adjusted),
            }
        });
        self.datasets.push(GroupsDataset {
            name: name(),
            rows: rows.collect(),
            n_seeds: plan.seeds,
            notes: notes(&plan.schedules),
        });
        Ok(())
    }

    fn publish(self, with: &Publication<'_>) -> Result<()> {
        let mut table = String::new();
        for dataset in &self.datasets {
            let of_dataset = groups_table(dataset)?;
            table.push_str(&format!(
                "{}\n{}\n",
                of_dataset.caption,
                of_dataset.to_text()
            ));
        }
        if let Some(patched) = groups_side_effects(&self.side_effects) {
            table.push_str(&format!("{}\n{}\n", patched.caption, patched.to_text()));
        }
        let answer = Answer {
            title: "Group robustness".to_owned(),
            question: "Does the model rely on what an object is seen with, and which method mends \
                       it?",
            sections: groups_sections(&self.datasets, &self.side_effects)?,
            table,
            lines: self.lines(),
            verdict: Verdict::groups(&self.minus_erm, &self.minus_erm_by_class),
        };
        answer.publish(with)
    }

    fn lines(&self) -> Vec<serde_json::Value> {
        let spread = |s: &Spread| serde_json::json!({"mean": 100.0 * s.mean, "deviation": 100.0 * s.deviation});
        let rows = self.datasets.iter().flat_map(|dataset| {
            dataset.rows.iter().map(move |row| {
                serde_json::json!({
                    "kind": "method",
                    "dataset": dataset.name,
                    "method": row.method,
                    "chosen_by": row.chosen_by,
                    "seeds": dataset.n_seeds,
                    "worst_group": spread(&row.worst),
                    "mean": spread(&row.mean),
                    "gap": spread(&row.gap),
                    "adjusted": spread(&row.adjusted),
                })
            })
        });
        let patched = self.side_effects.iter().map(|effect| {
            serde_json::json!({
                "kind": "patched",
                "patched_on": effect.patched_on,
                "dataset": effect.dataset,
                "worst_group_before": points(&effect.worst[0]),
                "worst_group_after": points(&effect.worst[1]),
                "worst_group_change": points(&effect.worst_change),
                "mean_before": points(&effect.mean[0]),
                "mean_after": points(&effect.mean[1]),
                "mean_change": points(&effect.mean_change),
            })
        });
        rows.chain(patched).collect()
    }
}

/// Worst-group accuracy of CFR minus that of ERM as one selector chose both: the mean over seeds.
fn minus_erm(results: &Results, by: SelectedBy) -> Result<Estimate> {
    let of = |method: &str| {
        let mut rows = results.iter();
        let found = rows.find(|(row, _)| row.method == method && row.by == Some(by));
        found
            .map(|(_, seeds)| seeds)
            .with_context(|| format!("there is no {method}"))
    };
    let pairs = of(CFR)?.iter().zip(of(ERM)?);
    let differences: Vec<Difference> = pairs
        .map(|(cfr, erm)| cfr.metrics.worst_minus(&erm.metrics))
        .collect();
    change(mean_over_seeds(&differences)?)
}

fn spread(values: impl Iterator<Item = f64>) -> Spread {
    let values: Vec<f64> = values.collect();
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    Spread {
        mean,
        deviation: (squares / (n - 1.0).max(1.0)).sqrt(),
    }
}

/// Worst-group and mean accuracy of every seed, with intervals.
fn records(plan: &Plan, dataset: &str, results: &Results) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    for (row, seeds) in results {
        for (seed, Tested { metrics, .. }) in seeds.iter().enumerate() {
            for (measure, p) in [("worst group", metrics.worst().1), ("mean", metrics.mean)] {
                let record = Record::new(plan.question, Kind::Accuracy)
                    .measure(&format!("{measure}, chosen by {}", row.chosen_by))
                    .method(&row.method)
                    .model(&plan.model)
                    .task(dataset)
                    .seed(seed as u64)
                    .estimate(&estimate(p)?);
                records.push(record);
            }
        }
    }
    Ok(records)
}
