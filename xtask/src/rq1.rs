//! `cargo xtask rq1` and `cargo xtask patch`: does interpolating improve the patching tasks
//! without hurting the supported ones?

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use paint_data::{Hub, SplitName, Suite, Task};
use paint_eval::{Difference, Paired, Predictions, Proportion, mean_difference, mean_proportion};
use paint_mix::Rule;
use paint_report::{
    Alpha, AlphaChoice, Curve, CurvePoint, Estimate, Kind, Record, Repetition, ReportInput, Role,
    Rq1Findings, Rq1Row, SkippedImages, Split, Verdict, rq1_sections, rq1_table, write_report,
};
use paint_tune::FineTuneConfig;
use serde::Serialize;

use crate::machine;
use crate::model::Model;
use crate::models::find_model;
use crate::patching::{Patched, Prepared, Settings, Source, patch};
use crate::progress::Console;
use crate::run_dir::RunDir;
use crate::tasks::{find_suite, find_task, hub_of, prepare_world};
use crate::workspace;

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

#[derive(clap::Args)]
struct Common {
    /// A checkpoint directory in Hugging Face layout, or the name of an embedded model
    #[arg(long)]
    model: Option<String>,
    /// Look for datasets in this directory in Hub layout
    #[arg(long)]
    hub: Option<PathBuf>,
    /// Directory of the run [default: runs/QUESTION-SUITE-…]
    #[arg(long)]
    out: Option<PathBuf>,
    /// Seed of order, augmentation and splits
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// One JSON object per line on standard output
    #[arg(long)]
    json: bool,
    /// How alpha is chosen on validation
    #[arg(long, value_enum, default_value_t = RuleName::BestPatch)]
    rule: RuleName,
    /// For best-patch: the largest mean drop on the supported tasks, in points
    #[arg(long, default_value_t = 1.0)]
    max_drop: f64,
    /// Fine-tuning steps [default: the suite's, else 2000]
    #[arg(long)]
    steps: Option<u64>,
    /// Images a fine-tuning step [default: the suite's, else 128]
    #[arg(long)]
    batch: Option<usize>,
    /// Peak learning rate of fine-tuning [default: the suite's, else 1e-5]
    #[arg(long)]
    learning_rate: Option<f64>,
    /// At most so many images of every split
    #[arg(long)]
    limit: Option<usize>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum RuleName {
    /// Highest patching accuracy that costs at most --max-drop points
    BestPatch,
    /// Highest mean of patching and supported accuracy, as in the paper
    BestMean,
}

/// Everything that determines a run; `run.toml`.
#[derive(Serialize)]
struct Plan {
    question: &'static str,
    suite: String,
    model: String,
    tool_version: &'static str,
    model_sha256: BTreeMap<String, String>,
    patching: Vec<String>,
    supported: Vec<String>,
    tasks_sha256: String,
    seed: u64,
    limit: Option<usize>,
    grid: Vec<f64>,
    rule: Rule,
    fine_tune: FineTuneConfig,
    /// What the images are, by "TASK/SPLIT".
    data: BTreeMap<String, String>,
}

/// What of a checkpoint decides its answers.
const MODEL_FILES: [&str; 4] = [
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "preprocessor_config.json",
];

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

struct Question<'a> {
    name: &'static str,
    suite: &'a Suite,
    patching: Vec<String>,
    model: String,
    grid: Vec<f64>,
}

