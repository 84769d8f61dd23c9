//! All detectors over one series, value by value.
//!
//! The numbers below and in [`super::gate`] were chosen for the reasons beside them, then tried on labelled data: eight
//! settings in all (the least, the greatest, the mean and the z-score alone as the combined score; two kinds of gate;
//! memories that halve in 30, 100 and 300 values; a floor on the mean or on the magnitude). NAB (standard profile)
//! gives 35 for the greatest, 39 for the mean, 46 to 49 for the rest, which is within its noise: turning them
//! further would fit the noise.

use super::config::Detectors;
use super::gate::Gate;
use super::history::History;
use super::stats::quartile_of_sorted;
use super::tail::{MAX_SCORE, surprise, unit_score};
use super::{Severity, Verdict};

/// Nothing is said before this many values were seen: each quartile then stands on 25 values.
const WARM_UP: usize = 100;

/// The least standard deviation that counts, as a share of the largest magnitude in the history. A flat stretch has
/// almost none of its own, and would make anything that follows infinitely unusual; with this floor a change has to be
/// 1 % of the series' size to lie 4 deviations out.
const FLOOR: f64 = 0.0025;

/// The interquartile range of a standard normal, and where its upper quartile lies.
const NORMAL_RANGE: f64 = 1.348_979_500_392_163_5;
const NORMAL_QUARTILE: f64 = NORMAL_RANGE / 2.0;

/// The share of its score that an echo keeps in detection files. It bounds them by one half, the score of one in a
/// million, so that no echo outranks a beginning that matters.
const ECHO: f64 = 0.5;

/// An unusual stretch, reported once when it begins, and again should it become half as unusual again.
#[derive(Clone, Debug, PartialEq)]
pub struct Alarm {
    /// How unusual the value is: standard deviations of a normal with the same tail probability, at most 1,000.
    pub score: f64,
    /// How bad that is.
    pub severity: Severity,
    /// What each detector said.
    pub verdicts: Vec<Verdict>,
}

/// What is said of one value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observation {
    /// How unusual the value is: standard deviations of a normal with the same tail probability; 0 to 1,000. Below 2
    /// is normal, above 3 unusual; 0 while the detector warms up.
    pub score: f64,
    /// The same as `L = -log10 p`, with `p` the tail probability.
    pub surprise: f64,
    /// Whether the value is news: more unusual than anything remembered of the values before it. Otherwise it
    /// continues what was already there.
    pub onset: bool,
    /// Set on the value that an event begins with.
    pub alarm: Option<Alarm>,
}

impl Observation {
    /// The `anomaly_score` of detection files, 0 to 1: `L / (L + 6)` where the value is news, and half of it where it
    /// only continues an event.
    #[must_use]
    pub fn detection_score(&self) -> f64 {
        unit_score(self.surprise) * if self.onset { 1.0 } else { ECHO }
    }
}

/// Looks at one series: says of each value how unusual it is after all those before it.
///
/// The score of a value is that of the detector that finds it *least* unusual. Each alone is wrong on a kind of series
/// that is common (the z-score where the history holds a few outliers of its own or two levels, the quartiles where
/// most values are equal), and mostly in the direction of alarm; a value is unusual when all of them say so. One
/// detector alone speaks for itself.
///
/// # Cost
/// About 120 ns a value with both detectors and a full history; 16 KiB of memory once 1,000 values were seen, grown as
/// they come. Nothing is allocated after that, except by an alarm.
///
/// ```
/// use afferent::detect::{Detectors, SeriesDetector};
///
/// let mut detector = SeriesDetector::new(&Detectors::default());
/// for step in 0..1_000 {
///     assert!(detector.observe(10.0 + f64::from(step % 7)).alarm.is_none());
/// }
/// let alarm = detector.observe(50.0).alarm.expect("50 is far from 10 to 16");
/// assert!(alarm.score > 4.0);
/// assert!(detector.observe(50.0).alarm.is_none(), "an event is reported once");
/// ```
#[derive(Clone, Debug)]
pub struct SeriesDetector {
    detectors: Detectors,
    history: History,
    /// What is news among all scores.
    news: Gate,
    /// What is news among the values that every detector puts outside its band.
    alarms: Gate,
    /// How many values in a row must be outside before an alarm is raised.
    alarm_after: u32,
    /// How many values in a row have been outside.
    outside: u32,
}

/// What one detector expects: a score of `at` on either edge, and one more for every `deviation` beyond it.
#[derive(Clone, Copy, Debug)]
struct Expectation {
    detector: &'static str,
    edges: (f64, f64),
    at: f64,
    deviation: f64,
    /// Score from which on a value is unusual.
    threshold: f64,
}

