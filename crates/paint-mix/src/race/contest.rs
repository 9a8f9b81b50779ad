//! The state of a race: what was answered, what that proves, and what to ask next.

use std::collections::{BTreeMap, BTreeSet};

use super::pool::Pool;
use super::wealth::Wealth;
use super::{Audit, RaceConfig, Raced, Request, Shape, Tally};
use crate::choose::{ROUNDING, points};
use crate::{Choice, Error, Result, Rule};

/// The pool on which candidates are compared: the patching task, or all tasks under best-mean.
const SCORE: usize = 0;
/// The pool on which the drop is measured.
const SUPPORTED: usize = 1;

/// Shares of delta under best-patch.
const COSTLY: f64 = 0.5;
const WORSE: f64 = 0.2;
const ALLOWED: f64 = 0.3;

/// What can be proved, each with a probability of error of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    /// The candidate's drop exceeds `max_drop`.
    Costly(usize),
    /// The candidate's drop is at most `max_drop`, to within epsilon.
    Allowed(usize),
    /// The first scores higher than the second, to within epsilon; ties go to the smaller.
    Better(usize, usize),
}

pub(super) struct Contest {
    alphas: Vec<f64>,
    config: RaceConfig,
    n_tasks: usize,
    pools: Vec<Pool>,
    bets: BTreeMap<Claim, Wealth>,
}

impl Contest {
    pub(super) fn new(alphas: &[f64], n_images: &[usize], config: RaceConfig) -> Self {
        let n_supported = n_images.len() - 1;
        let shares = |tasks: std::ops::Range<usize>, share: f64| {
            let share = share / tasks.len() as f64;
            tasks
                .map(|task| (task, n_images[task], share))
                .collect::<Vec<_>>()
        };
        let nested = config.shape == Shape::Nested;
        let pool = |shares: &[_]| Pool::new(shares, alphas.len(), nested, config.seed);
        let pools = match config.rule {
            _ if n_supported == 0 => vec![pool(&shares(0..1, 1.0))],
            Rule::BestMean => {
                let supported = shares(1..n_images.len(), 0.5);
                vec![pool(&[shares(0..1, 0.5), supported].concat())]
            }
            Rule::BestPatch { .. } => {
                vec![
                    pool(&shares(0..1, 1.0)),
                    pool(&shares(1..n_images.len(), 1.0)),
                ]
            }
        };
        Self {
            alphas: alphas.to_vec(),
            config,
            n_tasks: n_images.len(),
            pools,
            bets: BTreeMap::new(),
        }
    }

