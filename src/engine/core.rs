//! The aggregator's state: what it does with a batch, and with the end of a window. No threads and no sleeping here.

use std::time::Duration;

use super::detection::Detection;
use super::recent::Recent;
use crate::aggregate::{Aggregator, Rows, Snapshot};
use crate::detect::{Anomaly, Detectors, Published};
use crate::drain::{Drain, Gained};
use crate::ledger::{Cause, Dropped, Ledger};
use crate::record::{Event, SeriesId};
use crate::ring::Registry;
use crate::sync::Arc;
use crate::time::{Timeline, Unfold};

/// A window is closed at once; when more than this many are due (the process was stopped, or the machine slept) the
/// empty ones in between are left out.
const CATCH_UP: i64 = 60;

/// What the aggregator's thread owns.
pub(super) struct Core {
    registry: Arc<Registry>,
    drain: Drain,
    books: Books,
    closed: bool,
}

/// Everything but the drain, so that a batch can be booked while the drain is borrowed.
struct Books {
    timeline: Timeline,
    aggregator: Aggregator,
    detection: Detection,
    recent: Recent,
    /// Samples of the next window that were drained before this one was closed.
    ahead: Vec<Sample>,
    dropped: Dropped,
    increments_late: u64,
    anomalies: Vec<Anomaly>,
    consistent: bool,
    /// The counter when the rings were last emptied: nothing in them now is older.
    raw_before: u64,
    window: u64,
    window_ns: i64,
    start_ns: i64,
    /// When the engine started: the first window is not as long as the others.
    opened_ns: i64,
    /// Samples recorded and dropped before the open window.
    before: (u64, u64),
}

#[derive(Clone, Copy)]
struct Sample {
    series: SeriesId,
    time_ns: i64,
    value: f64,
}

impl Core {
    pub(super) fn new(registry: Arc<Registry>, window: Duration, detectors: Detectors, recent: usize) -> Core {
        let raw_before = registry.clock().raw();
        let timeline = Timeline::new(registry.clock().clone());
        let window_ns = i64::try_from(window.as_nanos()).unwrap_or(i64::MAX).max(1);
        let opened_ns = timeline.now_ns();
        let start_ns = align(opened_ns, window_ns);
        Core {
            drain: Drain::new(Arc::clone(&registry)),
            books: Books {
                timeline,
                aggregator: Aggregator::default(),
                detection: Detection::new(detectors, window),
                recent: Recent::new(recent),
                ahead: Vec::new(),
                dropped: Dropped::default(),
                increments_late: 0,
                anomalies: Vec::new(),
                consistent: true,
                raw_before,
                window: 1,
                window_ns,
                start_ns,
                opened_ns,
                before: (0, 0),
            },
            registry,
            closed: false,
        }
    }

    /// One fair turn over the rings. Returns how many samples came and how full the fullest ring was.
    pub(super) fn turn(&mut self) -> (usize, f64) {
        self.registry.publish_tick();
        self.books.timeline.keep_anchored();
        let raw = self.registry.clock().raw();
        let (registry, books) = (&self.registry, &mut self.books);
        let outcome = self.drain.turn(|batch| books.take(registry, batch));
        // What did not fit into this turn's share may be older still, but not by the minutes this is for.
        books.raw_before = raw;
        if self.drain.has_leavers() {
            self.sweep();
        }
        outcome
    }

    /// Closes every window that has ended, and gives each to `publish`.
    pub(super) fn close_due(&mut self, mut publish: impl FnMut(Published)) {
        let now_ns = self.books.timeline.now_ns();
        while now_ns >= self.books.end_ns() {
            let behind = (now_ns - self.books.end_ns()) / self.books.window_ns;
            publish(self.close_window(false));
            if behind > CATCH_UP {
                // On to the window of the earliest sample that waits, or of now.
                let waiting = self.books.ahead.iter().map(|sample| sample.time_ns).min();
                let next_ns = align(waiting.unwrap_or(now_ns).min(now_ns), self.books.window_ns);
                self.books.start_ns = next_ns.max(self.books.start_ns);
            }
        }
    }

