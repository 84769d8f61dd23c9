//! Threads join, record, leave; the drain looks on; the engine closes. Whatever the interleaving, the account closes.

use afferent::__internal::{Drain, Inlet, admit};
use afferent::ring::{Histogram, Registry, RegistryConfig};
use loom::sync::Arc;
use loom::thread;

/// Few slots and few series: what is checked is the protocol, and every cell and slot multiplies the states.
fn registry() -> (Arc<Registry>, Histogram) {
    let mut config = RegistryConfig::default();
    config.ring_slots = 2;
    config.max_series = 1;
    config.max_series_per_metric = 1;
    let registry = Registry::new(config);
    let histogram = registry.histogram("h").register().unwrap();
    (registry, histogram)
}

fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

/// What the drain took, and what it threw away after the close.
#[derive(Default)]
struct Books {
    aggregated: u64,
    dropped: u64,
}

#[test]
fn a_thread_joins_records_and_leaves() {
    check(|| {
        let (registry, histogram) = registry();
        let mut drain = Drain::new(Arc::clone(&registry));
        let producer = {
            let registry = Arc::clone(&registry);
            thread::spawn(move || {
                let mut recorder = registry.recorder();
                recorder.record(histogram, 1.0);
                recorder.record(histogram, 2.0);
                drop(recorder);
            })
        };
        let mut books = Books::default();
        drain.sweep(|batch| books.aggregated += batch.len() as u64, |_, _| {});
        let during = drain.account();
        assert!(during.consistent);
        assert_eq!(during.recorded, books.aggregated + during.waiting);
        producer.join().unwrap();
        // The thread is gone: one more sweep takes what it left and lets go of its lane.
        drain.sweep(|batch| books.aggregated += batch.len() as u64, |_, _| {});
        let after = drain.account();
        assert!(after.consistent);
        assert_eq!((after.recorded, after.waiting, books.aggregated, drain.lanes()), (2, 0, 2, 0));
    });
}

#[test]
fn the_engine_closes_while_a_thread_records() {
    check(|| {
        let (registry, histogram) = registry();
        let mut drain = Drain::new(Arc::clone(&registry));
        let producer = {
            let registry = Arc::clone(&registry);
            thread::spawn(move || {
                let mut recorder = registry.recorder();
                recorder.record(histogram, 1.0);
                recorder.record(histogram, 2.0);
            })
        };
        let mut books = Books::default();
        drain.close();
        drain.sweep(|batch| books.aggregated += batch.len() as u64, |_, _| {});
        drain.sweep(|batch| books.dropped += batch.len() as u64, |_, _| {});
        let at_close = drain.account();
        assert!(at_close.consistent);
        producer.join().unwrap();
        // Whoever reads the account later finds what came too late.
        drain.sweep(|batch| books.dropped += batch.len() as u64, |_, _| {});
        let after = drain.account();
        assert_eq!(after.recorded, 2);
        assert_eq!(after.recorded, books.aggregated + books.dropped + after.refused.total());
        assert_eq!(after.waiting, 0);
    });
}

/// A counter's increments are gathered whenever the thread leaves.
#[test]
fn a_leaving_thread_takes_no_increment_along() {
    check(|| {
        let (registry, _) = registry();
        let counter = registry.counter("c").register().unwrap();
        let mut drain = Drain::new(Arc::clone(&registry));
        let producer = {
            let registry = Arc::clone(&registry);
            thread::spawn(move || {
                let mut recorder = registry.recorder();
                recorder.add(counter, 1);
                recorder.add(counter, 2);
            })
        };
        let mut total = 0;
        drain.sweep(|_| {}, |_, gained| total += gained);
        producer.join().unwrap();
        drain.sweep(|_| {}, |_, gained| total += gained);
        assert_eq!((total, drain.account().increments, drain.lanes()), (3, 3, 0));
    });
}

/// The canary: the same scenario with the drain's two steps in the wrong order. It empties the ring first and then asks
/// whether the thread is gone, so what is pushed in between goes down with the lane. The models above would be worth
/// nothing if this one passed.
#[test]
#[should_panic(expected = "an event went down with its lane")]
fn canary_asking_after_emptying_loses_events() {
    check(|| {
        let (registry, histogram) = registry();
        let producer = {
            let registry = Arc::clone(&registry);
            thread::spawn(move || {
                let mut recorder = registry.recorder();
                recorder.record(histogram, 1.0);
            })
        };
        let mut taken = 0;
        let mut inlets: Vec<Inlet> = Vec::new();
        let mut wrong_sweep = |inlets: &mut Vec<Inlet>| {
            admit(&registry, inlets);
            inlets.retain_mut(|inlet| {
                let slots = inlet.events.slots();
                if let Ok(chunk) = inlet.events.read_chunk(slots) {
                    taken += slots;
                    chunk.commit_all();
                }
                !inlet.lane.has_left()
            });
        };
        wrong_sweep(&mut inlets);
        producer.join().unwrap();
        wrong_sweep(&mut inlets);
        assert_eq!(taken, 1, "an event went down with its lane");
    });
}
