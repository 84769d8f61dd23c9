//! Clocks: what a sample is stamped with, and how stamps become time of day.
//!
//! A sample carries a *tick*: 32 bits read off the processor's time-stamp counter where it is invariant (constant rate,
//! running in all sleep states), off `CLOCK_MONOTONIC` elsewhere. Turning ticks into nanoseconds since the Unix epoch
//! is the aggregator's work, done with a `Timeline` that it re-anchors every window, so the conversion never stands
//! on the recording path and a drifting estimate of the counter's rate cannot add up.
//!
//! No other module stamps samples or reads the wall clock; deadlines and pauses elsewhere use the standard `Instant`.

use std::time::Duration;

#[cfg(test)]
use crate::sync::{Arc, AtomicU64, Ordering};

/// How many low bits of the raw counter a tick drops. With a counter of 1 to 5 GHz a tick is 6 to 32 ns, and 32 bits of
/// ticks span 27 s or more, far beyond the time between two drains.
const TICK_SHIFT: u32 = 5;

/// An anchor is renewed at this age.
const ANCHOR_NS: u64 = 100_000_000;

/// The counter's rate is taken over at least this long, so that the two clocks' reads being a few ns apart is nothing.
const RATE_SPAN_NS: u64 = 4_000_000_000;

/// A record's tick may lie this far ahead of the drain's own reading (counters of two cores need not agree to the
/// cycle). Larger differences mean that the tick is old.
const AHEAD: u32 = 1 << 12;

/// A source of raw counter values. Small and cheap to clone: every recorder holds one.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    /// The time-stamp counter, known to be invariant.
    #[cfg(target_arch = "x86_64")]
    Tsc,
    /// `CLOCK_MONOTONIC` in nanoseconds.
    Os,
    /// Nanoseconds that a test sets.
    #[cfg(test)]
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// The best clock of this machine.
    pub(crate) fn new() -> Clock {
        #[cfg(target_arch = "x86_64")]
        if tsc_is_invariant() {
            return Clock { source: Source::Tsc };
        }
        Clock { source: Source::Os }
    }

    /// A clock that only moves when told to, and the handle to move it. Its raw values are nanoseconds.
    #[cfg(test)]
    pub(crate) fn manual(start_ns: u64) -> (Clock, Arc<AtomicU64>) {
        let now = Arc::new(AtomicU64::new(start_ns));
        (Clock { source: Source::Manual(Arc::clone(&now)) }, now)
    }

    /// The raw counter.
    #[inline]
    pub(crate) fn raw(&self) -> u64 {
        match &self.source {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `rdtsc` touches no memory. A process for which the kernel has forbidden it (`PR_SET_TSC`) would be
            // ended by a signal, at the registry's creation already.
            Source::Tsc => unsafe { core::arch::x86_64::_rdtsc() },
            Source::Os => os_ns(libc::CLOCK_MONOTONIC),
            #[cfg(test)]
            // Relaxed: a test's clock orders nothing.
            Source::Manual(now) => now.load(Ordering::Relaxed),
        }
    }

    /// The stamp of a record made now.
    #[inline]
    pub(crate) fn tick(&self) -> u32 {
        (self.raw() >> TICK_SHIFT) as u32
    }

    /// Whether [`counter_tick`] gives this clock's stamps.
    pub(crate) fn is_counter(&self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return matches!(self.source, Source::Tsc);
        #[cfg(not(target_arch = "x86_64"))]
        return false;
    }

    /// Monotonic and wall time, in nanoseconds.
    fn os_times(&self) -> (u64, i64) {
        match &self.source {
            #[cfg(test)]
            Source::Manual(now) => {
                let now = now.load(Ordering::Relaxed);
                (now, i64::try_from(now).unwrap_or(i64::MAX))
            }
            _ => (os_ns(libc::CLOCK_MONOTONIC), unix_ns()),
        }
    }

    /// The name of the source, for reports.
    pub(crate) fn name(&self) -> &'static str {
        match &self.source {
            #[cfg(target_arch = "x86_64")]
            Source::Tsc => "tsc",
            Source::Os => "clock_monotonic",
            #[cfg(test)]
            Source::Manual(_) => "manual",
        }
    }
}

/// The stamp of a record made now, by the processor's counter. Only for clocks that are the counter
/// ([`Clock::is_counter`]): it spares the recording path the question.
#[inline]
pub(crate) fn counter_tick() -> u32 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: as in `Clock::raw`.
    return (unsafe { core::arch::x86_64::_rdtsc() } >> TICK_SHIFT) as u32;
    #[cfg(not(target_arch = "x86_64"))]
    return 0;
}

/// What samples are stamped with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Timestamps {
    /// Each sample reads the clock: precise to some ten nanoseconds. The read is most of what a record costs.
    #[default]
    Exact,
    /// Each sample takes the time that the aggregator published last: precise to about a millisecond while samples come,
    /// and to 20 ms for the first ones after a pause. Several times cheaper.
    Coarse,
}

