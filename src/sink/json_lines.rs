//! One JSON object per window, in files that rotate.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::json::{self, SnapshotJson};
use super::{Sink, SinkError};
use crate::detect::Published;

/// Size at which a file is put aside.
const DEFAULT_ROTATE_BYTES: u64 = 64 << 20;
/// Files kept beside the current one.
const DEFAULT_KEEP: usize = 4;

/// Appends one line of JSON per window to a file; the keys are those of [`SnapshotJson`].
///
/// Every line is handed to the operating system before the next window is taken, so a crash of the process loses no
/// complete line. When the next line would take the file past the rotation size, the file is renamed to `NAME.1`, an
/// older `NAME.1` to `NAME.2`, and so on; what lies past the number of kept files is removed.
#[derive(Debug)]
pub struct JsonLines {
    path: PathBuf,
    /// `None` after a failed rotation; the next window tries again.
    file: Option<File>,
    written: u64,
    rotate_bytes: u64,
    keep: usize,
}

impl JsonLines {
    /// Opens `path` for appending and creates it, readable by its owner only, where it is missing. A torn last line, as
    /// a power failure may leave, is ended, so that new lines stay whole.
    ///
    /// # Errors
    /// If the file cannot be opened or read.
    pub fn create(path: impl AsRef<Path>) -> Result<JsonLines, SinkError> {
        let path = path.as_ref().to_owned();
        let (file, written) = open(&path).map_err(|error| failed("open", &path, &error))?;
        Ok(JsonLines { path, file: Some(file), written, rotate_bytes: DEFAULT_ROTATE_BYTES, keep: DEFAULT_KEEP })
    }

    /// Puts files aside at `bytes` (default 64 MiB) and keeps `files` of them (default 4) beside the current one. A
    /// single line that is longer gets a file of its own.
    #[must_use]
    pub fn rotate(mut self, bytes: u64, files: usize) -> JsonLines {
        self.rotate_bytes = bytes;
        self.keep = files;
        self
    }

    fn aside(&self, number: usize) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }

    /// Puts the current file aside and leaves none open.
    fn put_aside(&mut self) -> Result<(), SinkError> {
        self.file = None;
        for number in (0..self.keep).rev() {
            let from = if number == 0 { self.path.clone() } else { self.aside(number) };
            let to = self.aside(number + 1);
            match fs::rename(&from, &to) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("rename", &from, &error)),
                _ => {}
            }
        }
        if self.keep == 0 {
            fs::remove_file(&self.path).map_err(|error| failed("remove", &self.path, &error))?;
        }
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    let mut options = OpenOptions::new();
    options.append(true).read(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let mut length = file.metadata()?.len();
    if length > 0 {
        let mut last = [0];
        io::Seek::seek(&mut file, io::SeekFrom::End(-1))?;
        io::Read::read_exact(&mut file, &mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
            length += 1;
        }
    }
    Ok((file, length))
}

fn failed(verb: &str, path: &Path, error: &io::Error) -> SinkError {
    SinkError::new(format!(
        "cannot {verb} {}: {error}; check that the folder exists, is writable and has room",
        path.display()
    ))
}

impl Sink for JsonLines {
    fn name(&self) -> &'static str {
        "json_lines"
    }

    fn publish(&mut self, published: &Published) -> Result<(), SinkError> {
        let mut line = json::to_string(&SnapshotJson::published(published));
        line.push('\n');
        let length = line.len() as u64;
        if self.file.is_some() && self.written > 0 && self.written + length > self.rotate_bytes {
            self.put_aside()?;
        }
        if self.file.is_none() {
            let (file, written) = open(&self.path).map_err(|error| failed("open", &self.path, &error))?;
            (self.file, self.written) = (Some(file), written);
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        if let Err(error) = file.write_all(line.as_bytes()) {
            // Part of the line may be there; opening anew ends it.
            self.file = None;
            return Err(failed("write to", &self.path, &error));
        }
        self.written += length;
        Ok(())
    }

    fn close(&mut self) -> Result<(), SinkError> {
        match self.file.take() {
            Some(file) => file.sync_all().map_err(|error| failed("sync", &self.path, &error)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{Anomaly, Severity, Verdict};
    use crate::record::{Kind, Unit};
    use crate::sink::samples::{HOSTILE, Source};
    use crate::sync::Arc;

    fn window(source: &mut Source) -> Published {
        Published { snapshot: source.close(), anomalies: Arc::new([]) }
    }

    fn numbers(path: &Path) -> Vec<u64> {
        let text = fs::read_to_string(path).unwrap();
        assert!(text.ends_with('\n'));
        text.lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .map(|json| json["window"].as_u64().unwrap())
            .collect()
    }

    #[test]
    fn a_line_holds_the_window_and_its_anomalies() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("w.jsonl");
        let mut source = Source::default();
        let id = source.add("time", Kind::Histogram, Unit::Seconds, &[("a", HOSTILE)], "");
        source.sample(id, 0.5);
        let snapshot = source.close();
        let anomaly = Anomaly {
            id: 4,
            series: Arc::clone(&snapshot.series[0].info),
            time_ns: 9,
            value: 0.5,
            score: 6.5,
            severity: Severity::Critical,
            verdicts: vec![Verdict { detector: "iqr", score: 6.5, low: 0.0, high: f64::NAN }],
            completeness: 1.0,
        };
        let mut sink = JsonLines::create(&path).unwrap();
        sink.publish(&Published { snapshot, anomalies: Arc::new([Arc::new(anomaly)]) }).unwrap();
        // Read while the sink is open: the line was flushed.
        let text = fs::read_to_string(&path).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["anomalies"][0]["severity"], "critical");
        assert_eq!(json["anomalies"][0]["series"]["labels"]["a"], HOSTILE);
        assert!(json["anomalies"][0]["verdicts"][0]["high"].is_null());
        assert_eq!(json["series"][0]["delta"]["count"], 1);
        sink.close().unwrap();
    }

    #[test]
    fn files_rotate_and_old_ones_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("w.jsonl");
        let mut source = Source::default();
        let mut sink = JsonLines::create(&path).unwrap().rotate(1, 2);
        for _ in 0..5 {
            sink.publish(&window(&mut source)).unwrap();
        }
        assert_eq!(numbers(&path), [5]);
        assert_eq!(numbers(&dir.path().join("w.jsonl.1")), [4]);
        assert_eq!(numbers(&dir.path().join("w.jsonl.2")), [3]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_torn_line_spoils_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("w.jsonl");
        let mut source = Source::default();
        JsonLines::create(&path).unwrap().publish(&window(&mut source)).unwrap();
        let whole = fs::read(&path).unwrap();
        fs::write(&path, [&whole[..], &whole[..20]].concat()).unwrap();
        JsonLines::create(&path).unwrap().publish(&window(&mut source)).unwrap();
        assert_eq!(numbers(&path), [1, 2]);
    }

    #[test]
    fn errors_name_the_path() {
        let error = JsonLines::create("/nowhere/at/all.jsonl").unwrap_err().to_string();
        assert!(error.contains("/nowhere/at/all.jsonl") && error.contains("writable"), "{error}");
    }
}
