//! From what a program asks for to a running engine.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::time::Duration;

use super::core::Core;
use super::runner::Runner;
use super::{Engine, Service, View};
use crate::detect::{Detector, Detectors};
use crate::ring::{Overflow, Registry, RegistryConfig};
use crate::sink::prometheus::Exposition;
use crate::sink::{FanOut, Segments, Sink};
use crate::sync::{Arc, AtomicBool, Mutex};
use crate::time::Timestamps;

/// Starts a service once the engine's view exists.
/// Given the prefix of exposed names, and the pages of a Prometheus sink if there is one: both
/// may be set after the service is asked for.
pub(crate) type StartService =
    Box<dyn FnOnce(View, &str, Option<Exposition>) -> Result<Box<dyn Service>, StartError> + Send>;

/// What an engine is made of. See [`Engine::builder`].
#[must_use = "nothing runs until `start` is called"]
pub struct EngineBuilder {
    window: Duration,
    registry: RegistryConfig,
    detectors: Option<Detectors>,
    recent: usize,
    segments: Option<PathBuf>,
    sinks: Vec<Box<dyn Sink>>,
    prefix: String,
    services: Vec<StartService>,
}

impl Default for EngineBuilder {
    fn default() -> Self {
        EngineBuilder {
            window: Duration::from_secs(1),
            registry: RegistryConfig::default(),
            detectors: None,
            recent: 1_000,
            segments: None,
            sinks: Vec::new(),
            prefix: String::new(),
            services: Vec::new(),
        }
    }
}

/// Why an engine did not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The window is shorter than 10 ms or longer than an hour.
    Window(Duration),
    /// The segment directory cannot be used; the text says which and what to change.
    Segments(String),
    /// The HTTP endpoint cannot be served; the text says where and what to change.
    Serve(String),
    /// The system refused a thread.
    Thread(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Window(window) => {
                write!(out, "a window of {window:?} is not possible: choose one between 10 ms and 1 h")
            }
            StartError::Segments(why) => write!(out, "cannot store segments: {why}"),
            StartError::Serve(why) => write!(out, "cannot serve HTTP: {why}"),
            StartError::Thread(error) => write!(out, "cannot start a thread: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

impl EngineBuilder {
    /// The length of a window; 1 s unless set. Windows begin at whole multiples of it since the Unix epoch.
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Sizes of rings and the caps on series.
    pub fn registry(mut self, config: RegistryConfig) -> Self {
        self.registry = config;
        self
    }

    /// Slots of each thread's ring, 16 bytes each; 16,384 unless set.
    pub fn ring_slots(mut self, slots: usize) -> Self {
        self.registry.ring_slots = slots;
        self
    }

    /// What happens to a sample whose ring is full; it is dropped and counted unless set.
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.registry.overflow = overflow;
        self
    }

    /// What samples are stamped with; exact times unless set.
    pub fn timestamps(mut self, timestamps: Timestamps) -> Self {
        self.registry.timestamps = timestamps;
        self
    }

    /// Keeps every window and anomaly in segment files below this directory, which is created if need be.
    ///
    /// One engine a directory. Files are at most 16 MiB; the oldest go after 7 days of recorded time or beyond 512 MiB in all.
    /// What an earlier process left unfinished is read around and reported, and never keeps the engine from starting.
    pub fn segments(mut self, directory: impl Into<PathBuf>) -> Self {
        self.segments = Some(directory.into());
        self
    }

    /// Gives every window to a sink, on a thread of its own.
    pub fn sink(mut self, sink: impl Sink + 'static) -> Self {
        self.sinks.push(Box::new(sink));
        self
    }

    /// Adds a detector. The first call replaces the default set (z-score and IQR).
    pub fn detect(mut self, detector: impl Into<Detector>) -> Self {
        self.detectors = Some(self.detectors.unwrap_or_else(Detectors::none).with(detector));
        self
    }

    /// Sets all detectors at once; [`Detectors::none`] turns detection off.
    pub fn detectors(mut self, detectors: Detectors) -> Self {
        self.detectors = Some(detectors);
        self
    }

    /// How many of its last values each series keeps for [`Engine::recent`]; 1,000 unless set, 0 for none.
    pub fn recent(mut self, max_metrics_per_type: usize) -> Self {
        self.recent = max_metrics_per_type;
        self
    }

    /// Puts a prefix and `_` before every metric name in expositions, such as `active_inference`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Something that runs beside the engine.
    pub(crate) fn service(mut self, start: StartService) -> Self {
        self.services.push(start);
        self
    }

    /// Starts the engine's threads.
    ///
    /// # Errors
    /// If the window is out of range, the segment directory is in use or cannot be written, the address cannot be
    /// served, or the system refuses a thread. Damaged segments are no error: they are left alone and reported.
    pub fn start(self) -> Result<Engine, StartError> {
        if !(Duration::from_millis(10)..=Duration::from_hours(1)).contains(&self.window) {
            return Err(StartError::Window(self.window));
        }
        let view = View::new();
        let mut sinks = self.sinks;
        if let Some(directory) = &self.segments {
            let store = Segments::open(directory).map_err(|error| StartError::Segments(error.to_string()))?;
            sinks.insert(0, Box::new(store));
        }
        // A Prometheus sink's pages are shared with the endpoint, so that each window is rendered once.
        // The sink's own prefix is in them, so not where the engine was given one.
        let exposition = sinks.iter().find_map(|sink| sink.exposition()).filter(|_| self.prefix.is_empty());
        let mut services = Vec::new();
        for start in self.services {
            services.push(start(view.clone(), &self.prefix, exposition.clone())?);
        }

        let registry = Registry::new(self.registry);
        let core = Core::new(Arc::clone(&registry), self.window, self.detectors.unwrap_or_default(), self.recent);
        let outlets = if sinks.is_empty() { Vec::new() } else { vec![FanOut::start(sinks)] };
        let (requests, inbox) = channel();
        let runner = Runner::new(core, view.clone(), inbox, outlets);
        std::thread::Builder::new().name("afferent".into()).spawn(move || runner.run()).map_err(StartError::Thread)?;
        Ok(Engine {
            registry,
            requests,
            view,
            prefix: self.prefix,
            window: self.window,
            services: Mutex::new(services),
            closed: AtomicBool::new(false),
        })
    }
}

impl fmt::Debug for EngineBuilder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("EngineBuilder")
            .field("window", &self.window)
            .field("registry", &self.registry)
            .field("segments", &self.segments)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
