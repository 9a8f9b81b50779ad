//! `cargo xtask hierarchy`: how well self-consistency knows wrong answers, and what re-ranking with
//! a label hierarchy makes of the unsure ones.

mod measured;
mod tree;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use paint_data::{Dataset, SplitName, Task};
use paint_report::{
    ConfidenceRow, ConfidenceSideEffect, Consistency, Estimate, HierarchyFindings, Kind, Record,
    RerankRow, Role, Split, Verdict, confidence_side_effects, confidence_table, hierarchy_sections,
    rerank_table,
};
use serde::Serialize;

use self::measured::{Measured, TEMPLATES};
use self::tree::Tree;
use crate::embeddings::Embedder;
use crate::machine;
use crate::model::Model;
use crate::models::find_model;
use crate::progress::Console;
use crate::question::{Answer, Publication, default_directory, points, short_name};
use crate::run_dir::RunDir;
use crate::side_effects::{PatchedModel, find_patched, patched_keys};
use crate::tasks::{find_task, hub_of, is_of_world, prepare_world};

/// When is a prediction unreliable, and does a label hierarchy mend it?
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A checkpoint directory in Hugging Face layout, or the name of an embedded model
    #[arg(long, default_value = "world-s")]
    model: String,
    /// Name or manifest of the task whose test images are looked at
    #[arg(long, default_value = "objects")]
    task: String,
    /// What is a kind of what: a TOML tree whose names are the classes', or a directory with
    /// WordNet's data.noun, where a class is the first sense of its name [default: the embedded
    /// objects' tree; confidence alone for other tasks]
    #[arg(long)]
    hierarchy: Option<PathBuf>,
    /// Look for datasets in this directory in Hub layout
    #[arg(long)]
    hub: Option<PathBuf>,
    /// At most so many images
    #[arg(long)]
    limit: Option<usize>,
    /// Also what patching changed: the directory of a finished run of rq1 or patch of this model
    #[arg(long, value_name = "RUN")]
    patched: Option<PathBuf>,
    /// Directory of the run [default: runs/hierarchy-TASK-MODEL-…]
    #[arg(long)]
    out: Option<PathBuf>,
    /// One JSON object per line on standard output
    #[arg(long)]
    json: bool,
}

/// Everything that determines a run; `run.toml`.
#[derive(Serialize)]
struct Plan {
    question: &'static str,
    model: String,
    tool_version: &'static str,
    checkpoint: String,
    task: String,
    data: String,
    class_names_sha256: String,
    /// Of the hierarchy's files.
    #[serde(skip_serializing_if = "Option::is_none")]
    hierarchy_sha256: Option<String>,
    templates: Vec<&'static str>,
    /// By task, the hash of the patched checkpoint.
    patched: BTreeMap<String, String>,
}

pub(crate) fn run(args: &Args, console: &Console) -> Result<()> {
    let started = Instant::now();
    let task = find_task(&args.task)?;
    let hub = hub_of(args.hub.as_deref(), console);
    let model = Model::load(find_model(&args.model, &hub)?)?;
    let patched = match &args.patched {
        Some(run) => find_patched(run, &model, &args.model)?,
        None => Vec::new(),
    };
    let embedder = Embedder::new(&model)?;
    let dataset = open(&task, args, console)?;
    let tree = Tree::find(args.hierarchy.as_deref(), &task, dataset.class_names())?;
    let plan = Plan {
        question: "hierarchy",
        model: args.model.clone(),
        tool_version: env!("CARGO_PKG_VERSION"),
        checkpoint: embedder.checkpoint.clone(),
        task: task.name.clone(),
        data: dataset.content_key().to_owned(),
        class_names_sha256: machine::sha256(&serde_json::to_vec(dataset.class_names())?),
        hierarchy_sha256: tree.as_ref().map(|tree| tree.sha256.clone()),
        templates: TEMPLATES.to_vec(),
        patched: patched_keys(&patched)?,
    };
    let directory = match &args.out {
        Some(out) => out.clone(),
        None => default_directory(&["hierarchy", &plan.task, &short_name(&plan.model)], &plan)?,
    };
    let mut dir = RunDir::open(&directory, &plan)?;
    let findings = find(&embedder, &dataset, tree.as_ref(), &patched, console)?;
    for record in records(&plan, &findings) {
        dir.record(&record)?;
    }
    let line = serde_json::json!({
        "kind": "run",
        "question": plan.question,
        "model": plan.model,
        "task": plan.task,
        "n": dataset.len(),
    });
    let hashes = BTreeMap::from([
        (format!("{} weights", plan.model), plan.checkpoint.clone()),
        (format!("{} test images", plan.task), plan.data.clone()),
    ]);
    publish(
        &findings,
        &Publication {
            dir: &dir,
            line,
            seed: 0,
            hashes,
            json: args.json,
            started,
            console,
        },
    )
}

