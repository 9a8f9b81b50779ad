//! The search for one coefficient per task.

use crate::{Error, Result};
use genoxide::{
    Fitness,
    algorithm::{Algorithm, Cmaes},
    genome::{Real, Reals},
};
use serde::{Deserialize, Serialize};

/// As many coefficients are searched on a grid; more by CMA-ES.
const MAX_GRID: usize = 3;
/// Steps of the first grid at most: coefficients in steps of 0.05.
const MAX_STEPS: usize = 20;
/// Standard deviation of the first samples around the start.
const FIRST_STEP: f64 = 0.2;
/// Evaluations that [`search_coefficients`] spends unless told otherwise; about as many as the
/// paper's search.
pub const BUDGET: usize = 50;

/// A point and its score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluated {
    /// One coefficient per task, each in [0, 1].
    pub coefficients: Vec<f64>,
    /// What the objective said; larger is better.
    pub score: f64,
}

/// How a search went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Searched {
    /// The best point that was measured, the first of equal ones.
    pub best: Evaluated,
    /// All points in the order in which they were measured; the first is the start.
    pub evaluated: Vec<Evaluated>,
}

/// Searches `k` coefficients in [0, 1] for a large `objective`, in at most `budget` evaluations
/// (usually [`BUDGET`]), from `start`, which is always measured: the answer is never worse.
///
/// Up to three coefficients: a grid over the whole cube, as fine as the budget allows and at most
/// in steps of 0.05, and with what is left of the budget the neighbours of the best point in half
/// the step, again and again. More: CMA-ES (Hansen 2016, arXiv:1604.00772) from `start` with
/// standard deviation 0.2, as PAINT's appendix does with an evolutionary method. The grid draws
/// nothing; CMA-ES follows from `seed`. No point is measured twice, and the same scores lead to
/// the same points.
///
/// # Errors
/// [`Error::Nothing`] if `k` or `budget` is 0; [`Error::Length`] if `start` has not `k`
/// coefficients, [`Error::Setting`] if one is not in [0, 1]; [`Error::Score`] if a score is NaN;
/// what `objective` returns.
pub fn search_coefficients<E: From<Error>>(
    k: usize,
    start: &[f64],
    budget: usize,
    seed: u64,
    objective: impl FnMut(&[f64]) -> Result<f64, E>,
) -> Result<Searched, E> {
    check(k, start, budget)?;
    let mut search = Search {
        objective,
        budget,
        evaluated: Vec::new(),
        best: 0,
    };
    search.measure(start)?;
    if k <= MAX_GRID {
        search.grid(k)?;
    } else {
        search.evolve(start, seed)?;
    }
    Ok(Searched {
        best: search.evaluated[search.best].clone(),
        evaluated: search.evaluated,
    })
}

fn check(k: usize, start: &[f64], budget: usize) -> Result<()> {
    if k == 0 {
        return Err(Error::Nothing(
            "no tasks: there is no coefficient to search",
        ));
    }
    if budget == 0 {
        return Err(Error::Nothing(
            "a budget of 0 evaluations; the start alone needs one",
        ));
    }
    if start.len() != k {
        return Err(Error::Length {
            what: "start".to_owned(),
            expected: k,
            actual: start.len(),
        });
    }
    match start.iter().position(|c| !(0.0..=1.0).contains(c)) {
        None => Ok(()),
        Some(task) => Err(Error::Setting {
            name: format!("start, coefficient {task},"),
            value: start[task],
            allowed: "in [0, 1]",
        }),
    }
}

struct Search<F> {
    objective: F,
    budget: usize,
    evaluated: Vec<Evaluated>,
    /// Position of the best among the evaluated.
    best: usize,
}

