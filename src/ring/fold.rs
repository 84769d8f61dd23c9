//! Where samples go that a full ring did not take, under [`Overflow::Fold`](super::Overflow).
//!
//! A small log-linear histogram per series, written by the recording thread alone and read by the drain. All counts only
//! grow; the drain keeps what it saw last and takes the difference, so neither side ever waits for or resets the other.

use crate::record::SeriesId;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// Series that one thread can fold. (Every cell multiplies the model checker's states, so it sees few.)
const SERIES: usize = if cfg!(loom) { 1 } else { 16 };
/// Buckets per power of two: the top 4 bits of the mantissa.
const STEPS: u64 = 16;
/// Values below 2^-34 (58 ps, where the unit is seconds) share the first bucket with 0.
const LOWEST_EXPONENT: u64 = 1_023 - 34;
/// Values of 2^40 and more are not folded, nor are negative ones.
const EXPONENTS: u64 = 74;
/// One for what is too small, and the rest.
const BUCKETS: usize = if cfg!(loom) { 2 } else { 1 + (EXPONENTS * STEPS) as usize };

/// One thread's folded samples.
#[derive(Debug)]
pub(crate) struct Folds {
    slots: Box<[Slot]>,
}

#[derive(Debug)]
struct Slot {
    /// The series' number plus one; 0 while the slot is free.
    series: AtomicU32,
    /// Bits of the sum of all values.
    sum: AtomicU64,
    /// Bits of the latest value.
    last: AtomicU64,
    /// Its tick.
    tick: AtomicU32,
    buckets: Box<[AtomicU64]>,
}

/// What the drain has seen of one slot.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    sum: f64,
    buckets: Vec<u64>,
}

/// What a slot gained since it was last looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Folded {
    pub(crate) series: SeriesId,
    pub sum: f64,
    pub(crate) last: f64,
    pub(crate) tick: u32,
    /// A value in the middle of its bucket, and how many samples fell there; ascending.
    pub(crate) values: Vec<(f64, u64)>,
}

impl Folded {
    /// How many samples it stands for.
    pub fn count(&self) -> u64 {
        self.values.iter().map(|value| value.1).sum()
    }
}

impl Folds {
    pub(crate) fn new() -> Folds {
        let slot = || Slot {
            series: AtomicU32::new(0),
            sum: AtomicU64::new(0),
            last: AtomicU64::new(0),
            tick: AtomicU32::new(0),
            buckets: super::cells::zeroed(BUCKETS),
        };
        Folds { slots: (0..SERIES).map(|_| slot()).collect() }
    }

    /// Producer: takes in a value. False where it is out of range, or all slots belong to other series.
    pub(crate) fn add(&self, series: SeriesId, tick: u32, value: f64) -> bool {
        let Some(at) = bucket(value) else { return false };
        let name = series.0 + 1;
        // Relaxed loads throughout: this thread wrote all of it itself.
        let Some(slot) = self.slots.iter().find(|slot| {
            let owner = slot.series.load(Ordering::Relaxed);
            owner == name || owner == 0
        }) else {
            return false;
        };
        let sum = f64::from_bits(slot.sum.load(Ordering::Relaxed)) + value;
        slot.sum.store(sum.to_bits(), Ordering::Relaxed);
        slot.last.store(value.to_bits(), Ordering::Relaxed);
        slot.tick.store(tick, Ordering::Relaxed);
        let bucket = &slot.buckets[at];
        // Release, paired with the Acquire load in `take`: whoever sees the count sees sum and latest value with it.
        bucket.store(bucket.load(Ordering::Relaxed) + 1, Ordering::Release);
        // Release, paired with the Acquire load in `take`; last, so that a slot that has an owner has a count.
        slot.series.store(name, Ordering::Release);
        true
    }