impl Question<'_> {
    fn answer(&self, common: &Common, console: &Console) -> Result<()> {
        let started = Instant::now();
        let model = Model::load(&find_model(&self.model)?)?;
        let load = |names: &[String]| -> Result<Vec<Task>> {
            names.iter().map(|name| find_task(name)).collect()
        };
        let (patching, supported) = (load(&self.patching)?, load(&self.suite.supported)?);
        let all: Vec<&Task> = patching.iter().chain(&supported).collect();
        distinct_names(&all)?;
        self.settings(common)?;
        let world = prepare_world(&all, console)?;
        let hub = hub_of(common.hub.as_deref());
        let cache = workspace::runs().join("cache");
        let open = |task: &Task, splits: &[SplitName]| -> Result<Prepared> {
            let of_world = paint_world::tasks().iter().any(|known| known.task == *task);
            let hub = if of_world {
                Hub::Directory(world.clone())
            } else {
                hub.clone()
            };
            let source = Source {
                hub: &hub,
                cache: &cache,
                seed: common.seed,
                limit: common.limit,
            };
            Prepared::open(task, splits, &model, &source, console)
        };
        // All data is opened before anything is trained or written to the run.
        const HELD_OUT: [SplitName; 2] = [SplitName::Validation, SplitName::Test];
        const ALL: [SplitName; 3] = [SplitName::Train, SplitName::Validation, SplitName::Test];
        let supported: Vec<Prepared> = supported
            .iter()
            .map(|task| open(task, &HELD_OUT))
            .collect::<Result<_>>()?;
        let patching: Vec<Prepared> = patching
            .iter()
            .map(|task| open(task, &ALL))
            .collect::<Result<_>>()?;

        let data = supported
            .iter()
            .chain(&patching)
            .flat_map(Prepared::keys)
            .collect();
        let plan = self.plan(common, &model, &all, data)?;
        let out = match &common.out {
            Some(out) => out.clone(),
            None => workspace::runs().join(default_name(&plan)?),
        };
        let mut run = RunDir::open(&out, &plan)?;
        let settings = Settings {
            fine_tune: &plan.fine_tune,
            grid: &plan.grid,
            rule: plan.rule,
            model_sha256: &plan.model_sha256["model.safetensors"],
        };

        let (mut results, mut skipped) = (Vec::new(), Vec::new());
        supported
            .iter()
            .for_each(|task| note_skipped(task, &mut skipped));
        for task in patching {
            let task_started = Instant::now();
            note_skipped(&task, &mut skipped);
            let patched = patch(&model, &task, &supported, &settings, &run, console)?;
            record(&mut run, &plan, &task.name, &supported, &patched)?;
            console.say(format!(
                "{}: {} ({:.0} s)",
                task.name,
                patched.choice.reason,
                task_started.elapsed().as_secs_f64()
            ));
            results.push((task, patched));
        }

        let findings = findings(&results, &supported, &plan, skipped)?;
        let zero_shot_supported = match results.first() {
            Some((_, patched)) => {
                let parts: Vec<Proportion> = patched.zero_shot[1..]
                    .iter()
                    .map(Predictions::accuracy)
                    .collect();
                estimate(mean_proportion(&parts)?)?
            }
            None => bail!("there is no patching task"),
        };
        let verdict = Verdict::rq1(
            &findings.mean.gain,
            &supported_change_mean(&results, supported.len(), plan.seed)?,
            &zero_shot_supported,
        );
        self.publish(
            &run,
            &plan,
            &findings,
            &verdict,
            started,
            common.json,
            console,
        )
    }

    /// Hyperparameters and rule, checked.
    fn settings(&self, common: &Common) -> Result<(FineTuneConfig, Rule)> {
        let mut fine_tune: FineTuneConfig = match &self.suite.fine_tune {
            Some(table) => table.clone().try_into().map_err(|e: toml::de::Error| {
                anyhow!("suite {}: [fine_tune]: {}", self.suite.name, e.message())
            })?,
            None => FineTuneConfig::default(),
        };
        fine_tune.seed = common.seed;
        fine_tune.steps = common.steps.unwrap_or(fine_tune.steps);
        fine_tune.batch = common.batch.unwrap_or(fine_tune.batch);
        fine_tune.learning_rate = common.learning_rate.unwrap_or(fine_tune.learning_rate);
        fine_tune.check()?;
        if !(0.0..=100.0).contains(&common.max_drop) {
            bail!(
                "--max-drop {}: a number of points from 0 to 100",
                common.max_drop
            );
        }
        let rule = match common.rule {
            RuleName::BestMean => Rule::BestMean,
            RuleName::BestPatch => Rule::BestPatch {
                max_drop: common.max_drop / 100.0,
            },
        };
        Ok((fine_tune, rule))
    }

    fn plan(
        &self,
        common: &Common,
        model: &Model,
        tasks: &[&Task],
        data: BTreeMap<String, String>,
    ) -> Result<Plan> {
        let (fine_tune, rule) = self.settings(common)?;
        Ok(Plan {
            question: self.name,
            suite: self.suite.name.clone(),
            model: self.model.clone(),
            model_sha256: MODEL_FILES
                .into_iter()
                .map(|name| {
                    Ok((
                        name.to_owned(),
                        machine::sha256_of_file(&model.dir.join(name))?,
                    ))
                })
                .collect::<Result<_>>()?,
            tool_version: env!("CARGO_PKG_VERSION"),
            data,
            patching: self.patching.clone(),
            supported: self.suite.supported.clone(),
            tasks_sha256: machine::sha256(&serde_json::to_vec(tasks)?),
            seed: common.seed,
            limit: common.limit,
            grid: self.grid.clone(),
            rule,
            fine_tune,
        })
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the end of the run, where all comes together"
    )]
    fn publish(
        &self,
        run: &RunDir,
        plan: &Plan,
        findings: &Rq1Findings,
        verdict: &Verdict,
        started: Instant,
        json: bool,
        console: &Console,
    ) -> Result<()> {
        let report = run.path.join("report.html");
        let input = ReportInput {
            title: format!("Patching {} on {}", plan.model, plan.patching.join(", ")),
            question:
                "Does interpolating between the zero-shot and the fine-tuned weights improve \
                       the patching tasks without hurting the supported ones?"
                    .to_owned(),
            verdict: verdict.clone(),
            sections: rq1_sections(findings)?,
            repetition: Repetition {
                command: machine::command_line(),
                seed: plan.seed,
                run_toml: run.toml.clone(),
                versions: machine::versions(),
                hashes: plan
                    .model_sha256
                    .iter()
                    .map(|(file, hash)| (format!("model {file}"), hash.clone()))
                    .chain([("tasks".to_owned(), plan.tasks_sha256.clone())])
                    .collect(),
                cpu: machine::cpu(),
                cores: machine::cores(),
                wall_time: started.elapsed(),
            },
        };
        write_report(&report, &input)?;
        let table = rq1_table(&findings.rows, &findings.mean)?.to_text();
        if json {
            print_json(plan, self.suite, findings, verdict)?;
            console.say(table);
        } else {
            print_text(&table, verdict);
        }
        console.say(format!(
            "run     {}\nreport  {}",
            run.path.display(),
            report.display()
        ));
        Ok(())
    }
}

