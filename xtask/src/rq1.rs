//! `cargo xtask rq1`: does interpolating improve the patching tasks without hurting the
//! supported ones? And `cargo xtask patch`, the same for a model and tasks of one's own.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, Result};
use paint_data::Suite;
use paint_mix::DeltaDtype;
use paint_report::{Alpha, Rq1Findings, Rq1Row, rq1_sections, rq1_table};

use crate::delta::{self, emit_delta};
use crate::examples::slider;
use crate::findings::{findings, record, skipped, verdict};
use crate::options::{Asked, Common, Defaults, SuiteArgs};
use crate::patching::{Patched, patch};
use crate::plan::{self, Outlook};
use crate::prepared::Prepared;
use crate::progress::Console;
use crate::question::{Answer, Run, points};
use crate::subject::{Subject, Tasks};

/// Does interpolating improve the patching tasks without hurting the supported ones?
#[derive(clap::Args)]
pub(crate) struct Rq1Args {
    #[command(flatten)]
    suite: SuiteArgs,
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
    /// Also write what fine-tuning changed as a small file, delta.safetensors, beside the patched
    /// checkpoint; see `cargo xtask delta`
    #[arg(long)]
    emit_delta: bool,
    #[command(flatten)]
    common: Common,
}

pub(crate) fn rq1(args: &Rq1Args, console: &Console) -> Result<()> {
    let asked = Asked::of_suite("rq1", &args.suite, Defaults::default(), console)?;
    if args.suite.plan {
        return plan::print(
            &asked,
            &[asked.model()?],
            |o: &Outlook<'_>| o.patch_all(),
            console,
        );
    }
    ask(&asked, asked.model()?, false, console)
}

pub(crate) fn patch_own(args: &PatchArgs, console: &Console) -> Result<()> {
    let suite = Suite {
        name: "own".to_owned(),
        supported: args.support.clone(),
        patching: vec![args.task.clone()],
        train_part: BTreeMap::new(),
        model: None,
        case_model: None,
        validation: None,
        models: Vec::new(),
        transfer: Vec::new(),
        fine_tune: None,
        case_studies: BTreeMap::new(),
    };
    let model = &args.common.model;
    let model = model.as_ref().context("give the model with --model DIR")?;
    let defaults = Defaults {
        n_alphas: 20,
        halvings: 1,
        ..Default::default()
    };
    let asked = Asked {
        name: "patch".to_owned(),
        patching: suite.patching.clone(),
        settings: args.common.settings(&suite, &defaults)?,
        suite,
        limit_validation: args.common.limit,
        common: &args.common,
    };
    ask(&asked, model, args.emit_delta, console)
}

fn ask(asked: &Asked<'_>, model: &str, with_delta: bool, console: &Console) -> Result<()> {
    let started = Instant::now();
    let tasks = Tasks::find(asked, console)?;
    let subject = Subject::open(model, &tasks, console)?;
    if with_delta {
        // Nobody trains for hours to hear of it.
        delta::weights(&subject.model.dir)?;
    }
    let options = toml::Table::new();
    let mut run = Run::open(asked, options, &tasks, &[&subject], started, console)?;
    let results = patch_all(&subject, &mut run)?;
    let findings = findings(
        &results,
        &subject.supported,
        &asked.settings,
        skipped(&subject),
    )?;
    let verdict = verdict(&findings, &results, subject.supported.len())?;
    if with_delta {
        for (task, patched) in &results {
            let out = run.dir.path.join("checkpoints").join(&task.name);
            let out = out.join("delta.safetensors");
            let base = &subject.model.dir;
            emit_delta(base, &patched.fine_tuned.directory, &out, DeltaDtype::F16)?;
            console.say(format!("delta   {}", out.display()));
        }
    }
    let mut sections = rq1_sections(&findings)?;
    sections.extend(slider(&subject, &results, &run)?);
    run.publish(Answer {
        title: format!("Patching {model} on {}", asked.patching.join(", ")),
        question: "Does interpolating between the zero-shot and the fine-tuned weights improve \
                   the patching tasks without hurting the supported ones?",
        sections,
        table: rq1_table(&findings.rows, &findings.mean)?.to_text(),
        lines: json_lines(&findings),
        verdict,
    })
}

/// Patches on each task by itself.
pub(crate) fn patch_all<'a>(
    subject: &'a Subject,
    run: &mut Run<'_>,
) -> Result<Vec<(&'a Prepared, Patched)>> {
    let mut results = Vec::new();
    for task in &subject.patching {
        let started = Instant::now();
        let patched = patch(subject, task, &task.name, &run.asked.settings, run)?;
        record(run, subject, &task.name, &patched)?;
        patched.keep(subject, task, &run.dir)?;
        run.console.say(format!(
            "{}: {} ({:.0} s)",
            task.name,
            patched.searched.choice.reason,
            started.elapsed().as_secs_f64()
        ));
        results.push((task, patched));
    }
    Ok(results)
}

fn json_lines(findings: &Rq1Findings) -> Vec<serde_json::Value> {
    let line = |row: &Rq1Row| {
        let supported: BTreeMap<_, _> = row
            .supported_change
            .iter()
            .map(|(name, e)| (name, points(e)))
            .collect();
        serde_json::json!({
            "kind": "task",
            "task": row.task,
            "alpha": row.alpha.map(Alpha::get),
            "zero_shot": points(&row.zero_shot),
            "fine_tuned": points(&row.fine_tuned),
            "patched": points(&row.patched),
            "gain": points(&row.gain),
            "supported_change": supported,
        })
    };
    findings.rows.iter().map(line).collect()
}
