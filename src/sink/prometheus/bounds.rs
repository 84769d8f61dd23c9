//! The `le` bounds of classic histograms.
//!
//! They depend on the unit alone, so they never change between scrapes or between two programs.

use crate::aggregate::Buckets;
use crate::record::Unit;

/// 1 µs to 10 s.
const SECONDS: [f64; 22] = [
    1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
    0.5, 1.0, 2.5, 5.0, 10.0,
];
/// 100 B to 10 GB.
const BYTES: [f64; 25] = [
    1e2, 2.5e2, 5e2, 1e3, 2.5e3, 5e3, 1e4, 2.5e4, 5e4, 1e5, 2.5e5, 5e5, 1e6, 2.5e6, 5e6, 1e7, 2.5e7, 5e7, 1e8, 2.5e8,
    5e8, 1e9, 2.5e9, 5e9, 1e10,
];
/// 0.01 % to 10.
const RATIO: [f64; 16] =
    [1e-4, 2.5e-4, 5e-4, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// 0.01 to a million.
const NONE: [f64; 25] = [
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1e3, 2.5e3, 5e3, 1e4,
    2.5e4, 5e4, 1e5, 2.5e5, 5e5, 1e6,
];

/// The bounds of a unit, each with its label value.
pub(super) fn labels(unit: Unit) -> Vec<(f64, String)> {
    let bounds: &[f64] = match unit {
        Unit::Seconds => &SECONDS,
        Unit::Bytes => &BYTES,
        Unit::Ratio => &RATIO,
        Unit::None => &NONE,
    };
    bounds.iter().map(|&bound| (bound, format!("{bound:?}"))).collect()
}

/// For each bound, the number of values at or below it.
///
/// Value and bound are compared at the histogram's own precision, 1/1,024: a value that shares the bound's bucket counts
/// as at most the bound. That keeps a value that equals a bound on the right side of it, as it would be with the exact
/// values (most counts and many timeouts are round numbers), and the result grows from bound to bound.
pub(super) fn cumulative<'a>(
    buckets: Option<&'a Buckets>,
    bounds: &'a [(f64, String)],
) -> impl Iterator<Item = u64> + 'a {
    let (mut at, mut sum) = (0, 0_u64);
    bounds.iter().map(move |&(bound, _)| {
        let Some(buckets) = buckets else { return 0 };
        let (last, _) = buckets.scheme.index(bound);
        while let (Some(&index), Some(&count)) = (buckets.indices.get(at), buckets.counts.get(at))
            && index <= last
        {
            sum = sum.saturating_add(count);
            at += 1;
        }
        sum
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::Scheme;

    #[test]
    fn bounds_ascend_within_the_scheme() {
        for unit in [Unit::None, Unit::Seconds, Unit::Bytes, Unit::Ratio] {
            let bounds = labels(unit);
            assert!(bounds.windows(2).all(|pair| pair[0].0 < pair[1].0));
            for (bound, label) in &bounds {
                assert_eq!(label.parse::<f64>().unwrap(), *bound);
                assert!(!Scheme::of(unit).index(*bound).1);
            }
        }
    }

    #[test]
    fn a_value_equal_to_a_bound_is_at_most_the_bound() {
        for unit in [Unit::None, Unit::Seconds, Unit::Bytes, Unit::Ratio] {
            let scheme = Scheme::of(unit);
            for (at, (bound, _)) in labels(unit).iter().enumerate() {
                let buckets = Buckets { scheme, indices: vec![scheme.index(*bound).0], counts: vec![3] };
                let counts: Vec<u64> = cumulative(Some(&buckets), &labels(unit)).collect();
                assert!(counts[..at].iter().all(|&count| count == 0), "{unit:?} {bound}");
                assert!(counts[at..].iter().all(|&count| count == 3), "{unit:?} {bound}");
            }
        }
    }

    #[test]
    fn one_pass_is_count_at_most() {
        let scheme = Scheme::of(Unit::Seconds);
        let indices: Vec<u32> = (0..27_000).step_by(7).collect();
        let counts = indices.iter().map(|&index| u64::from(index % 5) + 1).collect();
        let buckets = Buckets { scheme, indices, counts };
        let bounds = labels(Unit::Seconds);
        for (at_most, (bound, _)) in cumulative(Some(&buckets), &bounds).zip(&bounds) {
            assert_eq!(at_most, buckets.count_at_most(scheme.upper(scheme.index(*bound).0)));
        }
    }
}
