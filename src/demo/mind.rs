//! The agent's mind: it perceives, decides and remembers. It knows nothing of telemetry.

use std::collections::VecDeque;

use super::inference::{Belief, Impossible, Observation};
use super::model::Model;
use super::planning::Planner;
use super::rng::Rng;
use super::world::{self, ACTIONS, SENSORS};

/// Steps that a healthy agent looks ahead.
pub(crate) const HORIZON: usize = 3;
/// How sharply better plans are preferred, per nat.
const PRECISION: f64 = 2.0;
/// Steps that a healthy agent remembers.
const REMEMBERED: usize = 256;

/// One remembered step.
#[derive(Clone, Copy, Debug)]
struct Memory {
    _observation: [Option<usize>; SENSORS],
    _action: usize,
}

/// Model, belief, planner and memory of one agent.
#[derive(Debug)]
pub(crate) struct Mind {
    model: Model,
    belief: Belief,
    planner: Planner,
    memories: VecDeque<Memory>,
    /// What a leaking mind should have let go.
    leaked: Vec<Vec<u8>>,
    last_action: Option<usize>,
    rng: Rng,
}

impl Mind {
    /// A mind that has seen nothing and wants to get to `goal`.
    pub(crate) fn new(goal: usize, rng: Rng) -> Mind {
        let model = world::model(goal);
        let belief = Belief::new(&model);
        let planner = Planner::new(&model, HORIZON, PRECISION);
        let memories = VecDeque::with_capacity(REMEMBERED);
        Mind { model, belief, planner, memories, leaked: Vec::new(), last_action: None, rng }
    }

    /// Wants something else from now on.
    pub(crate) fn aim(&mut self, goal: usize) {
        self.model.prefer(world::preference(goal));
    }

    /// Updates the belief with what the sensors read; returns the free energy in nats.
    pub(crate) fn perceive(&mut self, observation: &Observation) -> Result<f64, Impossible> {
        if let Some(action) = self.last_action {
            self.belief.predict(&self.model, action);
        }
        self.belief.correct(&self.model, observation)
    }

    /// How uncertain the belief is, in nats.
    pub(crate) fn uncertainty(&self) -> f64 {
        self.belief.entropy()
    }

    /// Chooses what to do next.
    pub(crate) fn decide(&mut self) -> usize {
        let action = self.planner.plan(&self.model, self.belief.probability(), &mut self.rng);
        self.last_action = Some(action);
        action
    }

    /// Remembers a step, and forgets the oldest where there is no room.
    pub(crate) fn remember(&mut self, observation: [Option<usize>; SENSORS], action: usize) {
        if self.memories.len() == REMEMBERED {
            self.memories.pop_front();
        }
        self.memories.push_back(Memory { _observation: observation, _action: action });
    }

    /// Bytes the mind holds on the heap.
    pub(crate) fn bytes(&self) -> usize {
        let belief = 2 * self.model.states() * size_of::<f64>();
        let memories = self.memories.capacity() * size_of::<Memory>();
        let leaked = self.leaked.iter().map(Vec::capacity).sum::<usize>();
        self.model.bytes() + belief + self.planner.bytes() + memories + leaked
    }

    /// Changes how far the mind looks ahead. Each step further multiplies the work of a decision by five.
    pub(crate) fn look_ahead(&mut self, horizon: usize) {
        self.planner.look_ahead(&self.model, horizon);
    }

    /// Takes memory and keeps it.
    pub(crate) fn leak(&mut self, bytes: usize) {
        // Not zero, so that the pages are really touched.
        self.leaked.push(vec![0xA5; bytes]);
    }

    /// Gives back what was leaked.
    pub(crate) fn free_leaked(&mut self) {
        self.leaked = Vec::new();
    }
}

const _: () = assert!(ACTIONS.pow(HORIZON as u32) == 125, "the planner's cost is documented for 125 plans");

#[cfg(test)]
mod tests {
    use super::super::world::World;
    use super::*;

    /// Goals reached and free energies seen in so many steps.
    fn live(seed: u64, steps: usize, mut decide: impl FnMut(&mut Mind) -> usize) -> (u64, Vec<f64>, Vec<f64>) {
        let mut world = World::new(Rng::new(seed, 0));
        let mut mind = Mind::new(world.goal(), Rng::new(seed, 1));
        let (mut surprises, mut entropies) = (Vec::new(), Vec::new());
        for _ in 0..steps {
            let observation = world.sense();
            surprises.push(mind.perceive(&observation).unwrap());
            entropies.push(mind.uncertainty());
            let action = decide(&mut mind);
            mind.last_action = Some(action);
            if let Some(goal) = world.act(action) {
                mind.aim(goal);
            }
        }
        (world.goals_reached(), surprises, entropies)
    }

    #[test]
    fn an_agent_gets_to_its_goal_far_more_often_than_a_random_walk() {
        let mut rng = Rng::new(1, 2);
        let (random, ..) = live(1, 2_000, |_| rng.below(ACTIONS));
        let (agent, ..) = live(1, 2_000, Mind::decide);
        eprintln!("{random} {agent}");
        assert!(agent > 3 * random.max(1), "agent {agent}, random walk {random}");
    }

    #[test]
    fn healthy_signals_stay_within_what_detectors_take_for_normal() {
        for seed in 0..4 {
            let (_, surprises, entropies) = live(seed, 20_000, Mind::decide);
            for x in [surprises, entropies] {
                let mut s = x[100..].to_vec();
                s.sort_by(f64::total_cmp);
                let n = s.len();
                let mean = s.iter().sum::<f64>() / n as f64;
                let sd = (s.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n as f64).sqrt();
                let (q1, q3) = (s[n / 4], s[3 * n / 4]);
                eprintln!(
                    "mean {mean:.3} sd {sd:.3} min {:.3} q1 {q1:.3} q3 {q3:.3} p99 {:.3} p999 {:.3} max {:.3} zmax {:.2} iqrmax {:.2}",
                    s[0],
                    s[n * 99 / 100],
                    s[n * 999 / 1000],
                    s[n - 1],
                    (s[n - 1] - mean) / sd,
                    (s[n - 1] - q3) / ((q3 - q1) / 1.349) + 0.674
                );
            }
        }
    }
}
