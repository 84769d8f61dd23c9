//! The register operations that the kernels are written over.
//!
//! [`Cpu`] is a token: whoever holds one may use its operations. A token of an instruction set that not every machine
//! has can only be obtained from the check that this machine has it, so the safe methods below are sound.

/// How many values a [`Cpu::Vector`] holds, on every instruction set.
///
/// The number is part of the result, not a tuning knob: value `i` of a slice is summed in lane `i % LANES` everywhere,
/// so that all machines add in the same order and get the same bits.
pub(super) const LANES: usize = 8;

/// Operations on vectors of [`LANES`] doubles. None of them fuses a multiplication with an addition, because not every
/// instruction set could.
pub(super) trait Cpu: Copy {
    type Vector: Copy;

    fn splat(self, value: f64) -> Self::Vector;
    fn load(self, values: &[f64; LANES]) -> Self::Vector;
    fn store(self, vector: Self::Vector, to: &mut [f64; LANES]);
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn div(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// Per lane `a < b ? a : b`: the second where either is NaN.
    fn min(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// Per lane `a > b ? a : b`: the second where either is NaN.
    fn max(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// Bit `i` is set unless `low <= value <= high` in lane `i`; a NaN is outside.
    fn outside(self, values: Self::Vector, low: Self::Vector, high: Self::Vector) -> u8;
}
