//! A recorder for the [`metrics`](https://docs.rs/metrics) facade: code instrumented with its macros records here as it
//! is.
//!
//! ```
//! use std::time::Duration;
//! use afferent::{Engine, metrics_facade::Facade};
//!
//! let engine = Engine::builder().start()?;
//! Facade::install(&engine)?;
//!
//! metrics::describe_histogram!("http.latency", metrics::Unit::Milliseconds, "Time to answer.");
//! metrics::histogram!("http.latency", "route" => "/plan").record(250.0);
//! metrics::counter!("http.requests").increment(1);
//!
//! engine.shutdown(Duration::from_secs(1))?;
//! let snapshot = engine.view().latest().ok_or("no window")?;
//! let latency = snapshot.get("http_latency", &[("route", "/plan")]).ok_or("no series")?;
//! assert_eq!(latency.total.sum, 0.25); // seconds
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Names
//! A character that a name may not have becomes `_`, so `http.latency` is `http_latency`; a name that would begin with
//! a digit, or be empty, gets a `_` before it; what is longer than 256 bytes is cut. The same holds for labels, where
//! leading underscores are reduced to one, and `le` and `quantile` get a `_` at their end. Keys that are the same after
//! that are the same series. Of two labels with one name the last counts.
//!
//! # Units and descriptions
//! A metric's unit and help are what it was described with before its first series was registered; a later description
//! changes nothing. Values are scaled to the unit's base: `Milliseconds` are recorded in seconds, `Kibibytes` in bytes,
//! `Percent` as a ratio. Counts and rates have no unit here, and their values are taken as they are. A counter counts
//! whole numbers: one described with a fraction of a base unit (`Milliseconds`, `Percent`) stays without a unit and
//! unscaled.
//!
//! # Kinds
//! * A **counter**'s `absolute` raises it to the value given, if that is larger than all that went through the facade so
//!   far. For that, threads share an atomic total beside their own cells.
//! * A **gauge**'s value is shared by all threads, so that increments and decrements add up exactly; each change is
//!   recorded as a sample. When two threads change it at once, the one that finds its value overtaken records the
//!   newer, so the last sample is the last value (to within the clock's resolution between two cores). A sample that a
//!   full ring refuses is made good by the next change.
//! * A **histogram** records each value as a sample; `record_many` records it so many times under one time stamp.
//!
//! A metric that the engine refuses, since it exists with another kind or unit or has more than 64 labels, records
//! nowhere; the engine says so as the part `metrics` of [`View::parts`](crate::engine::View::parts) and at `/health`.
//!
//! # Cost
//! The facade's macros ask for the handle at every call: a read lock, one of 16 by the key's hash, a comparison of name and
//! labels, and the count of a shared pointer up and down; some 35 ns. Keep the handle (`let requests = metrics::counter!(..)`) where
//! it matters: what is left is a virtual call, the shared total or value of a counter or gauge, and the record itself. For a
//! counter that several threads add to without pause, a [`Counter`](crate::Counter) of the engine has no such total. A key seen for the first time is registered, under
//! locks.

mod handles;
mod names;
mod table;
#[cfg(test)]
mod tests;
mod units;

use std::collections::HashMap;
use std::fmt;

use ::metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

use self::table::Table;
use self::units::Scale;
use crate::engine::{Engine, View};
use crate::record::{Kind, SeriesSpec};
use crate::ring::{Handle, Registry};
use crate::sync::{Arc, RwLock, read, write};

/// Takes what the `metrics` macros record into an engine. See the [module](self).
pub struct Facade {
    registry: Arc<Registry>,
    view: View,
    /// By kind and mapped name. An entry of a metric that has a series is final.
    descriptions: RwLock<HashMap<(Kind, String), Description>>,
    counters: Table<handles::Counted>,
    gauges: Table<handles::Shared>,
    histograms: Table<handles::Scaled>,
}

/// The process's recorder was set before, by this or another library. Install one, early in `main`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstallError;

impl fmt::Display for InstallError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(
            "the process's `metrics` recorder is set already, here or by another library: install one, early in main",
        )
    }
}

impl std::error::Error for InstallError {}

#[derive(Clone, Debug, Default)]
struct Description {
    unit: Option<Unit>,
    help: String,
    /// The metric has a series: the description stays as it is.
    used: bool,
}

impl Facade {
    /// A recorder for an engine, to be wrapped in layers or used for a while
    /// ([`metrics::with_local_recorder`](::metrics::with_local_recorder)).
    ///
    /// It does not keep the engine alive; what is recorded after the engine's end is counted or goes nowhere, like
    /// anything recorded then.
    #[must_use]
    pub fn new(engine: &Engine) -> Facade {
        Facade {
            registry: engine.shared_registry(),
            view: engine.view(),
            descriptions: RwLock::default(),
            counters: Table::default(),
            gauges: Table::default(),
            histograms: Table::default(),
        }
    }

    /// Makes an engine the one that the process's `metrics` macros record into. Metrics that were asked for before
    /// stay without effect.
    ///
    /// # Errors
    /// If a recorder was installed before, by this or another library.
    pub fn install(engine: &Engine) -> Result<(), InstallError> {
        ::metrics::set_global_recorder(Facade::new(engine)).map_err(|_| InstallError)
    }

    fn describe(&self, kind: Kind, name: &KeyName, unit: Option<Unit>, help: &str) {
        let key = (kind, names::metric(name.as_str()));
        // The facade's macros can describe at every call, so the lock for all is left to the first ones.
        if read(&self.descriptions).get(&key).is_some_and(|known| known.used) {
            return;
        }
        let mut descriptions = write(&self.descriptions);
        let description = descriptions.entry(key).or_default();
        if !description.used {
            *description = Description { unit, help: help.into(), used: false };
        }
    }

    /// Registers the series of a key; `None`, and its refusal among the engine's parts, if it is refused.
    fn register<H: Handle>(&self, kind: Kind, key: &Key) -> (Option<H>, Scale) {
        let name = names::metric(key.name());
        let description = {
            let mut descriptions = write(&self.descriptions);
            let description = descriptions.entry((kind, name.clone())).or_default();
            description.used = true;
            description.clone()
        };
        let scale = Scale::of(kind, description.unit);
        let spec = SeriesSpec {
            unit: scale.unit,
            labels: names::labels(key.labels()),
            help: description.help,
            ..SeriesSpec::new(&name, kind)
        };
        match self.registry.register(spec) {
            Ok(handle) => (Some(handle), scale),
            Err(error) => {
                self.view.set_part("metrics", Some(error.to_string()));
                (None, scale)
            }
        }
    }
}

impl Recorder for Facade {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(Kind::Counter, &key, unit, &description);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(Kind::Gauge, &key, unit, &description);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(Kind::Histogram, &key, unit, &description);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.counters.get(key, || {
            let (handle, scale) = self.register(Kind::Counter, key);
            let series = handle.map(crate::Counter::series);
            (series, handles::Counted::new(handle.unwrap_or(crate::Counter::noop()), scale))
        }))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.gauges.get(key, || {
            let (handle, scale) = self.register(Kind::Gauge, key);
            let series = handle.map(crate::Gauge::series);
            (series, handles::Shared::new(handle.unwrap_or(crate::Gauge::noop()), scale))
        }))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.histograms.get(key, || {
            let (handle, scale) = self.register(Kind::Histogram, key);
            let series = handle.map(crate::Histogram::series);
            (series, handles::Scaled::new(handle.unwrap_or(crate::Histogram::noop()), scale))
        }))
    }
}

impl fmt::Debug for Facade {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Facade").field("registry", &self.registry).finish_non_exhaustive()
    }
}
