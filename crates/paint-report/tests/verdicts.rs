//! Made-up numbers of each kind for each question: supported, not supported, undecided.
#![expect(
    clippy::unwrap_used,
    reason = "a failed unwrap is a failed test, in the fixtures too"
)]

use Outcome::{NotSupported, Supported, Undecided};
use paint_report::{
    CaseStudies, Consistency, Curve, Estimate, Measure, MinusSpecialists, Outcome, Rq2Size,
    UnseenCount, Verdict,
};

/// Value and half the width of its interval.
type Made = (f64, f64);

fn estimate((value, half_width): Made) -> Estimate {
    Estimate::new(value, value - half_width, value + half_width, 1000).unwrap()
}

fn names(verdict: &Verdict) -> Vec<&str> {
    verdict.measures.keys().map(String::as_str).collect()
}

#[test]
fn rq1_needs_a_gain_without_a_loss() {
    let check = |gain: Made, change: Made, expected: Outcome| {
        let verdict = Verdict::rq1(&estimate(gain), &estimate(change), &estimate((0.8, 0.02)));
        assert_eq!(
            verdict.verdict, expected,
            "gain {gain:?}, change {change:?}"
        );
    };
    check((0.30, 0.01), (-0.004, 0.003), Supported);
    check((0.30, 0.01), (0.002, 0.003), Supported);
    check((0.30, 0.01), (-0.008, 0.003), Undecided);
    check((0.01, 0.02), (-0.004, 0.003), Undecided);
    check((0.30, 0.01), (-0.020, 0.003), NotSupported);
    check((-0.02, 0.01), (0.0, 0.003), NotSupported);
    // Nothing moved at all: alpha = 0 everywhere is no improvement.
    check((0.0, 0.0), (0.0, 0.0), NotSupported);
}

fn size(name: &str, distance: f64, step: Option<Made>) -> Rq2Size {
    Rq2Size {
        name: name.to_owned(),
        n_parameters: 1,
        gain: estimate((0.3, 0.01)),
        supported_change: estimate((-0.005, 0.002)),
        distance: estimate((distance, 0.01)),
        step: step.map(estimate),
        layers: Vec::new(),
        cka_supported: Measure::exact(0.98, 500).unwrap(),
        cka_patching: Measure::exact(0.75, 500).unwrap(),
        average: Curve {
            task: String::new(),
            points: Vec::new(),
            chosen: None,
        },
        tasks: Vec::new(),
    }
}

#[test]
fn rq2_needs_every_step_downwards() {
    let check = |steps: &[Option<Made>], expected: Outcome| {
        let first = size("size-0", 0.1, None);
        let later = steps
            .iter()
            .enumerate()
            .map(|(i, step)| size(&format!("size-{}", i + 1), 0.05, *step));
        let sizes: Vec<Rq2Size> = std::iter::once(first).chain(later).collect();
        assert_eq!(Verdict::rq2(&sizes).verdict, expected, "{steps:?}");
    };
    check(&[Some((-0.03, 0.01)), Some((-0.02, 0.01))], Supported);
    check(&[Some((-0.03, 0.01)), Some((-0.01, 0.02))], Undecided);
    check(&[Some((-0.03, 0.01)), Some((0.01, 0.02))], Undecided);
    check(&[Some((-0.03, 0.01)), Some((0.03, 0.01))], NotSupported);
    check(&[Some((-0.01, 0.02)), Some((0.03, 0.01))], NotSupported);
    // One size says nothing about scale, and neither does a step nobody measured.
    check(&[], Undecided);
    check(&[Some((-0.03, 0.01)), None], Undecided);
    assert_eq!(Verdict::rq2(&[]).verdict, Undecided);
}

