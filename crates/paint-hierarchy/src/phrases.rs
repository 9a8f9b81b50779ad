//! Class names, told apart by what they are a kind of and what is a kind of them.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::{Error, Result, Sparse, error::check_size};

/// How much of the hierarchy goes into the texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Augmentation {
    /// Top-down: at most so many direct children of a class, the first by id; 0 for none.
    pub max_children: usize,
    /// Bottom-up: at most so many parents, the first by id, each in texts of its own; 0 for none.
    pub max_parents: usize,
}

impl Default for Augmentation {
    /// Ten children as the public reference code, and all parents; with one parent the number of
    /// texts is that code's.
    fn default() -> Self {
        Self {
            max_children: 10,
            max_parents: usize::MAX,
        }
    }
}

/// The texts that stand for each class: `NAME which is a kind of PARENT` for the class and for
/// each of its children, once for every parent *of the class*.
///
/// A class without parents keeps plain names, a class without children stands alone; the texts
/// do not depend on images and are embedded once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phrases {
    texts: Vec<String>,
    ranges: Vec<Range<usize>>,
    plain: Vec<bool>,
    n_children: Vec<usize>,
}

impl Phrases {
    /// `synsets` has for each class the id of its node, or none for a class that the hierarchy does
    /// not know and that stays as it is.
    ///
    /// # Errors
    /// If the lengths differ, [`Error::UnknownClass`], [`Error::SharedSynset`].
    pub fn new(
        sparse: &Sparse<'_>,
        class_names: &[String],
        synsets: &[Option<String>],
        augmentation: Augmentation,
    ) -> Result<Self> {
        let nodes = class_nodes(sparse, class_names, synsets)?;
        let mut phrases = Self {
            texts: Vec::new(),
            ranges: Vec::new(),
            plain: Vec::new(),
            n_children: Vec::new(),
        };
        for (name, node) in class_names.iter().zip(nodes) {
            phrases.push_class(sparse, name, node, augmentation);
        }
        Ok(phrases)
    }

    fn push_class(
        &mut self,
        sparse: &Sparse<'_>,
        name: &str,
        node: Option<usize>,
        augmentation: Augmentation,
    ) {
        let hierarchy = sparse.hierarchy();
        let parents = node.map_or_else(Vec::new, |node| sparse.parents(node));
        let parents = &parents[..parents.len().min(augmentation.max_parents)];
        let children = node.map_or(&[][..], |node| hierarchy.children(node));
        let children = &children[..children.len().min(augmentation.max_children)];
        let start = self.texts.len();
        let names = std::iter::once(name).chain(children.iter().map(|&c| hierarchy.name(c)));
        for name in names {
            if parents.is_empty() {
                self.texts.push(name.to_owned());
            }
            for &parent in parents {
                let parent = hierarchy.name(parent);
                self.texts
                    .push(format!("{name} which is a kind of {parent}"));
            }
        }
        self.ranges.push(start..self.texts.len());
        self.plain.push(parents.is_empty() && children.is_empty());
        self.n_children.push(children.len());
    }

    /// All texts, class by class.
    #[must_use]
    pub fn texts(&self) -> &[String] {
        &self.texts
    }

    /// Number of classes.
    #[must_use]
    pub fn n_classes(&self) -> usize {
        self.ranges.len()
    }

    /// Where the texts of each class are: `[n_classes]`.
    #[must_use]
    pub fn ranges(&self) -> &[Range<usize>] {
        &self.ranges
    }

    /// Whether the class stands there under its own name alone.
    #[must_use]
    pub fn is_plain(&self, class_idx: usize) -> bool {
        self.plain[class_idx]
    }

    /// Number of children among each class's texts: a maximum over many favours their class, so
    /// accuracy is also looked at by this.
    #[must_use]
    pub fn n_children(&self) -> &[usize] {
        &self.n_children
    }
}

fn class_nodes(
    sparse: &Sparse<'_>,
    class_names: &[String],
    synsets: &[Option<String>],
) -> Result<Vec<Option<usize>>> {
    check_size("synsets of classes", class_names.len(), synsets.len())?;
    let mut owners = BTreeMap::new();
    let mut nodes = Vec::with_capacity(synsets.len());
    for (class_idx, id) in synsets.iter().enumerate() {
        let Some(id) = id else {
            nodes.push(None);
            continue;
        };
        let node = sparse
            .hierarchy()
            .find(id)
            .ok_or_else(|| Error::UnknownClass {
                class_idx,
                name: class_names[class_idx].clone(),
                id: id.clone(),
            })?;
        if let Some(first) = owners.insert(node, class_idx) {
            return Err(Error::SharedSynset {
                first,
                second: class_idx,
                id: id.clone(),
            });
        }
        nodes.push(Some(node));
    }
    Ok(nodes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Hierarchy, parse_toml_tree};

    fn hierarchy() -> Hierarchy {
        let nodes = ["bird", "machine", "crane", "whooping crane", "tool"];
        let edges = [
            ("bird", "crane"),
            ("tool", "crane"),
            ("crane", "whooping crane"),
            ("machine", "tool"),
        ];
        Hierarchy::new(
            nodes.map(|n| (n.to_owned(), n.to_owned())).to_vec(),
            edges.map(|(a, b)| (a.to_owned(), b.to_owned())),
        )
        .unwrap()
    }

    fn some(ids: &[&str]) -> Vec<Option<String>> {
        ids.iter().map(|id| Some((*id).to_owned())).collect()
    }

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn every_parent_of_the_class_and_every_child() {
        let h = hierarchy();
        let classes = names(&["a crane", "bird", "thing"]);
        let ids = [some(&["crane", "bird"]), vec![None]].concat();
        let phrases =
            Phrases::new(&Sparse::all(&h), &classes, &ids, Augmentation::default()).unwrap();
        assert_eq!(
            phrases.texts(),
            [
                "a crane which is a kind of bird",
                "a crane which is a kind of tool",
                "whooping crane which is a kind of bird",
                "whooping crane which is a kind of tool",
                "bird",
                "crane",
                "thing",
            ]
        );
        assert_eq!(phrases.ranges(), [0..4, 4..6, 6..7]);
        assert_eq!(phrases.n_children(), [1, 1, 0]);
        assert_eq!([0, 1, 2].map(|c| phrases.is_plain(c)), [false, false, true]);
    }

    #[test]
    fn limits_turn_either_direction_off() {
        let h = hierarchy();
        let texts = |max_children, max_parents| {
            let augmentation = Augmentation {
                max_children,
                max_parents,
            };
            let ids = some(&["crane"]);
            let phrases = Phrases::new(&Sparse::all(&h), &names(&["crane"]), &ids, augmentation);
            phrases.unwrap().texts().to_vec()
        };
        assert_eq!(texts(0, 0), ["crane"]);
        assert_eq!(texts(1, 0), ["crane", "whooping crane"]);
        assert_eq!(texts(0, 1), ["crane which is a kind of bird"]);
    }

    #[test]
    fn bad_tables_of_classes_are_refused() {
        let h = parse_toml_tree("[animal]\ncat = []", "t").unwrap();
        let check = |ids: &[&str], expected: &str| {
            let classes = names(&["a", "b"]);
            let sparse = Sparse::all(&h);
            let error = Phrases::new(&sparse, &classes, &some(ids), Augmentation::default());
            let error = error.unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains('\n'), "{error}");
        };
        check(&["cat"], "synsets of classes: expected 2, found 1");
        check(
            &["cat", "dog"],
            "class 1 (b): the synset dog is not in the hierarchy",
        );
        check(&["cat", "cat"], "classes 0 and 1 share the synset cat");
    }
}
