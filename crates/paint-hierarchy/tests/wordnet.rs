//! The published counts, on WordNet 3.0 as Debian ships it (`apt install wordnet-base`).
//!
//! `imagenet_synsets.txt` lists the synsets of ImageNet's 1,000 classes in label order.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking and says when it is skipped"
)]

use std::path::Path;

use paint_hierarchy::{ABSTRACT, Augmentation, Error, Phrases, Sparse, WordNet};

fn wordnet() -> Option<WordNet> {
    let dict = Path::new("/usr/share/wordnet");
    if !dict.join("data.noun").exists() {
        eprintln!("skipped: {} is not there", dict.display());
        return None;
    }
    Some(WordNet::read(dict).unwrap())
}

fn imagenet() -> Vec<Option<String>> {
    let ids = include_str!("imagenet_synsets.txt");
    ids.lines().map(|id| Some(id.to_owned())).collect()
}

/// One parent for each class, as the public reference code has it.
const ONE_PARENT: Augmentation = Augmentation {
    max_children: 10,
    max_parents: 1,
};

fn phrases(sparse: &Sparse<'_>, ids: &[Option<String>], augmentation: Augmentation) -> Phrases {
    let names: Vec<String> = (0..ids.len()).map(|i| format!("class {i}")).collect();
    Phrases::new(sparse, &names, ids, augmentation).unwrap()
}

#[test]
fn counts_of_edges() {
    let Some(wordnet) = wordnet() else { return };
    let h = wordnet.hierarchy();
    let n_parents = |least| {
        (0..h.len())
            .filter(|&n| h.parents(n).len() >= least)
            .count()
    };
    assert_eq!(
        (h.n_edges(), n_parents(1), n_parents(2)),
        (75_850, 74_389, 1_422)
    );
}

#[test]
fn counts_of_imagenet() {
    let Some(wordnet) = wordnet() else { return };
    let h = wordnet.hierarchy();
    let ids = imagenet();
    let all = Sparse::all(h);
    let ours = phrases(&all, &ids, ONE_PARENT);
    let leaves = ours.n_children().iter().filter(|&&n| n == 0).count();
    assert_eq!((ids.len(), leaves), (1_000, 650));
    let nodes = ids.iter().flatten().map(|id| h.find(id).unwrap());
    assert_eq!(nodes.filter(|&n| h.parents(n).len() > 1).count(), 38);
    // The published table gives the bird "crane" the machine's synset, which has two more children.
    assert_eq!(ours.texts().len(), 1_969);
    let (bird, machine) = (134, 517);
    let without_bird = [&ids[..bird], &ids[bird + 1..]].concat();
    let published = phrases(&all, &without_bird, ONE_PARENT).texts().len()
        + phrases(&all, &ids[machine..=machine], ONE_PARENT)
            .texts()
            .len();
    assert_eq!(published, 1_971);
    let mut shared = ids.clone();
    shared[bird] = shared[machine].clone();
    let names = vec!["name".to_owned(); 1_000];
    let refused = Phrases::new(&all, &names, &shared, ONE_PARENT);
    assert!(matches!(
        refused,
        Err(Error::SharedSynset {
            first: 134,
            second: 517,
            ..
        })
    ));
    assert_eq!(
        phrases(&all, &ids, Augmentation::default()).texts().len(),
        2_052
    );
}

#[test]
fn abstract_ancestors_are_above_most_classes_and_are_dropped() {
    let Some(wordnet) = wordnet() else { return };
    let h = wordnet.hierarchy();
    let nodes: Vec<usize> = imagenet()
        .iter()
        .flatten()
        .map(|id| h.find(id).unwrap())
        .collect();
    let n_below = |name: &str| {
        let above = |&&node: &&usize| h.ancestors(&[node]).keys().any(|&a| h.name(a) == name);
        nodes.iter().filter(above).count()
    };
    assert!(n_below("physical entity") > 950 && n_below("artifact") > 450);
    let sparse = Sparse::all(h).without(&ABSTRACT);
    let parents = nodes.iter().flat_map(|&node| sparse.parents(node));
    assert!(
        parents
            .into_iter()
            .all(|parent| !ABSTRACT.contains(&h.name(parent)))
    );
}

#[test]
fn words_have_senses() {
    let Some(wordnet) = wordnet() else { return };
    let h = wordnet.hierarchy();
    let first = wordnet.senses("traffic light")[0];
    assert_eq!((h.id(first), h.name(first)), ("n06874185", "traffic light"));
    assert!(wordnet.senses("no such word").is_empty());
}
