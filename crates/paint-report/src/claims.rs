//! What the paper claims of each question, and when the numbers bear it out.
//!
//! Every claim is a set of bounds. It is supported if every interval lies
//! wholly on its side, not supported if one lies wholly on the other, else
//! undecided.

use crate::{Estimate, Measure, Outcome, Rq2Size, Verdict};

/// How many points may be lost before the loss counts.
const TOLERATED_LOSS: f64 = 1.0;

/// How many points CFR's worst group must be above ERM's.
const WORST_GROUP_GAIN: f64 = 10.0;

/// Accuracy of a model patched in one of three ways, the mean of that on the patching and that on
/// the supported tasks, minus that of the specialists; fractions, means over tasks (and seeds) on test images, paired.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MinusSpecialists {
    /// One fine-tuning on the union of the tasks.
    pub joint: Estimate,
    /// One task after the other.
    pub sequential: Estimate,
    /// Task by task from the same start, the differences added.
    pub parallel: Estimate,
}

/// Counting things where the number to count was never trained on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UnseenCount {
    /// Accuracy of the patched model on the count left out (7), a fraction.
    pub accuracy: Estimate,
    /// `accuracy` minus that of the unpatched model, paired.
    pub gain: Estimate,
}

/// What the case studies found: differences are patched minus unpatched, fractions, on test
/// images, paired.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CaseStudies {
    /// Images with a wrong name written on them, of classes never patched on.
    pub attack_gain: Estimate,
    /// The same images without the writing.
    pub clean_change: Estimate,
    /// Counting, where the suite has it.
    pub unseen_count: Option<UnseenCount>,
    /// Questions with several answers to choose from, where the suite has them.
    pub multiple_choice_gain: Option<Estimate>,
    /// Mean over the supported tasks and the studies.
    pub supported_change: Estimate,
}

/// What self-consistency and re-ranking found: differences of areas or of accuracies, fractions,
/// on test images, paired.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Consistency {
    /// AUROC of self-consistency minus that of the largest logit of bare names.
    pub auroc_gain: Estimate,
    /// The same minus that of the largest logit with prompts.
    pub auroc_gain_over_prompts: Estimate,
    /// Whether there is a hierarchy, so that answers of low confidence are re-ranked.
    pub has_hierarchy: bool,
    /// Change of top-1 at low confidence by re-ranking, against bare names; none without a
    /// hierarchy or without such answers.
    pub low_change: Option<Estimate>,
    /// The same against the prompt ensemble.
    pub low_change_prompted: Option<Estimate>,
}

impl Verdict {
    /// Does interpolating improve the patching tasks without hurting the
    /// supported ones?
    ///
    /// Supported if the mean gain is above 0 and the mean supported change
    /// above −1 point, both with their whole interval; not supported if one of
    /// the two lies wholly at or below its bound; else undecided. All three
    /// are means over tasks on test images.
    pub fn rq1(
        patch_gain_mean: &Estimate,
        supported_change_mean: &Estimate,
        zero_shot_supported: &Estimate,
    ) -> Self {
        let gain = Measure::points(patch_gain_mean);
        let change = Measure::points(supported_change_mean);
        Self::new(
            "rq1",
            all_above(&[(gain, 0.0), (change, -TOLERATED_LOSS)]),
            [
                ("patch_gain_mean", gain),
                ("supported_change_mean", change),
                ("zero_shot_supported", Measure::points(zero_shot_supported)),
            ],
        )
    }

    /// Do larger models patch better?
    ///
    /// Claim: the distance to the ideal falls from every size to the next.
    /// Supported if every successive difference ([`Rq2Size::step`]) is below 0
    /// with its whole interval; not supported if one of them lies wholly at or
    /// above 0; else undecided, as with a single size or a difference that was not
    /// measured.
    ///
    /// Measures for every size: `distance_to_ideal_`, `gain_`,
    /// `supported_change_` (points) and `cka_` (on patching images) with the
    /// size's name. `sizes` are in the order of their number of parameters.
    pub fn rq2(sizes: &[Rq2Size]) -> Self {
        let steps: Option<Vec<Measure>> = sizes
            .iter()
            .skip(1)
            .map(|size| size.step.as_ref().map(Measure::points))
            .collect();
        let verdict = match steps.as_deref() {
            None | Some([]) => Outcome::Undecided,
            Some(steps) => {
                let falls: Vec<(Measure, f64)> =
                    steps.iter().map(|step| (step.negated(), 0.0)).collect();
                all_above(&falls)
            }
        };
        let measures = sizes.iter().flat_map(|size| {
            [
                ("distance_to_ideal", Measure::points(&size.distance)),
                ("gain", Measure::points(&size.gain)),
                ("supported_change", Measure::points(&size.supported_change)),
                ("cka", size.cka_patching),
            ]
            .map(|(name, measure)| (format!("{name}_{}", size.name), measure))
        });
        Self::new("rq2", verdict, measures)
    }

