//! What is written is what is read.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::segment::{Directory, State, inspect, verify};

/// Reads every row of a directory: per window start, what each series had.
fn scalars(dir: &Path) -> BTreeMap<(i64, String), (u64, f64, f64)> {
    let mut out = BTreeMap::new();
    for segment in Directory::open(dir).unwrap().segments() {
        let segment = segment.unwrap();
        let mut names = BTreeMap::new();
        for block in segment.blocks() {
            match block.unwrap().rows().unwrap() {
                Rows::Dict(entries) => names.extend(entries.into_iter().map(|entry| (entry.series, entry.name))),
                Rows::Scalar(rows) => {
                    for row in rows {
                        let name: String = names[&row.series].clone();
                        let earlier = out.insert((row.ts_ns, name), (row.count, row.sum, row.last));
                        assert!(earlier.is_none(), "a row was stored twice");
                    }
                }
                _ => {}
            }
        }
    }
    out
}

#[test]
fn everything_of_a_window_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), TestClock::new().config()).unwrap();
    let mut source = Source::new();
    let first = source.window(3, Some(0.5), &[0.001, 0.002, 200.0, 5_000.0]);
    let quiet = source.window(0, None, &[]);
    for published in [&first, &quiet] {
        store.append(published).unwrap();
        store.commit().unwrap();
    }
    let summary = store.close().unwrap();
    assert_eq!((summary.counters.windows, summary.counters.rows, summary.files.len()), (2, 3, 1));

    let segment = Segment::open(&summary.files[0]).unwrap();
    assert_eq!((segment.state(), segment.damages()), (State::Clean, &[][..]));
    let rows: Vec<Rows> = segment.blocks().map(|block| block.unwrap().rows().unwrap()).collect();
    let [
        Rows::Dict(dict),
        Rows::Scalar(scalar),
        Rows::Hist(hist),
        Rows::Event(events),
        Rows::Ledger(one),
        Rows::Ledger(two),
        Rows::Dict(again),
    ] = &rows[..]
    else {
        panic!("unexpected blocks: {rows:?}")
    };
    assert_eq!(again, dict);
    for (entry, row) in dict.iter().zip(&first.snapshot.series) {
        assert_eq!((entry.series as usize, &*entry.name), (row.info.id.index(), &*row.info.name));
        assert_eq!((entry.kind, entry.unit, &*entry.help), (Some(row.info.kind), row.info.unit, &*row.info.help));
        let labels: Vec<_> = entry.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let expected: Vec<_> = row.info.labels.iter().map(|(key, value)| (&**key, &**value)).collect();
        assert_eq!(labels, expected);
    }
    for (stored, row) in scalar.iter().zip(&first.snapshot.series) {
        assert_eq!((stored.ts_ns, stored.end_ns), (first.snapshot.start_ns, first.snapshot.end_ns));
        assert_eq!((stored.count, stored.sum, stored.last), (row.delta.count, row.delta.sum, row.delta.last));
        assert_eq!((stored.min, stored.max), (row.delta.min, row.delta.max));
    }
    let buckets = first.snapshot.series[2].delta_buckets.as_ref().unwrap();
    assert_eq!(hist.buckets(0), (&buckets.indices[..], &buckets.counts[..]));
    assert_eq!((hist.rows.len(), hist.rows[0].n), (1, 4));
    assert_eq!(events.len(), 2);
    assert_eq!((events[0].value, events[0].severity, events[0].completeness), (200.0, 4, 0.5));
    assert_eq!(&*events[0].verdicts[1].detector, "iqr");
    assert_eq!((one[0].window, one[0].ledger), (1, first.snapshot.ledger));
    assert_eq!((two[0].window, two[0].ledger), (2, quiet.snapshot.ledger));
}

#[test]
fn the_reports_agree_with_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), TestClock::new().config()).unwrap();
    let mut source = Source::new();
    for _ in 0..10 {
        store.append(&source.full_window()).unwrap();
        store.commit().unwrap();
    }
    let unclosed = verify(dir.path()).unwrap();
    assert!(unclosed.sound && unclosed.ledger_closes, "{unclosed}");
    assert_eq!(unclosed.files[0].state, State::Online);
    store.close().unwrap();

    let report = verify(dir.path()).unwrap();
    assert!(report.sound && report.files[0].state == State::Clean, "{report}");
    let report = inspect(dir.path()).unwrap();
    assert_eq!(report.series.len(), 3);
    assert_eq!(report.series[1].series, r#"latency{agent_id="a\"1\\\n"}"#);
    assert!(report.series.iter().all(|series| series.windows == 10), "{report}");
    assert_eq!((report.rows["SCALAR"], report.rows["HIST"], report.rows["LEDGER"]), (30, 10, 10));
    assert_eq!((report.runs.len(), report.runs[0].windows), (1, 10));
    assert!(report.runs[0].ledger.as_ref().unwrap().closes);
    assert!(serde_json::to_string(&report).unwrap().contains("\"state\":\"clean\""));
}

