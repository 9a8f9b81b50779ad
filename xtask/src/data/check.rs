//! `cargo xtask data check`: a manifest beside the files that it describes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Result, bail};
use paint_data::{Dataset, Hub, SplitName, Task};
use paint_report::{Cell, Table};
use serde::Serialize;

use super::hub_for;
use super::sample::{Sample, Seen, seen};
use crate::progress::{Console, answer};
use crate::tasks::{find_suite, find_task, promised};

/// Compare a task's manifest with its files
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Names of known tasks, or manifests (.toml)
    #[arg(required_unless_present = "suite")]
    tasks: Vec<String>,
    /// All tasks of this suite
    #[arg(long, conflicts_with = "tasks")]
    suite: Option<String>,
    /// Look for datasets in this directory in Hub layout
    #[arg(long)]
    hub: Option<PathBuf>,
    /// Decode every image to find equal pixels in different files, however many there are
    #[arg(long)]
    pixels: bool,
    /// One JSON object per line on standard output
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Ok,
    Differs,
    CannotBeChecked,
}

/// One line of the table.
#[derive(Serialize)]
struct Finding {
    kind: &'static str,
    task: String,
    check: &'static str,
    outcome: Outcome,
    detail: String,
}

/// Files of more bytes are decoded for equal pixels only if that is asked for.
const MAX_DECODED_BYTES: u64 = 512_000_000;
/// How far a size may be from the published one, which is often rounded.
const SIZE_TOLERANCE: f64 = 0.05;
/// Names that a list shows at most.
const SHOWN: usize = 4;

pub(crate) fn run(args: &Args, console: &Console) -> Result<()> {
    let names = match &args.suite {
        Some(suite) => {
            let suite = find_suite(suite)?;
            suite.supported.into_iter().chain(suite.patching).collect()
        }
        None => args.tasks.clone(),
    };
    let mut findings = Vec::new();
    let mut remarks = Vec::new();
    for name in &names {
        let task = find_task(name)?;
        let of_task = check(&task, args, console)?;
        if args.json {
            for finding in &of_task {
                answer(serde_json::to_string(finding)?);
            }
        }
        findings.extend(of_task);
        let unverified = task.unverified.as_ref();
        remarks.extend(unverified.map(|what| format!("{}: not verified: {what}", task.name)));
    }
    if !args.json {
        answer(table(&findings, remarks).to_text());
    }
    let differing = findings.iter().filter(|f| f.outcome == Outcome::Differs);
    match differing.count() {
        0 => Ok(()),
        1 => bail!("one check differs from the manifest"),
        n => bail!("{n} checks differ from their manifests"),
    }
}

fn table(findings: &[Finding], remarks: Vec<String>) -> Table {
    let columns = ["task", "check", "outcome", "what was found"].map(str::to_owned);
    let row = |finding: &Finding| {
        let outcome = match finding.outcome {
            Outcome::Ok => "ok",
            Outcome::Differs => "DIFFERS",
            Outcome::CannotBeChecked => "cannot be checked",
        };
        let cells = [&finding.task, finding.check, outcome, &finding.detail];
        cells.map(|text| Cell::Text(text.to_owned())).to_vec()
    };
    let rows = findings.iter().map(row).collect();
    let mut table = Table::new("Manifests and files", columns.to_vec(), rows);
    table.notes = remarks;
    table
}

/// A task's open splits, and what has been found.
struct Checked<'a> {
    task: &'a Task,
    splits: BTreeMap<SplitName, Dataset>,
    findings: Vec<Finding>,
}

fn check(task: &Task, args: &Args, console: &Console) -> Result<Vec<Finding>> {
    // The whole dataset, whatever share a manifest uses.
    let mut whole = task.clone();
    whole.part.train = None;
    whole.part.validation = None;
    whole.part.test = None;
    let mut checked = Checked {
        task: &whole,
        splits: BTreeMap::new(),
        findings: Vec::new(),
    };
    let hub = hub_for(task, args.hub.as_deref(), console)?;
    if checked.open(&hub) {
        checked.rows();
        checked.bytes();
        checked.labels();
        checked.class_names();
        checked.images()?;
        checked.duplicates(args.pixels, console)?;
    }
    Ok(checked.findings)
}

