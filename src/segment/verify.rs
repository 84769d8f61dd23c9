//! Whether every byte up to the last commit is sound.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::State;
use super::damage::{Damage, Damages, OpenError, write_damages};
use super::directory::Directory;
use super::reader::Segment;
use super::text;

/// What [`verify`] found.
#[derive(Clone, Debug, Serialize)]
pub struct VerifyReport {
    /// The path that was verified.
    #[serde(serialize_with = "text::lossy_path")]
    pub path: PathBuf,
    /// Whether every byte up to the last commit of every file is intact. A file whose process was killed is sound up
    /// to its last commit.
    pub sound: bool,
    /// Whether the account closes at the last commit of every file.
    pub ledger_closes: bool,
    /// The files.
    pub files: Vec<FileVerify>,
    /// Intact blocks.
    pub blocks: u64,
    /// Rows in intact blocks, of all kinds.
    pub rows: u64,
    /// Bytes up to the last commits.
    pub bytes: u64,
    /// What is not intact, the first 1,000 of it, and copies of files, which were left out.
    pub damages: Vec<Damage>,
    /// How many damages there are.
    pub damages_total: u64,
}

/// What [`verify`] found in one file.
#[derive(Clone, Debug, Serialize)]
pub struct FileVerify {
    /// The file.
    #[serde(serialize_with = "text::lossy_path")]
    pub file: PathBuf,
    /// The state its writer left it in.
    pub state: State,
    /// Whether every byte up to the last commit is intact.
    pub sound: bool,
    /// Intact blocks.
    pub blocks: u64,
    /// Rows in intact blocks.
    pub rows: u64,
    /// Offset of the last commit.
    pub committed: u64,
    /// Offset up to which everything was synced to the disk.
    pub durable: u64,
    /// Bytes behind the last commit: a commit that was under way. They belong to nothing.
    pub uncommitted_bytes: u64,
    /// Damaged bytes above the last sync, as a power cut leaves them.
    pub lost_tail_bytes: u64,
    /// Damaged places.
    pub damages: u64,
    /// Whether the account closes at the last commit; `None` where there is none.
    pub ledger_closes: Option<bool>,
}

/// Checks every byte up to the last commit of every file beneath a path.
///
/// Reads everything once; takes about one block of memory.
///
/// # Errors
/// If the path cannot be read or holds no segments. Damage is no error: it is in the report.
pub fn verify(path: impl AsRef<Path>) -> Result<VerifyReport, OpenError> {
    verify_with(path, |_, _| {})
}

/// Like [`verify`], telling after each file how many of how many are done.
pub(crate) fn verify_with(
    path: impl AsRef<Path>,
    mut progress: impl FnMut(usize, usize),
) -> Result<VerifyReport, OpenError> {
    let directory = Directory::open(path)?;
    let mut report = VerifyReport {
        path: directory.path().to_owned(),
        sound: true,
        ledger_closes: true,
        files: Vec::new(),
        blocks: 0,
        rows: 0,
        bytes: 0,
        damages: Vec::new(),
        damages_total: 0,
    };
    let mut damages = Damages::default();
    for (done, segment) in directory.segments().enumerate() {
        match segment {
            Ok(segment) => {
                let file = verify_segment(&segment, &mut damages);
                report.blocks = report.blocks.saturating_add(file.blocks);
                report.rows = report.rows.saturating_add(file.rows);
                report.bytes = report.bytes.saturating_add(segment.committed_bytes());
                report.ledger_closes &= file.ledger_closes != Some(false);
                report.files.push(file);
            }
            Err(damage) => damages.push(damage),
        }
        progress(done + 1, directory.files().len());
    }
    report.sound = !damages.any_real();
    report.damages_total = damages.total();
    report.damages = damages.into_kept();
    Ok(report)
}

/// Checks one open file.
pub(crate) fn verify_segment(segment: &Segment, damages: &mut Damages) -> FileVerify {
    let before = damages.total();
    damages.extend(segment.damages().iter().cloned());
    let durable = segment.durable();
    let (mut blocks, mut rows, mut tail) = (0, 0, 0_u64);
    for block in segment.blocks() {
        match block.and_then(|block| block.rows_in(segment).map(|_| block)) {
            Ok(block) => {
                blocks += 1;
                rows += u64::from(block.row_count());
            }
            Err(damage) => {
                if damage.offset >= durable {
                    tail = tail.saturating_add(damage.bytes);
                }
                damages.push(damage);
            }
        }
    }
    let clean = segment.state() == State::Clean;
    let damaged = damages.total() - before;
    FileVerify {
        file: segment.path().to_owned(),
        state: segment.state(),
        sound: damaged == 0,
        blocks,
        rows,
        committed: segment.committed(),
        durable,
        uncommitted_bytes: segment.file_len().saturating_sub(segment.committed()),
        lost_tail_bytes: if clean { 0 } else { tail },
        damages: damaged,
        ledger_closes: segment.last_account().map(|(_, _, closes)| closes),
    }
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for file in &self.files {
            let what = match (file.sound, file.state) {
                (true, State::Clean) => "sound".to_owned(),
                (true, State::Tainted) => {
                    "sound up to its last commit; given up by its writer after an error".to_owned()
                }
                (true, _) => "sound up to its last commit; not closed (running, or its process was killed)".to_owned(),
                (false, _) if file.lost_tail_bytes > 0 => format!(
                    "DAMAGED in {} places, {} of it above the last sync, as a power cut leaves it",
                    file.damages,
                    text::bytes(file.lost_tail_bytes)
                ),
                (false, _) => format!("DAMAGED in {} places", file.damages),
            };
            writeln!(out, "{}: {what}", text::path(&file.file))?;
            write!(
                out,
                "  {}, {}, committed to offset {}",
                text::counted(file.blocks, "block", "blocks"),
                text::counted(file.rows, "row", "rows"),
                file.committed
            )?;
            if file.uncommitted_bytes > 0 {
                write!(out, ", {} uncommitted behind it", text::bytes(file.uncommitted_bytes))?;
            }
            match file.ledger_closes {
                Some(true) => writeln!(out, ", ledger closes")?,
                Some(false) => writeln!(out, ", ledger DOES NOT CLOSE")?,
                None => writeln!(out)?,
            }
        }
        write_damages(out, &self.damages, self.damages_total)?;
        writeln!(
            out,
            "{}: {}, {}, {}, {}",
            if self.sound { "sound" } else { "NOT SOUND" },
            text::counted(self.files.len() as u64, "file", "files"),
            text::counted(self.blocks, "block", "blocks"),
            text::counted(self.rows, "row", "rows"),
            text::bytes(self.bytes)
        )
    }
}