    pub(super) fn measure_zero_shot<E: From<Error>>(
        &mut self,
        ask: &mut impl FnMut(&Request<'_>) -> Result<Vec<bool>, E>,
    ) -> Result<(), E> {
        let all = |pool: &mut Pool| pool.measure(0, pool.len(), ask);
        self.pools.iter_mut().try_for_each(all)
    }

    /// Asks for the next images: of those `needed` in a pool, the ones that are furthest behind.
    pub(super) fn measure<E: From<Error>>(
        &mut self,
        needed: &[BTreeSet<usize>],
        ask: &mut impl FnMut(&Request<'_>) -> Result<Vec<bool>, E>,
    ) -> Result<(), E> {
        for (pool, candidates) in self.pools.iter_mut().zip(needed) {
            let Some(least) = candidates.iter().map(|&j| pool.n(j)).min() else {
                continue;
            };
            let until = least + self.config.batch.max(least / 10);
            let candidates: Vec<usize> = candidates.iter().copied().collect();
            for candidate in coarse_to_fine(&candidates) {
                pool.measure(candidate, until, ask)?;
            }
        }
        Ok(())
    }

    /// The candidate that would be chosen if all stayed as it looks now; ties to the smaller.
    pub(super) fn leader(&mut self) -> usize {
        let scores = self.estimates(SCORE);
        let drops = self.limit().map(|limit| (limit, self.estimates(SUPPORTED)));
        let mut best = 0;
        for j in 1..self.alphas.len() {
            let eligible = match &drops {
                None => true,
                Some((limit, changes)) => {
                    !self.costly(j)
                        && (self.proved(Claim::Allowed(j)) || -changes[j] <= limit + ROUNDING)
                }
            };
            if eligible && scores[j] > scores[best] + ROUNDING {
                best = j;
            }
        }
        best
    }

    /// What must be measured further before `leader` can be chosen: for every pool, candidates.
    pub(super) fn needed(&mut self, leader: usize) -> Vec<BTreeSet<usize>> {
        let mut needed = vec![BTreeSet::new(); self.pools.len()];
        if self.limit().is_some() && !self.proved(Claim::Allowed(leader)) {
            needed[SUPPORTED].insert(leader);
        }
        for rival in 0..self.alphas.len() {
            if self.beaten(rival, leader) {
                continue;
            }
            if self.settled_by_cost(rival, leader) {
                needed[SUPPORTED].insert(rival);
            } else {
                needed[SCORE].extend([rival, leader]);
            }
        }
        for (pool, candidates) in self.pools.iter().zip(&mut needed) {
            candidates.retain(|&j| !pool.complete(j));
        }
        needed
    }

    /// Whether `rival` need not be looked at any more with `leader` as the choice.
    fn beaten(&mut self, rival: usize, leader: usize) -> bool {
        rival == leader || self.costly(rival) || self.proved(Claim::Better(leader, rival))
    }

    /// Whether the drop is likely to decide about `rival` sooner than its score. Decides the
    /// cost of the race only.
    fn settled_by_cost(&mut self, rival: usize, leader: usize) -> bool {
        if self.limit().is_none() || rival == 0 || self.pools[SUPPORTED].complete(rival) {
            return false;
        }
        let (cost, score) = (Claim::Costly(rival), Claim::Better(leader, rival));
        self.guess(cost, rival > leader) <= self.guess(score, rival < leader)
    }

    /// About how many images more it takes to prove `claim`; infinite if it looks false.
    fn guess(&mut self, claim: Claim, likely: bool) -> f64 {
        /// Images that a likely claim takes, before any was seen.
        const USUAL: f64 = 150.0;
        let (a, b) = pair_of(claim);
        let pool = &self.pools[pool_of(claim)];
        let n_left = pool.len() as f64;
        match pool.mean_difference(a, b) {
            None if likely => USUAL.min(n_left),
            None => f64::INFINITY,
            Some(difference) if self.holds(claim, difference) => {
                let bet = self.bet(claim);
                bet.guess_remaining().min(n_left - bet.n() as f64)
            }
            Some(_) => f64::INFINITY,
        }
    }

    /// Whether the drop of `j` is proved to exceed the limit.
    fn costly(&mut self, j: usize) -> bool {
        j > 0 && self.limit().is_some() && self.proved(Claim::Costly(j))
    }

    /// Whether the answers so far prove `claim`; exactly, once there are all.
    fn proved(&mut self, claim: Claim) -> bool {
        if claim == Claim::Allowed(0) {
            return true;
        }
        let (a, b) = pair_of(claim);
        let pool = &self.pools[pool_of(claim)];
        if !(pool.complete(a) && pool.complete(b)) {
            return self.bet(claim).rejected();
        }
        let difference = pool.mean_difference(a, b).unwrap_or(0.0);
        self.holds(claim, difference)
    }

    /// Whether `claim` holds, without any epsilon, if the mean difference of its candidates is
    /// `difference`.
    fn holds(&self, claim: Claim, difference: f64) -> bool {
        let limit = self.limit().unwrap_or(0.0);
        match claim {
            Claim::Costly(_) => difference > limit + ROUNDING,
            Claim::Allowed(_) => difference >= -limit - ROUNDING,
            Claim::Better(i, j) if i < j => difference >= -ROUNDING,
            Claim::Better(..) => difference > ROUNDING,
        }
    }

    /// The bet against the opposite of `claim`, up to date.
    fn bet(&mut self, claim: Claim) -> &Wealth {
        let (mean, level) = self.terms(claim);
        let (a, b) = pair_of(claim);
        let pool = &self.pools[pool_of(claim)];
        let bet = self
            .bets
            .entry(claim)
            .or_insert_with(|| Wealth::new(mean, level));
        while let Some((x, weight)) = pool.difference(a, b, bet.n()) {
            bet.see(x, weight);
        }
        bet
    }

    /// The mean difference that is bet against, and the level.
    fn terms(&self, claim: Claim) -> (f64, f64) {
        let RaceConfig { epsilon, delta, .. } = self.config;
        let m = (self.alphas.len() - 1).max(1) as f64;
        let limit = self.limit().unwrap_or(0.0);
        match claim {
            // Only the best candidate's own bet can lose it.
            Claim::Costly(_) => (limit, COSTLY * delta),
            Claim::Allowed(_) => (-limit - epsilon, ALLOWED * delta / m),
            Claim::Better(..) if self.limit().is_none() => (-epsilon, delta / m),
            Claim::Better(..) => (-epsilon, WORSE * delta / m),
        }
    }

    /// The largest drop allowed, where there is a limit.
    fn limit(&self) -> Option<f64> {
        match self.config.rule {
            Rule::BestPatch { max_drop } if self.pools.len() > 1 => Some(max_drop),
            _ => None,
        }
    }

    /// For every candidate, its accuracy in a pool minus the zero-shot model's: as measured, or
    /// on the line through the candidates measured to both sides. Decides the cost of the race
    /// only.
    fn estimates(&self, pool: usize) -> Vec<f64> {
        let measured: Vec<(f64, f64)> = (0..self.alphas.len())
            .filter_map(|j| Some((self.alphas[j], self.pools[pool].mean_difference(j, 0)?)))
            .collect();
        let at = |&alpha: &f64| match measured.iter().position(|m| m.0 >= alpha) {
            Some(i) if measured[i].0 == alpha => measured[i].1,
            Some(i) => on_line(measured[i - 1], measured[i], alpha),
            None => match measured[..] {
                [.., one, other] => on_line(one, other, alpha),
                // So that the middle is looked at first.
                _ if pool == SUPPORTED => -2.0 * alpha * self.limit().unwrap_or(0.0),
                _ => alpha,
            },
        };
        self.alphas.iter().map(at).collect()
    }

    pub(super) fn end(self, winner: usize) -> Raced {
        let of_task = |candidate: usize, task: usize| {
            let pool = if self.pools.len() > 1 {
                task.min(1)
            } else {
                SCORE
            };
            self.pools[pool].tally(candidate, task)
        };
        let measured: Vec<Vec<Tally>> = (0..self.alphas.len())
            .map(|j| (0..self.n_tasks).map(|task| of_task(j, task)).collect())
            .collect();
        let audits = self.pools.iter().map(Pool::audit);
        let audit = audits.fold(Audit::default(), |sum, audit| Audit {
            n: sum.n + audit.n,
            n_wrong: sum.n_wrong + audit.n_wrong,
        });
        Raced {
            choice: Choice {
                alpha: self.alphas[winner],
                reason: self.reason(winner),
            },
            measured,
            audit,
        }
    }

    fn reason(&self, winner: usize) -> String {
        let RaceConfig { epsilon, delta, .. } = self.config;
        let sure = format!(
            "within {} pt with {} % confidence",
            points(epsilon),
            points(1.0 - delta)
        );
        let change = |pool: usize, of: &str| {
            let change = self.pools[pool].mean_difference(winner, 0).unwrap_or(0.0);
            format!(
                "{of} {:+.1} pt on {} images",
                points(change),
                self.pools[pool].n(winner)
            )
        };
        match (self.limit(), self.config.rule) {
            (None, _) if winner == 0 => format!("no other candidate is better, {sure}"),
            (Some(limit), _) if winner == 0 => format!(
                "no other candidate with a supported drop of at most {} pt is better, {sure}",
                points(limit)
            ),
            (None, Rule::BestMean) => {
                format!("highest mean accuracy, {sure}: {}", change(SCORE, "mean"))
            }
            (None, Rule::BestPatch { .. }) => {
                format!("highest patch accuracy, {sure}: {}", change(SCORE, "patch"))
            }
            (Some(limit), _) => format!(
                "highest patch accuracy with a supported drop of at most {} pt, {sure}: {}, {}",
                points(limit),
                change(SCORE, "patch"),
                change(SUPPORTED, "supported"),
            ),
        }
    }
}

/// The candidates whose difference a claim is about.
fn pair_of(claim: Claim) -> (usize, usize) {
    match claim {
        Claim::Costly(j) => (0, j),
        Claim::Allowed(j) => (j, 0),
        Claim::Better(i, j) => (i, j),
    }
}

fn pool_of(claim: Claim) -> usize {
    match claim {
        Claim::Costly(_) | Claim::Allowed(_) => SUPPORTED,
        Claim::Better(..) => SCORE,
    }
}

fn on_line(one: (f64, f64), other: (f64, f64), alpha: f64) -> f64 {
    let slope = (other.1 - one.1) / (other.0 - one.0);
    one.1 + slope * (alpha - one.0)
}

/// The last first, then halves of halves: what lies between two equal answers may be known by
/// then. The zero-shot model, which is always known, bounds the first half.
fn coarse_to_fine(rising: &[usize]) -> Vec<usize> {
    let Some((&last, rest)) = rising.split_last() else {
        return Vec::new();
    };
    let mut order = vec![last];
    let mut parts = std::collections::VecDeque::from([rest]);
    while let Some(part) = parts.pop_front() {
        if let Some(&middle) = part.get(part.len() / 2) {
            order.push(middle);
            parts.extend([&part[..part.len() / 2], &part[part.len() / 2 + 1..]]);
        }
    }
    order
}
