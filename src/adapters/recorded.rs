//! Reads recorded series: CSV with a header, or JSON lines; one value column, or all.
//!
//! A bad *row* is skipped and counted by its reason, with the first few lines named; a bad *file* (empty, no such
//! column, a line of more than 1 MiB) is an error. Nothing in a file makes this panic, and none costs more memory than
//! the longest line allowed.

use std::borrow::Cow;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::clock_text;
use super::csv::{Csv, Fields};
use super::json_lines::{self, JsonLines};
use super::lines::{LineError, Lines};
use super::problems::{MOST_COLUMNS, Problem, ReadError, Reason, Skips};

/// Which columns to read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Columns {
    /// Name of the time column; `timestamp` where unset.
    pub(crate) time: Option<String>,
    /// Name of the value column; `value` where unset.
    pub(crate) value: Option<String>,
    /// Read every column except the time's, a series each.
    pub(crate) all: bool,
}

/// How a file is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Csv,
    JsonLines,
}

impl Format {
    /// By the file's extension: `jsonl`, `ndjson` and `json` are JSON lines, everything else is CSV.
    pub(crate) fn of(path: &Path) -> Format {
        let json = |extension: &std::ffi::OsStr| {
            ["jsonl", "ndjson", "json"].iter().any(|known| extension.eq_ignore_ascii_case(known))
        };
        if path.extension().is_some_and(json) { Format::JsonLines } else { Format::Csv }
    }
}

/// What a row says, as written.
#[derive(Debug)]
pub(super) struct RowText<'a> {
    pub(super) time: Cow<'a, str>,
    pub(super) value: Cow<'a, str>,
}

/// One row.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    /// Nanoseconds since the Unix epoch.
    pub(crate) time_ns: i64,
    /// The time as it stands in the file.
    pub(crate) time_text: &'a str,
    /// One number per column; NaN where the row has none (only where several columns are read).
    pub(crate) values: &'a [f64],
    /// The last value as it stands in the file.
    pub(crate) value_text: &'a str,
    /// The row's time lies before that of an earlier one, so it was counted as skipped and must not be recorded. It is
    /// handed out because its text belongs into a detection file all the same.
    pub(crate) backwards: bool,
    /// How many values were accepted so far, those of this row included.
    pub(crate) accepted_values: u64,
}

/// A recorded file, row by row.
pub(crate) struct Recording<R> {
    path: PathBuf,
    lines: Lines<R>,
    rows: Rows,
    columns: Vec<String>,
    values: Vec<f64>,
    latest_ns: i64,
    /// The first line of a JSON file is a row; it has been looked at for its columns and is still to be read.
    again: bool,
    accepted: u64,
    accepted_values: u64,
    blank: u64,
    skips: Skips,
}

enum Rows {
    Csv(Csv),
    JsonLines(JsonLines),
}

impl<R: Read> Recording<R> {
    /// Reads the header.
    pub(crate) fn open(path: &Path, from: R, format: Format, columns: &Columns) -> Result<Recording<R>, ReadError> {
        let mut lines = Lines::new(from);
        let error = |line, problem| ReadError { path: path.into(), line, problem };
        let mut blank = 0;
        loop {
            match lines.advance() {
                Ok(true) if lines.line().trim_ascii().is_empty() => blank += 1,
                Ok(true) => break,
                Ok(false) => return Err(error(0, Problem::Empty)),
                Err(LineError::TooLong) => return Err(error(lines.number(), Problem::TooLong)),
                Err(LineError::Io(io)) => return Err(error(lines.number(), Problem::Io(io))),
            }
        }
        let number = lines.number();
        let first = std::str::from_utf8(lines.line()).map_err(|_| error(number, Problem::NotUtf8))?;
        let (rows, names) = match format {
            Format::Csv => csv_columns(first, columns),
            Format::JsonLines => json_columns(first, columns),
        }
        .map_err(|problem| error(number, problem))?;
        let again = format == Format::JsonLines;
        let latest_ns = i64::MIN;
        let (values, skips) = (Vec::with_capacity(names.len()), Skips::default());
        Ok(Recording {
            path: path.into(),
            lines,
            rows,
            columns: names,
            values,
            latest_ns,
            again,
            accepted: 0,
            accepted_values: 0,
            blank,
            skips,
        })
    }

