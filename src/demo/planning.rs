//! Planning: every sequence of actions up to a horizon, judged by its expected free energy.
//!
//! For one step of a plan, with q(s) the belief carried through the actions and q(o) what the sensors will then read,
//!
//! ```text
//! G = KL[q(o) || p(o | C)]  +  E_q[H[p(o | s)]]      risk + ambiguity
//!   = -E_q[ln p(o | C)]     -  I(o; s)               -(pragmatic value + epistemic value)
//! ```
//!
//! taken per sensor and summed, as is usual where sensors are read independently. The G of a plan is the sum over its
//! steps; plans are chosen with probability softmax(-precision · G), so an agent goes where it will see what it wants
//! to see, and goes to look first where it does not know enough.

use super::model::{Conditional, Model, entropy, log_sum_exp};
use super::rng::Rng;

/// Plans by looking at every sequence of actions, `actions ^ horizon` of them.
#[derive(Clone, Debug)]
pub(crate) struct Planner {
    horizon: usize,
    /// How sharply better plans are preferred; per nat.
    precision: f64,
    /// The belief at each depth of the current plan; as many as the planner may ever look ahead.
    depths: Vec<Vec<f64>>,
    /// What a sensor is expected to read.
    readings: Vec<f64>,
    /// -precision · G of each plan; the first action is the most significant digit of its number.
    plans: Vec<f64>,
}

impl Planner {
    /// A planner that looks `horizon` steps ahead, and has room to look as far as `deepest`: it allocates now rather
    /// than in the middle of a decision.
    pub(crate) fn new(model: &Model, horizon: usize, deepest: usize, precision: f64) -> Planner {
        let readings = model.likelihood.iter().map(Conditional::rows).max().unwrap_or(0);
        let deepest = deepest.max(1);
        let plans = model.actions().saturating_pow(u32::try_from(deepest).unwrap_or(u32::MAX));
        let mut planner = Planner {
            horizon,
            precision,
            depths: vec![vec![0.0; model.states()]; deepest],
            readings: vec![0.0; readings],
            plans: Vec::with_capacity(plans),
        };
        planner.look_ahead(horizon);
        planner
    }

    /// Changes the horizon, to at least 1 and at most what there is room for.
    pub(crate) fn look_ahead(&mut self, horizon: usize) {
        self.horizon = horizon.clamp(1, self.depths.len());
    }

    /// Bytes the planner holds.
    pub(crate) fn bytes(&self) -> usize {
        let depths = self.depths.iter().map(Vec::capacity).sum::<usize>();
        (depths + self.readings.capacity() + self.plans.capacity()) * size_of::<f64>()
    }

    /// Chooses the next action. Costs one evaluation of G per node of the tree of plans.
    pub(crate) fn plan(&mut self, model: &Model, belief: &[f64], rng: &mut Rng) -> usize {
        let policy = self.policy(model, belief);
        rng.draw(policy)
    }

    /// The probability of each first action: softmax over plans, summed over all that begin with it.
    fn policy(&mut self, model: &Model, belief: &[f64]) -> Vec<f64> {
        self.plans.clear();
        let mut tree = Tree { model, precision: self.precision, readings: &mut self.readings, plans: &mut self.plans };
        tree.descend(belief, &mut self.depths[..self.horizon], 0.0);
        let total = log_sum_exp(&self.plans);
        let per_action = self.plans.len() / model.actions().max(1);
        self.plans.chunks(per_action.max(1)).map(|plans| (log_sum_exp(plans) - total).exp()).collect()
    }
}

/// A walk over the tree of plans, sharing what plans with the same beginning have in common.
struct Tree<'a> {
    model: &'a Model,
    precision: f64,
    readings: &'a mut [f64],
    plans: &'a mut Vec<f64>,
}

impl Tree<'_> {
    fn descend(&mut self, belief: &[f64], depths: &mut [Vec<f64>], so_far: f64) {
        let Some((next, deeper)) = depths.split_first_mut() else {
            self.plans.push(-self.precision * so_far);
            return;
        };
        for action in &self.model.transition {
            action.apply(belief, next);
            let g = expected_free_energy(self.model, next, self.readings);
            self.descend(next, deeper, so_far + g);
        }
    }
}

