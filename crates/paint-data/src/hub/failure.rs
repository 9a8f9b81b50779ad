//! Why the Hub did not give what was asked for, and what a person can do about it.

use std::path::PathBuf;
use std::time::Duration;

use hf_hub::HFError;

use super::RepositoryKind;

/// What went wrong with one request.
#[derive(Debug)]
pub(super) enum Failure {
    /// An answer that is a refusal.
    Status {
        status: u16,
        /// The Hub's `X-Error-Code`.
        code: Option<String>,
        retry_after: Option<Duration>,
        url: String,
    },
    /// No connection.
    Unreachable(String),
    /// Nothing came for too long.
    Silent,
    /// The connection ended before the answer did.
    Cut(String),
    /// An answer that the Hub would not give.
    NotTheHub(String),
    /// A range was asked for and the whole file came.
    NoRanges,
    /// The whole file came, and is another.
    Damaged { told: String, found: String },
    /// Not enough room for a file.
    NoRoom { needed: u64, directory: PathBuf },
    /// The disk refused.
    Disk {
        path: PathBuf,
        source: std::io::Error,
    },
    /// The client's code failed.
    Broken,
}

/// What was asked, for the sentence.
pub(super) struct Asked<'a> {
    pub(super) kind: RepositoryKind,
    pub(super) id: &'a str,
    pub(super) endpoint: &'a str,
    pub(super) revision: &'a str,
    pub(super) file: Option<&'a str>,
    pub(super) has_token: bool,
    pub(super) timeout: Duration,
}

/// A server that wants a longer pause is asked another time.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(120);