    /// The names of the value columns.
    pub(crate) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Rows handed out so far, without those that go back in time.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Values in those rows.
    pub(crate) fn accepted_values(&self) -> u64 {
        self.accepted_values
    }

    /// Rows skipped so far.
    pub(crate) fn skips(&self) -> &Skips {
        &self.skips
    }

    /// The number of the current line, counted from 1.
    #[cfg(any(test, loom, fuzzing))]
    pub(crate) fn line(&self) -> u64 {
        self.lines.number()
    }

    /// Hands every row to `each`, in the order of the file.
    pub(crate) fn for_each<E: From<ReadError>>(
        &mut self,
        mut each: impl FnMut(&Row<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        loop {
            if !std::mem::take(&mut self.again) && !self.step()? {
                return Ok(());
            }
            let number = self.lines.number();
            let bytes = self.lines.line();
            if bytes.trim_ascii().is_empty() {
                self.blank += 1;
                continue;
            }
            let Ok(line) = std::str::from_utf8(bytes) else {
                self.skips.add(Reason::NotUtf8, number);
                continue;
            };
            self.values.clear();
            let text = match &mut self.rows {
                Rows::Csv(csv) => csv.read(line, &mut self.values),
                Rows::JsonLines(json) => json.read(line, &mut self.values),
            };
            let text = match text {
                Ok(text) => text,
                Err(reason) => {
                    self.skips.add(reason, number);
                    continue;
                }
            };
            let Some(time_ns) = clock_text::parse(&text.time) else {
                self.skips.add(Reason::BadTime, number);
                continue;
            };
            let backwards = time_ns < self.latest_ns;
            if backwards {
                self.skips.add(Reason::TimeBackwards, number);
            } else {
                self.latest_ns = time_ns;
                self.accepted += 1;
                self.accepted_values += self.values.iter().filter(|value| !value.is_nan()).count() as u64;
            }
            each(&Row {
                time_ns,
                time_text: &text.time,
                values: &self.values,
                value_text: &text.value,
                backwards,
                accepted_values: self.accepted_values,
            })?;
        }
    }

    fn step(&mut self) -> Result<bool, ReadError> {
        self.lines.advance().map_err(|error| {
            let problem = match error {
                LineError::TooLong => Problem::TooLong,
                LineError::Io(io) => Problem::Io(io),
            };
            ReadError { path: self.path.clone(), line: self.lines.number(), problem }
        })
    }
}

fn csv_columns(header: &str, columns: &Columns) -> Result<(Rows, Vec<String>), Problem> {
    let mut fields = Fields::default();
    if !fields.split(header) {
        return Err(Problem::Quotes);
    }
    let names: Vec<String> =
        (0..fields.len()).map(|at| fields.get(header, at).unwrap_or_default().to_owned()).collect();
    // A header may consist of numbers, so the columns are looked for first.
    let time = find(&names, columns.time.as_deref(), "timestamp", "--timestamp-column")
        .map_err(|problem| if is_data(&names) { Problem::NoHeader } else { problem })?;
    let values: Vec<usize> = if columns.all {
        (0..names.len()).filter(|&at| at != time).collect()
    } else {
        vec![find(&names, columns.value.as_deref(), "value", "--value-column")?]
    };
    check_count(values.len())?;
    let chosen = values.iter().filter_map(|&at| names.get(at).cloned()).collect();
    Ok((Rows::Csv(Csv::new(time, values)), chosen))
}

fn json_columns(first: &str, columns: &Columns) -> Result<(Rows, Vec<String>), Problem> {
    let (names, numbers) = json_lines::members(first).ok_or(Problem::NoObject)?;
    let name = |at: usize| names.get(at).cloned().unwrap_or_default();
    let time = name(find(&names, columns.time.as_deref(), "timestamp", "--timestamp-column")?);
    let values: Vec<String> = if columns.all {
        numbers.into_iter().filter(|number| *number != time).collect()
    } else {
        vec![name(find(&names, columns.value.as_deref(), "value", "--value-column")?)]
    };
    check_count(values.len())?;
    Ok((Rows::JsonLines(JsonLines::new(time, values.clone())), values))
}

fn check_count(columns: usize) -> Result<(), Problem> {
    match columns {
        0 => Err(Problem::NoValues),
        1..=MOST_COLUMNS => Ok(()),
        _ => Err(Problem::TooManyColumns(columns)),
    }
}

/// The position of a column: exactly as named, else whatever the case of its letters.
fn find(names: &[String], wanted: Option<&str>, usual: &str, option: &'static str) -> Result<usize, Problem> {
    let wanted = wanted.unwrap_or(usual);
    let exact = names.iter().position(|name| name == wanted);
    exact
        .or_else(|| names.iter().position(|name| name.eq_ignore_ascii_case(wanted)))
        .ok_or_else(|| Problem::NoSuchColumn { wanted: wanted.into(), option, existing: names.to_vec() })
}

/// Whether a line of CSV is a row rather than a header: a time, and a number somewhere behind it.
fn is_data(fields: &[String]) -> bool {
    matches!(fields, [time, rest @ ..] if clock_text::parse(time).is_some()
        && rest.iter().any(|field| field.parse::<f64>().is_ok()))
}

/// For the fuzz target: reads `bytes` in every way there is and holds the outcome to what must be true of any file.
///
/// # Panics
/// If a row is lost, a value differs from the one a plain reading of its text gives, or an example names no line.
#[cfg(any(test, loom, fuzzing))]
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    for format in [Format::Csv, Format::JsonLines] {
        for all in [false, true] {
            check(bytes, format, &Columns { all, ..Columns::default() });
        }
    }
}

