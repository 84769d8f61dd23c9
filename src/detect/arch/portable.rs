//! Plain Rust, for every machine. Compilers turn the eight-lane loops into whatever vectors the target always has.

use crate::detect::vector::{Cpu, LANES};

#[derive(Clone, Copy, Debug)]
pub(super) struct Portable;

#[inline(always)]
fn each(a: [f64; LANES], b: [f64; LANES], f: impl Fn(f64, f64) -> f64) -> [f64; LANES] {
    std::array::from_fn(|lane| f(a[lane], b[lane]))
}

impl Cpu for Portable {
    type Vector = [f64; LANES];

    #[inline(always)]
    fn splat(self, value: f64) -> Self::Vector {
        [value; LANES]
    }

    #[inline(always)]
    fn load(self, values: &[f64; LANES]) -> Self::Vector {
        *values
    }

    #[inline(always)]
    fn store(self, vector: Self::Vector, to: &mut [f64; LANES]) {
        *to = vector;
    }

    #[inline(always)]
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        each(a, b, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        each(a, b, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        each(a, b, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        each(a, b, |a, b| a / b)
    }

    #[inline(always)]
    fn min(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        each(a, b, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn max(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        each(a, b, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn outside(self, values: Self::Vector, low: Self::Vector, high: Self::Vector) -> u8 {
        let mut mask = 0;
        for lane in 0..LANES {
            let inside = (values[lane] >= low[lane]) & (values[lane] <= high[lane]);
            mask |= u8::from(!inside) << lane;
        }
        mask
    }
}
