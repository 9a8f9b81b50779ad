//! The page as a reader and a browser see it: well-formed, escaped, fetching nothing.
#![expect(
    clippy::unwrap_used,
    reason = "a failed unwrap is a failed test, in the fixtures too"
)]

use paint_report::{
    Alpha, AlphaChoice, Curve, CurvePoint, Error, Estimate, Outcome, Repetition, ReportInput,
    Rq1Findings, Rq1Row, SkippedImages, Split, Verdict, accuracy_bars, alpha_panels, report,
    rq1_sections, rq1_table, tradeoff_figure, write_report,
};
use roxmltree::{Document, Node};
use std::time::Duration;

/// A name that tries to leave every context it is put in.
const HOSTILE: &str = "</title></svg><script src=\"http://x\">a&b'\u{0}</script>";

fn accuracy(value: f64) -> Estimate {
    Estimate::new(value, (value - 0.03).max(0.0), (value + 0.03).min(1.0), 900).unwrap()
}

fn difference(value: f64, half: f64) -> Estimate {
    Estimate::new(value, value - half, value + half, 900).unwrap()
}

fn row(
    task: &str,
    zero_shot: f64,
    alpha: f64,
    patched: f64,
    fine_tuned: f64,
    change: f64,
) -> Rq1Row {
    Rq1Row {
        task: task.to_owned(),
        zero_shot: accuracy(zero_shot),
        fine_tuned: accuracy(fine_tuned),
        alpha: Some(Alpha::new(alpha).unwrap()),
        patched: accuracy(patched),
        gain: difference(patched - zero_shot, 0.04),
        supported_change: vec![
            ("objects".to_owned(), difference(change, 0.005)),
            ("shapes".to_owned(), difference(0.002, 0.003)),
        ],
        note: (alpha == 0.0).then(|| "every larger α cost too much".to_owned()),
    }
}

fn rows() -> Vec<Rq1Row> {
    vec![
        row("digits", 0.413, 0.35, 0.881, 0.986, -0.004),
        row("house-numbers", 0.051, 0.0, 0.051, 1.0, 0.0),
    ]
}

/// What a mean of [`rows`] may look like.
fn mean() -> Rq1Row {
    let estimate = |value, low, high| Estimate::new(value, low, high, 1800).unwrap();
    Rq1Row {
        task: "mean".to_owned(),
        zero_shot: estimate(0.232, 0.211, 0.253),
        fine_tuned: estimate(0.993, 0.972, 1.0),
        alpha: None,
        patched: estimate(0.466, 0.445, 0.487),
        gain: estimate(0.234, 0.206, 0.262),
        supported_change: vec![
            ("objects".to_owned(), estimate(-0.002, -0.007, 0.003)),
            ("shapes".to_owned(), estimate(0.002, -0.001, 0.005)),
        ],
        note: None,
    }
}

fn curve(task: &str, patching: [f64; 3]) -> Curve {
    let point = |i: usize| CurvePoint {
        alpha: Alpha::new(i as f64 / 2.0).unwrap(),
        supported: accuracy([0.9, 0.88, 0.6][i]),
        patching: accuracy(patching[i]),
    };
    // Out of order: records arrive in any.
    Curve {
        task: task.to_owned(),
        points: vec![point(2), point(0), point(1)],
        chosen: Some(Alpha::new(0.5).unwrap()),
    }
}

fn input(name: &str) -> ReportInput {
    let mut rows = rows();
    rows[0].task = name.to_owned();
    let mean = mean();
    let curves = vec![
        curve(name, [0.4, 0.8, 1.0]),
        curve("signs", [0.2, 0.7, 0.9]),
    ];
    let findings = Rq1Findings {
        rows,
        supported: name.to_owned(),
        validation_curves: curves.clone(),
        test_curves: curves,
        choice: AlphaChoice {
            rule: name.to_owned(),
            grid: vec![
                Alpha::new(0.0).unwrap(),
                Alpha::new(0.5).unwrap(),
                Alpha::new(1.0).unwrap(),
            ],
            validation: vec![(name.to_owned(), 1500)],
            search: Some(name.to_owned()),
        },
        skipped: vec![SkippedImages {
            task: name.to_owned(),
            split: Split::Test,
            n_skipped: 2,
            n_images: 12_000,
            reasons: vec![name.to_owned()],
        }],
        mean,
    };
    let pair = || [(name.to_owned(), name.to_owned())].into();
    ReportInput {
        title: name.to_owned(),
        question: name.to_owned(),
        verdict: Verdict::rq1(
            &difference(0.3, 0.02),
            &difference(-0.004, 0.003),
            &accuracy(0.86),
        ),
        sections: rq1_sections(&findings).unwrap(),
        repetition: Repetition {
            command: name.to_owned(),
            seed: u64::MAX,
            run_toml: name.to_owned(),
            versions: pair(),
            hashes: pair(),
            cpu: name.to_owned(),
            cores: 2,
            wall_time: Duration::from_secs(452),
        },
    }
}

