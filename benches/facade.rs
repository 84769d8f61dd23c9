//! What the macros and the `metrics` facade add to a handle that is kept.

use std::hint::black_box;

use afferent::Engine;
use afferent::detect::Detectors;
use afferent::metrics_facade::Facade;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn facade(criterion: &mut Criterion) {
    let engine = Engine::builder().detectors(Detectors::none()).start().expect("the engine starts");
    Facade::install(&engine).expect("no other recorder is installed");
    let engine = afferent::install(engine).expect("no other engine is installed");
    let agents: Vec<String> = (0..16).map(|n| format!("agent-{n}")).collect();
    let paths: Vec<String> = (0..16).map(|n| format!("/api/v1/users/{n}/details")).collect();

    let mut group = criterion.benchmark_group("counter");
    group.throughput(Throughput::Elements(1));
    let handle = engine.counter("calls").register().expect("registers");
    group.bench_function("handle", |bencher| bencher.iter(|| black_box(handle).add(1)));
    group.bench_function("macro, no labels", |bencher| bencher.iter(|| afferent::counter!("calls").add(1)));
    group.bench_function("macro, two static labels", |bencher| {
        bencher.iter(|| afferent::counter!("static_calls", "method" => "GET", "route" => "/plan").add(1));
    });
    group.bench_function("macro, two dynamic labels, the same values", |bencher| {
        bencher.iter(|| {
            let (agent, kind) = (black_box(agents[3].as_str()), black_box("plan"));
            afferent::counter!("dynamic_calls", "agent" => agent, "kind" => kind).add(1);
        });
    });
    group.bench_function("macro, two dynamic labels, 16 values", |bencher| {
        let mut n = 0;
        bencher.iter(|| {
            n = (n + 1) % 16;
            let (agent, kind) = (black_box(agents[n].as_str()), black_box("plan"));
            afferent::counter!("turning_calls", "agent" => agent, "kind" => kind).add(1);
        });
    });
    group.bench_function("macro, two dynamic labels, 16 values, one of 24 bytes", |bencher| {
        let mut n = 0;
        bencher.iter(|| {
            n = (n + 1) % 16;
            let (path, kind) = (black_box(paths[n].as_str()), black_box("plan"));
            afferent::counter!("long_calls", "path" => path, "kind" => kind).add(1);
        });
    });
    group.bench_function("macro, one dynamic label, 80 values in turn", |bencher| {
        let many: Vec<String> = (0..80).map(|n| format!("agent-{n}")).collect();
        let mut n = 0;
        bencher.iter(|| {
            n = (n + 1) % 80;
            afferent::counter!("missed_calls", "agent" => black_box(&many[n])).add(1);
        });
    });
    group.bench_function("metrics, handle", |bencher| {
        let counter = metrics::counter!("facade.calls");
        bencher.iter(|| black_box(&counter).increment(1));
    });
    group.bench_function("metrics, no labels", |bencher| {
        bencher.iter(|| metrics::counter!("facade.calls").increment(1));
    });
    group.bench_function("metrics, two static labels", |bencher| {
        bencher.iter(|| metrics::counter!("facade.static", "method" => "GET", "route" => "/plan").increment(1));
    });
    group.bench_function("metrics, two dynamic labels, 16 values", |bencher| {
        let mut n = 0;
        bencher.iter(|| {
            n = (n + 1) % 16;
            metrics::counter!("facade.turning", "agent" => agents[n].clone(), "kind" => "plan").increment(1);
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).measurement_time(std::time::Duration::from_millis(500)).warm_up_time(std::time::Duration::from_millis(200));
    targets = facade
}
criterion_main!(benches);
