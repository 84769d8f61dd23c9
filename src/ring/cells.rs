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

    /// Adds to the calling thread's own cell. Must only be called by the thread that owns the lane.
    #[inline]
    pub(crate) fn add(&self, id: SeriesId, by: u64) {
        // Every number that a registry hands out has a cell; see `Catalogue::intern`.
        if let Some(cell) = self.cells.get(id.index()) {
            add(cell, by);
        }
    }

    /// Where the cells are; the one of series `n` is the `n`-th from here.
    #[cfg(all(feature = "enable", not(loom)))]
    pub(crate) fn first(&self) -> *const AtomicU64 {
        self.cells.as_ptr()
    }

    /// A cell's total, as of some moment not before the call.
    pub(crate) fn get(&self, id: SeriesId) -> u64 {
        // Acquire, paired with the Release store in `add`.
        self.cells.get(id.index()).map_or(0, |cell| cell.load(Ordering::Acquire))
    }
}

/// Adds to a cell that only this thread writes: a plain load and store, no read-modify-write.
#[inline]
pub(crate) fn add(cell: &AtomicU64, by: u64) {
    // Relaxed load: this thread wrote the value itself.
    // Release store, paired with the Acquire load in `Cells::get`: a reader that sees the sum also sees what the thread
    // did before it, so a total never runs ahead of the events it counts.
    cell.store(cell.load(Ordering::Relaxed).wrapping_add(by), Ordering::Release);
}

#[cfg(not(loom))]
pub(super) fn zeroed(count: usize) -> Box<[AtomicU64]> {
    let cells = Box::<[AtomicU64]>::new_zeroed_slice(count);
    // SAFETY: an `AtomicU64` has the representation of a `u64`, for which all zeros is the valid value 0.
    unsafe { cells.assume_init() }
}

#[cfg(loom)]
pub(super) fn zeroed(count: usize) -> Box<[AtomicU64]> {
    (0..count).map(|_| AtomicU64::new(0)).collect()
}
