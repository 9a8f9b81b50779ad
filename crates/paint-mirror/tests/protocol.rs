//! What the Hub's clients ask, byte for byte as they ask it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::TcpStream;

use paint_mirror::{Error, Mirror};
use serde_json::{Value, json};
use tempfile::TempDir;

const SHA256: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
const OID: &str = "ce013625030ba8dba906f756967f9e9ca394464a";

fn start() -> (TempDir, Mirror) {
    let root = tempfile::tempdir().unwrap();
    let dataset = root.path().join("datasets/me/toy");
    std::fs::create_dir_all(dataset.join("data/deep")).unwrap();
    for file in ["README.md", "data/a.parquet", "data/deep/b.parquet"] {
        std::fs::write(dataset.join(file), "hello\n").unwrap();
    }
    std::fs::write(root.path().join("secret"), "x").unwrap();
    let mirror = Mirror::start(root.path(), ([127, 0, 0, 1], 0).into()).unwrap();
    (root, mirror)
}

/// An answer's status line and headers, in lower case, and its body.
fn ask(mirror: &Mirror, line: &str, headers: &str, body: &str) -> (String, Vec<u8>) {
    let address = mirror.endpoint();
    let mut stream = TcpStream::connect(address.strip_prefix("http://").unwrap()).unwrap();
    let length = body.len();
    write!(
        stream,
        "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\
         {headers}\r\n{body}"
    )
    .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(answer[..end + 2].to_vec()).unwrap();
    (head.to_lowercase(), answer[end + 4..].to_vec())
}

fn json(mirror: &Mirror, path: &str) -> Value {
    let (head, body) = ask(mirror, &format!("GET {path}"), "", "");
    assert!(head.contains(" 200 "), "{head}");
    serde_json::from_slice(&body).unwrap()
}

fn names(entries: &Value) -> Vec<(&str, &str)> {
    let entries = entries.as_array().unwrap().iter();
    entries
        .map(|entry| {
            (
                entry["type"].as_str().unwrap(),
                entry["path"].as_str().unwrap(),
            )
        })
        .collect()
}

#[test]
fn repositories_are_described() {
    let (_root, mirror) = start();
    let info = json(&mirror, "/api/datasets/me/toy/revision/main");
    assert_eq!(
        (&info["id"], &info["private"]),
        (&json!("me/toy"), &json!(false))
    );
    let commit = info["sha"].as_str().unwrap();
    assert_eq!(commit.len(), 40);
    assert_eq!(
        info["siblings"][1],
        json!({ "rfilename": "data/a.parquet" })
    );
    let sizes = json(&mirror, "/api/datasets/me/toy?blobs=true");
    assert_eq!(sizes["siblings"][0]["blobId"], OID);
    assert_eq!(sizes["siblings"][1]["lfs"]["sha256"], SHA256);
    let refs = json(&mirror, "/api/datasets/me/toy/refs");
    assert_eq!(refs["branches"][0]["targetCommit"], commit);
    let mut indexed = Vec::new();
    mirror
        .index(|kind, id, commit| indexed.push(format!("{kind} {id} {commit}")))
        .unwrap();
    assert_eq!(indexed, [format!("datasets me/toy {commit}")]);
}

#[test]
fn files_are_listed() {
    let (_root, mirror) = start();
    let tree = |rest: &str| json(&mirror, &format!("/api/datasets/me/toy/tree/main{rest}"));
    assert_eq!(
        names(&tree("")),
        [("file", "README.md"), ("directory", "data")]
    );
    assert_eq!(
        names(&tree("/data")),
        [("file", "data/a.parquet"), ("directory", "data/deep")]
    );
    let all = tree("?recursive=True&expand=False");
    assert_eq!(
        names(&all),
        [
            ("file", "README.md"),
            ("file", "data/a.parquet"),
            ("file", "data/deep/b.parquet"),
            ("directory", "data"),
            ("directory", "data/deep"),
        ]
    );
    assert_eq!(all[0]["oid"], OID);
    assert_eq!(
        all[1]["lfs"],
        json!({ "oid": SHA256, "size": 6, "pointerSize": 126 })
    );
    let form = "paths=data%2Fa.parquet&paths=data&paths=none&expand=False";
    let line = "POST /api/datasets/me/toy/paths-info/main";
    let (_, body) = ask(&mirror, line, "", form);
    let paths: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        names(&paths),
        [("file", "data/a.parquet"), ("directory", "data")]
    );
}

