//! The evaluator against sums made by hand and quantiles made by sorting.

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::aggregate::Scheme;
use crate::segment::tests::{SECOND, Source, TestClock};
use crate::segment::{Directory, Store, StoreConfig, verify};

const START: i64 = 1_700_000_000 * SECOND;

/// A directory written by one run of the engine.
fn written(dir: &Path, windows: &[(u64, Option<f64>, Vec<f64>)]) {
    let mut store = Store::open(dir, TestClock::new().config()).unwrap();
    let mut source = Source::new();
    for (increments, gauge, values) in windows {
        store.append(&source.window(*increments, *gauge, values)).unwrap();
        store.commit().unwrap();
    }
    store.close().unwrap();
}

fn ask(dir: &Path, selector: &str, stats: &[&str]) -> Query {
    assert!(dir.exists());
    Query {
        selector: selector.parse().unwrap(),
        stats: stats.iter().map(|stat| stat.parse().unwrap()).collect(),
        ..Query::default()
    }
}

fn answer(dir: &Path, query: &Query) -> QueryResult {
    evaluate(&Directory::open(dir).unwrap(), query)
}

/// numpy's `inverted_cdf`.
fn inverted_cdf(values: &mut [f64], q: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((q * values.len() as f64).ceil() as usize).max(1) - 1]
}

#[test]
fn figures_of_a_counter_a_gauge_and_a_histogram() {
    let dir = tempfile::tempdir().unwrap();
    written(
        dir.path(),
        &[(3, Some(0.5), vec![0.1, 0.3]), (0, None, vec![]), (7, Some(-2.0), vec![0.2]), (0, Some(1.0), vec![])],
    );
    let all = ["count", "sum", "min", "max", "mean", "last", "rate", "p50"];
    let result = answer(dir.path(), &ask(dir.path(), "*", &all));
    assert!(result.damages.is_empty());
    let row = |name: &str| {
        let series = result.series.iter().find(|series| series.name == name).unwrap();
        let step = &series.steps[0];
        (step.windows, all.map(|stat| step.values[stat]))
    };
    // Rates: the counter was touched in windows 1 to 3, which take 3 seconds.
    let (windows, values) = row("actions");
    assert_eq!((windows, values[0], values[1], values[5], values[7]), (2, Some(10.0), Some(10.0), Some(10.0), None));
    assert!((values[6].unwrap() - 10.0 / 3.0).abs() < 1e-12);
    let (windows, values) = row("load");
    assert_eq!((windows, values[0], values[2], values[3], values[5]), (3, Some(3.0), Some(-2.0), Some(1.0), Some(1.0)));
    let (windows, values) = row("latency");
    assert_eq!((windows, values[0], values[5]), (2, Some(3.0), Some(0.2)));
    assert!((values[7].unwrap() - 0.2).abs() <= 0.2 / 1_024.0);
}

#[test]
fn ranges_are_half_open_on_window_starts_and_steps_tile_them() {
    let dir = tempfile::tempdir().unwrap();
    let windows: Vec<_> = (0..10).map(|at| (1, Some(f64::from(at)), vec![])).collect();
    written(dir.path(), &windows);
    let mut query = ask(dir.path(), "load", &["count", "last"]);
    query.from_ns = Some(START + 2 * SECOND);
    query.to_ns = Some(START + 7 * SECOND);
    let result = answer(dir.path(), &query);
    let step = &result.series[0].steps[0];
    assert_eq!((step.windows, step.values["last"]), (5, Some(6.0)));
    assert_eq!((step.from_ns, step.to_ns), (START + 2 * SECOND, START + 7 * SECOND));
    query.step_ns = Some(2 * SECOND);
    let result = answer(dir.path(), &query);
    let steps: Vec<_> =
        result.series[0].steps.iter().map(|step| (step.from_ns - START, step.values["count"])).collect();
    assert_eq!(steps, [(2 * SECOND, Some(2.0)), (4 * SECOND, Some(2.0)), (6 * SECOND, Some(1.0))]);
    query.from_ns = Some(i64::MAX);
    assert!(answer(dir.path(), &query).series.is_empty());
    query.from_ns = Some(i64::MIN);
    query.step_ns = Some(i64::MAX);
    assert!(!answer(dir.path(), &query).series.is_empty());
}

