//! A thread's way in: its ring, its counter cells, and how it joins and leaves.
//!
//! # Joining, leaving, closing
//!
//! A [`Recorder`] is the producing end of one *lane*: an rtrb ring of events, a table of
//! counter cells, and two counts that only the producer writes (*accepted* and *refused*). The [`Registry`] hands lanes
//! to the drain through a lock-free stack that the drain takes whole, so a joining thread never waits for a drain.
//!
//! * **Record**: if the lane is closed, count and return. Stamp, push, count. The push's Release (in rtrb) publishes the
//!   event; the Release store of `accepted` follows it.
//! * **Overflow**: a full ring refuses; what becomes of the sample is the [`Overflow`] policy's business.
//! * **Leave**: dropping the recorder stores `left` with Release as its last act.
//! * **Drain**: load `left` with Acquire *first*, then empty the ring. Everything a leaving thread pushed is then in
//!   sight, and only a lane that had left before it was found empty is retired. (Asking in the other order loses what is
//!   pushed in between.)
//! * **Close**: set every lane's `closed`, then drain. A recorder that read `closed` as false may still push after that
//!   last drain; its event stays in the ring and is counted as dropped [after the
//!   close](crate::ledger::Cause::AfterClose) by whoever reads the account next. So the account is exact whenever it is
//!   read, without a fence on the recording path.
//!
//! `loom-tests` checks all of it over the real rtrb code, each model beside a canary that must fail.

mod cells;
mod fold;
mod handle;
mod lane;
#[cfg(all(feature = "enable", not(loom)))]
mod local;
mod overflow;
mod recorder;
mod registry;

#[cfg(feature = "engine")]
pub(crate) use handle::Handle;
pub use handle::{Counter, Gauge, Histogram};
pub use overflow::Overflow;
pub use recorder::Recorder;
pub use registry::{MetricBuilder, Registry, RegistryConfig};

#[cfg(all(feature = "engine", not(loom)))]
pub(crate) use fold::Folded;
#[cfg(loom)]
pub(crate) use fold::Folded;
#[cfg(all(feature = "engine", not(loom)))]
pub(crate) use lane::Inlet;
#[cfg(loom)]
pub use lane::{Inlet, Lane};
