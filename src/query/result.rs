//! What a query answers, as JSON and as tables.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::Stat;
use crate::record::score;
use crate::segment::text::{self, printable, rfc3339, table, thousands};
use crate::segment::{Damage, LedgerReport, VerdictRow, write_damages};

/// The answer to a [`super::Query`].
#[derive(Clone, Debug, Default, Serialize)]
pub struct QueryResult {
    /// The series that were chosen and have windows in the range, by name and labels.
    pub series: Vec<SeriesResult>,
    /// The anomalies in the range, in order of time; `None` where they were not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anomalies: Option<Vec<EventRecord>>,
    /// The account at the end of each window in the range; `None` where it was not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger: Option<Vec<LedgerRecord>>,
    /// Rows whose series' description was lost to damage. They are listed as series `unknown_series`.
    pub unnamed_rows: u64,
    /// What could not be read, the first 1,000 places of it, and copies of files, which were left out. Everything else is
    /// in the answer.
    pub damages: Vec<Damage>,
    /// How many damages there are.
    pub damages_total: u64,
}

/// A series in an answer.
#[derive(Clone, Debug, Serialize)]
pub struct SeriesResult {
    /// Name and labels, as in a selector.
    pub series: String,
    /// The metric's name.
    pub name: String,
    /// Labels and their values.
    pub labels: BTreeMap<String, String>,
    /// `counter`, `gauge` or `histogram`; `unknown` where its description was lost.
    pub kind: &'static str,
    /// Unit suffix; empty for a plain number.
    pub unit: &'static str,
    /// One entry, or one for each step in which the series received something.
    pub steps: Vec<Step>,
}

/// The figures of one series over one step, or over the whole range.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// Start of the step, or of the first window where no start was asked for; nanoseconds since the Unix epoch. Rates
    /// are over as much of the step as the files cover.
    pub from_ns: i64,
    /// End of the step, at most that of the range, or of the last window where no end was asked for.
    pub to_ns: i64,
    /// Windows in which the series received something.
    pub windows: u64,
    /// The figures by name; `null` where the series has no such figure.
    pub values: BTreeMap<String, Option<f64>>,
}

/// An anomaly in an answer.
#[derive(Clone, Debug, Serialize)]
pub struct EventRecord {
    /// Time of the value, nanoseconds since the Unix epoch.
    pub time_ns: i64,
    /// Number of the anomaly within its engine run.
    pub id: u64,
    /// Name and labels of the series.
    pub series: String,
    /// Unit suffix of the value and of what was expected; empty for a plain number.
    pub unit: &'static str,
    /// The value, in that unit.
    pub value: f64,
    /// The combined score.
    pub score: f64,
    /// `info`, `warning`, `error` or `critical`.
    pub severity: &'static str,
    /// The share of samples that were not dropped.
    pub completeness: f64,
    /// What each detector said.
    pub verdicts: Vec<VerdictRow>,
}

/// The account at the end of a window.
#[derive(Clone, Debug, Serialize)]
pub struct LedgerRecord {
    /// Start of the window, nanoseconds since the Unix epoch.
    pub start_ns: i64,
    /// End of the window.
    pub end_ns: i64,
    /// Number of the window within its engine run.
    pub window: u64,
    /// Random id of the run, in hexadecimal.
    pub run_id: String,
    /// Totals since the run's start.
    #[serde(flatten)]
    pub ledger: LedgerReport,
}

/// A figure in the unit it has: counts are plain numbers, rates are per second.
fn figure(stat: &Stat, value: Option<f64>, unit: &str) -> String {
    match stat {
        Stat::Count => text::value(value, ""),
        Stat::Rate if value.is_some() => format!("{}/s", text::value(value, "")),
        _ => text::value(value, unit),
    }
}

impl QueryResult {
    /// The answer as text: a table of the series with `stats` as columns, then anomalies, accounts and damage. Values are
    /// rounded and carry their unit; the exact ones are in the fields.
    #[must_use]
    pub fn render(&self, stats: &[Stat]) -> String {
        let mut out = String::new();
        if !stats.is_empty() {
            let stepped = self.series.iter().any(|series| series.steps.len() > 1);
            let mut rows = vec![vec!["series".to_owned()]];
            if let Some(head) = rows.first_mut() {
                if stepped {
                    head.push("from".into());
                }
                head.push("windows".into());
                head.extend(stats.iter().map(ToString::to_string));
            }
            for series in &self.series {
                for step in &series.steps {
                    let mut row = vec![printable(&series.series)];
                    if stepped {
                        row.push(rfc3339(step.from_ns));
                    }
                    row.push(thousands(step.windows));
                    row.extend(
                        stats.iter().map(|stat| {
                            figure(stat, step.values.get(&stat.to_string()).copied().flatten(), series.unit)
                        }),
                    );
                    rows.push(row);
                }
            }
            out.push_str(&if rows.len() > 1 { table(&rows) } else { "no such series in this range\n".into() });
        }
        if let Some(anomalies) = &self.anomalies {
            out.push_str(&format!("{}\n", text::counted(anomalies.len() as u64, "anomaly", "anomalies")));
            for anomaly in anomalies {
                out.push_str(&format!("  {anomaly}\n"));
            }
        }
        if let Some(ledger) = &self.ledger {
            for record in ledger {
                out.push_str(&format!("window {} to {}: {}\n", record.window, rfc3339(record.end_ns), record.ledger));
            }
        }
        if self.unnamed_rows > 0 {
            let rows = thousands(self.unnamed_rows);
            out.push_str(&format!("{rows} rows belong to series whose description was lost to damage\n"));
        }
        // Writing to a string does not fail.
        let _ = write_damages(&mut out, &self.damages, self.damages_total);
        out
    }
}

impl fmt::Display for EventRecord {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (time, series) = (rfc3339(self.time_ns), printable(&self.series));
        let value = text::value(Some(self.value), self.unit);
        write!(out, "{time} {}: {series} = {value} (score {}", self.severity, score(self.score))?;
        for verdict in &self.verdicts {
            let (low, high) = (text::value(Some(verdict.low), self.unit), text::value(Some(verdict.high), self.unit));
            write!(out, "; {} expected {low} to {high}", printable(&verdict.detector))?;
        }
        if self.completeness < 1.0 {
            write!(out, "; seen on {:.2} % of the samples", 100.0 * self.completeness)?;
        }
        out.write_str(")")
    }
}
