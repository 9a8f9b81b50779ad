//! A question to a model and its tasks, from the plan to the report: opens all data, patches
//! on each task, and publishes what was found.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use paint_data::{Hub, SplitName, Suite, Task};
use paint_mix::Rule;
use paint_report::{
    Alpha, Estimate, Repetition, ReportInput, Rq1Findings, Verdict, rq1_sections, rq1_table,
    write_report,
};
use paint_tune::FineTuneConfig;
use serde::Serialize;

use crate::findings::{findings, note_skipped, record, verdict};
use crate::machine;
use crate::model::Model;
use crate::models::find_model;
use crate::patching::{Prepared, Settings, Source, patch, warn_of_chance};
use crate::progress::{Console, answer};
use crate::run_dir::RunDir;
use crate::search::{Search, SearchName};
use crate::tasks::{find_task, hub_of, prepare_world};
use crate::workspace;

/// Options of every question.
#[derive(clap::Args)]
pub(crate) struct Common {
    /// A checkpoint directory in Hugging Face layout, an embedded model, or a Hub id,
    /// ORG/NAME or ORG/NAME@REVISION
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// Look for datasets and models in this directory in Hub layout
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
    /// For best-patch on the grid: standard errors of the drop that count as lost too, because the
    /// best of many alphas has lost more than its validation images show
    #[arg(long, default_value_t = 1.0)]
    margin: f64,
    /// How many images the choice looks at
    #[arg(long, value_enum, default_value_t = SearchName::Grid)]
    search: SearchName,
    /// For a race: accuracies that differ by less are equally good, in points
    #[arg(long, default_value_t = 0.5)]
    epsilon: f64,
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
pub(crate) struct Plan {
    pub(crate) question: &'static str,
    suite: String,
    pub(crate) model: String,
    tool_version: &'static str,
    model_sha256: BTreeMap<String, String>,
    patching: Vec<String>,
    supported: Vec<String>,
    tasks_sha256: String,
    pub(crate) seed: u64,
    limit: Option<usize>,
    pub(crate) grid: Vec<f64>,
    pub(crate) rule: Rule,
    pub(crate) search: Search,
    fine_tune: FineTuneConfig,
    /// What the images are, by "TASK/SPLIT".
    data: BTreeMap<String, String>,
    /// The commits of the Hub that the model and the tasks' images are of.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    revisions: BTreeMap<String, String>,
}

/// What of a checkpoint decides its answers, beside the weights, where it has it.
const MODEL_FILES: [&str; 6] = [
    "config.json",
    "open_clip_config.json",
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
    "preprocessor_config.json",
];

/// What the weights, one file or several, are called among those.
const WEIGHTS: &str = "model.safetensors";

/// SHA-256 of everything that decides a checkpoint's answers.
fn model_sha256(dir: &Path) -> Result<BTreeMap<String, String>> {
    let mut hashes = BTreeMap::from([(WEIGHTS.to_owned(), machine::sha256_of_weights(dir)?)]);
    for name in MODEL_FILES {
        let path = dir.join(name);
        if path.exists() {
            hashes.insert(name.to_owned(), machine::sha256_of_file(&path)?);
        }
    }
    Ok(hashes)
}

/// What is asked.
pub(crate) struct Question<'a> {
    /// Name of the run.
    pub(crate) name: &'static str,
    pub(crate) suite: &'a Suite,
    /// Those of the suite's patching tasks that are asked for.
    pub(crate) patching: Vec<String>,
    /// Name or directory of the model.
    pub(crate) model: String,
    /// The alphas to choose from.
    pub(crate) grid: Vec<f64>,
}