impl Checked<'_> {
    fn find(&mut self, check: &'static str, outcome: Outcome, detail: String) {
        self.findings.push(Finding {
            kind: "check",
            task: self.task.name.clone(),
            check,
            outcome,
            detail,
        });
    }

    /// Differs if there is something to tell.
    fn found(&mut self, check: &'static str, problems: &[String], otherwise: String) {
        match problems {
            [] => self.find(check, Outcome::Ok, otherwise),
            some => self.find(check, Outcome::Differs, some.join("; ")),
        }
    }

    /// Files, columns and labels are looked at as a run does.
    fn open(&mut self, hub: &Hub) -> bool {
        let open = || -> paint_data::Result<BTreeMap<SplitName, Dataset>> {
            Dataset::splits(self.task, hub)?
                .into_iter()
                .map(|split| Ok((split, Dataset::open(self.task, split, hub)?)))
                .collect()
        };
        match open() {
            Ok(splits) => {
                self.splits = splits;
                let files = format!("{} files", self.files().len());
                let each = self.each_split(|dataset| format!("{} images", dataset.len()));
                self.find("schema", Outcome::Ok, format!("{files}; {each}"));
                true
            }
            Err(error) => {
                self.find("schema", Outcome::Differs, error.to_string());
                false
            }
        }
    }

    fn each_split(&self, say: impl Fn(&Dataset) -> String) -> String {
        let said = self.splits.iter();
        let said: Vec<String> = said
            .map(|(split, d)| format!("{split} {}", say(d)))
            .collect();
        said.join(", ")
    }

    fn files(&self) -> BTreeSet<PathBuf> {
        let files = self.splits.values().flat_map(Dataset::files);
        files.map(std::path::Path::to_owned).collect()
    }

    /// A split that has files of its own.
    fn stored(&self, split: SplitName) -> Option<&Dataset> {
        let dataset = self.splits.get(&split)?;
        let train = self.splits.get(&SplitName::Train);
        let is_cut =
            |train: &Dataset| split != SplitName::Train && train.files() == dataset.files();
        (!train.is_some_and(is_cut)).then_some(dataset)
    }

    fn rows(&mut self) {
        let promised = promised(self.task).rows;
        let (mut problems, mut equal) = (Vec::new(), Vec::new());
        for split in [SplitName::Train, SplitName::Validation, SplitName::Test] {
            let Some(promise) = promised.get(split) else {
                continue;
            };
            match self.stored(split).map(Dataset::n_stored) {
                Some(n) if n as u64 == promise => equal.push(format!("{split} {n}")),
                Some(n) => problems.push(format!("{split}: {n}, published are {promise}")),
                None => problems.push(format!("{split}: none, published are {promise}")),
            }
        }
        if problems.is_empty() && equal.is_empty() {
            let detail = "the manifest has no [published] rows".to_owned();
            return self.find("rows", Outcome::CannotBeChecked, detail);
        }
        self.found("rows", &problems, equal.join(", "));
    }

    fn bytes(&mut self) {
        let (n, missing) = self.bytes_and_missing();
        if !missing.is_empty() {
            let problem = format!("{} files are missing: {}", missing.len(), some_of(&missing));
            self.find("bytes", Outcome::Differs, problem);
            return;
        }
        let Some(promise) = promised(self.task).bytes else {
            let detail = format!("{n} bytes; the manifest has no [published] bytes");
            self.find("bytes", Outcome::CannotBeChecked, detail);
            return;
        };
        let far = (n as f64 - promise as f64).abs() > SIZE_TOLERANCE * promise as f64;
        let problem = far.then(|| format!("{n}, published are {promise}"));
        let fine = format!("{n}, within 5 % of the published {promise}");
        self.found("bytes", problem.as_slice(), fine);
    }

    /// The size of all files, and those that a list names and that are not there.
    fn bytes_and_missing(&self) -> (u64, Vec<String>) {
        let (mut n, mut missing) = (0, Vec::new());
        for file in self.files() {
            match file.metadata() {
                Ok(metadata) => n += metadata.len(),
                Err(_) => missing.push(file.display().to_string()),
            }
        }
        (n, missing)
    }

    /// Labels are in range, or the split would not have opened.
    fn labels(&mut self) {
        let mut problems = Vec::new();
        let mut counts = Vec::new();
        for (split, dataset) in &self.splits {
            let mut of_class = vec![0_u64; dataset.class_names().len()];
            for &label in dataset.labels() {
                of_class[label as usize] += 1;
            }
            let empty: Vec<String> = of_class
                .iter()
                .zip(dataset.class_names())
                .enumerate()
                .filter(|(_, (n, _))| **n == 0)
                .map(|(class, (_, name))| format!("{class} ({name})"))
                .collect();
            if !empty.is_empty() {
                problems.push(format!("{split}: no image of {}", some_of(&empty)));
            }
            let (least, most) = (of_class.iter().min(), of_class.iter().max());
            if let (Some(least), Some(most)) = (least, most) {
                counts.push(format!("{split} {least} to {most} of a class"));
            }
        }
        let n_classes = self
            .splits
            .values()
            .next()
            .map_or(0, |d| d.class_names().len());
        let fine = format!(
            "0 to {}; {}",
            n_classes.saturating_sub(1),
            counts.join(", ")
        );
        self.found("labels", &problems, fine);
    }

    fn class_names(&mut self) {
        let Some(dataset) = self.splits.values().next() else {
            return;
        };
        let ours = dataset.class_names();
        let Some(theirs) = dataset.stored_class_names() else {
            let detail = "the files do not name their classes".to_owned();
            return self.find("class names", Outcome::CannotBeChecked, detail);
        };
        let elsewhere = misplaced(ours, theirs);
        let other_words: Vec<String> = ours
            .iter()
            .zip(theirs)
            .enumerate()
            .filter(|(_, (ours, theirs))| ours != theirs)
            .map(|(class, (ours, theirs))| format!("{class} is {ours:?}, in the files {theirs:?}"))
            .collect();
        let fine = match other_words.len() {
            0 => format!("{} names, as in the files", ours.len()),
            n => format!(
                "{n} of {} in other words, such as {}",
                ours.len(),
                other_words[0]
            ),
        };
        self.found("class names", &elsewhere, fine);
    }

    fn images(&mut self) -> Result<()> {
        let mut sample = Sample::default();
        for dataset in self.splits.values() {
            sample.add(dataset)?;
        }
        let problem = sample.failure();
        self.found("images", problem.as_slice(), sample.to_string());
        Ok(())
    }

    fn duplicates(&mut self, even_large: bool, console: &Console) -> Result<()> {
        let (n_bytes, _) = self.bytes_and_missing();
        let with_pixels = even_large || n_bytes <= MAX_DECODED_BYTES;
        let n = self.splits.values().map(|d| d.len() as u64).sum();
        let bar = console.bar(&format!("{}: equal images", self.task.name), n);
        let mut all = Vec::new();
        for (split, dataset) in &self.splits {
            all.extend(seen(*split, dataset, with_pixels, &|n| bar.inc(n))?);
        }
        bar.finish_and_clear();
        let fine = |same: &str| format!("no two splits share {same}");
        let problems = shared(&all, |image| Some(image.bytes), self);
        self.found("duplicates", &problems, fine("a file's bytes"));
        if !with_pixels {
            let detail = format!("{n_bytes} bytes to decode; --pixels does it");
            self.find("equal pixels", Outcome::CannotBeChecked, detail);
            return Ok(());
        }
        let problems = shared(&all, |image| image.pixels, self);
        self.found("equal pixels", &problems, fine("an image's pixels"));
        Ok(())
    }
}

