//! Tables and sections of questions 2 to 5.
#![expect(
    clippy::unwrap_used,
    reason = "a failed unwrap is a failed test, in the fixtures too"
)]

mod sections;

use paint_report::{
    Alpha, BeforeAfter, Curve, CurvePoint, Error, LayerChange, Measure, Png, Rq2Findings, Rq2Size,
    Rq3Findings, Rq3Row, Rq3Task, Rq4Findings, Rq4Row, Rq5Findings, Rq5Study, Split, StudySet,
    Transfer, rq2_sections, rq2_table, rq3_sections, rq3_table, rq4_sections, rq4_table,
    rq5_sections, rq5_table, transfer_table,
};

use self::sections::{HOSTILE, estimate, page};

/// Compares without the rules, whose lengths are checked where tables are.
fn check_table(text: &str, expected: &str) {
    let lines = text.lines().filter(|line| !line.starts_with('─'));
    assert_eq!(
        lines.collect::<Vec<_>>().join("\n"),
        expected.trim_end(),
        "\n{text}"
    );
}

fn check_contains(page: &str, parts: &[&str]) {
    for part in parts {
        assert!(page.contains(part), "{part} is missing in\n{page}");
    }
}

fn size(name: &str, n_parameters: u64, step: Option<f64>) -> Rq2Size {
    let point = |alpha: f64| CurvePoint {
        alpha: Alpha::new(alpha).unwrap(),
        supported: estimate(0.9 - 0.2 * alpha, 0.01),
        patching: estimate(0.4 + 0.5 * alpha, 0.01),
    };
    let layer = |group: &str| LayerChange {
        group: group.to_owned(),
        relative_distance: 0.03125,
        cosine: 0.9995,
    };
    Rq2Size {
        name: name.to_owned(),
        n_parameters,
        gain: estimate(0.3, 0.01),
        supported_change: estimate(-0.005, 0.002),
        distance: estimate(0.062, 0.004),
        step: step.map(|step| estimate(step, 0.003)),
        layers: vec![layer("embeddings"), layer(&format!("layer of {name}"))],
        cka_supported: Measure::exact(0.98765, 500).unwrap(),
        cka_patching: Measure::new(0.75, 0.7, 0.8, 500).unwrap(),
        average: Curve {
            task: "not shown".to_owned(),
            points: [1.0, 0.0, 0.5].map(point).into(),
            chosen: Some(Alpha::new(0.5).unwrap()),
        },
        tasks: ["digits", HOSTILE]
            .map(|task| Curve {
                task: task.to_owned(),
                points: [1.0, 0.0, 0.25, 0.5].map(point).into(),
                chosen: Some(Alpha::new(0.25).unwrap()),
            })
            .into(),
    }
}

#[test]
fn scale() {
    let sizes = vec![
        size("world-s", 2_400_000, None),
        size(HOSTILE, 9_000_000, Some(-0.021)),
    ];
    let text = rq2_table(&sizes[..1]).unwrap().to_text();
    let expected = "\
model    parameters  gain                  supported, change  distance to the ideal  minus the size before  CKA, supported  CKA, patching
world-s  2,400,000   +30.0 [+29.0, +31.0]  −0.5 [−0.7, −0.3]  6.2 [5.8, 6.6]                                0.988           0.750 [0.700, 0.800]
";
    check_table(&text, expected);
    let findings = Rq2Findings {
        sizes,
        supported: HOSTILE.to_owned(),
        split: Split::Test,
        notes: vec![HOSTILE.to_owned()],
    };
    let mut nothing_chosen = findings.clone();
    for size in &mut nothing_chosen.sizes {
        size.average.chosen = None;
        size.tasks.iter_mut().for_each(|task| task.chosen = None);
    }
    assert!(!page(rq2_sections(&nothing_chosen).unwrap()).contains("chosen α ("));
    let page = page(rq2_sections(&findings).unwrap());
    check_contains(
        &page,
        &[
            "−2.1 <span class=\"ci\">[−2.4, −1.8]</span>",
            "id=\"sizes-test-title\"",
            "layer of world-s",
            "0.0312",
            "0.9995",
            "chosen α (the size’s shape)",
            "the patching tasks, mean, %",
            "id=\"size-0-test-title\"",
            "id=\"size-1-test-title\"",
            "each patching task with world-s",
        ],
    );
    // Only the figures of tasks have an average of their curves.
    let (sizes, tasks) = page.rsplit_once("Every patching task, by size").unwrap();
    assert!(!page.contains("not shown") && !sizes.contains("class=\"average\""));
    assert!(tasks.contains("class=\"average\""));
}

