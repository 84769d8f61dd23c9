//! The read-only side of an engine: what pages, endpoints and programs look at.

use std::collections::VecDeque;

use crate::aggregate::Snapshot;
use crate::detect::{Anomaly, Published};
use crate::ledger::Ledger;
use crate::sink::SinkStats;
use crate::sync::{Arc, Mutex, lock};

/// Anomalies kept for readers.
const ANOMALIES: usize = 1_000;
/// Windows kept for readers, as far as [`ROWS`] allows.
const WINDOWS: usize = 300;
/// Rows kept in all windows together, so that many series shorten the history instead of filling the memory.
const ROWS: usize = 100_000;

/// A read-only view of a running engine. Cheap to clone; all methods take a short lock that no recording thread and
/// no window ever waits for longer than a pointer is copied.
#[derive(Clone, Debug)]
pub struct View {
    shared: Arc<Mutex<State>>,
}

/// State of the engine's parts, as far as they have something to say.
#[derive(Clone, Debug, Default)]
pub struct PartStatus {
    /// Name of the part: `aggregator`, `sink:segments`, ...
    pub name: String,
    /// What is wrong; `None` while it works.
    pub problem: Option<String>,
}

#[derive(Debug, Default)]
struct State {
    windows: VecDeque<Arc<Snapshot>>,
    rows: usize,
    anomalies: VecDeque<Arc<Anomaly>>,
    anomalies_total: u64,
    parts: Vec<PartStatus>,
    sinks: Vec<SinkStats>,
    closed: bool,
    ledger: Ledger,
}

impl View {
    pub(crate) fn new() -> View {
        View { shared: Arc::new(Mutex::new(State::default())) }
    }

    /// The latest window; `None` before the first one ends.
    #[must_use]
    pub fn latest(&self) -> Option<Arc<Snapshot>> {
        lock(&self.shared).windows.back().cloned()
    }

    /// The last windows, oldest first: up to 300, fewer where there are very many series.
    #[must_use]
    pub fn windows(&self) -> Vec<Arc<Snapshot>> {
        lock(&self.shared).windows.iter().cloned().collect()
    }

    /// The last 1,000 anomalies whose number is above `after`, oldest first.
    #[must_use]
    pub fn anomalies(&self, after: u64) -> Vec<Arc<Anomaly>> {
        lock(&self.shared).anomalies.iter().filter(|anomaly| anomaly.id > after).cloned().collect()
    }

    /// How many anomalies were found since the start.
    #[must_use]
    pub fn anomalies_total(&self) -> u64 {
        lock(&self.shared).anomalies_total
    }

    /// The account at the end of the latest window, or the final one after shutdown.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        lock(&self.shared).ledger
    }

    /// The state of the engine's parts: the aggregator once it has panicked, and every sink (the segment store and
    /// anomaly callbacks are sinks, too).
    #[must_use]
    pub fn parts(&self) -> Vec<PartStatus> {
        let state = lock(&self.shared);
        let sinks = state.sinks.iter().map(|sink| PartStatus {
            name: format!("sink:{}", sink.name),
            problem: sink.failing.then(|| sink.last_error.clone().unwrap_or_else(|| "failed".into())),
        });
        state.parts.iter().cloned().chain(sinks).collect()
    }

    /// What became of the windows that each sink was offered.
    #[must_use]
    pub fn sinks(&self) -> Vec<SinkStats> {
        lock(&self.shared).sinks.clone()
    }

    /// Whether the engine was shut down.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        lock(&self.shared).closed
    }

    pub(crate) fn publish(&self, published: &Published) {
        let state = &mut *lock(&self.shared);
        state.ledger = published.snapshot.ledger;
        state.rows += published.snapshot.series.len();
        // Only the latest window keeps the distributions since the start.
        if let Some(previous) = state.windows.back_mut() {
            *previous = Arc::new(previous.without_totals());
        }
        state.windows.push_back(Arc::clone(&published.snapshot));
        while state.windows.len() > 1 && (state.windows.len() > WINDOWS || state.rows > ROWS) {
            if let Some(oldest) = state.windows.pop_front() {
                state.rows -= oldest.series.len();
            }
        }
        for anomaly in published.anomalies.iter() {
            state.anomalies_total += 1;
            state.anomalies.push_back(Arc::clone(anomaly));
        }
        while state.anomalies.len() > ANOMALIES {
            state.anomalies.pop_front();
        }
    }

    /// Notes what is wrong with a part, or that nothing is.
    pub(crate) fn set_part(&self, name: &str, problem: Option<String>) {
        let state = &mut *lock(&self.shared);
        match state.parts.iter_mut().find(|part| part.name == name) {
            Some(part) => part.problem = problem,
            None => state.parts.push(PartStatus { name: name.into(), problem }),
        }
    }

    /// Notes what became of the windows that each sink was offered.
    pub(crate) fn set_sinks(&self, sinks: Vec<SinkStats>) {
        lock(&self.shared).sinks = sinks;
    }

    pub(crate) fn close(&self, ledger: Ledger) {
        let state = &mut *lock(&self.shared);
        state.closed = true;
        state.ledger = ledger;
    }
}
