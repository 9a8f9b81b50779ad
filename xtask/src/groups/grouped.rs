//! Datasets with groups, as embeddings.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use paint_data::{Dataset, Hub, SplitName, Task};
use paint_embed::{Embeddings, View};
use paint_groups::{Attribute, GroupedSamples, Groups, Samples};
use paint_world::{SPURIOUS, Spurious, spurious};

use crate::embeddings::Embedder;
use crate::machine;
use crate::progress::Console;
use crate::tasks::{find_task, hub_of, is_drawn, world_root};

/// Prompt templates of the embedded world's classes.
const TEMPLATES: [&str; 3] = ["{}", "the {}", "a picture of the {}"];

/// A dataset whose images have a class and an attribute.
pub(crate) struct Grouped {
    pub(crate) name: String,
    class_names: Vec<String>,
    templates: Vec<String>,
    attribute: String,
    attributes: Vec<String>,
    source: Source,
}

enum Source {
    /// Drawn; a written label is a class and a place together.
    Drawn(Spurious),
    /// The task, and the same with the attribute's values for classes.
    Manifest(Box<[Task; 2]>, Hub),
}

/// Those that are asked for; all of the embedded world's if none is named.
pub(crate) fn find_datasets(
    names: &[String],
    hub: Option<&PathBuf>,
    console: &Console,
) -> Result<Vec<Grouped>> {
    if names.is_empty() {
        return Ok(SPURIOUS.into_iter().map(Grouped::drawn).collect());
    }
    let find = |name: &String| match spurious(name) {
        Ok(drawn) => Ok(Grouped::drawn(drawn)),
        Err(unknown) if !name.ends_with(".toml") && find_task(name).is_err() => {
            Err(unknown).context("--datasets")
        }
        Err(_) => Grouped::of_task(find_task(name)?, hub_of(hub.map(PathBuf::as_path), console)),
    };
    names.iter().map(find).collect()
}

impl Grouped {
    fn drawn(dataset: Spurious) -> Self {
        let owned = |all: &[&str]| all.iter().map(|&s| s.to_owned()).collect();
        Self {
            name: dataset.name.to_owned(),
            class_names: owned(dataset.class_names),
            templates: owned(&TEMPLATES),
            attribute: "place".to_owned(),
            attributes: owned(dataset.places),
            source: Source::Drawn(dataset),
        }
    }

    fn of_task(task: Task, hub: Hub) -> Result<Self> {
        let Some((attribute, of_attribute)) = task.attribute.clone().zip(task.of_attribute())
        else {
            bail!(
                "task {} has no [attribute] in its manifest; give the column and the values of \
                 what the classes may go with",
                task.name
            );
        };
        let class_names = match task.class_names.as_slice() {
            [] => {
                let train = Dataset::open(&task, SplitName::Train, &hub);
                let train = train.with_context(|| format!("task {}", task.name))?;
                train.class_names().to_vec()
            }
            names => names.to_vec(),
        };
        Ok(Self {
            name: task.name.clone(),
            class_names,
            templates: task.templates.clone(),
            attribute: attribute.column,
            attributes: attribute.values,
            source: Source::Manifest(Box::new([task, of_attribute]), hub),
        })
    }

    /// Draws the images if they are the embedded world's and not there yet.
    fn prepare(&self, console: &Console) -> Result<()> {
        let Source::Drawn(dataset) = &self.source else {
            return Ok(());
        };
        if is_drawn(dataset.name) {
            return Ok(());
        }
        let sizes = Spurious::SIZES;
        let n = sizes.train + sizes.validation + sizes.test;
        let bar = console.bar(&format!("drawing {}", dataset.name), n);
        dataset.write(&world_root(), sizes, &|done| bar.inc(done))?;
        bar.finish_and_clear();
        Ok(())
    }

    /// One split's images, with labels and groups.
    pub(crate) fn split(
        &self,
        name: SplitName,
        embedder: &Embedder<'_>,
        console: &Console,
    ) -> Result<Split> {
        self.prepare(console)
            .and_then(|()| self.load(name, embedder, console))
            .with_context(|| format!("{}, {name} images", self.name))
    }

    fn load(&self, name: SplitName, embedder: &Embedder<'_>, console: &Console) -> Result<Split> {
        match &self.source {
            Source::Drawn(dataset) => {
                let hub = Hub::Directory(world_root());
                let opened = Dataset::open(&dataset.task(), name, &hub)?;
                let images = embedder.images(&opened, View::Identity, console)?;
                let n = self.attributes.len() as u32;
                let of = |part: fn(u32, u32) -> u32| -> Vec<u32> {
                    images
                        .labels()
                        .iter()
                        .map(|&group| part(group, n))
                        .collect()
                };
                let labels = of(|group, n| group / n);
                let key = opened.content_key().to_owned();
                self.joined(name, key, &images, labels, &of(|group, n| group % n))
            }
            Source::Manifest(tasks, hub) => {
                let [classes, attributes] = tasks.each_ref();
                let classes = Dataset::open(classes, name, hub)?;
                let attributes = Dataset::open(attributes, name, hub)?;
                if !classes.has_rows_of(&attributes) {
                    bail!(
                        "they are cut from others by class, and by {} they would be others; give \
                         the data train, validation and test splits of its own",
                        self.attribute
                    );
                }
                let images = embedder.images(&classes, View::Identity, console)?;
                let of_row = |&row: &u32| attributes.labels()[row as usize];
                let values: Vec<u32> = images.rows().iter().map(of_row).collect();
                let key = format!("{} {}", classes.content_key(), attributes.content_key());
                self.joined(name, key, &images, images.labels().to_vec(), &values)
            }
        }
    }

