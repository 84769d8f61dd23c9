//! Plain statistics over slices, for use outside the engine.

use super::arch;

/// The mean of `values`; NaN for none.
///
/// The values are added in a fixed order (eight lanes, then a tree over them), so that every machine gets the same
/// bits. Cost: one pass at the speed of memory, no allocation. A sum beyond 1.8e308 gives an infinity.
#[must_use]
pub fn mean(values: &[f64]) -> f64 {
    arch::moments(values).mean
}

/// The population's standard deviation (division by `n`); NaN for no values, 0 for one.
///
/// Corrected two-pass algorithm (Chan, Golub and `LeVeque` 1983), in the order of [`mean()`]. Cost: two passes at the
/// speed of memory, no allocation. Distances from the mean beyond 1e150 overflow and give an infinity or NaN.
#[must_use]
pub fn standard_deviation(values: &[f64]) -> f64 {
    (arch::moments(values).m2 / values.len() as f64).sqrt()
}

/// How many standard deviations each value lies from the mean of all: `(x - mean) / deviation`.
///
/// The deviation is the population's, as in [`standard_deviation`]. Equal values all score 0. A NaN or an infinity
/// among the values makes every score NaN; take them out first. Cost: three passes at the speed of memory, one
/// allocation.
///
/// ```
/// let scores = afferent::detect::z_scores(&[1.0, 2.0, 3.0]);
/// assert!((scores[2] - 1.224_744_871).abs() < 1e-9);
/// assert_eq!(scores[1], 0.0);
/// ```
#[must_use]
pub fn z_scores(values: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; values.len()];
    let moments = arch::moments(values);
    let deviation = (moments.m2 / values.len() as f64).sqrt();
    // Not `> 0.0`: a NaN has to reach the result.
    if deviation != 0.0 {
        arch::standardise(values, moments.mean, deviation, &mut out);
    }
    out
}

/// The smallest and the largest value, NaN ignored; `None` where nothing else is there.
///
/// Cost: one pass at the speed of memory, no allocation.
#[must_use]
pub fn extremes(values: &[f64]) -> Option<(f64, f64)> {
    let (low, high) = arch::extremes(values);
    (low <= high).then_some((low, high))
}

/// The three quartiles, interpolated between the nearest values (definition 7 of Hyndman and Fan, "Sample quantiles in
/// statistical packages", 1996; what numpy and R do by default). `None` for no values or any NaN.
///
/// Cost: selection on a copy, linear in the number of values; one allocation.
#[must_use]
pub fn quartiles(values: &[f64]) -> Option<[f64; 3]> {
    if values.is_empty() || values.iter().any(|value| value.is_nan()) {
        return None;
    }
    let mut copy = values.to_vec();
    Some([1, 2, 3].map(|number| {
        let (at, share) = position(copy.len(), number);
        let (_, &mut below, rest) = copy.select_nth_unstable_by(at, f64::total_cmp);
        let above = rest.iter().copied().reduce(f64::min).unwrap_or(below);
        between(below, above, share)
    }))
}

/// Tukey's fences: `k` interquartile ranges below the first and above the third quartile (J. W. Tukey, "Exploratory
/// Data Analysis", 1977: 1.5 is "outside", 3 is "far out"). `None` for no values or any NaN.
///
/// Cost as for [`quartiles`].
///
/// ```
/// let fences = afferent::detect::tukey_fences(&[1.0, 2.0, 3.0, 4.0, 5.0], 1.5);
/// assert_eq!(fences, Some((-1.0, 7.0)));
/// ```
#[must_use]
pub fn tukey_fences(values: &[f64], k: f64) -> Option<(f64, f64)> {
    let [first, _, third] = quartiles(values)?;
    let reach = k * (third - first);
    Some((first - reach, third + reach))
}

/// How many values lie outside `low..=high`; a NaN is outside.
///
/// Cost: one compare a value, eight at a time, no allocation.
#[must_use]
pub fn count_outside(values: &[f64], low: f64, high: f64) -> usize {
    arch::count_outside(values, low, high)
}

/// The position of the first value outside `low..=high`; a NaN is outside.
///
/// Cost as for [`count_outside`], up to that value.
#[must_use]
pub fn first_outside(values: &[f64], low: f64, high: f64) -> Option<usize> {
    arch::first_outside(values, low, high)
}

/// Quartile `number` (1 to 3) of an ascending slice; NaN for an empty one.
pub(super) fn quartile_of_sorted(sorted: &[f64], number: usize) -> f64 {
    let (at, share) = position(sorted.len(), number);
    let Some(&below) = sorted.get(at) else { return f64::NAN };
    between(below, sorted.get(at + 1).copied().unwrap_or(below), share)
}

/// Where quartile `number` of `length` values lies: after which position, and how far on to the next.
fn position(length: usize, number: usize) -> (usize, f64) {
    let quarters = length.saturating_sub(1) * number;
    (quarters / 4, (quarters % 4) as f64 / 4.0)
}

fn between(below: f64, above: f64, share: f64) -> f64 {
    // Not `below + share * (above - below)` where they are equal: two infinities would make a NaN.
    if share == 0.0 || below == above { below } else { below + share * (above - below) }
}
