//! The ways of patching one model on several tasks.

use anyhow::Result;
use paint_data::SplitName;
use paint_eval::Predictions;
use paint_mix::{
    Dare, Rule, Ties, ValidationAccuracy, add_task_vectors, dare_sum, greedy_soup,
    search_coefficients, slerp_mean, ties, uniform_soup,
};

use crate::line::Line;
use crate::options::Settings;
use crate::patching::Patched;
use crate::prepared::Prepared;
use crate::progress::Console;
use crate::run_dir::RunDir;
use crate::search::{Search, Wanted, drop_error};
use crate::subject::Subject;
use crate::tested::{OfTask, Tested};
use crate::theta::{Theta, fine_tuned};

/// A model patched on one task.
pub(crate) struct Specialist<'a> {
    pub(crate) task: &'a Prepared,
    pub(crate) patched: Patched,
}

/// One seed's tasks in their order, each with its specialist.
pub(crate) struct Many<'a, 'b> {
    pub(crate) subject: &'a Subject,
    pub(crate) settings: &'b Settings,
    pub(crate) specialists: &'b [Specialist<'a>],
    /// Their weights at alpha = 1.
    pub(crate) fine_tuned: &'b [Theta],
    /// Points measured in the search for coefficients.
    pub(crate) budget: usize,
    pub(crate) seed: u64,
    pub(crate) run: &'b RunDir,
    pub(crate) console: &'b Console,
}

/// One alpha for the sum of all patches.
pub(crate) struct Shared<'a> {
    pub(crate) alpha: f64,
    pub(crate) tested: Tested<'a>,
}

/// The share of a task vector that DARE drops: the methods' paper takes 0.9 for large language
/// models; these models are small.
const DARE_DROP: f64 = 0.5;

