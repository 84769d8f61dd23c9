//! What can be wrong with a file, and where.

use std::fmt;
use std::io;
use std::path::PathBuf;

use serde::Serialize;

/// What is wrong at a place of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DamageKind {
    /// The file header or the description that follows it. A copy is used, where one is intact.
    Header,
    /// A commit slot. The other one is used.
    Slot,
    /// A block's header; everything up to the next intact block is lost.
    BlockHeader,
    /// A block's body; that block is lost.
    BlockBody,
    /// The file ends before its last commit.
    Truncated,
    /// A block has a valid checksum and cannot be understood.
    Malformed,
    /// The disk could not read this place.
    Unreadable,
    /// The file as a whole could not be opened or is no segment.
    File,
}

/// A damaged place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// Number of the (first) block it hit, counted from 0; `None` outside of blocks.
    pub block: Option<u64>,
    /// Offset in the file.
    pub offset: u64,
    /// How many bytes cannot be used because of it.
    pub bytes: u64,
    /// What is wrong.
    pub kind: DamageKind,
    /// What is wrong, in words.
    pub reason: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: ", self.file.display())?;
        if let Some(block) = self.block {
            write!(out, "block {block} ")?;
        }
        write!(out, "at offset {} ({} bytes): {}", self.offset, self.bytes, self.reason)
    }
}

/// Why a path could not be opened as a segment or a directory of segments.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The file system refused. Check that the path exists and may be read.
    Io {
        /// What was opened.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is no segment, or neither its header nor a copy of it is intact.
    NotASegment {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file is of a version or uses features that this reader does not know.
    Incompatible {
        /// The file.
        path: PathBuf,
        /// Which, and what to change.
        reason: String,
    },
    /// The directory holds no segment. Point at the directory an engine was given for its segments.
    Empty {
        /// The directory.
        path: PathBuf,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Io { path, source } => write!(out, "cannot open {}: {source}", path.display()),
            OpenError::NotASegment { path, reason } => {
                write!(out, "{} is not a segment file: {reason}", path.display())
            }
            OpenError::Incompatible { path, reason } => write!(out, "{} cannot be read: {reason}", path.display()),
            OpenError::Empty { path } => write!(
                out,
                "{} holds no segment files: name a .seg file, or the directory an engine writes its segments to",
                path.display()
            ),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            OpenError::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
