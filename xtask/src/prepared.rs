//! A task made ready for a model: its head, and the pixels of its splits.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use paint_clip::{Clip, ZeroShotHead};
use paint_data::{Dataset, Hub, PixelTable, SkipPolicy, SplitName, Task};
use paint_eval::{Predictions, predict, predict_rows};

use crate::machine;
use crate::model::Model;
use crate::progress::Console;

/// Images encoded at a time.
const BATCH: usize = 128;

/// A task made ready for a model.
pub(crate) struct Prepared {
    pub(crate) name: String,
    /// The commit of the Hub that the images are of.
    pub(crate) revision: Option<String>,
    pub(crate) class_names: Vec<String>,
    pub(crate) head: ZeroShotHead,
    /// Hash of the head's weights.
    head_key: String,
    pub(crate) tables: BTreeMap<SplitName, PixelTable>,
}

/// Where pixels come from and where they are kept.
pub(crate) struct Source<'a> {
    pub(crate) hub: &'a Hub,
    pub(crate) cache: &'a Path,
    pub(crate) seed: u64,
    /// At most so many images of a split; all of them if none.
    pub(crate) limit: Option<usize>,
    /// The same of the validation split.
    pub(crate) limit_validation: Option<usize>,
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
            let limit = match split {
                SplitName::Validation => source.limit_validation,
                SplitName::Train | SplitName::Test => source.limit,
            };
            if let Some(limit) = limit {
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
            tables.insert(
                split,
                pixels(task, split, &dataset, model, source, console)?,
            );
        }
        if class_names.len() < 2 {
            bail!(
                "task {}: has {} class; every answer would be right, so there is nothing to learn \
                 or to keep",
                task.name,
                class_names.len()
            );
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
            class_names,
            head_key: head_key(&head)?,
            head,
            tables,
        })
    }

    /// The part of the task that is about some classes: head and images have no others.
    pub(crate) fn of_classes(&self, classes: &[u32], name: String) -> Result<Self> {
        let head = self.head.of_classes(classes)?;
        let table = |(split, table): (&SplitName, &PixelTable)| {
            let table = table
                .of_classes(classes)
                .with_context(|| format!("task {}, {split}", self.name))?;
            Ok((*split, table))
        };
        Ok(Self {
            name,
            revision: self.revision.clone(),
            class_names: classes
                .iter()
                .map(|&class| self.class_names[class as usize].clone())
                .collect(),
            head_key: head_key(&head)?,
            head,
            tables: self.tables.iter().map(table).collect::<Result<_>>()?,
        })
    }

    /// What the pixels of each split are: data and transform, by "TASK/SPLIT".
    pub(crate) fn keys(&self) -> impl Iterator<Item = (String, String)> {
        self.tables.iter().map(|(split, table)| {
            let key = format!("{} {}", table.content_key(), table.transform_key());
            (format!("{}/{split}", self.name), key)
        })
    }

    /// What decides the answers to a split, beside the weights.
    pub(crate) fn key(&self, split: SplitName) -> Result<String> {
        let table = self.table(split)?;
        let (content, transform) = (table.content_key(), table.transform_key());
        let text = format!("answers 1 {} {content} {transform}", self.head_key);
        Ok(machine::sha256(text.as_bytes()))
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

fn pixels(
    task: &Task,
    split: SplitName,
    dataset: &Dataset,
    model: &Model,
    source: &Source<'_>,
    console: &Console,
) -> Result<PixelTable> {
    let bar = console.bar(
        &format!("{} {split} images", task.name),
        dataset.len() as u64,
    );
    let table = PixelTable::build(
        dataset,
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
    Ok(table)
}

fn head_key(head: &ZeroShotHead) -> Result<String> {
    let weights = head.weights().flatten_all()?.to_vec1::<f32>()?;
    let bytes: Vec<u8> = weights
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    Ok(machine::sha256(&bytes))
}
