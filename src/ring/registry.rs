//! Threads joining and leaving, and the series they record for.

use std::ptr;

use rtrb::RingBuffer;

use super::fold::Folds;
use super::handle::{Counter, Gauge, Handle, Histogram};
use super::lane::{Inlet, Lane, Stamp};
use super::overflow::Overflow;
use super::recorder::Recorder;
use crate::ledger::{Cause, Dropped};
use crate::record::{Catalogue, Event, Kind, Limits, RegisterError, SeriesId, SeriesInfo, SeriesSpec, Unit};
use crate::sync::{Arc, AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Mutex, Ordering, lock};
use crate::time::{Clock, Timestamps};

/// 256 MiB a thread.
const MAX_RING_SLOTS: usize = 1 << 24;
/// 16 MB of counter cells a thread, of which memory is used only where something is counted.
const MAX_SERIES: usize = 1_000_000;

/// The registry number of handles that record nowhere. No registry on the roll has it.
pub(super) const NOWHERE: u32 = 0;

/// What stands for the registry where a thread has no recorder at hand. No registry and no handle has it.
#[cfg(all(feature = "enable", not(loom)))]
pub(super) const NOBODY: u32 = u32::MAX;

/// Sizes of a registry.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RegistryConfig {
    /// Slots of each thread's ring, 16 bytes each; 16,384 unless set. Taken as 1 to 16,777,216.
    pub ring_slots: usize,
    /// Series in all; 10,000 unless set. Taken as 1 to 1,000,000; each thread keeps 16 bytes for each. Further ones fold into an overflow series of their metric.
    pub max_series: usize,
    /// Series of one metric; 2,000 unless set. Further ones fold into an overflow series of the metric.
    pub max_series_per_metric: usize,
    /// What samples are stamped with; exact times unless set.
    pub timestamps: Timestamps,
    /// What happens to a sample whose ring is full; it is dropped unless set.
    pub overflow: Overflow,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        let limits = Limits::default();
        RegistryConfig {
            ring_slots: 16_384,
            max_series: limits.series,
            max_series_per_metric: limits.series_per_metric,
            timestamps: Timestamps::default(),
            overflow: Overflow::default(),
        }
    }
}

/// The meeting place of recording threads and one drain: the catalogue of series, and the lanes.
#[derive(Debug)]
pub struct Registry {
    number: u32,
    config: RegistryConfig,
    clock: Clock,
    catalogue: Catalogue,
    /// Lanes that joined since the drain last looked: a stack that the drain takes whole, so nobody waits for anybody.
    joined: AtomicPtr<Node>,
    closed: AtomicBool,
    /// The tick that coarse samples take, on a line of its own: every recorder reads it, the drain writes it.
    published: Arc<AtomicU32>,
    /// Calls that found no recorder, by a thread whose destructors had run.
    strays: AtomicU64,
    /// Increments by such threads, until the drain takes them.
    stray_increments: Mutex<Vec<(SeriesId, u64)>>,
}

#[derive(Debug)]
struct Node {
    inlet: Inlet,
    next: *mut Node,
}

impl Registry {
    /// A registry with a clock of its own.
    #[must_use]
    pub fn new(config: RegistryConfig) -> Arc<Registry> {
        Registry::with_clock(config, Clock::new())
    }

    pub(crate) fn with_clock(config: RegistryConfig, clock: Clock) -> Arc<Registry> {
        // Within bounds, whatever was asked for: a thread's first record must not fail for want of memory.
        let config = RegistryConfig {
            ring_slots: config.ring_slots.clamp(1, MAX_RING_SLOTS),
            max_series: config.max_series.clamp(1, MAX_SERIES),
            ..config
        };
        let limits = Limits { series: config.max_series, series_per_metric: config.max_series_per_metric };
        let tick = clock.tick();
        enrol(|number| Registry {
            number,
            config,
            clock,
            catalogue: Catalogue::new(limits),
            joined: AtomicPtr::new(ptr::null_mut()),
            closed: AtomicBool::new(false),
            published: Arc::new(AtomicU32::new(tick)),
            strays: AtomicU64::new(0),
            stray_increments: Mutex::new(Vec::new()),
        })
    }

