//! The read-only HTTP endpoint: `/metrics` for Prometheus, `/health`, `/api/..` as JSON, and the live page at `/`.
//!
//! One thread serves everything, on loopback only: the endpoint has no authentication, and telemetry says a lot about a
//! program. Nothing can be changed through it. Each request is one connection, `GET` or `HEAD`, without a body, with
//! limits on everything a peer decides: how long it may take, how much it may send, how many there may be.

mod api;
mod assets;
mod guard;
mod health;
mod routes;
mod serve;
mod server;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::sink::prometheus::Exposition;
use crate::sync::Arc;

pub use server::Server;

/// What the endpoint serves besides the engine's windows, and its limits.
#[derive(Clone)]
#[non_exhaustive]
pub struct Options {
    /// Prefix of the names on `/metrics`, as [`crate::sink::Prometheus::with_prefix`] takes it.
    pub prefix: Option<String>,
    /// The page a Prometheus sink feeds, for `/metrics` to share. It decides the prefix then.
    pub exposition: Option<Exposition>,
    /// When the engine started, nanoseconds since the Unix epoch.
    pub started_ns: i64,
    /// The engine's clock: nanoseconds since the Unix epoch. Tells how old the latest window is.
    pub now_ns: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// What a peer may take.
    pub limits: Limits,
}

impl Options {
    /// No prefix, the default limits, and an engine that starts now.
    pub fn new(now_ns: impl Fn() -> i64 + Send + Sync + 'static) -> Options {
        Options {
            prefix: None,
            exposition: None,
            started_ns: now_ns(),
            now_ns: Arc::new(now_ns),
            limits: Limits::default(),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Options").field("prefix", &self.prefix).field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// What a peer may take.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Connections at once. When they are all taken, a new one displaces the oldest that has not yet sent its request;
    /// where all have, the new one is refused with 503. Default 32, at least 1.
    pub connections: usize,
    /// From the connection to the end of the request's head. Default 5 s.
    pub request: Duration,
    /// From there to the last byte of the response. Default 10 s.
    pub response: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { connections: 32, request: Duration::from_secs(5), response: Duration::from_secs(10) }
    }
}

/// Why the endpoint was not started.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServeError {
    /// The address can be reached from other machines. Serve on loopback and let something that authenticates (a
    /// reverse proxy, an ssh tunnel) stand in front.
    NotLoopback {
        /// The address that was asked for.
        addr: SocketAddr,
    },
    /// The address could not be bound: it is in use or not allowed. Choose another port, or 0 for any.
    Bind {
        /// The address that was asked for.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The thread or its event loop could not be started. Raise the limits on threads and open files.
    Thread {
        /// What the system said.
        source: io::Error,
    },
}

impl fmt::Display for ServeError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServeError::NotLoopback { addr } => write!(
                out,
                "refusing to serve on {addr}: the endpoint has no authentication, so it is served on loopback only; use \
                 127.0.0.1:{} and a reverse proxy or an ssh tunnel in front of it",
                addr.port()
            ),
            ServeError::Bind { addr, source } => {
                write!(out, "cannot serve on {addr}: {source}; choose another port, or 0 for any that is free")
            }
            ServeError::Thread { source } => {
                write!(
                    out,
                    "cannot start the HTTP thread: {source}; raise the limits on threads and open files (ulimit -u, -n)"
                )
            }
        }
    }
}

impl std::error::Error for ServeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ServeError::NotLoopback { .. } => None,
            ServeError::Bind { source, .. } | ServeError::Thread { source } => Some(source),
        }
    }
}
