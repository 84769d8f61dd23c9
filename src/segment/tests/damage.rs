//! Truncation, flipped bits, moved and foreign blocks: what is lost is what was hit, and nothing wrong is returned.

use proptest::prelude::*;

use super::*;
use crate::segment::damage::Damages;
use crate::segment::format::DATA_OFF;
use crate::segment::scan::{compare, forge, scan_image};
use crate::segment::verify::verify_segment;

/// Offset and length of every block of an intact image.
fn blocks_of(image: &[u8]) -> Vec<(usize, usize)> {
    let segment = Segment::from_source(Box::new(image.to_vec()), Path::new("image.seg")).unwrap();
    segment.blocks().map(Result::unwrap).map(|block| (block.offset() as usize, block.bytes() as usize)).collect()
}

fn is_sound(image: &[u8]) -> bool {
    Segment::from_source(Box::new(image.to_vec()), Path::new("image.seg"))
        .is_ok_and(|segment| verify_segment(&segment, &mut Damages::default()).sound)
}

/// Every row read is one that was written, under the number it was written under.
fn assert_subset(read: &BTreeMap<u64, Rows>, written: &BTreeMap<u64, Rows>) {
    for (number, rows) in read {
        assert_eq!(Some(rows), written.get(number), "block {number}");
    }
}

#[test]
fn truncation_at_every_byte_returns_exactly_the_complete_blocks() {
    let image = small_file(3);
    let (written, damages) = read_image(&image).unwrap();
    assert!(damages.is_empty() && is_sound(&image));
    let ends: Vec<usize> = blocks_of(&image).iter().map(|(offset, len)| offset + len).collect();
    for len in 0..image.len() {
        let cut = &image[..len];
        let Some((read, damages)) = read_image(cut) else {
            assert!(len < 256, "a file of {len} bytes has an intact header");
            continue;
        };
        let complete = ends.iter().filter(|&&end| end <= len).count();
        assert_eq!(read.len(), complete, "cut at {len}");
        assert_subset(&read, &written);
        assert!(!damages.is_empty() && !is_sound(cut), "cut at {len}");
    }
}

#[test]
fn every_flipped_bit_is_named_and_costs_one_block() {
    let mut image = small_file(2);
    let (written, _) = read_image(&image).unwrap();
    let blocks = blocks_of(&image);
    for at in 0..image.len() {
        let hit = blocks.iter().position(|&(offset, len)| (offset..offset + len).contains(&at));
        for bit in 0..8 {
            image[at] ^= 1 << bit;
            let (read, damages) = read_image(&image).expect("one of three headers is intact");
            assert_subset(&read, &written);
            let lost = usize::from(hit.is_some());
            assert_eq!(read.len(), written.len() - lost, "bit {bit} of byte {at}");
            assert!(!damages.is_empty(), "bit {bit} of byte {at} was not noticed");
            if let Some(hit) = hit {
                let (offset, len) = blocks[hit];
                let damage = &damages[0];
                assert_eq!((damages.len(), damage.block), (1, Some(hit as u64)), "bit {bit} of byte {at}");
                assert_eq!((damage.offset, damage.bytes), (offset as u64, len as u64));
            } else {
                assert!(damages.iter().all(|damage| damage.block.is_none() && damage.offset < DATA_OFF));
            }
            image[at] ^= 1 << bit;
        }
    }
}

#[test]
fn what_lies_behind_the_last_commit_is_irrelevant() {
    let image = small_file(2);
    let (written, _) = read_image(&image).unwrap();
    let (offset, len) = blocks_of(&image)[1];
    // An old block, as an overwritten or aborted commit leaves one, and noise.
    for tail in [&image[offset..offset + len], &[0xA5; 777][..], &[0; 4_096][..]] {
        let mut longer = image.clone();
        longer.extend_from_slice(tail);
        let (read, damages) = read_image(&longer).unwrap();
        assert_eq!(read, written);
        assert!(damages.is_empty() && is_sound(&longer));
        scan_image(&longer);
    }
}

