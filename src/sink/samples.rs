//! Windows for tests, made by the real aggregator.

use crate::aggregate::{Aggregator, Rows, Snapshot};
use crate::ledger::{Cause, Ledger};
use crate::record::{Kind, SeriesId, SeriesInfo, Unit};
use crate::sync::Arc;

/// A label value that hurts wherever something does not escape.
pub(crate) const HOSTILE: &str = "<img src=x onerror=alert(1)>\"\\\n,le=\"9\"} 7\u{1f600}";

/// An engine's aggregation without the engine.
#[derive(Default)]
pub(crate) struct Source {
    pub(crate) aggregator: Aggregator,
    window: u64,
    dropped: u64,
}

/// 2025-09-09 01:46:40 UTC.
const START_NS: i64 = 1_757_382_400_000_000_000;

impl Source {
    pub(crate) fn add(&mut self, name: &str, kind: Kind, unit: Unit, labels: &[(&str, &str)], help: &str) -> SeriesId {
        let id = SeriesId(u32::try_from(self.aggregator.len()).unwrap());
        let labels = labels.iter().map(|&(key, value)| (key.into(), value.into())).collect();
        let info = SeriesInfo { id, name: name.into(), kind, unit, labels, help: help.into(), alarm_after: 1 };
        self.aggregator.add_series([Arc::new(info)]);
        id
    }

    pub(crate) fn sample(&mut self, id: SeriesId, value: f64) {
        self.aggregator.sample(id, self.now_ns(), value).unwrap();
    }

    pub(crate) fn drop_samples(&mut self, count: u64) {
        self.dropped += count;
    }

    /// Start of the open window.
    pub(crate) fn now_ns(&self) -> i64 {
        START_NS + i64::try_from(self.window).unwrap() * 1_000_000_000
    }

    /// Ends the window of one second.
    pub(crate) fn close(&mut self) -> Arc<Snapshot> {
        let start_ns = self.now_ns();
        self.window += 1;
        let series = self.aggregator.close(Rows::Every);
        let aggregated = self.aggregator.aggregated();
        let gathered = self.aggregator.gathered();
        let mut ledger = Ledger {
            recorded: aggregated + self.dropped,
            aggregated,
            increments: gathered,
            gathered,
            clamped: self.aggregator.clamped(),
            consistent: true,
            ..Ledger::default()
        };
        ledger.dropped.add(Cause::RingFull, self.dropped);
        Arc::new(Snapshot { window: self.window, start_ns, end_ns: start_ns + 1_000_000_000, series, ledger })
    }
}