impl Failure {
    /// Whether the same request may succeed a little later.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500 | 502..=504),
            Self::Unreachable(_) | Self::Silent | Self::Cut(_) => true,
            _ => false,
        }
    }

    /// Whether the Hub is out of reach, so that what is at hand must do.
    pub(super) fn is_absence(&self) -> bool {
        self.may_pass() || matches!(self, Self::NotTheHub(_) | Self::Broken)
    }

    /// How long to wait before try number `n` (from 1), if at all: what the server asks for,
    /// otherwise twice as long as before.
    pub(super) fn pause(&self, n: u32, first: Duration) -> Option<Duration> {
        match self {
            Self::Status {
                retry_after: Some(pause),
                ..
            } => (*pause <= LONGEST_PAUSE).then_some(*pause),
            // Where there is no network, people should not wait to hear so.
            Self::Unreachable(_) if n > 1 => None,
            _ => Some(first * 2u32.saturating_pow(n - 1)).map(|pause| pause.min(LONGEST_PAUSE)),
        }
    }

    pub(super) fn disk(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Disk {
            path: path.to_owned(),
            source,
        }
    }

    /// One sentence: what happened, and what to do.
    pub(super) fn sentence(&self, asked: &Asked<'_>) -> String {
        let Asked { endpoint, file, .. } = asked;
        let sentence = match self {
            Self::Status {
                status,
                code,
                retry_after,
                url,
            } => Self::refusal(*status, code.as_deref(), *retry_after, url, asked),
            Self::Unreachable(reason) => format!(
                "cannot reach {endpoint} ({reason}); check the network, HTTPS_PROXY and \
                 HF_ENDPOINT, or set HF_HUB_OFFLINE=1 to use what is in the cache"
            ),
            Self::Silent => format!(
                "{endpoint} sent nothing for {} s; what came before is kept: run again, or set \
                 HF_HUB_DOWNLOAD_TIMEOUT to more seconds",
                asked.timeout.as_secs_f64()
            ),
            Self::Cut(reason) => format!(
                "the connection to {endpoint} broke off again and again ({reason}); what came \
                 before is kept: run again"
            ),
            Self::NotTheHub(what) => format!(
                "{endpoint} answered, but not as the Hub does ({what}); a proxy or a login page \
                 may stand between: open the address in a browser, and check HTTPS_PROXY and \
                 HF_ENDPOINT"
            ),
            Self::NoRanges => format!("{endpoint} does not send parts of files"),
            Self::Damaged { told, found } => format!(
                "what {endpoint} sent has the hash {found}, and should have {told}: it was \
                 changed on the way or on the server; it is removed: run again, and if it stays \
                 so, use another endpoint"
            ),
            Self::NoRoom { needed, directory } => format!(
                "no room: {} more are needed at {}; free some, or set HF_HUB_CACHE to a larger \
                 disk",
                human_bytes(*needed),
                directory.display()
            ),
            Self::Disk { path, source } => format!(
                "cannot write {}: {source}; check the disk, or set HF_HUB_CACHE to another",
                path.display()
            ),
            Self::Broken => format!("the client for {endpoint} failed; report this as a bug"),
        };
        match file {
            Some(file) => format!("{file}: {sentence}"),
            None => sentence,
        }
    }

    fn refusal(
        status: u16,
        code: Option<&str>,
        retry_after: Option<Duration>,
        url: &str,
        asked: &Asked<'_>,
    ) -> String {
        let Asked {
            kind, id, endpoint, ..
        } = asked;
        let page = match kind {
            RepositoryKind::Model => format!("{endpoint}/{id}"),
            RepositoryKind::Dataset => format!("{endpoint}/datasets/{id}"),
        };
        match (status, code) {
            (401 | 403, Some("GatedRepo")) if asked.has_token => format!(
                "is gated, and this token's account has no access yet ({status}): ask for it at \
                 {page} while logged in, then run again"
            ),
            (401 | 403, Some("GatedRepo")) => format!(
                "is gated ({status}): accept its conditions at {page} while logged in, make a \
                 token at {endpoint}/settings/tokens, and set HF_TOKEN to it"
            ),
            (401 | 404, Some("RepoNotFound")) if asked.has_token => format!(
                "{endpoint} has no {kind} of this name, or the token may not see it ({status}); \
                 check the name, and that HF_TOKEN is of an account with access"
            ),
            (401 | 404, Some("RepoNotFound")) => format!(
                "{endpoint} has no {kind} of this name, or it is private ({status}); check the \
                 name, and if it is private set HF_TOKEN"
            ),
            (404, Some("EntryNotFound")) => {
                format!("there is no such file at {page} ({status}); check its name")
            }
            (404, Some("RevisionNotFound")) => format!(
                "there is no revision {} at {page} ({status}); check `revision`",
                asked.revision
            ),
            (401, _) if asked.has_token => format!(
                "{endpoint} does not accept the token ({status}); make a new one at \
                 {endpoint}/settings/tokens and set HF_TOKEN to it"
            ),
            (401, _) => format!(
                "{endpoint} wants a token ({status}); make one at {endpoint}/settings/tokens and \
                 set HF_TOKEN to it"
            ),
            (403, _) => format!(
                "{endpoint} forbids it ({status}); set HF_TOKEN to a token that may read {page}"
            ),
            (404, _) => format!("{url} is not there ({status}); check the name and HF_ENDPOINT"),
            (429, _) => format!(
                "{endpoint} takes no more requests for now ({status}){}; run again then, or set \
                 HF_TOKEN, which raises the limit",
                retry_after.map_or_else(String::new, |pause| format!(
                    " and asks to wait {} s",
                    pause.as_secs()
                ))
            ),
            (500.., _) => format!(
                "{endpoint} is out of order ({status}); what came before is kept: run again later"
            ),
            _ => format!("{url} was refused ({status}); check HF_ENDPOINT"),
        }
    }
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        let reason = innermost(&error);
        if error.is_timeout() {
            Self::Silent
        } else if error.is_connect() {
            Self::Unreachable(reason)
        } else if error.is_decode() && !error.is_body() && is_json(&error) {
            Self::NotTheHub("its answer is not the JSON of a repository".to_owned())
        } else if error.is_redirect() {
            Self::NotTheHub("it redirects in a circle".to_owned())
        } else if error.is_builder() {
            Self::NotTheHub(reason)
        } else {
            Self::Cut(reason)
        }
    }
}

impl From<HFError> for Failure {
    fn from(error: HFError) -> Self {
        let retry_after = match &error {
            HFError::RateLimited { retry_after, .. } => *retry_after,
            _ => None,
        };
        let context = match error {
            HFError::Http { context }
            | HFError::AuthRequired { context }
            | HFError::Forbidden { context }
            | HFError::Conflict { context }
            | HFError::RateLimited { context, .. } => context,
            HFError::RepoNotFound {
                context: Some(context),
                ..
            }
            | HFError::RevisionNotFound {
                context: Some(context),
                ..
            } => context,
            HFError::Request { source, .. } => return source.into(),
            other => return Self::NotTheHub(other.to_string()),
        };
        Self::Status {
            status: context.status.as_u16(),
            code: context.error_code,
            retry_after,
            url: context.url,
        }
    }
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut reason = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    reason.to_string()
}

fn is_json(error: &reqwest::Error) -> bool {
    let source = std::error::Error::source(error);
    source.is_some_and(|source| source.is::<serde_json::Error>())
}

fn human_bytes(n: u64) -> String {
    match n {
        0..1_000_000 => format!("{} kB", n.div_ceil(1000)),
        1_000_000..1_000_000_000 => format!("{:.1} MB", n as f64 / 1e6),
        _ => format!("{:.2} GB", n as f64 / 1e9),
    }
}
