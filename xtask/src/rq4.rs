//! `cargo xtask rq4`: does patching on some classes improve others, and one task another?

use std::time::Instant;

use anyhow::{Result, bail};
use paint_data::{SplitName, Task, class_halves};
use paint_eval::{
    Difference, Paired, Predictions, Proportion, mean_difference, mean_proportion_shared,
};
use paint_report::{
    Estimate, Kind, Record, Role, Rq4Findings, Rq4Row, Split, Transfer, Verdict, rq4_sections,
    rq4_table,
};

use crate::findings::{change, estimate};
use crate::machine;
use crate::options::{Asked, Defaults, SuiteArgs};
use crate::patching::{Patched, patch};
use crate::plan::{self, Outlook, Step, Work};
use crate::prepared::Prepared;
use crate::progress::Console;
use crate::question::{Answer, Run, points};
use crate::rq1::patch_all;
use crate::subject::{Subject, Tasks, distinct_names};
use crate::tasks::find_task;

/// Does patching on half of a task's classes improve the other half, and on one task another?
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    suite: SuiteArgs,
    /// Random halvings of every task's classes [default: 2; 1 with --quick]
    #[arg(long)]
    draws: Option<u64>,
}

/// The fewest classes that have two halves to tell apart.
const FEWEST_CLASSES: usize = 4;

/// The paper's accuracies on the other half, ViT-L/14, per cent: before and after. Ilharco et al.
/// 2022, table 3.
const PAPER: [(&str, [f64; 2]); 9] = [
    ("cars", [86.2, 87.0]),
    ("dtd", [64.9, 66.1]),
    ("eurosat", [79.9, 87.2]),
    ("gtsrb", [51.7, 71.1]),
    ("kitti-distance", [43.4, 60.4]),
    ("mnist", [82.6, 91.3]),
    ("resisc45", [73.4, 74.2]),
    ("sun397", [76.9, 79.3]),
    ("svhn", [72.8, 88.9]),
];

pub(crate) fn run(args: &Args, console: &Console) -> Result<()> {
    let started = Instant::now();
    let asked = Asked::of_suite("rq4", &args.suite, Defaults::default(), console)?;
    let n_draws = args.draws.unwrap_or(if args.suite.quick { 1 } else { 2 });
    if n_draws == 0 {
        bail!("--draws 0: draw the halves at least once");
    }
    if args.suite.plan {
        let steps = |outlook: &Outlook<'_>| steps(outlook, n_draws);
        return plan::print(&asked, &[asked.model()?], steps, console);
    }
    let tasks = Tasks::find(&asked, console)?;
    let others = asked.suite.transfer.iter().map(|name| find_task(name));
    let others = others.collect::<Result<Vec<Task>>>()?;
    let all: Vec<&Task> = tasks.all().into_iter().chain(&others).collect();
    distinct_names(&all)?;
    let subject = Subject::open(asked.model()?, &tasks, console)?;
    let (enough, few): (Vec<&Prepared>, Vec<&Prepared>) = subject
        .patching
        .iter()
        .partition(|task| task.class_names.len() >= FEWEST_CLASSES);
    if enough.is_empty() {
        bail!("no patching task has {FEWEST_CLASSES} classes, so none can be halved");
    }
    let mut options = toml::Table::new();
    options.insert("draws".to_owned(), toml::Value::try_from(n_draws)?);
    let manifests = machine::sha256(&serde_json::to_vec(&others)?);
    let open = |task| tasks.open(task, &[SplitName::Test], &subject.model, console);
    let others = others.iter().map(open).collect::<Result<Vec<_>>>()?;
    if !others.is_empty() {
        let keys = others.iter().flat_map(Prepared::keys);
        let mut transfer: toml::Table = keys.map(|(name, key)| (name, key.into())).collect();
        transfer.insert("manifests_sha256".to_owned(), manifests.into());
        options.insert("transfer".to_owned(), transfer.into());
    }
    let mut run = Run::open(&asked, options, &tasks, &[&subject], started, console)?;

    let rows = enough
        .into_iter()
        .map(|task| halves(&subject, task, n_draws, &mut run))
        .collect::<Result<Vec<_>>>()?;
    let mean = mean(&rows)?;
    let transfers = across(&subject, &others, &mut run)?;
    let rows: Vec<Rq4Row> = rows.into_iter().map(|(row, _)| row).collect();
    let changes: Vec<Estimate> = rows.iter().map(|row| row.b_change).collect();
    let verdict = Verdict::rq4(&changes, &mean.b_change);
    let findings = Rq4Findings {
        rows,
        mean,
        transfers,
        notes: notes(&few),
    };
    run.publish(Answer {
        title: format!("Transfer of patches of {}", subject.identity.name),
        question: "Does patching a model on some classes improve its other classes, and on one \
                   task another task?",
        sections: rq4_sections(&findings)?,
        table: rq4_table(&findings.rows, &findings.mean)?.to_text(),
        lines: lines(&findings),
        verdict,
    })
}

