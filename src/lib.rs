//! afferent

mod sync;
pub mod time;

pub mod ledger;
pub mod record;
pub mod ring;

mod drain;

#[cfg(feature = "engine")]
pub mod aggregate;
#[cfg(feature = "engine")]
pub mod detect;
#[cfg(feature = "engine")]
pub mod engine;
#[cfg(feature = "engine")]
pub mod query;
#[cfg(feature = "engine")]
pub mod segment;
#[cfg(feature = "engine")]
pub mod sink;

#[cfg(feature = "engine")]
mod adapters;

#[cfg(feature = "serve")]
pub mod http;

#[cfg(feature = "demo")]
pub mod demo;

#[cfg(feature = "full")]
#[doc(hidden)]
pub mod cli;

pub use ring::{Counter, Gauge, Histogram, Recorder};

#[cfg(feature = "engine")]
pub use engine::Engine;

/// What the model checker and the fuzzers reach into. Not part of the API.
#[cfg(any(loom, fuzzing))]
#[doc(hidden)]
pub mod __internal {
    pub use crate::drain::{Account, Drain};
    pub use crate::ring::{Inlet, Lane};

    /// The lanes that joined since the last call.
    pub fn admit(registry: &crate::ring::Registry, into: &mut Vec<Inlet>) {
        registry.admit(into);
    }
}

#[cfg(all(test, feature = "engine"))]
mod tests;
