//! `afferent demo`: the main job at once.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::progress::Progress;
use super::signals::Stop;
use crate::demo::{DemoReport, Options};
use crate::detect::Anomaly;
use crate::engine::Engine;
use crate::record::is_metric_name;
use crate::sink::SinkStats;
use crate::sink::json::{AnomalyJson, LedgerJson};
use crate::sync::Arc;

/// Time that the end of a run may take.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// Arguments of `demo`.
#[derive(Args, Debug)]
#[command(after_help = "\
The agents are real: a discrete POMDP with exact Bayesian filtering and planning by expected free energy. Faults come \
from the seed: planning slowed, sensors broken, errors, memory growth. The end says how many were noticed, how late, \
and how many alarms were false.

Examples:
  afferent demo                                        until Ctrl-C; open the page it names
  afferent demo --seconds 30 --data telemetry          then: afferent inspect telemetry
  afferent demo --seconds 10 --json --data telemetry   one JSON document at the end

Exit codes: 0 done, 1 the ledger does not close, 2 the address, the directory or an option cannot be used, or not every
window was stored.")]
pub(crate) struct DemoArgs {
    /// Run for this many seconds; until Ctrl-C if left out
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    seconds: Option<f64>,
    /// Serve the page and /metrics here, on loopback; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9464")]
    listen: SocketAddr,
    /// Keep segments in this directory
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// What worlds, choices and faults are drawn from
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How many agents, each on a thread of its own
    #[arg(long, value_name = "N", default_value_t = 3)]
    agents: usize,
    /// Put this and `_` before metric names on /metrics, such as `active_inference`
    #[arg(long, value_name = "NAME", default_value = "")]
    prefix: String,
    /// What the agents are called: this and a number from 1, as their label `agent_id`
    #[arg(long, value_name = "TEXT", default_value = "a")]
    name: String,
}

#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    ledger: LedgerJson,
    #[serde(flatten)]
    demo: &'a DemoReport,
    windows: u64,
    /// How many anomalies were found in all.
    anomalies_total: u64,
    /// The last of them, at most 1,000.
    anomalies: Vec<AnomalyJson<'a>>,
    segments: Option<String>,
    /// What became of the windows that each sink was offered.
    sinks: Vec<Fate>,
}

/// What became of the windows that a sink was offered.
#[derive(Serialize)]
struct Fate {
    name: String,
    /// Windows it took.
    stored: u64,
    /// Windows it did not: it failed, its queue was full, or it was not done at the end.
    lost: u64,
    /// What it said last when it failed.
    last_error: Option<String>,
}

impl Fate {
    fn of(stats: SinkStats) -> Fate {
        let SinkStats { name, published, failed, dropped, queued, last_error, .. } = stats;
        Fate { name, stored: published, lost: failed + dropped + queued, last_error }
    }

    /// What is wrong, in words.
    fn problem(&self) -> Option<String> {
        if self.lost == 0 && self.last_error.is_none() {
            return None;
        }
        let Fate { name, stored, lost, last_error } = self;
        let reason = last_error.as_deref().unwrap_or("it was not done in time");
        Some(format!("sink {name}: {lost} of {} windows were lost: {reason}", stored + lost))
    }
}

