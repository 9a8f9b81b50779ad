//! The tasks of the world.

use paint_data::{Columns, Files, Part, Published, Task, TaskSource};

use crate::domain::Domain;
use crate::error::{Error, Result};
use crate::objects::Objects;
use crate::shapes::Shapes;
use crate::sketches::Sketches;
use crate::tasks::patching_domains;

/// The organisation of the world's datasets: `ROOT/datasets/paint-world/NAME`.
pub(crate) const ORGANISATION: &str = "paint-world";

/// Version of what the world draws and says: goes up whenever a picture, a caption, a class
/// name or the tokenizer changes, so that nobody reads what an older one has left on disk.
pub const VERSION: u32 = 5;

/// What a task is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The model can do it and must not lose it.
    Supported,
    /// The model does it poorly and shall learn it.
    Patching,
}

/// A task of the world, with its role.
#[derive(Debug, Clone, PartialEq)]
pub struct WorldTask {
    /// Supported or patching.
    pub role: Role,
    /// The task; its source is the Hub id `paint-world/NAME`.
    pub task: Task,
}

/// All tasks: three supported ones, then the nine patching ones.
pub fn tasks() -> Vec<WorldTask> {
    let role = |i| {
        if i < supported_domains().len() {
            Role::Supported
        } else {
            Role::Patching
        }
    };
    let task = |(i, domain): (usize, &dyn Domain)| WorldTask {
        role: role(i),
        task: task(domain),
    };
    domains().into_iter().enumerate().map(task).collect()
}

/// The written caption corpus as a task without classes: the Hub id `paint-world/captions`.
pub fn captions_task() -> Task {
    let source = source("captions");
    let columns = Columns {
        caption: Some("caption".to_owned()),
        ..Columns::default()
    };
    Task {
        name: "captions".to_owned(),
        class_names: Vec::new(),
        label_values: Vec::new(),
        templates: Vec::new(),
        source,
        columns,
        files: Files::default(),
        part: Part::default(),
        attribute: None,
        unverified: None,
        published: Published::default(),
    }
}

pub(crate) fn source(name: &str) -> TaskSource {
    TaskSource::Hub {
        id: format!("{ORGANISATION}/{name}"),
        config: None,
        revision: None,
    }
}

pub(crate) fn supported_domains() -> [&'static dyn Domain; 3] {
    [&Objects, &Shapes, &Sketches]
}

/// The supported domains, then the patching ones.
pub(crate) fn domains() -> Vec<&'static dyn Domain> {
    supported_domains()
        .into_iter()
        .chain(patching_domains())
        .collect()
}

/// The position and the domain of the task `name`.
pub(crate) fn find(name: &str) -> Result<(usize, &'static dyn Domain)> {
    let all = domains();
    all.iter()
        .copied()
        .enumerate()
        .find(|(_, d)| d.name() == name)
        .ok_or_else(|| {
            let known: Vec<_> = all.iter().map(|d| d.name()).collect();
            Error::UnknownTask {
                name: name.to_owned(),
                known: known.join(", "),
            }
        })
}

pub(crate) fn task(domain: &dyn Domain) -> Task {
    Task::new(
        domain.name(),
        domain.class_names(),
        domain.templates(),
        source(domain.name()),
    )
    .expect("the world's tasks are well-formed, which a test shows")
}
