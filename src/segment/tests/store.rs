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
    disk.set_max_file_len(90_000);
    let mut store = write_windows(&disk, 200);
    let counters = store.counters();
    assert!(counters.files > 2 && counters.windows_lost == 0, "{counters:?}");
    assert!(stored(&disk).into_iter().eq(1..=200));
    assert!(disk.files().values().all(|bytes| bytes.len() <= 90_000));
    // Too small for anything of use: refused before a file is made.
    let small = MemoryDisk::default();
    small.set_max_file_len(12_288 + (64 << 10) - 1);
    let mut tiny = store_on(&small, TestClock::new().config());
    let mut source = Source::new();
    for _ in 0..5 {
        tiny.append(&source.full_window()).unwrap();
        assert!(tiny.commit().is_err());
    }
    assert_eq!((tiny.counters().files, tiny.counters().windows_lost, small.files().len()), (0, 5, 0));
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
    assert!(error.to_string().contains("it must be a directory"), "{error}");
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

/// The file size limit may be lowered while the process runs, below what is already in the file.
#[test]
fn a_limit_that_is_lowered_later_is_obeyed() {
    let disk = MemoryDisk::default();
    let mut store = write_windows(&disk, 3);
    let before = disk.files();
    disk.set_max_file_len(4_000);
    let mut source = Source::new();
    for _ in 0..3 {
        store.append(&source.full_window()).unwrap();
        assert!(store.commit().is_err());
    }
    assert!(store.problem().unwrap().contains("RLIMIT_FSIZE"), "{:?}", store.problem());
    let _ = store.close();
    assert_eq!(disk.files(), before, "not a byte was written past the limit");
}

#[test]
fn a_failed_last_sync_leaves_a_trace() {
    for later in [0, 2] {
        let disk = MemoryDisk::default();
        let clock = TestClock::new();
        let mut store = store_on(&disk, clock.config());
        store.append(&Source::new().full_window()).unwrap();
        store.commit().unwrap();
        // Descriptions once more (two writes); the sync, the last slot, and its sync.
        disk.set_plan(Plan::FailAt(disk.steps() + 2 + later, EIO));
        let syncs = disk.syncs();
        assert!(matches!(store.close(), Err(StoreError::Write { .. })));
        assert_eq!(disk.syncs(), syncs + later / 2, "never synced again after a failure");
        let bytes = disk.files().into_values().next().unwrap();
        let segment = Segment::from_source(Box::new(bytes), Path::new("x")).unwrap();
        assert_eq!(segment.state(), State::Tainted);
        assert_eq!(segment.durable() < segment.committed(), later == 0, "only what was synced is durable");
    }
}

fn windows_every_hour(dir: &Path, clock: &TestClock, hours: u64) {
    let mut store = Store::open(dir, clock.config()).unwrap();
    let mut source = Source::new();
    for _ in 0..hours {
        store.append(&source.full_window()).unwrap();
        store.commit().unwrap();
        clock.advance(Duration::from_hours(1));
    }
    store.close().unwrap();
}

#[test]
fn old_files_are_removed_by_age() {
    let dir = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    windows_every_hour(dir.path(), &clock, 200);
    let files = Directory::open(dir.path()).unwrap().files().len();
    assert!((168..=170).contains(&files), "seven days of one file an hour, not {files}");
}

/// A clock that is years ahead, over two starts and then right again, costs no history.
#[test]
fn a_wrong_clock_removes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    windows_every_hour(dir.path(), &clock, 3);
    let years = Duration::from_hours(24 * 365 * 9);
    let wrong = TestClock::new();
    wrong.advance(years);
    windows_every_hour(dir.path(), &wrong, 2);
    wrong.advance(years);
    windows_every_hour(dir.path(), &wrong, 2);
    windows_every_hour(dir.path(), &clock, 2);
    assert_eq!(Directory::open(dir.path()).unwrap().files().len(), 9);
}

