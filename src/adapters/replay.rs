//! Sends recorded files through aggregation and detection, at their own timestamps and at full speed.
//!
//! The same [`Aggregator`] and [`SeriesDetector`] as in a running engine see the same values in the same order, so what
//! a replay says is what the engine would have said. A window ends when a row's time crosses a second; seconds without
//! rows make no window. Files are replayed one after the other, so the windows of the second may lie before those of
//! the first; their numbers go on.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::detections::Detections;
use super::problems::{ReadError, Skips};
use super::recorded::{Columns, Format, Recording, Row};
use crate::aggregate::{Aggregator, Rows, Snapshot};
use crate::detect::{Anomaly, Detectors, Published, SeriesDetector, combined_score, surprise, unit_score};
use crate::ledger::{Cause, Ledger};
use crate::record::{Catalogue, Kind, SeriesId, SeriesSpec};
use crate::sync::Arc;

/// The window: one second, in nanoseconds.
const WINDOW_NS: i64 = 1_000_000_000;

/// Takes each closed window away, or says in words why it could not.
pub(crate) type Consumer<'a> = Box<dyn FnMut(&Published) -> Result<(), String> + 'a>;

/// What to do with the files.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) columns: Columns,
    pub(crate) detectors: Detectors,
    /// What the values are taken as: gauges, or histograms where quantiles are wanted later.
    pub(crate) kind: Kind,
    /// Folder for detection files.
    pub(crate) detections: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Options { columns: Columns::default(), detectors: Detectors::default(), kind: Kind::Gauge, detections: None }
    }
}

/// What became of one file.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    pub(crate) path: PathBuf,
    /// Series the file was replayed as.
    pub(crate) series: usize,
    /// Rows that were replayed.
    pub(crate) rows: u64,
    pub(crate) skips: Skips,
    pub(crate) windows: u64,
    pub(crate) anomalies: u64,
    pub(crate) took: Duration,
    pub(crate) ledger: Ledger,
    pub(crate) detections: Option<PathBuf>,
    /// Why the rest of the file could not be read.
    pub(crate) failed: Option<String>,
    /// The replay was asked to stop before the end of the file.
    pub(crate) interrupted: bool,
}

/// Why a replay cannot go on. A file that cannot be read is not among these: it is noted in its [`Summary`].
#[derive(Debug)]
pub(crate) enum ReplayError {
    /// A detection file could not be written.
    Detections { path: PathBuf, error: std::io::Error },
    /// Two inputs would write the same detection file.
    SameDetections { path: PathBuf, input: PathBuf },
    /// A detection file would take the place of an input.
    OverInput { path: PathBuf, input: PathBuf },
    /// Whoever takes the windows refused one.
    Consumer { input: PathBuf, message: String },
    /// A file's series could not be registered.
    Series { input: PathBuf, message: String },
}

impl fmt::Display for ReplayError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReplayError::Detections { path, error } => {
                write!(out, "{}: the detection file cannot be written: {error}", path.display())
            }
            ReplayError::SameDetections { path, input } => write!(
                out,
                "{}: its detection file {} is that of another input as well: replay inputs whose folder and name are the \
                 same in separate runs",
                input.display(),
                path.display()
            ),
            ReplayError::OverInput { path, input } => write!(
                out,
                "{}: the detection file would take the place of the input {}: name another folder for detections",
                path.display(),
                input.display()
            ),
            ReplayError::Consumer { input, message } => {
                write!(out, "{}: a window could not be stored: {message}", input.display())
            }
            ReplayError::Series { input, message } => write!(out, "{}: {message}", input.display()),
        }
    }
}

impl std::error::Error for ReplayError {}

/// How reading a file ended early.
enum Stop {
    Read(ReadError),
    Replay(ReplayError),
}

impl From<ReadError> for Stop {
    fn from(error: ReadError) -> Stop {
        Stop::Read(error)
    }
}

