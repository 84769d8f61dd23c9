//! The catalogue of series: names, labels, kinds and units, interned to a `u32`.

use std::collections::HashMap;
use std::fmt;

use super::Unit;
use crate::sync::{Arc, AtomicU64, Mutex, Ordering, lock};

/// What a series' values mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Kind {
    /// A sum that only grows.
    Counter = 1,
    /// A value that goes up and down; the last one counts.
    Gauge = 2,
    /// A distribution.
    Histogram = 3,
}

impl Kind {
    /// The name used in JSON and in exposition formats.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }

    /// The kind with this code, as stored in segments.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Kind> {
        match code {
            1 => Some(Kind::Counter),
            2 => Some(Kind::Gauge),
            3 => Some(Kind::Histogram),
            _ => None,
        }
    }
}

/// The number of a series within one engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct SeriesId(pub(crate) u32);

impl SeriesId {
    /// The position of the series in the catalogue, counted from 0.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A series as it was registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesInfo {
    /// Its number.
    pub id: SeriesId,
    /// The metric's name: letters, digits, `_` and `:`, not starting with a digit.
    pub name: Box<str>,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// What values are measured in.
    pub unit: Unit,
    /// Label names and values, sorted by name.
    pub labels: Box<[(Box<str>, Box<str>)]>,
    /// One line of help; may be empty.
    pub help: Box<str>,
    /// How many unusual values in a row make an anomaly; at least 1.
    pub alarm_after: u32,
}

impl SeriesInfo {
    /// The value of a label.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(key, _)| &**key == name).map(|(_, value)| &**value)
    }
}

impl fmt::Display for SeriesInfo {
    /// `name{label="value",..}` with `\`, `"` and line ends escaped, as in a selector.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.name)?;
        for (at, (key, value)) in self.labels.iter().enumerate() {
            let open = if at == 0 { '{' } else { ',' };
            write!(out, "{open}{key}=\"")?;
            for c in value.chars() {
                match c {
                    '"' => out.write_str("\\\"")?,
                    '\\' => out.write_str("\\\\")?,
                    '\n' => out.write_str("\\n")?,
                    c => write!(out, "{c}")?,
                }
            }
            out.write_str("\"")?;
        }
        if self.labels.is_empty() { Ok(()) } else { out.write_str("}") }
    }
}

/// Why a series was not registered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegisterError {
    /// The metric name is empty, too long or has a character outside `[a-zA-Z0-9_:]`. Rename the metric.
    Name {
        /// The name as given, shortened.
        name: String,
    },
    /// A label name is empty, too long, reserved (`__`, `le`, `quantile`) or has a character outside
    /// `[a-zA-Z0-9_]`. Rename the label.
    Label {
        /// The metric it was given for.
        metric: String,
        /// The label name as given, shortened.
        label: String,
    },
    /// The same label was given twice.
    DuplicateLabel {
        /// The metric it was given for.
        metric: String,
        /// The label.
        label: String,
    },
    /// More than 64 labels on one series.
    TooManyLabels {
        /// The metric they were given for.
        metric: String,
        /// How many were given.
        count: usize,
    },
    /// So many metrics have an overflow series that there is no number left. Register fewer metrics, or raise
    /// [`RegistryConfig::max_series`](crate::ring::RegistryConfig::max_series).
    TooManyMetrics {
        /// The metric.
        metric: String,
        /// Series that exist.
        series: usize,
    },
    /// The metric exists with another kind or unit. A metric has one of each: use another name.
    Conflict {
        /// The metric.
        metric: String,
        /// Kind and unit it has.
        existing: (Kind, Unit),
        /// Kind and unit that were asked for.
        requested: (Kind, Unit),
    },
}

