//! Units of the facade in ours, which are base units.

use ::metrics::Unit as Given;

use crate::record::{Kind, Unit};

/// The unit of a series, and what one of the unit it was described with is in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    pub(super) unit: Unit,
    factor: f64,
}

impl Scale {
    pub(super) fn of(kind: Kind, given: Option<Given>) -> Scale {
        const KIB: f64 = 1024.0;
        let (unit, factor) = match given {
            Some(Given::Percent) => (Unit::Ratio, 0.01),
            Some(Given::Seconds) => (Unit::Seconds, 1.0),
            Some(Given::Milliseconds) => (Unit::Seconds, 1e-3),
            Some(Given::Microseconds) => (Unit::Seconds, 1e-6),
            Some(Given::Nanoseconds) => (Unit::Seconds, 1e-9),
            Some(Given::Bytes) => (Unit::Bytes, 1.0),
            Some(Given::Kibibytes) => (Unit::Bytes, KIB),
            Some(Given::Mebibytes) => (Unit::Bytes, KIB * KIB),
            Some(Given::Gibibytes) => (Unit::Bytes, KIB * KIB * KIB),
            Some(Given::Tebibytes) => (Unit::Bytes, KIB * KIB * KIB * KIB),
            // Counts, and rates, which have no unit here.
            _ => (Unit::None, 1.0),
        };
        // A counter cannot grow by a thousandth.
        if kind == Kind::Counter && factor < 1.0 {
            return Scale { unit: Unit::None, factor: 1.0 };
        }
        Scale { unit, factor }
    }

    pub(super) fn value(self, value: f64) -> f64 {
        value * self.factor
    }

    /// For a counter, whose factor is a whole number.
    pub(super) fn count(self, count: u64) -> u64 {
        count.saturating_mul(self.factor as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_scaled_to_the_base_unit() {
        for (given, unit, value) in [
            (Given::Milliseconds, Unit::Seconds, 0.25),
            (Given::Kibibytes, Unit::Bytes, 256_000.0),
            (Given::Percent, Unit::Ratio, 2.5),
            (Given::Count, Unit::None, 250.0),
            (Given::GigabitsPerSecond, Unit::None, 250.0),
        ] {
            let scale = Scale::of(Kind::Histogram, Some(given));
            assert_eq!((scale.unit, scale.value(250.0)), (unit, value), "{given:?}");
        }
        assert_eq!(Scale::of(Kind::Gauge, None), Scale { unit: Unit::None, factor: 1.0 });
    }

    #[test]
    fn counters_stay_whole() {
        assert_eq!(Scale::of(Kind::Counter, Some(Given::Milliseconds)), Scale { unit: Unit::None, factor: 1.0 });
        let tebibytes = Scale::of(Kind::Counter, Some(Given::Tebibytes));
        assert_eq!((tebibytes.unit, tebibytes.count(3)), (Unit::Bytes, 3 << 40));
        assert_eq!(tebibytes.count(u64::MAX), u64::MAX);
    }
}
