//! `cargo xtask rq3`: can one model be patched on several tasks?

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use paint_data::{Rng, SplitName};
use paint_eval::{Difference, Proportion, mean_over_seeds, mean_proportion_shared};
use paint_report::{
    Estimate, Kind, MinusSpecialists, Record, Rq3Findings, Rq3Row, Rq3Task, Verdict, rq3_sections,
    rq3_table,
};

use crate::findings::{change, estimate};
use crate::many::{Many, Specialist};
use crate::options::{Asked, Defaults, RuleName, SuiteArgs};
use crate::patching::patch;
use crate::plan::{self, Images, Outlook, Step, Work};
use crate::prepared::Prepared;
use crate::progress::Console;
use crate::question::{Answer, Run, points};
use crate::subject::{Subject, Tasks};
use crate::tested::Tested;

/// Can one model be patched on several tasks: jointly, one after the other, or by adding patches?
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    suite: SuiteArgs,
    /// Seeds, each with its own order of the tasks [default: 3; 1 with --quick]
    #[arg(long)]
    seeds: Option<u64>,
    /// How many tasks to patch on, comma-separated: the first of every order [default: all; with
    /// the first seed also 2, 3 and 5, but with --quick]
    #[arg(long, value_delimiter = ',')]
    k: Vec<usize>,
    /// Points measured in the search for one coefficient per task
    #[arg(long, default_value_t = 20)]
    budget: usize,
    /// Alpha and coefficients are chosen on so many validation images of every task [default: 250,
    /// 50 with --quick; fewer where there are fewer]
    #[arg(long)]
    validation: Option<usize>,
}

/// Validation images of every task.
const N_VALIDATION: usize = 250;
/// The same with `--quick`.
const QUICK_VALIDATION: usize = 50;

/// The methods that the paper compares, then the others.
const METHODS: [&str; 11] = [
    "unpatched",
    "specialists",
    "joint",
    "sequential",
    "parallel",
    "shared alpha",
    "uniform soup",
    "greedy soup",
    "ties",
    "dare",
    "slerp",
];

/// What was measured: by number of tasks, method and seed.
type Found<'a> = BTreeMap<(usize, &'static str, u64), Tested<'a>>;

pub(crate) fn run(args: &Args, console: &Console) -> Result<()> {
    let started = Instant::now();
    let defaults = Defaults {
        rule: RuleName::BestMean,
        n_alphas: 5,
        halvings: 0,
    };
    let mut asked = Asked::of_suite("rq3", &args.suite, defaults, console)?;
    let n_validation = args.validation.unwrap_or(match args.suite.quick {
        true => QUICK_VALIDATION,
        false => N_VALIDATION,
    });
    let n_validation = n_validation.min(asked.common.limit.unwrap_or(usize::MAX));
    asked.limit_validation = Some(n_validation);
    check(args, &asked)?;
    let n_seeds = args.seeds.unwrap_or(if args.suite.quick { 1 } else { 3 });
    if args.suite.plan {
        let steps = |outlook: &Outlook<'_>| steps(outlook, args, n_seeds);
        return plan::print(&asked, &[asked.model()?], steps, console);
    }
    let tasks = Tasks::find(&asked, console)?;
    let subject = Subject::open(asked.model()?, &tasks, console)?;
    enough(args.validation, &subject)?;
    let options = options(args, n_seeds, n_validation)?;
    let mut run = Run::open(&asked, options, &tasks, &[&subject], started, console)?;

    let mut found = Found::new();
    for seed in 0..n_seeds {
        let ks = numbers(args, subject.patching.len(), seed);
        of_seed(&subject, args, seed, &ks, &run, &mut found)?;
    }
    let notes = notes(args, n_seeds, n_validation);
    let findings = findings(&subject, &found, n_seeds, notes)?;
    record(&mut run, &subject, &findings.rows)?;
    let verdict = verdict(&findings.rows)?;
    run.publish(Answer {
        title: format!(
            "{} patched on {} tasks",
            subject.identity.name,
            asked.patching.len()
        ),
        question: "Can one model be patched on several tasks as well as one model per task?",
        sections: rq3_sections(&findings)?,
        table: rq3_table(&findings.rows)?.to_text(),
        lines: findings.rows.iter().map(line).collect(),
        verdict,
    })
}

