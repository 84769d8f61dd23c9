//! What one record costs the thread that makes it.

use std::cell::Cell;
use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use rtrb::RingBuffer;

use super::super::progress::Progress;
use super::Figure;
use super::timing::{cost, ns_per, rate};
use crate::Engine;
use crate::detect::Detectors;
use crate::drain::Drain;
use crate::record::{Event, SeriesId};
use crate::ring::{Registry, RegistryConfig};
use crate::sync::{Arc, AtomicU64, Ordering};
use crate::time::{Clock, Timestamps};

/// Records between two emptyings of a ring: less than it holds, so that none is refused.
const BATCH: usize = 8_192;
const SLOTS: usize = 16_384;
/// Emptyings in one repetition.
const BATCHES: usize = 128;

pub(super) fn figures(repetitions: usize, progress: Progress, stop: &dyn Fn() -> bool) -> Vec<Figure> {
    let mut bench = Bench::new();
    let mut runs: Vec<[f64; 16]> = Vec::new();
    let bar = progress.bar("record", repetitions as u64 + 1);
    for repetition in 0..=repetitions {
        if stop() {
            break;
        }
        let run = [
            bench.clock_read(),
            Bench::cell_add(),
            Bench::atomic_add(),
            Bench::push_plain(),
            bench.push_stamped(),
            bench.counter_add(),
            bench.histogram_exact(),
            bench.recorder_exact(),
            bench.histogram_exact_live(),
            bench.histogram_coarse(),
            bench.record_many(),
            Bench::plain_store(),
            bench.labels_static(),
            bench.labels_dynamic(),
            threads(1),
            threads(2),
        ];
        // The first repetition warms caches and predictors.
        if repetition > 0 {
            runs.push(run);
        }
        bar.step();
    }
    bar.done();
    if runs.is_empty() {
        return Vec::new();
    }
    let of = |at: usize| runs.iter().map(|run| run[at]).collect::<Vec<_>>();
    let (stamped, stamped_name) = (of(4), "time stamp + rtrb push, 16 B");
    vec![
        cost("clock_read", of(0), "itself", of(0)),
        cost("atomic_add", of(2), "thread-local cell add", of(1)),
        cost("ring_push", of(3), "itself: rtrb push, 16 B", of(3)),
        cost("counter_add", of(5), "thread-local cell add", of(1)),
        cost("histogram_exact", of(6), stamped_name, stamped.clone()),
        cost("recorder_exact", of(7), stamped_name, stamped.clone()),
        cost("histogram_exact_live", of(8), stamped_name, stamped),
        cost("histogram_coarse", of(9), "rtrb push, 16 B", of(3)),
        cost("record_many", of(10), "plain store, 16 B", of(11)),
        cost("labels_static", of(12), "counter_add by handle", of(5)),
        cost("labels_dynamic", of(13), "counter_add by handle", of(5)),
        rate("two_threads", of(15), "twice what one thread does", of(14).iter().map(|one| 2.0 * one).collect()),
    ]
}

struct Bench {
    clock: Clock,
    registry: Arc<Registry>,
    drain: Drain,
    /// A registry whose samples take the published time.
    coarse: Arc<Registry>,
    coarse_drain: Drain,
    /// The process-wide engine, which the macros use, too.
    engine: Option<&'static Engine>,
}

thread_local! {
    static CELL: Cell<u64> = const { Cell::new(0) };
}

impl Bench {
    fn new() -> Bench {
        let registry = Registry::new(RegistryConfig { ring_slots: SLOTS, ..RegistryConfig::default() });
        let drain = Drain::new(Arc::clone(&registry));
        let config = RegistryConfig { ring_slots: SLOTS, timestamps: Timestamps::Coarse, ..RegistryConfig::default() };
        let coarse = Registry::new(config);
        let coarse_drain = Drain::new(Arc::clone(&coarse));
        let engine = Engine::builder().ring_slots(SLOTS).detectors(Detectors::none()).start().ok();
        let engine = engine.and_then(|engine| crate::install(engine).ok()).or_else(crate::global);
        Bench { clock: Clock::new(), registry, drain, coarse, coarse_drain, engine }
    }

