//! The pipeline as its user sees it: record, windows, account, callbacks, shutdown.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::Engine;
use crate::detect::{Detectors, ZScore};
use crate::ledger::Cause;
use crate::record::{Kind, Unit};
use crate::ring::{Overflow, Registry, RegistryConfig};

const PATIENCE: Duration = Duration::from_secs(20);

fn short() -> crate::engine::EngineBuilder {
    Engine::builder().window(Duration::from_millis(20)).detectors(Detectors::none())
}

#[test]
fn what_is_recorded_is_found_in_a_window() {
    let engine = short().start().unwrap();
    let latency = engine.histogram("latency").unit(Unit::Seconds).label("agent", "a").register().unwrap();
    let level = engine.gauge("level").register().unwrap();
    let calls = engine.counter("calls").register().unwrap();
    for i in 1..=1_000 {
        latency.record(f64::from(i) * 1e-3);
        calls.add(2);
    }
    level.set(7.0);
    engine.flush();
    let snapshot = engine.view().latest().unwrap();
    let row = snapshot.get("latency", &[("agent", "a")]).unwrap();
    assert_eq!(row.total.count, 1_000);
    assert_eq!(row.total.max, 1.0);
    let p50 = row.total_buckets.as_ref().unwrap().quantile(0.5).unwrap();
    assert!((p50 - 0.5).abs() < 0.001, "{p50}");
    assert_eq!(snapshot.get("level", &[]).unwrap().total.last, 7.0);
    assert_eq!(snapshot.get("calls", &[]).unwrap().total.sum, 2_000.0);
    let ledger = engine.shutdown(PATIENCE).unwrap();
    assert!(ledger.closes(), "{ledger:?}");
    assert_eq!((ledger.recorded, ledger.aggregated, ledger.in_flight, ledger.gathered), (1_001, 1_001, 0, 2_000));
}

#[test]
fn the_ledger_closes_when_rings_overflow() {
    const EACH: u64 = 200_000;
    let engine = short().ring_slots(64).start().unwrap();
    let value = engine.histogram("value").register().unwrap();
    let count = engine.counter("count").register().unwrap();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for i in 0..EACH {
                    value.record(i as f64);
                    count.add(1);
                }
            });
        }
    });
    let ledger = engine.shutdown(PATIENCE).unwrap();
    assert!(ledger.closes(), "{ledger:?}");
    assert_eq!(ledger.recorded, 3 * EACH);
    assert!(ledger.dropped.get(Cause::RingFull) > 0, "rings of 64 slots must overflow: {ledger:?}");
    assert_eq!(ledger.aggregated + ledger.dropped.total(), ledger.recorded);
    // A full ring costs no increment.
    assert_eq!(ledger.gathered, 3 * EACH);
}

#[test]
fn every_window_closes_and_they_add_up() {
    let engine = short().start().unwrap();
    let value = engine.histogram("value").register().unwrap();
    for _ in 0..5 {
        // Less than a ring holds, so that nothing is lost however late the drain comes.
        for i in 0..10_000 {
            value.record(f64::from(i % 100));
        }
        engine.flush();
    }
    engine.shutdown(PATIENCE).unwrap();
    let windows = engine.view().windows();
    assert!(windows.iter().all(|window| window.ledger.closes()));
    let sum: u64 = windows.iter().filter_map(|window| Some(window.get("value", &[])?.delta.count)).sum();
    assert_eq!(sum, 50_000);
    for pair in windows.windows(2) {
        assert_eq!(pair[0].window + 1, pair[1].window);
        assert_eq!(pair[0].end_ns, pair[1].start_ns);
    }
}

#[test]
fn what_comes_after_the_close_is_counted() {
    let engine = short().start().unwrap();
    let value = engine.histogram("value").register().unwrap();
    value.record(1.0);
    let mut recorder = engine.recorder();
    let ledger = engine.shutdown(PATIENCE).unwrap();
    assert_eq!((ledger.recorded, ledger.aggregated), (1, 1));
    value.record(2.0);
    recorder.record(value, 3.0);
    thread::spawn(move || value.record(4.0)).join().unwrap();
    let later = engine.ledger();
    assert_eq!((later.recorded, later.dropped.get(Cause::AfterClose)), (4, 3));
    assert!(later.closes(), "{later:?}");
    // A second shutdown is no error and changes nothing.
    assert_eq!(engine.shutdown(PATIENCE).unwrap(), later);
}