impl Question<'_> {
    /// Finds the answer and publishes it; continues where an earlier call was stopped.
    pub(crate) fn answer(&self, common: &Common, console: &Console) -> Result<()> {
        let started = Instant::now();
        let hub = hub_of(common.hub.as_deref(), console);
        let found = find_model(&self.model, &hub)?;
        let model_revision = found.revision.clone();
        let model = Model::load(found)?;
        let load = |names: &[String]| -> Result<Vec<Task>> {
            let task = |name: &String| {
                let mut task = find_task(name)?;
                if let Some(part) = self.suite.train_part.get(name) {
                    task.set_train_part(part)
                        .with_context(|| format!("suite {}: [train_part]", self.suite.name))?;
                }
                Ok(task)
            };
            names.iter().map(task).collect()
        };
        let (patching, supported) = (load(&self.patching)?, load(&self.suite.supported)?);
        let all: Vec<&Task> = patching.iter().chain(&supported).collect();
        distinct_names(&all)?;
        self.settings(common)?;
        let world = prepare_world(&all, console)?;
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
        let of_tasks = supported.iter().chain(&patching).filter_map(|task| {
            let revision = task.revision.clone()?;
            Some((format!("task {}", task.name), revision))
        });
        let of_model = model_revision.map(|revision| (format!("model {}", model.name), revision));
        let revisions = of_tasks.chain(of_model).collect();
        let plan = self.plan(common, &model, &all, data, revisions)?;
        let out = match &common.out {
            Some(out) => out.clone(),
            None => workspace::runs().join(default_name(&plan)?),
        };
        let mut run = RunDir::open(&out, &plan)?;
        let settings = Settings {
            fine_tune: &plan.fine_tune,
            grid: &plan.grid,
            rule: plan.rule,
            search: plan.search,
            model_sha256: &plan.model_sha256[WEIGHTS],
        };

        let (mut results, mut skipped) = (Vec::new(), Vec::new());
        supported
            .iter()
            .for_each(|task| note_skipped(task, &mut skipped));
        for task in supported.iter().chain(&patching) {
            warn_of_chance(&model, task, &run, console)?;
        }
        for task in patching {
            let task_started = Instant::now();
            note_skipped(&task, &mut skipped);
            let patched = patch(&model, &task, &supported, &settings, &run, console)?;
            record(&mut run, &plan, &task.name, &supported, &patched)?;
            console.say(format!(
                "{}: {} ({:.0} s)",
                task.name,
                patched.searched.choice.reason,
                task_started.elapsed().as_secs_f64()
            ));
            results.push((task, patched));
        }

        let findings = findings(&results, &supported, &plan, skipped)?;
        let verdict = verdict(&findings, &results, supported.len())?;
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
        if !(0.0..=10.0).contains(&common.margin) {
            bail!(
                "--margin {}: a number of standard errors from 0 to 10",
                common.margin
            );
        }
        if !(0.0..=100.0).contains(&common.epsilon) {
            bail!(
                "--epsilon {}: a number of points from 0 to 100",
                common.epsilon
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
        revisions: BTreeMap<String, String>,
    ) -> Result<Plan> {
        let (fine_tune, rule) = self.settings(common)?;
        Ok(Plan {
            question: self.name,
            suite: self.suite.name.clone(),
            model: self.model.clone(),
            model_sha256: model_sha256(&model.dir)?,
            tool_version: env!("CARGO_PKG_VERSION"),
            data,
            revisions,
            patching: self.patching.clone(),
            supported: self.suite.supported.clone(),
            tasks_sha256: machine::sha256(&serde_json::to_vec(tasks)?),
            seed: common.seed,
            limit: common.limit,
            grid: self.grid.clone(),
            rule,
            search: Search::new(
                common.search,
                rule,
                common.margin,
                common.epsilon / 100.0,
                common.seed,
            ),
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

fn print_text(table: &str, verdict: &Verdict) {
    answer(table);
    for (name, measure) in &verdict.measures {
        answer(format!(
            "{name}: {:+.1} [{:+.1}, {:+.1}] points, n = {}",
            measure.value, measure.low, measure.high, measure.n
        ));
    }
    answer(format!("verdict: {}", verdict.verdict));
}

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
    answer(run);
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
        answer(line);
    }
    answer(serde_json::to_string(verdict)?);
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
