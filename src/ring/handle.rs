//! Handles: what a program keeps of a registered series.

use crate::record::SeriesId;

/// What [`MetricBuilder`](super::MetricBuilder) can build. Not named outside, so nobody else can make handles.
pub trait Handle {
    #[doc(hidden)]
    fn of(series: SeriesId, registry: u32) -> Self;
}

macro_rules! handle {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $name {
            pub(crate) series: SeriesId,
            pub(crate) registry: u32,
        }

        impl Handle for $name {
            fn of(series: SeriesId, registry: u32) -> Self {
                $name { series, registry }
            }
        }

        impl $name {
            /// A handle that records nowhere, at the cost of a call: what the macros give while no engine is
            /// installed. [`Recorder`](super::Recorder)s refuse it like any handle that is not their registry's.
            #[must_use]
            pub const fn noop() -> $name {
                $name { series: SeriesId(0), registry: super::registry::NOWHERE }
            }

            /// The number of the series.
            #[must_use]
            pub const fn series(self) -> SeriesId {
                self.series
            }
        }
    };
}

handle! {
    /// A sum that only grows. Two words, `Copy`.
    ///
    /// # Cost
    /// An addition to a cell of the calling thread: no lock, no atomic read-modify-write. A thread's first record
    /// allocates its ring and cells.
    Counter
}

handle! {
    /// A value that goes up and down. Two words, `Copy`.
    Gauge
}

handle! {
    /// A distribution of values. Two words, `Copy`.
    Histogram
}

#[cfg(not(loom))]
impl Counter {
    /// Adds `by`. Never lost, whatever the state of the ring. After a shutdown it still counts, in
    /// [`Ledger::increments_late`](crate::ledger::Ledger::increments_late).
    #[inline]
    pub fn add(self, by: u64) {
        #[cfg(feature = "enable")]
        super::local::add(self.registry, self.series, by);
        #[cfg(not(feature = "enable"))]
        let _ = by;
    }
}

#[cfg(not(loom))]
impl Gauge {
    /// Records the new value. Not finite values are dropped and counted as
    /// [`NotFinite`](crate::ledger::Cause::NotFinite).
    #[inline]
    pub fn set(self, value: f64) {
        #[cfg(feature = "enable")]
        super::local::push(self.registry, self.series, value);
        #[cfg(not(feature = "enable"))]
        let _ = value;
    }
}

#[cfg(not(loom))]
impl Histogram {
    /// Records many values under one time stamp, published together; see [`Recorder::record_many`](super::Recorder).
    #[inline]
    pub fn record_many(self, values: &[f64]) {
        #[cfg(feature = "enable")]
        super::local::push_many(self.registry, self.series, values);
        #[cfg(not(feature = "enable"))]
        let _ = values;
    }

    /// Records one value, in the series' unit. Not finite values are dropped and counted as
    /// [`NotFinite`](crate::ledger::Cause::NotFinite); values outside the unit's range are clamped and counted (see
    /// [`Scheme`](crate::aggregate::Scheme)).
    #[inline]
    pub fn record(self, value: f64) {
        #[cfg(feature = "enable")]
        super::local::push(self.registry, self.series, value);
        #[cfg(not(feature = "enable"))]
        let _ = value;
    }
}