impl Expectation {
    fn score(&self, value: f64) -> f64 {
        let beyond = (value - self.edges.1).max(self.edges.0 - value);
        (self.at + beyond / self.deviation).clamp(0.0, MAX_SCORE)
    }

    fn band(&self) -> (f64, f64) {
        let reach = (self.threshold - self.at) * self.deviation;
        (self.edges.0 - reach, self.edges.1 + reach)
    }
}

impl SeriesDetector {
    /// A detector that has seen nothing. Allocates nothing yet.
    #[must_use]
    pub fn new(detectors: &Detectors) -> SeriesDetector {
        let (news, alarms) = (Gate::default(), Gate::default());
        SeriesDetector { detectors: *detectors, history: History::default(), news, alarms, alarm_after: 1, outside: 0 }
    }

    /// Raises an alarm only at the `values`-th value in a row that every detector puts outside its band; 1 unless set.
    ///
    /// Timings on a machine that is not real-time have lone outliers, since the scheduler takes the core away now and
    /// then; what lasts is the news there.
    #[must_use]
    pub fn alarm_after(mut self, values: u32) -> SeriesDetector {
        self.alarm_after = values.max(1);
        self
    }

    /// Says how unusual `value` is after all those before it, then takes it in.
    ///
    /// The first 100 values are only taken in. NaN and infinities are ignored; values beyond 1e150 count as 1e150.
    pub fn observe(&mut self, value: f64) -> Observation {
        if !value.is_finite() {
            return Observation::default();
        }
        let value = History::admissible(value);
        let mut out = Observation::default();
        if let Some(expectations) = self.expectations() {
            let mut score = MAX_SCORE;
            let mut outside = true;
            for expectation in expectations.iter().flatten() {
                let one = expectation.score(value);
                score = score.min(one);
                outside &= one >= expectation.threshold;
            }
            out.score = score;
            out.surprise = surprise(score);
            out.onset = self.news.admit(score, true);
            self.outside = if outside { self.outside.saturating_add(1) } else { 0 };
            if self.alarms.admit(score, self.outside >= self.alarm_after) {
                out.alarm = Some(alarm(score, value, &expectations));
            }
        }
        self.history.push(value);
        out
    }

    /// The band that the next value is expected in: what lies within it raises no alarm. Infinitely wide while the
    /// detector warms up or has nothing to go by.
    #[must_use]
    pub fn band(&self) -> (f64, f64) {
        let Some(expectations) = self.expectations() else { return (f64::NEG_INFINITY, f64::INFINITY) };
        let bands = expectations.iter().flatten().map(Expectation::band);
        bands.fold((f64::INFINITY, f64::NEG_INFINITY), |band, next| (band.0.min(next.0), band.1.max(next.1)))
    }

    /// Memory held, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<SeriesDetector>() + self.history.heap_bytes()
    }

    /// What each detector expects of the next value; `None` while there is nothing to say.
    fn expectations(&self) -> Option<[Option<Expectation>; 2]> {
        if self.history.len() < WARM_UP || self.detectors.is_empty() {
            return None;
        }
        let sorted = self.history.sorted();
        let magnitude = match sorted {
            [low, .., high] => low.abs().max(high.abs()),
            _ => 0.0,
        };
        let floor = (FLOOR * magnitude).max(f64::MIN_POSITIVE);
        let z_score = self.detectors.z_score().map(|z_score| Expectation {
            detector: "z_score",
            edges: (self.history.mean(), self.history.mean()),
            at: 0.0,
            deviation: self.history.deviation().max(floor),
            threshold: z_score.threshold(),
        });
        // On a normal, the quartiles lie 0.67 deviations out and are 1.35 apart, which turns interquartile ranges
        // into deviations.
        let iqr = self.detectors.iqr().map(|iqr| {
            let edges = (quartile_of_sorted(sorted, 1), quartile_of_sorted(sorted, 3));
            Expectation {
                detector: "iqr",
                edges,
                at: NORMAL_QUARTILE,
                deviation: ((edges.1 - edges.0) / NORMAL_RANGE).max(floor),
                threshold: NORMAL_QUARTILE + NORMAL_RANGE * iqr.k(),
            }
        });
        Some([z_score, iqr])
    }
}

#[cold]
fn alarm(score: f64, value: f64, expectations: &[Option<Expectation>; 2]) -> Alarm {
    let verdict = |expectation: &Expectation| {
        let (low, high) = expectation.band();
        Verdict { detector: expectation.detector, score: expectation.score(value), low, high }
    };
    let verdicts = expectations.iter().flatten().map(verdict).collect();
    Alarm { score, severity: Severity::of_score(score), verdicts }
}
