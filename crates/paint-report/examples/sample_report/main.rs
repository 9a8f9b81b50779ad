//! Writes a page of made-up numbers for every question, to look at: `sample_report DIRECTORY`.
//!
//! The curves follow a formula and the intervals are as wide as 2,000 images
//! would make them; no number here was measured.

mod many;
mod scale;
mod studies;
mod transfer;

use paint_report::{
    Alpha, AlphaChoice, Block, Curve, CurvePoint, Estimate, Png, Repetition, ReportInput, Result,
    Rq1Findings, Rq1Row, Section, SkippedImages, Slider, SliderExample, Split, Verdict,
    rq1_sections, rq1_table, write_report,
};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// Task, zero-shot, fine-tuned, loss on the supported task at alpha = 1, chosen alpha.
const TASKS: [(&str, f64, f64, f64, f64); 9] = [
    ("digits", 0.312, 0.987, 0.21, 0.35),
    ("house-numbers", 0.184, 0.912, 0.33, 0.30),
    ("signs", 0.241, 0.968, 0.17, 0.40),
    ("textures", 0.446, 0.713, 0.09, 0.35),
    ("land-use", 0.529, 0.961, 0.14, 0.45),
    ("aerial-scenes", 0.573, 0.874, 0.11, 0.40),
    ("distance", 0.262, 0.655, 0.27, 0.25),
    ("flags", 0.675, 0.949, 0.13, 0.30),
    ("scenes", 0.618, 0.702, 0.06, 0.00),
];
const ZERO_SHOT_SUPPORTED: f64 = 0.861;

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::args()
        .nth(1)
        .ok_or("usage: sample_report DIRECTORY")?;
    let mut out = std::io::stdout().lock();
    let pages = [
        patching()?,
        scale::input()?,
        many::input()?,
        transfer::input()?,
        studies::input()?,
    ];
    for (input, table) in pages {
        let page = format!("{}.html", input.verdict.question);
        write_report(&Path::new(&directory).join(page), &input)?;
        out.write_all(table.as_bytes())?;
    }
    Ok(())
}

/// Question 1.
fn patching() -> Result<(ReportInput, String)> {
    let findings = findings()?;
    let input = ReportInput {
        title: "RQ1: patching nine tasks".to_owned(),
        question: "Does interpolating between the zero-shot and the fine-tuned weights improve the patching tasks \
                   without hurting the supported ones?"
            .to_owned(),
        verdict: Verdict::rq1(
            &findings.mean.gain,
            &average(findings.mean.supported_change.iter().map(|(_, change)| *change))?,
            &accuracy(ZERO_SHOT_SUPPORTED, 2000)?,
        ),
        sections: [vec![slider()?], rq1_sections(&findings)?].concat(),
        repetition: repetition("rq1"),
    };
    let table = rq1_table(&findings.rows, &findings.mean)?.to_text();
    Ok((input, table))
}

fn findings() -> Result<Rq1Findings> {
    let rows: Vec<Rq1Row> = TASKS.iter().map(row).collect::<Result<_>>()?;
    Ok(Rq1Findings {
        mean: mean(&rows)?,
        rows,
        supported: "objects".to_owned(),
        validation_curves: TASKS.iter().map(|task| curve(task, 0.012)).collect::<Result<_>>()?,
        test_curves: TASKS.iter().map(|task| curve(task, 0.0)).collect::<Result<_>>()?,
        choice: AlphaChoice {
            rule: "Of all α at which no supported task lost more than 1 point, the one with the highest accuracy on \
                   the patching task; ties go to the smaller α."
                .to_owned(),
            grid: (0..=20).map(|i| Alpha::new(f64::from(i) / 20.0)).collect::<Result<_>>()?,
            validation: TASKS.iter().map(|task| (task.0.to_owned(), 500)).chain([("objects".to_owned(), 1500)]).collect(),
            search: None,
        },
        skipped: vec![SkippedImages {
            task: "signs".to_owned(),
            split: Split::Train,
            n_skipped: 3,
            n_images: 7120,
            reasons: vec!["row 17: truncated PNG".to_owned(), "row 402: 0 bytes".to_owned()],
        }],
    })
}

