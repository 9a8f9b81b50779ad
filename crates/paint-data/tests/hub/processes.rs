//! Several processes, and killed ones.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use paint_data::{Hub, RepositoryKind};
use paint_mirror::Failure;

use super::{LARGE, LARGE_SIZE, PART, World, large_bytes, online};

const ENDPOINT: &str = "PAINT_TEST_ENDPOINT";
const CACHE: &str = "PAINT_TEST_CACHE";
const TIMEOUT: &str = "PAINT_TEST_TIMEOUT";

/// Not a test: what the processes of the others do.
#[test]
#[ignore = "run by the other tests"]
fn fetches_the_large_file() {
    let (Ok(endpoint), Ok(cache)) = (std::env::var(ENDPOINT), std::env::var(CACHE)) else {
        return;
    };
    let mut online = online(&endpoint, Path::new(&cache));
    online.timeout = Duration::from_secs(std::env::var(TIMEOUT).unwrap().parse().unwrap());
    let hub = Hub::Online(online);
    let repository = hub.open(RepositoryKind::Dataset, "org/name", None).unwrap();
    let path = repository.fetch(LARGE).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), large_bytes());
}

fn spawn(world: &World, timeout: u32) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "processes::fetches_the_large_file"])
        .env(ENDPOINT, world.mirror.endpoint())
        .env(CACHE, world.cache())
        .env(TIMEOUT, timeout.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Bytes that the partial file says it has.
fn kept(world: &World) -> u64 {
    let blobs = world.cache().join("datasets--org--name/blobs");
    let Some(partial) = std::fs::read_dir(blobs)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|e| e == "paint-partial"))
    else {
        return 0;
    };
    let bytes = std::fs::read(partial).unwrap();
    if bytes.len() as u64 != LARGE_SIZE + 8 * LARGE_SIZE.div_ceil(PART) {
        return 0;
    }
    let counts = bytes[LARGE_SIZE as usize..].chunks(8);
    counts
        .map(|count| u64::from_le_bytes(count.try_into().unwrap()))
        .sum()
}

#[test]
fn a_killed_download_continues_without_fetching_anything_twice() {
    let world = World::new();
    // Both connections of the process bring a part and a half; then it waits, and is killed.
    world.fail("GET /datasets/", 2, Failure::Stall(PART));
    world.fail("GET /datasets/", 2, Failure::Stall(PART / 2));
    let n_before_silence = 3 * PART;
    let mut child = spawn(&world, 100);
    let deadline = Instant::now() + Duration::from_secs(60);
    while kept(&world) < n_before_silence {
        assert!(Instant::now() < deadline, "{} bytes came", kept(&world));
        std::thread::sleep(Duration::from_millis(5));
    }
    // On Unix this is SIGKILL.
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(world.bytes_sent(), n_before_silence);
    world.mirror.heal();
    assert!(spawn(&world, 100).wait().unwrap().success());
    assert_eq!(world.bytes_sent(), LARGE_SIZE);
}

#[test]
fn two_processes_fetch_every_byte_once() {
    let world = World::new();
    // The first is held up for long enough that the second comes to wait for it.
    world.fail("GET /datasets/", 2, Failure::Stall(1000));
    let mut children: Vec<Child> = (0..2).map(|_| spawn(&world, 2)).collect();
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(world.bytes_sent(), LARGE_SIZE);
    let heads = world
        .mirror
        .served()
        .into_iter()
        .filter(|request| request.method == "HEAD");
    assert!(heads.count() >= 2);
}
