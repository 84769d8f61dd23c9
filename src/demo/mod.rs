//! The demo.
#![allow(dead_code)]
mod inference;
mod mind;
mod model;
mod planning;
mod rng;
mod world;
