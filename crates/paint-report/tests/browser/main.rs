//! The interactive figure in headless Chromium: it moves, it tells the truth, it fetches nothing.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    reason = "a failed unwrap is a failed test, in the fixtures too"
)]
#![expect(clippy::print_stderr, reason = "a skipped test says so")]

mod devtools;

use devtools::Page;
use paint_report::{
    Alpha, Block, Curve, CurvePoint, Estimate, Png, Repetition, ReportInput, Section, Slider,
    SliderExample, Split, Transfer, Verdict, transfer_table, write_report,
};
use serde_json::{Value, json};
use std::path::PathBuf;

/// A class name that tries to leave the script, the attribute and the element it is put in.
const HOSTILE: &str = "</script><img src=x onerror=alert(1)>\"'&amp;";
const N_POINTS: usize = 21;
const CHOSEN: usize = 7;

fn estimate(value: f64) -> Estimate {
    Estimate::new(value, value - 0.02, value + 0.02, 1500).unwrap()
}

fn alpha(i: usize) -> Alpha {
    Alpha::new(i as f64 / 20.0).unwrap()
}

/// Patching accuracy is 40 % + 2.5 points per step, supported accuracy 80 % − 1 point per step.
fn curve() -> Curve {
    let point = |i: usize| CurvePoint {
        alpha: alpha(i),
        supported: estimate(0.8 - 0.01 * i as f64),
        patching: estimate(0.4 + 0.025 * i as f64),
    };
    Curve {
        task: HOSTILE.to_owned(),
        points: (0..N_POINTS).map(point).collect(),
        chosen: Some(alpha(CHOSEN)),
    }
}

fn png() -> Png {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 8, 8);
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header().unwrap();
    writer
        .write_image_data(&(0..64).map(|i| i * 4).collect::<Vec<u8>>())
        .unwrap();
    writer.finish().unwrap();
    Png::new(bytes).unwrap()
}

/// Example i is wrong before point i and right from there on.
fn example(i: usize) -> SliderExample {
    let prediction = |point: usize| if point < i { "teapot" } else { HOSTILE };
    SliderExample {
        png: png(),
        task: "digits".to_owned(),
        label: HOSTILE.to_owned(),
        predictions: (0..N_POINTS).map(prediction).map(str::to_owned).collect(),
    }
}

fn write_page(directory: &tempfile::TempDir) -> PathBuf {
    let examples = (0..12).map(example).collect();
    let slider = Slider::new(curve(), "objects", Split::Test, examples).unwrap();
    let transfer = |i: usize| Transfer {
        patched_on: format!("task {}", i % 7),
        tested_on: format!("another task {}", i / 7),
        change: estimate(0.02 * (i as f64 - 20.0)),
    };
    let transfers: Vec<Transfer> = (0..49).map(transfer).collect();
    let input = ReportInput {
        title: "Alpha under one's hand".to_owned(),
        question: HOSTILE.to_owned(),
        verdict: Verdict::rq2(&[]),
        sections: vec![
            Section::new("Slider", vec![Block::Slider(slider)]),
            Section::new(
                "Transfer",
                vec![Block::Table(transfer_table(&transfers).unwrap())],
            ),
        ],
        repetition: Repetition {
            command: "cargo xtask ".repeat(30),
            ..Repetition::default()
        },
    };
    let path = directory.path().join("report.html");
    write_report(&path, &input).unwrap();
    path
}

fn open() -> Option<Page> {
    let page = Page::open();
    if page.is_none() {
        eprintln!("skipped: no Chromium on the PATH");
    }
    page
}

fn resize(page: &mut Page, width: u32) {
    let size = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
    page.call("Emulation.setDeviceMetricsOverride", size);
}

fn prefer(page: &mut Page, scheme: &str) {
    let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
    page.call(
        "Emulation.setEmulatedMedia",
        json!({ "features": features }),
    );
}

/// What the figure says now.
fn shown(page: &mut Page) -> Value {
    page.evaluate(
        "(() => {
            const text = (selector) => document.querySelector(selector).textContent;
            const circle = document.querySelector('.cursor circle');
            return {
                alpha: text('.alpha'),
                patching: text('.slider .patching dd'),
                interval: text('.slider .patching .ci'),
                supported: text('.slider .supported dd'),
                right: text('.n-right'),
                marked: document.querySelectorAll('.gallery .right').length,
                last: text('.gallery li:last-child .prediction'),
                x: Number(circle.getAttribute('cx')),
                y: Number(circle.getAttribute('cy')),
                spoken: document.querySelector('.slider input').getAttribute('aria-valuetext'),
            };
        })()",
    )
}

fn set(page: &mut Page, i: usize) {
    page.evaluate(&format!(
        "(() => {{
            const range = document.querySelector('.slider input');
            range.value = {i};
            range.dispatchEvent(new Event('input', {{ bubbles: true }}));
        }})()"
    ));
}

fn check_quiet(page: &mut Page) {
    let complaints = page.events(&[
        "Runtime.consoleAPICalled",
        "Runtime.exceptionThrown",
        "Log.entryAdded",
    ]);
    assert!(complaints.is_empty(), "{complaints:?}");
    for request in page.events(&["Network.requestWillBeSent"]) {
        let url = request["request"]["url"].as_str().unwrap();
        let is_page = url.starts_with("file:///") && url.ends_with("/report.html");
        assert!(is_page || url.starts_with("data:"), "fetched {url}");
    }
}