/// Names that stand at another class's place in the files, whatever their case and punctuation.
fn misplaced(ours: &[String], theirs: &[String]) -> Vec<String> {
    let plain = |name: &String| -> String {
        let letters = name.chars().filter(|c| c.is_alphanumeric());
        letters.flat_map(char::to_lowercase).collect()
    };
    let theirs: Vec<String> = theirs.iter().map(plain).collect();
    let place = |(class, name): (usize, &String)| {
        let name_here = plain(name);
        let there = theirs.iter().position(|other| *other == name_here)?;
        (theirs.get(class) != Some(&name_here))
            .then(|| format!("{name:?} is class {class}, in the files {there}"))
    };
    let found: Vec<String> = ours.iter().enumerate().filter_map(place).collect();
    match found.is_empty() {
        true => found,
        false => vec![some_of(&found)],
    }
}

/// Images that two splits have in common, by what `key` says of an image.
fn shared(all: &[Seen], key: impl Fn(&Seen) -> Option<u128>, checked: &Checked<'_>) -> Vec<String> {
    let mut keyed: Vec<(u128, &Seen)> = all.iter().filter_map(|s| Some((key(s)?, s))).collect();
    keyed.sort_by_key(|(key, image)| (*key, image.split, image.row));
    let mut pairs: BTreeMap<(SplitName, SplitName), (usize, &Seen, &Seen)> = BTreeMap::new();
    for same in keyed.chunk_by(|a, b| a.0 == b.0) {
        let of_splits: Vec<_> = same.chunk_by(|a, b| a.1.split == b.1.split).collect();
        for (i, later) in of_splits.iter().enumerate() {
            for earlier in &of_splits[..i] {
                let (first, second) = (earlier[0].1, later[0].1);
                let pair = (first.split, second.split);
                pairs.entry(pair).or_insert((0, first, second)).0 += later.len();
            }
        }
    }
    let say = |((a, b), (n, first, second)): (&(SplitName, SplitName), &(usize, &Seen, &Seen))| {
        format!(
            "{n} images of {b} are in {a} too, such as {} and {}",
            checked.splits[a].place(first.row),
            checked.splits[b].place(second.row)
        )
    };
    pairs.iter().map(say).collect()
}

fn some_of(all: &[String]) -> String {
    let shown = all[..all.len().min(SHOWN)].join(", ");
    match all.len().saturating_sub(SHOWN) {
        0 => shown,
        n => format!("{shown} and {n} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_case_and_punctuation() {
        let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let ours = names(&["T-shirt/top", "Ankle boot", "bag"]);
        assert!(misplaced(&ours, &names(&["T - shirt / top", "ankle_boot", "Bag"])).is_empty());
        assert!(misplaced(&ours, &names(&["shirt", "shoe", "satchel"])).is_empty());
        let found = misplaced(&ours, &names(&["T - shirt / top", "Bag", "ankle_boot"]));
        assert_eq!(
            found,
            ["\"Ankle boot\" is class 1, in the files 2, \"bag\" is class 2, in the files 1"]
        );
    }
}