#[cfg(any(test, loom, fuzzing))]
fn check(bytes: &[u8], format: Format, columns: &Columns) {
    use super::problems::EXAMPLES;

    let Ok(mut recording) = Recording::open(Path::new("fuzz"), bytes, format, columns) else { return };
    let width = recording.columns().len();
    let header = recording.line();
    let blank_before = recording.blank;
    let mut latest = i64::MIN;
    let mut handed_out = 0;
    let end: Result<(), ReadError> = recording.for_each(|row| {
        assert_eq!(row.values.len(), width);
        assert_eq!(clock_text::parse(row.time_text), Some(row.time_ns));
        assert_eq!(row.backwards, row.time_ns < latest);
        latest = latest.max(row.time_ns);
        handed_out += u64::from(!row.backwards);
        for &value in row.values {
            assert!(value.is_finite() || (value.is_nan() && width > 1));
        }
        if width == 1 {
            // A JSON number's text is made anew, so it has the same value if not the same digits.
            assert_eq!(row.value_text.parse::<f64>().ok(), row.values.first().copied());
        }
        Ok(())
    });
    assert_eq!(handed_out, recording.accepted());
    for (_, count, lines) in recording.skips().iter() {
        assert_eq!(lines.len() as u64, count.min(EXAMPLES as u64));
        assert!(lines.iter().all(|&line| line >= header && line <= recording.line()));
    }
    if end.is_ok() {
        // Every line behind the header is a row, a skip or blank; the first of a JSON file is a row itself.
        let lines = recording.line() - header + u64::from(format == Format::JsonLines);
        assert_eq!(recording.accepted() + recording.skips().total() + recording.blank - blank_before, lines);
        let ends = bytes.split(|&byte| byte == b'\n').count() as u64 - 1;
        assert_eq!(recording.line(), ends + u64::from(!bytes.ends_with(b"\n")));
    }
}