#[expect(clippy::print_stdout, reason = "the answer is the output")]
fn print_text(table: &str, verdict: &Verdict) {
    println!("{table}");
    for (name, measure) in &verdict.measures {
        println!(
            "{name}: {:+.1} [{:+.1}, {:+.1}] points, n = {}",
            measure.value, measure.low, measure.high, measure.n
        );
    }
    println!("verdict: {}", verdict.verdict);
}

#[expect(clippy::print_stdout, reason = "the answer is the output")]
fn print_json(plan: &Plan, suite: &Suite, findings: &Rq1Findings, verdict: &Verdict) -> Result<()> {
    let run = serde_json::json!({
        "kind": "run",
        "question": plan.question,
        "suite": plan.suite,
        "model": plan.model,
        "n_tasks": plan.patching.len(),
        "n_tasks_of_suite": suite.patching.len(),
        "limit": plan.limit,
        "seed": plan.seed,
    });
    println!("{run}");
    for row in &findings.rows {
        let estimate = |e: &Estimate| {
            serde_json::json!({
                "value": 100.0 * e.value(),
                "low": 100.0 * e.low(),
                "high": 100.0 * e.high(),
                "n": e.n(),
            })
        };
        let supported: BTreeMap<_, _> = row
            .supported_change
            .iter()
            .map(|(name, e)| (name, estimate(e)))
            .collect();
        let line = serde_json::json!({
            "kind": "task",
            "task": row.task,
            "alpha": row.alpha.map(Alpha::get),
            "zero_shot": estimate(&row.zero_shot),
            "fine_tuned": estimate(&row.fine_tuned),
            "patched": estimate(&row.patched),
            "gain": estimate(&row.gain),
            "supported_change": supported,
        });
        println!("{line}");
    }
    println!("{}", serde_json::to_string(verdict)?);
    Ok(())
}

