//! The documents under `/api`, in columns where there are many rows.

use hyper::StatusCode;
use serde::Serialize;

use super::health::Health;
use super::routes::{Problem, bad_query, numbers};
use crate::aggregate::{SeriesWindow, Snapshot};
use crate::engine::View;
use crate::record::Kind;
use crate::sink::json::{self, AnomalyJson, InfoJson, LedgerJson, QuantilesJson, SinkJson};
use crate::sync::Arc;

/// Windows that the view keeps at most, and so the most that can be asked for.
const MAX_WINDOWS: u64 = 300;
/// Rows in one answer to the page. Past it, older windows are left out (never the latest one).
const LIVE_ROWS: usize = 50_000;
/// Windows that the page can use: the length of a sparkline.
const LIVE_WINDOWS: usize = 60;
/// Anomalies in one answer to the page: the latest ones.
const LIVE_ANOMALIES: usize = 200;

/// Every series there is.
pub(super) fn series(view: &View) -> String {
    let latest = view.latest();
    let rows = latest.iter().flat_map(|latest| &latest.series);
    json::to_string(&rows.map(|row| InfoJson::from(&*row.info)).collect::<Vec<_>>())
}

#[derive(Serialize)]
struct AnomaliesJson<'a> {
    /// Found since the start; only the last 1,000 are kept.
    total: u64,
    /// Oldest first.
    anomalies: Vec<AnomalyJson<'a>>,
}

/// The anomalies whose number is above `after`.
pub(super) fn anomalies(view: &View, query: &str) -> Result<String, Problem> {
    let [after] = numbers(query, &["after"])?;
    let found = view.anomalies(after.unwrap_or(0));
    let anomalies = found.iter().map(|anomaly| AnomalyJson::from(&**anomaly)).collect();
    Ok(json::to_string(&AnomaliesJson { total: view.anomalies_total(), anomalies }))
}

/// One series over the last windows, a column per statistic, oldest first. `null` where a window has no values.
#[derive(Default, Serialize)]
struct History<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    series: Option<InfoJson<'a>>,
    window: Vec<u64>,
    /// End of each window, seconds since the Unix epoch.
    t: Vec<f64>,
    count: Vec<u64>,
    /// Values (of a counter: increments) per second.
    rate: Vec<f64>,
    mean: Vec<f64>,
    min: Vec<f64>,
    max: Vec<f64>,
    last: Vec<f64>,
    p50: Vec<f64>,
    p95: Vec<f64>,
    p99: Vec<f64>,
}

/// The history of one series.
pub(super) fn history(view: &View, query: &str) -> Result<String, Problem> {
    const ALLOWED: [&str; 2] = ["series", "windows"];
    let [id, count] = numbers(query, &ALLOWED)?;
    let Some(id) = id else {
        return Err(bad_query("series is missing: its numbers are at /api/series".into(), &ALLOWED));
    };
    let count = count.unwrap_or(MAX_WINDOWS);
    if !(1..=MAX_WINDOWS).contains(&count) {
        return Err(bad_query(format!("windows must be 1 to {MAX_WINDOWS}"), &ALLOWED));
    }
    let windows = view.windows();
    let first = windows.len().saturating_sub(usize::try_from(count).unwrap_or(usize::MAX));
    let mut history = History::default();
    for snapshot in windows.iter().skip(first) {
        let Some(row) = row(snapshot, id) else { continue };
        let quantiles = QuantilesJson::of(row);
        history.series = Some(InfoJson::from(&*row.info));
        history.window.push(snapshot.window);
        history.t.push(snapshot.end_ns as f64 / 1e9);
        history.count.push(row.delta.count);
        history.rate.push(rate(snapshot, row.delta.count));
        history.mean.push(row.delta.mean());
        history.min.push(row.delta.min);
        history.max.push(row.delta.max);
        history.last.push(row.delta.last);
        history.p50.push(quantiles.map_or(f64::NAN, |quantiles| quantiles.p50));
        history.p95.push(quantiles.map_or(f64::NAN, |quantiles| quantiles.p95));
        history.p99.push(quantiles.map_or(f64::NAN, |quantiles| quantiles.p99));
    }
    if history.series.is_none() {
        return Err(Problem {
            status: StatusCode::NOT_FOUND,
            error: "no_series",
            message: "no window has a series of this number: numbers are at /api/series".into(),
            allowed: &[],
        });
    }
    Ok(json::to_string(&history))
}

