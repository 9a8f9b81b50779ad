//! What is fetched, what is not fetched again, and what lies in the cache.

use std::path::Path;
use std::sync::{Arc, Mutex};

use paint_data::{
    Dataset, Features, Hub, RepositoryKind, Row, SplitName, Target, Task, Transfer, write_parquet,
};
use sha2::{Digest, Sha256};

use super::{LARGE, LARGE_SIZE, SMALL, World, check_error, large_bytes, publish, start};

/// `printf 'hello\n' | git hash-object --stdin`
const HELLO: &str = "ce013625030ba8dba906f756967f9e9ca394464a";

#[test]
fn a_cold_cache_is_filled_as_pythons_and_a_warm_one_is_used() {
    let world = World::new();
    let repository = world.dataset().unwrap();
    assert_eq!(repository.names(), [SMALL, LARGE]);
    let path = repository.fetch(LARGE).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), large_bytes());
    assert_eq!(
        std::fs::read(repository.fetch(SMALL).unwrap()).unwrap(),
        b"hello\n"
    );
    assert_eq!(world.bytes_sent(), LARGE_SIZE + 6);
    assert!(
        world
            .gets()
            .iter()
            .filter(|get| get.range.is_some())
            .count()
            == 5
    );

    let commit = repository.commit().unwrap();
    let root = world.cache().join("datasets--org--name");
    assert_eq!(path, root.join("snapshots").join(commit).join(LARGE));
    assert_eq!(repository.directory(), root.join("snapshots").join(commit));
    assert_eq!(
        std::fs::read_to_string(root.join("refs/main")).unwrap(),
        commit
    );
    let sha256: String = Sha256::digest(large_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let mut blobs: Vec<_> = std::fs::read_dir(root.join("blobs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    blobs.sort();
    let mut expected = [sha256.as_str(), HELLO];
    expected.sort();
    assert_eq!(blobs, expected);
    let locks = world.cache().join(".locks/datasets--org--name");
    assert!(locks.join(format!("{sha256}.lock")).is_file());
    if cfg!(unix) {
        let link = std::fs::read_link(&path).unwrap();
        assert_eq!(link, Path::new("../../../blobs").join(&sha256));
    }

    // Warm: the branch is asked for, and nothing else.
    let before = world.mirror.served().len();
    let again = world.dataset().unwrap();
    assert_eq!(again.fetch(LARGE).unwrap(), path);
    let asked = world.mirror.served().split_off(before);
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].path, "/api/datasets/org/name/revision/main");
    // A commit cannot change, and nothing is asked for.
    let before = world.mirror.served().len();
    let pinned = world
        .hub()
        .open(RepositoryKind::Dataset, "org/name", Some(commit));
    assert_eq!(pinned.unwrap().fetch(LARGE).unwrap(), path);
    assert_eq!(world.mirror.served().len(), before);
}

#[test]
fn a_removed_blob_is_fetched_again() {
    let world = World::new();
    let repository = world.dataset().unwrap();
    let path = repository.fetch(LARGE).unwrap();
    std::fs::remove_file(path.canonicalize().unwrap()).unwrap();
    assert_eq!(
        std::fs::read(repository.fetch(LARGE).unwrap()).unwrap(),
        large_bytes()
    );
    // And one of another length, as a full disk may leave it, where no snapshot leads to it.
    std::fs::write(path.canonicalize().unwrap(), "short").unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(
        std::fs::read(repository.fetch(LARGE).unwrap()).unwrap(),
        large_bytes()
    );
}

#[test]
fn offline_only_the_cache_is_used() {
    let world = World::new();
    let offline = Hub::Cache(world.cache());
    let open = |revision| offline.open(RepositoryKind::Dataset, "org/name", revision);
    check_error(
        open(None),
        &[
            "dataset org/name: revision main is not in the cache",
            "HF_HUB_OFFLINE",
        ],
    );
    let online = world.dataset().unwrap();
    online.fetch(SMALL).unwrap();
    let n_asked = world.mirror.served().len();
    for revision in [None, Some("main"), online.commit()] {
        let repository = open(revision).unwrap();
        assert_eq!(repository.commit(), online.commit());
        assert!(repository.fetch(SMALL).unwrap().is_file());
        check_error(
            repository.fetch(LARGE),
            &[
                "dataset org/name: data/large.parquet is not in the cache",
                "HF_HUB_OFFLINE",
            ],
        );
        check_error(repository.fetch("x.parquet"), &["has no file x.parquet"]);
    }
    assert_eq!(world.mirror.served().len(), n_asked);
}

#[test]
fn while_the_hub_is_away_the_cached_copy_is_used() {
    let mut world = World::new();
    let path = world.dataset().unwrap().fetch(LARGE).unwrap();
    let gone = world.mirror.endpoint();
    world.mirror = start(&world.dir.path().join("root"));
    let hub = Hub::Online(super::online(&gone, &world.cache()));
    let repository = hub.open(RepositoryKind::Dataset, "org/name", None).unwrap();
    assert_eq!(repository.fetch(LARGE).unwrap(), path);
    check_error(
        hub.open(RepositoryKind::Model, "org/net", None),
        &[
            "model org/net",
            "cannot reach",
            &gone,
            "HF_ENDPOINT",
            "HF_HUB_OFFLINE",
        ],
    );
}

