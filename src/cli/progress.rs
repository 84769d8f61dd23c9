//! Progress on standard error: bars on a terminal, silence elsewhere; messages everywhere.

use std::io::{IsTerminal, stderr};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Where progress goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    bars: bool,
}

impl Progress {
    /// Bars if standard error is a terminal.
    pub(crate) fn new() -> Progress {
        Progress { bars: stderr().is_terminal() }
    }

    /// A message that stands by itself.
    #[expect(clippy::unused_self, reason = "whoever reports needs to have been given the right to")]
    pub(crate) fn say(self, message: &str) {
        eprintln!("{message}");
    }

    /// A bar of `steps` steps.
    pub(crate) fn bar(self, name: &str, steps: u64) -> Bar {
        let bar = if self.bars { ProgressBar::new(steps) } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{prefix:>12} [{bar:30}] {pos}/{len} {msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(name.to_owned());
        if self.bars {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Bar(bar)
    }
}

/// A running bar.
#[derive(Debug)]
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// One step further.
    pub(crate) fn step(&self) {
        self.0.inc(1);
    }

    /// How far the work is, and what comes next.
    pub(crate) fn show(&self, done: u64, all: u64, next: String) {
        self.0.set_length(all);
        self.0.set_position(done);
        self.0.set_message(next);
    }

    /// Takes the bar off the terminal while `work` writes there.
    pub(crate) fn aside(&self, work: impl FnOnce()) {
        self.0.suspend(work);
    }

    /// Takes the bar off the terminal.
    pub(crate) fn done(&self) {
        self.0.finish_and_clear();
    }
}