impl fmt::Display for RegisterError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RegisterError::Name { name } => write!(
                out,
                "metric name {name:?} is not allowed: use letters, digits, '_' and ':', not starting with a digit, \
                 at most {MAX_NAME} bytes"
            ),
            RegisterError::Label { metric, label } => write!(
                out,
                "label name {label:?} of metric {metric:?} is not allowed: use letters, digits and '_', not starting \
                 with a digit or '__', at most {MAX_NAME} bytes, and not 'le' or 'quantile'"
            ),
            RegisterError::DuplicateLabel { metric, label } => {
                write!(out, "label {label:?} of metric {metric:?} was given twice: give it once")
            }
            RegisterError::TooManyLabels { metric, count } => {
                write!(out, "metric {metric:?} was given {count} labels: at most {MAX_LABELS} are allowed")
            }
            RegisterError::TooManyMetrics { metric, series } => write!(
                out,
                "metric {metric:?} cannot be registered: {series} series exist and not even an overflow series fits; \
                 register fewer metrics or raise max_series"
            ),
            RegisterError::Conflict { metric, existing, requested } => write!(
                out,
                "metric {metric:?} is a {} in {:?} and cannot also be a {} in {:?}: use another name",
                existing.0.name(),
                existing.1,
                requested.0.name(),
                requested.1
            ),
        }
    }
}

impl std::error::Error for RegisterError {}

/// Bytes of a metric's or a label's name.
pub(crate) const MAX_NAME: usize = 256;
const MAX_LABELS: usize = 64;
const MAX_LABEL_VALUE: usize = 256;

/// The label that marks a metric's overflow series.
const OVERFLOW_LABEL: &str = "afferent_overflow";

/// How many series may exist (promise P10).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) series_per_metric: usize,
    pub(crate) series: usize,
}

impl Limits {
    /// One more than the largest number that is handed out: past the cap on labelled series, each metric may still add
    /// its one overflow series.
    pub(crate) fn numbers(&self) -> usize {
        self.series.saturating_mul(2).min(u32::MAX as usize)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits { series_per_metric: 2_000, series: 10_000 }
    }
}

/// What is asked for when a series is registered.
#[derive(Clone, Debug)]
pub(crate) struct SeriesSpec {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) unit: Unit,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) help: String,
    pub(crate) alarm_after: u32,
}

impl SeriesSpec {
    pub(crate) fn new(name: &str, kind: Kind) -> SeriesSpec {
        SeriesSpec {
            name: name.into(),
            kind,
            unit: Unit::None,
            labels: Vec::new(),
            help: String::new(),
            alarm_after: 1,
        }
    }
}

/// All series of one engine. Registering takes a lock; recording never comes here.
#[derive(Debug)]
pub(crate) struct Catalogue {
    limits: Limits,
    /// The length of the list, for those who only ask whether it grew.
    len: AtomicU64,
    inner: Mutex<Inner>,
}

type Labels = Box<[(Box<str>, Box<str>)]>;

#[derive(Debug, Default)]
struct Inner {
    list: Vec<Arc<SeriesInfo>>,
    metrics: HashMap<Box<str>, Metric>,
}

#[derive(Debug)]
struct Metric {
    kind: Kind,
    unit: Unit,
    series: HashMap<Labels, SeriesId>,
}

impl Default for Catalogue {
    fn default() -> Self {
        Catalogue::new(Limits::default())
    }
}

impl Catalogue {
    pub(crate) fn new(limits: Limits) -> Self {
        Catalogue { limits, len: AtomicU64::new(0), inner: Mutex::new(Inner::default()) }
    }

