//! Ways into the pipeline for what was recorded elsewhere, or otherwise.
//!
//! `recorded` reads series from CSV and JSON-lines files; `replay` sends them through the same aggregation and
//! detection as live samples, at their own timestamps. `metrics` takes in what the facade of that name records.

#[cfg(feature = "metrics")]
pub mod metrics;

// Replay is the binary's; the parsers are also what the fuzzer feeds.
#[cfg(any(feature = "full", fuzzing))]
mod clock_text;
#[cfg(any(feature = "full", fuzzing))]
mod csv;
#[cfg(any(feature = "full", fuzzing))]
mod detections;
#[cfg(any(feature = "full", fuzzing))]
mod json_lines;
#[cfg(any(feature = "full", fuzzing))]
mod lines;
#[cfg(any(feature = "full", fuzzing))]
pub(crate) mod problems;
#[cfg(any(feature = "full", fuzzing))]
pub(crate) mod recorded;
#[cfg(any(feature = "full", fuzzing))]
pub(crate) mod replay;

#[cfg(all(test, feature = "full", not(loom)))]
mod tests;