/// Runs the agents until the time is over or a signal comes.
pub(crate) fn run(args: &DemoArgs, json: bool, out: &mut dyn Write, progress: Progress) -> Result<u8, String> {
    let options = Options {
        seconds: args.seconds,
        agents: args.agents,
        name: args.name.clone(),
        seed: args.seed,
        ..Options::default()
    };
    // Before anything is started: no port is taken and no directory made for options that cannot be used.
    check(args, &options)?;
    let stop = Stop::on_signals()?;
    let mut builder = Engine::builder().prefix(&args.prefix).serve(args.listen);
    if let Some(directory) = &args.data {
        builder = builder.segments(directory);
    }
    let engine = builder.start().map_err(|error| error.to_string())?;
    if let Some(addr) = engine.local_addr() {
        progress.say(&format!("live page: http://{addr}/   (Prometheus: http://{addr}/metrics)"));
    }
    let outcome = crate::demo::live(&engine, &options, &|| stop.asked());
    // Whatever came of the agents, the engine ends in order and its account is taken.
    let ledger = engine.shutdown(SHUTDOWN).map_err(|error| error.to_string())?;
    // Only now all anomalies are there, those of the last window included.
    let demo = outcome.map_err(|error| error.to_string())?.report();
    let view = engine.view();
    let anomalies = view.anomalies(0);
    let report = Report {
        ledger: LedgerJson::from(&ledger),
        demo: &demo,
        windows: view.latest().map_or(0, |snapshot| snapshot.window),
        anomalies_total: view.anomalies_total(),
        anomalies: anomalies.iter().map(|anomaly| AnomalyJson::from(&**anomaly)).collect(),
        segments: args.data.as_ref().map(|directory| directory.display().to_string()),
        sinks: view.sinks().into_iter().map(Fate::of).collect(),
    };
    let problems: Vec<String> = report.sinks.iter().filter_map(Fate::problem).collect();
    for problem in &problems {
        progress.say(&format!("afferent: {problem}"));
    }
    let written = if json {
        serde_json::to_writer(&mut *out, &report).map_err(std::io::Error::from).and_then(|()| writeln!(out))
    } else {
        print(&report, &anomalies, out)
    };
    written.map_err(|error| error.to_string())?;
    Ok(match (ledger.closes(), problems.is_empty()) {
        (false, _) => 1,
        (true, false) => 2,
        (true, true) => 0,
    })
}

fn check(args: &DemoArgs, options: &Options) -> Result<(), String> {
    crate::demo::check(options).map_err(|error| error.to_string())?;
    if args.prefix.is_empty() || is_metric_name(&args.prefix) {
        return Ok(());
    }
    Err(format!("--prefix {:?}: a prefix is letters, digits, `_` and `:`, and begins with no digit", args.prefix))
}

fn print(report: &Report<'_>, anomalies: &[Arc<Anomaly>], out: &mut dyn Write) -> std::io::Result<()> {
    let Report { ledger, demo, windows, segments, .. } = report;
    writeln!(out, "ran {:.1} s, {} agents, seed {}, {windows} windows", demo.seconds, demo.agents, demo.seed)?;
    writeln!(
        out,
        "ledger: {} recorded = {} aggregated + {} dropped + {} in flight: {}",
        ledger.recorded,
        ledger.aggregated,
        ledger.dropped.values().sum::<u64>(),
        ledger.in_flight,
        if ledger.closes { "closes" } else { "DOES NOT CLOSE" }
    )?;
    let score = &demo.score;
    writeln!(
        out,
        "faults: {} injected, {} noticed; {} false alarms; goals reached {} times",
        score.faults_injected, score.faults_noticed, score.false_alarms, demo.goals_reached
    )?;
    for (kind, kinds) in &score.kinds {
        let late = kinds.mean_delay_seconds.map_or(String::new(), |s| format!(", {:.0} ms late on average", s * 1e3));
        writeln!(out, "  {:<16} {} injected, {} noticed{late}", kind.name(), kinds.injected, kinds.noticed)?;
    }
    if !anomalies.is_empty() {
        writeln!(out, "anomalies: {}; the last of them, newest first:", report.anomalies_total)?;
    }
    for anomaly in anomalies.iter().rev().take(10) {
        writeln!(out, "  {anomaly}")?;
    }
    for Fate { name, stored, lost, .. } in &report.sinks {
        writeln!(out, "sink {name}: {stored} windows stored, {lost} lost")?;
    }
    if let Some(directory) = segments {
        writeln!(out, "segments in {directory}; look at them with: afferent inspect {directory}")?;
    }
    Ok(())
}
