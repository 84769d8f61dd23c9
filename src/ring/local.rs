//! Each thread's own recorders, one per registry it has recorded for.
//!
//! Two thread-locals: `FAST` is plain words without a destructor, so reading it is a load; `OWNED` holds the recorders
//! and drops them when the thread ends. Recording is the module's one reason to exist, and its one use of `unsafe`.

use std::cell::{Cell, RefCell};
use std::ptr;

use super::registry::{self, NOBODY, NOWHERE};
use super::{Recorder, Registry};
use crate::record::SeriesId;
use crate::sync::AtomicU64;

/// What the last recording call used.
struct Fast {
    /// Number of the registry that the pointers belong to. [`NOBODY`], which no registry and no handle has, before the
    /// thread's first record and after its destructors ran: the pointers are good exactly while this is another.
    registry: Cell<u32>,
    recorder: Cell<*mut Recorder>,
    /// The recorder's first counter cell.
    cells: Cell<*const AtomicU64>,
}

thread_local! {
    static FAST: Fast = const {
        Fast { registry: Cell::new(NOBODY), recorder: Cell::new(ptr::null_mut()), cells: Cell::new(ptr::null()) }
    };
    static OWNED: RefCell<Owned> = const { RefCell::new(Owned(Vec::new())) };
}

/// The recorders of this thread. Boxed, so that they stay in place while the vector grows.
#[expect(clippy::vec_box, reason = "the fast words point into the boxes while the vector grows")]
struct Owned(Vec<Box<Recorder>>);

impl Drop for Owned {
    fn drop(&mut self) {
        // The recorders go now: nothing may reach them through the fast words any more.
        FAST.with(|fast| fast.registry.set(NOBODY));
    }
}

/// Pushes a sample through this thread's recorder for a registry.
///
/// Where there is none to be had (the registry is gone, or the thread's destructors have run), the call is counted with
/// the registry and nothing else happens.
#[inline]
pub(crate) fn push(registry: u32, series: SeriesId, value: f64) {
    FAST.with(|fast| {
        if fast.registry.get() == registry {
            // SAFETY: while `registry` is set, the pointer is that of a box which `OWNED` of this thread holds; it is
            // cleared before the box is dropped. No other reference exists: `push` does not come back here.
            unsafe { (*fast.recorder.get()).push(series, value) };
        } else {
            slow_push(registry, series, value);
        }
    });
}

/// Pushes many samples under one time stamp; as [`push`] where there is no recorder.
#[inline]
pub(crate) fn push_many(registry: u32, series: SeriesId, values: &[f64]) {
    FAST.with(|fast| {
        if fast.registry.get() == registry {
            // SAFETY: as in `push`.
            unsafe { (*fast.recorder.get()).push_many(series, values) };
        } else {
            slow_push_many(registry, series, values);
        }
    });
}

/// Adds to this thread's cell of a counter; as [`push`] where there is none.
#[inline]
pub(crate) fn add(registry: u32, series: SeriesId, by: u64) {
    FAST.with(|fast| {
        if fast.registry.get() == registry {
            // SAFETY: while `registry` is set, `cells` points to the first cell of a recorder of that registry that
            // `OWNED` of this thread holds. Every number that a registry hands out is below its number of cells.
            let cell = unsafe { &*fast.cells.get().add(series.index()) };
            super::cells::add(cell, by);
        } else {
            slow_add(registry, series, by);
        }
    });
}

// Out of line and with their arguments by value, so that the fast path keeps everything in registers.

#[cold]
#[inline(never)]
fn slow_push(registry: u32, series: SeriesId, value: f64) {
    let lost = |registry: &Registry| registry.count_strays(1);
    with_owned(registry, |recorder| recorder.push(series, value), lost);
}

#[cold]
#[inline(never)]
fn slow_push_many(registry: u32, series: SeriesId, values: &[f64]) {
    let lost = |registry: &Registry| registry.count_strays(values.len() as u64);
    with_owned(registry, |recorder| recorder.push_many(series, values), lost);
}

#[cold]
#[inline(never)]
fn slow_add(registry: u32, series: SeriesId, by: u64) {
    let lost = |registry: &Registry| registry.add_stray_increments(series, by);
    with_owned(registry, |recorder| recorder.cells().add(series, by), lost);
}

/// Finds or makes this thread's recorder for a registry, acts on it, and remembers it as the one used last. `lost` is
/// told the registry where the thread has no recorders any more.
fn with_owned(registry: u32, action: impl FnOnce(&mut Recorder), lost: impl FnOnce(&Registry)) {
    if registry == NOWHERE {
        return;
    }
    let found = OWNED.try_with(|owned| {
        let Ok(mut owned) = owned.try_borrow_mut() else { return false };
        let recorders = &mut owned.0;
        if recorders.iter().all(|recorder| recorder.registry() != registry) {
            let Some(found) = registry::find(registry) else { return true };
            // A thread that outlives many engines does not keep a ring for each. The fast words may point to one of
            // those that go.
            FAST.with(|fast| fast.registry.set(NOBODY));
            recorders.retain(|recorder| !recorder.is_abandoned());
            recorders.push(Box::new(found.recorder()));
        }
        let Some(recorder) = recorders.iter_mut().find(|recorder| recorder.registry() == registry) else {
            return true;
        };
        action(recorder);
        FAST.with(|fast| {
            fast.cells.set(recorder.cells().first());
            fast.recorder.set(&raw mut **recorder);
            fast.registry.set(registry);
        });
        true
    });
    if found != Ok(true)
        && let Some(registry) = registry::find(registry)
    {
        lost(&registry);
    }
}

#[cfg(test)]
mod tests {
    use crate::ring::{Counter, Gauge, Histogram, Registry, RegistryConfig};

    /// A thread that has recorded nothing yet has null pointers in its fast words: a handle that matched them would
    /// write through them.
    #[test]
    fn a_no_op_handle_matches_no_thread() {
        std::thread::spawn(|| {
            Counter::noop().add(1);
            Gauge::noop().set(1.0);
            Histogram::noop().record(1.0);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_no_op_handle_reaches_no_registry() {
        let registry = Registry::new(RegistryConfig::default());
        let counter = registry.counter("calls").register().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                Counter::noop().add(1);
                Histogram::noop().record(1.0);
                assert!(!registry.has_joiners());
                counter.add(1);
                assert!(registry.has_joiners());
                // After another has made this thread's fast words good, and with a series of the same number.
                assert_eq!(Counter::noop().series(), counter.series());
                Counter::noop().add(5);
            });
        });
        let mut lanes = Vec::new();
        registry.admit(&mut lanes);
        assert_eq!(lanes.iter().map(|inlet| inlet.lane.cells.get(counter.series())).collect::<Vec<_>>(), [1]);
    }

    /// The last act of a thread: its recorders are gone, and with them the fast words.
    #[test]
    fn a_no_op_handle_is_safe_after_the_recorders() {
        struct Last;
        impl Drop for Last {
            fn drop(&mut self) {
                Counter::noop().add(1);
                Histogram::noop().record(1.0);
            }
        }
        thread_local!(static LAST: Last = const { Last });
        let registry = Registry::new(RegistryConfig::default());
        let counter = registry.counter("calls").register().unwrap();
        std::thread::spawn(move || {
            // Destructors run in one order or the other, by platform: one thread for each.
            LAST.with(|_| ());
            counter.add(1);
        })
        .join()
        .unwrap();
        std::thread::spawn(move || {
            counter.add(1);
            LAST.with(|_| ());
        })
        .join()
        .unwrap();
        assert_eq!(registry.strays().total(), 0);
    }
}