#[test]
fn a_slot_too_many_lost_is_reported_and_blocks_are_still_found() {
    let image = small_file(3);
    let (written, _) = read_image(&image).unwrap();
    for slots in [&[4_096_usize][..], &[8_192], &[4_096, 8_192]] {
        let mut broken = image.clone();
        for &slot in slots {
            broken[slot..slot + 128].fill(0xFF);
        }
        let (read, damages) = read_image(&broken).unwrap();
        assert_eq!(read, written, "slots at {slots:?}");
        assert_eq!(damages.len(), slots.len());
        assert!(damages[0].reason.contains("commit slot"), "{}", damages[0]);
    }
}

#[test]
fn moved_and_foreign_blocks_are_not_taken() {
    let image = small_file(4);
    let other = small_file(4);
    let (written, _) = read_image(&image).unwrap();
    let blocks = blocks_of(&image);
    for (from, &(from_at, from_len)) in blocks.iter().enumerate() {
        for (to, &(to_at, to_len)) in blocks.iter().enumerate() {
            if from_len != to_len {
                continue;
            }
            // A block of another file in its place; the same place and number, but not this file's.
            let mut spliced = image.clone();
            spliced[to_at..to_at + to_len].copy_from_slice(&other[from_at..from_at + from_len]);
            let (read, damages) = read_image(&spliced).unwrap();
            assert_subset(&read, &written);
            assert_eq!((read.len(), damages.len()), (written.len() - 1, 1), "{from} of another file at {to}");
            if from != to {
                let mut moved = image.clone();
                moved[to_at..to_at + to_len].copy_from_slice(&image[from_at..from_at + from_len]);
                let (read, damages) = read_image(&moved).unwrap();
                assert_subset(&read, &written);
                assert_eq!((read.len(), damages.len()), (written.len() - 1, 1), "{from} moved to {to}");
            }
        }
    }
}

#[test]
fn a_wiped_page_costs_the_blocks_on_it() {
    let image = small_file(12);
    let (written, _) = read_image(&image).unwrap();
    let blocks = blocks_of(&image);
    for page in (DATA_OFF as usize..image.len()).step_by(4_096) {
        let end = (page + 4_096).min(image.len());
        let mut wiped = image.clone();
        wiped[page..end].fill(0);
        let (read, damages) = read_image(&wiped).unwrap();
        assert_subset(&read, &written);
        let hit = blocks.iter().filter(|&&(offset, len)| offset < end && offset + len > page).count();
        assert!(read.len() >= written.len() - hit && !damages.is_empty());
        assert!(damages.iter().map(|damage| damage.bytes).sum::<u64>() >= (end - page) as u64);
    }
}

#[test]
fn versions_and_flags_from_the_future_are_refused_by_name() {
    let image = small_file(1);
    for (at, value, word) in [(16, 2, "version 2.0"), (24, 4, "incompat bits 0x4")] {
        let mut future = image.clone();
        for base in [0, 4_096 + 128, 8_192 + 128] {
            future[base + at] = value;
            let crc = crate::segment::format::crc(&future[base..base + 248]);
            future[base + 248..base + 252].copy_from_slice(&crc.to_le_bytes());
        }
        let error = Segment::from_source(Box::new(future), Path::new("image.seg")).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    }
}

/// A reader of 1.0 reads a file of 1.9 with a kind and a column it does not know.
#[test]
fn unknown_kinds_are_skipped() {
    let mut image = small_file(1);
    let (written, _) = read_image(&image).unwrap();
    let (offset, _) = blocks_of(&image)[1];
    image[offset + 4] = 200;
    let crc = crate::segment::format::crc(&image[offset..offset + 60]);
    image[offset + 60..offset + 64].copy_from_slice(&crc.to_le_bytes());
    let (read, damages) = read_image(&image).unwrap();
    assert!(damages.is_empty());
    assert_eq!((read.len(), &read[&1]), (written.len(), &Rows::Unknown));
}

