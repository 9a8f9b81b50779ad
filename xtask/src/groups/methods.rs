//! Every method on one dataset and seed, each with its own settings.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use paint_groups::{
    AfrConfig, CalibrationSet, CfrConfig, Classifier, DfrConfig, GroupMetrics, GroupedSamples,
    Holistic, JttConfig, Negatives, Positives, Samples, Selected, SelectedBy, Selection, SgdConfig,
    Targeted, afr, cfr, dfr, erm, group_dro, jtt,
};
use rayon::prelude::*;
use serde::Serialize;

use super::grouped::Data;

/// How long a method trains, and how fast.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Schedule {
    pub(crate) epochs: usize,
    pub(crate) learning_rate: f64,
}

/// Settings of all methods: ten times the published rate for a tenth of the epochs, in a tenth of
/// the time. What else deviates from the published settings stands in [`notes`].
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Schedules {
    /// ERM, the base of AFR, JTT's first training and group DRO: CFR's public code has 300 epochs
    /// of 1e-4.
    pub(crate) erm: Schedule,
    /// CFR, in whose public code it is 100 epochs of 1e-4. JTT's second training is cut to as many
    /// epochs; its paper has as many as for ERM.
    pub(crate) cfr: Schedule,
    /// Epochs of JTT's first training: 60 of 300 in the paper.
    pub(crate) identify_epochs: usize,
}

impl Schedules {
    /// What is given, else each method's own.
    pub(crate) fn new(epochs: Option<usize>, learning_rate: Option<f64>) -> Self {
        let schedule = |own: usize| Schedule {
            epochs: epochs.unwrap_or(own),
            learning_rate: learning_rate.unwrap_or(1e-3),
        };
        let erm = schedule(30);
        Self {
            erm,
            cfr: schedule(10),
            identify_epochs: (erm.epochs / 5).max(1),
        }
    }
}

/// Training images counted once more when the first training gets them wrong.
const UPWEIGHTS: [usize; 3] = [5, 20, 50];
/// What CFR's anchors meet: positives, negatives, samples of a step that bring an anchor.
const N_MET: usize = 16;
const ANCHORS_PER_STEP: usize = 32;
const BANK_PER_STEP: usize = 32;
const TEMPERATURE: f32 = 0.1;

/// What a row of the table is: method, and by what its classifier was chosen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    order: usize,
    pub(crate) method: String,
    pub(crate) by: Option<SelectedBy>,
    pub(crate) chosen_by: String,
}

/// What a classifier does on test images.
pub(crate) struct Tested {
    pub(crate) metrics: GroupMetrics,
    /// Mean of the groups' accuracies weighted as in training.
    pub(crate) adjusted: f64,
}

/// By row, one for each seed.
pub(crate) type Results = BTreeMap<Row, Vec<Tested>>;

/// The row of all CFR variants, of which validation chooses, too.
pub(crate) const CFR: &str = "CFR";
pub(crate) const ERM: &str = "ERM";

struct Report<'a> {
    data: &'a Data,
    results: Results,
}

impl Report<'_> {
    fn add(
        &mut self,
        method: &str,
        by: Option<SelectedBy>,
        chosen_by: &str,
        classifier: &Classifier,
    ) -> Result<()> {
        let test = &self.data.test;
        let predicted = classifier.predict(&test.samples()?)?;
        let metrics = GroupMetrics::new(&predicted, &test.groups)?;
        let adjusted = metrics.adjusted_average(&self.data.train.groups)?.value;
        let row = Row {
            order: self.results.len(),
            method: method.to_owned(),
            by,
            chosen_by: chosen_by.to_owned(),
        };
        self.results.insert(row, vec![Tested { metrics, adjusted }]);
        Ok(())
    }

    fn add_selected(&mut self, method: &str, selection: &Selection<'_>) -> Result<()> {
        let mut selected: Vec<&Selected> = selection.selected().iter().collect();
        selected.sort_by_key(|s| s.by);
        for selected in selected {
            let by = selected.by;
            self.add(method, Some(by), &by.to_string(), &selected.classifier)?;
        }
        Ok(())
    }
}

