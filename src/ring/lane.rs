//! What a recording thread and the drain share.

use crossbeam_utils::CachePadded;
use rtrb::Consumer;

use super::cells::Cells;
use super::fold::{Folds, Seen};
use crate::ledger::{Cause, Dropped};
use crate::record::Event;
use crate::sync::{Arc, AtomicBool, AtomicU32, AtomicU64, Ordering};

/// Counts and flags of one recorder. All counts have a single writer, the recorder; the drain only reads them.
#[derive(Debug)]
pub struct Lane {
    counts: CachePadded<Counts>,
    pub(crate) cells: Cells,
    /// Under [`Overflow::Fold`](super::Overflow::Fold): where samples go that the ring did not take.
    pub(crate) folds: Option<Folds>,
}

/// On a line of their own, away from what the drain writes. `state` is written once in a lane's life, so reading it
/// beside the counts costs the recorder nothing.
#[derive(Debug)]
struct Counts {
    accepted: AtomicU64,
    folded: AtomicU64,
    refused_full: AtomicU64,
    refused_closed: AtomicU64,
    refused_unknown: AtomicU64,
    state: AtomicU32,
    left: AtomicBool,
}

/// The engine has closed.
const CLOSED: u32 = 1;
/// Samples take the published tick.
const PUBLISHED_TICK: u32 = 2;
/// Samples read a clock that is not the processor's counter.
const OTHER_CLOCK: u32 = 4;

/// Where a recorder gets its time from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stamp {
    /// The processor's counter.
    Counter,
    /// The tick that the aggregator published last.
    Published,
    /// Some other clock.
    Clock,
}

impl Lane {
    pub(crate) fn new(cells: usize, stamp: Stamp, folds: Option<Folds>) -> Lane {
        Lane {
            counts: CachePadded::new(Counts {
                accepted: AtomicU64::new(0),
                folded: AtomicU64::new(0),
                refused_full: AtomicU64::new(0),
                refused_closed: AtomicU64::new(0),
                refused_unknown: AtomicU64::new(0),
                state: AtomicU32::new(match stamp {
                    Stamp::Counter => 0,
                    Stamp::Published => PUBLISHED_TICK,
                    Stamp::Clock => OTHER_CLOCK,
                }),
                left: AtomicBool::new(false),
            }),
            cells: Cells::new(cells),
            folds,
        }
    }

    /// Producer: so many more events are in the ring.
    #[inline]
    pub(crate) fn count_accepted(&self, events: u64) {
        let accepted = &self.counts.accepted;
        // Relaxed load: single writer. Release store, paired with the Acquire load in `accepted`: whoever sees the
        // count sees the event in the ring.
        accepted.store(accepted.load(Ordering::Relaxed) + events, Ordering::Release);
    }

    /// Producer: one more sample was folded.
    pub(crate) fn count_folded(&self) {
        let folded = &self.counts.folded;
        // Relaxed load: single writer. Release store, paired with the Acquire load in `folded`.
        folded.store(folded.load(Ordering::Relaxed) + 1, Ordering::Release);
    }

    /// Drain: samples the producer says it folded.
    pub(crate) fn folded(&self) -> u64 {
        // Acquire, paired with the Release store in `count_folded`: whoever sees the count finds the sample in `folds`.
        self.counts.folded.load(Ordering::Acquire)
    }

    /// Producer: so many events were refused.
    #[cold]
    pub(crate) fn count_refused(&self, cause: Cause, events: u64) {
        let count = match cause {
            Cause::RingFull => &self.counts.refused_full,
            Cause::AfterClose => &self.counts.refused_closed,
            _ => &self.counts.refused_unknown,
        };
        // Relaxed load: single writer. Release store, paired with the Acquire loads in `refused`.
        count.store(count.load(Ordering::Relaxed) + events, Ordering::Release);
    }

    /// Producer: how to stamp a sample; `None` once the engine has closed.
    #[inline]
    pub(crate) fn stamp(&self) -> Option<Stamp> {
        // Relaxed: nothing is read on the strength of it, and a recorder that sees the close late is accounted for (see
        // the module's page on closing).
        match self.counts.state.load(Ordering::Relaxed) {
            0 => Some(Stamp::Counter),
            PUBLISHED_TICK => Some(Stamp::Published),
            OTHER_CLOCK => Some(Stamp::Clock),
            _ => None,
        }
    }

    pub(crate) fn close(&self) {
        // Relaxed: see `stamp`.
        self.counts.state.fetch_or(CLOSED, Ordering::Relaxed);
    }

    /// Producer: its last act.
    pub(crate) fn leave(&self) {
        // Release, paired with the Acquire load in `has_left`: whoever sees the flag sees every event pushed before.
        self.counts.left.store(true, Ordering::Release);
    }

    /// Drain: whether the producer is gone. To be asked before the ring is emptied.
    pub fn has_left(&self) -> bool {
        // Acquire, paired with the Release store in `leave`.
        self.counts.left.load(Ordering::Acquire)
    }

    /// Drain: events the producer says it pushed.
    pub(crate) fn accepted(&self) -> u64 {
        // Acquire, paired with the Release store in `count_accepted`.
        self.counts.accepted.load(Ordering::Acquire)
    }

    /// Drain: events the producer says it could not push.
    pub(crate) fn refused(&self) -> Dropped {
        let mut out = Dropped::default();
        // Acquire, paired with the Release store in `count_refused`.
        out.add(Cause::RingFull, self.counts.refused_full.load(Ordering::Acquire));
        out.add(Cause::AfterClose, self.counts.refused_closed.load(Ordering::Acquire));
        out.add(Cause::UnknownSeries, self.counts.refused_unknown.load(Ordering::Acquire));
        out
    }
}

/// The drain's end of a lane.
#[derive(Debug)]
pub struct Inlet {
    pub events: Consumer<Event>,
    pub lane: Arc<Lane>,
    /// Events taken out of the ring so far.
    pub(crate) taken: u64,
    /// Cell totals as they were last gathered, by series number.
    pub(crate) gathered: Vec<u64>,
    /// Their sum.
    pub(crate) gathered_sum: u64,
    /// Folds as they were last gathered.
    pub(crate) folded: Vec<Seen>,
    /// Folded samples gathered so far.
    pub(crate) unfolded: u64,
}