fn find(
    embedder: &Embedder<'_>,
    dataset: &Dataset,
    tree: Option<&Tree>,
    patched: &[PatchedModel],
    console: &Console,
) -> Result<HierarchyFindings> {
    let names = dataset.class_names();
    let measured = Measured::new(embedder, dataset, names, console)?;
    let of_patched = |patched: &PatchedModel| {
        let embedder = Embedder::new(&patched.model)?;
        let after = Measured::new(&embedder, dataset, names, console)?;
        side_effect(&patched.task, &measured, &after)
    };
    Ok(HierarchyFindings {
        confidence: measured.scores()?,
        reranking: match tree {
            Some(tree) => measured.reranked(embedder, tree)?,
            None => Vec::new(),
        },
        patched: patched.iter().map(of_patched).collect::<Result<_>>()?,
        notes: notes(&measured, tree, names),
    })
}

fn open(task: &Task, args: &Args, console: &Console) -> Result<Dataset> {
    let hub = match is_of_world(task) {
        true => paint_data::Hub::Directory(prepare_world(&[task], console)?),
        false => hub_of(args.hub.as_deref(), console),
    };
    let dataset = Dataset::open(task, SplitName::Test, &hub)
        .with_context(|| format!("task {}", task.name))?;
    Ok(match args.limit {
        Some(n) => dataset.subset(n, 0),
        None => dataset,
    })
}

fn notes(measured: &Measured, tree: Option<&Tree>, names: &[String]) -> Vec<String> {
    let mut notes = vec![format!(
        "Self-consistency: the share of {} prompts and 4 views (mirrored, upside down, turned, \
         cropped) that agree with the answer to the bare name. {} images are of low confidence: \
         halves of the prompts, all, the bare name and the mirrored image do not agree.",
        TEMPLATES.len(),
        measured.n_low()
    )];
    if let Some(tree) = tree {
        let (n_known, n) = (tree.n_known(), names.len());
        notes.push(format!(
            "The hierarchy knows {n_known} of {n} classes. Parents are the nearest that are not \
             abstract; ancestors with rare names are kept, which the paper drops."
        ));
    }
    notes
}

fn side_effect(task: &str, before: &Measured, after: &Measured) -> Result<ConfidenceSideEffect> {
    let (was, is) = (before.scores()?, after.scores()?);
    let auroc = |rows: &[ConfidenceRow], score: &str| {
        let row = rows.iter().find(|row| row.score == score);
        row.map(|row| row.auroc)
            .with_context(|| format!("there is no {score}"))
    };
    let both =
        |score: &str| -> Result<[Estimate; 2]> { Ok([auroc(&was, score)?, auroc(&is, score)?]) };
    Ok(ConfidenceSideEffect {
        patched_on: task.to_owned(),
        self_consistency: both("self-consistency")?,
        max_logit: both("max-logit")?,
        top1: [before.top1()?, after.top1()?],
    })
}

fn verdict(findings: &HierarchyFindings) -> Result<Verdict> {
    let minus = |score: &str| {
        let row = findings.confidence.iter().find(|row| row.score == score);
        row.and_then(|row| row.first_minus)
            .with_context(|| format!("there is no {score}"))
    };
    // The headline: parents and children, as published.
    let low = |base: &str| {
        let mut rows = findings.reranking.iter();
        let row = rows.find(|row| row.base == base)?;
        row.low.map(|[_, _, change]| change)
    };
    Ok(Verdict::hierarchy(&Consistency {
        auroc_gain: minus("max-logit")?,
        auroc_gain_over_prompts: minus("max-logit with prompts")?,
        has_hierarchy: !findings.reranking.is_empty(),
        low_change: low("bare names"),
        low_change_prompted: low("prompt ensemble"),
    }))
}