impl From<ReplayError> for Stop {
    fn from(error: ReplayError) -> Stop {
        Stop::Replay(error)
    }
}

/// A replay of any number of files.
pub(crate) struct Replay<'a> {
    options: Options,
    consumer: Option<Consumer<'a>>,
    catalogue: Catalogue,
    aggregator: Aggregator,
    ledger: Ledger,
    windows: u64,
    anomalies: u64,
    /// Anomalies that began in the open window.
    open: Vec<Arc<Anomaly>>,
    written: HashSet<PathBuf>,
    /// Asked before every piece of a file that is read, some thousand rows.
    stop: &'a dyn Fn() -> bool,
}

/// One file's series.
struct Track {
    ids: Vec<SeriesId>,
    detectors: Vec<SeriesDetector>,
    /// Scores of the current row, one per series that has a value.
    scores: Vec<f64>,
    /// Start of the open window, in windows since the epoch.
    window: Option<i64>,
}

impl<'a> Replay<'a> {
    /// Windows are only put together where someone takes them.
    pub(crate) fn new(options: Options, consumer: Option<Consumer<'a>>) -> Replay<'a> {
        Replay {
            options,
            consumer,
            catalogue: Catalogue::default(),
            aggregator: Aggregator::default(),
            ledger: Ledger { consistent: true, ..Ledger::default() },
            windows: 0,
            anomalies: 0,
            open: Vec::new(),
            written: HashSet::new(),
            stop: &|| false,
        }
    }

    /// Ends in order, in the middle of a file if need be, once `stop` says so.
    pub(crate) fn stopping(self, stop: &'a dyn Fn() -> bool) -> Replay<'a> {
        Replay { stop, ..self }
    }

    /// Whether the detection files of `inputs` can be told apart, and from the inputs. For before the first is read:
    /// nothing has happened yet then.
    pub(crate) fn check(&self, inputs: &[PathBuf]) -> Result<(), ReplayError> {
        let Some(root) = &self.options.detections else { return Ok(()) };
        let identity = |metadata: Metadata| (metadata.dev(), metadata.ino());
        let known: HashMap<_, _> =
            inputs.iter().filter_map(|input| Some((identity(input.metadata().ok()?), input))).collect();
        let mut outputs = HashSet::new();
        for input in inputs {
            let path = Detections::path(root, input);
            if let Some(over) = path.metadata().ok().and_then(|metadata| known.get(&identity(metadata))) {
                return Err(ReplayError::OverInput { path, input: (*over).clone() });
            }
            if !outputs.insert(path.clone()) {
                return Err(ReplayError::SameDetections { path, input: input.clone() });
            }
        }
        Ok(())
    }

    /// The account of all files so far.
    pub(crate) fn ledger(&self) -> Ledger {
        self.ledger
    }

    /// Replays one file.
    pub(crate) fn file(&mut self, path: &Path) -> Result<Summary, ReplayError> {
        let before = (self.ledger, self.windows, self.anomalies);
        let start = Instant::now();
        let mut summary = Summary {
            path: path.into(),
            series: 0,
            rows: 0,
            skips: Skips::default(),
            windows: 0,
            anomalies: 0,
            took: Duration::ZERO,
            ledger: self.ledger,
            detections: None,
            failed: None,
            interrupted: false,
        };
        match self.read(path, &mut summary) {
            Ok(()) => {}
            Err(Stop::Read(error)) => summary.failed = Some(error.to_string()),
            Err(Stop::Replay(error)) => return Err(error),
        }
        summary.took = start.elapsed();
        summary.ledger = since(&before.0, &self.ledger);
        summary.windows = self.windows - before.1;
        summary.anomalies = self.anomalies - before.2;
        Ok(summary)
    }

    fn read(&mut self, path: &Path, summary: &mut Summary) -> Result<(), Stop> {
        let file = open(path).map_err(|error| ReadError::io(path, error))?;
        let interrupted = Cell::new(false);
        let file = Interruptible { from: file, stop: self.stop, interrupted: &interrupted };
        let recording = Recording::open(path, file, Format::of(path), &self.options.columns);
        if interrupted.get() {
            summary.interrupted = true;
            return Ok(());
        }
        let mut recording = recording?;
        let mut track = self.track(path, recording.columns())?;
        summary.series = track.ids.len();
        let mut detections = self.detections(path)?;
        summary.detections = detections.as_ref().map(|(path, _)| path.clone());
        let base = self.ledger.recorded;

        let mut end = recording.for_each(|row| {
            let score = if row.backwards { 0.0 } else { self.row(path, &mut track, base, row)? };
            if let Some((path, detections)) = &mut detections {
                let failed = |error| ReplayError::Detections { path: path.clone(), error };
                if track.ids.len() == 1 {
                    detections.row(row.time_text, row.value_text, score).map_err(failed)?;
                } else {
                    let most = track.scores.iter().fold(0.0_f64, |most, &score| most.max(score));
                    detections.row(row.time_text, &format!("{most:.6}"), score).map_err(failed)?;
                }
            }
            Ok(())
        });
        self.ledger.recorded = base + recording.accepted_values();
        summary.rows = recording.accepted();
        summary.skips = recording.skips().clone();
        // Also after an error: what was taken in is in a window, and stays on the account.
        if !matches!(end, Err(Stop::Replay(_))) {
            end = self.close(path, &track).map_err(Stop::from).and(end);
        }
        if interrupted.get() && matches!(end, Err(Stop::Read(_))) {
            // Half a detection file would be taken for a whole one.
            summary.interrupted = true;
            summary.detections = None;
            return Ok(());
        }
        if matches!(end, Err(Stop::Replay(_))) {
            return end;
        }
        if let Some((path, detections)) = detections {
            detections.finish().map_err(|error| ReplayError::Detections { path, error })?;
        }
        end
    }

    /// Registers a file's series.
    fn track(&mut self, path: &Path, columns: &[String]) -> Result<Track, ReplayError> {
        let name = metric_name(&path.file_stem().unwrap_or_default().to_string_lossy());
        let file = [path.parent().and_then(Path::file_name), path.file_name()];
        let file: Vec<_> = file.iter().flatten().map(|part| part.to_string_lossy()).collect();
        let mut ids = Vec::with_capacity(columns.len());
        for (at, column) in columns.iter().enumerate() {
            let mut labels = vec![("file".to_owned(), file.join("/"))];
            if columns.len() > 1 {
                // A header may name a column twice; they are two series all the same.
                let again = columns.iter().take(at).any(|earlier| earlier == column);
                labels.push(("column".to_owned(), if again { format!("{column}_{}", at + 1) } else { column.clone() }));
            }
            let help = "A recorded series, replayed.".to_owned();
            let spec = SeriesSpec { labels, help, ..SeriesSpec::new(&name, self.options.kind) };
            let id = self.catalogue.intern(spec);
            ids.push(id.map_err(|error| ReplayError::Series { input: path.into(), message: error.to_string() })?);
        }
        self.aggregator.add_series(self.catalogue.since(self.aggregator.len()));
        let detectors = columns.iter().map(|_| SeriesDetector::new(&self.options.detectors)).collect();
        Ok(Track { ids, detectors, scores: Vec::new(), window: None })
    }

    fn detections(&mut self, input: &Path) -> Result<Option<(PathBuf, Detections)>, ReplayError> {
        let Some(root) = &self.options.detections else { return Ok(None) };
        let path = Detections::path(root, input);
        if !self.written.insert(path.clone()) {
            return Err(ReplayError::SameDetections { path, input: input.into() });
        }
        match Detections::create(&path) {
            Ok(detections) => Ok(Some((path, detections))),
            Err(error) => Err(ReplayError::Detections { path, error }),
        }
    }

    /// Takes in one row and returns its detection score.
    fn row(&mut self, path: &Path, track: &mut Track, base: u64, row: &Row<'_>) -> Result<f64, ReplayError> {
        let window = row.time_ns.div_euclid(WINDOW_NS);
        if track.window != Some(window) {
            self.close(path, track)?;
            track.window = Some(window);
        }
        self.ledger.recorded = base + row.accepted_values;
        track.scores.clear();
        let mut alone = 0.0;
        for ((&id, detector), &value) in track.ids.iter().zip(&mut track.detectors).zip(row.values) {
            if value.is_nan() {
                continue;
            }
            if let Err(cause) = self.aggregator.sample(id, row.time_ns, value) {
                self.ledger.dropped.add(cause, 1);
                continue;
            }
            let seen = detector.observe(value);
            alone = seen.detection_score();
            track.scores.push(seen.score);
            if let Some(alarm) = seen.alarm {
                self.anomalies += 1;
                let Some(info) = self.aggregator.info(id) else { continue };
                if self.consumer.is_some() {
                    self.open.push(Arc::new(Anomaly {
                        id: self.anomalies,
                        series: Arc::clone(info),
                        time_ns: row.time_ns,
                        value,
                        score: alarm.score,
                        severity: alarm.severity,
                        verdicts: alarm.verdicts,
                        completeness: 1.0,
                    }));
                }
            }
        }
        if track.ids.len() == 1 {
            return Ok(alone);
        }
        Ok(unit_score(surprise(combined_score(track.scores.iter().copied()))))
    }

    /// Closes the open window, if there is one, and hands it on.
    fn close(&mut self, path: &Path, track: &Track) -> Result<(), ReplayError> {
        let Some(window) = track.window else { return Ok(()) };
        let series = self.aggregator.close(Rows::Touched);
        self.windows += 1;
        self.ledger.aggregated = self.aggregator.aggregated();
        self.ledger.clamped = self.aggregator.clamped();
        self.ledger.consistent &= self.ledger.closes();
        let Some(consumer) = &mut self.consumer else { return Ok(()) };
        let start_ns = window.saturating_mul(WINDOW_NS);
        let end_ns = start_ns.saturating_add(WINDOW_NS);
        let snapshot = Snapshot { window: self.windows, start_ns, end_ns, series, ledger: self.ledger };
        let published = Published { snapshot: Arc::new(snapshot), anomalies: std::mem::take(&mut self.open).into() };
        consumer(&published).map_err(|message| ReplayError::Consumer { input: path.into(), message })
    }
}

/// Opens a recording. What may change between a look and the opening must not make it wait: a regular file is only
/// taken if it still is one. Pipes are read where they are named.
fn open(path: &Path) -> io::Result<File> {
    if !path.metadata()?.is_file() {
        return File::open(path);
    }
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no regular file any more")) }
}

/// Reads until it is asked to stop.
struct Interruptible<'a, R> {
    from: R,
    stop: &'a dyn Fn() -> bool,
    interrupted: &'a Cell<bool>,
}

impl<R: Read> Read for Interruptible<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if (self.stop)() {
            self.interrupted.set(true);
            return Err(io::Error::other("asked to stop"));
        }
        self.from.read(buffer)
    }
}

/// The account of what lies between two moments.
fn since(before: &Ledger, after: &Ledger) -> Ledger {
    let mut out = Ledger {
        recorded: after.recorded - before.recorded,
        aggregated: after.aggregated - before.aggregated,
        clamped: after.clamped - before.clamped,
        consistent: after.consistent,
        ..Ledger::default()
    };
    for cause in Cause::ALL {
        out.dropped.add(cause, after.dropped.get(cause) - before.dropped.get(cause));
    }
    out
}

/// Makes a metric's name of any text: what is not allowed in one becomes `_`.
fn metric_name(text: &str) -> String {
    let mut name: String = text.chars().take(200).map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
}
