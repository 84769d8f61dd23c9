//! Detection: what is unusual, how unusual, and why.

mod anomaly;

pub use anomaly::{Anomaly, Published, Severity, Verdict};
