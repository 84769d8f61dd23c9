//! Hands each window to every sink, on a thread per sink, and waits for none.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Instant;

use super::{Sink, SinkError};
use crate::detect::Published;
use crate::sync::{Arc, AtomicBool, AtomicU64, Mutex, Ordering, lock};

/// Windows that wait for a sink before further ones are dropped.
const QUEUE: usize = 16;

/// What became of the windows that a sink was offered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SinkStats {
    /// The sink's name.
    pub name: String,
    /// Windows it took.
    pub published: u64,
    /// Windows it failed to take: it returned an error or panicked.
    pub failed: u64,
    /// Windows that it was never offered, since its queue was full or its thread gone.
    pub dropped: u64,
    /// Windows that wait for it, the one it is busy with included.
    pub queued: u64,
    /// Whether it failed to take the latest window that it was offered.
    pub failing: bool,
    /// What it said last when it failed. Stays when it works again; compare `failed`.
    pub last_error: Option<String>,
}

/// Every sink behind a bounded queue of its own.
#[derive(Debug)]
pub(crate) struct FanOut {
    lanes: Vec<Lane>,
}

#[derive(Debug)]
struct Lane {
    shared: Arc<Shared>,
    /// `None` where the thread could not be started.
    queue: Option<SyncSender<Published>>,
    /// Nothing is ever sent: it disconnects when the thread ends.
    ended: Receiver<()>,
}

/// Relaxed everywhere: the numbers are read for display and order nothing else.
#[derive(Debug)]
struct Shared {
    name: String,
    offered: AtomicU64,
    published: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
    failing: AtomicBool,
    last_error: Mutex<Option<String>>,
}

impl FanOut {
    /// Starts a thread `afferent-sink-NAME` for each sink. Where that fails, the sink's windows count as dropped and
    /// its last error says why.
    pub(crate) fn start(sinks: Vec<Box<dyn Sink>>) -> FanOut {
        FanOut { lanes: sinks.into_iter().map(Lane::start).collect() }
    }

