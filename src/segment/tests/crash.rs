//! The process dies after any step, or the machine does: what the files then hold, and how the next start takes it.

use proptest::prelude::*;

use super::*;
use crate::segment::memory::Plan;
use crate::segment::{State, verify};

/// Writes windows, each its own commit, until one fails. Returns how many commits succeeded.
fn write_until_crash(disk: &MemoryDisk, windows: usize) -> usize {
    let mut store = store_on(disk, TestClock::new().config());
    let mut source = Source::new();
    let mut done = 0;
    for _ in 0..windows {
        store.append(&source.full_window()).unwrap();
        if store.commit().is_err() {
            return done;
        }
        done += 1;
    }
    let _ = store.close();
    done
}

/// The windows whose account is in the files, in order.
fn windows_in(files: &BTreeMap<String, Vec<u8>>) -> Vec<u64> {
    let mut out = Vec::new();
    for (name, bytes) in
        files.iter().filter(|(name, _)| super::super::recover::is_segment_name(name) && !name.starts_with("tmp."))
    {
        let (rows, _) = read_image(bytes).unwrap_or_else(|| panic!("{name} has no header"));
        for rows in rows.into_values() {
            if let Rows::Ledger(rows) = rows {
                out.extend(rows.iter().map(|row| row.window));
            }
        }
    }
    out
}

#[test]
fn a_kill_after_any_step_keeps_every_commit_that_returned() {
    let healthy = MemoryDisk::default();
    assert_eq!(write_until_crash(&healthy, 4), 4);
    let steps = healthy.steps();
    assert!(steps > 14, "a run of 4 commits takes more than {steps} steps");
    for step in 0..steps {
        // Killed before the step took effect, after a part of it, after all of it.
        for part in [0, 1, 63, 64, 100, 1_000, usize::MAX] {
            let disk = MemoryDisk::default();
            disk.set_plan(Plan::CrashAt(step, part));
            let done = write_until_crash(&disk, 4);
            let files = disk.files();
            let windows = windows_in(&files);
            assert!(windows.len() >= done, "step {step}: {done} commits returned, {} are there", windows.len());
            assert!(windows.len() <= done + 1, "step {step}: more than was ever committed");
            assert!(windows.iter().copied().eq(1..=windows.len() as u64), "step {step}: {windows:?}");
            next_start(&files, step);
        }
    }
}

/// The next start: nothing of the old files is changed, the unclosed one is reported, and windows are stored at once.
fn next_start(files: &BTreeMap<String, Vec<u8>>, step: u64) {
    let disk = MemoryDisk::with_files(files.clone());
    let mut store = store_on(&disk, TestClock::new().config());
    let unclosed = files.iter().filter(|(name, bytes)| {
        let open = Segment::from_source(Box::new((*bytes).clone()), Path::new(name.as_str()));
        !name.starts_with("tmp.") && !open.is_ok_and(|segment| segment.state() == State::Clean)
    });
    assert_eq!(store.recovered().len(), unclosed.count(), "step {step}");
    assert!(store.recovered().iter().all(|row| !row.reason.is_empty()));
    store.append(&Source::new().full_window()).unwrap();
    store.commit().unwrap();
    store.close().unwrap();
    let after = disk.files();
    assert!(after.keys().all(|name| !name.starts_with("tmp.")));
    for (name, bytes) in files.iter().filter(|(name, _)| !name.starts_with("tmp.")) {
        assert_eq!(after.get(name), Some(bytes), "step {step}: {name} was changed");
    }
    let newest = after.iter().next_back().unwrap();
    let (rows, damages) = read_image(newest.1).unwrap();
    assert!(damages.is_empty());
    let reported = rows.values().filter(|rows| matches!(rows, Rows::Recovery(_))).count();
    assert_eq!(reported, usize::from(!store_found_nothing(files)), "step {step}");
}

fn store_found_nothing(files: &BTreeMap<String, Vec<u8>>) -> bool {
    files.iter().filter(|(name, _)| !name.starts_with("tmp.")).all(|(_, bytes)| {
        Segment::from_source(Box::new(bytes.clone()), Path::new("image.seg"))
            .is_ok_and(|segment| segment.state() == State::Clean)
    })
}