    /// Begins to register a counter.
    pub fn counter(&self, name: &str) -> MetricBuilder<'_, Counter> {
        MetricBuilder::new(self, name, Kind::Counter)
    }

    /// Begins to register a gauge.
    pub fn gauge(&self, name: &str) -> MetricBuilder<'_, Gauge> {
        MetricBuilder::new(self, name, Kind::Gauge)
    }

    /// Begins to register a histogram.
    pub fn histogram(&self, name: &str) -> MetricBuilder<'_, Histogram> {
        MetricBuilder::new(self, name, Kind::Histogram)
    }

    /// A new producing end. Allocates its ring and cells; waits for nobody.
    pub fn recorder(&self) -> Recorder {
        let (producer, consumer) = RingBuffer::<Event>::new(self.config.ring_slots);
        let stamp = match self.config.timestamps {
            Timestamps::Coarse => Stamp::Published,
            Timestamps::Exact if self.clock.is_counter() => Stamp::Counter,
            Timestamps::Exact => Stamp::Clock,
        };
        let folds = (self.config.overflow == Overflow::Fold).then(Folds::new);
        let lane = Arc::new(Lane::new(self.catalogue.numbers(), stamp, folds));
        let inlet = Inlet {
            events: consumer,
            lane: Arc::clone(&lane),
            taken: 0,
            gathered: Vec::new(),
            gathered_sum: 0,
            folded: Vec::new(),
            unfolded: 0,
        };
        self.join(inlet);
        // SeqCst, in one total order with `join`'s exchange and the store in `close`: either this sees the flag, or
        // the closer's sweep of `joined` sees the lane that was pushed above.
        if self.closed.load(Ordering::SeqCst) {
            lane.close();
        }
        Recorder::new(
            producer,
            lane,
            self.clock.clone(),
            Arc::clone(&self.published),
            self.config.overflow,
            self.number,
        )
    }

    fn join(&self, inlet: Inlet) {
        let node = Box::into_raw(Box::new(Node { inlet, next: ptr::null_mut() }));
        // Relaxed: the value is only compared, never followed here.
        let mut head = self.joined.load(Ordering::Relaxed);
        loop {
            // SAFETY: the node is this thread's alone until the exchange below succeeds.
            unsafe { (*node).next = head };
            // SeqCst on success: publishes the node to the Acquire in `admit`, and stands in one total order with the
            // flag `closed` (joiner: push, then load; closer: store, then sweep), so that one of the two sees the other.
            match self.joined.compare_exchange_weak(head, node, Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => return,
                Err(current) => head = current,
            }
        }
    }

    /// Drain: the lanes that joined since the last call, oldest first.
    pub(crate) fn admit(&self, into: &mut Vec<Inlet>) {
        // SeqCst includes Acquire, paired with the exchange in `join`; see there for the total order.
        let mut node = self.joined.swap(ptr::null_mut(), Ordering::SeqCst);
        let first = into.len();
        while !node.is_null() {
            // SAFETY: the swap made the whole chain this thread's alone; each node came from a box and is freed once.
            let owned = unsafe { Box::from_raw(node) };
            node = owned.next;
            into.push(owned.inlet);
        }
        into[first..].reverse();
    }

    /// Drain: recorders that join from now on are born closed. Those already known must be closed by the caller, after
    /// one more [`Registry::admit`].
    pub(crate) fn close(&self) {
        // SeqCst: see `join`.
        self.closed.store(true, Ordering::SeqCst);
    }

    /// Drain: the tick that coarse samples take from now on.
    pub(crate) fn publish_tick(&self) {
        // Relaxed: a time, which orders nothing.
        self.published.store(self.clock.tick(), Ordering::Relaxed);
    }

    /// Counts records that had no recorder to go through.
    pub(crate) fn count_strays(&self, records: u64) {
        // Relaxed: a count that orders nothing.
        self.strays.fetch_add(records, Ordering::Relaxed);
    }

    /// Keeps increments that had no recorder to go through, so that not even they are lost. The one place where counting
    /// takes a lock: in a destructor that runs after the thread's own have, once in a thread's life if ever.
    pub(crate) fn add_stray_increments(&self, series: SeriesId, by: u64) {
        lock(&self.stray_increments).push((series, by));
    }

    /// Drain: the increments that had no recorder to go through since the last call.
    pub(crate) fn take_stray_increments(&self) -> Vec<(SeriesId, u64)> {
        std::mem::take(&mut *lock(&self.stray_increments))
    }

    /// Calls that had no recorder to go through.
    pub(crate) fn strays(&self) -> Dropped {
        let mut out = Dropped::default();
        // Relaxed: a count that orders nothing.
        out.add(Cause::Reentrant, self.strays.load(Ordering::Relaxed));
        out
    }

    /// Whether recorders joined that no drain has taken in yet. Without a drain: whether anyone has recorded.
    #[must_use]
    pub fn has_joiners(&self) -> bool {
        // Acquire, for a caller that acts on what the joiner did before; pairs with the exchange in `join`.
        !self.joined.load(Ordering::Acquire).is_null()
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) fn ring_slots(&self) -> usize {
        self.config.ring_slots
    }

    /// Every series whose number is at least `first`, in order.
    #[must_use]
    pub fn series_since(&self, first: usize) -> Vec<Arc<SeriesInfo>> {
        self.catalogue.since(first)
    }

    /// The number of series registered so far.
    pub(crate) fn series_count(&self) -> usize {
        self.catalogue.len()
    }

    /// Registers a series, or finds it.
    pub(crate) fn register<H: Handle>(&self, spec: SeriesSpec) -> Result<H, RegisterError> {
        Ok(H::of(self.catalogue.intern(spec)?, self.number))
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // Lanes that joined and were never admitted.
        let mut unclaimed = Vec::new();
        self.admit(&mut unclaimed);
        #[cfg(not(loom))]
        roll::strike(self.number);
    }
}

