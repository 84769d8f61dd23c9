//! The last values of a series, with their moments and their order kept up to date.

use super::arch;

/// How many values are kept.
pub(crate) const LENGTH: usize = 1_000;

/// Values farther from 0 are kept as this, so that a sum of squares cannot overflow (1e300 times 1,000 still fits).
const FARTHEST: f64 = 1e150;

/// The moments are computed afresh after this many steps, which bounds their drift to about 1e-13 of the largest
/// spread in between and costs a few nanoseconds a value.
const STEPS: u32 = 128;

/// Moments are also computed afresh once the second moment is below this share of what it was since the last time:
/// an outlier that leaves would otherwise leave its rounding error behind.
const FALL: f64 = 1.0 / 1024.0;

/// A ring of the last [`LENGTH`] values, a sorted copy of it, and their mean and second moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// In order of arrival, wrapping round at `next` once full.
    ring: Vec<f64>,
    next: usize,
    /// The same values, ascending.
    sorted: Vec<f64>,
    mean: f64,
    m2: f64,
    /// The largest `m2` since the moments were last computed afresh.
    largest_m2: f64,
    steps: u32,
}

impl History {
    pub(crate) fn len(&self) -> usize {
        self.ring.len()
    }

    pub(crate) fn mean(&self) -> f64 {
        self.mean
    }

    /// The population's standard deviation; 0 for fewer than two values.
    pub(crate) fn deviation(&self) -> f64 {
        if self.ring.is_empty() { 0.0 } else { (self.m2 / self.ring.len() as f64).sqrt() }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        (self.ring.capacity() + self.sorted.capacity()) * size_of::<f64>()
    }

    /// The values, ascending.
    pub(crate) fn sorted(&self) -> &[f64] {
        &self.sorted
    }

    /// The value as it is kept: finite, not too far from 0, and without a negative zero (which would sort apart).
    pub(crate) fn admissible(value: f64) -> f64 {
        value.clamp(-FARTHEST, FARTHEST) + 0.0
    }

    /// Takes in a value as returned by [`History::admissible`]; the oldest one leaves once [`LENGTH`] are held.
    pub(crate) fn push(&mut self, value: f64) {
        debug_assert!(value.abs() <= FARTHEST);
        if self.ring.len() < LENGTH {
            self.ring.push(value);
            let at = self.sorted.partition_point(|&x| x < value);
            self.sorted.insert(at, value);
            let step = value - self.mean;
            self.mean += step / self.ring.len() as f64;
            self.m2 += step * (value - self.mean);
        } else {
            let old = std::mem::replace(&mut self.ring[self.next], value);
            self.next = if self.next + 1 == LENGTH { 0 } else { self.next + 1 };
            replace_sorted(&mut self.sorted, old, value);
            // Welford's update for a value that replaces another.
            let before = self.mean;
            self.mean += (value - old) / LENGTH as f64;
            self.m2 += (value - old) * (value - self.mean + old - before);
        }
        self.steps += 1;
        self.largest_m2 = self.largest_m2.max(self.m2);
        if self.steps >= STEPS || self.m2 < FALL * self.largest_m2 {
            let exact = arch::moments(&self.ring);
            self.mean = exact.mean;
            self.m2 = exact.m2;
            self.largest_m2 = exact.m2;
            self.steps = 0;
        }
    }
}

/// Takes `old` out of an ascending slice and puts `new` in, moving only what lies between the two places.
fn replace_sorted(sorted: &mut [f64], old: f64, new: f64) {
    let from = sorted.partition_point(|&x| x < old);
    let to = sorted.partition_point(|&x| x < new);
    if to > from {
        // Everything between moves down, and the new value ends up one below its place in the old order.
        sorted.copy_within(from + 1..to, from);
        sorted[to - 1] = new;
    } else if from < sorted.len() {
        sorted.copy_within(to..from, to + 1);
        sorted[to] = new;
    }
}
