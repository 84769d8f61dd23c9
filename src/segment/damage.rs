//! What can be wrong with a file, and where.

use std::fmt;
use std::io;
use std::path::PathBuf;

use serde::Serialize;

use super::text;

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
    /// The file is a copy of one that was read already, and was left out. No damage to what it holds.
    Duplicate,
}

/// A damaged place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// The file.
    #[serde(serialize_with = "text::lossy_path")]
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
        write!(out, "{}: ", text::path(&self.file))?;
        if let Some(block) = self.block {
            write!(out, "block {block} ")?;
        }
        write!(out, "at offset {} ({} bytes): {}", self.offset, self.bytes, text::printable(&self.reason))
    }
}

/// Damages of a report: the first [`DAMAGES`] of them, and how many there are. A file can be damaged in hundreds of
/// thousands of places, and a reader of any file must not need memory for all of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Damages {
    kept: Vec<Damage>,
    total: u64,
    duplicates: u64,
}

/// How many damages a report holds at most.
pub(crate) const DAMAGES: usize = 1_000;

impl Damages {
    pub(crate) fn push(&mut self, damage: Damage) {
        self.total += 1;
        self.duplicates += u64::from(damage.kind == DamageKind::Duplicate);
        if self.kept.len() < DAMAGES {
            self.kept.push(damage);
        }
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Whether something is not intact.
    pub(crate) fn any_real(&self) -> bool {
        self.total > self.duplicates
    }

    pub(crate) fn into_kept(self) -> Vec<Damage> {
        self.kept
    }
}

impl Extend<Damage> for Damages {
    fn extend<I: IntoIterator<Item = Damage>>(&mut self, damages: I) {
        damages.into_iter().for_each(|damage| self.push(damage));
    }
}

/// The lines of a report's text about damage.
pub(crate) fn write_damages(out: &mut impl fmt::Write, kept: &[Damage], total: u64) -> fmt::Result {
    for damage in kept {
        writeln!(out, "damage: {damage}")?;
    }
    let more = total.saturating_sub(kept.len() as u64);
    if more > 0 {
        writeln!(out, "and {}", text::counted(more, "more damaged place", "more damaged places"))?;
    }
    Ok(())
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
            OpenError::Io { path, source } => write!(out, "cannot open {}: {source}", text::path(path)),
            OpenError::NotASegment { path, reason } => {
                write!(out, "{} is not a segment file: {reason}", text::path(path))
            }
            OpenError::Incompatible { path, reason } => write!(out, "{} cannot be read: {reason}", text::path(path)),
            OpenError::Empty { path } => write!(
                out,
                "{} holds no segment files: name a .seg file, or the directory an engine writes its segments to",
                text::path(path)
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
