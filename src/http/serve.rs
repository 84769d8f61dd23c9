//! `EngineBuilder::serve`: the endpoint as a part of an engine.

use std::net::SocketAddr;
use std::time::Instant;

use super::{Options, Server};
use crate::engine::{EngineBuilder, Service, StartError};
use crate::time::unix_ns;

impl EngineBuilder {
    /// Serves `/metrics`, `/health`, `/api` and the live page on `addr`, which must be a loopback address. Port 0 takes
    /// a free one; see [`Engine::local_addr`](crate::Engine::local_addr).
    pub fn serve(self, addr: SocketAddr) -> EngineBuilder {
        self.service(Box::new(move |view, prefix, exposition| {
            let mut options = Options::new(unix_ns);
            options.prefix = Some(prefix.to_owned());
            options.exposition = exposition;
            let server = Server::start(addr, view, options).map_err(|error| StartError::Serve(error.to_string()))?;
            Ok(Box::new(Endpoint(Some(server))))
        }))
    }
}

/// A server that can be stopped through a reference.
struct Endpoint(Option<Server>);

impl Service for Endpoint {
    fn local_addr(&self) -> Option<SocketAddr> {
        self.0.as_ref().map(Server::local_addr)
    }

    fn stop(&mut self, deadline: Instant) {
        if let Some(server) = self.0.take() {
            server.stop(deadline);
        }
    }
}
