//! What killed processes leave is removed, what living ones write is not.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

use paint_atomic::{UnfinishedDirectory, UnfinishedFile};

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn the_next_writer_removes_what_a_killed_one_left() {
    let root = tempfile::tempdir().unwrap();
    let (theta, other) = (root.path().join("theta"), ".theta.json.aaaaaa.part");
    fs::write(root.path().join(".theta.aaaaaa.part"), "half").unwrap();
    fs::create_dir(root.path().join(".theta.bbbbbb.part")).unwrap();
    fs::write(root.path().join(".theta.bbbbbb.part/weights"), "half").unwrap();
    fs::write(root.path().join(other), "half").unwrap();
    for name in [".theta.aaaaaa.part", ".theta.bbbbbb.part", other] {
        let file = fs::File::open(root.path().join(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(7200))
            .unwrap();
    }
    // Perhaps another machine's, whose locks are not seen here.
    let recent = ".theta.cccccc.part";
    fs::write(root.path().join(recent), "half").unwrap();
    let mut file = UnfinishedFile::create(&theta).unwrap();
    file.write_all(b"whole").unwrap();
    file.publish().unwrap();
    // What is left over of another file is that one's next writer's.
    assert_eq!(names(root.path()), [recent, other, "theta"]);
    assert_eq!(fs::read(&theta).unwrap(), b"whole");
}

#[cfg(unix)]
#[test]
fn what_is_being_written_stays() {
    let root = tempfile::tempdir().unwrap();
    let (theta, checkpoint) = (root.path().join("theta"), root.path().join("checkpoint"));
    let mut first = UnfinishedFile::create(&theta).unwrap();
    let directory = UnfinishedDirectory::create(&checkpoint).unwrap();
    first.write_all(b"first").unwrap();
    fs::write(directory.path().join("weights"), "first").unwrap();
    let mut second = UnfinishedFile::create(&theta).unwrap();
    let unwanted = UnfinishedDirectory::create(&checkpoint).unwrap();
    second.write_all(b"second").unwrap();
    assert_eq!(names(root.path()).len(), 4);
    first.publish().unwrap();
    assert_eq!(fs::read(&theta).unwrap(), b"first");
    second.publish().unwrap();
    assert_eq!(fs::read(&theta).unwrap(), b"second");
    directory.publish().unwrap();
    drop(unwanted);
    assert_eq!(names(root.path()), ["checkpoint", "theta"]);
    assert_eq!(fs::read(checkpoint.join("weights")).unwrap(), b"first");
}

#[test]
fn what_is_not_published_is_gone_and_what_was_there_stays() {
    let root = tempfile::tempdir().unwrap();
    let theta = root.path().join("theta");
    fs::write(&theta, "old").unwrap();
    let mut file = UnfinishedFile::create(&theta).unwrap();
    file.write_all(b"new").unwrap();
    drop(file);
    drop(UnfinishedDirectory::create(&root.path().join("checkpoint")).unwrap());
    // A directory does not replace one that has files.
    let full = root.path().join("full");
    fs::create_dir(&full).unwrap();
    fs::write(full.join("weights"), "old").unwrap();
    let directory = UnfinishedDirectory::create(&full).unwrap();
    fs::write(directory.path().join("weights"), "new").unwrap();
    assert!(directory.publish().is_err());
    assert_eq!(names(root.path()), ["full", "theta"]);
    assert_eq!(fs::read(&theta).unwrap(), b"old");
    assert_eq!(fs::read(full.join("weights")).unwrap(), b"old");
}

#[cfg(unix)]
#[test]
fn others_may_read_it_as_far_as_the_umask_allows() {
    use std::os::unix::fs::PermissionsExt;
    let root = tempfile::tempdir().unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let (theta, plain) = (root.path().join("theta"), root.path().join("plain"));
    UnfinishedFile::create(&theta).unwrap().publish().unwrap();
    fs::write(&plain, "").unwrap();
    assert_eq!(mode(&theta), mode(&plain));
}

#[test]
fn one_call_makes_the_directory_and_replaces_what_is_there() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("runs/theta");
    for text in ["old", "new"] {
        paint_atomic::write(&path, text.as_bytes()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    assert_eq!(names(path.parent().unwrap()), ["theta"]);
    assert!(paint_atomic::write(&path.join("beneath"), b"").is_err());
}
