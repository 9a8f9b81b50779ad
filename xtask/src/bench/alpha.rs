//! Image passes that a race needs to choose alpha, against the full grid: races replayed on the
//! predictions that a finished run with `--search grid` kept.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use paint_eval::{Difference, Paired, Predictions, mean_difference};
use paint_mix::{Candidate, RaceConfig, Rule, Shape, ValidationAccuracy, choose, race};
use serde::Deserialize;

use crate::tasks::find_task;

/// Orders of the images that are tried; what is reported is their mean.
const SEEDS: u64 = 10;

/// What the replayed races took.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AlphaPasses {
    pub(crate) tasks: Vec<TaskPasses>,
    /// Passes of the grid / passes of the race, mean over the tasks, each with the zero-shot
    /// model's passes of its own.
    pub(crate) ratio: f64,
    /// The same of all tasks in one run, which measures the zero-shot model on the supported
    /// tasks once, with either search.
    pub(crate) ratio_of_run: f64,
}

/// Races for one patching task.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TaskPasses {
    pub(crate) task: String,
    pub(crate) n_grid: u64,
    /// Mean over the seeds.
    pub(crate) n_race: f64,
    /// Mean over the seeds of grid / race.
    pub(crate) ratio: f64,
    pub(crate) grid_alpha: f64,
    pub(crate) race_alphas: Vec<f64>,
    /// How many of `race_alphas` are the grid's.
    pub(crate) n_same: usize,
    /// How many are the grid's or statistically equal to it: on all validation images no paired
    /// 95 % interval says that the score is lower, and none that the drop exceeds its limit.
    pub(crate) n_equal: usize,
    /// How many break what the race promises.
    pub(crate) n_broken: usize,
}

impl AlphaPasses {
    /// Races that are counted by `of`, per cent of all.
    pub(crate) fn share(&self, of: fn(&TaskPasses) -> usize) -> f64 {
        let n: usize = self.tasks.iter().map(|task| task.race_alphas.len()).sum();
        100.0 * self.tasks.iter().map(of).sum::<usize>() as f64 / n.max(1) as f64
    }
}

/// What of `run.toml` matters here.
#[derive(Deserialize)]
struct Plan {
    patching: Vec<String>,
    supported: Vec<String>,
    grid: Vec<f64>,
    rule: Rule,
}

/// By alpha: the patching task, then the supported ones.
type Answers = Vec<Vec<Predictions>>;

/// Replays races with the settings of `--search race` on a finished grid run.
pub(crate) fn alpha_passes(run_dir: &Path, shape: Shape) -> Result<AlphaPasses> {
    let file = run_dir.join("run.toml");
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("cannot read {}", file.display()))?;
    let plan: Plan = toml::from_str(&text).with_context(|| file.display().to_string())?;
    let (mut tasks, mut shared) = (Vec::new(), 0);
    for patching in &plan.patching {
        let (name, answers) = answers(run_dir, &plan, patching)?;
        shared = answers[0][1..].iter().map(Predictions::len).sum();
        tasks.push(replay(name, &plan, &answers, shape)?);
    }
    if tasks.is_empty() {
        bail!("{}: no patching task", file.display());
    }
    let n = tasks.len() as f64;
    let again = (n - 1.0) * shared as f64;
    let sum = |of: fn(&TaskPasses) -> f64| tasks.iter().map(of).sum::<f64>();
    Ok(AlphaPasses {
        ratio: sum(|task| task.ratio) / n,
        ratio_of_run: (sum(|task| task.n_grid as f64) - again) / (sum(|task| task.n_race) - again),
        tasks,
    })
}

