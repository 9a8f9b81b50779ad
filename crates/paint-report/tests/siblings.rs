//! Tables and sections of group robustness and of confidence with hierarchies.
#![expect(
    clippy::unwrap_used,
    reason = "a failed unwrap is a failed test, in the fixtures too"
)]

mod sections;

use paint_report::{
    ConfidenceRow, ConfidenceSideEffect, Error, GroupsDataset, GroupsRow, GroupsSideEffect,
    HierarchyFindings, RerankRow, Spread, confidence_table, groups_sections, groups_side_effects,
    groups_table, hierarchy_sections, rerank_table,
};

use self::sections::{HOSTILE, estimate, page};

fn dataset() -> GroupsDataset {
    let spread = |mean, deviation| Spread { mean, deviation };
    let row = GroupsRow {
        method: HOSTILE.to_owned(),
        chosen_by: "worst class on validation".to_owned(),
        worst: spread(0.71, 0.02),
        mean: spread(0.9, 0.004),
        gap: spread(0.19, 0.02),
        adjusted: spread(0.95, 0.001),
    };
    GroupsDataset {
        name: "birds".to_owned(),
        rows: vec![row],
        n_seeds: 5,
        notes: vec!["Settings as published.".to_owned()],
    }
}

#[test]
fn groups_have_a_table_for_each_dataset() {
    let mut named = dataset();
    named.rows[0].method = "ERM".to_owned();
    let table = groups_table(&named).unwrap();
    assert!(table.caption.contains("over 5 seeds"), "{}", table.caption);
    let text = table.to_text();
    let row = text.lines().find(|line| line.starts_with("ERM")).unwrap();
    let words: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(words[5..8], ["71.0", "±", "2.0"], "{row}");
    assert!(text.ends_with("Settings as published.\n"));

    let effect = GroupsSideEffect {
        patched_on: HOSTILE.to_owned(),
        dataset: "birds".to_owned(),
        worst: [estimate(0.5, 0.05), estimate(0.4, 0.05)],
        worst_change: estimate(-0.1, 0.07),
        mean: [estimate(0.8, 0.02), estimate(0.79, 0.02)],
        mean_change: estimate(-0.01, 0.01),
    };
    let table = groups_side_effects(std::slice::from_ref(&effect)).unwrap();
    let text = table.to_text();
    // The mean's interval ends at 0.
    for cell in ["▼ −10.0 [−17.0, −3.0]", " −1.0 [−2.0, 0.0]"] {
        assert!(text.contains(cell), "{cell} is not in {text}");
    }
    assert!(!text.contains("▼ −1.0"), "{text}");
    let page = page(groups_sections(&[dataset()], &[effect]).unwrap());
    assert!(page.contains("What patching changed") && page.contains("▼ −10.0"));
    let mut empty = dataset();
    empty.rows.clear();
    assert!(matches!(groups_table(&empty), Err(Error::Empty)));
}

#[test]
fn hierarchies_have_scores_curves_and_re_ranking() {
    let score = |name: &str, first_minus| ConfidenceRow {
        score: name.to_owned(),
        auroc: estimate(0.9, 0.02),
        first_minus,
        area: 0.99,
        curve: vec![(0.0, 0.9), (0.5, 0.97), (0.99, 1.0)],
    };
    let minus = Some(estimate(0.12, 0.03));
    let pair = [estimate(0.9, 0.01), estimate(0.8, 0.01)];
    let all = [
        estimate(0.95, 0.01),
        estimate(0.94, 0.01),
        estimate(-0.01, 0.005),
    ];
    let reranked = RerankRow {
        base: "bare names".to_owned(),
        with: "parents".to_owned(),
        all,
        low: None,
        ceiling: None,
        n_fixed: 3,
        n_broken: 12,
    };
    let findings = HierarchyFindings {
        confidence: vec![score("self-consistency", None), score(HOSTILE, minus)],
        reranking: vec![reranked],
        patched: vec![ConfidenceSideEffect {
            patched_on: "digits".to_owned(),
            self_consistency: pair,
            max_logit: pair,
            top1: pair,
        }],
        notes: vec!["81 images are of low confidence.".to_owned()],
    };
    let text = rerank_table(&findings.reranking).unwrap().to_text();
    assert!(text.contains("bare names") && text.contains("12"), "{text}");
    let shown = page(hierarchy_sections(&findings).unwrap());
    let parts = [
        "<svg",
        "Selective prediction",
        "Re-ranked",
        "What patching changed",
        "81 images",
    ];
    for part in parts {
        assert!(shown.contains(part), "{part}");
    }
    assert!(rerank_table(&[]).is_none());
    assert!(matches!(confidence_table(&[]), Err(Error::Empty)));
    let without = HierarchyFindings {
        reranking: Vec::new(),
        patched: Vec::new(),
        ..findings
    };
    let shown = page(hierarchy_sections(&without).unwrap());
    assert!(
        !shown.contains("Re-ranked"),
        "a section without blocks is left out"
    );
}