impl<'a> Many<'a, '_> {
    fn tasks(&self, k: usize) -> Vec<&'a Prepared> {
        self.specialists[..k].iter().map(|s| s.task).collect()
    }

    fn fine_tuned(&self, k: usize) -> Vec<&Theta> {
        self.fine_tuned[..k].iter().collect()
    }

    fn name(&self, method: &str, k: usize) -> String {
        format!("{method}-{k}-seed{}", self.seed)
    }

    pub(crate) fn unpatched(&self, k: usize) -> Result<Tested<'a>> {
        self.test(&self.subject.zero_shot, "unpatched", k)
    }

    /// One model per task, as patched by itself.
    pub(crate) fn of_specialists(&self, k: usize) -> Result<Tested<'a>> {
        let specialists = &self.specialists[..k];
        let patching = specialists
            .iter()
            .map(|s| (s.task.name.as_str(), vec![s.patched.chosen[0].clone()]));
        let supported = self.subject.supported.iter().enumerate().map(|(i, on)| {
            let answers = |s: &Specialist<'_>| s.patched.chosen[i + 1].clone();
            (on.name.as_str(), specialists.iter().map(answers).collect())
        });
        Ok(Tested {
            patching: patching.collect(),
            supported: supported.collect(),
        })
    }

    /// One fine-tuning on the union of the tasks, with √k times the steps of one.
    pub(crate) fn joint(&self, k: usize) -> Result<Tested<'a>> {
        let mut config = self.settings.fine_tune.clone();
        config.steps = (config.steps as f64 * (k as f64).sqrt()).round() as u64;
        let (zero_shot, name) = (&self.subject.zero_shot, self.name("joint", k));
        let joint = fine_tuned(
            self.subject,
            zero_shot,
            &self.tasks(k),
            &config,
            &name,
            self.console,
        )?;
        self.along(&joint.load()?, "joint", k)
    }

    /// One task after the other, each from what the ones before have left: the model after every
    /// task.
    pub(crate) fn sequence(&self) -> Result<Vec<Theta>> {
        let mut thetas: Vec<Theta> = Vec::new();
        for (i, specialist) in self.specialists.iter().enumerate() {
            let from = thetas.last().unwrap_or(&self.subject.zero_shot).clone();
            let name = self.name("sequential", i + 1);
            let tuned = fine_tuned(
                self.subject,
                &from,
                &[specialist.task],
                &self.settings.fine_tune,
                &format!("{name} {}", specialist.task.name),
                self.console,
            )?;
            let line = Line {
                subject: self.subject,
                from: &from,
                to: &tuned.load()?,
                name: &name,
                run: self.run,
            };
            let wanted = Wanted {
                line: &line,
                patching: self.tasks(i + 1),
                grid: &self.settings.grid,
                rule: self.rule_from(&from)?,
                search: self.settings.search,
            };
            let alpha = wanted.search(self.console)?.choice.alpha;
            thetas.push(line.at(alpha)?);
        }
        Ok(thetas)
    }

    /// The rule for a line that starts at `from`: what the supported tasks have lost up to there
    /// is no longer to lose.
    fn rule_from(&self, from: &Theta) -> Result<Rule> {
        let Rule::BestPatch { max_drop } = self.settings.rule else {
            return Ok(self.settings.rule);
        };
        let lost = self.zero_shot_supported()? - self.supported(from)?;
        Ok(Rule::BestPatch {
            max_drop: (max_drop - lost).clamp(0.0, max_drop),
        })
    }

    /// The sum of all patches, scaled by one alpha.
    pub(crate) fn shared_alpha(&self, k: usize) -> Result<Shared<'a>> {
        let sum = self.sum_of(&vec![1.0; k])?;
        let (theta, alpha) = self.chosen_along(&sum, "shared-alpha", k)?;
        let tested = self.test(&theta, "shared-alpha", k)?;
        Ok(Shared { alpha, tested })
    }

    /// The sum of all patches, each with its own coefficient.
    pub(crate) fn parallel(&self, k: usize, shared_alpha: f64) -> Result<Tested<'a>> {
        let what = format!("{}: coefficients", self.name("parallel", k));
        let bar = self.console.bar(&what, self.budget as u64);
        let start = vec![shared_alpha; k];
        let found = search_coefficients(
            k,
            &start,
            self.budget,
            self.settings.fine_tune.seed,
            |coefficients| {
                let score = self.score(&self.sum_of(coefficients)?, k);
                bar.inc(1);
                score
            },
        )?;
        bar.finish_and_clear();
        self.test(&self.sum_of(&found.best.coefficients)?, "parallel", k)
    }

    /// θ_zs + Σ coefficient · (θ_ft − θ_zs).
    fn sum_of(&self, coefficients: &[f64]) -> Result<Theta> {
        let how = format!("sum {coefficients:?}");
        self.merged(coefficients.len(), &how, |_, zero_shot, others, out| {
            let tasks = coefficients.iter().copied().zip(others.iter().copied());
            Ok(add_task_vectors(
                zero_shot,
                &tasks.collect::<Vec<_>>(),
                out,
            )?)
        })
    }

    fn merged(
        &self,
        k: usize,
        how: &str,
        make: impl Fn(&str, &[f32], &[&[f32]], &mut [f32]) -> Result<()>,
    ) -> Result<Theta> {
        let config = &self.subject.model.config;
        let others = self.fine_tuned(k);
        self.subject.zero_shot.merged(&others, how, config, make)
    }

    /// Merging methods of others, each then mixed with the zero-shot weights as all are.
    pub(crate) fn competitors(&self, k: usize) -> Result<Vec<(&'static str, Tested<'a>)>> {
        let soup =
            |_: &str, _: &[f32], others: &[&[f32]], out: &mut [f32]| Ok(uniform_soup(others, out)?);
        let uniform = self.merged(k, "uniform soup", soup)?;
        let members = self.greedy_members(k)?;
        let greedy = self.merged(k, &format!("soup of {members:?}"), |_, _, others, out| {
            let members: Vec<&[f32]> = members.iter().map(|&i| others[i]).collect();
            Ok(uniform_soup(&members, out)?)
        })?;
        let tied = self.merged(k, "ties 0.2", |_, zero_shot, others, out| {
            Ok(ties(zero_shot, others, &Ties::default(), out)?)
        })?;
        let how = format!("dare {DARE_DROP} {}", self.settings.fine_tune.seed);
        let dared = self.merged(k, &how, |name, zero_shot, others, out| {
            let settings = Dare {
                drop: DARE_DROP,
                seed: self.settings.fine_tune.seed.wrapping_mul(1_000),
            };
            Ok(dare_sum(name, zero_shot, others, &settings, out)?)
        })?;
        let mean =
            |_: &str, _: &[f32], others: &[&[f32]], out: &mut [f32]| Ok(slerp_mean(others, out)?);
        let on_sphere = self.merged(k, "slerp", mean)?;
        Ok(vec![
            ("uniform soup", self.along(&uniform, "uniform-soup", k)?),
            ("greedy soup", self.along(&greedy, "greedy-soup", k)?),
            ("ties", self.along(&tied, "ties", k)?),
            ("dare", self.along(&dared, "dare", k)?),
            ("slerp", self.along(&on_sphere, "slerp", k)?),
        ])
    }

    fn greedy_members(&self, k: usize) -> Result<Vec<usize>> {
        let alone = self.fine_tuned(k);
        let score = |theta: &Theta| -> Result<ValidationAccuracy> {
            Ok(ValidationAccuracy::new(self.mean_score(theta, k)?)?)
        };
        let scores = alone
            .iter()
            .map(|theta| score(theta))
            .collect::<Result<Vec<_>>>()?;
        let soup = greedy_soup(&scores, |members| -> Result<ValidationAccuracy> {
            score(
                &self.merged(k, &format!("soup of {members:?}"), |_, _, others, out| {
                    let members: Vec<&[f32]> = members.iter().map(|&i| others[i]).collect();
                    Ok(uniform_soup(&members, out)?)
                })?,
            )
        })?;
        Ok(soup.members)
    }

    /// What the rule wants, of `theta` on validation: larger is better.
    fn score(&self, theta: &Theta, k: usize) -> Result<f64> {
        let Rule::BestPatch { max_drop } = self.settings.rule else {
            return self.mean_score(theta, k);
        };
        let margin = match self.settings.search {
            Search::Grid { margin, .. } => margin,
            Search::Race(_) => 0.0,
        };
        let (before, after) = (
            self.answers_to_supported(&self.subject.zero_shot)?,
            self.answers_to_supported(theta)?,
        );
        let drop = mean_accuracy(&before) - mean_accuracy(&after);
        let excess = drop + margin * drop_error(&before, &after)? - max_drop;
        match excess > 0.0 {
            // Worse than any that is allowed, and the worse the more it loses.
            true => Ok(-excess),
            false => self.patching(theta, k),
        }
    }

    /// Mean of the accuracies on the patching and on the supported tasks, on validation.
    fn mean_score(&self, theta: &Theta, k: usize) -> Result<f64> {
        Ok(0.5 * (self.patching(theta, k)? + self.supported(theta)?))
    }

    fn patching(&self, theta: &Theta, k: usize) -> Result<f64> {
        let tasks = self.tasks(k).into_iter();
        let answers = tasks.map(|on| {
            self.subject
                .passing_answers(theta, on, SplitName::Validation)
        });
        Ok(mean_accuracy(&answers.collect::<Result<Vec<_>>>()?))
    }

    fn supported(&self, theta: &Theta) -> Result<f64> {
        Ok(mean_accuracy(&self.answers_to_supported(theta)?))
    }

    fn zero_shot_supported(&self) -> Result<f64> {
        self.supported(&self.subject.zero_shot)
    }

    fn answers_to_supported(&self, theta: &Theta) -> Result<Vec<Predictions>> {
        let answers = |on| {
            self.subject
                .passing_answers(theta, on, SplitName::Validation)
        };
        self.subject.supported.iter().map(answers).collect()
    }

    /// The best model between the zero-shot weights and `to`, and its alpha.
    fn chosen_along(&self, to: &Theta, method: &str, k: usize) -> Result<(Theta, f64)> {
        let line = Line {
            subject: self.subject,
            from: &self.subject.zero_shot,
            to,
            name: &self.name(method, k),
            run: self.run,
        };
        let wanted = Wanted {
            line: &line,
            patching: self.tasks(k),
            grid: &self.settings.grid,
            rule: self.settings.rule,
            search: self.settings.search,
        };
        let alpha = wanted.search(self.console)?.choice.alpha;
        Ok((line.at(alpha)?, alpha))
    }

    fn along(&self, to: &Theta, method: &str, k: usize) -> Result<Tested<'a>> {
        let (theta, _) = self.chosen_along(to, method, k)?;
        self.test(&theta, method, k)
    }

    /// Answers of one model to the test images of all tasks.
    pub(crate) fn test(&self, theta: &Theta, method: &str, k: usize) -> Result<Tested<'a>> {
        let name = format!("{}/chosen", self.name(method, k));
        let of = |on: &'a Prepared| -> Result<OfTask<'a>> {
            let answers = self
                .subject
                .answers(theta, &name, on, SplitName::Test, self.run)?;
            Ok((on.name.as_str(), vec![answers]))
        };
        Ok(Tested {
            patching: self.tasks(k).into_iter().map(of).collect::<Result<_>>()?,
            supported: self
                .subject
                .supported
                .iter()
                .map(of)
                .collect::<Result<_>>()?,
        })
    }
}

fn mean_accuracy(answers: &[Predictions]) -> f64 {
    let sum: f64 = answers.iter().map(|answers| answers.accuracy().value).sum();
    sum / answers.len() as f64
}