fn notes(few: &[&Prepared]) -> Vec<String> {
    let too_few = |task: &&Prepared| {
        format!(
            "{} has {} classes; halves need at least {FEWEST_CLASSES}.",
            task.name,
            task.class_names.len()
        )
    };
    let halves = "Halves are drawn by the seed; every half is patched by itself, with alpha chosen \
                  on validation images of its own classes and of the supported tasks. An image \
                  that is in several draws counts once in the intervals.";
    let few = few.iter().map(too_few);
    few.chain([halves.to_owned()]).collect()
}

/// Every half patched by itself and both halves tested, then every task and the others tested.
fn steps(outlook: &Outlook<'_>, n_draws: u64) -> Vec<Step> {
    let mut steps = outlook.patch_all();
    let tested = plan::sum(&outlook.patching, |on| on.test);
    let n_others = outlook.patching.len().saturating_sub(1) as u64;
    let passes = tested.map(|n| n_others * n);
    steps.push(Step::new(
        "other tasks: test".to_owned(),
        Work::Forward,
        passes,
    ));
    for task in &outlook.patching {
        // Classes that only the files name are taken to be enough.
        if (1..FEWEST_CLASSES).contains(&task.n_classes) {
            continue;
        }
        for draw in 0..n_draws {
            let half = task.share(0.5, format!("{}, half {draw}", task.name));
            steps.extend(outlook.patch(&half));
            let what = format!("{}: the other half", half.name);
            steps.push(Step::new(what, Work::Forward, half.test.map(|n| 2 * n)));
        }
    }
    steps
}

/// Answers before and after patching, and which images they are of.
struct Half {
    rows: Vec<u32>,
    before: Predictions,
    after: Predictions,
}

/// Patches on one half, tests on both.
fn halves(
    subject: &Subject,
    task: &Prepared,
    n_draws: u64,
    run: &mut Run<'_>,
) -> Result<(Rq4Row, Difference)> {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    let test = SplitName::Test;
    for draw in 0..n_draws {
        let (a_classes, b_classes) = class_halves(task.class_names.len(), run.plan.seed + draw);
        let a_task = task.of_classes(&a_classes, format!("{}-a{draw}", task.name))?;
        let b_task = task.of_classes(&b_classes, format!("{}-b{draw}", task.name))?;
        let settings = &run.asked.settings;
        let mut patched = patch(subject, &a_task, &a_task.name, settings, run)?;
        run.console.say(format!(
            "{}: {}",
            a_task.name, patched.searched.choice.reason
        ));
        let name = format!("{}/chosen", a_task.name);
        b.push(Half {
            rows: b_task.table(test)?.rows().to_vec(),
            before: subject.zero_shot_answers(&b_task, test, &run.dir)?,
            after: subject.answers(&patched.theta(subject)?, &name, &b_task, test, &run.dir)?,
        });
        a.push(Half {
            rows: a_task.table(test)?.rows().to_vec(),
            before: patched.zero_shot.swap_remove(0),
            after: patched.chosen.swap_remove(0),
        });
    }
    let b_change = paired(&b)?;
    let row = Rq4Row {
        task: task.name.clone(),
        a_before: accuracy(&a, |half| &half.before)?,
        a_after: accuracy(&a, |half| &half.after)?,
        b_before: accuracy(&b, |half| &half.before)?,
        b_after: accuracy(&b, |half| &half.after)?,
        b_change: change(b_change)?,
        n_draws,
        paper: PAPER
            .iter()
            .find(|(name, _)| run.asked.suite.name == "paper" && *name == task.name)
            .map(|(_, accuracies)| accuracies.map(|percent| percent / 100.0)),
    };
    let fact = |measure: &str, value: &Estimate| {
        Record::new(&run.plan.question, Kind::Difference)
            .measure(measure)
            .model(&subject.identity.name)
            .task(&task.name)
            .on(&task.name, Role::Patching, Split::Test)
            .seed(run.plan.seed)
            .estimate(value)
    };
    let facts = [
        fact("classes patched on", &change(paired(&a)?)?),
        fact("other classes", &row.b_change),
    ];
    facts.iter().try_for_each(|fact| run.dir.record(fact))?;
    Ok((row, b_change))
}

