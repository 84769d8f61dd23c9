//! Which instruction set runs the kernels.
//!
//! Whatever it is, the results are the same to the last bit: the order of additions is fixed in [`super::generic`].
//! On x86-64 the choice is made at the first call (std remembers what the machine has, so later calls pay one load
//! and a predicted branch); elsewhere it is made at compile time.

mod portable;

#[cfg(target_arch = "x86_64")]
mod avx2;

#[cfg(target_arch = "x86_64")]
pub(super) use avx2::{count_outside, extremes, first_outside, moments, standardise};

#[cfg(any(test, not(target_arch = "x86_64")))]
pub(super) mod plain {
    //! The portable instance by name: the choice on other machines, and the second opinion in tests.

    use super::Moments;
    use super::portable::Portable;
    use crate::detect::generic;

    pub(in crate::detect) fn moments(values: &[f64]) -> Moments {
        generic::moments(Portable, values)
    }

    pub(in crate::detect) fn extremes(values: &[f64]) -> (f64, f64) {
        generic::extremes(Portable, values)
    }

    pub(in crate::detect) fn count_outside(values: &[f64], low: f64, high: f64) -> usize {
        generic::count_outside(Portable, values, low, high)
    }

    pub(in crate::detect) fn first_outside(values: &[f64], low: f64, high: f64) -> Option<usize> {
        generic::first_outside(Portable, values, low, high)
    }

    pub(in crate::detect) fn standardise(values: &[f64], mean: f64, deviation: f64, out: &mut [f64]) {
        generic::standardise(Portable, values, mean, deviation, out);
    }
}

#[cfg(not(target_arch = "x86_64"))]
pub(super) use plain::{count_outside, extremes, first_outside, moments, standardise};

/// Mean and centred second moment of a slice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Moments {
    /// Mean; NaN for no values.
    pub(super) mean: f64,
    /// Sum of the squared distances from the mean; NaN for no values, never negative.
    pub(super) m2: f64,
}
