//! One report per event.
//!
//! An unusual stretch is made of many unusual values. Only the one it begins with is news, and one that is far worse;
//! the rest are echoes. The gate remembers the last report and lets through what is clearly worse than the memory,
//! which fades only while things are quiet. It needs no threshold, so the same rule serves alarms and ranked scores.
//!
//! ```text
//! admit(score):
//!   if score > WORSE * memory:          memory = score; it is news
//!   else if score < HOLD * memory:      memory fades; it is quiet
//!   else:                               the event goes on, and so does the memory
//! ```

/// A report needs a score this many times that of the last one, while that is remembered. Half as much again: the next
/// severity and more for all scores from 4 on.
const WORSE: f64 = 1.5;

/// The memory holds while scores are at least this share of it (the hysteresis), so an alarm that never ends is
/// reported once.
const HOLD: f64 = 0.5;

/// The factor by which the memory fades with every quiet value: it halves in 100, a tenth of the history.
const FADE: f64 = 0.993_092_495_437_035_9;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gate {
    /// Score of the last report, faded.
    memory: f64,
}

impl Gate {
    /// Whether a value with this score is news. One that is not `eligible` never is.
    pub(crate) fn admit(&mut self, score: f64, eligible: bool) -> bool {
        if eligible && score > WORSE * self.memory {
            self.memory = score;
            return true;
        }
        if score < HOLD * self.memory {
            self.memory *= FADE;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(scores: impl IntoIterator<Item = f64>) -> Vec<usize> {
        let mut gate = Gate::default();
        scores.into_iter().enumerate().filter_map(|(at, score)| gate.admit(score, score >= 4.0).then_some(at)).collect()
    }

    #[test]
    fn an_alarm_that_never_ends_is_reported_once() {
        assert_eq!(news(std::iter::repeat_n(8.0, 100_000)), [0]);
    }

    #[test]
    fn one_that_gets_worse_is_reported_again() {
        assert_eq!(news([8.0, 9.0, 11.9, 12.1, 12.0, 12.1, 30.0]), [0, 3, 6]);
        // Also when it does so in steps too small to notice one by one.
        assert_eq!(news((0..100).map(|step| 4.0 * 1.02_f64.powi(step))).len(), 5);
    }

    #[test]
    fn a_new_event_of_the_same_size_is_reported_after_a_quiet_time() {
        let spikes = |quiet| [8.0].into_iter().chain(std::iter::repeat_n(1.0, quiet)).chain([8.0]);
        assert_eq!(news(spikes(50)), [0]);
        assert_eq!(news(spikes(60)), [0, 61]);
    }

    #[test]
    fn flapping_is_one_event() {
        assert_eq!(news((0..1_000).map(|at| if at % 2 == 0 { 8.0 } else { 4.5 })), [0]);
    }
}
