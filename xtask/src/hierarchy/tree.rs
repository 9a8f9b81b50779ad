//! The hierarchy that belongs to a task's classes.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Result, bail};
use paint_data::Task;
use paint_hierarchy::{
    ABSTRACT, Augmentation, Hierarchy, Phrases, Sparse, WordNet, parse_toml_tree, read_toml_tree,
};

use crate::machine;
use crate::tasks::is_of_world;

/// A hierarchy with the synset of each class; none for a class that it does not know.
pub(crate) struct Tree {
    hierarchy: Hierarchy,
    synsets: Vec<Option<String>>,
    /// Of the files it was read from.
    pub(crate) sha256: String,
}

impl Tree {
    /// The one at `path`, else the embedded objects' for theirs, else none.
    pub(crate) fn find(path: Option<&Path>, task: &Task, names: &[String]) -> Result<Option<Self>> {
        let tree = match path {
            Some(path) if path.is_dir() => Self::first_senses(path, names)?,
            Some(path) => {
                let tree = read_toml_tree(path)?;
                Self::by_name(tree, names, machine::sha256_of_file(path)?)
            }
            None if task.name == "objects" && is_of_world(task) => {
                let tree = parse_toml_tree(paint_world::OBJECTS_HIERARCHY, "the embedded tree")?;
                let sha256 = machine::sha256(paint_world::OBJECTS_HIERARCHY.as_bytes());
                Self::by_name(tree, names, sha256)
            }
            None => return Ok(None),
        };
        if let Some(path) = path.filter(|_| tree.n_known() == 0) {
            bail!(
                "--hierarchy {}: none of the {} classes of {} is in it; its names must be theirs, \
                 such as {:?}",
                path.display(),
                names.len(),
                task.name,
                names.first().map_or("", String::as_str)
            );
        }
        Ok(Some(tree))
    }

    fn by_name(hierarchy: Hierarchy, names: &[String], sha256: String) -> Self {
        let known = |name: &String| hierarchy.find(name).map(|_| name.clone());
        Self {
            synsets: names.iter().map(known).collect(),
            hierarchy,
            sha256,
        }
    }

    /// WordNet, where each class is the first sense of its name that no other class has.
    fn first_senses(dict: &Path, names: &[String]) -> Result<Self> {
        let wordnet = WordNet::read(dict)?;
        let files = ["data.noun", "index.noun"].map(|name| dict.join(name));
        let hashes = files.iter().map(|path| machine::sha256_of_file(path));
        let hashes: Vec<String> = hashes.collect::<Result<_>>()?;
        let mut taken = BTreeSet::new();
        let synsets = names.iter().map(|name| {
            let free = wordnet
                .senses(name)
                .iter()
                .find(|&&node| taken.insert(node));
            free.map(|&node| wordnet.hierarchy().id(node).to_owned())
        });
        Ok(Self {
            synsets: synsets.collect(),
            hierarchy: wordnet.hierarchy().clone(),
            sha256: machine::sha256(hashes.join("\n").as_bytes()),
        })
    }

    /// Classes that the hierarchy knows.
    pub(crate) fn n_known(&self) -> usize {
        self.synsets.iter().flatten().count()
    }

    /// The texts that stand for each class.
    pub(crate) fn phrases(&self, names: &[String], augmentation: Augmentation) -> Result<Phrases> {
        let sparse = Sparse::all(&self.hierarchy).without(&ABSTRACT);
        Ok(Phrases::new(&sparse, names, &self.synsets, augmentation)?)
    }
}