fn row(snapshot: &Snapshot, id: u64) -> Option<&SeriesWindow> {
    let at = snapshot.series.binary_search_by_key(&id, |row| row.info.id.index() as u64).ok()?;
    snapshot.series.get(at)
}

fn rate(snapshot: &Snapshot, count: u64) -> f64 {
    let seconds = snapshot.end_ns.saturating_sub(snapshot.start_ns) as f64 / 1e9;
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}

/// What the page does not know yet.
#[derive(Serialize)]
struct Live<'a> {
    now_ns: i64,
    /// The latest window; 0 before the first.
    window: u64,
    window_ns: i64,
    /// Samples recorded per second in the latest window.
    rate: f64,
    series_total: usize,
    health: &'a Health,
    ledger: LedgerJson,
    sinks: Vec<SinkJson<'a>>,
    windows: Vec<LiveWindow>,
    anomalies_total: u64,
    anomalies: Vec<AnomalyJson<'a>>,
}

/// The series that received something in one window. Numbers have single precision: enough to draw.
#[derive(Default, Serialize)]
struct LiveWindow {
    window: u64,
    /// End of the window, seconds since the Unix epoch.
    t: f64,
    id: Vec<usize>,
    /// A counter's increments per second, a gauge's last value, a histogram's mean.
    value: Vec<f32>,
    /// Values (of a counter: increments) per second.
    rate: Vec<f32>,
    /// Of the histograms: numbers and quantiles.
    hist: Vec<usize>,
    p50: Vec<f32>,
    p95: Vec<f32>,
    p99: Vec<f32>,
}

/// The windows after `after` and the anomalies after `anomaly`, with everything else that the page shows.
pub(super) fn live(view: &View, query: &str, health: &Health, now_ns: i64) -> Result<String, Problem> {
    let [after, anomaly] = numbers(query, &["after", "anomaly"])?;
    let windows = view.windows();
    let latest = windows.last();
    let before = windows.iter().rev().nth(1);
    let recorded = |snapshot: &Arc<Snapshot>| snapshot.ledger.recorded;
    let fresh = latest.map_or(0, recorded).saturating_sub(before.map_or(0, recorded));
    let anomalies = view.anomalies(anomaly.unwrap_or(0));
    let sinks = view.sinks();
    Ok(json::to_string(&Live {
        now_ns,
        window: latest.map_or(0, |latest| latest.window),
        window_ns: latest.map_or(0, |latest| latest.end_ns.saturating_sub(latest.start_ns)),
        rate: latest.map_or(0.0, |latest| rate(latest, fresh)),
        series_total: latest.map_or(0, |latest| latest.series.len()),
        health,
        ledger: LedgerJson::from(&view.ledger()),
        sinks: sinks.iter().map(SinkJson::from).collect(),
        windows: live_windows(&windows, after.unwrap_or(0)),
        anomalies_total: view.anomalies_total(),
        anomalies: anomalies
            .iter()
            .skip(anomalies.len().saturating_sub(LIVE_ANOMALIES))
            .map(|anomaly| AnomalyJson::from(&**anomaly))
            .collect(),
    }))
}

fn live_windows(windows: &[Arc<Snapshot>], after: u64) -> Vec<LiveWindow> {
    let mut out = Vec::new();
    let mut rows = 0;
    for snapshot in windows.iter().rev().take(LIVE_WINDOWS).take_while(|snapshot| snapshot.window > after) {
        let window = live_window(snapshot);
        rows += window.id.len();
        if rows > LIVE_ROWS && !out.is_empty() {
            break;
        }
        out.push(window);
    }
    out.reverse();
    out
}

#[expect(clippy::cast_possible_truncation, reason = "single precision is enough to draw")]
fn live_window(snapshot: &Snapshot) -> LiveWindow {
    let mut out = LiveWindow { window: snapshot.window, t: snapshot.end_ns as f64 / 1e9, ..LiveWindow::default() };
    for row in snapshot.series.iter().filter(|row| row.delta.count > 0) {
        let id = row.info.id.index();
        let rate = rate(snapshot, row.delta.count);
        let value = match row.info.kind {
            Kind::Counter => rate,
            Kind::Gauge => row.delta.last,
            Kind::Histogram => row.delta.mean(),
        };
        out.id.push(id);
        out.value.push(value as f32);
        out.rate.push(rate as f32);
        if let Some(quantiles) = QuantilesJson::of(row) {
            out.hist.push(id);
            out.p50.push(quantiles.p50 as f32);
            out.p95.push(quantiles.p95 as f32);
            out.p99.push(quantiles.p99 as f32);
        }
    }
    out
}
