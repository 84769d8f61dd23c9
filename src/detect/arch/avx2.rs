//! AVX2: eight lanes are two 256-bit registers.

#![allow(unsafe_code, reason = "std's intrinsics for an instruction set that not every machine has")]

use std::arch::x86_64::{
    __m256d, _CMP_GE_OQ, _CMP_LE_OQ, _mm256_add_pd, _mm256_and_pd, _mm256_cmp_pd, _mm256_div_pd, _mm256_loadu_pd,
    _mm256_max_pd, _mm256_min_pd, _mm256_movemask_pd, _mm256_mul_pd, _mm256_set1_pd, _mm256_storeu_pd, _mm256_sub_pd,
};

use super::Moments;
use crate::detect::generic;
use crate::detect::vector::{Cpu, LANES};

/// Proof that this machine has AVX2: only [`Avx2::detect`] makes one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx2(());

impl Avx2 {
    pub(super) fn detect() -> Option<Avx2> {
        std::arch::is_x86_feature_detected!("avx2").then_some(Avx2(()))
    }
}

#[derive(Clone, Copy)]
pub(super) struct Pair(__m256d, __m256d);

impl Cpu for Avx2 {
    type Vector = Pair;

    #[inline(always)]
    fn splat(self, value: f64) -> Pair {
        // SAFETY: `self` proves that the machine has AVX2.
        let one = unsafe { _mm256_set1_pd(value) };
        Pair(one, one)
    }

    #[inline(always)]
    fn load(self, values: &[f64; LANES]) -> Pair {
        // SAFETY: `self` proves that the machine has AVX2, and both halves lie within the eight values.
        unsafe { Pair(_mm256_loadu_pd(values.as_ptr()), _mm256_loadu_pd(values.as_ptr().add(4))) }
    }

    #[inline(always)]
    fn store(self, vector: Pair, to: &mut [f64; LANES]) {
        // SAFETY: `self` proves that the machine has AVX2, and both halves lie within the eight values.
        unsafe {
            _mm256_storeu_pd(to.as_mut_ptr(), vector.0);
            _mm256_storeu_pd(to.as_mut_ptr().add(4), vector.1);
        }
    }

    #[inline(always)]
    fn add(self, a: Pair, b: Pair) -> Pair {
        // SAFETY: `self` proves that the machine has AVX2.
        unsafe { Pair(_mm256_add_pd(a.0, b.0), _mm256_add_pd(a.1, b.1)) }
    }

    #[inline(always)]
    fn sub(self, a: Pair, b: Pair) -> Pair {
        // SAFETY: `self` proves that the machine has AVX2.
        unsafe { Pair(_mm256_sub_pd(a.0, b.0), _mm256_sub_pd(a.1, b.1)) }
    }

    #[inline(always)]
    fn mul(self, a: Pair, b: Pair) -> Pair {
        // SAFETY: `self` proves that the machine has AVX2.
        unsafe { Pair(_mm256_mul_pd(a.0, b.0), _mm256_mul_pd(a.1, b.1)) }
    }

    #[inline(always)]
    fn div(self, a: Pair, b: Pair) -> Pair {
        // SAFETY: `self` proves that the machine has AVX2.
        unsafe { Pair(_mm256_div_pd(a.0, b.0), _mm256_div_pd(a.1, b.1)) }
    }

    #[inline(always)]
    fn min(self, a: Pair, b: Pair) -> Pair {
        // SAFETY: `self` proves that the machine has AVX2.
        unsafe { Pair(_mm256_min_pd(a.0, b.0), _mm256_min_pd(a.1, b.1)) }
    }

    #[inline(always)]
    fn max(self, a: Pair, b: Pair) -> Pair {
        // SAFETY: `self` proves that the machine has AVX2.
        unsafe { Pair(_mm256_max_pd(a.0, b.0), _mm256_max_pd(a.1, b.1)) }
    }

    #[inline(always)]
    fn outside(self, values: Pair, low: Pair, high: Pair) -> u8 {
        // SAFETY: `self` proves that the machine has AVX2.
        let inside = |x, low, high| unsafe {
            let above = _mm256_cmp_pd::<_CMP_GE_OQ>(x, low);
            let below = _mm256_cmp_pd::<_CMP_LE_OQ>(x, high);
            _mm256_movemask_pd(_mm256_and_pd(above, below)) as u8
        };
        !(inside(values.0, low.0, high.0) | (inside(values.1, low.1, high.1) << 4))
    }
}

/// Compiles a kernel of [`generic`] for AVX2 and wraps it in a safe function that has made sure of the machine.
macro_rules! instance {
    ($name:ident($($arg:ident: $type:ty),*) $(-> $out:ty)?) => {
        pub(in crate::detect) fn $name($($arg: $type),*) $(-> $out)? {
            #[target_feature(enable = "avx2")]
            fn compiled(cpu: Avx2, $($arg: $type),*) $(-> $out)? {
                generic::$name(cpu, $($arg),*)
            }
            match Avx2::detect() {
                // SAFETY: `cpu` proves that the machine has AVX2.
                Some(cpu) => unsafe { compiled(cpu, $($arg),*) },
                None => generic::$name(super::portable::Portable, $($arg),*),
            }
        }
    };
}

instance!(moments(values: &[f64]) -> Moments);
instance!(extremes(values: &[f64]) -> (f64, f64));
instance!(count_outside(values: &[f64], low: f64, high: f64) -> usize);
instance!(first_outside(values: &[f64], low: f64, high: f64) -> Option<usize>);
instance!(standardise(values: &[f64], mean: f64, deviation: f64, out: &mut [f64]));