#[test]
fn sizes_out_of_order_are_refused() {
    let message = |sizes: &[Rq2Size]| rq2_table(sizes).unwrap_err().to_string();
    assert_eq!(
        message(&[size("l", 9, None), size("s", 2, None)]),
        "s stands after l, which has more parameters; put the smallest model first"
    );
    assert_eq!(
        message(&[size("s", 2, None), size("s", 9, None)]),
        "s is named twice; give every model a name of its own"
    );
    assert!(matches!(rq2_table(&[]), Err(Error::Empty)));
}

fn method(k: u64, method: &str, seed: Option<u64>, combined: f64) -> Rq3Row {
    Rq3Row {
        k,
        method: method.to_owned(),
        seed,
        patching: estimate(0.9, 0.01),
        supported: estimate(0.8, 0.01),
        combined: estimate(combined, 0.01),
        minus_specialists: (method != "specialists").then(|| estimate(combined - 0.85, 0.004)),
    }
}

#[test]
fn many_tasks() {
    let mut rows = vec![
        method(9, "specialists", None, 0.85),
        method(9, "joint", None, 0.848),
        method(9, "joint", Some(17), 0.83),
        method(2, "joint", None, 0.849),
    ];
    let text = rq3_table(&rows).unwrap().to_text();
    let expected = "\
method       patching tasks     supported tasks    combined           minus specialists
specialists  90.0 [89.0, 91.0]  80.0 [79.0, 81.0]  85.0 [84.0, 86.0]
joint        90.0 [89.0, 91.0]  80.0 [79.0, 81.0]  84.8 [83.8, 85.8]  −0.2 [−0.6, +0.2]
";
    check_table(&text, expected);
    rows.extend((0..12).map(|i| method(9, &format!("method {i}"), None, 0.6)));
    rows.push(method(9, HOSTILE, None, 0.7));
    let task = |name: &str, methods: &[&str]| Rq3Task {
        task: name.to_owned(),
        accuracies: methods
            .iter()
            .map(|&m| (m.to_owned(), estimate(0.5, 0.01)))
            .collect(),
    };
    let mut findings = Rq3Findings {
        rows,
        tasks: vec![
            task("digits", &["joint", HOSTILE]),
            task(HOSTILE, &["joint", HOSTILE]),
        ],
        notes: Vec::new(),
    };
    let page = page(rq3_sections(&findings).unwrap());
    check_contains(
        &page,
        &[
            "9 tasks in one model",
            "<td class=\"number\">17</td>",
            "<td class=\"number change down2\">▼ −2.0 <span class=\"ci\">[−2.4, −1.6]</span></td>",
            "joint, 2 tasks: 84.9 [83.9, 85.9] %",
            "line dashed",
        ],
    );
    findings.tasks.push(task("signs", &["joint"]));
    let error = rq3_sections(&findings).unwrap_err().to_string();
    assert!(
        error.starts_with("task signs: methods are joint, expected joint, "),
        "{error}"
    );
    assert!(matches!(rq3_table(&findings.rows[2..3]), Err(Error::Empty)));
}

#[test]
fn one_method_at_one_number_of_tasks_is_a_figure() {
    let findings = Rq3Findings {
        rows: vec![method(2, "joint", None, 0.85)],
        tasks: Vec::new(),
        notes: Vec::new(),
    };
    let page = page(rq3_sections(&findings).unwrap());
    assert!(!page.contains("NaN") && !page.contains("By task<"));
}

fn halves(task: &str, change: f64, paper: Option<[f64; 2]>) -> Rq4Row {
    Rq4Row {
        task: task.to_owned(),
        a_before: estimate(0.4, 0.03),
        a_after: estimate(0.9, 0.02),
        b_before: estimate(0.5, 0.03),
        b_after: estimate(0.5 + change, 0.03),
        b_change: estimate(change, 0.02),
        n_draws: 3,
        paper,
    }
}

