//! `afferent bench`: what things cost on this machine, each beside its limit measured in the same run.

mod pipeline;
mod record;
mod timing;

use std::io::{self, Write};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::progress::Progress;

/// Arguments of `bench`.
#[derive(Args, Debug)]
#[command(after_help = "\
Every figure stands beside its limit: what the hardware asks for the same work, measured in the same run, the \
repetitions of both interleaved. The ratio is cost over the limit's cost: 1 is at the limit, more is worse. The spread \
is the interquartile range over the median. Cost and throughput depend on what else the machine does: look at the \
spread before the value.

Examples:
  afferent bench record              ns per record beside a raw ring push and a time-stamp read
  afferent bench pipeline            samples per second from one producer to a running engine
  afferent bench --json > now.json   all of it, for a machine to read

Ctrl-C ends between two repetitions and prints what was measured.

Exit codes: 0 done, 2 an option or the output cannot be used, or it was interrupted.")]
pub(crate) struct BenchArgs {
    /// What to measure; everything if left out
    #[command(subcommand)]
    what: Option<What>,
    /// Repetitions of each measurement, 3 to 1,000
    #[arg(long, value_name = "N", default_value_t = 9, value_parser = clap::value_parser!(u32).range(3..=1_000), global = true)]
    repetitions: u32,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum What {
    /// What one record costs the thread that makes it
    #[command(after_help = "\
Examples:
  afferent bench record                      a table: figure, limit, ratio, spread
  afferent bench record --repetitions 99     for a machine that is not quiet
  afferent bench record --json > now.json    for a machine to read")]
    Record,
    /// How many samples a second a running engine takes in, and when it begins to drop
    #[command(after_help = "\
Examples:
  afferent bench pipeline                      a table: figure, limit, ratio, spread
  afferent bench pipeline --json > now.json    for a machine to read")]
    Pipeline,
}

/// One measured figure.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figure {
    /// What was measured.
    pub(crate) name: &'static str,
    /// Its median.
    pub(crate) value: f64,
    /// Unit of `value` and `limit`.
    pub(crate) unit: &'static str,
    /// What it is compared with.
    pub(crate) limit_name: &'static str,
    /// The limit's median.
    pub(crate) limit: f64,
    /// Cost over the limit's cost; more is worse, also where the value is a rate.
    pub(crate) ratio: f64,
    /// Interquartile range over the median, of the value.
    pub(crate) spread: f64,
}

#[derive(Serialize)]
struct Report {
    machine: Machine,
    figures: Vec<Figure>,
    /// It was ended before all repetitions were made.
    interrupted: bool,
}

#[derive(Serialize)]
struct Machine {
    cpu: String,
    cores: usize,
    clock: &'static str,
    allocator: &'static str,
    /// One way of a cache line between two threads, nanoseconds: how far apart the two cores are in this run.
    ping_pong_ns: f64,
}

/// Measures and prints.
pub(crate) fn run(
    args: &BenchArgs,
    json: bool,
    out: &mut dyn Write,
    progress: Progress,
    stop: &dyn Fn() -> bool,
) -> io::Result<u8> {
    let repetitions = args.repetitions as usize;
    let mut figures = Vec::new();
    if matches!(args.what, None | Some(What::Record)) {
        progress.say("bench record: repetitions of every figure and its limit, interleaved");
        figures.extend(record::figures(repetitions, progress, stop));
    }
    if matches!(args.what, None | Some(What::Pipeline)) && !stop() {
        progress.say("bench pipeline: a producer at full speed, then at rising rates");
        figures.extend(pipeline::figures(repetitions, progress, stop));
    }
    let interrupted = stop();
    let report = Report { machine: machine(), figures, interrupted };
    if json {
        serde_json::to_writer(&mut *out, &report)?;
        writeln!(out)?;
    } else {
        print(&report, out)?;
    }
    if interrupted {
        progress.say("afferent: interrupted: the figures are of fewer repetitions than asked for");
    }
    Ok(if interrupted { 2 } else { 0 })
}

fn machine() -> Machine {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": ").map(|(_, name)| name.to_owned()))
        .unwrap_or_else(|| "unknown".into());
    Machine {
        cpu,
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        clock: crate::time::Clock::new().name(),
        allocator: "mimalloc",
        ping_pong_ns: timing::ping_pong_ns(),
    }
}

fn print(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let Machine { cpu, cores, clock, ping_pong_ns, .. } = &report.machine;
    writeln!(out, "{cpu}, {cores} cores, clock {clock}, cache line one way {ping_pong_ns:.0} ns\n")?;
    writeln!(
        out,
        "{:<24} {:>10} {:<9} {:>10}  {:<34} {:>6} {:>7}",
        "figure", "value", "unit", "limit", "limit is", "ratio", "spread"
    )?;
    for figure in &report.figures {
        writeln!(
            out,
            "{:<24} {:>10.2} {:<9} {:>10.2}  {:<34} {:>6.2} {:>6.0}%",
            figure.name,
            figure.value,
            figure.unit,
            figure.limit,
            figure.limit_name,
            figure.ratio,
            100.0 * figure.spread
        )?;
    }
    Ok(())
}