fn check(args: &Args, asked: &Asked<'_>) -> Result<()> {
    let n = asked.patching.len();
    if n < 2 {
        bail!("rq3 patches one model on several tasks; give at least two with --tasks");
    }
    if let Some(k) = args.k.iter().find(|k| !(2..=n).contains(*k)) {
        bail!("--k {k}: from 2 to the number of patching tasks, {n}");
    }
    for (option, value) in [
        ("seeds", args.seeds.unwrap_or(1)),
        ("budget", args.budget as u64),
        ("validation", args.validation.unwrap_or(1) as u64),
    ] {
        if value == 0 {
            bail!("--{option} 0: at least 1");
        }
    }
    if !asked.settings.search.is_grid() {
        bail!("rq3 weighs several tasks at once, which only --search grid does");
    }
    Ok(())
}

/// Fails if a task has fewer validation images than were asked for.
fn enough(validation: Option<usize>, subject: &Subject) -> Result<()> {
    for task in subject.patching.iter().chain(&subject.supported) {
        let n = task.table(SplitName::Validation)?.len();
        if let Some(wanted) = validation.filter(|wanted| *wanted > n) {
            bail!(
                "--validation {wanted}: task {} has {n} validation images",
                task.name
            );
        }
    }
    Ok(())
}

/// What [`of_seed`] does; which tasks are among the first k is the seed's, so that each counts as
/// their mean.
fn steps(outlook: &Outlook<'_>, args: &Args, n_seeds: u64) -> Vec<Step> {
    let n = outlook.patching.len();
    let mut steps = vec![outlook.zero_shot()];
    for seed in 0..n_seeds {
        let ks = numbers(args, n, seed);
        let Some(&largest) = ks.last() else {
            continue;
        };
        let of = |k: usize| vec![Images::mean(&outlook.patching); k];
        let mut add = |what: &str, work, passes| {
            let what = format!("seed {seed}: {what}");
            steps.push(Step::new(what, work, passes));
        };
        let one = outlook.fine_tuning();
        let times = |passes: Option<u64>, n: u64| passes.map(|passes| n * passes);
        let searches = |k: usize| (1..=k).map(|i| outlook.search(&of(i))).sum::<Option<u64>>();
        add("fine-tuning", Work::Training, Some(largest as u64 * one));
        let alone = outlook.search(&of(1)).zip(outlook.test(&of(1)));
        let alone = alone.map(|(search, test)| search + test);
        add("specialists", Work::Forward, times(alone, largest as u64));
        let what = "one after the other: fine-tuning";
        add(what, Work::Training, Some(largest as u64 * one));
        let what = "one after the other: alphas";
        add(what, Work::Forward, searches(largest));
        for &k in &ks {
            let joint = (one as f64 * (k as f64).sqrt()).round() as u64;
            add(&format!("{k} tasks: jointly"), Work::Training, Some(joint));
            let (search, test) = (outlook.search(&of(k)), outlook.test(&of(k)));
            // Jointly and a shared alpha; both, in parallel, and one after the other on test.
            let searched = times(search, 2).zip(times(test, 4)).map(|(a, b)| a + b);
            let measured = times(outlook.validation(&of(k)), args.budget as u64);
            let all = searched.zip(measured).map(|(a, b)| a + b);
            add(
                &format!("{k} tasks: alphas, coefficients, test"),
                Work::Forward,
                all,
            );
            if seed == 0 && k == largest {
                let five = search.zip(test).map(|(search, test)| 5 * (search + test));
                let soup = times(outlook.validation(&of(k)), 2 * k as u64);
                let all = five.zip(soup).map(|(a, b)| a + b);
                add(&format!("{k} tasks: other merges"), Work::Forward, all);
            }
        }
    }
    steps
}

fn options(args: &Args, n_seeds: u64, n_validation: usize) -> Result<toml::Table> {
    let mut options = toml::Table::new();
    for (name, value) in [
        ("seeds", toml::Value::try_from(n_seeds)?),
        ("k", toml::Value::try_from(&args.k)?),
        ("budget", toml::Value::try_from(args.budget)?),
        ("validation", toml::Value::try_from(n_validation)?),
    ] {
        options.insert(name.to_owned(), value);
    }
    Ok(options)
}

/// On how many tasks a seed patches, rising.
fn numbers(args: &Args, n_tasks: usize, seed: u64) -> Vec<usize> {
    let mut ks = match args.k.as_slice() {
        [] if seed == 0 && !args.suite.quick => vec![2, 3, 5, n_tasks],
        [] => vec![n_tasks],
        given => given.to_vec(),
    };
    ks.retain(|k| *k <= n_tasks);
    ks.sort_unstable();
    ks.dedup();
    ks
}

