//! Where windows go: the [`Sink`] trait and the sinks that ship with the crate.
//!
//! Every sink runs on a thread of its own behind a bounded queue, so that a slow one delays nobody: what its queue
//! cannot take is dropped for that sink alone, and counted.

mod fanout;
pub mod json;
mod json_lines;
pub mod prometheus;
#[cfg(test)]
pub(crate) mod samples;
mod segments;

use std::fmt;

use crate::detect::Published;

pub use fanout::SinkStats;
pub use json_lines::JsonLines;
pub use prometheus::Prometheus;

pub(crate) use fanout::FanOut;
pub(crate) use segments::Segments;

/// Takes windows away.
///
/// Called on the sink's own thread, one window at a time, in order. It may block: windows queue up meanwhile, and what
/// the queue cannot take is dropped and counted as `afferent_sink_dropped_total{sink=".."}`. A panic is caught, counted
/// and reported as an error.
pub trait Sink: Send {
    /// The sink's name in labels and messages, such as `json_lines`.
    fn name(&self) -> &str;

    /// Takes one window.
    ///
    /// # Errors
    /// Whatever kept the sink from taking it. The window is counted as failed and not offered again.
    fn publish(&mut self, published: &Published) -> Result<(), SinkError>;

    /// Called once, after the last window, within the engine's shutdown deadline.
    ///
    /// # Errors
    /// Whatever kept the sink from finishing.
    fn close(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    /// The Prometheus page that the sink feeds, for an HTTP endpoint in the same engine to serve.
    fn exposition(&self) -> Option<prometheus::Exposition> {
        None
    }
}

/// Why a sink could not take a window.
#[derive(Debug)]
pub struct SinkError {
    message: String,
}

impl SinkError {
    /// An error with a message that says what happened, where, and what to change.
    pub fn new(message: impl Into<String>) -> SinkError {
        SinkError { message: message.into() }
    }
}

impl fmt::Display for SinkError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for SinkError {}
