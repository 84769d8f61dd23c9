//! A thread's counter cells: one per series, written by that thread alone.

use crate::record::SeriesId;
use crate::sync::{AtomicU64, Ordering};

/// Counter totals of one thread, by series number.
///
/// The table has a cell for every series the registry may ever hold, so that adding never allocates. The memory comes
/// zeroed from the system and costs nothing until a page of it is touched.
#[derive(Debug)]
pub(crate) struct Cells {
    cells: Box<[AtomicU64]>,
}

impl Cells {
    pub(crate) fn new(count: usize) -> Cells {
        Cells { cells: zeroed(count) }
    }

    /// Adds to the calling thread's own cell. Must only be called by the thread that owns the lane: a plain load and
    /// store, no read-modify-write. False where the series has no cell.
    #[inline]
    pub(crate) fn add(&self, id: SeriesId, by: u64) -> bool {
        let Some(cell) = self.cells.get(id.index()) else { return false };
        // Relaxed load: this thread wrote the value itself.
        // Release store, paired with the Acquire load in `get`: a reader that sees the sum also sees what the thread
        // did before it, so a total never runs ahead of the events it counts.
        cell.store(cell.load(Ordering::Relaxed).wrapping_add(by), Ordering::Release);
        true
    }

    /// A cell's total, as of some moment not before the call.
    pub(crate) fn get(&self, id: SeriesId) -> u64 {
        // Acquire, paired with the Release store in `add`.
        self.cells.get(id.index()).map_or(0, |cell| cell.load(Ordering::Acquire))
    }
}

#[cfg(not(loom))]
fn zeroed(count: usize) -> Box<[AtomicU64]> {
    let cells = Box::<[AtomicU64]>::new_zeroed_slice(count);
    // SAFETY: an `AtomicU64` has the representation of a `u64`, for which all zeros is the valid value 0.
    unsafe { cells.assume_init() }
}

#[cfg(loom)]
fn zeroed(count: usize) -> Box<[AtomicU64]> {
    (0..count).map(|_| AtomicU64::new(0)).collect()
}
