//! Tasks by name or file, and where datasets are found.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use paint_data::{Hub, PerSplit, Published, Suite, Task};
use paint_world::Sizes;

use crate::progress::Console;
use crate::workspace;

/// A task of data-manifests/tasks, one of the embedded world, or a manifest file.
pub(crate) fn find_task(name: &str) -> Result<Task> {
    let path = find_manifest("task", name)?;
    let mut world = paint_world::tasks().into_iter();
    match world.find(|known| !Suite::is_path(name) && known.task.name == name) {
        Some(known) => Ok(known.task),
        None => Ok(Task::load(&path)?),
    }
}

/// The manifest that is meant by a path or by a name in `data-manifests/KINDs`.
pub(crate) fn find_manifest(kind: &str, name: &str) -> Result<PathBuf> {
    if Suite::is_path(name) {
        return Ok(Path::new(name).to_owned());
    }
    let folder = workspace::manifests().join(format!("{kind}s"));
    let path = folder.join(format!("{name}.toml"));
    if path.exists() {
        return Ok(path);
    }
    let entries = std::fs::read_dir(&folder)
        .with_context(|| format!("cannot list {}", folder.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<Vec<_>>>()?;
    let known = entries
        .iter()
        .filter_map(|path| path.file_stem()?.to_str())
        .collect();
    bail!(
        "{kind} {name}: there is none of this name in data-manifests/{kind}s{}; a file of your \
         own ends in .toml or has its directory before it",
        near(name, known)
    );
}

/// Names that may be meant, as clap does it for options.
fn near(name: &str, mut known: Vec<&str>) -> String {
    let likeness = |other: &str| strsim::jaro(name, other);
    known.retain(|other| likeness(other) > 0.7);
    known.sort_by(|a, b| likeness(b).total_cmp(&likeness(a)).then(a.cmp(b)));
    known.truncate(3);
    match known.as_slice() {
        [] => String::new(),
        near => format!(", but {}", near.join(", ")),
    }
}

/// Whether the embedded world draws the task.
pub(crate) fn is_of_world(task: &Task) -> bool {
    paint_world::tasks().iter().any(|known| known.task == *task)
}

/// What is known of a task's files before they are there.
pub(crate) fn promised(task: &Task) -> Published {
    let world = paint_world::tasks();
    let Some(known) = world.iter().find(|known| known.task.name == task.name) else {
        return task.published.clone();
    };
    if known.task.source != task.source {
        return task.published.clone();
    }
    let sizes = Sizes::of(known.role);
    Published {
        rows: PerSplit {
            train: Some(sizes.train),
            validation: Some(sizes.validation),
            test: Some(sizes.test),
        },
        bytes: None,
    }
}

/// `--hub DIR`, else what the environment says.
pub(crate) fn hub_of(dir: Option<&Path>, console: &Console) -> Hub {
    let hub = dir.map_or_else(Hub::from_env, |dir| Hub::Directory(dir.to_owned()));
    hub.with_progress(console.downloads())
}

/// A suite of data-manifests/suites, or a manifest file.
pub(crate) fn find_suite(name: &str) -> Result<Suite> {
    let path = find_manifest("suite", name)?;
    let mut suite = Suite::load(&path).with_context(|| format!("suite {name}"))?;
    let directory = path.parent().unwrap_or(Path::new(""));
    // Files that a suite names lie beside it, wherever the command is typed.
    let located = |task: &String| match Suite::is_path(task) {
        true => Suite::task_path(directory, task).display().to_string(),
        false => task.clone(),
    };
    for list in [
        &mut suite.supported,
        &mut suite.patching,
        &mut suite.transfer,
    ] {
        list.iter_mut().for_each(|task| *task = located(task));
    }
    let parts = suite.train_part.iter();
    suite.train_part = parts
        .map(|(task, part)| (located(task), part.clone()))
        .collect();
    Ok(suite)
}

/// Where the embedded world is drawn: another version of the crate draws anew.
pub(crate) fn world_root() -> PathBuf {
    workspace::runs().join(format!("world-{}", paint_world::VERSION))
}

/// Whether all of a drawn dataset is there. Its card is the last file to be written and the first to
/// go when it is drawn anew, and comes by renaming: a kill half-way leaves none.
pub(crate) fn is_drawn(name: &str) -> bool {
    let card = format!("datasets/paint-world/{name}/README.md");
    world_root().join(card).exists()
}

/// Draws the embedded world's tasks among `tasks` unless they are there already; returns
/// the directory in Hub layout.
pub(crate) fn prepare_world(tasks: &[&Task], console: &Console) -> Result<PathBuf> {
    let root = world_root();
    for world in paint_world::tasks() {
        let name = &world.task.name;
        if is_drawn(name) || !tasks.contains(&&world.task) {
            continue;
        }
        let sizes = Sizes::of(world.role);
        let bar = console.bar(
            &format!("drawing {name}"),
            sizes.train + sizes.validation + sizes.test,
        );
        paint_world::write_task(name, &root, sizes, &|done| bar.inc(done))?;
        bar.finish_and_clear();
    }
    Ok(root)
}
