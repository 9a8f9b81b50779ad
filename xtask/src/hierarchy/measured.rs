//! A model's images and prompts embedded, how sure it is, and what re-ranking changes.

use anyhow::{Context, Result};
use paint_data::Dataset;
use paint_embed::View;
use paint_eval::{Difference, Predictions, Ranking, SelectiveCurve};
use paint_hierarchy::{
    Augmentation, Change, Confidence, Embeddings, Phrases, RerankReport, Reranker, SelfConsistency,
};
use paint_report::{ConfidenceRow, Estimate, RerankRow};

use super::tree::Tree;
use crate::embeddings::Embedder;
use crate::findings::{change, estimate};
use crate::progress::Console;

/// The prompts whose agreement is asked for.
pub(crate) const TEMPLATES: [&str; 16] = [
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

/// What of the hierarchy is in the texts.
const AUGMENTATIONS: [(&str, bool, bool); 3] = [
    ("parents and children", true, true),
    ("parents", true, false),
    ("children", false, true),
];

/// Images at a time; bounds the memory.
const BATCH: usize = 4_096;
/// Points of a selective-prediction curve.
const N_POINTS: usize = 100;

/// Embedded images with their labels, the text side, and what self-consistency says.
pub(crate) struct Measured {
    images: Vec<f32>,
    width: usize,
    labels: Vec<u32>,
    names: Vec<String>,
    model: SelfConsistency,
    confidence: Confidence,
}

impl Measured {
    pub(crate) fn new(
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

    fn right(&self, predicted: &[u32]) -> Vec<bool> {
        let pairs = predicted.iter().zip(&self.labels);
        pairs.map(|(p, label)| p == label).collect()
    }

    /// Top-1 of bare names.
    pub(crate) fn top1(&self) -> Result<Estimate> {
        let right = self.right(&self.confidence.bare);
        let n_right = right.iter().filter(|&&right| right).count() as u64;
        estimate(paint_eval::Proportion::new(n_right, right.len() as u64)?)
    }

    /// Number of images at low confidence.
    pub(crate) fn n_low(&self) -> usize {
        self.confidence.low().iter().filter(|&&low| low).count()
    }

    /// Self-consistency, then what it is compared with.
    pub(crate) fn scores(&self) -> Result<Vec<ConfidenceRow>> {
        let c = &self.confidence;
        let cosine = |values: &[f32]| values.iter().map(|&x| f64::from(x)).collect();
        let (bare, prompted) = (self.right(&c.bare), self.right(&c.prompted));
        let scores: [(&str, Vec<f64>, &[bool]); 4] = [
            ("self-consistency", c.score(), &bare),
            ("self-consistency of prompts alone", c.text.share(), &bare),
            ("max-logit", cosine(&c.bare_cosine), &bare),
            (
                "max-logit with prompts",
                cosine(&c.prompted_cosine),
                &prompted,
            ),
        ];
        let mut first: Option<Ranking> = None;
        let mut rows = Vec::new();
        for (name, score, right) in scores {
            let ranking = Ranking::new(&score, right).with_context(|| {
                format!("{name}: AUROC needs images that are answered right and others wrong")
            })?;
            let auroc = ranking.auroc();
            let curve = SelectiveCurve::new(&score, right)?;
            let held = (0..N_POINTS).map(|i| i as f64 / N_POINTS as f64);
            rows.push(ConfidenceRow {
                score: name.to_owned(),
                auroc: Estimate::new(auroc.value, auroc.low, auroc.high, auroc.n)?,
                first_minus: match &first {
                    Some(first) => Some(change(first.minus(&ranking)?)?),
                    None => None,
                },
                area: curve.area(),
                curve: held.map(|held| (held, curve.accuracy(held))).collect(),
            });
            first = first.or(Some(ranking));
        }
        Ok(rows)
    }

    /// The low-confidence images re-ranked, by base and by what of the hierarchy is used.
    pub(crate) fn reranked(&self, embedder: &Embedder<'_>, tree: &Tree) -> Result<Vec<RerankRow>> {
        let mut rows = Vec::new();
        for (with, parents, children) in AUGMENTATIONS {
            let all = Augmentation::default();
            let augmentation = Augmentation {
                max_parents: if parents { all.max_parents } else { 0 },
                max_children: if children { all.max_children } else { 0 },
            };
            let phrases = tree.phrases(&self.names, augmentation)?;
            for (base, report) in self.both_bases(embedder, &phrases)? {
                rows.push(row(base, with, &report)?);
            }
        }
        Ok(rows)
    }

    fn both_bases(
        &self,
        embedder: &Embedder<'_>,
        phrases: &Phrases,
    ) -> Result<[(&'static str, RerankReport); 2]> {
        let bare = Embeddings::new("phrase", &embedder.texts(phrases.texts())?, self.width)?;
        let prompts = phrases
            .texts()
            .iter()
            .flat_map(|text| TEMPLATES.map(|template| template.replace("{}", text)));
        let features = embedder.texts(&prompts.collect::<Vec<_>>())?;
        let ensemble = Embeddings::ensemble("phrase", &features, TEMPLATES.len(), self.width)?;
        let of_bare = self.rerank(&Reranker::new(self.model.bare(), phrases, &bare)?)?;
        let of_all = self.rerank(&Reranker::new(self.model.prompted(), phrases, &ensemble)?)?;
        Ok([("bare names", of_bare), ("prompt ensemble", of_all)])
    }

    fn rerank(&self, reranker: &Reranker<'_>) -> Result<RerankReport> {
        let low = self.confidence.low();
        let (mut before, mut after) = (Vec::new(), Vec::new());
        let batches = self.images.chunks(BATCH * self.width);
        for (batch, low) in batches.zip(low.chunks(BATCH)) {
            let images = Embeddings::new("image", batch, self.width)?;
            before.extend(reranker.base(&images)?);
            after.extend(reranker.rerank(&images, low)?);
        }
        let predictions = |ranked| Predictions::new(self.labels.clone(), ranked, self.names.len());
        Ok(RerankReport::new(
            &predictions(before)?,
            &predictions(after)?,
            &low,
        )?)
    }
}

fn row(base: &str, with: &str, report: &RerankReport) -> Result<RerankRow> {
    let of = |c: &Change| -> Result<[Estimate; 3]> {
        let difference: Difference = c.difference;
        Ok([estimate(c.before)?, estimate(c.after)?, change(difference)?])
    };
    Ok(RerankRow {
        base: base.to_owned(),
        with: with.to_owned(),
        all: of(&report.all)?,
        low: report.low.as_ref().map(of).transpose()?,
        ceiling: report.low_top5.map(estimate).transpose()?,
        n_fixed: report.n_fixed,
        n_broken: report.n_broken,
    })
}
