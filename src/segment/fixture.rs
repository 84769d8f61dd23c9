//! Windows for tests and for the fuzz target, made the way the engine makes them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "compiled for tests and fuzzing only")]

use std::path::Path;

use super::Moment;
use super::encode::Batch;
use super::memory::MemoryDisk;
use super::reader::Segment;
use super::storage::Disk as _;
use super::writer::{Birth, SegmentWriter};
use crate::aggregate::{Aggregator, Rows as WhichRows, Snapshot};
use crate::detect::{Anomaly, Published, Severity, Verdict};
use crate::ledger::{Cause, Ledger};
use crate::record::{Catalogue, Kind, SeriesId, SeriesInfo, SeriesSpec, Unit};
use crate::sync::Arc;

pub(crate) const SECOND: i64 = 1_000_000_000;

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

/// A clean file of so many windows, the same bytes every time, and offset and length of its blocks.
pub(crate) fn image(windows: usize) -> (Vec<u8>, Vec<(usize, usize)>) {
    let disk = MemoryDisk::default();
    let birth = Birth {
        file_id: [0x5A; 16],
        boot_id: [0; 16],
        run_id: [1; 16],
        prev_file_id: [0; 16],
        seq: 1,
        seg_len: 64 << 10,
        created: Moment { real_ns: 1_700_000_000 * SECOND, mono_ns: 1 },
    };
    let mut writer = SegmentWriter::create(&disk, &birth).unwrap();
    let (mut source, mut batch) = (Source::new(), Batch::default());
    for at in 0..windows {
        let published = source.full_window();
        for row in &published.snapshot.series {
            batch.push_row(published.snapshot.start_ns, published.snapshot.end_ns, row);
        }
        batch.push_window(&published);
        batch.set_dict(if at == 0 { source.infos.clone() } else { Vec::new() });
        writer.commit(&batch, u64::MAX, birth.created).unwrap();
        batch.clear();
    }
    writer.close(birth.created).unwrap();
    debug_assert_eq!(disk.list().unwrap().len(), 1);
    let bytes = disk.files().into_values().next().unwrap();
    let segment = Segment::from_source(Box::new(bytes.clone()), Path::new("image.seg")).unwrap();
    let blocks = segment.blocks().map(|block| block.unwrap());
    let blocks = blocks.map(|block| (block.offset() as usize, block.bytes() as usize)).collect();
    (bytes, blocks)
}
