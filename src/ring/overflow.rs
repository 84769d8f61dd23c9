//! What happens to a sample whose ring is full.

use std::time::Duration;

/// What happens to a sample whose ring is full. Counters are not concerned: they do not use the ring.
///
/// A ring of `n` slots takes a burst of `n` samples between two drains, which are about 1 ms apart while samples come and
/// at most 20 ms after a pause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// The new sample is dropped and counted as [`RingFull`](crate::ledger::Cause::RingFull).
    #[default]
    DropNewest,
    /// The new sample is folded into a small histogram of its thread, which the aggregator adds to the window: counts,
    /// sums and (to 1/32 of the value) quantiles and extremes stay true; what is lost is the single sample with its
    /// time, which detectors and the recent history do not see. A folded value counts as aggregated.
    ///
    /// Each thread folds up to 16 series, and values from 0 to 2^40 (1.1e12); what overflows of further series or lies
    /// outside is dropped and counted. Takes 150 KiB of
    /// address space a thread, of which memory is used only for what is folded.
    Fold,
    /// The thread waits for room, for at most this long in all for each sample; then the sample is dropped and counted.
    /// The one policy under which recording may block, and be preempted.
    Wait {
        /// The longest wait.
        at_most: Duration,
    },
}