/// Nanoseconds since the Unix epoch by the system's wall clock.
pub(crate) fn unix_ns() -> i64 {
    i64::try_from(os_ns(libc::CLOCK_REALTIME)).unwrap_or(i64::MAX)
}

/// Nanoseconds on the monotonic clock.
pub(crate) fn mono_ns() -> i64 {
    i64::try_from(os_ns(libc::CLOCK_MONOTONIC)).unwrap_or(i64::MAX)
}

fn os_ns(clock: libc::clockid_t) -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid place for the call to write to. The two clocks asked for exist on every Linux, so the
    // call cannot fail; were it to, `now` stays zero, which is a valid time.
    unsafe { libc::clock_gettime(clock, &raw mut now) };
    (now.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as u64)
}

#[cfg(target_arch = "x86_64")]
fn tsc_is_invariant() -> bool {
    use core::arch::x86_64::__cpuid;
    // CPUID leaf 8000_0007h, EDX bit 8: "the TSC rate is constant in all power states" (Intel SDM 3B, 17.17.1).
    let has_leaf = __cpuid(0x8000_0000).eax >= 0x8000_0007;
    has_leaf && __cpuid(0x8000_0007).edx & (1 << 8) != 0
}

/// Converts raw counter values to nanoseconds since the Unix epoch.
///
/// The wall clock is read once, at the start; from there on the line advances with `CLOCK_MONOTONIC`, so it never runs
/// backwards when the wall clock is set.
#[derive(Debug)]
pub(crate) struct Timeline {
    clock: Clock,
    anchor: Anchor,
    /// An older anchor, to take the counter's rate from.
    base: Anchor,
    ns_per_raw: f64,
    /// Wall time minus monotonic time, fixed at the start.
    offset_ns: i64,
}

#[derive(Clone, Copy, Debug)]
struct Anchor {
    raw: u64,
    mono_ns: u64,
}

impl Timeline {
    /// Anchors the line. Spins for 2 ms to learn the counter's rate; every later [`Timeline::anchor`] improves on it.
    pub(crate) fn new(clock: Clock) -> Timeline {
        let start = read_anchor(&clock);
        let (mono_ns, real_ns) = clock.os_times();
        let mut line = Timeline {
            anchor: start,
            base: start,
            ns_per_raw: 1.0,
            offset_ns: real_ns.wrapping_sub_unsigned(mono_ns),
            clock,
        };
        #[cfg(test)]
        if matches!(line.clock.source, Source::Manual(_)) {
            return line;
        }
        // Bounded, for the clock may stand still (as one that a test harness has frozen does).
        for _ in 0..100_000 {
            if read_anchor(&line.clock).mono_ns >= start.mono_ns + 2_000_000 {
                break;
            }
        }
        line.anchor();
        line
    }

    /// Takes a fresh anchor, and the counter's rate over the last few seconds.
    ///
    /// A rate that differs from the last one by more than 1 % is not believed: the machine was suspended, or the counter
    /// was reset, and one of the two clocks went on alone.
    pub(crate) fn anchor(&mut self) {
        let now = read_anchor(&self.clock);
        let (raw, mono) = (now.raw.wrapping_sub(self.base.raw), now.mono_ns.wrapping_sub(self.base.mono_ns));
        let rate = mono as f64 / raw as f64;
        let first = self.ns_per_raw == 1.0;
        if raw != 0 && mono != 0 && (first || (rate / self.ns_per_raw - 1.0).abs() < 0.01) {
            self.ns_per_raw = rate;
            if mono > RATE_SPAN_NS {
                self.base = self.anchor;
            }
        } else {
            self.base = now;
        }
        self.anchor = now;
    }

    /// Takes a fresh anchor if the last one is older than a tenth of a second, so that the end of a window is told by
    /// the monotonic clock whatever has become of the counter.
    pub(crate) fn keep_anchored(&mut self) {
        if self.clock.os_times().0.saturating_sub(self.anchor.mono_ns) > ANCHOR_NS {
            self.anchor();
        }
    }

    /// The time of a raw counter value.
    pub(crate) fn ns(&self, raw: u64) -> i64 {
        let since = raw.wrapping_sub(self.anchor.raw).cast_signed() as f64 * self.ns_per_raw;
        self.offset_ns.wrapping_add_unsigned(self.anchor.mono_ns).wrapping_add(since as i64)
    }

    /// The time now.
    pub(crate) fn now_ns(&self) -> i64 {
        self.ns(self.clock.raw())
    }

    /// A converter of the ticks of one drained batch. `raw_now` must have been read after the batch was, and `raw_before`
    /// before any of its events was recorded (at the ring's previous emptying).
    pub(crate) fn unfold(&self, raw_now: u64, raw_before: u64) -> Unfold {
        let ticks = raw_now.wrapping_sub(raw_before) >> TICK_SHIFT;
        Unfold {
            now_tick: (raw_now >> TICK_SHIFT) as u32,
            now_ns: self.ns(raw_now),
            // 32 bits do not tell a tick of now from one a turn ago. After so long a pause of the drain the events were
            // most likely recorded before it began.
            stalled_ns: (ticks > u64::from(u32::MAX)).then(|| self.ns(raw_before)),
            ns_per_tick: self.ns_per_raw * f64::from(1 << TICK_SHIFT),
        }
    }
}

