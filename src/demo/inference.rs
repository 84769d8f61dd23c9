//! Belief update: exact filtering, and the free energy it minimises.
//!
//! Before a reading arrives the belief is carried forward with B (*predict*), then weighed with A (*correct*). With
//! q the belief after both and p(s) the belief in between, the variational free energy of a reading o is
//!
//! ```text
//! F = E_q[ln q(s) - ln p(o, s)],    p(o, s) = p(o | s) p(s)
//! ```
//!
//! which is never below the surprise -ln p(o), and equal to it where q is the exact posterior, as it is here.

use std::fmt;

use super::model::{Model, entropy};

/// What the sensors read, in the model's order; `None` for a sensor that failed.
pub(crate) type Observation = [Option<usize>];

/// The model gives the observation no chance at all, so there is no belief to draw from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Impossible;

impl fmt::Display for Impossible {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the observation is impossible under the agent's model: give every reading some probability")
    }
}

/// Where the agent believes it is: a distribution over states.
#[derive(Clone, Debug)]
pub(crate) struct Belief {
    /// p(s | all readings so far).
    probability: Vec<f64>,
    /// The belief before the latest reading; kept so that nothing is allocated while the agent lives.
    predicted: Vec<f64>,
}

impl Belief {
    /// The belief before anything was seen: the model's D.
    pub(crate) fn new(model: &Model) -> Belief {
        Belief { probability: model.prior.clone(), predicted: model.prior.clone() }
    }

    pub(crate) fn probability(&self) -> &[f64] {
        &self.probability
    }

    /// How uncertain the belief is, in nats: 0 for certainty, ln(states) for no idea.
    pub(crate) fn entropy(&self) -> f64 {
        entropy(self.probability.iter().copied())
    }

    /// Carries the belief through an action.
    pub(crate) fn predict(&mut self, model: &Model, action: usize) {
        model.transition[action].apply(&self.probability, &mut self.predicted);
        self.probability.copy_from_slice(&self.predicted);
    }

    /// Weighs the belief with an observation; returns its free energy in nats.
    ///
    /// After [`Impossible`] the belief is as before.
    pub(crate) fn correct(&mut self, model: &Model, observation: &Observation) -> Result<f64, Impossible> {
        self.predicted.copy_from_slice(&self.probability);
        for (table, reading) in model.likelihood.iter().zip(observation) {
            if let Some(reading) = *reading {
                for (q, likelihood) in self.probability.iter_mut().zip(table.row(reading)) {
                    *q *= likelihood;
                }
            }
        }
        let evidence: f64 = self.probability.iter().sum();
        if evidence <= 0.0 {
            self.probability.copy_from_slice(&self.predicted);
            return Err(Impossible);
        }
        for q in &mut self.probability {
            *q /= evidence;
        }
        Ok(free_energy(&self.probability, &self.predicted, model, observation))
    }
}

