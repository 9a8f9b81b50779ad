//! The data of question 5, made where it is not there and opened for a model.

use anyhow::{Context, Result, bail};
use paint_data::{Dataset, Hub, SplitName, Task, class_halves};
use paint_world::{
    COUNTING_SIZES, QUESTION_KINDS, QUESTION_SIZES, SEEN_COUNTS, TYPOGRAPHIC_SIZES, counting_task,
    questions_task, write_attacked, write_counting, write_questions, write_typographic,
    written_classes,
};

use crate::options::{Asked, Settings};
use crate::plan::{Images, Outlook};
use crate::prepared::{Prepared, Source};
use crate::progress::Console;
use crate::subject::{ALL, Subject, Tasks};
use crate::tasks::world_root;
use crate::workspace;

/// Images under typographic attack.
pub(crate) struct Attacked {
    /// Half of the classes, attacked.
    pub(crate) patching: Prepared,
    /// The other half, attacked: test images alone.
    pub(crate) unseen: Prepared,
    /// The same images as they were.
    pub(crate) unseen_clean: Prepared,
    /// The class whose name is written on each image of `unseen`.
    pub(crate) written: Vec<u32>,
}

/// Scenes to count in.
pub(crate) struct Counting {
    /// All counts.
    pub(crate) all: Prepared,
    /// The counts to patch on, which are then the only answers: the others would only be learnt to
    /// be wrong.
    pub(crate) seen: Prepared,
}

/// The data of all studies.
pub(crate) struct CaseData {
    pub(crate) attacked: Attacked,
    /// Where the suite is of the embedded world.
    pub(crate) counting: Option<Counting>,
    pub(crate) questions: Option<Prepared>,
}

/// A case study.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Study {
    Typographic,
    Counting,
    Questions,
}

impl Study {
    pub(crate) const ALL: [Self; 3] = [Self::Typographic, Self::Counting, Self::Questions];

    /// What a suite's `[case_studies]` calls it.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Typographic => "typographic",
            Self::Counting => "counting",
            Self::Questions => "questions",
        }
    }
}

/// How each study is patched.
pub(crate) struct StudySettings {
    typographic: Settings,
    counting: Settings,
    questions: Settings,
}

impl StudySettings {
    /// # Errors
    /// If the suite has some for a study that there is not, or values out of range.
    pub(crate) fn new(asked: &Asked<'_>) -> Result<Self> {
        let known = Study::ALL.map(Study::key);
        let mut given = asked.suite.case_studies.keys();
        if let Some(unknown) = given.find(|key| !known.contains(&key.as_str())) {
            bail!(
                "suite {}: [case_studies.{unknown}]: the case studies are {}",
                asked.suite.name,
                known.join(", ")
            );
        }
        let of = |study: Study| asked.settings_of(study.key());
        Ok(Self {
            typographic: of(Study::Typographic)?,
            counting: of(Study::Counting)?,
            questions: of(Study::Questions)?,
        })
    }

    pub(crate) fn of(&self, study: Study) -> &Settings {
        match study {
            Study::Typographic => &self.typographic,
            Study::Counting => &self.counting,
            Study::Questions => &self.questions,
        }
    }

    /// The hyperparameters of every study, for `run.toml`.
    pub(crate) fn hyperparameters(&self) -> Result<toml::Table> {
        let of = |study: Study| {
            let config = toml::Value::try_from(&self.of(study).fine_tune)?;
            Ok((study.key().to_owned(), config))
        };
        Study::ALL.into_iter().map(of).collect()
    }
}

/// Training images under attack, of a dataset that has more.
const N_ATTACKED: usize = 4_000;

/// A study before its data is made.
pub(crate) struct Expected {
    pub(crate) study: Study,
    pub(crate) images: Images,
    /// How often test images of as many other classes are answered too.
    pub(crate) n_more: u64,
}

