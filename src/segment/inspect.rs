//! What a directory of segments holds.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::State;
use super::damage::{Damage, Damages, OpenError, write_damages};
use super::directory::Directory;
use super::reader::Segment;
use super::rows::{LedgerRow, RecoveryRow, Rows};
use super::text::{self, printable, rfc3339, thousands};
use crate::ledger::Ledger;
use crate::record::Kind;

/// What [`inspect`] found.
#[derive(Clone, Debug, Serialize)]
pub struct InspectReport {
    /// The path that was inspected.
    #[serde(serialize_with = "text::lossy_path")]
    pub path: PathBuf,
    /// The files, in the order of their creation.
    pub files: Vec<FileInspect>,
    /// Bytes up to the last commits.
    pub bytes: u64,
    /// Start of the earliest window, nanoseconds since the Unix epoch; `None` where there are no rows.
    pub from_ns: Option<i64>,
    /// End of the latest window.
    pub to_ns: Option<i64>,
    /// The series, by name and labels, with the number of windows each has.
    pub series: Vec<SeriesInspect>,
    /// Rows by kind of block.
    pub rows: BTreeMap<&'static str, u64>,
    /// The engine runs that wrote it, with the account each ended with.
    pub runs: Vec<RunInspect>,
    /// What engines found at their start.
    pub recoveries: Vec<RecoveryRow>,
    /// What could not be read, the first 1,000 places of it, and copies of files, which were left out.
    pub damages: Vec<Damage>,
    /// How many damages there are.
    pub damages_total: u64,
}

/// What [`inspect`] found in one file.
#[derive(Clone, Debug, Serialize)]
pub struct FileInspect {
    /// The file.
    #[serde(serialize_with = "text::lossy_path")]
    pub file: PathBuf,
    /// Random id of the file, in hexadecimal.
    pub file_id: String,
    /// Random id of the engine run, in hexadecimal.
    pub run_id: String,
    /// The state its writer left it in.
    pub state: State,
    /// When it was created, nanoseconds since the Unix epoch.
    pub created_ns: i64,
    /// When it was last committed to; `None` where nothing was.
    pub last_commit_ns: Option<i64>,
    /// Bytes up to the last commit.
    pub bytes: u64,
    /// Intact blocks.
    pub blocks: u64,
    /// Start of its earliest window.
    pub from_ns: Option<i64>,
    /// End of its latest window.
    pub to_ns: Option<i64>,
}

/// A series as found in the files.
#[derive(Clone, Debug, Serialize)]
pub struct SeriesInspect {
    /// Name and labels, as in a selector.
    pub series: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// Unit suffix; empty for a plain number.
    pub unit: &'static str,
    /// Windows in which it received something.
    pub windows: u64,
}

/// An engine run.
#[derive(Clone, Debug, Serialize)]
pub struct RunInspect {
    /// Random id of the run, in hexadecimal.
    pub run_id: String,
    /// Files it left.
    pub files: u64,
    /// Number of its last window.
    pub windows: u64,
    /// Its account at the end of that window; `None` where none could be read.
    pub ledger: Option<LedgerReport>,
}

/// An account in reports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LedgerReport {
    /// Samples handed over.
    pub recorded: u64,
    /// Samples in windows.
    pub aggregated: u64,
    /// Samples dropped, by cause; causes with none are left out.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Samples in rings at that moment.
    pub in_flight: u64,
    /// Counter increments made.
    pub increments: u64,
    /// Counter increments in windows.
    pub gathered: u64,
    /// Values outside their histogram's range.
    pub clamped: u64,
    /// Whether it closes.
    pub closes: bool,
}

impl From<&Ledger> for LedgerReport {
    fn from(ledger: &Ledger) -> Self {
        LedgerReport {
            recorded: ledger.recorded,
            aggregated: ledger.aggregated,
            dropped: ledger.dropped.iter().filter(|&(_, n)| n > 0).map(|(cause, n)| (cause.name(), n)).collect(),
            in_flight: ledger.in_flight,
            increments: ledger.increments,
            gathered: ledger.gathered,
            clamped: ledger.clamped,
            closes: closes(ledger),
        }
    }
}