#[test]
fn a_killed_file_is_sound_and_reported_once() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..5_usize {
        let mut store = Store::open(dir.path(), TestClock::new().config()).unwrap();
        assert_eq!(store.recovered().len(), usize::from(round > 0), "only what the last start left is new");
        store.append(&Source::new().full_window()).unwrap();
        store.commit().unwrap();
        // A kill: neither close nor sync.
        drop(store);
        let report = verify(dir.path()).unwrap();
        assert!(report.sound && report.ledger_closes, "{report}");
        assert_eq!(report.files.len(), round + 1);
    }
    let report = crate::segment::inspect(dir.path()).unwrap();
    assert_eq!((report.recoveries.len(), report.runs.len()), (4, 5));
    assert!(report.recoveries[0].reason.contains("everything up to its last commit is intact"));
}

#[test]
fn what_is_no_segment_is_moved_aside_with_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let stream = dir.path().join("metrics");
    std::fs::create_dir(&stream).unwrap();
    let empty = "0000000000000001-1700000000000-0000000000000001.seg";
    std::fs::write(stream.join(empty), b"").unwrap();
    std::fs::write(stream.join("notes.seg"), vec![7_u8; 20_000]).unwrap();
    std::fs::write(stream.join("tmp.half.seg"), b"half").unwrap();
    std::fs::write(stream.join("README"), b"not ours").unwrap();
    let mut store = Store::open(dir.path(), TestClock::new().config()).unwrap();
    let reasons: Vec<_> = store.recovered().iter().map(|row| (row.file.as_str(), row.action)).collect();
    assert_eq!(reasons, [(empty, 2), ("notes.seg", 2)]);
    assert!(store.recovered()[0].reason.contains("its 0 bytes are less than a file header"));
    assert!(store.recovered()[1].reason.contains("wrong magic number"));
    store.append(&Source::new().full_window()).unwrap();
    store.close().unwrap();
    assert!(stream.join("quarantine").join(empty).exists() && stream.join("README").exists());
    assert!(!stream.join("tmp.half.seg").exists());
    let report = verify(dir.path()).unwrap();
    assert!(report.sound && report.files.len() == 1, "{report}");
    assert!(report.files[0].file.to_string_lossy().contains("/0000000000000002-"), "{report}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    /// A power cut: of every 512-byte sector written since the last sync, the old or the new content.
    #[test]
    fn a_power_cut_takes_only_what_was_not_synced(
        windows in 2_usize..8, sync_after in 0_usize..8, choice in prop::collection::vec(any::<bool>(), 64),
        torn_len in any::<prop::sample::Index>(),
    ) {
        let disk = MemoryDisk::default();
        let clock = TestClock::new();
        let mut store = store_on(&disk, clock.config());
        let mut source = Source::new();
        for at in 0..windows {
            if at == sync_after {
                clock.advance(Duration::from_secs(6));
            }
            store.append(&source.full_window()).unwrap();
            store.commit().unwrap();
        }
        drop(store);
        let (new, old) = (disk.files(), disk.durable_files());
        let (name, new) = new.into_iter().next().unwrap();
        let old = &old[&name];
        let mut image = new.clone();
        for (at, sector) in image.chunks_mut(512).enumerate() {
            if choice[at % choice.len()] {
                let kept = old.get(at * 512..).unwrap_or_default();
                let len = kept.len().min(sector.len());
                sector[..len].copy_from_slice(&kept[..len]);
                sector[len..].fill(0);
            }
        }
        image.truncate(old.len() + torn_len.index(image.len() - old.len() + 1));
        let (written, _) = read_image(&new).unwrap();
        let (durable, _) = read_image(old).unwrap();
        let (read, _) = read_image(&image).expect("the header was synced before anything else");
        for (number, rows) in &read {
            prop_assert_eq!(Some(rows), written.get(number));
        }
        for number in durable.keys() {
            prop_assert!(read.contains_key(number), "block {} was synced and is gone", number);
        }
        let restarted = MemoryDisk::with_files([(name, image)].into());
        let mut store = store_on(&restarted, TestClock::new().config());
        prop_assert_eq!(store.recovered().len(), 1);
        store.append(&Source::new().full_window()).unwrap();
        store.close().unwrap();
    }
}