    fn joined(
        &self,
        name: SplitName,
        key: String,
        images: &Embeddings,
        labels: Vec<u32>,
        attributes: &[u32],
    ) -> Result<Split> {
        let attribute = Attribute {
            name: &self.attribute,
            values: attributes,
            n_values: self.attributes.len(),
        };
        let groups = Groups::new(&labels, self.class_names.len(), attribute)?;
        self.check_counts(name, &groups)?;
        let mut values = images.to_vec();
        normalize(&mut values, images.width());
        Ok(Split {
            key,
            groups,
            values,
            labels,
            width: images.width(),
            n_classes: self.class_names.len(),
        })
    }

    /// Every group needs images; of validation, which DFR halves, two.
    fn check_counts(&self, name: SplitName, groups: &Groups) -> Result<()> {
        let needed = match name {
            SplitName::Validation => 2,
            SplitName::Train | SplitName::Test => 1,
        };
        let counts = groups.counts();
        let Some(group) = counts.iter().position(|&n| n < needed) else {
            return Ok(());
        };
        let (class, value) = groups.parts(group);
        bail!(
            "{} of {} with {} {}; every group needs {needed} or more",
            match counts[group] {
                0 => "no image",
                _ => "one image",
            },
            self.class_names[class as usize],
            self.attribute,
            self.attributes[value as usize]
        );
    }

    /// Hash of all that decides what the methods see of the dataset but for the model.
    fn key(&self, splits: [&Split; 3]) -> Result<String> {
        let contents = splits.map(|split| &split.key);
        let all = serde_json::to_vec(&(&self.class_names, &self.templates, contents))?;
        Ok(machine::sha256(&all))
    }

    /// The prompt ensemble of every class: [n_classes, d].
    pub(crate) fn texts(&self, embedder: &Embedder<'_>) -> Result<Vec<f32>> {
        let n_templates = self.templates.len();
        let of_class = |class: &String| -> Vec<String> {
            let templates = self.templates.iter();
            templates
                .map(|template| template.replace("{}", class))
                .collect()
        };
        let prompts: Vec<String> = self.class_names.iter().flat_map(of_class).collect();
        let width = embedder.width();
        let mut features = embedder.texts(&prompts)?;
        normalize(&mut features, width);
        let mut texts = vec![0.0; self.class_names.len() * width];
        for (prompt, row) in features.chunks_exact(width).enumerate() {
            let text = &mut texts[prompt / n_templates * width..][..width];
            text.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
        }
        Ok(texts)
    }
}

/// Embeddings of a split with labels and groups.
pub(crate) struct Split {
    /// Of its images, labels and attributes, by content.
    key: String,
    values: Vec<f32>,
    labels: Vec<u32>,
    pub(crate) groups: Groups,
    width: usize,
    n_classes: usize,
}

impl Split {
    pub(crate) fn samples(&self) -> Result<Samples<'_>> {
        Ok(Samples::new(
            &self.values,
            self.width,
            &self.labels,
            self.n_classes,
        )?)
    }

    pub(crate) fn grouped(&self) -> Result<GroupedSamples<'_>> {
        Ok(GroupedSamples::new(self.samples()?, &self.groups)?)
    }

    pub(crate) fn labels(&self) -> &[u32] {
        &self.labels
    }
}

/// All splits of a dataset, and its class texts.
pub(crate) struct Data {
    /// Of the images, labels, attributes and prompts, by content.
    pub(crate) key: String,
    pub(crate) width: usize,
    pub(crate) texts: Vec<f32>,
    pub(crate) train: Split,
    pub(crate) validation: Split,
    pub(crate) test: Split,
}

impl Data {
    pub(crate) fn open(
        dataset: &Grouped,
        embedder: &Embedder<'_>,
        console: &Console,
    ) -> Result<Self> {
        let split = |name| dataset.split(name, embedder, console);
        let (train, validation, test) = (
            split(SplitName::Train)?,
            split(SplitName::Validation)?,
            split(SplitName::Test)?,
        );
        Ok(Self {
            key: dataset.key([&train, &validation, &test])?,
            width: embedder.width(),
            texts: dataset.texts(embedder)?,
            train,
            validation,
            test,
        })
    }
}

fn normalize(values: &mut [f32], width: usize) {
    for row in values.chunks_exact_mut(width) {
        let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        row.iter_mut().for_each(|x| *x /= length);
    }
}