/// P6 without slots: a bad block costs that block only, even where nothing says how far the file is committed.
#[test]
fn a_bad_block_costs_one_block_even_without_slots() {
    let image = small_file(4);
    let (written, _) = read_image(&image).unwrap();
    let blocks = blocks_of(&image);
    for slots in [&[8_192_usize][..], &[4_096], &[4_096, 8_192]] {
        for (number, &(offset, _)) in blocks.iter().enumerate() {
            // The header's magic, and the body.
            for at in [0, 70] {
                let mut broken = image.clone();
                for &slot in slots {
                    broken[slot..slot + 128].fill(0xFF);
                }
                broken[offset + at] ^= 1;
                let (read, damages) = read_image(&broken).unwrap();
                assert_subset(&read, &written);
                assert_eq!(read.len(), written.len() - 1, "block {number}, byte {at}, slots {slots:?}");
                let last_header = number + 1 == blocks.len() && at == 0;
                let named = damages.iter().filter(|damage| damage.block == Some(number as u64)).count();
                assert!(named == 1 || last_header, "block {number}, byte {at}, slots {slots:?}: {damages:?}");
                scan_image(&broken);
            }
        }
    }
}

/// A minor version may bring units, kinds of series, kinds of blocks and their codecs.
#[test]
fn what_a_later_minor_version_adds_costs_no_row() {
    let image = small_file(1);
    let blocks = blocks_of(&image);
    let dict = blocks[0].0;
    let body = &image[dict + 64..dict + blocks[0].1];
    let column = |number: u16| {
        let entry = body.chunks_exact(16).find(|entry| entry[..2] == number.to_le_bytes()).unwrap();
        dict + 64 + u32::from_le_bytes(entry[4..8].try_into().unwrap()) as usize
    };
    let mut later = image.clone();
    later[column(2)] = 9;
    later[column(3) + 1] = 9;
    // The second block: of an unknown kind, in a codec to come.
    later[blocks[1].0 + 4] = 200;
    later[blocks[1].0 + 30] = 1;
    forge(&mut later, &blocks);
    let (read, damages) = read_image(&later).unwrap();
    assert!(damages.is_empty(), "{damages:?}");
    assert_eq!(read[&1], Rows::Unknown);
    let Rows::Dict(entries) = &read[&0] else { panic!("{read:?}") };
    assert_eq!((entries[0].kind, entries[1].kind, entries[1].unit), (None, Some(Kind::Gauge), Unit::None));
    assert_eq!(entries.len(), 3);
}

/// An image with both slots saying that so much is committed.
fn with_committed(mut image: Vec<u8>, committed: u64) -> Vec<u8> {
    for slot in [4_096, 8_192] {
        image[slot + 8..slot + 16].copy_from_slice(&committed.to_le_bytes());
        let crc = crate::segment::format::crc(&image[slot..slot + 124]);
        image[slot + 124..slot + 128].copy_from_slice(&crc.to_le_bytes());
    }
    image
}

fn directory_of(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    dir
}

#[test]
fn numbers_from_a_forged_slot_overflow_nothing() {
    let huge = u64::MAX - 63;
    let (a, b) = (with_committed(small_file(1), huge), with_committed(small_file(1), huge));
    let dir = directory_of(&[("a.seg", &a), ("b.seg", &b)]);
    let report = crate::segment::verify(dir.path()).unwrap();
    assert!(!report.sound && report.bytes == (a.len() + b.len()) as u64, "{report}");
    let report = crate::segment::inspect(dir.path()).unwrap();
    assert_eq!(report.bytes, (a.len() + b.len()) as u64);
}

/// However much is damaged, a report holds so many places at most, and says how many there are.
#[test]
fn reports_hold_a_thousand_damages() {
    let image = small_file(500);
    let mut broken = image.clone();
    let blocks = blocks_of(&image);
    for &(offset, _) in &blocks {
        broken[offset + 70] ^= 1;
    }
    assert!(blocks.len() > 1_200);
    let dir = directory_of(&[("a.seg", &broken)]);
    let report = crate::segment::verify(dir.path()).unwrap();
    assert_eq!((report.damages.len(), report.damages_total), (1_000, blocks.len() as u64));
    assert!(report.to_string().contains("more damaged places"), "{}", report.to_string().lines().last().unwrap());
    let report = crate::segment::inspect(dir.path()).unwrap();
    assert_eq!((report.damages.len(), report.damages_total), (1_000, blocks.len() as u64));
    let directory = crate::segment::Directory::open(dir.path()).unwrap();
    let answer = crate::query::evaluate(&directory, &crate::query::Query { ledger: true, ..Default::default() });
    assert_eq!((answer.damages.len(), answer.damages_total), (1_000, blocks.len() as u64));
}

