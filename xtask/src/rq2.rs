//! `cargo xtask rq2`: do larger models patch better?

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use paint_data::{Rng, SplitName};
use paint_eval::{
    Alignment, Cka, Difference, MIN_BATCH, Paired, Predictions, Proportion, features,
    mean_alignment, mean_difference, mean_proportion, mean_proportion_shared,
};
use paint_mix::{LayerGroup, WeightDistances};
use paint_report::{
    Alpha, Curve, CurvePoint, Estimate, Kind, LayerChange, Measure, Record, Rq2Findings, Rq2Size,
    Split, Verdict, rq2_sections, rq2_table,
};

use crate::findings::{change, curve, estimate, shared_change, supported_change_mean, task_change};
use crate::options::{Asked, Defaults, SuiteArgs};
use crate::patching::Patched;
use crate::plan::{self, Images, Outlook, Step, Work};
use crate::prepared::Prepared;
use crate::progress::Console;
use crate::question::{Answer, Run, points};
use crate::rq1::patch_all;
use crate::subject::{Subject, Tasks};
use crate::theta::Theta;

/// Do larger models patch better?
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    suite: SuiteArgs,
    /// Models of several sizes, comma-separated, the smallest first [default: the suite's]
    #[arg(long, value_delimiter = ',')]
    models: Vec<String>,
}

/// Images in a batch of CKA: enough for its estimator, few enough for an interval over batches.
const CKA_BATCH: usize = 100;
/// Images of a task that CKA looks at.
const CKA_IMAGES: usize = 1_000;

type Results<'a> = Vec<(&'a Prepared, Patched)>;

