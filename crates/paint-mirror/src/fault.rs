//! Failures on request, so that tests see what a network does to a download.

/// A failure of the next requests that fit.
#[derive(Clone, Debug)]
pub struct Fault {
    /// What stands in `METHOD PATH` of the requests that fail, such as `GET /datasets/`.
    pub on: String,
    /// How many of them fail before the mirror is well again.
    pub times: usize,
    /// How they fail.
    pub failure: Failure,
}

/// How a request fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A status, optionally with the Hub's `X-Error-Code` and with `Retry-After` in seconds.
    Status {
        /// HTTP status.
        status: u16,
        /// Such as `GatedRepo`.
        code: Option<&'static str>,
        /// Seconds to wait.
        retry_after: Option<u64>,
    },
    /// The connection is cut after so many bytes of the body.
    Cut(u64),
    /// After so many bytes of the body nothing more comes, though the connection stays open.
    Stall(u64),
    /// The file's hash is told wrong.
    WrongEtag,
    /// Every byte of the file is changed.
    Corrupt,
    /// `Range` is ignored: the whole file comes, with status 200.
    NoRanges,
    /// A web page with status 200, as a proxy's login does.
    WebPage,
    /// What is asked for is at the same path of another server, as the Hub's large files are.
    Redirect(String),
}

/// Takes the first fault that fits a request, and uses it up by one.
pub(crate) fn take(faults: &mut Vec<Fault>, request: &str) -> Option<Failure> {
    let i = faults
        .iter()
        .position(|fault| request.contains(&fault.on))?;
    let failure = faults[i].failure.clone();
    faults[i].times = faults[i].times.saturating_sub(1);
    if faults[i].times == 0 {
        faults.remove(i);
    }
    Some(failure)
}
