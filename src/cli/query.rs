//! `afferent query`: figures, anomalies and accounts from segments.

use std::io::Write;
use std::path::PathBuf;

use super::when;
use crate::query::{Query, Selector, Stat, evaluate};
use crate::segment::Directory;

/// Ask segments for figures of series, for anomalies, or for the account
///
/// Ranges are on the starts of windows: --from is included, --to is not. Counts, sums and extremes are exact; quantiles
/// come from merged histograms and are within 1/1,024 of the exact ones, over any range, any number of files and runs.
/// Damaged blocks are listed and everything else is in the answer.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  afferent query telemetry/ --series 'planning_time{agent_id=\"a1\"}'
  afferent query telemetry/ --series '*' --from -1h --stat count,p50,p99.9
  afferent query telemetry/ --series actions --step 1m --stat rate
  afferent query telemetry/ --anomalies --from 2026-11-24T10:00:00Z --to 2026-11-24T11:00:00Z
  afferent query telemetry/ --ledger

Values in tables are rounded and carry their unit; --json has them in full, in base units (seconds, bytes, 1 = 100 %).

Selectors: name, name{label=\"value\",other!=\"value\"}, {label=\"value\"}, *
Statistics: count, sum, min, max, mean (of a counter: per window), last, rate (a second), and percentiles: p50, p99, p99.9
Times: Unix seconds (1700000000.5), RFC 3339 (2026-11-24T10:00:00Z), now, or a time ago (-5m, -1.5h)

Exit codes: 0 done, 2 the path cannot be read, holds no segments, or an argument is wrong.")]
pub(crate) struct QueryArgs {
    /// A segment file, or a directory that holds segments
    path: PathBuf,
    /// Which series; all of them if left out
    #[arg(long, value_name = "SELECTOR")]
    series: Option<Selector>,
    /// Only windows that start at or after this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<String>,
    /// Only windows that start before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: Option<String>,
    /// Figures for each step of this length, such as 10s or 1m, instead of one for the whole range
    #[arg(long, value_name = "DURATION")]
    step: Option<String>,
    /// Which figures, separated by commas [default: count,mean,min,max,last,p50,p95,p99]
    #[arg(long = "stat", value_name = "STAT", value_delimiter = ',')]
    stats: Vec<Stat>,
    /// List the anomalies of the series
    #[arg(long)]
    anomalies: bool,
    /// List the account at the end of each window
    #[arg(long)]
    ledger: bool,
}

/// Runs the command at the time `now_ns`; returns the exit code.
pub(crate) fn run(args: &QueryArgs, json: bool, out: &mut dyn Write, now_ns: i64) -> Result<u8, String> {
    let time = |name: &str, text: &Option<String>| match text {
        None => Ok(None),
        Some(text) => when::time(text, now_ns).map(Some).map_err(|error| format!("--{name}: {error}")),
    };
    let step_ns = match &args.step {
        None => None,
        Some(text) => {
            let step = when::duration(text).map_err(|error| format!("--step: {error}"))?;
            let step = i64::try_from(step.as_nanos()).unwrap_or(i64::MAX);
            if step == 0 {
                return Err("--step: 0 is no step: use a duration such as 10s, or leave it out".into());
            }
            Some(step)
        }
    };
    // Someone who asks only for anomalies or the account does not want a table of all series before it.
    let only_lists = (args.anomalies || args.ledger) && args.stats.is_empty();
    let query = Query {
        selector: args.series.clone().unwrap_or_default(),
        from_ns: time("from", &args.from)?,
        to_ns: time("to", &args.to)?,
        step_ns,
        stats: match (&args.stats[..], only_lists) {
            (_, true) => Vec::new(),
            ([], false) => Stat::DEFAULT.to_vec(),
            (stats, false) => stats.to_vec(),
        },
        anomalies: args.anomalies,
        ledger: args.ledger,
    };
    if let (Some(from), Some(to)) = (query.from_ns, query.to_ns)
        && from >= to
    {
        return Err("--from is not before --to: the range is empty".into());
    }
    let directory = Directory::open(&args.path).map_err(|error| error.to_string())?;
    let result = evaluate(&directory, &query);
    let written = if json {
        serde_json::to_writer(&mut *out, &result).map_err(std::io::Error::from).and_then(|()| writeln!(out))
    } else {
        out.write_all(result.render(&query.stats).as_bytes())
    };
    written.map_err(|error| error.to_string())?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::Store;
    use crate::segment::tests::{Source, TestClock};
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: QueryArgs,
    }

    fn ask(path: &std::path::Path, arguments: &[&str], json: bool) -> Result<String, String> {
        let arguments = ["query", path.to_str().unwrap()].into_iter().chain(arguments.iter().copied());
        let cli = Cli::try_parse_from(arguments).map_err(|error| error.to_string())?;
        let mut out = Vec::new();
        run(&cli.args, json, &mut out, 1_700_000_060 * 1_000_000_000)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn answers_as_text_and_json() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path(), TestClock::new().config()).unwrap();
        let mut source = Source::new();
        for _ in 0..90 {
            store.append(&source.full_window()).unwrap();
        }
        store.close().unwrap();
        let path = dir.path();
        let text = ask(path, &["--series", "actions", "--stat", "count,rate"], false).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert!(text.contains("270") && text.contains("rate"), "{text}");
        let json = ask(path, &["--series", "load", "--from", "-10s", "--step", "5s", "--stat", "last"], true).unwrap();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["series"][0]["steps"][0]["values"]["last"], 54.0);
        let text = ask(path, &["--anomalies", "--to", "1700000003"], false).unwrap();
        assert!(text.starts_with("3 anomalies"), "{text}");
        assert!(ask(path, &["--ledger"], false).unwrap().contains("closes"));
        for (arguments, message) in [
            (&["--series", "m{"][..], "label name"),
            (&["--from", "soon"][..], "--from: \"soon\" is no time"),
            (&["--step", "0s"][..], "is no step"),
            (&["--stat", "median"][..], "p99.9"),
            (&["--from", "2", "--to", "1"][..], "empty"),
        ] {
            let error = ask(path, arguments, false).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
    }
}