#[test]
fn rq2_measures_bear_the_names_of_the_sizes() {
    let sizes = [
        size("world-s", 0.1, None),
        size("world-m", 0.07, Some((-0.03, 0.01))),
    ];
    let verdict = Verdict::rq2(&sizes);
    let expected = [
        "cka_world-m",
        "cka_world-s",
        "distance_to_ideal_world-m",
        "distance_to_ideal_world-s",
        "gain_world-m",
        "gain_world-s",
        "supported_change_world-m",
        "supported_change_world-s",
    ];
    assert_eq!(names(&verdict), expected);
    let value = |name: &str| verdict.measures[name].value;
    assert!((value("distance_to_ideal_world-m") - 7.0).abs() < 1e-9);
    assert!((value("supported_change_world-s") + 0.5).abs() < 1e-9);
    assert_eq!(value("cka_world-s"), 0.75);
}

#[test]
fn rq3_needs_joint_within_a_point_of_the_specialists() {
    let verdict = |joint: Made| {
        Verdict::rq3(&MinusSpecialists {
            joint: estimate(joint),
            sequential: estimate((-0.05, 0.01)),
            parallel: estimate((-0.2, 0.01)),
        })
    };
    let check = |joint: Made, expected: Outcome| {
        assert_eq!(verdict(joint).verdict, expected, "{joint:?}");
    };
    check((-0.005, 0.004), Supported);
    check((0.02, 0.001), Supported);
    check((-0.005, 0.006), Undecided);
    check((-0.012, 0.004), Undecided);
    check((-0.02, 0.004), NotSupported);
    assert_eq!(
        names(&verdict((0.0, 0.0))),
        [
            "joint_minus_specialists",
            "parallel_minus_specialists",
            "sequential_minus_specialists"
        ]
    );
}

#[test]
fn rq4_needs_two_thirds_of_the_tasks() {
    let verdict = |n_improved: usize, n_tasks: usize, mean: Made| {
        let transfers: Vec<Estimate> = (0..n_tasks)
            .map(|i| estimate((0.02, if i < n_improved { 0.01 } else { 0.03 })))
            .collect();
        Verdict::rq4(&transfers, &estimate(mean))
    };
    let check = |n_improved, n_tasks, mean, expected| {
        assert_eq!(
            verdict(n_improved, n_tasks, mean).verdict,
            expected,
            "{n_improved} of {n_tasks}, mean {mean:?}"
        );
    };
    check(6, 9, (0.05, 0.01), Supported);
    check(9, 9, (0.05, 0.01), Supported);
    check(2, 3, (0.05, 0.01), Supported);
    check(5, 9, (0.05, 0.01), Undecided);
    check(1, 2, (0.05, 0.01), Undecided);
    check(0, 0, (0.05, 0.01), Undecided);
    check(0, 9, (0.0, 0.01), Undecided);
    // Two thirds of the tasks without their mean are not the claim.
    check(6, 9, (0.005, 0.01), Undecided);
    check(0, 9, (-0.02, 0.01), NotSupported);
    // A few tasks that lose much outweigh many that gain a little.
    check(6, 9, (-0.02, 0.01), NotSupported);
    let measures = verdict(6, 9, (0.05, 0.01)).measures;
    let improved = measures["rows_improved"];
    assert_eq!(
        (improved.value, improved.low, improved.high, improved.n),
        (6.0, 6.0, 6.0, 9)
    );
    assert!((measures["mean_transfer"].high - 6.0).abs() < 1e-9);
}

fn studies() -> CaseStudies {
    CaseStudies {
        attack_gain: estimate((0.35, 0.02)),
        clean_change: estimate((-0.004, 0.005)),
        unseen_count: Some(UnseenCount {
            accuracy: estimate((0.95, 0.02)),
            gain: estimate((0.4, 0.03)),
        }),
        multiple_choice_gain: Some(estimate((0.18, 0.02))),
        supported_change: estimate((-0.003, 0.005)),
    }
}

