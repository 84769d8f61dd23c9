//! Each thread's own recorders, one per registry it has recorded for.
//!
//! Two thread-locals: `FAST` is a plain pair without a destructor, so reading it is a load; `OWNED` holds the recorders
//! and drops them when the thread ends.

use std::cell::{Cell, RefCell};
use std::ptr;

use super::Recorder;
use super::registry;
use crate::ledger::Cause;

thread_local! {
    /// The registry used last and its recorder; null before the first record and after the thread's destructors ran.
    static FAST: Cell<(u32, *mut Recorder)> = const { Cell::new((0, ptr::null_mut())) };
    static OWNED: RefCell<Owned> = const { RefCell::new(Owned(Vec::new())) };
}

/// The recorders of this thread. Boxed, so that they stay in place while the vector grows.
struct Owned(Vec<Box<Recorder>>);

impl Drop for Owned {
    fn drop(&mut self) {
        // The recorders go now: nothing may reach them through the fast pair any more.
        FAST.set((0, ptr::null_mut()));
    }
}

/// Runs `action` on this thread's recorder for a registry.
///
/// Where there is none to be had (the registry is gone, or the thread's destructors have run), the call is counted with
/// the registry and nothing else happens.
#[inline]
pub(crate) fn with(registry: u32, action: impl FnOnce(&mut Recorder)) {
    let (cached, recorder) = FAST.get();
    if cached == registry && !recorder.is_null() {
        // SAFETY: the pointer was made from a box that `OWNED` of this thread holds; it is reset before the box is
        // dropped. No other reference exists: `action` is one of this crate's three recording calls, none of which
        // comes back here.
        action(unsafe { &mut *recorder });
    } else {
        slow(registry, action);
    }
}

#[cold]
fn slow(registry: u32, action: impl FnOnce(&mut Recorder)) {
    let outcome = OWNED.try_with(|owned| {
        let Ok(mut owned) = owned.try_borrow_mut() else { return false };
        let recorder = match owned.0.iter_mut().find(|recorder| recorder.registry() == registry) {
            Some(recorder) => recorder,
            None => match registry::find(registry) {
                Some(found) => {
                    owned.0.push(Box::new(found.recorder()));
                    let Some(recorder) = owned.0.last_mut() else { return false };
                    recorder
                }
                None => return true,
            },
        };
        let recorder: *mut Recorder = &raw mut **recorder;
        FAST.set((registry, recorder));
        // SAFETY: as in `with`; the exclusive borrow of the box ended with the line above.
        action(unsafe { &mut *recorder });
        true
    });
    if outcome != Ok(true)
        && let Some(found) = registry::find(registry)
    {
        found.count_stray(Cause::Reentrant);
    }
}
