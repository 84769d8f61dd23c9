//! Ways into the pipeline for what was recorded elsewhere.
//!
//! `recorded` reads series from CSV and JSON-lines files; `replay` sends them through the same aggregation and
//! detection as live samples, at their own timestamps.
mod clock_text;
mod csv;
mod detections;
mod json_lines;
mod lines;
pub(crate) mod problems;
pub(crate) mod recorded;
pub(crate) mod replay;

#[cfg(all(test, feature = "full", not(loom)))]
mod tests;
