//! What a run found, as records and as the report's numbers.

use anyhow::{Context, Result};
use paint_data::SplitName;
use paint_eval::{Difference, Paired, Predictions, Proportion, mean_difference, mean_proportion};
use paint_mix::{RaceConfig, Rule, Shape};
use paint_report::{
    Alpha, AlphaChoice, Curve, CurvePoint, Estimate, Kind, Record, Role, Rq1Findings, Rq1Row,
    SkippedImages, Split, Verdict,
};

use crate::options::Settings;
use crate::patching::Patched;
use crate::prepared::Prepared;
use crate::question::Run;
use crate::search::{Search, Searched};
use crate::subject::Subject;

/// Writes every measured fact of one patching task.
pub(crate) fn record(
    run: &mut Run<'_>,
    subject: &Subject,
    task: &str,
    patched: &Patched,
) -> Result<()> {
    let supported = &subject.supported;
    let names: Vec<(&str, Role)> = std::iter::once((task, Role::Patching))
        .chain(supported.iter().map(|s| (s.name.as_str(), Role::Supported)))
        .collect();
    let fact = |kind| {
        Record::new(&run.plan.question, kind)
            .model(&subject.identity.name)
            .task(task)
            .seed(run.plan.seed)
    };
    let mut facts = Vec::new();
    let mut accuracies = |split, alpha: f64, all: &[Option<Proportion>]| -> Result<()> {
        for ((name, role), accuracy) in names.iter().zip(all) {
            let Some(accuracy) = *accuracy else { continue };
            let value = estimate(accuracy)?;
            facts.push(
                fact(Kind::Accuracy)
                    .on(name, *role, split)
                    .alpha(alpha)
                    .estimate(&value),
            );
        }
        Ok(())
    };
    let searched = &patched.searched;
    for (alpha, all) in &searched.points {
        accuracies(Split::Validation, *alpha, all)?;
    }
    let all = |predictions: &[Predictions]| -> Vec<Option<Proportion>> {
        predictions.iter().map(|p| Some(p.accuracy())).collect()
    };
    accuracies(Split::Test, 0.0, &all(&patched.zero_shot))?;
    accuracies(Split::Test, 1.0, &[Some(patched.at_one.accuracy())])?;
    accuracies(Split::Test, searched.choice.alpha, &all(&patched.chosen))?;
    for (i, (name, role)) in names.iter().enumerate() {
        let value = change(task_change(patched, i)?)?;
        let alpha = searched.choice.alpha;
        facts.push(
            fact(Kind::Difference)
                .on(name, *role, Split::Test)
                .alpha(alpha)
                .estimate(&value),
        );
    }
    let choice = fact(Kind::Choice)
        .value(searched.choice.alpha)
        .note(&searched.choice.reason);
    let passes = fact(Kind::Quantity)
        .measure("image_passes")
        .method(run.asked.settings.search.name())
        .value(searched.n_passes as f64)
        .note(&passes(searched));
    facts.extend([choice, passes]);
    facts.iter().try_for_each(|fact| run.dir.record(fact))
}

/// What the search took, in a clause.
fn passes(searched: &Searched) -> String {
    let Searched {
        n_passes,
        n_grid_passes,
        audit,
        ..
    } = searched;
    let checked = match audit.n {
        0 => String::new(),
        n => format!(
            "; of {n} answers taken as known and measured all the same, {} were wrong",
            audit.n_wrong
        ),
    };
    match n_passes < n_grid_passes {
        true => format!("{n_passes} image passes, the full grid takes {n_grid_passes}{checked}"),
        false => format!("{n_passes} image passes{checked}"),
    }
}

/// What the report says of a race.
fn race_note(results: &[(&Prepared, Patched)], config: &RaceConfig) -> String {
    let how = match config.shape {
        Shape::Any => "every answer was measured",
        Shape::Nested => {
            "an image that two values answer alike was not asked between them, but for one in \
             forty as a check"
        }
    };
    let tasks: Vec<String> = results
        .iter()
        .map(|(task, patched)| format!("{}: {}", task.name, passes(&patched.searched)))
        .collect();
    format!(
        "The values raced on batches of images and were measured only as far as the choice needs, \
         to within {} point(s) of what all images say with {} % confidence; {how}. The figure shows \
         the values that were measured on all tasks, each on the images it saw. {}.",
        100.0 * config.epsilon,
        100.0 * (1.0 - config.delta),
        tasks.join(". ")
    )
}

