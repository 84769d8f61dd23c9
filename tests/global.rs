//! The installed engine and the macros. A process has one, so this is one test, in a binary of its own.

use std::time::Duration;

use afferent::Engine;
use afferent::aggregate::Snapshot;
use afferent::ledger::Cause;
use afferent::record::Unit;

fn total(snapshot: &Snapshot, name: &str, labels: &[(&str, &str)]) -> f64 {
    snapshot.get(name, labels).map_or(0.0, |row| row.total.sum)
}

/// One call site of each kind, so that each is called before and after an engine is there.
fn record(agent: &str) {
    afferent::counter!("plain").add(1);
    afferent::counter!("fixed", "method" => "GET", "route" => "/plan").add(1);
    afferent::counter!("varied", "agent" => agent, "kind" => "x",).add(1);
    afferent::gauge!("queue", help: "Waiting requests.").set(3.0);
    afferent::histogram!("latency", unit: Seconds, help: "Time to answer.", "agent" => agent).record(0.25);
}

fn conflict(agent: &str) {
    afferent::gauge!("plain").set(1.0);
    afferent::histogram!("latency", unit: Bytes, "agent" => agent).record(1.0);
}

/// Records when its thread ends.
struct Last;

impl Drop for Last {
    fn drop(&mut self) {
        afferent::counter!("last", "when" => String::from("end")).add(1);
    }
}

#[test]
fn the_macros_record_into_the_installed_engine() {
    assert!(afferent::global().is_none());
    record("before");

    let engine = Engine::builder().window(Duration::from_millis(50)).start().unwrap();
    assert!(std::ptr::eq(afferent::install(engine).unwrap(), afferent::global().unwrap()));
    let engine = afferent::global().unwrap();

    // A second one comes back alive.
    let late = Engine::builder().start().unwrap();
    let error = afferent::install(late).unwrap_err();
    assert!(error.to_string().contains("install once"), "{error}");
    let late = error.into_engine();
    assert!(late.counter("still_registers").register().is_ok() && !late.view().is_closed());
    drop(late);

    // More label values than a call site keeps, from several threads, short values and long.
    let agents: Vec<String> =
        (0..150).map(|n| if n % 2 == 0 { n.to_string() } else { format!("/agents/{n}/and/a/longer/path") }).collect();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for agent in agents.iter().chain(&agents) {
                    record(agent);
                }
            });
        }
    });

    // Refused where the metric is something else, and said.
    assert!(engine.view().parts().iter().all(|part| part.name != "macros"));
    conflict("1");
    let parts = engine.view().parts();
    let problem = parts.iter().find(|part| part.name == "macros").and_then(|part| part.problem.as_deref()).unwrap();
    assert!(problem.contains("tests/global.rs:") && problem.contains("use another name"), "{problem}");

    // From a thread's destructors, after its cache went or before: nothing lost without a word.
    thread_local!(static LAST: Last = const { Last });
    std::thread::spawn(|| LAST.with(|_| ())).join().unwrap();
    std::thread::spawn(|| {
        afferent::counter!("last", "when" => String::from("alive")).add(1);
        LAST.with(|_| ());
    })
    .join()
    .unwrap();

    let ledger = engine.shutdown(Duration::from_secs(10)).unwrap();
    assert!(ledger.closes(), "{ledger:?}");
    let snapshot = engine.view().latest().unwrap();
    assert_eq!(total(&snapshot, "plain", &[]), 900.0);
    assert_eq!(total(&snapshot, "fixed", &[("method", "GET"), ("route", "/plan")]), 900.0);
    for agent in &agents {
        assert_eq!(total(&snapshot, "varied", &[("agent", agent), ("kind", "x")]), 6.0, "{agent}");
        let latency = snapshot.get("latency", &[("agent", agent)]).unwrap();
        assert_eq!(
            (latency.total.count, latency.info.unit, &*latency.info.help),
            (6, Unit::Seconds, "Time to answer.")
        );
    }
    assert_eq!(snapshot.get("queue", &[]).map(|row| row.total.last), Some(3.0));
    assert!(snapshot.get("varied", &[("agent", "before"), ("kind", "x")]).is_none());
    assert_eq!(total(&snapshot, "last", &[("when", "alive")]), 1.0);
    let ended = total(&snapshot, "last", &[("when", "end")]);
    assert_eq!(ended + ledger.dropped.get(Cause::Reentrant) as f64, 2.0);
    assert_eq!(ledger.dropped.total(), ledger.dropped.get(Cause::Reentrant));
}
