//! Faults: what goes wrong, for whom and when, all from a seed.

use serde::Serialize;

use super::rng::Rng;
use crate::sync::{AtomicU64, Ordering};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FaultKind {
    /// The planner looks two steps further ahead, at 25 times the work.
    PlanningSlowed,
    /// The sensors read anything, whatever the distance.
    SensorBroken,
    /// Three readings in ten fail.
    Errors,
    /// The agent takes memory with every step and keeps it.
    MemoryGrowth,
}

impl FaultKind {
    /// Every kind.
    pub const ALL: [FaultKind; 4] =
        [FaultKind::PlanningSlowed, FaultKind::SensorBroken, FaultKind::Errors, FaultKind::MemoryGrowth];

    /// The name used in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            FaultKind::PlanningSlowed => "planning_slowed",
            FaultKind::SensorBroken => "sensor_broken",
            FaultKind::Errors => "errors",
            FaultKind::MemoryGrowth => "memory_growth",
        }
    }

    /// The metrics that a fault of this kind moves.
    #[must_use]
    pub const fn expected(self) -> &'static [&'static str] {
        match self {
            FaultKind::PlanningSlowed => &["planning_time"],
            FaultKind::SensorBroken => &["free_energy", "belief_entropy"],
            FaultKind::Errors => &["errors", "error_rate", "observation_size", "free_energy", "belief_entropy"],
            FaultKind::MemoryGrowth => &["memory_usage"],
        }
    }

    /// How long a fault of this kind lasts, in seconds.
    const fn seconds(self) -> f64 {
        match self {
            FaultKind::MemoryGrowth => 1.5,
            _ => 1.0,
        }
    }
}

/// What one agent suffers from right now; set by the injector, read by the agent's thread once a step.
#[derive(Debug, Default)]
pub(crate) struct Switch(AtomicU64);

impl Switch {
    // Relaxed: the number is all that is passed on, nothing else is read because of it.

    pub(crate) fn set(&self, kind: Option<FaultKind>) {
        self.0.store(kind.map_or(0, |kind| kind as u64 + 1), Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> Option<FaultKind> {
        let code = self.0.load(Ordering::Relaxed);
        FaultKind::ALL.into_iter().find(|&kind| kind as u64 + 1 == code)
    }
}

/// A fault that is to come; times in seconds since the start of the run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Planned {
    pub(crate) kind: FaultKind,
    /// Number of the agent.
    pub(crate) agent: usize,
    pub(crate) start: f64,
    pub(crate) end: f64,
}

/// Nothing goes wrong before this: detectors need a while to know what is normal.
const WARM_UP: f64 = 3.0;
/// Least and greatest pause between the end of a fault and the start of the next.
const PAUSE: (f64, f64) = (1.0, 1.4);
/// Time an agent has for itself after a fault, longer than [`super::score::GRACE`], so that no alarm fits two faults.
const RECOVERY: f64 = 2.5;

/// All faults to come, in order and without end, one at a time.
///
/// Kinds are dealt from a shuffled deck, so that each comes up before any comes twice; each kind goes round the agents,
/// so that the same fault befalls the same agent only after all others have had it.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    rng: Rng,
    deck: Vec<FaultKind>,
    /// Whose turn it is, for each kind.
    turns: [usize; FaultKind::ALL.len()],
    /// When each agent may suffer next.
    free_at: Vec<f64>,
    /// Earliest start of the next fault.
    from: f64,
}

impl Schedule {
    /// The faults of a run with so many agents; none where there are no agents.
    pub(crate) fn new(seed: u64, agents: usize) -> Schedule {
        let mut rng = Rng::new(seed, u64::MAX);
        let from = WARM_UP + rng.between(0.0, 0.4);
        let first = rng.below(agents);
        let turns = std::array::from_fn(|kind| (first + kind) % agents.max(1));
        Schedule { rng, deck: Vec::new(), turns, free_at: vec![0.0; agents], from }
    }
}

impl Iterator for Schedule {
    type Item = Planned;

    fn next(&mut self) -> Option<Planned> {
        if self.deck.is_empty() {
            self.deck.extend(FaultKind::ALL);
            self.rng.shuffle(&mut self.deck);
        }
        let kind = self.deck.pop()?;
        let turn = &mut self.turns[kind as usize];
        let agent = *turn;
        *turn = (agent + 1) % self.free_at.len().max(1);
        let free_at = self.free_at.get_mut(agent)?;
        let start = self.from.max(*free_at);
        let end = start + kind.seconds();
        *free_at = end + RECOVERY;
        self.from = end + self.rng.between(PAUSE.0, PAUSE.1);
        Some(Planned { kind, agent, start, end })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::score::GRACE;
    use super::*;

    #[test]
    fn schedules_keep_faults_apart_and_varied_whatever_the_seed() {
        for seed in 0..200 {
            for agents in 1..6 {
                let faults: Vec<Planned> = Schedule::new(seed, agents).take(40).collect();
                assert!(faults[0].start >= WARM_UP);
                for pair in faults.windows(2) {
                    assert!(pair[1].start >= pair[0].end + PAUSE.0);
                }
                for agent in 0..agents {
                    let own: Vec<&Planned> = faults.iter().filter(|fault| fault.agent == agent).collect();
                    assert!(own.windows(2).all(|pair| pair[1].start > pair[0].end + GRACE.as_secs_f64()));
                }
                for kind in FaultKind::ALL {
                    let whom: Vec<usize> = faults.iter().filter(|f| f.kind == kind).map(|f| f.agent).collect();
                    assert!(whom.windows(agents).all(|round| round.iter().collect::<HashSet<_>>().len() == agents));
                }
                for round in faults.chunks(4) {
                    assert_eq!(round.iter().map(|fault| fault.kind).collect::<HashSet<_>>().len(), 4);
                }
            }
        }
    }

    #[test]
    fn ten_seconds_hold_at_least_two_faults() {
        for seed in 0..1_000 {
            let whole = Schedule::new(seed, 3).take_while(|fault| fault.end < 9.5).count();
            assert!((2..=3).contains(&whole), "seed {seed}: {whole}");
        }
    }

    #[test]
    fn the_seed_decides() {
        let take = |seed| Schedule::new(seed, 3).take(20).collect::<Vec<_>>();
        assert_eq!(take(1), take(1));
        assert_ne!(take(1), take(2));
        assert_eq!(Schedule::new(1, 0).next(), None);
    }

    #[test]
    fn a_switch_gives_back_what_was_set() {
        let switch = Switch::default();
        assert_eq!(switch.get(), None);
        for kind in FaultKind::ALL {
            switch.set(Some(kind));
            assert_eq!(switch.get(), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
        switch.set(None);
        assert_eq!(switch.get(), None);
    }
}