/// The patching accuracy rises early and the supported one falls late.
fn at(task: &(&str, f64, f64, f64, f64), alpha: f64, shift: f64) -> (f64, f64) {
    let rise =
        (1.0 - (1.0 - alpha).powf(3.2)) * (1.0 + 0.05 * (std::f64::consts::PI * alpha).sin());
    let patching = task.1 + (task.2 - task.1) * rise.min(1.0);
    (
        patching - shift * alpha,
        ZERO_SHOT_SUPPORTED - task.3 * alpha.powf(3.4) + shift * (1.0 - alpha),
    )
}

fn row(task: &(&str, f64, f64, f64, f64)) -> Result<Rq1Row> {
    let (patched, supported) = at(task, task.4, 0.0);
    let change = supported - ZERO_SHOT_SUPPORTED;
    let half = 0.0004 + task.4 * 0.012;
    Ok(Rq1Row {
        task: task.0.to_owned(),
        zero_shot: accuracy(task.1, 2000)?,
        fine_tuned: accuracy(task.2, 2000)?,
        alpha: Some(Alpha::new(task.4)?),
        patched: accuracy(patched, 2000)?,
        gain: Estimate::new(
            patched - task.1,
            patched - task.1 - 2.0 * half,
            patched - task.1 + 2.0 * half,
            2000,
        )?,
        supported_change: vec![
            (
                "objects".to_owned(),
                Estimate::new(change, change - half, change + half, 2000)?,
            ),
            (
                "shapes".to_owned(),
                Estimate::new(change / 2.0, change / 2.0 - half, change / 2.0 + half, 1000)?,
            ),
            (
                "colours".to_owned(),
                Estimate::new(
                    -change / 4.0,
                    -change / 4.0 - half,
                    -change / 4.0 + half,
                    1000,
                )?,
            ),
        ],
        note: (task.4 == 0.0)
            .then(|| "α = 0, because every larger α cost objects more than 1 point".to_owned()),
    })
}

fn mean(rows: &[Rq1Row]) -> Result<Rq1Row> {
    let of = |get: fn(&Rq1Row) -> Estimate| average(rows.iter().map(get));
    let changes = rows[0].supported_change.iter().enumerate();
    let change = |(i, (name, _)): (usize, &(String, Estimate))| -> Result<(String, Estimate)> {
        let mean = average(rows.iter().map(|row| row.supported_change[i].1))?;
        Ok((name.clone(), mean))
    };
    Ok(Rq1Row {
        task: "mean".to_owned(),
        zero_shot: of(|row| row.zero_shot)?,
        fine_tuned: of(|row| row.fine_tuned)?,
        alpha: None,
        patched: of(|row| row.patched)?,
        gain: of(|row| row.gain)?,
        supported_change: changes.map(change).collect::<Result<_>>()?,
        note: None,
    })
}

/// Of the ends of the intervals too: good enough for made-up numbers.
fn average(estimates: impl ExactSizeIterator<Item = Estimate>) -> Result<Estimate> {
    let k = estimates.len() as f64;
    let sum = estimates.fold([0.0; 3], |[value, low, high], e| {
        [value + e.value(), low + e.low(), high + e.high()]
    });
    let [value, low, high] = sum.map(|x| x / k);
    Estimate::new(value, low, high, 2000)
}

/// A curve from made-up ends: zero-shot, fine-tuned, loss at alpha = 1, chosen alpha.
fn made_curve(name: &str, start: f64, end: f64, loss: f64, chosen: f64) -> Result<Curve> {
    let made = curve(&("", start, end, loss, chosen), 0.0)?;
    Ok(Curve {
        task: name.to_owned(),
        ..made
    })
}

