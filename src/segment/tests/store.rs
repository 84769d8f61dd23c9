//! Full and failing disks, roll-over, retention, and two engines in one directory.

use super::*;
use crate::segment::memory::Plan;
use crate::segment::{Directory, State, StoreError, verify};

const ENOSPC: i32 = rustix::io::Errno::NOSPC.raw_os_error();
const EIO: i32 = rustix::io::Errno::IO.raw_os_error();

/// The windows in the files of a disk.
fn stored(disk: &MemoryDisk) -> Vec<u64> {
    let mut out = Vec::new();
    for bytes in disk.files().values() {
        let Some((rows, damages)) = read_image(bytes) else { continue };
        assert!(damages.is_empty(), "{damages:?}");
        for rows in rows.into_values() {
            if let Rows::Ledger(rows) = rows {
                out.extend(rows.iter().map(|row| row.window));
            }
        }
    }
    out
}

#[test]
fn any_call_may_fail_once_and_the_store_goes_on() {
    let healthy = MemoryDisk::default();
    write_windows(&healthy, 8).close().unwrap();
    let steps = healthy.steps();
    for errno in [ENOSPC, EIO] {
        for step in 0..steps {
            let disk = MemoryDisk::default();
            disk.set_plan(Plan::FailAt(step, errno));
            let clock = TestClock::new();
            let mut store = store_on(&disk, clock.config());
            let mut source = Source::new();
            let mut acknowledged = Vec::new();
            for window in 1..=8 {
                clock.advance(Duration::from_secs(1));
                store.append(&source.full_window()).unwrap();
                if store.commit().is_ok() {
                    acknowledged.push(window);
                }
            }
            let counters = store.counters();
            assert_eq!(counters.windows, acknowledged.len() as u64);
            assert_eq!(counters.windows + counters.windows_lost, 8, "step {step}: a window is unaccounted for");
            assert!(counters.windows >= 7, "step {step}: one failure cost more than one commit");
            let closed = store.close();
            let stored = stored(&disk);
            assert!(acknowledged.iter().all(|window| stored.contains(window)), "step {step}: {stored:?}");
            assert!(stored.is_sorted_by(|a, b| a < b), "step {step}: {stored:?}");
            assert!(closed.is_ok() || counters.windows_lost == 0, "step {step}: {closed:?}");
        }
    }
}

#[test]
fn a_full_disk_pauses_storing_and_space_resumes_it() {
    let disk = MemoryDisk::default();
    let clock = TestClock::new();
    let mut store = store_on(&disk, clock.config());
    let mut source = Source::new();
    let mut windows = |store: &mut Store, count: usize| {
        for _ in 0..count {
            clock.advance(Duration::from_secs(1));
            store.append(&source.full_window()).unwrap();
            let _ = store.commit();
        }
    };
    windows(&mut store, 3);
    disk.set_plan(Plan::FailBetween(0, u64::MAX, ENOSPC));
    windows(&mut store, 4);
    assert!(store.problem().unwrap().contains("no room for segments"), "{:?}", store.problem());
    assert_eq!((store.counters().windows, store.counters().windows_lost), (3, 4));
    disk.set_plan(Plan::Healthy);
    windows(&mut store, 2);
    assert_eq!((store.counters().windows, store.problem()), (5, None));
    // The file that was open stayed valid and was used again.
    assert_eq!(store.close().unwrap().files.len(), 1);
    assert_eq!(stored(&disk), [1, 2, 3, 8, 9]);
}

#[test]
fn while_waiting_the_disk_is_left_alone() {
    let disk = MemoryDisk::default();
    disk.set_plan(Plan::FailBetween(0, u64::MAX, ENOSPC));
    let mut store = store_on(&disk, TestClock::new().config());
    let mut source = Source::new();
    store.append(&source.full_window()).unwrap();
    assert!(matches!(store.commit(), Err(StoreError::Full { .. })));
    let steps = disk.steps();
    for _ in 0..100 {
        store.append(&source.full_window()).unwrap();
        assert!(matches!(store.commit(), Err(StoreError::Waiting { .. })));
    }
    assert_eq!(disk.steps(), steps);
    assert_eq!(store.counters().windows_lost, 101);
}

#[test]
fn the_file_size_limit_of_the_process_is_never_reached() {
    let disk = MemoryDisk::default();
    disk.set_max_file_len(40_000);
    let mut store = write_windows(&disk, 100);
    let counters = store.counters();
    assert!(counters.files > 2 && counters.windows_lost == 0, "{counters:?}");
    assert!(stored(&disk).into_iter().eq(1..=100));
    assert!(disk.files().values().all(|bytes| bytes.len() <= 40_000));
    // Too small for any commit: refused, without a heap of empty files.
    disk.set_max_file_len(12_288);
    let mut tiny = store_on(&disk, TestClock::new().config());
    let mut source = Source::new();
    for _ in 0..5 {
        tiny.append(&source.full_window()).unwrap();
        assert!(tiny.commit().is_err());
    }
    assert_eq!((tiny.counters().files, tiny.counters().windows_lost), (1, 5));
    assert!(tiny.problem().unwrap().contains("RLIMIT_FSIZE"));
    store.commit().unwrap();
}

