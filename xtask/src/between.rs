//! The models on the line from zero-shot to fine-tuned, and their answers, each measured once.

use anyhow::Result;
use paint_clip::{Clip, Tensors};
use paint_data::SplitName;
use paint_eval::Predictions;

use crate::model::Model;
use crate::patching::{Prepared, mixed, predictions_name};
use crate::run_dir::RunDir;

/// The models between `zero_shot` and `fine_tuned`, and what they are measured on.
pub(crate) struct Between<'a> {
    pub(crate) model: &'a Model,
    pub(crate) fine_tuned: &'a Tensors,
    /// The patching task, then the supported ones.
    pub(crate) tasks: Vec<&'a Prepared>,
    pub(crate) run: &'a RunDir,
}

impl Between<'_> {
    /// Answers of the model at `alpha` to a split of a task.
    pub(crate) fn predictions(
        &self,
        alpha: f64,
        on: &Prepared,
        split: SplitName,
    ) -> Result<Predictions> {
        let name = predictions_name(&self.tasks[0].name, alpha, on, split);
        self.run.predictions(&name, || {
            on.predict(
                &mixed(self.model, self.fine_tuned, alpha)?,
                self.model,
                split,
            )
        })
    }

    /// Answers of the model at `alpha` to validation images `rows` of a task, kept under the
    /// number of those it has answered before. `last` is the model that was asked last.
    pub(crate) fn some_predictions(
        &self,
        alpha: f64,
        on: &Prepared,
        first: usize,
        rows: &[usize],
        last: &mut Option<(f64, Clip)>,
    ) -> Result<Predictions> {
        let split = SplitName::Validation;
        let name = predictions_name(&self.tasks[0].name, alpha, on, split);
        self.run.predictions(&format!("{name}-from-{first}"), || {
            let (_, clip) = match last.take().filter(|(of, _)| *of == alpha) {
                Some(same) => last.insert(same),
                None => last.insert((alpha, mixed(self.model, self.fine_tuned, alpha)?)),
            };
            on.predict_some(clip, self.model, split, rows)
        })
    }
}
