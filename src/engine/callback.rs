//! A program's own function, called for every anomaly.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::detect::{Anomaly, Published};
use crate::sink::{Sink, SinkError};

/// So many panics within [`WITHIN`] and the callback is not called any more.
const PANICS: usize = 3;
const WITHIN: Duration = Duration::from_mins(1);

/// Calls a function for every anomaly of a window. A sink, so it has a thread and a bounded queue of its own.
pub(super) struct Callback<F> {
    function: F,
    panics: VecDeque<Instant>,
    tripped: bool,
}

impl<F: Fn(&Anomaly) + Send> Callback<F> {
    pub(super) fn new(function: F) -> Self {
        Callback { function, panics: VecDeque::new(), tripped: false }
    }

    fn note_panic(&mut self, now: Instant) {
        self.panics.push_back(now);
        while self.panics.front().is_some_and(|&first| now.duration_since(first) > WITHIN) {
            self.panics.pop_front();
        }
        self.tripped = self.panics.len() >= PANICS;
    }
}

impl<F: Fn(&Anomaly) + Send> Sink for Callback<F> {
    fn name(&self) -> &'static str {
        "on_anomaly"
    }

    fn publish(&mut self, published: &Published) -> Result<(), SinkError> {
        let mut failed = 0;
        for anomaly in published.anomalies.iter() {
            if self.tripped {
                return Err(SinkError::new(
                    "the anomaly callback panicked three times within a minute and is not called any more: fix it",
                ));
            }
            if catch_unwind(AssertUnwindSafe(|| (self.function)(anomaly))).is_err() {
                failed += 1;
                self.note_panic(Instant::now());
            }
        }
        if failed == 0 { Ok(()) } else { Err(SinkError::new(format!("the anomaly callback panicked {failed} times"))) }
    }
}