    /// Is one model patched jointly on several tasks as good as one specialist
    /// per task?
    ///
    /// Supported if joint minus specialists is above −1 point with its whole
    /// interval; not supported if it lies wholly at or below −1 point; else
    /// undecided. The paper's order (joint, then sequential, then parallel) is
    /// told by the three numbers and decides nothing.
    pub fn rq3(minus_specialists: &MinusSpecialists) -> Self {
        let joint = Measure::points(&minus_specialists.joint);
        Self::new(
            "rq3",
            all_above(&[(joint, -TOLERATED_LOSS)]),
            [
                ("joint_minus_specialists", joint),
                (
                    "sequential_minus_specialists",
                    Measure::points(&minus_specialists.sequential),
                ),
                (
                    "parallel_minus_specialists",
                    Measure::points(&minus_specialists.parallel),
                ),
            ],
        )
    }

    /// Does patching on some classes of a task improve its other classes?
    ///
    /// `transfers` has one difference per task: accuracy on the classes never
    /// patched on, after minus before, a fraction, paired. Supported if at
    /// least two thirds of the tasks (6 of 9) improved with their whole
    /// interval above 0, and so did the mean; not supported if the interval of
    /// the mean lies wholly at or below 0, whatever the tasks say; else
    /// undecided.
    pub fn rq4(transfers: &[Estimate], mean_transfer: &Estimate) -> Self {
        let mean = Measure::points(mean_transfer);
        let n_improved = transfers.iter().filter(|t| t.low() > 0.0).count();
        let verdict = if mean.high <= 0.0 {
            Outcome::NotSupported
        } else if !transfers.is_empty() && mean.low > 0.0 && 3 * n_improved >= 2 * transfers.len() {
            Outcome::Supported
        } else {
            Outcome::Undecided
        };
        let rows_improved = Measure::counted(n_improved as u64, transfers.len() as u64);
        Self::new(
            "rq4",
            verdict,
            [("rows_improved", rows_improved), ("mean_transfer", mean)],
        )
    }

    /// Does patching mend typographic attacks, counting and multiple-choice
    /// questions?
    ///
    /// Supported if the gain under attack, the gain on the unseen count and
    /// the gain in multiple choice are above 0 and the changes on clean images
    /// and on the supported tasks (the mean over tasks and studies) above −1
    /// point, each with its whole interval; not supported if one of them lies
    /// wholly at or below its bound; else undecided. Studies that the suite
    /// does not have are left out.
    pub fn rq5(studies: &CaseStudies) -> Self {
        let attack = Measure::points(&studies.attack_gain);
        let clean = Measure::points(&studies.clean_change);
        let supported = Measure::points(&studies.supported_change);
        let mut bounds = vec![
            (attack, 0.0),
            (clean, -TOLERATED_LOSS),
            (supported, -TOLERATED_LOSS),
        ];
        let mut measures = vec![
            ("attack_gain", attack),
            ("clean_change", clean),
            ("supported_change", supported),
        ];
        if let Some(UnseenCount { accuracy, gain }) = &studies.unseen_count {
            let gain = Measure::points(gain);
            bounds.push((gain, 0.0));
            measures.push(("unseen_count_accuracy", Measure::points(accuracy)));
            measures.push(("unseen_count_gain", gain));
        }
        if let Some(gain) = &studies.multiple_choice_gain {
            let gain = Measure::points(gain);
            bounds.push((gain, 0.0));
            measures.push(("multiple_choice_gain", gain));
        }
        Self::new("rq5", all_above(&bounds), measures)
    }

