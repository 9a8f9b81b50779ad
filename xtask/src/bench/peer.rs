//! The peer: a Python process that does the same work when it is asked to.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;

use crate::workspace;

/// A running `tests/reference/bench_peer.py`: one request a line, one answer a line.
pub(crate) struct Peer {
    process: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    versions: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Value { value: f64 },
    Error { error: String },
}

impl Peer {
    /// Starts it; it says first what it is.
    pub(crate) fn start(python: &str) -> Result<Self> {
        let script = workspace::root().join("tests/reference/bench_peer.py");
        let mut process = Command::new(python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {python}; --python names another"))?;
        let (Some(requests), Some(answers)) = (process.stdin.take(), process.stdout.take()) else {
            bail!("{python} has no standard input or output");
        };
        let mut peer = Self {
            process,
            requests: Some(requests),
            answers: BufReader::new(answers),
            versions: String::new(),
        };
        peer.versions = peer.line().with_context(|| {
            format!("{python} needs torch and transformers; --python names another")
        })?;
        Ok(peer)
    }

    /// The peer's name and versions.
    pub(crate) fn versions(&self) -> &str {
        self.versions.trim()
    }

    /// One repetition of `request`.
    pub(crate) fn measure(&mut self, request: &Value) -> Result<f64> {
        let Some(requests) = &mut self.requests else {
            bail!("the peer was stopped");
        };
        writeln!(requests, "{request}").context("the peer has ended")?;
        requests.flush().context("the peer has ended")?;
        match serde_json::from_str(&self.line()?).context("the peer's answer")? {
            Answer::Value { value } => Ok(value),
            Answer::Error { error } => bail!("the peer: {error}"),
        }
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        if line.is_empty() {
            bail!("the peer has ended");
        }
        Ok(line)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // The end of its input ends it.
        self.requests = None;
        let _ = self.process.wait();
    }
}
