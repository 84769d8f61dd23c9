//! How well the faults were noticed.
//!
//! Of the anomalies, those of series with an `agent_id` label are compared with the faults:
//!
//! - An anomaly *falls into* a fault if it is of the same agent and its time lies between the fault's start and its
//!   end plus 2 s ([`GRACE`]), in which an agent may still suffer from what happened (a belief to be mended, an error
//!   rate that remembers 100 steps).
//! - A fault is *noticed* if an anomaly falls into it whose metric is one that such a fault moves
//!   ([`FaultKind::expected`]); its *delay* is the time from its start to the first of them.
//! - An anomaly that falls into a fault, but is of a metric the fault should not move, is a *side effect*: neither
//!   credited nor blamed.
//! - An anomaly that falls into no fault is a *false alarm*.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::faults::FaultKind;

/// How long after its end a fault may still be noticed.
pub(crate) const GRACE: Duration = Duration::from_secs(2);
/// How much earlier than a fault's start its first sample may seem to be: samples carry a coarser time than faults.
const SLACK: Duration = Duration::from_millis(20);

/// Faults that are kept with all their details.
const KEPT: usize = 1_000;

/// A fault that was injected.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Fault {
    /// What went wrong.
    pub kind: FaultKind,
    /// The agent it happened to.
    pub agent_id: String,
    /// When it was switched on, nanoseconds since the Unix epoch.
    pub start_ns: i64,
    /// When it was switched off, nanoseconds since the Unix epoch.
    pub end_ns: i64,
    /// The metrics it was expected to move.
    pub expected: &'static [&'static str],
    /// Whether an anomaly was found in one of them.
    pub noticed: bool,
    /// From its start to the first such anomaly, in seconds; `None` if it was not noticed.
    pub delay_seconds: Option<f64>,
    /// The metric of that anomaly.
    pub noticed_in: Option<String>,
}

impl Fault {
    pub(crate) fn new(kind: FaultKind, agent_id: String, start_ns: i64, end_ns: i64) -> Fault {
        let expected = kind.expected();
        Fault { kind, agent_id, start_ns, end_ns, expected, noticed: false, delay_seconds: None, noticed_in: None }
    }

    fn holds(&self, alarm: &Alarm<'_>) -> bool {
        let ns = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        let from = self.start_ns.saturating_sub(ns(SLACK));
        let to = self.end_ns.saturating_add(ns(GRACE));
        alarm.agent_id == self.agent_id && (from..=to).contains(&alarm.time_ns)
    }

    fn notice(&mut self, alarm: &Alarm<'_>) {
        let delay = (alarm.time_ns - self.start_ns).max(0) as f64 / 1e9;
        if self.delay_seconds.is_none_or(|first| delay < first) {
            self.noticed = true;
            self.delay_seconds = Some(delay);
            self.noticed_in = Some(alarm.metric.to_owned());
        }
    }
}

/// What the comparison needs of an anomaly.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Alarm<'a> {
    pub(crate) metric: &'a str,
    pub(crate) agent_id: &'a str,
    pub(crate) time_ns: i64,
}

/// How faults of one kind fared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct KindScore {
    /// How many were injected.
    pub injected: u64,
    /// How many of them were noticed.
    pub noticed: u64,
    /// Mean delay of those that were, in seconds; `None` where none was.
    pub mean_delay_seconds: Option<f64>,
    #[serde(skip)]
    delays: f64,
}

/// How all faults fared.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Score {
    /// How many faults were injected.
    pub faults_injected: u64,
    /// How many of them were noticed.
    pub faults_noticed: u64,
    /// Anomalies of agents' series that fall into no fault.
    pub false_alarms: u64,
    /// The same by metric.
    pub false_alarms_by_metric: BTreeMap<String, u64>,
    /// Anomalies that fall into a fault which should not have moved their metric.
    pub side_effects: u64,
    /// Delays of those among the listed faults that were noticed, in seconds, in the order of the faults.
    pub delays: Vec<f64>,
    /// The same faults, kind by kind.
    pub kinds: BTreeMap<FaultKind, KindScore>,
    /// The last 1,000 faults, in the order in which they began.
    pub faults: Vec<Fault>,
}

/// Compares anomalies with faults as they come, so that a run may go on for weeks.
#[derive(Debug, Default)]
pub(crate) struct Scorer {
    /// The totals, and the last [`KEPT`] faults.
    score: Score,
}

impl Scorer {
    /// A fault begins; it must be told before an anomaly can fall into it.
    pub(crate) fn begin(&mut self, kind: FaultKind, agent_id: &str, start_ns: i64) {
        self.score.faults_injected += 1;
        self.score.kinds.entry(kind).or_default().injected += 1;
        self.score.faults.push(Fault::new(kind, agent_id.to_owned(), start_ns, i64::MAX));
        if self.score.faults.len() > KEPT {
            self.score.faults.remove(0);
        }
    }

    /// The latest fault ends.
    pub(crate) fn end(&mut self, end_ns: i64) {
        if let Some(fault) = self.score.faults.last_mut() {
            fault.end_ns = end_ns;
        }
    }