#[test]
fn runs_and_files_are_one_history() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), &[(1, None, vec![0.5]), (1, None, vec![0.25])]);
    written(dir.path(), &[(5, None, vec![0.125])]);
    let result = answer(dir.path(), &ask(dir.path(), r#"{agent_id!=""}"#, &["count", "p100"]));
    assert_eq!(result.series.len(), 2);
    assert_eq!(result.series[0].steps[0].values["count"], Some(7.0));
    assert_eq!(result.series[1].steps[0].values["count"], Some(3.0));
    assert!(result.render(&[Stat::Count]).contains("actions{agent_id=\"a1\"}"));
}

#[test]
fn anomalies_and_accounts() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), &[(1, None, vec![500.0]), (1, None, vec![0.1]), (1, None, vec![300.0])]);
    let mut query = ask(dir.path(), "latency", &[]);
    query.anomalies = true;
    query.ledger = true;
    query.to_ns = Some(START + 2 * SECOND);
    let result = answer(dir.path(), &query);
    assert!(result.series.is_empty());
    let anomalies = result.anomalies.as_ref().unwrap();
    assert_eq!((anomalies.len(), anomalies[0].value, anomalies[0].severity), (1, 500.0, "critical"));
    let ledger = result.ledger.as_ref().unwrap();
    assert_eq!((ledger.len(), ledger[1].window, ledger[1].ledger.closes), (2, 2, true));
    let json = serde_json::to_value(&result).unwrap();
    assert_eq!(json["ledger"][0]["dropped"]["ring_full"], 1);
    assert!(result.render(&query.stats).contains("z_score expected"), "{}", result.render(&query.stats));
    query.selector = "load".parse().unwrap();
    assert!(answer(dir.path(), &query).anomalies.unwrap().is_empty());
}

/// A step that begins before the history or ends behind it, or the range, is only as long as what it covers.
#[test]
fn rates_are_over_the_time_that_is_covered() {
    let dir = tempfile::tempdir().unwrap();
    let windows: Vec<_> = (0..25).map(|_| (10, Some(1.0), vec![])).collect();
    written(dir.path(), &windows);
    let rates = |from: Option<i64>, to: Option<i64>, step: Option<i64>| -> Vec<f64> {
        let mut query = ask(dir.path(), "actions", &["rate"]);
        query.from_ns = from.map(|at| START + at * SECOND);
        query.to_ns = to.map(|at| START + at * SECOND);
        query.step_ns = step.map(|step| step * SECOND);
        let result = answer(dir.path(), &query);
        let steps = &result.series[0].steps;
        for step in steps {
            assert!(query.from_ns.is_none_or(|from| step.from_ns >= from), "{steps:?}");
            assert!(query.to_ns.is_none_or(|to| step.to_ns <= to), "{steps:?}");
        }
        steps.iter().map(|step| step.values["rate"].unwrap()).collect()
    };
    assert_eq!(rates(None, None, None), [10.0]);
    assert_eq!(rates(None, None, Some(10)), [10.0; 3], "the last step has 5 of 10 seconds");
    assert_eq!(rates(Some(0), Some(14), Some(10)), [10.0; 2], "the range ends within the last step");
    assert_eq!(rates(Some(-7), None, Some(10)), [10.0; 4], "the history begins within the first step");
    assert_eq!(rates(Some(-60), Some(600), None), [10.0], "the range reaches past the history on both sides");
}

/// A series is not touched in every window: its rate is still over all the time that was covered.
#[test]
fn a_rate_counts_the_windows_without_anything() {
    let dir = tempfile::tempdir().unwrap();
    let windows: Vec<_> = (0..20).map(|at| (u64::from(at == 7), Some(1.0), vec![])).collect();
    written(dir.path(), &windows);
    let mut query = ask(dir.path(), "actions", &["rate"]);
    query.step_ns = Some(10 * SECOND);
    assert_eq!(answer(dir.path(), &query).series[0].steps[0].values["rate"], Some(0.1));
}

