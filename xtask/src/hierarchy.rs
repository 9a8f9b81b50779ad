//! `cargo xtask hierarchy`: how well self-consistency knows wrong answers, and what re-ranking with
//! a label hierarchy makes of the unsure ones.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use paint_data::{Dataset, SplitName, Task};
use paint_embed::View;
use paint_eval::{Predictions, Ranking, SelectiveCurve};
use paint_hierarchy::{
    Augmentation, Change, Confidence, Embeddings, Hierarchy, Phrases, RerankReport, Reranker,
    SelfConsistency, Sparse, WordNet, parse_toml_tree, read_toml_tree,
};
use paint_report::{Estimate, Kind, Record};
use serde::Serialize;

use crate::embeddings::Embedder;
use crate::model::Model;
use crate::models::find_model;
use crate::progress::{Console, answer};
use crate::run_dir::RunDir;
use crate::tasks::{find_task, hub_of, prepare_world};
use crate::workspace;

/// When is a prediction unreliable, and does a label hierarchy mend it?
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A checkpoint directory in Hugging Face layout, or the name of an embedded model
    #[arg(long, default_value = "world-xs")]
    model: String,
    /// Name or manifest of the task whose test images are looked at
    #[arg(long, default_value = "objects")]
    task: String,
    /// What is a kind of what: a TOML tree whose names are the classes', or a directory with
    /// WordNet's data.noun, where a class is the first sense of its name [default: the embedded
    /// objects' tree; confidence alone for other tasks]
    #[arg(long)]
    hierarchy: Option<PathBuf>,
    /// Look for datasets in this directory in Hub layout
    #[arg(long)]
    hub: Option<PathBuf>,
    /// Directory of the run [default: runs/hierarchy-TASK-MODEL]
    #[arg(long)]
    out: Option<PathBuf>,
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
    task: String,
    data: String,
    hierarchy: Option<String>,
    templates: Vec<&'static str>,
}

/// The prompts whose agreement is asked for.
const TEMPLATES: [&str; 16] = [
    "a {}",
    "the {}",
    "a picture of a {}",
    "a photo of a {}",
    "an image of a {}",
    "this is a {}",
    "a picture of the {}",
    "a photo of the {}",
    "a drawing of a {}",
    "a small {}",
    "a large {}",
    "a {} nearby",
    "a {} on a white background",
    "a {} in a room",
    "a {} on grass",
    "one {}",
];

/// Mirrored first: it alone decides the discrete rule.
const VIEWS: [View; 4] = [
    View::FlipLeftRight,
    View::FlipUpDown,
    View::Rotation { degrees: 15.0 },
    View::Crop { share: 0.8 },
];

/// Images at a time; bounds the memory.
const BATCH: usize = 4_096;

pub(crate) fn run(args: &Args, console: &Console) -> Result<()> {
    let hub = hub_of(args.hub.as_deref(), console);
    let model = Model::load(find_model(&args.model, &hub)?)?;
    let embedder = Embedder::new(&model)?;
    let task = find_task(&args.task)?;
    let dataset = open(&task, args, console)?;
    let names = dataset.class_names().to_vec();
    let tree = hierarchy(args, &task, &names)?;
    let plan = Plan {
        question: "hierarchy",
        model: args.model.clone(),
        tool_version: env!("CARGO_PKG_VERSION"),
        checkpoint: embedder.checkpoint.clone(),
        task: task.name.clone(),
        data: dataset.content_key().to_owned(),
        hierarchy: args
            .hierarchy
            .as_ref()
            .map(|path| path.display().to_string()),
        templates: TEMPLATES.to_vec(),
    };
    let out = args.out.clone().unwrap_or_else(|| {
        let name = model.dir.file_name().unwrap_or_default().to_string_lossy();
        workspace::runs().join(format!("hierarchy-{}-{name}", task.name))
    });
    let mut run = RunDir::open(&out, &plan)?;
    let measured = Measured::new(&embedder, &dataset, &names, console)?;
    let mut facts = Facts::new(&plan);
    measured.confidence(&mut facts)?;
    if let Some((hierarchy, synsets)) = tree {
        let sparse = Sparse::all(&hierarchy).without(&paint_hierarchy::ABSTRACT);
        let phrases = Phrases::new(&sparse, &names, &synsets, Augmentation::default())?;
        measured.reranking(&embedder, &phrases, &mut facts)?;
    }
    for (line, record) in facts.all {
        console.say(line);
        run.record(&record)?;
        if args.json {
            answer(serde_json::to_string(&record)?);
        }
    }
    console.say(format!("{}", out.display()));
    Ok(())
}