    fn clock_read(&self) -> f64 {
        ns_per(BATCH * BATCHES, || {
            for _ in 0..BATCH * BATCHES {
                black_box(self.clock.tick());
            }
        })
    }

    fn cell_add() -> f64 {
        ns_per(BATCH * BATCHES, || {
            for _ in 0..BATCH * BATCHES {
                CELL.with(|cell| cell.set(black_box(cell.get() + 1)));
            }
        })
    }

    fn atomic_add() -> f64 {
        let cell = AtomicU64::new(0);
        ns_per(BATCH * BATCHES, || {
            for _ in 0..BATCH * BATCHES {
                // Relaxed: only its cost is wanted.
                black_box(&cell).fetch_add(1, Ordering::Relaxed);
            }
        })
    }

    fn push_plain() -> f64 {
        raw_pushes(|| 7)
    }

    fn push_stamped(&self) -> f64 {
        raw_pushes(|| self.clock.tick())
    }

    fn counter_add(&mut self) -> f64 {
        let Ok(counter) = self.registry.counter("bench_counter").register() else { return f64::NAN };
        ns_per(BATCH * BATCHES, || {
            for _ in 0..BATCH * BATCHES {
                black_box(counter).add(1);
            }
        })
    }

    fn histogram_exact(&mut self) -> f64 {
        let Ok(histogram) = self.registry.histogram("bench_histogram").register() else { return f64::NAN };
        let drain = &mut self.drain;
        drain.sweep(|_| {}, |_| {});
        rounds(
            || {
                for i in 0..BATCH {
                    histogram.record(black_box(i as f64));
                }
            },
            || drain.sweep(|_| {}, |_| {}),
        )
    }

    fn recorder_exact(&mut self) -> f64 {
        let Ok(histogram) = self.registry.histogram("bench_histogram").register() else { return f64::NAN };
        let mut recorder = self.registry.recorder();
        let drain = &mut self.drain;
        rounds(
            || {
                for i in 0..BATCH {
                    recorder.record(histogram, black_box(i as f64));
                }
            },
            || drain.sweep(|_| {}, |_| {}),
        )
    }

    fn histogram_coarse(&mut self) -> f64 {
        let Ok(histogram) = self.coarse.histogram("bench_histogram").register() else { return f64::NAN };
        let drain = &mut self.coarse_drain;
        rounds(
            || {
                for i in 0..BATCH {
                    histogram.record(black_box(i as f64));
                }
            },
            || drain.sweep(|_| {}, |_| {}),
        )
    }

    /// Through the macro, two labels known when the program was compiled.
    fn labels_static(&self) -> f64 {
        if self.engine.is_none() {
            return f64::NAN;
        }
        ns_per(BATCH * BATCHES, || {
            for _ in 0..BATCH * BATCHES {
                crate::counter!("bench_labels", "kind" => "read", "zone" => "north").add(black_box(1));
            }
        })
    }

    /// Through the macro, two labels whose values change from call to call.
    fn labels_dynamic(&self) -> f64 {
        const ZONES: [&str; 4] = ["north", "east", "south", "west"];
        if self.engine.is_none() {
            return f64::NAN;
        }
        ns_per(BATCH * BATCHES, || {
            for i in 0..BATCH * BATCHES {
                let (kind, zone) = (black_box(["read", "write"][i & 1]), black_box(ZONES[i >> 1 & 3]));
                crate::counter!("bench_labels", "kind" => kind, "zone" => zone).add(1);
            }
        })
    }

