//! `afferent replay`: recorded series through the pipeline.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::recordings;
use crate::adapters::problems::{Reason, Skips};
use crate::adapters::recorded::Columns;
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
  CSV with a header line (quotes as in RFC 4180, but a row is a line: one with a line break inside quotes is skipped
  and counted), or JSON lines such as
    {\"timestamp\": \"2014-04-01 00:05:00\", \"value\": 20.5}
  Times: 2014-04-01 00:05:00[.25], 2014-04-01T00:05:00Z, ...+02:00, or Unix time as decimal seconds.
  A whole number is seconds below 1e11, milliseconds below 1e14, microseconds below 1e17, else ns.

  In folders, links to other folders are not followed. Inputs are never written to.

Ctrl-C ends in order: what was replayed is stored and summed up, the detection file in work is removed.

Exit codes: 0 done, 2 a file or an option could not be used, or the replay was interrupted.")]
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

/// What a replay has around it.
pub(crate) struct Around<'a> {
    /// Is told how far it is: files done, files in all, and the file that comes next.
    pub(crate) progress: &'a mut dyn FnMut(usize, usize, &Path),
    /// Takes what there is to say besides the summary.
    pub(crate) say: &'a mut dyn FnMut(&str),
    /// Whether to end now.
    pub(crate) stop: &'a dyn Fn() -> bool,
}

