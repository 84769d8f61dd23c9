//! What blocks hold, as values.

use crate::aggregate::Scheme;
use crate::ledger::Cause;
use crate::record::{Kind, Unit};
use crate::sync::Arc;

/// A series as a file's dictionary describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesEntry {
    /// The number rows of this file use.
    pub series: u32,
    /// The metric's name.
    pub name: String,
    /// Counter, gauge or histogram; `None` for a kind this reader does not know.
    pub kind: Option<Kind>,
    /// What values are measured in; [`Unit::None`] for a unit this reader does not know.
    pub unit: Unit,
    /// Help text; may be empty.
    pub help: String,
    /// Label names and values, sorted by name.
    pub labels: Vec<(String, String)>,
    /// The bucket layout of its histogram.
    pub scheme: Scheme,
}

/// What one series received in one window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScalarRow {
    /// Start of the window, nanoseconds since the Unix epoch.
    pub ts_ns: i64,
    /// End of the window.
    pub end_ns: i64,
    /// The series, by its number in this file.
    pub series: u32,
    /// How many values; for a counter, its increments.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// The latest; for a counter, its total so far.
    pub last: f64,
}

/// The distribution of what one series received in one window. Its buckets are [`HistRows::buckets`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HistRow {
    /// Start of the window, nanoseconds since the Unix epoch.
    pub ts_ns: i64,
    /// End of the window.
    pub end_ns: i64,
    /// The series, by its number in this file.
    pub series: u32,
    /// How many values.
    pub n: u64,
    /// Their sum.
    pub sum: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

/// The rows of a HIST block.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistRows {
    /// The rows.
    pub rows: Vec<HistRow>,
    /// Row `i` owns buckets `offsets[i]..offsets[i + 1]`.
    pub(crate) offsets: Vec<u32>,
    pub(crate) indices: Vec<u32>,
    pub(crate) counts: Vec<u64>,
}

impl HistRows {
    /// Bucket indices (strictly ascending) and counts of row `row`; empty where there is no such row.
    #[must_use]
    pub fn buckets(&self, row: usize) -> (&[u32], &[u64]) {
        let range = match (self.offsets.get(row), self.offsets.get(row + 1)) {
            (Some(&from), Some(&to)) => from as usize..to as usize,
            _ => 0..0,
        };
        (self.indices.get(range.clone()).unwrap_or_default(), self.counts.get(range).unwrap_or_default())
    }
}

/// What one detector said.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct VerdictRow {
    /// Name of the detector.
    pub detector: Arc<str>,
    /// Its score, in standard deviations.
    pub score: f64,
    /// Lower end of what it expected.
    pub low: f64,
    /// Upper end of what it expected.
    pub high: f64,
}

/// An anomaly.
#[derive(Clone, Debug, PartialEq)]
pub struct EventRow {
    /// Time of the value, nanoseconds since the Unix epoch.
    pub ts_ns: i64,
    /// Number of the anomaly, counted from 1 at the engine's start.
    pub id: u64,
    /// The series, by its number in this file.
    pub series: u32,
    /// The value.
    pub value: f64,
    /// The combined score.
    pub score: f64,
    /// Code of the severity, see [`crate::detect::Severity::from_code`].
    pub severity: u8,
    /// The share of samples that were not dropped, 0 to 1.
    pub completeness: f64,
    /// The evidence.
    pub verdicts: Vec<VerdictRow>,
}

/// The account at the end of one window: totals since the engine's start.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LedgerRow {
    /// Start of the window, nanoseconds since the Unix epoch.
    pub ts_ns: i64,
    /// End of the window.
    pub end_ns: i64,
    /// Number of the window, counted from 1 at the engine's start.
    pub window: u64,
    /// The account.
    pub ledger: crate::ledger::Ledger,
}

/// What a starting engine found that an earlier one had not closed.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct RecoveryRow {
    /// When it was found, nanoseconds since the Unix epoch.
    pub ts_ns: i64,
    /// Name of the file.
    pub file: String,
    /// Its state as last written: 1 new, 2 online, 3 clean, 4 tainted; 0 where that could not be read.
    pub state: u32,
    /// What was done: 1 left in place, 2 quarantined, 3 given up by the process that wrote it.
    pub action: u8,
    /// Intact blocks.
    pub blocks: u64,
    /// Damaged places.
    pub damages: u64,
    /// Offset of the last commit.
    pub committed: u64,
    /// Time of the last commit.
    pub last_real_ns: i64,
    /// Samples recorded up to the last commit.
    pub recorded: u64,
    /// Samples that were in rings at the last commit: lost with the process, and at least as many after it.
    pub in_flight: u64,
    /// Why it was judged so.
    pub reason: String,
}

/// The decoded rows of a block.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Rows {
    /// Series descriptions.
    Dict(Vec<SeriesEntry>),
    /// Windows of series.
    Scalar(Vec<ScalarRow>),
    /// Distributions of histogram series.
    Hist(HistRows),
    /// Anomalies.
    Event(Vec<EventRow>),
    /// Accounts.
    Ledger(Vec<LedgerRow>),
    /// What was found at start.
    Recovery(Vec<RecoveryRow>),
    /// A kind this reader does not know; skipped by rule.
    Unknown,
}

/// The causes in the order of their codes, with their column numbers in LEDGER blocks.
pub(crate) fn cause_columns() -> impl Iterator<Item = (Cause, u16)> {
    Cause::ALL.into_iter().map(|cause| (cause, super::format::DROPPED_BASE + cause as u16))
}