#[test]
fn what_cannot_be_aggregated_has_a_cause() {
    let (one, other) = (short().start().unwrap(), short().start().unwrap());
    let value = one.histogram("value").register().unwrap();
    value.record(f64::NAN);
    value.record(f64::NEG_INFINITY);
    value.record(-1.0);
    let mut foreign = other.recorder();
    foreign.record(value, 1.0);
    let ledger = one.shutdown(PATIENCE).unwrap();
    assert_eq!((ledger.dropped.get(Cause::NotFinite), ledger.aggregated, ledger.clamped), (2, 1, 1));
    assert!(ledger.closes());
    let ledger = other.shutdown(PATIENCE).unwrap();
    assert_eq!(ledger.dropped.get(Cause::UnknownSeries), 1);
    assert!(ledger.closes());
}

#[test]
fn handles_of_two_engines_on_one_thread_do_not_mix() {
    let (one, other) = (short().start().unwrap(), short().start().unwrap());
    let (a, b) = (one.counter("c").register().unwrap(), other.counter("c").register().unwrap());
    for _ in 0..100 {
        a.add(1);
        b.add(10);
    }
    assert_eq!(one.shutdown(PATIENCE).unwrap().gathered, 100);
    assert_eq!(other.shutdown(PATIENCE).unwrap().gathered, 1_000);
}

#[test]
fn an_anomaly_reaches_callbacks_and_a_panicking_one_harms_nobody() {
    let engine = Engine::builder().window(Duration::from_millis(500)).detect(ZScore::new(4.0)).start().unwrap();
    let (tell, told) = mpsc::channel();
    engine.on_anomaly(|_| panic!("a callback's own fault"));
    engine.on_anomaly(move |anomaly| {
        let _ = tell.send((anomaly.series.name.to_string(), anomaly.value));
    });
    let value = engine.gauge("value").register().unwrap();
    for i in 0..400 {
        value.set(10.0 + f64::from(i % 7));
    }
    value.set(10_000.0);
    let (name, seen) = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!((&*name, seen), ("value", 10_000.0));
    let ledger = engine.shutdown(PATIENCE).unwrap();
    assert!(ledger.closes());
    let sinks = engine.view().sinks();
    assert!(sinks.iter().any(|sink| sink.last_error.as_deref().is_some_and(|e| e.contains("panicked"))), "{sinks:?}");
}

#[test]
fn the_first_users_calls_work_by_name() {
    let engine = short().recent(3).start().unwrap();
    for i in 0..5 {
        engine.record_metric("size", f64::from(i), &[("agent_id", "a")], Kind::Gauge).unwrap();
    }
    engine.record_metric("actions", 3.0, &[], Kind::Counter).unwrap();
    let recent: Vec<_> = engine.recent("size").iter().map(|reading| reading.value).collect();
    assert_eq!(recent, [2.0, 3.0, 4.0]);
    let batch = [
        crate::engine::Metric { name: "size", value: 9.0, tags: &[], kind: Kind::Gauge },
        crate::engine::Metric { name: "actions", value: 0.5, tags: &[], kind: Kind::Counter },
        crate::engine::Metric { name: "actions", value: 2.0, tags: &[], kind: Kind::Counter },
    ];
    let (at, error) = engine.record_metrics_batch(&batch).unwrap_err();
    assert_eq!(at, 1);
    assert!(error.to_string().contains("whole number"), "{error}");
    engine.flush();
    assert!(engine.prometheus().unwrap().contains("actions_total 5"));
    assert!(engine.json().unwrap().contains("\"agent_id\":\"a\""));
    assert_eq!(engine.shutdown(PATIENCE).unwrap().gathered, 5);
}

#[test]
fn threads_that_end_leave_nothing_behind() {
    let engine = short().start().unwrap();
    let value = engine.histogram("value").register().unwrap();
    for _ in 0..200 {
        thread::spawn(move || value.record(1.0)).join().unwrap();
    }
    // A thread that panics leaves like any other.
    thread::spawn(move || {
        value.record(1.0);
        std::panic::resume_unwind(Box::new("on purpose"));
    })
    .join()
    .unwrap_err();
    let ledger = engine.shutdown(PATIENCE).unwrap();
    assert_eq!((ledger.recorded, ledger.aggregated), (201, 201));
}

#[test]
fn a_window_out_of_range_is_refused_with_a_remedy() {
    let error = Engine::builder().window(Duration::from_nanos(1)).start().unwrap_err();
    assert!(error.to_string().contains("between 10 ms and 1 h"), "{error}");
}

/// A sink that never comes back from a window until the test lets it.
struct Stuck(mpsc::Receiver<()>);

impl crate::sink::Sink for Stuck {
    fn name(&self) -> &'static str {
        "stuck"
    }

    fn publish(&mut self, _: &crate::detect::Published) -> Result<(), crate::sink::SinkError> {
        let _ = self.0.recv();
        Ok(())
    }
}

