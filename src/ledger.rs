//! The account: what was recorded, what became of it, and whether the two agree.
//!
//! For every sample a program hands over, exactly one of three things is true at any moment: it has been *aggregated*
//! into a window, it has been *dropped* under a named [`Cause`], or it is *in flight* in a ring. The [`Ledger`] states
//! all three beside the number that was recorded, and [`Ledger::closes`] says whether they add up:
//!
//! ```text
//! recorded = aggregated + Σ dropped[cause] + in_flight
//! ```
//!
//! The two sides are counted by different parties. `recorded` is what the recording threads have counted themselves, each
//! in a cell of its own, and what lies in their rings beyond that (a thread pushes first and counts second);
//! `aggregated` is counted by the aggregator when a sample enters a window; `in_flight` is read off the rings. The
//! equation can therefore fail, which is what makes it worth publishing.
//!
//! Counters do not travel through rings (a full ring must not cost an increment, promise P3), so they have a line of
//! their own: `increments` added by threads and `gathered` by the aggregator.

/// Why a sample was not aggregated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Cause {
    /// The thread's ring had no free slot. Give threads larger rings, or record less.
    RingFull = 0,
    /// The value was NaN or infinite and no window can hold it.
    NotFinite = 1,
    /// The sample arrived after the engine was shut down.
    AfterClose = 2,
    /// The sample named a series that this registry never handed out.
    UnknownSeries = 3,
    /// The recording call came from a thread-local destructor that ran after the thread's recorder was gone. (Recording
    /// from a signal handler is not supported.)
    Reentrant = 4,
    /// An engine thread panicked while it held the sample.
    EnginePanic = 5,
}

impl Cause {
    /// Every cause, in the order of their codes.
    pub const ALL: [Cause; 6] = [
        Cause::RingFull,
        Cause::NotFinite,
        Cause::AfterClose,
        Cause::UnknownSeries,
        Cause::Reentrant,
        Cause::EnginePanic,
    ];

    /// The name used in JSON, in segments and as the `cause` label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Cause::RingFull => "ring_full",
            Cause::NotFinite => "not_finite",
            Cause::AfterClose => "after_close",
            Cause::UnknownSeries => "unknown_series",
            Cause::Reentrant => "reentrant",
            Cause::EnginePanic => "engine_panic",
        }
    }
}

/// Samples dropped, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped([u64; Cause::ALL.len()]);

impl Dropped {
    /// The number dropped for `cause`.
    #[must_use]
    pub fn get(&self, cause: Cause) -> u64 {
        self.0[cause as usize]
    }

    /// The number dropped for any cause.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Cause and number, for every cause.
    pub fn iter(&self) -> impl Iterator<Item = (Cause, u64)> + '_ {
        Cause::ALL.iter().map(|&cause| (cause, self.get(cause)))
    }

    /// Adds `count` samples to `cause`.
    pub fn add(&mut self, cause: Cause, count: u64) {
        self.0[cause as usize] += count;
    }
}

/// The account of one engine at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Samples that threads handed over (gauges and histograms; counters see [`Ledger::increments`]).
    pub recorded: u64,
    /// Samples that entered a window.
    pub aggregated: u64,
    /// Samples that did not, by cause.
    pub dropped: Dropped,
    /// Samples that lay in rings when the account was taken.
    pub in_flight: u64,
    /// Sum of all counter increments that the aggregator can see in the threads' cells.
    pub increments: u64,
    /// Sum of all counter increments that entered a window.
    pub gathered: u64,
    /// Sum of all counter increments that threads made after the engine was shut down.
    pub increments_late: u64,
    /// Values outside their histogram's range. They are aggregated (count, sum, minimum and maximum are true) and sit
    /// in the histogram's outermost bucket.
    pub clamped: u64,
    /// False once any window's account disagreed with what the threads had counted themselves.
    pub consistent: bool,
}

impl Ledger {
    /// Whether every recorded sample is accounted for.
    #[must_use]
    pub fn closes(&self) -> bool {
        self.consistent
            && self.recorded == self.aggregated + self.dropped.total() + self.in_flight
            && self.increments == self.gathered.wrapping_add(self.increments_late)
    }

    /// The share of recorded samples that were not dropped, 0 to 1; 1 where nothing was recorded.
    #[must_use]
    pub fn completeness(&self) -> f64 {
        if self.recorded == 0 {
            return 1.0;
        }
        1.0 - self.dropped.total() as f64 / self.recorded as f64
    }
}