    /// Interns a series. The same name and labels give the same number, whatever the order of the labels.
    ///
    /// Past a cap on the number of series the metric's overflow series is returned instead, so that totals stay exact.
    pub(crate) fn intern(&self, spec: SeriesSpec) -> Result<SeriesId, RegisterError> {
        let SeriesSpec { name, kind, unit, labels, help, alarm_after } = spec;
        check_metric_name(&name)?;
        let labels = canonical_labels(&name, labels)?;

        let inner = &mut *lock(&self.inner);
        let total = inner.list.len();
        // Before a metric is entered, so that names without a series cannot pile up.
        if total >= self.limits.numbers() && !inner.metrics.contains_key(name.as_str()) {
            return Err(RegisterError::TooManyMetrics { metric: name, series: total });
        }
        let metric =
            inner.metrics.entry(name.as_str().into()).or_insert_with(|| Metric { kind, unit, series: HashMap::new() });
        if (metric.kind, metric.unit) != (kind, unit) {
            return Err(RegisterError::Conflict {
                metric: name,
                existing: (metric.kind, metric.unit),
                requested: (kind, unit),
            });
        }
        if let Some(&id) = metric.series.get(&labels) {
            return Ok(id);
        }
        let full = metric.series.len() >= self.limits.series_per_metric || total >= self.limits.series;
        let labels: Labels = if full { Box::new([(OVERFLOW_LABEL.into(), "true".into())]) } else { labels };
        if let Some(&id) = metric.series.get(&labels) {
            return Ok(id);
        }
        // Recording threads have a counter cell for every number below this, and do not look again: this check is what
        // their `unsafe` rests on.
        if total >= self.limits.numbers() {
            return Err(RegisterError::TooManyMetrics { metric: name, series: total });
        }
        let id = SeriesId(total as u32);
        metric.series.insert(labels.clone(), id);
        inner.list.push(Arc::new(SeriesInfo {
            id,
            name: name.into(),
            kind,
            unit,
            labels,
            help: help.into(),
            alarm_after: alarm_after.max(1),
        }));
        // Release, paired with the Acquire load in `len`: whoever sees the number finds the series in the list.
        self.len.store(total as u64 + 1, Ordering::Release);
        Ok(id)
    }

    /// One more than the largest number that is handed out.
    pub(crate) fn numbers(&self) -> usize {
        self.limits.numbers()
    }

    /// The number of series.
    pub(crate) fn len(&self) -> usize {
        // Acquire, paired with the Release store in `intern`.
        self.len.load(Ordering::Acquire) as usize
    }

    /// Every series whose number is at least `first`, in order.
    pub(crate) fn since(&self, first: usize) -> Vec<Arc<SeriesInfo>> {
        lock(&self.inner).list.get(first..).unwrap_or_default().to_vec()
    }
}

/// Whether a metric may have this name.
pub(crate) const fn is_metric_name(name: &str) -> bool {
    is_name(name.as_bytes(), true)
}

/// Whether a label may have this name.
pub(crate) const fn is_label_name(name: &str) -> bool {
    let name = name.as_bytes();
    is_name(name, false) && !matches!(name, [b'_', b'_', ..] | b"le" | b"quantile")
}

