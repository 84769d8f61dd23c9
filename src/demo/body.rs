//! What an agent's thread does: the world, the agent and whatever is wrong with them, step by step at a steady pace.

use std::thread;
use std::time::Duration;

use super::agent::Agent;
use super::faults::{FaultKind, Switch};
use super::mind::{DEEPEST, HORIZON};
use super::world::{SensorFault, World};
use crate::sync::{AtomicBool, Ordering};
use crate::time::Stopwatch;

/// How often a reading fails while errors are injected.
const FAILING: f64 = 0.3;
/// Bytes leaked with every step while memory grows.
const LEAK: usize = 64 << 10;

/// Lives until `stop` is set and the thread is unparked. Returns how often the goal was reached.
pub(crate) fn live(mut agent: Agent, mut world: World, switch: &Switch, stop: &AtomicBool, period: Duration) -> u64 {
    let mut pace = Pace::new(period);
    let mut suffering = None;
    // Acquire pairs with the Release of whoever stops the run, after which nothing of it is touched any more.
    while !stop.load(Ordering::Acquire) {
        let fault = switch.get();
        if fault != suffering {
            inflict(fault, &mut agent, &mut world);
            suffering = fault;
        }
        if fault == Some(FaultKind::MemoryGrowth) {
            agent.mind.leak(LEAK);
        }
        let action = agent.act(world.sense());
        if let Some(goal) = world.act(action) {
            agent.mind.aim(goal);
        }
        pace.wait(stop);
    }
    world.goals_reached()
}

/// Makes the agent and its world suffer from `fault` and from nothing else.
fn inflict(fault: Option<FaultKind>, agent: &mut Agent, world: &mut World) {
    let is = |kind| fault == Some(kind);
    world.sensor_fault =
        SensorFault { random: is(FaultKind::SensorBroken), failing: if is(FaultKind::Errors) { FAILING } else { 0.0 } };
    agent.mind.look_ahead(if is(FaultKind::PlanningSlowed) { DEEPEST } else { HORIZON });
    agent.mind.free_leaked();
}

/// A steady pace: waits until the next step is due, and does not hurry to catch up with steps that were missed.
#[derive(Debug)]
struct Pace {
    clock: Stopwatch,
    period: Duration,
    due: Duration,
}

impl Pace {
    fn new(period: Duration) -> Pace {
        Pace { clock: Stopwatch::start(), period, due: Duration::ZERO }
    }

    fn wait(&mut self, stop: &AtomicBool) {
        self.due = (self.due + self.period).max(self.clock.elapsed());
        loop {
            let left = self.due.saturating_sub(self.clock.elapsed());
            if left.is_zero() || stop.load(Ordering::Acquire) {
                return;
            }
            thread::park_timeout(left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_run_does_not_wait_for_the_next_step() {
        let stop = AtomicBool::new(true);
        // Hangs where it fails.
        let mut pace = Pace::new(Duration::MAX / 2);
        pace.wait(&stop);
        assert!(pace.due >= pace.period);
    }

    #[test]
    fn missed_steps_are_not_made_up_for() {
        let stop = AtomicBool::new(false);
        let mut pace = Pace::new(Duration::from_micros(1));
        // The step took longer than its period: the next is due at once, and the one after a period later.
        while pace.clock.elapsed() < Duration::from_micros(100) {}
        pace.wait(&stop);
        assert!(pace.due >= Duration::from_micros(100));
    }
}
