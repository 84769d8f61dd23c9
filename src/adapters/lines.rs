//! Lines of a file, without copying them and without trusting their length.

use std::io::{self, Read};
use std::ops::Range;

/// The longest line that is read. Longer ones are refused, so a hostile file costs this much memory and no more.
pub(super) const LONGEST: usize = 1 << 20;

/// How much is asked of the file at a time.
const CHUNK: usize = 1 << 17;

#[derive(Debug)]
pub(super) enum LineError {
    /// The line is longer than [`LONGEST`].
    TooLong,
    Io(io::Error),
}

/// Reads a file line by line. Line ends (`\n` or `\r\n`) and a UTF-8 byte order mark at the start are taken off.
#[derive(Debug)]
pub(super) struct Lines<R> {
    from: R,
    buffer: Vec<u8>,
    /// What of the buffer was read from the file and not yet handed out.
    filled: Range<usize>,
    line: Range<usize>,
    number: u64,
    at_end: bool,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(from: R) -> Lines<R> {
        Lines { from, buffer: vec![0; CHUNK], filled: 0..0, line: 0..0, number: 0, at_end: false }
    }

    /// Steps to the next line; false at the end of the file.
    pub(super) fn advance(&mut self) -> Result<bool, LineError> {
        let mut searched = 0;
        loop {
            let start = self.filled.start + searched;
            let unseen = self.buffer.get(start..self.filled.end).unwrap_or_default();
            if let Some(at) = position_of_newline(unseen) {
                self.take(start + at, 1);
                return if self.line.len() > LONGEST { Err(LineError::TooLong) } else { Ok(true) };
            }
            searched = self.filled.len();
            if searched > LONGEST + 1 {
                // What was read of the line still counts as one, for the message.
                self.number += 1;
                return Err(LineError::TooLong);
            }
            if self.at_end {
                if searched == 0 {
                    return Ok(false);
                }
                self.take(self.filled.end, 0);
                return if self.line.len() > LONGEST { Err(LineError::TooLong) } else { Ok(true) };
            }
            self.fill()?;
        }
    }

    /// The current line, without its end.
    pub(super) fn line(&self) -> &[u8] {
        self.buffer.get(self.line.clone()).unwrap_or_default()
    }

    /// The number of the current line, counted from 1; 0 before the first.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    fn take(&mut self, end: usize, newline: usize) {
        let mut line = self.filled.start..end;
        self.filled.start = end + newline;
        self.number += 1;
        if self.number == 1 && self.buffer.get(line.clone()).is_some_and(|line| line.starts_with(b"\xef\xbb\xbf")) {
            line.start += 3;
        }
        if newline == 1 && !line.is_empty() && self.buffer.get(line.end - 1) == Some(&b'\r') {
            line.end -= 1;
        }
        self.line = line;
    }

    /// Makes room behind what is left and reads more.
    fn fill(&mut self) -> Result<(), LineError> {
        if self.filled.start > 0 {
            self.buffer.copy_within(self.filled.clone(), 0);
            self.filled = 0..self.filled.len();
        }
        if self.buffer.len() - self.filled.end < CHUNK / 2 {
            let length = (2 * self.buffer.len()).min(LONGEST + 2 * CHUNK);
            self.buffer.resize(length, 0);
        }
        loop {
            let Some(room) = self.buffer.get_mut(self.filled.end..) else { return Ok(()) };
            match self.from.read(room) {
                Ok(0) => self.at_end = true,
                Ok(count) => self.filled.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(LineError::Io(error)),
            }
            return Ok(());
        }
    }
}

/// Eight bytes at a time: a byte of `x ^ newlines` is zero where the newline is, and the lowest zero byte is what
/// survives in `(y - 0x01..) & !y & 0x80..` (A. Mycroft's test; bits above the lowest one may be wrong).
fn position_of_newline(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let (whole, tail) = bytes.as_chunks::<8>();
    for (at, chunk) in whole.iter().enumerate() {
        let y = u64::from_le_bytes(*chunk) ^ (ONES * u64::from(b'\n'));
        let zeros = y.wrapping_sub(ONES) & !y & (ONES << 7);
        if zeros != 0 {
            return Some(8 * at + zeros.trailing_zeros() as usize / 8);
        }
    }
    tail.iter().position(|&byte| byte == b'\n').map(|at| 8 * whole.len() + at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Hands out a file in pieces of a given size.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(to.len());
            let (now, later) = self.0.split_at(count);
            to[..count].copy_from_slice(now);
            self.0 = later;
            Ok(count)
        }
    }

    fn lines(bytes: &[u8], piece: usize) -> Vec<Vec<u8>> {
        let mut lines = Lines::new(Pieces(bytes, piece));
        let mut out = Vec::new();
        while lines.advance().unwrap() {
            out.push(lines.line().to_vec());
            assert_eq!(lines.number(), out.len() as u64);
        }
        out
    }

    #[test]
    fn ends_and_marks_are_taken_off() {
        assert_eq!(lines(b"", 9), Vec::<Vec<u8>>::new());
        assert_eq!(lines(b"\xef\xbb\xbfa\r\nb\n\nc", 1), [&b"a"[..], b"b", b"", b"c"]);
        assert_eq!(lines(b"a\n", 9), [b"a"]);
        assert_eq!(lines(b"\n", 9), [b""]);
    }

    #[test]
    fn a_long_line_costs_no_more_than_the_limit() {
        let mut lines = Lines::new(io::Read::chain(&b"a\n"[..], io::repeat(b'x')));
        assert!(lines.advance().unwrap());
        assert!(matches!(lines.advance(), Err(LineError::TooLong)));
        assert_eq!(lines.number(), 2);
        assert!(lines.buffer.len() <= LONGEST + 2 * CHUNK);
    }

    #[test]
    fn the_limit_is_exact() {
        let mut bytes = vec![b'x'; LONGEST];
        bytes.push(b'\n');
        assert_eq!(lines(&bytes, 10_000).len(), 1);
        bytes.insert(0, b'x');
        assert!(matches!(Lines::new(&bytes[..]).advance(), Err(LineError::TooLong)));
        bytes.pop();
        assert!(matches!(Lines::new(&bytes[..]).advance(), Err(LineError::TooLong)));
    }

    proptest! {
        #[test]
        fn lines_are_what_split_gives(bytes in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'a'), any::<u8>()], 0..300),
            piece in 1_usize..40) {
            prop_assume!(!bytes.starts_with(b"\xef\xbb\xbf"));
            let mut want: Vec<&[u8]> = bytes.split(|&byte| byte == b'\n').collect();
            // After the last newline there is no further line.
            if want.last().is_some_and(|last| last.is_empty()) {
                want.pop();
            }
            let ended = bytes.split_inclusive(|&byte| byte == b'\n').map(|line| line.ends_with(b"\n"));
            let want: Vec<&[u8]> =
                want.into_iter().zip(ended).map(|(line, ended)| if ended { line.strip_suffix(b"\r").unwrap_or(line) } else { line }).collect();
            prop_assert_eq!(lines(&bytes, piece), want);
        }
    }
}
