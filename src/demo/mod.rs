//! Active-inference agents under full monitoring, with faults now and then.
//!
//! Every agent lives on a thread of its own in a room of its own (`world.rs`), believes something about where it is
//! (`inference.rs`), plans (`planning.rs`) and records what it does (`agent.rs`, the file to read first). Meanwhile
//! faults are injected from a seed (`faults.rs`), and the report says which of them the engine noticed (`score.rs`).
//!
//! ```no_run
//! use afferent::{Engine, demo};
//!
//! let engine = Engine::builder().start()?;
//! let options = demo::Options { seconds: Some(10.0), ..demo::Options::default() };
//! let report = demo::run(&engine, &options, &|| false)?;
//! println!("{} of {} faults noticed", report.score.faults_noticed, report.score.faults_injected);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod agent;
mod body;
mod faults;
mod inference;
mod mind;
mod model;
mod planning;
mod rng;
mod score;
mod world;

use std::time::Duration;
use std::{fmt, io, thread};

use serde::Serialize;

pub use faults::FaultKind;
pub use score::{Fault, KindScore, Score};

use crate::engine::{Engine, View};
use crate::record::RegisterError;
use crate::sync::{AtomicBool, Ordering};
use crate::time::{Stopwatch, unix_ns};
use agent::Agent;
use faults::{Planned, Schedule, Switch};
use mind::Mind;
use rng::Rng;
use score::{Alarm, Scorer};
use world::World;

/// How often the run looks whether a fault is due or it should stop.
const TICK: Duration = Duration::from_millis(10);
/// Ticks between two looks at the anomalies; far fewer than are kept for readers can come in between.
const TICKS_PER_LOOK: u32 = 50;
/// Time that must be left after a fault, or else it is not begun: an unfinished one would tell little.
const TAIL: f64 = 0.5;

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long to run, in seconds; `None` until stopped.
    pub seconds: Option<f64>,
    /// How many agents, each on a thread of its own.
    pub agents: usize,
    /// What they are called: this and a number from 1.
    pub name: String,
    /// Decides the worlds, the agents' choices and the faults.
    pub seed: u64,
    /// Steps that each agent takes in a second, above 0.
    pub steps_per_second: f64,
    /// Whether faults are injected.
    pub faults: bool,
}

impl Default for Options {
    /// Three agents at 100 steps a second, with faults, until stopped.
    fn default() -> Self {
        Options { seconds: None, agents: 3, name: "a".into(), seed: 1, steps_per_second: 100.0, faults: true }
    }
}

/// How the run went. Serialised, the fields of the score stand beside the others.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct DemoReport {
    /// How long it ran.
    pub seconds: f64,
    /// How many agents there were.
    pub agents: usize,
    /// The seed it ran from.
    pub seed: u64,
    /// How often all agents together reached their goals.
    pub goals_reached: u64,
    /// How the faults fared.
    #[serde(flatten)]
    pub score: Score,
}

/// Why a run could not start or came to a bad end. Whatever the reason, no agent's thread is left behind.
#[derive(Debug)]
#[non_exhaustive]
pub enum DemoError {
    /// An option makes no sense. The message says which and what it should be.
    Option(&'static str),
    /// A series could not be registered: the engine already has one of that name with another kind or unit.
    Register(RegisterError),
    /// The operating system gave no thread. Run fewer agents, or raise the limit on threads.
    Spawn {
        /// The agent that was to live on it.
        agent_id: String,
        /// The reason.
        source: io::Error,
    },
    /// An agent's thread panicked: a defect in the demo.
    Panicked {
        /// The agent.
        agent_id: String,
    },
}

impl fmt::Display for DemoError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DemoError::Option(problem) => write!(out, "demo option: {problem}"),
            DemoError::Register(error) => write!(out, "an agent's series was not registered: {error}"),
            DemoError::Spawn { agent_id, source } => {
                write!(out, "no thread for agent {agent_id}: {source}; run fewer agents or raise the limit on threads")
            }
            DemoError::Panicked { agent_id } => {
                write!(out, "the thread of agent {agent_id} panicked: please report it")
            }
        }
    }
}

impl std::error::Error for DemoError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            DemoError::Register(error) => Some(error),
            DemoError::Spawn { source, .. } => Some(source),
            DemoError::Option(_) | DemoError::Panicked { .. } => None,
        }
    }
}

/// Runs agents on `engine` until the time is over or `stop` says so (asked about every 10 ms), joins them, and compares
/// the anomalies the engine found with the faults.
///
/// # Errors
/// See [`DemoError`]. Agents that were already started are stopped and joined first.
pub fn run(engine: &Engine, options: &Options, stop: &dyn Fn() -> bool) -> Result<DemoReport, DemoError> {
    let run = live(engine, options, stop)?;
    engine.flush();
    Ok(run.report())
}

/// A run whose agents have ended, and whose anomalies may not all have been found yet.
pub(crate) struct Run {
    seconds: f64,
    agents: usize,
    seed: u64,
    goals_reached: u64,
    follower: Follower,
}

impl Run {
    /// Compares all that the engine has found by now with the faults: after a shutdown, all there will ever be.
    pub(crate) fn report(self) -> DemoReport {
        let Run { seconds, agents, seed, goals_reached, follower } = self;
        DemoReport { seconds, agents, seed, goals_reached, score: follower.finish() }
    }
}

