//! Windows, anomalies and accounts as JSON: the one place that fixes their keys.
//!
//! Numbers that JSON cannot hold (NaN, infinities) are `null`; `serde_json` writes them so. Times are nanoseconds since
//! the Unix epoch.

use std::collections::BTreeMap;

use serde::Serialize;

use super::fanout::SinkStats;
use crate::aggregate::{SeriesWindow, Snapshot, Stats};
use crate::detect::{Anomaly, Published, Verdict};
use crate::ledger::Ledger;
use crate::record::SeriesInfo;

/// A window with all its series.
#[derive(Clone, Debug, Serialize)]
pub struct SnapshotJson<'a> {
    /// Number of the window, from 1.
    pub window: u64,
    /// Start of the window.
    pub start_ns: i64,
    /// End of the window.
    pub end_ns: i64,
    /// The series, by ascending number.
    pub series: Vec<SeriesJson<'a>>,
    /// Anomalies that began in the window; absent where they are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anomalies: Option<Vec<AnomalyJson<'a>>>,
    /// The account at the end of the window.
    pub ledger: LedgerJson,
}

/// What a series is called and means.
#[derive(Clone, Debug, Serialize)]
pub struct InfoJson<'a> {
    /// Its number.
    pub id: usize,
    /// The metric's name, as registered.
    pub name: &'a str,
    /// Labels by name.
    pub labels: BTreeMap<&'a str, &'a str>,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// `seconds`, `bytes`, `ratio` or empty.
    pub unit: &'static str,
    /// One line of help; may be empty.
    pub help: &'a str,
}

/// One series in one window.
#[derive(Clone, Debug, Serialize)]
pub struct SeriesJson<'a> {
    /// The series.
    #[serde(flatten)]
    pub info: InfoJson<'a>,
    /// What the window added.
    pub delta: StatsJson,
    /// Everything since the engine started.
    pub total: StatsJson,
    /// Quantiles of the window; absent where the series has no distribution or the window no values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantiles: Option<QuantilesJson>,
}

/// Count, sum and extremes.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct StatsJson {
    /// How many values (of a counter: the sum of its increments).
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// The latest (of a counter: its total so far).
    pub last: f64,
    /// The mean.
    pub mean: f64,
}

/// Quantiles of one window.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct QuantilesJson {
    /// The median.
    pub p50: f64,
    /// The 95th percentile.
    pub p95: f64,
    /// The 99th percentile.
    pub p99: f64,
}

/// Something unusual.
#[derive(Clone, Debug, Serialize)]
pub struct AnomalyJson<'a> {
    /// Its number, from 1.
    pub id: u64,
    /// The series it was seen in.
    pub series: InfoJson<'a>,
    /// Time of the value.
    pub time_ns: i64,
    /// The value.
    pub value: f64,
    /// Standard deviations of a normal with the same tail probability.
    pub score: f64,
    /// `info`, `warning`, `error` or `critical`.
    pub severity: &'static str,
    /// What each detector said.
    pub verdicts: Vec<VerdictJson>,
    /// The share of samples that were not dropped, 0 to 1.
    pub completeness: f64,
}

/// What one detector said.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct VerdictJson {
    /// Name of the detector.
    pub detector: &'static str,
    /// Its score.
    pub score: f64,
    /// Lower end of what it expected.
    pub low: f64,
    /// Upper end of what it expected.
    pub high: f64,
}

/// The account.
#[derive(Clone, Debug, Serialize)]
pub struct LedgerJson {
    /// Samples that threads handed over.
    pub recorded: u64,
    /// Samples that entered a window.
    pub aggregated: u64,
    /// Samples that did not, for every cause.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Samples that lay in rings.
    pub in_flight: u64,
    /// Counter increments that threads made.
    pub increments: u64,
    /// Counter increments that entered a window.
    pub gathered: u64,
    /// Counter increments made after the engine was shut down.
    pub increments_late: u64,
    /// Values outside their histogram's range.
    pub clamped: u64,
    /// The share of recorded samples that were not dropped, 0 to 1.
    pub completeness: f64,
    /// Whether every sample is accounted for.
    pub closes: bool,
}

/// What became of the windows that a sink was offered.
#[derive(Clone, Debug, Serialize)]
pub struct SinkJson<'a> {
    /// The sink's name.
    pub name: &'a str,
    /// Windows it took.
    pub published: u64,
    /// Windows it failed to take.
    pub failed: u64,
    /// Windows that its full queue refused.
    pub dropped: u64,
    /// Windows that wait for it.
    pub queued: u64,
    /// What it said last when it failed.
    pub last_error: Option<&'a str>,
}

impl<'a> SnapshotJson<'a> {
    /// A window without its anomalies.
    #[must_use]
    pub fn new(snapshot: &'a Snapshot) -> Self {
        SnapshotJson {
            window: snapshot.window,
            start_ns: snapshot.start_ns,
            end_ns: snapshot.end_ns,
            series: snapshot.series.iter().map(SeriesJson::from).collect(),
            anomalies: None,
            ledger: LedgerJson::from(&snapshot.ledger),
        }
    }