#[test]
fn a_sink_that_hangs_delays_neither_windows_nor_the_end() {
    let (release, held) = mpsc::channel();
    let engine = short().sink(Stuck(held)).start().unwrap();
    let value = engine.gauge("value").register().unwrap();
    for i in 0..40 {
        value.set(f64::from(i));
        engine.flush();
    }
    let start = std::time::Instant::now();
    let ledger = engine.shutdown(Duration::from_millis(300)).unwrap();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!((ledger.aggregated, ledger.closes()), (40, true));
    let sinks = engine.view().sinks();
    assert!(sinks[0].dropped > 0, "its queue is bounded: {sinks:?}");
    drop(release);
}

#[test]
fn many_values_go_in_one_call_and_what_does_not_fit_is_counted() {
    let engine = short().ring_slots(1_000).start().unwrap();
    let value = engine.histogram("value").register().unwrap();
    let mut recorder = engine.recorder();
    let values: Vec<f64> = (0..700).map(f64::from).collect();
    recorder.record_many(value, &values);
    recorder.record_many(value, &[]);
    engine.flush();
    recorder.record_many(value, &vec![5.0; 1_500]);
    value.record_many(&values);
    let ledger = engine.shutdown(PATIENCE).unwrap();
    assert_eq!((ledger.recorded, ledger.aggregated), (2_900, 2_400));
    assert_eq!((ledger.dropped.get(Cause::RingFull), ledger.closes()), (500, true));
    recorder.record_many(value, &values);
    assert_eq!(engine.ledger().dropped.get(Cause::AfterClose), 700);
}

#[test]
fn coarse_times_are_true_to_a_few_drains() {
    use crate::time::{Timestamps, unix_ns};
    let engine = short().timestamps(Timestamps::Coarse).start().unwrap();
    let value = engine.gauge("value").register().unwrap();
    let before = unix_ns();
    value.set(1.0);
    let after = unix_ns();
    let reading = engine.recent("value")[0].time_ns;
    // 20 ms is the idle drain's pause; the rest is what a busy machine may add to it.
    assert!((before - 500_000_000..=after).contains(&reading), "{reading} is not near {before}..{after}");
    assert!(engine.shutdown(PATIENCE).unwrap().closes());
}

/// The same values as without an overflow, but for the stated error: totals to the unit, quantiles to 1/32.
#[test]
fn folding_keeps_totals_and_quantiles() {
    const EACH: u64 = 100_000;
    let engine = short().ring_slots(64).overflow(Overflow::Fold).start().unwrap();
    let value = engine.histogram("value").unit(Unit::Seconds).register().unwrap();
    let count = engine.counter("count").register().unwrap();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for i in 1..=EACH {
                    value.record(i as f64 * 1e-6);
                    count.add(1);
                }
            });
        }
    });
    let ledger = engine.shutdown(PATIENCE).unwrap();
    assert!(ledger.closes(), "{ledger:?}");
    assert_eq!((ledger.recorded, ledger.aggregated, ledger.dropped.total()), (3 * EACH, 3 * EACH, 0));
    let snapshot = engine.view().latest().unwrap();
    let row = snapshot.get("value", &[]).unwrap();
    assert_eq!(row.total.count, 3 * EACH);
    let sum = 3.0 * (EACH * (EACH + 1) / 2) as f64 * 1e-6;
    assert!((row.total.sum - sum).abs() < 1e-6 * sum, "{} {sum}", row.total.sum);
    for q in [0.01, 0.25, 0.5, 0.9, 0.99, 1.0] {
        let (found, exact) = (row.total_buckets.as_ref().unwrap().quantile(q).unwrap(), q * EACH as f64 * 1e-6);
        assert!((found - exact).abs() <= exact * (1.0 / 32.0 + 1e-3), "{q}: {found} {exact}");
    }
}

#[test]
fn waiting_loses_nothing_while_the_engine_drains_and_no_longer_than_asked_when_it_does_not() {
    let policy = Overflow::Wait { at_most: Duration::from_secs(20) };
    let engine = short().ring_slots(64).overflow(policy).start().unwrap();
    let value = engine.histogram("value").register().unwrap();
    for i in 0..5_000 {
        value.record(f64::from(i));
    }
    let ledger = engine.shutdown(PATIENCE).unwrap();
    assert_eq!((ledger.aggregated, ledger.dropped.total()), (5_000, 0));

    // Nobody drains this one.
    let overflow = Overflow::Wait { at_most: Duration::from_millis(5) };
    let registry = Registry::new(RegistryConfig { ring_slots: 4, overflow, ..RegistryConfig::default() });
    let value = registry.histogram("value").register().unwrap();
    let mut drain = crate::drain::Drain::new(std::sync::Arc::clone(&registry));
    for i in 0..6 {
        value.record(f64::from(i));
    }
    let mut taken = 0;
    drain.sweep(|batch| taken += batch.len(), |_| {});
    assert_eq!((taken, drain.account().refused.get(Cause::RingFull)), (4, 2));
}
