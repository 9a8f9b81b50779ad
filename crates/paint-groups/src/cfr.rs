//! Contrastive feature recalibration.

use std::borrow::Cow;

use paint_data::Rng;

use crate::{
    CalibrationSet, Classifier, Error, Result, Samples, Selection, SgdConfig, Targeted,
    classifier::{Forward, Loss, cross_entropy},
    contrastive::{add_scaled, centroid, centroid_backward, contrastive},
    descent::{DRAWS, Gradient, descend},
    error::{check_setting, check_size},
    holistic::{Targets, cosine},
};

/// What an anchor is pulled to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Positives {
    /// Samples of its class that are classified right, drawn anew each time.
    RandomCorrect {
        /// How many.
        n: usize,
    },
    /// One vector: the direction of the mean of such samples under the present model.
    DynamicCentroid {
        /// Samples in the mean, drawn anew each time.
        draws: usize,
    },
}

/// What an anchor is pushed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Negatives {
    /// Samples of other classes, drawn anew each time.
    RandomOther,
    /// The samples of other classes that are nearest under the calibration set's judge.
    NearestOther,
    /// Samples of the anchor's *own* class: what the public code does by mistake. An ablation.
    OwnClass,
}

/// The term on the whole batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Holistic {
    /// None.
    Off,
    /// Cosines within and between classes.
    Cosine,
    /// Targeted supervised contrastive learning.
    Targeted(Targeted),
}

/// How the terms on anchors are weighted against the holistic one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnchorWeight {
    /// 1.5 throughout: what the public code does.
    Constant,
    /// `1 + 0.5 cos(2πe/E)` in epoch e of E: what it means to do.
    Cosine,
}

/// Settings of [`cfr`]; the defaults are the public code's where it works.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CfrConfig {
    /// Order, steps and seed.
    pub sgd: SgdConfig,
    /// What anchors are pulled to.
    pub positives: Positives,
    /// What anchors are pushed from.
    pub negatives: Negatives,
    /// How many negatives an anchor meets.
    pub n_negatives: usize,
    /// Samples of a batch that bring an anchor, at most; the public code's is the batch. A step's
    /// time grows with it.
    pub anchors_per_step: usize,
    /// Samples of a class's bank that the random draws of one step come from, drawn anew for each
    /// step; the public code's is the whole bank. Every draw stays uniform over the bank, but the
    /// anchors of a step share samples, and a sample is embedded once.
    pub bank_per_step: usize,
    /// Temperature of the contrastive term; at 1 it is nearly flat.
    pub temperature: f32,
    /// The term on the whole batch.
    pub holistic: Holistic,
    /// Weight of the terms on anchors.
    pub anchor_weight: AnchorWeight,
    /// Share of the block's outputs that a training step drops.
    pub dropout: f32,
}

impl Default for CfrConfig {
    fn default() -> Self {
        Self {
            sgd: SgdConfig::default(),
            positives: Positives::RandomCorrect { n: 16 },
            negatives: Negatives::RandomOther,
            n_negatives: 16,
            anchors_per_step: 128,
            bank_per_step: usize::MAX,
            temperature: 1.0,
            holistic: Holistic::Targeted(Targeted::default()),
            anchor_weight: AnchorWeight::Constant,
            dropout: 0.1,
        }
    }
}

/// Contrastive feature recalibration, without group labels: each training sample of a batch brings
/// one anchor, number (its row mod anchors); the anchors' cross-entropy and contrastive terms are
/// weighted and added to the holistic term of the batch. Epochs are offered to the selection, the
/// last one is returned.
///
/// Without anchors the holistic term alone is left. Where a bank holds fewer samples than are
/// drawn, some are drawn twice. Source: You et al. 2024, "Calibrating multi-modal
/// representations: a pursuit of group robustness without annotations", through its public code.
/// Unlike there, negatives are of other classes, dropped outputs are only dropped in training and
/// before the embedding is normalised, and the banks are what they should be.
///
/// # Errors
/// If sizes do not fit, a setting is out of range, or the loss is no longer finite.
pub fn cfr(
    start: &Classifier,
    train: &Samples<'_>,
    calibration: &CalibrationSet,
    config: &CfrConfig,
    selection: Option<&mut Selection<'_>>,
) -> Result<Classifier> {
    check(start, train, calibration, config)?;
    let mut trainer = Trainer::new(start, train, calibration, config);
    let rows = (0..train.len()).collect();
    let selection = selection.map(|s| (s, ""));
    descend(
        start,
        train,
        rows,
        &config.sgd,
        selection,
        |classifier, rows, epoch| trainer.step(classifier, rows, epoch),
    )
}

