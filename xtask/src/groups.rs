//! `cargo xtask groups`: how far a model relies on the place an object is at, and what each method
//! makes of it, on the embedded world's spurious datasets.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use paint_data::{Dataset, Hub, SplitName};
use paint_embed::View;
use paint_groups::{
    AfrConfig, Attribute, CalibrationSet, CfrConfig, Classifier, DfrConfig, GroupMetrics,
    GroupedSamples, Groups, Holistic, JttConfig, Negatives, Positives, Samples, Selected,
    Selection, SgdConfig, Targeted, afr, cfr, dfr, erm, group_dro, jtt,
};
use paint_report::{Cell, Estimate, Kind, Record, Table};
use paint_world::{SPURIOUS, Spurious, spurious};
use rayon::prelude::*;
use serde::Serialize;

use crate::embeddings::Embedder;
use crate::model::Model;
use crate::models::find_model;
use crate::progress::{Console, answer};
use crate::run_dir::RunDir;
use crate::tasks::hub_of;
use crate::workspace;

/// Does a model rely on the place an object is at, and which method mends it?
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A checkpoint directory in Hugging Face layout, or the name of an embedded model
    #[arg(long, default_value = "world-xs")]
    model: String,
    /// Only these datasets, comma-separated
    #[arg(long, value_delimiter = ',')]
    datasets: Vec<String>,
    /// How many seeds
    #[arg(long, default_value_t = 5)]
    seeds: u64,
    /// Epochs of every training on embeddings
    #[arg(long, default_value_t = 20)]
    epochs: usize,
    /// Learning rate of every training on embeddings
    #[arg(long, default_value_t = 0.03)]
    learning_rate: f64,
    /// Directory of the run [default: runs/groups-MODEL]
    #[arg(long)]
    out: Option<std::path::PathBuf>,
    /// One JSON object per line on standard output
    #[arg(long)]
    json: bool,
}

/// Everything that determines a run; `run.toml`.
#[derive(Serialize)]
struct Plan {
    question: &'static str,
    model: String,
    tool_version: &'static str,
    checkpoint: String,
    datasets: Vec<String>,
    seeds: u64,
    epochs: usize,
    learning_rate: f64,
}

/// Prompt templates of the classes.
const TEMPLATES: [&str; 3] = ["{}", "the {}", "a picture of the {}"];

pub(crate) fn run(args: &Args, console: &Console) -> Result<()> {
    let datasets: Vec<Spurious> = match args.datasets.is_empty() {
        true => SPURIOUS.to_vec(),
        false => args
            .datasets
            .iter()
            .map(|name| spurious(name))
            .collect::<Result<_, _>>()?,
    };
    if args.seeds == 0 {
        bail!("--seeds 0: at least one is needed");
    }
    let model = Model::load(find_model(&args.model, &hub_of(None, console))?)?;
    let embedder = Embedder::new(&model)?;
    let plan = Plan {
        question: "groups",
        model: args.model.clone(),
        tool_version: env!("CARGO_PKG_VERSION"),
        checkpoint: embedder.checkpoint.clone(),
        datasets: datasets.iter().map(|d| d.name.to_owned()).collect(),
        seeds: args.seeds,
        epochs: args.epochs,
        learning_rate: args.learning_rate,
    };
    let out = args.out.clone().unwrap_or_else(|| {
        let name = model.dir.file_name().unwrap_or_default().to_string_lossy();
        workspace::runs().join(format!("groups-{name}"))
    });
    let mut run = RunDir::open(&out, &plan)?;
    for dataset in &datasets {
        let data = Data::open(dataset, &embedder, console)?;
        let started = Instant::now();
        let bar = console.bar(&format!("{}: seeds", dataset.name), args.seeds);
        // Seeds side by side: the products of one are too small for several threads.
        let of_seed = |seed| -> Result<Results> {
            let mut results = Results::new();
            all_methods(&data, args, seed, &mut results)
                .with_context(|| format!("{}, seed {seed}", dataset.name))?;
            bar.inc(1);
            Ok(results)
        };
        let of_seeds: Vec<Result<Results>> = (0..args.seeds).into_par_iter().map(of_seed).collect();
        let mut results = Results::new();
        for of_seed in of_seeds {
            for (row, found) in of_seed? {
                results.entry(row).or_default().extend(found);
            }
        }
        bar.finish_and_clear();
        console.say(table(dataset, &results).to_text());
        for record in records(&plan, dataset, &results)? {
            run.record(&record)?;
            if args.json {
                answer(serde_json::to_string(&record)?);
            }
        }
        let seconds = started.elapsed().as_secs_f64();
        console.say(format!(
            "{}: {seconds:.0} s on cached embeddings",
            dataset.name
        ));
    }
    console.say(format!("{}", out.display()));
    Ok(())
}

/// A dataset's splits as embeddings with labels and groups, and the class texts.
struct Data {
    width: usize,
    n_classes: usize,
    texts: Vec<f32>,
    train: Split,
    validation: Split,
    test: Split,
}

