//! Progress bars and messages for people, on standard error.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Where progress goes.
#[derive(Clone)]
pub(crate) struct Console {
    bars: MultiProgress,
}

impl Console {
    /// Bars on standard error; none where that is no terminal.
    pub(crate) fn new() -> Self {
        Self {
            bars: MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(8)),
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
}
