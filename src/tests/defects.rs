//! Defects that were found, each with its story.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::detect::{Detectors, Published};
use crate::engine::{Engine, EngineBuilder};
use crate::ring::{Counter, RegistryConfig};
use crate::sink::{Prometheus, Sink, SinkError};
use crate::sync::{Arc, AtomicBool, Ordering};

const PATIENCE: Duration = Duration::from_secs(20);

fn short() -> EngineBuilder {
    Engine::builder().window(Duration::from_millis(10)).detectors(Detectors::none())
}

/// A sample recorded after a window's end but before its closing waits for the next window. The closing window answered
/// the flush all the same.
#[test]
fn a_flush_waits_for_the_window_that_holds_the_sample() {
    let engine = short().start().unwrap();
    let value = engine.histogram("value").register().unwrap();
    for i in 1..=200_u64 {
        // Spread over the window's phase; what is waited for is nothing but time.
        let start = Instant::now();
        while start.elapsed() < Duration::from_micros((i * 37) % 10_000) {
            std::hint::spin_loop();
        }
        value.record(1.0);
        assert!(engine.flush());
        assert_eq!(engine.view().latest().unwrap().get("value", &[]).unwrap().total.count, i);
    }
}

/// `Instant + Duration::MAX` panicked, and the engine could not be shut down any more.
#[test]
fn any_deadline_will_do() {
    let engine = short().start().unwrap();
    assert!(engine.shutdown(Duration::MAX).unwrap().closes());
    let engine = short().start().unwrap();
    let _ = engine.shutdown(Duration::ZERO);
}

/// The sum over all counters overflowed and took the aggregator's thread with it.
#[test]
fn counters_may_overflow() {
    let engine = short().start().unwrap();
    let (one, other) = (engine.counter("one").register().unwrap(), engine.counter("other").register().unwrap());
    one.add(u64::MAX);
    other.add(2);
    assert!(engine.flush());
    let ledger = engine.shutdown(PATIENCE).unwrap();
    assert!(ledger.closes(), "{ledger:?}");
    assert_eq!(ledger.increments, 1);
}

/// Asking for recent values after the shutdown booked late samples into windows that nobody publishes.
#[test]
fn nothing_is_aggregated_after_the_shutdown() {
    let engine = short().start().unwrap();
    let counter = engine.counter("counter").register().unwrap();
    counter.add(1);
    engine.shutdown(PATIENCE).unwrap();
    counter.add(5);
    assert!(engine.recent("counter").is_empty());
    let ledger = engine.ledger();
    assert_eq!((ledger.gathered, ledger.increments_late), (1, 5), "{ledger:?}");
}

/// Threads that had just joined, and cells since the last window, were not in the account "as of now".
#[test]
fn the_account_of_now_is_of_now() {
    let engine = Engine::builder().window(Duration::from_hours(1)).start().unwrap();
    let (value, counter) = (engine.gauge("value").register().unwrap(), engine.counter("counter").register().unwrap());
    value.set(1.0);
    counter.add(3);
    let ledger = engine.ledger();
    assert_eq!((ledger.recorded, ledger.increments, ledger.closes()), (1, 3, true), "{ledger:?}");
}

/// A callback that asked the engine anything during the shutdown was not answered until the deadline, since the thread
/// that would have answered was waiting for the callback.
#[test]
fn a_callback_may_ask_the_engine_while_it_shuts_down() {
    let engine = Arc::new(Engine::builder().window(Duration::from_hours(1)).start().unwrap());
    let (asked, weak) = (channel(), Arc::downgrade(&engine));
    engine.on_anomaly(move |_| {
        let closes = weak.upgrade().map(|engine| engine.ledger().closes() && engine.flush());
        let _ = asked.0.send(closes);
    });
    let value = engine.gauge("value").register().unwrap();
    for i in 0..400 {
        value.set(10.0 + f64::from(i % 7));
    }
    value.set(10_000.0);
    let start = Instant::now();
    engine.shutdown(PATIENCE).unwrap();
    assert!(start.elapsed() < PATIENCE / 2, "{:?}", start.elapsed());
    assert_eq!(asked.1.recv_timeout(PATIENCE), Ok(Some(true)));
}

/// Holds its first window until told to go on.
struct Held(Receiver<()>);

impl Sink for Held {
    fn name(&self) -> &'static str {
        "held"
    }

    fn publish(&mut self, _: &Published) -> Result<(), SinkError> {
        let _ = self.0.recv();
        Ok(())
    }
}

/// A second shutdown waited as long as the first one, whatever its own deadline.
#[test]
fn a_second_shutdown_keeps_its_own_deadline() {
    let (release, held) = channel();
    let engine = Arc::new(short().sink(Held(held)).start().unwrap());
    engine.flush();
    let first = {
        let engine = Arc::clone(&engine);
        thread::spawn(move || engine.shutdown(PATIENCE))
    };
    while !engine.view().is_closed() {
        thread::yield_now();
    }
    let start = Instant::now();
    assert!(engine.shutdown(Duration::from_millis(200)).unwrap().closes());
    assert!(start.elapsed() < PATIENCE / 2, "{:?}", start.elapsed());
    drop(release);
    assert!(first.join().unwrap().unwrap().closes());
}

