//! The server: a thread pool that answers until it is dropped.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, RANGE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

use crate::answer::{Request, answer};
use crate::fault::{Fault, take};
use crate::payload::Payload;
use crate::snapshot::{Hashes, Snapshot};
use crate::{Error, Result};

/// A running server; it ends when dropped.
pub struct Mirror {
    address: SocketAddr,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

struct Shared {
    root: PathBuf,
    hashes: Hashes,
    faults: Mutex<Vec<Fault>>,
    served: Mutex<VecDeque<Entry>>,
}

struct Entry {
    served: Served,
    sent: Arc<AtomicU64>,
}

/// One answered request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Served {
    /// Such as `GET`.
    pub method: String,
    /// Of the URL, without its query.
    pub path: String,
    /// The header `Range`.
    pub range: Option<String>,
    /// Whether the request carried a token.
    pub authorized: bool,
    /// HTTP status of the answer.
    pub status: u16,
    /// Bytes of the body sent so far.
    pub bytes: u64,
}

/// Requests kept for [`Mirror::served`]; a server that runs for months must not grow.
const MAX_SERVED: usize = 10_000;
/// A request's body is a list of paths.
const MAX_BODY: usize = 1 << 20;

impl Mirror {
    /// Serves `root` at `address`; port 0 is any free one.
    ///
    /// # Errors
    /// If `root` has neither `models` nor `datasets`, or the address is taken.
    pub fn start(root: &Path, address: SocketAddr) -> Result<Self> {
        if !["models", "datasets"]
            .iter()
            .any(|kind| root.join(kind).is_dir())
        {
            return Err(Error::Layout(root.to_owned()));
        }
        let shared = Arc::new(Shared {
            root: root.to_owned(),
            hashes: Hashes::default(),
            faults: Mutex::default(),
            served: Mutex::default(),
        });
        let runtime = Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(Error::Runtime)?;
        let listen = |source| Error::Listen { address, source };
        let listener = runtime
            .block_on(TcpListener::bind(address))
            .map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        runtime.spawn(accept(listener, shared.clone()));
        Ok(Self {
            address,
            shared,
            runtime: Some(runtime),
        })
    }

    /// What `HF_ENDPOINT` is to be.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Hashes all repositories, so that no first client waits for it; says of each its kind, id
    /// and commit.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn index(&self, mut say: impl FnMut(&str, &str, &str)) -> Result<()> {
        for kind in ["models", "datasets"] {
            for id in repositories(&self.shared.root.join(kind))? {
                let directory = self.shared.root.join(kind).join(&id);
                if let Some(snapshot) = Snapshot::of(&directory, &self.shared.hashes)? {
                    say(kind, &id, &snapshot.commit);
                }
            }
        }
        Ok(())
    }

    /// Makes requests fail from now on, for tests.
    pub fn inject(&self, fault: Fault) {
        lock(&self.shared.faults).push(fault);
    }

    /// Takes all faults back.
    pub fn heal(&self) {
        lock(&self.shared.faults).clear();
    }

    /// The requests answered so far, oldest first; the last ten thousand.
    pub fn served(&self) -> Vec<Served> {
        let served = lock(&self.shared.served);
        let now = served.iter().map(|entry| Served {
            bytes: entry.sent.load(Ordering::Relaxed),
            ..entry.served.clone()
        });
        now.collect()
    }

    /// Answers until the process ends.
    pub fn serve(self) -> ! {
        loop {
            std::thread::park();
        }
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// `NAME` where files lie directly in a directory, and `ORG/NAME` below the others.
fn repositories(root: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for name in directories(root)? {
        let below = directories(&root.join(&name))?;
        let has_files = entries(&root.join(&name))?.len() > below.len();
        match has_files {
            true => found.push(name),
            false => found.extend(below.iter().map(|below| format!("{name}/{below}"))),
        }
    }
    Ok(found)
}

fn directories(directory: &Path) -> Result<Vec<String>> {
    let mut names = entries(directory)?;
    names.retain(|name| directory.join(name).is_dir());
    Ok(names)
}

/// Sorted, without hidden ones; none where there is no directory.
fn entries(directory: &Path) -> Result<Vec<String>> {
    if !directory.is_dir() {
        return Ok(Vec::new());
    }
    let read = || -> std::io::Result<Vec<String>> {
        let names = std::fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name()));
        let names: std::io::Result<Vec<_>> = names.collect();
        let names = names?
            .into_iter()
            .filter_map(|name| name.into_string().ok());
        Ok(names.filter(|name| !name.starts_with('.')).collect())
    };
    let mut names = read().map_err(|source| Error::Io {
        path: directory.to_owned(),
        source,
    })?;
    names.sort();
    Ok(names)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(converse(stream, shared.clone()))),
            // Such as too many open files: others may end meanwhile.
            Err(error) => {
                tracing::warn!("a connection was not accepted: {error}");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(|request| respond(request, shared.clone()));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!("a connection ended: {error}");
    }
}

async fn respond(
    request: hyper::Request<Incoming>,
    shared: Arc<Shared>,
) -> std::result::Result<Response<Payload>, Infallible> {
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => body.to_bytes().to_vec(),
        Err(_) => return Ok(plain(StatusCode::PAYLOAD_TOO_LARGE)),
    };
    let request = Request {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body,
    };
    // Hashing a large file takes seconds.
    let answered = tokio::task::spawn_blocking(move || shared.answer(&request)).await;
    Ok(answered.unwrap_or_else(|_| plain(StatusCode::INTERNAL_SERVER_ERROR)))
}

impl Shared {
    fn answer(&self, request: &Request) -> Response<Payload> {
        let line = format!("{} {}", request.method, request.path);
        let fault = take(&mut lock(&self.faults), &line);
        let response = answer(&self.root, &self.hashes, request, fault.as_ref());
        let sent = Arc::<AtomicU64>::default();
        let range = request
            .headers
            .get(RANGE)
            .and_then(|range| range.to_str().ok());
        tracing::info!("{line} {}", response.status());
        let mut served = lock(&self.served);
        if served.len() == MAX_SERVED {
            served.pop_front();
        }
        served.push_back(Entry {
            served: Served {
                method: request.method.to_string(),
                path: request.path.clone(),
                range: range.map(str::to_owned),
                authorized: request.headers.contains_key(AUTHORIZATION),
                status: response.status().as_u16(),
                bytes: 0,
            },
            sent: sent.clone(),
        });
        response.map(|payload| payload.counted(sent))
    }
}

fn plain(status: StatusCode) -> Response<Payload> {
    let mut response = Response::new(Payload::empty());
    *response.status_mut() = status;
    response
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