/// [`Ledger::closes`] for an account from a file, whose numbers may be anything.
pub(crate) fn closes(ledger: &Ledger) -> bool {
    let parts = ledger.dropped.iter().map(|(_, n)| n).chain([ledger.aggregated, ledger.in_flight]);
    let sum = parts.into_iter().try_fold(0_u64, u64::checked_add);
    ledger.consistent && sum == Some(ledger.recorded) && ledger.increments == ledger.gathered
}

impl fmt::Display for LedgerReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "recorded {} = aggregated {}", thousands(self.recorded), thousands(self.aggregated))?;
        for (cause, count) in &self.dropped {
            write!(out, " + {cause} {}", thousands(*count))?;
        }
        write!(out, " + in flight {}", thousands(self.in_flight))?;
        write!(out, "; increments {} = gathered {}", thousands(self.increments), thousands(self.gathered))?;
        out.write_str(if self.closes { "; closes" } else { "; DOES NOT CLOSE" })
    }
}

/// Says what the segments beneath a path hold. Reads everything once.
///
/// # Errors
/// If the path cannot be read or holds no segments.
pub fn inspect(path: impl AsRef<Path>) -> Result<InspectReport, OpenError> {
    let directory = Directory::open(path)?;
    let mut gather = Gather::default();
    let mut files = Vec::new();
    let mut damages = Damages::default();
    for segment in directory.segments() {
        match segment {
            Ok(segment) => files.push(gather.file(&segment, &mut damages)),
            Err(damage) => damages.push(damage),
        }
    }
    Ok(InspectReport {
        path: directory.path().to_owned(),
        bytes: files.iter().fold(0, |sum: u64, file| sum.saturating_add(file.bytes)),
        from_ns: files.iter().filter_map(|file| file.from_ns).min(),
        to_ns: files.iter().filter_map(|file| file.to_ns).max(),
        files,
        series: gather.series.into_values().collect(),
        rows: gather.rows,
        runs: gather.runs,
        recoveries: gather.recoveries,
        damages_total: damages.total(),
        damages: damages.into_kept(),
    })
}

#[derive(Default)]
struct Gather {
    series: BTreeMap<String, SeriesInspect>,
    rows: BTreeMap<&'static str, u64>,
    runs: Vec<RunInspect>,
    recoveries: Vec<RecoveryRow>,
}

impl Gather {
    fn file(&mut self, segment: &Segment, damages: &mut Damages) -> FileInspect {
        damages.extend(segment.damages().iter().cloned());
        let (mut blocks, mut from_ns, mut to_ns) = (0, None::<i64>, None::<i64>);
        let mut names: BTreeMap<u32, String> = BTreeMap::new();
        let mut last: Option<LedgerRow> = None;
        for block in segment.blocks() {
            let (block, rows) = match block.and_then(|block| block.rows_in(segment).map(|rows| (block, rows))) {
                Ok(read) => read,
                Err(damage) => {
                    damages.push(damage);
                    continue;
                }
            };
            blocks += 1;
            let rows_of_kind = self.rows.entry(block.kind()).or_default();
            *rows_of_kind = rows_of_kind.saturating_add(u64::from(block.row_count()));
            match rows {
                Rows::Dict(entries) => {
                    for entry in entries {
                        let name = text::series(&entry.name, &entry.labels);
                        self.series.entry(name.clone()).or_insert_with(|| SeriesInspect {
                            series: name.clone(),
                            kind: entry.kind.map_or("unknown", Kind::name),
                            unit: entry.unit.suffix(),
                            windows: 0,
                        });
                        names.insert(entry.series, name);
                    }
                }
                Rows::Scalar(rows) => {
                    for row in rows {
                        from_ns = Some(from_ns.map_or(row.ts_ns, |from| from.min(row.ts_ns)));
                        to_ns = Some(to_ns.map_or(row.end_ns, |to| to.max(row.end_ns)));
                        if let Some(series) = names.get(&row.series).and_then(|name| self.series.get_mut(name)) {
                            series.windows += 1;
                        }
                    }
                }
                Rows::Ledger(rows) => last = rows.last().copied().or(last),
                Rows::Recovery(rows) => self.recoveries.extend(rows),
                Rows::Hist(_) | Rows::Event(_) | Rows::Unknown => {}
            }
        }
        self.run(segment, last);
        FileInspect {
            file: segment.path().to_owned(),
            file_id: format!("{:032x}", segment.file_id()),
            run_id: format!("{:032x}", segment.run_id()),
            state: segment.state(),
            created_ns: segment.header.created_real_ns,
            last_commit_ns: segment.last_account().map(|(_, slot, _)| slot.last_real_ns),
            bytes: segment.committed_bytes(),
            blocks,
            from_ns,
            to_ns,
        }
    }

