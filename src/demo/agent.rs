//! An active-inference agent under full monitoring: the example to copy.
//!
//! 1. Ask the engine for a handle per measurement, once ([`Telemetry::register`]). Handles are `Copy`, cheap, and may
//!    be used from any thread.
//! 2. Record where things happen ([`Agent::act`]). That never waits, so it may stand in the innermost loop.
//!
//! Nothing else is needed: windows, quantiles, detection, storage and pages are the engine's business.

use super::inference::Observation;
use super::mind::Mind;
use super::world::{SENSORS, readings};
use crate::engine::Engine;
use crate::record::{RegisterError, Unit};
use crate::ring::{Counter, Gauge, Histogram};
use crate::time::Stopwatch;

/// The handles of one agent.
#[derive(Clone, Copy, Debug)]
struct Telemetry {
    observation_size: Histogram,
    inference_time: Histogram,
    planning_time: Histogram,
    free_energy: Gauge,
    belief_entropy: Gauge,
    actions: Counter,
    errors: Counter,
    error_rate: Gauge,
    memory_usage: Gauge,
}

impl Telemetry {
    fn register(engine: &Engine, agent_id: &str) -> Result<Telemetry, RegisterError> {
        let histogram = |name: &str| engine.histogram(name).label("agent_id", agent_id);
        let gauge = |name: &str| engine.gauge(name).label("agent_id", agent_id);
        let counter = |name: &str| engine.counter(name).label("agent_id", agent_id);
        Ok(Telemetry {
            observation_size: histogram("observation_size").help("Sensors that gave a reading.").register()?,
            // Single slow calls are the scheduler's doing; three in a row are ours.
            inference_time: histogram("inference_time")
                .unit(Unit::Seconds)
                .help("Time of one belief update.")
                .alarm_after(3)
                .register()?,
            planning_time: histogram("planning_time")
                .unit(Unit::Seconds)
                .help("Time of one decision.")
                .alarm_after(3)
                .register()?,
            free_energy: gauge("free_energy")
                .help("Free energy of the last 10 observations, mean, nats.")
                .register()?,
            belief_entropy: gauge("belief_entropy").help("Uncertainty about the state, nats.").register()?,
            actions: counter("actions").help("Actions taken.").register()?,
            errors: counter("errors").help("Operations that failed.").register()?,
            error_rate: gauge("error_rate")
                .unit(Unit::Ratio)
                .help("Share of the last 100 steps in which something failed.")
                .register()?,
            memory_usage: gauge("memory_usage").unit(Unit::Bytes).help("Memory the agent holds.").register()?,
        })
    }
}

/// A mind and its telemetry.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) mind: Mind,
    telemetry: Telemetry,
    free_energy: Recent<10>,
    failures: Recent<100>,
}

impl Agent {
    pub(crate) fn new(engine: &Engine, agent_id: &str, mind: Mind) -> Result<Agent, RegisterError> {
        let telemetry = Telemetry::register(engine, agent_id)?;
        Ok(Agent { mind, telemetry, free_energy: Recent::default(), failures: Recent::default() })
    }

    /// One step: perceive, then decide.
    pub(crate) fn act(&mut self, observation: [Option<usize>; SENSORS]) -> usize {
        let telemetry = self.telemetry;
        telemetry.observation_size.record(readings(&observation) as f64);
        let mut errors = failed(&observation);

        let watch = Stopwatch::start();
        let perceived = self.mind.perceive(&observation);
        telemetry.inference_time.record(watch.seconds());

        match perceived {
            Ok(nats) => telemetry.free_energy.set(self.free_energy.mean_with(nats)),
            Err(_impossible) => errors += 1,
        }
        telemetry.belief_entropy.set(self.mind.uncertainty());

        let watch = Stopwatch::start();
        let action = self.mind.decide();
        telemetry.planning_time.record(watch.seconds());

        self.mind.remember(observation, action);
        telemetry.actions.add(1);
        telemetry.errors.add(errors);
        telemetry.error_rate.set(self.failures.mean_with(if errors > 0 { 1.0 } else { 0.0 }));
        telemetry.memory_usage.set(self.mind.bytes() as f64);
        action
    }
}

/// Sensors that gave no reading.
fn failed(observation: &Observation) -> u64 {
    (observation.len() - readings(observation)) as u64
}

/// The last `N` values of something.
#[derive(Clone, Debug)]
pub(crate) struct Recent<const N: usize> {
    values: [f64; N],
    seen: usize,
}

impl<const N: usize> Default for Recent<N> {
    fn default() -> Self {
        Recent { values: [0.0; N], seen: 0 }
    }
}

impl<const N: usize> Recent<N> {
    /// Takes in a value; returns the mean of the last `N`, or of all where there are fewer.
    pub(crate) fn mean_with(&mut self, value: f64) -> f64 {
        self.values[self.seen % N] = value;
        self.seen += 1;
        let held = self.seen.min(N);
        self.values[..held].iter().sum::<f64>() / held as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recent_means_cover_what_there_is_and_then_the_last_n() {
        let mut recent = Recent::<3>::default();
        let means = [3.0, 5.0, 1.0, 0.0, 2.0].map(|value| recent.mean_with(value));
        assert_eq!(means, [3.0, 4.0, 3.0, 2.0, 1.0]);
    }

    #[test]
    fn failed_sensors_are_counted() {
        assert_eq!(failed(&[Some(1), None, Some(0), None]), 2);
        assert_eq!(failed(&[Some(1); SENSORS]), 0);
    }
}