struct Split {
    values: Vec<f32>,
    labels: Vec<u32>,
    groups: Groups,
}

impl Data {
    fn open(dataset: &Spurious, embedder: &Embedder<'_>, console: &Console) -> Result<Self> {
        let root = workspace::runs().join(format!("world-{}", paint_world::VERSION));
        let card = root
            .join("datasets/paint-world")
            .join(dataset.name)
            .join("README.md");
        if !card.exists() {
            let sizes = Spurious::SIZES;
            let n = sizes.train + sizes.validation + sizes.test;
            let bar = console.bar(&format!("drawing {}", dataset.name), n);
            dataset.write(&root, sizes, &|done| bar.inc(done))?;
            bar.finish_and_clear();
        }
        let hub = Hub::Directory(root);
        let split = |name| -> Result<Split> {
            let opened = Dataset::open(&dataset.task(), name, &hub)?;
            let images = embedder.images(&opened, View::Identity, console)?;
            Split::new(dataset, images.to_vec(), images.labels(), embedder.width())
        };
        Ok(Self {
            width: embedder.width(),
            n_classes: dataset.class_names.len(),
            texts: class_texts(dataset, embedder)?,
            train: split(SplitName::Train)?,
            validation: split(SplitName::Validation)?,
            test: split(SplitName::Test)?,
        })
    }

    fn samples<'a>(&self, split: &'a Split) -> Result<Samples<'a>> {
        Ok(Samples::new(
            &split.values,
            self.width,
            &split.labels,
            self.n_classes,
        )?)
    }

    fn grouped<'a>(&self, split: &'a Split) -> Result<GroupedSamples<'a>> {
        Ok(GroupedSamples::new(self.samples(split)?, &split.groups)?)
    }
}

impl Split {
    /// The written label is the group: class and place.
    fn new(dataset: &Spurious, mut values: Vec<f32>, groups: &[u32], width: usize) -> Result<Self> {
        let n = dataset.places.len() as u32;
        let labels: Vec<u32> = groups.iter().map(|group| group / n).collect();
        let places: Vec<u32> = groups.iter().map(|group| group % n).collect();
        let attribute = Attribute {
            name: "place",
            values: &places,
            n_values: n as usize,
        };
        normalize(&mut values, width);
        Ok(Self {
            groups: Groups::new(&labels, dataset.class_names.len(), attribute)?,
            values,
            labels,
        })
    }
}

fn normalize(values: &mut [f32], width: usize) {
    for row in values.chunks_exact_mut(width) {
        let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        row.iter_mut().for_each(|x| *x /= length);
    }
}

/// The prompt ensemble of every class: [n_classes, d].
fn class_texts(dataset: &Spurious, embedder: &Embedder<'_>) -> Result<Vec<f32>> {
    let prompts = dataset
        .class_names
        .iter()
        .flat_map(|class| TEMPLATES.map(|template| template.replace("{}", class)));
    let width = embedder.width();
    let mut features = embedder.texts(&prompts.collect::<Vec<_>>())?;
    normalize(&mut features, width);
    let mut texts = vec![0.0; dataset.class_names.len() * width];
    for (prompt, row) in features.chunks_exact(width).enumerate() {
        let text = &mut texts[prompt / TEMPLATES.len() * width..][..width];
        text.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
    }
    Ok(texts)
}

/// What a row of the table is: method, and by what its classifier was chosen.
type Row = (usize, String, String);

/// Test metrics of every seed, with the training's groups for the adjusted average.
type Results = BTreeMap<Row, Vec<(GroupMetrics, f64)>>;

struct Report<'a> {
    data: &'a Data,
    results: &'a mut Results,
    order: usize,
}

impl Report<'_> {
    fn add(&mut self, method: &str, by: &str, classifier: &Classifier) -> Result<()> {
        let predicted = classifier.predict(&self.data.samples(&self.data.test)?)?;
        let metrics = GroupMetrics::new(&predicted, &self.data.test.groups)?;
        let adjusted = metrics.adjusted_average(&self.data.train.groups)?.value;
        let row = (self.order, method.to_owned(), by.to_owned());
        self.results
            .entry(row)
            .or_default()
            .push((metrics, adjusted));
        self.order += 1;
        Ok(())
    }

    fn add_selected(&mut self, method: &str, selection: &Selection<'_>) -> Result<()> {
        let mut selected: Vec<&Selected> = selection.selected().iter().collect();
        selected.sort_by_key(|s| s.by);
        for selected in selected {
            self.add(method, &selected.by.to_string(), &selected.classifier)?;
        }
        Ok(())
    }
}

