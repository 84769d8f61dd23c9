//! The demo as a whole: agents, faults and a real engine.

use super::*;
use crate::detect::{Detectors, SeriesDetector};

fn engine() -> Engine {
    Engine::builder().window(Duration::from_millis(100)).start().unwrap()
}

#[test]
fn a_short_run_reports_and_the_account_closes() {
    let engine = engine();
    let options = Options { seconds: Some(0.5), ..Options::default() };
    let report = run(&engine, &options, &|| false).unwrap();
    assert_eq!(report.score.faults_injected, 0, "none before the warm-up ends");
    assert!(report.seconds >= 0.5);
    let latest = engine.view().latest().unwrap();
    for agent_id in ["a1", "a2", "a3"] {
        let actions = latest.get("actions", &[("agent_id", agent_id)]).unwrap().total;
        for metric in [
            "observation_size",
            "inference_time",
            "planning_time",
            "free_energy",
            "belief_entropy",
            "error_rate",
            "memory_usage",
        ] {
            let total = latest.get(metric, &[("agent_id", agent_id)]).unwrap().total;
            assert_eq!(total.count, actions.count, "one {metric} for every action");
        }
    }
    let ledger = engine.shutdown(Duration::from_secs(10)).unwrap();
    assert!(ledger.closes() && ledger.in_flight == 0, "{ledger:?}");
}

/// Takes as long as the warm-up and one fault.
#[test]
fn a_broken_sensor_is_noticed_by_the_engine() {
    let seed = (1..100).find(|&seed| Schedule::new(seed, 2).next().unwrap().kind == FaultKind::SensorBroken).unwrap();
    let engine = engine();
    let report =
        run(&engine, &Options { seconds: Some(5.0), agents: 2, seed, ..Options::default() }, &|| false).unwrap();
    let score = report.score;
    assert_eq!((score.faults_injected, score.faults_noticed), (1, 1), "{score:?}");
    assert_eq!(score.faults[0].noticed_in.as_deref(), Some("free_energy"));
    assert!(score.delays[0] < 1.0, "{score:?}");
    for metric in ["free_energy", "belief_entropy", "memory_usage", "error_rate", "observation_size"] {
        assert_eq!(score.false_alarms_by_metric.get(metric), None, "{score:?}");
    }
    assert!(report.goals_reached > 0);
}

#[test]
fn stop_ends_a_run_without_end() {
    let engine = engine();
    let looks = std::cell::Cell::new(0);
    let stop = || {
        looks.set(looks.get() + 1);
        looks.get() > 5
    };
    let report = run(&engine, &Options::default(), &stop).unwrap();
    assert_eq!((looks.get(), report.agents), (6, 3));
    let json = serde_json::to_value(&report).unwrap();
    for key in ["faults_injected", "faults_noticed", "false_alarms", "delays", "faults", "kinds", "goals_reached"] {
        assert!(json.get(key).is_some(), "{key}");
    }
}

#[test]
fn senseless_options_are_refused() {
    let engine = engine();
    let good = Options::default();
    let bad = [
        Options { agents: 0, ..good.clone() },
        Options { seconds: Some(f64::NAN), ..good.clone() },
        Options { seconds: Some(-1.0), ..good.clone() },
        Options { steps_per_second: 0.0, ..good.clone() },
        Options { steps_per_second: f64::NAN, ..good },
    ];
    for options in bad {
        assert!(matches!(run(&engine, &options, &|| true), Err(DemoError::Option(_))), "{options:?}");
    }
}

#[test]
fn a_name_already_taken_is_an_error_and_starts_nothing() {
    let engine = engine();
    engine.counter("planning_time").register().unwrap();
    let error = run(&engine, &Options::default(), &|| true).unwrap_err();
    assert!(matches!(error, DemoError::Register(_)), "{error}");
}

/// Watched as the engine watches it.
fn alarms(values: impl IntoIterator<Item = f64>) -> Vec<usize> {
    let mut detector = SeriesDetector::new(&Detectors::default());
    let alarms = values.into_iter().map(|value| detector.observe(value).alarm.is_some());
    alarms.enumerate().filter_map(|(at, alarm)| alarm.then_some(at)).collect()
}

/// A healthy agent's free energy (mean of 10) and entropy; the sensors break at `broken`.
fn signals(seed: u64, steps: usize, broken: usize) -> [Vec<f64>; 2] {
    let mut world = World::new(Rng::new(seed, 0));
    let mut mind = Mind::new(world.goal(), Rng::new(seed, 1));
    let mut recent = agent::Recent::<10>::default();
    let (mut free_energy, mut entropy) = (Vec::new(), Vec::new());
    for step in 0..steps {
        world.sensor_fault.random = step >= broken;
        free_energy.push(recent.mean_with(mind.perceive(&world.sense()).unwrap()));
        entropy.push(mind.uncertainty());
        let action = mind.decide();
        if let Some(goal) = world.act(action) {
            mind.aim(goal);
        }
    }
    [free_energy, entropy]
}

#[test]
fn a_healthy_mind_hardly_ever_alarms_and_a_broken_sensor_does_at_once() {
    let (mut false_alarms, mut steps) = (0, 0);
    for seed in 0..10 {
        let [free_energy, entropy] = signals(seed, 3_100, 3_000);
        let all = alarms(free_energy);
        false_alarms += all.iter().filter(|&&at| at < 3_000).count();
        false_alarms += alarms(entropy).iter().filter(|&&at| at < 3_000).count();
        steps += 3_000;
        assert!(all.iter().any(|at| (3_000..3_020).contains(at)), "seed {seed}: {all:?}");
    }
    // Worst rate taken for rare: one in five minutes of one agent at 100 steps a second.
    assert!(false_alarms * 30_000 <= steps, "{false_alarms} false alarms in {steps} steps");
}
