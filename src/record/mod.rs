//! What a sample is: the fixed-size `Event` that travels, and the series it belongs to.
//!
//! A *series* is a metric name with its labels, kind and unit. It is interned once, when it is registered, and is a
//! `u32` from then on; a sample carries that number, its value and its time in 16 bytes.

mod catalogue;
#[cfg(feature = "engine")]
mod display;
mod event;
mod unit;

pub use catalogue::{Kind, RegisterError, SeriesId, SeriesInfo};
pub use unit::Unit;

pub(crate) use catalogue::{Catalogue, Limits, MAX_NAME, SeriesSpec, is_label_name, is_metric_name};
#[cfg(feature = "engine")]
pub(crate) use display::{bytes, humanise, score, thousands};
pub(crate) use event::Event;
