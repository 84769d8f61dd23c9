//! The immutable result of one window.

use crate::ledger::Ledger;
use crate::record::SeriesInfo;
use crate::sync::Arc;

use super::Buckets;

/// What is kept of a set of values besides their distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stats {
    /// How many values (for a counter: the sum of its increments).
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// The smallest; NaN where there is none.
    pub min: f64,
    /// The largest; NaN where there is none.
    pub max: f64,
    /// The latest; NaN where there is none (for a counter: its total so far).
    pub last: f64,
}

impl Default for Stats {
    fn default() -> Self {
        Stats { count: 0, sum: 0.0, min: f64::NAN, max: f64::NAN, last: f64::NAN }
    }
}

impl Stats {
    /// The mean; NaN where there are no values.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.sum / self.count as f64
    }

    /// Takes in one value. `last` is the caller's business, since only it knows which value is the latest.
    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        // `min` and `max` ignore a NaN on either side, which is what the empty state is.
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// Takes in the values of a later window.
    pub fn merge(&mut self, later: &Stats) {
        self.count = self.count.saturating_add(later.count);
        self.sum += later.sum;
        self.min = self.min.min(later.min);
        self.max = self.max.max(later.max);
        if !later.last.is_nan() {
            self.last = later.last;
        }
    }
}

/// One series in one window.
#[derive(Clone, Debug)]
pub struct SeriesWindow {
    /// The series.
    pub info: Arc<SeriesInfo>,
    /// What this window added.
    pub delta: Stats,
    /// Everything since the engine started.
    pub total: Stats,
    /// For a histogram with values in this window: their distribution.
    pub delta_buckets: Option<Arc<Buckets>>,
    /// For a histogram: the distribution of everything since the engine started. Only in the latest window;
    /// [`View::windows`](crate::engine::View::windows) keeps the others without.
    pub total_buckets: Option<Arc<Buckets>>,
}

impl SeriesWindow {
    /// The quantile `q` (0 to 1) of a histogram's values in this window: that of its buckets, and never beyond the
    /// smallest or the largest value, which are known exactly. `None` where there are no values.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let upper = self.delta_buckets.as_deref()?.quantile(q)?;
        Some(upper.max(self.delta.min).min(self.delta.max))
    }
}

/// The immutable result of one window.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Number of the window, counted from 1 at the engine's start. Exported as the series `afferent_window`.
    pub window: u64,
    /// Start of the window, nanoseconds since the Unix epoch; a sample at exactly this time belongs to it.
    pub start_ns: i64,
    /// End of the window, nanoseconds since the Unix epoch; a sample at exactly this time belongs to the next.
    pub end_ns: i64,
    /// The series, by ascending number.
    pub series: Vec<SeriesWindow>,
    /// The account at the end of the window.
    pub ledger: Ledger,
}

impl Snapshot {
    /// The same without the distributions since the start, which take most of the memory and only the latest window's
    /// readers ask for.
    #[must_use]
    pub(crate) fn without_totals(&self) -> Snapshot {
        let slim = |row: &SeriesWindow| SeriesWindow { total_buckets: None, ..row.clone() };
        Snapshot { series: self.series.iter().map(slim).collect(), ..*self }
    }

    /// The series with this name and exactly these labels (in any order).
    #[must_use]
    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<&SeriesWindow> {
        self.series.iter().find(|row| {
            &*row.info.name == name
                && row.info.labels.len() == labels.len()
                && labels.iter().all(|&(key, value)| row.info.label(key) == Some(value))
        })
    }
}
