//! What an agent believes about how its world works: a partially observable Markov decision process.
//!
//! States, actions and readings are numbered from 0. The four parts carry the letters under which active inference
//! knows them:
//!
//! | letter | field | shape | meaning |
//! | --- | --- | --- | --- |
//! | A | `likelihood` | per sensor: readings × states | p(reading \| state) |
//! | B | `transition` | per action: states × states | p(next state \| state) |
//! | C | `preference` | per sensor: readings | ln of how much a reading is wanted, normalised |
//! | D | `prior` | states | p(first state) |

/// A table of conditional probabilities p(row | column), flat and row-major: every column sums to 1.
#[derive(Clone, Debug)]
pub(crate) struct Conditional {
    rows: usize,
    columns: usize,
    values: Vec<f64>,
}

impl Conditional {
    /// Builds a table from weights: `weight(row, column)` is not negative and not zero in all rows of a column.
    pub(crate) fn from_weights(rows: usize, columns: usize, weight: impl Fn(usize, usize) -> f64) -> Conditional {
        let mut values = vec![0.0; rows * columns];
        for column in 0..columns {
            let total: f64 = (0..rows).map(|row| weight(row, column)).sum();
            for row in 0..rows {
                values[row * columns + column] = weight(row, column) / total;
            }
        }
        Conditional { rows, columns, values }
    }

    /// How many outcomes there are.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// p(row | every column): the likelihood of each condition, once the outcome is known.
    pub(crate) fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.columns..][..self.columns]
    }

    /// p(every row | column): the distribution of the outcome under one condition.
    pub(crate) fn column(&self, column: usize) -> impl Iterator<Item = f64> + '_ {
        self.values.iter().skip(column).step_by(self.columns.max(1)).copied()
    }

    /// The distribution of the outcome where the condition itself is uncertain: `out = self · p`.
    pub(crate) fn apply(&self, p: &[f64], out: &mut [f64]) {
        for (out, row) in out.iter_mut().zip(self.values.chunks_exact(self.columns)) {
            *out = row.iter().zip(p).map(|(a, b)| a * b).sum();
        }
    }
}

/// A generative model (see the [module](self) for shapes).
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) likelihood: Vec<Conditional>,
    pub(crate) transition: Vec<Conditional>,
    pub(crate) preference: Vec<Vec<f64>>,
    pub(crate) prior: Vec<f64>,
    /// Per state, the entropy of what all sensors will read there: Σ over sensors of H[p(reading | state)], in nats.
    pub(crate) ambiguity: Vec<f64>,
}

impl Model {
    /// Puts the parts together. `preference` is in nats and need not be normalised.
    pub(crate) fn new(
        likelihood: Vec<Conditional>,
        transition: Vec<Conditional>,
        preference: Vec<Vec<f64>>,
        prior: Vec<f64>,
    ) -> Model {
        let ambiguity =
            (0..prior.len()).map(|state| likelihood.iter().map(|sensor| entropy(sensor.column(state))).sum()).collect();
        let mut model = Model { likelihood, transition, preference: Vec::new(), prior, ambiguity };
        model.prefer(preference);
        model
    }

    /// Replaces what is wanted (C); in nats, not yet normalised.
    pub(crate) fn prefer(&mut self, mut preference: Vec<Vec<f64>>) {
        for wanted in &mut preference {
            let total = log_sum_exp(wanted);
            for nats in wanted {
                *nats -= total;
            }
        }
        self.preference = preference;
    }

    pub(crate) fn states(&self) -> usize {
        self.prior.len()
    }

    pub(crate) fn actions(&self) -> usize {
        self.transition.len()
    }

    /// Bytes of the model's tables.
    pub(crate) fn bytes(&self) -> usize {
        let tables = self.likelihood.iter().chain(&self.transition).map(|table| table.values.len()).sum::<usize>();
        let wanted = self.preference.iter().map(Vec::len).sum::<usize>();
        (tables + wanted + self.prior.len() + self.ambiguity.len()) * size_of::<f64>()
    }
}

/// Entropy of a distribution in nats; impossible outcomes add nothing.
pub(crate) fn entropy(p: impl IntoIterator<Item = f64>) -> f64 {
    p.into_iter().filter(|&p| p > 0.0).map(|p| -p * p.ln()).sum()
}

/// ln Σ exp(x), without overflow.
pub(crate) fn log_sum_exp(x: &[f64]) -> f64 {
    let peak = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if peak.is_finite() { peak + x.iter().map(|x| (x - peak).exp()).sum::<f64>().ln() } else { peak }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_distributions_and_apply_mixes_them() {
        let table = Conditional::from_weights(3, 2, |row, column| (row + 2 * column + 1) as f64);
        assert_eq!(table.rows(), 3);
        for column in 0..2 {
            assert!((table.column(column).sum::<f64>() - 1.0).abs() < 1e-15);
        }
        assert_eq!(table.column(1).collect::<Vec<_>>(), [3.0 / 12.0, 4.0 / 12.0, 5.0 / 12.0]);
        assert_eq!(table.row(2), [3.0 / 6.0, 5.0 / 12.0]);
        let mut out = [0.0; 3];
        table.apply(&[0.25, 0.75], &mut out);
        assert!((out[0] - (0.25 / 6.0 + 0.75 * 3.0 / 12.0)).abs() < 1e-15);
        assert!((out.iter().sum::<f64>() - 1.0).abs() < 1e-15);
    }

    #[test]
    fn preferences_are_normalised_and_ambiguity_is_the_entropy_of_the_sensors() {
        let noisy = Conditional::from_weights(2, 2, |row, column| if column == 0 && row == 1 { 0.0 } else { 1.0 });
        let stay = Conditional::from_weights(2, 2, |row, column| f64::from(u8::from(row == column)));
        let model = Model::new(vec![noisy], vec![stay], vec![vec![700.0, 703.0]], vec![0.5, 0.5]);
        assert!((model.preference[0].iter().map(|c| c.exp()).sum::<f64>() - 1.0).abs() < 1e-12);
        assert_eq!(model.ambiguity[0], 0.0);
        assert!((model.ambiguity[1] - 2.0_f64.ln()).abs() < 1e-15);
        assert_eq!((model.states(), model.actions(), model.bytes()), (2, 1, 8 * (4 + 4 + 2 + 2 + 2)));
    }

    #[test]
    fn log_sum_exp_neither_overflows_nor_invents() {
        assert!((log_sum_exp(&[1_000.0, 1_000.0]) - (1_000.0 + 2.0_f64.ln())).abs() < 1e-12);
        assert_eq!(log_sum_exp(&[f64::NEG_INFINITY, f64::NEG_INFINITY]), f64::NEG_INFINITY);
        assert_eq!(log_sum_exp(&[]), f64::NEG_INFINITY);
    }
}