fn distinct_names(tasks: &[&Task]) -> Result<()> {
    for (i, task) in tasks.iter().enumerate() {
        if tasks[..i].iter().any(|other| other.name == task.name) {
            bail!(
                "two tasks are called {}; rename one of them in its manifest",
                task.name
            );
        }
    }
    Ok(())
}

fn default_name(plan: &Plan) -> Result<String> {
    let model = Path::new(&plan.model)
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let hash = machine::sha256(toml::to_string(plan)?.as_bytes());
    Ok(format!(
        "{}-{}-{model}-{}",
        plan.question,
        plan.suite,
        &hash[..8]
    ))
}

fn estimate(p: Proportion) -> Result<Estimate> {
    Ok(Estimate::new(p.value, p.low, p.high, p.n)?)
}

fn change(d: Difference) -> Result<Estimate> {
    Ok(Estimate::new(d.value, d.low, d.high, d.n)?)
}

/// Patched minus zero-shot on evaluated task `i`; with alpha = 0 they are one model.
fn task_change(patched: &Patched, i: usize, seed: u64) -> Result<Estimate> {
    if patched.choice.alpha == 0.0 {
        return change(Difference::unchanged(patched.zero_shot[i].len() as u64));
    }
    change(Paired::new(&patched.zero_shot[i], &patched.chosen[i])?.difference(seed))
}

fn note_skipped(task: &Prepared, all: &mut Vec<SkippedImages>) {
    for (split, table) in &task.tables {
        if !table.skipped().is_empty() {
            all.push(SkippedImages {
                task: task.name.clone(),
                split: report_split(*split),
                n_skipped: table.skipped().len() as u64,
                n_images: (table.skipped().len() + table.len()) as u64,
                reasons: table
                    .skipped()
                    .iter()
                    .take(3)
                    .map(|s| s.reason.clone())
                    .collect(),
            });
        }
    }
}

fn report_split(split: SplitName) -> Split {
    match split {
        SplitName::Train => Split::Train,
        SplitName::Validation => Split::Validation,
        SplitName::Test => Split::Test,
    }
}

/// Writes every measured fact of one patching task.
fn record(
    run: &mut RunDir,
    plan: &Plan,
    task: &str,
    supported: &[Prepared],
    patched: &Patched,
) -> Result<()> {
    let names: Vec<(&str, Role)> = std::iter::once((task, Role::Patching))
        .chain(supported.iter().map(|s| (s.name.as_str(), Role::Supported)))
        .collect();
    let fact = |kind| {
        Record::new(plan.question, kind)
            .model(&plan.model)
            .task(task)
            .seed(plan.seed)
    };
    let mut facts = Vec::new();
    let mut accuracies = |split, alpha: f64, all: &[Predictions]| -> Result<()> {
        for ((name, role), predictions) in names.iter().zip(all) {
            let value = estimate(predictions.accuracy())?;
            facts.push(
                fact(Kind::Accuracy)
                    .on(name, *role, split)
                    .alpha(alpha)
                    .estimate(&value),
            );
        }
        Ok(())
    };
    for (alpha, all) in &patched.validation {
        accuracies(Split::Validation, *alpha, all)?;
    }
    accuracies(Split::Test, 0.0, &patched.zero_shot)?;
    accuracies(Split::Test, 1.0, std::slice::from_ref(&patched.fine_tuned))?;
    accuracies(Split::Test, patched.choice.alpha, &patched.chosen)?;
    for (i, (name, role)) in names.iter().enumerate() {
        let value = task_change(patched, i, plan.seed)?;
        let alpha = patched.choice.alpha;
        facts.push(
            fact(Kind::Difference)
                .on(name, *role, Split::Test)
                .alpha(alpha)
                .estimate(&value),
        );
    }
    let choice = fact(Kind::Choice)
        .value(patched.choice.alpha)
        .note(&patched.choice.reason);
    facts.push(choice);
    facts.iter().try_for_each(|fact| run.record(fact))
}

