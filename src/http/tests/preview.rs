//! A page to look at, and the cost of a large one. Neither judges anything, so neither runs unless asked for.

use std::f64::consts::TAU;

use super::*;
use crate::sink::json;
use crate::sink::prometheus::{Format, render};

/// Cheap noise in -1..1 that is the same at every run.
fn noise(seed: u64) -> f64 {
    let mut x = seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x ^= x >> 32;
    (x >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

/// An agent's series over some minutes, with a slow phase now and then.
struct Scene {
    fixture: Fixture,
    agents: Vec<[SeriesId; 8]>,
    extra: Vec<SeriesId>,
    window: u64,
}

impl Scene {
    fn new(extra: usize, change: impl FnOnce(&mut Options)) -> Scene {
        let mut fixture = Fixture::with(change);
        let source = &mut fixture.source;
        let agents = (1..=3)
            .map(|agent| {
                let agent = format!("agent-{agent}");
                let mut add = |name, kind, unit, help| source.add(name, kind, unit, &[("agent_id", &agent)], help);
                [
                    add("inference_time", Kind::Histogram, Unit::Seconds, "Time of one belief update."),
                    add("planning_time", Kind::Histogram, Unit::Seconds, "Time of one planning step."),
                    add("free_energy", Kind::Gauge, Unit::None, "Variational free energy after the update."),
                    add("belief_entropy", Kind::Gauge, Unit::None, "Entropy of the belief over states, nats."),
                    add("actions", Kind::Counter, Unit::None, "Actions taken."),
                    add("errors", Kind::Counter, Unit::None, "Steps that failed."),
                    add("memory_usage", Kind::Gauge, Unit::Bytes, "Resident memory."),
                    add("error_rate", Kind::Gauge, Unit::Ratio, "Share of steps that failed."),
                ]
            })
            .collect();
        let extra = (0..extra)
            .map(|at| {
                let kind = if at % 10 == 0 { Kind::Histogram } else { Kind::Gauge };
                let name = if at % 10 == 0 { "shard_time" } else { "shard_depth" };
                source.add(name, kind, Unit::None, &[("shard", &at.to_string())], "")
            })
            .collect();
        Scene { fixture, agents, extra, window: 0 }
    }

    fn step(&mut self) {
        self.window += 1;
        let now = self.window;
        let mut slow = None;
        let source = &mut self.fixture.source;
        for (agent, ids) in self.agents.iter().enumerate() {
            let seed = now * 7_919 + agent as u64 * 104_729;
            let wave = 1.0 + 0.15 * (TAU * now as f64 / 40.0 + agent as f64).sin();
            let is_slow = (now + 17 * agent as u64).is_multiple_of(47);
            for sample in 0..200 {
                let jitter = (0.35 * noise(seed + sample) + 0.2 * noise(seed + 977 * sample)).exp();
                source.sample(ids[0], 0.0021 * wave * jitter);
                source.sample(ids[1], 0.0084 * wave * jitter * if is_slow && sample % 3 == 0 { 9.0 } else { 1.0 });
            }
            source.sample(ids[2], 3.2 * wave + 0.2 * noise(seed + 1));
            source.sample(ids[3], 1.1 / wave + 0.05 * noise(seed + 2));
            source.aggregator.increment(ids[4], 198 + (now + agent as u64) % 5);
            source.aggregator.increment(ids[5], u64::from(noise(seed + 3) > 0.8));
            source.sample(ids[6], 61.0 * 1_048_576.0 + 90_000.0 * now as f64 + 3e5 * noise(seed + 4));
            source.sample(ids[7], (0.004 + 0.003 * noise(seed + 5)).abs());
            if is_slow {
                slow = Some((ids[1].index(), 0.0084 * wave * 9.0, 3.2 + 4.0 * noise(seed + 6).abs()));
            }
        }
        for (at, &id) in self.extra.iter().enumerate() {
            for sample in 0..if at % 10 == 0 { 30 } else { 1 } {
                source.sample(id, 50.0 + 40.0 * noise(now * 31 + at as u64 + sample * 7_777));
            }
        }
        if now == 20 {
            source.drop_samples(1_204);
        }
        let snapshot = source.close();
        self.fixture.now_ns.store(u64::try_from(snapshot.end_ns).unwrap(), Ordering::Relaxed);
        let anomalies = slow.map(|(at, value, score)| {
            Arc::new(Anomaly {
                id: self.fixture.view.anomalies_total() + 1,
                series: Arc::clone(&snapshot.series[at].info),
                time_ns: snapshot.end_ns,
                value,
                score,
                severity: Severity::of_score(score),
                verdicts: vec![
                    Verdict { detector: "z_score", score, low: 0.0051, high: 0.0128 },
                    Verdict { detector: "iqr", score: score - 0.3, low: 0.0048, high: 0.0131 },
                ],
                completeness: 1.0,
            })
        });
        self.fixture.view.publish(&Published { snapshot, anomalies: anomalies.into_iter().collect() });
    }
}

#[test]
#[ignore = "serves a page to look at: AFFERENT_PREVIEW_SECONDS=60 cargo test --lib preview -- --ignored --nocapture"]
fn preview() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seconds: u64 = number("AFFERENT_PREVIEW_SECONDS").unwrap_or(60);
    let extra = number("AFFERENT_PREVIEW_SERIES").unwrap_or(0);
    let mut scene = Scene::new(usize::try_from(extra).unwrap(), |_| {});
    for _ in 0..180 {
        scene.step();
    }
    println!("serving http://{} for {seconds} s", scene.fixture.server.local_addr());
    let next = |at: u64| Duration::from_secs(at);
    let start = Instant::now();
    for at in 1..=seconds {
        // Pacing: a window a second is what the page is for.
        std::thread::sleep(next(at).saturating_sub(start.elapsed()));
        scene.step();
    }
}

#[test]
#[ignore = "prints figures: cargo test --release --lib cost_of_ten_thousand -- --ignored --nocapture"]
fn cost_of_ten_thousand_series() {
    let mut scene = Scene::new(10_000, |_| {});
    for _ in 0..20 {
        scene.step();
    }
    let snapshot = scene.fixture.view.latest().unwrap();
    let time = |name: &str, run: &dyn Fn() -> usize| {
        let mut times: Vec<_> = (0..21)
            .map(|_| {
                let start = Instant::now();
                let length = run();
                (start.elapsed(), length)
            })
            .collect();
        times.sort_unstable();
        let ((median, length), worst) = (times[10], times[20].0);
        println!("{name}: median {median:?}, worst {worst:?}, {length} bytes");
    };
    time("text", &|| render(&snapshot, "p", Format::Text).len());
    time("openmetrics", &|| render(&snapshot, "p", Format::OpenMetrics).len());
    time("json", &|| json::render(&snapshot).len());
    let after = snapshot.window - 1;
    time("live, over HTTP", &|| scene.fixture.get(&format!("/api/live?after={after}")).body.len());
    time("metrics, over HTTP", &|| scene.fixture.get("/metrics").body.len());
}
