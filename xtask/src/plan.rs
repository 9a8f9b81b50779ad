//! `--plan`: what a question takes, step by step, before anything is fetched, drawn or trained.
//!
//! Images are counted where they are local, else in what manifests and the embedded world promise;
//! time comes from a short measurement of the model's own architecture with random weights.

use anyhow::Result;
use paint_data::{Dataset, Hub, PerSplit, SplitName, Task, TaskSource, n_validation};
use paint_tune::FineTuneConfig;
use paint_world::Sizes;
use serde_json::json;

use crate::bench::{Speeds, speeds};
use crate::machine;
use crate::model_size::{ModelSize, model_size};
use crate::options::Asked;
use crate::progress::{Console, answer};
use crate::search::Search;
use crate::subject::{ALL, HELD_OUT, Tasks};
use crate::tasks::{is_of_world, promised};

/// What is done with an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// A forward and a backward pass.
    Training,
    /// A forward pass.
    Forward,
}

/// One step of a question.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    what: String,
    work: Work,
    /// Images through the model; none where the number of images is not known.
    passes: Option<u64>,
}

/// How many images of each split a question uses; none where nobody has said.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Images {
    pub(crate) name: String,
    /// Whether the embedded world draws them.
    pub(crate) of_world: bool,
    /// 0 where only the files name them.
    pub(crate) n_classes: usize,
    pub(crate) validation: Option<u64>,
    pub(crate) test: Option<u64>,
}

/// The tasks of a question, counted.
pub(crate) struct Outlook<'a> {
    asked: &'a Asked<'a>,
    pub(crate) patching: Vec<Images>,
    pub(crate) supported: Vec<Images>,
}

impl Step {
    pub(crate) fn new(what: String, work: Work, passes: Option<u64>) -> Self {
        Self { what, work, passes }
    }
}

/// A task's data: counted where they are local, else as its manifest or the embedded world promises.
struct Data<'a> {
    task: &'a Task,
    origin: Origin,
    /// To be fetched; none where nobody has said.
    bytes: Option<u64>,
    /// Images of each split that is used, before any limit.
    rows: PerSplit,
    /// 0 where only the files name them, and they are not here.
    n_classes: usize,
}

/// Where a task's data come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    World,
    Local,
    Hub,
    /// `--hub DIR` does not have them.
    Missing,
}

impl Origin {
    fn name(self) -> &'static str {
        match self {
            Self::World => "drawn",
            Self::Local => "local",
            Self::Hub => "from the Hub",
            Self::Missing => "missing in --hub",
        }
    }

    fn of(task: &Task, hub: &Hub) -> Self {
        match (&task.source, hub) {
            _ if is_of_world(task) => Self::World,
            (TaskSource::Hub { id, .. }, Hub::Directory(dir)) => {
                match dir.join("datasets").join(id).exists() {
                    true => Self::Local,
                    false => Self::Missing,
                }
            }
            (TaskSource::Hub { .. }, _) => Self::Hub,
            _ => Self::Local,
        }
    }
}

impl<'a> Data<'a> {
    /// What a run uses of each task: `splits`.
    fn of_all(
        all: &'a [Task],
        splits: &[SplitName],
        tasks: &Tasks,
        console: &Console,
    ) -> Result<Vec<Self>> {
        let of = |task| Self::of(task, splits, tasks, console);
        all.iter().map(of).collect()
    }

    fn of(task: &'a Task, splits: &[SplitName], tasks: &Tasks, console: &Console) -> Result<Self> {
        let promised = promised(task);
        let origin = Origin::of(task, &tasks.hub);
        let mut data = Self {
            task,
            origin,
            bytes: match origin {
                Origin::World | Origin::Local => Some(0),
                Origin::Hub | Origin::Missing => promised.bytes,
            },
            rows: after_cuts(task, &promised.rows, splits),
            n_classes: task.class_names.len(),
        };
        if origin == Origin::Local {
            data.rows = PerSplit::default();
            let bar = console.bar(&format!("counting {}", task.name), splits.len() as u64);
            for &split in splits {
                let images = Dataset::open(task, split, &tasks.hub)?;
                data.n_classes = images.class_names().len();
                let n = Some(images.len() as u64);
                match split {
                    SplitName::Train => data.rows.train = n,
                    SplitName::Validation => data.rows.validation = n,
                    SplitName::Test => data.rows.test = n,
                }
                bar.inc(1);
            }
            bar.finish_and_clear();
        }
        Ok(data)
    }
}