    fn run(&mut self, segment: &Segment, last: Option<LedgerRow>) {
        let run_id = format!("{:032x}", segment.run_id());
        let at = self.runs.iter().position(|run| run.run_id == run_id).unwrap_or_else(|| {
            self.runs.push(RunInspect { run_id, files: 0, windows: 0, ledger: None });
            self.runs.len() - 1
        });
        let Some(run) = self.runs.get_mut(at) else { return };
        run.files += 1;
        if let Some(row) = last {
            run.windows = row.window;
            run.ledger = Some(LedgerReport::from(&row.ledger));
        }
    }
}

impl fmt::Display for InspectReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}", text::path(&self.path))?;
        if let (Some(from), Some(to)) = (self.from_ns, self.to_ns) {
            writeln!(out, "windows  {} to {}", rfc3339(from), rfc3339(to))?;
        }
        writeln!(out, "bytes    {}", text::bytes(self.bytes))?;
        let rows: Vec<String> = self.rows.iter().map(|(kind, rows)| format!("{kind} {}", thousands(*rows))).collect();
        writeln!(out, "rows     {}", if rows.is_empty() { "none".into() } else { rows.join(", ") })?;
        writeln!(out, "\nfiles")?;
        let mut table = vec![["file", "state", "blocks", "bytes", "created"].map(String::from).to_vec()];
        for file in &self.files {
            table.push(vec![
                file.file.file_name().map(|name| printable(&name.to_string_lossy())).unwrap_or_default(),
                file.state.name().into(),
                thousands(file.blocks),
                text::bytes(file.bytes),
                rfc3339(file.created_ns),
            ]);
        }
        indented(out, &text::table(&table))?;
        writeln!(out, "\nruns")?;
        for run in &self.runs {
            let files = text::counted(run.files, "file", "files");
            writeln!(out, "  {}: {files}, {}", run.run_id, text::counted(run.windows, "window", "windows"))?;
            if let Some(ledger) = &run.ledger {
                writeln!(out, "    {ledger}")?;
            }
        }
        writeln!(out, "\nseries")?;
        let mut table = vec![["series", "kind", "unit", "windows"].map(String::from).to_vec()];
        for series in &self.series {
            table.push(vec![
                printable(&series.series),
                series.kind.into(),
                if series.unit.is_empty() { "-".into() } else { series.unit.into() },
                thousands(series.windows),
            ]);
        }
        indented(out, &text::table(&table))?;
        for row in &self.recoveries {
            writeln!(out, "\nfound at {}: {}: {}", rfc3339(row.ts_ns), printable(&row.file), printable(&row.reason))?;
        }
        write_damages(out, &self.damages, self.damages_total)
    }
}

fn indented(out: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    text.lines().try_for_each(|line| writeln!(out, "  {line}"))
}
