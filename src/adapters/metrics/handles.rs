//! What the facade's handles do.

use ::metrics::{CounterFn, GaugeFn, HistogramFn};

use super::units::Scale;
use crate::ring::{Counter, Gauge, Histogram};
use crate::sync::{AtomicU64, Ordering};

/// A counter with a total that all threads share, for `absolute` to compare with.
#[derive(Debug)]
pub(super) struct Counted {
    handle: Counter,
    scale: Scale,
    total: AtomicU64,
}

impl Counted {
    pub(super) fn new(handle: Counter, scale: Scale) -> Counted {
        Counted { handle, scale, total: AtomicU64::new(0) }
    }
}

impl CounterFn for Counted {
    fn increment(&self, value: u64) {
        // Relaxed, here and below: the total is only compared with; what is recorded is ordered by the engine.
        self.total.fetch_add(value, Ordering::Relaxed);
        self.handle.add(self.scale.count(value));
    }

    fn absolute(&self, value: u64) {
        let before = self.total.fetch_max(value, Ordering::Relaxed);
        // What the total gained, and nobody else will add.
        self.handle.add(self.scale.count(value.saturating_sub(before)));
    }
}

/// A gauge with a value that all threads share.
#[derive(Debug)]
pub(super) struct Shared {
    handle: Gauge,
    scale: Scale,
    /// Bits of the value.
    value: AtomicU64,
}

impl Shared {
    pub(super) fn new(handle: Gauge, scale: Scale) -> Shared {
        Shared { handle, scale, value: AtomicU64::new(0.0_f64.to_bits()) }
    }

    fn change(&self, change: impl Fn(f64) -> f64) {
        // SeqCst, here and in `publish`: in one total order with the load there, see below.
        let mut before = self.value.load(Ordering::SeqCst);
        loop {
            let after = change(f64::from_bits(before)).to_bits();
            match self.value.compare_exchange_weak(before, after, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return self.publish(after),
                Err(current) => before = current,
            }
        }
    }

    /// Records the value, and again for as long as it is not the value any more.
    ///
    /// Two threads that change the value one after the other may record in the other order, and the older value would
    /// stay. But whoever records a value that is overtaken sees so afterwards and records the newer: the last sample is
    /// the last value.
    fn publish(&self, mut value: u64) {
        loop {
            self.handle.set(self.scale.value(f64::from_bits(value)));
            let now = self.value.load(Ordering::SeqCst);
            if now == value {
                return;
            }
            value = now;
        }
    }
}

impl GaugeFn for Shared {
    fn increment(&self, value: f64) {
        self.change(|before| before + value);
    }

    fn decrement(&self, value: f64) {
        self.change(|before| before - value);
    }

    fn set(&self, value: f64) {
        self.value.store(value.to_bits(), Ordering::SeqCst);
        self.publish(value.to_bits());
    }
}

/// Equal values that are recorded together, under one time stamp.
const MANY: usize = 64;

/// A histogram, and what its values are multiplied by.
#[derive(Debug)]
pub(super) struct Scaled {
    handle: Histogram,
    scale: Scale,
}

impl Scaled {
    pub(super) fn new(handle: Histogram, scale: Scale) -> Scaled {
        Scaled { handle, scale }
    }
}

impl HistogramFn for Scaled {
    fn record(&self, value: f64) {
        self.handle.record(self.scale.value(value));
    }

    fn record_many(&self, value: f64, count: usize) {
        // On the stack, so that no count costs an allocation.
        let values = [self.scale.value(value); MANY];
        let mut left = count;
        while left > 0 {
            let now = left.min(MANY);
            self.handle.record_many(values.get(..now).unwrap_or(&values));
            left -= now;
        }
    }
}