#[test]
fn models_are_found_in_all_places() {
    let world = World::new();
    let directory = Hub::Directory(world.dir.path().join("root"));
    for hub in [directory, world.hub(), Hub::Cache(world.cache())] {
        let model = hub.open(RepositoryKind::Model, "org/net", None).unwrap();
        assert_eq!(model.names(), ["a b/é.bin", "config.json"]);
        for name in model.names() {
            model.fetch(name).unwrap();
        }
        let weights = model.directory().join("a b/é.bin");
        assert_eq!(std::fs::read(weights).unwrap(), b"weights");
    }
    assert!(world.cache().join("models--org--net/refs/main").is_file());
}

#[test]
fn a_pinned_commit_that_a_mirror_has_not_is_told_apart() {
    let world = World::new();
    let pin = "0123456789012345678901234567890123456789";
    let open = |hub: Hub| {
        hub.open(RepositoryKind::Dataset, "org/name", Some(pin))
            .unwrap()
    };
    let repository = open(world.hub());
    // What is recorded is what was served.
    let main = world.dataset().unwrap();
    assert_eq!(repository.commit(), main.commit());
    assert_ne!(repository.commit(), Some(pin));
    repository.fetch(SMALL).unwrap();
    let offline = open(Hub::Cache(world.cache()));
    assert!(offline.fetch(SMALL).is_ok());
}

#[test]
fn a_new_commit_of_a_branch_shares_the_files_that_stayed() {
    let world = World::new();
    let old = world.dataset().unwrap();
    old.fetch(LARGE).unwrap();
    let root = world.dir.path().join("root/datasets/org/name");
    publish(&root, SMALL, b"changed\n");
    let new = world.dataset().unwrap();
    assert_ne!(new.commit(), old.commit());
    let sent = world.bytes_sent();
    assert_eq!(
        std::fs::read(new.fetch(LARGE).unwrap()).unwrap(),
        large_bytes()
    );
    assert_eq!(world.bytes_sent(), sent);
    assert_eq!(
        std::fs::read(new.fetch(SMALL).unwrap()).unwrap(),
        b"changed\n"
    );
}

#[test]
fn one_hub_sees_one_commit_of_a_branch() {
    let world = World::new();
    let hub = world.hub();
    let open = |hub: &Hub| hub.open(RepositoryKind::Dataset, "org/name", None).unwrap();
    let first = open(&hub);
    let root = world.dir.path().join("root/datasets/org/name");
    publish(&root, SMALL, b"changed\n");
    let n_asked = world.mirror.served().len();
    // The test images of a run are of the commit that its training images are of.
    assert_eq!(open(&hub.clone()).commit(), first.commit());
    assert_eq!(world.mirror.served().len(), n_asked);
    assert_ne!(open(&world.hub()).commit(), first.commit());
}

#[test]
fn progress_goes_from_nothing_to_all() {
    let world = World::new();
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = told.clone();
    let hub = world
        .hub()
        .with_progress(Arc::new(move |transfer: &Transfer<'_>| {
            assert_eq!((transfer.id, transfer.file), ("org/name", LARGE));
            assert_eq!(transfer.size, LARGE_SIZE);
            sink.lock().unwrap().push(transfer.received);
        }));
    let repository = hub.open(RepositoryKind::Dataset, "org/name", None).unwrap();
    repository.fetch(LARGE).unwrap();
    let told = told.lock().unwrap();
    assert_eq!((told[0], *told.last().unwrap()), (0, LARGE_SIZE));
    assert!(told.is_sorted());
}

#[test]
fn a_caller_inside_a_runtime_is_served_too() {
    let world = World::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let path = runtime.block_on(async { world.dataset().unwrap().fetch(SMALL).unwrap() });
    assert_eq!(std::fs::read(path).unwrap(), b"hello\n");
}

#[test]
fn a_dataset_says_which_commit_it_is() {
    let world = World::new();
    let root = world.dir.path().join("root");
    let file = root.join("datasets/org/toy/data/test-00000-of-00001.parquet");
    let rows = (0..12).map(|i| Row {
        image: vec![],
        file_name: None,
        target: Target::Label(i % 3),
    });
    let names = ["a", "b", "c"].map(str::to_owned).to_vec();
    write_parquet(&file, Features::Labelled(names), rows).unwrap();
    let task = Task::parse(
        "name = 'toy'\nhub = 'org/toy'\ntemplates = ['a {}']",
        "toy.toml",
    );
    let task = task.unwrap();
    let open = |hub: &Hub, split| Dataset::open(&task, split, hub);
    let dataset = open(&world.hub(), SplitName::Test).unwrap();
    assert_eq!((dataset.len(), dataset.class_names().len()), (12, 3));
    assert_eq!(dataset.revision().unwrap().len(), 40);
    check_error(open(&world.hub(), SplitName::Train), &["no split train"]);
    let offline = open(&Hub::Cache(world.cache()), SplitName::Test).unwrap();
    assert_eq!(offline.revision(), dataset.revision());
    let local = open(&Hub::Directory(root), SplitName::Test).unwrap();
    assert_eq!(local.revision(), None);
    assert_eq!(local.content_key(), dataset.content_key());
}