fn names_in(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

const OURS: &str = "0000000000000001-1600000000000-0123456789abcdef.seg";

/// Retention removes what is too much of ours: not what stands in a directory that `quarantine` merely points to, and
/// not files that were never named as segments are.
#[test]
fn retention_removes_only_what_is_ours() {
    let (dir, foreign) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let stream = dir.path().join("metrics");
    crate::segment::storage::create_dir(&stream).unwrap();
    for name in [OURS, "thesis.doc"] {
        std::fs::write(foreign.path().join(name), vec![0; 1 << 20]).unwrap();
    }
    std::os::unix::fs::symlink(foreign.path(), stream.join("quarantine")).unwrap();
    std::fs::write(stream.join(OURS), b"no segment, so it would be moved aside").unwrap();
    std::fs::write(stream.join("film.segment"), vec![0; 1 << 20]).unwrap();
    let disk = crate::segment::storage::FsDisk::open(&stream).unwrap();
    let config = StoreConfig { segment_bytes: 64 << 10, retain_bytes: 256 << 10, ..TestClock::new().config() };
    let mut store = Store::on(Box::new(disk), &stream, None, config).unwrap();
    let found = store.recovered()[0].clone();
    assert!(found.action == 1 && found.reason.contains("not a directory of its own"), "{found:?}");
    store.append(&Source::new().full_window()).unwrap();
    store.commit().unwrap();
    store.close().unwrap();
    assert_eq!(names_in(foreign.path()), [OURS, "thesis.doc"]);
    assert!(stream.join("film.segment").exists());
}

#[test]
fn retention_of_a_real_quarantine_spares_other_names() {
    let dir = tempfile::tempdir().unwrap();
    let quarantine = dir.path().join("metrics/quarantine");
    crate::segment::storage::create_dir(&quarantine).unwrap();
    for name in [OURS, "thesis.doc", "notes.seg"] {
        std::fs::write(quarantine.join(name), vec![0; 1 << 20]).unwrap();
    }
    let config = StoreConfig { segment_bytes: 64 << 10, retain_bytes: 256 << 10, ..TestClock::new().config() };
    let mut store = Store::open(dir.path(), config).unwrap();
    store.append(&Source::new().full_window()).unwrap();
    store.commit().unwrap();
    assert_eq!(names_in(&quarantine), ["notes.seg", "thesis.doc"]);
}

/// Opening looks at names only; files are judged before the first commit, each up to twice the size of a segment.
#[test]
fn opening_reads_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let stream = dir.path().join("metrics");
    let config = StoreConfig { segment_bytes: 64 << 10, ..TestClock::new().config() };
    let mut first = Store::open(dir.path(), StoreConfig { segment_bytes: 1 << 20, ..config.clone() }).unwrap();
    let mut source = Source::new();
    for _ in 0..300 {
        first.append(&source.full_window()).unwrap();
        first.commit().unwrap();
    }
    drop(first);
    std::fs::write(stream.join(OURS.replace("0001-", "0002-")), b"no segment").unwrap();
    let before = names_in(&stream);
    let mut store = Store::open(dir.path(), config).unwrap();
    assert_eq!(names_in(&stream), before, "nothing is moved before the sink's own thread runs");
    store.append(&source.full_window()).unwrap();
    store.commit().unwrap();
    assert!(names_in(&stream).iter().any(|name| name.starts_with("0000000000000003-")), "the next number");
    let rows = store.recovered().to_vec();
    assert_eq!(rows.iter().map(|row| row.action).collect::<Vec<_>>(), [1, 2]);
    assert!(rows[0].reason.contains("not scanned further than"), "{}", rows[0].reason);
    assert!((10..300).contains(&rows[0].blocks), "{rows:?}");
}

fn refused(dir: &Path) -> String {
    let error = Store::open(dir, TestClock::new().config()).unwrap_err();
    assert!(matches!(error, StoreError::Open { .. }), "{error}");
    error.to_string()
}

#[test]
fn a_directory_that_others_can_change_is_refused() {
    use std::fs::{Permissions, create_dir, set_permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};
    let root = tempfile::tempdir().unwrap();
    let mode = |path: &Path, mode| set_permissions(path, Permissions::from_mode(mode)).unwrap();
    // The directory itself, and the stream's.
    let dir = root.path().join("data");
    create_dir(&dir).unwrap();
    for (open, bits) in [(&dir, 0o777), (&dir, 0o770), (&dir.join("metrics"), 0o722)] {
        let _ = create_dir(open);
        mode(open, bits);
        let said = refused(&dir);
        assert!(said.contains(&format!("chmod go-w {}", open.display())), "{said}");
        mode(open, 0o755);
    }
    // Its parent: whoever may write there may put another directory in its place, unless it is sticky.
    let parent = root.path().join("parent");
    create_dir(&parent).unwrap();
    mode(&parent, 0o777);
    assert!(refused(&parent.join("data")).contains("chmod"));
    mode(&parent, 0o1777);
    drop(Store::open(&parent.join("data"), TestClock::new().config()).unwrap());
    // Links, at each of the three places.
    symlink(&dir, root.path().join("link")).unwrap();
    assert!(refused(&root.path().join("link")).contains("symbolic link"));
    let other = root.path().join("other");
    create_dir(&other).unwrap();
    mode(&other, 0o700);
    symlink(dir.join("metrics"), other.join("metrics")).unwrap();
    assert!(refused(&other).contains("symbolic link"));
    std::fs::remove_file(other.join("metrics")).unwrap();
    create_dir(other.join("metrics")).unwrap();
    mode(&other.join("metrics"), 0o700);
    symlink(&dir, other.join("metrics/quarantine")).unwrap();
    assert!(refused(&other).contains("symbolic link"));
}
