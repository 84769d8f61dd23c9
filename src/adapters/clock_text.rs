//! Times as people and programs write them into files.

const SECOND: i64 = 1_000_000_000;

/// Nanoseconds since the Unix epoch, or `None` where `text` is no time or lies outside 1677 to 2262 (what 64 bits of
/// nanoseconds hold).
///
/// | form | example |
/// | --- | --- |
/// | date and time, UTC | `2014-04-01 00:05:00`, `2014-04-01T00:05:00.25Z`, `2014-04-01T00:05Z` |
/// | with an offset | `2014-04-01T02:05:00+02:00`, `+0200`, `-07` |
/// | Unix time, decimal seconds | `1396310700.25` |
/// | Unix time, integer | `1396310700`: seconds below 1e11, milliseconds below 1e14, microseconds below 1e17, else nanoseconds |
///
/// Digits beyond the ninth of a fraction are cut off. A leap second (`:60`) is the first of the next minute.
pub(super) fn parse(text: &str) -> Option<i64> {
    let bytes = text.trim_ascii().as_bytes();
    if bytes.get(4) == Some(&b'-') { date_time(bytes) } else { unix(bytes) }
}

fn date_time(bytes: &[u8]) -> Option<i64> {
    let (date, rest) = bytes.split_at_checked(10)?;
    let (year, month, day) = (digits(&date[..4])?, digits(&date[5..7])?, digits(&date[8..])?);
    if date[7] != b'-' || !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) {
        return None;
    }
    let mut seconds = days_from_epoch(year, month, day) * 86_400;
    let mut nanos = 0;
    if let [b' ' | b'T' | b't', rest @ ..] = rest {
        let (clock, mut rest) = rest.split_at_checked(5)?;
        let (hour, minute) = (digits(&clock[..2])?, digits(&clock[3..])?);
        if clock[2] != b':' || hour > 23 || minute > 59 {
            return None;
        }
        seconds += hour * 3_600 + minute * 60;
        if let [b':', a, b, after @ ..] = rest {
            let second = digits(&[*a, *b])?;
            if second > 60 {
                return None;
            }
            seconds += second;
            rest = after;
            if let [b'.' | b',', fraction @ ..] = rest {
                let length = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
                nanos = nanos_of(fraction.get(..length)?)?;
                rest = fraction.get(length..)?;
            }
        }
        seconds -= offset(rest.trim_ascii_start())?;
    } else if !rest.is_empty() {
        return None;
    }
    join(seconds, nanos)
}

/// Seconds east of Greenwich.
fn offset(bytes: &[u8]) -> Option<i64> {
    let (sign, rest) = match bytes {
        [] | [b'Z' | b'z'] => return Some(0),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let (hour, minute) = match rest {
        [a, b] => (digits(&[*a, *b])?, 0),
        [a, b, b':', c, d] | [a, b, c, d] => (digits(&[*a, *b])?, digits(&[*c, *d])?),
        _ => return None,
    };
    (hour <= 23 && minute <= 59).then_some(sign * (hour * 3_600 + minute * 60))
}

fn unix(bytes: &[u8]) -> Option<i64> {
    let (sign, bytes) = match bytes {
        [b'-', rest @ ..] => (-1, rest),
        _ => (1, bytes),
    };
    if let Some(point) = bytes.iter().position(|&byte| byte == b'.') {
        let nanos = nanos_of(&bytes[point + 1..])?;
        let seconds = digits(&bytes[..point])?;
        return seconds.checked_mul(SECOND)?.checked_add(nanos)?.checked_mul(sign);
    }
    let number = digits(bytes)?;
    let scale = match number {
        0..100_000_000_000 => SECOND,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        _ => 1,
    };
    number.checked_mul(scale)?.checked_mul(sign)
}

/// A fraction of a second from its digits after the point, in nanoseconds.
fn nanos_of(fraction: &[u8]) -> Option<i64> {
    if fraction.is_empty() || !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let first = &fraction[..fraction.len().min(9)];
    Some(digits(first)? * 10_i64.pow(9 - first.len() as u32))
}

/// A number of at least one digit and no sign.
fn digits(bytes: &[u8]) -> Option<i64> {
    if bytes.is_empty() {
        return None;
    }
    let mut number = 0_i64;
    for byte in bytes {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(i64::from(digit))?;
    }
    Some(number)
}

fn join(seconds: i64, nanos: i64) -> Option<i64> {
    i64::try_from(i128::from(seconds) * i128::from(SECOND) + i128::from(nanos)).ok()
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the Gregorian calendar. Years are counted from March, so that the leap day comes last.
fn days_from_epoch(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    // 153 days are in any five months from March or August on.
    let in_year = (153 * month + 2) / 5 + day - 1;
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    365 * year + leaps + in_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_form_is_read() {
        let ns = 1_396_310_700 * SECOND;
        for text in [
            "2014-04-01 00:05:00",
            " 2014-04-01T00:05:00Z ",
            "2014-04-01T00:05Z",
            "2014-04-01T00:05:00.000000",
            "2014-04-01T02:05:00+02:00",
            "2014-03-31 17:05:00-0700",
            "2014-03-31 17:05:00 -07",
            "1396310700",
            "1396310700.0",
            "1396310700000",
            "1396310700000000",
            "1396310700000000000",
        ] {
            assert_eq!(parse(text), Some(ns), "{text}");
        }
        assert_eq!(parse("2014-04-01 00:05:00.25"), Some(ns + SECOND / 4));
        assert_eq!(parse("2014-04-01 00:05:00.1234567899"), Some(ns + 123_456_789));
        assert_eq!(parse("2014-04-01"), Some(ns - 300 * SECOND));
        assert_eq!(parse("-1.5"), Some(-1_500_000_000));
        assert_eq!(parse("0"), Some(0));
        assert_eq!(parse("1960-02-29"), Some(-3_594 * 86_400 * SECOND));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "-",
            ".",
            "1.",
            ".5",
            "abc",
            "1e9",
            "nan",
            "2014-13-01 00:00:00",
            "2014-02-29",
            "1900-02-29",
            "2014-04-31",
            "2014-04-00",
            "2014-04-01 24:00:00",
            "2014-04-01 00:60:00",
            "2014-04-01 00:00:61",
            "2014-04-01 00:00:00.",
            "2014-04-01 00:00:00 CET",
            "2014-04-01 00",
            "2014-04-01x",
            "2014/04/01",
            "2014-04-01 00:00:00+",
            "2014-04-01 00:00:00+25:00",
            "9999-01-01",
            "0001-01-01",
            "99999999999999999999",
            "9223372036854775807.5",
            "２０１４-04-01",
            "201é-04-01 00:00:00",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "[-+0-9:.TZ é]{0,30}") {
            let _ = parse(&text);
        }

        #[test]
        fn days_follow_each_other(days in -100_000_i64..100_000) {
            // Count days up by the calendar's own rule and compare.
            let (mut year, mut left) = (1970_i64, days);
            let length = |year| 337 + days_in(year, 2);
            while left < 0 { year -= 1; left += length(year); }
            while left >= length(year) { left -= length(year); year += 1; }
            let mut month = 1;
            while left >= days_in(year, month) { left -= days_in(year, month); month += 1; }
            prop_assert_eq!(days_from_epoch(year, month, left + 1), days);
        }
    }
}