/// Replays what `args` name and writes the summary to `out`, as one JSON document or as text. `consumer` takes each
/// closed window (the segment store, where `--data` asks for one). Returns the exit status.
///
/// # Errors
/// A message that says what happened, where, and what to change.
pub(crate) fn run(
    args: &ReplayArgs,
    json: bool,
    out: &mut dyn Write,
    around: Around<'_>,
    consumer: Option<Consumer<'_>>,
) -> Result<u8, String> {
    let Around { progress, say, stop } = around;
    let files = recordings::find(&args.files)?;
    let columns = Columns {
        time: Some(args.timestamp_column.clone()),
        value: Some(args.value_column.clone()),
        all: args.columns == Some(Which::All),
    };
    let kind = if args.kind == As::Histogram { Kind::Histogram } else { Kind::Gauge };
    let options = Options { columns, detectors: Detectors::default(), kind, detections: args.detections.clone() };
    let mut replay = Replay::new(options, consumer).stopping(stop);
    replay.check(&files).map_err(|error| error.to_string())?;
    let mut summaries = Vec::with_capacity(files.len());
    let mut interrupted = false;
    for (done, file) in files.iter().enumerate() {
        interrupted = stop();
        if interrupted {
            break;
        }
        progress(done, files.len(), file);
        let summary = replay.file(file).map_err(|error| error.to_string())?;
        if let Some(error) = &summary.failed {
            say(&format!("error: {}", clean(error)));
        }
        interrupted = summary.interrupted;
        summaries.push(summary);
        if interrupted {
            break;
        }
    }
    if interrupted {
        let whole = summaries.iter().filter(|summary| !summary.interrupted && summary.failed.is_none()).count();
        say(&format!("interrupted: {whole} of {} files were replayed to their end", files.len()));
    }
    let ledger = replay.ledger();
    let written =
        if json { write_json(out, &summaries, &ledger, interrupted) } else { write_text(out, &summaries, &ledger) };
    written.map_err(|error| format!("the summary cannot be written: {error}"))?;
    Ok(if interrupted || summaries.iter().any(|summary| summary.failed.is_some()) { 2 } else { 0 })
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

fn write_json(out: &mut dyn Write, summaries: &[Summary], ledger: &Ledger, interrupted: bool) -> io::Result<()> {
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
        "interrupted": interrupted,
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
        "interrupted": summary.interrupted,
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
    // A file of which nothing was read has no figures.
    let nothing = |summary: &&Summary| summary.failed.is_some() && summary.rows + summary.skips.total() == 0;
    let mut read = summaries.iter().filter(|summary| !nothing(summary)).peekable();
    if read.peek().is_none() {
        return Ok(());
    }
    writeln!(out, "{:>10} {:>8} {:>10} {:>9} {:>12}  file", "rows", "skipped", "windows", "anomalies", "rows/s")?;
    for summary in read {
        let figures = (summary.rows, summary.skips.total(), summary.windows, summary.anomalies);
        write_figures(out, figures, rate(summary.rows, summary.took), &clean(&summary.path.to_string_lossy()))?;
        for (reason, rows, lines) in summary.skips.iter() {
            let lines: Vec<_> = lines.iter().map(u64::to_string).collect();
            let more = if rows > lines.len() as u64 { ", .." } else { "" };
            writeln!(out, "           {rows} skipped: {} (line {}{more})", reason.text(), lines.join(", "))?;
        }
        if summary.failed.is_some() {
            writeln!(out, "           the rest could not be read")?;
        }
        if summary.interrupted {
            writeln!(out, "           interrupted")?;
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

    struct Ran {
        status: Result<u8, String>,
        text: String,
        seen: Vec<PathBuf>,
        said: String,
    }

    fn run_until(arguments: &[&str], json: bool, stop: &dyn Fn() -> bool) -> Ran {
        let (mut out, mut seen, mut said) = (Vec::new(), Vec::new(), String::new());
        let mut progress = |_: usize, _: usize, file: &Path| seen.push(file.to_path_buf());
        let mut say = |message: &str| said += &format!("{message}\n");
        let around = Around { progress: &mut progress, say: &mut say, stop };
        let status = run(&parse(arguments).unwrap(), json, &mut out, around, None);
        Ran { status, text: String::from_utf8(out).unwrap(), seen, said }
    }

    fn run_on(arguments: &[&str], json: bool) -> Ran {
        run_until(arguments, json, &|| false)
    }

    #[test]
    fn folders_are_searched_in_order() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("b/c")).unwrap();
        for name in ["b/c/3.jsonl", "a.csv", "b/2.CSV", "b/labels.json", "b/notes.txt"] {
            fs::write(folder.path().join(name), "timestamp,value\n1,1\n").unwrap();
        }
        fs::write(folder.path().join("b/c/3.jsonl"), "{\"timestamp\": 1, \"value\": 1}\n").unwrap();
        let Ran { status, text, seen, .. } = run_on(&[folder.path().to_str().unwrap()], true);
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
        let ran = run_on(&[empty.to_str().unwrap()], true);
        assert!(ran.status.unwrap_err().contains("no *.csv"));
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
        let Ran { status, text, said, .. } = run_on(&arguments, false);
        assert_eq!(status, Ok(2), "the bad file is an error, the good one was replayed");
        assert!(text.contains("1 skipped: the value is not a number (line 3)"), "{text}");
        assert!(said.contains("error: ") && said.contains("the file is empty"), "{said}");
        assert!(!text.contains("bad"), "no figures of a file of which nothing was read: {text}");
        assert!(text.contains("ledger: 2 recorded = 2 aggregated + 0 dropped + 0 in flight: closes"), "{text}");
        assert!(!text.contains('\u{1b}') && !said.contains('\u{1b}'), "{text}{said}");

        let Ran { status, text, .. } = run_on(&arguments, true);
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((status, document["failed"].as_u64()), (Ok(2), Some(1)));
        assert!(document["files"][0]["error"].as_str().unwrap().contains("is empty"));
        assert_eq!(document["files"][1]["skipped"]["not_a_number"]["lines"], json!([3]));
        assert_eq!(document["files"][1]["error"], Value::Null);
    }

    #[test]
    fn a_file_that_is_missing_leaves_standard_output_empty() {
        let Ran { status, text, said, .. } = run_on(&["/no/such/file.csv"], false);
        assert_eq!((status, text.as_str()), (Ok(2), ""));
        assert!(said.contains("/no/such/file.csv: cannot be read"), "{said}");
    }

    /// Whatever lies below a folder, by name and content.
    fn content(folder: &Path) -> Vec<(PathBuf, String)> {
        let mut all = Vec::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                all.extend(content(&path));
            } else {
                all.push((path.clone(), fs::read_to_string(&path).unwrap()));
            }
        }
        all.sort();
        all
    }

    #[test]
    fn an_input_is_never_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        for name in ["rec", "out/rec", "other/rec", "linked"] {
            fs::create_dir_all(path(name)).unwrap();
        }
        for name in ["rec/cpu.csv", "rec/b.csv", "other/rec/cpu.csv"] {
            fs::write(path(name), "timestamp,value\n1,1\n2,2\n").unwrap();
        }
        std::os::unix::fs::symlink(path("rec/cpu.csv"), path("out/rec/b.csv")).unwrap();
        std::os::unix::fs::symlink(path("rec"), path("linked/rec")).unwrap();
        let before = content(folder.path());
        for (inputs, detections) in [
            // The file itself, the same through a folder behind a link, another input behind a link.
            (vec![path("rec/cpu.csv")], path(".")),
            (vec![path("rec")], path(".")),
            (vec![path("rec/cpu.csv")], path("linked")),
            (vec![path("rec/b.csv"), path("rec/cpu.csv")], path("out")),
            // Two inputs, one detection file: said before the first is read.
            (vec![path("rec/cpu.csv"), path("other/rec/cpu.csv")], path("new")),
        ] {
            let mut arguments: Vec<&str> = inputs.iter().map(String::as_str).collect();
            arguments.extend(["--detections", &detections]);
            let ran = run_on(&arguments, true);
            let error = ran.status.unwrap_err();
            assert!(error.contains("would take the place of") || error.contains("separate runs"), "{error}");
            assert_eq!((ran.seen.len(), content(folder.path()) == before), (0, true), "{arguments:?}: {error}");
        }
        let ran = run_on(&[&path("rec"), "--detections", &path("new")], true);
        assert_eq!(ran.status, Ok(0));
        let names: Vec<_> = content(Path::new(&path("new"))).into_iter().map(|(path, _)| path).collect();
        assert_eq!(names, ["new/rec/b.csv", "new/rec/cpu.csv"].map(|name| folder.path().join(name)));
    }

    #[test]
    fn an_interrupted_replay_says_what_was_done() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let row = |at: u64| format!("{},{}\n", 1_700_000_000 + at, at % 7);
        fs::write(path("a.csv"), format!("timestamp,value\n{}", row(0))).unwrap();
        fs::write(path("b.csv"), format!("timestamp,value\n{}", (0..50_000).map(row).collect::<String>())).unwrap();
        fs::write(path("c.csv"), format!("timestamp,value\n{}", row(0))).unwrap();
        let arguments = [&path("a.csv"), &path("b.csv"), &path("c.csv"), "--detections", &path("det"), "--json"];
        let asked = std::cell::Cell::new(0);
        // Per file once, and per piece; the first file takes two pieces, the last of them empty.
        let stop = || {
            asked.set(asked.get() + 1);
            asked.get() > 5
        };
        let Ran { status, text, said, seen } = run_until(&arguments[..5], true, &stop);
        assert_eq!((status, seen.len()), (Ok(2), 2));
        assert!(said.contains("interrupted: 1 of 3 files"), "{said}");
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&document["interrupted"], &document["failed"]), (&true.into(), &0.into()), "{document}");
        let [first, second] = &document["files"].as_array().unwrap()[..] else { panic!("{document}") };
        assert_eq!((&first["interrupted"], &first["rows"]), (&false.into(), &1.into()));
        assert_eq!((&second["interrupted"], &second["detections"]), (&true.into(), &Value::Null));
        assert!((1..50_000).contains(&second["rows"].as_u64().unwrap()), "{second}");
        assert_eq!((&document["ledger"]["closes"], &document["ledger"]["in_flight"]), (&true.into(), &0.into()));
        let detections = content(Path::new(&path("det")));
        assert_eq!(detections.len(), 1, "nothing is left of the file in work: {detections:?}");
        let Ran { status, text, .. } = run_until(&arguments[..5], true, &|| true);
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((status, &document["files"]), (Ok(2), &json!([])));
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
