//! Writes detection files: `timestamp,value,anomaly_score`, with time and value as they stood in the input.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::csv::write_field;

/// Rows are gathered up to this many bytes before they are written.
const CHUNK: usize = 1 << 16;

/// A detection file being written: under another name beside its own until it is whole, and removed if it never is.
#[derive(Debug)]
pub(super) struct Detections {
    file: File,
    path: PathBuf,
    temporary: Temporary,
    rows: Vec<u8>,
}

/// A file that goes when this is dropped; `None` once it has its own name.
#[derive(Debug)]
struct Temporary(Option<PathBuf>);

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = self.0.take() {
            // What cannot be removed is left; it is named so that nobody takes it for a detection file.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Detections {
    /// Where the detections of `input` go: `root/<parent folder>/<name>.csv`.
    pub(super) fn path(root: &Path, input: &Path) -> PathBuf {
        let absolute = std::path::absolute(input).unwrap_or_else(|_| input.into());
        let folder = absolute.parent().and_then(Path::file_name).unwrap_or_default();
        root.join(folder).join(input.file_name().unwrap_or_default()).with_extension("csv")
    }

    /// Creates the file and the folders above it. An earlier one stays as it is until [`finish`](Self::finish). Only
    /// ever a new file is opened: none that is there, and none behind a link.
    pub(super) fn create(path: &Path) -> io::Result<Detections> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut rows = Vec::with_capacity(CHUNK + 4096);
        rows.extend_from_slice(b"timestamp,value,anomaly_score\n");
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = path.with_file_name(format!("tmp.{name}.{}", std::process::id()));
        let file = OpenOptions::new().write(true).create_new(true).custom_flags(libc::O_NOFOLLOW).open(&temporary)?;
        Ok(Detections { file, path: path.into(), temporary: Temporary(Some(temporary)), rows })
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

    /// Writes what is left and gives the file its name, in the place of an earlier one.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.file.write_all(&self.rows)?;
        if let Some(temporary) = &self.temporary.0 {
            std::fs::rename(temporary, &self.path)?;
        }
        self.temporary.0 = None;
        Ok(())
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
    fn only_a_whole_file_has_the_name() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("x.csv"), folder.path().join("other"));
        std::fs::write(&other, "kept").unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        let names = || std::fs::read_dir(folder.path()).unwrap().count();
        let mut detections = Detections::create(&path).unwrap();
        detections.row("1", "2", 0.5).unwrap();
        assert_eq!((names(), std::fs::read_to_string(&path).unwrap().as_str()), (3, "kept"));
        drop(detections);
        assert_eq!(names(), 2, "given up: nothing is left behind");
        Detections::create(&path).unwrap().finish().unwrap();
        assert_eq!(std::fs::read_to_string(&other).unwrap(), "kept", "the link was replaced, not followed");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "timestamp,value,anomaly_score\n");
        assert_eq!(names(), 2);
    }

    #[test]
    fn files_lie_under_the_folder_of_their_input() {
        let path = |input: &str| Detections::path(Path::new("out"), Path::new(input));
        assert_eq!(path("nab/data/realTweets/x.csv"), Path::new("out/realTweets/x.csv"));
        assert_eq!(path("/a/b/x.jsonl"), Path::new("out/b/x.csv"));
    }
}
