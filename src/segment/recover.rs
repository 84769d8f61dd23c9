//! What a starting engine finds: files that an earlier one did not close, and things that are no segments.
//!
//! Nothing found here keeps an engine from starting, and no segment is changed. Every judgement comes with its reason
//! and is written into the new file as a RECOVERY row.

use std::path::Path;

use super::damage::OpenError;
use super::format::DATA_OFF;
use super::reader::Segment;
use super::rows::RecoveryRow;
use super::storage::Disk;
use super::{Moment, State};

pub(crate) const LEFT: u8 = 1;
pub(crate) const QUARANTINED: u8 = 2;
pub(crate) const GIVEN_UP: u8 = 3;

/// Sequence numbers above this are not ours, and counting on from one could overflow.
const MAX_SEQ: u64 = 1 << 48;

/// What was found.
#[derive(Debug)]
pub(crate) struct RecoveredStream {
    pub(crate) rows: Vec<RecoveryRow>,
    /// The number of the next file.
    pub(crate) next_seq: u64,
}

/// Parts of a file's name as the writer makes it: sequence number and creation time. Nothing else is ever counted or
/// removed by retention.
pub(crate) fn parse_name(name: &str) -> Option<(u64, i64)> {
    let hex = |part: &str| {
        let digits = part.len() == 16 && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        u64::from_str_radix(part, 16).ok().filter(|_| digits)
    };
    let mut parts = name.strip_suffix(".seg")?.splitn(3, '-');
    let seq = hex(parts.next()?)?;
    let time = parts.next()?;
    if time.len() < 13 || !time.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    hex(parts.next()?)?;
    Some((seq, time.parse().ok()?))
}

/// Whether a file claims to be a segment.
pub(crate) fn is_segment_name(name: &str) -> bool {
    name.strip_suffix(".seg").is_some()
}

/// Looks at a stream's directory. Takes the time to read the files that were not closed, at most those since the last
/// start that wrote anything: earlier ones were reported then.
pub(crate) fn recover(disk: &dyn Disk, now: Moment) -> RecoveredStream {
    let mut rows = Vec::new();
    let mut next_seq = 1;
    let listed = disk.list().unwrap_or_default();
    for file in listed.iter().filter(|file| file.regular && file.name.starts_with("tmp.")) {
        // A file that was being built. Where it cannot be removed it is in nobody's way.
        let _ = disk.remove(&file.name);
    }
    for file in listed.iter().filter(|file| !file.name.starts_with("tmp.")) {
        if let Some((seq, _)) = parse_name(&file.name).filter(|&(seq, _)| seq < MAX_SEQ) {
            next_seq = next_seq.max(seq + 1);
        }
    }
    for file in listed.iter().rev().filter(|file| is_segment_name(&file.name) && !file.name.starts_with("tmp.")) {
        let (row, has_commits) = judge(disk, &file.name, now);
        rows.extend(row);
        if has_commits {
            break;
        }
    }
    rows.reverse();
    RecoveredStream { rows, next_seq }
}

/// What to say about a file, if anything, and whether it holds commits.
fn judge(disk: &dyn Disk, name: &str, now: Moment) -> (Option<RecoveryRow>, bool) {
    let row = |action: u8, reason: String| RecoveryRow {
        ts_ns: now.real_ns,
        file: name.to_owned(),
        state: 0,
        action,
        blocks: 0,
        damages: 0,
        committed: 0,
        last_real_ns: 0,
        recorded: 0,
        in_flight: 0,
        reason,
    };
    let opened = disk
        .open(name)
        .map_err(|source| OpenError::Io { path: name.into(), source })
        .and_then(|source| Segment::from_source(source, Path::new(name)));
    let segment = match opened {
        Ok(segment) => segment,
        Err(error @ OpenError::NotASegment { .. }) => {
            let moved = disk.rename(name, &format!("quarantine/{name}"));
            let row = match moved {
                Ok(()) => row(QUARANTINED, error.to_string()),
                Err(failed) => row(LEFT, format!("{error}; it could not be moved aside: {failed}")),
            };
            return (Some(row), false);
        }
        Err(error) => return (Some(row(LEFT, error.to_string())), false),
    };
    let has_commits = segment.committed() > DATA_OFF;
    if segment.state() == State::Clean && segment.damages().is_empty() {
        return (None, has_commits);
    }
    let (mut blocks, mut damages) = (0, segment.damages().len() as u64);
    for block in segment.blocks() {
        match block {
            Ok(_) => blocks += 1,
            Err(_) => damages += 1,
        }
    }
    // Space behind its end that its writer had reserved. What is left of it is only less room for others.
    let _ = disk.release_reserve(name);
    let reason = match (segment.state(), damages) {
        (State::Clean, _) => format!("closed in order, but {damages} places are damaged"),
        (State::Tainted, 0) => {
            "given up by its writer after an error; everything up to its last commit is intact".into()
        }
        (State::Tainted, _) => format!("given up by its writer after an error; {damages} places are damaged"),
        (_, 0) => "its process ended without closing it; everything up to its last commit is intact".into(),
        (_, _) => format!("its process ended without closing it; {damages} places are damaged"),
    };
    let mut row = row(LEFT, reason);
    row.blocks = blocks;
    row.damages = damages;
    row.committed = segment.committed();
    if let Some(slot) = segment.slot {
        row.state = slot.state;
        row.last_real_ns = slot.last_real_ns;
        row.recorded = slot.recorded;
        row.in_flight = slot.in_flight;
    }
    (Some(row), has_commits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_strictly() {
        let name = "000000000000002a-1700000000123-0123456789abcdef.seg";
        assert_eq!(parse_name(name), Some((42, 1_700_000_000_123)));
        let ours = |seq: &str, time: &str, rand: &str| format!("{seq}-{time}-{rand}.seg");
        let (seq, time, rand) = ("000000000000002a", "1700000000123", "0123456789abcdef");
        assert!(parse_name(&ours(seq, time, rand)).is_some());
        for (bad_seq, bad_time, bad_rand) in [
            ("+00000000000002a", time, rand),
            (seq, "+700000000123", rand),
            (seq, time, "0123456789ABCDEF"),
            (seq, "1", rand),
        ] {
            assert_eq!(parse_name(&ours(bad_seq, bad_time, bad_rand)), None);
        }
        for bad in ["", ".seg", "a.seg", "1-2.seg", "1-x-3.seg", "zz-1-1.seg", "1-1-1.segz", "1-1-1.seg"] {
            assert_eq!(parse_name(bad), None, "{bad}");
        }
    }
}