fn answers(run_dir: &Path, plan: &Plan, patching: &str) -> Result<(String, Answers)> {
    let name = |task: &String| Ok(find_task(task)?.name);
    let patching = name(&patching.to_owned())?;
    let supported = plan
        .supported
        .iter()
        .map(name)
        .collect::<Result<Vec<_>>>()?;
    let read = |alpha: f64, on: &str| -> Result<Predictions> {
        let owner = if alpha == 0.0 { "zero-shot" } else { &patching };
        let path = run_dir.join(format!(
            "predictions/{owner}/{alpha:.3}/{on}-validation.json"
        ));
        let bytes = std::fs::read(&path).with_context(|| {
            format!(
                "cannot read {}; is this a finished run with --search grid?",
                path.display()
            )
        })?;
        serde_json::from_slice(&bytes).with_context(|| path.display().to_string())
    };
    let at = |&alpha: &f64| {
        let tasks = std::iter::once(&patching).chain(&supported);
        tasks.map(|on| read(alpha, on)).collect::<Result<Vec<_>>>()
    };
    let answers = plan.grid.iter().map(at).collect::<Result<_>>()?;
    Ok((patching, answers))
}

fn replay(task: String, plan: &Plan, answers: &Answers, shape: Shape) -> Result<TaskPasses> {
    let candidates = answers
        .iter()
        .zip(&plan.grid)
        .map(|(on, &alpha)| {
            let accuracy = |p: &Predictions| ValidationAccuracy::new(p.accuracy().value);
            Ok(Candidate {
                alpha,
                patch: accuracy(&on[0])?,
                supported: on[1..].iter().map(accuracy).collect::<Result<_, _>>()?,
                drop_margin: 0.0,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let grid_alpha = choose(&candidates, plan.rule)?.alpha;
    let right: Vec<Vec<Vec<bool>>> = answers
        .iter()
        .map(|on| on.iter().map(Predictions::correct).collect())
        .collect();
    let n_images: Vec<usize> = answers[0].iter().map(Predictions::len).collect();
    let n_grid = (plan.grid.len() * n_images.iter().sum::<usize>()) as u64;
    let position = |alpha: f64| plan.grid.iter().position(|&a| a == alpha).unwrap_or(0);
    let grid_position = position(grid_alpha);
    let mut found = TaskPasses {
        task,
        n_grid,
        n_race: 0.0,
        ratio: 0.0,
        grid_alpha,
        race_alphas: Vec::new(),
        n_same: 0,
        n_equal: 0,
        n_broken: 0,
    };
    let mut equal_to_grid = BTreeMap::new();
    for seed in 0..SEEDS {
        let config = RaceConfig {
            rule: plan.rule,
            shape,
            seed,
            ..Default::default()
        };
        let raced = race(
            &plan.grid,
            &n_images,
            &config,
            |request| -> Result<Vec<bool>> {
                let answers = &right[request.candidate][request.task];
                Ok(request.images.iter().map(|&image| answers[image]).collect())
            },
        )?;
        let chosen = position(raced.choice.alpha);
        let equal = match equal_to_grid.get(&chosen) {
            Some(&known) => known,
            None => statistically_equal(answers, grid_position, chosen, plan.rule)?,
        };
        equal_to_grid.insert(chosen, equal);
        found.n_race += raced.n_passes() as f64 / SEEDS as f64;
        found.ratio += n_grid as f64 / raced.n_passes() as f64 / SEEDS as f64;
        found.n_same += usize::from(chosen == grid_position);
        found.n_equal += usize::from(equal);
        found.n_broken += usize::from(broken(&candidates, grid_position, chosen, &config));
        found.race_alphas.push(raced.choice.alpha);
    }
    Ok(found)
}

/// Whether all validation images together do not show the race's choice to be worse than the
/// grid's.
fn statistically_equal(answers: &Answers, grid: usize, chosen: usize, rule: Rule) -> Result<bool> {
    if chosen == grid {
        return Ok(true);
    }
    let change = |before: usize, task: usize| -> Result<Difference> {
        Ok(Paired::new(&answers[before][task], &answers[chosen][task])?.difference())
    };
    let supported = |before: usize| -> Result<Option<Difference>> {
        let changes = (1..answers[0].len()).map(|task| change(before, task));
        let changes = changes.collect::<Result<Vec<_>>>()?;
        Ok((!changes.is_empty())
            .then(|| mean_difference(&changes))
            .transpose()?)
    };
    let patch = change(grid, 0)?;
    Ok(match rule {
        Rule::BestMean => match supported(grid)? {
            Some(supported) => mean_difference(&[patch, supported])?.high >= 0.0,
            None => patch.high >= 0.0,
        },
        Rule::BestPatch { max_drop } => {
            let from_zero_shot = match chosen {
                0 => None,
                _ => supported(0)?,
            };
            patch.high >= 0.0 && from_zero_shot.is_none_or(|change| change.high >= -max_drop)
        }
    })
}

/// Whether the choice is further from the grid's than the race promises.
fn broken(candidates: &[Candidate], grid: usize, chosen: usize, config: &RaceConfig) -> bool {
    const ROUNDING: f64 = 1e-9;
    let supported = |j: usize| {
        let all = &candidates[j].supported;
        all.iter().map(|accuracy| accuracy.get()).sum::<f64>() / all.len().max(1) as f64
    };
    let patch = |j: usize| candidates[j].patch.get();
    let score = |j: usize| match config.rule {
        Rule::BestMean if !candidates[j].supported.is_empty() => (patch(j) + supported(j)) / 2.0,
        _ => patch(j),
    };
    let too_low = score(chosen) < score(grid) - config.epsilon - ROUNDING;
    match config.rule {
        Rule::BestMean => too_low,
        Rule::BestPatch { max_drop } => {
            too_low || supported(0) - supported(chosen) > max_drop + config.epsilon + ROUNDING
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run of one task whose accuracy rises with alpha while the supported one falls late.
    fn write_run(dir: &Path, n: usize) {
        let grid: Vec<f64> = (0..=10).map(|i| f64::from(i) / 10.0).collect();
        let plan = format!(
            "patching = [\"digits\"]\nsupported = [\"objects\"]\ngrid = {grid:?}\n\
             [rule.best_patch]\nmax_drop = 0.01\n"
        );
        std::fs::write(dir.join("run.toml"), plan).unwrap();
        for (j, &alpha) in grid.iter().enumerate() {
            let owner = if alpha == 0.0 { "zero-shot" } else { "digits" };
            let folder = dir.join(format!("predictions/{owner}/{alpha:.3}"));
            std::fs::create_dir_all(&folder).unwrap();
            // Of every 100 images: 30 + 5 j are right on the patching task, 80 - 4 (j - 5) on the
            // supported one.
            let n_right = [30 + 5 * j, 80 - 4 * j.saturating_sub(5)];
            for (on, n_right) in ["digits", "objects"].into_iter().zip(n_right) {
                let ranked = (0..n).flat_map(|image| match image * 37 % 100 < n_right {
                    true => [0, 1],
                    false => [1, 0],
                });
                let predictions = Predictions::new(vec![0; n], ranked.collect(), 2).unwrap();
                let file = folder.join(format!("{on}-validation.json"));
                std::fs::write(file, serde_json::to_vec(&predictions).unwrap()).unwrap();
            }
        }
    }

    #[test]
    fn a_recorded_grid_is_replayed() {
        let dir = tempfile::tempdir().unwrap();
        write_run(dir.path(), 600);
        let found = alpha_passes(dir.path(), Shape::Nested).unwrap();
        let [task] = &found.tasks[..] else {
            panic!("{found:?}")
        };
        assert_eq!((task.grid_alpha, task.n_grid), (0.5, 11 * 1200));
        assert_eq!((task.n_same, task.n_equal, task.n_broken), (10, 10, 0));
        assert!(found.ratio > 3.0, "{found:?}");
        let run = task.n_grid as f64 / task.n_race;
        assert!((found.ratio_of_run - run).abs() < 1e-9, "{found:?}");
        let strict = alpha_passes(dir.path(), Shape::Any).unwrap();
        assert!(
            strict.ratio > 1.5 && strict.ratio < found.ratio,
            "{strict:?}"
        );
    }

    #[test]
    fn a_run_without_all_predictions_is_named() {
        let dir = tempfile::tempdir().unwrap();
        write_run(dir.path(), 10);
        let gone = "predictions/digits/0.700/objects-validation.json";
        std::fs::remove_file(dir.path().join(gone)).unwrap();
        let error = format!("{:#}", alpha_passes(dir.path(), Shape::Any).unwrap_err());
        assert!(
            error.contains(gone) && error.contains("--search grid"),
            "{error}"
        );
    }
}