#[test]
fn files_and_directories_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("telemetry");
    let mut store = Store::open(&root, TestClock::new().config()).unwrap();
    store.append(&Source::new().full_window()).unwrap();
    let summary = store.close().unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&root), mode(&root.join("metrics"))), (0o700, 0o700));
    assert_eq!((mode(&summary.files[0]), mode(&root.join("LOCK"))), (0o600, 0o600));
    // The reservation behind the end was given back.
    let report = verify(&root).unwrap();
    assert_eq!(std::fs::metadata(&summary.files[0]).unwrap().len(), report.bytes);
}

#[test]
fn neither_links_nor_pipes_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), TestClock::new().config()).unwrap();
    store.append(&Source::new().full_window()).unwrap();
    let file = store.close().unwrap().files.remove(0);
    let link = dir.path().join("metrics/link.seg");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    assert!(Segment::open(&link).is_err());
    let pipe = dir.path().join("metrics/pipe.seg");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    assert!(Segment::open(&pipe).unwrap_err().to_string().contains("not a regular file"));
    assert_eq!(Directory::open(dir.path()).unwrap().files(), [file]);
    // A start is not held up by them either.
    Store::open(dir.path(), TestClock::new().config()).unwrap();
}

#[test]
fn large_windows_are_cut_into_blocks() {
    let catalogue = Catalogue::new(crate::record::Limits { series_per_metric: 100_000, series: 100_000 });
    for at in 0..12_000 {
        catalogue.intern(spec("many", Kind::Gauge, Unit::None, &[("i", &at.to_string())])).unwrap();
    }
    let infos = catalogue.since(0);
    let mut aggregator = Aggregator::default();
    aggregator.add_series(infos.iter().cloned());
    for info in &infos {
        aggregator.sample(info.id, 0, f64::from(info.id.0)).unwrap();
    }
    let snapshot = Snapshot {
        window: 1,
        start_ns: 0,
        end_ns: SECOND,
        series: aggregator.close(WhichRows::Touched),
        ledger: Ledger { consistent: true, ..Ledger::default() },
    };
    let disk = MemoryDisk::default();
    let mut store = store_on(&disk, TestClock::new().config());
    store.append(&Published { snapshot: Arc::new(snapshot), anomalies: Arc::new([]) }).unwrap();
    store.close().unwrap();
    let (rows, damages) = read_image(disk.files().values().next().unwrap()).unwrap();
    assert!(damages.is_empty());
    let (mut named, mut stored, mut blocks) = (0, 0, 0);
    for rows in rows.into_values() {
        match rows {
            Rows::Dict(entries) => named += entries.len(),
            Rows::Scalar(rows) => {
                blocks += 1;
                for row in rows {
                    assert_eq!(f64::from(row.series), row.last);
                    stored += 1;
                }
            }
            _ => {}
        }
    }
    assert_eq!((named, stored), (2 * 12_000, 12_000));
    assert!(blocks > 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn any_windows_survive_batching_and_rolling(
        windows in prop::collection::vec(
            (0_u64..5, prop::option::of(-1e12_f64..1e12), prop::collection::vec(0.0_f64..50.0, 0..20)), 1..120),
        commit_every in 1_usize..20,
        batch_bytes in 1_usize..20_000,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let config = StoreConfig { segment_bytes: 64 << 10, batch_bytes, ..TestClock::new().config() };
        let mut store = Store::open(dir.path(), config).unwrap();
        let mut source = Source::new();
        let mut expected = BTreeMap::new();
        for (at, (increments, gauge, values)) in windows.iter().enumerate() {
            let published = source.window(*increments, *gauge, values);
            for row in published.snapshot.series.iter().filter(|row| row.delta.count > 0) {
                expected.insert(
                    (published.snapshot.start_ns, row.info.name.to_string()),
                    (row.delta.count, row.delta.sum, row.delta.last),
                );
            }
            store.append(&published).unwrap();
            if at % commit_every == 0 {
                store.commit().unwrap();
            }
        }
        let summary = store.close().unwrap();
        prop_assert_eq!(summary.counters.windows, windows.len() as u64);
        prop_assert_eq!(scalars(dir.path()), expected);
        let report = verify(dir.path()).unwrap();
        prop_assert!(report.sound && report.ledger_closes, "{}", report);
        prop_assert!(report.files.iter().all(|file| file.state == State::Clean));
    }
}