impl<F> Search<F> {
    /// The point's score, measured or known; `None` if the budget is spent.
    fn measure<E: From<Error>>(&mut self, point: &[f64]) -> Result<Option<f64>, E>
    where
        F: FnMut(&[f64]) -> Result<f64, E>,
    {
        if let Some(known) = self.evaluated.iter().find(|e| e.coefficients == point) {
            return Ok(Some(known.score));
        }
        if self.evaluated.len() == self.budget {
            return Ok(None);
        }
        let score = (self.objective)(point)?;
        if score.is_nan() {
            let coefficients = point.to_vec();
            return Err(Error::Score { coefficients }.into());
        }
        let best = self.evaluated.get(self.best);
        if best.is_some_and(|best| score > best.score) {
            self.best = self.evaluated.len();
        }
        self.evaluated.push(Evaluated {
            coefficients: point.to_vec(),
            score,
        });
        Ok(Some(score))
    }

    fn grid<E: From<Error>>(&mut self, k: usize) -> Result<(), E>
    where
        F: FnMut(&[f64]) -> Result<f64, E>,
    {
        let left = self.budget - self.evaluated.len();
        let n_points = |n_steps: usize| (n_steps + 1).pow(k as u32);
        let n_steps = (1..=MAX_STEPS).rev().find(|&n| n_points(n) <= left);
        if let Some(n_steps) = n_steps {
            for number in 0..n_points(n_steps) {
                let digit = |task| number / (n_steps + 1).pow(task) % (n_steps + 1);
                let point: Vec<f64> = (0..k as u32)
                    .map(|task| digit(task) as f64 / n_steps as f64)
                    .collect();
                self.measure(&point)?;
            }
        }
        let mut step = 0.5 / n_steps.unwrap_or(1) as f64;
        // Validation sets of some thousand images tell nothing finer apart.
        while step > 1e-3 {
            let centre = self.evaluated[self.best].coefficients.clone();
            for point in neighbours(&centre, step) {
                if self.measure(&point)?.is_none() {
                    return Ok(());
                }
            }
            step /= 2.0;
        }
        Ok(())
    }

    fn evolve<E: From<Error>>(&mut self, start: &[f64], seed: u64) -> Result<(), E>
    where
        F: FnMut(&[f64]) -> Result<f64, E>,
    {
        let mut cmaes = sampler(start, seed)?;
        let mut n_before = 0;
        // Once all samples are known points, the distribution has become one.
        while n_before < self.evaluated.len() {
            n_before = self.evaluated.len();
            let points: Vec<Vec<f64>> = cmaes.ask().iter().map(|point| point.to_vec()).collect();
            let mut scores = Vec::with_capacity(points.len());
            for point in &points {
                match self.measure(point)? {
                    Some(score) => scores.push(Fitness::new(score)),
                    None => return Ok(()),
                }
            }
            cmaes.tell(&scores).map_err(Error::from)?;
        }
        Ok(())
    }
}

fn sampler(start: &[f64], seed: u64) -> Result<Cmaes> {
    Ok(Cmaes::builder(Real::uniform(start.len(), 0.0..=1.0)?)
        .maximize()
        .initial_mean(Reals::from(start.to_vec()))
        .initial_step(FIRST_STEP)
        .seed(seed)
        .build()?)
}

/// The points of the cube a step away from `centre` in some coordinates, few coordinates first.
fn neighbours(centre: &[f64], step: f64) -> Vec<Vec<f64>> {
    let n = 3_usize.pow(centre.len() as u32);
    let direction = |number: usize, task: u32| [0.0, -1.0, 1.0][number / 3_usize.pow(task) % 3];
    let n_moved = |number: usize| {
        (0..centre.len() as u32)
            .filter(|&task| direction(number, task) != 0.0)
            .count()
    };
    let mut numbers: Vec<usize> = (1..n).collect();
    numbers.sort_by_key(|&number| n_moved(number));
    let point = |number| -> Vec<f64> {
        (0_u32..)
            .zip(centre)
            .map(|(task, c)| (c + step * direction(number, task)).clamp(0.0, 1.0))
            .collect()
    };
    numbers.into_iter().map(point).collect()
}
