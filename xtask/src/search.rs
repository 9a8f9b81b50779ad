//! The choice of alpha on validation: every value on every image, or a race.

use anyhow::Result;
use indicatif::ProgressBar;
use paint_data::SplitName;
use paint_eval::{Paired, Predictions, Proportion};
use paint_mix::{
    Audit, Candidate, Choice, RaceConfig, Raced, Rule, Shape, ValidationAccuracy, choose, race,
};
use serde::Serialize;

use crate::line::Line;
use crate::prepared::Prepared;
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
        /// How often the values halfway from the best one to its neighbours are measured too.
        halvings: u32,
    },
    Race(RaceConfig),
}

impl Search {
    pub(crate) fn new(
        name: SearchName,
        rule: Rule,
        (margin, halvings): (f64, u32),
        epsilon: f64,
        seed: u64,
    ) -> Self {
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
            SearchName::Grid => Self::Grid { margin, halvings },
            SearchName::Race => race(Shape::Nested),
            SearchName::RaceStrict => race(Shape::Any),
        }
    }

    pub(crate) fn is_grid(&self) -> bool {
        matches!(self, Self::Grid { .. })
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

/// What alpha is searched for.
pub(crate) struct Wanted<'a> {
    pub(crate) line: &'a Line<'a>,
    /// The tasks that are to get better: their mean counts.
    pub(crate) patching: Vec<&'a Prepared>,
    pub(crate) grid: &'a [f64],
    pub(crate) rule: Rule,
    pub(crate) search: Search,
}

impl Wanted<'_> {
    /// The patching tasks, then the supported ones.
    fn tasks(&self) -> Vec<&Prepared> {
        let supported = &self.line.subject.supported;
        self.patching.iter().copied().chain(supported).collect()
    }

    fn answers(&self, alpha: f64, on: &Prepared, bar: &ProgressBar) -> Result<Predictions> {
        let answers = self.line.answers(alpha, on, SplitName::Validation)?;
        bar.inc(answers.len() as u64);
        Ok(answers)
    }

    /// Searches on validation images.
    pub(crate) fn search(&self, console: &Console) -> Result<Searched> {
        let tasks = self.tasks();
        let n_images = tasks
            .iter()
            .map(|on| Ok(on.table(SplitName::Validation)?.len()))
            .collect::<Result<Vec<_>>>()?;
        let n_grid_passes = (self.grid.len() * n_images.iter().sum::<usize>()) as u64;
        let what = format!("{}: alpha on validation", self.line.name);
        let bar = console.bar(&what, n_grid_passes);
        let searched = match self.search {
            Search::Grid { margin, halvings } => self.by_grid(margin, halvings, &n_images, &bar)?,
            Search::Race(config) => self.by_race(&config, &n_images, n_grid_passes, &bar)?,
        };
        bar.finish_and_clear();
        Ok(searched)
    }

    fn by_grid(
        &self,
        margin: f64,
        halvings: u32,
        n_images: &[usize],
        bar: &ProgressBar,
    ) -> Result<Searched> {
        let mut measured = Vec::new();
        for &alpha in self.grid {
            measured.push(self.measured(alpha, margin, None, bar)?);
        }
        let choose = |measured: &[Measured]| -> Result<Choice> {
            let candidates: Vec<_> = measured
                .iter()
                .filter_map(|m| m.candidate.clone())
                .collect();
            Ok(choose(&candidates, self.rule)?)
        };
        let mut choice = choose(&measured)?;
        for _ in 0..halvings {
            for alpha in halfway(&measured, choice.alpha) {
                let best = measured.iter().find(|m| m.alpha == choice.alpha);
                let best = best.and_then(|m| m.candidate.clone());
                measured.push(self.measured(alpha, margin, best.as_ref(), bar)?);
            }
            choice = choose(&measured)?;
        }
        measured.sort_by(|one, other| one.alpha.total_cmp(&other.alpha));
        let of_images: usize = n_images.iter().sum();
        let n_passes = |m: &Measured| -> u64 {
            let on = m.on.iter().flatten();
            on.map(|accuracy| accuracy.n).sum()
        };
        Ok(Searched {
            choice,
            n_passes: measured.iter().map(n_passes).sum(),
            n_grid_passes: (self.grid.len() * of_images) as u64,
            points: measured.into_iter().map(|m| (m.alpha, m.on)).collect(),
            audit: Audit::default(),
        })
    }

    /// The answers of the model at `alpha` to validation images: to the supported tasks' only if it may
    /// be chosen before `best`, which they cannot change otherwise.
    fn measured(
        &self,
        alpha: f64,
        margin: f64,
        best: Option<&Candidate>,
        bar: &ProgressBar,
    ) -> Result<Measured> {
        let answers = |on: &[&Prepared]| -> Result<Vec<Predictions>> {
            on.iter().map(|on| self.answers(alpha, on, bar)).collect()
        };
        let patching = answers(&self.patching)?;
        let sum: f64 = patching.iter().map(|on| on.accuracy().value).sum();
        let patch = ValidationAccuracy::new(sum / patching.len() as f64)?;
        let line = self.line;
        let supported = &line.subject.supported;
        let patching = patching.iter().map(|answers| Some(answers.accuracy()));
        if best.is_some_and(|best| !may_be_chosen_before(best, patch, self.rule)) {
            return Ok(Measured {
                alpha,
                candidate: None,
                on: patching.chain(supported.iter().map(|_| None)).collect(),
            });
        }
        let after = answers(&supported.iter().collect::<Vec<_>>())?;
        let zero_shot = |on| {
            let split = SplitName::Validation;
            line.subject.zero_shot_answers(on, split, line.run)
        };
        let before = supported
            .iter()
            .map(zero_shot)
            .collect::<Result<Vec<_>>>()?;
        let accuracy = |answers: &Predictions| ValidationAccuracy::new(answers.accuracy().value);
        let candidate = Candidate {
            alpha,
            patch,
            supported: after.iter().map(accuracy).collect::<Result<_, _>>()?,
            drop_margin: margin * drop_error(&before, &after)?,
        };
        let after = after.iter().map(|answers| Some(answers.accuracy()));
        Ok(Measured {
            alpha,
            candidate: Some(candidate),
            on: patching.chain(after).collect(),
        })
    }

    fn by_race(
        &self,
        config: &RaceConfig,
        n_images: &[usize],
        n_grid_passes: u64,
        bar: &ProgressBar,
    ) -> Result<Searched> {
        let tasks = self.tasks();
        // All of them, for the warning about chance; every patching task shares them.
        let zero_shot = |on: &&Prepared| Ok(self.answers(0.0, on, bar)?.correct());
        let zero_shot = tasks.iter().map(zero_shot).collect::<Result<Vec<_>>>()?;
        let mut last = None;
        let raced = race(
            self.grid,
            n_images,
            config,
            |request| -> Result<Vec<bool>> {
                let (images, task) = (request.images, request.task);
                if request.candidate == 0 {
                    return Ok(images.iter().map(|&image| zero_shot[task][image]).collect());
                }
                let alpha = self.grid[request.candidate];
                let answers =
                    self.line
                        .some_answers(alpha, tasks[task], request.first, images, &mut last)?;
                bar.inc(images.len() as u64);
                Ok(answers.correct())
            },
        )?;
        Ok(Searched {
            points: points_of(self.grid, &raced)?,
            n_passes: raced.n_passes(),
            n_grid_passes,
            audit: raced.audit,
            choice: raced.choice,
        })
    }
}

