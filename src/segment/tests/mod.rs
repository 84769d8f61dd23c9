//! Cross-file tests of the store: round trips, damage, crashes, failing disks. This file holds what they share.

mod crash;
mod damage;
mod round_trip;
mod store;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::memory::MemoryDisk;
use super::reader::Segment;
use super::rows::Rows;
use super::store::{Store, StoreConfig};
use super::{Damage, Moment};
use crate::aggregate::{Aggregator, Rows as WhichRows, Snapshot};
use crate::detect::{Anomaly, Published, Severity, Verdict};
use crate::ledger::{Cause, Ledger};
use crate::record::{Catalogue, Kind, SeriesId, SeriesInfo, SeriesSpec, Unit};
use crate::sync::{Arc, AtomicU64, Ordering};

pub(crate) const SECOND: i64 = 1_000_000_000;

/// A clock that tests turn by hand.
#[derive(Clone)]
pub(crate) struct TestClock(Arc<AtomicU64>);

impl TestClock {
    pub(crate) fn new() -> TestClock {
        TestClock(Arc::new(AtomicU64::new(1_000)))
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_nanos() as u64, Ordering::Relaxed);
    }

    pub(crate) fn config(&self) -> StoreConfig {
        let clock = self.clone();
        StoreConfig::new(Arc::new(move || {
            let mono_ns = clock.0.load(Ordering::Relaxed) as i64;
            Moment { real_ns: 1_700_000_000 * SECOND + mono_ns, mono_ns }
        }))
    }
}

/// Three series (a counter, a gauge, a histogram) and the windows made from them.
pub(crate) struct Source {
    aggregator: Aggregator,
    window: u64,
    ledger: Ledger,
    infos: Vec<Arc<SeriesInfo>>,
}

pub(crate) fn spec(name: &str, kind: Kind, unit: Unit, labels: &[(&str, &str)]) -> SeriesSpec {
    SeriesSpec {
        name: name.into(),
        kind,
        unit,
        labels: labels.iter().map(|&(key, value)| (key.into(), value.into())).collect(),
        help: format!("What {name} is."),
        alarm_after: 1,
    }
}

impl Source {
    pub(crate) fn new() -> Source {
        let catalogue = Catalogue::default();
        catalogue.intern(spec("actions", Kind::Counter, Unit::None, &[("agent_id", "a1")])).unwrap();
        catalogue.intern(spec("load", Kind::Gauge, Unit::Ratio, &[])).unwrap();
        catalogue.intern(spec("latency", Kind::Histogram, Unit::Seconds, &[("agent_id", "a\"1\\\n")])).unwrap();
        let infos = catalogue.since(0);
        let mut aggregator = Aggregator::default();
        aggregator.add_series(infos.iter().cloned());
        Source { aggregator, window: 0, ledger: Ledger { consistent: true, ..Ledger::default() }, infos }
    }

    /// The next window: `increments` of the counter, the gauge's value, the histogram's values.
    pub(crate) fn window(&mut self, increments: u64, gauge: Option<f64>, values: &[f64]) -> Published {
        let start_ns = 1_700_000_000 * SECOND + self.window as i64 * SECOND;
        self.window += 1;
        self.aggregator.increment(SeriesId(0), increments);
        if let Some(value) = gauge {
            self.aggregator.sample(SeriesId(1), start_ns, value).unwrap();
        }
        for &value in values {
            self.aggregator.sample(SeriesId(2), start_ns, value).unwrap();
        }
        let dropped = values.len() as u64 % 3;
        self.ledger.dropped.add(Cause::RingFull, dropped);
        self.ledger.aggregated = self.aggregator.aggregated();
        self.ledger.recorded = self.ledger.aggregated + self.ledger.dropped.total();
        self.ledger.increments += increments;
        self.ledger.gathered = self.aggregator.gathered();
        let anomalies: Vec<Arc<Anomaly>> = values
            .iter()
            .filter(|&&value| value > 100.0)
            .map(|&value| {
                Arc::new(Anomaly {
                    id: self.window,
                    series: Arc::clone(&self.infos[2]),
                    time_ns: start_ns,
                    value,
                    score: 6.5,
                    severity: Severity::Critical,
                    verdicts: vec![
                        Verdict { detector: "z_score", score: 6.5, low: 0.0, high: 1.0 },
                        Verdict { detector: "iqr", score: 6.0, low: 0.0, high: 2.0 },
                    ],
                    completeness: 0.5,
                })
            })
            .collect();
        let snapshot = Snapshot {
            window: self.window,
            start_ns,
            end_ns: start_ns + SECOND,
            series: self.aggregator.close(WhichRows::Every),
            ledger: self.ledger,
        };
        Published { snapshot: Arc::new(snapshot), anomalies: anomalies.into() }
    }

    /// A window that touches everything.
    pub(crate) fn full_window(&mut self) -> Published {
        let n = self.window as f64;
        self.window(3, Some(n), &[0.001 * (n + 1.0), 0.002, 200.0])
    }
}

/// A memory disk with one clean file of `windows` windows, each its own commit, and that file.
pub(crate) fn small_file(windows: usize) -> Vec<u8> {
    let disk = MemoryDisk::default();
    write_windows(&disk, windows).close().unwrap();
    disk.files().into_values().next().unwrap()
}

pub(crate) fn store_on(disk: &MemoryDisk, config: StoreConfig) -> Store {
    Store::on(Box::new(disk.clone()), Path::new("memory"), None, config).unwrap()
}

pub(crate) fn write_windows(disk: &MemoryDisk, windows: usize) -> Store {
    let mut store = store_on(disk, TestClock::new().config());
    let mut source = Source::new();
    for _ in 0..windows {
        store.append(&source.full_window()).unwrap();
        store.commit().unwrap();
    }
    store
}

/// Everything that can be read of a file: rows by block number, and damage.
pub(crate) fn read_image(bytes: &[u8]) -> Option<(BTreeMap<u64, Rows>, Vec<Damage>)> {
    let segment = Segment::from_source(Box::new(bytes.to_vec()), Path::new("image.seg")).ok()?;
    let mut damages = segment.damages().to_vec();
    let mut rows = BTreeMap::new();
    for block in segment.blocks() {
        match block.and_then(|block| block.rows_in(&segment).map(|rows| (block.number(), rows))) {
            Ok((number, decoded)) => drop(rows.insert(number, decoded)),
            Err(damage) => damages.push(damage),
        }
    }
    Some((rows, damages))
}
