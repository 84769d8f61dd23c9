//! From samples to windows: counts, sums, extremes and HDR histograms, published as immutable snapshots.
//!
//! This module takes values and knows nothing of threads or clocks: whoever drives it says when a window ends. The
//! engine does so every second, replay whenever a file's own timestamps cross a second.

mod aggregator;
mod buckets;
mod scheme;
mod snapshot;

pub use buckets::Buckets;
pub use scheme::Scheme;
pub use snapshot::{SeriesWindow, Snapshot, Stats};

pub(crate) use aggregator::{Aggregator, Rows};