/// The report's numbers.
pub(crate) fn findings(
    results: &[(&Prepared, Patched)],
    supported: &[Prepared],
    settings: &Settings,
    skipped: Vec<SkippedImages>,
) -> Result<Rq1Findings> {
    let rows: Vec<Rq1Row> = results
        .iter()
        .map(|(task, patched)| row(task, supported, patched))
        .collect::<Result<_>>()?;
    let validation_curves = results
        .iter()
        .map(|(task, patched)| curve(&task.name, patched))
        .collect::<Result<_>>()?;
    let n = |task: &Prepared| {
        Ok((
            task.name.clone(),
            task.table(SplitName::Validation)?.len() as u64,
        ))
    };
    let tasks = results.iter().map(|(task, _)| *task).chain(supported);
    Ok(Rq1Findings {
        rows,
        mean: mean_row(results, supported)?,
        supported: supported_name(supported),
        validation_curves,
        test_curves: Vec::new(),
        choice: AlphaChoice {
            rule: match settings.rule {
                Rule::BestMean => "highest mean of patching and supported accuracy".to_owned(),
                Rule::BestPatch { max_drop } => format!(
                    "highest patching accuracy among those that cost at most {} point(s) on the \
                     supported tasks, on average{}",
                    100.0 * max_drop,
                    match settings.search {
                        Search::Grid { margin, .. } if margin > 0.0 =>
                            format!(", {margin} standard error(s) of the drop included"),
                        _ => String::new(),
                    }
                ),
            },
            grid: settings
                .grid
                .iter()
                .map(|&alpha| Alpha::new(alpha))
                .collect::<Result<_, _>>()?,
            validation: tasks.map(n).collect::<Result<_>>()?,
            search: match &settings.search {
                Search::Grid { halvings: 0, .. } => None,
                Search::Grid { halvings, .. } => Some(format!(
                    "Then {halvings} time(s) the values halfway from the best one to its \
                     neighbours were measured as well."
                )),
                Search::Race(config) => Some(race_note(results, config)),
            },
        },
        skipped,
    })
}

/// What figures call the supported tasks.
pub(crate) fn supported_name(supported: &[Prepared]) -> String {
    match supported {
        [one] => one.name.clone(),
        several => format!("mean of {} supported tasks", several.len()),
    }
}

/// The verdict on question 1, computed from the numbers alone.
pub(crate) fn verdict(
    findings: &Rq1Findings,
    results: &[(&Prepared, Patched)],
    n_supported: usize,
) -> Result<Verdict> {
    let (_, any) = results.first().context("there is no patching task")?;
    let zero_shot: Vec<Proportion> = any.zero_shot[1..]
        .iter()
        .map(Predictions::accuracy)
        .collect();
    Ok(Verdict::rq1(
        &findings.mean.gain,
        &supported_change_mean(results, n_supported)?,
        &estimate(mean_proportion(&zero_shot)?)?,
    ))
}

fn row(task: &Prepared, supported: &[Prepared], patched: &Patched) -> Result<Rq1Row> {
    let difference = |i: usize| change(task_change(patched, i)?);
    let supported_change = supported
        .iter()
        .enumerate()
        .map(|(i, s)| Ok((s.name.clone(), difference(i + 1)?)))
        .collect::<Result<_>>()?;
    let choice = &patched.searched.choice;
    let alpha = choice.alpha;
    Ok(Rq1Row {
        task: task.name.clone(),
        zero_shot: estimate(patched.zero_shot[0].accuracy())?,
        fine_tuned: estimate(patched.at_one.accuracy())?,
        alpha: Some(Alpha::new(alpha)?),
        patched: estimate(patched.chosen[0].accuracy())?,
        gain: difference(0)?,
        supported_change,
        note: (alpha == 0.0).then(|| choice.reason.clone()),
    })
}

