//! The consuming side of all rings: fair, bounded turns, and the account of what came through.

use crate::ledger::Dropped;
use rtrb::chunks::ReadChunk;

use crate::record::{Event, SeriesId};
use crate::ring::{Folded, Inlet, Registry};
use crate::sync::Arc;

/// Events taken from one ring before the next one has its turn.
const TURN: usize = 4_096;

/// Empties the rings of one registry. There is one drain for a registry; it lives on the aggregator's thread.
#[derive(Debug)]
pub struct Drain {
    registry: Arc<Registry>,
    inlets: Vec<Inlet>,
    /// Which ring is first in the next turn, so that none is always last.
    first: usize,
    /// Counts of lanes that are gone.
    retired: Retired,
}

#[derive(Debug, Default)]
struct Retired {
    recorded: u64,
    refused: Dropped,
    increments: u64,
    /// A lane's counts did not agree when its producer was gone.
    inconsistent: bool,
}

/// What a lane gained besides the samples in its ring.
#[derive(Debug)]
pub enum Gained {
    /// A counter's increments.
    Counter(SeriesId, u64),
    /// Samples that were folded.
    Folded(Folded),
}

/// What the threads' side of the account says at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Account {
    /// Samples handed over by threads: taken, waiting in rings, or refused at the ring.
    pub recorded: u64,
    /// Refused at the ring, by cause.
    pub refused: Dropped,
    /// Waiting in rings.
    pub waiting: u64,
    /// Sum of all counter increments gathered.
    pub increments: u64,
    /// Whether what the drain took and sees agrees with what every producer counted.
    pub consistent: bool,
}

impl Drain {
    pub fn new(registry: Arc<Registry>) -> Drain {
        Drain { registry, inlets: Vec::new(), first: 0, retired: Retired::default() }
    }

    /// Takes at most [`TURN`] events from every ring, and gives them to `take` as slices in the order of recording.
    /// Returns how many it took, and how full the fullest ring was, 0 to 1.
    pub fn turn(&mut self, mut take: impl FnMut(&[Event])) -> (usize, f64) {
        self.registry.admit(&mut self.inlets);
        let count = self.inlets.len();
        let mut taken = 0;
        let mut fullest = 0;
        for step in 0..count {
            let inlet = &mut self.inlets[(self.first + step) % count];
            let slots = inlet.events.slots();
            fullest = fullest.max(slots);
            taken += empty(inlet, slots.min(TURN), &mut take);
        }
        self.first = if count == 0 { 0 } else { (self.first + 1) % count };
        (taken, fullest as f64 / self.registry.ring_slots() as f64)
    }

    /// Takes everything that lies in the rings at the moment of the call (and little more), then lets go of the lanes
    /// whose threads are gone. `gather` receives what each counter gained.
    pub fn sweep(&mut self, mut take: impl FnMut(&[Event]), mut gather: impl FnMut(Gained)) {
        self.registry.admit(&mut self.inlets);
        let (registry, retired) = (&self.registry, &mut self.retired);
        for (series, by) in registry.take_stray_increments() {
            retired.increments = retired.increments.wrapping_add(by);
            gather(Gained::Counter(series, by));
        }
        self.inlets.retain_mut(|inlet| {
            // Before the ring is emptied: what a thread pushed before it left is then in sight. The other way round,
            // what it pushes between the two would go down with the ring.
            let left = inlet.lane.has_left();
            let slots = inlet.events.slots();
            empty(inlet, slots, &mut take);
            // Asked after `left`, so that it covers every series a leaving thread can have counted for.
            gather_cells(inlet, registry.series_count(), &mut gather);
            gather_folds(inlet, &mut gather);
            if left {
                // The producer is gone and its own counts are final. They are what was recorded, whatever was taken: a
                // sample that went down with the lane is then missing on the other side, and the account says so.
                let (accepted, folded) = (inlet.lane.accepted(), inlet.lane.folded());
                retired.inconsistent |= inlet.taken != accepted || inlet.unfolded != folded;
                retired.recorded += accepted + folded + inlet.lane.refused().total();
                add_all(&mut retired.refused, &inlet.lane.refused());
                retired.increments = retired.increments.wrapping_add(inlet.gathered_sum);
            }
            !left
        });
    }