fn check(
    start: &Classifier,
    train: &Samples<'_>,
    calibration: &CalibrationSet,
    config: &CfrConfig,
) -> Result<()> {
    let n_calibration = calibration.all.iter().map(Vec::len).sum();
    check_size("samples of the calibration set", train.len(), n_calibration)?;
    if train.n_classes() < 2 {
        return Err(Error::Empty {
            what: "other class",
        });
    }
    let temperature = f64::from(config.temperature);
    let is_positive = temperature.is_finite() && temperature > 0.0;
    check_setting("temperature", temperature, is_positive, "must be above 0")?;
    let dropout = f64::from(config.dropout);
    let is_share = (0.0..1.0).contains(&dropout);
    check_setting("dropout", dropout, is_share, "must be in [0, 1)")?;
    let (Positives::RandomCorrect { n: drawn } | Positives::DynamicCentroid { draws: drawn }) =
        config.positives;
    check_setting("positives", drawn as f64, drawn > 0, "must be at least 1")?;
    let n = config.n_negatives;
    check_setting("n_negatives", n as f64, n > 0, "must be at least 1")?;
    let n = config.bank_per_step;
    check_setting("bank_per_step", n as f64, n > 0, "must be at least 1")?;
    if let Holistic::Targeted(targeted) = config.holistic {
        let temperature = f64::from(targeted.temperature);
        let sound = temperature.is_finite() && temperature > 0.0;
        check_setting(
            "temperature of the targets",
            temperature,
            sound,
            "must be above 0",
        )?;
        let room = start.width >= train.n_classes();
        let problem = "must be at least the number of classes for targets to lie evenly";
        check_setting("width", start.width as f64, room, problem)?;
    }
    Ok(())
}

struct Trainer<'a> {
    train: &'a Samples<'a>,
    calibration: &'a CalibrationSet,
    config: &'a CfrConfig,
    /// Of each anchor, where negatives are the nearest.
    nearest: Vec<Vec<usize>>,
    targets: Option<Targets>,
    rng: Rng,
}

/// One anchor with the rows it meets, or where these begin in a list of embeddings.
struct Draw {
    anchor: usize,
    positives: Vec<usize>,
    negatives: Vec<usize>,
}

impl<'a> Trainer<'a> {
    fn new(
        start: &Classifier,
        train: &'a Samples<'a>,
        calibration: &'a CalibrationSet,
        config: &'a CfrConfig,
    ) -> Self {
        let mut rng = Rng::derive(config.sgd.seed, &[DRAWS]);
        let targets = match config.holistic {
            Holistic::Targeted(settings) => Some(Targets::new(
                settings,
                start.width,
                train.n_classes(),
                &mut rng,
            )),
            Holistic::Off | Holistic::Cosine => None,
        };
        let nearest = match config.negatives {
            Negatives::NearestOther => calibration.nearest_others(train, config.n_negatives),
            Negatives::RandomOther | Negatives::OwnClass => Vec::new(),
        };
        Self {
            train,
            calibration,
            config,
            nearest,
            targets,
            rng,
        }
    }

