//! Choosing `alpha` on validation accuracies.

use paint_mix::{Candidate, Error, Rule, ValidationAccuracy, choose};

fn candidate(alpha: f64, patch: f64, supported: &[f64]) -> Candidate {
    let accuracy = |value| ValidationAccuracy::new(value).unwrap();
    Candidate {
        alpha,
        patch: accuracy(patch),
        supported: supported.iter().map(|&value| accuracy(value)).collect(),
        drop_margin: 0.0,
    }
}

const ONE_POINT: Rule = Rule::BestPatch { max_drop: 0.01 };

fn check(rows: &[(f64, f64, &[f64])], rule: Rule, alpha: f64, words: &str) {
    let mut candidates: Vec<_> = rows
        .iter()
        .map(|&(alpha, patch, supported)| candidate(alpha, patch, supported))
        .collect();
    for _ in 0..candidates.len() {
        candidates.rotate_left(1);
        let choice = choose(&candidates, rule).unwrap();
        assert_eq!(choice.alpha, alpha, "{}", choice.reason);
        assert!(
            choice.reason.contains(words),
            "{:?} lacks {words:?}",
            choice.reason
        );
    }
}

#[test]
fn best_mean_weighs_patch_and_mean_of_supported() {
    let rows: [(f64, f64, &[f64]); 3] = [
        (0.0, 0.2, &[0.8, 0.6]),
        (0.5, 0.6, &[0.7, 0.5]),
        (1.0, 0.7, &[0.2, 0.4]),
    ];
    // Means: (0.2 + 0.7) / 2 = 0.45, (0.6 + 0.6) / 2 = 0.60, (0.7 + 0.3) / 2 = 0.50.
    check(
        &rows,
        Rule::BestMean,
        0.5,
        "highest mean accuracy 60.0 %: patch 60.0 % (from 20.0 %), supported 60.0 % (-10.0 pt)",
    );
}

#[test]
fn best_patch_stays_within_the_drop() {
    // The drop is the mean over supported tasks: 0.02 and 0.00 make one point, just allowed.
    let rows: [(f64, f64, &[f64]); 4] = [
        (0.0, 0.2, &[0.80, 0.60]),
        (0.3, 0.5, &[0.80, 0.60]),
        (0.4, 0.6, &[0.78, 0.60]),
        (0.5, 0.9, &[0.779, 0.60]),
    ];
    check(
        &rows,
        ONE_POINT,
        0.4,
        "at most 1 pt: patch 60.0 % (from 20.0 %), supported 69.0 % (-1.0 pt)",
    );
    check(&rows, Rule::BestPatch { max_drop: 0.0 }, 0.3, "");
    check(&rows, Rule::BestPatch { max_drop: 1.0 }, 0.5, "");
}

#[test]
fn a_drop_of_exactly_the_limit_is_allowed_despite_rounding() {
    for k in 10..=100 {
        let before = f64::from(k) / 100.0;
        let after = f64::from(k - 1) / 100.0;
        check(
            &[(0.0, 0.1, &[before]), (0.5, 0.2, &[after])],
            ONE_POINT,
            0.5,
            "",
        );
    }
}

#[test]
fn ties_go_to_the_smaller_alpha() {
    let rows: [(f64, f64, &[f64]); 4] = [
        (0.0, 0.2, &[0.7]),
        (0.3, 0.6, &[0.7]),
        (0.6, 0.6, &[0.7]),
        (0.9, 0.6, &[0.7]),
    ];
    check(&rows, ONE_POINT, 0.3, "");
    check(&rows, Rule::BestMean, 0.3, "");
    // Equal but for the rounding of the sums.
    let rows: [(f64, f64, &[f64]); 3] = [
        (0.0, 0.1, &[0.1; 3]),
        (0.3, 0.6, &[0.3, 0.2, 0.1]),
        (0.6, 0.6, &[0.1, 0.2, 0.3]),
    ];
    check(&rows, Rule::BestMean, 0.3, "");
}

