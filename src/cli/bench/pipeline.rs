//! How many samples a second a running engine takes in.

use std::hint::{black_box, spin_loop};
use std::thread;
use std::time::{Duration, Instant};

use rtrb::RingBuffer;

use super::super::progress::Progress;
use super::Figure;
use super::timing::rate;
use crate::Engine;
use crate::record::{Event, SeriesId, Unit};
use crate::ring::{Histogram, Recorder};
use crate::sync::{Arc, AtomicBool, Ordering};
use crate::time::Clock;

/// Ring of one producer. Larger than the default: at tens of millions of samples a second it must bridge a drain's
/// pause of a millisecond.
const SLOTS: usize = 1 << 18;
/// Length of one measurement.
const LENGTH: Duration = Duration::from_millis(500);

pub(super) fn figures(repetitions: usize, progress: Progress, stop: &dyn Fn() -> bool) -> Vec<Figure> {
    let (mut saturated, mut sustained, mut limits) = (Vec::new(), Vec::new(), Vec::new());
    let bar = progress.bar("pipeline", repetitions as u64);
    for _ in 0..repetitions {
        if stop() {
            break;
        }
        limits.push(raw_transfer());
        if let Some(taken) = with_engine(offer_all) {
            saturated.push(taken);
        }
        if let Some(highest) = with_engine(highest_rate) {
            sustained.push(highest);
        }
        bar.step();
    }
    bar.done();
    if limits.is_empty() {
        return Vec::new();
    }
    let limit_name = "time stamp + rtrb push to pop, 16 B";
    vec![rate("saturation", saturated, limit_name, limits.clone()), rate("sustained", sustained, limit_name, limits)]
}

/// A default engine (histograms, z-score, IQR) and one producer.
fn with_engine(work: impl FnOnce(&Engine, &mut Recorder, Histogram) -> f64) -> Option<f64> {
    let engine = Engine::builder().ring_slots(SLOTS).start().ok()?;
    let histogram = engine.histogram("bench_latency").unit(Unit::Seconds).register().ok()?;
    let mut recorder = engine.recorder();
    let figure = work(&engine, &mut recorder, histogram);
    let ledger = engine.shutdown(Duration::from_secs(10)).ok()?;
    ledger.closes().then_some(figure)
}

/// The producer never pauses; what the engine takes in is counted, in millions a second.
fn offer_all(engine: &Engine, recorder: &mut Recorder, histogram: Histogram) -> f64 {
    let before = engine.ledger().aggregated;
    let start = Instant::now();
    let mut value = 0_u64;
    while start.elapsed() < LENGTH {
        for _ in 0..1_024 {
            value = value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            recorder.record(histogram, 1e-6 + (value >> 44) as f64 * 1e-9);
        }
    }
    let taken = engine.ledger().aggregated - before;
    taken as f64 / start.elapsed().as_secs_f64() / 1e6
}

/// Offers rising rates, in steps of a quarter, until the engine drops; the last rate at which it did not.
fn highest_rate(engine: &Engine, recorder: &mut Recorder, histogram: Histogram) -> f64 {
    let mut highest = 0.0;
    let mut offered = 1.0;
    let mut dropped = engine.ledger().dropped.total();
    while offered < 1_000.0 {
        let reached = offer(recorder, histogram, offered * 1e6);
        let now = engine.ledger().dropped.total();
        // The producer itself may be the one that cannot keep up.
        if now > dropped || reached < 0.9 * offered {
            break;
        }
        dropped = now;
        highest = reached;
        offered *= 1.25;
    }
    highest
}

/// Records at a steady rate for a while; the rate reached, in millions a second.
fn offer(recorder: &mut Recorder, histogram: Histogram, per_second: f64) -> f64 {
    let start = Instant::now();
    let (mut made, mut value) = (0_u64, 0_u64);
    loop {
        let elapsed = start.elapsed();
        if elapsed >= LENGTH {
            return made as f64 / elapsed.as_secs_f64() / 1e6;
        }
        let due = (elapsed.as_secs_f64() * per_second) as u64;
        while made < due {
            value = value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            recorder.record(histogram, 1e-6 + (value >> 44) as f64 * 1e-9);
            made += 1;
        }
        spin_loop();
    }
}

/// The limit: the same bytes, stamped the same way, through the same ring to a thread that only adds the values up.
fn raw_transfer() -> f64 {
    let (mut producer, mut consumer) = RingBuffer::<Event>::new(SLOTS);
    let done = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&done);
    let taker = thread::spawn(move || {
        let (mut count, mut sum) = (0_u64, 0.0);
        loop {
            // Acquire, paired with the Release below; asked before the ring is emptied.
            let last = theirs.load(Ordering::Acquire);
            let waiting = consumer.slots();
            if let Ok(chunk) = consumer.read_chunk(waiting) {
                let (head, tail) = chunk.as_slices();
                count += waiting as u64;
                sum += head.iter().chain(tail).map(|event| event.value).sum::<f64>();
                chunk.commit_all();
            }
            if last {
                black_box(sum);
                return count;
            }
            if waiting < 4_096 {
                for _ in 0..256 {
                    spin_loop();
                }
            }
        }
    });
    let clock = Clock::new();
    let start = Instant::now();
    let mut value = 0.0;
    while start.elapsed() < LENGTH {
        for _ in 0..1_024 {
            value += 1.0;
            let _ = producer.push(Event { series: SeriesId(1), tick: clock.tick(), value });
        }
    }
    let elapsed = start.elapsed().as_secs_f64();
    done.store(true, Ordering::Release);
    taker.join().unwrap_or(0) as f64 / elapsed / 1e6
}
