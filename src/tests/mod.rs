//! Tests that cross modules.

mod engine;
mod layering;