    /// A window with the anomalies that began in it.
    #[must_use]
    pub fn published(published: &'a Published) -> Self {
        let anomalies = published.anomalies.iter().map(|anomaly| AnomalyJson::from(&**anomaly)).collect();
        SnapshotJson { anomalies: Some(anomalies), ..SnapshotJson::new(&published.snapshot) }
    }
}

impl<'a> From<&'a SeriesInfo> for InfoJson<'a> {
    fn from(info: &'a SeriesInfo) -> Self {
        InfoJson {
            id: info.id.index(),
            name: &info.name,
            labels: info.labels.iter().map(|(key, value)| (&**key, &**value)).collect(),
            kind: info.kind.name(),
            unit: info.unit.suffix(),
            help: &info.help,
        }
    }
}

impl<'a> From<&'a SeriesWindow> for SeriesJson<'a> {
    fn from(row: &'a SeriesWindow) -> Self {
        SeriesJson {
            info: InfoJson::from(&*row.info),
            delta: StatsJson::from(&row.delta),
            total: StatsJson::from(&row.total),
            quantiles: QuantilesJson::of(row),
        }
    }
}

impl From<&Stats> for StatsJson {
    fn from(stats: &Stats) -> Self {
        let Stats { count, sum, min, max, last } = *stats;
        StatsJson { count, sum, min, max, last, mean: stats.mean() }
    }
}

impl QuantilesJson {
    /// The quantiles of a series in a window; `None` where it has no distribution there.
    #[must_use]
    pub fn of(row: &SeriesWindow) -> Option<QuantilesJson> {
        Some(QuantilesJson { p50: row.quantile(0.5)?, p95: row.quantile(0.95)?, p99: row.quantile(0.99)? })
    }
}

impl<'a> From<&'a Anomaly> for AnomalyJson<'a> {
    fn from(anomaly: &'a Anomaly) -> Self {
        AnomalyJson {
            id: anomaly.id,
            series: InfoJson::from(&*anomaly.series),
            time_ns: anomaly.time_ns,
            value: anomaly.value,
            score: anomaly.score,
            severity: anomaly.severity.name(),
            verdicts: anomaly.verdicts.iter().map(VerdictJson::from).collect(),
            completeness: anomaly.completeness,
        }
    }
}

impl From<&Verdict> for VerdictJson {
    fn from(verdict: &Verdict) -> Self {
        let Verdict { detector, score, low, high } = *verdict;
        VerdictJson { detector, score, low, high }
    }
}

impl From<&Ledger> for LedgerJson {
    fn from(ledger: &Ledger) -> Self {
        LedgerJson {
            recorded: ledger.recorded,
            aggregated: ledger.aggregated,
            dropped: ledger.dropped.iter().map(|(cause, count)| (cause.name(), count)).collect(),
            in_flight: ledger.in_flight,
            increments: ledger.increments,
            gathered: ledger.gathered,
            increments_late: ledger.increments_late,
            clamped: ledger.clamped,
            completeness: ledger.completeness(),
            closes: ledger.closes(),
        }
    }
}

impl<'a> From<&'a SinkStats> for SinkJson<'a> {
    fn from(stats: &'a SinkStats) -> Self {
        SinkJson {
            name: &stats.name,
            published: stats.published,
            failed: stats.failed,
            dropped: stats.dropped,
            queued: stats.queued,
            last_error: stats.last_error.as_deref(),
        }
    }
}

/// A window as one line of JSON, without a line end.
#[must_use]
pub fn render(snapshot: &Snapshot) -> String {
    to_string(&SnapshotJson::new(snapshot))
}

/// One JSON document. The types above cannot fail to serialise: no map has a key that is not text.
pub(crate) fn to_string(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Kind, Unit};
    use crate::sink::samples::{HOSTILE, Source};

    #[test]
    fn a_window_reads_back() {
        let mut source = Source::default();
        let time = source.add("time", Kind::Histogram, Unit::Seconds, &[("a", HOSTILE)], HOSTILE);
        source.add("idle", Kind::Gauge, Unit::None, &[], "");
        source.drop_samples(2);
        for value in [0.1, 0.2, 0.3] {
            source.sample(time, value);
        }
        let text = render(&source.close());
        assert!(!text.contains('\n'));
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["window"], 1);
        assert_eq!(json["series"][0]["labels"]["a"], HOSTILE);
        assert_eq!(json["series"][0]["help"], HOSTILE);
        assert_eq!(json["series"][0]["delta"]["count"], 3);
        let p50 = json["series"][0]["quantiles"]["p50"].as_f64().unwrap();
        assert!((p50 - 0.2).abs() < 0.001);
        assert_eq!(json["series"][0]["quantiles"]["p99"], 0.3, "no quantile is larger than the largest value");
        assert!(json["series"][1]["total"]["last"].is_null(), "NaN is null");
        assert!(json["series"][1].get("quantiles").is_none());
        assert_eq!(json["ledger"]["recorded"], 5);
        assert_eq!(json["ledger"]["dropped"]["ring_full"], 2);
        assert_eq!(json["ledger"]["closes"], true);
        assert_eq!(json["ledger"]["completeness"], 0.6);
    }
}
