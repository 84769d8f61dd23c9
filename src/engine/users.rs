//! The calls the first users make by name, for code that does not keep handles.
//!
//! They look the series up at every call, which costs a lock and a few hundred nanoseconds. In a loop, register a
//! handle once and record through it.

use std::collections::HashMap;
use std::fmt;
use std::sync::mpsc::channel;

use super::runner::Request;
use super::{Engine, PATIENCE};
use crate::record::{Kind, RegisterError, SeriesInfo};
use crate::sink::{json, prometheus};
use crate::sync::Arc;

/// One entry of a batch for [`Engine::record_metrics_batch`].
#[derive(Clone, Copy, Debug)]
pub struct Metric<'a> {
    /// The metric's name.
    pub name: &'a str,
    /// The value, in the metric's unit.
    pub value: f64,
    /// Labels.
    pub tags: &'a [(&'a str, &'a str)],
    /// Counter, gauge or histogram.
    pub kind: Kind,
}

/// One value of a metric's recent history.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The series: name, labels, kind.
    pub series: Arc<SeriesInfo>,
    /// When it was recorded, nanoseconds since the Unix epoch.
    pub time_ns: i64,
    /// The value.
    pub value: f64,
}

/// Why a value was not recorded.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RecordError {
    /// The series could not be registered.
    Register(RegisterError),
    /// A counter was given something else than a whole number of 0 or more. Record fractions in a gauge or histogram.
    Increment {
        /// The metric.
        metric: String,
        /// The value.
        value: f64,
    },
}

impl fmt::Display for RecordError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordError::Register(error) => error.fmt(out),
            RecordError::Increment { metric, value } => write!(
                out,
                "counter {metric:?} cannot grow by {value}: give a whole number of 0 or more, or make it a gauge or \
                 histogram"
            ),
        }
    }
}

impl std::error::Error for RecordError {}

impl From<RegisterError> for RecordError {
    fn from(error: RegisterError) -> Self {
        RecordError::Register(error)
    }
}

impl Engine {
    /// Records one value of a metric by name, registering it at the first call. Without a unit; register a handle
    /// where one is wanted.
    ///
    /// # Errors
    /// If the name or a label is not allowed, the metric exists with another kind, or a counter is given a fraction.
    pub fn record_metric(&self, name: &str, value: f64, tags: &[(&str, &str)], kind: Kind) -> Result<(), RecordError> {
        match kind {
            Kind::Counter => {
                if !(value >= 0.0 && value.fract() == 0.0 && value < 9_007_199_254_740_992.0) {
                    return Err(RecordError::Increment { metric: name.into(), value });
                }
                tagged(self.counter(name), tags).register()?.add(value as u64);
            }
            Kind::Gauge => tagged(self.gauge(name), tags).register()?.set(value),
            Kind::Histogram => tagged(self.histogram(name), tags).register()?.record(value),
        }
        Ok(())
    }

    /// Records many values. All are tried; the first error is returned with the position it happened at.
    ///
    /// # Errors
    /// As [`Engine::record_metric`].
    pub fn record_metrics_batch(&self, batch: &[Metric<'_>]) -> Result<(), (usize, RecordError)> {
        let mut first = Ok(());
        for (at, metric) in batch.iter().enumerate() {
            if let Err(error) = self.record_metric(metric.name, metric.value, metric.tags, metric.kind)
                && first.is_ok()
            {
                first = Err((at, error));
            }
        }
        first
    }

    /// The last values of every series of a gauge or histogram metric, oldest first within a series: as many per series
    /// as [`EngineBuilder::recent`](super::EngineBuilder::recent) allows. Includes what was recorded just before the
    /// call.
    #[must_use]
    pub fn recent(&self, name: &str) -> Vec<Reading> {
        let infos: Vec<_> = self.series_since(0).into_iter().filter(|info| &*info.name == name).collect();
        let (reply, answer) = channel();
        if self.requests.send(Request::Recent(infos.iter().map(|info| info.id).collect(), reply)).is_err() {
            return Vec::new();
        }
        let values = answer.recv_timeout(PATIENCE).unwrap_or_default();
        let infos: HashMap<_, _> = infos.into_iter().map(|info| (info.id, info)).collect();
        values
            .into_iter()
            .filter_map(|(id, time_ns, value)| Some(Reading { series: Arc::clone(infos.get(&id)?), time_ns, value }))
            .collect()
    }

    /// The latest window as a JSON document; `None` before the first one ends.
    #[must_use]
    pub fn json(&self) -> Option<String> {
        self.view.latest().map(|snapshot| json::render(&snapshot))
    }

    /// The latest window in Prometheus text format; `None` before the first one ends.
    #[must_use]
    pub fn prometheus(&self) -> Option<String> {
        self.view.latest().map(|snapshot| prometheus::render(&snapshot, &self.prefix, prometheus::Format::Text))
    }
}

fn tagged<'a, H: crate::ring::Handle>(
    builder: crate::ring::MetricBuilder<'a, H>,
    tags: &[(&str, &str)],
) -> crate::ring::MetricBuilder<'a, H> {
    tags.iter().fold(builder, |builder, (name, value)| builder.label(name, value))
}
