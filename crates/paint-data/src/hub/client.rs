//! Conversations with the Hub: what a revision is, what a file is, and bytes of it.
//!
//! `hf-hub` tells what a revision holds. Files are asked for here, because its version 1.0 starts
//! every download anew, in one connection, without looking at the status, size or hash of what
//! comes, waits on a silent server for ever, and gives up on a second process after ten seconds.

use std::time::Duration;

use hf_hub::HFClient;
use reqwest::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap,
    HeaderValue, LOCATION, RANGE, RETRY_AFTER,
};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response, StatusCode, Url};

use super::cache::{is_inside, is_word};
use super::failure::Failure;
use super::{Online, RepositoryKind};

pub(super) type Result<T> = std::result::Result<T, Failure>;

/// An open conversation.
pub(super) struct Session<'a> {
    pub(super) online: &'a Online,
    endpoint: Url,
    http: Client,
}

/// What a revision holds.
pub(super) struct Listing {
    pub(super) commit: String,
    pub(super) names: Vec<String>,
}

/// What the Hub says of a file.
pub(super) struct Remote {
    /// Name of its blob; the SHA-256 of a large file, git's hash of a small one.
    pub(super) etag: String,
    /// Bytes.
    pub(super) size: u64,
    /// Where the bytes are; good for a while.
    location: Url,
}

const MAX_REDIRECTS: usize = 8;

/// Talks on a thread of its own: the caller may be inside a runtime, where one cannot wait, and
/// a panic in a library ends there.
pub(super) fn converse<T: Send>(
    online: &Online,
    talk: impl AsyncFnOnce(Session<'_>) -> Result<T> + Send,
) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let runtime = runtime.map_err(|error| Failure::Unreachable(error.to_string()))?;
            runtime.block_on(async { talk(Session::open(online)?).await })
        });
        let thread = thread.map_err(|error| Failure::Unreachable(error.to_string()))?;
        thread.join().unwrap_or(Err(Failure::Broken))
    })
}

impl<'a> Session<'a> {
    fn open(online: &'a Online) -> Result<Self> {
        let mut endpoint = Url::parse(&online.endpoint)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .ok_or_else(|| Failure::NotTheHub("HF_ENDPOINT is no http(s) address".to_owned()))?;
        if !endpoint.path().ends_with('/') {
            endpoint.set_path(&format!("{}/", endpoint.path()));
        }
        let http = builder(online, &endpoint)
            .redirect(Policy::none())
            .build()?;
        Ok(Self {
            online,
            endpoint,
            http,
        })
    }

    /// Asks until it is answered, or trying on is of no use.
    pub(super) async fn patiently<T>(&self, ask: impl AsyncFn() -> Result<T>) -> Result<T> {
        let mut tries = 0;
        loop {
            let failure = match ask().await {
                Err(failure) if failure.may_pass() => failure,
                answer => return answer,
            };
            tries += 1;
            self.pause(failure, tries).await?;
        }
    }

    /// Waits before the next try, or gives up.
    pub(super) async fn pause(&self, failure: Failure, tries: u32) -> Result<()> {
        let pause = failure.pause(tries, self.online.first_pause);
        match pause.filter(|_| tries < self.online.tries) {
            None => Err(failure),
            Some(pause) => {
                tracing::info!("{failure:?}; trying again in {pause:?}");
                tokio::time::sleep(pause).await;
                Ok(())
            }
        }
    }

    /// Commit and file names of a revision.
    pub(super) async fn list(
        &self,
        kind: RepositoryKind,
        id: &str,
        revision: &str,
    ) -> Result<Listing> {
        // A token that no header can carry is none; without it, hf-hub would take one from the
        // environment even though the caller gave none.
        let token = self.online.token.as_deref().unwrap_or("\n");
        let client = HFClient::builder()
            .client(builder(self.online, &self.endpoint).build()?)
            .endpoint(&self.online.endpoint)
            .cache_dir(&self.online.cache)
            .token(token)
            // Its retries do not heed Retry-After.
            .retry_max_attempts(0)
            .build()?;
        let (owner, name) = hf_hub::split_id(id);
        let (sha, siblings) = match kind {
            RepositoryKind::Model => {
                let model = client.model(owner, name);
                let info =
                    self.patiently(async || Ok(model.info().revision(revision).send().await?));
                let info = info.await?;
                (info.sha, info.siblings)
            }
            RepositoryKind::Dataset => {
                let dataset = client.dataset(owner, name);
                let info =
                    self.patiently(async || Ok(dataset.info().revision(revision).send().await?));
                let info = info.await?;
                (info.sha, info.siblings)
            }
        };
        let Some(commit) = sha.filter(|sha| is_word(sha)) else {
            return Err(Failure::NotTheHub("it names no commit".to_owned()));
        };
        let names = siblings.into_iter().flatten().map(|file| file.rfilename);
        let mut names: Vec<String> = names.collect();
        if let Some(bad) = names.iter().find(|name| !is_inside(name)) {
            return Err(Failure::NotTheHub(format!("it names a file {bad:?}")));
        }
        names.sort();
        Ok(Listing { commit, names })
    }

    /// What a file is, and where.
    pub(super) async fn describe(
        &self,
        kind: RepositoryKind,
        id: &str,
        commit: &str,
        file: &str,
    ) -> Result<Remote> {
        let mut url = self.resolve_url(kind, id, commit, file)?;
        let mut facts = Facts::default();
        for _ in 0..MAX_REDIRECTS {
            let response = self.send(Method::HEAD, &url, None).await?;
            facts.read(response.headers(), response.status());
            if !response.status().is_redirection() {
                return facts.remote(url);
            }
            let next = location(&response)?;
            // Another host's headers are of its own storage, not of the file.
            if next.origin() != self.endpoint.origin() {
                return facts.remote(next);
            }
            url = next;
        }
        Err(Failure::NotTheHub("it redirects in a circle".to_owned()))
    }

