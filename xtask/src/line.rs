//! The models on the line between two weights, and their answers, each measured once.

use anyhow::Result;
use paint_clip::Clip;
use paint_data::SplitName;
use paint_eval::Predictions;

use crate::machine;
use crate::prepared::Prepared;
use crate::run_dir::RunDir;
use crate::subject::Subject;
use crate::theta::Theta;

/// The models between `from` and `to`.
pub(crate) struct Line<'a> {
    pub(crate) subject: &'a Subject,
    pub(crate) from: &'a Theta,
    pub(crate) to: &'a Theta,
    /// What the run calls it.
    pub(crate) name: &'a str,
    pub(crate) run: &'a RunDir,
}

impl Line<'_> {
    pub(crate) fn at(&self, alpha: f64) -> Result<Theta> {
        self.from
            .between(self.to, alpha, &self.subject.model.config)
    }

    /// What the answers at `alpha` are called; the zero-shot model is the same on every line.
    fn name_at(&self, alpha: f64) -> String {
        match alpha == 0.0 && self.from.key == self.subject.zero_shot.key {
            true => "zero-shot/0.000".to_owned(),
            false => format!("{}/{}", self.name, printed(alpha)),
        }
    }

    /// Answers of the model at `alpha` to a split of a task.
    pub(crate) fn answers(
        &self,
        alpha: f64,
        on: &Prepared,
        split: SplitName,
    ) -> Result<Predictions> {
        let (key, name) = (self.from.key_between(self.to, alpha), self.name_at(alpha));
        self.subject
            .answers_of(&key, &name, on, split, self.run, || self.at(alpha))
    }

    /// Answers of the model at `alpha` to validation images `rows` of a task, kept under the
    /// number of those it has answered before. `last` is the model that was asked last.
    pub(crate) fn some_answers(
        &self,
        alpha: f64,
        on: &Prepared,
        first: usize,
        rows: &[usize],
        last: &mut Option<(f64, Clip)>,
    ) -> Result<Predictions> {
        let split = SplitName::Validation;
        let model = &self.subject.model;
        let name = self.subject.answers_name(&self.name_at(alpha), on, split);
        let name = format!("{name}-from-{first}");
        let theta = self.from.key_between(self.to, alpha);
        let key = format!("{theta} {} {rows:?}", on.key(split)?);
        let key = machine::sha256(key.as_bytes());
        self.run.predictions(&name, &key, || {
            let (_, clip) = match last.take().filter(|(of, _)| *of == alpha) {
                Some(same) => last.insert(same),
                None => last.insert((alpha, self.at(alpha)?.clip(&model.config)?)),
            };
            on.predict_some(clip, model, split, rows)
        })
    }
}

/// With three digits, or as many as it takes.
fn printed(alpha: f64) -> String {
    let short = format!("{alpha:.3}");
    match short.parse() == Ok(alpha) {
        true => short,
        false => alpha.to_string(),
    }
}