/// The page as XML: its void elements closed, its doctype dropped.
fn as_xml(page: &str) -> String {
    let body = page
        .strip_prefix("<!doctype html>\n")
        .expect("an HTML page");
    let closed = |line: &str| match line.starts_with("<meta ") || line.starts_with("<link ") {
        true => format!("{}/>\n", line.trim_end_matches('>')),
        false => format!("{line}\n"),
    };
    body.lines().map(closed).collect()
}

#[test]
fn table_in_the_terminal() {
    let rows = rows();
    let table = rq1_table(&rows, &mean()).unwrap();
    let expected = "\
task           zero-shot          fine-tuned           chosen α  patched            objects, change    shapes, change
────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
digits         41.3 [38.3, 44.3]   98.6 [95.6, 100.0]  0.35      88.1 [85.1, 91.1]  −0.4 [−0.9, +0.1]  +0.2 [−0.1, +0.5]
house-numbers   5.1 [2.1, 8.1]    100.0 [97.0, 100.0]  0.00       5.1 [2.1, 8.1]     0.0 [−0.5, +0.5]  +0.2 [−0.1, +0.5]
────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
mean           23.2 [21.1, 25.3]   99.3 [97.2, 100.0]            46.6 [44.5, 48.7]  −0.2 [−0.7, +0.3]  +0.2 [−0.1, +0.5]
house-numbers: every larger α cost too much
";
    assert_eq!(table.to_text(), expected, "\n{}", table.to_text());
}

#[test]
fn rows_that_do_not_fit_are_refused() {
    let mut rows = rows();
    rows[1].supported_change.pop();
    let error = rq1_table(&rows, &mean()).unwrap_err().to_string();
    assert_eq!(
        error,
        "task house-numbers: supported tasks are objects, expected objects, shapes as in the first row"
    );
    assert!(matches!(rq1_table(&[], &mean()), Err(Error::Empty)));
    assert!(matches!(accuracy_bars(&[]), Err(Error::Empty)));
    assert!(matches!(
        tradeoff_figure(&[], "objects", Split::Test),
        Err(Error::Empty)
    ));
    let pointless = Curve {
        points: Vec::new(),
        ..curve("digits", [0.4, 0.8, 1.0])
    };
    assert!(matches!(
        tradeoff_figure(&[pointless], "objects", Split::Test),
        Err(Error::Empty)
    ));
}

#[test]
fn hostile_names_stay_text_everywhere() {
    let page = report(&input(HOSTILE));
    assert!(!page.contains("<script") && !page.contains('\0'));
    let xml = as_xml(&page);
    let document = Document::parse(&xml).unwrap_or_else(|error| panic!("{error}\n{xml}"));
    // Told once per place it was put in, and each time whole.
    let shown = HOSTILE.replace('\0', "\u{fffd}");
    let texts = document
        .descendants()
        .filter(Node::is_text)
        .filter_map(|node| node.text())
        .filter(|text| text.contains(&shown));
    assert!(texts.count() > 20);
}

#[test]
fn nothing_is_fetched() {
    for name in ["digits", HOSTILE] {
        let page = report(&input(name));
        let xml = as_xml(&page);
        let document = Document::parse(&xml).unwrap();
        for node in document.descendants().filter(Node::is_element) {
            let tag = node.tag_name().name();
            assert!(
                ![
                    "script", "img", "image", "iframe", "object", "embed", "use", "form", "base"
                ]
                .contains(&tag),
                "{tag}"
            );
            for attribute in node.attributes() {
                let fetches = [
                    "src",
                    "href",
                    "srcset",
                    "data",
                    "action",
                    "background",
                    "poster",
                ]
                .contains(&attribute.name());
                assert!(
                    !fetches || attribute.value() == "data:,",
                    "{tag} {}={}",
                    attribute.name(),
                    attribute.value()
                );
                assert!(
                    !attribute.name().starts_with("on") && attribute.name() != "style",
                    "{}",
                    attribute.name()
                );
            }
            if tag == "style" {
                let css = node.text().unwrap();
                assert!(!css.contains("url(") && !css.contains("@import"));
            }
        }
    }
}

#[test]
fn the_page_says_what_it_must() {
    let page = report(&input("digits"));
    for part in [
        "Verdict: <b>supported</b>",
        "<b>+30.0</b> points</dd><dd class=\"ci\">[+28.0, +32.0], n = 900</dd>",
        "<b>−0.4</b>",
        "<b>86.0</b>",
        "7 min 32 s",
        "18446744073709551615",
        "Values tried: 0.00, 0.50, 1.00.",
        "1,500",
        "12,000",
        "prefers-color-scheme: dark",
        "Accuracy on validation images against α",
        "Test images, which had no part",
    ] {
        assert!(page.contains(part), "{part} is missing");
    }
    let mut other = input("digits");
    other.verdict.verdict = Outcome::NotSupported;
    assert!(report(&other).contains("class=\"verdict not-supported\""));
    assert_eq!(report(&other), report(&other));
}

