//! The choice of alpha on validation: every value on every image, or a race.

use anyhow::Result;
use paint_data::SplitName;
use paint_eval::{Paired, Predictions, Proportion};
use paint_mix::{
    Audit, Candidate, Choice, RaceConfig, Raced, Rule, Shape, ValidationAccuracy, choose, race,
};
use serde::Serialize;

use crate::between::Between;
use crate::patching::{Prepared, Settings};
use crate::progress::Console;

/// The names of the searches.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum SearchName {
    /// Every alpha on every validation image
    Grid,
    /// Only what the choice needs; an image that two alphas answer alike is not asked between
    /// them, but for some that check this
    Race,
    /// Only what the choice needs, every answer measured
    RaceStrict,
}

/// How alpha is searched.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Search {
    Grid {
        /// Standard errors of the supported drop that best-patch adds to it.
        margin: f64,
    },
    Race(RaceConfig),
}

impl Search {
    pub(crate) fn new(name: SearchName, rule: Rule, margin: f64, epsilon: f64, seed: u64) -> Self {
        let race = |shape| {
            Self::Race(RaceConfig {
                rule,
                epsilon,
                shape,
                seed,
                ..Default::default()
            })
        };
        match name {
            SearchName::Grid => Self::Grid { margin },
            SearchName::Race => race(Shape::Nested),
            SearchName::RaceStrict => race(Shape::Any),
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Grid { .. } => "grid",
            Self::Race(config) if config.shape == Shape::Nested => "race",
            Self::Race(_) => "race-strict",
        }
    }
}

/// What the search found.
pub(crate) struct Searched {
    pub(crate) choice: Choice,
    /// Per alpha: accuracy on the patching task, then on the supported ones, where measured.
    pub(crate) points: Vec<(f64, Vec<Option<Proportion>>)>,
    /// Images through models.
    pub(crate) n_passes: u64,
    /// Those that the grid takes.
    pub(crate) n_grid_passes: u64,
    pub(crate) audit: Audit,
}

/// Searches among `settings.grid`.
pub(crate) fn search(
    between: &Between<'_>,
    settings: &Settings<'_>,
    console: &Console,
) -> Result<Searched> {
    let grid = settings.grid;
    let n_images: Vec<usize> = between
        .tasks
        .iter()
        .map(|on| Ok(on.table(SplitName::Validation)?.len()))
        .collect::<Result<_>>()?;
    let n_grid_passes = (grid.len() * n_images.iter().sum::<usize>()) as u64;
    let name = &between.tasks[0].name;
    let bar = console.bar(&format!("{name}: alpha on validation"), n_grid_passes);
    let on_validation = |alpha: f64, on: &Prepared| {
        let predictions = between.predictions(alpha, on, SplitName::Validation);
        bar.inc(predictions.as_ref().map_or(0, Predictions::len) as u64);
        predictions
    };
    let searched = match settings.search {
        Search::Grid { margin } => {
            let mut answers = Vec::new();
            for &alpha in grid {
                let on = |on: &&Prepared| on_validation(alpha, on);
                answers.push((alpha, between.tasks.iter().map(on).collect::<Result<_>>()?));
            }
            let points = |(alpha, on): &(f64, Vec<Predictions>)| {
                let accuracies = on.iter().map(|answers| Some(answers.accuracy()));
                (*alpha, accuracies.collect())
            };
            Searched {
                choice: choose(&candidates(&answers, margin)?, settings.rule)?,
                points: answers.iter().map(points).collect(),
                n_passes: n_grid_passes,
                n_grid_passes,
                audit: Audit::default(),
            }
        }
        Search::Race(config) => {
            // All of them, for the warning about chance; every patching task shares them.
            let zero_shot: Vec<Vec<bool>> = between
                .tasks
                .iter()
                .map(|on| Ok(on_validation(0.0, on)?.correct()))
                .collect::<Result<_>>()?;
            let mut last = None;
            let raced = race(grid, &n_images, &config, |request| -> Result<Vec<bool>> {
                let (images, task) = (request.images, request.task);
                if request.candidate == 0 {
                    return Ok(images.iter().map(|&image| zero_shot[task][image]).collect());
                }
                let (alpha, on) = (grid[request.candidate], between.tasks[task]);
                let answers =
                    between.some_predictions(alpha, on, request.first, images, &mut last)?;
                bar.inc(images.len() as u64);
                Ok(answers.correct())
            })?;
            Searched {
                points: points_of(grid, &raced)?,
                n_passes: raced.n_passes(),
                n_grid_passes,
                audit: raced.audit,
                choice: raced.choice,
            }
        }
    };
    bar.finish_and_clear();
    Ok(searched)
}

/// Accuracies on the images whose answers are known.
fn points_of(grid: &[f64], raced: &Raced) -> Result<Vec<(f64, Vec<Option<Proportion>>)>> {
    let point = |(&alpha, tallies): (&f64, &Vec<paint_mix::Tally>)| {
        let accuracies = tallies.iter().map(|tally| match tally.n {
            0 => Ok(None),
            n => Ok(Some(Proportion::new(tally.n_right, n)?)),
        });
        Ok((alpha, accuracies.collect::<Result<_>>()?))
    };
    grid.iter().zip(&raced.measured).map(point).collect()
}

/// `answers`: per alpha, those to the patching task, then to the supported ones.
fn candidates(answers: &[(f64, Vec<Predictions>)], margin: f64) -> Result<Vec<Candidate>> {
    let zero_shot = answers.iter().find(|(alpha, _)| *alpha == 0.0);
    let before = zero_shot.map_or(&[][..], |(_, on)| &on[1..]);
    let accuracy = |answers: &Predictions| ValidationAccuracy::new(answers.accuracy().value);
    let candidate = |(alpha, on): &(f64, Vec<Predictions>)| -> Result<Candidate> {
        Ok(Candidate {
            alpha: *alpha,
            patch: accuracy(&on[0])?,
            supported: on[1..].iter().map(accuracy).collect::<Result<_, _>>()?,
            drop_margin: margin * drop_error(before, &on[1..])?,
        })
    };
    answers.iter().map(candidate).collect()
}

/// Standard error of the mean drop over tasks, whose images are independent.
fn drop_error(before: &[Predictions], after: &[Predictions]) -> Result<f64> {
    let mut variance = 0.0;
    for (before, after) in before.iter().zip(after) {
        variance += Paired::new(before, after)?.standard_error().powi(2);
    }
    Ok(variance.sqrt() / before.len().max(1) as f64)
}