#[test]
fn files_are_sent_whole_and_in_parts() {
    let (_root, mirror) = start();
    let file = "/datasets/me/toy/resolve/main/data/a.parquet";
    let check = |method: &str, headers: &str, status: &str, body: &[u8], has: &[&str]| {
        let (head, sent) = ask(&mirror, &format!("{method} {file}"), headers, "");
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{head}");
        assert_eq!(sent, body, "{method} {headers}");
        for line in has {
            assert!(
                head.contains(&format!("\r\n{line}\r\n")),
                "{line} is not in {head}"
            );
        }
    };
    let (linked, etag) = (
        format!("x-linked-etag: \"{SHA256}\""),
        format!("etag: \"{SHA256}\""),
    );
    let whole = [
        "content-length: 6",
        "x-linked-size: 6",
        "accept-ranges: bytes",
        &linked,
        &etag,
    ];
    check("HEAD", "", "200", b"", &whole);
    check("GET", "", "200", b"hello\n", &whole);
    let part = ["content-length: 3", "content-range: bytes 1-3/6", &linked];
    check("GET", "Range: bytes=1-3\r\n", "206", b"ell", &part);
    check("HEAD", "Range: bytes=1-3\r\n", "206", b"", &part);
    check(
        "GET",
        "Range: bytes=6-\r\n",
        "416",
        b"",
        &["content-range: bytes */6"],
    );
    check(
        "GET",
        &format!("If-None-Match: \"{SHA256}\"\r\n"),
        "304",
        b"",
        &[&etag],
    );
    // Git's own files are not linked.
    let (head, _) = ask(
        &mirror,
        "HEAD /datasets/me/toy/resolve/main/README.md",
        "",
        "",
    );
    assert!(
        head.contains(&format!("etag: \"{OID}\"")) && !head.contains("x-linked"),
        "{head}"
    );
}

#[test]
fn what_is_not_there_says_so() {
    let (_root, mirror) = start();
    for (path, code) in [
        ("/api/datasets/me/none", "reponotfound"),
        ("/api/models/me/toy", "reponotfound"),
        ("/api/datasets/me/toy/revision/v2", "revisionnotfound"),
        ("/datasets/me/toy/resolve/main/none", "entrynotfound"),
        (
            "/datasets/me/toy/resolve/main/..%2F..%2F..%2Fsecret",
            "entrynotfound",
        ),
        ("/api/datasets/me/toy/tree/main/none", "entrynotfound"),
    ] {
        let (head, _) = ask(&mirror, &format!("GET {path}"), "", "");
        assert!(
            head.contains(" 404 ") && head.contains(code),
            "{path}: {head}"
        );
    }
    let (head, _) = ask(&mirror, "GET /../secret", "", "");
    assert!(head.contains(" 404 "), "{head}");
    // Whatever commit is pinned, the directory is what there is, under its own commit.
    let pinned = "/api/datasets/me/toy/revision/0123456789012345678901234567890123456789";
    assert_eq!(
        json(&mirror, pinned)["sha"],
        json(&mirror, "/api/datasets/me/toy")["sha"]
    );
}

#[test]
fn a_mirror_that_cannot_start_says_why() {
    let root = tempfile::tempdir().unwrap();
    let start = |root| Mirror::start(root, ([127, 0, 0, 1], 0).into());
    assert!(matches!(start(root.path()), Err(Error::Layout(_))));
    std::fs::create_dir(root.path().join("models")).unwrap();
    let first = start(root.path()).unwrap();
    let taken = first
        .endpoint()
        .strip_prefix("http://")
        .unwrap()
        .parse()
        .unwrap();
    let second = Mirror::start(root.path(), taken);
    let error = second.err().unwrap().to_string();
    assert!(
        error.contains("cannot listen on") && error.contains("--port"),
        "{error}"
    );
}
