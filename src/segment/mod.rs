//! Segment files: the history an engine leaves behind, in the format AFS1 (`docs/format/segment.md`).
//!
//! The store writes one commit a window: rows of every series that was touched, distributions, anomalies and the
//! account, in blocks that each carry their own checksum. A file belongs to one process life and is never changed by
//! another. Whatever happens to the process, everything up to the last commit stays readable; whatever happens to a
//! block costs that block only.
//!
//! Reading is public: [`Directory`] and [`Segment`] iterate blocks and report damage as they meet it, [`verify`] says
//! whether every byte is sound, [`inspect`] what is there. [`crate::query`] asks for series, ranges and quantiles.
//!
//! **Errors.** Opening something that is no segment is an error; damage *inside* a segment never is: it comes as a
//! [`Damage`] beside everything that could be read.
//!
//! **Cost.** A reader holds one block (at most 1 MiB) at a time and takes time linear in the length of the file.

mod config;
mod damage;
mod decode;
mod directory;
mod encode;
#[cfg(any(test, fuzzing))]
mod fixture;
mod format;
mod inspect;
#[cfg(any(test, fuzzing))]
pub(crate) mod memory;
mod reader;
mod recover;
mod rows;
#[cfg(any(test, fuzzing))]
mod scan;
mod storage;
mod store;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod text;
mod verify;
mod writer;

pub use damage::{Damage, DamageKind, OpenError};
pub(crate) use damage::{Damages, write_damages};
pub use directory::Directory;
pub use inspect::{FileInspect, InspectReport, LedgerReport, RunInspect, SeriesInspect, inspect};
pub use reader::{Block, Blocks, Segment};
pub use rows::{EventRow, HistRow, HistRows, LedgerRow, RecoveryRow, Rows, ScalarRow, SeriesEntry, VerdictRow};
pub use verify::{FileVerify, VerifyReport, verify};

#[cfg(feature = "full")]
pub(crate) use verify::verify_with;

pub(crate) use config::{StoreConfig, StoreError};
pub(crate) use store::Store;

#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub use scan::{fuzz_segment, scan_image};

/// A moment on both clocks, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Since the Unix epoch.
    pub(crate) real_ns: i64,
    /// On the monotonic clock.
    pub(crate) mono_ns: i64,
}

/// The state a file's writer left it in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum State {
    /// Created, nothing committed yet.
    New,
    /// Being written, or left by a process that was killed.
    Online,
    /// Closed in order.
    Clean,
    /// Given up by its writer after a write or sync failed.
    Tainted,
    /// A state this reader does not know.
    Unknown,
}

impl State {
    pub(crate) const fn code(self) -> u32 {
        match self {
            State::New => 1,
            State::Online => 2,
            State::Clean => 3,
            State::Tainted => 4,
            State::Unknown => 0,
        }
    }

    pub(crate) const fn from_code(code: u32) -> State {
        match code {
            1 => State::New,
            2 => State::Online,
            3 => State::Clean,
            4 => State::Tainted,
            _ => State::Unknown,
        }
    }

    /// The name used in JSON and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            State::New => "new",
            State::Online => "online",
            State::Clean => "clean",
            State::Tainted => "tainted",
            State::Unknown => "unknown",
        }
    }
}
