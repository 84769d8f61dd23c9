//! The truth that the kernels are judged by: textbook loops, one value at a time, and the tests that hold the vector
//! code to them.

use super::arch::{self, Moments, plain};
use super::stats;

/// Mean and second moment in the most accurate way at hand: exact differences, Neumaier's compensated sums.
fn naive_moments(values: &[f64]) -> Moments {
    let n = values.len() as f64;
    let mean = compensated(values.iter().copied()) / n;
    Moments { mean, m2: compensated(values.iter().map(|x| (x - mean) * (x - mean))) }
}

fn compensated(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut lost) = (0.0_f64, 0.0);
    for x in values {
        let next = sum + x;
        lost += if sum.abs() >= x.abs() { (sum - next) + x } else { (x - next) + sum };
        sum = next;
    }
    sum + lost
}

fn naive_extremes(values: &[f64]) -> (f64, f64) {
    let numbers = || values.iter().copied().filter(|x| !x.is_nan());
    (numbers().fold(f64::INFINITY, f64::min), numbers().fold(f64::NEG_INFINITY, f64::max))
}

fn naive_outside(values: &[f64], low: f64, high: f64) -> Vec<usize> {
    (0..values.len()).filter(|&at| values[at].is_nan() || values[at] < low || values[at] > high).collect()
}

/// A deterministic scatter of values of many sizes.
fn scatter(length: usize) -> Vec<f64> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1_u64 << 53) as f64 * 200.0 - 100.0
        })
        .collect()
}

/// Slices that end at every place of a block, and one of each kind of value that arithmetic stumbles over, at every
/// place of every slice.
fn inputs() -> Vec<Vec<f64>> {
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 5e-324, -5e-324, f64::MIN_POSITIVE, -0.0, 1e150, -1e150];
    let mut all = Vec::new();
    for length in 0..=67 {
        let plain = scatter(length);
        for value in odd {
            for at in 0..length {
                let mut values = plain.clone();
                values[at] = value;
                all.push(values);
            }
        }
        all.push(vec![42.5; length]);
        all.push(vec![5e-324; length]);
        all.push(vec![1e15 + 0.5; length]);
        all.push(plain);
    }
    all.push(scatter(1_000));
    all.push(scatter(100_003));
    all
}

/// Equal to the bit, except that one NaN is as good as another.
fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

/// Bit equality between the instruction sets: the order of additions is part of the contract.
#[test]
fn every_instruction_set_gives_the_same_bits() {
    for values in inputs() {
        let (a, b) = (arch::moments(&values), plain::moments(&values));
        assert!(same(a.mean, b.mean) && same(a.m2, b.m2), "{values:?}");
        let (a, b) = (arch::extremes(&values), plain::extremes(&values));
        assert!(same(a.0, b.0) && same(a.1, b.1), "{values:?}");
        assert_eq!(arch::count_outside(&values, -50.0, 50.0), plain::count_outside(&values, -50.0, 50.0));
        assert_eq!(arch::first_outside(&values, -99.0, 99.0), plain::first_outside(&values, -99.0, 99.0));
        let (mut a, mut b) = (vec![0.0; values.len()], vec![0.0; values.len()]);
        arch::standardise(&values, 1.5, 3.0, &mut a);
        plain::standardise(&values, 1.5, 3.0, &mut b);
        assert!(a.iter().zip(&b).all(|(&a, &b)| same(a, b)), "{values:?}");
    }
}

/// Tolerance: the mean to 1e-14 of the largest magnitude, the second moment to 1e-12 of itself and 1e-25 of the
/// squared magnitude (the rounding of differences where all values are nearly equal).
#[test]
fn moments_agree_with_the_naive_ones() {
    for values in inputs() {
        let got = arch::moments(&values);
        if values.is_empty() || !values.iter().all(|x| x.is_finite()) {
            assert!(!got.mean.is_finite(), "{values:?}: {got:?}");
            continue;
        }
        let want = naive_moments(&values);
        let size = values.iter().fold(0.0_f64, |size, x| size.max(x.abs()));
        assert!((got.mean - want.mean).abs() <= 1e-14 * size, "{values:?}: {got:?} {want:?}");
        assert!((got.m2 - want.m2).abs() <= 1e-12 * want.m2 + 1e-25 * size * size, "{values:?}: {got:?} {want:?}");
        assert!(got.m2 >= 0.0);
    }
}

