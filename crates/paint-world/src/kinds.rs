//! What the objects are kinds of, for captions that say it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use paint_data::read_toml;
use serde::Deserialize;

use crate::objects::OBJECTS_HIERARCHY;

/// A kind with what is below it, or a class with other artworks of its kind.
#[derive(Deserialize)]
#[serde(untagged)]
enum Node {
    Class(Vec<String>),
    Kind(BTreeMap<String, Node>),
}

/// What the name is a kind of, the nearest first: "poodle" a dog, a mammal, an animal. Nothing
/// where it is not known. That a thing is an "object" says nothing, and is left out.
pub(crate) fn kinds_of(name: &str) -> &'static [String] {
    static KINDS: LazyLock<BTreeMap<String, Vec<String>>> = LazyLock::new(|| {
        let tree = read_toml(OBJECTS_HIERARCHY, "objects-hierarchy.toml");
        let mut kinds = BTreeMap::new();
        collect(&tree.expect("which a test reads"), &[], &mut kinds);
        kinds
    });
    KINDS.get(name).map_or(&[], Vec::as_slice)
}

fn collect(
    nodes: &BTreeMap<String, Node>,
    above: &[String],
    kinds: &mut BTreeMap<String, Vec<String>>,
) {
    for (name, node) in nodes {
        let mut here = above.to_vec();
        if name != "object" {
            here.insert(0, name.clone());
        }
        match node {
            Node::Kind(below) => collect(below, &here, kinds),
            Node::Class(others) => {
                for other in others {
                    kinds.insert(other.clone(), here.clone());
                }
                kinds.insert(name.clone(), above.to_vec());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artwork::OBJECTS;

    #[test]
    fn kinds_are_nearest_first() {
        assert_eq!(kinds_of("poodle"), ["dog", "mammal", "animal"]);
        assert_eq!(kinds_of("dog"), ["mammal", "animal"]);
        assert!(kinds_of("hammer").iter().all(|kind| kind != "object"));
        assert!(kinds_of("nothing").is_empty());
    }

    #[test]
    fn nearly_every_object_has_a_kind() {
        let n = OBJECTS.iter().filter(|a| !kinds_of(a.name).is_empty());
        assert!(n.count() * 10 > OBJECTS.len() * 9);
    }
}
