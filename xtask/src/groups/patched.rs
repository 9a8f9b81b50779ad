//! What patching changed in the eyes of groups.

use anyhow::Result;
use paint_data::SplitName;
use paint_eval::{Paired, Predictions, TOP};
use paint_groups::{Classifier, GroupMetrics};
use paint_report::{Estimate, GroupsSideEffect, Kind, Record, Role, Split};

use super::Plan;
use super::grouped::{Data, Grouped};
use crate::embeddings::Embedder;
use crate::findings::{change, estimate};
use crate::progress::Console;
use crate::side_effects::PatchedModel;

/// Zero-shot answers of the model and of a patched one to the same test images.
pub(super) fn side_effect(
    dataset: &Grouped,
    data: &Data,
    patched: &PatchedModel,
    console: &Console,
) -> Result<GroupsSideEffect> {
    let embedder = Embedder::new(&patched.model)?;
    let test = dataset.split(SplitName::Test, &embedder, console)?;
    let after = Classifier::zero_shot(&dataset.texts(&embedder)?, embedder.width())?;
    let after = after.predict(&test.samples()?)?;
    let before = Classifier::zero_shot(&data.texts, data.width)?;
    let before = before.predict(&data.test.samples()?)?;
    let metrics = |predicted: &[u32]| GroupMetrics::new(predicted, &data.test.groups);
    let (was, is) = (metrics(&before)?, metrics(&after)?);
    let paired = Paired::new(&answers(data, &before)?, &answers(data, &after)?)?.difference();
    Ok(GroupsSideEffect {
        patched_on: patched.task.clone(),
        dataset: dataset.name.clone(),
        worst: [estimate(was.worst().1)?, estimate(is.worst().1)?],
        worst_change: change(is.worst_minus(&was))?,
        mean: [estimate(was.mean)?, estimate(is.mean)?],
        mean_change: change(paired)?,
    })
}

/// Only the best class is known; the others follow in their order.
fn answers(data: &Data, predicted: &[u32]) -> Result<Predictions> {
    let n_classes = data.texts.len() / data.width;
    let ranked = predicted.iter().flat_map(|&best| {
        let others = (0..n_classes as u32).filter(move |&class| class != best);
        std::iter::once(best).chain(others).take(TOP)
    });
    let labels = data.test.labels().to_vec();
    Ok(Predictions::new(labels, ranked.collect(), n_classes)?)
}

/// Worst-group and mean accuracy of the zero-shot model before and after patching.
pub(super) fn records(plan: &Plan, effect: &GroupsSideEffect) -> Vec<Record> {
    let of = |measure: &str, [before, after]: &[Estimate; 2], change: &Estimate| {
        let facts = [
            (Kind::Accuracy, "before patching", before),
            (Kind::Accuracy, "after patching", after),
            (Kind::Difference, "after minus before patching", change),
        ];
        facts.map(|(kind, when, value)| {
            Record::new(plan.question, kind)
                .measure(&format!("{measure}, {when}"))
                .method("zero-shot")
                .model(&plan.model)
                .task(&effect.patched_on)
                .on(&effect.dataset, Role::Supported, Split::Test)
                .estimate(value)
        })
    };
    let worst = of("worst group", &effect.worst, &effect.worst_change);
    let mean = of("mean", &effect.mean, &effect.mean_change);
    worst.into_iter().chain(mean).collect()
}
