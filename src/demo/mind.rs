//! The agent's mind: it perceives, decides and remembers. It knows nothing of telemetry.

use std::collections::VecDeque;

use super::inference::{Belief, Impossible, Observation};
use super::model::Model;
use super::planning::Planner;
use super::rng::Rng;
use super::world::{self, SENSORS};

/// Steps that a healthy agent looks ahead.
pub(crate) const HORIZON: usize = 3;
/// Steps that a mind can look ahead at most.
pub(crate) const DEEPEST: usize = 5;
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
        let planner = Planner::new(&model, HORIZON, DEEPEST, PRECISION);
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

    /// Changes how far the mind looks ahead, at most [`DEEPEST`] steps. Each step further multiplies the work of a decision by five.
    pub(crate) fn look_ahead(&mut self, horizon: usize) {
        self.planner.look_ahead(horizon);
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

#[cfg(test)]
mod tests {
    use super::super::world::{ACTIONS, World};
    use super::*;

    /// Goals reached in so many steps.
    fn live(seed: u64, steps: usize, mut decide: impl FnMut(&mut Mind) -> usize) -> u64 {
        let mut world = World::new(Rng::new(seed, 0));
        let mut mind = Mind::new(world.goal(), Rng::new(seed, 1));
        for _ in 0..steps {
            let observation = world.sense();
            mind.perceive(&observation).unwrap();
            let action = decide(&mut mind);
            mind.last_action = Some(action);
            if let Some(goal) = world.act(action) {
                mind.aim(goal);
            }
        }
        world.goals_reached()
    }

    #[test]
    fn an_agent_gets_to_its_goal_far_more_often_than_a_random_walk() {
        let mut rng = Rng::new(1, 2);
        let random = live(1, 2_000, |_| rng.below(ACTIONS));
        let agent = live(1, 2_000, Mind::decide);
        assert!(agent > 10 * random.max(1), "agent {agent}, random walk {random}");
    }

    #[test]
    fn memory_is_accounted_for_and_a_longer_search_needs_no_more() {
        let mut mind = Mind::new(3, Rng::new(1, 1));
        let healthy = mind.bytes();
        for horizon in [HORIZON, DEEPEST, HORIZON] {
            mind.look_ahead(horizon);
            mind.decide();
            mind.remember([Some(0); SENSORS], 0);
            assert_eq!(mind.bytes(), healthy);
        }
        mind.leak(1_000);
        mind.leak(500);
        assert_eq!(mind.bytes(), healthy + 1_500);
        mind.free_leaked();
        assert_eq!(mind.bytes(), healthy);
    }
}
