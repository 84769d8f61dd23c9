//! What can be wrong with a recorded file: rows that are skipped, and files that are refused.

use std::fmt;
use std::path::{Path, PathBuf};

use super::lines::LONGEST;

/// The most columns read as series: as many as a metric may have. It also bounds what a hostile header can cost, since
/// every series keeps a history.
pub(super) const MOST_COLUMNS: usize = 2_000;

/// Why a row was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Reason {
    MissingColumn,
    NotANumber,
    NotFinite,
    BadTime,
    TimeBackwards,
    NotUtf8,
    Quotes,
    Json,
}

impl Reason {
    pub(crate) const ALL: [Reason; 8] = [
        Reason::MissingColumn,
        Reason::NotANumber,
        Reason::NotFinite,
        Reason::BadTime,
        Reason::TimeBackwards,
        Reason::NotUtf8,
        Reason::Quotes,
        Reason::Json,
    ];

    /// The name used in JSON.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Reason::MissingColumn => "missing_column",
            Reason::NotANumber => "not_a_number",
            Reason::NotFinite => "not_finite",
            Reason::BadTime => "bad_time",
            Reason::TimeBackwards => "time_backwards",
            Reason::NotUtf8 => "not_utf8",
            Reason::Quotes => "quotes",
            Reason::Json => "json",
        }
    }

    /// What is wrong, in words.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Reason::MissingColumn => "the row has fewer columns than the header",
            Reason::NotANumber => "the value is not a number",
            Reason::NotFinite => "the value is NaN or infinite",
            Reason::BadTime => "the time is none of the known forms (such as 2014-04-01 00:05:00, or Unix time)",
            Reason::TimeBackwards => "the time lies before that of an earlier row",
            Reason::NotUtf8 => "the row is not UTF-8",
            Reason::Quotes => "the quotes do not match within the line",
            Reason::Json => "the line is not a JSON object",
        }
    }
}

/// Lines remembered per reason.
pub(super) const EXAMPLES: usize = 3;

/// Rows that were skipped, by reason.
#[derive(Clone, Debug, Default)]
pub(crate) struct Skips {
    counts: [u64; Reason::ALL.len()],
    first: [Vec<u64>; Reason::ALL.len()],
}

impl Skips {
    pub(super) fn add(&mut self, reason: Reason, line: u64) {
        self.counts[reason as usize] += 1;
        let first = &mut self.first[reason as usize];
        if first.len() < EXAMPLES {
            first.push(line);
        }
    }

    pub(crate) fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Reason, count and the first lines, for every reason that occurred.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Reason, u64, &[u64])> + '_ {
        let all = Reason::ALL
            .into_iter()
            .map(|reason| (reason, self.counts[reason as usize], self.first[reason as usize].as_slice()));
        all.filter(|&(_, count, _)| count > 0)
    }
}

/// Why a file could not be read (further).
#[derive(Debug)]
pub(crate) struct ReadError {
    pub(super) path: PathBuf,
    /// 0 where the problem is the file as a whole.
    pub(super) line: u64,
    pub(super) problem: Problem,
}

#[derive(Debug)]
pub(super) enum Problem {
    Io(std::io::Error),
    /// Nothing in it.
    Empty,
    /// The first line is data.
    NoHeader,
    /// The first line is no JSON object.
    NoObject,
    NotUtf8,
    Quotes,
    TooLong,
    NoSuchColumn {
        wanted: String,
        option: &'static str,
        existing: Vec<String>,
    },
    NoValues,
    TooManyColumns(usize),
}

impl ReadError {
    pub(crate) fn io(path: &Path, error: std::io::Error) -> ReadError {
        ReadError { path: path.into(), line: 0, problem: Problem::Io(error) }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.path.display())?;
        if self.line > 0 {
            write!(out, ", line {}", self.line)?;
        }
        out.write_str(": ")?;
        match &self.problem {
            Problem::Io(error) => write!(out, "cannot be read: {error}"),
            Problem::Empty => out.write_str(
                "the file is empty: give a CSV file that begins with a header such as `timestamp,value`, or JSON lines",
            ),
            Problem::NoHeader => {
                out.write_str("this is data, and a header was expected: put a line such as `timestamp,value` before it")
            }
            Problem::NoObject => out.write_str(
                "this is not a JSON object: give lines such as {\"timestamp\": \"2014-04-01 00:05:00\", \"value\": 1}",
            ),
            Problem::NotUtf8 => out.write_str("the header is not UTF-8: convert the file to UTF-8"),
            Problem::Quotes => out.write_str("the quotes of the header do not match: close them within the line"),
            Problem::TooLong => {
                write!(out, "the line is longer than {LONGEST} bytes: break the file into lines, one row each")
            }
            Problem::NoSuchColumn { wanted, option, existing } => {
                write!(out, "there is no column {wanted:?}: choose one with {option} (the file has ")?;
                // A hostile header can hold half a million names.
                for (at, name) in existing.iter().take(20).enumerate() {
                    let name: String = name.chars().take(60).collect();
                    write!(out, "{}{name:?}", if at == 0 { "" } else { ", " })?;
                }
                match existing.len() {
                    ..=20 => out.write_str(")"),
                    more => write!(out, " and {} more)", more - 20),
                }
            }
            Problem::TooManyColumns(count) => write!(
                out,
                "there are {count} columns, and at most {MOST_COLUMNS} can be replayed as series: split the file"
            ),
            Problem::NoValues => out.write_str("there is no column besides the time: add at least one"),
        }
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.problem {
            Problem::Io(error) => Some(error),
            _ => None,
        }
    }
}
