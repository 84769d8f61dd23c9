//! What the store is told, what it counts, and why it refuses.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::Moment;
use crate::sync::Arc;

/// How the store behaves. [`StoreConfig::new`] gives the defaults.
#[derive(Clone)]
pub(crate) struct StoreConfig {
    /// Roll over at this size; also what is reserved for a file. 16 MiB.
    pub(crate) segment_bytes: u64,
    /// Roll over at this age. 1 h.
    pub(crate) segment_age: Duration,
    /// Make what is committed durable this often; `None` leaves it to the kernel and to the end. 5 s.
    pub(crate) sync_interval: Option<Duration>,
    /// Remove the oldest files beyond this size in all. 512 MiB.
    pub(crate) retain_bytes: u64,
    /// Remove files older than this, in recorded time: see `docs/format/segment.md`, section 2. 7 d.
    pub(crate) retain_age: Duration,
    /// Stop storing while less than this, or 2 % of the disk, is free; 0 turns both off. 64 MiB.
    pub(crate) min_free_bytes: u64,
    /// Commit by itself once this much waits. 128 KiB.
    pub(crate) batch_bytes: usize,
    /// Wall and monotonic clock.
    pub(crate) clock: Arc<dyn Fn() -> Moment + Send + Sync>,
}

impl StoreConfig {
    pub(crate) fn new(clock: Arc<dyn Fn() -> Moment + Send + Sync>) -> StoreConfig {
        StoreConfig {
            segment_bytes: 16 << 20,
            segment_age: Duration::from_hours(1),
            sync_interval: Some(Duration::from_secs(5)),
            retain_bytes: 512 << 20,
            retain_age: Duration::from_hours(168),
            min_free_bytes: 64 << 20,
            batch_bytes: 128 << 10,
            clock,
        }
    }
}

impl fmt::Debug for StoreConfig {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("StoreConfig")
            .field("segment_bytes", &self.segment_bytes)
            .field("sync_interval", &self.sync_interval)
            .finish_non_exhaustive()
    }
}

/// Why something was not stored.
#[derive(Debug)]
#[non_exhaustive]
pub(crate) enum StoreError {
    /// Another engine writes to this directory.
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// The directory cannot be used.
    Open {
        /// The directory.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no room. Storing resumes by itself.
    Full {
        /// The directory.
        dir: PathBuf,
        /// What there is too little of.
        detail: String,
    },
    /// A file could not be created, written or synced. Storing goes on in a new file.
    Write {
        /// The directory.
        dir: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Still waiting after an earlier error of this text.
    Waiting {
        /// The earlier error.
        cause: String,
    },
}

impl fmt::Display for StoreError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Locked { dir } => write!(
                out,
                "another engine writes segments to {}: give each engine a directory of its own, or stop the other one",
                dir.display()
            ),
            StoreError::Open { dir, source } => write!(
                out,
                "cannot use {} for segments: {source}; it must be a directory that this process, and no other user, may write to",
                dir.display()
            ),
            StoreError::Full { dir, detail } => write!(
                out,
                "no room for segments in {}: {detail}; storing resumes by itself once there is",
                dir.display()
            ),
            StoreError::Write { dir, action, source } => {
                write!(out, "could not {action} in {}: {source}; storing goes on in a new file", dir.display())
            }
            StoreError::Waiting { cause } => out.write_str(cause),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StoreError::Open { source, .. } | StoreError::Write { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// What became of an appended window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appended {
    /// Rows of series that were taken.
    pub(crate) rows: usize,
    /// Whether everything appended so far is committed.
    pub(crate) committed: bool,
}

/// What the store did since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct StoreCounters {
    /// Windows committed.
    pub(crate) windows: u64,
    /// Rows of series committed.
    pub(crate) rows: u64,
    /// Bytes committed.
    pub(crate) bytes: u64,
    /// Commits.
    pub(crate) commits: u64,
    /// Windows lost to a full or failing disk.
    pub(crate) windows_lost: u64,
    /// Rows of series lost to a full or failing disk.
    pub(crate) rows_lost: u64,
    /// Successful syncs.
    pub(crate) syncs: u64,
    /// Failed syncs: each cost the file its durability and ended it.
    pub(crate) sync_failures: u64,
    /// Failed attempts to create or write a file.
    pub(crate) write_failures: u64,
    /// Files created.
    pub(crate) files: u64,
    /// Files removed by retention.
    pub(crate) files_removed: u64,
}

/// What a closed store leaves behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) counters: StoreCounters,
    /// The files written, in order, as far as retention left them.
    pub(crate) files: Vec<PathBuf>,
}