/// A difference with an interval of this half width.
fn change(value: f64, half: f64) -> Result<Estimate> {
    Estimate::new(value, value - half, value + half, 2000)
}

/// A small PNG: 16 × 16 pixels of a pattern that depends on `i`.
fn picture(i: u32) -> Vec<u8> {
    let mut pixels = Vec::with_capacity(16 * 16 * 3);
    for (y, x) in (0..16).flat_map(|y| (0..16).map(move |x| (y, x))) {
        let on = (x * (i + 2) + y * (i % 5 + 1)) % 16 < 7;
        let colour = [60 + 15 * i, 200 - 10 * i, 40 + 8 * (x + y) / 2];
        pixels.extend(colour.map(|c| if on { c as u8 } else { 235 }));
    }
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 16, 16);
    encoder.set_color(png::ColorType::Rgb);
    let written = encoder
        .write_header()
        .and_then(|mut writer| writer.write_image_data(&pixels));
    written.expect("pixels of the size announced, to memory");
    bytes
}

fn curve(task: &(&str, f64, f64, f64, f64), shift: f64) -> Result<Curve> {
    let point = |i: u32| {
        let alpha = f64::from(i) / 20.0;
        let (patching, supported) = at(task, alpha, shift);
        Ok(CurvePoint {
            alpha: Alpha::new(alpha)?,
            supported: accuracy(supported, 2000)?,
            patching: accuracy(patching, 2000)?,
        })
    };
    Ok(Curve {
        task: task.0.to_owned(),
        points: (0..=20).map(point).collect::<Result<_>>()?,
        chosen: Some(Alpha::new(task.4)?),
    })
}

/// An accuracy with the Wilson interval of `n` images.
fn accuracy(value: f64, n: u32) -> Result<Estimate> {
    let (z, n) = (1.96, f64::from(n));
    let centre = (value + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (value * (1.0 - value) / n + z * z / (4.0 * n * n)).sqrt();
    Estimate::new(value, centre - half, centre + half, n as u64)
}

fn repetition(question: &str) -> Repetition {
    let pairs = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    };
    Repetition {
        command: format!("cargo xtask {question} --model world-s --seed 0"),
        seed: 0,
        run_toml: "suite = \"world\"\nmodel = \"world-s\"\nseed = 0\n\n[choose]\nrule = \"best patch\"\nmax_supported_drop = 0.01\ngrid = [0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6]\n\n[tune]\nlearning_rate = 3e-4\nsteps = 400\nbatch = 128\n".to_owned(),
        versions: pairs(&[("paint", "0.1.0"), ("rustc", "1.95.0"), ("candle-core", "0.11.1")]),
        hashes: pairs(&[
            ("model world-s", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
            ("data objects", "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752"),
        ]),
        cpu: "made-up processor at 3.0 GHz".to_owned(),
        cores: 2,
        wall_time: Duration::from_secs(563),
    }
}

/// The interactive figure of the first task.
fn slider() -> Result<Section> {
    let curve = curve(&TASKS[0], 0.0)?;
    let example = |i: u32| {
        let n = curve.points.len();
        let turn = (i as usize * 7 + 2) % n;
        let of = |point: usize| match (i % 4 == 3, point < turn) {
            (true, true) | (false, false) => "seven",
            _ => "a left-pointing arrow",
        };
        Ok(SliderExample {
            png: Png::new(picture(i))?,
            task: if i % 4 == 3 { "objects" } else { "digits" }.to_owned(),
            label: "seven".to_owned(),
            predictions: (0..n).map(of).map(str::to_owned).collect(),
        })
    };
    let examples = (0..12).map(example).collect::<Result<_>>()?;
    let slider = Slider::new(curve.clone(), "objects", Split::Test, examples)?;
    Ok(Section::new("Move α yourself", vec![Block::Slider(slider)]))
}