    /// Closes all lanes, present and future. Events that are pushed all the same wait in the rings until the next
    /// [`Drain::sweep`].
    pub fn close(&mut self) {
        self.registry.close();
        self.registry.admit(&mut self.inlets);
        for inlet in &self.inlets {
            inlet.lane.close();
        }
    }

    /// The threads' side of the account.
    pub fn account(&self) -> Account {
        let strays = self.registry.strays();
        let slots = self.registry.ring_slots() as u64;
        let mut account = Account {
            recorded: self.retired.recorded + strays.total(),
            refused: self.retired.refused,
            waiting: 0,
            increments: self.retired.increments,
            consistent: !self.retired.inconsistent,
        };
        add_all(&mut account.refused, &strays);
        for inlet in &self.inlets {
            // A producer pushes first and counts second, and goes on while we look: its count lies between one read
            // before and one after, give or take what one call has pushed (at most a ring full) and not counted yet.
            let before = inlet.lane.accepted();
            let waiting = inlet.events.slots() as u64;
            let after = inlet.lane.accepted();
            let pushed = inlet.taken + waiting;
            account.consistent &= before <= pushed && pushed <= after + slots;
            let refused = inlet.lane.refused();
            // A sample shows in its fold a moment before it is counted, so the drain may be one ahead of the count.
            let folded = inlet.lane.folded().max(inlet.unfolded);
            // What the producer has counted, and what it has pushed and not counted yet. Less in sight than counted means
            // a loss, which the count then shows.
            account.recorded += before.max(pushed) + folded + refused.total();
            account.waiting += waiting + folded - inlet.unfolded;
            add_all(&mut account.refused, &refused);
            account.increments = account.increments.wrapping_add(inlet.gathered_sum);
        }
        account
    }

    /// Whether a thread is gone whose lane is still held.
    pub(crate) fn has_leavers(&self) -> bool {
        self.inlets.iter().any(|inlet| inlet.lane.has_left())
    }

    /// The number of lanes held.
    #[cfg(loom)]
    pub fn lanes(&self) -> usize {
        self.inlets.len()
    }
}

fn add_all(into: &mut Dropped, from: &Dropped) {
    for (cause, count) in from.iter() {
        into.add(cause, count);
    }
}

fn empty(inlet: &mut Inlet, count: usize, take: &mut impl FnMut(&[Event])) -> usize {
    let Ok(chunk) = inlet.events.read_chunk(count) else { return 0 };
    let chunk = Taken(Some(chunk));
    let (head, tail) = chunk.0.as_ref().map_or((&[][..], &[][..]), ReadChunk::as_slices);
    let taken = head.len() + tail.len();
    inlet.taken += taken as u64;
    if !head.is_empty() {
        take(head);
    }
    if !tail.is_empty() {
        take(tail);
    }
    taken
}

/// Frees the slots of a chunk whatever happens to its events: were `take` to panic, events left in the ring would be
/// taken, and counted, twice.
struct Taken<'a>(Option<ReadChunk<'a, Event>>);

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if let Some(chunk) = self.0.take() {
            chunk.commit_all();
        }
    }
}

fn gather_cells(inlet: &mut Inlet, series: usize, gather: &mut impl FnMut(Gained)) {
    inlet.gathered.resize(series, 0);
    for (number, last) in inlet.gathered.iter_mut().enumerate() {
        let id = SeriesId(number as u32);
        let total = inlet.lane.cells.get(id);
        let gained = total.wrapping_sub(*last);
        if gained != 0 {
            *last = total;
            inlet.gathered_sum = inlet.gathered_sum.wrapping_add(gained);
            gather(Gained::Counter(id, gained));
        }
    }
}

fn gather_folds(inlet: &mut Inlet, gather: &mut impl FnMut(Gained)) {
    let Some(folds) = &inlet.lane.folds else { return };
    folds.take(&mut inlet.folded, |folded| {
        inlet.unfolded += folded.count();
        gather(Gained::Folded(folded));
    });
}