/// All that one seed measures.
fn of_seed<'a>(
    subject: &'a Subject,
    args: &Args,
    seed: u64,
    ks: &[usize],
    run: &Run<'_>,
    found: &mut Found<'a>,
) -> Result<()> {
    let mut order: Vec<&Prepared> = subject.patching.iter().collect();
    Rng::derive(run.plan.seed, &[seed]).shuffle(&mut order);
    let largest = *ks.last().context("no number of tasks")?;
    order.truncate(largest);
    let mut settings = run.asked.settings.clone();
    settings.fine_tune.seed = run.plan.seed + seed;
    let specialists = order
        .iter()
        .map(|task| {
            let name = match seed {
                0 => task.name.clone(),
                seed => format!("{}-seed{seed}", task.name),
            };
            let patched = patch(subject, task, &name, &settings, run)?;
            Ok(Specialist { task, patched })
        })
        .collect::<Result<Vec<_>>>()?;
    let fine_tuned = specialists
        .iter()
        .map(|specialist| specialist.patched.fine_tuned.load())
        .collect::<Result<Vec<_>>>()?;
    let many = Many {
        subject,
        settings: &settings,
        specialists: &specialists,
        fine_tuned: &fine_tuned,
        budget: args.budget,
        seed,
        run: &run.dir,
        console: run.console,
    };
    let sequence = many.sequence()?;
    for &k in ks {
        let mut keep = |method: &'static str, tested: Tested<'a>| {
            found.insert((k, method, seed), tested);
        };
        keep("unpatched", many.unpatched(k)?);
        keep("specialists", many.of_specialists(k)?);
        keep("joint", many.joint(k)?);
        keep("sequential", many.test(&sequence[k - 1], "sequential", k)?);
        let shared = many.shared_alpha(k)?;
        keep("parallel", many.parallel(k, shared.alpha)?);
        keep("shared alpha", shared.tested);
        // The other ways are for comparison: once, where they have most to do.
        if seed == 0 && k == largest {
            for (method, tested) in many.competitors(k)? {
                keep(method, tested);
            }
        }
    }
    Ok(())
}