    fn step(&mut self, classifier: &Classifier, batch: &[usize], epoch: usize) -> Gradient {
        let draws = self.draw(batch);
        let drawn = distinct(&draws);
        let rows: Vec<usize> = batch.iter().chain(&drawn).copied().collect();
        let mask = self.mask(rows.len() * classifier.width);
        let forward = Forward::new(classifier, self.train.gather(&rows), mask);
        let n_batch = batch.len() * classifier.width;
        let mut loss = self.holistic(&forward.unit[..n_batch], batch, classifier);
        let weight = self.weight(epoch);
        let on_draws = self.on_draws(classifier, &forward.unit[n_batch..], &drawn, &draws, weight);
        loss.value += on_draws.value;
        loss.log_scale += on_draws.log_scale;
        loss.unit.extend(on_draws.unit);
        Gradient::new(classifier, &forward, loss)
    }

    fn draw(&mut self, batch: &[usize]) -> Vec<Draw> {
        let anchors = self.calibration.anchors();
        if anchors.is_empty() {
            return Vec::new();
        }
        let (Positives::RandomCorrect { n: n_positives }
        | Positives::DynamicCentroid { draws: n_positives }) = self.config.positives;
        let n_negatives = self.config.n_negatives;
        let rng = &mut self.rng;
        let n_bank = self.config.bank_per_step;
        let mut of_step = |banks: &'a [Vec<usize>]| -> Vec<Cow<'a, [usize]>> {
            banks.iter().map(|bank| part(bank, n_bank, rng)).collect()
        };
        let calibration = self.calibration;
        let correct = of_step(&calibration.correct);
        let others = match self.config.negatives {
            Negatives::NearestOther => Vec::new(),
            Negatives::RandomOther => of_step(&calibration.others),
            Negatives::OwnClass => of_step(&calibration.all),
        };
        let anchors = calibration.anchors();
        let mut draws = Vec::with_capacity(batch.len());
        for row in batch.iter().take(self.config.anchors_per_step) {
            let number = row % anchors.len();
            let anchor = anchors[number];
            let label = self.train.label(anchor);
            let positives = draw(&correct[label], n_positives, rng);
            let negatives = match self.config.negatives {
                Negatives::NearestOther => self.nearest[number].clone(),
                Negatives::RandomOther | Negatives::OwnClass => {
                    draw(&others[label], n_negatives, rng)
                }
            };
            draws.push(Draw {
                anchor,
                positives,
                negatives,
            });
        }
        draws
    }

    fn mask(&mut self, n: usize) -> Option<Vec<f32>> {
        let dropout = self.config.dropout;
        let rng = &mut self.rng;
        (dropout > 0.0).then(|| {
            let keep = |_| f32::from(u8::from(!rng.chance(dropout)));
            (0..n).map(keep).collect()
        })
    }

    fn weight(&self, epoch: usize) -> f32 {
        match self.config.anchor_weight {
            AnchorWeight::Constant => 1.5,
            AnchorWeight::Cosine => {
                let turn = epoch as f64 / self.config.sgd.epochs as f64;
                (1.0 + 0.5 * (std::f64::consts::TAU * turn).cos()) as f32
            }
        }
    }

    fn holistic(&mut self, unit: &[f32], batch: &[usize], classifier: &Classifier) -> Loss {
        let labels: Vec<usize> = batch.iter().map(|&row| self.train.label(row)).collect();
        if let Some(targets) = &mut self.targets {
            targets.observe(unit, &labels);
            let loss = targets.loss(unit, &labels);
            targets.enqueue(unit, &labels);
            return loss;
        }
        match self.config.holistic {
            Holistic::Cosine => cosine(unit, &labels, classifier.width, classifier.n_classes()),
            Holistic::Off | Holistic::Targeted(_) => Loss {
                value: 0.0,
                unit: vec![0.0; unit.len()],
                log_scale: 0.0,
            },
        }
    }