#[test]
fn the_slider_moves_and_the_numbers_with_it() {
    let Some(mut page) = open() else { return };
    let directory = tempfile::tempdir().unwrap();
    page.load(&write_page(&directory));
    let start = shown(&mut page);
    assert_eq!(start["alpha"], "α = 0.35, chosen");
    assert_eq!(start["spoken"], "α = 0.35, chosen");
    assert_eq!(start["patching"], "57.5 %");
    assert_eq!(start["interval"], "[55.5, 59.5], n = 1,500");
    assert_eq!(start["supported"], "73.0 %");
    assert_eq!(
        (&start["right"], &start["marked"]),
        (&json!("8"), &json!(8))
    );
    assert_eq!(start["last"], "teapot");

    set(&mut page, 20);
    let end = shown(&mut page);
    assert_eq!(end["alpha"], "α = 1.00");
    assert_eq!(end["patching"], "90.0 %");
    assert_eq!(end["supported"], "60.0 %");
    assert_eq!((&end["right"], &end["marked"]), (&json!("12"), &json!(12)));
    assert_eq!(end["last"], HOSTILE);
    // A better patch is further up, something lost is further left.
    let place = |shown: &Value, axis: &str| shown[axis].as_f64().unwrap();
    assert!(place(&end, "y") < place(&start, "y"));
    assert!(place(&end, "x") < place(&start, "x"));

    page.evaluate("document.querySelector('.slider button').click()");
    assert_eq!(shown(&mut page), start);
    // The button hands the focus back to the slider.
    page.press("ArrowRight", 39);
    assert_eq!(shown(&mut page)["alpha"], "α = 0.40");
    page.press("Home", 36);
    let zero = shown(&mut page);
    assert_eq!(
        (&zero["alpha"], &zero["right"]),
        (&json!("α = 0.00"), &json!("1"))
    );
    check_quiet(&mut page);
}

#[test]
fn it_is_legible_light_and_dark_on_any_screen() {
    let Some(mut page) = open() else { return };
    let directory = tempfile::tempdir().unwrap();
    let file = write_page(&directory);
    let mut papers = Vec::new();
    for scheme in ["light", "dark"] {
        prefer(&mut page, scheme);
        for width in [400, 1200] {
            resize(&mut page, width);
            page.load(&file);
            let content = page.evaluate("document.documentElement.scrollWidth");
            assert_eq!(
                content,
                json!(width),
                "{scheme}, {width} px: scrolls sideways"
            );
            check_contrasts(&mut page, scheme);
            check_quiet(&mut page);
        }
        papers.push(page.evaluate("getComputedStyle(document.body).backgroundColor"));
    }
    assert_ne!(papers[0], papers[1], "dark is light");
}

/// WCAG 2.2, success criterion 1.4.3: at least 4.5 to 1.
fn check_contrasts(page: &mut Page, scheme: &str) {
    let found = page.evaluate(
        "(() => {
            const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
            // Paints colours over each other and reads the pixel.
            const pixel = (colours) => {
                for (const colour of colours) {
                    canvas.fillStyle = colour;
                    canvas.fillRect(0, 0, 1, 1);
                }
                return [...canvas.getImageData(0, 0, 1, 1).data];
            };
            const luminance = (rgb) => {
                const [r, g, b] = rgb.map((v) => {
                    const c = v / 255;
                    return c > 0.04045 ? ((c + 0.055) / 1.055) ** 2.4 : c / 12.92;
                });
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            const backgrounds = (element) => {
                const all = [];
                for (let e = element; e; e = e.parentElement) all.unshift(getComputedStyle(e).backgroundColor);
                return all;
            };
            const selectors = ['p', '.ci', '.right', '.wrong', '.up4', '.up4 .ci', '.down4', '.down4 .ci', 'button', 'figcaption'];
            return selectors.map((selector) => {
                const element = document.querySelector(selector);
                const under = backgrounds(element);
                const paper = luminance(pixel(under));
                const ink = luminance(pixel([...under, getComputedStyle(element).color]));
                const ratio = (Math.max(paper, ink) + 0.05) / (Math.min(paper, ink) + 0.05);
                return [selector, ratio];
            });
        })()",
    );
    for pair in found.as_array().unwrap() {
        let ratio = pair[1].as_f64().unwrap();
        assert!(ratio >= 4.5, "{scheme}: {pair}");
    }
}

#[test]
fn without_javascript_there_is_a_table() {
    let Some(mut page) = open() else { return };
    let directory = tempfile::tempdir().unwrap();
    let file = write_page(&directory);
    let visible = "['.control', 'noscript table'].map((s) => document.querySelector(s)?.checkVisibility() ?? false)";
    page.load(&file);
    assert_eq!(page.evaluate(visible), json!([true, false]));
    page.call(
        "Emulation.setScriptExecutionDisabled",
        json!({"value": true}),
    );
    page.load(&file);
    assert_eq!(page.evaluate(visible), json!([false, true]));
    let rows = page.evaluate("document.querySelectorAll('noscript tbody tr').length");
    assert_eq!(rows, json!(N_POINTS));
    check_quiet(&mut page);
}

#[test]
fn no_other_script_runs() {
    let Some(mut page) = open() else { return };
    let directory = tempfile::tempdir().unwrap();
    page.load(&write_page(&directory));
    let ran = page.evaluate(
        "(() => {
            const script = document.createElement('script');
            script.textContent = 'window.ran = true';
            document.body.append(script);
            return window.ran === true;
        })()",
    );
    assert_eq!(ran, json!(false));
    let complaints = page.events(&["Log.entryAdded"]);
    let blocked = complaints.iter().any(|c| {
        c["entry"]["text"]
            .to_string()
            .contains("Content Security Policy")
    });
    assert!(blocked, "{complaints:?}");
}
