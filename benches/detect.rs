//! What detection costs: a value through the default set, and the kernels over slices.

use std::hint::black_box;
use std::time::Duration;

use afferent::detect::{Detectors, SeriesDetector, count_outside, mean, standard_deviation, tukey_fences};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// A light-tailed walk that no detector finds unusual.
fn values(count: usize) -> Vec<f64> {
    let mut state = 1_u64;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        })
        .collect()
}

fn detect(criterion: &mut Criterion) {
    let thousand = values(1_000);
    let mut group = criterion.benchmark_group("detect");
    group.throughput(Throughput::Elements(1_000));
    group.bench_function("default set, a value with a full history", |bencher| {
        let mut detector = SeriesDetector::new(&Detectors::default());
        bencher.iter(|| thousand.iter().map(|&value| detector.observe(black_box(value)).score).sum::<f64>());
    });
    group.bench_function("mean and standard deviation of 1,000", |bencher| {
        bencher.iter(|| mean(black_box(&thousand)) + standard_deviation(black_box(&thousand)));
    });
    group.bench_function("count outside a band, 1,000", |bencher| {
        bencher.iter(|| count_outside(black_box(&thousand), 0.01, 0.99));
    });
    group.bench_function("Tukey fences of 1,000", |bencher| {
        bencher.iter(|| tukey_fences(black_box(&thousand), 3.0));
    });
    group.bench_function("limit: sum of 1,000, one after the other", |bencher| {
        bencher.iter(|| black_box(&thousand).iter().sum::<f64>());
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(1)).warm_up_time(Duration::from_millis(300));
    targets = detect
}
criterion_main!(benches);