    /// An anomaly was found.
    pub(crate) fn alarm(&mut self, alarm: &Alarm<'_>) {
        let Some(fault) = self.score.faults.iter_mut().rev().find(|fault| fault.holds(alarm)) else {
            self.score.false_alarms += 1;
            *self.score.false_alarms_by_metric.entry(alarm.metric.to_owned()).or_default() += 1;
            return;
        };
        if !fault.expected.contains(&alarm.metric) {
            self.score.side_effects += 1;
            return;
        }
        let before = fault.delay_seconds;
        fault.notice(alarm);
        // The mean takes in the delay of a fault that is noticed now, or the improvement of one noticed before.
        let kind = self.score.kinds.entry(fault.kind).or_default();
        if before.is_none() {
            self.score.faults_noticed += 1;
            kind.noticed += 1;
            kind.delays += fault.delay_seconds.unwrap_or(0.0);
        } else {
            kind.delays += fault.delay_seconds.unwrap_or(0.0) - before.unwrap_or(0.0);
        }
        kind.mean_delay_seconds = Some(kind.delays / kind.noticed as f64);
    }

    /// The result so far.
    pub(crate) fn finish(mut self) -> Score {
        self.score.delays = self.score.faults.iter().filter_map(|fault| fault.delay_seconds).collect();
        self.score
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    fn scored(faults: &[(FaultKind, &str, i64, i64)], alarms: &[(&str, &str, i64)]) -> Score {
        let mut scorer = Scorer::default();
        for &(kind, agent_id, start_ms, end_ms) in faults {
            scorer.begin(kind, agent_id, start_ms * MS);
            scorer.end(end_ms * MS);
        }
        for &(metric, agent_id, time_ms) in alarms {
            scorer.alarm(&Alarm { metric, agent_id, time_ns: time_ms * MS });
        }
        scorer.finish()
    }

    #[test]
    fn the_first_expected_anomaly_notices_a_fault() {
        let faults = [(FaultKind::SensorBroken, "a1", 1_000, 2_000)];
        let alarms = [("belief_entropy", "a1", 1_500), ("free_energy", "a1", 1_250), ("planning_time", "a1", 1_100)];
        let score = scored(&faults, &alarms);
        assert_eq!((score.faults_injected, score.faults_noticed), (1, 1));
        assert_eq!((score.false_alarms, score.side_effects), (0, 1));
        assert_eq!(score.delays, [0.25]);
        assert_eq!(score.kinds[&FaultKind::SensorBroken].mean_delay_seconds, Some(0.25));
        assert_eq!(score.faults[0].noticed_in.as_deref(), Some("free_energy"));
    }

    #[test]
    fn the_grace_ends_and_other_agents_do_not_count() {
        let faults = [(FaultKind::MemoryGrowth, "a1", 1_000, 2_000), (FaultKind::MemoryGrowth, "a2", 9_000, 10_000)];
        let at = |time_ms| scored(&faults, &[("memory_usage", "a1", time_ms)]);
        assert_eq!(at(979).false_alarms, 1);
        // A coarse clock may put it just before the start; the delay is then nought.
        assert_eq!(at(980).delays, [0.0]);
        assert_eq!(at(4_000).delays, [3.0]);
        assert_eq!((at(4_001).faults_noticed, at(4_001).false_alarms), (0, 1));
        assert_eq!((at(9_500).faults_noticed, at(9_500).false_alarms), (0, 1));
        assert_eq!(at(9_500).false_alarms_by_metric["memory_usage"], 1);
    }

    #[test]
    fn a_fault_that_goes_on_holds_what_comes() {
        let mut scorer = Scorer::default();
        scorer.begin(FaultKind::Errors, "a1", 0);
        scorer.alarm(&Alarm { metric: "error_rate", agent_id: "a1", time_ns: 3_600_000 * MS });
        assert_eq!(scorer.finish().delays, [3_600.0]);
    }

    #[test]
    fn kinds_have_their_own_account() {
        let faults = [
            (FaultKind::Errors, "a1", 0, 100),
            (FaultKind::Errors, "a2", 10_000, 10_100),
            (FaultKind::Errors, "a3", 20_000, 20_100),
            (FaultKind::PlanningSlowed, "a3", 30_000, 30_100),
        ];
        let score = scored(&faults, &[("error_rate", "a1", 100), ("errors", "a2", 10_300)]);
        let errors = score.kinds[&FaultKind::Errors];
        assert_eq!((errors.injected, errors.noticed), (3, 2));
        assert!((errors.mean_delay_seconds.unwrap() - 0.2).abs() < 1e-12);
        let slowed = score.kinds[&FaultKind::PlanningSlowed];
        assert_eq!((slowed.injected, slowed.noticed, slowed.mean_delay_seconds), (1, 0, None));
        let json = serde_json::to_value(&score).unwrap();
        assert_eq!(json["kinds"]["errors"]["noticed"], 2);
        assert_eq!(json["faults"][3]["kind"], "planning_slowed");
    }

    #[test]
    fn old_faults_leave_the_list_and_stay_in_the_totals() {
        let faults: Vec<_> = (0..1_500).map(|at| (FaultKind::Errors, "a1", at * 10_000, at * 10_000 + 1)).collect();
        let score = scored(&faults, &[("error_rate", "a1", 14_990_000)]);
        assert_eq!((score.faults_injected, score.faults.len(), score.faults_noticed), (1_500, KEPT, 1));
        assert_eq!(score.faults[0].start_ns, 5_000_000 * MS);
    }
}
