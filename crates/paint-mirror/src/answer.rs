//! From a route to the Hub's answer.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use hyper::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION,
    RANGE, RETRY_AFTER,
};
use hyper::{HeaderMap, Method, Response, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::fault::Failure;
use crate::payload::Payload;
use crate::route::{Ask, Route};
use crate::snapshot::{FileInfo, Hashes, Snapshot, lfs_pointer};

/// A request, read.
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Of the URL, as sent.
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

type Answer = Response<Payload>;

/// What the Hub would answer from `root`, unless it is to fail.
pub(crate) fn answer(
    root: &Path,
    hashes: &Hashes,
    request: &Request,
    fault: Option<&Failure>,
) -> Answer {
    match fault {
        Some(Failure::Status {
            status,
            code,
            retry_after,
        }) => return failed(*status, *code, *retry_after),
        Some(Failure::WebPage) => return web_page(),
        _ => {}
    }
    let Some(route) = Route::parse(&request.path) else {
        return error(StatusCode::NOT_FOUND, None, "there is no such page");
    };
    let directory = root.join(route.kind.as_str()).join(&route.id);
    let snapshot = match Snapshot::of(&directory, hashes) {
        Ok(Some(snapshot)) => snapshot,
        Ok(None) => {
            let what = format!("no directory {}/{}", route.kind.as_str(), route.id);
            return error(StatusCode::NOT_FOUND, Some("RepoNotFound"), &what);
        }
        Err(reason) => {
            let reason = reason.to_string();
            return error(StatusCode::INTERNAL_SERVER_ERROR, None, &reason);
        }
    };
    if !is_served(&route.revision) {
        let what = format!("{}: only `main` is served", route.revision);
        return error(StatusCode::NOT_FOUND, Some("RevisionNotFound"), &what);
    }
    if let (Some(Failure::Redirect(base)), false) = (fault, route.is_file()) {
        return redirect(base, request);
    }
    match &route.ask {
        Ask::Info => info(&route, &snapshot, &request.query),
        Ask::Tree { directory } => tree(&snapshot, directory, &request.query),
        Ask::Paths => paths(&snapshot, &request.body),
        Ask::Refs => refs(&snapshot),
        Ask::Resolve { file } => match snapshot.files.get(file) {
            Some(info) => resolve(&snapshot.commit, info, request, fault),
            None => {
                let mut answer = error(StatusCode::NOT_FOUND, Some("EntryNotFound"), file);
                set(&mut answer, "X-Repo-Commit", &snapshot.commit);
                answer
            }
        },
    }
}

/// The directory is all there is: it stands for `main` and for whatever commit a client pins.
fn is_served(revision: &str) -> bool {
    revision == "main"
        || revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn info(route: &Route, snapshot: &Snapshot, query: &str) -> Answer {
    let with_sizes = query.split('&').any(|part| part == "blobs=true");
    let sibling = |(name, info): (&String, &FileInfo)| match with_sizes {
        false => json!({ "rfilename": name }),
        true => json!({
            "rfilename": name,
            "size": info.size,
            "blobId": info.oid,
            "lfs": info.sha256.as_ref().map(|sha256| json!({
                "sha256": sha256,
                "size": info.size,
                "pointerSize": lfs_pointer(sha256, info.size).len(),
            })),
        }),
    };
    let siblings: Vec<Value> = snapshot.files.iter().map(sibling).collect();
    json_answer(&json!({
        "_id": snapshot.commit,
        "id": route.id,
        "author": route.id.split_once('/').map(|(author, _)| author),
        "sha": snapshot.commit,
        "private": false,
        "gated": false,
        "disabled": false,
        "downloads": 0,
        "likes": 0,
        "tags": [],
        "siblings": siblings,
    }))
}

fn refs(snapshot: &Snapshot) -> Answer {
    json_answer(&json!({
        "branches": [
            { "name": "main", "ref": "refs/heads/main", "targetCommit": snapshot.commit },
        ],
        "converts": [],
        "tags": [],
        "pullRequests": [],
    }))
}

fn tree(snapshot: &Snapshot, directory: &str, query: &str) -> Answer {
    let recursive = query
        .split('&')
        .any(|part| part.eq_ignore_ascii_case("recursive=true") || part == "recursive=1");
    let prefix = match directory.trim_matches('/') {
        "" => String::new(),
        directory => format!("{directory}/"),
    };
    let (mut entries, mut folders) = (Vec::new(), BTreeSet::new());
    for (name, info) in &snapshot.files {
        let Some(rest) = name.strip_prefix(&prefix) else {
            continue;
        };
        // Every folder between the directory and the file, or the first of them.
        let deep = rest.match_indices('/');
        for (at, _) in deep.take(if recursive { usize::MAX } else { 1 }) {
            folders.insert(format!("{prefix}{}", &rest[..at]));
        }
        if recursive || !rest.contains('/') {
            entries.push(entry(name, info));
        }
    }
    if entries.is_empty() && folders.is_empty() {
        return error(StatusCode::NOT_FOUND, Some("EntryNotFound"), directory);
    }
    entries.extend(folders.iter().map(|folder| folder_entry(folder, snapshot)));
    json_answer(&Value::Array(entries))
}

fn paths(snapshot: &Snapshot, body: &[u8]) -> Answer {
    let wanted = wanted_paths(body);
    let known = wanted.iter().filter_map(|path| {
        let path = path.trim_matches('/');
        let below = format!("{path}/");
        match snapshot.files.get(path) {
            Some(info) => Some(entry(path, info)),
            None if snapshot.files.keys().any(|name| name.starts_with(&below)) => {
                Some(folder_entry(path, snapshot))
            }
            None => None,
        }
    });
    json_answer(&Value::Array(known.collect()))
}

/// `{"paths": […]}`, or a form with `paths=` once or more.
fn wanted_paths(body: &[u8]) -> Vec<String> {
    let listed = |value: &Value| match value {
        Value::String(one) => vec![one.clone()],
        Value::Array(all) => all
            .iter()
            .filter_map(|path| path.as_str().map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    };
    if let Ok(value) = serde_json::from_slice::<Value>(body) {
        return listed(&value["paths"]);
    }
    String::from_utf8_lossy(body)
        .split('&')
        .filter_map(|part| part.strip_prefix("paths="))
        .map(|path| {
            let path = path.replace('+', " ");
            percent_decode_str(&path).decode_utf8_lossy().into_owned()
        })
        .collect()
}

fn entry(name: &str, info: &FileInfo) -> Value {
    let mut entry = json!({
        "type": "file",
        "oid": info.oid,
        "size": info.size,
        "path": name,
    });
    if let Some(sha256) = &info.sha256 {
        entry["lfs"] = json!({
            "oid": sha256,
            "size": info.size,
            "pointerSize": lfs_pointer(sha256, info.size).len(),
        });
    }
    entry
}

fn folder_entry(folder: &str, snapshot: &Snapshot) -> Value {
    json!({ "type": "directory", "oid": snapshot.commit, "size": 0, "path": folder })
}

fn resolve(commit: &str, info: &FileInfo, request: &Request, fault: Option<&Failure>) -> Answer {
    let etag = match fault {
        Some(Failure::WrongEtag) => "0".repeat(info.etag().len()),
        _ => info.etag().to_owned(),
    };
    let etag = format!("\"{etag}\"");
    let identify = |answer: &mut Answer| identify(answer, commit, info, &etag);
    if let Some(Failure::Redirect(base)) = fault {
        let mut answer = redirect(base, request);
        identify(&mut answer);
        return answer;
    }
    if header(request, IF_NONE_MATCH.as_str()) == Some(&etag) {
        let mut answer = with_status(StatusCode::NOT_MODIFIED, Payload::empty());
        identify(&mut answer);
        return answer;
    }
    let asked = header(request, RANGE.as_str()).filter(|_| fault != Some(&Failure::NoRanges));
    let range = match asked.and_then(|asked| parse_range(asked, info.size)) {
        Some(Err(())) => return not_satisfiable(info),
        Some(Ok(range)) => Some(range),
        None => None,
    };
    let part = range.clone().unwrap_or(0..info.size);
    let payload = match request.method {
        Method::HEAD => Payload::empty(),
        _ => match part_of_file(info, &part) {
            Ok(payload) => payload,
            Err(reason) => {
                let reason = reason.to_string();
                return error(StatusCode::INTERNAL_SERVER_ERROR, None, &reason);
            }
        },
    };
    let payload = match fault {
        Some(Failure::Cut(after)) => payload.cut(*after),
        Some(Failure::Stall(after)) => payload.stall(*after),
        Some(Failure::Corrupt) => payload.corrupt(),
        _ => payload,
    };
    let status = match range {
        Some(_) => StatusCode::PARTIAL_CONTENT,
        None => StatusCode::OK,
    };
    let mut answer = with_status(status, payload);
    identify(&mut answer);
    set(
        &mut answer,
        CONTENT_TYPE.as_str(),
        "application/octet-stream",
    );
    let length = (part.end - part.start).to_string();
    set(&mut answer, CONTENT_LENGTH.as_str(), &length);
    if let Some(Range { start, end }) = range {
        let range = format!("bytes {start}-{}/{}", end - 1, info.size);
        set(&mut answer, CONTENT_RANGE.as_str(), &range);
    }
    answer
}

/// What the file is, in the answer's head.
fn identify(answer: &mut Answer, commit: &str, info: &FileInfo, etag: &str) {
    set(answer, "X-Repo-Commit", commit);
    if info.sha256.is_some() {
        set(answer, "X-Linked-Etag", etag);
        set(answer, "X-Linked-Size", &info.size.to_string());
    }
    set(answer, ETAG.as_str(), etag);
    set(answer, ACCEPT_RANGES.as_str(), "bytes");
}

fn not_satisfiable(info: &FileInfo) -> Answer {
    let mut answer = with_status(StatusCode::RANGE_NOT_SATISFIABLE, Payload::empty());
    let range = format!("bytes */{}", info.size);
    set(&mut answer, CONTENT_RANGE.as_str(), &range);
    answer
}

fn part_of_file(info: &FileInfo, part: &Range<u64>) -> std::io::Result<Payload> {
    let mut file = File::open(&info.path)?;
    file.seek(SeekFrom::Start(part.start))?;
    Ok(Payload::file(file, part.end - part.start))
}

/// One range of bytes (RFC 9110, 14.2); several, or another unit, are as good as none.
fn parse_range(header: &str, size: u64) -> Option<Result<Range<u64>, ()>> {
    let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
    let range = match (first.trim(), last.trim()) {
        ("", last) => size.saturating_sub(last.parse().ok()?)..size,
        (first, "") => first.parse().ok()?..size,
        (first, last) => {
            let last: u64 = last.parse().ok()?;
            first.parse().ok()?..last.saturating_add(1).min(size)
        }
    };
    Some(match range.start < range.end {
        true => Ok(range),
        false => Err(()),
    })
}

fn failed(status: u16, code: Option<&str>, retry_after: Option<u64>) -> Answer {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = error(status, code, "as the test wants it");
    if let Some(seconds) = retry_after {
        set(&mut answer, RETRY_AFTER.as_str(), &seconds.to_string());
    }
    answer
}

fn redirect(base: &str, request: &Request) -> Answer {
    let mut answer = with_status(StatusCode::FOUND, Payload::bytes("Found"));
    let location = format!("{base}{}", request.path);
    set(&mut answer, LOCATION.as_str(), &location);
    answer
}

fn web_page() -> Answer {
    let page = "<!doctype html><title>Sign in</title><p>Please sign in to the network";
    let mut answer = with_status(StatusCode::OK, Payload::bytes(page));
    set(
        &mut answer,
        CONTENT_TYPE.as_str(),
        "text/html; charset=utf-8",
    );
    answer
}

fn error(status: StatusCode, code: Option<&str>, what: &str) -> Answer {
    let body = json!({ "error": what }).to_string();
    let mut answer = with_status(status, Payload::bytes(body));
    set(&mut answer, CONTENT_TYPE.as_str(), "application/json");
    if let Some(code) = code {
        set(&mut answer, "X-Error-Code", code);
        set(&mut answer, "X-Error-Message", what);
    }
    answer
}

fn json_answer(value: &Value) -> Answer {
    let mut answer = with_status(StatusCode::OK, Payload::bytes(value.to_string()));
    set(&mut answer, CONTENT_TYPE.as_str(), "application/json");
    answer
}

fn with_status(status: StatusCode, payload: Payload) -> Answer {
    let mut answer = Response::new(payload);
    *answer.status_mut() = status;
    answer
}

/// Sets a header; a value that no header can have is left out.
fn set(answer: &mut Answer, name: &str, value: &str) {
    use hyper::header::{HeaderName, HeaderValue};
    let name = HeaderName::from_bytes(name.as_bytes());
    if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
        answer.headers_mut().insert(name, value);
    }
}

fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let check = |header: &str, expected| assert_eq!(parse_range(header, 10), expected);
        check("bytes=0-3", Some(Ok(0..4)));
        check("bytes=4-", Some(Ok(4..10)));
        check("bytes=4-99", Some(Ok(4..10)));
        check("bytes=-3", Some(Ok(7..10)));
        check("bytes=-99", Some(Ok(0..10)));
        check("bytes=10-", Some(Err(())));
        check("bytes=5-4", Some(Err(())));
        check("bytes=0-18446744073709551615", Some(Ok(0..10)));
        check("bytes=a-", None);
        check("lines=0-3", None);
        check("bytes=0-1,4-5", None);
    }

    #[test]
    fn paths_come_as_json_or_as_a_form() {
        assert_eq!(wanted_paths(br#"{"paths": ["a", "b c"]}"#), ["a", "b c"]);
        assert_eq!(wanted_paths(br#"{"paths": "a"}"#), ["a"]);
        assert_eq!(
            wanted_paths(b"paths=a%2Fb&expand=True&paths=c+d"),
            ["a/b", "c d"]
        );
        assert!(wanted_paths(b"").is_empty());
    }
}