// `const`, with the loop that this asks for, so that the compiler can judge the names that are written in a program.
const fn is_name(name: &[u8], colon: bool) -> bool {
    if name.is_empty() || name.len() > MAX_NAME || name[0].is_ascii_digit() {
        return false;
    }
    let mut at = 0;
    while at < name.len() {
        let c = name[at];
        if !(c.is_ascii_alphanumeric() || c == b'_' || (colon && c == b':')) {
            return false;
        }
        at += 1;
    }
    true
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

fn check_metric_name(name: &str) -> Result<(), RegisterError> {
    if is_metric_name(name) { Ok(()) } else { Err(RegisterError::Name { name: shortened(name) }) }
}

/// Checks, shortens over-long values (at a character boundary) and sorts.
fn canonical_labels(metric: &str, labels: Vec<(String, String)>) -> Result<Labels, RegisterError> {
    if labels.len() > MAX_LABELS {
        return Err(RegisterError::TooManyLabels { metric: metric.into(), count: labels.len() });
    }
    let mut out: Vec<(Box<str>, Box<str>)> = Vec::with_capacity(labels.len());
    for (key, mut value) in labels {
        if !is_label_name(&key) {
            return Err(RegisterError::Label { metric: metric.into(), label: shortened(&key) });
        }
        value.truncate(value.floor_char_boundary(MAX_LABEL_VALUE));
        out.push((key.into(), value.into()));
    }
    out.sort();
    if let Some(pair) = out.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(RegisterError::DuplicateLabel { metric: metric.into(), label: pair[0].0.to_string() });
    }
    Ok(out.into())
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn spec(name: &str, kind: Kind, labels: &[(&str, &str)]) -> SeriesSpec {
        let labels = labels.iter().map(|&(k, v)| (k.into(), v.into())).collect();
        SeriesSpec { labels, ..SeriesSpec::new(name, kind) }
    }

    #[test]
    fn the_order_of_labels_does_not_matter() {
        let catalogue = Catalogue::default();
        let a = catalogue.intern(spec("m", Kind::Gauge, &[("a", "1"), ("b", "2")])).unwrap();
        let b = catalogue.intern(spec("m", Kind::Gauge, &[("b", "2"), ("a", "1")])).unwrap();
        assert_eq!(a, b);
        assert_eq!(catalogue.since(0).len(), 1);
    }

    #[test]
    fn a_metric_has_one_kind_and_unit() {
        let catalogue = Catalogue::default();
        catalogue.intern(spec("m", Kind::Gauge, &[])).unwrap();
        let error = catalogue.intern(spec("m", Kind::Counter, &[("a", "1")])).unwrap_err();
        assert!(error.to_string().contains("use another name"), "{error}");
    }

    #[test]
    fn past_the_cap_series_fold_into_one() {
        let catalogue = Catalogue::new(Limits { series_per_metric: 3, series: 100 });
        let ids: Vec<_> =
            (0..10).map(|i| catalogue.intern(spec("m", Kind::Gauge, &[("i", &i.to_string())])).unwrap()).collect();
        assert!(ids[3..].iter().all(|&id| id == ids[3]));
        assert_eq!(catalogue.since(0)[3].label(OVERFLOW_LABEL), Some("true"));
        // An existing series keeps its own slot.
        assert_eq!(catalogue.intern(spec("m", Kind::Gauge, &[("i", "1")])).unwrap(), ids[1]);
    }

    /// Every number that is handed out has a counter cell in each thread; a number too many would be out of bounds.
    #[test]
    fn no_number_is_handed_out_beyond_the_last_cell() {
        let catalogue = Catalogue::new(Limits { series_per_metric: 1, series: 1 });
        let mut ids = Vec::new();
        for name in ["a", "b", "c", "d"] {
            for label in ["", "x", "y"] {
                let labels: &[(&str, &str)] = if label.is_empty() { &[] } else { &[("l", label)] };
                ids.extend(catalogue.intern(spec(name, Kind::Counter, labels)).ok());
            }
        }
        assert!(ids.iter().all(|id| id.index() < catalogue.numbers()), "{ids:?}");
        assert_eq!(catalogue.len(), catalogue.numbers());
        let error = catalogue.intern(spec("e", Kind::Counter, &[])).unwrap_err();
        assert!(error.to_string().contains("max_series"), "{error}");
    }

    #[test]
    fn bad_names_are_refused_with_a_remedy() {
        let catalogue = Catalogue::default();
        for name in ["", "1st", "with space", "naïve", &"x".repeat(257)] {
            assert!(
                matches!(catalogue.intern(spec(name, Kind::Gauge, &[])), Err(RegisterError::Name { .. })),
                "{name}"
            );
        }
        for label in ["", "le", "quantile", "__name__", "a-b", "a:b"] {
            let error = catalogue.intern(spec("m", Kind::Gauge, &[(label, "x")])).unwrap_err();
            assert!(matches!(error, RegisterError::Label { .. }), "{label}");
        }
        let twice = catalogue.intern(spec("m", Kind::Gauge, &[("a", "1"), ("a", "2")])).unwrap_err();
        assert!(matches!(twice, RegisterError::DuplicateLabel { .. }));
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        let catalogue = Catalogue::default();
        catalogue.intern(spec("m", Kind::Gauge, &[("a", &"é".repeat(200))])).unwrap();
        let info = &catalogue.since(0)[0];
        assert_eq!(info.label("a").unwrap().len(), 256);
    }

    #[test]
    fn display_escapes() {
        let catalogue = Catalogue::default();
        catalogue.intern(spec("m", Kind::Gauge, &[("a", "x\"y\\z\n")])).unwrap();
        assert_eq!(catalogue.since(0)[0].to_string(), r#"m{a="x\"y\\z\n"}"#);
    }
}