    /// Closes the open window now, whatever the time.
    pub(super) fn close_window(&mut self, last: bool) -> Published {
        self.sweep();
        let end_ns = if last { self.books.timeline.now_ns().max(self.books.start_ns + 1) } else { self.books.end_ns() };
        if last {
            // Nothing comes after this window: it takes what would have been the next one's.
            self.books.start_next(i64::MAX);
        }
        let rows = self.books.aggregator.close(Rows::Every);
        let ledger = self.ledger();
        let books = &mut self.books;
        let seconds = (end_ns - books.opened_ns.max(books.start_ns)) as f64 * 1e-9;
        for (series, value, alarm) in books.detection.of_windows(&rows, seconds) {
            books.raise(series, end_ns - 1, value, alarm);
        }
        // Of this window's samples, not of all since the start: a good past must not hide a bad present.
        let (recorded, dropped) =
            (ledger.recorded.saturating_sub(books.before.0), ledger.dropped.total().saturating_sub(books.before.1));
        books.before = (ledger.recorded, ledger.dropped.total());
        let completeness = if recorded == 0 { 1.0 } else { 1.0 - dropped as f64 / recorded as f64 };
        let anomalies = std::mem::take(&mut books.anomalies);
        let anomalies = anomalies.into_iter().map(|anomaly| Arc::new(Anomaly { completeness, ..anomaly })).collect();
        let snapshot = Snapshot { window: books.window, start_ns: books.start_ns, end_ns, series: rows, ledger };
        books.window += 1;
        books.start_ns = end_ns;
        if !last {
            books.start_next(end_ns + books.window_ns);
        }
        Published { snapshot: Arc::new(snapshot), anomalies }
    }

    /// Now. What was recorded before is in the windows that end later.
    pub(super) fn now_ns(&self) -> i64 {
        self.books.timeline.now_ns()
    }

    /// Takes all that lies in the rings and cells.
    pub(super) fn sweep(&mut self) {
        let (registry, books) = (&self.registry, &mut self.books);
        let books = std::cell::RefCell::new(books);
        self.drain.sweep(
            |batch| books.borrow_mut().take(registry, batch),
            |gained| books.borrow_mut().gather(registry, gained),
        );
    }

    /// Refuses what is recorded from now on.
    pub(super) fn close(&mut self) {
        self.drain.close();
        self.closed = true;
    }

    /// Takes all that lies in the rings and cells and counts it as lost to a defect: the last resort of a thread that
    /// keeps panicking.
    pub(super) fn give_up(&mut self) {
        let books = std::cell::RefCell::new(&mut self.books);
        self.drain.sweep(
            |batch| books.borrow_mut().dropped.add(Cause::EnginePanic, batch.len() as u64),
            |gained| match gained {
                Gained::Counter(_, by) => books.borrow_mut().late(by),
                Gained::Folded(folded) => books.borrow_mut().dropped.add(Cause::EnginePanic, folded.count()),
            },
        );
        let ahead = std::mem::take(&mut self.books.ahead).len() as u64;
        self.books.dropped.add(Cause::EnginePanic, ahead);
    }

    /// Takes what was pushed while the engine closed and counts it as dropped.
    pub(super) fn discard_rest(&mut self) {
        let books = std::cell::RefCell::new(&mut self.books);
        self.drain.sweep(
            |batch| books.borrow_mut().dropped.add(Cause::AfterClose, batch.len() as u64),
            |gained| match gained {
                Gained::Counter(_, by) => books.borrow_mut().late(by),
                Gained::Folded(folded) => books.borrow_mut().dropped.add(Cause::AfterClose, folded.count()),
            },
        );
    }

    /// The account as of now. After the close, what lies in rings is as good as dropped: it came too late.
    pub(super) fn ledger(&mut self) -> Ledger {
        let account = self.drain.account();
        let books = &mut self.books;
        books.consistent &= account.consistent;
        let mut dropped = books.dropped;
        for (cause, count) in account.refused.iter() {
            dropped.add(cause, count);
        }
        let mut in_flight = account.waiting + books.ahead.len() as u64;
        if self.closed {
            dropped.add(Cause::AfterClose, in_flight);
            in_flight = 0;
        }
        Ledger {
            recorded: account.recorded,
            aggregated: books.aggregator.aggregated(),
            dropped,
            in_flight,
            increments: account.increments,
            gathered: books.aggregator.gathered(),
            increments_late: books.increments_late,
            clamped: books.aggregator.clamped(),
            consistent: books.consistent,
        }
    }

    /// After a panic: whatever was taken from the rings and reached neither a window nor a cause went down with it.
    pub(super) fn write_off(&mut self) -> u64 {
        let ledger = self.ledger();
        let known = ledger.aggregated + ledger.dropped.total() + ledger.in_flight;
        let lost = ledger.recorded.saturating_sub(known);
        self.books.dropped.add(Cause::EnginePanic, lost);
        lost
    }

