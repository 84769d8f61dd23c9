//! From a key of the facade to what it records through.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use ::metrics::Key;

use crate::record::SeriesId;
use crate::sync::{Arc, Mutex, RwLock, lock, read, write};

/// Locks that the keys are spread over, so that threads with different keys seldom meet.
const SHARDS: usize = 16;

/// Keys that a shard remembers, so that a flood of label values does not fill the memory. One key more is looked up in
/// the catalogue at every call, where its metric's overflow series takes it.
const KEYS: usize = 2_048;

/// What keys of one kind record through.
#[derive(Debug)]
pub(super) struct Table<T> {
    shards: Box<[RwLock<Shard<T>>; SHARDS]>,
    /// Different keys can be one series after their names were mapped, and then share what is shared.
    by_series: Mutex<HashMap<SeriesId, Arc<T>>>,
}

type Shard<T> = HashMap<Key, Arc<T>, BuildHasherDefault<Ready>>;

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table { shards: Box::new(std::array::from_fn(|_| RwLock::default())), by_series: Mutex::default() }
    }
}

impl<T> Table<T> {
    /// What the key records through; `make` says it for one that is new, with the series, if it has one.
    pub(super) fn get(&self, key: &Key, make: impl FnOnce() -> (Option<SeriesId>, T)) -> Arc<T> {
        // Other bits than those that the map goes by.
        let shard = &self.shards[(key.get_hash() >> 24) as usize % SHARDS];
        if let Some(known) = read(shard).get(key) {
            return Arc::clone(known);
        }
        let (series, made) = make();
        let found = match series {
            Some(series) => Arc::clone(lock(&self.by_series).entry(series).or_insert_with(|| Arc::new(made))),
            None => Arc::new(made),
        };
        let mut keys = write(shard);
        if keys.len() < KEYS {
            // Who came first with this key; for one with a series it is the same anyway.
            return Arc::clone(keys.entry(key.clone()).or_insert(found));
        }
        found
    }
}

/// A key carries its hash.
#[derive(Debug, Default)]
struct Ready(u64);

impl Hasher for Ready {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_keys_is_not_remembered() {
        let table = Table::<()>::default();
        for number in 0..SHARDS * KEYS * 2 {
            table.get(&Key::from_name(number.to_string()), || (Some(SeriesId(0)), ()));
        }
        let kept: usize = table.shards.iter().map(|shard| read(shard).len()).sum();
        assert_eq!(kept, SHARDS * KEYS, "and the shards fill evenly");
    }

    #[test]
    fn keys_of_one_series_share() {
        let table = Table::<u8>::default();
        let get = |name: &'static str, series| table.get(&Key::from_static_name(name), || (series, 0));
        let (a, b) = (get("a.b", Some(SeriesId(3))), get("a/b", Some(SeriesId(3))));
        assert!(Arc::ptr_eq(&a, &b) && Arc::ptr_eq(&a, &get("a.b", None)));
        assert!(!Arc::ptr_eq(&get("c", None), &get("d", None)));
    }
}
