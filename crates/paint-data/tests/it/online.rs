//! The Hub itself, played by a server of this process.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

use paint_data::{Dataset, Hub, Online, Result, SplitName, Task};

use crate::fixture::{check_error, write_split};

const COMMIT: &str = "0123456789012345678901234567890123456789";

/// Answers by path until the process ends; the address to reach it at.
fn serve(files: BTreeMap<String, Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // A client that goes away is none of the server's business.
            let _ = answer(&mut stream.unwrap(), &files);
        }
    });
    address
}

fn answer(stream: &mut TcpStream, files: &BTreeMap<String, Vec<u8>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().unwrap_or(Ok(String::new()))?;
    while lines
        .next()
        .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
    {}
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let path = path.split('?').next().unwrap_or("");
    let (status, body) = match files.get(path) {
        Some(body) => ("200 OK", body.as_slice()),
        None => ("404 Not Found", &b""[..]),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nETag: \"e{}\"\r\nX-Repo-Commit: {COMMIT}\r\n\
         Content-Type: application/json\r\nConnection: close\r\n\r\n",
        body.len(),
        body.len()
    )?;
    if method == "GET" {
        stream.write_all(body)?;
    }
    stream.flush()
}

fn open(endpoint: &str, cache: &std::path::Path, split: SplitName) -> Result<Dataset> {
    let manifest = "name = 'toy'\nhub = 'org/name'\ntemplates = ['a {}']";
    let task = Task::parse(manifest, "toy.toml").unwrap();
    let hub = Hub::Online(Online {
        endpoint: Some(endpoint.to_owned()),
        cache: cache.to_owned(),
    });
    Dataset::open(&task, split, &hub)
}

#[test]
fn files_are_fetched_once_and_then_found_in_the_cache() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    write_split(&path, 12, 3);
    let info = format!(
        r#"{{"id":"org/name","sha":"{COMMIT}","siblings":[{{"rfilename":"data/test-0.parquet"}},{{"rfilename":"README.md"}}]}}"#
    );
    let files = BTreeMap::from([
        (
            "/api/datasets/org/name/revision/main".to_owned(),
            info.into_bytes(),
        ),
        (
            format!("/datasets/org/name/resolve/{COMMIT}/data/test-0.parquet"),
            std::fs::read(&path).unwrap(),
        ),
    ]);
    let cache = dir.path().join("cache");
    let endpoint = serve(files);
    let dataset = open(&endpoint, &cache, SplitName::Test).unwrap();
    assert_eq!((dataset.len(), dataset.class_names().len()), (12, 3));
    check_error(
        open(&endpoint, &cache, SplitName::Train),
        &["no split train"],
    );
    // Without the network the pinned commit is still there, and what was not fetched is not.
    let task = "name = 'toy'\nhub = 'org/name'\ntemplates = ['a {}']";
    let task = Task::parse(&format!("{task}\nrevision = '{COMMIT}'"), "toy.toml").unwrap();
    let cached = Dataset::open(&task, SplitName::Test, &Hub::Cache(cache)).unwrap();
    assert_eq!(cached.content_key(), dataset.content_key());
}

#[test]
fn an_unknown_dataset_is_one_error() {
    let dir = tempfile::tempdir().unwrap();
    let endpoint = serve(BTreeMap::new());
    let result = open(&endpoint, dir.path(), SplitName::Test);
    check_error(result, &["org/name", &endpoint]);
}

#[test]
fn a_mirror_that_answers_with_a_web_page_is_one_error() {
    let dir = tempfile::tempdir().unwrap();
    let page = b"<!doctype html>Please log in".to_vec();
    let info = "/api/datasets/org/name/revision/main".to_owned();
    let endpoint = serve(BTreeMap::from([(info, page)]));
    check_error(
        open(&endpoint, dir.path(), SplitName::Test),
        &["org/name", &endpoint],
    );
}