    pub(super) fn recent(&self) -> &Recent {
        &self.books.recent
    }

    /// Time until the open window ends; zero if it has.
    pub(super) fn until_end(&self) -> Duration {
        let left = self.books.end_ns() - self.books.timeline.now_ns();
        Duration::from_nanos(u64::try_from(left).unwrap_or(0))
    }
}

impl Books {
    fn end_ns(&self) -> i64 {
        self.start_ns.saturating_add(self.window_ns)
    }

    fn take(&mut self, registry: &Registry, batch: &[Event]) {
        self.know_series(registry);
        let unfold: Unfold = self.timeline.unfold(registry.clock().raw(), self.raw_before);
        let end_ns = self.end_ns();
        // A loop that records one metric leaves long runs of one series behind: what is looked up is looked up once.
        for run in batch.chunk_by(|one, next| one.series == next.series) {
            let series = run[0].series;
            let samples = run.iter().map(|event| Sample { series, time_ns: unfold.ns(event.tick), value: event.value });
            self.book(series, samples, end_ns);
        }
    }

    fn gather(&mut self, registry: &Registry, gained: Gained) {
        self.know_series(registry);
        match gained {
            Gained::Counter(series, by) => self.aggregator.increment(series, by),
            Gained::Folded(folded) => {
                let last_ns = self.timeline.unfold(registry.clock().raw(), self.raw_before).ns(folded.tick);
                match self.aggregator.entry(folded.series) {
                    Some(mut entry) => entry.add_folded(&folded.values, folded.sum, (last_ns, folded.last)),
                    None => self.dropped.add(Cause::UnknownSeries, folded.count()),
                }
            }
        }
    }

    fn late(&mut self, increments: u64) {
        self.increments_late = self.increments_late.wrapping_add(increments);
    }

    fn know_series(&mut self, registry: &Registry) {
        let known = self.aggregator.len();
        if registry.series_count() > known {
            self.aggregator.add_series(registry.series_since(known));
        }
    }

    /// Books samples of one series; those at or after `end_ns` are kept for the next window.
    fn book(&mut self, series: SeriesId, samples: impl ExactSizeIterator<Item = Sample> + Clone, end_ns: i64) {
        let Some(mut entry) = self.aggregator.entry(series) else {
            self.dropped.add(Cause::UnknownSeries, samples.len() as u64);
            return;
        };
        let newest = samples.len().saturating_sub(self.recent.keep());
        for (at, sample) in samples.clone().enumerate() {
            if sample.time_ns >= end_ns {
                self.ahead.push(sample);
            } else if !sample.value.is_finite() {
                self.dropped.add(Cause::NotFinite, 1);
            } else {
                entry.add(sample.time_ns, sample.value);
                if at >= newest {
                    self.recent.push(series, sample.time_ns, sample.value);
                }
            }
        }
        // Those that wait for the next window are looked at then.
        let due = samples.clone().filter(|sample| sample.time_ns < end_ns).count();
        let looked_at = self.detection.admit(series, due);
        if looked_at == 0 {
            return;
        }
        let info = Arc::clone(entry.info());
        for Sample { time_ns, value, .. } in samples.filter(|sample| sample.time_ns < end_ns).take(looked_at) {
            if let Some(alarm) = self.detection.observe(&info, value) {
                self.raise(series, time_ns, value, alarm);
            }
        }
    }

    fn raise(&mut self, series: SeriesId, time_ns: i64, value: f64, alarm: crate::detect::Alarm) {
        let Some(info) = self.aggregator.info(series) else { return };
        self.anomalies.push(Anomaly {
            id: self.detection.next_id(),
            series: Arc::clone(info),
            time_ns,
            value,
            score: alarm.score,
            severity: alarm.severity,
            verdicts: alarm.verdicts,
            // Known when the window ends.
            completeness: 1.0,
        });
    }

    /// Books the samples that were ahead of their window and now are not.
    fn start_next(&mut self, end_ns: i64) {
        let mut waiting = std::mem::take(&mut self.ahead);
        for sample in waiting.drain(..) {
            self.book(sample.series, std::iter::once(sample), end_ns);
        }
        // Those still ahead are few; the larger buffer is the one to keep.
        waiting.append(&mut self.ahead);
        self.ahead = waiting;
    }
}

/// The start of the window that holds `time_ns`.
fn align(time_ns: i64, window_ns: i64) -> i64 {
    time_ns - time_ns.rem_euclid(window_ns)
}
