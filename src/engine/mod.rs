//! Builds and wires the parts, and owns their threads.

mod builder;
mod callback;
mod core;
mod detection;
mod global;
mod macros;
mod recent;
mod runner;
#[doc(hidden)]
pub mod site;
mod users;
mod view;

use std::fmt;
use std::ops::Deref;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

pub use builder::{EngineBuilder, StartError};
pub use global::{InstallError, global, install};
pub use users::{Metric, Reading, RecordError};
pub use view::{PartStatus, View};

use self::callback::Callback;
use self::runner::Request;
use crate::detect::Anomaly;
use crate::ledger::Ledger;
use crate::ring::Registry;
use crate::sink::FanOut;
use crate::sync::{Arc, AtomicBool, Mutex, Ordering, lock};

/// A running engine: one aggregator thread, and a thread for each sink, the store and the HTTP endpoint.
///
/// Dereferences to its [`Registry`], so `engine.histogram("planning_time")` registers a series. Dropping it shuts it
/// down with a deadline of one second.
pub struct Engine {
    registry: Arc<Registry>,
    requests: Sender<Request>,
    view: View,
    prefix: String,
    window: Duration,
    services: Mutex<Vec<Box<dyn Service>>>,
    closed: AtomicBool,
}

/// How long a question to the aggregator may take; it answers within a turn unless it is stuck.
const PATIENCE: Duration = Duration::from_secs(1);
/// No deadline is further away than this.
const LONGEST: Duration = Duration::from_hours(24);

/// Something that runs beside the engine and looks at its [`View`]: the HTTP endpoint.
pub(crate) trait Service: Send {
    /// Where it can be reached, if it can.
    fn local_addr(&self) -> Option<std::net::SocketAddr>;
    /// Ends it, by the deadline.
    fn stop(&mut self, deadline: Instant);
}

/// Why a shutdown did not finish.
#[derive(Debug)]
#[non_exhaustive]
pub enum ShutdownError {
    /// The aggregator did not answer within the deadline. Its thread is left behind; the account is the one of the
    /// latest window.
    Deadline {
        /// The account at the end of the latest window.
        ledger: Ledger,
    },
}

impl fmt::Display for ShutdownError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ShutdownError::Deadline { ledger } => write!(
                out,
                "the engine did not finish within the deadline: give it more time. {} of {} samples were aggregated by \
                 the end of the latest window",
                ledger.aggregated, ledger.recorded
            ),
        }
    }
}

impl std::error::Error for ShutdownError {}

impl Engine {
    /// Begins to build an engine.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    /// A read-only view, for pages, endpoints and programs.
    #[must_use]
    pub fn view(&self) -> View {
        self.view.clone()
    }

    /// The registry, for parts that outlive a borrow of the engine.
    #[cfg(feature = "metrics")]
    pub(crate) fn shared_registry(&self) -> Arc<Registry> {
        Arc::clone(&self.registry)
    }

    /// Calls `callback` for every anomaly found from now on.
    ///
    /// Each callback has a thread and a queue of its own: it may block, record or panic without delaying anything else.
    /// A panic is caught and counted; after three within a minute the callback is not called any more. Both are said
    /// by [`View::parts`] and on `/health`. It may also ask the engine for anything, even to shut down.
    pub fn on_anomaly(&self, callback: impl Fn(&Anomaly) + Send + 'static) {
        let outlet = FanOut::start(vec![Box::new(Callback::new(callback))]);
        // The aggregator only goes away after a shutdown, and then there are no more anomalies to call for.
        let _ = self.requests.send(Request::Attach(outlet));
    }

    /// Waits until everything recorded so far is part of a published window: at most a little over one window. Returns
    /// false if that has not happened after two windows and a second: the aggregator is stuck or has given up.
    pub fn flush(&self) -> bool {
        let (reply, answer) = channel();
        let patience = self.window.saturating_mul(2) + PATIENCE;
        self.requests.send(Request::Flush(reply)).is_ok() && answer.recv_timeout(patience).is_ok()
    }

    /// The account as of now, not of the latest window. After a shutdown it covers what was recorded too late. Where the
    /// aggregator does not answer within a second, the account of the latest window.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        self.ledger_within(PATIENCE)
    }

    fn ledger_within(&self, patience: Duration) -> Ledger {
        let (reply, answer) = channel();
        match self.requests.send(Request::Account(reply)) {
            Ok(()) => answer.recv_timeout(patience).unwrap_or_else(|_| self.view.ledger()),
            Err(_) => self.view.ledger(),
        }
    }

    /// The address the HTTP endpoint listens on; `None` if there is none.
    #[must_use]
    pub fn local_addr(&self) -> Option<std::net::SocketAddr> {
        lock(&self.services).iter().find_map(|service| service.local_addr())
    }

    /// Stops recording, publishes what is left as a last window, lets store and sinks finish, and returns the account,
    /// in which nothing is in flight any more.
    ///
    /// Waits no longer than `deadline` and half a second: threads that a dead disk or sink keeps busy are left behind. Recording may go
    /// on; what comes too late is counted as [`AfterClose`](crate::ledger::Cause::AfterClose) (see
    /// [`Engine::ledger`]). A second call returns the account again.
    ///
    /// # Errors
    /// If the aggregator itself did not answer in time.
    pub fn shutdown(&self, deadline: Duration) -> Result<Ledger, ShutdownError> {
        // SeqCst for simplicity: a flag that decides which of two callers does the work, once in an engine's life.
        if self.closed.swap(true, Ordering::SeqCst) {
            return Ok(self.ledger_within(deadline));
        }
        let patience = deadline.min(LONGEST);
        let deadline = Instant::now() + patience;
        let (reply, answer) = channel();
        let ledger = match self.requests.send(Request::Shutdown(deadline, reply)) {
            // A little beyond the deadline, which the aggregator keeps itself.
            Ok(()) => answer.recv_timeout(patience + Duration::from_millis(100)).ok(),
            Err(_) => None,
        };
        for service in lock(&self.services).iter_mut() {
            service.stop(deadline);
        }
        ledger.ok_or_else(|| ShutdownError::Deadline { ledger: self.view.ledger() })
    }
}

impl Deref for Engine {
    type Target = Registry;

    fn deref(&self) -> &Registry {
        &self.registry
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Nobody is left to tell of a deadline that was missed.
        let _ = self.shutdown(Duration::from_secs(1));
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Engine").field("registry", &self.registry).finish_non_exhaustive()
    }
}