/// A thread that was preempted between its look at the closed flag and its push showed as in flight, after the end.
#[test]
fn nothing_is_in_flight_after_the_shutdown() {
    for _ in 0..20 {
        let engine = short().start().unwrap();
        let value = engine.gauge("value").register().unwrap();
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    // Relaxed: the flag is all there is to see.
                    while !stop.load(Ordering::Relaxed) {
                        value.set(1.0);
                    }
                });
            }
            engine.flush();
            let ledger = engine.shutdown(PATIENCE).unwrap();
            stop.store(true, Ordering::Relaxed);
            assert_eq!((ledger.in_flight, ledger.closes()), (0, true), "{ledger:?}");
        });
        let ledger = engine.ledger();
        assert_eq!((ledger.in_flight, ledger.closes()), (0, true), "{ledger:?}");
    }
}

/// Increments by a thread-local destructor that ran after the thread's recorder was gone went nowhere.
#[test]
fn not_even_a_threads_last_increment_is_lost() {
    struct Last(Option<Counter>);
    impl Drop for Last {
        fn drop(&mut self) {
            if let Some(counter) = self.0 {
                counter.add(7);
            }
        }
    }
    thread_local!(static LAST: RefCell<Last> = const { RefCell::new(Last(None)) });
    let engine = short().start().unwrap();
    let counter = engine.counter("counter").register().unwrap();
    // Made before and after the recorder, since destructors run in one order or the other, by platform.
    thread::spawn(move || {
        LAST.with(|last| last.borrow_mut().0 = Some(counter));
        counter.add(1);
    })
    .join()
    .unwrap();
    thread::spawn(move || {
        counter.add(1);
        LAST.with(|last| last.borrow_mut().0 = Some(counter));
    })
    .join()
    .unwrap();
    let ledger = engine.shutdown(PATIENCE).unwrap();
    assert_eq!((ledger.gathered, ledger.recorded, ledger.closes()), (16, 0, true), "{ledger:?}");
    assert_eq!(engine.view().latest().unwrap().get("counter", &[]).unwrap().total.sum, 16.0);
}

/// A thread's first record panicked, or asked for more memory than there is.
#[test]
fn sizes_beyond_reason_are_brought_within() {
    let config = RegistryConfig { ring_slots: 0, max_series: 0, max_series_per_metric: 0, ..RegistryConfig::default() };
    let engine = short().registry(config).start().unwrap();
    engine.gauge("value").register().unwrap().set(1.0);
    assert_eq!(engine.shutdown(PATIENCE).unwrap().aggregated, 1);
    let config = RegistryConfig { max_series: usize::MAX, ..RegistryConfig::default() };
    let engine = short().registry(config).start().unwrap();
    engine.counter("value").register().unwrap().add(1);
    assert_eq!(engine.shutdown(PATIENCE).unwrap().gathered, 1);
}

/// A handle of another engine counted as one refused sample, however many values it was given.
#[test]
fn many_values_for_another_engine_are_all_counted() {
    let (one, other) = (short().start().unwrap(), short().start().unwrap());
    let value = one.histogram("value").register().unwrap();
    other.recorder().record_many(value, &[1.0; 10]);
    assert_eq!(other.shutdown(PATIENCE).unwrap().recorded, 10);
}

/// The pages of a Prometheus sink are shared with the endpoint, and lacked the engine's prefix.
#[test]
fn the_prefix_holds_with_a_prometheus_sink_too() {
    let builder = short().sink(Prometheus::default()).prefix("active_inference");
    let engine = builder.serve("127.0.0.1:0".parse().unwrap()).start().unwrap();
    engine.gauge("planning_time").register().unwrap().set(1.0);
    engine.flush();
    let addr = engine.local_addr().unwrap();
    let mut stream = std::net::TcpStream::connect(addr).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: {addr}\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    assert!(page.contains("\nactive_inference_planning_time 1"), "{page}");
}

/// The windows that a view keeps each held the distribution of everything since the start: a gigabyte in minutes.
#[test]
fn only_the_latest_window_holds_the_distribution_since_the_start() {
    let engine = short().start().unwrap();
    let value = engine.histogram("value").register().unwrap();
    for _ in 0..5 {
        value.record(1.0);
        engine.flush();
    }
    let windows = engine.view().windows();
    let (latest, earlier) = windows.split_last().unwrap();
    assert!(latest.get("value", &[]).unwrap().total_buckets.is_some());
    assert!(earlier.iter().flat_map(|window| &window.series).all(|row| row.total_buckets.is_none()));
}

/// The last window is short, and a rate over a whole one looked like a collapse.
#[test]
fn a_steady_counter_raises_no_alarm_at_the_end() {
    let engine = Engine::builder().window(Duration::from_millis(10)).start().unwrap();
    let counter = engine.counter("counter").register().unwrap();
    for _ in 0..150 {
        counter.add(1_000);
        engine.flush();
    }
    engine.shutdown(PATIENCE).unwrap();
    let last = engine.view().latest().unwrap();
    let alarms = engine.view().anomalies(0).into_iter().filter(|anomaly| anomaly.time_ns >= last.start_ns).count();
    assert_eq!(alarms, 0);
}
