//! The page: one HTML document with its style, written whole or not at all.

use crate::escape::escape;
use crate::figure::Figure;
use crate::gallery::Gallery;
use crate::slider::{self, Slider};
use crate::table::Table;
use crate::verdict::printed;
use crate::{Error, Outcome, Result, Verdict, number};
use paint_atomic::UnfinishedFile;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// Everything that stands on the page.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportInput {
    /// Heading: "RQ1: patching nine tasks".
    pub title: String,
    /// The question in a sentence.
    pub question: String,
    /// The answer and the numbers it rests on.
    pub verdict: Verdict,
    /// The body, in reading order.
    pub sections: Vec<Section>,
    /// How to do it again.
    pub repetition: Repetition,
}

/// A heading and what stands below it.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    heading: String,
    blocks: Vec<Block>,
}

impl Section {
    /// A section; one without blocks is left out of the page.
    pub fn new(heading: &str, blocks: Vec<Block>) -> Self {
        Self {
            heading: heading.to_owned(),
            blocks,
        }
    }
}

/// A part of a section.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Block {
    /// Plain text.
    Paragraph(String),
    /// A table.
    Table(Table),
    /// A figure.
    Figure(Figure),
    /// Example images.
    Gallery(Gallery),
    /// The figure with a slider for alpha.
    Slider(Slider),
}

/// What somebody else needs to get the same numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repetition {
    /// The command line.
    pub command: String,
    /// The seed.
    pub seed: u64,
    /// Contents of `run.toml`.
    pub run_toml: String,
    /// Versions of the tool, the compiler, the libraries: name to version.
    pub versions: BTreeMap<String, String>,
    /// SHA-256 or other content keys of models and datasets: name to hash.
    pub hashes: BTreeMap<String, String>,
    /// Name of the processor.
    pub cpu: String,
    /// Number of cores in use.
    pub cores: usize,
    /// Wall time of the whole run.
    pub wall_time: Duration,
}

/// The page: one HTML document that fetches nothing. It runs no script but the slider's.
pub fn report(input: &ReportInput) -> String {
    let sections: String = input
        .sections
        .iter()
        .filter(|s| !s.blocks.is_empty())
        .map(section)
        .collect();
    let mut blocks = input.sections.iter().flat_map(|section| &section.blocks);
    let (script, script_source) = match blocks.any(|block| matches!(block, Block::Slider(_))) {
        true => (
            format!("<script>{}</script>\n", slider::SCRIPT),
            slider::script_source(),
        ),
        false => (String::new(), "'none'".to_owned()),
    };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src {script_source}; style-src 'unsafe-inline'; img-src data:\">\n\
         <link rel=\"icon\" href=\"data:,\">\n\
         <title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n\
         <header>\n<h1>{title}</h1>\n<p class=\"question\">{question}</p>\n{verdict}</header>\n\
         {sections}{repetition}</main>\n{script}</body>\n</html>\n",
        title = escape(&input.title),
        style = include_str!("page.css"),
        question = escape(&input.question),
        verdict = verdict(&input.verdict),
        repetition = repetition(&input.repetition),
    )
}

/// Writes the page to a file, which afterwards holds either the old page or
/// the whole new one.
///
/// # Errors
/// Fails where the directory is missing or cannot be written to, and on a full
/// disk.
pub fn write_report(path: &Path, input: &ReportInput) -> Result<()> {
    let io = |source| Error::Io {
        action: "write",
        path: path.to_owned(),
        source,
    };
    let mut file = UnfinishedFile::create(path).map_err(io)?;
    file.write_all(report(input).as_bytes()).map_err(io)?;
    file.publish().map_err(io)
}

fn verdict(verdict: &Verdict) -> String {
    let class = match verdict.verdict {
        Outcome::Supported => "supported",
        Outcome::NotSupported => "not-supported",
        Outcome::Undecided => "undecided",
    };
    let measures: String = verdict
        .measures
        .iter()
        .map(|(name, measure)| {
            let shown = printed(name, measure);
            format!(
                "<div><dt>{}</dt><dd><b>{}</b> {}</dd><dd class=\"ci\">{}</dd></div>\n",
                escape(&shown.label),
                shown.value,
                shown.unit,
                shown.detail
            )
        })
        .collect();
    format!(
        "<section class=\"verdict {class}\" aria-label=\"Verdict\">\n<p class=\"outcome\">Verdict: <b>{}</b></p>\n\
         <dl class=\"measures\">\n{measures}</dl>\n<p class=\"note\">{} In brackets: 95\u{a0}% intervals.</p>\n</section>\n",
        verdict.verdict,
        escape(verdict.rule())
    )
}

fn section(section: &Section) -> String {
    let blocks: String = section.blocks.iter().map(block).collect();
    format!(
        "<section>\n<h2>{}</h2>\n{blocks}</section>\n",
        escape(&section.heading)
    )
}

fn block(block: &Block) -> String {
    match block {
        Block::Paragraph(text) => format!("<p>{}</p>\n", escape(text)),
        Block::Table(table) => table.to_html(),
        Block::Figure(figure) => figure.to_html(),
        Block::Gallery(gallery) => gallery.to_html(),
        Block::Slider(slider) => slider.to_html(),
    }
}

fn repetition(repetition: &Repetition) -> String {
    let machine = format!("{}, {} cores", repetition.cpu, repetition.cores);
    let mut facts = vec![
        ("Machine".to_owned(), machine),
        (
            "Wall time".to_owned(),
            number::duration(repetition.wall_time),
        ),
        ("Seed".to_owned(), repetition.seed.to_string()),
    ];
    facts.extend(repetition.versions.clone());
    let facts: String = facts
        .iter()
        .map(|(name, value)| fact(name, &escape(value)))
        .collect();
    let hashes: String = repetition
        .hashes
        .iter()
        .map(|(name, hash)| fact(name, &format!("<code>{}</code>", escape(hash))))
        .collect();
    let hashes = if hashes.is_empty() {
        hashes
    } else {
        format!("<h3>Content hashes</h3>\n<dl class=\"facts\">\n{hashes}</dl>\n")
    };
    format!(
        "<section>\n<h2>To repeat it</h2>\n<pre tabindex=\"0\"><code>{}</code></pre>\n<dl class=\"facts\">\n{facts}</dl>\n\
         <h3>run.toml</h3>\n<pre tabindex=\"0\"><code>{}</code></pre>\n{hashes}</section>\n",
        escape(&repetition.command),
        escape(&repetition.run_toml)
    )
}

/// `value` is markup already.
fn fact(name: &str, value: &str) -> String {
    format!("<div><dt>{}</dt><dd>{value}</dd></div>\n", escape(name))
}
