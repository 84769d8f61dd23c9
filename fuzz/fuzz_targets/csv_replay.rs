//! Any bytes as a recorded file, CSV or JSON lines: nothing panics, and every line is a row, a counted skip or blank.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| afferent::__internal::fuzz_recorded(input));
