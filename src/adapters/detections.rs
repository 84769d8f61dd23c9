//! Writes detection files: `timestamp,value,anomaly_score`, with time and value as they stood in the input.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::csv::write_field;

/// Rows are gathered up to this many bytes before they are written.
const CHUNK: usize = 1 << 16;

/// A detection file being written.
#[derive(Debug)]
pub(super) struct Detections {
    file: File,
    rows: Vec<u8>,
}

impl Detections {
    /// Where the detections of `input` go: `root/<parent folder>/<name>.csv`.
    pub(super) fn path(root: &Path, input: &Path) -> PathBuf {
        let absolute = std::path::absolute(input).unwrap_or_else(|_| input.into());
        let folder = absolute.parent().and_then(Path::file_name).unwrap_or_default();
        root.join(folder).join(input.file_name().unwrap_or_default()).with_extension("csv")
    }

    /// Creates the file and the folders above it, over an earlier one.
    pub(super) fn create(path: &Path) -> io::Result<Detections> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut rows = Vec::with_capacity(CHUNK + 4096);
        rows.extend_from_slice(b"timestamp,value,anomaly_score\n");
        Ok(Detections { file: File::create(path)?, rows })
    }

    /// Adds a row. `score` is in 0..1.
    pub(super) fn row(&mut self, time: &str, value: &str, score: f64) -> io::Result<()> {
        write_field(&mut self.rows, time);
        self.rows.push(b',');
        write_field(&mut self.rows, value);
        self.rows.push(b',');
        write_score(&mut self.rows, score);
        self.rows.push(b'\n');
        if self.rows.len() >= CHUNK {
            self.file.write_all(&self.rows)?;
            self.rows.clear();
        }
        Ok(())
    }

    /// Writes what is left.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.file.write_all(&self.rows)
    }
}

/// Appends a score with nine decimals, which is finer than any two scores that matter and much faster than the general
/// way. What is not within 0..1 is brought there.
fn write_score(out: &mut Vec<u8>, score: f64) {
    let mut billionths = (score.clamp(0.0, 1.0) * 1e9 + 0.5) as u64;
    let mut text = *b"0.000000000";
    if billionths >= 1_000_000_000 {
        out.extend_from_slice(b"1");
        return;
    }
    for digit in text[2..].iter_mut().rev() {
        *digit = b'0' + (billionths % 10) as u8;
        billionths /= 10;
    }
    out.extend_from_slice(&text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_have_nine_decimals() {
        let text = |score| {
            let mut out = Vec::new();
            write_score(&mut out, score);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text(0.0), "0.000000000");
        assert_eq!(text(0.5), "0.500000000");
        assert_eq!(text(0.999_999_999_4), "0.999999999");
        assert_eq!(text(0.999_999_999_6), "1");
        assert_eq!(text(f64::NAN), "0.000000000");
        assert_eq!(text(2.0), "1");
    }

    #[test]
    fn files_lie_under_the_folder_of_their_input() {
        let path = |input: &str| Detections::path(Path::new("out"), Path::new(input));
        assert_eq!(path("nab/data/realTweets/x.csv"), Path::new("out/realTweets/x.csv"));
        assert_eq!(path("/a/b/x.jsonl"), Path::new("out/b/x.csv"));
    }
}