#[test]
fn zero_with_a_reason() {
    let rows: [(f64, f64, &[f64]); 3] =
        [(0.0, 0.2, &[0.7]), (0.5, 0.6, &[0.65]), (1.0, 0.7, &[0.1])];
    check(
        &rows,
        ONE_POINT,
        0.0,
        "none of 2 candidates keeps the supported drop within 1 pt, the least is 5.0 pt",
    );
    let rows: [(f64, f64, &[f64]); 3] =
        [(0.0, 0.6, &[0.7]), (0.5, 0.6, &[0.7]), (1.0, 0.9, &[0.1])];
    check(
        &rows,
        ONE_POINT,
        0.0,
        "none of the 1 candidates within the allowed drop improves the patch accuracy of 60.0 %",
    );
    check(
        &rows,
        Rule::BestMean,
        0.0,
        "none of 2 candidates improves the mean accuracy of 65.0 %",
    );
    check(&[(0.0, 0.6, &[0.7])], ONE_POINT, 0.0, "only candidate");
}

#[test]
fn without_supported_tasks_the_patch_decides() {
    let rows: [(f64, f64, &[f64]); 2] = [(0.0, 0.2, &[]), (1.0, 0.7, &[])];
    check(&rows, ONE_POINT, 1.0, "no supported task");
    check(&rows, Rule::BestMean, 1.0, "highest mean accuracy 70.0 %");
}

#[test]
fn bad_candidates_are_refused() {
    let refused = |candidates: &[Candidate], rule, words: &str| {
        let error = choose(candidates, rule).unwrap_err();
        assert!(matches!(error, Error::Candidates(_)));
        assert!(error.to_string().contains(words), "{error}");
    };
    let zero = || candidate(0.0, 0.5, &[0.5]);
    refused(&[], ONE_POINT, "no candidate has alpha 0");
    refused(
        &[candidate(0.5, 0.5, &[0.5])],
        ONE_POINT,
        "no candidate has alpha 0",
    );
    refused(
        &[zero(), candidate(f64::NAN, 0.5, &[0.5])],
        ONE_POINT,
        "alpha NaN",
    );
    refused(
        &[zero(), candidate(-0.5, 0.5, &[0.5])],
        ONE_POINT,
        "alpha -0.5",
    );
    refused(
        &[zero(), candidate(1.5, 0.5, &[0.5])],
        ONE_POINT,
        "alpha 1.5",
    );
    refused(
        &[
            zero(),
            candidate(0.5, 0.1, &[0.5]),
            candidate(0.5, 0.2, &[0.5]),
        ],
        ONE_POINT,
        "0.5 was measured twice",
    );
    refused(
        &[zero(), candidate(-0.0, 0.1, &[0.5])],
        ONE_POINT,
        "measured twice",
    );
    refused(
        &[zero(), candidate(0.5, 0.1, &[])],
        ONE_POINT,
        "0 supported accuracies at alpha 0.5",
    );
    refused(&[zero()], Rule::BestPatch { max_drop: 1.5 }, "max_drop 1.5");
    refused(
        &[zero()],
        Rule::BestPatch { max_drop: f64::NAN },
        "max_drop NaN",
    );
}

#[test]
fn an_accuracy_is_a_fraction() {
    for value in [-0.01, 1.01, 80.0, f64::NAN] {
        assert!(matches!(
            ValidationAccuracy::new(value),
            Err(Error::Accuracy { .. })
        ));
        assert!(serde_json::from_str::<ValidationAccuracy>(&value.to_string()).is_err());
    }
    assert_eq!(ValidationAccuracy::new(0.25).unwrap().get(), 0.25);
}

#[test]
fn a_margin_counts_as_lost() {
    let uncertain = |alpha, patch, supported: f64, drop_margin| Candidate {
        drop_margin,
        ..candidate(alpha, patch, &[supported])
    };
    let candidates = [
        candidate(0.0, 0.5, &[0.8]),
        uncertain(0.5, 0.6, 0.796, 0.004),
        uncertain(1.0, 0.7, 0.793, 0.004),
    ];
    let rule = Rule::BestPatch { max_drop: 0.01 };
    let choice = choose(&candidates, rule).unwrap();
    assert_eq!(choice.alpha, 0.5);
    assert!(choice.reason.contains("margin 0.4 pt"), "{}", choice.reason);
    let without = candidates.map(|candidate| Candidate {
        drop_margin: 0.0,
        ..candidate
    });
    assert_eq!(choose(&without, rule).unwrap().alpha, 1.0);
    let bad = [
        candidate(0.0, 0.5, &[0.8]),
        uncertain(1.0, 0.7, 0.8, f64::NAN),
    ];
    let error = choose(&bad, rule).unwrap_err().to_string();
    assert!(error.contains("drop_margin NaN at alpha 1"), "{error}");
}
