//! The path of question 1 for one model: zero-shot, fine-tuning, the choice of alpha on
//! validation, and the chosen one on test.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use candle_core::{Device, Tensor};
use paint_clip::{
    Clip, Parent, Provenance, Tensors, WeightDtype, ZeroShotHead, image_tensor_names, save,
};
use paint_data::{Dataset, Hub, PixelTable, SkipPolicy, SplitName, Task};
use paint_eval::{Predictions, predict, predict_rows};
use paint_mix::{Rule, interpolate_values};
use paint_tune::{FineTuneConfig, FineTuneInput, fine_tune};

use crate::between::Between;
use crate::machine::sha256_of_file;
use crate::model::Model;
use crate::progress::Console;
use crate::run_dir::RunDir;
use crate::search::{Search, Searched, search};

/// Images encoded at a time.
const BATCH: usize = 128;

/// A task made ready for a model: its head and the pixels of its splits.
pub(crate) struct Prepared {
    pub(crate) name: String,
    /// The commit of the Hub that the images are of.
    pub(crate) revision: Option<String>,
    head: ZeroShotHead,
    pub(crate) tables: BTreeMap<SplitName, PixelTable>,
}

/// Where pixels come from and where they are kept.
pub(crate) struct Source<'a> {
    pub(crate) hub: &'a Hub,
    pub(crate) cache: &'a Path,
    pub(crate) seed: u64,
    /// At most so many images of a split; all of them if none.
    pub(crate) limit: Option<usize>,
}

impl Prepared {
    /// Opens the given splits of a task.
    pub(crate) fn open(
        task: &Task,
        splits: &[SplitName],
        model: &Model,
        source: &Source<'_>,
        console: &Console,
    ) -> Result<Self> {
        let mut tables = BTreeMap::new();
        let mut class_names = Vec::new();
        let mut revision = None;
        for &split in splits {
            let mut dataset = Dataset::open(task, split, source.hub)?;
            if let Some(limit) = source.limit {
                dataset = dataset.subset(limit.min(dataset.len()), source.seed);
            }
            if dataset.is_empty() {
                bail!("task {}: the {split} split has no images", task.name);
            }
            if !class_names.is_empty() && class_names != dataset.class_names() {
                bail!(
                    "task {}: the {split} split names its classes differently; give class_names \
                     in the manifest",
                    task.name
                );
            }
            class_names = dataset.class_names().to_vec();
            revision = dataset.revision().map(str::to_owned);
            let bar = console.bar(
                &format!("{} {split} images", task.name),
                dataset.len() as u64,
            );
            let table = PixelTable::build(
                &dataset,
                &model.transform(),
                source.cache,
                SkipPolicy::default(),
                &|done| bar.set_position(done),
            )?;
            bar.finish_and_clear();
            if !table.skipped().is_empty() {
                console.say(format!(
                    "{} {split}: {} of {} images do not decode and are left out",
                    task.name,
                    table.skipped().len(),
                    dataset.len()
                ));
            }
            tables.insert(split, table);
        }
        let head = model.head(task, &class_names)?;
        if head.n_truncated() > 0 {
            console.say(format!(
                "{}: {} prompts are longer than the model reads and are cut",
                task.name,
                head.n_truncated()
            ));
        }
        Ok(Self {
            name: task.name.clone(),
            revision,
            head,
            tables,
        })
    }

    /// What the pixels of each split are: data and transform, by "TASK/SPLIT".
    pub(crate) fn keys(&self) -> impl Iterator<Item = (String, String)> {
        self.tables.iter().map(|(split, table)| {
            let key = format!("{} {}", table.content_key(), table.transform_key());
            (format!("{}/{split}", self.name), key)
        })
    }

    /// The images of a split that [`Prepared::open`] was asked for.
    pub(crate) fn table(&self, split: SplitName) -> Result<&PixelTable> {
        self.tables
            .get(&split)
            .with_context(|| format!("task {} without {split}", self.name))
    }

    /// Answers to all images of a split.
    pub(crate) fn predict(
        &self,
        clip: &Clip,
        model: &Model,
        split: SplitName,
    ) -> Result<Predictions> {
        let table = self.table(split)?;
        predict(clip, &model.preprocessor, &self.head, table, BATCH, &|_| {})
            .with_context(|| format!("task {}", self.name))
    }

