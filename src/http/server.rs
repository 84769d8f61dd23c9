//! The thread, its connections and their deadlines.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::pin::pin;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::routes::Site;
use super::{Limits, Options, ServeError};
use crate::engine::View;
use crate::sync::{Arc, AtomicBool, Mutex, Ordering, lock};

/// The largest request head. hyper answers 431 to a larger one.
const HEAD_BYTES: usize = 8 * 1024;
/// The most headers in a request. hyper answers 431 to more.
const HEADERS: usize = 64;
/// How long to wait after a failed `accept` (too many open files), so that the thread does not spin on it.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A running endpoint. Stops when dropped.
#[derive(Debug)]
pub struct Server {
    addr: SocketAddr,
    stop: Option<oneshot::Sender<Instant>>,
    /// Nothing is ever sent: it disconnects when the thread ends.
    ended: Mutex<mpsc::Receiver<()>>,
}

impl Server {
    /// Binds `addr` and serves `view` on a thread named `afferent-http`.
    ///
    /// # Errors
    /// If `addr` is not a loopback address, cannot be bound, or the thread cannot be started.
    pub fn start(addr: SocketAddr, view: View, options: Options) -> Result<Server, ServeError> {
        if !addr.ip().to_canonical().is_loopback() {
            return Err(ServeError::NotLoopback { addr });
        }
        let bind = |source| ServeError::Bind { addr, source };
        let listener = StdListener::bind(addr).map_err(bind)?;
        listener.set_nonblocking(true).map_err(bind)?;
        let addr = listener.local_addr().map_err(bind)?;
        let start = |source| ServeError::Thread { source };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().map_err(start)?;
        let listener = {
            let _inside = runtime.enter();
            TcpListener::from_std(listener).map_err(bind)?
        };
        let limits = options.limits;
        let site = Arc::new(Site::new(addr, view, options));
        let (stop, stopped) = oneshot::channel();
        let (ends, ended) = mpsc::sync_channel(0);
        thread::Builder::new()
            .name("afferent-http".into())
            .spawn(move || {
                runtime.block_on(serve(listener, &site, limits, stopped));
                // Ends what is still open.
                drop(runtime);
                drop(ends);
            })
            .map_err(start)?;
        Ok(Server { addr, stop: Some(stop), ended: Mutex::new(ended) })
    }

    /// The address it serves on, with the port that was found where 0 was asked for.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Accepts nothing more, lets responses under way finish until `deadline` and ends the thread. Says whether it
    /// ended in time; it always does unless the machine stalls.
    pub fn stop(mut self, deadline: Instant) -> bool {
        self.end(deadline)
    }

    fn end(&mut self, deadline: Instant) -> bool {
        let Some(stop) = self.stop.take() else { return true };
        // An error means that the thread has ended already.
        let _ = stop.send(deadline);
        let grace = Duration::from_millis(250);
        let left = deadline.saturating_duration_since(Instant::now()) + grace;
        lock(&self.ended).recv_timeout(left) == Err(mpsc::RecvTimeoutError::Disconnected)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end(Instant::now());
    }
}

/// One connection, as the accept loop sees it.
struct Connection {
    task: AbortHandle,
    /// Whether its request has arrived.
    asked: Arc<AtomicBool>,
}

type Connections = Arc<Mutex<VecDeque<Connection>>>;

async fn serve(listener: TcpListener, site: &Arc<Site>, limits: Limits, stopped: oneshot::Receiver<Instant>) {
    let connections = Connections::default();
    let accepting = tokio::spawn(accept(listener, Arc::clone(site), limits, Arc::clone(&connections)));
    let deadline = stopped.await.unwrap_or_else(|_| Instant::now());
    accepting.abort();
    // Those that have not asked yet have nothing to lose.
    lock(&connections).retain(|connection| {
        let asked = connection.asked.load(Ordering::Relaxed);
        if !asked {
            connection.task.abort();
        }
        asked
    });
    while Instant::now() < deadline && lock(&connections).iter().any(|connection| !connection.task.is_finished()) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn accept(listener: TcpListener, site: Arc<Site>, limits: Limits, connections: Connections) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => admit(stream, &site, limits, &connections),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Starts a connection's task if there is room, or makes room.
///
/// Peers that connect and send nothing would otherwise keep everyone out for as long as the request deadline; so they
/// are the ones who leave. A peer that has asked is never displaced.
fn admit(stream: TcpStream, site: &Arc<Site>, limits: Limits, connections: &Connections) {
    let connections = &mut *lock(connections);
    connections.retain(|connection| !connection.task.is_finished());
    if connections.len() >= limits.connections.max(1) {
        let idle = connections.iter().position(|connection| !connection.asked.load(Ordering::Relaxed));
        let Some(idle) = idle.and_then(|at| connections.remove(at)) else {
            // As much as the socket takes at once, which is all of it unless the peer is broken.
            let _ = stream.try_write(Site::busy().as_bytes());
            return;
        };
        idle.task.abort();
    }
    let asked = Arc::new(AtomicBool::new(false));
    let task = tokio::spawn(converse(stream, Arc::clone(site), limits, Arc::clone(&asked))).abort_handle();
    connections.push_back(Connection { task, asked });
}

/// One request and its response.
async fn converse(stream: TcpStream, site: Arc<Site>, limits: Limits, asked: Arc<AtomicBool>) {
    // Responses are written at once; waiting for more to send would only delay the last packet.
    let _ = stream.set_nodelay(true);
    let answer = service_fn(|request| {
        asked.store(true, Ordering::Relaxed);
        let response = site.answer(&request);
        async { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.request)
        .keep_alive(false)
        .half_close(true)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(stream), answer);
    // What goes wrong on a connection is its peer's business.
    let _ = within(limits, &asked, connection).await;
}

/// Drives a connection under both deadlines.
async fn within<T>(limits: Limits, asked: &AtomicBool, connection: impl Future<Output = T>) -> Option<T> {
    let mut connection = pin!(connection);
    match timeout(limits.request, &mut connection).await {
        Ok(done) => Some(done),
        Err(_) if asked.load(Ordering::Relaxed) => timeout(limits.response, connection).await.ok(),
        Err(_) => None,
    }
}
