//! `cargo xtask pretrain`: a small CLIP from scratch, on images with captions.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use candle_core::Device;
use paint_clip::{
    Clip, ClipConfig, Preprocessor, Provenance, Tensors, Tokenizer, WeightDtype, ZeroShotHead,
    load_tensors, save,
};
use paint_data::{CaptionDataset, Dataset, Hub, PixelTable, Rng, SkipPolicy, SplitName, Task};
use paint_eval::SeenBy;
use paint_tune::{Corpus, PretrainConfig, PretrainInput, pretrain};

use crate::preset::{CorpusSource, Preset};
use crate::progress::Console;
use crate::tasks::{find_task, hub_of};
use crate::workspace;

/// Train a small CLIP from scratch on images with captions
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A preset of data-manifests/presets, or a .toml file of your own
    #[arg(long)]
    preset: String,
    /// Directory of the run: data, state and the checkpoint [default: runs/pretrain-PRESET]
    #[arg(long)]
    out: Option<PathBuf>,
    /// Look for datasets in this directory in Hub layout
    #[arg(long)]
    hub: Option<PathBuf>,
    /// Store the weights as f32; f16 is half the size and rounds them
    #[arg(long)]
    f32: bool,
}

pub(crate) fn run(args: &Args, console: &Console) -> Result<()> {
    let preset = Preset::find(&args.preset)?;
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| workspace::runs().join(format!("pretrain-{}", preset.name)));
    std::fs::create_dir_all(&out).with_context(|| format!("cannot create {}", out.display()))?;
    let config = preset.clip_config();
    let texts = out.join("tokenizer");
    paint_world::write_tokenizer(&texts, config.vision.image_size)?;
    // The tokenizer reads its context length there.
    let config_json = format!("{:#}\n", config.to_json());
    std::fs::write(texts.join("config.json"), config_json).context("cannot write config.json")?;

    let stages = Stages {
        hub: hub_of(args.hub.as_deref(), console),
        model: Architecture {
            config,
            tokenizer: Tokenizer::load(&texts)?,
            preprocessor: Preprocessor::load(&texts)?,
        },
        dtype: match args.f32 {
            true => WeightDtype::F32,
            false => WeightDtype::F16,
        },
        preset,
        out,
        texts,
        console,
    };
    // After the last stage that is done: those before it are in its weights.
    let mut first = stages.last();
    while first > 0 && !stages.is_done(first - 1)? {
        first -= 1;
    }
    (first..=stages.last()).try_for_each(|stage| stages.train(stage))
}

/// The stages of a preset in the directory of a run.
struct Stages<'a> {
    preset: Preset,
    out: PathBuf,
    /// The tokenizer's files.
    texts: PathBuf,
    hub: Hub,
    model: Architecture,
    dtype: WeightDtype,
    console: &'a Console,
}

impl Stages<'_> {
    fn last(&self) -> usize {
        self.preset.then.len()
    }

    fn checkpoint(&self, stage: usize) -> PathBuf {
        match stage == self.last() {
            true => self.out.join(&self.preset.name),
            false => self.out.join(format!("stage-{}", stage + 1)),
        }
    }

    fn state(&self, stage: usize) -> PathBuf {
        match stage == self.last() {
            true => self.out.join("state.safetensors"),
            false => self.out.join(format!("state-{}.safetensors", stage + 1)),
        }
    }

    /// Whether the stage's checkpoint is there and was made by the preset up to it.
    fn is_done(&self, stage: usize) -> Result<bool> {
        let checkpoint = self.checkpoint(stage);
        if !checkpoint.join("model.safetensors").exists() {
            return Ok(false);
        }
        let so_far = self.preset.first(stage + 1);
        let notes = Provenance::load(&checkpoint)?.map(|provenance| provenance.notes);
        let made_by = notes.and_then(|mut notes| notes.remove("preset"));
        Ok(made_by.is_some_and(|json| {
            serde_json::from_value(json).is_ok_and(|made_by: Preset| made_by == so_far)
        }))
    }

    /// Trains a stage from the checkpoint of the one before, which must be there.
    fn train(&self, stage: usize) -> Result<()> {
        let Self { model, console, .. } = self;
        let (sources, config) = self.preset.stages().nth(stage).context("no such stage")?;
        // What is on disk: a later run begins this stage with it too.
        let start = match stage {
            0 => None,
            _ => Some(load_tensors(&self.checkpoint(stage - 1), &Device::Cpu)?),
        };
        let open = |source| open_corpus(source, &self.out, &self.hub, &model.preprocessor, console);
        let tables = sources.iter().map(open).collect::<Result<Vec<_>>>()?;
        let state = self.state(stage);
        let trained = model.train(sources, &tables, config, start.as_ref(), &state, console)?;
        let so_far = self.preset.first(stage + 1);
        let cosines = closest_classes(model, &trained, &so_far, console)?;
        let images = tables.iter().map(|(captions, _)| captions.images());
        let provenance = Provenance {
            seed: Some(config.seed),
            notes: notes(&so_far, &cosines, images)?,
            ..Default::default()
        };
        let checkpoint = self.checkpoint(stage);
        let texts = Some(self.texts.as_path());
        save(
            &checkpoint,
            &model.config,
            &trained,
            self.dtype,
            texts,
            &provenance,
        )?;
        console.say(format!("wrote {}", checkpoint.display()));
        Ok(())
    }
}

/// What is trained.
struct Architecture {
    config: ClipConfig,
    tokenizer: Tokenizer,
    preprocessor: Preprocessor,
}

