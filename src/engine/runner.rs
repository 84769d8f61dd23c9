//! The aggregator's thread: turns, windows, requests, and the end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::core::Core;
use super::view::View;
use crate::detect::Published;
use crate::ledger::Ledger;
use crate::record::SeriesId;
use crate::sink::FanOut;

/// Shortest pause between two turns. A consumer that polls eagerly makes every push slower, since the ring's indices
/// then bounce between two cores.
const BUSY_PAUSE: Duration = Duration::from_millis(1);
/// Longest pause, reached while nothing is recorded.
const IDLE_PAUSE: Duration = Duration::from_millis(20);
/// A ring this full is emptied again at once.
const NEARLY_FULL: f64 = 0.25;
/// After so many panics the thread stops detecting and publishing, and only keeps the rings empty.
const PANICS: u32 = 5;

/// What other threads ask of the aggregator's.
pub(super) enum Request {
    /// Answer when everything recorded before has been published in a window.
    Flush(Sender<()>),
    /// The last values of some series.
    Recent(Vec<SeriesId>, Sender<Vec<(SeriesId, i64, f64)>>),
    /// One more receiver of windows.
    Attach(FanOut),
    /// Close, finish by the deadline, answer with the account.
    Shutdown(Instant, Sender<Ledger>),
    /// Read the account now.
    Account(Sender<Ledger>),
}

pub(super) struct Runner {
    pub(super) core: Core,
    pub(super) view: View,
    pub(super) requests: Receiver<Request>,
    pub(super) outlets: Vec<FanOut>,
    pub(super) flushes: Vec<Sender<()>>,
    pub(super) panics: u32,
}

impl Runner {
    /// Runs until shut down, or until the engine is gone.
    pub(super) fn run(mut self) {
        let mut pause = BUSY_PAUSE;
        loop {
            match self.requests.recv_timeout(pause.min(self.core.until_end())) {
                Ok(Request::Shutdown(deadline, reply)) => {
                    self.finish(deadline, &reply);
                    self.linger();
                    return;
                }
                Ok(request) => self.answer(request),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            match catch_unwind(AssertUnwindSafe(|| self.step())) {
                Ok((taken, fullest)) if taken > 0 => {
                    pause = if fullest > NEARLY_FULL { Duration::ZERO } else { BUSY_PAUSE };
                }
                Ok(_) => pause = (pause.max(BUSY_PAUSE) * 2).min(IDLE_PAUSE),
                Err(_) => self.note_panic(),
            }
        }
    }

    fn step(&mut self) -> (usize, f64) {
        let outcome = self.core.turn();
        let Runner { core, view, outlets, flushes, .. } = self;
        core.close_due(|published| {
            publish(view, outlets, &published);
            for flush in flushes.drain(..) {
                // Whoever asked may have stopped waiting.
                let _ = flush.send(());
            }
        });
        outcome
    }

    fn note_panic(&mut self) {
        self.panics += 1;
        let lost = self.core.write_off();
        let verdict = if self.panics < PANICS { "continued" } else { "only draining" };
        self.view.set_part(
            "aggregator",
            Some(format!("panicked {} times ({verdict}); the last one lost {lost} samples", self.panics)),
        );
        if self.panics >= PANICS {
            self.drain_only();
        }
    }

    /// The last resort: a defect keeps coming back, so nothing is published any more, but threads that record must not
    /// find their rings full for it. What is taken is counted as lost to the defect.
    fn drain_only(&mut self) {
        loop {
            match self.requests.recv_timeout(IDLE_PAUSE) {
                Ok(Request::Shutdown(deadline, reply)) => {
                    self.finish(deadline, &reply);
                    return;
                }
                Ok(request) => self.answer(request),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if catch_unwind(AssertUnwindSafe(|| self.core.sweep())).is_err() {
                self.core.write_off();
            }
        }
    }

    fn answer(&mut self, request: Request) {
        match request {
            Request::Flush(reply) => self.flushes.push(reply),
            Request::Recent(series, reply) => {
                self.core.sweep();
                let recent = self.core.recent();
                let values =
                    series.iter().flat_map(|&id| recent.of(id).map(move |(time, value)| (id, time, value))).collect();
                let _ = reply.send(values);
            }
            Request::Attach(outlet) => self.outlets.push(outlet),
            Request::Account(reply) => {
                if self.view.is_closed() {
                    self.core.discard_rest();
                }
                let _ = reply.send(self.core.ledger());
            }
            Request::Shutdown(..) => {}
        }
    }

    /// Closes the lanes, publishes the last window, lets the outlets finish.
    fn finish(&mut self, deadline: Instant, reply: &Sender<Ledger>) {
        self.core.close();
        let last = catch_unwind(AssertUnwindSafe(|| {
            let Runner { core, view, outlets, .. } = self;
            core.close_due(|published| publish(view, outlets, &published));
            core.close_window(true)
        }));
        match last {
            Ok(published) => publish(&self.view, &self.outlets, &published),
            Err(_) => {
                self.core.write_off();
            }
        }
        self.core.discard_rest();
        self.view.set_sinks(self.outlets.drain(..).flat_map(|outlet| outlet.close(deadline)).collect());
        let ledger = self.core.ledger();
        self.view.close(ledger);
        for flush in self.flushes.drain(..) {
            let _ = flush.send(());
        }
        let _ = reply.send(ledger);
    }

    /// After the end: the account can still be read, and then covers what was recorded too late.
    fn linger(&mut self) {
        while let Ok(request) = self.requests.recv() {
            match request {
                Request::Account(_) | Request::Recent(..) => self.answer(request),
                Request::Flush(reply) => {
                    let _ = reply.send(());
                }
                Request::Attach(_) | Request::Shutdown(..) => {}
            }
        }
    }
}

fn publish(view: &View, outlets: &[FanOut], published: &Published) {
    view.publish(published);
    for outlet in outlets {
        outlet.offer(published);
    }
    view.set_sinks(outlets.iter().flat_map(FanOut::stats).collect());
}