#[test]
fn the_curves_are_where_the_numbers_say() {
    let curves = [
        curve("digits", [0.4, 0.8, 1.0]),
        curve("signs", [0.2, 0.7, 0.9]),
    ];
    let figure = tradeoff_figure(&curves, "objects", Split::Validation).unwrap();
    let document = Document::parse(figure.svg()).unwrap();
    let circles = |class: &str| -> Vec<(f64, f64)> {
        let number = |node: &Node, name| node.attribute(name).unwrap().parse::<f64>().unwrap();
        document
            .descendants()
            .filter(|node| {
                node.tag_name().name() == "circle" && node.attribute("class") == Some(class)
            })
            .map(|node| (number(&node, "cx"), number(&node, "cy")))
            .collect()
    };
    let (start, step, end) = (circles("zero-shot"), circles("step"), circles("fine-tuned"));
    assert_eq!([start.len(), step.len(), end.len()], [2, 2, 2]);
    // x from 60 to 90 %, y from 20 to 100 %: supported falls to the left, patching rises upwards.
    assert!(start[0].0 > step[0].0 && step[0].0 > end[0].0);
    assert!(start[0].1 > step[0].1 && step[0].1 > end[0].1);
    assert_eq!(start[0].0, start[1].0);
    let close = |a: f64, b: f64| assert!((a - b).abs() < 0.11, "{a} is not {b}");
    close(
        (step[0].0 - end[0].0) / (start[0].0 - end[0].0),
        (0.88 - 0.6) / (0.9 - 0.6),
    );
    close(
        (circles("average-step")[0].1 - step[0].1) / (step[1].1 - step[0].1),
        0.5,
    );
    let tooltip =
        "chosen. digits, α = 0.50: patching 80.0 [77.0, 83.0] %, supported 88.0 [85.0, 91.0] %";
    assert!(
        document
            .descendants()
            .any(|node| node.tag_name().name() == "title" && node.text() == Some(tooltip))
    );
    assert_eq!(document.root_element().attribute("role"), Some("img"));
}

#[test]
fn a_panel_per_task_with_its_chosen_alpha() {
    let curves: Vec<Curve> = ["digits", "signs", "flags", "scenes"]
        .map(|task| curve(task, [0.0, 0.75, 1.0]))
        .into();
    let figure = alpha_panels(&curves, "objects", Split::Validation).unwrap();
    let document = Document::parse(figure.svg()).unwrap();
    let targets: Vec<(f64, f64)> = document
        .descendants()
        .filter(|node| node.attribute("class") == Some("target"))
        .map(|node| {
            (
                node.attribute("cx").unwrap().parse().unwrap(),
                node.attribute("cy").unwrap().parse().unwrap(),
            )
        })
        .collect();
    assert_eq!(targets.len(), 12);
    // In order of alpha, which the input is not; the fourth panel stands below the first.
    let close = |a: f64, b: f64| assert!((a - b).abs() < 0.11, "{a} is not {b}");
    close(targets[1].0, (targets[0].0 + targets[2].0) / 2.0);
    close(
        (targets[0].1 - targets[1].1) / (targets[0].1 - targets[2].1),
        0.75,
    );
    assert!(targets[9].0 == targets[0].0 && targets[9].1 > targets[0].1 + 90.0);
    let chosen = document.descendants().filter(|node| {
        node.is_text() && node.text().is_some_and(|text| text.starts_with("chosen. "))
    });
    assert_eq!(chosen.count(), 4);
    assert!(alpha_panels(&[], "objects", Split::Test).is_err());
}

#[test]
fn one_flat_curve_and_an_alpha_off_the_grid_still_make_a_figure() {
    let mut flat = curve("digits", [1.0, 1.0, 1.0]);
    flat.points.truncate(1);
    flat.chosen = Some(Alpha::new(0.33).unwrap());
    for figure in [tradeoff_figure, alpha_panels] {
        let figure = figure(std::slice::from_ref(&flat), "objects", Split::Test).unwrap();
        Document::parse(figure.svg()).unwrap();
        for part in ["NaN", "inf", "chosen"] {
            assert!(!figure.svg().contains(part), "{part}");
        }
    }
}

#[test]
fn more_tasks_than_colours() {
    let rows: Vec<Rq1Row> = (0..25)
        .map(|i| {
            row(
                &format!("task {i} {}", "é".repeat(40)),
                0.1,
                0.5,
                0.6,
                0.9,
                0.0,
            )
        })
        .collect();
    Document::parse(accuracy_bars(&rows).unwrap().svg()).unwrap();
    let curves: Vec<Curve> = (0..25)
        .map(|i| curve(&format!("task {i}"), [0.1, 0.5, 0.9]))
        .collect();
    Document::parse(
        tradeoff_figure(&curves, "objects", Split::Test)
            .unwrap()
            .svg(),
    )
    .unwrap();
}

#[test]
fn writing_replaces_the_page_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("report.html");
    std::fs::write(&path, "old").unwrap();
    write_report(&path, &input("digits")).unwrap();
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        report(&input("digits"))
    );
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    let error =
        write_report(&dir.path().join("missing/report.html"), &input("digits")).unwrap_err();
    assert!(error.to_string().starts_with("cannot write "), "{error}");
}
