//! Detection: what is unusual, how unusual, and why.
//!
//! A [`SeriesDetector`] looks at one series, value by value, against a history of its last 1,000: the [z-score](ZScore)
//! and [Tukey's fences](Iqr) each say how unusual the value is, in standard deviations of a normal with the same tail
//! probability, and the least of them counts. A gate then lets through what begins an event and holds back what only
//! continues it. The score of a value depends on it and on those before it, never on one after it.
//!
//! The plain functions ([`z_scores`], [`tukey_fences`], [`count_outside`] ..) do the arithmetic over whole slices, at
//! the speed of memory where the machine has AVX2, and to the same bits where it has not.

mod anomaly;
mod arch;
mod combined;
mod config;
mod gate;
mod generic;
mod history;
#[cfg(test)]
mod naive;
mod series;
mod stats;
mod tail;
mod vector;

pub use anomaly::{Anomaly, Published, Severity, Verdict};
pub use combined::combined_score;
pub use config::{Detector, Detectors, Iqr, ZScore};
pub use series::{Alarm, Observation, SeriesDetector};
pub use stats::{count_outside, extremes, first_outside, mean, quartiles, standard_deviation, tukey_fences, z_scores};

pub(crate) use tail::{surprise, unit_score};

#[cfg(test)]
mod tests;
