//! The store: takes windows, keeps the current file, rolls it over, removes old ones, and outlives a full or failing
//! disk.
//!
//! It runs on a thread of its own; a call may block as long as the disk does. After an error the windows of that
//! commit are lost and counted, and the store goes on by itself when the disk does.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::config::{Appended, StoreConfig, StoreCounters, StoreError, Summary};
use super::encode::Batch;
use super::recover::{self, parse_name};
use super::rows::RecoveryRow;
use super::storage::{DirLock, Disk, FsDisk, boot_id, check_parent, check_private, create_dir, is_full, random};
use super::writer::{Birth, CommitError, SegmentWriter};
use super::{Moment, State};
use crate::detect::Published;
use crate::record::SeriesInfo;
use crate::sync::Arc;

/// Time between attempts while the disk is full or failing.
const RETRY_NS: i64 = 500_000_000;
/// RECOVERY rows that wait for a file at most.
const RECOVERY_ROWS: usize = 256;

/// Writes the stream `metrics` of one directory.
pub(crate) struct Store {
    config: StoreConfig,
    dir: PathBuf,
    disk: Box<dyn Disk>,
    _lock: Option<DirLock>,
    run_id: [u8; 16],
    boot_id: [u8; 16],
    next_seq: u64,
    prev_file_id: [u8; 16],
    writer: Option<SegmentWriter>,
    last_sync_ns: i64,
    batch: Batch,
    /// Every series seen, by number.
    infos: Vec<Option<Arc<SeriesInfo>>>,
    /// Whether the current file knows a series.
    named: Vec<bool>,
    recovery: VecDeque<RecoveryRow>,
    /// What an earlier process left; `None` before it was looked at.
    recovered: Option<Vec<RecoveryRow>>,
    retry_at_ns: Option<i64>,
    problem: Option<String>,
    counters: StoreCounters,
    files: Vec<String>,
}

/// A file that retention may remove.
struct Found {
    /// With `quarantine/` before it, if it is there.
    name: String,
    seq: u64,
    created_ms: i64,
    bytes: u64,
    old: bool,
}

