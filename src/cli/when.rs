//! Times and durations as people type them.

use std::time::Duration;

use crate::segment::text::days_from_civil;

const SECOND: i128 = 1_000_000_000;

/// A time in nanoseconds since the Unix epoch: Unix seconds (`1700000000`, `1700000000.25`), RFC 3339
/// (`2026-11-24T10:00:00Z`, `2026-11-24 10:00:00.5+01:00`, `2026-11-24`), `now`, or so long ago (`-5m`, `-1.5h`).
pub(super) fn time(text: &str, now_ns: i64) -> Result<i64, String> {
    let parsed = if text == "now" {
        Some(i128::from(now_ns))
    } else if let Some(ago) = text.strip_prefix('-').and_then(|ago| duration(ago).ok()) {
        Some(i128::from(now_ns) - ago.as_nanos() as i128)
    } else if let Some(ns) = seconds(text) {
        Some(ns)
    } else {
        calendar(text)
    };
    parsed.and_then(|ns| i64::try_from(ns).ok()).ok_or_else(|| {
        format!(
            "{text:?} is no time: use Unix seconds (1700000000.5), RFC 3339 (2026-11-24T10:00:00Z), \
             or a time ago such as -5m"
        )
    })
}

/// A duration: a number with `ns`, `us`, `ms`, `s`, `m`, `h` or `d`; a number alone means seconds.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let unit_at = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let scale = match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "" | "s" => SECOND,
        "m" => 60 * SECOND,
        "h" => 3_600 * SECOND,
        "d" => 86_400 * SECOND,
        _ => 0,
    };
    let error = || format!("{text:?} is no duration: use a number with ns, us, ms, s, m, h or d, such as 10s or 1.5h");
    let ns = decimal(number, scale).filter(|_| scale > 0).ok_or_else(error)?;
    u64::try_from(ns).map(Duration::from_nanos).map_err(|_| error())
}

/// A decimal number times `scale`, exact to the last digit.
fn decimal(text: &str, scale: i128) -> Option<i128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|c| c.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || whole.len() > 19 || fraction.len() > 18 {
        return None;
    }
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut out = whole.checked_mul(scale)?;
    if !fraction.is_empty() {
        out += fraction.parse::<i128>().ok()? * scale / 10_i128.pow(fraction.len() as u32);
    }
    Some(out)
}

fn seconds(text: &str) -> Option<i128> {
    match text.strip_prefix('-') {
        Some(rest) => decimal(rest, SECOND).map(|ns| -ns),
        None => decimal(text, SECOND),
    }
}

/// `YYYY-MM-DD`, optionally `T` or a space and `HH:MM[:SS[.fraction]]`, optionally `Z` or `+HH:MM`.
fn calendar(text: &str) -> Option<i128> {
    if !text.is_ascii() || text.len() < 10 {
        return None;
    }
    let (date, rest) = text.split_at(10);
    let field = |text: &str, from: usize, to: usize| -> Option<i64> {
        let part = text.get(from..to)?;
        if part.bytes().all(|c| c.is_ascii_digit()) { part.parse().ok() } else { None }
    };
    let (year, month, day) = (field(date, 0, 4)?, field(date, 5, 7)?, field(date, 8, 10)?);
    if date.get(4..5) != Some("-") || date.get(7..8) != Some("-") || !(1..=12).contains(&month) {
        return None;
    }
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !(1..=last).contains(&day) {
        return None;
    }
    let midnight = i128::from(days_from_civil(year, month, day)) * 86_400 * SECOND;
    if rest.is_empty() {
        return Some(midnight);
    }
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let zone_at = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
    let (clock, zone) = rest.split_at(zone_at);
    let (hour, minute) = (field(clock, 0, 2)?, field(clock, 3, 5)?);
    if clock.get(2..3) != Some(":") || hour > 23 || minute > 59 {
        return None;
    }
    let seconds = match clock.get(5..)? {
        "" => 0,
        more => decimal(more.strip_prefix(':')?, SECOND).filter(|&ns| ns < 61 * SECOND)?,
    };
    let offset = match zone {
        "" | "Z" | "z" => 0,
        _ => {
            let minutes = field(zone, 1, 3)? * 60 + field(zone, 4, 6)?;
            if zone.len() != 6 || zone.get(3..4) != Some(":") {
                return None;
            }
            if zone.starts_with('-') { -minutes } else { minutes }
        }
    };
    Some(midnight + i128::from(hour * 3_600 + minute * 60 - offset * 60) * SECOND + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let now = 1_000_000 * SECOND as i64;
        for (text, ns) in [
            ("0", 0),
            ("1700000000", 1_700_000_000_000_000_000),
            ("1700000000.000000001", 1_700_000_000_000_000_001),
            ("now", now),
            ("-5m", now - 300_000_000_000),
            ("-1.5h", now - 5_400_000_000_000),
            ("1970-01-02", 86_400_000_000_000),
            ("2023-11-14T22:13:20Z", 1_700_000_000_000_000_000),
            ("2023-11-14 22:13:20.25", 1_700_000_000_250_000_000),
            ("2023-11-14T23:13:20+01:00", 1_700_000_000_000_000_000),
            ("2023-11-14T22:13", 1_699_999_980_000_000_000),
            ("2024-02-29", 1_709_164_800_000_000_000),
        ] {
            assert_eq!(time(text, now), Ok(ns), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_examples() {
        for text in [
            "",
            "yesterday",
            "2023-02-29",
            "2023-13-01",
            "2023-11-14T25:00",
            "2023-11-14Tx",
            "1e9",
            "-",
            "-5x",
            "é",
            "2023-11-14T22:13:20+1",
            "99999999999999999999",
            "2023-11-14T22:13:99Z",
            "9999999999999",
        ] {
            let error = time(text, 0).unwrap_err();
            assert!(error.contains("-5m"), "{text}: {error}");
        }
    }

    #[test]
    fn durations() {
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("2"), Ok(Duration::from_secs(2)));
        for text in ["", "s", "1 s", "-1s", "1w", "1..2s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
