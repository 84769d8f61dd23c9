//! Cross-file tests of the store: round trips, damage, crashes, failing disks. This file holds what they share.

mod crash;
mod damage;
mod oracle;
mod round_trip;
mod store;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::memory::MemoryDisk;
use super::reader::Segment;
use super::rows::Rows;
use super::{Damage, Moment};
use super::{Store, StoreConfig};
use crate::aggregate::{Aggregator, Rows as WhichRows, Snapshot};
use crate::detect::Published;
use crate::ledger::Ledger;
use crate::record::{Catalogue, Kind, Unit};
use crate::sync::{Arc, AtomicU64, Ordering};

pub(crate) use super::fixture::{SECOND, Source, spec};

/// A clock that tests turn by hand.
#[derive(Clone)]
pub(crate) struct TestClock(Arc<AtomicU64>);

impl TestClock {
    pub(crate) fn new() -> TestClock {
        TestClock(Arc::new(AtomicU64::new(1_000)))
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_nanos() as u64, Ordering::Relaxed);
    }

    pub(crate) fn config(&self) -> StoreConfig {
        let clock = self.clone();
        StoreConfig::new(Arc::new(move || {
            let mono_ns = clock.0.load(Ordering::Relaxed) as i64;
            Moment { real_ns: 1_700_000_000 * SECOND + mono_ns, mono_ns }
        }))
    }
}

/// A memory disk with one clean file of `windows` windows, each its own commit, and that file.
pub(crate) fn small_file(windows: usize) -> Vec<u8> {
    let disk = MemoryDisk::default();
    write_windows(&disk, windows).close().unwrap();
    disk.files().into_values().next().unwrap()
}

pub(crate) fn store_on(disk: &MemoryDisk, config: StoreConfig) -> Store {
    Store::on(Box::new(disk.clone()), Path::new("memory"), None, config).unwrap()
}

pub(crate) fn write_windows(disk: &MemoryDisk, windows: usize) -> Store {
    let mut store = store_on(disk, TestClock::new().config());
    let mut source = Source::new();
    for _ in 0..windows {
        store.append(&source.full_window()).unwrap();
        store.commit().unwrap();
    }
    store
}

/// Everything that can be read of a file: rows by block number, and damage.
pub(crate) fn read_image(bytes: &[u8]) -> Option<(BTreeMap<u64, Rows>, Vec<Damage>)> {
    let segment = Segment::from_source(Box::new(bytes.to_vec()), Path::new("image.seg")).ok()?;
    let mut damages = segment.damages().to_vec();
    let mut rows = BTreeMap::new();
    for block in segment.blocks() {
        match block.and_then(|block| block.rows_in(&segment).map(|rows| (block.number(), rows))) {
            Ok((number, decoded)) => drop(rows.insert(number, decoded)),
            Err(damage) => damages.push(damage),
        }
    }
    Some((rows, damages))
}