    /// Does contrastive feature recalibration mend what plain training relies on wrongly?
    ///
    /// `minus_erm` has for each dataset worst-group accuracy of CFR minus that of ERM, each as
    /// validation's worst group chose it, a fraction, the mean over seeds on test images.
    /// Supported if every one is above 10 points with its whole interval; not supported if one
    /// lies wholly at or below; else undecided. The same by the selector that needs no groups,
    /// `minus_erm_by_class`, is told beside.
    pub fn groups(
        minus_erm: &[(String, Estimate)],
        minus_erm_by_class: &[(String, Estimate)],
    ) -> Self {
        let named = |prefix: &'static str, all: &[(String, Estimate)]| -> Vec<(String, Measure)> {
            let measure = |(name, estimate): &(String, Estimate)| {
                (format!("{prefix}{name}"), Measure::points(estimate))
            };
            all.iter().map(measure).collect()
        };
        let by_group = named("cfr_minus_erm_", minus_erm);
        let bounds: Vec<(Measure, f64)> = by_group
            .iter()
            .map(|(_, m)| (*m, WORST_GROUP_GAIN))
            .collect();
        let verdict = match bounds.is_empty() {
            true => Outcome::Undecided,
            false => all_above(&bounds),
        };
        let by_class = named("cfr_minus_erm_by_class_", minus_erm_by_class);
        Self::new("groups", verdict, by_group.into_iter().chain(by_class))
    }

    /// Does self-consistency know wrong answers, and does a label hierarchy mend them?
    ///
    /// Supported if self-consistency's AUROC minus max-logit's, and where there is a hierarchy the
    /// change of top-1 at low confidence against bare names, are above 0 with their whole interval;
    /// not supported if one lies wholly at or below 0; else undecided, as it is at best where a
    /// hierarchy finds no answer of low confidence. The same against prompts is told beside.
    pub fn hierarchy(found: &Consistency) -> Self {
        let gain = Measure::points(&found.auroc_gain);
        let mut bounds = vec![(gain, 0.0)];
        let mut measures = vec![
            ("auroc_gain", gain),
            (
                "auroc_gain_over_prompts",
                Measure::points(&found.auroc_gain_over_prompts),
            ),
        ];
        if let Some(change) = &found.low_change {
            let change = Measure::points(change);
            bounds.push((change, 0.0));
            measures.push(("low_change", change));
        }
        if let Some(change) = &found.low_change_prompted {
            measures.push(("low_change_prompted", Measure::points(change)));
        }
        let verdict = match all_above(&bounds) {
            Outcome::Supported if found.has_hierarchy && found.low_change.is_none() => {
                Outcome::Undecided
            }
            verdict => verdict,
        };
        Self::new("hierarchy", verdict, measures)
    }

    fn new<Name: Into<String>>(
        question: &str,
        verdict: Outcome,
        measures: impl IntoIterator<Item = (Name, Measure)>,
    ) -> Self {
        Self {
            question: question.to_owned(),
            verdict,
            measures: measures
                .into_iter()
                .map(|(name, measure)| (name.into(), measure))
                .collect(),
        }
    }

    /// The claim and how the answer follows from the measures, for the page.
    pub(crate) fn rule(&self) -> &'static str {
        match self.question.as_str() {
            "rq1" => {
                "Claim: interpolating improves the patching tasks without hurting the supported ones. \
                 “Supported” requires the whole interval of the mean gain above 0 and that of the mean change \
                 above −1 point; “not supported”, that one of them lies wholly at or below its bound."
            }
            "rq2" => {
                "Claim: larger models patch better, so that the distance to the ideal falls from each size to the next. \
                 “Supported” requires the whole interval of every successive difference below 0; “not supported”, \
                 that one of them lies wholly at or above 0; with a single size it is undecided."
            }
            "rq3" => {
                "Claim: one model patched jointly on all tasks is as good as one specialist per task. \
                 “Supported” requires the whole interval of joint minus specialists above −1 point; “not supported”, \
                 that it lies wholly at or below. Sequential and parallel patching are told beside and decide nothing."
            }
            "rq4" => {
                "Claim: patching on some classes of a task improves the classes it never saw. \
                 “Supported” requires that at least two thirds of the tasks and their mean improved with their whole \
                 interval above 0, each task's at 95 %, not corrected for their number; \
                 “not supported”, that the interval of the mean lies wholly at or below 0."
            }
            "rq5" => {
                "Claim: patching mends typographic attacks at little cost on clean images and on the supported tasks, \
                 and counting and multiple choice where the suite has them. “Supported” requires the whole interval of \
                 every gain above 0 and those of the change on clean images and of that on the supported tasks, its mean over \
                 tasks and studies, above −1 point; “not supported”, that one of them lies wholly at or \
                 below its bound."
            }
            "groups" => {
                "Claim: contrastive feature recalibration, which trains without group labels, raises worst-group accuracy \
                 by more than 10 points above plain training (ERM). “Supported” requires the whole interval of the \
                 difference above 10 points on every dataset, both chosen by the worst group on validation; “not \
                 supported”, that one lies wholly at or below. The same chosen by the worst class is told beside."
            }
            "hierarchy" => {
                "Claim: agreement of prompts and views knows wrong answers better than the largest logit, and with a label \
                 hierarchy the unsure answers get better. “Supported” requires the whole interval of the difference in \
                 AUROC, and with a hierarchy that of the change at low confidence against bare names, above 0; “not \
                 supported”, that one of them lies wholly at or below 0. A hierarchy without an answer of low \
                 confidence to mend leaves it undecided."
            }
            _ => "",
        }
    }
}

/// Whether all measures lie above their bounds.
fn all_above(bounds: &[(Measure, f64)]) -> Outcome {
    if bounds.iter().any(|(measure, bound)| measure.high <= *bound) {
        Outcome::NotSupported
    } else if bounds.iter().all(|(measure, bound)| measure.low > *bound) {
        Outcome::Supported
    } else {
        Outcome::Undecided
    }
}
