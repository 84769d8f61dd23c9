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
use super::{Moment, State, text};

pub(crate) const LEFT: u8 = 1;
pub(crate) const QUARANTINED: u8 = 2;
pub(crate) const GIVEN_UP: u8 = 3;

/// Sequence numbers above this are not ours, and counting on from one could overflow.
const MAX_SEQ: u64 = 1 << 48;

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

/// The number of the next file, by the names of those that are there.
pub(crate) fn next_seq(disk: &dyn Disk) -> u64 {
    let listed = disk.list().unwrap_or_default();
    let numbers = listed.iter().filter_map(|file| parse_name(&file.name)).map(|(seq, _)| seq);
    numbers.filter(|&seq| seq < MAX_SEQ).max().map_or(1, |seq| seq + 1)
}

/// Looks at a stream's directory, before anything is written to it. Takes the time to read the files that were not
/// closed, of each at most `scan_bytes`, and at most those since the last start that wrote anything: earlier ones were
/// reported then.
pub(crate) fn recover(disk: &dyn Disk, scan_bytes: u64, now: Moment) -> Vec<RecoveryRow> {
    let mut rows = Vec::new();
    let listed = disk.list().unwrap_or_default();
    for file in listed.iter().filter(|file| file.regular && file.name.starts_with("tmp.")) {
        // A file that was being built. Where it cannot be removed it is in nobody's way.
        let _ = disk.remove(&file.name);
    }
    for file in listed.iter().rev().filter(|file| is_segment_name(&file.name) && !file.name.starts_with("tmp.")) {
        let (row, has_commits) = judge(disk, &file.name, scan_bytes, now);
        rows.extend(row);
        if has_commits {
            break;
        }
    }
    rows.reverse();
    rows
}

/// What to say about a file, if anything, and whether it holds commits.
fn judge(disk: &dyn Disk, name: &str, scan_bytes: u64, now: Moment) -> (Option<RecoveryRow>, bool) {
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
    for block in segment.blocks_within(scan_bytes) {
        match block {
            Ok(_) => blocks += 1,
            Err(_) => damages += 1,
        }
    }
    // Space behind its end that its writer had reserved. What is left of it is only less room for others.
    let _ = disk.release_reserve(name);
    let mut reason = match (segment.state(), damages) {
        (State::Clean, _) => format!("closed in order, but {damages} places are damaged"),
        (State::Tainted, 0) => {
            "given up by its writer after an error; everything up to its last commit is intact".into()
        }
        (State::Tainted, _) => format!("given up by its writer after an error; {damages} places are damaged"),
        (_, 0) => "its process ended without closing it; everything up to its last commit is intact".into(),
        (_, _) => format!("its process ended without closing it; {damages} places are damaged"),
    };
    if segment.committed() > scan_bytes {
        reason.push_str(&format!("; not scanned further than {}", text::bytes(scan_bytes)));
    }
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