/// Bit equality: no arithmetic is involved.
#[test]
fn compares_agree_with_the_naive_ones() {
    let bounds = [(-50.0, 50.0), (-100.0, 100.0), (f64::NEG_INFINITY, f64::INFINITY), (0.0, 0.0), (1.0, -1.0)];
    for values in inputs() {
        let want = naive_extremes(&values);
        let got = arch::extremes(&values);
        // Which of two zeros is the smaller is not said.
        assert!(got.0 == want.0 && got.1 == want.1, "{values:?}: {got:?} {want:?}");
        for (low, high) in bounds {
            let want = naive_outside(&values, low, high);
            assert_eq!(arch::count_outside(&values, low, high), want.len(), "{values:?} {low} {high}");
            assert_eq!(arch::first_outside(&values, low, high), want.first().copied(), "{values:?} {low} {high}");
        }
    }
}

/// Tolerance 1e-12: a subtraction and a division after the moments.
#[test]
fn z_scores_agree_with_the_naive_ones() {
    for length in 0..=67 {
        let values = scatter(length);
        let Moments { mean, m2 } = naive_moments(&values);
        let deviation = (m2 / length as f64).sqrt();
        let got = stats::z_scores(&values);
        assert_eq!(got.len(), length);
        for (x, z) in values.iter().zip(got) {
            let want = if deviation == 0.0 { 0.0 } else { (x - mean) / deviation };
            assert!((z - want).abs() <= 1e-12, "{length}: {z} {want}");
        }
    }
    assert_eq!(stats::z_scores(&[3.0; 9]), [0.0; 9]);
    assert!(stats::z_scores(&[1.0, f64::NAN, 2.0]).iter().all(|z| z.is_nan()));
}

/// Tolerance: the interpolation's rounding, 1e-12 of values up to 100.
#[test]
fn quartiles_agree_with_a_full_sort() {
    for length in 1..=67 {
        let values = scatter(length);
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        let got = stats::quartiles(&values).unwrap();
        for (number, q) in (1..).zip(got) {
            let rank = (length - 1) as f64 * f64::from(number) / 4.0;
            let (below, above) = (sorted[rank.floor() as usize], sorted[rank.ceil() as usize]);
            let want = below + (above - below) * rank.fract();
            assert!((q - want).abs() <= 1e-12, "{length} {number}: {q} {want}");
            assert_eq!(q, stats::quartile_of_sorted(&sorted, number as usize));
        }
    }
    assert_eq!(stats::quartiles(&[]), None);
    assert_eq!(stats::tukey_fences(&[1.0, f64::NAN], 3.0), None);
    assert_eq!(stats::tukey_fences(&[7.0], 3.0), Some((7.0, 7.0)));
    let infinite = [f64::NEG_INFINITY, f64::INFINITY, f64::INFINITY];
    assert_eq!(stats::quartiles(&infinite).unwrap()[2], f64::INFINITY);
}

#[test]
fn nothing_has_no_extremes_and_no_mean() {
    assert_eq!(stats::extremes(&[]), None);
    assert_eq!(stats::extremes(&[f64::NAN]), None);
    assert_eq!(stats::extremes(&[f64::NAN, 2.0, -1.0]), Some((-1.0, 2.0)));
    assert!(stats::mean(&[]).is_nan() && stats::standard_deviation(&[]).is_nan());
    assert_eq!(stats::standard_deviation(&[1e9]), 0.0);
}

/// A level of 1e15 has a mean that cannot be written down exactly, and the plain two-pass sum is off by the square of
/// that error for every value. Truth in integers; tolerance 1e-13 of the second moment.
#[test]
fn a_high_level_does_not_spoil_the_spread() {
    let steps: Vec<i128> = (0..1_001).map(|at| at * at % 7 % 2).collect();
    let values: Vec<f64> = steps.iter().map(|&step| 4e15 + step as f64).collect();
    let n = steps.len() as i128;
    let (sum, squares) = steps.iter().fold((0, 0), |(sum, squares), &step| (sum + step, squares + step * step));
    let want = (n * squares - sum * sum) as f64 / n as f64;
    let got = arch::moments(&values).m2;
    assert!((got - want).abs() <= 1e-13 * want, "{got} {want}");
}