/// Trains and tests everything with one seed, the methods side by side.
pub(crate) fn all_methods(data: &Data, schedules: &Schedules, seed: u64) -> Result<Results> {
    let zero_shot = Classifier::zero_shot(&data.texts, data.width)?;
    let train = data.train.samples()?;
    let validation = data.validation.grouped()?;
    let methods = Methods {
        zero_shot: &zero_shot,
        train: &train,
        validation: &validation,
        schedules,
        seed,
    };
    let on_average = || methods.on_average();
    let (on_average, (afr, (dfr, dro))) = rayon::join(on_average, || {
        let oracles = || rayon::join(|| methods.dfr(), || methods.group_dro(data));
        rayon::join(|| methods.afr(), oracles)
    });
    let (on_average, dfr) = (on_average?, dfr?);

    let mut report = Report {
        data,
        results: Results::new(),
    };
    report.add("zero-shot", None, "nothing", &zero_shot)?;
    report.add_selected(ERM, &on_average.erm)?;
    report.add_selected("JTT", &on_average.jtt)?;
    report.add_selected("AFR", &afr?)?;
    let mut of_all = Selection::with_groups(&validation);
    for (name, selection) in on_average.cfr {
        report.add_selected(&format!("{CFR} {name}"), &selection)?;
        of_all.merge(selection);
    }
    report.add_selected(CFR, &of_all)?;
    let by = "worst group on half of validation";
    report.add("DFR (oracle)", None, by, &dfr)?;
    report.add_selected("group DRO (oracle)", &dro?)?;
    Ok(report.results)
}

/// What every method starts from, and its settings.
#[derive(Clone, Copy)]
struct Methods<'a> {
    zero_shot: &'a Classifier,
    train: &'a Samples<'a>,
    validation: &'a GroupedSamples<'a>,
    schedules: &'a Schedules,
    seed: u64,
}

/// ERM, and what needs it or is like it.
struct OnAverage<'a> {
    erm: Selection<'a>,
    jtt: Selection<'a>,
    /// By variant.
    cfr: Vec<(String, Selection<'a>)>,
}

impl<'a> Methods<'a> {
    fn selection(&self) -> Selection<'a> {
        Selection::with_groups(self.validation)
    }

    fn sgd(&self, schedule: Schedule) -> SgdConfig {
        SgdConfig {
            epochs: schedule.epochs,
            learning_rate: schedule.learning_rate,
            seed: self.seed,
            ..SgdConfig::default()
        }
    }

    fn on_average(&self) -> Result<OnAverage<'a>> {
        let (jtt, of_erm) = rayon::join(
            || self.jtt(),
            || -> Result<_> {
                let mut selection = self.selection();
                let config = self.sgd(self.schedules.erm);
                let last = erm(self.zero_shot, self.train, &config, Some(&mut selection))?;
                Ok((selection, self.cfr(&last)?))
            },
        );
        let (erm, cfr) = of_erm?;
        Ok(OnAverage {
            erm,
            jtt: jtt?,
            cfr,
        })
    }

    fn jtt(&self) -> Result<Selection<'a>> {
        let mut selection = self.selection();
        let config = JttConfig {
            identify_epochs: self.schedules.identify_epochs,
            upweights: UPWEIGHTS.to_vec(),
            sgd: SgdConfig {
                epochs: self.schedules.cfr.epochs,
                ..self.sgd(self.schedules.erm)
            },
        };
        jtt(self.zero_shot, self.train, &config, Some(&mut selection))?;
        Ok(selection)
    }

    fn afr(&self) -> Result<Selection<'a>> {
        let mut selection = self.selection();
        let (first, second) = self.train.split(0.8, self.seed)?;
        let base = erm(self.zero_shot, &first, &self.sgd(self.schedules.erm), None)?;
        afr(&base, &second, &AfrConfig::default(), &mut selection)?;
        Ok(selection)
    }

    /// All variants, whose anchors are what `erm` gets wrong.
    fn cfr(&self, erm: &Classifier) -> Result<Vec<(String, Selection<'a>)>> {
        let calibration = CalibrationSet::new(erm, self.train).context(
            "CFR starts from what ERM gets right and wrong; train it with more --epochs",
        )?;
        let variants = recalibrations(self.sgd(self.schedules.cfr));
        let of_variant = |(name, config): (String, CfrConfig)| {
            let mut selection = self.selection();
            let chosen = Some(&mut selection);
            cfr(self.zero_shot, self.train, &calibration, &config, chosen)?;
            Ok((name, selection))
        };
        variants.into_par_iter().map(of_variant).collect()
    }

    fn dfr(&self) -> Result<Classifier> {
        let config = DfrConfig {
            seed: self.seed,
            ..DfrConfig::default()
        };
        Ok(dfr(self.zero_shot, self.validation, &config)?.classifier)
    }

    fn group_dro(&self, data: &Data) -> Result<Selection<'a>> {
        let mut selection = self.selection();
        let grouped = data.train.grouped()?;
        let config = self.sgd(self.schedules.erm);
        group_dro(
            self.zero_shot,
            &grouped,
            0.01,
            &config,
            Some(&mut selection),
        )?;
        Ok(selection)
    }
}

