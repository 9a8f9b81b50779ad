//! The path of question 1 for one task: fine-tuning, the choice of alpha on validation, and the
//! chosen one on test.

use anyhow::Result;
use paint_clip::Provenance;
use paint_data::SplitName;
use paint_eval::Predictions;

use crate::line::Line;
use crate::options::Settings;
use crate::prepared::Prepared;
use crate::question::Run;
use crate::run_dir::RunDir;
use crate::search::{Searched, Wanted};
use crate::subject::Subject;
use crate::theta::{FineTuned, Theta, fine_tuned};

/// What the path of one patching task found.
pub(crate) struct Patched {
    pub(crate) searched: Searched,
    /// On test, the patching task first, then the supported ones: zero-shot and chosen.
    pub(crate) zero_shot: Vec<Predictions>,
    pub(crate) chosen: Vec<Predictions>,
    /// The patching task on test at alpha = 1.
    pub(crate) at_one: Predictions,
    pub(crate) fine_tuned: FineTuned,
    /// Of fine-tuning.
    seed: u64,
}

/// Patches the subject's model on `task`, keeping an eye on its supported tasks; `name` is what the
/// run calls it.
pub(crate) fn patch(
    subject: &Subject,
    task: &Prepared,
    name: &str,
    settings: &Settings,
    run: &Run<'_>,
) -> Result<Patched> {
    let console = run.console;
    let zero_shot = &subject.zero_shot;
    let config = &settings.fine_tune;
    let fine_tuned = fine_tuned(subject, zero_shot, &[task], config, name, console)?;
    let line = Line {
        subject,
        from: zero_shot,
        to: &fine_tuned.load()?,
        name,
        run: &run.dir,
    };
    let wanted = Wanted {
        line: &line,
        patching: vec![task],
        grid: &settings.grid,
        rule: settings.rule,
        search: settings.search,
    };
    let searched = wanted.search(console)?;
    let alpha = searched.choice.alpha;

    let tasks: Vec<&Prepared> = std::iter::once(task).chain(&subject.supported).collect();
    let bar = console.bar(&format!("{name}: test"), 2 * tasks.len() as u64 + 1);
    let test = |alpha: f64, on: &Prepared| {
        let predictions = line.answers(alpha, on, SplitName::Test);
        bar.inc(1);
        predictions
    };
    let all = |alpha| {
        tasks
            .iter()
            .map(|on| test(alpha, on))
            .collect::<Result<_>>()
    };
    let (zero_shot, chosen) = (all(0.0)?, all(alpha)?);
    let at_one = test(1.0, task)?;
    bar.finish_and_clear();

    Ok(Patched {
        searched,
        zero_shot,
        chosen,
        at_one,
        fine_tuned,
        seed: config.seed,
    })
}

impl Patched {
    /// The weights at the chosen alpha.
    pub(crate) fn theta(&self, subject: &Subject) -> Result<Theta> {
        let alpha = self.searched.choice.alpha;
        let config = &subject.model.config;
        subject
            .zero_shot
            .between(&self.fine_tuned.load()?, alpha, config)
    }

    /// Leaves the fine-tuned and the patched checkpoint in the run.
    pub(crate) fn keep(&self, subject: &Subject, task: &Prepared, run: &RunDir) -> Result<()> {
        let checkpoints = run.path.join("checkpoints").join(subject.place(&task.name));
        self.fine_tuned.put(&checkpoints.join("fine_tuned"))?;
        let patched = checkpoints.join("patched");
        if patched.join("model.safetensors").exists() {
            return Ok(());
        }
        let provenance = Provenance {
            parents: vec![subject.as_parent(), self.fine_tuned.as_parent()?],
            task: Some(task.name.clone()),
            seed: Some(self.seed),
            alpha: Some(self.searched.choice.alpha),
            ..Default::default()
        };
        subject.write(&patched, &self.theta(subject)?.tensors, &provenance)
    }
}