    /// The anchors' terms; `unit` holds an embedding of each of `rows`, which are all that occur in
    /// the draws, ascending.
    fn on_draws(
        &self,
        classifier: &Classifier,
        unit: &[f32],
        rows: &[usize],
        draws: &[Draw],
        weight: f32,
    ) -> Loss {
        let mut loss = Loss {
            value: 0.0,
            unit: vec![0.0; unit.len()],
            log_scale: 0.0,
        };
        if draws.is_empty() {
            return loss;
        }
        let width = classifier.width;
        let share = weight / draws.len() as f32;
        let place = |row: &usize| rows.partition_point(|r| r < row) * width;
        let places = |of: &[usize]| -> Vec<usize> { of.iter().map(place).collect() };
        let mut anchors = Vec::with_capacity(draws.len() * width);
        for draw in draws {
            let placed = Draw {
                anchor: place(&draw.anchor),
                positives: places(&draw.positives),
                negatives: places(&draw.negatives),
            };
            anchors.extend_from_slice(&unit[placed.anchor..placed.anchor + width]);
            self.pull(unit, width, &placed, share, &mut loss);
        }
        let labels: Vec<usize> = draws.iter().map(|d| self.train.label(d.anchor)).collect();
        let entropy = cross_entropy(classifier, &anchors, &labels, &vec![share; draws.len()]);
        for (draw, gradient) in draws.iter().zip(entropy.unit.chunks_exact(width)) {
            let at = place(&draw.anchor);
            add_scaled(&mut loss.unit[at..at + width], 1.0, gradient);
        }
        loss.value += entropy.value;
        loss.log_scale = entropy.log_scale;
        loss
    }

    /// Adds `share` times the contrastive term of an anchor, with the gradient on every sample that
    /// it meets. `draw` says where these begin in `unit`.
    fn pull(&self, unit: &[f32], width: usize, draw: &Draw, share: f32, loss: &mut Loss) {
        let Draw {
            anchor,
            positives,
            negatives,
        } = draw;
        let row = |&at: &usize| &unit[at..at + width];
        let members: Vec<&[f32]> = positives.iter().map(row).collect();
        let others: Vec<&[f32]> = negatives.iter().map(row).collect();
        let temperature = self.config.temperature;
        let from = row(anchor);
        let mut add = |at: usize, factor: f32, x: &[f32]| {
            add_scaled(&mut loss.unit[at..at + width], factor, x);
        };
        let pull = match self.config.positives {
            Positives::RandomCorrect { .. } => {
                let pull = contrastive(from, &members, &others, temperature);
                for ((&at, member), by) in positives.iter().zip(&members).zip(&pull.positives) {
                    add(*anchor, share * by, member);
                    add(at, share * by, from);
                }
                pull
            }
            Positives::DynamicCentroid { .. } => {
                let (direction, length) = centroid(&members, width);
                let pull = contrastive(from, &[&direction], &others, temperature);
                let by = pull.positives[0];
                add(*anchor, share * by, &direction);
                let member = centroid_backward(&direction, length, from, by, members.len());
                positives.iter().for_each(|&at| add(at, share, &member));
                pull
            }
        };
        for ((&at, other), by) in negatives.iter().zip(&others).zip(&pull.negatives) {
            add(*anchor, share * by, other);
            add(at, share * by, from);
        }
        loss.value += f64::from(share) * pull.value;
    }
}

/// The rows that occur in the draws, each once, ascending.
fn distinct(draws: &[Draw]) -> Vec<usize> {
    let rows = draws.iter().flat_map(|draw| {
        let own = std::iter::once(&draw.anchor);
        own.chain(&draw.positives).chain(&draw.negatives)
    });
    let mut rows: Vec<usize> = rows.copied().collect();
    rows.sort_unstable();
    rows.dedup();
    rows
}

/// `n` of a bank's rows, or all if there are no more.
fn part<'a>(bank: &'a [usize], n: usize, rng: &mut Rng) -> Cow<'a, [usize]> {
    match bank.len() <= n {
        true => Cow::Borrowed(bank),
        false => Cow::Owned(draw(bank, n, rng)),
    }
}