fn open(task: &Task, args: &Args, console: &Console) -> Result<Dataset> {
    let of_world = paint_world::tasks().iter().any(|known| known.task == *task);
    let hub = match of_world {
        true => paint_data::Hub::Directory(prepare_world(&[task], console)?),
        false => hub_of(args.hub.as_deref(), console),
    };
    Dataset::open(task, SplitName::Test, &hub).with_context(|| format!("task {}", task.name))
}

/// A hierarchy with the synset of each class; none for a class that it does not know.
fn hierarchy(
    args: &Args,
    task: &Task,
    names: &[String],
) -> Result<Option<(Hierarchy, Vec<Option<String>>)>> {
    let by_name = |hierarchy: Hierarchy| {
        let known = |name: &String| hierarchy.find(name).map(|_| name.clone());
        let synsets = names.iter().map(known).collect();
        Some((hierarchy, synsets))
    };
    Ok(match &args.hierarchy {
        Some(path) if path.is_dir() => Some(first_senses(path, names)?),
        Some(path) => by_name(read_toml_tree(path)?),
        None if task.name == "objects" => by_name(parse_toml_tree(
            paint_world::OBJECTS_HIERARCHY,
            "the embedded tree",
        )?),
        None => None,
    })
}

/// WordNet, where each class is the first sense of its name that no other class has.
fn first_senses(dict: &Path, names: &[String]) -> Result<(Hierarchy, Vec<Option<String>>)> {
    let wordnet = WordNet::read(dict)?;
    let mut taken = std::collections::BTreeSet::new();
    let synsets = names.iter().map(|name| {
        let free = wordnet
            .senses(name)
            .iter()
            .find(|&&node| taken.insert(node));
        free.map(|&node| wordnet.hierarchy().id(node).to_owned())
    });
    let synsets = synsets.collect();
    Ok((wordnet.hierarchy().clone(), synsets))
}

/// Embedded images with their labels, the text side, and what self-consistency says.
struct Measured {
    images: Vec<f32>,
    width: usize,
    labels: Vec<u32>,
    names: Vec<String>,
    model: SelfConsistency,
    confidence: Confidence,
}

impl Measured {
    fn new(
        embedder: &Embedder<'_>,
        dataset: &Dataset,
        names: &[String],
        console: &Console,
    ) -> Result<Self> {
        let width = embedder.width();
        let original = embedder.images(dataset, View::Identity, console)?;
        let views = VIEWS.map(|view| embedder.images(dataset, view, console));
        let views: Vec<Vec<f32>> = views
            .into_iter()
            .map(|view| Ok(view?.to_vec()))
            .collect::<Result<_>>()?;
        let prompts = TEMPLATES
            .iter()
            .flat_map(|template| names.iter().map(move |name| template.replace("{}", name)));
        let prompted = embedder.texts(&prompts.collect::<Vec<_>>())?;
        let model = SelfConsistency::new(&embedder.texts(names)?, &prompted, width)?;
        let images = original.to_vec();
        let mut confidence: Option<Confidence> = None;
        for (i, batch) in images.chunks(BATCH * width).enumerate() {
            let start = i * BATCH * width;
            let views = views
                .iter()
                .map(|view| Embeddings::new("image", &view[start..start + batch.len()], width));
            let views = views.collect::<Result<Vec<_>, _>>()?;
            let found = model.measure(&Embeddings::new("image", batch, width)?, &views)?;
            match &mut confidence {
                Some(all) => all.append(found)?,
                None => confidence = Some(found),
            }
        }
        Ok(Self {
            labels: original.labels().to_vec(),
            confidence: confidence.context("there are no images")?,
            names: names.to_vec(),
            images,
            width,
            model,
        })
    }

    /// AUROC of self-consistency against max-logit, bare and with prompts, and selective curves.
    fn confidence(&self, facts: &mut Facts<'_>) -> Result<()> {
        let c = &self.confidence;
        let right = |predicted: &[u32]| -> Vec<bool> {
            predicted
                .iter()
                .zip(&self.labels)
                .map(|(p, l)| p == l)
                .collect()
        };
        let cosine = |values: &[f32]| values.iter().map(|&x| f64::from(x)).collect();
        let (bare, prompted) = (right(&c.bare), right(&c.prompted));
        let text_only = c.text.share();
        let scores: [(&str, Vec<f64>, &Vec<bool>); 4] = [
            ("self-consistency", c.score(), &bare),
            ("self-consistency of prompts alone", text_only, &bare),
            ("max-logit", cosine(&c.bare_cosine), &bare),
            (
                "max-logit with prompts",
                cosine(&c.prompted_cosine),
                &prompted,
            ),
        ];
        let mut first: Option<Ranking> = None;
        for (name, score, right) in &scores {
            let ranking = Ranking::new(score, right)?;
            let auroc = ranking.auroc();
            facts.estimate(name, "AUROC", auroc.value, auroc.low, auroc.high, auroc.n)?;
            let area = SelectiveCurve::new(score, right)?.area();
            facts.value(name, "area of the selective curve", area);
            if let Some(first) = &first {
                let d = first.minus(&ranking)?;
                facts.difference(name, "AUROC that self-consistency has more", d)?;
            }
            first = first.or(Some(ranking));
        }
        let low = c.low().iter().filter(|&&low| low).count();
        facts.value("self-consistency", "images of low confidence", low as f64);
        Ok(())
    }