/// What was measured at one alpha.
struct Measured {
    alpha: f64,
    /// If it may be chosen.
    candidate: Option<Candidate>,
    /// On the patching tasks, then on the supported ones.
    on: Vec<Option<Proportion>>,
}

/// Whether supported accuracies can make `rule` choose one with `patch` before `best`.
fn may_be_chosen_before(best: &Candidate, patch: ValidationAccuracy, rule: Rule) -> bool {
    match rule {
        // As good is enough: the smaller alpha is chosen then.
        Rule::BestPatch { .. } => patch.get() > best.patch.get() - 1e-9,
        Rule::BestMean => true,
    }
}

/// The values halfway from the best one to its neighbours.
fn halfway(measured: &[Measured], best: f64) -> Vec<f64> {
    let alphas = || measured.iter().map(|m| m.alpha);
    let below = alphas()
        .filter(|alpha| *alpha < best)
        .max_by(f64::total_cmp);
    let above = alphas()
        .filter(|alpha| *alpha > best)
        .min_by(f64::total_cmp);
    let neighbours = below.into_iter().chain(above);
    neighbours.map(|alpha| 0.5 * (alpha + best)).collect()
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

/// Standard error of the mean drop over tasks, whose images are independent.
pub(crate) fn drop_error(before: &[Predictions], after: &[Predictions]) -> Result<f64> {
    let mut variance = 0.0;
    for (before, after) in before.iter().zip(after) {
        variance += Paired::new(before, after)?.standard_error().powi(2);
    }
    Ok(variance.sqrt() / before.len().max(1) as f64)
}

#[cfg(test)]
mod tests {
    use paint_data::Rng;

    use super::*;

    /// What the search does not measure would not have been chosen.
    #[test]
    fn leaving_out_what_cannot_be_chosen_changes_no_choice() {
        let rng = &mut Rng::new(1);
        let accuracy = |value: f32| ValidationAccuracy::new(f64::from(value)).unwrap();
        let mut n_left_out = 0;
        for _ in 0..400 {
            let rule = match rng.chance(0.8) {
                true => Rule::BestPatch { max_drop: 0.02 },
                false => Rule::BestMean,
            };
            // Of few values, so that some are as good as others.
            let mut candidate = |alpha| Candidate {
                alpha,
                patch: accuracy(0.5 + 0.01 * rng.below(6) as f32),
                supported: vec![accuracy(0.9 - 0.01 * rng.below(4) as f32)],
                drop_margin: 0.0,
            };
            let mut candidates: Vec<Candidate> = [0.0, 0.5, 1.0].map(&mut candidate).into();
            let chosen = choose(&candidates, rule).unwrap().alpha;
            let best = candidates
                .iter()
                .find(|c| c.alpha == chosen)
                .unwrap()
                .clone();
            for alpha in [0.25, 0.75] {
                candidates.push(candidate(alpha));
                let further = candidates.last().unwrap();
                if !may_be_chosen_before(&best, further.patch, rule) {
                    n_left_out += 1;
                    assert_eq!(choose(&candidates, rule).unwrap().alpha, chosen);
                }
                candidates.pop();
            }
        }
        assert!(n_left_out > 100, "{n_left_out}");
    }
}