#[test]
fn rq5_needs_every_study() {
    let check = |studies: CaseStudies, expected: Outcome| {
        assert_eq!(Verdict::rq5(&studies).verdict, expected, "{studies:?}");
    };
    let counting = |gain: Made| {
        Some(UnseenCount {
            accuracy: estimate((0.5, 0.02)),
            gain: estimate(gain),
        })
    };
    let (attack, clean) = (
        |made| CaseStudies {
            attack_gain: estimate(made),
            ..studies()
        },
        |made| CaseStudies {
            clean_change: estimate(made),
            ..studies()
        },
    );
    check(studies(), Supported);
    check(attack((0.01, 0.02)), Undecided);
    check(attack((-0.03, 0.02)), NotSupported);
    check(clean((-0.008, 0.005)), Undecided);
    check(clean((-0.02, 0.005)), NotSupported);
    let kept = |made| CaseStudies {
        supported_change: estimate(made),
        ..studies()
    };
    check(kept((-0.008, 0.005)), Undecided);
    check(kept((-0.03, 0.005)), NotSupported);
    let other = CaseStudies {
        unseen_count: counting((0.01, 0.02)),
        ..studies()
    };
    check(other, Undecided);
    let other = CaseStudies {
        unseen_count: counting((-0.1, 0.02)),
        ..studies()
    };
    check(other, NotSupported);
    let other = CaseStudies {
        multiple_choice_gain: Some(estimate((0.01, 0.02))),
        ..studies()
    };
    check(other, Undecided);
    let other = CaseStudies {
        multiple_choice_gain: Some(estimate((-0.03, 0.02))),
        ..studies()
    };
    check(other, NotSupported);
    let other = CaseStudies {
        unseen_count: None,
        multiple_choice_gain: None,
        ..studies()
    };
    check(other, Supported);
    assert_eq!(
        names(&Verdict::rq5(&other)),
        ["attack_gain", "clean_change", "supported_change"]
    );
    assert_eq!(
        names(&Verdict::rq5(&studies())),
        [
            "attack_gain",
            "clean_change",
            "multiple_choice_gain",
            "supported_change",
            "unseen_count_accuracy",
            "unseen_count_gain"
        ]
    );
}

#[test]
fn groups_needs_ten_points_on_every_dataset() {
    let check = |gains: &[Made], expected: Outcome| {
        let gains = gains.iter().enumerate();
        let gains: Vec<(String, Estimate)> = gains
            .map(|(i, &gain)| (format!("set-{i}"), estimate(gain)))
            .collect();
        let verdict = Verdict::groups(&gains, &gains);
        assert_eq!(verdict.verdict, expected, "{gains:?}");
        assert_eq!(verdict.measures.len(), 2 * gains.len());
    };
    check(&[(0.30, 0.05), (0.12, 0.01)], Supported);
    check(&[(0.30, 0.05), (0.12, 0.03)], Undecided);
    check(&[(0.30, 0.05), (0.05, 0.03)], NotSupported);
    check(&[], Undecided);
    let one = [("birds".to_owned(), estimate((0.2, 0.05)))];
    let measures = ["cfr_minus_erm_birds", "cfr_minus_erm_by_class_birds"];
    assert_eq!(names(&Verdict::groups(&one, &one)), measures);
}

#[test]
fn hierarchy_needs_confidence_and_where_there_is_one_a_better_top_1() {
    let check = |auroc: Made, has_hierarchy: bool, low: Option<Made>, expected: Outcome| {
        let verdict = Verdict::hierarchy(&Consistency {
            auroc_gain: estimate(auroc),
            auroc_gain_over_prompts: estimate((-0.1, 0.01)),
            has_hierarchy,
            low_change: low.map(estimate),
            low_change_prompted: None,
        });
        assert_eq!(
            verdict.verdict, expected,
            "{auroc:?} {has_hierarchy} {low:?}"
        );
    };
    check((0.10, 0.03), false, None, Supported);
    check((0.10, 0.03), true, Some((0.2, 0.1)), Supported);
    check((0.10, 0.03), true, Some((0.1, 0.2)), Undecided);
    check((0.10, 0.03), true, Some((-0.2, 0.1)), NotSupported);
    check((-0.10, 0.03), true, Some((0.2, 0.1)), NotSupported);
    // Nothing of low confidence to mend.
    check((0.10, 0.03), true, None, Undecided);
    check((-0.10, 0.03), true, None, NotSupported);
}