    /// Re-ranking of the low-confidence images against both bases.
    fn reranking(
        &self,
        embedder: &Embedder<'_>,
        phrases: &Phrases,
        facts: &mut Facts<'_>,
    ) -> Result<()> {
        let bare = Embeddings::new("phrase", &embedder.texts(phrases.texts())?, self.width)?;
        let prompts = phrases
            .texts()
            .iter()
            .flat_map(|text| TEMPLATES.map(|template| template.replace("{}", text)));
        let features = embedder.texts(&prompts.collect::<Vec<_>>())?;
        let ensemble = Embeddings::ensemble("phrase", &features, TEMPLATES.len(), self.width)?;
        let low = self.confidence.low();
        for (base, classes, phrases_of) in [
            ("bare names", self.model.bare(), &bare),
            ("prompt ensemble", self.model.prompted(), &ensemble),
        ] {
            let reranker = Reranker::new(classes, phrases, phrases_of)?;
            let (mut before, mut after) = (Vec::new(), Vec::new());
            let batches = self
                .images
                .chunks(BATCH * self.width)
                .zip(low.chunks(BATCH));
            for (batch, low) in batches {
                let images = Embeddings::new("image", batch, self.width)?;
                before.extend(reranker.base(&images)?);
                after.extend(reranker.rerank(&images, low)?);
            }
            let predictions =
                |ranked| Predictions::new(self.labels.clone(), ranked, self.names.len());
            let report = RerankReport::new(&predictions(before)?, &predictions(after)?, &low)?;
            facts.report(base, &report)?;
        }
        Ok(())
    }
}

/// Lines for people with the records they say.
struct Facts<'a> {
    plan: &'a Plan,
    all: Vec<(String, Record)>,
}

impl<'a> Facts<'a> {
    fn new(plan: &'a Plan) -> Self {
        Self {
            plan,
            all: Vec::new(),
        }
    }

    fn record(&self, kind: Kind, method: &str, measure: &str) -> Record {
        Record::new("hierarchy", kind)
            .measure(measure)
            .method(method)
            .model(&self.plan.model)
            .task(&self.plan.task)
    }

    fn value(&mut self, method: &str, measure: &str, value: f64) {
        let record = self.record(Kind::Quantity, method, measure).value(value);
        let line = match value.fract() == 0.0 {
            true => format!("{method}: {measure} {value}"),
            false => format!("{method}: {measure} {value:.4}"),
        };
        self.all.push((line, record));
    }

    fn estimate(
        &mut self,
        method: &str,
        measure: &str,
        value: f64,
        low: f64,
        high: f64,
        n: u64,
    ) -> Result<()> {
        let record = self
            .record(Kind::Quantity, method, measure)
            .estimate(&Estimate::new(value, low, high, n)?);
        let line = format!("{method}: {measure} {value:.4} [{low:.4}, {high:.4}]");
        self.all.push((line, record));
        Ok(())
    }

    fn difference(&mut self, method: &str, measure: &str, d: paint_eval::Difference) -> Result<()> {
        self.estimate(method, measure, d.value, d.low, d.high, d.n)
    }

    fn change(&mut self, base: &str, on: &str, change: &Change) -> Result<()> {
        for (when, p) in [("before", change.before), ("after", change.after)] {
            let measure = format!("top-1 {on}, {when}");
            self.estimate(base, &measure, p.value, p.low, p.high, p.n)?;
        }
        self.difference(base, &format!("top-1 {on}, change"), change.difference)
    }

    fn report(&mut self, base: &str, report: &RerankReport) -> Result<()> {
        self.change(base, "over all", &report.all)?;
        if let Some(low) = &report.low {
            self.change(base, "at low confidence", low)?;
        }
        if let Some(p) = report.low_top5 {
            let measure = "top-5 at low confidence, the ceiling";
            self.estimate(base, measure, p.value, p.low, p.high, p.n)?;
        }
        self.value(base, "images fixed", report.n_fixed as f64);
        self.value(base, "images broken", report.n_broken as f64);
        Ok(())
    }
}
