//! A thread's producing end.

use std::time::{Duration, Instant};

use crossbeam_utils::Backoff;
use rtrb::{Producer, PushError};

#[cfg(all(feature = "enable", not(loom)))]
use super::cells::Cells;
use super::handle::{Counter, Gauge, Histogram};
use super::lane::{Lane, Stamp};
use super::overflow::Overflow;
use crate::ledger::Cause;
use crate::record::{Event, SeriesId};
use crate::sync::{Arc, AtomicU32, Ordering};
use crate::time::{self, Clock};

/// The producing end of one ring: the fastest way to record.
///
/// Get one from [`Registry::recorder`](super::Registry::recorder) and keep it where the loop is; it can be moved to
/// another thread. Handles also record without one, through a recorder that each thread gets by itself.
///
/// # Cost
/// A record is one time-stamp read and a 16-byte push. No lock, no system call, no allocation; wait-free. When the ring
/// is full the [`Overflow`] policy decides; unless set otherwise the sample is dropped and counted.
#[derive(Debug)]
pub struct Recorder {
    events: Producer<Event>,
    lane: Arc<Lane>,
    clock: Clock,
    /// The tick that the aggregator published last.
    published: Arc<AtomicU32>,
    overflow: Overflow,
    registry: u32,
}

impl Recorder {
    pub(crate) fn new(
        events: Producer<Event>,
        lane: Arc<Lane>,
        clock: Clock,
        published: Arc<AtomicU32>,
        overflow: Overflow,
        registry: u32,
    ) -> Recorder {
        Recorder { events, lane, clock, published, overflow, registry }
    }

    /// Records one value of a histogram.
    #[inline]
    pub fn record(&mut self, histogram: Histogram, value: f64) {
        if self.owns(histogram.registry, 1) {
            self.push(histogram.series, value);
        }
    }

    /// Records many values of a histogram under one time stamp, published together.
    ///
    /// What does not fit into the ring goes the way of the [`Overflow`] policy, value by value.
    ///
    /// # Cost
    /// One time-stamp read and one publication for all, and a 16-byte store for each.
    #[inline]
    pub fn record_many(&mut self, histogram: Histogram, values: &[f64]) {
        if self.owns(histogram.registry, values.len() as u64) {
            self.push_many(histogram.series, values);
        }
    }

    /// Records the new value of a gauge.
    #[inline]
    pub fn set(&mut self, gauge: Gauge, value: f64) {
        if self.owns(gauge.registry, 1) {
            self.push(gauge.series, value);
        }
    }

    /// Adds to a counter. Does not use the ring, so a full one costs no increment.
    #[inline]
    pub fn add(&mut self, counter: Counter, by: u64) {
        if self.owns(counter.registry, 1) {
            self.lane.cells.add(counter.series, by);
        }
    }

    #[inline]
    pub(crate) fn push_many(&mut self, series: SeriesId, values: &[f64]) {
        let wanted = values.len();
        let Some(tick) = self.tick() else {
            self.lane.count_refused(Cause::AfterClose, wanted as u64);
            return;
        };
        let room = self.events.slots().min(wanted);
        if let Ok(chunk) = self.events.write_chunk_uninit(room) {
            chunk.fill_from_iter(values.iter().map(|&value| Event { series, tick, value }));
        }
        self.lane.count_accepted(room as u64);
        for &value in &values[room..] {
            self.overflow(Event { series, tick, value });
        }
    }

    /// Whether a handle is one of this registry's; counts what it would have recorded where it is not.
    #[inline]
    fn owns(&self, registry: u32, records: u64) -> bool {
        let own = registry == self.registry;
        if !own {
            self.lane.count_refused(Cause::UnknownSeries, records);
        }
        own
    }

    #[inline]
    pub(crate) fn push(&mut self, series: SeriesId, value: f64) {
        let Some(tick) = self.tick() else {
            self.lane.count_refused(Cause::AfterClose, 1);
            return;
        };
        match self.events.push(Event { series, tick, value }) {
            Ok(()) => self.lane.count_accepted(1),
            Err(PushError::Full(event)) => self.overflow(event),
        }
    }

    /// The ring is full.
    #[cold]
    fn overflow(&mut self, event: Event) {
        let kept = match self.overflow {
            Overflow::DropNewest => false,
            Overflow::Fold => self.fold(event),
            Overflow::Wait { at_most } => return self.wait(event, at_most),
        };
        if !kept {
            self.lane.count_refused(Cause::RingFull, 1);
        }
    }

    /// Folds a sample; false where it cannot be.
    fn fold(&self, event: Event) -> bool {
        let folds = self.lane.folds.as_ref();
        let kept = folds.is_some_and(|folds| folds.add(event.series, event.tick, event.value));
        if kept {
            self.lane.count_folded();
        }
        kept
    }

    /// Tries again until there is room or the time is over.
    fn wait(&mut self, mut event: Event, at_most: Duration) {
        let start = Instant::now();
        let backoff = Backoff::new();
        loop {
            // A drain comes every millisecond or so: spin a little, then let others run.
            backoff.snooze();
            match self.events.push(event) {
                Ok(()) => return self.lane.count_accepted(1),
                Err(PushError::Full(back)) => event = back,
            }
            if self.tick().is_none() {
                return self.lane.count_refused(Cause::AfterClose, 1);
            }
            if start.elapsed() >= at_most {
                return self.lane.count_refused(Cause::RingFull, 1);
            }
        }
    }

    /// The stamp of a sample recorded now; `None` once the engine has closed.
    #[inline]
    fn tick(&self) -> Option<u32> {
        Some(match self.lane.stamp()? {
            Stamp::Counter => time::counter_tick(),
            // Relaxed: a time, which orders nothing.
            Stamp::Published => self.published.load(Ordering::Relaxed),
            Stamp::Clock => self.clock.tick(),
        })
    }

    /// Whether nobody will ever drain the ring again.
    #[cfg(all(feature = "enable", not(loom)))]
    pub(crate) fn is_abandoned(&self) -> bool {
        self.events.is_abandoned()
    }

    #[cfg(all(feature = "enable", not(loom)))]
    pub(crate) fn cells(&self) -> &Cells {
        &self.lane.cells
    }

    /// The registry this recorder belongs to.
    #[cfg(all(feature = "enable", not(loom)))]
    pub(crate) fn registry(&self) -> u32 {
        self.registry
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.lane.leave();
    }
}