#[test]
fn broad_transfer() {
    let rows = vec![
        halves("digits", 0.087, Some([0.826, 0.913])),
        halves("flags", -0.01, None),
    ];
    let mean = halves("mean", 0.04, None);
    let text = rq4_table(&rows, &mean).unwrap().to_text();
    let expected = "\
task    A before           A after            B before           B after            B, change             draws  paper: B before  paper: B after  paper: change
digits  40.0 [37.0, 43.0]  90.0 [88.0, 92.0]  50.0 [47.0, 53.0]  58.7 [55.7, 61.7]  ▲ +8.7 [+6.7, +10.7]  3      82.6             91.3            +8.7
flags   40.0 [37.0, 43.0]  90.0 [88.0, 92.0]  50.0 [47.0, 53.0]  49.0 [46.0, 52.0]    −1.0 [−3.0, +1.0]   3
mean    40.0 [37.0, 43.0]  90.0 [88.0, 92.0]  50.0 [47.0, 53.0]  54.0 [51.0, 57.0]  ▲ +4.0 [+2.0, +6.0]   3
";
    check_table(&text, expected);
    assert!(matches!(rq4_table(&[], &mean), Err(Error::Empty)));
    let without_paper = rq4_table(&rows[1..], &mean).unwrap();
    assert_eq!(without_paper.columns.len(), 7);
    let transfer = |on: &str, to: &str, change: f64| Transfer {
        patched_on: on.to_owned(),
        tested_on: to.to_owned(),
        change: estimate(change, 0.01),
    };
    let findings = Rq4Findings {
        rows,
        mean,
        transfers: vec![
            transfer("digits", HOSTILE, 0.3),
            transfer(HOSTILE, "digits", -0.12),
            transfer(HOSTILE, "flags", 0.005),
        ],
        notes: vec![HOSTILE.to_owned()],
    };
    let page = page(rq4_sections(&findings).unwrap());
    check_contains(
        &page,
        &[
            "<td class=\"number change up4\">▲ +30.0 ",
            "<td class=\"number change down3\">▼ −12.0 ",
            "<td class=\"number change\">+0.5 ",
            "<td class=\"number\"></td>",
        ],
    );
    assert!(transfer_table(&[]).is_none());
}

fn study(name: &str) -> Rq5Study {
    let png = Png::new(b"\x89PNG\r\n\x1a\n".to_vec()).unwrap();
    Rq5Study {
        name: name.to_owned(),
        description: name.to_owned(),
        alpha: Alpha::new(0.35).unwrap(),
        validation: Curve {
            task: name.to_owned(),
            points: [0.0, 0.35, 0.5, 1.0]
                .map(|alpha| CurvePoint {
                    alpha: Alpha::new(alpha).unwrap(),
                    supported: estimate(0.9 - 0.3 * alpha, 0.01),
                    patching: estimate(0.4 + 0.5 * alpha, 0.02),
                })
                .into(),
            chosen: Some(Alpha::new(0.35).unwrap()),
        },
        sets: vec![StudySet {
            name: name.to_owned(),
            before: estimate(0.4, 0.02),
            after: estimate(0.8, 0.02),
            change: estimate(0.4, 0.02),
            of_errors: false,
        }],
        supported: vec![StudySet {
            name: "objects".to_owned(),
            before: estimate(0.9, 0.01),
            after: estimate(0.898, 0.01),
            change: estimate(-0.002, 0.004),
            of_errors: false,
        }],
        supported_change: estimate(-0.002, 0.004),
        examples: vec![BeforeAfter {
            png,
            label: name.to_owned(),
            before: "teapot".to_owned(),
            after: name.to_owned(),
        }],
    }
}

#[test]
fn case_studies() {
    let text = rq5_table(&[study("attacks")]).unwrap().to_text();
    let expected = "\
study    tested on              before             after              change                  α
attacks  attacks                40.0 [38.0, 42.0]  80.0 [78.0, 82.0]  ▲ +40.0 [+38.0, +42.0]  0.35
attacks  supported: objects     90.0 [89.0, 91.0]  89.8 [88.8, 90.8]     −0.2 [−0.6, +0.2]    0.35
attacks  supported tasks, mean                                           −0.2 [−0.6, +0.2]    0.35
";
    check_table(&text, expected);
    // Of errors fewer are better: their change has no mark.
    let mut fooled = study("attacks");
    fooled.sets[0].of_errors = true;
    let text = rq5_table(&[fooled]).unwrap().to_text();
    assert!(
        text.contains("+40.0 [+38.0, +42.0]") && !text.contains('▲'),
        "{text}"
    );
    let findings = Rq5Findings {
        studies: vec![study("attacks"), study(HOSTILE)],
        supported: HOSTILE.to_owned(),
        notes: Vec::new(),
    };
    let page = page(rq5_sections(&findings).unwrap());
    check_contains(
        &page,
        &[
            "<img src=\"data:image/png;base64,iVBORw0KGgo=\" alt=\"image of: attacks\"/>",
            "before: <b class=\"prediction wrong\">teapot</b>",
            "after: <b class=\"prediction right\">attacks</b>",
            "How far patching could go",
            "90.0 [89.0, 91.0]",
            "60.0 [59.0, 61.0]",
        ],
    );
    let mut setless = study("counting");
    setless.sets.clear();
    assert!(matches!(rq5_table(&[setless]), Err(Error::Empty)));
    assert!(matches!(rq5_table(&[]), Err(Error::Empty)));
}
