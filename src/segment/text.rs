//! Times and sizes for people.

use std::fmt::Write as _;
use std::path::Path;

use crate::record::{Unit, humanise};

pub(crate) use crate::record::{bytes, thousands};

/// A time as RFC 3339 in UTC with milliseconds, such as `2026-11-24T10:00:00.250Z`.
pub(crate) fn rfc3339(ns: i64) -> String {
    let seconds = ns.div_euclid(1_000_000_000);
    let millis = ns.rem_euclid(1_000_000_000) / 1_000_000;
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{millis:03}Z", rest / 3_600, rest / 60 % 60, rest % 60)
}

/// Year, month and day of a number of days since 1970-01-01, in the Gregorian calendar.
///
/// Counted in eras of 400 years that begin on 1 March, so that the leap day is the last day of a year (the method of
/// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", public domain).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Days since 1970-01-01 of a date; the inverse of [`civil`].
pub(crate) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// A value in its unit, see [`humanise`]; `-` where there is no value. `unit` is a unit's suffix ([`Unit::suffix`]).
pub(crate) fn value(value: Option<f64>, unit: &str) -> String {
    let known = [Unit::Seconds, Unit::Bytes, Unit::Ratio].into_iter().find(|known| known.suffix() == unit);
    match value.filter(|value| value.is_finite()) {
        Some(value) => humanise(value, known.unwrap_or_default()),
        None => "-".into(),
    }
}

/// A number of things: `1 file`, `1,234 files`.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", thousands(count), if count == 1 { one } else { many })
}

/// `name{label="value",..}` with `\`, `"` and line ends escaped, as in a selector.
pub(crate) fn series(name: &str, labels: &[(String, String)]) -> String {
    let mut out = String::from(name);
    for (at, (key, value)) in labels.iter().enumerate() {
        out.push(if at == 0 { '{' } else { ',' });
        out.push_str(key);
        out.push_str("=\"");
        for c in value.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                c => out.push(c),
            }
        }
        out.push('"');
    }
    if !labels.is_empty() {
        out.push('}');
    }
    out
}

/// Columns padded to their widest cell; the first is aligned to the left, the others to the right.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            if column == 0 {
                let _ = write!(line, "{cell:<width$}");
            } else {
                let _ = write!(line, "  {cell:>width$}");
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// Text with control characters made visible, so that a hostile name cannot steer a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
}

/// A path for people: lossy where it is no text, without control characters.
pub(crate) fn path(path: &Path) -> String {
    printable(&path.to_string_lossy())
}

/// A path in JSON: lossy where it is no text, for a report about such a file is better than none.
pub(crate) fn lossy_path<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(rfc3339(951_782_400_000_000_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(rfc3339(1_700_000_000_250_000_000), "2023-11-14T22:13:20.250Z");
        for days in (-800_000..800_000).step_by(37) {
            let (year, month, day) = civil(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
    }

    #[test]
    fn numbers_of_things() {
        assert_eq!(counted(1, "file", "files"), "1 file");
        assert_eq!(counted(0, "file", "files"), "0 files");
    }

    #[test]
    fn values_have_their_units_by_suffix() {
        for (unit, text) in
            [(Unit::Seconds, "55.2 ms"), (Unit::Bytes, "0 B"), (Unit::Ratio, "5.52 %"), (Unit::None, "0.0552")]
        {
            assert_eq!(value(Some(0.0552), unit.suffix()), text);
        }
        assert_eq!((value(None, "seconds"), value(Some(f64::NAN), "")), ("-".into(), "-".into()));
    }

    #[test]
    fn control_characters_show() {
        assert_eq!(printable("a\u{1b}[31mé"), "a\\u{1b}[31mé");
    }
}