/// [`run`] without the comparison at its end.
pub(crate) fn live(engine: &Engine, options: &Options, stop: &dyn Fn() -> bool) -> Result<Run, DemoError> {
    let period = check(options)?;
    let ids: Vec<String> = (1..=options.agents).map(|number| format!("{}{number}", options.name)).collect();
    let switches: Vec<Switch> = ids.iter().map(|_| Switch::default()).collect();
    let mut ready = Vec::with_capacity(ids.len());
    for (number, id) in ids.iter().enumerate() {
        let world = World::new(Rng::new(options.seed, 2 * number as u64));
        let mind = Mind::new(world.goal(), Rng::new(options.seed, 2 * number as u64 + 1));
        ready.push((Agent::new(engine, id, mind).map_err(DemoError::Register)?, world));
    }

    let before = engine.view().anomalies_total();
    let mut injector = Injector::new(engine.view(), before, &ids, &switches);
    let watch = Stopwatch::start();
    let over = AtomicBool::new(false);
    let (goals_reached, seconds) = thread::scope(|scope| {
        let mut threads = Vec::with_capacity(ids.len());
        let mut failure = None;
        for ((id, switch), (agent, world)) in ids.iter().zip(&switches).zip(ready) {
            let over = &over;
            let live = move || body::live(agent, world, switch, over, period);
            match thread::Builder::new().name(format!("agent-{id}")).spawn_scoped(scope, live) {
                Ok(thread) => threads.push((id, thread)),
                Err(source) => {
                    failure = Some(DemoError::Spawn { agent_id: id.clone(), source });
                    break;
                }
            }
        }
        if failure.is_none() {
            // An agent that ends before it is told to has panicked, and the run with it.
            let ended = || threads.iter().any(|(_, thread)| thread.is_finished());
            injector.run(options, &watch, &|| stop() || ended());
        }
        let seconds = watch.seconds();

        // Release pairs with the Acquire in `body::live`.
        over.store(true, Ordering::Release);
        for (_, thread) in &threads {
            thread.thread().unpark();
        }
        let mut goals_reached = 0;
        for (id, thread) in threads {
            match thread.join() {
                Ok(goals) => goals_reached += goals,
                Err(_panic) => failure = Some(DemoError::Panicked { agent_id: id.clone() }),
            }
        }
        failure.map_or(Ok((goals_reached, seconds)), Err)
    })?;

    Ok(Run { seconds, agents: options.agents, seed: options.seed, goals_reached, follower: injector.follower })
}

/// Checks the options; returns the time between two steps.
pub(crate) fn check(options: &Options) -> Result<Duration, DemoError> {
    if options.agents == 0 || options.agents > 1_000 {
        return Err(DemoError::Option("agents must be 1 to 1,000"));
    }
    if options.seconds.is_some_and(|seconds| !(seconds >= 0.0 && seconds.is_finite())) {
        return Err(DemoError::Option("seconds must be 0 or more; leave it out to run until stopped"));
    }
    if !(0.01..=100_000.0).contains(&options.steps_per_second) {
        return Err(DemoError::Option("steps_per_second must be 0.01 to 100,000"));
    }
    Ok(Duration::from_secs_f64(1.0 / options.steps_per_second))
}

/// Follows what the engine finds.
struct Follower {
    view: View,
    /// Number of the last anomaly that was looked at.
    seen: u64,
    scorer: Scorer,
}

impl Follower {
    /// Takes in the anomalies found since the last look.
    fn look(&mut self) {
        for anomaly in self.view.anomalies(self.seen) {
            self.seen = anomaly.id;
            if let Some(agent_id) = anomaly.series.label("agent_id") {
                self.scorer.alarm(&Alarm { metric: &anomaly.series.name, agent_id, time_ns: anomaly.time_ns });
            }
        }
    }

    fn finish(mut self) -> Score {
        self.look();
        self.scorer.finish()
    }
}

/// Switches faults on and off, and has what the engine finds followed.
struct Injector<'a> {
    follower: Follower,
    ids: &'a [String],
    switches: &'a [Switch],
    active: Option<Planned>,
}

impl<'a> Injector<'a> {
    fn new(view: View, seen: u64, ids: &'a [String], switches: &'a [Switch]) -> Injector<'a> {
        let follower = Follower { view, seen, scorer: Scorer::default() };
        Injector { follower, ids, switches, active: None }
    }

    fn run(&mut self, options: &Options, watch: &Stopwatch, stop: &dyn Fn() -> bool) {
        let mut schedule = Schedule::new(options.seed, self.ids.len());
        let mut next = if options.faults { schedule.next() } else { None };
        let mut ticks = 0_u32;
        loop {
            let now = watch.seconds();
            let left = options.seconds.map_or(f64::INFINITY, |seconds| seconds - now);
            if left <= 0.0 || stop() {
                break;
            }
            if self.active.is_some_and(|fault| now >= fault.end) {
                self.end();
            }
            if let Some(fault) = next
                && self.active.is_none()
                && now >= fault.start
            {
                if fault.end - fault.start + TAIL <= left {
                    self.begin(fault);
                }
                next = schedule.next();
            }
            if ticks.is_multiple_of(TICKS_PER_LOOK) {
                self.follower.look();
            }
            ticks = ticks.wrapping_add(1);
            thread::sleep(TICK.min(Duration::from_secs_f64(left.min(1.0))));
        }
        self.end();
    }

    fn begin(&mut self, fault: Planned) {
        if let (Some(id), Some(switch)) = (self.ids.get(fault.agent), self.switches.get(fault.agent)) {
            self.follower.scorer.begin(fault.kind, id, unix_ns());
            switch.set(Some(fault.kind));
            self.active = Some(fault);
        }
    }

    fn end(&mut self) {
        if let Some(fault) = self.active.take() {
            if let Some(switch) = self.switches.get(fault.agent) {
                switch.set(None);
            }
            self.follower.scorer.end(unix_ns());
        }
    }
}

#[cfg(test)]
mod tests;
