//! Threads join, record, leave; the drain looks on; the engine closes. Whatever the interleaving, the account closes.

use afferent::__internal::{Drain, Gained, Inlet, admit};
use afferent::ring::{Histogram, Overflow, Registry, RegistryConfig};
use loom::sync::Arc;
use loom::thread;

/// Few slots and few series: what is checked is the protocol, and every cell and slot multiplies the states.
fn registry() -> (Arc<Registry>, Histogram) {
    registry_with(2, Overflow::DropNewest)
}

fn registry_with(ring_slots: usize, overflow: Overflow) -> (Arc<Registry>, Histogram) {
    let mut config = RegistryConfig::default();
    config.ring_slots = ring_slots;
    config.overflow = overflow;
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
        drain.sweep(|batch| books.aggregated += batch.len() as u64, |_| {});
        let during = drain.account();
        assert!(during.consistent);
        assert_eq!(during.recorded, books.aggregated + during.waiting);
        producer.join().unwrap();
        // The thread is gone: one more sweep takes what it left and lets go of its lane.
        drain.sweep(|batch| books.aggregated += batch.len() as u64, |_| {});
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
        drain.sweep(|batch| books.aggregated += batch.len() as u64, |_| {});
        drain.sweep(|batch| books.dropped += batch.len() as u64, |_| {});
        let at_close = drain.account();
        assert!(at_close.consistent);
        producer.join().unwrap();
        // Whoever reads the account later finds what came too late.
        drain.sweep(|batch| books.dropped += batch.len() as u64, |_| {});
        let after = drain.account();
        assert_eq!(after.recorded, 2);
        assert_eq!(after.recorded, books.aggregated + books.dropped + after.refused.total());
        assert_eq!(after.waiting, 0);
        // Who joins after the close is refused from the first sample on.
        registry.recorder().record(histogram, 3.0);
        drain.sweep(|_| panic!("nothing is pushed after the close"), |_| {});
        assert_eq!(drain.account().refused.total(), after.refused.total() + 1);
    });
}

/// The canary of the close: without the look afterwards, a sample pushed by a recorder that had seen the lane open is
/// missing from the account.
#[test]
#[should_panic(expected = "a sample came too late for the account")]
fn canary_not_looking_again_after_the_close_misses_samples() {
    check(|| {
        let (registry, histogram) = registry();
        let mut drain = Drain::new(Arc::clone(&registry));
        let producer = {
            let registry = Arc::clone(&registry);
            thread::spawn(move || registry.recorder().record(histogram, 1.0))
        };
        let mut taken = 0;
        drain.close();
        drain.sweep(|batch| taken += batch.len() as u64, |_| {});
        producer.join().unwrap();
        let account = drain.account();
        assert_eq!(1, taken + account.refused.total(), "a sample came too late for the account");
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
        drain.sweep(|_| {}, |gained| if let Gained::Counter(_, by) = gained { total += by });
        producer.join().unwrap();
        drain.sweep(|_| {}, |gained| if let Gained::Counter(_, by) = gained { total += by });
        assert_eq!((total, drain.account().increments, drain.lanes()), (3, 3, 0));
    });
}

/// What the ring does not take is folded, and found once whenever the drain looks.
#[test]
fn folded_samples_are_found_once() {
    check(|| {
        let (registry, histogram) = registry_with(1, Overflow::Fold);
        let mut drain = Drain::new(Arc::clone(&registry));
        let producer = {
            let registry = Arc::clone(&registry);
            thread::spawn(move || {
                let mut recorder = registry.recorder();
                for value in [1.0, 2.0, 4.0] {
                    recorder.record(histogram, value);
                }
            })
        };
        let (mut taken, mut folded, mut ring_sum, mut fold_sum) = (0, 0, 0.0, 0.0);
        let mut sweep = |drain: &mut Drain| {
            drain.sweep(
                |batch| {
                    taken += batch.len() as u64;
                    ring_sum += batch.iter().map(|event| event.value).sum::<f64>();
                },
                |gained| {
                    if let Gained::Folded(gained) = gained {
                        folded += gained.count();
                        fold_sum += gained.sum;
                    }
                },
            );
            (taken, folded, ring_sum + fold_sum)
        };
        let (taken, folded, _) = sweep(&mut drain);
        let during = drain.account();
        assert!(during.consistent);
        assert_eq!(during.recorded, taken + folded + during.waiting);
        producer.join().unwrap();
        let (taken, folded, sum) = sweep(&mut drain);
        assert_eq!((taken + folded, sum), (3, 7.0));
        assert_eq!((drain.account().recorded, drain.account().waiting, drain.lanes()), (3, 0, 0));
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
