//! The `afferent` command line.
//!
//! Everywhere: with `--json`, one JSON document on standard output and nothing else there; progress and messages on
//! standard error; exit code 0 done, 1 the thing asked about is bad, 2 usage or I/O error with a message that says what
//! to change. Ctrl-C and SIGTERM end in an orderly shutdown.

mod bench;
mod demo;
mod inspect;
mod progress;
mod query;
mod recordings;
mod replay;
mod signals;
mod verify;
mod when;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::progress::Progress;
use self::signals::Stop;
use crate::detect::Published;
use crate::sink::{Segments, Sink};

/// In-process telemetry: record for nanoseconds, lose nothing unseen, notice what is unusual, keep the history
#[derive(Parser, Debug)]
#[command(
    name = "afferent",
    version,
    after_help = "\
Start here:
  afferent demo              three active-inference agents under monitoring; open the page it names
  afferent bench record      what one record costs here, beside what the hardware asks for it
  afferent replay FILE.csv   what is unusual in recorded series

Exit codes: 0 done, 1 the thing asked about is bad, 2 usage or input/output error."
)]
struct Cli {
    /// Print one JSON document on standard output, and nothing else there
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Run active-inference agents under full monitoring, with faults now and then
    Demo(demo::DemoArgs),
    Replay(replay::ReplayArgs),
    Inspect(inspect::InspectArgs),
    Verify(verify::VerifyArgs),
    Query(query::QueryArgs),
    /// Measure what things cost on this machine, each beside its limit
    Bench(bench::BenchArgs),
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let progress = Progress::new();
    let mut out = io::stdout().lock();
    let outcome = match &cli.command {
        Command::Demo(args) => demo::run(args, cli.json, &mut out, progress),
        Command::Replay(args) => run_replay(args, cli.json, &mut out, progress),
        Command::Inspect(args) => inspect::run(args, cli.json, &mut out),
        Command::Verify(args) => run_verify(args, cli.json, &mut out, progress),
        Command::Query(args) => query::run(args, cli.json, &mut out, crate::time::unix_ns()),
        Command::Bench(args) => Stop::on_signals().and_then(|stop| {
            bench::run(args, cli.json, &mut out, progress, &|| stop.asked()).map_err(|error| error.to_string())
        }),
    };
    match outcome.and_then(|code| out.flush().map(|()| code).map_err(|error| error.to_string())) {
        Ok(code) => ExitCode::from(code),
        // Whoever reads us has heard enough (`| head`).
        Err(message) if message.contains("Broken pipe") => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("afferent: {message}");
            ExitCode::from(2)
        }
    }
}

/// `verify`, with a bar for its files.
fn run_verify(args: &verify::VerifyArgs, json: bool, out: &mut dyn Write, progress: Progress) -> Result<u8, String> {
    let bar = progress.bar("verify", 0);
    let code = verify::run(args, json, out, |done, all| bar.show(done as u64, all as u64, String::new()));
    bar.done();
    code
}

/// `replay`, with a bar for its files and the store for its windows.
fn run_replay(args: &replay::ReplayArgs, json: bool, out: &mut dyn Write, progress: Progress) -> Result<u8, String> {
    let stop = Stop::on_signals()?;
    let bar = progress.bar("replay", 0);
    let mut show = |done: usize, all: usize, next: &Path| bar.show(done as u64, all as u64, next.display().to_string());
    let mut say = |message: &str| bar.aside(|| progress.say(&format!("afferent: {message}")));
    let around = replay::Around { progress: &mut show, say: &mut say, stop: &|| stop.asked() };
    let Some(directory) = &args.data else {
        let code = replay::run(args, json, out, around, None);
        bar.done();
        return code;
    };
    let mut store = Segments::open(directory).map_err(|error| error.to_string())?;
    let consumer = Box::new(|published: &Published| store.append(published).map_err(|error| error.to_string()));
    let code = replay::run(args, json, out, around, Some(consumer));
    bar.done();
    // Whatever came of the replay, what was taken is committed and the file closed in order.
    let closed = store.close().map_err(|error| error.to_string());
    code.and_then(|code| closed.map(|()| code))
}
