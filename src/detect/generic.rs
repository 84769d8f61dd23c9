//! The kernels, once, over any instruction set.
//!
//! ```text
//! moments(x):                         outside(x, low, high):
//!   for each block of 8: sum[8] += x    for each block of 8: mask = !(low <= x <= high)
//!   mean = tree(sum) / n                count += ones(mask), or stop at the first
//!   for each block of 8:
//!     d = x - mean; square[8] += d * d; rest[8] += d
//!   m2 = tree(square) - tree(rest)^2 / n
//! ```
//!
//! The last block is filled up with a value that does not change the result, so the tail goes through the same lanes
//! as everything else. The `rest` term corrects the rounding of the mean (the "corrected two-pass algorithm" of Chan,
//! Golub and `LeVeque`, "Algorithms for computing the sample variance", 1983).

use super::arch::Moments;
use super::vector::{Cpu, LANES};

/// Calls `block` with every block of 8 values; the last one is filled up with `fill`.
#[inline(always)]
fn blocks(values: &[f64], fill: f64, mut block: impl FnMut(&[f64; LANES])) {
    let (whole, tail) = values.as_chunks::<LANES>();
    for values in whole {
        block(values);
    }
    if !tail.is_empty() {
        let mut last = [fill; LANES];
        last[..tail.len()].copy_from_slice(tail);
        block(&last);
    }
}

/// Folds the lanes with `f`, always in the same order.
#[inline(always)]
fn tree<C: Cpu>(cpu: C, vector: C::Vector, f: impl Fn(f64, f64) -> f64) -> f64 {
    let mut v = [0.0; LANES];
    cpu.store(vector, &mut v);
    f(f(f(v[0], v[4]), f(v[2], v[6])), f(f(v[1], v[5]), f(v[3], v[7])))
}

#[inline(always)]
pub(super) fn moments<C: Cpu>(cpu: C, values: &[f64]) -> Moments {
    if values.is_empty() {
        return Moments { mean: f64::NAN, m2: f64::NAN };
    }
    let n = values.len() as f64;
    let mut sum = cpu.splat(0.0);
    blocks(values, 0.0, |x| sum = cpu.add(sum, cpu.load(x)));
    let mean = tree(cpu, sum, |a, b| a + b) / n;

    let centre = cpu.splat(mean);
    let mut square = cpu.splat(0.0);
    let mut rest = cpu.splat(0.0);
    blocks(values, mean, |x| {
        let d = cpu.sub(cpu.load(x), centre);
        square = cpu.add(square, cpu.mul(d, d));
        rest = cpu.add(rest, d);
    });
    let rest = tree(cpu, rest, |a, b| a + b);
    let m2 = tree(cpu, square, |a, b| a + b) - rest * rest / n;
    // Rounding can leave a tiny negative number. Not `max`, which would hide a NaN.
    Moments { mean, m2: if m2 < 0.0 { 0.0 } else { m2 } }
}

#[inline(always)]
pub(super) fn extremes<C: Cpu>(cpu: C, values: &[f64]) -> (f64, f64) {
    let mut low = cpu.splat(f64::INFINITY);
    let mut high = cpu.splat(f64::NEG_INFINITY);
    blocks(values, f64::NAN, |x| {
        let x = cpu.load(x);
        // The value comes first, so that a NaN leaves the extreme as it is.
        low = cpu.min(x, low);
        high = cpu.max(x, high);
    });
    let low = tree(cpu, low, |a, b| if a < b { a } else { b });
    let high = tree(cpu, high, |a, b| if a > b { a } else { b });
    (low, high)
}

#[inline(always)]
pub(super) fn count_outside<C: Cpu>(cpu: C, values: &[f64], low: f64, high: f64) -> usize {
    let (lows, highs) = (cpu.splat(low), cpu.splat(high));
    let (whole, tail) = values.as_chunks::<LANES>();
    let mut count = 0;
    for block in whole {
        count += cpu.outside(cpu.load(block), lows, highs).count_ones() as usize;
    }
    count + tail.iter().filter(|&&x| !(x >= low && x <= high)).count()
}

#[inline(always)]
pub(super) fn first_outside<C: Cpu>(cpu: C, values: &[f64], low: f64, high: f64) -> Option<usize> {
    let (lows, highs) = (cpu.splat(low), cpu.splat(high));
    let (whole, tail) = values.as_chunks::<LANES>();
    for (at, block) in whole.iter().enumerate() {
        let mask = cpu.outside(cpu.load(block), lows, highs);
        if mask != 0 {
            return Some(at * LANES + mask.trailing_zeros() as usize);
        }
    }
    let start = values.len() - tail.len();
    tail.iter().position(|&x| !(x >= low && x <= high)).map(|at| start + at)
}

/// `out[i] = (values[i] - mean) / deviation`, for as many as both slices hold.
#[inline(always)]
pub(super) fn standardise<C: Cpu>(cpu: C, values: &[f64], mean: f64, deviation: f64, out: &mut [f64]) {
    let (centre, scale) = (cpu.splat(mean), cpu.splat(deviation));
    let length = values.len().min(out.len());
    let (whole, tail) = values[..length].as_chunks::<LANES>();
    let (whole_out, tail_out) = out[..length].as_chunks_mut::<LANES>();
    for (x, z) in whole.iter().zip(whole_out) {
        cpu.store(cpu.div(cpu.sub(cpu.load(x), centre), scale), z);
    }
    for (&x, z) in tail.iter().zip(tail_out) {
        *z = (x - mean) / deviation;
    }
}
