//! Prometheus text and OpenMetrics.
//!
//! A snapshot's cumulative values, rendered in either format by [`render()`]. [`Exposition`] keeps the rendered bodies of
//! the latest window; [`Prometheus`] is the sink that feeds one.
//!
//! **Names.** A metric `planning_time` in seconds is exposed as `planning_time_seconds`, a counter `actions` as
//! `actions_total`; a suffix that is there is not doubled. Where two metrics would share a name after that, the one
//! registered first keeps it and the other gets its kind added: gauge `jobs_total` and counter `jobs` become
//! `jobs_total` and `jobs_counter_total`.
//!
//! **Histograms** are classic ones with bounds in steps of 1, 2.5 and 5 that depend on the unit alone. A value is
//! compared with a bound at the histogram's precision, 1/1,024.
//!
//! **Cost.** Nothing is rendered until someone asks. Then it is done on the asking thread (the HTTP thread for a scrape),
//! at most once per window and format, and never on a recording thread or the aggregator.

mod bounds;
mod names;
mod render;
#[cfg(test)]
mod tests;

#[cfg(any(feature = "serve", test))]
pub(crate) use render::with_sinks;
pub use render::{Format, render};

use super::{Sink, SinkError};
use crate::aggregate::Snapshot;
use crate::detect::Published;
use crate::sync::{Arc, Mutex, lock};

/// The page of the latest window, rendered at most once per window and format. Cheap to clone; clones share it.
#[derive(Clone, Debug)]
pub struct Exposition {
    prefix: Arc<str>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    snapshot: Option<Arc<Snapshot>>,
    /// Bodies of `snapshot` by format.
    text: Option<Arc<str>>,
    open_metrics: Option<Arc<str>>,
}

impl Exposition {
    /// An empty page whose names will get `prefix` (empty for none).
    #[must_use]
    pub fn new(prefix: &str) -> Exposition {
        Exposition { prefix: prefix.into(), state: Arc::default() }
    }

    /// Takes a window, unless a later one was taken already.
    pub fn offer(&self, snapshot: &Arc<Snapshot>) {
        let state = &mut *lock(&self.state);
        if state.snapshot.as_ref().is_none_or(|held| held.window < snapshot.window) {
            *state = State { snapshot: Some(Arc::clone(snapshot)), text: None, open_metrics: None };
        }
    }

    /// The page in `format`, and the number of its window; `None` before the first window.
    ///
    /// The first caller of a window renders, and others wait for it: some 10 ms for 10,000 series.
    #[must_use]
    pub fn body(&self, format: Format) -> Option<(u64, Arc<str>)> {
        let state = &mut *lock(&self.state);
        let snapshot = state.snapshot.as_ref()?;
        let slot = match format {
            Format::Text => &mut state.text,
            Format::OpenMetrics => &mut state.open_metrics,
        };
        let body = slot.get_or_insert_with(|| render(snapshot, &self.prefix, format).into());
        Some((snapshot.window, Arc::clone(body)))
    }
}

/// The sink for Prometheus: keeps the latest window ready to be scraped.
///
/// With an HTTP endpoint in the same engine, `/metrics` answers from it. A program that has a server of its own keeps
/// [`Prometheus::exposition`] and serves its [`body`](Exposition::body).
#[derive(Clone, Debug)]
pub struct Prometheus {
    exposition: Exposition,
}

impl Default for Prometheus {
    fn default() -> Self {
        Prometheus::with_prefix("")
    }
}

impl Prometheus {
    /// A sink whose names get `prefix` and an underscore. Characters that no metric name may have become `_`.
    #[must_use]
    pub fn with_prefix(prefix: &str) -> Prometheus {
        Prometheus { exposition: Exposition::new(prefix) }
    }

    /// The page this sink feeds.
    #[must_use]
    pub fn exposition(&self) -> Exposition {
        self.exposition.clone()
    }
}

impl Sink for Prometheus {
    fn name(&self) -> &'static str {
        "prometheus"
    }

    fn publish(&mut self, published: &Published) -> Result<(), SinkError> {
        self.exposition.offer(&published.snapshot);
        Ok(())
    }

    fn exposition(&self) -> Option<Exposition> {
        Some(self.exposition.clone())
    }
}
