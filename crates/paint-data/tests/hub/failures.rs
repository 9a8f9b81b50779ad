//! Every way in which the Hub, or what stands before it, can fail, and the sentence it gives.

use std::time::{Duration, Instant};

use paint_data::{Hub, RepositoryKind};
use paint_mirror::Failure;

use super::{LARGE, LARGE_SIZE, SMALL, World, check_error, large_bytes, online, start, status};

const INFO: &str = "GET /api/";
const HEAD: &str = "HEAD /datasets/";
const GET: &str = "GET /datasets/";
const ALWAYS: usize = 1_000_000;

fn coded(status: u16, code: &'static str) -> Failure {
    Failure::Status {
        status,
        code: Some(code),
        retry_after: None,
    }
}

fn after(status: u16, seconds: u64) -> Failure {
    Failure::Status {
        status,
        code: None,
        retry_after: Some(seconds),
    }
}

/// The large file comes whole although requests fail so.
fn check_passes(on: &str, times: usize, failure: Failure) -> World {
    let world = World::new();
    world.fail(on, times, failure.clone());
    let path = world.dataset().unwrap().fetch(LARGE);
    let path = path.unwrap_or_else(|error| panic!("{failure:?}: {error}"));
    assert_eq!(std::fs::read(path).unwrap(), large_bytes());
    assert_eq!(world.dataset().unwrap().names().len(), 2);
    world
}

/// It does not, the reason is told, and nothing passes for the file.
fn check_fails(on: &str, failure: Failure, parts: &[&str]) -> World {
    let world = World::new();
    world.fail(on, ALWAYS, failure);
    let endpoint = world.mirror.endpoint();
    let parts: Vec<String> = parts
        .iter()
        .map(|part| part.replace("EP", &endpoint))
        .collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    check_error(world.dataset().and_then(|d| d.fetch(LARGE)), &parts);
    let blobs = world.cache().join("datasets--org--name/blobs");
    let blobs = std::fs::read_dir(blobs).into_iter().flatten();
    let names = blobs.map(|blob| blob.unwrap().file_name().into_string().unwrap());
    let whole: Vec<String> = names
        .filter(|name| !name.ends_with(".paint-partial"))
        .collect();
    assert!(whole.is_empty(), "{whole:?}");
    world
}

#[test]
fn gated_and_private() {
    for on in [INFO, HEAD] {
        let gated = [
            "dataset org/name",
            "is gated",
            "EP/datasets/org/name",
            "HF_TOKEN",
        ];
        check_fails(on, coded(401, "GatedRepo"), &gated);
        check_fails(on, coded(403, "GatedRepo"), &gated);
        check_fails(
            on,
            coded(401, "RepoNotFound"),
            &[
                "EP has no dataset of this name, or it is private",
                "HF_TOKEN",
            ],
        );
        check_fails(on, status(401), &["wants a token", "EP/settings/tokens"]);
        check_fails(on, status(403), &["forbids it", "HF_TOKEN"]);
    }
    let world = World::new();
    let with_token = || {
        let mut online = world.online();
        online.token = Some("hf_test".to_owned());
        Hub::Online(online).open(RepositoryKind::Dataset, "org/name", None)
    };
    let cases: [(Failure, &[&str]); 3] = [
        (
            coded(403, "GatedRepo"),
            &["no access yet", "/datasets/org/name"],
        ),
        (coded(401, "RepoNotFound"), &["or the token may not see it"]),
        (
            status(401),
            &["does not accept the token", "/settings/tokens"],
        ),
    ];
    for (failure, parts) in cases {
        world.fail(INFO, 1, failure);
        check_error(with_token(), parts);
    }
}

