//! Models by name, directory or Hub id.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use paint_data::{Hub, RepositoryKind};

use crate::workspace;

/// A checkpoint directory and what it is called.
pub(crate) struct Found {
    pub(crate) directory: PathBuf,
    /// As its children's provenance names it.
    pub(crate) name: String,
    /// The commit, if it is of the Hub.
    pub(crate) revision: Option<String>,
}

/// A checkpoint directory, an embedded model written to `runs/models/NAME`, or a model of the
/// Hub, `ORG/NAME` or `ORG/NAME@REVISION`.
pub(crate) fn find_model(name: &str, hub: &Hub) -> Result<Found> {
    let directory = Path::new(name);
    paint_clip::restore(directory)?;
    let configurations = ["config.json", "open_clip_config.json"];
    if configurations
        .iter()
        .any(|name| directory.join(name).exists())
    {
        return Ok(Found::local(directory.to_owned()));
    }
    if let Some(checkpoint) = paint_world::checkpoints().iter().find(|c| c.name == name) {
        let directory = workspace::runs().join("models").join(name);
        checkpoint.write(&directory)?;
        return Ok(Found::local(directory));
    }
    let known: Vec<&str> = paint_world::checkpoints().iter().map(|c| c.name).collect();
    let nowhere = || {
        format!(
            "model {name}: no directory with a config.json or open_clip_config.json, \
             no embedded model of this name ({})",
            known.join(", ")
        )
    };
    let (id, revision) = match name.split_once('@') {
        Some((id, revision)) => (id, Some(revision)),
        None => (name, None),
    };
    // An existing directory was meant as one; ids of the Hub have an owner.
    if directory.exists() || id.split('/').count() != 2 {
        bail!("{}, and no ORG/NAME of the Hub", nowhere());
    }
    fetch(id, revision, hub).with_context(nowhere)
}

impl Found {
    fn local(directory: PathBuf) -> Self {
        let name = directory.file_name().unwrap_or_default();
        Self {
            name: name.to_string_lossy().into_owned(),
            directory,
            revision: None,
        }
    }
}

fn fetch(id: &str, revision: Option<&str>, hub: &Hub) -> Result<Found> {
    let repository = hub.open(RepositoryKind::Model, id, revision)?;
    let Some(files) = paint_clip::checkpoint_files(repository.names()) else {
        bail!(
            "model {id}: has no CLIP checkpoint (a config.json or open_clip_config.json, and \
             weights); try another revision with {id}@REVISION"
        );
    };
    for file in files {
        repository.fetch(file)?;
    }
    Ok(Found {
        directory: repository.directory(),
        name: id.to_owned(),
        revision: repository.commit().map(str::to_owned),
    })
}
