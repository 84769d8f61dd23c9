//! The body of the fuzz target: reads any bytes as a segment file, with an oracle.

use std::path::Path;

use super::format::{DATA_OFF, MAX_BODY, crc};
use super::reader::Segment;
use super::verify::verify_segment;

/// Opens `bytes` as a segment file and reads everything.
///
/// # Panics
/// If the reader breaks a promise: a block whose checksum does not match, blocks that overlap or go backwards, or a
/// verdict of sound over a damaged file.
pub fn scan_image(bytes: &[u8]) {
    let Ok(segment) = Segment::from_source(Box::new(bytes.to_vec()), Path::new("image.seg")) else { return };
    let (mut end, mut number, mut damaged) = (DATA_OFF, None, !segment.damages().is_empty());
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
                damaged |= block.rows().is_err();
            }
            Err(damage) => {
                damaged = true;
                assert!(damage.offset >= end, "damage is reported inside an intact block");
                end = damage.offset;
            }
        }
    }
    let (file, damages) = verify_segment(&segment);
    assert_eq!(file.sound, damages.is_empty());
    assert_eq!(file.sound, !damaged, "verify and read disagree");
}