#[test]
fn what_is_not_there_is_told_apart() {
    let world = World::new();
    let open = |id, revision| world.hub().open(RepositoryKind::Dataset, id, revision);
    check_error(
        open("org/nothing", None),
        &["dataset org/nothing", "has no dataset of this name"],
    );
    check_error(
        open("org/name", Some("v9")),
        &[
            "there is no revision v9",
            "/datasets/org/name",
            "`revision`",
        ],
    );
    check_error(
        world.dataset().unwrap().fetch("x.parquet"),
        &["has no file x.parquet"],
    );
    let model = world.hub().open(RepositoryKind::Model, "org/nothing", None);
    check_error(model, &["model org/nothing", "has no model of this name"]);
    // A file that vanished between the listing and the download.
    let entry = [
        "data/large.parquet: there is no such file",
        "/datasets/org/name",
    ];
    check_fails(HEAD, coded(404, "EntryNotFound"), &entry);
    // What is no Hub knows none of its codes.
    check_fails(
        INFO,
        status(404),
        &["/api/datasets/org/name/revision/main is not there"],
    );
}

#[test]
fn too_many_requests_are_answered_with_patience_within_bounds() {
    for on in [INFO, GET] {
        let started = Instant::now();
        check_passes(on, 1, after(429, 1));
        assert!(started.elapsed() >= Duration::from_secs(1), "{on}");
    }
    for on in [INFO, HEAD, GET] {
        check_passes(on, 2, status(429));
        let started = Instant::now();
        let world = check_fails(
            on,
            after(429, 3600),
            &["takes no more requests", "wait 3600 s"],
        );
        assert!(started.elapsed() < Duration::from_secs(60));
        let asked = world
            .mirror
            .served()
            .into_iter()
            .filter(|s| s.status == 429);
        // Once by each connection at most.
        assert!(asked.count() <= 2);
    }
}

#[test]
fn a_server_out_of_order_is_asked_again_and_then_left() {
    for on in [INFO, HEAD, GET] {
        for code in [500, 502, 503, 504] {
            check_passes(on, 2, status(code));
        }
        check_passes(on, 1, after(503, 0));
    }
    for on in [INFO, HEAD] {
        let world = check_fails(
            on,
            status(503),
            &["EP is out of order (503)", "run again later"],
        );
        let asked = world
            .mirror
            .served()
            .into_iter()
            .filter(|s| s.status == 503);
        assert_eq!(asked.count(), 5, "{on}");
    }
    check_fails(
        GET,
        status(503),
        &["large.parquet: EP is out of order (503)"],
    );
}

#[test]
fn a_cut_connection_is_continued_where_it_broke() {
    for after in [0, 1000, 40_000] {
        let world = check_passes(GET, 3, Failure::Cut(after));
        // What came before is not fetched again, but for what was on its way.
        assert!(world.bytes_sent() <= LARGE_SIZE + 3 * after);
    }
    let world = World::new();
    // As long as every connection brings something, it goes on.
    world.fail(GET, ALWAYS, Failure::Cut(5000));
    let path = world.dataset().unwrap().fetch(LARGE).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), large_bytes());
    check_fails(
        GET,
        Failure::Cut(0),
        &["large.parquet: the connection to EP broke off", "run again"],
    );
}

#[test]
fn a_silent_connection_is_left_and_continued() {
    let world = check_passes(GET, 2, Failure::Stall(10_000));
    // Twice 10,000 bytes came before the silence, and were kept.
    assert_eq!(world.bytes_sent(), LARGE_SIZE);
    // Where nothing comes at all it ends.
    let world = World::new();
    world.fail(GET, ALWAYS, Failure::Stall(0));
    let mut online = world.online();
    (online.tries, online.timeout) = (2, Duration::from_millis(300));
    let repository = Hub::Online(online).open(RepositoryKind::Dataset, "org/name", None);
    check_error(
        repository.unwrap().fetch(LARGE),
        &[
            "large.parquet",
            "sent nothing for 0.3 s",
            "HF_HUB_DOWNLOAD_TIMEOUT",
        ],
    );
}

#[test]
fn a_changed_file_is_refused() {
    let wrong = [
        "large.parquet",
        "has the hash",
        "should have 0000",
        "run again",
    ];
    check_fails(HEAD, Failure::WrongEtag, &wrong);
    check_fails(
        GET,
        Failure::Corrupt,
        &["large.parquet", "has the hash", "it is removed"],
    );
    // Small files have git's hash.
    let world = World::new();
    world.fail(GET, 1, Failure::Corrupt);
    let repository = world.dataset().unwrap();
    check_error(
        repository.fetch(SMALL),
        &["README.md", "should have ce013625"],
    );
    assert!(repository.fetch(SMALL).is_ok());
}

