//! The endpoint as its peers see it: bytes over TCP.

mod engine;
mod limits;
mod routes;
mod rules;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::{Limits, Options, Server};
use crate::detect::{Anomaly, Published, Severity, Verdict};
use crate::engine::View;
use crate::record::{Kind, SeriesId, Unit};
use crate::sink::samples::{HOSTILE, Source};
use crate::sync::{Arc, AtomicU64, Ordering};

/// A server over a view that the test feeds, with a clock that the test sets.
struct Fixture {
    source: Source,
    view: View,
    now_ns: Arc<AtomicU64>,
    server: Server,
    time: SeriesId,
    actions: SeriesId,
}

impl Fixture {
    fn new() -> Fixture {
        Fixture::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Options)) -> Fixture {
        let mut source = Source::default();
        let labels = [("agent_id", "a1"), ("text", HOSTILE)];
        let time = source.add("planning_time", Kind::Histogram, Unit::Seconds, &labels, HOSTILE);
        let actions = source.add("actions", Kind::Counter, Unit::None, &[("agent_id", "a1")], "");
        let view = View::new();
        let now_ns = Arc::new(AtomicU64::new(u64::try_from(source.now_ns()).unwrap()));
        let clock = Arc::clone(&now_ns);
        let mut options = Options::new(move || i64::try_from(clock.load(Ordering::Relaxed)).unwrap());
        change(&mut options);
        let server = Server::start("127.0.0.1:0".parse().unwrap(), view.clone(), options).unwrap();
        Fixture { source, view, now_ns, server, time, actions }
    }

    /// Ends a window with three times and two actions, and an anomaly every window.
    fn window(&mut self) {
        for value in [0.010, 0.020, 0.030] {
            self.source.sample(self.time, value);
        }
        self.source.aggregator.increment(self.actions, 2);
        let snapshot = self.source.close();
        self.now_ns.store(u64::try_from(snapshot.end_ns).unwrap(), Ordering::Relaxed);
        let anomaly = Anomaly {
            id: snapshot.window,
            series: Arc::clone(&snapshot.series[0].info),
            time_ns: snapshot.start_ns,
            value: 0.03,
            score: 4.5,
            severity: Severity::Warning,
            verdicts: vec![Verdict { detector: "z_score", score: 4.5, low: 0.0, high: 0.02 }],
            completeness: 1.0,
        };
        self.view.publish(&Published { snapshot, anomalies: Arc::new([Arc::new(anomaly)]) });
    }

    fn pass(&self, time: Duration) {
        self.now_ns.fetch_add(u64::try_from(time.as_nanos()).unwrap(), Ordering::Relaxed);
    }

    fn connect(&self) -> TcpStream {
        connect(self.server.local_addr())
    }

    /// Sends bytes, returns the whole answer.
    fn raw(&self, request: &str) -> Answer {
        let mut stream = self.connect();
        // A server that refuses early may close before all is written; what it said can be read all the same.
        let _ = stream.write_all(request.as_bytes());
        read(&mut stream)
    }

    fn get(&self, path: &str) -> Answer {
        self.raw(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    }

    fn json(&self, path: &str) -> serde_json::Value {
        let answer = self.get(path);
        assert_eq!(answer.header("content-type"), Some("application/json"), "{path}");
        serde_json::from_str(&answer.body).unwrap()
    }
}

fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).unwrap();
    // Far above every limit under test: a test that would hang fails instead.
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// Reads until the server closes, which it does after every answer.
fn read(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    if let Err(error) = stream.read_to_end(&mut bytes) {
        // A server that refuses early closes with unread input, which resets the connection behind the answer.
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Answer { status, head: head.into(), body: body.into() }
}