/// Each increment is 1, and so would be their mean: what is of use is the mean of the windows.
#[test]
fn the_mean_of_a_counter_is_per_window() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), &[(3, None, vec![]), (0, None, vec![]), (7, None, vec![])]);
    let result = answer(dir.path(), &ask(dir.path(), "actions", &["mean"]));
    assert_eq!(result.series[0].steps[0].values["mean"], Some(5.0));
}

/// Every single block of a file is damaged in turn: the rows of all others are in the answer.
#[test]
fn a_damaged_block_costs_that_block_only() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), &[(1, Some(1.0), vec![0.5]), (2, Some(2.0), vec![0.25]), (4, Some(3.0), vec![200.0])]);
    let path = Directory::open(dir.path()).unwrap().files()[0].clone();
    let intact = std::fs::read(&path).unwrap();
    let segment = crate::segment::Segment::open(&path).unwrap();
    let blocks: Vec<_> = segment.blocks().map(Result::unwrap).collect();
    let query = ask(dir.path(), "*", &["count", "p50"]);
    let windows = |result: &QueryResult| -> u64 { result.series.iter().map(|series| series.steps[0].windows).sum() };
    assert_eq!(windows(&answer(dir.path(), &query)), 9);
    for block in &blocks {
        // The header, the body, and the number of the block in it.
        for at in [0, 8, 70] {
            let mut bytes = intact.clone();
            bytes[block.offset() as usize + at] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            let result = answer(dir.path(), &query);
            assert_eq!(result.damages.len(), 1, "{:?}", result.damages);
            assert_eq!(result.damages[0].block, Some(block.number()));
            assert_eq!(result.damages[0].offset, block.offset());
            let lost = if block.kind() == "SCALAR" { u64::from(block.row_count()) } else { 0 };
            assert_eq!(windows(&result), 9 - lost, "{} damaged", block.kind());
            assert_eq!((result.series.len(), result.unnamed_rows), (3, 0), "{} damaged", block.kind());
            assert!(!verify(dir.path()).unwrap().sound);
        }
    }
}

#[test]
fn rows_without_a_description_are_still_returned() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), TestClock::new().config()).unwrap();
    let mut source = Source::new();
    store.append(&source.window(1, Some(1.0), &[])).unwrap();
    store.commit().unwrap();
    drop(store); // As a kill would: no second copy of the descriptions.
    let path = Directory::open(dir.path()).unwrap().files()[0].clone();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[12_288 + 70] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let result = answer(dir.path(), &ask(dir.path(), "*", &["sum"]));
    assert_eq!((result.unnamed_rows, result.series.len()), (2, 2));
    assert!(result.series.iter().all(|series| series.kind == "unknown" && series.name == "unknown_series"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
    #[test]
    fn quantiles_of_any_range_are_those_of_the_raw_values(
        windows in prop::collection::vec(prop::collection::vec(1e-6_f64..90.0, 0..40), 1..40),
        from in 0_usize..40, len in 1_usize..40, percent in 0_u32..=1_000,
        segment_kib in 64_u64..128,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let clock = TestClock::new();
        let config = StoreConfig { segment_bytes: segment_kib << 10, ..clock.config() };
        let mut store = Store::open(dir.path(), config).unwrap();
        let mut source = Source::new();
        for values in &windows {
            store.append(&source.window(0, None, values)).unwrap();
            store.commit().unwrap();
            clock.advance(Duration::from_secs(1));
        }
        store.close().unwrap();
        let stat = format!("p{}", f64::from(percent) / 10.0);
        let mut query = ask(dir.path(), "latency", &[&stat, "count"]);
        query.from_ns = Some(START + from as i64 * SECOND);
        query.to_ns = Some(START + (from + len) as i64 * SECOND);
        let mut raw: Vec<f64> = windows.iter().skip(from).take(len).flatten().copied().collect();
        let result = answer(dir.path(), &query);
        if raw.is_empty() {
            prop_assert!(result.series.is_empty());
        } else {
            let values = &result.series[0].steps[0].values;
            prop_assert_eq!(values["count"], Some(raw.len() as f64));
            let exact = inverted_cdf(&mut raw, f64::from(percent) / 1_000.0);
            let merged = values[&stat].unwrap();
            prop_assert!((merged - exact).abs() <= exact * Scheme::RELATIVE_ERROR + 1e-9, "{} {}", merged, exact);
        }
    }
}