/// `n` of the rows, each once if there are enough.
fn draw(rows: &[usize], n: usize, rng: &mut Rng) -> Vec<usize> {
    if rows.len() < n {
        return (0..n).map(|_| *rng.pick(rows)).collect();
    }
    // Floyd's sampling: n draws, whatever the number of rows.
    let mut chosen: Vec<usize> = Vec::with_capacity(n);
    for last in rows.len() - n..rows.len() {
        let candidate = rng.below(last + 1);
        let row = match chosen.contains(&candidate) {
            true => last,
            false => candidate,
        };
        chosen.push(row);
    }
    chosen.into_iter().map(|i| rows[i]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classifier::tests::{check_gradient, random};

    /// The whole step's gradient, with the draws held fixed.
    #[test]
    fn terms_on_anchors_have_their_gradient() {
        let values = random(12 * 5, 5);
        let labels: Vec<u32> = (0..12).map(|i| i % 3).collect();
        let train = Samples::new(&values, 5, &labels, 3).unwrap();
        // The first sample of each class is its text, and so right.
        let judge = Classifier::zero_shot(&values[..15], 5).unwrap();
        let calibration = CalibrationSet::new(&judge, &train).unwrap();
        for positives in [
            Positives::RandomCorrect { n: 2 },
            Positives::DynamicCentroid { draws: 2 },
        ] {
            let config = CfrConfig {
                positives,
                n_negatives: 2,
                temperature: 0.5,
                holistic: Holistic::Off,
                ..CfrConfig::default()
            };
            let trainer = Trainer::new(&judge, &train, &calibration, &config);
            let draws = [0, 1].map(|anchor| Draw {
                anchor,
                positives: vec![2, 3],
                negatives: vec![4, 5],
            });
            // Samples 2 to 5 are met twice.
            let rows = distinct(&draws);
            assert_eq!(rows, [0, 1, 2, 3, 4, 5]);
            check_gradient(6, |classifier, unit| {
                trainer.on_draws(classifier, unit, &rows, &draws, 1.5)
            });
        }
    }

    #[test]
    fn draws_are_distinct_and_negatives_are_of_other_classes() {
        let mut rng = Rng::new(1);
        let rows: Vec<usize> = (100..120).collect();
        let mut counts = [0; 20];
        for _ in 0..4_000 {
            let mut drawn = draw(&rows, 5, &mut rng);
            drawn.iter().for_each(|row| counts[row - 100] += 1);
            drawn.sort_unstable();
            drawn.dedup();
            assert_eq!(drawn.len(), 5);
        }
        assert!(
            counts.iter().all(|n| (880..1_120).contains(n)),
            "{counts:?}"
        );
        assert_eq!(draw(&rows[..2], 5, &mut rng).len(), 5);

        let values = random(40 * 4, 5);
        let labels: Vec<u32> = (0..40).map(|i| i % 2).collect();
        let train = Samples::new(&values, 4, &labels, 2).unwrap();
        let judge = Classifier::zero_shot(&values[..8], 4).unwrap();
        let calibration = CalibrationSet::new(&judge, &train).unwrap();
        let batch: Vec<usize> = (0..20).collect();
        for negatives in [
            Negatives::RandomOther,
            Negatives::NearestOther,
            Negatives::OwnClass,
        ] {
            let config = CfrConfig {
                negatives,
                ..CfrConfig::default()
            };
            let mut trainer = Trainer::new(&judge, &train, &calibration, &config);
            for draw in trainer.draw(&batch) {
                let label = train.label(draw.anchor);
                assert!(draw.positives.iter().all(|&row| train.label(row) == label));
                let own = negatives == Negatives::OwnClass;
                assert!(
                    draw.negatives
                        .iter()
                        .all(|&row| (train.label(row) == label) == own)
                );
                assert_eq!(draw.negatives.len(), 16);
            }
        }
    }

    #[test]
    fn the_schedule_is_the_intended_one() {
        let values = random(8, 5);
        let train = Samples::new(&values, 4, &[0, 1], 2).unwrap();
        let judge = Classifier::zero_shot(&values, 4).unwrap();
        let calibration = CalibrationSet::new(&judge, &train).unwrap();
        let config = CfrConfig {
            anchor_weight: AnchorWeight::Cosine,
            ..CfrConfig::default()
        };
        let trainer = Trainer::new(&judge, &train, &calibration, &config);
        assert_eq!(
            [0, 25, 50].map(|epoch| trainer.weight(epoch)),
            [1.5, 1.0, 0.5]
        );
    }
}
