//! `cargo xtask rq5`: the case studies: typographic attacks, counting, questions about images.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use paint_data::SplitName;
use paint_eval::{Difference, Paired, Predictions, mean_difference};
use paint_report::{
    Alpha, BeforeAfter, CaseStudies, Estimate, Kind, Record, Role, Rq5Findings, Rq5Study, Split,
    StudySet, UnseenCount, Verdict, rq5_sections, rq5_table,
};
use paint_world::{BETWEEN_COUNTS, BEYOND_COUNTS, SEEN_COUNTS};

use crate::case_studies::{Attacked, CaseData, Counting, Study, StudySettings, expected};
use crate::examples::before_after;
use crate::findings::{self, change, curve, estimate, supported_name, task_change};
use crate::options::{Asked, Defaults, Settings, SuiteArgs};
use crate::patching::{Patched, patch};
use crate::plan::{self, Outlook, Step, Work};
use crate::prepared::Prepared;
use crate::progress::Console;
use crate::question::{Answer, Run, points};
use crate::subject::{Subject, Tasks};

/// Does patching mend typographic attacks, counting, and questions about images?
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    suite: SuiteArgs,
}

const TEST: SplitName = SplitName::Test;
/// Images shown of a study.
const N_EXAMPLES: usize = 12;

/// A study, and what patching did to the supported tasks: answers before and after.
struct Found {
    study: Rq5Study,
    supported: Vec<(Predictions, Predictions)>,
}

pub(crate) fn run(args: &Args, console: &Console) -> Result<()> {
    let started = Instant::now();
    let mut asked = Asked::of_suite("rq5", &args.suite, Defaults::default(), console)?;
    if args.suite.names_tasks() {
        bail!("rq5 has patching tasks of its own; --tasks is for the other questions");
    }
    if !asked.settings.search.is_grid() {
        bail!(
            "rq5 has questions with answers of their own, which only --search grid can choose on"
        );
    }
    asked.patching.clear();
    let settings = StudySettings::new(&asked)?;
    if args.suite.plan {
        let steps = |outlook: &Outlook<'_>| steps(outlook, &settings);
        return plan::print(&asked, &[asked.case_model()?], steps, console);
    }
    let tasks = Tasks::find(&asked, console)?;
    let subject = Subject::open(asked.case_model()?, &tasks, console)?;
    let data = CaseData::open(&subject, &tasks, &asked, console)?;
    let mut options = data.keys();
    options.insert("fine_tune".to_owned(), settings.hyperparameters()?.into());
    let mut run = Run::open(&asked, options, &tasks, &[&subject], started, console)?;

    let (studies, measured) = ask(&subject, &data, &settings, &mut run)?;
    let verdict = Verdict::rq5(&measured);
    let findings = Rq5Findings {
        studies: studies.into_iter().map(|found| found.study).collect(),
        supported: supported_name(&subject.supported),
        notes: notes(&data),
    };
    record(&mut run, &subject, &findings.studies)?;
    run.publish(Answer {
        title: format!("Case studies with {}", subject.identity.name),
        question: "Does patching mend typographic attacks, counting, and questions about images, \
                   without hurting the supported tasks?",
        sections: rq5_sections(&findings)?,
        table: rq5_table(&findings.studies)?.to_text(),
        lines: findings.studies.iter().map(line).collect(),
        verdict,
    })
}

/// The studies that there are data for, and what the verdict rests on.
fn ask(
    subject: &Subject,
    data: &CaseData,
    settings: &StudySettings,
    run: &mut Run<'_>,
) -> Result<(Vec<Found>, CaseStudies)> {
    let mut studies = vec![typographic(subject, &data.attacked, settings, run)?];
    let attack = &studies[0].study.sets;
    let (attack_gain, clean_change) = (attack[0].change, attack[1].change);
    let (mut unseen_count, mut multiple_choice_gain) = (None, None);
    if let Some(task) = &data.counting {
        let found = counting(subject, task, settings, run)?;
        let seven = &found.study.sets[0];
        unseen_count = Some(UnseenCount {
            accuracy: seven.after,
            gain: seven.change,
        });
        studies.push(found);
    }
    if let Some(task) = &data.questions {
        let found = questions(subject, task, settings, run)?;
        multiple_choice_gain = Some(found.study.sets[0].change);
        studies.push(found);
    }
    let supported_change = supported_change(subject, &studies)?;
    let measured = CaseStudies {
        attack_gain,
        clean_change,
        unseen_count,
        multiple_choice_gain,
        supported_change,
    };
    Ok((studies, measured))
}

/// The mean over the supported tasks of how all studies changed them.
fn supported_change(subject: &Subject, studies: &[Found]) -> Result<Estimate> {
    let of_task = |i: usize| -> Result<Difference> {
        let pairs: Vec<(&Predictions, &Predictions)> = studies
            .iter()
            .map(|found| (&found.supported[i].0, &found.supported[i].1))
            .collect();
        Ok(Paired::shared(&pairs)?.difference())
    };
    let changes = (0..subject.supported.len()).map(of_task);
    change(mean_difference(&changes.collect::<Result<Vec<_>>>()?)?)
}