    /// In groups of 256, as a loop that has its values in a buffer hands them over.
    fn record_many(&mut self) -> f64 {
        let Ok(histogram) = self.registry.histogram("bench_histogram").register() else { return f64::NAN };
        let values: Vec<f64> = (0..BATCH).map(|i| i as f64).collect();
        let mut recorder = self.registry.recorder();
        let drain = &mut self.drain;
        rounds(
            || {
                for group in values.chunks(256) {
                    recorder.record_many(histogram, black_box(group));
                }
            },
            || drain.sweep(|_| {}, |_| {}),
        )
    }

    /// The limit of `record_many`: the same 16 bytes into memory of the same size.
    fn plain_store() -> f64 {
        let values: Vec<f64> = (0..BATCH).map(|i| i as f64).collect();
        let mut slots = vec![Event { series: SeriesId(1), tick: 0, value: 0.0 }; SLOTS];
        // Either half in turn, as a ring would.
        let half = Cell::new(0);
        rounds(
            || {
                for (slot, &value) in slots[half.get() * BATCH..].iter_mut().zip(black_box(&values)) {
                    *slot = Event { series: SeriesId(1), tick: 7, value };
                }
                black_box(&mut slots);
            },
            || half.set(1 - half.get()),
        )
    }

    /// The same with an engine that drains as it does in life. Bursts of half a ring, with pauses that let it catch up:
    /// what is refused would be cheaper than what is recorded.
    fn histogram_exact_live(&self) -> f64 {
        let Some(engine) = self.engine else { return f64::NAN };
        let Ok(histogram) = engine.histogram("bench_histogram").register() else { return f64::NAN };
        rounds(
            || {
                for i in 0..BATCH {
                    histogram.record(black_box(i as f64));
                }
            },
            // Longer than the drain's busy pause, so that it runs into the next burst at a random moment.
            || thread::sleep(Duration::from_micros(1_500)),
        )
    }
}

/// Time of `timed` per record; `between` is not counted.
fn rounds(mut timed: impl FnMut(), mut between: impl FnMut()) -> f64 {
    let mut total = 0.0;
    for _ in 0..BATCHES {
        total += ns_per(BATCH, &mut timed);
        between();
    }
    total / BATCHES as f64
}

/// The limit: pushes of the same 16 bytes into a ring of the same size, emptied by the same thread in between.
fn raw_pushes(mut stamp: impl FnMut() -> u32) -> f64 {
    let (mut producer, mut consumer) = RingBuffer::<Event>::new(SLOTS);
    rounds(
        || {
            for i in 0..BATCH {
                let event = Event { series: SeriesId(1), tick: stamp(), value: black_box(i as f64) };
                let _ = black_box(producer.push(event));
            }
        },
        || {
            let waiting = consumer.slots();
            if let Ok(chunk) = consumer.read_chunk(waiting) {
                chunk.commit_all();
            }
        },
    )
}

/// Millions of records a second by some threads at once, each into a ring that holds them all. Nobody drains.
fn threads(count: usize) -> f64 {
    const EACH: usize = 1 << 19;
    let registry = Registry::new(RegistryConfig { ring_slots: EACH, ..RegistryConfig::default() });
    let Ok(histogram) = registry.histogram("bench_histogram").register() else { return f64::NAN };
    let start = Barrier::new(count);
    let seconds = thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|_| {
                scope.spawn(|| {
                    let mut recorder = registry.recorder();
                    // Once through the ring, so that no page of it is touched for the first time while it is timed.
                    (0..EACH).for_each(|i| recorder.record(histogram, i as f64));
                    let mut inlets = Vec::new();
                    start.wait();
                    registry.admit(&mut inlets);
                    start.wait();
                    for inlet in &mut inlets {
                        if let Ok(chunk) = inlet.events.read_chunk(EACH) {
                            chunk.commit_all();
                        }
                    }
                    start.wait();
                    ns_per(1, || (0..EACH).for_each(|i| recorder.record(histogram, black_box(i as f64)))) * 1e-9
                })
            })
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).fold(0.0, f64::max)
    });
    (count * EACH) as f64 / seconds / 1e6
}