#[test]
fn a_failed_sync_ends_the_file() {
    let disk = MemoryDisk::default();
    let clock = TestClock::new();
    let mut store = store_on(&disk, clock.config());
    let mut source = Source::new();
    store.append(&source.full_window()).unwrap();
    store.commit().unwrap();
    clock.advance(Duration::from_secs(6));
    // The next commit takes two writes, then the sync.
    disk.set_plan(Plan::FailAt(disk.steps() + 2, EIO));
    store.append(&source.full_window()).unwrap();
    store.commit().unwrap();
    let syncs = disk.syncs();
    assert_eq!((store.counters().sync_failures, store.counters().syncs), (1, 0));
    assert!(store.problem().unwrap().contains("a sync failed"));
    store.append(&source.full_window()).unwrap();
    store.commit().unwrap();
    // Only the new file's frame was synced: the old file never again.
    assert_eq!(disk.syncs(), syncs + 1);
    store.close().unwrap();
    assert_eq!(stored(&disk), [1, 2, 3]);
    let files = disk.files();
    let states: Vec<State> = files
        .values()
        .map(|bytes| Segment::from_source(Box::new(bytes.clone()), Path::new("x")).unwrap().state())
        .collect();
    assert_eq!(states, [State::Tainted, State::Clean]);
    let (rows, _) = read_image(files.values().last().unwrap()).unwrap();
    let reason = rows.values().find_map(|rows| match rows {
        Rows::Recovery(rows) => Some(rows[0].reason.clone()),
        _ => None,
    });
    assert!(reason.unwrap().contains("a sync failed"));
}

#[test]
fn syncing_can_be_left_to_the_end() {
    let disk = MemoryDisk::default();
    let clock = TestClock::new();
    let mut store = store_on(&disk, StoreConfig { sync_interval: None, ..clock.config() });
    let mut source = Source::new();
    for _ in 0..5 {
        clock.advance(Duration::from_mins(1));
        store.append(&source.full_window()).unwrap();
        store.commit().unwrap();
    }
    assert_eq!(disk.syncs(), 1, "only the new file's frame");
    store.close().unwrap();
    assert_eq!(disk.syncs(), 3);
}

#[test]
fn two_engines_in_one_directory_get_a_clear_error() {
    let dir = tempfile::tempdir().unwrap();
    let config = TestClock::new().config();
    let first = Store::open(dir.path(), config.clone()).unwrap();
    let error = Store::open(dir.path(), config.clone()).unwrap_err();
    assert!(matches!(&error, StoreError::Locked { dir: named } if named == dir.path()));
    assert!(error.to_string().contains("a directory of its own"), "{error}");
    drop(first);
    Store::open(dir.path(), config).unwrap();
}

#[test]
fn a_path_that_cannot_be_used_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let error = Store::open(&file, TestClock::new().config()).unwrap_err();
    assert!(error.to_string().contains("check that it is a directory"), "{error}");
}

#[test]
fn files_roll_by_size_and_age_and_the_oldest_go_first() {
    let dir = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let config = StoreConfig { segment_bytes: 64 << 10, retain_bytes: 256 << 10, ..clock.config() };
    let mut store = Store::open(dir.path(), config).unwrap();
    let mut source = Source::new();
    for _ in 0..400 {
        clock.advance(Duration::from_secs(1));
        store.append(&source.full_window()).unwrap();
        store.commit().unwrap();
    }
    let by_size = store.counters();
    assert!(by_size.files > 5 && by_size.files_removed > 0, "{by_size:?}");
    clock.advance(Duration::from_hours(1));
    store.append(&source.full_window()).unwrap();
    store.commit().unwrap();
    assert_eq!(store.counters().files, by_size.files + 1, "an hour is the age of a file");
    let summary = store.close().unwrap();
    let report = verify(dir.path()).unwrap();
    assert!(report.sound && report.ledger_closes, "{report}");
    assert!(report.bytes <= 256 << 10, "{report}");
    assert_eq!(summary.files, Directory::open(dir.path()).unwrap().files());
    // What is left is the end of the history, without a hole.
    let mut windows = Vec::new();
    for segment in Directory::open(dir.path()).unwrap().segments() {
        for block in segment.unwrap().blocks() {
            if let Rows::Ledger(rows) = block.unwrap().rows().unwrap() {
                windows.extend(rows.iter().map(|row| row.window));
            }
        }
    }
    assert!(windows.iter().copied().eq(401 - windows.len() as u64 + 1..=401), "{windows:?}");
}

#[test]
fn old_files_are_removed_by_age() {
    let dir = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let mut source = Source::new();
    for _ in 0..2 {
        let mut store = Store::open(dir.path(), clock.config()).unwrap();
        store.append(&source.full_window()).unwrap();
        store.close().unwrap();
        clock.advance(Duration::from_hours(192));
    }
    assert_eq!(Directory::open(dir.path()).unwrap().files().len(), 1);
}

#[test]
fn a_file_that_vanishes_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let mut store = Store::open(dir.path(), clock.config()).unwrap();
    let mut source = Source::new();
    store.append(&source.full_window()).unwrap();
    store.commit().unwrap();
    std::fs::remove_dir_all(dir.path().join("metrics")).unwrap();
    clock.advance(Duration::from_secs(6));
    for _ in 0..2 {
        store.append(&source.full_window()).unwrap();
        store.commit().unwrap();
    }
    store.close().unwrap();
    let report = verify(dir.path()).unwrap();
    assert!(report.sound && report.files.len() == 1, "{report}");
}
