//! A snapshot as text.

use std::fmt::Write;

use super::bounds;
use super::names::{self, Family};
use crate::aggregate::{SeriesWindow, Snapshot};
use crate::record::{Kind, SeriesInfo, Unit};
#[cfg(any(feature = "serve", test))]
use crate::sink::SinkStats;

/// Which of the two text formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Prometheus text, version 0.0.4.
    Text,
    /// OpenMetrics text, version 1.0.0.
    OpenMetrics,
}

impl Format {
    /// The `Content-Type` of a body in this format.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The base names that [`ledger`] and [`sinks`] use. No family may take them, nor them with `_total`.
const OWN: [&str; 13] = [
    "afferent_window",
    "afferent_window_start_seconds",
    "afferent_samples_recorded",
    "afferent_samples_aggregated",
    "afferent_samples_dropped",
    "afferent_samples_in_flight",
    "afferent_increments",
    "afferent_values_clamped",
    "afferent_ledger_closes",
    "afferent_sink_published",
    "afferent_sink_failed",
    "afferent_sink_dropped",
    "afferent_sink_queued",
];

/// Renders the cumulative values of a snapshot, the account included, as one complete body.
///
/// Names get `prefix` (empty for none; characters that no name may have become `_`), the unit's suffix and, for
/// counters, `_total`; a suffix that is there is not doubled. The engine's own metrics (`afferent_..`) are never
/// prefixed. Two metrics that would share a name: see the [module](super).
///
/// Counters and histograms are exposed from their registration on, gauges from their first value on.
#[must_use]
pub fn render(snapshot: &Snapshot, prefix: &str, format: Format) -> String {
    let mut out = String::with_capacity(4_096 + 160 * snapshot.series.len());
    ledger(&mut out, snapshot, format);
    for family in names::families(snapshot, &names::clean_prefix(prefix), &OWN) {
        render_family(&mut out, &family, format);
    }
    if format == Format::OpenMetrics {
        out.push_str("# EOF\n");
    }
    out
}

/// The engine's own series: window and account. They are there with no other series at all.
fn ledger(out: &mut String, snapshot: &Snapshot, format: Format) {
    let ledger = &snapshot.ledger;
    let mut one = |base: &str, kind: Kind, unit: Unit, help: &str, value: &dyn std::fmt::Display| {
        head(out, base, kind, unit, help, format);
        let total = if kind == Kind::Counter { "_total" } else { "" };
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{base}{total} {value}");
    };
    let gauge = Kind::Gauge;
    let counter = Kind::Counter;
    one("afferent_window", gauge, Unit::None, "Number of the window that this page shows.", &snapshot.window);
    let start = Number(snapshot.start_ns as f64 / 1e9);
    one("afferent_window_start_seconds", gauge, Unit::Seconds, "Start of that window, Unix time.", &start);
    let help = "Samples that threads handed over.";
    one("afferent_samples_recorded", counter, Unit::None, help, &ledger.recorded);
    one("afferent_samples_aggregated", counter, Unit::None, "Samples that entered a window.", &ledger.aggregated);
    let help = "Samples that lay in rings when the account was taken.";
    one("afferent_samples_in_flight", gauge, Unit::None, help, &ledger.in_flight);
    let help = "Sum of all counter increments that entered a window.";
    one("afferent_increments", counter, Unit::None, help, &ledger.gathered);
    let help = "Values outside their histogram's range, counted in its outermost bucket.";
    one("afferent_values_clamped", counter, Unit::None, help, &ledger.clamped);
    let help = "1 while recorded = aggregated + dropped + in flight, and increments = gathered + late.";
    one("afferent_ledger_closes", gauge, Unit::None, help, &u8::from(ledger.closes()));

    let base = "afferent_samples_dropped";
    head(out, base, counter, Unit::None, "Samples that did not enter a window, by cause.", format);
    for (cause, count) in ledger.dropped.iter() {
        let _ = writeln!(out, "{base}_total{{cause=\"{}\"}} {count}", cause.name());
    }
}

/// Adds what became of the windows that each sink was offered to a body of [`render`]. It changes outside of windows, so
/// it is no part of the rendered window.
#[cfg(any(feature = "serve", test))]
pub(crate) fn with_sinks(body: &str, sinks: &[SinkStats], format: Format) -> String {
    type Column = (&'static str, Kind, &'static str, fn(&SinkStats) -> u64);
    const COLUMNS: [Column; 4] = [
        ("afferent_sink_published", Kind::Counter, "Windows that a sink took.", |sink| sink.published),
        ("afferent_sink_failed", Kind::Counter, "Windows that a sink failed to take.", |sink| sink.failed),
        ("afferent_sink_dropped", Kind::Counter, "Windows that a sink's full queue refused.", |sink| sink.dropped),
        ("afferent_sink_queued", Kind::Gauge, "Windows that wait for a sink.", |sink| sink.queued),
    ];
    let end = if format == Format::OpenMetrics { "# EOF\n" } else { "" };
    let mut out = body.strip_suffix(end).unwrap_or(body).to_owned();
    // Two sinks of one name would be one series twice: they are added up.
    let mut names: Vec<&str> = sinks.iter().map(|sink| &*sink.name).collect();
    names.sort_unstable();
    names.dedup();
    for (base, kind, help, value) in COLUMNS {
        if names.is_empty() {
            break;
        }
        head(&mut out, base, kind, Unit::None, help, format);
        let total = if kind == Kind::Counter { "_total" } else { "" };
        for name in &names {
            let sum: u64 = sinks.iter().filter(|sink| sink.name == *name).map(value).sum();
            let _ = write!(out, "{base}{total}{{");
            label(&mut out, "sink", name);
            let _ = writeln!(out, "}} {sum}");
        }
    }
    out.push_str(end);
    out
}

fn render_family(out: &mut String, family: &Family<'_>, format: Format) {
    let Family { base, kind, unit, rows } = family;
    let mut with_value = rows.iter().filter(|row| *kind != Kind::Gauge || row.total.count > 0).peekable();
    let Some(first) = with_value.peek() else { return };
    match &*first.info.help {
        "" => head(out, base, *kind, *unit, &format!("The {} {}.", kind.name(), first.info.name), format),
        help => head(out, base, *kind, *unit, help, format),
    }
    let bounds = bounds::labels(*unit);
    for row in with_value {
        let labels = labels(&row.info);
        match kind {
            Kind::Counter => sample(out, base, "_total", &labels, &row.total.count),
            Kind::Gauge => sample(out, base, "", &labels, &Number(row.total.last)),
            Kind::Histogram => histogram(out, base, &labels, row, &bounds, format),
        }
    }
}

fn histogram(out: &mut String, base: &str, labels: &str, row: &SeriesWindow, bounds: &[(f64, String)], format: Format) {
    let comma = if labels.is_empty() { "" } else { "," };
    let count = row.total.count;
    let at_most = bounds::cumulative(row.total_buckets.as_deref(), bounds);
    for ((_, bound), at_most) in bounds.iter().zip(at_most) {
        let _ = writeln!(out, "{base}_bucket{{{labels}{comma}le=\"{bound}\"}} {}", at_most.min(count));
    }
    let _ = writeln!(out, "{base}_bucket{{{labels}{comma}le=\"+Inf\"}} {count}");
    // OpenMetrics forbids a negative or undefined sum, and a count without a sum.
    if format == Format::Text || row.total.sum >= 0.0 {
        sample(out, base, "_sum", labels, &Number(row.total.sum));
        sample(out, base, "_count", labels, &count);
    }
}

fn sample(out: &mut String, base: &str, suffix: &str, labels: &str, value: &dyn std::fmt::Display) {
    let _ = match labels {
        "" => writeln!(out, "{base}{suffix} {value}"),
        labels => writeln!(out, "{base}{suffix}{{{labels}}} {value}"),
    };
}

/// The lines before a family's samples.
fn head(out: &mut String, base: &str, kind: Kind, unit: Unit, help: &str, format: Format) {
    // In the older format a family is named like its samples.
    let total = if kind == Kind::Counter && format == Format::Text { "_total" } else { "" };
    let _ = write!(out, "# HELP {base}{total} ");
    for c in help.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if format == Format::OpenMetrics => out.push_str("\\\""),
            c => out.push(c),
        }
    }
    let _ = writeln!(out, "\n# TYPE {base}{total} {}", kind.name());
    if format == Format::OpenMetrics && unit != Unit::None {
        let _ = writeln!(out, "# UNIT {base} {}", unit.suffix());
    }
}

/// `name="value",..` without braces.
fn labels(info: &SeriesInfo) -> String {
    let mut out = String::new();
    for (key, value) in &info.labels {
        if !out.is_empty() {
            out.push(',');
        }
        label(&mut out, key, value);
    }
    out
}

fn label(out: &mut String, key: &str, value: &str) {
    out.push_str(key);
    out.push_str("=\"");
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' => out.push_str("\\\""),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// A float as both formats spell it.
struct Number(f64);

impl std::fmt::Display for Number {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            v if v.is_nan() => out.write_str("NaN"),
            f64::INFINITY => out.write_str("+Inf"),
            f64::NEG_INFINITY => out.write_str("-Inf"),
            // Debug, not Display: it goes over to exponents where the digits would be zeros.
            v => write!(out, "{v:?}"),
        }
    }
}