/// Turns ticks into nanoseconds since the Unix epoch, relative to the moment of the drain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unfold {
    now_tick: u32,
    now_ns: i64,
    stalled_ns: Option<i64>,
    ns_per_tick: f64,
}

impl Unfold {
    #[inline]
    pub(crate) fn ns(&self, tick: u32) -> i64 {
        if let Some(stalled_ns) = self.stalled_ns {
            return stalled_ns;
        }
        let age = self.now_tick.wrapping_sub(tick);
        if age > u32::MAX - AHEAD {
            return self.now_ns;
        }
        self.now_ns - (f64::from(age) * self.ns_per_tick) as i64
    }
}

/// Reads counter and monotonic clock as close together as a few tries allow.
fn read_anchor(clock: &Clock) -> Anchor {
    let mut best = (u64::MAX, Anchor { raw: 0, mono_ns: 0 });
    for _ in 0..5 {
        let before = clock.raw();
        let mono_ns = clock.os_times().0;
        let after = clock.raw();
        let width = after.wrapping_sub(before);
        if width < best.0 {
            best = (width, Anchor { raw: before.wrapping_add(width / 2), mono_ns });
        }
    }
    best.1
}

/// Measures how long something takes.
///
/// Reads the same counter that samples are stamped with, without a system call where that counter is the processor's.
/// The first stopwatch of a process learns the counter's rate, which takes 2 ms.
#[derive(Clone, Debug)]
pub struct Stopwatch {
    start: u64,
}

impl Stopwatch {
    /// Starts now.
    #[must_use]
    pub fn start() -> Stopwatch {
        Stopwatch { start: stopwatch_clock().0.raw() }
    }

    /// Seconds since the start; never negative.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        let (clock, ns_per_raw) = stopwatch_clock();
        clock.raw().saturating_sub(self.start) as f64 * ns_per_raw * 1e-9
    }

    /// Time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Duration::from_secs_f64(self.seconds())
    }
}

fn stopwatch_clock() -> &'static (Clock, f64) {
    static CLOCK: std::sync::OnceLock<(Clock, f64)> = std::sync::OnceLock::new();
    CLOCK.get_or_init(|| {
        let line = Timeline::new(Clock::new());
        (line.clock, line.ns_per_raw)
    })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn ticks_unfold_to_the_time_they_were_taken() {
        let (clock, now) = Clock::manual(10_000_000_000_000);
        let line = Timeline::new(clock.clone());
        let tick = clock.tick();
        let then = line.now_ns();
        // 32 bits of 32 ns span 137 s; stay below.
        for age in [0, 1_000, 1_000_000_000, 120_000_000_000_u64] {
            now.store(10_000_000_000_000 + age, Ordering::Relaxed);
            let unfolded = line.unfold(clock.raw(), clock.raw()).ns(tick);
            assert!((unfolded - then).abs() <= 64, "{age}: off by {}", unfolded - then);
        }
    }

    #[test]
    fn after_a_pause_longer_than_ticks_can_tell_events_are_placed_before_it() {
        let (clock, now) = Clock::manual(1_000_000_000_000);
        let line = Timeline::new(clock.clone());
        let (before, tick) = (clock.raw(), clock.tick());
        now.fetch_add(200_000_000_000, Ordering::Relaxed);
        let unfolded = line.unfold(clock.raw(), before).ns(tick);
        assert_eq!(unfolded, line.ns(before));
    }

    #[test]
    fn a_counter_that_is_reset_does_not_stop_the_clock() {
        let (clock, _) = Clock::manual(5_000_000_000);
        let mut line = Timeline::new(clock);
        // As after a suspend: the counter starts anew, the monotonic clock went on.
        line.base.raw = line.base.raw.wrapping_add(1 << 40);
        line.anchor.raw = line.anchor.raw.wrapping_add(1 << 40);
        let rate = line.ns_per_raw;
        line.anchor();
        assert_eq!((line.ns_per_raw, line.now_ns()), (rate, 5_000_000_000));
    }

    #[test]
    fn a_tick_slightly_ahead_counts_as_now() {
        let (clock, _) = Clock::manual(1_000_000_000_000);
        let line = Timeline::new(clock.clone());
        let ahead = clock.tick() + 3;
        assert_eq!(line.unfold(clock.raw(), clock.raw()).ns(ahead), line.now_ns());
    }

    #[test]
    fn the_real_line_keeps_pace_with_the_system() {
        let mut line = Timeline::new(Clock::new());
        line.anchor();
        let (ours, theirs) = (line.now_ns(), unix_ns());
        // A loose bound: the two reads may be torn apart by the scheduler, and the wall clock may be slewed.
        assert!((ours - theirs).abs() < 500_000_000, "off by {} ns", ours - theirs);
    }

    #[test]
    fn a_stopwatch_moves_forward() {
        let watch = Stopwatch::start();
        let first = watch.seconds();
        assert!(first >= 0.0 && watch.seconds() >= first);
    }
}
