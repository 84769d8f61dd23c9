//! Any bytes as a segment file: nothing panics, and nothing with a wrong checksum is returned.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| afferent::segment::fuzz_segment(input));