    /// Answers to some images of a split.
    pub(crate) fn predict_some(
        &self,
        clip: &Clip,
        model: &Model,
        split: SplitName,
        rows: &[usize],
    ) -> Result<Predictions> {
        let table = self.table(split)?;
        // Few images still keep every thread busy.
        let batch = rows
            .len()
            .div_ceil(rayon::current_num_threads())
            .clamp(1, BATCH);
        let preprocessor = &model.preprocessor;
        predict_rows(clip, preprocessor, &self.head, table, rows, batch, &|_| {})
            .with_context(|| format!("task {}", self.name))
    }
}

/// What the path of one patching task found.
pub(crate) struct Patched {
    pub(crate) searched: Searched,
    /// On test, in the same order: zero-shot and chosen.
    pub(crate) zero_shot: Vec<Predictions>,
    pub(crate) chosen: Vec<Predictions>,
    /// The patching task on test at alpha = 1.
    pub(crate) fine_tuned: Predictions,
}

/// Settings of [`patch`].
pub(crate) struct Settings<'a> {
    pub(crate) fine_tune: &'a FineTuneConfig,
    pub(crate) grid: &'a [f64],
    pub(crate) rule: Rule,
    pub(crate) search: Search,
    pub(crate) model_sha256: &'a str,
}

/// Patches `model` on `task`, keeping an eye on `supported`.
pub(crate) fn patch(
    model: &Model,
    task: &Prepared,
    supported: &[Prepared],
    settings: &Settings<'_>,
    run: &RunDir,
    console: &Console,
) -> Result<Patched> {
    let fine_tuned = fine_tuned_weights(model, task, settings, run, console)?;
    let between = Between {
        model,
        fine_tuned: &fine_tuned,
        tasks: std::iter::once(task).chain(supported).collect(),
        run,
    };
    let searched = search(&between, settings, console)?;
    let (choice, evaluated) = (&searched.choice, &between.tasks);

    let bar = console.bar(
        &format!("{}: test", task.name),
        2 * evaluated.len() as u64 + 1,
    );
    let test = |alpha: f64, on: &Prepared| {
        let predictions = between.predictions(alpha, on, SplitName::Test);
        bar.inc(1);
        predictions
    };
    let zero_shot = evaluated
        .iter()
        .map(|on| test(0.0, on))
        .collect::<Result<_>>()?;
    let chosen = evaluated
        .iter()
        .map(|on| test(choice.alpha, on))
        .collect::<Result<_>>()?;
    let at_one = test(1.0, task)?;
    bar.finish_and_clear();

    let checkpoint = run
        .path
        .join("checkpoints")
        .join(&task.name)
        .join("patched");
    if !checkpoint.join("model.safetensors").exists() {
        let tensors = mixed_tensors(model, &fine_tuned, choice.alpha)?;
        let mut provenance = provenance(model, task, settings);
        provenance.alpha = Some(choice.alpha);
        let fine_tuned = run
            .path
            .join("checkpoints")
            .join(&task.name)
            .join("fine_tuned");
        let sha256 = sha256_of_file(&fine_tuned.join("model.safetensors"))?;
        provenance.parents.push(Parent {
            name: "fine_tuned".to_owned(),
            sha256,
        });
        save(
            &checkpoint,
            &model.config,
            &tensors,
            WeightDtype::F32,
            Some(&model.dir),
            &provenance,
        )?;
    }
    Ok(Patched {
        searched,
        zero_shot,
        chosen,
        fine_tuned: at_one,
    })
}

/// What the predictions of `patching_task`'s weights at `alpha` are called in a run.
pub(crate) fn predictions_name(
    patching_task: &str,
    alpha: f64,
    on: &Prepared,
    split: SplitName,
) -> String {
    // The zero-shot model is the same for every patching task.
    let owner = if alpha == 0.0 {
        "zero-shot"
    } else {
        patching_task
    };
    format!("{owner}/{alpha:.3}/{}-{split}", on.name)
}

/// Says so, before anything is trained, if the zero-shot model does not know `task` at all.
pub(crate) fn warn_of_chance(
    model: &Model,
    task: &Prepared,
    run: &RunDir,
    console: &Console,
) -> Result<()> {
    let name = predictions_name(&task.name, 0.0, task, SplitName::Validation);
    let zero_shot = run.predictions(&name, || {
        let clip = Clip::from_tensors(&model.config, &model.tensors)?;
        task.predict(&clip, model, SplitName::Validation)
    })?;
    if let Some(warning) = no_better_than_chance(&task.name, &zero_shot) {
        console.say(warning);
    }
    Ok(())
}