    /// Drain: what every slot gained since `seen`, which it brings up to date.
    pub(crate) fn take(&self, seen: &mut Vec<Seen>, mut each: impl FnMut(Folded)) {
        seen.resize_with(self.slots.len(), Seen::default);
        for (slot, seen) in self.slots.iter().zip(seen) {
            // Acquire, paired with the Release store in `add`.
            let name = slot.series.load(Ordering::Acquire);
            if name == 0 {
                break;
            }
            seen.buckets.resize(BUCKETS, 0);
            let mut values = Vec::new();
            for (at, (bucket, last)) in slot.buckets.iter().zip(&mut seen.buckets).enumerate() {
                // Acquire, paired with the Release store in `add`.
                let count = bucket.load(Ordering::Acquire);
                if count != *last {
                    values.push((middle(at), count - *last));
                    *last = count;
                }
            }
            if values.is_empty() {
                continue;
            }
            // Relaxed: made visible by the counts above. They may already hold one sample more than was counted; the
            // next look makes up for it.
            let sum = f64::from_bits(slot.sum.load(Ordering::Relaxed));
            let last = f64::from_bits(slot.last.load(Ordering::Relaxed));
            let tick = slot.tick.load(Ordering::Relaxed);
            each(Folded { series: SeriesId(name - 1), sum: sum - seen.sum, last, tick, values });
            seen.sum = sum;
        }
    }
}

/// `None` for what is not folded.
fn bucket(value: f64) -> Option<usize> {
    if value == 0.0 {
        return Some(0);
    }
    // Exponent and the top 4 bits of the mantissa. Negative values, infinities and NaN lie beyond the last bucket.
    let steps = value.to_bits() >> 48;
    let at = (steps + 1).saturating_sub(LOWEST_EXPONENT * STEPS) as usize;
    let at = if cfg!(loom) { at.min(BUCKETS - 1) } else { at };
    (at < BUCKETS).then_some(at)
}

/// The middle of a bucket: at most 1/32 of the value away from anything in it.
fn middle(bucket: usize) -> f64 {
    if bucket == 0 {
        return 0.0;
    }
    let low = (LOWEST_EXPONENT * STEPS + bucket as u64 - 1) << 48;
    f64::from_bits(low | 1 << 47)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_was_added_is_taken_once() {
        let folds = Folds::new();
        let mut seen = Vec::new();
        for value in [1.0, 2.0, 2.0] {
            assert!(folds.add(SeriesId(7), 1, value));
        }
        let mut taken = Vec::new();
        folds.take(&mut seen, |folded| taken.push(folded));
        assert_eq!((taken[0].series, taken[0].sum, taken[0].last), (SeriesId(7), 5.0, 2.0));
        assert_eq!(taken[0].values.iter().map(|value| value.1).collect::<Vec<_>>(), [1, 2]);
        folds.take(&mut seen, |folded| panic!("nothing new: {folded:?}"));
        assert!(folds.add(SeriesId(7), 2, 4.0));
        folds.take(&mut seen, |folded| assert_eq!((folded.sum, folded.values.len()), (4.0, 1)));
    }

    #[test]
    fn there_is_room_for_sixteen_series() {
        let folds = Folds::new();
        for series in 0..SERIES as u32 {
            assert!(folds.add(SeriesId(series), 1, 1.0));
        }
        assert!(!folds.add(SeriesId(99), 1, 1.0));
        assert!(folds.add(SeriesId(3), 1, 1.0));
    }

    #[test]
    fn what_is_out_of_range_is_not_folded() {
        for value in [-1.0, -1e-300, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, 2.0_f64.powi(40)] {
            assert_eq!(bucket(value), None, "{value}");
        }
        for value in [0.0, -0.0, f64::MIN_POSITIVE, 1e-11] {
            assert_eq!(bucket(value), Some(0), "{value}");
        }
        assert_eq!(bucket(2.0_f64.powi(40).next_down()), Some(BUCKETS - 1));
    }

    proptest! {
        #[test]
        fn the_stated_error_holds(value in 1e-10_f64..1e12) {
            let middle = middle(bucket(value).unwrap());
            prop_assert!((middle - value).abs() <= value / 32.0, "{value} {middle}");
        }

        #[test]
        fn buckets_ascend(a in 0.0_f64..1e12, b in 0.0_f64..1e12) {
            prop_assert!((a <= b) == (bucket(a) <= bucket(b)) || bucket(a) == bucket(b));
        }
    }
}
