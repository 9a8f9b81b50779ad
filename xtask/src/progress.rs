//! Progress bars and messages for people, on standard error.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Result, Write, stderr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use paint_data::{Progress, Transfer};

/// One line of a command's answer, on standard output; everything else is on standard error.
#[expect(clippy::print_stdout, reason = "the answer is the output")]
pub(crate) fn answer(line: impl std::fmt::Display) {
    println!("{line}");
}

/// Where progress goes.
#[derive(Clone)]
pub(crate) struct Console {
    bars: MultiProgress,
    /// Those that were told.
    warnings: Arc<Mutex<BTreeSet<Vec<u8>>>>,
}

impl Console {
    /// Bars on standard error; none where that is no terminal.
    pub(crate) fn new() -> Self {
        Self {
            bars: MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(8)),
            warnings: Arc::default(),
        }
    }

    /// A line that stays.
    pub(crate) fn say(&self, line: impl AsRef<str>) {
        self.bars.suspend(|| {
            #[expect(clippy::print_stderr, reason = "the runner speaks to people here")]
            {
                eprintln!("{}", line.as_ref());
            }
        });
    }

    /// A bar over `n` items of work.
    pub(crate) fn bar(&self, what: &str, n: u64) -> ProgressBar {
        let style = ProgressStyle::with_template(
            "{msg:<34} {wide_bar:.cyan/dim} {pos}/{len} {elapsed_precise} eta {eta}",
        )
        .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = self.bars.add(ProgressBar::new(n)).with_style(style);
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(500));
        bar
    }

    /// A bar of bytes for each file that comes from the Hub, gone once it is there.
    pub(crate) fn downloads(&self) -> Progress {
        let (console, bars) = (self.clone(), Mutex::new(BTreeMap::new()));
        Arc::new(move |transfer: &Transfer<'_>| {
            let file = format!("{}/{}", transfer.id, transfer.file);
            let mut bars = bars.lock().unwrap_or_else(PoisonError::into_inner);
            let bar: &mut ProgressBar = bars
                .entry(file)
                .or_insert_with_key(|file| console.bytes(file, transfer.size));
            bar.set_position(transfer.received);
            if transfer.received == transfer.size {
                bar.finish_and_clear();
            }
        })
    }

    fn bytes(&self, what: &str, n: u64) -> ProgressBar {
        let style = ProgressStyle::with_template(
            "{msg:<34} {wide_bar:.cyan/dim} {bytes}/{total_bytes} {bytes_per_sec} eta {eta}",
        )
        .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = self.bars.add(ProgressBar::new(n)).with_style(style);
        bar.set_message(what.to_owned());
        bar
    }
}

/// Log lines, between the bars; a warning that several splits of a dataset give is told once.
impl Write for Console {
    fn write(&mut self, line: &[u8]) -> Result<usize> {
        let mut told = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        let is_warning = line.trim_ascii_start().starts_with(b"WARN");
        if !is_warning || told.insert(line.to_vec()) {
            self.bars.suspend(|| stderr().write_all(line))?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> Result<()> {
        stderr().flush()
    }
}