#[test]
fn a_copy_of_a_segment_counts_once() {
    let image = small_file(3);
    let dir = directory_of(&[("a.seg", &image), ("a copy.seg", &image)]);
    let report = crate::segment::verify(dir.path()).unwrap();
    assert!(report.sound && report.files.len() == 1, "{report}");
    assert!(report.damages_total == 1 && report.damages[0].reason.contains("a copy of"), "{report}");
    let report = crate::segment::inspect(dir.path()).unwrap();
    assert_eq!((report.files.len(), report.damages.len(), report.rows["LEDGER"]), (1, 1, 3));
}

#[test]
fn names_that_are_no_text_are_reported_and_cannot_steer_a_terminal() {
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().unwrap();
    let mut image = small_file(1);
    std::fs::write(dir.path().join("sound.seg"), small_file(1)).unwrap();
    image[12_288 + 70] ^= 1;
    let name = std::ffi::OsStr::from_bytes(b"\xFF\x1b[31m.seg");
    std::fs::write(dir.path().join(name), &image).unwrap();
    std::fs::write(dir.path().join(std::ffi::OsStr::from_bytes(b"\xFE\x1b[0m.seg")), b"none").unwrap();
    let verified = crate::segment::verify(dir.path()).unwrap();
    let inspected = crate::segment::inspect(dir.path()).unwrap();
    let directory = crate::segment::Directory::open(dir.path()).unwrap();
    let answer = crate::query::evaluate(&directory, &crate::query::Query { ledger: true, ..Default::default() });
    assert_eq!((verified.damages.len(), inspected.damages.len(), answer.damages.len()), (2, 2, 2));
    for json in [
        serde_json::to_string(&verified).unwrap(),
        serde_json::to_string(&inspected).unwrap(),
        serde_json::to_string(&answer).unwrap(),
    ] {
        assert!(json.contains("\u{FFFD}"), "{json}");
    }
    let missing = crate::segment::inspect("/no/\u{1b}[31m").unwrap_err();
    for text in [verified.to_string(), inspected.to_string(), answer.render(&[]), missing.to_string()] {
        assert!(!text.contains('\u{1b}') && text.contains("[31m"), "{text:?}");
    }
}

#[test]
fn a_path_where_nothing_is_a_segment_is_an_error() {
    let dir = directory_of(&[("a.csv", b"timestamp,value\n1,2\n"), ("b.seg", b""), ("c.seg", &vec![7; 20_000])]);
    for path in [dir.path().join("a.csv"), dir.path().join("b.seg"), dir.path().to_owned()] {
        for error in [
            crate::segment::verify(&path).err(),
            crate::segment::inspect(&path).err(),
            crate::segment::Directory::open(&path).err(),
        ] {
            assert!(error.unwrap().to_string().contains("is not a segment file"));
        }
    }
}

/// The last field of the header lies outside of its checksum: where it is hit the header is named, not the copies.
#[test]
fn a_hit_checksum_of_the_description_names_the_header() {
    let image = small_file(1);
    for at in 252..256 {
        let mut broken = image.clone();
        broken[at] ^= 8;
        let (_, damages) = read_image(&broken).unwrap();
        assert_eq!((damages.len(), damages[0].kind), (1, crate::segment::DamageKind::Header), "{damages:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn any_damage_is_survived(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
        cut in any::<prop::sample::Index>(), shorten in any::<bool>(), lie in any::<bool>(),
    ) {
        let mut image = small_file(2);
        let intact = image.clone();
        let blocks = blocks_of(&image);
        let (written, _) = read_image(&image).unwrap();
        for (at, value) in edits {
            let at = at.index(image.len());
            image[at] = value;
        }
        if lie {
            // Forged: rows may be anything now, but reading must stay within bounds.
            forge(&mut image, &blocks);
        } else {
            compare(&intact, &image);
            if let Some((read, _)) = read_image(&image) {
                assert_subset(&read, &written);
            }
        }
        if shorten {
            image.truncate(cut.index(image.len()));
        }
        scan_image(&image);
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..20_000)) {
        scan_image(&bytes);
    }
}
