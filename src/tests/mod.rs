//! Tests that cross modules.

mod defects;
mod engine;
mod layering;
