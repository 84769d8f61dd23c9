//! Ways into the pipeline for what was recorded elsewhere.
//!
//! `recorded` reads series from CSV and JSON-lines files; `replay` sends them through the same aggregation and
//! detection as live samples, at their own timestamps.

#[cfg(feature = "full")]
mod clock_text;
#[cfg(feature = "full")]
mod csv;
#[cfg(feature = "full")]
mod detections;
#[cfg(feature = "full")]
mod json_lines;
#[cfg(feature = "full")]
mod lines;
#[cfg(feature = "full")]
pub(crate) mod problems;
#[cfg(feature = "full")]
pub(crate) mod recorded;
#[cfg(feature = "full")]
pub(crate) mod replay;

#[cfg(all(test, feature = "full", not(loom)))]
mod tests;