/// CFR's sampling variants, and one of them with the other holistic term and with the published
/// temperature, at which the contrastive term is nearly flat.
fn recalibrations(sgd: SgdConfig) -> Vec<(String, CfrConfig)> {
    let (random, centroid) = (
        Positives::RandomCorrect { n: N_MET },
        Positives::DynamicCentroid { draws: N_MET },
    );
    let first = CfrConfig {
        sgd,
        positives: random,
        negatives: Negatives::RandomOther,
        n_negatives: N_MET,
        holistic: Holistic::Targeted(Targeted::default()),
        temperature: TEMPERATURE,
        anchors_per_step: ANCHORS_PER_STEP,
        bank_per_step: BANK_PER_STEP,
        ..CfrConfig::default()
    };
    let sampling = |positives, negatives| CfrConfig {
        positives,
        negatives,
        ..first
    };
    let cosine = CfrConfig {
        holistic: Holistic::Cosine,
        ..first
    };
    let flat = CfrConfig {
        temperature: 1.0,
        ..first
    };
    let variants = [
        ("+random −random", first),
        (
            "+random −nearest",
            sampling(random, Negatives::NearestOther),
        ),
        (
            "+centroid −random",
            sampling(centroid, Negatives::RandomOther),
        ),
        (
            "+centroid −nearest",
            sampling(centroid, Negatives::NearestOther),
        ),
        ("+random −random, cosine", cosine),
        ("+random −random, τ 1", flat),
    ];
    variants
        .map(|(name, config)| (name.to_owned(), config))
        .to_vec()
}

/// What the table says of the settings.
pub(crate) fn notes(schedules: &Schedules) -> Vec<String> {
    let Schedules {
        erm,
        cfr,
        identify_epochs,
    } = schedules;
    vec![
        format!(
            "SGD with momentum on a linear block before the class texts, from zero-shot: ERM, the \
             base of AFR and group DRO {} epochs of rate {} (published: 300 of 1e-4); CFR {} of {} \
             (published: 100 of 1e-4); JTT {identify_epochs}, then {} more of {}, fewer than \
             published, where the second training is as long as ERM's. Each epoch is a candidate.",
            erm.epochs,
            erm.learning_rate,
            cfr.epochs,
            cfr.learning_rate,
            cfr.epochs,
            erm.learning_rate
        ),
        format!(
            "JTT repeats the first training's mistakes {UPWEIGHTS:?} times. CFR: anchors are what \
             the last epoch of ERM gets wrong, τ {TEMPERATURE} (published: 1), weight 1.5, {N_MET} positives and \
             negatives, {ANCHORS_PER_STEP} anchors a step (published: 128) that draw from \
             {BANK_PER_STEP} samples of each class's bank (published: all); “CFR” alone is the variant that \
             validation chose. The oracles see group labels: DFR those of validation, group DRO \
             those of training."
        ),
    ]
}
