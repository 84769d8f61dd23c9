//! How a unit's values map to histogram buckets.

use crate::record::Unit;

/// The bucket layout of a histogram: HDR's, with 3 significant digits.
///
/// A value in the series' unit is multiplied by `scale` and rounded to an integer number of *steps* (nanoseconds for
/// seconds). The first 2,048 buckets are one step wide; from there on every power of two is divided into 1,024 equal
/// buckets, so a bucket is never wider than 1/1,024 of the values it holds. The index is that of
/// `hdrhistogram::Histogram::new_with_bounds(1, highest, 3)`, which tests hold it to.
///
/// Source: Gil Tene, HdrHistogram (public domain), `countsArrayIndex`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scheme {
    /// Steps per unit.
    pub scale: f64,
    /// The highest number of steps that is told apart; larger values are clamped to it and counted.
    pub highest: u64,
}

/// log2 of the number of buckets per power of two.
const HALF_MAGNITUDE: u32 = 10;
const HALF: u64 = 1 << HALF_MAGNITUDE;

impl Scheme {
    /// The largest relative width of a bucket above 2,048 steps: the stated error of every quantile.
    pub const RELATIVE_ERROR: f64 = 1.0 / HALF as f64;

    /// The scheme of a unit.
    ///
    /// | unit | step | highest |
    /// | --- | --- | --- |
    /// | seconds | 1 ns | 1 h |
    /// | bytes | 1 B | 1 PiB |
    /// | ratio | 1e-9 | 1e6 |
    /// | none | 1e-6 | about 1.15e12 |
    #[must_use]
    pub const fn of(unit: Unit) -> Scheme {
        match unit {
            Unit::Seconds => Scheme { scale: 1e9, highest: 3_600_000_000_000 },
            Unit::Bytes => Scheme { scale: 1.0, highest: 1 << 50 },
            Unit::Ratio => Scheme { scale: 1e9, highest: 1_000_000_000_000_000 },
            Unit::None => Scheme { scale: 1e6, highest: 1 << 60 },
        }
    }

    /// The bucket of `value`, and whether the value had to be clamped into the range `0..=highest`.
    ///
    /// A NaN counts as 0 and as clamped; callers refuse NaN before they come here.
    #[must_use]
    pub fn index(&self, value: f64) -> (u32, bool) {
        // `as` saturates: negative and NaN become 0, huge becomes u64::MAX. Adding a half and truncating rounds.
        let steps = (value * self.scale + 0.5) as u64;
        let clamped = steps > self.highest || !(value >= 0.0);
        (Self::index_of_steps(steps.min(self.highest)), clamped)
    }

    /// The bucket of a number of steps.
    #[must_use]
    pub const fn index_of_steps(steps: u64) -> u32 {
        let bucket = 64 - (steps | (2 * HALF - 1)).leading_zeros() - (HALF_MAGNITUDE + 1);
        let sub = steps >> bucket;
        (((bucket as u64 + 1) << HALF_MAGNITUDE) + sub - HALF) as u32
    }

    /// The smallest and the largest number of steps that bucket `index` holds.
    #[must_use]
    pub const fn steps(index: u32) -> (u64, u64) {
        let index = index as u64;
        let (bucket, sub) =
            if index < 2 * HALF { (0, index) } else { ((index >> HALF_MAGNITUDE) - 1, (index & (HALF - 1)) + HALF) };
        // A damaged file can name any index; saturate instead of overflowing the shift.
        if bucket > 53 {
            return (u64::MAX, u64::MAX);
        }
        let low = sub << bucket;
        (low, low + ((1 << bucket) - 1))
    }

    /// The largest value, in the series' unit, that bucket `index` holds.
    #[must_use]
    pub fn upper(&self, index: u32) -> f64 {
        Self::steps(index).1 as f64 / self.scale
    }

    /// The number of buckets a dense histogram of this scheme would have.
    #[must_use]
    pub const fn bucket_count(&self) -> usize {
        Self::index_of_steps(self.highest) as usize + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn buckets_tile_the_range() {
        let mut next = 0;
        for index in 0..20_000 {
            let (low, high) = Scheme::steps(index);
            assert_eq!(low, next);
            assert_eq!(Scheme::index_of_steps(low), index);
            assert_eq!(Scheme::index_of_steps(high), index);
            next = high + 1;
        }
    }

    #[test]
    fn out_of_range_is_clamped_and_said() {
        let scheme = Scheme::of(Unit::Seconds);
        assert_eq!(scheme.index(-1.0), (0, true));
        assert_eq!(scheme.index(f64::NAN), (0, true));
        assert_eq!(scheme.index(0.0), (0, false));
        assert!(!scheme.index(3_600.0).1);
        assert_eq!(scheme.index(3_601.0), (scheme.bucket_count() as u32 - 1, true));
        assert_eq!(scheme.index(f64::INFINITY), (scheme.bucket_count() as u32 - 1, true));
    }

    #[test]
    fn any_index_from_a_file_is_survived() {
        for index in [0, 1, u32::MAX, u32::MAX - 1, 1 << 20, 55 << 10, 56 << 10] {
            let (low, high) = Scheme::steps(index);
            assert!(low <= high);
        }
    }

    proptest! {
        #[test]
        fn a_bucket_is_the_same_as_hdrhistograms(steps in 1_u64..(1 << 60)) {
            let hdr = hdrhistogram::Histogram::<u64>::new_with_bounds(1, 1 << 60, 3).unwrap();
            let (low, high) = Scheme::steps(Scheme::index_of_steps(steps));
            prop_assert_eq!(low, hdr.lowest_equivalent(steps));
            prop_assert_eq!(high, hdr.highest_equivalent(steps));
        }

        #[test]
        fn the_stated_error_holds(value in 1e-8_f64..3_600.0) {
            let scheme = Scheme::of(Unit::Seconds);
            let upper = scheme.upper(scheme.index(value).0);
            prop_assert!((upper - value).abs() <= value * Scheme::RELATIVE_ERROR + 1.0 / scheme.scale);
        }
    }
}