    fn resolve_url(&self, kind: RepositoryKind, id: &str, commit: &str, file: &str) -> Result<Url> {
        let mut url = self.endpoint.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty();
            if kind == RepositoryKind::Dataset {
                segments.push("datasets");
            }
            let path = id.split('/').chain(["resolve", commit]);
            segments.extend(path.chain(file.split('/')));
        }
        Ok(url)
    }

    /// The bytes `start..end` of a file, as an answer to be read; of the whole file if `whole`.
    pub(super) async fn bytes(
        &self,
        remote: &Remote,
        range: std::ops::Range<u64>,
        may_be_page: bool,
    ) -> Result<Response> {
        let whole = range == (0..remote.size);
        let header = (!whole).then(|| format!("bytes={}-{}", range.start, range.end - 1));
        let mut url = remote.location.clone();
        for _ in 0..MAX_REDIRECTS {
            let response = self.send(Method::GET, &url, header.as_deref()).await?;
            if response.status().is_redirection() {
                url = location(&response)?;
                continue;
            }
            if !may_be_page && is_page(response.headers()) {
                return Err(Failure::NotTheHub(format!("{url} is a web page")));
            }
            let is_part = response.status() == StatusCode::PARTIAL_CONTENT;
            if !whole && !is_part {
                return Err(Failure::NoRanges);
            }
            let start = format!("bytes {}-", range.start);
            if is_part && !text(response.headers(), CONTENT_RANGE.as_str()).starts_with(&start) {
                return Err(Failure::NotTheHub("it sent another range".to_owned()));
            }
            return Ok(response);
        }
        Err(Failure::NotTheHub("it redirects in a circle".to_owned()))
    }

    /// One request, without following redirects. The token goes to the endpoint alone.
    async fn send(&self, method: Method, url: &Url, range: Option<&str>) -> Result<Response> {
        let mut request = self.http.request(method, url.clone());
        if url.origin() == self.endpoint.origin()
            && let Some(token) = &self.online.token
        {
            request = request.header(AUTHORIZATION, secret(token)?);
        }
        if let Some(range) = range {
            request = request.header(RANGE, range);
        }
        let response = request.send().await?;
        let status = response.status();
        if status.is_success() || status.is_redirection() {
            return Ok(response);
        }
        let headers = response.headers();
        let code = text(headers, "x-error-code");
        Err(Failure::Status {
            status: status.as_u16(),
            code: (!code.is_empty()).then(|| code.to_owned()),
            retry_after: text(headers, RETRY_AFTER.as_str())
                .parse()
                .ok()
                .map(Duration::from_secs),
            url: without_query(url),
        })
    }
}

fn builder(online: &Online, endpoint: &Url) -> reqwest::ClientBuilder {
    let mut headers = HeaderMap::new();
    // So that lengths are the file's.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let builder = Client::builder()
        .user_agent(concat!("paint/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .referer(false)
        // Parts at the same time are to be connections at the same time.
        .http1_only()
        .connect_timeout(online.timeout)
        .read_timeout(online.timeout);
    // A mirror on this machine is not behind the proxy.
    match endpoint.host_str() {
        Some("127.0.0.1" | "localhost" | "[::1]") => builder.no_proxy(),
        _ => builder,
    }
}

fn secret(token: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| Failure::NotTheHub("HF_TOKEN has characters no token has".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn location(response: &Response) -> Result<Url> {
    let location = text(response.headers(), LOCATION.as_str());
    let next = response.url().join(location);
    next.ok()
        .filter(|_| !location.is_empty())
        .ok_or_else(|| Failure::NotTheHub("it redirects to nowhere".to_owned()))
}

fn is_page(headers: &HeaderMap) -> bool {
    text(headers, CONTENT_TYPE.as_str()).starts_with("text/html")
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}

/// A signed address lets whoever reads a log fetch the file.
fn without_query(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.into()
}

/// What the answers on the way to a file say of it; the first that says it counts.
#[derive(Default)]
struct Facts {
    etag: Option<String>,
    size: Option<u64>,
    is_hub: bool,
    is_page: bool,
}

impl Facts {
    fn read(&mut self, headers: &HeaderMap, status: StatusCode) {
        self.is_hub |= headers.contains_key("x-repo-commit");
        self.is_page = is_page(headers);
        let etag = [text(headers, "x-linked-etag"), text(headers, ETAG.as_str())]
            .map(|etag| etag.trim_start_matches("W/").trim_matches('"'));
        let etag = etag.into_iter().find(|etag| is_word(etag));
        self.etag = self.etag.take().or(etag.map(str::to_owned));
        // The length of a redirect is that of its own text.
        let length = match status.is_success() {
            true => text(headers, CONTENT_LENGTH.as_str()).parse().ok(),
            false => None,
        };
        let size = text(headers, "x-linked-size").parse().ok().or(length);
        self.size = self.size.or(size);
    }

    fn remote(self, location: Url) -> Result<Remote> {
        let missing = |what: &str| Failure::NotTheHub(what.to_owned());
        if !self.is_hub {
            return Err(missing(match self.is_page {
                true => "a web page came",
                false => "the header X-Repo-Commit is missing",
            }));
        }
        Ok(Remote {
            etag: self
                .etag
                .ok_or_else(|| missing("the header ETag is missing"))?,
            size: self
                .size
                .ok_or_else(|| missing("the file's size is missing"))?,
            location,
        })
    }
}