/// Rows of every measurement, and of the means over seeds.
fn findings(
    subject: &Subject,
    found: &Found<'_>,
    n_seeds: u64,
    notes: Vec<String>,
) -> Result<Rq3Findings> {
    let mut rows = Vec::new();
    let ks: Vec<usize> = {
        let mut ks: Vec<usize> = found.keys().map(|(k, _, _)| *k).collect();
        ks.dedup();
        ks
    };
    for &k in &ks {
        for method in METHODS {
            let of_seeds: Vec<(u64, &Tested<'_>)> = (0..n_seeds)
                .filter_map(|seed| Some((seed, found.get(&(k, method, seed))?)))
                .collect();
            if of_seeds.is_empty() {
                continue;
            }
            let mut differences = Vec::new();
            for &(seed, tested) in &of_seeds {
                let specialists = &found[&(k, "specialists", seed)];
                let difference = match method {
                    "specialists" => None,
                    _ => Some(tested.minus(specialists)?),
                };
                differences.extend(difference);
                rows.push(row(k, method, Some(seed), &[tested], difference)?);
            }
            let all: Vec<&Tested<'_>> = of_seeds.iter().map(|(_, tested)| *tested).collect();
            let difference = match method {
                "specialists" => None,
                _ => Some(mean_over_seeds(&differences)?),
            };
            rows.push(row(k, method, None, &all, difference)?);
        }
    }
    let largest = *ks.last().context("nothing was measured")?;
    Ok(Rq3Findings {
        tasks: by_task(subject, found, largest)?,
        rows,
        notes,
    })
}

fn row(
    k: usize,
    method: &str,
    seed: Option<u64>,
    tested: &[&Tested<'_>],
    difference: Option<Difference>,
) -> Result<Rq3Row> {
    let mean = |of: &dyn Fn(&Tested<'_>) -> Result<Proportion>| {
        let of_seeds = tested.iter().map(|tested| of(tested));
        estimate(mean_proportion_shared(
            &of_seeds.collect::<Result<Vec<_>>>()?,
        )?)
    };
    Ok(Rq3Row {
        k: k as u64,
        method: method.to_owned(),
        seed,
        patching: mean(&|tested| tested.patching())?,
        supported: mean(&|tested| tested.supported())?,
        combined: mean(&|tested| tested.combined())?,
        minus_specialists: difference.map(change).transpose()?,
    })
}

/// The accuracies on each task with the first seed.
fn by_task(subject: &Subject, found: &Found<'_>, k: usize) -> Result<Vec<Rq3Task>> {
    let methods: Vec<(&str, &Tested<'_>)> = METHODS
        .iter()
        .filter_map(|method| Some((*method, found.get(&(k, *method, 0))?)))
        .collect();
    let mut tasks = Vec::new();
    for task in subject.patching.iter().chain(&subject.supported) {
        let of_method = |(method, tested): &(&str, &Tested<'_>)| -> Result<_> {
            let answers = tested.answers(&task.name);
            let accuracies: Vec<_> = answers.iter().map(|answers| answers.accuracy()).collect();
            Ok((
                (*method).to_owned(),
                estimate(mean_proportion_shared(&accuracies)?)?,
            ))
        };
        if methods
            .iter()
            .all(|(_, tested)| tested.answers(&task.name).is_empty())
        {
            continue;
        }
        tasks.push(Rq3Task {
            task: task.name.clone(),
            accuracies: methods.iter().map(of_method).collect::<Result<_>>()?,
        });
    }
    Ok(tasks)
}

fn notes(args: &Args, n_seeds: u64, n_validation: usize) -> Vec<String> {
    let seeds = match n_seeds {
        1 => {
            "One seed: intervals are those of the test images, paired; another seed and order may \
              differ by more."
                .to_owned()
        }
        n => format!(
            "At the largest number of tasks, unpatched, specialists, joint, sequential, parallel and \
             shared alpha are means over {n} seeds, each with its own order of the tasks; intervals \
             of differences add Student's interval over the seeds to that of the test images. \
             Everything else was measured with the first seed; its intervals are of the test images."
        ),
    };
    vec![
        "Combined is the mean of two means: over the patching tasks and over the supported tasks."
            .to_owned(),
        seeds,
        format!(
            "All choices are made on at most {} validation images of every task. Parallel patching \
             measures {} points in its search for one coefficient per task, the first being the \
             best shared alpha.",
            n_validation, args.budget
        ),
        "Joint patching takes √k times the steps of one task; sequential and parallel patching \
         take k times."
            .to_owned(),
    ]
}

fn record(run: &mut Run<'_>, subject: &Subject, rows: &[Rq3Row]) -> Result<()> {
    for row in rows {
        let fact = |kind, measure: &str, value: &Estimate| {
            let fact = Record::new(&run.plan.question, kind)
                .measure(&format!("{measure}, k = {}", row.k))
                .method(&row.method)
                .model(&subject.identity.name)
                .estimate(value);
            match row.seed {
                Some(seed) => fact.seed(run.plan.seed + seed),
                None => fact,
            }
        };
        let mut facts = vec![
            fact(Kind::Accuracy, "patching tasks", &row.patching),
            fact(Kind::Accuracy, "supported tasks", &row.supported),
            fact(Kind::Accuracy, "combined", &row.combined),
        ];
        if let Some(difference) = &row.minus_specialists {
            facts.push(fact(Kind::Difference, "minus specialists", difference));
        }
        facts.iter().try_for_each(|fact| run.dir.record(fact))?;
    }
    Ok(())
}

fn verdict(rows: &[Rq3Row]) -> Result<Verdict> {
    let largest = rows.iter().map(|row| row.k).max();
    let minus = |method: &str| {
        let mut means = rows.iter().filter(|row| row.seed.is_none());
        let row = means.find(|row| Some(row.k) == largest && row.method == method);
        row.and_then(|row| row.minus_specialists)
            .with_context(|| format!("{method} was not measured"))
    };
    Ok(Verdict::rq3(&MinusSpecialists {
        joint: minus("joint")?,
        sequential: minus("sequential")?,
        parallel: minus("parallel")?,
    }))
}

fn line(row: &Rq3Row) -> serde_json::Value {
    serde_json::json!({
        "kind": "patched",
        "k": row.k,
        "method": row.method,
        "seed": row.seed,
        "patching": points(&row.patching),
        "supported": points(&row.supported),
        "combined": points(&row.combined),
        "minus_specialists": row.minus_specialists.as_ref().map(points),
    })
}