/// The studies that [`CaseData::open`] will open.
pub(crate) fn expected(outlook: &Outlook<'_>) -> Vec<Expected> {
    let Some(first) = outlook.supported.first() else {
        return Vec::new();
    };
    let name = "typographic attacks".to_owned();
    let limited = |sizes, name: &str| outlook.drawn(name, sizes);
    let typographic = match first.name == "objects" && first.of_world {
        true => limited(TYPOGRAPHIC_SIZES, &name).share(0.5, name),
        false => first.share(0.5, name),
    };
    // Attacked and clean, before and after.
    let mut studies = vec![Expected {
        study: Study::Typographic,
        images: typographic,
        n_more: 4,
    }];
    if first.of_world {
        for (study, sizes) in [
            (Study::Counting, COUNTING_SIZES),
            (Study::Questions, QUESTION_SIZES),
        ] {
            studies.push(Expected {
                study,
                images: limited(sizes, study.key()),
                n_more: 0,
            });
        }
    }
    studies
}

impl CaseData {
    /// Opens the studies that there are for the suite: attacks on its first supported task, and on
    /// the embedded world counting and questions.
    pub(crate) fn open(
        subject: &Subject,
        tasks: &Tasks,
        asked: &Asked<'_>,
        console: &Console,
    ) -> Result<Self> {
        let first = tasks.supported.first().context("no supported task")?;
        let of_world = paint_world::tasks()
            .iter()
            .any(|known| known.task == *first);
        let attacked = match of_world && first.name == "objects" {
            true => attacked_objects(subject, asked, console)?,
            false => attacked(first, subject, tasks, asked, console)?,
        };
        if !of_world {
            return Ok(Self {
                attacked,
                counting: None,
                questions: None,
            });
        }
        let root = world_root();
        let hub = Hub::Directory(root.clone());
        let source = source(&hub, asked);
        let bar = console.bar("drawing counts and questions", 0);
        write_counting(&root, COUNTING_SIZES, &|n| bar.inc(n))?;
        write_questions(&root, QUESTION_SIZES, &|n| bar.inc(n))?;
        bar.finish_and_clear();
        let (model, counting) = (&subject.model, counting_task());
        let counting = Counting::of(Prepared::open(&counting, &ALL, model, &source, console)?)?;
        let questions = Prepared::open_questions(&questions_task(), &ALL, model, &source, console)?;
        every_kind_is_asked(&questions)?;
        Ok(Self {
            attacked,
            counting: Some(counting),
            questions: Some(questions),
        })
    }

    /// What the images are, for `run.toml`.
    pub(crate) fn keys(&self) -> toml::Table {
        let Attacked {
            patching,
            unseen,
            unseen_clean,
            written: _,
        } = &self.attacked;
        let counting = self.counting.as_ref().map(|counting| &counting.all);
        let all = [patching, unseen, unseen_clean].into_iter();
        let all = all.chain(counting).chain(&self.questions);
        all.flat_map(Prepared::keys)
            .map(|(name, key)| (name, toml::Value::String(key)))
            .collect()
    }
}

impl Counting {
    /// Every count that is told of must have an image: nobody waits for a fine-tuning to hear of it.
    fn of(all: Prepared) -> Result<Self> {
        let test = all.table(SplitName::Test)?.labels();
        if let Some(class) = (0..all.class_names.len()).find(|&c| !test.contains(&(c as u32))) {
            bail!(
                "{}: none of {} test images shows {} things; give a larger --limit",
                all.name,
                test.len(),
                all.class_names[class]
            );
        }
        let seen = all.of_classes(&SEEN_COUNTS, format!("{}-seen", all.name))?;
        Ok(Self { all, seen })
    }
}

fn every_kind_is_asked(questions: &Prepared) -> Result<()> {
    let asked = questions.asked(SplitName::Test)?;
    let kinds = asked.context("a task of questions")?.kinds;
    match QUESTION_KINDS.iter().find(|kind| !kinds.contains(kind)) {
        None => Ok(()),
        Some(kind) => bail!(
            "{}: none of {} test questions is of the kind \u{201c}{kind}\u{201d}; give a larger --limit",
            questions.name,
            kinds.len()
        ),
    }
}

