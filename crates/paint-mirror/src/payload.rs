//! The body of an answer: bytes or a part of a file, and how it ends.

use std::fs::File;
use std::future::Future;
use std::io::{Error, ErrorKind, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::time::Sleep;

/// Bytes to be sent.
pub(crate) struct Payload {
    source: Source,
    left: u64,
    ending: Ending,
    sent: Arc<AtomicU64>,
}

enum Source {
    Bytes(Bytes),
    File { file: File, mask: u8 },
}

enum Ending {
    Whole,
    Cut(Pause),
    Stall(Pause),
}

/// A wait that begins when it is first looked at.
struct Pause {
    duration: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
}

const CHUNK: u64 = 64 << 10;
/// So that what was sent leaves before the connection is cut.
const BEFORE_CUT: Duration = Duration::from_millis(20);
/// Longer than any client waits.
const STALL: Duration = Duration::from_secs(3600);

impl Payload {
    pub(crate) fn empty() -> Self {
        Self::bytes(Bytes::new())
    }

    pub(crate) fn bytes(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self {
            left: bytes.len() as u64,
            source: Source::Bytes(bytes),
            ending: Ending::Whole,
            sent: Arc::default(),
        }
    }

    /// The next `length` bytes of a file.
    pub(crate) fn file(file: File, length: u64) -> Self {
        Self {
            source: Source::File { file, mask: 0 },
            left: length,
            ending: Ending::Whole,
            sent: Arc::default(),
        }
    }

    /// The connection is cut after so many bytes.
    pub(crate) fn cut(self, after: u64) -> Self {
        self.ends(after, Ending::Cut(Pause::of(BEFORE_CUT)))
    }

    /// Nothing comes after so many bytes.
    pub(crate) fn stall(self, after: u64) -> Self {
        self.ends(after, Ending::Stall(Pause::of(STALL)))
    }

    fn ends(self, after: u64, ending: Ending) -> Self {
        Self {
            ending: if after < self.left {
                ending
            } else {
                Ending::Whole
            },
            left: self.left.min(after),
            ..self
        }
    }

    /// Every bit of a file is turned over.
    pub(crate) fn corrupt(mut self) -> Self {
        if let Source::File { mask, .. } = &mut self.source {
            *mask = 0xff;
        }
        self
    }

    /// Counts what is sent.
    pub(crate) fn counted(self, sent: Arc<AtomicU64>) -> Self {
        Self { sent, ..self }
    }

    fn next(&mut self) -> std::io::Result<Bytes> {
        let n = self.left.min(CHUNK) as usize;
        let chunk = match &mut self.source {
            Source::Bytes(bytes) => bytes.split_to(n),
            Source::File { file, mask } => {
                let mut chunk = vec![0; n];
                file.read_exact(&mut chunk)?;
                chunk.iter_mut().for_each(|byte| *byte ^= *mask);
                chunk.into()
            }
        };
        self.left -= n as u64;
        self.sent.fetch_add(n as u64, Ordering::Relaxed);
        Ok(chunk)
    }
}

impl Pause {
    fn of(duration: Duration) -> Self {
        Self {
            duration,
            sleep: None,
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let duration = self.duration;
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(duration)));
        sleep.as_mut().poll(context)
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.left > 0 {
            return Poll::Ready(Some(self.next().map(Frame::data)));
        }
        match &mut self.ending {
            Ending::Whole => Poll::Ready(None),
            Ending::Cut(pause) => pause
                .poll(context)
                .map(|()| Some(Err(ErrorKind::ConnectionAborted.into()))),
            Ending::Stall(pause) => pause.poll(context).map(|()| None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0 && matches!(self.ending, Ending::Whole)
    }

    fn size_hint(&self) -> SizeHint {
        match self.ending {
            Ending::Whole => SizeHint::with_exact(self.left),
            _ => SizeHint::default(),
        }
    }
}
