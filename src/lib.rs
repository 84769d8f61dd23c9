//! In-process telemetry for programs that must not wait for their own telemetry.
//!
//! A program records counters, gauges and histograms for a few nanoseconds each. One thread of the engine takes them
//! in, closes a *window* every second, keeps exact totals and HDR histograms, notices what is unusual, and hands the
//! result to segment files, sinks, an HTTP endpoint and the program itself. A [ledger](ledger::Ledger) says at every
//! moment what was recorded, what became of it, and whether the two agree.
//!
//! ```
//! use std::time::Duration;
//!
//! use afferent::Engine;
//! use afferent::record::Unit;
//!
//! let engine = Engine::builder().start()?;
//! let planning = engine.histogram("planning_time").unit(Unit::Seconds).label("agent_id", "a1").register()?;
//! let actions = engine.counter("actions").label("agent_id", "a1").register()?;
//!
//! planning.record(0.0123); // seconds; any thread, never waits
//! actions.add(1);
//!
//! let ledger = engine.shutdown(Duration::from_secs(2))?;
//! assert!(ledger.closes());
//! assert_eq!((ledger.recorded, ledger.aggregated, ledger.in_flight), (1, 1, 0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How the data goes
//!
//! ```text
//! any thread                one aggregator thread                             own threads
//! record ─► ring (rtrb) ─►  drain ─► aggregate ─► detect ─► Snapshot ─┬─────► segment store
//! add    ─► cell        ─►  turns    windows,     z-score,  immutable ├─────► sinks, callbacks
//!                                    HDR counts   IQR                 └─ View ► HTTP, your program
//! ```
//!
//! One direction only: nothing to the right can slow what stands to its left. Each hand-over is bounded, and what a full
//! one refuses is counted under a named [`Cause`](ledger::Cause) (samples) or per sink
//! ([`SinkStats`](sink::SinkStats), windows).
//!
//! * **Recording.** A handle ([`Counter`], [`Gauge`], [`Histogram`]) is `Copy`, two words long, and works on any thread
//!   through a recorder that each thread gets at its first record. A [`Recorder`] kept by hand saves the look-up.
//!   A sample is 16 bytes: series, time, value. Counters do not use the ring: they add to a cell of the thread.
//! * **Windows.** Every second (or [`EngineBuilder::window`](engine::EngineBuilder::window)) the aggregator closes a
//!   window and publishes a [`Snapshot`](aggregate::Snapshot): every series with what the window added and with its
//!   totals. Snapshots are immutable and shared.
//! * **Detection.** Each series has a history of its last 1,000 values. The [z-score](detect::ZScore) and
//!   [Tukey's fences](detect::Iqr) both judge a value; the least of the two scores counts, and an event is reported
//!   once, as an [`Anomaly`](detect::Anomaly).
//! * **History.** [`EngineBuilder::segments`](engine::EngineBuilder::segments) keeps windows and anomalies in files
//!   that survive a crash of the process. [`segment`] reads and verifies them, [`query`] answers questions.
//! * **Looking.** [`Engine::view`](engine::Engine::view) for the program itself,
//!   [`EngineBuilder::serve`](engine::EngineBuilder::serve) for Prometheus and people.
//!
//! # Units
//!
//! Values are `f64` in the base unit of their series ([`record::Unit`]): seconds, bytes, a ratio (1 = 100 %), or a
//! plain number. The unit decides the suffix in Prometheus names and the range and resolution of the histogram:
//!
//! | unit | step | highest | Prometheus suffix |
//! | --- | --- | --- | --- |
//! | seconds | 1 ns | 1 h | `_seconds` |
//! | bytes | 1 B | 1 PiB | `_bytes` |
//! | ratio | 1e-9 | 1e6 | `_ratio` |
//! | none | 1e-6 | about 1.15e12 | none |
//!
//! Values outside the range (negative ones too) are *clamped*: count, sum, minimum and maximum stay exact, the value
//! sits in the outermost bucket, and the ledger counts it. Times in the API are nanoseconds since the Unix epoch, as
//! `i64`, in names that end in `_ns`.
//!
//! # Cost
//!
//! Medians of `afferent bench record` on 2 cores of a virtual machine (Intel Xeon, time-stamp counter), for orientation.
//! Run it on yours.
//!
//! | call | ns | limit in the same run |
//! | --- | --- | --- |
//! | [`Counter::add`] | 1.8 | thread-local cell: 0.48 |
//! | [`Histogram::record`], [`Gauge::set`] | 10.5 | time stamp and raw 16-byte push: 9.2 |
//! | [`Recorder::record`] | 9.1 | the same |
//! | [`Histogram::record`] while the engine drains | 10.6 | the same |
//! | [`Histogram::record`], [coarse](time::Timestamps::Coarse) | 2.5 | raw 16-byte push: 1.5 |
//! | [`Histogram::record_many`], a value of 256 | 0.55 | plain 16-byte store: 0.34 |
//!
//! The time stamp is most of an exact record. None of these calls takes a lock, makes a system call or allocates, except
//! a thread's first record, which allocates its ring and its cells. Registering a series takes a lock and allocates: do
//! it once.
//!
//! Memory: a ring of 16,384 slots (256 KiB) for each recording thread; cells of 8 bytes for each series and thread
//! that are touched; per series up to 16 KiB for detection, 16 KiB for the recent values and, for a histogram, some
//! tens of KiB of buckets; for readers the last 300 windows, or fewer where there are more than 100,000 rows in them.
//!
//! # Limits
//!
//! * **Overflow.** When a ring is full the newest sample is dropped and counted as
//!   [`RingFull`](ledger::Cause::RingFull), unless another [`Overflow`](ring::Overflow) policy is set: fold it into a
//!   small histogram, or wait. A ring of `n` slots takes `n` samples between two drains. The aggregator looks every 20 ms while nothing happens and about every 1 ms while it is busy, so the default ring bears
//!   16,384 / 20 ms = 0.8 million samples a second and thread out of the blue, and about 16 million once it is busy,
//!   provided that the aggregator gets a core. Counters are not affected.
//! * **Series.** 10,000 in all and 2,000 per metric ([`RegistryConfig`](ring::RegistryConfig)). Further label sets fold
//!   into one series of the metric with the label `afferent_overflow="true"`, so totals stay exact.
//! * **Signal handlers** must not record: one could interrupt a record of its own thread half way.
//! * **Late samples.** A sample counts in the window that is open when it is drained, with its own time. Samples that
//!   belong to the next window wait for it.
//! * **Quantiles** are upper bounds of HDR buckets, or the largest value where that is smaller: at most 1/1,024 above the
//!   exact value, or one step where steps are coarser.
//! * **Time.** The wall clock is read once, at the start; from there the line follows the monotonic clock, so a wall
//!   clock that is set later does not move it. Linux only; x86-64 with an invariant time-stamp counter is the fast case.
//! * Not in this version: tracing, profiling, health components, alert rules, cluster views, Parquet export.
//!
//! # Errors
//!
//! Recording returns nothing: what cannot be taken is counted. Everything else returns an error that says what
//! happened, where, and what to change: [`RegisterError`](record::RegisterError),
//! [`RecordError`](engine::RecordError), [`StartError`](engine::StartError),
//! [`ShutdownError`](engine::ShutdownError), [`ServeError`](http::ServeError), [`SinkError`](sink::SinkError),
//! [`OpenError`](segment::OpenError). A damaged segment is never an error: damage is reported beside what can be read.
//!
//! # Panics
//!
//! No function of this crate panics on purpose, and none unwinds into your program because of outside input. Callbacks
//! and sinks of yours may panic: it is caught, counted and shown by [`View::parts`](engine::View::parts) or
//! [`View::sinks`](engine::View::sinks). Were the aggregator itself to panic, the samples in its hands are counted as
//! [`EnginePanic`](ledger::Cause::EnginePanic) and it goes on. Recording is allowed while a panic unwinds, in a
//! thread-local destructor, and after shutdown.
//!
//! # Features
//!
//! | feature | what it adds |
//! | --- | --- |
//! | `enable` | recording calls do something; without it they compile to nothing |
//! | `engine` | the aggregator thread and all it feeds: windows, detectors, segments, queries, sinks |
//! | `serve` | the HTTP endpoint on loopback |
//! | `demo` | the instrumented active-inference agent |
//! | `metrics` | a recorder for the `metrics` facade |
//! | `full` | the `afferent` binary, and all of the above |
//!
//! Default: `enable`, `engine`, `serve`. The recording core alone is
//! `default-features = false, features = ["enable"]`: rtrb, crossbeam-utils and libc.
//!
//! # Seeing anomalies
//!
//! ```
//! use std::time::Duration;
//!
//! use afferent::Engine;
//!
//! let engine = Engine::builder().start()?;
//! let (found, anomalies) = std::sync::mpsc::channel();
//! engine.on_anomaly(move |anomaly| drop(found.send(anomaly.to_string())));
//!
//! let temperature = engine.gauge("temperature").register()?;
//! for step in 0..200 {
//!     temperature.set(20.0 + 0.1 * f64::from(step % 5));
//! }
//! temperature.set(35.0);
//! engine.shutdown(Duration::from_secs(5))?;
//! assert!(anomalies.recv()?.starts_with("critical: temperature = 35"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Reading the history
//!
//! ```
//! use std::time::Duration;
//!
//! use afferent::Engine;
//! use afferent::query::{Query, Stat, evaluate};
//! use afferent::segment::{Directory, verify};
//!
//! # let place = tempfile::tempdir()?;
//! # let dir = place.path();
//! let engine = Engine::builder().segments(dir).start()?;
//! let size = engine.histogram("observation_size").register()?;
//! (1..=100).for_each(|value| size.record(f64::from(value)));
//! engine.shutdown(Duration::from_secs(5))?;
//!
//! assert!(verify(dir)?.sound);
//! let query = Query {
//!     selector: "observation_size".parse()?,
//!     stats: vec![Stat::Count, Stat::Quantile(0.99)],
//!     ..Query::default()
//! };
//! let answer = evaluate(&Directory::open(dir)?, &query);
//! let values = &answer.series[0].steps[0].values;
//! assert_eq!(values["count"], Some(100.0));
//! assert!((values["p99"].unwrap() - 99.0).abs() < 0.1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The repository's `docs/` has a guide, the design, the detectors, and the [segment format] byte by byte.
//!
//! [segment format]: https://github.com/afferent/afferent/blob/main/docs/format/segment.md

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
    pub use crate::drain::{Account, Drain, Gained};
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

/// The README's code compiles.
#[cfg(all(doctest, feature = "serve"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// The guide's code compiles.
#[cfg(all(doctest, feature = "serve"))]
#[doc = include_str!("../docs/guide.md")]
struct Guide;

#[cfg(all(test, feature = "engine"))]
mod tests;
