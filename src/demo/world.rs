//! The world of the demo: a square room with four range finders, and a goal that moves once it is reached.
//!
//! The agent stands on one of 25 cells and cannot see which. Four range finders measure the distance to the walls, each
//! off by one as often as it is right; wheels slip, so that a step may not happen or lead aside. The same tables make
//! the world move and are the agent's model of it: what it believes is right, what it knows is uncertain.

use super::inference::Observation;
use super::model::{Conditional, Model};
use super::rng::Rng;

/// Cells along a wall; also how many readings a range finder has.
pub(crate) const SIDE: usize = 5;
/// Cells of the room.
pub(crate) const CELLS: usize = SIDE * SIDE;
/// Range finders: to the north, east, south and west wall.
pub(crate) const SENSORS: usize = 4;
/// What an agent can do: a step north, east, south or west, or stay.
pub(crate) const ACTIONS: usize = 5;

/// How often a range finder is right, before the walls cut its error short; else it is one off, either way.
const EXACT: f64 = 0.5;
/// Any other reading. So rare that one means a broken sensor, but not impossible: the agent must be able to recover.
const GLITCH: f64 = 1e-8;
/// How often a step is not taken, and how often it leads to one of the two sides.
const SLIP_STAY: f64 = 0.1;
const SLIP_ASIDE: f64 = 0.05;
/// How much a reading is disliked per cell that it differs from the reading at the goal; in nats.
const PULL: f64 = 1.0;

/// What the range finder `sensor` reads on `cell` when it is right.
pub(crate) fn distance(sensor: usize, cell: usize) -> usize {
    let (row, column) = (cell / SIDE, cell % SIDE);
    match sensor {
        0 => row,
        1 => SIDE - 1 - column,
        2 => SIDE - 1 - row,
        _ => column,
    }
}

/// The cell one step from `cell`; the walls hold.
fn step(cell: usize, direction: usize) -> usize {
    let (row, column) = (cell / SIDE, cell % SIDE);
    match direction {
        0 => row.saturating_sub(1) * SIDE + column,
        1 => row * SIDE + (column + 1).min(SIDE - 1),
        2 => (row + 1).min(SIDE - 1) * SIDE + column,
        3 => row * SIDE + column.saturating_sub(1),
        _ => cell,
    }
}

/// p(next cell | cell) of an action.
fn transition(action: usize) -> Conditional {
    Conditional::from_weights(CELLS, CELLS, |to, from| {
        let reached = |cell: usize, p: f64| if cell == to { p } else { 0.0 };
        if action == ACTIONS - 1 {
            return reached(from, 1.0);
        }
        reached(step(from, action), 1.0 - SLIP_STAY - 2.0 * SLIP_ASIDE)
            + reached(from, SLIP_STAY)
            + reached(step(from, (action + 1) % 4), SLIP_ASIDE)
            + reached(step(from, (action + 3) % 4), SLIP_ASIDE)
    })
}

/// p(reading | cell) of a range finder.
fn likelihood(sensor: usize) -> Conditional {
    Conditional::from_weights(SIDE, CELLS, |reading, cell| match reading.abs_diff(distance(sensor, cell)) {
        0 => EXACT,
        1 => (1.0 - EXACT) / 2.0,
        _ => GLITCH,
    })
}

/// How much each reading is wanted by an agent whose goal is `goal`.
pub(crate) fn preference(goal: usize) -> Vec<Vec<f64>> {
    let wanted = |sensor, reading: usize| -PULL * reading.abs_diff(distance(sensor, goal)) as f64;
    (0..SENSORS).map(|sensor| (0..SIDE).map(|reading| wanted(sensor, reading)).collect()).collect()
}

/// The room as a generative model, with a goal.
pub(crate) fn model(goal: usize) -> Model {
    Model::new(
        (0..SENSORS).map(likelihood).collect(),
        (0..ACTIONS).map(transition).collect(),
        preference(goal),
        vec![1.0 / CELLS as f64; CELLS],
    )
}

/// What goes wrong with the range finders.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct SensorFault {
    /// Readings have nothing to do with the distance any more.
    pub(crate) random: bool,
    /// How often a reading fails altogether, 0 to 1.
    pub(crate) failing: f64,
}

/// The room itself: where the agent really is, and where it should go.
#[derive(Clone, Debug)]
pub(crate) struct World {
    reality: Model,
    cell: usize,
    goal: usize,
    goals_reached: u64,
    pub(crate) sensor_fault: SensorFault,
    rng: Rng,
}