fn source<'a>(hub: &'a Hub, asked: &Asked<'_>) -> Source<'a> {
    Source {
        hub,
        cache: workspace::cache(),
        seed: asked.common.seed,
        limit: asked.common.limit,
        limit_validation: asked.limit_validation,
    }
}

fn attacked_objects(subject: &Subject, asked: &Asked<'_>, console: &Console) -> Result<Attacked> {
    let root = world_root();
    let bar = console.bar("drawing attacked objects", 0);
    let data = write_typographic(&root, asked.common.seed, &|n| bar.inc(n))?;
    bar.finish_and_clear();
    let hub = Hub::Directory(root);
    open(
        &data.patching,
        &data.unseen,
        data.unseen_clean,
        subject,
        &source(&hub, asked),
        console,
    )
}

/// Writes wrong names on the images of any task.
fn attacked(
    task: &Task,
    subject: &Subject,
    tasks: &Tasks,
    asked: &Asked<'_>,
    console: &Console,
) -> Result<Attacked> {
    let root = workspace::runs().join("attacked");
    let seed = asked.common.seed;
    let hub = tasks.hub_for(task, console)?;
    let opened = |split| -> Result<Dataset> {
        let dataset = Dataset::open(task, split, &hub)?;
        let most = asked.common.limit.unwrap_or(usize::MAX);
        Ok(match split {
            SplitName::Train => dataset.subset(2 * N_ATTACKED.min(most), seed),
            SplitName::Validation | SplitName::Test => dataset.subset(2 * most.min(5_000), seed),
        })
    };
    let train = opened(SplitName::Train)?;
    let (seen, unseen) = class_halves(train.class_names().len(), seed);
    let patching = [
        (SplitName::Train, train.of_classes(&seen)?),
        (
            SplitName::Validation,
            opened(SplitName::Validation)?.of_classes(&seen)?,
        ),
        (SplitName::Test, opened(SplitName::Test)?.of_classes(&seen)?),
    ];
    let clean = opened(SplitName::Test)?.of_classes(&unseen)?;
    let n = patching.iter().map(|(_, d)| d.len()).sum::<usize>() + clean.len();
    let bar = console.bar(&format!("writing on {}", task.name), n as u64);
    let write = |splits: &[(SplitName, &Dataset)], half: &str| {
        let name = format!("{}-{half}-{seed}", task.name);
        write_attacked(task, splits, &name, &root, seed, &|n| bar.inc(n))
    };
    let of_patching: Vec<_> = patching.iter().map(|(split, d)| (*split, d)).collect();
    let patching = write(&of_patching, "attacked-seen")?;
    let unseen = write(&[(SplitName::Test, &clean)], "attacked-unseen")?;
    bar.finish_and_clear();
    let hub = Hub::Directory(root.clone());
    open(
        &patching,
        &unseen,
        clean,
        subject,
        &source(&hub, asked),
        console,
    )
}

fn open(
    patching: &Task,
    unseen: &Task,
    clean: Dataset,
    subject: &Subject,
    source: &Source<'_>,
    console: &Console,
) -> Result<Attacked> {
    let model = &subject.model;
    let mut clean_task = unseen.clone();
    clean_task.name = format!("{}-clean", unseen.name);
    let attacked = Dataset::open(unseen, SplitName::Test, source.hub)?;
    let attacked = source.limited(attacked, SplitName::Test);
    let test = |task: &Task, images: Dataset| {
        let splits = vec![(SplitName::Test, images)];
        Prepared::of_datasets(task, splits, model, source, console)
    };
    let unseen = test(unseen, attacked.clone())?;
    let rows = unseen.table(SplitName::Test)?.rows();
    Ok(Attacked {
        patching: Prepared::open(patching, &ALL, model, source, console)?,
        written: written_classes(&attacked, rows, SplitName::Test, source.seed)?,
        unseen,
        unseen_clean: test(&clean_task, clean)?,
    })
}
