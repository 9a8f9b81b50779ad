//! Choosing `alpha` without measuring every candidate on every validation image.
//!
//! All candidates meet the same validation images in the same random order, as many of them as
//! the decision needs: one that is confidently worse, or confidently costs too much on the
//! supported tasks, is measured no further. The zero-shot model, `alpha` = 0, is what all are
//! compared with and is measured in full.
//!
//! # What is guaranteed
//! "True" is what *all* validation images would say, the numbers that [`choose`] sees; the
//! probability is over the order alone, whatever the answers are. Under [`Shape::Any`], with
//! probability at least 1 - `delta`:
//! - [`Rule::BestMean`]: the true mean accuracy of the choice is at most `epsilon` below that of
//!   the best candidate.
//! - [`Rule::BestPatch`]: the true drop of the choice is at most `max_drop` + `epsilon`, and its
//!   true patching accuracy is at most `epsilon` below that of every candidate whose true drop is
//!   at most `max_drop`, so of the one that [`choose`] takes.
//!
//! Two candidates whose answers to all images are known are compared exactly, without `epsilon`,
//! ties to the smaller `alpha`: where the race uses everything up, it decides as [`choose`] does.
//!
//! Under [`Shape::Nested`] the same holds with the answers that were taken as known in place of
//! the true ones. Let ρ be the largest share (by weight in the mean in question) of images on which
//! a candidate's answer was taken wrongly: a difference of two candidates is then off by at most
//! 2ρ, one from `alpha` = 0 by at most ρ, and so are the bounds above. ρ is 0 if no image's answer
//! changes there and back as `alpha` grows; [`Raced::audit`] says how often it did.
//!
//! # How
//! Every claim is a paired test by betting, valid whenever it is looked at (Waudby-Smith & Ramdas
//! 2020 and 2024). Under best-patch half of `delta` guards against losing the best candidate as too
//! costly: only its own bet can do so. One fifth guards against losing it as worse than any of the
//! others, three tenths against choosing any that costs too much: both are divided by their number.

mod contest;
mod pool;
mod wealth;

use crate::{Choice, Error, Result, Rule};
use contest::Contest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

#[cfg(doc)]
use crate::choose;

/// What is taken as known of the answers over `alpha` before any is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// Nothing.
    Any,
    /// An image on which two candidates are both right, or both wrong, has the same answer
    /// between the two: toward the fine-tuned model each answer changes at most once. What follows
    /// from the answers to both sides is not measured, but for one in forty, chosen at random,
    /// that are: the [`Audit`].
    #[default]
    Nested,
}

/// How to race.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RaceConfig {
    /// What a good `alpha` is.
    pub rule: Rule,
    /// Accuracies that differ by less are equally good, a fraction: 0.005 is half a point.
    pub epsilon: f64,
    /// Probability of a choice that breaks the guarantee, at most.
    pub delta: f64,
    /// Images that a candidate is asked for at a time, at least; later a tenth of those it has
    /// answered.
    pub batch: usize,
    /// What is known of the curves.
    pub shape: Shape,
    /// Seed of the order of the images.
    pub seed: u64,
}

impl Default for RaceConfig {
    /// Half a point, 95 %, nested answers.
    fn default() -> Self {
        Self {
            rule: Rule::default(),
            epsilon: 0.005,
            delta: 0.05,
            batch: 32,
            shape: Shape::default(),
            seed: 0,
        }
    }
}

/// A question to one candidate's model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// Position of the candidate among the `alphas`.
    pub candidate: usize,
    /// 0 for the patching task, then the supported ones.
    pub task: usize,
    /// How many images of the task the candidate has answered before.
    pub first: usize,
    /// The images in question: positions in the task's validation data.
    pub images: &'a [usize],
}

/// What was counted on one task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Images whose answer is known.
    pub n: u64,
    /// Those classified correctly.
    pub n_right: u64,
    /// Those measured; the answers to the others follow from [`Shape::Nested`].
    pub n_measured: u64,
}

/// How often an answer taken as known was wrong, where it was measured all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Answers compared.
    pub n: u64,
    /// Those that were wrong.
    pub n_wrong: u64,
}

/// How a race went.
#[derive(Clone, Debug, PartialEq)]
pub struct Raced {
    /// The chosen `alpha` and why.
    pub choice: Choice,
    /// For every candidate in the order given: the patching task, then the supported ones.
    pub measured: Vec<Vec<Tally>>,
    /// What was found of the answers taken as known.
    pub audit: Audit,
}

impl Raced {
    /// Images through models: one image through one candidate's model is one pass.
    pub fn n_passes(&self) -> u64 {
        let tallies = self.measured.iter().flatten();
        tallies.map(|tally| tally.n_measured).sum()
    }
}

/// Races the candidates `alphas`, rising from 0, on validation images; `n_images` counts those of
/// the patching task and of every supported task.
///
/// `ask` runs a candidate's model on images and says of each whether it classified it correctly.
/// The same answers and settings lead to the same questions and the same choice.
///
/// # Errors
/// [`Error::Candidates`] if `alphas` do not rise from 0 to at most 1, a task has no images, or a
/// setting is out of range; [`Error::Answers`] if `ask` answers fewer or more; what `ask` returns.
pub fn race<E: From<Error>>(
    alphas: &[f64],
    n_images: &[usize],
    config: &RaceConfig,
    mut ask: impl FnMut(&Request<'_>) -> Result<Vec<bool>, E>,
) -> Result<Raced, E> {
    check(alphas, n_images, config)?;
    let mut contest = Contest::new(alphas, n_images, *config);
    contest.measure_zero_shot(&mut ask)?;
    let winner = loop {
        let leader = contest.leader();
        let needed = contest.needed(leader);
        if needed.iter().all(BTreeSet::is_empty) {
            break leader;
        }
        contest.measure(&needed, &mut ask)?;
    };
    Ok(contest.end(winner))
}

fn check(alphas: &[f64], n_images: &[usize], config: &RaceConfig) -> Result<()> {
    let refuse = |problem: String| Err(Error::Candidates(problem));
    if alphas.first() != Some(&0.0) {
        return refuse("the first candidate must be alpha 0, the model as it was".to_owned());
    }
    if let Some(pair) = alphas
        .windows(2)
        .find(|pair| pair[0] >= pair[1] || pair[1].is_nan())
    {
        return refuse(format!(
            "alpha {} follows {}; they must rise",
            pair[1], pair[0]
        ));
    }
    if let Some(alpha) = alphas.last().filter(|&&alpha| alpha > 1.0) {
        return refuse(format!("alpha {alpha} is not in [0, 1]"));
    }
    if n_images.is_empty() || n_images.contains(&0) {
        return refuse(format!(
            "numbers of images {n_images:?}; every task needs some"
        ));
    }
    let RaceConfig {
        epsilon,
        delta,
        batch,
        ..
    } = *config;
    if !(0.0..=1.0).contains(&epsilon) {
        return refuse(format!("epsilon {epsilon} is not a fraction in [0, 1]"));
    }
    if !(delta > 0.0 && delta < 1.0) {
        return refuse(format!(
            "delta {delta} is not a probability between 0 and 1"
        ));
    }
    if batch == 0 {
        return refuse("batch must be at least 1".to_owned());
    }
    if let Rule::BestPatch { max_drop } = config.rule
        && !(0.0..=1.0).contains(&max_drop)
    {
        return refuse(format!("max_drop {max_drop} is not a fraction in [0, 1]"));
    }
    Ok(())
}
