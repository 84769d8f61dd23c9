//! The aggregator's thread: turns, windows, requests, and the end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
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
/// How often the rings are looked at once the engine has closed: threads that come and go all the same leave nothing.
const CLOSED_PAUSE: Duration = Duration::from_secs(1);

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

/// The aggregator's thread is in one of three states, and never waits for anybody in any of them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Turns, windows, detection.
    Running,
    /// A defect keeps coming back. Nothing is published any more, but threads that record must not find their rings full
    /// for it: what is taken is counted as lost to the defect.
    GivenUp,
    /// After the shutdown: what still comes is counted as too late.
    Closed,
}

pub(super) struct Runner {
    core: Core,
    view: View,
    requests: Receiver<Request>,
    outlets: Vec<FanOut>,
    /// Who waits for everything recorded up to some time to be published.
    flushes: Vec<(i64, Sender<()>)>,
    panics: u32,
    state: State,
}

impl Runner {
    pub(super) fn new(core: Core, view: View, requests: Receiver<Request>, outlets: Vec<FanOut>) -> Runner {
        Runner { core, view, requests, outlets, flushes: Vec::new(), panics: 0, state: State::Running }
    }

    /// Runs until the engine is gone.
    pub(super) fn run(mut self) {
        let mut pause = BUSY_PAUSE;
        loop {
            let wait = match self.state {
                State::Running => pause.min(self.core.until_end()),
                State::GivenUp => IDLE_PAUSE,
                State::Closed => CLOSED_PAUSE,
            };
            let request = match self.requests.recv_timeout(wait) {
                Ok(request) => Some(request),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            match catch_unwind(AssertUnwindSafe(|| self.step(request))) {
                Ok((taken, fullest)) if taken > 0 => {
                    pause = if fullest > NEARLY_FULL { Duration::ZERO } else { BUSY_PAUSE };
                }
                Ok(_) => pause = (pause.max(BUSY_PAUSE) * 2).min(IDLE_PAUSE),
                Err(_) => self.note_panic(),
            }
        }
    }

    /// Answers a request, if there is one, and does what is due. Returns how many samples came and how full the fullest
    /// ring was.
    fn step(&mut self, request: Option<Request>) -> (usize, f64) {
        if let Some(request) = request {
            self.answer(request);
        }
        match self.state {
            State::Running => {
                let outcome = self.core.turn();
                self.publish_due();
                outcome
            }
            State::GivenUp => {
                self.core.give_up();
                self.release_flushes(i64::MAX);
                (0, 0.0)
            }
            State::Closed => {
                self.core.discard_rest();
                (0, 0.0)
            }
        }
    }

    fn publish_due(&mut self) {
        let Runner { core, view, outlets, .. } = self;
        let mut published_up_to = None;
        core.close_due(|published| {
            published_up_to = Some(published.snapshot.end_ns);
            publish(view, outlets, &published);
        });
        if let Some(end_ns) = published_up_to {
            self.release_flushes(end_ns);
        }
    }

    /// Answers those who waited for what is published by now.
    fn release_flushes(&mut self, published_up_to: i64) {
        self.flushes.retain(|(asked_ns, waiting)| {
            let done = *asked_ns < published_up_to;
            if done {
                // Whoever asked may have stopped waiting.
                let _ = waiting.send(());
            }
            !done
        });
    }

    fn note_panic(&mut self) {
        self.panics += 1;
        // Reading the account is all this does; should that panic, too, there is nothing left to say about the loss.
        let lost = catch_unwind(AssertUnwindSafe(|| self.core.write_off())).unwrap_or(0);
        let verdict = if self.panics < PANICS { "it goes on" } else { "it only keeps the rings empty from now on" };
        self.view.set_part(
            "aggregator",
            Some(format!("panicked {} times, {verdict}; the last one lost {lost} samples", self.panics)),
        );
        if self.panics >= PANICS && self.state == State::Running {
            self.state = State::GivenUp;
        }
    }

    fn answer(&mut self, request: Request) {
        match request {
            Request::Flush(reply) if self.state == State::Running => self.flushes.push((self.core.now_ns(), reply)),
            Request::Flush(reply) => {
                let _ = reply.send(());
            }
            Request::Recent(series, reply) => {
                if self.state == State::Running {
                    self.core.sweep();
                }
                let recent = self.core.recent();
                let values =
                    series.iter().flat_map(|&id| recent.of(id).map(move |(time, value)| (id, time, value))).collect();
                let _ = reply.send(values);
            }
            Request::Attach(outlet) => self.outlets.push(outlet),
            Request::Account(reply) => {
                match self.state {
                    State::Running => self.core.sweep(),
                    State::GivenUp => self.core.give_up(),
                    State::Closed => self.core.discard_rest(),
                }
                let _ = reply.send(self.core.ledger());
            }
            Request::Shutdown(deadline, reply) => self.finish(deadline, &reply),
        }
    }

    /// Closes the lanes, publishes the last window, lets the outlets finish.
    fn finish(&mut self, deadline: Instant, reply: &Sender<Ledger>) {
        if self.state != State::Closed {
            self.core.close();
            if self.state == State::Running {
                let last = catch_unwind(AssertUnwindSafe(|| {
                    self.publish_due();
                    self.core.close_window(true)
                }));
                match last {
                    Ok(published) => publish(&self.view, &self.outlets, &published),
                    Err(_) => self.note_panic(),
                }
            }
            self.state = State::Closed;
            self.core.discard_rest();
            self.view.close(self.core.ledger());
            self.release_flushes(i64::MAX);
            self.close_outlets(deadline);
            self.core.discard_rest();
        }
        let ledger = self.core.ledger();
        self.view.close(ledger);
        let _ = reply.send(ledger);
    }

    /// Lets the outlets finish, on a thread of its own: one of them may ask this one for something.
    fn close_outlets(&mut self, deadline: Instant) {
        let outlets: Vec<FanOut> = self.outlets.drain(..).collect();
        let (tell, told) = channel();
        let close = move || {
            let _ = tell.send(outlets.into_iter().flat_map(|outlet| outlet.close(deadline)).collect::<Vec<_>>());
        };
        if thread::Builder::new().name("afferent-close".into()).spawn(close).is_err() {
            // Without a thread the sinks end by themselves, when their queues are dropped.
            return;
        }
        // A little beyond the deadline, which the outlets keep themselves.
        let patience = Duration::from_millis(50);
        loop {
            if let Ok(stats) = told.recv_timeout(Duration::from_millis(1)) {
                self.view.set_sinks(stats);
                return;
            }
            while let Ok(request) = self.requests.try_recv() {
                match request {
                    // By another thread, or by a callback: the account of now is all there is to tell.
                    Request::Shutdown(_, reply) => {
                        let _ = reply.send(self.core.ledger());
                    }
                    request => self.answer(request),
                }
            }
            if Instant::now() > deadline + patience {
                return;
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
