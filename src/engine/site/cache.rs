//! A call site's handles by label values, for one thread.

use std::cell::RefCell;

use super::text::{Kept, Words};
use super::{Engine, Kinded, Spec, global};

/// Handles a call site keeps for each thread.
const KEPT: usize = 64;
/// Places of the index: twice as many, so that probing stays short.
const PLACES: usize = 2 * KEPT;
/// An index place without an entry.
const FREE: u8 = u8::MAX;

/// A call site with labels whose values are only known when it runs: its last handles, per thread.
///
/// Lives in a thread-local of the call site. Empty it is two words; the table is allocated at the thread's first call,
/// and grows with the label values seen.
#[derive(Debug)]
pub struct Cache<H, const N: usize>(RefCell<Option<Box<Table<H, N>>>>);

#[derive(Debug)]
struct Table<H, const N: usize> {
    /// Positions in `entries` by hash, with linear probing.
    index: [u8; PLACES],
    entries: Vec<Entry<H, N>>,
    /// The entry that goes next, once there are [`KEPT`].
    oldest: usize,
}

#[derive(Debug)]
struct Entry<H, const N: usize> {
    values: [Kept; N],
    handle: H,
    hash: u64,
}

impl<H: Kinded, const N: usize> Cache<H, N> {
    #[must_use]
    pub const fn new() -> Cache<H, N> {
        Cache(RefCell::new(None))
    }

    /// The handle of the series with these label values.
    #[inline]
    pub fn get(&self, spec: &Spec<N>, values: [&str; N]) -> H {
        let words = values.map(Words::of);
        let hash = words.iter().zip(values).fold(0, |seed, (words, value)| words.hash(value, seed));
        if let Ok(kept) = self.0.try_borrow()
            && let Some(table) = &*kept
            && let Some(handle) = table.find(hash, &words, &values)
        {
            return handle;
        }
        self.miss(spec, values, hash)
    }

    #[cold]
    #[inline(never)]
    fn miss(&self, spec: &Spec<N>, values: [&str; N], hash: u64) -> H {
        // Nothing is kept without an engine: one may be installed later.
        let Some(engine) = global() else { return H::of_nothing() };
        let Ok(mut kept) = self.0.try_borrow_mut() else {
            // A signal handler that interrupted this very call: registering could wait for a lock that the interrupted
            // code holds.
            engine.registry.count_strays(1);
            return H::of_nothing();
        };
        let handle = spec.register(engine, values);
        let table = kept.get_or_insert_with(|| Box::new(Table::new()));
        table.insert(Entry { values: values.map(Kept::new), handle, hash });
        handle
    }
}

impl<H: Kinded, const N: usize> Default for Cache<H, N> {
    fn default() -> Self {
        Cache::new()
    }
}

/// The handle where the thread's cache is gone, because the thread is ending: by the catalogue.
#[cold]
pub fn uncached<H: Kinded, const N: usize>(spec: &Spec<N>, values: [&str; N]) -> H {
    global().map_or_else(H::of_nothing, |engine: &Engine| spec.register(engine, values))
}

impl<H: Copy, const N: usize> Table<H, N> {
    fn new() -> Table<H, N> {
        Table { index: [FREE; PLACES], entries: Vec::new(), oldest: 0 }
    }

    #[inline]
    fn find(&self, hash: u64, words: &[Words; N], values: &[&str; N]) -> Option<H> {
        let mut place = hash as usize % PLACES;
        // Ends at a free place, or at one that names no entry: half of the places are free.
        while let Some(entry) = self.entries.get(usize::from(self.index[place])) {
            let same =
                || entry.values.iter().zip(words).zip(values).all(|((kept, &words), value)| kept.is(words, value));
            if entry.hash == hash && same() {
                return Some(entry.handle);
            }
            place = (place + 1) % PLACES;
        }
        None
    }

    fn insert(&mut self, entry: Entry<H, N>) {
        if self.entries.len() < KEPT {
            self.point(entry.hash, self.entries.len());
            self.entries.push(entry);
            return;
        }
        self.entries[self.oldest] = entry;
        self.oldest = (self.oldest + 1) % KEPT;
        // Taking one entry out of a probing sequence means moving others; making the index anew costs no more than
        // the registration that brought us here.
        self.index = [FREE; PLACES];
        for at in 0..self.entries.len() {
            self.point(self.entries[at].hash, at);
        }
    }

    fn point(&mut self, hash: u64, entry: usize) {
        let mut place = hash as usize % PLACES;
        while self.index[place] != FREE {
            place = (place + 1) % PLACES;
        }
        self.index[place] = entry as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(table: &mut Table<usize, 2>, a: &str, b: &str, handle: usize) {
        let hash = hash(a, b);
        table.insert(Entry { values: [Kept::new(a), Kept::new(b)], handle, hash });
    }

    fn hash(a: &str, b: &str) -> u64 {
        [a, b].iter().fold(0, |seed, value| Words::of(value).hash(value, seed))
    }

    fn find(table: &Table<usize, 2>, a: &str, b: &str) -> Option<usize> {
        table.find(hash(a, b), &[Words::of(a), Words::of(b)], &[a, b])
    }

    #[test]
    fn the_last_64_are_found_and_no_other() {
        let mut table = Table::new();
        for number in 0..1_000 {
            let (a, b) = (number.to_string(), format!("a longer value, number {number}"));
            assert_eq!(find(&table, &a, &b), None);
            insert(&mut table, &a, &b, number);
            for back in 0..=number {
                let (a, b) = (back.to_string(), format!("a longer value, number {back}"));
                let kept = number - back < KEPT;
                assert_eq!(find(&table, &a, &b), kept.then_some(back), "{back} of {number}");
                assert_eq!(find(&table, &b, &a), None);
            }
        }
    }

    #[test]
    fn values_of_one_hash_are_told_apart() {
        let mut table = Table::new();
        let find = |table: &Table<usize, 1>, value: &str| table.find(7, &[Words::of(value)], &[value]);
        for number in 0..3 * KEPT {
            let value = number.to_string();
            assert_eq!(find(&table, &value), None);
            table.insert(Entry { values: [Kept::new(&value)], handle: number, hash: 7 });
            assert_eq!(find(&table, &value), Some(number));
            assert_eq!(find(&table, &(number / 2).to_string()), (number - number / 2 < KEPT).then_some(number / 2));
        }
    }
}