#[test]
fn what_an_earlier_download_left_damaged_is_fetched_anew() {
    let world = World::new();
    world.fail(GET, 1, Failure::Corrupt);
    // The others fail, so that the first part alone is kept, and is wrong.
    world.fail(GET, ALWAYS, status(404));
    let mut online = world.online();
    online.connections = 1;
    let repository = Hub::Online(online).open(RepositoryKind::Dataset, "org/name", None);
    check_error(
        repository.unwrap().fetch(LARGE),
        &["large.parquet", "is not there (404)"],
    );
    world.mirror.heal();
    let path = world.dataset().unwrap().fetch(LARGE).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), large_bytes());
}

#[test]
fn a_web_page_is_no_file_and_no_answer() {
    let page = [
        "EP answered, but not as the Hub does",
        "proxy",
        "HF_ENDPOINT",
    ];
    for on in [INFO, HEAD, GET] {
        check_fails(on, Failure::WebPage, &page);
    }
}

#[test]
fn redirects_in_a_circle_end() {
    for on in [INFO, HEAD, GET] {
        let world = World::new();
        world.fail(on, ALWAYS, Failure::Redirect(world.mirror.endpoint()));
        let fetched = world.dataset().and_then(|d| d.fetch(LARGE));
        check_error(fetched, &["redirects in a circle", "HF_ENDPOINT"]);
        // They are no failure that passes.
        assert!(world.mirror.served().len() < 20, "{on}");
    }
}

#[test]
fn a_server_without_ranges_sends_the_whole() {
    let world = check_passes(GET, ALWAYS, Failure::NoRanges);
    assert!(world.gets().iter().any(|get| get.range.is_none()));
}

#[test]
fn the_token_goes_to_the_endpoint_alone() {
    let world = World::new();
    let storage = start(&world.dir.path().join("root"));
    let mut online = world.online();
    online.token = Some("hf_test".to_owned());
    let hub = Hub::Online(online);
    // Large files are on other hosts than the Hub.
    world.fail(HEAD, ALWAYS, Failure::Redirect(storage.endpoint()));
    world.fail(GET, ALWAYS, Failure::Redirect(storage.endpoint()));
    let repository = hub.open(RepositoryKind::Dataset, "org/name", None).unwrap();
    let path = repository.fetch(LARGE).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), large_bytes());
    assert!(
        world
            .mirror
            .served()
            .iter()
            .all(|request| request.authorized)
    );
    world.fail(INFO, 1, Failure::Redirect(storage.endpoint()));
    hub.open(RepositoryKind::Model, "org/net", None).unwrap();
    let there = storage.served();
    assert!(there.iter().any(|request| request.path.contains("/api/")));
    assert!(there.iter().any(|request| request.bytes > 0));
    assert!(there.iter().all(|request| !request.authorized));
    // And without a token none is sent at all, whatever this process's environment has.
    let world = World::new();
    world.dataset().unwrap().fetch(SMALL).unwrap();
    assert!(
        world
            .mirror
            .served()
            .iter()
            .all(|request| !request.authorized)
    );
}

#[test]
fn an_expired_address_is_asked_for_again() {
    let world = World::new();
    world.fail(GET, 1, status(403));
    let path = world.dataset().unwrap().fetch(LARGE).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), large_bytes());
}

#[test]
fn an_endpoint_that_is_none_is_one_error() {
    let world = World::new();
    for endpoint in ["huggingface", "ftp://127.0.0.1/x", ""] {
        let hub = Hub::Online(online(endpoint, &world.cache()));
        let opened = hub.open(RepositoryKind::Dataset, "org/name", None);
        check_error(opened, &["dataset org/name", "HF_ENDPOINT"]);
    }
}
