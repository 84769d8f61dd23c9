//! The one door to atomics, cells, locks and threads.
//!
//! Everything the loom models should see comes through here: with `--cfg loom` the names below are loom's, otherwise
//! they are the standard library's. A test (`tests/layering.rs`) forbids atomics from anywhere else, so that no
//! protocol can hide from the model checker.
//!
//! The switch is `cfg(loom)` alone: a crate that is built as a dependency (as the `loom-tests` package builds this one)
//! has no `cfg(test)`, and a switch on both would quietly hand the models the real atomics.

#[cfg(not(loom))]
pub(crate) use std::sync::{
    Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard,
    atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering},
};

#[cfg(loom)]
pub(crate) use loom::sync::{
    Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard,
    atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering},
};

/// Takes a lock whether or not an earlier holder panicked.
///
/// Every lock of the crate guards data that is valid between any two statements (maps that are inserted into, queues
/// that are pushed to), so a poisoned lock carries no broken invariant, and a panic in one callback must not become a
/// panic in everyone else (promise P5).
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    match mutex.lock() {
        Ok(guard) => guard,
        Err(poisoned) => poisoned.into_inner(),
    }
}

/// As [`lock`], to read beside others.
pub(crate) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    match lock.read() {
        Ok(guard) => guard,
        Err(poisoned) => poisoned.into_inner(),
    }
}

/// As [`lock`], to write alone.
pub(crate) fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    match lock.write() {
        Ok(guard) => guard,
        Err(poisoned) => poisoned.into_inner(),
    }
}
