//! Repetitions, medians, spread.

use std::hint::{black_box, spin_loop};
use std::thread;
use std::time::Instant;

use super::Figure;
use crate::sync::{Arc, AtomicU64, Ordering};

/// Nanoseconds per operation of `work`, which does `operations` of them.
pub(super) fn ns_per(operations: usize, work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_nanos() as f64 / operations as f64
}

/// The median, and the interquartile range over it.
pub(super) fn median(mut values: Vec<f64>) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    let at =
        |q: f64| values.get((q * (values.len().saturating_sub(1)) as f64).round() as usize).copied().unwrap_or(0.0);
    let middle = at(0.5);
    (middle, if middle == 0.0 { 0.0 } else { (at(0.75) - at(0.25)) / middle })
}

/// A cost beside its limit's cost.
pub(super) fn cost(name: &'static str, values: Vec<f64>, limit_name: &'static str, limits: Vec<f64>) -> Figure {
    let (value, spread) = median(values);
    let (limit, _) = median(limits);
    Figure { name, value, unit: "ns", limit_name, limit, ratio: value / limit, spread }
}

/// A rate beside its limit's rate.
pub(super) fn rate(name: &'static str, values: Vec<f64>, limit_name: &'static str, limits: Vec<f64>) -> Figure {
    let (value, spread) = median(values);
    let (limit, _) = median(limits);
    Figure { name, value, unit: "M/s", limit_name, limit, ratio: limit / value, spread }
}

/// One way of a cache line between two threads. Virtual machines put two cores near or far from each other, for seconds
/// to minutes at a time; figures with two threads only compare within a run.
pub(super) fn ping_pong_ns() -> f64 {
    const ROUNDS: u64 = 20_000;
    let ball = Arc::new(AtomicU64::new(0));
    let theirs = Arc::clone(&ball);
    let partner = thread::spawn(move || {
        for round in 0..ROUNDS {
            // Acquire and Release: each side waits for the other's store.
            while theirs.load(Ordering::Acquire) != 2 * round + 1 {
                spin_loop();
            }
            theirs.store(2 * round + 2, Ordering::Release);
        }
    });
    let ns = ns_per(2 * ROUNDS as usize, || {
        for round in 0..ROUNDS {
            ball.store(2 * round + 1, Ordering::Release);
            while ball.load(Ordering::Acquire) != 2 * round + 2 {
                spin_loop();
            }
        }
    });
    black_box(partner.join().is_ok());
    ns
}