fn steps(outlook: &Outlook<'_>, settings: &StudySettings) -> Vec<Step> {
    let mut steps = vec![outlook.zero_shot()];
    for study in expected(outlook) {
        let fine_tune = &settings.of(study.study).fine_tune;
        steps.extend(outlook.patch_with(&study.images, fine_tune));
        let passes = study.images.test.map(|n| study.n_more * n);
        if study.n_more > 0 {
            let what = format!("{}: other classes", study.images.name);
            steps.push(Step::new(what, Work::Forward, passes));
        }
    }
    steps
}

fn notes(data: &CaseData) -> Vec<String> {
    let mut notes = vec![
        "Alpha is chosen on validation images of the classes, counts and questions trained on, and \
         of the supported tasks."
            .to_owned(),
    ];
    if data.counting.is_none() {
        notes.push(
            "Counting and questions are parts of the embedded world; this suite is not of it."
                .to_owned(),
        );
    }
    notes
}

/// One set of a study: the answers before and after, all or some of them.
fn set(name: &str, before: &Predictions, after: &Predictions) -> Result<StudySet> {
    Ok(StudySet {
        name: name.to_owned(),
        before: estimate(before.accuracy())?,
        after: estimate(after.accuracy())?,
        change: change(Paired::new(before, after)?.difference())?,
        of_errors: false,
    })
}

fn found(
    name: &str,
    description: String,
    subject: &Subject,
    patched: &Patched,
    sets: Vec<StudySet>,
    examples: Vec<BeforeAfter>,
) -> Result<Found> {
    let n_supported = patched.zero_shot.len() - 1;
    let changes: Vec<Difference> = (1..=n_supported)
        .map(|i| task_change(patched, i))
        .collect::<Result<_>>()?;
    let pairs = patched.zero_shot.iter().zip(&patched.chosen).skip(1);
    let supported = subject.supported.iter().zip(pairs.clone()).zip(&changes);
    let supported = supported.map(|((task, (before, after)), &difference)| {
        Ok(StudySet {
            name: task.name.clone(),
            before: estimate(before.accuracy())?,
            after: estimate(after.accuracy())?,
            change: change(difference)?,
            of_errors: false,
        })
    });
    Ok(Found {
        study: Rq5Study {
            name: name.to_owned(),
            description,
            alpha: Alpha::new(patched.searched.choice.alpha)?,
            validation: curve(name, patched)?,
            sets,
            supported: supported.collect::<Result<_>>()?,
            supported_change: change(mean_difference(&changes)?)?,
            examples,
        },
        supported: pairs.map(|(b, a)| (b.clone(), a.clone())).collect(),
    })
}

fn patched(
    subject: &Subject,
    task: &Prepared,
    settings: &Settings,
    run: &mut Run<'_>,
) -> Result<Patched> {
    let patched = patch(subject, task, &task.name, settings, run)?;
    findings::record(run, subject, &task.name, &patched)?;
    patched.keep(subject, task, &run.dir)?;
    run.console
        .say(format!("{}: {}", task.name, patched.searched.choice.reason));
    Ok(patched)
}

fn typographic(
    subject: &Subject,
    data: &Attacked,
    settings: &StudySettings,
    run: &mut Run<'_>,
) -> Result<Found> {
    let patched = patched(
        subject,
        &data.patching,
        settings.of(Study::Typographic),
        run,
    )?;
    let name = format!("{}/chosen", data.patching.name);
    let theta = patched.theta(subject)?;
    let both = |on: &Prepared| -> Result<[Predictions; 2]> {
        Ok([
            subject.zero_shot_answers(on, TEST, &run.dir)?,
            subject.answers(&theta, &name, on, TEST, &run.dir)?,
        ])
    };
    let attacked = both(&data.unseen)?;
    let clean = both(&data.unseen_clean)?;
    let [before, after] = &attacked;
    let read = StudySet {
        of_errors: true,
        ..set(
            "attacked, the written name is answered (fewer is better)",
            &before.of_labels(&data.written)?,
            &after.of_labels(&data.written)?,
        )?
    };
    let sets = vec![
        set("attacked, other classes", &attacked[0], &attacked[1])?,
        set("the same images, clean", &clean[0], &clean[1])?,
        read,
        set(
            "attacked, classes patched on",
            &patched.zero_shot[0],
            &patched.chosen[0],
        )?,
    ];
    let description = format!(
        "The name of a wrong class is written on every image. Patched on {} classes under attack \
         ({} training images), tested on {} other classes, attacked and clean, with those classes' \
         names to choose from.",
        data.patching.class_names.len(),
        data.patching.table(SplitName::Train)?.len(),
        data.unseen.class_names.len(),
    );
    let examples = before_after(&data.unseen, TEST, [&attacked[0], &attacked[1]], N_EXAMPLES)?;
    found(
        "Typographic attacks",
        description,
        subject,
        &patched,
        sets,
        examples,
    )
}