/// Registers one series: `registry.histogram("planning_time").unit(Unit::Seconds).label("agent_id", "a1").register()`.
#[derive(Debug)]
#[must_use = "nothing is registered until `register` is called"]
pub struct MetricBuilder<'a, H> {
    registry: &'a Registry,
    spec: SeriesSpec,
    handle: std::marker::PhantomData<H>,
}

impl<'a, H: Handle> MetricBuilder<'a, H> {
    fn new(registry: &'a Registry, name: &str, kind: Kind) -> Self {
        let spec = SeriesSpec::new(name, kind);
        MetricBuilder { registry, spec, handle: std::marker::PhantomData }
    }

    /// What values are measured in.
    pub fn unit(mut self, unit: Unit) -> Self {
        self.spec.unit = unit;
        self
    }

    /// Adds a label. Values longer than 256 bytes are cut.
    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.spec.labels.push((name.into(), value.into()));
        self
    }

    /// One line of help for whoever reads the exposition.
    pub fn help(mut self, help: &str) -> Self {
        self.spec.help = help.into();
        self
    }

    /// How many unusual values in a row make an anomaly; 1 unless set.
    ///
    /// Timings on a machine that is not real-time have lone outliers, since the scheduler takes the core away now and
    /// then. With 3, only what stays unusual is reported, two samples later.
    pub fn alarm_after(mut self, values: u32) -> Self {
        self.spec.alarm_after = values;
        self
    }

    /// Registers the series, or finds it. Takes a lock and allocates: do it once, outside the loop.
    ///
    /// # Errors
    /// If a name is not allowed, or the metric exists with another kind or unit. Past the caps of [`RegistryConfig`]
    /// it is no error: the handle is then that of the metric's overflow series.
    pub fn register(self) -> Result<H, RegisterError> {
        self.registry.register(self.spec)
    }
}

#[cfg(not(loom))]
pub(crate) use roll::find;

#[cfg(loom)]
fn enrol(build: impl FnOnce(u32) -> Registry) -> Arc<Registry> {
    Arc::new(build(1))
}

#[cfg(not(loom))]
use roll::enrol;

/// All registries alive, by number: how a handle, which is `Copy` and holds only the number, finds its registry at a
/// thread's first record. No drain ever takes this lock. loom's `Arc` has no weak form, and its models hold their
/// registry themselves.
#[cfg(not(loom))]
mod roll {
    use std::collections::HashMap;
    use std::sync::{OnceLock, Weak};

    use super::{NOWHERE, Registry};
    use crate::sync::{Arc, Mutex, lock};

    #[derive(Default)]
    struct Roll {
        last: u32,
        alive: HashMap<u32, Weak<Registry>>,
    }

    fn roll() -> &'static Mutex<Roll> {
        static ROLL: OnceLock<Mutex<Roll>> = OnceLock::new();
        ROLL.get_or_init(Mutex::default)
    }

    /// Numbers start at 1 and are never used twice, so that a handle of a registry that is gone cannot reach another.
    /// After four billion of them there is none left: the registry then stays off the roll, and its handles record
    /// nowhere.
    pub(super) fn enrol(build: impl FnOnce(u32) -> Registry) -> Arc<Registry> {
        let roll = &mut *lock(roll());
        let Some(number) = roll.last.checked_add(1).filter(|&number| number != u32::MAX) else {
            return Arc::new(build(NOWHERE));
        };
        roll.last = number;
        let registry = Arc::new(build(number));
        roll.alive.insert(number, Arc::downgrade(&registry));
        registry
    }

    pub(super) fn strike(number: u32) {
        lock(roll()).alive.remove(&number);
    }

    pub(crate) fn find(number: u32) -> Option<Arc<Registry>> {
        lock(roll()).alive.get(&number).and_then(Weak::upgrade)
    }
}