fn findings(
    results: &[(Prepared, Patched)],
    supported: &[Prepared],
    plan: &Plan,
    skipped: Vec<SkippedImages>,
) -> Result<Rq1Findings> {
    let rows: Vec<Rq1Row> = results
        .iter()
        .map(|(task, patched)| row(task, supported, patched, plan.seed))
        .collect::<Result<_>>()?;
    let validation_curves = results
        .iter()
        .map(|(task, patched)| curve(task, patched))
        .collect::<Result<_>>()?;
    let n = |task: &Prepared| {
        Ok((
            task.name.clone(),
            task.table(SplitName::Validation)?.len() as u64,
        ))
    };
    let tasks = results.iter().map(|(task, _)| task).chain(supported);
    let mut mean = Rq1Row::mean_of(&rows)?;
    let gains: Vec<Paired> = results
        .iter()
        .map(|(_, p)| Ok(Paired::new(&p.zero_shot[0], &p.chosen[0])?))
        .collect::<Result<_>>()?;
    mean.gain = change(mean_difference(&gains, plan.seed)?)?;
    for (i, (_, mean_change)) in mean.supported_change.iter_mut().enumerate() {
        *mean_change = change(shared_change(results, i + 1)?.difference(plan.seed))?;
    }
    Ok(Rq1Findings {
        rows,
        mean,
        supported: match supported {
            [one] => one.name.clone(),
            several => format!("mean of {} supported tasks", several.len()),
        },
        validation_curves,
        test_curves: Vec::new(),
        choice: AlphaChoice {
            rule: match plan.rule {
                Rule::BestMean => "highest mean of patching and supported accuracy".to_owned(),
                Rule::BestPatch { max_drop } => format!(
                    "highest patching accuracy among those that cost at most {} point(s) on the \
                     supported tasks, on average",
                    100.0 * max_drop
                ),
            },
            grid: plan
                .grid
                .iter()
                .map(|&alpha| Alpha::new(alpha))
                .collect::<Result<_, _>>()?,
            validation: tasks.map(n).collect::<Result<_>>()?,
        },
        skipped,
    })
}

fn row(task: &Prepared, supported: &[Prepared], patched: &Patched, seed: u64) -> Result<Rq1Row> {
    let difference = |i: usize| task_change(patched, i, seed);
    let supported_change = supported
        .iter()
        .enumerate()
        .map(|(i, s)| Ok((s.name.clone(), difference(i + 1)?)))
        .collect::<Result<_>>()?;
    let alpha = patched.choice.alpha;
    Ok(Rq1Row {
        task: task.name.clone(),
        zero_shot: estimate(patched.zero_shot[0].accuracy())?,
        fine_tuned: estimate(patched.fine_tuned.accuracy())?,
        alpha: Some(Alpha::new(alpha)?),
        patched: estimate(patched.chosen[0].accuracy())?,
        gain: difference(0)?,
        supported_change,
        note: (alpha == 0.0).then(|| patched.choice.reason.clone()),
    })
}

fn curve(task: &Prepared, patched: &Patched) -> Result<Curve> {
    let points = patched.validation.iter().map(|(alpha, on)| {
        let supported: Vec<Proportion> = on[1..].iter().map(Predictions::accuracy).collect();
        Ok(CurvePoint {
            alpha: Alpha::new(*alpha)?,
            supported: estimate(mean_proportion(&supported)?)?,
            patching: estimate(on[0].accuracy())?,
        })
    });
    Ok(Curve {
        task: task.name.clone(),
        points: points.collect::<Result<_>>()?,
        chosen: Some(Alpha::new(patched.choice.alpha)?),
    })
}

/// The changes of all patched models on the same images of one supported task.
fn shared_change(results: &[(Prepared, Patched)], i: usize) -> Result<Paired> {
    let pairs: Vec<(&Predictions, &Predictions)> = results
        .iter()
        .map(|(_, p)| (&p.zero_shot[i], &p.chosen[i]))
        .collect();
    Ok(Paired::shared(&pairs)?)
}

fn supported_change_mean(
    results: &[(Prepared, Patched)],
    n_supported: usize,
    seed: u64,
) -> Result<Estimate> {
    let tasks: Vec<Paired> = (1..=n_supported)
        .map(|i| shared_change(results, i))
        .collect::<Result<_>>()?;
    change(mean_difference(&tasks, seed)?)
}
