//! Which values of which series are looked at, and how closely.

use std::time::Duration;

use crate::aggregate::SeriesWindow;
use crate::detect::{Alarm, Detectors, SeriesDetector};
use crate::record::{Kind, SeriesId, SeriesInfo};

/// Up to this many samples a second, every sample of a series is looked at.
const SAMPLES_PER_SECOND: f64 = 1_000.0;

/// The detectors of every series.
///
/// Gauges and histograms below 1,000 samples a second are watched sample by sample, faster ones by the mean of each
/// window, counters by their rate in each window. A series that changes between the two begins with a new history,
/// since means and samples do not spread alike.
pub(super) struct Detection {
    detectors: Detectors,
    samples_per_window: u32,
    window_seconds: f64,
    series: Vec<Watched>,
    anomalies: u64,
}

#[derive(Default)]
struct Watched {
    detector: Option<Box<SeriesDetector>>,
    in_window: u32,
    by_window: bool,
}

impl Detection {
    pub(super) fn new(detectors: Detectors, window: Duration) -> Detection {
        let window_seconds = window.as_secs_f64();
        Detection {
            detectors,
            samples_per_window: (SAMPLES_PER_SECOND * window_seconds).ceil() as u32,
            window_seconds,
            series: Vec::new(),
            anomalies: 0,
        }
    }

    /// The number of the next anomaly.
    pub(super) fn next_id(&mut self) -> u64 {
        self.anomalies += 1;
        self.anomalies
    }

    /// How many of the next samples of a gauge or histogram are to be looked at one by one.
    pub(super) fn admit(&mut self, series: SeriesId, samples: usize) -> usize {
        let limit = self.samples_per_window;
        let watched = self.watched(series);
        let left = if watched.by_window { 0 } else { limit.saturating_sub(watched.in_window) as usize };
        watched.in_window = watched.in_window.saturating_add(u32::try_from(samples).unwrap_or(u32::MAX));
        left.min(samples)
    }

    /// Looks at what a closed window of some seconds says of counters and fast series. One that is much shorter or longer
    /// than asked for (the first, the last, one that a stopped process left open) is not like the others, and is only
    /// used to decide how the series are watched.
    pub(super) fn of_windows(&mut self, rows: &[SeriesWindow], seconds: f64) -> Vec<(SeriesId, f64, Alarm)> {
        let mut alarms = Vec::new();
        let usual = (0.5..=2.0).contains(&(seconds / self.window_seconds));
        for row in rows {
            let series = row.info.id;
            let value = if row.info.kind == Kind::Counter {
                // A counter that was never touched has no rate to speak of.
                if row.total.count == 0 {
                    continue;
                }
                row.delta.sum / seconds
            } else {
                self.settle(series);
                if !self.watched(series).by_window || row.delta.count == 0 {
                    continue;
                }
                row.delta.mean()
            };
            if usual && let Some(alarm) = self.observe(&row.info, value) {
                alarms.push((series, value, alarm));
            }
        }
        alarms
    }

    /// Decides from the window that just ended how the series is watched in the next one.
    fn settle(&mut self, series: SeriesId) {
        let limit = self.samples_per_window;
        let watched = self.watched(series);
        // From one to the other at the limit, and back only at half of it: a series near the limit does not lose its
        // history every second. A pause is no reason to change.
        let by_window = watched.in_window > if watched.by_window { limit / 2 } else { limit };
        if by_window != watched.by_window && watched.in_window > 0 {
            watched.by_window = by_window;
            watched.detector = None;
        }
        watched.in_window = 0;
    }

    /// Looks at one value. The detectors ignore what is not finite.
    pub(super) fn observe(&mut self, info: &SeriesInfo, value: f64) -> Option<Alarm> {
        if self.detectors.is_empty() {
            return None;
        }
        let detectors = self.detectors;
        let new = || Box::new(SeriesDetector::new(&detectors).alarm_after(info.alarm_after));
        self.watched(info.id).detector.get_or_insert_with(new).observe(value).alarm
    }

    fn watched(&mut self, series: SeriesId) -> &mut Watched {
        if self.series.len() <= series.index() {
            self.series.resize_with(series.index() + 1, Watched::default);
        }
        &mut self.series[series.index()]
    }
}