impl fmt::Debug for Store {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Store").field("dir", &self.dir).field("counters", &self.counters).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store in `dir`, which is created where it does not exist.
    ///
    /// Cost: a listing of the directory. What an earlier process left is read before the first commit, so that however
    /// much there is, it does not delay the start of the engine; see [`Store::recovered`].
    ///
    /// # Errors
    /// If another engine holds the directory, it cannot be used at all, or others than this user could change it.
    pub(crate) fn open(dir: &Path, config: StoreConfig) -> Result<Store, StoreError> {
        let open = |source: io::Error| StoreError::Open { dir: dir.to_owned(), source };
        create_dir(dir).and_then(|()| check_parent(dir)).and_then(|()| check_private(dir)).map_err(open)?;
        let lock = DirLock::take(dir).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => StoreError::Locked { dir: dir.to_owned() },
            _ => open(error),
        })?;
        let stream = dir.join("metrics");
        let disk = FsDisk::open(&stream).map_err(open)?;
        check_private(&stream).map_err(open)?;
        match check_private(&stream.join("quarantine")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(open(error)),
            _ => {}
        }
        Store::on(Box::new(disk), &stream, Some(lock), config).map_err(open)
    }

    /// The store on any disk. Fails only where the system gives no random bytes.
    pub(super) fn on(
        disk: Box<dyn Disk>,
        dir: &Path,
        lock: Option<DirLock>,
        mut config: StoreConfig,
    ) -> io::Result<Store> {
        // At least two files must fit the budget, or retention could not leave a finished one.
        config.segment_bytes = config.segment_bytes.clamp(64 << 10, (config.retain_bytes / 2).max(64 << 10));
        let run_id = random()?;
        let now = (config.clock)();
        let next_seq = recover::next_seq(&*disk);
        Ok(Store {
            config,
            dir: dir.to_owned(),
            disk,
            _lock: lock,
            run_id,
            boot_id: boot_id(),
            next_seq,
            prev_file_id: [0; 16],
            writer: None,
            last_sync_ns: now.mono_ns,
            batch: Batch::default(),
            infos: Vec::new(),
            named: Vec::new(),
            recovery: VecDeque::new(),
            recovered: None,
            retry_at_ns: None,
            problem: None,
            counters: StoreCounters::default(),
            files: Vec::new(),
        })
    }

    /// Takes a window. It is committed with the next [`Store::commit`], or at once when enough has gathered.
    ///
    /// # Errors
    /// If a commit was due and failed: the windows it held are lost and counted.
    pub(crate) fn append(&mut self, published: &Published) -> Result<Appended, StoreError> {
        let snapshot = &published.snapshot;
        let mut rows = 0;
        for row in snapshot.series.iter().filter(|row| row.delta.count > 0) {
            self.remember(&row.info);
            self.batch.push_row(snapshot.start_ns, snapshot.end_ns, row);
            rows += 1;
        }
        for anomaly in published.anomalies.iter() {
            self.remember(&anomaly.series);
        }
        self.batch.push_window(published);
        if self.batch.bytes() < self.config.batch_bytes {
            return Ok(Appended { rows, committed: false });
        }
        self.commit()?;
        Ok(Appended { rows, committed: true })
    }

    fn remember(&mut self, info: &Arc<SeriesInfo>) {
        let at = info.id.index();
        if self.infos.len() <= at {
            self.infos.resize(at + 1, None);
        }
        let slot = &mut self.infos[at];
        if slot.is_none() {
            *slot = Some(Arc::clone(info));
        }
    }

    /// Commits what was appended, and does what is due: sync, roll-over, retention.
    ///
    /// # Errors
    /// If the commit failed: the windows it held are lost and counted, and the next commit tries anew.
    pub(crate) fn commit(&mut self) -> Result<(), StoreError> {
        self.judge_earlier();
        if self.batch.is_empty() && self.recovery.is_empty() {
            return Ok(());
        }
        let now = (self.config.clock)();
        let (windows, rows) = (self.batch.windows(), self.batch.rows());
        for row in self.recovery.drain(..) {
            self.batch.push_recovery(row);
        }
        let result = self.try_commit(now);
        match &result {
            Ok(bytes) => {
                self.counters.windows += windows;
                self.counters.rows += rows;
                self.counters.bytes += bytes;
                self.counters.commits += 1;
                self.retry_at_ns = None;
                self.problem = None;
            }
            Err(error) => {
                self.counters.windows_lost += windows;
                self.counters.rows_lost += rows;
                let earlier = std::mem::take(&mut self.recovery);
                self.recovery.extend(self.batch.take_recovery());
                self.recovery.extend(earlier);
                if !matches!(error, StoreError::Waiting { .. }) {
                    self.counters.write_failures += 1;
                    self.retry_at_ns = Some(now.mono_ns.saturating_add(RETRY_NS));
                    self.problem = Some(error.to_string());
                }
            }
        }
        self.batch.clear();
        result?;
        self.sync_if_due(now);
        Ok(())
    }

    /// Looks at what an earlier process left, once.
    fn judge_earlier(&mut self) {
        if self.recovered.is_some() {
            return;
        }
        let scan_bytes = self.config.segment_bytes.saturating_mul(2);
        let rows = recover::recover(&*self.disk, scan_bytes, (self.config.clock)());
        self.recovery.extend(rows.iter().take(RECOVERY_ROWS).cloned());
        self.recovered = Some(rows);
    }

    fn try_commit(&mut self, now: Moment) -> Result<u64, StoreError> {
        if self.retry_at_ns.is_some_and(|at| now.mono_ns < at) {
            return Err(StoreError::Waiting { cause: self.problem.clone().unwrap_or_default() });
        }
        self.roll_if_due(now);
        if self.writer.is_none() {
            self.create(now)?;
        }
        let dict = self.unnamed();
        let fresh: Vec<usize> = dict.iter().map(|info| info.id.index()).collect();
        self.batch.set_dict(dict);
        let Some(writer) = self.writer.as_mut() else {
            return Err(StoreError::Waiting { cause: "no segment file is open".into() });
        };
        match writer.commit(&self.batch, self.disk.max_file_len(), now) {
            Ok(bytes) => {
                for at in fresh {
                    if let Some(named) = self.named.get_mut(at) {
                        *named = true;
                    }
                }
                Ok(bytes)
            }
            // A new file has room for it, unless it has not a single block and is too small all the same.
            Err(CommitError::Limit) if writer.slot.blocks > 0 => {
                self.finish_file(now);
                self.try_commit(now)
            }
            Err(CommitError::Limit) => {
                Err(self.full("a commit does not fit the process' file size limit (RLIMIT_FSIZE)"))
            }
            // Nothing of the commit counts, and the file is as valid as before: keep it for when there is room.
            Err(CommitError::Io(error)) if is_full(&error) => Err(self.full(&error.to_string())),
            Err(CommitError::Io(source) | CommitError::Slot(source)) => {
                self.give_up(now, &format!("a write failed: {source}"));
                Err(StoreError::Write { dir: self.dir.clone(), action: "write a segment", source })
            }
        }
    }

    fn full(&self, detail: &str) -> StoreError {
        StoreError::Full { dir: self.dir.clone(), detail: detail.to_owned() }
    }

    /// The batch's series that the current file does not know yet, by number.
    fn unnamed(&mut self) -> Vec<Arc<SeriesInfo>> {
        self.named.resize(self.infos.len(), false);
        let mut seen = std::collections::BTreeSet::new();
        for series in self.batch.series() {
            if self.named.get(series as usize) == Some(&false) {
                seen.insert(series);
            }
        }
        seen.into_iter().filter_map(|series| self.infos.get(series as usize)?.clone()).collect()
    }

    /// Ends the current file if it is full, old, or no longer there.
    fn roll_if_due(&mut self, now: Moment) {
        let Some(writer) = &self.writer else { return };
        let age = now.mono_ns.saturating_sub(writer.created.mono_ns);
        let old = age >= nanos(self.config.segment_age);
        let full = writer.slot.blocks > 0 && writer.len() + self.batch.bytes() as u64 > self.config.segment_bytes;
        if old || full {
            self.finish_file(now);
        }
    }

    /// Closes the current file in order; the next commit creates another.
    fn finish_file(&mut self, now: Moment) {
        let Some(mut writer) = self.writer.take() else { return };
        let name = writer.name.clone();
        self.prev_file_id = writer.file_id;
        self.repeat_dict(&mut writer, now);
        if let Err(error) = writer.close(now) {
            self.counters.sync_failures += 1;
            self.note_given_up(now, &name, &format!("its last sync failed: {error}"));
        } else {
            self.counters.syncs += 1;
        }
    }

    /// Describes all series of the file once more at its end, so that one damaged DICT block costs no row its name.
    fn repeat_dict(&self, writer: &mut SegmentWriter, now: Moment) {
        let known = self.infos.iter().zip(&self.named).filter(|&(_, &named)| named);
        let mut batch = Batch::default();
        batch.set_dict(known.filter_map(|(info, _)| info.clone()).collect());
        // Without room for it the file is complete all the same.
        let _ = writer.commit(&batch, self.disk.max_file_len(), now);
    }

    fn give_up(&mut self, now: Moment, reason: &str) {
        let Some(writer) = self.writer.take() else { return };
        let name = writer.name.clone();
        self.prev_file_id = writer.file_id;
        writer.give_up(now);
        self.note_given_up(now, &name, reason);
    }

    fn note_given_up(&mut self, now: Moment, name: &str, reason: &str) {
        self.problem = Some(format!("segment {name} in {} was given up: {reason}", self.dir.display()));
        if self.recovery.len() >= RECOVERY_ROWS {
            self.recovery.pop_front();
        }
        self.recovery.push_back(RecoveryRow {
            ts_ns: now.real_ns,
            file: name.to_owned(),
            state: State::Tainted.code(),
            action: recover::GIVEN_UP,
            blocks: 0,
            damages: 0,
            committed: 0,
            last_real_ns: now.real_ns,
            recorded: 0,
            in_flight: 0,
            reason: reason.to_owned(),
        });
    }

    fn create(&mut self, now: Moment) -> Result<(), StoreError> {
        let failed = |dir: &Path, error: io::Error| {
            if is_full(&error) {
                StoreError::Full { dir: dir.to_owned(), detail: error.to_string() }
            } else {
                StoreError::Write { dir: dir.to_owned(), action: "create a segment", source: error }
            }
        };
        self.retain(now);
        if self.config.min_free_bytes > 0 {
            // Where the file system cannot say, creating the file will.
            let (free, total) = self.disk.space().unwrap_or((u64::MAX, 0));
            let least = self.config.min_free_bytes.max(total / 50);
            if free < least {
                return Err(self.full(&format!(
                    "{} are free and {} must stay free",
                    super::text::bytes(free),
                    super::text::bytes(least)
                )));
            }
        }
        let file_id = random().map_err(|error| failed(&self.dir, error))?;
        let birth = Birth {
            file_id,
            boot_id: self.boot_id,
            run_id: self.run_id,
            prev_file_id: self.prev_file_id,
            seq: self.next_seq,
            seg_len: self.config.segment_bytes,
            created: now,
        };
        let writer = SegmentWriter::create(&*self.disk, &birth).map_err(|error| failed(&self.dir, error))?;
        self.next_seq += 1;
        self.counters.files += 1;
        self.files.push(writer.name.clone());
        self.writer = Some(writer);
        self.named.clear();
        self.last_sync_ns = now.mono_ns;
        Ok(())
    }

    /// Removes what is too old, and the oldest of what is too much, so that one more file fits.
    ///
    /// Age is recorded time, not the distance of two readings of the wall clock: the gap between two neighbouring files
    /// counts for as long as a file can take, and no longer. So neither a clock that is years off nor a long pause
    /// removes history at a start.
    fn retain(&mut self, now: Moment) {
        let mut ours: Vec<Found> = Vec::new();
        // Quarantined files are the first to go.
        for (prefix, listed) in [("quarantine/", self.disk.list_quarantine()), ("", self.disk.list())] {
            for file in listed.unwrap_or_default().into_iter().filter(|file| file.regular) {
                let Some((seq, created_ms)) = parse_name(&file.name) else { continue };
                ours.push(Found {
                    name: format!("{prefix}{}", file.name),
                    seq,
                    created_ms,
                    bytes: file.bytes,
                    old: false,
                });
            }
        }
        self.mark_old(&mut ours, now.real_ns / 1_000_000);
        let mut total = ours.iter().fold(0_u64, |total, file| total.saturating_add(file.bytes));
        let current = self.writer.as_ref().map(|writer| writer.name.as_str());
        for Found { name, bytes, old, .. } in ours {
            let too_much = total.saturating_add(self.config.segment_bytes) > self.config.retain_bytes;
            if Some(name.as_str()) != current && (old || too_much) && self.disk.remove(&name).is_ok() {
                total = total.saturating_sub(bytes);
                self.counters.files_removed += 1;
                self.files.retain(|file| *file != name);
            }
        }
    }

    fn mark_old(&self, files: &mut [Found], now_ms: i64) {
        let longest_ms = nanos(self.config.segment_age).saturating_mul(2) / 1_000_000;
        let retain_ms = nanos(self.config.retain_age) / 1_000_000;
        let mut order: Vec<&mut Found> = files.iter_mut().collect();
        order.sort_by_key(|file| std::cmp::Reverse(file.seq));
        let (mut age_ms, mut later_ms) = (0_i64, now_ms);
        for file in order {
            age_ms = age_ms.saturating_add(later_ms.saturating_sub(file.created_ms).clamp(0, longest_ms));
            later_ms = file.created_ms;
            file.old = age_ms > retain_ms;
        }
    }

    fn sync_if_due(&mut self, now: Moment) {
        let Some(interval) = self.config.sync_interval else { return };
        if now.mono_ns.saturating_sub(self.last_sync_ns) < nanos(interval) {
            return;
        }
        self.last_sync_ns = now.mono_ns;
        let Some(writer) = self.writer.as_mut() else { return };
        // A file that was unlinked under us takes writes and keeps none of them.
        if matches!(self.disk.open(&writer.name), Err(error) if error.kind() == io::ErrorKind::NotFound) {
            self.give_up(now, "it was removed while it was being written");
            return;
        }
        if !writer.is_dirty() {
            return;
        }
        match writer.sync() {
            Ok(()) => self.counters.syncs += 1,
            Err(error) => {
                self.counters.sync_failures += 1;
                self.give_up(now, &format!("a sync failed, so what it held may not be on the disk: {error}"));
            }
        }
    }

    /// What is wrong at the moment; `None` while the store works.
    pub(crate) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// What the store did so far.
    #[cfg_attr(not(test), expect(dead_code, reason = "the account of the proofs"))]
    pub(crate) fn counters(&self) -> StoreCounters {
        self.counters
    }

    /// What an earlier process left that was not closed.
    #[cfg_attr(not(test), expect(dead_code, reason = "readers find it in the RECOVERY rows"))]
    pub(crate) fn recovered(&mut self) -> &[RecoveryRow] {
        self.judge_earlier();
        self.recovered.as_deref().unwrap_or_default()
    }

    /// Commits what waits and closes the file in order.
    ///
    /// # Errors
    /// If the last commit or the last sync failed; everything before it is in the files.
    pub(crate) fn close(mut self) -> Result<Summary, StoreError> {
        // There is no later attempt to wait for.
        self.retry_at_ns = None;
        let committed = self.commit();
        let now = (self.config.clock)();
        if let Some(mut writer) = self.writer.take() {
            self.repeat_dict(&mut writer, now);
            if let Err(source) = writer.close(now) {
                return Err(StoreError::Write { dir: self.dir, action: "close the last segment", source });
            }
            self.counters.syncs += 1;
        }
        committed?;
        let files = self.files.iter().map(|name| self.dir.join(name)).collect();
        Ok(Summary { counters: self.counters, files })
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