/// `E_q[ln q(s) - ln p(o | s) - ln p(s)]` in nats; infinite where q believes in what p rules out.
pub(crate) fn free_energy(q: &[f64], p: &[f64], model: &Model, observation: &Observation) -> f64 {
    let mut total = 0.0;
    for (state, (&q, &p)) in q.iter().zip(p).enumerate() {
        if q > 0.0 {
            let readings = model.likelihood.iter().zip(observation);
            let joint = readings.filter_map(|(table, reading)| Some(table.row((*reading)?)[state].ln())).sum::<f64>();
            total += q * (q.ln() - joint - p.ln());
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::model::Conditional;
    use super::*;

    const STATES: usize = 3;
    const READINGS: usize = 4;
    const ACTIONS: usize = 2;

    fn table(rows: usize, columns: usize, weights: &[f64]) -> Conditional {
        Conditional::from_weights(rows, columns, |row, column| weights[row * columns + column])
    }

    /// A small model of two sensors with arbitrary entries.
    fn models() -> impl Strategy<Value = Model> {
        let weights = |n| prop::collection::vec(0.01..1.0_f64, n);
        (weights(2 * READINGS * STATES), weights(ACTIONS * STATES * STATES), weights(STATES)).prop_map(|(a, b, d)| {
            let total: f64 = d.iter().sum();
            Model::new(
                a.chunks(READINGS * STATES).map(|w| table(READINGS, STATES, w)).collect(),
                b.chunks(STATES * STATES).map(|w| table(STATES, STATES, w)).collect(),
                vec![vec![0.0; READINGS]; 2],
                d.iter().map(|d| d / total).collect(),
            )
        })
    }

    /// Two readings now and two after each action; `None` is a sensor that failed.
    fn histories() -> impl Strategy<Value = Vec<(usize, [Option<usize>; 2])>> {
        let reading = || prop::option::of(0..READINGS);
        prop::collection::vec((0..ACTIONS, [reading(), reading()]), 1..5)
    }

    fn likelihood(model: &Model, state: usize, observation: &Observation) -> f64 {
        let readings = model.likelihood.iter().zip(observation);
        readings.map(|(table, reading)| reading.map_or(1.0, |reading| table.row(reading)[state])).product()
    }

    /// p(every last state, all observations), by summing over every path of states there is.
    fn enumerate(model: &Model, history: &[(usize, [Option<usize>; 2])]) -> [f64; STATES] {
        let mut joint = [0.0; STATES];
        for path in 0..STATES.pow(history.len() as u32) {
            let state = |at: usize| path / STATES.pow(at as u32) % STATES;
            let mut p = model.prior[state(0)];
            for (at, (action, observation)) in history.iter().enumerate() {
                if at > 0 {
                    p *= model.transition[*action].row(state(at))[state(at - 1)];
                }
                p *= likelihood(model, state(at), observation);
            }
            joint[state(history.len() - 1)] += p;
        }
        joint
    }

    proptest! {
        #[test]
        fn filtering_equals_summing_over_every_path(model in models(), history in histories()) {
            let mut belief = Belief::new(&model);
            let mut surprise = 0.0;
            for (at, (action, observation)) in history.iter().enumerate() {
                if at > 0 {
                    belief.predict(&model, *action);
                }
                surprise += belief.correct(&model, observation).unwrap();
                prop_assert!((belief.probability().iter().sum::<f64>() - 1.0).abs() < 1e-12);
            }
            let joint = enumerate(&model, &history);
            let evidence: f64 = joint.iter().sum();
            for (believed, joint) in belief.probability().iter().zip(joint) {
                prop_assert!((believed - joint / evidence).abs() < 1e-12);
            }
            // Under the exact posterior the free energies of a history add up to its surprise.
            prop_assert!((surprise + evidence.ln()).abs() < 1e-9);
        }

        #[test]
        fn free_energy_is_an_upper_bound_of_surprise(
            model in models(), observation in [prop::option::of(0..READINGS), prop::option::of(0..READINGS)],
            q in prop::collection::vec(0.01..1.0_f64, STATES),
        ) {
            let evidence: f64 = (0..STATES).map(|s| model.prior[s] * likelihood(&model, s, &observation)).sum();
            let total: f64 = q.iter().sum();
            let q: Vec<f64> = q.iter().map(|q| q / total).collect();
            prop_assert!(free_energy(&q, &model.prior, &model, &observation) >= -evidence.ln() - 1e-12);
            let mut exact = Belief::new(&model);
            prop_assert!((exact.correct(&model, &observation).unwrap() + evidence.ln()).abs() < 1e-12);
        }
    }

    #[test]
    fn the_impossible_is_an_error_and_changes_nothing() {
        let exact = table(2, 2, &[1.0, 0.0, 0.0, 1.0]);
        let model = Model::new(vec![exact.clone()], vec![exact], vec![vec![0.0; 2]], vec![1.0, 0.0]);
        let mut belief = Belief::new(&model);
        assert_eq!(belief.correct(&model, &[Some(1)]), Err(Impossible));
        assert_eq!(belief.probability(), [1.0, 0.0]);
        assert_eq!(belief.correct(&model, &[Some(0)]), Ok(0.0));
        assert_eq!(free_energy(&[0.5, 0.5], &model.prior, &model, &[Some(0)]), f64::INFINITY);
    }

    #[test]
    fn a_failed_sensor_says_nothing() {
        let noisy = table(2, 2, &[0.9, 0.2, 0.1, 0.8]);
        let stay = table(2, 2, &[1.0, 0.0, 0.0, 1.0]);
        let model = Model::new(vec![noisy], vec![stay], vec![vec![0.0; 2]], vec![0.3, 0.7]);
        let mut belief = Belief::new(&model);
        assert!(belief.correct(&model, &[None]).unwrap().abs() < 1e-15);
        assert_eq!(belief.probability(), [0.3, 0.7]);
        assert!((belief.entropy() - 0.610_864_302_054_893_5).abs() < 1e-12);
    }
}
