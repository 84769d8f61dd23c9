//! afferent

#![cfg_attr(
    not(feature = "full"),
    allow(dead_code, unused_imports, reason = "smaller builds leave out callers, not what they call")
)]

mod sync;
pub mod time;

pub mod ledger;
pub mod record;
pub mod ring;

#[cfg(any(feature = "engine", loom))]
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

#[cfg(all(feature = "engine", any(feature = "full", feature = "metrics", fuzzing)))]
mod adapters;

#[cfg(feature = "serve")]
pub mod http;

#[cfg(feature = "demo")]
pub mod demo;

#[cfg(feature = "full")]
#[doc(hidden)]
pub mod cli;

#[cfg(feature = "metrics")]
pub use adapters::metrics as metrics_facade;
pub use ring::{Counter, Gauge, Histogram, Recorder};

#[cfg(feature = "engine")]
#[doc(hidden)]
pub use engine::site as __site;
#[cfg(feature = "engine")]
pub use engine::{Engine, InstallError, global, install};

/// What the model checker and the fuzzers reach into. Not part of the API.
#[cfg(any(loom, fuzzing))]
#[doc(hidden)]
pub mod __internal {
    #[cfg(loom)]
    pub use crate::drain::{Account, Drain};
    #[cfg(loom)]
    pub use crate::ring::{Inlet, Lane};

    #[cfg(all(fuzzing, feature = "engine"))]
    pub use crate::adapters::recorded::fuzz as fuzz_recorded;

    /// The lanes that joined since the last call.
    #[cfg(loom)]
    pub fn admit(registry: &crate::ring::Registry, into: &mut Vec<Inlet>) {
        registry.admit(into);
    }
}

#[cfg(all(test, feature = "engine"))]
mod tests;