impl World {
    pub(crate) fn new(mut rng: Rng) -> World {
        let goal = rng.below(CELLS);
        let reality = model(goal);
        let cell = rng.draw(reality.prior.iter().copied());
        World { reality, cell, goal, goals_reached: 0, sensor_fault: SensorFault::default(), rng }
    }

    /// The cell to go to.
    pub(crate) fn goal(&self) -> usize {
        self.goal
    }

    /// How often the goal was reached.
    pub(crate) fn goals_reached(&self) -> u64 {
        self.goals_reached
    }

    /// Measures all four distances; `None` where a sensor failed.
    pub(crate) fn sense(&mut self) -> [Option<usize>; SENSORS] {
        std::array::from_fn(|sensor| {
            if self.sensor_fault.failing > 0.0 && self.rng.chance(self.sensor_fault.failing) {
                None
            } else if self.sensor_fault.random {
                Some(self.rng.below(SIDE))
            } else {
                Some(self.rng.draw(self.reality.likelihood[sensor].column(self.cell)))
            }
        })
    }

    /// Moves the agent. Where it gets to its goal, the goal moves elsewhere and is returned.
    pub(crate) fn act(&mut self, action: usize) -> Option<usize> {
        self.cell = self.rng.draw(self.reality.transition[action].column(self.cell));
        if self.cell != self.goal {
            return None;
        }
        self.goals_reached += 1;
        self.goal = (self.goal + 1 + self.rng.below(CELLS - 1)) % CELLS;
        Some(self.goal)
    }
}

/// How many sensors gave a reading.
pub(crate) fn readings(observation: &Observation) -> usize {
    observation.iter().flatten().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_a_distribution() {
        let model = model(7);
        for table in model.likelihood.iter().chain(&model.transition) {
            for column in 0..CELLS {
                assert!((table.column(column).sum::<f64>() - 1.0).abs() < 1e-12);
            }
        }
        assert_eq!((model.states(), model.actions(), model.likelihood.len()), (CELLS, ACTIONS, SENSORS));
    }

    #[test]
    fn steps_stop_at_walls_and_sensors_agree_about_the_room() {
        assert_eq!([0, 1, 2, 3, 4].map(|direction| step(0, direction)), [0, 1, 5, 0, 0]);
        assert_eq!([0, 1, 2, 3, 4].map(|direction| step(24, direction)), [19, 24, 24, 23, 24]);
        for cell in 0..CELLS {
            assert_eq!(distance(0, cell) + distance(2, cell), SIDE - 1);
            assert_eq!(distance(1, cell) + distance(3, cell), SIDE - 1);
        }
    }

    #[test]
    fn the_world_moves_and_reads_as_its_tables_say() {
        const TRIALS: usize = 50_000;
        let mut world = World::new(Rng::new(11, 0));
        let centre = CELLS / 2;
        let (mut moved, mut read) = ([0.0; CELLS], [0.0; SIDE]);
        for _ in 0..TRIALS {
            (world.cell, world.goal) = (centre, 0);
            read[world.sense()[1].unwrap()] += 1.0 / TRIALS as f64;
            world.act(0);
            moved[world.cell] += 1.0 / TRIALS as f64;
        }
        let near = |seen: &[f64], expected: Vec<f64>| seen.iter().zip(expected).all(|(a, b)| (a - b).abs() < 0.012);
        assert!(near(&moved, world.reality.transition[0].column(centre).collect()), "{moved:?}");
        assert!(near(&read, world.reality.likelihood[1].column(centre).collect()), "{read:?}");
    }

    #[test]
    fn a_reached_goal_moves_elsewhere() {
        let mut world = World::new(Rng::new(5, 0));
        for _ in 0..1_000 {
            let before = world.goal();
            world.cell = before;
            let reached = world.act(ACTIONS - 1);
            assert_eq!(reached, Some(world.goal()));
            assert_ne!(world.goal(), before);
        }
        assert_eq!(world.goals_reached(), 1_000);
    }

    #[test]
    fn faulty_sensors_read_anything_or_nothing() {
        let mut world = World::new(Rng::new(9, 0));
        world.sensor_fault.failing = 1.0;
        assert_eq!(readings(&world.sense()), 0);
        world.sensor_fault = SensorFault { random: true, failing: 0.0 };
        (world.cell, world.goal) = (0, 24);
        let mut seen = [0; SIDE];
        for _ in 0..5_000 {
            seen[world.sense()[0].unwrap()] += 1;
        }
        assert!(seen.iter().all(|&n| n > 800), "{seen:?}");
    }
}