fn paired(halves: &[Half]) -> Result<Difference> {
    let comparisons: Vec<_> = halves
        .iter()
        .map(|half| (half.rows.as_slice(), &half.before, &half.after))
        .collect();
    Ok(Paired::overlapping(&comparisons)?.difference())
}

fn accuracy(halves: &[Half], of: impl Fn(&Half) -> &Predictions) -> Result<Estimate> {
    let accuracies: Vec<Proportion> = halves.iter().map(|half| of(half).accuracy()).collect();
    estimate(mean_proportion_shared(&accuracies)?)
}

/// The mean over the tasks, each with the same weight.
fn mean(rows: &[(Rq4Row, Difference)]) -> Result<Rq4Row> {
    let of = |get: fn(&Rq4Row) -> &Estimate| -> Result<Estimate> {
        let n = rows.len() as f64;
        let all = || rows.iter().map(|(row, _)| get(row));
        let value = all().map(Estimate::value).sum::<f64>() / n;
        let squares = |distance: fn(&Estimate) -> f64| {
            all().map(|e| distance(e).powi(2)).sum::<f64>().sqrt() / n
        };
        let (below, above) = (
            squares(|e| e.value() - e.low()),
            squares(|e| e.high() - e.value()),
        );
        let n_images = all().map(Estimate::n).sum();
        Ok(Estimate::new(
            value,
            value - below,
            value + above,
            n_images,
        )?)
    };
    let changes: Vec<Difference> = rows.iter().map(|(_, change)| *change).collect();
    Ok(Rq4Row {
        task: "mean".to_owned(),
        a_before: of(|row| &row.a_before)?,
        a_after: of(|row| &row.a_after)?,
        b_before: of(|row| &row.b_before)?,
        b_after: of(|row| &row.b_after)?,
        b_change: change(mean_difference(&changes)?)?,
        n_draws: rows[0].0.n_draws,
        paper: None,
    })
}

/// Patches on each task as in question 1, tests on the others and on `others`.
fn across(subject: &Subject, others: &[Prepared], run: &mut Run<'_>) -> Result<Vec<Transfer>> {
    let patched = patch_all(subject, run)?;
    let mut transfers = Vec::new();
    for (task, patched) in &patched {
        for on in subject.patching.iter().chain(others) {
            if on.name == task.name {
                continue;
            }
            let change = transfer(subject, task, patched, on, run)?;
            let fact = Record::new(&run.plan.question, Kind::Difference)
                .measure("another task")
                .model(&subject.identity.name)
                .task(&task.name)
                .on(&on.name, Role::Patching, Split::Test)
                .seed(run.plan.seed)
                .estimate(&change);
            run.dir.record(&fact)?;
            transfers.push(Transfer {
                patched_on: task.name.clone(),
                tested_on: on.name.clone(),
                change,
            });
        }
    }
    Ok(transfers)
}

fn transfer(
    subject: &Subject,
    task: &Prepared,
    patched: &Patched,
    on: &Prepared,
    run: &Run<'_>,
) -> Result<Estimate> {
    let test = SplitName::Test;
    let before = subject.zero_shot_answers(on, test, &run.dir)?;
    if patched.searched.choice.alpha == 0.0 {
        return change(Difference::unchanged(before.len() as u64));
    }
    let name = format!("{}/chosen", task.name);
    let after = subject.answers(&patched.theta(subject)?, &name, on, test, &run.dir)?;
    change(Paired::new(&before, &after)?.difference())
}

fn lines(findings: &Rq4Findings) -> Vec<serde_json::Value> {
    let row = |row: &Rq4Row| {
        serde_json::json!({
            "kind": "halves",
            "task": row.task,
            "a_before": points(&row.a_before),
            "a_after": points(&row.a_after),
            "b_before": points(&row.b_before),
            "b_after": points(&row.b_after),
            "b_change": points(&row.b_change),
            "draws": row.n_draws,
        })
    };
    let transfer = |transfer: &Transfer| {
        serde_json::json!({
            "kind": "transfer",
            "patched_on": transfer.patched_on,
            "tested_on": transfer.tested_on,
            "change": points(&transfer.change),
        })
    };
    let rows = findings.rows.iter().chain([&findings.mean]).map(row);
    rows.chain(findings.transfers.iter().map(transfer))
        .collect()
}