/// G of one step, as risk plus ambiguity, in nats. `readings` is scratch, at least as long as any sensor has readings.
fn expected_free_energy(model: &Model, belief: &[f64], readings: &mut [f64]) -> f64 {
    let mut risk = 0.0;
    for (table, wanted) in model.likelihood.iter().zip(&model.preference) {
        let expected = &mut readings[..table.rows()];
        table.apply(belief, expected);
        let pragmatic: f64 = expected.iter().zip(wanted).map(|(q, wanted)| q * wanted).sum();
        risk -= pragmatic + entropy(expected.iter().copied());
    }
    risk + belief.iter().zip(&model.ambiguity).map(|(q, h)| q * h).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::inference::Belief;
    use super::*;

    fn distribution(weights: &[f64]) -> Vec<f64> {
        let total: f64 = weights.iter().sum();
        weights.iter().map(|w| w / total).collect()
    }

    fn still(states: usize) -> Conditional {
        Conditional::from_weights(states, states, |row, column| f64::from(u8::from(row == column)))
    }

    proptest! {
        #[test]
        fn risk_and_ambiguity_equal_pragmatic_and_epistemic_value(
            a in prop::collection::vec(0.001..1.0_f64, 12), c in prop::collection::vec(-5.0..5.0_f64, 4),
            q in prop::collection::vec(0.001..1.0_f64, 3),
        ) {
            let table = Conditional::from_weights(4, 3, |row, column| a[row * 3 + column]);
            let model = Model::new(vec![table.clone()], vec![still(3)], vec![c], vec![1.0 / 3.0; 3]);
            let q = distribution(&q);
            let g = expected_free_energy(&model, &q, &mut [0.0; 4]);

            // The mutual information from its definition, and the pragmatic value from the joint distribution.
            let (mut epistemic, mut pragmatic) = (0.0, 0.0);
            for reading in 0..4 {
                let row = table.row(reading);
                let p: f64 = row.iter().zip(&q).map(|(a, q)| a * q).sum();
                pragmatic += p * model.preference[0][reading];
                epistemic += row.iter().zip(&q).map(|(a, q)| a * q * (a / p).ln()).sum::<f64>();
            }
            prop_assert!((g + epistemic + pragmatic).abs() < 1e-10, "{g} {epistemic} {pragmatic}");
            prop_assert!(epistemic > -1e-12);
        }

        #[test]
        fn the_policy_is_a_distribution_over_all_plans(q in prop::collection::vec(0.001..1.0_f64, 3)) {
            let shift = |by: usize| Conditional::from_weights(3, 3, move |to, from| f64::from(u8::from(to == (from + by) % 3)));
            let model = Model::new(vec![still(3)], vec![shift(0), shift(1)], vec![vec![0.0, 1.0, 3.0]], vec![1.0 / 3.0; 3]);
            let mut planner = Planner::new(&model, 3, 3, 1.0);
            let policy = planner.policy(&model, &distribution(&q));
            prop_assert_eq!(planner.plans.len(), 8);
            prop_assert!((policy.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn a_plan_is_the_sum_of_its_steps() {
        // Two states seen exactly, the second wanted by 2 nats; "flip" and "stay".
        let flip = Conditional::from_weights(2, 2, |row, column| f64::from(u8::from(row != column)));
        let model = Model::new(vec![still(2)], vec![still(2), flip], vec![vec![0.0, 2.0]], vec![0.5; 2]);
        let mut planner = Planner::new(&model, 2, 2, 1.0);
        planner.policy(&model, &[1.0, 0.0]);
        let [unwanted, wanted] = [-model.preference[0][0], -model.preference[0][1]];
        let expected = [2.0 * unwanted, unwanted + wanted, 2.0 * wanted, wanted + unwanted].map(|g| -g);
        assert!(planner.plans.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{:?}", planner.plans);
    }

    /// A T-maze: reward waits in one arm and pain in the other, and only the cue, away from both, tells which.
    /// States are place + 4 · (reward on the right); places are 0 centre, 1 cue, 2 left arm, 3 right arm.
    fn t_maze() -> Model {
        let go = |place: usize| {
            Conditional::from_weights(8, 8, move |to, from| f64::from(u8::from(to == place + 4 * (from / 4))))
        };
        let sensor = |readings: usize, reads: fn(usize, usize) -> usize| {
            Conditional::from_weights(readings, 8, move |reading, state| {
                f64::from(u8::from(reading == reads(state % 4, state / 4)))
            })
        };
        let place = sensor(4, |place, _| place);
        let cue = sensor(3, |place, side| if place == 1 { 1 + side } else { 0 });
        // 1 for the reward, 2 for the pain.
        let outcome = sensor(3, |place, side| match place {
            2 => 1 + side,
            3 => 2 - side,
            _ => 0,
        });
        let mut prior = vec![0.0; 8];
        (prior[0], prior[4]) = (0.5, 0.5);
        let wanted = vec![vec![0.0; 4], vec![0.0; 3], vec![0.0, 3.0, -6.0]];
        Model::new(vec![place, cue, outcome], (0..4).map(go).collect(), wanted, prior)
    }

    #[test]
    fn an_agent_that_does_not_know_looks_first_and_then_takes_the_reward() {
        for (side, arm) in [(0, 2), (1, 3)] {
            let mut model = t_maze();
            let mut planner = Planner::new(&model, 3, 3, 4.0);
            let mut belief = Belief::new(&model);
            let first = planner.policy(&model, belief.probability());
            assert!(first[1] > 0.9, "goes to the cue: {first:?}");

            belief.predict(&model, 1);
            belief.correct(&model, &[Some(1), Some(1 + side), Some(0)]).unwrap();
            let then = planner.policy(&model, belief.probability());
            assert!(then[arm] > 0.9, "goes to the arm with the reward: {then:?}");

            // Without the cue's information there is nothing to look for.
            model.likelihood[1] = Conditional::from_weights(3, 8, |_, _| 1.0);
            let blind = Model::new(model.likelihood, model.transition, model.preference, model.prior);
            let policy = planner.policy(&blind, &blind.prior);
            assert!(policy[1] < first[1] - 0.3, "{policy:?}");
        }
    }
}
