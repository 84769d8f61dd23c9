//! What a recording thread and the drain share.

use crossbeam_utils::CachePadded;
use rtrb::Consumer;

use super::cells::Cells;
use crate::ledger::{Cause, Dropped};
use crate::record::Event;
use crate::sync::{Arc, AtomicBool, AtomicU32, AtomicU64, Ordering};

/// Counts and flags of one recorder. All counts have a single writer, the recorder; the drain only reads them.
#[derive(Debug)]
pub struct Lane {
    counts: CachePadded<Counts>,
    pub(crate) cells: Cells,
}

/// On a line of their own, away from what the drain writes. `state` is written once in a lane's life, so reading it
/// beside the counts costs the recorder nothing.
#[derive(Debug)]
struct Counts {
    accepted: AtomicU64,
    refused_full: AtomicU64,
    refused_closed: AtomicU64,
    refused_unknown: AtomicU64,
    state: AtomicU32,
    left: AtomicBool,
}

/// The engine has closed.
const CLOSED: u32 = 1;
/// The clock is not the processor's counter.
const OTHER_CLOCK: u32 = 2;

impl Lane {
    /// `plain_clock` says that samples are stamped straight from the processor's counter.
    pub(crate) fn new(cells: usize, plain_clock: bool) -> Lane {
        Lane {
            counts: CachePadded::new(Counts {
                accepted: AtomicU64::new(0),
                refused_full: AtomicU64::new(0),
                refused_closed: AtomicU64::new(0),
                refused_unknown: AtomicU64::new(0),
                state: AtomicU32::new(if plain_clock { 0 } else { OTHER_CLOCK }),
                left: AtomicBool::new(false),
            }),
            cells: Cells::new(cells),
        }
    }

    /// Producer: one more event is in the ring.
    #[inline]
    pub(crate) fn count_accepted(&self) {
        let accepted = &self.counts.accepted;
        // Relaxed load: single writer. Release store, paired with the Acquire load in `accepted`: whoever sees the
        // count sees the event in the ring.
        accepted.store(accepted.load(Ordering::Relaxed) + 1, Ordering::Release);
    }

    /// Producer: an event was refused.
    #[cold]
    pub(crate) fn count_refused(&self, cause: Cause) {
        let count = match cause {
            Cause::RingFull => &self.counts.refused_full,
            Cause::AfterClose => &self.counts.refused_closed,
            _ => &self.counts.refused_unknown,
        };
        // Relaxed load: single writer. Release store, paired with the Acquire loads in `refused`.
        count.store(count.load(Ordering::Relaxed) + 1, Ordering::Release);
    }

    /// Producer: whether the lane is open and its clock the processor's counter. One comparison stands for all that is
    /// not as usual.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        // Relaxed: nothing is read on the strength of it, and a recorder that sees the close late is accounted for (see
        // the module's page on closing).
        self.counts.state.load(Ordering::Relaxed) == 0
    }

    /// Producer: whether the engine has closed.
    pub(crate) fn is_closed(&self) -> bool {
        // Relaxed: see `is_plain`.
        self.counts.state.load(Ordering::Relaxed) & CLOSED != 0
    }

    pub(crate) fn close(&self) {
        // Relaxed: see `is_plain`.
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
}
