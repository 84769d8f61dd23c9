//! The binary as people run it, with the real programs it works with.
//!
//! Tests that need real parts (Prometheus, Chromium, numpy) run when `AFFERENT_REAL` is set, as `tests/run.sh` sets it
//! after it has installed them; a plain `cargo test` says loudly that it left them out.

mod support;

mod cli;
mod damage;
mod demo;
mod kill;
mod limits;
mod page;
mod prometheus;
mod quantiles;
mod replay;