pub(crate) fn run(args: &Args, console: &Console) -> Result<()> {
    let started = Instant::now();
    let asked = Asked::of_suite("rq2", &args.suite, Defaults::default(), console)?;
    let names = models(args, &asked)?;
    if !asked.settings.search.is_grid() {
        bail!("rq2 compares whole curves, which --search grid measures");
    }
    if args.suite.plan {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        return plan::print(&asked, &names, steps, console);
    }
    let tasks = Tasks::find(&asked, console)?;
    let subjects = names
        .iter()
        .enumerate()
        .map(|(place, name)| Subject::open_one_of(place, name, &tasks, console))
        .collect::<Result<Vec<_>>>()?;
    in_order(&subjects)?;
    let all: Vec<&Subject> = subjects.iter().collect();
    let options = toml::Table::new();
    let mut run = Run::open(&asked, options, &tasks, &all, started, console)?;

    let (mut sizes, mut before): (Vec<Rq2Size>, Option<Results<'_>>) = (Vec::new(), None);
    for subject in &subjects {
        console.say(format!("{}:", subject.identity.name));
        let results = patch_all(subject, &mut run)?;
        let size = size(subject, &results, before.as_ref(), &run)?;
        record(&mut run, &size)?;
        sizes.push(size);
        before = Some(results);
    }
    let verdict = Verdict::rq2(&sizes);
    let findings = Rq2Findings {
        sizes,
        supported: match subjects[0].supported.as_slice() {
            [one] => one.name.clone(),
            several => format!("mean of {} supported tasks", several.len()),
        },
        split: Split::Validation,
        notes: vec![format!(
            "CKA: debiased linear estimator (Song et al. 2012), up to {CKA_IMAGES} test images of \
             every task in batches of {CKA_BATCH}, means over the patching tasks; intervals are \
             jackknifed over batches and averaged over tasks."
        )],
    };
    run.publish(Answer {
        title: format!("Patching {}", names.join(", ")),
        question: "Do larger models patch better?",
        sections: rq2_sections(&findings)?,
        table: rq2_table(&findings.sizes)?.to_text(),
        lines: findings.sizes.iter().map(line).collect(),
        verdict,
    })
}

/// Question 1 for each task, then the features before and after on its own and the supported test
/// images.
fn steps(outlook: &Outlook<'_>) -> Vec<Step> {
    let mut steps = outlook.patch_all();
    let some = |on: &Images| Some(on.test?.min(CKA_IMAGES as u64));
    let own = plan::sum(&outlook.patching, some);
    let supported = plan::sum(&outlook.supported, some);
    let n_tasks = outlook.patching.len() as u64;
    let passes = own
        .zip(supported)
        .map(|(own, all)| 2 * (own + n_tasks * all));
    steps.push(Step::new("CKA".to_owned(), Work::Forward, passes));
    steps
}

fn models(args: &Args, asked: &Asked<'_>) -> Result<Vec<String>> {
    if asked.common.model.is_some() {
        bail!("rq2 compares models; give them with --models A,B,C");
    }
    let names = match args.models.as_slice() {
        [] => asked.suite.models.clone(),
        given => given.to_vec(),
    };
    match names.len() {
        0 => bail!(
            "suite {} names no models of several sizes; give them with --models A,B,C",
            asked.suite.name
        ),
        n if (1..n).any(|i| names[..i].contains(&names[i])) => {
            bail!("--models: a model is named twice")
        }
        1 => bail!(
            "--models {}: a single size has nothing to be compared with",
            names[0]
        ),
        _ => Ok(names),
    }
}

fn n_parameters(subject: &Subject) -> u64 {
    let tensors = subject.zero_shot.tensors.values();
    tensors.map(|tensor| tensor.elem_count() as u64).sum()
}

/// Fails before anything is trained if the sizes do not rise or a task has too few images for CKA.
fn in_order(subjects: &[Subject]) -> Result<()> {
    if let Some(pair) = subjects
        .windows(2)
        .find(|pair| n_parameters(&pair[0]) > n_parameters(&pair[1]))
    {
        bail!(
            "--models: {} has more parameters than {}; give the smallest first",
            pair[0].identity.name,
            pair[1].identity.name
        );
    }
    for task in subjects[0].supported.iter().chain(&subjects[0].patching) {
        let n = task.table(SplitName::Test)?.len();
        if n < MIN_BATCH {
            bail!(
                "task {}: {n} test images; CKA needs at least {MIN_BATCH}",
                task.name
            );
        }
    }
    Ok(())
}

fn size(
    subject: &Subject,
    results: &Results<'_>,
    smaller: Option<&Results<'_>>,
    run: &Run<'_>,
) -> Result<Rq2Size> {
    let n_supported = subject.supported.len();
    let gains: Vec<Difference> = results
        .iter()
        .map(|(_, patched)| task_change(patched, 0))
        .collect::<Result<_>>()?;
    let (cka_supported, cka_patching) = alignments(subject, results, run)?;
    Ok(Rq2Size {
        name: subject.identity.name.clone(),
        n_parameters: n_parameters(subject),
        gain: change(mean_difference(&gains)?)?,
        supported_change: supported_change_mean(results, n_supported)?,
        distance: change(distance(results, n_supported)?)?,
        step: smaller
            .map(|smaller| change(step(smaller, results, n_supported)?))
            .transpose()?,
        layers: layers(subject, results)?,
        cka_supported,
        cka_patching,
        average: average(results, &run.asked.settings.grid)?,
        tasks: results
            .iter()
            .map(|(task, patched)| curve(&task.name, patched))
            .collect::<Result<_>>()?,
    })
}

/// ½ (zero-shot − patched on the supported tasks) + ½ (fine-tuned − patched on the patching tasks).
fn distance(results: &Results<'_>, n_supported: usize) -> Result<Difference> {
    let supported = (1..=n_supported)
        .map(|i| Ok(-shared_change(results, i)?))
        .collect::<Result<Vec<_>>>()?;
    let patching = results
        .iter()
        .map(|(_, p)| Ok(Paired::new(&p.chosen[0], &p.at_one)?.difference()))
        .collect::<Result<Vec<_>>>()?;
    Ok(mean_difference(&[
        mean_difference(&supported)?,
        mean_difference(&patching)?,
    ])?)
}

/// How much the distance to the ideal of a model differs from a smaller one's, on the same images.
fn step(smaller: &Results<'_>, results: &Results<'_>, n_supported: usize) -> Result<Difference> {
    let pairs = || smaller.iter().zip(results).map(|((_, s), (_, l))| (s, l));
    // Patched to ideal of the larger and ideal to patched of the smaller: the mean of the two is
    // half of the difference.
    let mut supported = Vec::new();
    for i in 1..=n_supported {
        let comparisons: Vec<(&Predictions, &Predictions)> = pairs()
            .flat_map(|(s, l)| {
                [
                    (&l.chosen[i], &l.zero_shot[i]),
                    (&s.zero_shot[i], &s.chosen[i]),
                ]
            })
            .collect();
        supported.push(Paired::shared(&comparisons)?.difference());
    }
    let patching = pairs()
        .map(|(s, l)| {
            let comparisons = [(&l.chosen[0], &l.at_one), (&s.at_one, &s.chosen[0])];
            Ok(Paired::shared(&comparisons)?.difference())
        })
        .collect::<Result<Vec<_>>>()?;
    let half = mean_difference(&[mean_difference(&supported)?, mean_difference(&patching)?])?;
    Ok(Difference {
        value: 2.0 * half.value,
        low: (2.0 * half.low).max(-1.0),
        high: (2.0 * half.high).min(1.0),
        ..half
    })
}

/// What fine-tuning did to the weights of the image side, means over the tasks.
fn layers(subject: &Subject, results: &Results<'_>) -> Result<Vec<LayerChange>> {
    let mut sums: BTreeMap<LayerGroup, (f64, f64)> = BTreeMap::new();
    for (_, patched) in results {
        let mut distances = WeightDistances::default();
        let tuned = patched.fine_tuned.load()?;
        for name in paint_clip::image_tensor_names(&subject.model.config) {
            let values = |theta: &Theta| theta.tensors[&name].flatten_all()?.to_vec1::<f32>();
            distances.add(&name, &values(&subject.zero_shot)?, &values(&tuned)?)?;
        }
        for (group, found) in distances.groups() {
            let sum = sums.entry(group).or_default();
            sum.0 += found.relative.unwrap_or(0.0);
            sum.1 += found.cosine.unwrap_or(1.0);
        }
    }
    let n = results.len() as f64;
    let layer = |(group, (distance, cosine)): (LayerGroup, (f64, f64))| LayerChange {
        group: group.to_string(),
        relative_distance: distance / n,
        cosine: cosine / n,
    };
    Ok(sums.into_iter().map(layer).collect())
}

/// CKA between zero-shot and fine-tuned features: on the supported and on the patching tasks.
fn alignments(
    subject: &Subject,
    results: &Results<'_>,
    run: &Run<'_>,
) -> Result<(Measure, Measure)> {
    let n = results.len() * (1 + subject.supported.len());
    let bar = run.console.bar("CKA", n as u64);
    let (mut supported, mut patching) = (Vec::new(), Vec::new());
    for (task, patched) in results {
        let tuned = &patched.fine_tuned.load()?;
        let on = |on: &Prepared| {
            let found = cka(subject, tuned, on);
            bar.inc(1);
            found
        };
        patching.push(on(task)?);
        for task in &subject.supported {
            supported.push(on(task)?);
        }
    }
    bar.finish_and_clear();
    Ok((
        measure(&mean_alignment(&supported)?)?,
        measure(&mean_alignment(&patching)?)?,
    ))
}

fn cka(subject: &Subject, tuned: &Theta, on: &Prepared) -> Result<Alignment> {
    let (model, table) = (&subject.model, on.table(SplitName::Test)?);
    let mut rows: Vec<usize> = (0..table.len()).collect();
    Rng::new(0).shuffle(&mut rows);
    rows.truncate(CKA_IMAGES);
    let of = |theta: &Theta| -> Result<Vec<f32>> {
        let clip = theta.clip(&model.config)?;
        let preprocessor = &model.preprocessor;
        Ok(features(&clip, preprocessor, table, &rows, CKA_BATCH)?)
    };
    let (before, after) = (of(&subject.zero_shot)?, of(tuned)?);
    let dim = before.len() / rows.len();
    let mut cka = Cka::new([dim, dim])?;
    let batches = before.chunks(CKA_BATCH * dim);
    for (before, after) in batches.zip(after.chunks(CKA_BATCH * dim)) {
        // What is left over may be too few for the estimator.
        if before.len() == CKA_BATCH * dim || rows.len() < CKA_BATCH {
            cka.add(before, after)?;
        }
    }
    Ok(cka.alignment()?)
}

fn measure(found: &Alignment) -> Result<Measure> {
    Ok(match (found.low, found.high) {
        (Some(low), Some(high)) => Measure::new(found.value, low, high, found.n)?,
        _ => Measure::exact(found.value, found.n)?,
    })
}

/// The mean over the patching tasks at every alpha of the grid, on validation.
fn average(results: &Results<'_>, grid: &[f64]) -> Result<Curve> {
    let mut points = Vec::new();
    for &alpha in grid {
        let (mut supported, mut patching) = (Vec::new(), Vec::new());
        for (_, patched) in results {
            let mut measured = patched.searched.points.iter();
            let on = measured.find(|(of, _)| *of == alpha);
            let on: Option<Vec<Proportion>> = on.and_then(|(_, on)| on.iter().copied().collect());
            let on = on.context("a point was not measured on every task")?;
            patching.push(on[0]);
            supported.push(mean_proportion(&on[1..])?);
        }
        points.push(CurvePoint {
            alpha: Alpha::new(alpha)?,
            supported: estimate(mean_proportion_shared(&supported)?)?,
            patching: estimate(mean_proportion(&patching)?)?,
        });
    }
    Ok(Curve {
        task: String::new(),
        points,
        chosen: None,
    })
}

fn record(run: &mut Run<'_>, size: &Rq2Size) -> Result<()> {
    let fact = |kind, measure: &str| {
        Record::new(&run.plan.question, kind)
            .measure(measure)
            .model(&size.name)
            .seed(run.plan.seed)
    };
    let difference = |measure, value: &Estimate| fact(Kind::Difference, measure).estimate(value);
    let mut facts = vec![
        difference("mean gain", &size.gain),
        difference("mean supported change", &size.supported_change),
        difference("distance to the ideal", &size.distance),
        fact(Kind::Quantity, "CKA, supported").value(size.cka_supported.value),
        fact(Kind::Quantity, "CKA, patching").value(size.cka_patching.value),
        fact(Kind::Quantity, "parameters").value(size.n_parameters as f64),
    ];
    facts.extend(
        size.step
            .iter()
            .map(|step| difference("minus the smaller", step)),
    );
    for layer in &size.layers {
        let of = |what: &str, value| {
            fact(Kind::Quantity, &format!("{what}, {}", layer.group)).value(value)
        };
        facts.push(of("relative distance", layer.relative_distance));
        facts.push(of("cosine", layer.cosine));
    }
    facts.iter().try_for_each(|fact| run.dir.record(fact))
}

fn line(size: &Rq2Size) -> serde_json::Value {
    let layers: Vec<_> = size
        .layers
        .iter()
        .map(|layer| {
            serde_json::json!({
                "group": layer.group,
                "relative_distance": layer.relative_distance,
                "cosine": layer.cosine,
            })
        })
        .collect();
    serde_json::json!({
        "kind": "size",
        "model": size.name,
        "parameters": size.n_parameters,
        "gain": points(&size.gain),
        "supported_change": points(&size.supported_change),
        "distance_to_ideal": points(&size.distance),
        "minus_smaller": size.step.as_ref().map(points),
        "cka_supported": size.cka_supported,
        "cka_patching": size.cka_patching,
        "layers": layers,
    })
}
