//! Values and sizes for people.

use super::Unit;

/// A size in binary units, such as `16.0 MiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1_024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1_024.0;
    let mut at = 0;
    while value >= 1_024.0 && at + 1 < UNITS.len() {
        value /= 1_024.0;
        at += 1;
    }
    format!("{value:.1} {}", UNITS[at])
}

/// A value in its unit, for people: `55.2 µs`, `81.9 KiB`, `3.1 %`, `1,997`. At most four digits that mean something,
/// whole plain numbers excepted.
pub(crate) fn humanise(value: f64, unit: Unit) -> String {
    if !value.is_finite() {
        return value.to_string();
    }
    let size = value.abs();
    // Detectors floor their deviations at the smallest normal number, which is nothing to a reader.
    if size < 1e-300 {
        return match unit {
            Unit::Seconds => "0 s".into(),
            Unit::Bytes => "0 B".into(),
            Unit::Ratio => "0 %".into(),
            Unit::None => "0".into(),
        };
    }
    match unit {
        Unit::Seconds => {
            // The unit is chosen after rounding, so that 999.97 µs is 1 ms and not 1000 µs.
            let (scale, name) = match size {
                s if s < 999.95e-9 => (1e9, "ns"),
                s if s < 999.95e-6 => (1e6, "µs"),
                s if s < 999.95e-3 => (1e3, "ms"),
                s if s < 599.95 => (1.0, "s"),
                s if s < 35_997.0 => (1.0 / 60.0, "min"),
                _ => (1.0 / 3_600.0, "h"),
            };
            format!("{} {name}", short(value * scale))
        }
        Unit::Bytes if size < u64::MAX as f64 => {
            let sign = if value < 0.0 { "-" } else { "" };
            format!("{sign}{}", bytes(size.round() as u64))
        }
        Unit::Ratio => format!("{} %", short(100.0 * value)),
        _ if value == value.trunc() && size < 1e15 => {
            format!("{}{}", if value < 0.0 { "-" } else { "" }, thousands(size as u64))
        }
        _ => short(value),
    }
}

/// Four digits that mean something, without zeros at the end: `55.2`, `1345`, `0.0312`, `1.2e-7`.
fn short(value: f64) -> String {
    let size = value.abs();
    if size >= 1e15 || (size > 0.0 && size < 1e-4) {
        return format!("{value:.3e}");
    }
    let whole_digits = if size > 0.0 { size.log10().floor() as i32 + 1 } else { 1 };
    let decimals = (4 - whole_digits).clamp(0, 8) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A whole number with a thin separator every three digits, such as `1,234,567`.
pub(crate) fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A score for people: `6.4`, and `> 100` where it says no more than that a series left a value it had always had.
pub(crate) fn score(score: f64) -> String {
    if score > 100.0 { "> 100".into() } else { format!("{score:.1}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_numbers() {
        assert_eq!((bytes(1_023), bytes(16 << 20)), ("1023 B".into(), "16.0 MiB".into()));
        assert_eq!((thousands(999), thousands(1_234_567)), ("999".into(), "1,234,567".into()));
    }

    #[test]
    fn values_have_their_units() {
        for (number, unit, text) in [
            (55.2e-6, Unit::Seconds, "55.2 µs"),
            (999.97e-6, Unit::Seconds, "1 ms"),
            (0.001_344_511, Unit::Seconds, "1.345 ms"),
            (-0.000_173_956, Unit::Seconds, "-174 µs"),
            (12.34, Unit::Seconds, "12.34 s"),
            (1_200.0, Unit::Seconds, "20 min"),
            (3.0e-12, Unit::Seconds, "0.003 ns"),
            (83_866.0, Unit::Bytes, "81.9 KiB"),
            (-512.0, Unit::Bytes, "-512 B"),
            (0.0312, Unit::Ratio, "3.12 %"),
            (1.0, Unit::Ratio, "100 %"),
            (1_997.0, Unit::None, "1,997"),
            (-1_997.0, Unit::None, "-1,997"),
            (0.577_449_7, Unit::None, "0.5774"),
            (4.001_791, Unit::None, "4.002"),
            (123_456.78, Unit::None, "123457"),
            (6.02e23, Unit::None, "6.020e23"),
            (8.9e-308, Unit::None, "0"),
            (-8.9e-308, Unit::Ratio, "0 %"),
            (0.0, Unit::Seconds, "0 s"),
        ] {
            assert_eq!(humanise(number, unit), text, "{number} {unit:?}");
        }
        assert_eq!(humanise(f64::NAN, Unit::Seconds), "NaN");
    }

    #[test]
    fn scores_end_at_a_hundred() {
        assert_eq!([6.4321, 100.0, 100.01, 1_000.0].map(score), ["6.4", "100.0", "> 100", "> 100"]);
    }
}
