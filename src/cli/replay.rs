//! `afferent replay`: recorded series through the pipeline.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::adapters::problems::{Reason, Skips};
use crate::adapters::recorded::{Columns, Format};
use crate::adapters::replay::{Consumer, Options, Replay, Summary};
use crate::detect::Detectors;
use crate::ledger::Ledger;
use crate::record::Kind;

/// Replay recorded series through aggregation and detection, at full speed
///
/// Every file is read once, in order, at its own timestamps: values go into windows of one second and through the same
/// detectors as in a running engine (z-score and Tukey's fences over the last 1,000 values, one alarm per event). The
/// score of a row depends on it and on earlier rows only.
///
/// A row that cannot be used (a column missing, not a number, NaN or infinite, no time, a time before an earlier row,
/// not UTF-8) is skipped, counted by its reason, and the first such lines are named. A file that cannot be used is an
/// error, and the others are still replayed.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  Replay two files and see what was unusual in them:
    afferent replay cpu.csv requests.jsonl

  Replay all *.csv and *.jsonl below a folder, write detection files (timestamp,value,anomaly_score):
    afferent replay recordings/ --detections detections/

  Columns with other names:
    afferent replay export.csv --timestamp-column time --value-column latency_ms

  A wide file, each column a series, one combined score a row:
    afferent replay machine.csv --columns all --detections detections/

  Keep the windows and anomalies in segments, to query them later:
    afferent replay cpu.csv --data history/ && afferent query history/ --series cpu

Files:
  CSV with a header line (quotes as in RFC 4180, a row per line), or JSON lines such as
    {\"timestamp\": \"2014-04-01 00:05:00\", \"value\": 20.5}
  Times: 2014-04-01 00:05:00[.25], 2014-04-01T00:05:00Z, ...+02:00, or Unix time as decimal seconds.
  A whole number is seconds below 1e11, milliseconds below 1e14, microseconds below 1e17, else ns.

Exit codes: 0 done, 2 a file or an option could not be used.")]
pub(crate) struct ReplayArgs {
    /// Recorded files, or folders to search for *.csv, *.jsonl and *.ndjson
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// Write DIR/FOLDER/FILE.csv per input, with an `anomaly_score` of 0 to 1 for each row
    #[arg(long, value_name = "DIR")]
    pub(crate) detections: Option<PathBuf>,

    /// Keep windows and anomalies as segments in DIR
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// Name of the column with the time
    #[arg(long, value_name = "NAME", default_value = "timestamp")]
    pub(crate) timestamp_column: String,

    /// Name of the column with the value
    #[arg(long, value_name = "NAME", default_value = "value", conflicts_with = "columns")]
    pub(crate) value_column: String,

    /// What the values are taken as
    #[arg(long, value_name = "KIND", default_value = "gauge")]
    pub(crate) kind: As,

    /// `all`: every column besides the time is a series of its own
    #[arg(long, value_name = "WHICH")]
    pub(crate) columns: Option<Which>,
}

/// What the values are taken as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum As {
    /// The last value of each second counts; any number will do
    Gauge,
    /// Their distribution counts, for quantiles in `query`; values below 0 are clamped to 0 and counted
    Histogram,
}

/// Which columns are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Which {
    /// Every column besides the time
    All,
}

/// How far a replay is: files done, files in all, and the file that comes next.
pub(crate) type Progress<'a> = &'a mut dyn FnMut(usize, usize, &Path);

/// Replays what `args` name and writes the summary to `out`, as one JSON document or as text. `consumer` takes each
/// closed window (the segment store, where `--data` asks for one). Returns the exit status.
///
/// # Errors
/// A message that says what happened, where, and what to change.
pub(crate) fn run(
    args: &ReplayArgs,
    json: bool,
    out: &mut dyn Write,
    progress: Progress<'_>,
    consumer: Option<Consumer<'_>>,
) -> Result<u8, String> {
    let files = find_files(&args.files)?;
    let columns = Columns {
        time: Some(args.timestamp_column.clone()),
        value: Some(args.value_column.clone()),
        all: args.columns == Some(Which::All),
    };
    let kind = if args.kind == As::Histogram { Kind::Histogram } else { Kind::Gauge };
    let options = Options { columns, detectors: Detectors::default(), kind, detections: args.detections.clone() };
    let mut replay = Replay::new(options, consumer);
    let mut summaries = Vec::with_capacity(files.len());
    for (done, file) in files.iter().enumerate() {
        progress(done, files.len(), file);
        summaries.push(replay.file(file).map_err(|error| error.to_string())?);
    }
    let ledger = replay.ledger();
    let written = if json { write_json(out, &summaries, &ledger) } else { write_text(out, &summaries, &ledger) };
    written.map_err(|error| format!("the summary cannot be written: {error}"))?;
    Ok(if summaries.iter().any(|summary| summary.failed.is_some()) { 2 } else { 0 })
}