fn all_methods(data: &Data, args: &Args, seed: u64, results: &mut Results) -> Result<()> {
    let zero_shot = Classifier::zero_shot(&data.texts, data.width)?;
    let train = data.samples(&data.train)?;
    let validation = data.grouped(&data.validation)?;
    let sgd = SgdConfig {
        epochs: args.epochs,
        learning_rate: args.learning_rate,
        seed,
        ..SgdConfig::default()
    };
    let mut report = Report {
        data,
        results,
        order: 0,
    };
    report.add("zero-shot", "nothing", &zero_shot)?;

    let mut selection = Selection::with_groups(&validation);
    let plain = erm(&zero_shot, &train, &sgd, Some(&mut selection))?;
    report.add_selected("ERM", &selection)?;

    let mut selection = Selection::with_groups(&validation);
    for upweight in [5, 20, 50] {
        let config = JttConfig {
            identify_epochs: (args.epochs / 4).max(1),
            upweight,
            sgd,
        };
        jtt(&zero_shot, &train, &config, Some(&mut selection))?;
    }
    report.add_selected("JTT", &selection)?;

    let mut selection = Selection::with_groups(&validation);
    let (first, second) = train.split(0.8, seed)?;
    let base = erm(&zero_shot, &first, &sgd, None)?;
    afr(&base, &second, &AfrConfig::default(), &mut selection)?;
    report.add_selected("AFR", &selection)?;

    let calibration = CalibrationSet::new(&plain, &train)?;
    for (name, config) in recalibrations(sgd) {
        let mut selection = Selection::with_groups(&validation);
        cfr(
            &zero_shot,
            &train,
            &calibration,
            &config,
            Some(&mut selection),
        )?;
        report.add_selected(&name, &selection)?;
    }

    let config = DfrConfig {
        seed,
        ..DfrConfig::default()
    };
    let retrained = dfr(&zero_shot, &validation, &config)?;
    report.add(
        "DFR (oracle)",
        "worst group on half of validation",
        &retrained.classifier,
    )?;
    let mut selection = Selection::with_groups(&validation);
    let train_groups = data.grouped(&data.train)?;
    group_dro(&zero_shot, &train_groups, 0.01, &sgd, Some(&mut selection))?;
    report.add_selected("group DRO (oracle)", &selection)
}

/// CFR's sampling variants, each with both holistic terms.
fn recalibrations(sgd: SgdConfig) -> Vec<(String, CfrConfig)> {
    let positives = [
        ("random", Positives::RandomCorrect { n: 16 }),
        ("centroid", Positives::DynamicCentroid { draws: 16 }),
    ];
    let negatives = [
        ("random", Negatives::RandomOther),
        ("nearest", Negatives::NearestOther),
    ];
    let holistic = [
        ("targets", Holistic::Targeted(Targeted::default())),
        ("cosine", Holistic::Cosine),
    ];
    let mut variants = Vec::new();
    for (p, positives) in positives {
        for (n, negatives) in negatives {
            for (h, holistic) in holistic {
                let config = CfrConfig {
                    sgd,
                    positives,
                    negatives,
                    holistic,
                    temperature: 0.1,
                    anchors_per_step: 32,
                    ..CfrConfig::default()
                };
                variants.push((format!("CFR +{p} -{n} {h}"), config));
            }
        }
    }
    variants
}

/// Mean and standard deviation, in per cent.
fn spread(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let values: Vec<f64> = values.map(|v| 100.0 * v).collect();
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    (mean, (squares / (n - 1.0).max(1.0)).sqrt())
}

fn table(dataset: &Spurious, results: &Results) -> Table {
    let columns = [
        "method",
        "chosen by",
        "worst group",
        "mean",
        "gap",
        "adjusted",
    ];
    let rows = results.iter().map(|((_, method, by), seeds)| {
        let worst = spread(seeds.iter().map(|(m, _)| m.worst().1.value));
        let mean = spread(seeds.iter().map(|(m, _)| m.mean.value));
        let gap = spread(seeds.iter().map(|(m, _)| m.gap()));
        let adjusted = spread(seeds.iter().map(|(_, adjusted)| *adjusted));
        let mut cells = vec![Cell::Text(method.clone()), Cell::Text(by.clone())];
        cells.extend(
            [worst, mean, gap, adjusted].map(|(mean, deviation)| Cell::Number {
                value: format!("{mean:.1}"),
                interval: Some(format!("± {deviation:.1}")),
            }),
        );
        cells
    });
    let caption = format!(
        "{}: accuracy on test in per cent, mean and standard deviation over seeds",
        dataset.name
    );
    Table::new(
        &caption,
        columns.map(str::to_owned).to_vec(),
        rows.collect(),
    )
}

/// Worst-group and mean accuracy of every seed, with intervals.
fn records(plan: &Plan, dataset: &Spurious, results: &Results) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    for ((_, method, by), seeds) in results {
        for (seed, (metrics, _)) in seeds.iter().enumerate() {
            for (measure, p) in [("worst group", metrics.worst().1), ("mean", metrics.mean)] {
                let record = Record::new("groups", Kind::Accuracy)
                    .measure(&format!("{measure}, chosen by {by}"))
                    .method(method)
                    .model(&plan.model)
                    .task(dataset.name)
                    .seed(seed as u64)
                    .estimate(&Estimate::new(p.value, p.low, p.high, p.n)?);
                records.push(record);
            }
        }
    }
    Ok(records)
}
