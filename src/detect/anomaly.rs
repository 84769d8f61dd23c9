//! What detection says: verdicts, and the anomalies they add up to.

use std::fmt;

use crate::aggregate::Snapshot;
use crate::record::{SeriesInfo, humanise, score};
use crate::sync::Arc;

/// How bad an anomaly is, by its score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Severity {
    /// Score 3 to 4.
    Info = 1,
    /// Score 4 to 5.
    Warning = 2,
    /// Score 5 to 6.
    Error = 3,
    /// Score 6 and more.
    Critical = 4,
}

impl Severity {
    /// The severity of a score in standard deviations.
    #[must_use]
    pub fn of_score(score: f64) -> Severity {
        match score {
            s if s >= 6.0 => Severity::Critical,
            s if s >= 5.0 => Severity::Error,
            s if s >= 4.0 => Severity::Warning,
            _ => Severity::Info,
        }
    }

    /// The name used in JSON and labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
            Severity::Critical => "critical",
        }
    }

    /// The severity with this code, as stored in segments.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Severity> {
        match code {
            1 => Some(Severity::Info),
            2 => Some(Severity::Warning),
            3 => Some(Severity::Error),
            4 => Some(Severity::Critical),
            _ => None,
        }
    }
}

/// What one detector says of one value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// Name of the detector (`z_score`, `iqr`).
    pub detector: &'static str,
    /// How unusual the value is: standard deviations of a normal with the same tail probability. Finite, at least 0.
    pub score: f64,
    /// Lower end of what the detector expected.
    pub low: f64,
    /// Upper end of what the detector expected.
    pub high: f64,
}

/// Something unusual, reported once when it begins.
#[derive(Clone, Debug)]
pub struct Anomaly {
    /// Number of the anomaly, counted from 1 at the engine's start.
    pub id: u64,
    /// The series it was seen in.
    pub series: Arc<SeriesInfo>,
    /// Time of the value, nanoseconds since the Unix epoch.
    pub time_ns: i64,
    /// The value.
    pub value: f64,
    /// The combined score, in standard deviations of a normal with the same tail probability. Below 2 is normal,
    /// above 3 alerts.
    pub score: f64,
    /// How bad it is.
    pub severity: Severity,
    /// The evidence: what each detector said.
    pub verdicts: Vec<Verdict>,
    /// The share of samples that were not dropped when the anomaly was found, 0 to 1.
    pub completeness: f64,
}

impl fmt::Display for Anomaly {
    /// One line for people: values in their unit, rounded.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = |value| humanise(value, self.series.unit);
        write!(out, "{}: {} = {}", self.severity.name(), self.series, value(self.value))?;
        write!(out, " (score {}", score(self.score))?;
        for verdict in &self.verdicts {
            write!(out, "; {} expected {} to {}", verdict.detector, value(verdict.low), value(verdict.high))?;
        }
        if self.completeness < 1.0 {
            write!(out, "; seen on {:.2} % of the samples", 100.0 * self.completeness)?;
        }
        out.write_str(")")
    }
}

/// What the aggregator hands to the store, the sinks and every reader at the end of a window.
#[derive(Clone, Debug)]
pub struct Published {
    /// The window.
    pub snapshot: Arc<Snapshot>,
    /// The anomalies that began in it.
    pub anomalies: Arc<[Arc<Anomaly>]>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Catalogue, Kind, SeriesSpec, Unit};

    #[test]
    fn an_anomaly_reads_in_its_unit() {
        let catalogue = Catalogue::default();
        let labels = vec![("agent_id".into(), "a1".into())];
        let spec = SeriesSpec { unit: Unit::Seconds, labels, ..SeriesSpec::new("planning_time", Kind::Histogram) };
        let id = catalogue.intern(spec).unwrap();
        let series = Arc::clone(catalogue.since(0).iter().find(|info| info.id == id).unwrap());
        let verdict = Verdict { detector: "z_score", score: 6.4, low: -0.000_717_1, high: 0.000_860_2 };
        let mut anomaly = Anomaly {
            id: 1,
            series,
            time_ns: 0,
            value: 0.001_334_900_872_636_984,
            score: 6.4321,
            severity: Severity::Critical,
            verdicts: vec![verdict],
            completeness: 1.0,
        };
        assert_eq!(
            anomaly.to_string(),
            "critical: planning_time{agent_id=\"a1\"} = 1.335 ms (score 6.4; z_score expected -717.1 µs to 860.2 µs)"
        );
        (anomaly.score, anomaly.completeness) = (1_000.0, 0.5);
        assert!(anomaly.to_string().contains(" (score > 100; z_score expected "), "{anomaly}");
        assert!(anomaly.to_string().ends_with("; seen on 50.00 % of the samples)"), "{anomaly}");
    }
}