/// What to say when a zero-shot model does not know a task at all, which names in the wrong order
/// also look like.
fn no_better_than_chance(name: &str, zero_shot: &Predictions) -> Option<String> {
    let (accuracy, n_classes) = (zero_shot.accuracy(), zero_shot.n_classes());
    let chance = 1.0 / n_classes as f64;
    (n_classes > 1 && accuracy.low <= chance).then(|| {
        format!(
            "{name}: zero-shot {:.1} % of {} validation images is no better than chance ({:.1} % \
             for {n_classes} classes); are the class names in the order of the labels?",
            100.0 * accuracy.value,
            accuracy.n,
            100.0 * chance,
        )
    })
}

/// The fine-tuned weights: those of a finished run, or trained now.
fn fine_tuned_weights(
    model: &Model,
    task: &Prepared,
    settings: &Settings<'_>,
    run: &RunDir,
    console: &Console,
) -> Result<Tensors> {
    let directory = run.path.join("checkpoints").join(&task.name);
    let input = FineTuneInput {
        config: &model.config,
        zero_shot: &model.tensors,
        head: &task.head,
        images: task.table(SplitName::Train)?,
        preprocessor: &model.preprocessor,
    };
    let bar = console.bar(
        &format!("{}: fine-tuning", task.name),
        settings.fine_tune.steps,
    );
    let state = directory.join("state.safetensors");
    let tensors = fine_tune(input, settings.fine_tune, &state, &mut |p| {
        bar.set_position(p.step);
        tracing::debug!(
            step = p.step,
            loss = p.loss,
            learning_rate = p.learning_rate
        );
    })
    .with_context(|| format!("fine-tuning on {}", task.name))?;
    bar.finish_and_clear();
    let checkpoint = directory.join("fine_tuned");
    if !checkpoint.join("model.safetensors").exists() {
        let mut provenance = provenance(model, task, settings);
        provenance.alpha = Some(1.0);
        save(
            &checkpoint,
            &model.config,
            &tensors,
            WeightDtype::F32,
            Some(&model.dir),
            &provenance,
        )?;
    }
    Ok(tensors)
}

fn provenance(model: &Model, task: &Prepared, settings: &Settings<'_>) -> Provenance {
    Provenance {
        parents: vec![Parent {
            name: model.name.clone(),
            sha256: settings.model_sha256.to_owned(),
        }],
        task: Some(task.name.clone()),
        seed: Some(settings.fine_tune.seed),
        ..Default::default()
    }
}

/// `(1 - alpha) · zero_shot + alpha · fine_tuned`; the text side is the zero-shot model's.
fn mixed_tensors(model: &Model, fine_tuned: &Tensors, alpha: f64) -> Result<Tensors> {
    let mut tensors = model.tensors.clone();
    for name in image_tensor_names(&model.config) {
        let (zero_shot, tuned) = (&model.tensors[&name], &fine_tuned[&name]);
        let values = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f32>();
        let (from, to) = (values(zero_shot)?, values(tuned)?);
        let mut theta = vec![0.0; from.len()];
        interpolate_values(&from, &to, alpha, &mut theta)?;
        let theta = Tensor::from_vec(theta, zero_shot.shape(), &Device::Cpu)?;
        tensors.insert(name, theta);
    }
    Ok(tensors)
}

/// The model at `alpha`.
pub(crate) fn mixed(model: &Model, fine_tuned: &Tensors, alpha: f64) -> Result<Clip> {
    Ok(Clip::from_tensors(
        &model.config,
        &mixed_tensors(model, fine_tuned, alpha)?,
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guessing_is_told_from_knowing() {
        let of = |n_right: u32| {
            let labels: Vec<u32> = (0..40).map(|i| i % 4).collect();
            let guess =
                |(i, label): (u32, &u32)| if i < n_right { *label } else { (label + 1) % 4 };
            let ranked = (0..).zip(&labels).map(guess).flat_map(|first| {
                let others = (0..4).filter(move |c| *c != first);
                std::iter::once(first).chain(others)
            });
            let predictions = Predictions::new(labels.clone(), ranked.collect(), 4).unwrap();
            no_better_than_chance("signs", &predictions)
        };
        let said = of(10).unwrap();
        assert!(
            said.contains("signs: zero-shot 25.0 % of 40") && said.contains("4 classes"),
            "{said}"
        );
        assert_eq!(of(30), None);
    }
}