    /// Offers a window to every sink. Never blocks.
    pub(crate) fn offer(&self, published: &Published) {
        for lane in &self.lanes {
            lane.shared.offered.fetch_add(1, Ordering::Relaxed);
            let sent = lane.queue.as_ref().is_some_and(|queue| match queue.try_send(published.clone()) {
                Ok(()) => true,
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
            });
            if !sent {
                let mut last_error = lock(&lane.shared.last_error);
                last_error.get_or_insert_with(|| "its queue was full: it takes longer than a window lasts".into());
                drop(last_error);
                lane.shared.failing.store(true, Ordering::Relaxed);
                lane.shared.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// What became of the windows offered so far, sink by sink.
    pub(crate) fn stats(&self) -> Vec<SinkStats> {
        self.lanes.iter().map(|lane| lane.shared.stats()).collect()
    }

    /// Lets every sink take what is queued and close, until `deadline`; then leaves those that are not done to
    /// themselves. Their threads end when the call they hang in returns.
    pub(crate) fn close(mut self, deadline: Instant) -> Vec<SinkStats> {
        // All queues first, so that the sinks finish side by side.
        for lane in &mut self.lanes {
            lane.queue = None;
        }
        for lane in &self.lanes {
            let left = deadline.saturating_duration_since(Instant::now());
            if lane.ended.recv_timeout(left) == Err(RecvTimeoutError::Timeout) {
                let message = format!(
                    "sink {:?} was not done at the shutdown deadline and was left behind: give shutdown more time",
                    lane.shared.name
                );
                *lock(&lane.shared.last_error) = Some(message);
                lane.shared.failing.store(true, Ordering::Relaxed);
            }
        }
        self.stats()
    }
}

impl Lane {
    fn start(sink: Box<dyn Sink>) -> Lane {
        let name = catch_unwind(AssertUnwindSafe(|| sink.name().to_owned())).unwrap_or_else(|_| "unnamed".into());
        let shared = Arc::new(Shared {
            name,
            offered: AtomicU64::new(0),
            published: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            last_error: Mutex::new(None),
        });
        let (queue, windows) = sync_channel(QUEUE);
        let (ends, ended) = sync_channel(0);
        let theirs = Arc::clone(&shared);
        let thread = thread::Builder::new().name(format!("afferent-sink-{}", shared.name)).spawn(move || {
            run(sink, &windows, &theirs);
            drop(ends);
        });
        let queue = match thread {
            Ok(_) => Some(queue),
            Err(error) => {
                let message =
                    format!("no thread for sink {:?}: {error}; raise the limit on threads (ulimit -u)", shared.name);
                *lock(&shared.last_error) = Some(message);
                None
            }
        };
        Lane { shared, queue, ended }
    }
}

/// The life of a sink's thread: until the queue is closed and empty.
fn run(mut sink: Box<dyn Sink>, windows: &Receiver<Published>, shared: &Shared) {
    while let Ok(published) = windows.recv() {
        match guarded(|| sink.publish(&published)) {
            Ok(()) => {
                shared.failing.store(false, Ordering::Relaxed);
                shared.published.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                *lock(&shared.last_error) = Some(error.to_string());
                shared.failing.store(true, Ordering::Relaxed);
                shared.failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    if let Err(error) = guarded(|| sink.close()) {
        *lock(&shared.last_error) = Some(error.to_string());
    }
    // A sink's destructor is its own code as well.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(sink)));
}

/// Runs a sink's code. What a sink holds after a panic is its own business: it is only handed back to itself.
fn guarded(call: impl FnOnce() -> Result<(), SinkError>) -> Result<(), SinkError> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|payload| {
        let what = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(|s| &**s));
        Err(SinkError::new(format!("the sink panicked: {}", what.unwrap_or("no message"))))
    })
}

impl Shared {
    fn stats(&self) -> SinkStats {
        // What became of windows before how many were offered: the difference is never below 0.
        let published = self.published.load(Ordering::Relaxed);
        let failed = self.failed.load(Ordering::Relaxed);
        let dropped = self.dropped.load(Ordering::Relaxed);
        let offered = self.offered.load(Ordering::Relaxed);
        SinkStats {
            name: self.name.clone(),
            published,
            failed,
            dropped,
            queued: offered.saturating_sub(published + failed + dropped),
            failing: self.failing.load(Ordering::Relaxed),
            last_error: lock(&self.last_error).clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};
    use std::time::Duration;

    use super::*;
    use crate::sink::samples::Source;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    struct Probe<F> {
        name: &'static str,
        publish: F,
        closed: Sender<()>,
    }

    impl<F: FnMut(u64) -> Result<(), SinkError> + Send> Sink for Probe<F> {
        fn name(&self) -> &str {
            self.name
        }

        fn publish(&mut self, published: &Published) -> Result<(), SinkError> {
            (self.publish)(published.snapshot.window)
        }

        fn close(&mut self) -> Result<(), SinkError> {
            let _ = self.closed.send(());
            Ok(())
        }
    }

    fn windows(count: usize) -> Vec<Published> {
        let mut source = Source::default();
        (0..count).map(|_| Published { snapshot: source.close(), anomalies: Arc::new([]) }).collect()
    }

    #[test]
    fn all_windows_arrive_in_order_on_a_named_thread() {
        let (seen, got) = channel();
        let (closed, was_closed) = channel();
        let publish = move |window| {
            seen.send((window, thread::current().name().map(str::to_owned))).unwrap();
            Ok(())
        };
        let fan_out = FanOut::start(vec![Box::new(Probe { name: "probe", publish, closed })]);
        for window in windows(10) {
            fan_out.offer(&window);
        }
        let stats = fan_out.close(soon());
        let name = Some("afferent-sink-probe".to_owned());
        assert_eq!(got.iter().collect::<Vec<_>>(), (1..=10).map(|window| (window, name.clone())).collect::<Vec<_>>());
        assert!(was_closed.recv().is_ok());
        assert_eq!(stats, [SinkStats { name: "probe".into(), published: 10, ..SinkStats::default() }]);
    }

    #[test]
    fn one_that_hangs_delays_nobody_and_its_losses_are_counted() {
        let (release, held) = channel::<()>();
        let (entered, is_in) = channel();
        let hang = move |_| {
            let _ = entered.send(());
            let _ = held.recv();
            Ok(())
        };
        let (seen, got) = channel();
        let work = move |window| {
            seen.send(window).unwrap();
            Ok(())
        };
        let (closed, _closed) = channel();
        let fan_out = FanOut::start(vec![
            Box::new(Probe { name: "hangs", publish: hang, closed: closed.clone() }),
            Box::new(Probe { name: "works", publish: work, closed }),
        ]);
        let all = windows(1 + QUEUE + 5);
        fan_out.offer(&all[0]);
        is_in.recv().unwrap();
        for (at, window) in all.iter().enumerate().skip(1) {
            fan_out.offer(window);
            // Lets the one that works keep pace, so that only the other's queue fills.
            while got.recv().unwrap() < at as u64 {}
        }
        let stats = fan_out.close(Instant::now() + Duration::from_millis(50));
        assert_eq!((stats[0].dropped, stats[0].queued, stats[0].published), (5, 1 + QUEUE as u64, 0));
        assert!(stats[0].last_error.as_ref().unwrap().contains("left behind"));
        assert_eq!(stats[1].dropped, 0);
        drop(release);
    }

    #[test]
    fn errors_and_panics_are_counted_and_the_next_window_is_taken() {
        let publish = |window| match window {
            1 => Err(SinkError::new("disk full")),
            2 => panic!("sink bug {window}"),
            _ => Ok(()),
        };
        let (closed, was_closed) = channel();
        let fan_out = FanOut::start(vec![Box::new(Probe { name: "probe", publish, closed })]);
        for window in windows(3) {
            fan_out.offer(&window);
        }
        let stats = fan_out.close(soon());
        assert_eq!((stats[0].published, stats[0].failed), (1, 2));
        assert_eq!(stats[0].last_error.as_deref(), Some("the sink panicked: sink bug 2"));
        assert!(was_closed.recv().is_ok());
    }
}