impl Architecture {
    /// Trains, with a smoothed loss beside the bar.
    fn train(
        &self,
        sources: &[CorpusSource],
        tables: &[(CaptionDataset, PixelTable)],
        config: &PretrainConfig,
        start: Option<&Tensors>,
        state: &Path,
        console: &Console,
    ) -> Result<Tensors> {
        let corpora = tables
            .iter()
            .zip(sources)
            .map(|((captions, images), source)| {
                Ok(Corpus {
                    images,
                    captions: captions.captions_of(images)?,
                    augment: source.augment(),
                })
            });
        let input = PretrainInput {
            config: &self.config,
            tokenizer: &self.tokenizer,
            preprocessor: &self.preprocessor,
            corpora: &corpora.collect::<Result<Vec<_>>>()?,
            start,
        };
        let bar = console.bar("pretraining", config.steps);
        let mut smooth = None;
        let tensors = pretrain(&input, config, state, &mut |p| {
            bar.set_position(p.step);
            let smoothed = smooth.map_or(p.loss, |s: f64| 0.98 * s + 0.02 * p.loss);
            smooth = Some(smoothed);
            bar.set_message(format!("pretraining, loss {smoothed:.3}"));
            if p.step % 100 == 0 {
                tracing::info!(
                    step = p.step,
                    loss = smoothed,
                    learning_rate = p.learning_rate
                );
            }
        })?;
        bar.finish_and_clear();
        Ok(tensors)
    }
}

/// By task, the cosine of the two classes that are most alike: a frozen head whose vectors coincide
/// cannot be learnt.
fn closest_classes(
    model: &Architecture,
    trained: &Tensors,
    preset: &Preset,
    console: &Console,
) -> Result<BTreeMap<String, f32>> {
    let clip = Clip::from_tensors(&model.config, trained)?;
    let mut cosines = BTreeMap::new();
    for task in named_tasks(preset)? {
        let names = &task.class_names;
        let head = ZeroShotHead::build(&clip, &model.tokenizer, names, &task.templates)?;
        if let Some((cosine, a, b)) = head.closest_classes()? {
            console.say(format!(
                "{:<16} closest class vectors {cosine:.3}: {} | {}",
                task.name, names[a], names[b]
            ));
            cosines.insert(task.name, cosine);
        }
    }
    Ok(cosines)
}

/// What the checkpoint was made with, and from which commits of the Hub.
fn notes<'a>(
    preset: &Preset,
    cosines: &BTreeMap<String, f32>,
    images: impl Iterator<Item = &'a Dataset>,
) -> Result<BTreeMap<String, serde_json::Value>> {
    // By way of text, where a share of 0.6 is 0.6 and not the nearest f32's digits.
    let preset = serde_json::from_str(&serde_json::to_string(preset)?)?;
    let mut notes = BTreeMap::from([
        ("preset".to_owned(), preset),
        (
            "largest_cosine_of_class_vectors".to_owned(),
            serde_json::to_value(cosines)?,
        ),
    ]);
    let of_the_hub = images.filter_map(|images| Some((images.task(), images.revision()?)));
    let revisions: BTreeMap<&str, &str> = of_the_hub.collect();
    if !revisions.is_empty() {
        notes.insert("revisions".to_owned(), serde_json::to_value(&revisions)?);
    }
    Ok(notes)
}

/// The tasks whose names the corpora exercise.
fn named_tasks(preset: &Preset) -> Result<Vec<Task>> {
    let mut tasks = Vec::new();
    for source in preset.stages().flat_map(|(corpus, _)| corpus) {
        match source {
            CorpusSource::World { .. } => {
                tasks.extend(paint_world::tasks().into_iter().map(|world| world.task));
            }
            CorpusSource::Task(corpus) => tasks.push(find_task(&corpus.name)?),
        }
    }
    tasks.retain(|task| task.class_names.len() > 1);
    // Stages may have corpora of the same tasks.
    tasks.sort_by(|one, other| one.name.cmp(&other.name));
    tasks.dedup_by(|one, other| one.name == other.name);
    Ok(tasks)
}

fn open_corpus(
    source: &CorpusSource,
    out: &Path,
    hub: &Hub,
    preprocessor: &Preprocessor,
    console: &Console,
) -> Result<(CaptionDataset, PixelTable)> {
    let captions = match source {
        CorpusSource::World { n, seed, recipe } => {
            // A directory for each recipe, so that another preset never reads this one's.
            let key = serde_json::to_string(&(paint_world::VERSION, n, seed, recipe))?;
            let root = out.join("data").join(short_hash(&key));
            let directory = root.join("datasets/paint-world/captions");
            if !directory.join("README.md").exists() {
                let bar = console.bar("drawing the caption corpus", *n);
                paint_world::write_captions(&root, *n, *seed, recipe, &|done| bar.inc(done))?;
                bar.finish_and_clear();
            }
            CaptionDataset::open(
                &paint_world::captions_task(),
                SplitName::Train,
                &Hub::Directory(root),
                *seed,
            )?
        }
        CorpusSource::Task(corpus) => {
            let (task, vague) = (corpus.task()?, &corpus.vague);
            let images = Dataset::open(&task, SplitName::Train, hub)?;
            let mut rng = Rng::derive(0, &[1]);
            let names = images.class_names().to_vec();
            CaptionDataset::new(images, |label| {
                if vague.is_empty() || rng.chance(corpus.named) {
                    rng.pick(&task.templates)
                        .replace("{}", &names[label as usize])
                } else {
                    rng.pick(vague).clone()
                }
            })?
        }
    };
    let bar = console.bar(
        "decoding the caption corpus",
        captions.images().len() as u64,
    );
    let table = PixelTable::build(
        captions.images(),
        &SeenBy(preprocessor),
        &out.join("cache"),
        SkipPolicy::default(),
        &|done| bar.set_position(done),
    )?;
    bar.finish_and_clear();
    Ok((captions, table))
}

fn short_hash(text: &str) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(text)
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
