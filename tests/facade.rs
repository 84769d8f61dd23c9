//! The `metrics` facade with its real macros, over the process's recorder: one test, in a binary of its own.

use std::time::Duration;

use afferent::Engine;
use afferent::ledger::Ledger;
use afferent::metrics_facade::Facade;
use afferent::record::Unit;
use afferent::sink::prometheus::{Format, render};
use metrics::{Label, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

const THREADS: u32 = 4;
const ROUNDS: u32 = 1_000;

/// What each of the threads does.
fn work(thread: u32) {
    let name = format!("t{thread}");
    let kept = counter!("jobs.done", "how" => "kept");
    for round in 0..ROUNDS {
        counter!("jobs.done", "how" => "by name").increment(1);
        kept.increment(2);
        counter!("per.thread", "thread" => name.clone()).increment(1);
        // An external count, read by all, a little late by some.
        counter!("external").absolute(u64::from(round.saturating_sub(thread)));
        gauge!("open_connections").increment(1.0);
        gauge!("open_connections").decrement(if round == 0 { 0.0 } else { 1.0 });
        histogram!("http/latency", "route" => "/plan").record(f64::from(round));
    }
    histogram!("http/latency", "route" => "/act").record_many(Duration::from_secs(2).as_secs_f64() * 1e3, 10);
}

#[test]
fn code_written_for_metrics_records_here() {
    // Before there is a recorder: no effect, and no harm.
    counter!("jobs.done", "how" => "by name").increment(1_000_000);

    let engine = Engine::builder().window(Duration::from_millis(50)).ring_slots(1 << 16).prefix("svc").start().unwrap();
    Facade::install(&engine).expect("no other recorder is installed");
    assert!(Facade::install(&engine).is_err(), "there is one now");

    describe_counter!("jobs.done", metrics::Unit::Count, "Jobs done.");
    describe_gauge!("open_connections", "Connections that are open.");
    describe_histogram!("http/latency", metrics::Unit::Milliseconds, "Time to answer.");
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || work(thread));
        }
    });
    describe_histogram!("http/latency", metrics::Unit::Bytes, "Too late.");
    every_form();

    let ledger: Ledger = engine.shutdown(Duration::from_secs(30)).unwrap();
    assert!(ledger.closes(), "{ledger:?}");
    assert_eq!(ledger.dropped.total(), 0, "{ledger:?}");
    let snapshot = engine.view().latest().unwrap();
    let total = |name: &str, labels: &[(&str, &str)]| snapshot.get(name, labels).expect(name).total;
    let rounds = f64::from(THREADS * ROUNDS);
    assert_eq!(total("jobs_done", &[("how", "by name")]).sum, rounds);
    assert_eq!(total("jobs_done", &[("how", "kept")]).sum, 2.0 * rounds);
    for thread in 0..THREADS {
        assert_eq!(total("per_thread", &[("thread", &format!("t{thread}"))]).sum, f64::from(ROUNDS));
    }
    assert_eq!(total("external", &[]).sum, f64::from(ROUNDS - 1));
    assert_eq!(total("open_connections", &[]).last, f64::from(THREADS));
    let plan = snapshot.get("http_latency", &[("route", "/plan")]).unwrap();
    assert_eq!(
        (plan.info.unit, &*plan.info.help, plan.total.count),
        (Unit::Seconds, "Time to answer.", u64::from(THREADS * ROUNDS))
    );
    assert!((plan.total.sum - f64::from(THREADS * ROUNDS * (ROUNDS - 1) / 2) * 1e-3).abs() < 1e-6);
    assert_eq!((plan.total.min, plan.total.max), (0.0, 0.999));
    let act = total("http_latency", &[("route", "/act")]);
    assert_eq!((act.count, act.sum), (u64::from(THREADS) * 10, 80.0));

    let text = render(&snapshot, "svc", Format::Text);
    for line in [
        "# HELP svc_jobs_done_total Jobs done.",
        "# TYPE svc_jobs_done_total counter",
        "svc_jobs_done_total{how=\"by name\"} 4000",
        "# HELP svc_open_connections Connections that are open.",
        "# TYPE svc_open_connections gauge",
        "svc_open_connections 4.0",
        "# HELP svc_http_latency_seconds Time to answer.",
        "# TYPE svc_http_latency_seconds histogram",
        "svc_http_latency_seconds_count{route=\"/plan\"} 4000",
        "svc_forms_total{service=\"http\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "no line {line:?} in:\n{text}");
    }
    assert!(engine.view().parts().iter().all(|part| part.problem.is_none()));
}

/// Every form the macros have: names and labels that are literals, owned, slices, vectors; descriptions within.
fn every_form() {
    let owned = String::from("forms");
    let service = String::from("http");
    let common: &[(&str, &str)] = &[("listener", "frontend")];
    counter!(owned.clone()).increment(1);
    counter!("forms", "service" => service.clone()).increment(1);
    counter!("forms", "service" => service, "extra" => "x").increment(1);
    counter!("forms", common).increment(1);
    counter!("forms", vec![Label::new("a", "1")]).absolute(1);
    counter!(target: "here", level: metrics::Level::DEBUG, "forms", "of" => "target").increment(1);
    gauge!(format!("{owned}_level"), "kind" => "owned").set(1.0);
    gauge!("forms_gauge", common).set(-3.5);
    histogram!("forms_histogram", common).record(Duration::from_millis(2));
    histogram!("forms_histogram").record(7_u32);
}