/// What a manifest leaves of the rows that its files have, of `splits`.
fn after_cuts(task: &Task, rows: &PerSplit, splits: &[SplitName]) -> PerSplit {
    let cut = rows.train.filter(|_| rows.validation.is_none());
    let cut = cut.map(|train| n_validation(train as usize) as u64);
    let share = |split: SplitName, n: Option<u64>| {
        let part = task.part.get(split);
        let at = |end: f64, n: u64| (end * n as f64).round() as u64;
        n.filter(|_| splits.contains(&split))
            .map(|n| at(part.end, n) - at(part.start, n))
    };
    let train = rows.train.map(|train| train - cut.unwrap_or(0));
    PerSplit {
        train: share(SplitName::Train, train),
        validation: share(SplitName::Validation, rows.validation.or(cut)),
        test: share(SplitName::Test, rows.test),
    }
}

impl Images {
    fn of(data: &Data<'_>, asked: &Asked<'_>) -> Self {
        let at_most = |limit: Option<usize>, n: u64| n.min(limit.unwrap_or(usize::MAX) as u64);
        Self {
            name: data.task.name.clone(),
            of_world: is_of_world(data.task),
            n_classes: data.n_classes,
            validation: data
                .rows
                .validation
                .map(|n| at_most(asked.limit_validation, n)),
            test: data.rows.test.map(|n| at_most(asked.common.limit, n)),
        }
    }

    /// What one of several tasks has on average.
    pub(crate) fn mean(of: &[Self]) -> Self {
        let mean = |get: fn(&Self) -> Option<u64>| Some(sum(of, get)? / of.len().max(1) as u64);
        Self {
            name: "mean".to_owned(),
            of_world: false,
            n_classes: 0,
            validation: mean(|on| on.validation),
            test: mean(|on| on.test),
        }
    }

    /// A part of them, as of some of the classes.
    pub(crate) fn share(&self, of: f64, name: String) -> Self {
        let part = |n: Option<u64>| n.map(|n| (of * n as f64).round() as u64);
        Self {
            name,
            of_world: self.of_world,
            n_classes: (of * self.n_classes as f64).round() as usize,
            validation: part(self.validation),
            test: part(self.test),
        }
    }
}

/// The sum, if all are known.
pub(crate) fn sum(of: &[Images], get: impl Fn(&Images) -> Option<u64>) -> Option<u64> {
    of.iter().map(get).sum()
}

