//! The data of question 5, made where it is not there and opened for a model.

use anyhow::{Context, Result};
use paint_data::{Dataset, Hub, SplitName, Task, class_halves};
use paint_world::{
    COUNTING_SIZES, QUESTION_SIZES, TYPOGRAPHIC_SIZES, counting_task, questions_task,
    write_attacked, write_counting, write_questions, write_typographic,
};

use crate::options::Asked;
use crate::plan::{Images, Outlook};
use crate::prepared::{Prepared, Source};
use crate::progress::Console;
use crate::subject::{Subject, Tasks};
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
}

/// The data of all studies.
pub(crate) struct CaseData {
    pub(crate) attacked: Attacked,
    /// Where the suite is of the embedded world.
    pub(crate) counting: Option<Prepared>,
    pub(crate) questions: Option<Prepared>,
}

/// Training images under attack, of a dataset that has more.
const N_ATTACKED: usize = 4_000;
/// A study before its data is made.
pub(crate) struct Expected {
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
        images: typographic,
        n_more: 4,
    }];
    if first.of_world {
        for (name, sizes) in [("counting", COUNTING_SIZES), ("questions", QUESTION_SIZES)] {
            let images = limited(sizes, name);
            studies.push(Expected { images, n_more: 0 });
        }
    }
    studies
}

const ALL: [SplitName; 3] = [SplitName::Train, SplitName::Validation, SplitName::Test];

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
        let counting = Prepared::open(&counting, &ALL, model, &source, console)?;
        let questions = Prepared::open_questions(&questions_task(), &ALL, model, &source, console)?;
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
        } = &self.attacked;
        let all = [patching, unseen, unseen_clean].into_iter();
        let all = all.chain(&self.counting).chain(&self.questions);
        all.flat_map(Prepared::keys)
            .map(|(name, key)| (name, toml::Value::String(key)))
            .collect()
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
    let test = [SplitName::Test];
    let mut clean_task = unseen.clone();
    clean_task.name = format!("{}-clean", unseen.name);
    let splits = vec![(SplitName::Test, clean)];
    Ok(Attacked {
        patching: Prepared::open(patching, &ALL, model, source, console)?,
        unseen: Prepared::open(unseen, &test, model, source, console)?,
        unseen_clean: Prepared::of_datasets(&clean_task, splits, model, source, console)?,
    })
}
