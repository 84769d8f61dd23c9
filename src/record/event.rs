//! The fixed-size record that travels through a ring.

use super::SeriesId;

/// One sample on its way from a thread to the aggregator.
///
/// 16 bytes, four to a cache line. The time is the low 32 bits of the clock's compact tick (see
/// [`crate::time::Clock`]); the aggregator, which drains far more often than those bits wrap, unfolds it.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub struct Event {
    pub(crate) series: SeriesId,
    pub(crate) tick: u32,
    pub value: f64,
}

const _: () = assert!(size_of::<Event>() == 16, "a record is one fixed size");
