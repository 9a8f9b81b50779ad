//! Training on the average, and on the average with some samples repeated.

use crate::{
    Classifier, Error, Result, Samples, Selection, SgdConfig,
    classifier::{Forward, cross_entropy},
    descent::{Gradient, descend},
    error::check_setting,
};

/// Empirical risk minimisation: cross-entropy, every sample with the same weight, the texts frozen.
/// Each epoch is offered to the selection; the last one is returned.
///
/// # Errors
/// If sizes do not fit, a setting is out of range, or the loss is no longer finite.
pub fn erm(
    start: &Classifier,
    train: &Samples<'_>,
    config: &SgdConfig,
    selection: Option<&mut Selection<'_>>,
) -> Result<Classifier> {
    let rows = (0..train.len()).collect();
    on_average(start, train, rows, config, selection.map(|s| (s, "")))
}

fn on_average(
    start: &Classifier,
    train: &Samples<'_>,
    rows: Vec<usize>,
    config: &SgdConfig,
    selection: Option<(&mut Selection<'_>, &str)>,
) -> Result<Classifier> {
    descend(
        start,
        train,
        rows,
        config,
        selection,
        |classifier, rows, _| {
            let weights = vec![1.0 / rows.len() as f32; rows.len()];
            weighted(classifier, train, rows, &weights)
        },
    )
}

/// Gradient of the cross-entropy of a batch whose samples have these weights.
pub(crate) fn weighted(
    classifier: &Classifier,
    train: &Samples<'_>,
    rows: &[usize],
    weights: &[f32],
) -> Gradient {
    let labels: Vec<usize> = rows.iter().map(|&row| train.label(row)).collect();
    let forward = Forward::new(classifier, train.gather(rows), None);
    let loss = cross_entropy(classifier, &forward.unit, &labels, weights);
    Gradient::new(classifier, &forward, loss)
}

/// Settings of [`jtt`].
#[derive(Clone, Debug, PartialEq)]
pub struct JttConfig {
    /// Epochs of the first training, whose mistakes count more in the second.
    pub identify_epochs: usize,
    /// How often a mistake occurs in an epoch of the second training; each is a candidate.
    pub upweights: Vec<usize>,
    /// Both trainings; `epochs` is the second's.
    pub sgd: SgdConfig,
}

/// Just train twice: a short ERM, then again from the start with the training samples that it got
/// wrong repeated, once for each of the `upweights`. Epochs of the second trainings are offered to
/// the selection; returns the last epoch of each, and the number of mistakes.
///
/// Source: Liu et al. 2021, "Just train twice: improving group robustness without training group
/// information". The paper's settings are 60 epochs and 100 for Waterbirds, 1 and 50 for CelebA.
///
/// # Errors
/// As [`erm`]; if there is no upweight, or one is 0.
pub fn jtt(
    start: &Classifier,
    train: &Samples<'_>,
    config: &JttConfig,
    mut selection: Option<&mut Selection<'_>>,
) -> Result<(Vec<Classifier>, usize)> {
    if config.upweights.is_empty() {
        return Err(Error::Empty { what: "upweights" });
    }
    for &upweight in &config.upweights {
        let problem = "must be at least 1";
        check_setting("upweight", upweight as f64, upweight > 0, problem)?;
    }
    let identify = SgdConfig {
        epochs: config.identify_epochs,
        ..config.sgd
    };
    let first = erm(start, train, &identify, None)?;
    let predicted = first.predict(train)?;
    let is_wrong = |row: &usize| predicted[*row] != train.labels()[*row];
    let wrong: Vec<usize> = (0..train.len()).filter(is_wrong).collect();
    let mut last = Vec::with_capacity(config.upweights.len());
    for &upweight in &config.upweights {
        let mut rows: Vec<usize> = (0..train.len()).collect();
        for _ in 1..upweight {
            rows.extend(&wrong);
        }
        let settings = format!("T {}, λ {upweight}, ", config.identify_epochs);
        let selection = selection.as_deref_mut().map(|s| (s, settings.as_str()));
        last.push(on_average(start, train, rows, &config.sgd, selection)?);
    }
    Ok((last, wrong.len()))
}
