//! A run of a question: what determines it, where it is kept, and how it is published.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use paint_mix::Rule;
use paint_report::{Estimate, Repetition, ReportInput, Section, Verdict, write_report};
use paint_tune::FineTuneConfig;
use serde::Serialize;

use crate::machine;
use crate::options::Asked;
use crate::progress::{Console, answer};
use crate::run_dir::RunDir;
use crate::search::Search;
use crate::subject::{ModelIdentity, Subject, Tasks};
use crate::workspace;

/// Everything that determines a run; `run.toml`.
#[derive(Serialize)]
pub(crate) struct Plan {
    pub(crate) question: String,
    suite: String,
    tool_version: &'static str,
    patching: Vec<String>,
    supported: Vec<String>,
    tasks_sha256: String,
    pub(crate) seed: u64,
    limit: Option<usize>,
    grid: Vec<f64>,
    rule: Rule,
    search: Search,
    /// None where the parts of a question have hyperparameters of their own, among `options`.
    #[serde(skip_serializing_if = "Option::is_none")]
    fine_tune: Option<FineTuneConfig>,
    /// What this question alone is asked with.
    #[serde(skip_serializing_if = "toml::Table::is_empty")]
    options: toml::Table,
    pub(crate) models: Vec<ModelIdentity>,
}

/// A question being answered.
pub(crate) struct Run<'a> {
    pub(crate) asked: &'a Asked<'a>,
    pub(crate) plan: Plan,
    pub(crate) dir: RunDir,
    pub(crate) console: &'a Console,
    started: Instant,
}

/// What is published at the end.
pub(crate) struct Answer {
    pub(crate) title: String,
    /// The question in one sentence.
    pub(crate) question: &'static str,
    pub(crate) sections: Vec<Section>,
    /// For the terminal.
    pub(crate) table: String,
    /// The lines of `--json` before the verdict.
    pub(crate) lines: Vec<serde_json::Value>,
    pub(crate) verdict: Verdict,
}

impl<'a> Run<'a> {
    /// Opens the run's directory; continues where an earlier call was stopped.
    pub(crate) fn open(
        asked: &'a Asked<'a>,
        options: toml::Table,
        tasks: &Tasks,
        subjects: &[&Subject],
        started: Instant,
        console: &'a Console,
    ) -> Result<Self> {
        let settings = &asked.settings;
        let plan = Plan {
            question: asked.name.clone(),
            suite: asked.suite.name.clone(),
            tool_version: env!("CARGO_PKG_VERSION"),
            patching: asked.patching.clone(),
            supported: asked.suite.supported.clone(),
            tasks_sha256: machine::sha256(&serde_json::to_vec(&tasks.all())?),
            seed: asked.common.seed,
            limit: asked.common.limit,
            grid: settings.grid.clone(),
            rule: settings.rule,
            search: settings.search,
            fine_tune: (!options.contains_key("fine_tune")).then(|| settings.fine_tune.clone()),
            options,
            models: subjects.iter().map(|s| s.identity.clone()).collect(),
        };
        let directory = match &asked.common.out {
            Some(out) => out.clone(),
            None => {
                let models = plan.models.iter().map(|model| short_name(&model.name));
                let models = models.collect::<Vec<_>>().join("-");
                default_directory(&[&plan.question, &plan.suite, &models], &plan)?
            }
        };
        let dir = RunDir::open(&directory, &plan)?;
        for subject in subjects {
            subject.warn_of_chance(&dir, console)?;
        }
        Ok(Self {
            asked,
            plan,
            dir,
            console,
            started,
        })
    }

    /// What was asked, the first line of `--json`.
    fn line(&self) -> serde_json::Value {
        let names: Vec<&str> = self.plan.models.iter().map(|m| m.name.as_str()).collect();
        serde_json::json!({
            "kind": "run",
            "question": self.plan.question,
            "suite": self.plan.suite,
            "model": names.join(", "),
            "n_tasks": self.plan.patching.len(),
            "n_tasks_of_suite": self.asked.suite.patching.len(),
            "limit": self.plan.limit,
            "seed": self.plan.seed,
        })
    }

    /// Writes the report and prints the answer.
    pub(crate) fn publish(&self, answer: Answer) -> Result<()> {
        let model_hashes = self.plan.models.iter().flat_map(|model| {
            let of =
                |(file, hash): (&String, &String)| (format!("{} {file}", model.name), hash.clone());
            model.sha256.iter().map(of)
        });
        answer.publish(&Publication {
            dir: &self.dir,
            line: self.line(),
            seed: self.plan.seed,
            hashes: model_hashes
                .chain([("tasks".to_owned(), self.plan.tasks_sha256.clone())])
                .collect(),
            json: self.asked.common.json,
            started: self.started,
            console: self.console,
        })
    }
}

/// What an answer is published with.
pub(crate) struct Publication<'a> {
    pub(crate) dir: &'a RunDir,
    /// What was asked, the first line of `--json`.
    pub(crate) line: serde_json::Value,
    pub(crate) seed: u64,
    /// Of models and data, for the report.
    pub(crate) hashes: BTreeMap<String, String>,
    pub(crate) json: bool,
    pub(crate) started: Instant,
    pub(crate) console: &'a Console,
}

impl Answer {
    /// Writes the report and prints the answer.
    pub(crate) fn publish(self, with: &Publication<'_>) -> Result<()> {
        let report = with.dir.path.join("report.html");
        let input = ReportInput {
            title: self.title,
            question: self.question.to_owned(),
            verdict: self.verdict.clone(),
            sections: self.sections,
            repetition: Repetition {
                command: machine::command_line(),
                seed: with.seed,
                run_toml: with.dir.toml.clone(),
                versions: machine::versions(),
                hashes: with.hashes.clone(),
                cpu: machine::cpu(),
                cores: machine::cores(),
                wall_time: with.started.elapsed(),
            },
        };
        write_report(&report, &input)?;
        if with.json {
            answer(&with.line);
            self.lines.iter().for_each(answer);
            answer(serde_json::to_string(&self.verdict)?);
            with.console.say(self.table);
        } else {
            answer(self.table);
            answer(self.verdict.to_text());
        }
        with.console.say(format!(
            "run     {}\nreport  {}",
            with.dir.path.display(),
            report.display()
        ));
        Ok(())
    }
}

/// A fraction with its interval as `--json` gives it: in points.
pub(crate) fn points(estimate: &Estimate) -> serde_json::Value {
    serde_json::json!({
        "value": 100.0 * estimate.value(),
        "low": 100.0 * estimate.low(),
        "high": 100.0 * estimate.high(),
        "n": estimate.n(),
    })
}

/// Where a run goes unless told otherwise: under `parts` and the hash of its plan.
pub(crate) fn default_directory(parts: &[&str], plan: &impl Serialize) -> Result<PathBuf> {
    let hash = machine::sha256(toml::to_string(plan)?.as_bytes());
    let name = format!("{}-{}", parts.join("-"), &hash[..8]);
    Ok(workspace::runs().join(name))
}

/// A model's name, or the last part of its directory.
pub(crate) fn short_name(model: &str) -> String {
    let name = Path::new(model).file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
