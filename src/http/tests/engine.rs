//! The endpoint of a real engine, one of whose parts fails.

use super::*;
use crate::Engine;
use crate::engine::EngineBuilder;
use crate::sink::{Sink, SinkError};

/// Asks until `/health` is no longer what it is at the start, and returns it.
fn health_of(engine: &Engine) -> serde_json::Value {
    let addr = engine.local_addr().unwrap();
    let start = Instant::now();
    loop {
        let mut stream = connect(addr);
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let answer = read(&mut stream);
        let health: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        if health["status"] != "healthy" {
            assert_eq!(answer.status, 200, "degraded is no reason to restart: {health}");
            return health;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{health}");
    }
}

fn assert_degraded_by(health: &serde_json::Value, part: &str, message: &str) {
    assert_eq!(health["status"], "degraded", "{health}");
    let problems = health["problems"].as_array().unwrap();
    let problem = problems.iter().find(|problem| problem["part"] == part).unwrap_or_else(|| panic!("{health}"));
    assert!(problem["message"].as_str().unwrap().contains(message), "{health}");
}

/// Windows long enough that the first has not ended when the test has broken the store.
fn engine() -> EngineBuilder {
    Engine::builder().window(Duration::from_secs(1)).serve("127.0.0.1:0".parse().unwrap())
}

#[test]
fn a_store_that_fails_degrades_health() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine().segments(dir.path()).start().unwrap();
    let calls = engine.counter("calls").register().unwrap();
    // Something else stands where segments go, as root can be denied nothing by permissions.
    std::fs::remove_dir_all(dir.path().join("metrics")).unwrap();
    std::fs::write(dir.path().join("metrics"), b"").unwrap();
    calls.add(1);
    let health = health_of(&engine);
    assert_degraded_by(&health, "sink:segments", "could not create a segment in");
    assert_degraded_by(&health, "sink:segments", dir.path().to_str().unwrap());
    let _ = engine.shutdown(Duration::from_secs(20));
}

struct Failing;

impl Sink for Failing {
    fn name(&self) -> &'static str {
        "failing"
    }

    fn publish(&mut self, _: &Published) -> Result<(), SinkError> {
        Err(SinkError::new("No space left on device (os error 28)"))
    }
}

#[test]
fn a_sink_that_fails_degrades_health() {
    let engine = engine().sink(Failing).start().unwrap();
    assert_degraded_by(&health_of(&engine), "sink:failing", "No space left on device");
    let _ = engine.shutdown(Duration::from_secs(20));
}
