//! The embedded objects and their hierarchy fit each other, and WordNet knows most of them.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking and says when it is skipped"
)]

use std::path::Path;

use paint_hierarchy::{Augmentation, Phrases, Sparse, WordNet, parse_toml_tree};
use paint_world::{OBJECTS_HIERARCHY, tasks};

fn objects() -> Vec<String> {
    let task = tasks()
        .into_iter()
        .find(|t| t.task.name == "objects")
        .unwrap()
        .task;
    task.class_names
}

#[test]
fn every_object_has_a_parent_and_some_have_children() {
    let hierarchy = parse_toml_tree(OBJECTS_HIERARCHY, "objects").unwrap();
    let names = objects();
    let ids: Vec<_> = names.iter().cloned().map(Some).collect();
    let sparse = Sparse::all(&hierarchy);
    let phrases = Phrases::new(&sparse, &names, &ids, Augmentation::default()).unwrap();
    assert!((0..names.len()).all(|class| !phrases.is_plain(class)));
    assert!(
        phrases.texts()[0].contains(" which is a kind of "),
        "{:?}",
        phrases.texts()[0]
    );
    assert!(phrases.n_children().iter().filter(|&&n| n > 0).count() >= 20);
}

#[test]
fn wordnet_knows_most_objects() {
    let dict = Path::new("/usr/share/wordnet");
    if !dict.join("data.noun").exists() {
        eprintln!("skipped: {} is not there", dict.display());
        return;
    }
    let wordnet = WordNet::read(dict).unwrap();
    let names = objects();
    let known = names
        .iter()
        .filter(|name| !wordnet.senses(name).is_empty())
        .count();
    assert!(100 * known > 85 * names.len(), "{known} of {}", names.len());
}
