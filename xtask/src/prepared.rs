//! A task made ready for a model: its head, and the pixels of its splits.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use candle_core::Tensor;
use paint_clip::{Clip, ZeroShotHead};
use paint_data::{Asked, Dataset, Hub, MultipleChoice, PixelTable, SkipPolicy, SplitName, Task};
use paint_eval::{Predictions, predict, predict_choices, predict_rows};

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
    head: ZeroShotHead,
    pub(crate) tables: BTreeMap<SplitName, PixelTable>,
    /// Where images have candidates of their own.
    questions: BTreeMap<SplitName, Questions>,
}

/// A split of a multiple-choice task, and the head of all its prompts.
struct Questions {
    asked: MultipleChoice,
    head: ZeroShotHead,
}

/// Where pixels come from and where they are kept.
pub(crate) struct Source<'a> {
    pub(crate) hub: &'a Hub,
    pub(crate) cache: PathBuf,
    pub(crate) seed: u64,
    /// At most so many images of a split; all of them if none.
    pub(crate) limit: Option<usize>,
    /// The same of the validation split.
    pub(crate) limit_validation: Option<usize>,
}

impl Source<'_> {
    fn limit_of(&self, split: SplitName) -> Option<usize> {
        match split {
            SplitName::Validation => self.limit_validation,
            SplitName::Train | SplitName::Test => self.limit,
        }
    }

    /// Of the images of a split no more than the limit; of these, all.
    pub(crate) fn limited(&self, images: Dataset, split: SplitName) -> Dataset {
        match self.limit_of(split) {
            Some(limit) => images.subset(limit, self.seed),
            None => images,
        }
    }
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
        let open = |&split| Ok((split, Dataset::open(task, split, source.hub)?));
        let datasets = splits.iter().map(open).collect::<Result<Vec<_>>>()?;
        Self::of_datasets(task, datasets, model, source, console)
    }

    /// As [`Prepared::open`], of splits that are open.
    pub(crate) fn of_datasets(
        task: &Task,
        datasets: Vec<(SplitName, Dataset)>,
        model: &Model,
        source: &Source<'_>,
        console: &Console,
    ) -> Result<Self> {
        let mut tables = BTreeMap::new();
        let mut class_names = Vec::new();
        let mut revision = None;
        for (split, dataset) in datasets {
            let dataset = source.limited(dataset, split);
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
        Ok(Self {
            name: task.name.clone(),
            revision,
            head: head(task, &class_names, model, console)?,
            class_names,
            tables,
            questions: BTreeMap::new(),
        })
    }

    /// Opens splits of a multiple-choice task.
    pub(crate) fn open_questions(
        task: &Task,
        splits: &[SplitName],
        model: &Model,
        source: &Source<'_>,
        console: &Console,
    ) -> Result<Self> {
        let (mut tables, mut questions) = (BTreeMap::new(), BTreeMap::new());
        let mut largest: Option<ZeroShotHead> = None;
        for &split in splits {
            let mut asked = MultipleChoice::open(task, split, source.hub)?;
            if let Some(limit) = source.limit_of(split) {
                asked = asked.subset(limit, source.seed);
            }
            let table = pixels(task, split, asked.images(), model, source, console)?;
            let head = head(task, asked.prompts(), model, console)?;
            largest = Some(head.clone());
            tables.insert(split, table);
            questions.insert(split, Questions { asked, head });
        }
        let head = largest.with_context(|| format!("task {}: no split is asked for", task.name))?;
        Ok(Self {
            name: task.name.clone(),
            revision: None,
            class_names: Vec::new(),
            head,
            tables,
            questions,
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
            head,
            tables: self.tables.iter().map(table).collect::<Result<_>>()?,
            questions: BTreeMap::new(),
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
        let head = tensor_key(self.head(split).weights())?;
        let asked = match self.asked(split)? {
            Some(asked) => format!("{:?} {:?}", asked.candidates, asked.answers),
            None => String::new(),
        };
        let text = format!("answers 1 {head} {content} {transform} {asked}");
        Ok(machine::sha256(text.as_bytes()))
    }

    /// The images of a split that [`Prepared::open`] was asked for.
    pub(crate) fn table(&self, split: SplitName) -> Result<&PixelTable> {
        self.tables
            .get(&split)
            .with_context(|| format!("task {} without {split}", self.name))
    }

    /// The head of a split's classes, or of its questions' prompts.
    pub(crate) fn head(&self, split: SplitName) -> &ZeroShotHead {
        self.questions.get(&split).map_or(&self.head, |q| &q.head)
    }

    /// What is asked about each image, where every image has a question of its own.
    pub(crate) fn asked(&self, split: SplitName) -> Result<Option<Asked<'_>>> {
        let questions = self.questions.get(&split);
        let asked = questions.map(|q| {
            q.asked
                .asked(self.table(split)?)
                .map_err(anyhow::Error::from)
        });
        asked.transpose()
    }

    /// Answers to all images of a split.
    pub(crate) fn predict(
        &self,
        clip: &Clip,
        model: &Model,
        split: SplitName,
    ) -> Result<Predictions> {
        let (table, head) = (self.table(split)?, self.head(split));
        let preprocessor = &model.preprocessor;
        match self.asked(split)? {
            Some(asked) => predict_choices(clip, preprocessor, head, table, &asked, BATCH),
            None => predict(clip, preprocessor, head, table, BATCH, &|_| {}),
        }
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
        let (table, head) = (self.table(split)?, self.head(split));
        let preprocessor = &model.preprocessor;
        predict_rows(clip, preprocessor, head, table, rows, BATCH, &|_| {})
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
        &source.cache,
        SkipPolicy::default(),
        &|done| bar.set_position(done),
    )?;
    bar.finish_and_clear();
    if !table.skipped().is_empty() {
        console.say(format!(
            "{} {split}: {} of {} images are missing or do not decode, and are left out",
            task.name,
            table.skipped().len(),
            dataset.len()
        ));
    }
    Ok(table)
}

fn head(
    task: &Task,
    class_names: &[String],
    model: &Model,
    console: &Console,
) -> Result<ZeroShotHead> {
    let head = model.head(task, class_names)?;
    if head.n_truncated() > 0 {
        console.say(format!(
            "{}: {} prompts are longer than the model reads and are cut",
            task.name,
            head.n_truncated()
        ));
    }
    Ok(head)
}

fn tensor_key(tensor: &Tensor) -> Result<String> {
    let values = tensor.flatten_all()?.to_vec1::<f32>()?;
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    Ok(machine::sha256(&bytes))
}
