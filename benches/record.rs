//! What a record costs, beside a raw ring push and a time-stamp read: the criterion view of `afferent bench record`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use afferent::Engine;
use afferent::detect::Detectors;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// Fewer than a ring holds, so that nothing is refused while it is timed.
const BATCH: u64 = 8_192;

/// Time of `rounds` batches; the pauses in which the engine drains are not counted.
fn timed(iterations: u64, mut record: impl FnMut()) -> Duration {
    let mut total = Duration::ZERO;
    for _ in 0..iterations.div_ceil(BATCH) {
        let start = Instant::now();
        for _ in 0..BATCH {
            record();
        }
        total += start.elapsed();
        // Longer than the drain's pause while samples come.
        std::thread::sleep(Duration::from_micros(1_500));
    }
    total.mul_f64(iterations as f64 / (iterations.div_ceil(BATCH) * BATCH) as f64)
}

fn record(criterion: &mut Criterion) {
    let engine = Engine::builder().detectors(Detectors::none()).start().expect("the engine starts");
    let histogram = engine.histogram("latency").register().expect("registers");
    let counter = engine.counter("calls").register().expect("registers");
    let mut recorder = engine.recorder();
    let mut group = criterion.benchmark_group("record");
    group.throughput(Throughput::Elements(1));
    group.bench_function("histogram, thread-local ring", |bencher| {
        bencher.iter_custom(|iterations| timed(iterations, || histogram.record(black_box(1e-3))));
    });
    group.bench_function("histogram, explicit recorder", |bencher| {
        bencher.iter_custom(|iterations| timed(iterations, || recorder.record(histogram, black_box(1e-3))));
    });
    group.bench_function("counter", |bencher| bencher.iter(|| black_box(counter).add(1)));
    group.bench_function("limit: rtrb push of 16 bytes", |bencher| {
        let (mut producer, mut consumer) = rtrb::RingBuffer::<[u64; 2]>::new(16_384);
        bencher.iter_custom(|iterations| {
            let mut total = Duration::ZERO;
            for _ in 0..iterations.div_ceil(BATCH) {
                let start = Instant::now();
                for i in 0..BATCH {
                    let _ = black_box(producer.push(black_box([i, i])));
                }
                total += start.elapsed();
                let waiting = consumer.slots();
                if let Ok(chunk) = consumer.read_chunk(waiting) {
                    chunk.commit_all();
                }
            }
            total.mul_f64(iterations as f64 / (iterations.div_ceil(BATCH) * BATCH) as f64)
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).measurement_time(Duration::from_secs(1)).warm_up_time(Duration::from_millis(300));
    targets = record
}
criterion_main!(benches);
