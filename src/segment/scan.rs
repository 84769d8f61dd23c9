//! The body of the fuzz target: reads any bytes as a segment file, with an oracle.

#![allow(clippy::indexing_slicing, reason = "the oracle may panic: that is how it reports")]

use std::path::Path;
use std::sync::OnceLock;

use super::damage::Damages;
use super::fixture;
use super::format::{DATA_OFF, MAX_BODY, crc};
use super::reader::Segment;
use super::verify::verify_segment;

/// Takes fuzzer input: the first byte says how to read the rest.
///
/// - 0: as a segment file;
/// - 1: as edits (offset `u16`, value `u8`) of an intact file;
/// - others: the same, and then all block checksums are made true again, so that the decoders behind them are reached.
///
/// # Panics
/// As [`scan_image`].
pub fn fuzz_segment(input: &[u8]) {
    /// A file and where its blocks lie.
    type Image = (Vec<u8>, Vec<(usize, usize)>);
    static INTACT: OnceLock<Image> = OnceLock::new();
    let Some((&mode, rest)) = input.split_first() else { return };
    if mode == 0 {
        scan_image(rest);
        return;
    }
    let (intact, blocks) = INTACT.get_or_init(|| fixture::image(2));
    let mut image = intact.clone();
    for edit in rest.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([edit[0], edit[1]]));
        if let Some(byte) = image.get_mut(at) {
            *byte = edit[2];
        }
    }
    if mode > 1 {
        forge(&mut image, blocks);
    } else {
        compare(intact, &image);
    }
    scan_image(&image);
}

/// Holds the reader to an oracle that is none of its own: the file before it was edited, which is committed to its last
/// byte and whose every byte is covered by some check.
///
/// # Panics
/// If an edited file reads as intact, or a block reads as something that it was not.
pub(crate) fn compare(intact: &[u8], edited: &[u8]) {
    let open = |bytes: &[u8]| Segment::from_source(Box::new(bytes.to_vec()), Path::new("image.seg"));
    let (Ok(before), Ok(after)) = (open(intact), open(edited)) else { return };
    let original: Vec<_> = before.blocks().flatten().collect();
    assert!(original.len() > 1, "the intact file has blocks");
    let mut damaged = !after.damages().is_empty();
    let mut read = 0;
    for block in after.blocks() {
        let Ok(block) = block else {
            damaged = true;
            continue;
        };
        read += 1;
        let same = original.iter().find(|original| original.number() == block.number());
        let same = same.map(|original| (original.offset(), original.kind(), original.rows()));
        // Compared as text, for a NaN in a row is not equal to itself.
        assert_eq!(format!("{same:?}"), format!("{:?}", Some((block.offset(), block.kind(), block.rows()))));
    }
    assert!(read <= original.len(), "a block was read twice");
    assert_eq!(damaged, intact != edited, "damage is reported where there is none, or the reverse");
}

/// Makes the checksums of blocks true again.
pub(crate) fn forge(image: &mut [u8], blocks: &[(usize, usize)]) {
    for &(offset, len) in blocks {
        let body = crc(&image[offset + 64..offset + len]);
        image[offset + 52..offset + 56].copy_from_slice(&body.to_le_bytes());
        let head = crc(&image[offset..offset + 60]);
        image[offset + 60..offset + 64].copy_from_slice(&head.to_le_bytes());
    }
}

/// Opens `bytes` as a segment file and reads everything.
///
/// # Panics
/// If the reader breaks a promise: a block whose checksum does not match, blocks that overlap or go backwards, or a
/// verdict of sound over a damaged file.
pub fn scan_image(bytes: &[u8]) {
    let Ok(segment) = Segment::from_source(Box::new(bytes.to_vec()), Path::new("image.seg")) else { return };
    let (mut end, mut number, mut any_damage) = (DATA_OFF, None, !segment.damages().is_empty());
    for block in segment.blocks() {
        match block {
            Ok(block) => {
                assert!(block.offset() >= end, "blocks overlap");
                assert!(number.is_none_or(|number| block.number() > number), "block numbers go backwards");
                assert!(block.bytes() <= u64::from(MAX_BODY) + 64, "block is larger than the format allows");
                end = block.offset() + block.bytes();
                number = Some(block.number());
                let from = block.offset() as usize;
                let body = &bytes[from + 64..end as usize];
                let stored = u32::from_le_bytes(bytes[from + 52..from + 56].try_into().unwrap_or_default());
                assert_eq!(crc(body), stored, "block was returned although its checksum does not match");
                any_damage |= block.rows().is_err();
            }
            Err(damage) => {
                any_damage = true;
                assert!(damage.offset >= end, "damage is reported inside an intact block");
                end = damage.offset;
            }
        }
    }
    let mut damages = Damages::default();
    let file = verify_segment(&segment, &mut damages);
    assert_eq!(file.sound, damages.total() == 0);
    assert_eq!(file.sound, !any_damage, "verify and read disagree");
}