/// The mean over the patching tasks, each with the same weight.
fn mean_row(results: &[(&Prepared, Patched)], supported: &[Prepared]) -> Result<Rq1Row> {
    let accuracy = |of: fn(&Patched) -> &Predictions| {
        let accuracies: Vec<Proportion> = results.iter().map(|(_, p)| of(p).accuracy()).collect();
        estimate(mean_proportion(&accuracies)?)
    };
    let gains: Vec<Difference> = results
        .iter()
        .map(|(_, patched)| task_change(patched, 0))
        .collect::<Result<_>>()?;
    let supported_change = supported
        .iter()
        .enumerate()
        .map(|(i, s)| Ok((s.name.clone(), change(shared_change(results, i + 1)?)?)))
        .collect::<Result<_>>()?;
    Ok(Rq1Row {
        task: "mean".to_owned(),
        zero_shot: accuracy(|p| &p.zero_shot[0])?,
        fine_tuned: accuracy(|p| &p.at_one)?,
        alpha: None,
        patched: accuracy(|p| &p.chosen[0])?,
        gain: change(mean_difference(&gains)?)?,
        supported_change,
        note: None,
    })
}

/// Validation accuracies on the way from zero-shot to fine-tuned.
pub(crate) fn curve(task: &str, patched: &Patched) -> Result<Curve> {
    let measured = patched.searched.points.iter().filter_map(|(alpha, on)| {
        let on: Option<Vec<Proportion>> = on.iter().copied().collect();
        Some((*alpha, on?))
    });
    let points = measured.map(|(alpha, on)| {
        Ok(CurvePoint {
            alpha: Alpha::new(alpha)?,
            supported: estimate(mean_proportion(&on[1..])?)?,
            patching: estimate(on[0])?,
        })
    });
    Ok(Curve {
        task: task.to_owned(),
        points: points.collect::<Result<_>>()?,
        chosen: Some(Alpha::new(patched.searched.choice.alpha)?),
    })
}

/// The mean change of all patched models on the same images of one supported task.
pub(crate) fn shared_change(results: &[(&Prepared, Patched)], i: usize) -> Result<Difference> {
    let pairs: Vec<(&Predictions, &Predictions)> = results
        .iter()
        .map(|(_, p)| (&p.zero_shot[i], &p.chosen[i]))
        .collect();
    Ok(Paired::shared(&pairs)?.difference())
}

pub(crate) fn supported_change_mean(
    results: &[(&Prepared, Patched)],
    n_supported: usize,
) -> Result<Estimate> {
    let tasks: Vec<Difference> = (1..=n_supported)
        .map(|i| shared_change(results, i))
        .collect::<Result<_>>()?;
    change(mean_difference(&tasks)?)
}

/// The images that did not decode.
pub(crate) fn skipped(subject: &Subject) -> Vec<SkippedImages> {
    let mut all = Vec::new();
    for task in subject.supported.iter().chain(&subject.patching) {
        for (split, table) in &task.tables {
            if table.skipped().is_empty() {
                continue;
            }
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
    all
}

fn report_split(split: SplitName) -> Split {
    match split {
        SplitName::Train => Split::Train,
        SplitName::Validation => Split::Validation,
        SplitName::Test => Split::Test,
    }
}

pub(crate) fn estimate(p: Proportion) -> Result<Estimate> {
    Ok(Estimate::new(p.value, p.low, p.high, p.n)?)
}

pub(crate) fn change(d: Difference) -> Result<Estimate> {
    Ok(Estimate::new(d.value, d.low, d.high, d.n)?)
}

/// Patched minus zero-shot on evaluated task `i`; with alpha = 0 they are one model.
pub(crate) fn task_change(patched: &Patched, i: usize) -> Result<Difference> {
    let (before, after) = (&patched.zero_shot[i], &patched.chosen[i]);
    if patched.searched.choice.alpha == 0.0 {
        return Ok(Difference::unchanged(before.len() as u64));
    }
    Ok(Paired::new(before, after)?.difference())
}