/// Files as given, folders searched, in the order of their names so that runs are alike.
fn find_files(given: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for path in given {
        if path.is_dir() {
            let before = files.len();
            search(path, &mut files, 0)
                .map_err(|(path, error)| format!("{}: cannot be read: {error}", path.display()))?;
            if files.len() == before {
                return Err(format!("{}: no *.csv, *.jsonl or *.ndjson file in this folder", path.display()));
            }
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

fn search(folder: &Path, files: &mut Vec<PathBuf>, depth: u32) -> Result<(), (PathBuf, io::Error)> {
    /// Deeper than any tree of recordings, and an end to links that lead in circles.
    const DEEPEST: u32 = 32;
    let failed = |error| (folder.to_path_buf(), error);
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        entries.push(entry.map_err(failed)?.path());
    }
    entries.sort();
    for path in entries {
        if path.is_dir() {
            if depth < DEEPEST {
                search(&path, files, depth + 1)?;
            }
        } else if is_recording(&path) {
            files.push(path);
        }
    }
    Ok(())
}

/// In a folder, `json` files are left alone: few of them are JSON lines.
fn is_recording(path: &Path) -> bool {
    let Some(extension) = path.extension() else { return false };
    extension.eq_ignore_ascii_case("csv")
        || (Format::of(path) == Format::JsonLines && !extension.eq_ignore_ascii_case("json"))
}

fn rate(rows: u64, took: Duration) -> f64 {
    let seconds = took.as_secs_f64();
    if seconds > 0.0 { rows as f64 / seconds } else { 0.0 }
}

/// The same figures of all files together.
struct Total {
    rows: u64,
    skipped: u64,
    windows: u64,
    anomalies: u64,
    took: Duration,
}

impl Total {
    fn of(summaries: &[Summary]) -> Total {
        Total {
            rows: summaries.iter().map(|summary| summary.rows).sum(),
            skipped: summaries.iter().map(|summary| summary.skips.total()).sum(),
            windows: summaries.iter().map(|summary| summary.windows).sum(),
            anomalies: summaries.iter().map(|summary| summary.anomalies).sum(),
            took: summaries.iter().map(|summary| summary.took).sum(),
        }
    }
}

fn write_json(out: &mut dyn Write, summaries: &[Summary], ledger: &Ledger) -> io::Result<()> {
    let total = Total::of(summaries);
    let document = json!({
        "files": summaries.iter().map(summary_json).collect::<Vec<_>>(),
        "rows": total.rows,
        "skipped": total.skipped,
        "windows": total.windows,
        "anomalies": total.anomalies,
        "seconds": total.took.as_secs_f64(),
        "rows_per_second": rate(total.rows, total.took),
        "failed": summaries.iter().filter(|summary| summary.failed.is_some()).count(),
        "ledger": ledger_json(ledger),
    });
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

fn summary_json(summary: &Summary) -> Value {
    json!({
        "file": summary.path.to_string_lossy(),
        "series": summary.series,
        "rows": summary.rows,
        "skipped": skips_json(&summary.skips),
        "windows": summary.windows,
        "anomalies": summary.anomalies,
        "seconds": summary.took.as_secs_f64(),
        "rows_per_second": rate(summary.rows, summary.took),
        "detections": summary.detections.as_ref().map(|path| path.to_string_lossy().into_owned()),
        "error": summary.failed,
        "ledger": ledger_json(&summary.ledger),
    })
}

/// `{"not_a_number": {"rows": 2, "lines": [7, 9], "meaning": ".."}}`
fn skips_json(skips: &Skips) -> Value {
    let entry = |(reason, rows, lines): (Reason, u64, &[u64])| {
        (reason.name().to_owned(), json!({ "rows": rows, "lines": lines, "meaning": reason.text() }))
    };
    Value::Object(skips.iter().map(entry).collect::<Map<_, _>>())
}

fn ledger_json(ledger: &Ledger) -> Value {
    let dropped: Map<_, _> =
        ledger.dropped.iter().map(|(cause, count)| (cause.name().to_owned(), count.into())).collect();
    json!({
        "recorded": ledger.recorded,
        "aggregated": ledger.aggregated,
        "dropped": dropped,
        "in_flight": ledger.in_flight,
        "clamped": ledger.clamped,
        "closes": ledger.closes(),
    })
}

fn write_text(out: &mut dyn Write, summaries: &[Summary], ledger: &Ledger) -> io::Result<()> {
    writeln!(out, "{:>10} {:>8} {:>10} {:>9} {:>12}  file", "rows", "skipped", "windows", "anomalies", "rows/s")?;
    for summary in summaries {
        let figures = (summary.rows, summary.skips.total(), summary.windows, summary.anomalies);
        write_figures(out, figures, rate(summary.rows, summary.took), &clean(&summary.path.to_string_lossy()))?;
        for (reason, rows, lines) in summary.skips.iter() {
            let lines: Vec<_> = lines.iter().map(u64::to_string).collect();
            let more = if rows > lines.len() as u64 { ", .." } else { "" };
            writeln!(out, "           {rows} skipped: {} (line {}{more})", reason.text(), lines.join(", "))?;
        }
        if let Some(error) = &summary.failed {
            writeln!(out, "           error: {}", clean(error))?;
        }
    }
    let total = Total::of(summaries);
    let figures = (total.rows, total.skipped, total.windows, total.anomalies);
    write_figures(out, figures, rate(total.rows, total.took), "total")?;
    writeln!(
        out,
        "ledger: {} recorded = {} aggregated + {} dropped + {} in flight: {}",
        ledger.recorded,
        ledger.aggregated,
        ledger.dropped.total(),
        ledger.in_flight,
        if ledger.closes() { "closes" } else { "DOES NOT CLOSE" }
    )
}

fn write_figures(out: &mut dyn Write, figures: (u64, u64, u64, u64), rate: f64, name: &str) -> io::Result<()> {
    let (rows, skipped, windows, anomalies) = figures;
    writeln!(out, "{rows:>10} {skipped:>8} {windows:>10} {anomalies:>9} {rate:>12.0}  {name}")
}

/// Names come from outside, and a terminal obeys control characters.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use std::fs;

    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        args: ReplayArgs,
    }

    fn parse(arguments: &[&str]) -> Result<ReplayArgs, String> {
        let all = ["replay"].iter().chain(arguments);
        Command::try_parse_from(all).map(|command| command.args).map_err(|error| error.to_string())
    }

    fn run_on(arguments: &[&str], json: bool) -> (Result<u8, String>, String, Vec<PathBuf>) {
        let (mut out, mut seen) = (Vec::new(), Vec::new());
        let mut progress = |_: usize, _: usize, file: &Path| seen.push(file.to_path_buf());
        let status = run(&parse(arguments).unwrap(), json, &mut out, &mut progress, None);
        (status, String::from_utf8(out).unwrap(), seen)
    }

    #[test]
    fn folders_are_searched_in_order() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("b/c")).unwrap();
        for name in ["b/c/3.jsonl", "a.csv", "b/2.CSV", "b/labels.json", "b/notes.txt"] {
            fs::write(folder.path().join(name), "timestamp,value\n1,1\n").unwrap();
        }
        fs::write(folder.path().join("b/c/3.jsonl"), "{\"timestamp\": 1, \"value\": 1}\n").unwrap();
        let (status, text, seen) = run_on(&[folder.path().to_str().unwrap()], true);
        assert_eq!(status, Ok(0));
        let names = ["a.csv", "b/2.CSV", "b/c/3.jsonl"].map(|name| folder.path().join(name));
        assert_eq!(seen, names);
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((document["rows"].as_u64(), document["failed"].as_u64()), (Some(3), Some(0)));
        let ledger = &document["ledger"];
        assert_eq!((ledger["recorded"].as_u64(), ledger["aggregated"].as_u64()), (Some(3), Some(3)));
        assert_eq!((ledger["closes"].as_bool(), ledger["in_flight"].as_u64()), (Some(true), Some(0)));
        assert_eq!(ledger["dropped"]["not_finite"].as_u64(), Some(0));
        let empty = folder.path().join("empty");
        fs::create_dir(&empty).unwrap();
        let (status, _, _) = run_on(&[empty.to_str().unwrap()], true);
        assert!(status.unwrap_err().contains("no *.csv"));
    }

    #[test]
    fn bad_rows_and_bad_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let good = folder.path().join("good.csv");
        let bad = folder.path().join("bad\u{1b}[2J.csv");
        fs::write(&good, "time,ms\n1,1\n2,x\n3,3\n").unwrap();
        fs::write(&bad, "").unwrap();
        let arguments =
            [bad.to_str().unwrap(), good.to_str().unwrap(), "--timestamp-column", "time", "--value-column", "ms"];
        let (status, text, _) = run_on(&arguments, false);
        assert_eq!(status, Ok(2), "the bad file is an error, the good one was replayed");
        assert!(text.contains("1 skipped: the value is not a number (line 3)"), "{text}");
        assert!(text.contains("error: ") && text.contains("the file is empty"), "{text}");
        assert!(text.contains("ledger: 2 recorded = 2 aggregated + 0 dropped + 0 in flight: closes"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");

        let (status, text, _) = run_on(&arguments, true);
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((status, document["failed"].as_u64()), (Ok(2), Some(1)));
        assert!(document["files"][0]["error"].as_str().unwrap().contains("is empty"));
        assert_eq!(document["files"][1]["skipped"]["not_a_number"]["lines"], json!([3]));
        assert_eq!(document["files"][1]["error"], Value::Null);
    }

    #[test]
    fn the_command_line_teaches() {
        assert!(parse(&[]).unwrap_err().contains("FILE"));
        assert!(parse(&["f", "--columns", "some"]).unwrap_err().contains("all"));
        assert!(parse(&["f", "--columns", "all", "--value-column", "x"]).is_err());
        let args = parse(&["f", "--columns", "all"]).unwrap();
        assert_eq!((args.columns, args.timestamp_column.as_str()), (Some(Which::All), "timestamp"));
        let help = Command::try_parse_from(["replay", "--help"]).map(|_| ()).unwrap_err().to_string();
        assert!(help.contains("Examples:") && help.contains("--detections"), "{help}");
    }
}
