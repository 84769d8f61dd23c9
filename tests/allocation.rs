//! Promise P1: recording allocates nothing, but for a thread's first record, its ring.
//!
//! A test binary of its own, since the counting allocator is the whole process's.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use afferent::Engine;
use afferent::record::Unit;

/// Counts the allocations of the current thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is handed to the system's allocator as it came; counting touches only a thread-local without a
// destructor, which never allocates.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's own promise, handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's own promise, handed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's own promise, handed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

#[test]
fn recording_allocates_nothing_after_a_threads_first_record() {
    let engine = Engine::builder().ring_slots(256).start().expect("the engine starts");
    let latency = engine.histogram("latency").unit(Unit::Seconds).register().expect("registers");
    let level = engine.gauge("level").register().expect("registers");
    let calls = engine.counter("calls").register().expect("registers");
    let mut recorder = engine.recorder();

    // The canary: the counter sees this thread's allocations at all.
    assert!(allocations(|| drop(std::hint::black_box(vec![1_u8; 100]))) >= 2);
    assert!(allocations(|| latency.record(1e-3)) > 0, "the first record makes the thread's ring");

    let record_much = |recorder: &mut afferent::Recorder| {
        // Far more than the ring holds: refusing must not allocate, either.
        for i in 0..100_000_u32 {
            latency.record(f64::from(i) * 1e-6);
            level.set(f64::from(i));
            calls.add(1);
            recorder.record(latency, 1e-3);
            recorder.add(calls, 1);
        }
    };
    assert_eq!(allocations(|| record_much(&mut recorder)), 0);

    engine.shutdown(std::time::Duration::from_secs(10)).expect("ends in time");
    assert_eq!(allocations(|| record_much(&mut recorder)), 0, "nor does it after the close");
}

#[test]
fn the_macros_allocate_nothing_after_a_threads_first_call() {
    // This binary's one installed engine.
    afferent::install(Engine::builder().ring_slots(256).start().expect("the engine starts")).expect("installs");
    let agents: Vec<String> = (0..32).map(|n| format!("agent {n} of the second ward")).collect();
    let record = || {
        for agent in &agents {
            afferent::counter!("calls", "kind" => "plain").add(1);
            afferent::histogram!("latency", unit: Seconds, "agent" => agent, "kind" => "plan").record(1e-3);
        }
    };
    assert!(allocations(record) > 0, "the first calls register");
    assert_eq!(allocations(|| (0..1_000).for_each(|_| record())), 0);
}