fn publish(findings: &HierarchyFindings, with: &Publication<'_>) -> Result<()> {
    let confidence = confidence_table(&findings.confidence)?;
    let tables = [
        Some(confidence),
        rerank_table(&findings.reranking),
        confidence_side_effects(&findings.patched),
    ];
    let texts = tables.iter().flatten();
    let table: Vec<String> = texts
        .map(|table| format!("{}\n{}", table.caption, table.to_text()))
        .chain(findings.notes.iter().map(|note| format!("{note}\n")))
        .collect();
    let answer = Answer {
        title: "Confidence and label hierarchy".to_owned(),
        question: "Does the model know when it is wrong, and does a label hierarchy help there?",
        sections: hierarchy_sections(findings)?,
        table: table.join("\n"),
        lines: lines(findings),
        verdict: verdict(findings)?,
    };
    answer.publish(with)
}

fn lines(findings: &HierarchyFindings) -> Vec<serde_json::Value> {
    let score = |row: &ConfidenceRow| {
        serde_json::json!({
            "kind": "score",
            "score": row.score,
            "auroc": points(&row.auroc),
            "first_minus": row.first_minus.as_ref().map(points),
            "selective_area": 100.0 * row.area,
        })
    };
    let change = |[before, after, change]: &[Estimate; 3]| {
        serde_json::json!({
            "before": points(before), "after": points(after), "change": points(change),
        })
    };
    let reranked = |row: &RerankRow| {
        serde_json::json!({
            "kind": "reranked",
            "base": row.base,
            "with": row.with,
            "all": change(&row.all),
            "low": row.low.as_ref().map(change),
            "low_top5": row.ceiling.as_ref().map(points),
            "fixed": row.n_fixed,
            "broken": row.n_broken,
        })
    };
    let patched = |effect: &ConfidenceSideEffect| {
        let pair = |[before, after]: &[Estimate; 2]| serde_json::json!({"before": points(before), "after": points(after)});
        serde_json::json!({
            "kind": "patched",
            "patched_on": effect.patched_on,
            "self_consistency": pair(&effect.self_consistency),
            "max_logit": pair(&effect.max_logit),
            "top1": pair(&effect.top1),
        })
    };
    let scores = findings.confidence.iter().map(score);
    let reranked = findings.reranking.iter().map(reranked);
    let patched = findings.patched.iter().map(patched);
    scores.chain(reranked).chain(patched).collect()
}

fn records(plan: &Plan, findings: &HierarchyFindings) -> Vec<Record> {
    let fact = |method: &str, measure: &str| {
        Record::new(plan.question, Kind::Quantity)
            .measure(measure)
            .method(method)
            .model(&plan.model)
            .task(&plan.task)
    };
    let mut facts = Vec::new();
    for row in &findings.confidence {
        facts.push(fact(&row.score, "AUROC").estimate(&row.auroc));
        let measure = "area of the selective curve";
        facts.push(fact(&row.score, measure).value(row.area));
        if let Some(minus) = &row.first_minus {
            let measure = "AUROC that self-consistency has more";
            facts.push(fact(&row.score, measure).estimate(minus));
        }
    }
    for row in &findings.reranking {
        let method = format!("{}, {}", row.base, row.with);
        let mut change = |on: &str, [before, after, change]: &[Estimate; 3]| {
            for (what, value) in [("before", before), ("after", after), ("change", change)] {
                let measure = format!("top-1 {on}, {what}");
                facts.push(fact(&method, &measure).estimate(value));
            }
        };
        change("over all", &row.all);
        if let Some(low) = &row.low {
            change("at low confidence", low);
        }
    }
    for effect in &findings.patched {
        facts.extend(side_effect_records(plan, effect));
    }
    facts
}

/// AUROC of both scores and top-1 before and after patching.
fn side_effect_records(plan: &Plan, effect: &ConfidenceSideEffect) -> Vec<Record> {
    let measures = [
        (
            Kind::Quantity,
            "AUROC of self-consistency",
            &effect.self_consistency,
        ),
        (Kind::Quantity, "AUROC of max-logit", &effect.max_logit),
        (Kind::Accuracy, "top-1", &effect.top1),
    ];
    let records = measures
        .into_iter()
        .flat_map(|(kind, measure, [before, after])| {
            [("before", before), ("after", after)].map(|(when, value)| {
                Record::new(plan.question, kind)
                    .measure(&format!("{measure}, {when} patching"))
                    .model(&plan.model)
                    .task(&effect.patched_on)
                    .on(&plan.task, Role::Supported, Split::Test)
                    .estimate(value)
            })
        });
    records.collect()
}
