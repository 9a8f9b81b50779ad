//! A full disk.
#![cfg(target_os = "linux")]

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use paint_data::{Hub, RepositoryKind, Transfer};

use super::{LARGE, World, check_error, large_bytes, online};

/// Mounts a file system in memory of so many kilobytes; it takes root, and without it the test
/// is skipped, which a line on standard error tells.
fn small_disk(at: &Path, kilobytes: u32) -> Option<Mounted<'_>> {
    std::fs::create_dir_all(at).unwrap();
    let size = format!("size={kilobytes}k");
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "-o", &size, "paint-test"])
        .arg(at)
        .output();
    match mount {
        Ok(output) if output.status.success() => Some(Mounted(at)),
        _ => {
            // Not with eprintln!, which a passing test is not heard with.
            let line = "SKIPPED: a small file system cannot be mounted here";
            let mut stderr = std::io::stderr();
            writeln!(stderr, "{line}").unwrap();
            None
        }
    }
}

struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

#[test]
fn a_download_needs_room_before_it_begins_and_until_it_ends() {
    let world = World::new();
    let cache = world.cache();
    let Some(_disk) = small_disk(&cache, 400) else {
        return;
    };
    let filler = cache.join("filler");
    let fill = |kilobytes: usize| std::fs::write(&filler, vec![1; kilobytes << 10]);
    let online = online(&world.mirror.endpoint(), &cache);
    let fetch = |hub: Hub| {
        let repository = hub.open(RepositoryKind::Dataset, "org/name", None)?;
        repository.fetch(LARGE)
    };
    let no_room = [
        "large.parquet: no room",
        "more are needed at",
        "HF_HUB_CACHE",
    ];
    // There is none from the beginning, and nothing is fetched.
    fill(200).unwrap();
    check_error(fetch(Hub::Online(online.clone())), &no_room);
    assert_eq!(world.bytes_sent(), 0);
    // Another program takes it in the middle.
    std::fs::remove_file(&filler).unwrap();
    let at = filler.clone();
    let hub =
        Hub::Online(online.clone()).with_progress(Arc::new(move |transfer: &Transfer<'_>| {
            if transfer.received > 100_000 && !at.exists() {
                let _ = std::fs::write(&at, vec![1; 390 << 10]);
            }
        }));
    check_error(fetch(hub), &no_room);
    // With room again it ends, and what came is not fetched again.
    let before = world.bytes_sent();
    std::fs::remove_file(&filler).unwrap();
    let path = fetch(Hub::Online(online)).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), large_bytes());
    assert!(world.bytes_sent() - before < 250_000);
}