fn counting(
    subject: &Subject,
    data: &Counting,
    settings: &StudySettings,
    run: &mut Run<'_>,
) -> Result<Found> {
    let Counting { all: task, seen } = data;
    let patched = patched(subject, seen, settings.of(Study::Counting), run)?;
    let name = format!("{}/chosen", seen.name);
    let before = &subject.zero_shot_answers(task, TEST, &run.dir)?;
    let after = &subject.answers(&patched.theta(subject)?, &name, task, TEST, &run.dir)?;
    let of = |name: &str, classes: &[u32]| -> Result<StudySet> {
        let chosen: Vec<bool> = before
            .labels()
            .iter()
            .map(|l| classes.contains(l))
            .collect();
        set(name, &before.subset(&chosen)?, &after.subset(&chosen)?)
    };
    let mut sets = vec![
        of("count 7, never trained on, between", &BETWEEN_COUNTS)?,
        of("counts 4, 5, 6, 8, 9, trained on", &SEEN_COUNTS)?,
    ];
    for beyond in BEYOND_COUNTS {
        let count = paint_world::COUNTS[beyond as usize];
        sets.push(of(
            &format!("count {count}, never trained on, beyond"),
            &[beyond],
        )?);
    }
    let description = "Scenes of three to ten objects of mixed shapes, sizes and colours, as in \
                       CLEVR. Trained on 4, 5, 6, 8 and 9 objects with these counts to choose from; \
                       tested with all eight counts to choose from."
        .to_owned();
    let examples = before_after(task, TEST, [before, after], N_EXAMPLES)?;
    found("Counting", description, subject, &patched, sets, examples)
}

fn questions(
    subject: &Subject,
    task: &Prepared,
    settings: &StudySettings,
    run: &mut Run<'_>,
) -> Result<Found> {
    let patched = patched(subject, task, settings.of(Study::Questions), run)?;
    let (before, after) = (&patched.zero_shot[0], &patched.chosen[0]);
    let mut sets = vec![set("all questions", before, after)?];
    let asked = task.asked(TEST)?.context("a task of questions")?;
    for kind in paint_world::QUESTION_KINDS {
        let chosen: Vec<bool> = asked.kinds.iter().map(|of| *of == kind).collect();
        let name = format!("\u{201c}{kind}\u{201d}");
        sets.push(set(
            &name,
            &before.subset(&chosen)?,
            &after.subset(&chosen)?,
        )?);
    }
    let description = "Questions with four answers to choose from: where something is, how many \
                       there are, what colour it is, what is written. An answer is scored as a \
                       class is, by the prompt of question and answer."
        .to_owned();
    found(
        "Questions about images",
        description,
        subject,
        &patched,
        sets,
        Vec::new(),
    )
}

fn record(run: &mut Run<'_>, subject: &Subject, studies: &[Rq5Study]) -> Result<()> {
    for study in studies {
        let fact = |kind, on: &str, value: &Estimate| {
            Record::new(&run.plan.question, kind)
                .model(&subject.identity.name)
                .task(&study.name)
                .on(on, Role::Patching, Split::Test)
                .alpha(study.alpha.get())
                .seed(run.plan.seed)
                .estimate(value)
        };
        let mut facts = Vec::new();
        for set in &study.sets {
            let of = |value: &Estimate| match set.of_errors {
                true => fact(Kind::Quantity, &set.name, value).measure("share of answers"),
                false => fact(Kind::Accuracy, &set.name, value),
            };
            facts.push(of(&set.before).alpha(0.0));
            if study.alpha.get() > 0.0 {
                facts.push(of(&set.after));
            }
            facts.push(match set.of_errors {
                true => of(&set.change).measure("change of the share of answers"),
                false => fact(Kind::Difference, &set.name, &set.change),
            });
        }
        let supported = fact(Kind::Difference, "", &study.supported_change);
        facts.push(supported.on("supported tasks", Role::Supported, Split::Test));
        facts.iter().try_for_each(|fact| run.dir.record(fact))?;
    }
    Ok(())
}

fn line(study: &Rq5Study) -> serde_json::Value {
    let told = |set: &StudySet| {
        serde_json::json!({
            "name": set.name,
            "before": points(&set.before),
            "after": points(&set.after),
            "change": points(&set.change),
            "of_errors": set.of_errors,
        })
    };
    let sets: Vec<_> = study.sets.iter().map(told).collect();
    let supported: Vec<_> = study.supported.iter().map(told).collect();
    serde_json::json!({
        "kind": "study",
        "study": study.name,
        "alpha": study.alpha.get(),
        "sets": sets,
        "supported": supported,
        "supported_change": points(&study.supported_change),
    })
}
