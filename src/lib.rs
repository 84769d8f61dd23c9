//! afferent

mod sync;

pub mod ledger;
pub mod record;

#[cfg(feature = "engine")]
pub mod aggregate;
#[cfg(feature = "full")]
pub mod cli;
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