impl<'a> Outlook<'a> {
    fn new(asked: &'a Asked<'a>, patching: &[Data<'_>], supported: &[Data<'_>]) -> Self {
        let images = |all: &[Data<'_>]| all.iter().map(|data| Images::of(data, asked)).collect();
        Self {
            asked,
            patching: images(patching),
            supported: images(supported),
        }
    }

    /// Images that the embedded world will draw.
    pub(crate) fn drawn(&self, name: &str, sizes: Sizes) -> Images {
        let at_most =
            |limit: Option<usize>, n: u64| Some(n.min(limit.unwrap_or(usize::MAX) as u64));
        Images {
            name: name.to_owned(),
            of_world: true,
            n_classes: 0,
            validation: at_most(self.asked.limit_validation, sizes.validation),
            test: at_most(self.asked.common.limit, sizes.test),
        }
    }

    /// Training images of one fine-tuning.
    pub(crate) fn fine_tuning(&self) -> u64 {
        passes(&self.asked.settings.fine_tune)
    }

    /// The supported tasks before anything is patched, once for all that comes.
    pub(crate) fn zero_shot(&self) -> Step {
        let validation = sum(&self.supported, |on| on.validation);
        let test = sum(&self.supported, |on| on.test);
        let passes = validation.zip(test).map(|(a, b)| a + b);
        Step::new(
            "supported tasks, zero-shot".to_owned(),
            Work::Forward,
            passes,
        )
    }

    /// Images of a search for alpha on `on`; the most that a race or the halvings take.
    pub(crate) fn search(&self, on: &[Images]) -> Option<u64> {
        let halvings = match self.asked.settings.search {
            Search::Grid { halvings, .. } => u64::from(halvings),
            Search::Race(_) => 0,
        };
        let n_alphas = self.asked.settings.grid.len() as u64 + 2 * halvings;
        let patching = sum(on, |on| on.validation)?;
        let supported = sum(&self.supported, |on| on.validation)?;
        // Those of alpha = 0 on the supported tasks are there already.
        Some(n_alphas * patching + (n_alphas - 1) * supported)
    }

    /// Images of one model on validation, the supported tasks included.
    pub(crate) fn validation(&self, on: &[Images]) -> Option<u64> {
        Some(sum(on, |on| on.validation)? + sum(&self.supported, |on| on.validation)?)
    }

    /// Images of one model on test, the supported tasks included.
    pub(crate) fn test(&self, on: &[Images]) -> Option<u64> {
        Some(sum(on, |on| on.test)? + sum(&self.supported, |on| on.test)?)
    }

    /// Question 1's path for one task.
    pub(crate) fn patch(&self, task: &Images) -> Vec<Step> {
        self.patch_with(task, &self.asked.settings.fine_tune)
    }

    /// As [`Outlook::patch`], fine-tuned in another way.
    pub(crate) fn patch_with(&self, task: &Images, fine_tune: &FineTuneConfig) -> Vec<Step> {
        let on = std::slice::from_ref(task);
        let step = |what, work, passes| Step::new(format!("{}: {what}", task.name), work, passes);
        // Zero-shot, fine-tuned and patched on the task; patched on the supported ones.
        let test = self.test(on).zip(task.test).map(|(all, own)| all + 2 * own);
        vec![
            step("fine-tuning", Work::Training, Some(passes(fine_tune))),
            step("alpha on validation", Work::Forward, self.search(on)),
            step("test", Work::Forward, test),
        ]
    }

    /// Question 1's path for each of the patching tasks.
    pub(crate) fn patch_all(&self) -> Vec<Step> {
        let each = self.patching.iter().flat_map(|task| self.patch(task));
        std::iter::once(self.zero_shot()).chain(each).collect()
    }
}

/// Images through the model in one fine-tuning.
fn passes(config: &FineTuneConfig) -> u64 {
    config.steps * config.batch as u64
}

/// Prints the steps that `steps` gives, for each of the models.
pub(crate) fn print(
    asked: &Asked<'_>,
    models: &[&str],
    steps: impl Fn(&Outlook<'_>) -> Vec<Step>,
    console: &Console,
) -> Result<()> {
    let tasks = Tasks::find(asked, console)?;
    let patching = Data::of_all(&tasks.patching, &ALL, &tasks, console)?;
    let supported = Data::of_all(&tasks.supported, &HELD_OUT, &tasks, console)?;
    let steps = steps(&Outlook::new(asked, &patching, &supported));
    let mut printed = Printed {
        json: asked.common.json,
        unknown: 0,
        seconds: 0.0,
        bytes: 0,
        unknown_bytes: 0,
        missing: 0,
    };
    patching
        .iter()
        .chain(&supported)
        .for_each(|data| printed.data(data));
    for name in models {
        let size = model_size(name, asked.common.hub.as_deref());
        printed.model(name, &size, &steps)?;
    }
    printed.total();
    Ok(())
}

/// The lines of the answer, and what they add up to.
struct Printed {
    json: bool,
    /// Steps whose passes are not known.
    unknown: usize,
    seconds: f64,
    /// To be fetched, as far as it is known, and how many repositories of unknown size.
    bytes: u64,
    unknown_bytes: usize,
    /// Tasks that `--hub DIR` does not have.
    missing: usize,
}

impl Printed {
    fn line(&self, json: &serde_json::Value, text: &str) {
        match self.json {
            true => answer(json),
            false => answer(text),
        }
    }

    fn add(&mut self, bytes: Option<u64>) {
        match bytes {
            Some(bytes) => self.bytes += bytes,
            None => self.unknown_bytes += 1,
        }
    }

    /// What there is of a task, and what comes from the Hub unless the cache has it.
    fn data(&mut self, data: &Data<'_>) {
        let (task, bytes, rows) = (data.task, data.bytes, &data.rows);
        match data.origin {
            // A directory is never filled from the Hub.
            Origin::Missing => self.missing += 1,
            _ => self.add(bytes),
        }
        let counts: Vec<String> = ALL
            .into_iter()
            .filter_map(|split| Some(format!("{split} {}", grouped(rows.get(split)?))))
            .collect();
        let counts = match counts.is_empty() {
            true => "images: unknown".to_owned(),
            false => counts.join(", "),
        };
        let from = data.origin.name();
        let size = match (data.origin, bytes) {
            (Origin::World | Origin::Local, _) => String::new(),
            (_, None) => ", unknown size".to_owned(),
            (_, Some(bytes)) => format!(", {}", bytes_in_words(bytes)),
        };
        self.line(
            &json!({
                "kind": "data", "task": task.name, "from": from, "bytes": bytes, "rows": rows,
            }),
            &format!("data   {:<16} {from}{size}; {counts}", task.name),
        );
    }

    fn model(&mut self, name: &str, size: &ModelSize, steps: &[Step]) -> Result<()> {
        let speeds = speeds(&size.config)?;
        let bytes = size.bytes;
        if !size.at_hand {
            self.add(bytes);
        }
        let in_words = bytes.map_or_else(|| "unknown size".to_owned(), bytes_in_words);
        self.line(
            &json!({
                "kind": "model", "model": name, "bytes": bytes, "at_hand": size.at_hand,
                "config": size.config_from,
                "forward_images_per_second": speeds.forward,
                "training_images_per_second": speeds.training,
            }),
            &format!(
                "model  {name}: {in_words}{}; {}; measured on {} threads, {} of {} layers: \
                 {:.1} images/s, {:.1} in training",
                if size.at_hand { ", at hand" } else { "" },
                size.config_from,
                machine::cores(),
                speeds.n_measured,
                speeds.n_layers,
                speeds.forward,
                speeds.training,
            ),
        );
        for step in steps {
            self.step(name, step, &speeds);
        }
        Ok(())
    }

    fn step(&mut self, model: &str, step: &Step, speeds: &Speeds) {
        let (work, speed) = match step.work {
            Work::Training => ("training", speeds.training),
            Work::Forward => ("forward", speeds.forward),
        };
        let seconds = step.passes.map(|passes| passes as f64 / speed);
        match seconds {
            Some(seconds) => self.seconds += seconds,
            None => self.unknown += 1,
        }
        let passes = step.passes.map_or_else(|| "unknown".to_owned(), grouped);
        let time = seconds.map_or_else(String::new, in_words);
        self.line(
            &json!({
                "kind": "step", "model": model, "step": step.what, "work": work,
                "passes": step.passes, "seconds": seconds,
            }),
            &format!("step   {:<44} {work:<8} {passes:>13} {time:>9}", step.what),
        );
    }

    fn total(&self) {
        let and = |n: usize, what: &str| match n {
            0 => String::new(),
            n => format!(" and {n} {what} of unknown size"),
        };
        let missing = match self.missing {
            0 => String::new(),
            n => format!("; --hub lacks {n} of the tasks"),
        };
        self.line(
            &json!({
                "kind": "total", "seconds": self.seconds, "unknown_steps": self.unknown,
                "bytes": self.bytes, "unknown_bytes": self.unknown_bytes, "missing": self.missing,
            }),
            &format!(
                "total  {}{} to fetch; about {}{}; what the cache or an earlier run has is not \
                 done again{missing}",
                bytes_in_words(self.bytes),
                and(self.unknown_bytes, "repositories"),
                in_words(self.seconds),
                and(self.unknown, "steps"),
            ),
        );
    }
}

fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn bytes_in_words(bytes: u64) -> String {
    match bytes {
        1_000_000_000.. => format!("{:.2} GB", bytes as f64 / 1e9),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

fn in_words(seconds: f64) -> String {
    match seconds {
        86_400.0.. => format!("{:.1} days", seconds / 86_400.0),
        3_600.0.. => format!("{:.1} h", seconds / 3_600.0),
        60.0.. => format!("{:.0} min", seconds / 60.0),
        _ => format!("{seconds:.0} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_said_for_people() {
        let said = [0, 999, 1_000, 21_600, 1_281_167].map(grouped);
        assert_eq!(said, ["0", "999", "1,000", "21,600", "1,281,167"]);
        let said = [3.0, 90.0, 7_200.0, 172_800.0].map(in_words);
        assert_eq!(said, ["3 s", "2 min", "2.0 h", "2.0 days"]);
        let said = [18_157_506, 5_060_000_000].map(bytes_in_words);
        assert_eq!(said, ["18.2 MB", "5.06 GB"]);
    }
}
