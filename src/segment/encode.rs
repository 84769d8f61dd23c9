//! Block bodies, from values to bytes.
//!
//! A [`Batch`] collects rows in columns until they are committed; [`Batch::encode`] turns it into blocks of at most
//! about [`TARGET_BODY`] bytes each.

use std::collections::HashMap;

use bytemuck::{Pod, bytes_of, cast_slice};

use super::format::{
    ALIGN, BLOCK_MAGIC, BlockHeader, ColumnEntry, DICT, Dtype, EVENT, HIST, LEDGER, MAX_BODY, RECOVERY, SCALAR,
    STR_BYTES, STR_OFF, crc,
};
use super::rows::{RecoveryRow, cause_columns};
use crate::aggregate::{Scheme, SeriesWindow};
use crate::detect::{Anomaly, Published};
use crate::ledger::Ledger;
use crate::record::SeriesInfo;
use crate::sync::Arc;

/// Bodies are cut at about this size: far below [`MAX_BODY`], so that a damaged block costs little.
pub(crate) const TARGET_BODY: usize = 256 << 10;

/// Where the next block goes and what it is called.
#[derive(Debug)]
pub(crate) struct Cursor {
    pub(crate) tag: u32,
    pub(crate) seq: u64,
    pub(crate) offset: u64,
}

/// Rows that wait for their commit.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    dict: Vec<Arc<SeriesInfo>>,
    scalar: Scalar,
    hist: Hist,
    events: Vec<Arc<Anomaly>>,
    ledger: Vec<(i64, i64, u64, Ledger)>,
    recovery: Vec<RecoveryRow>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Scalar {
    ts: Vec<i64>,
    end: Vec<i64>,
    series: Vec<u32>,
    count: Vec<u64>,
    sum: Vec<f64>,
    min: Vec<f64>,
    max: Vec<f64>,
    last: Vec<f64>,
}

#[derive(Debug)]
struct Hist {
    ts: Vec<i64>,
    end: Vec<i64>,
    series: Vec<u32>,
    n: Vec<u64>,
    sum: Vec<f64>,
    min: Vec<f64>,
    max: Vec<f64>,
    off: Vec<u32>,
    idx: Vec<u32>,
    cnt: Vec<u64>,
}

impl Default for Hist {
    fn default() -> Self {
        Hist {
            ts: Vec::new(),
            end: Vec::new(),
            series: Vec::new(),
            n: Vec::new(),
            sum: Vec::new(),
            min: Vec::new(),
            max: Vec::new(),
            off: vec![0],
            idx: Vec::new(),
            cnt: Vec::new(),
        }
    }
}

impl Scalar {
    fn clear(&mut self) {
        let Scalar { ts, end, series, count, sum, min, max, last } = self;
        ts.clear();
        end.clear();
        series.clear();
        count.clear();
        for column in [sum, min, max, last] {
            column.clear();
        }
    }
}

impl Hist {
    fn clear(&mut self) {
        let Hist { ts, end, series, n, sum, min, max, off, idx, cnt } = self;
        ts.clear();
        end.clear();
        series.clear();
        n.clear();
        for column in [sum, min, max] {
            column.clear();
        }
        off.truncate(1);
        idx.clear();
        cnt.clear();
    }
}

impl Batch {
    /// Sets the series that the file must be told about before the batch's rows.
    pub(crate) fn set_dict(&mut self, infos: Vec<Arc<SeriesInfo>>) {
        self.dict = infos;
    }

    /// The series of all rows, with repetitions.
    pub(crate) fn series(&self) -> impl Iterator<Item = u32> {
        self.scalar.series.iter().copied().chain(self.events.iter().map(|event| event.series.id.0))
    }

    /// Adds a series' window.
    pub(crate) fn push_row(&mut self, start_ns: i64, end_ns: i64, row: &SeriesWindow) {
        let (series, delta) = (row.info.id.0, &row.delta);
        let to = &mut self.scalar;
        to.ts.push(start_ns);
        to.end.push(end_ns);
        to.series.push(series);
        to.count.push(delta.count);
        to.sum.push(delta.sum);
        to.min.push(delta.min);
        to.max.push(delta.max);
        to.last.push(delta.last);
        self.bytes += 60;
        let Some(buckets) = row.delta_buckets.as_ref().filter(|buckets| !buckets.indices.is_empty()) else { return };
        let to = &mut self.hist;
        to.ts.push(start_ns);
        to.end.push(end_ns);
        to.series.push(series);
        to.n.push(delta.count);
        to.sum.push(delta.sum);
        to.min.push(delta.min);
        to.max.push(delta.max);
        to.idx.extend_from_slice(&buckets.indices);
        to.cnt.extend_from_slice(&buckets.counts);
        to.off.push(u32::try_from(to.idx.len()).unwrap_or(u32::MAX));
        self.bytes += 56 + 12 * buckets.indices.len();
    }

    /// Adds what belongs to the window as a whole.
    pub(crate) fn push_window(&mut self, published: &Published) {
        let snapshot = &published.snapshot;
        self.events.extend(published.anomalies.iter().cloned());
        self.ledger.push((snapshot.start_ns, snapshot.end_ns, snapshot.window, snapshot.ledger));
        self.bytes += 96 + published.anomalies.iter().map(|anomaly| 64 + 48 * anomaly.verdicts.len()).sum::<usize>();
    }

    /// Adds what was found at start.
    pub(crate) fn push_recovery(&mut self, row: RecoveryRow) {
        self.bytes += 128 + row.reason.len();
        self.recovery.push(row);
    }

    /// About how many bytes the batch will take.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Windows in the batch.
    pub(crate) fn windows(&self) -> u64 {
        self.ledger.len() as u64
    }

    /// Rows of series in the batch (histogram rows belong to their scalar row and are not counted again).
    pub(crate) fn rows(&self) -> u64 {
        self.scalar.ts.len() as u64
    }

    /// The latest account in the batch: number of the window and the account.
    pub(crate) fn last_ledger(&self) -> Option<(u64, Ledger)> {
        self.ledger.last().map(|&(_, _, window, ledger)| (window, ledger))
    }

    /// What was found at start, back to be written elsewhere after a commit failed.
    pub(crate) fn take_recovery(&mut self) -> Vec<RecoveryRow> {
        std::mem::take(&mut self.recovery)
    }

    /// Empties the batch and keeps its memory.
    pub(crate) fn clear(&mut self) {
        let Batch { dict, scalar, hist, events, ledger, recovery, bytes } = self;
        dict.clear();
        scalar.clear();
        hist.clear();
        events.clear();
        ledger.clear();
        recovery.clear();
        *bytes = 0;
    }

    /// Appends the batch to `out` as blocks and moves the cursor behind them.
    pub(crate) fn encode(&self, cursor: &mut Cursor, out: &mut Vec<u8>) {
        self.encode_recovery(cursor, out);
        self.encode_dict(cursor, out);
        self.encode_scalar(cursor, out);
        self.encode_hist(cursor, out);
        self.encode_events(cursor, out);
        self.encode_ledger(cursor, out);
    }

    fn encode_scalar(&self, cursor: &mut Cursor, out: &mut Vec<u8>) {
        let rows = &self.scalar;
        let per_block = TARGET_BODY / 60;
        for from in (0..rows.ts.len()).step_by(per_block) {
            let range = from..(from + per_block).min(rows.ts.len());
            let mut body = Body::new(SCALAR, range.len(), 8);
            body.times(&rows.ts[range.clone()]);
            body.column(2, Dtype::I64, &rows.end[range.clone()]);
            body.column(3, Dtype::U32, &rows.series[range.clone()]);
            body.column(4, Dtype::U64, &rows.count[range.clone()]);
            body.column(5, Dtype::F64, &rows.sum[range.clone()]);
            body.column(6, Dtype::F64, &rows.min[range.clone()]);
            body.column(7, Dtype::F64, &rows.max[range.clone()]);
            body.column(8, Dtype::F64, &rows.last[range]);
            body.finish(cursor, out);
        }
    }

    fn encode_hist(&self, cursor: &mut Cursor, out: &mut Vec<u8>) {
        let rows = &self.hist;
        let mut from = 0;
        while from < rows.ts.len() {
            // At least one row; the largest possible one, every bucket of the finest scheme in use, takes 627 KB.
            let mut to = from + 1;
            let first = rows.off[from];
            while to < rows.ts.len() && (rows.off[to + 1] - first) as usize * 12 + (to - from) * 56 < TARGET_BODY {
                to += 1;
            }
            let range = from..to;
            let items = first as usize..rows.off[to] as usize;
            let off: Vec<u32> = rows.off[from..=to].iter().map(|off| off - first).collect();
            let mut body = Body::new(HIST, range.len(), 10);
            body.times(&rows.ts[range.clone()]);
            body.column(2, Dtype::I64, &rows.end[range.clone()]);
            body.column(3, Dtype::U32, &rows.series[range.clone()]);
            body.column(4, Dtype::U64, &rows.n[range.clone()]);
            body.column(5, Dtype::F64, &rows.sum[range.clone()]);
            body.column(6, Dtype::F64, &rows.min[range.clone()]);
            body.column(7, Dtype::F64, &rows.max[range]);
            body.column(8, Dtype::U32, &off);
            body.column(9, Dtype::U32, &rows.idx[items.clone()]);
            body.column(10, Dtype::U64, &rows.cnt[items]);
            body.finish(cursor, out);
            from = to;
        }
    }

    fn encode_dict(&self, cursor: &mut Cursor, out: &mut Vec<u8>) {
        // A series has at most 64 labels of at most 512 bytes, and its help is cut below, so one entry always fits a block.
        let mut from = 0;
        while from < self.dict.len() {
            let (mut to, mut bytes) = (from, 0);
            while to < self.dict.len() && (to == from || bytes < TARGET_BODY) {
                let info = &self.dict[to];
                bytes += 80 + info.name.len() + info.help.len().min(MAX_TEXT);
                bytes += info.labels.iter().map(|(key, value)| 24 + key.len() + value.len()).sum::<usize>();
                to += 1;
            }
            encode_dict_block(&self.dict[from..to], cursor, out);
            from = to;
        }
    }

    fn encode_events(&self, cursor: &mut Cursor, out: &mut Vec<u8>) {
        for events in self.events.chunks(512) {
            let mut strings = Strings::default();
            let mut verdict_off = vec![0_u32];
            let (mut detector, mut score, mut low, mut high) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
            for event in events {
                for verdict in event.verdicts.iter().take(32) {
                    detector.push(strings.intern(verdict.detector));
                    score.push(verdict.score);
                    low.push(verdict.low);
                    high.push(verdict.high);
                }
                verdict_off.push(score.len() as u32);
            }
            let mut body = Body::new(EVENT, events.len(), 14);
            body.times(&collect(events, |event| event.time_ns));
            body.column(2, Dtype::U64, &collect(events, |event| event.id));
            body.column(3, Dtype::U32, &collect(events, |event| event.series.id.0));
            body.column(4, Dtype::F64, &collect(events, |event| event.value));
            body.column(5, Dtype::F64, &collect(events, |event| event.score));
            body.column(6, Dtype::U8, &collect(events, |event| event.severity as u8));
            body.column(7, Dtype::F64, &collect(events, |event| event.completeness));
            body.column(8, Dtype::U32, &verdict_off);
            body.column(9, Dtype::U32, &detector);
            body.column(10, Dtype::F64, &score);
            body.column(11, Dtype::F64, &low);
            body.column(12, Dtype::F64, &high);
            strings.write(&mut body);
            body.finish(cursor, out);
        }
    }

    fn encode_ledger(&self, cursor: &mut Cursor, out: &mut Vec<u8>) {
        for rows in self.ledger.chunks(TARGET_BODY / 160) {
            let mut body = Body::new(LEDGER, rows.len(), 16);
            body.times(&collect(rows, |row| row.0));
            body.column(2, Dtype::I64, &collect(rows, |row| row.1));
            body.column(3, Dtype::U64, &collect(rows, |row| row.2));
            body.column_unless_zero(4, &collect(rows, |row| row.3.recorded));
            body.column_unless_zero(5, &collect(rows, |row| row.3.aggregated));
            body.column_unless_zero(6, &collect(rows, |row| row.3.in_flight));
            body.column_unless_zero(7, &collect(rows, |row| row.3.increments));
            body.column_unless_zero(8, &collect(rows, |row| row.3.gathered));
            body.column_unless_zero(9, &collect(rows, |row| row.3.clamped));
            body.column(10, Dtype::U8, &collect(rows, |row| u8::from(row.3.consistent)));
            for (cause, id) in cause_columns() {
                body.column_unless_zero(id, &collect(rows, |row| row.3.dropped.get(cause)));
            }
            body.finish(cursor, out);
        }
    }

    fn encode_recovery(&self, cursor: &mut Cursor, out: &mut Vec<u8>) {
        for rows in self.recovery.chunks(128) {
            let mut strings = Strings::default();
            let file = collect(rows, |row| strings.intern(&row.file));
            let reason = collect(rows, |row| strings.intern(cut(&row.reason)));
            let mut body = Body::new(RECOVERY, rows.len(), 13);
            body.times(&collect(rows, |row| row.ts_ns));
            body.column(2, Dtype::U32, &file);
            body.column(3, Dtype::U32, &collect(rows, |row| row.state));
            body.column(4, Dtype::U8, &collect(rows, |row| row.action));
            body.column(5, Dtype::U64, &collect(rows, |row| row.blocks));
            body.column(6, Dtype::U64, &collect(rows, |row| row.damages));
            body.column(7, Dtype::U64, &collect(rows, |row| row.committed));
            body.column(8, Dtype::I64, &collect(rows, |row| row.last_real_ns));
            body.column(9, Dtype::U64, &collect(rows, |row| row.recorded));
            body.column(10, Dtype::U64, &collect(rows, |row| row.in_flight));
            body.column(11, Dtype::U32, &reason);
            strings.write(&mut body);
            body.finish(cursor, out);
        }
    }
}

/// Longest help text or reason that is stored, in bytes.
const MAX_TEXT: usize = 1_024;

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_TEXT)).unwrap_or(text)
}

fn collect<T, U>(rows: &[T], of: impl FnMut(&T) -> U) -> Vec<U> {
    rows.iter().map(of).collect()
}

fn encode_dict_block(infos: &[Arc<SeriesInfo>], cursor: &mut Cursor, out: &mut Vec<u8>) {
    let mut strings = Strings::default();
    let (mut name, mut help) = (Vec::new(), Vec::new());
    let (mut label_off, mut label_key, mut label_value) = (vec![0_u32], Vec::new(), Vec::new());
    for info in infos {
        name.push(strings.intern(&info.name));
        help.push(strings.intern(cut(&info.help)));
        for (key, value) in &info.labels {
            label_key.push(strings.intern(key));
            label_value.push(strings.intern(value));
        }
        label_off.push(label_key.len() as u32);
    }
    let mut body = Body::new(DICT, infos.len(), 12);
    body.column(1, Dtype::U32, &collect(infos, |info| info.id.0));
    body.column(2, Dtype::U8, &collect(infos, |info| info.kind as u8));
    body.column(3, Dtype::U8, &collect(infos, |info| info.unit as u8));
    body.column(4, Dtype::U32, &name);
    body.column(5, Dtype::U32, &help);
    body.column(6, Dtype::U32, &label_off);
    body.column(7, Dtype::U32, &label_key);
    body.column(8, Dtype::U32, &label_value);
    body.column(9, Dtype::F64, &collect(infos, |info| Scheme::of(info.unit).scale));
    body.column(10, Dtype::U64, &collect(infos, |info| Scheme::of(info.unit).highest));
    strings.write(&mut body);
    body.finish(cursor, out);
}

/// The strings of a block, each stored once.
#[derive(Default)]
struct Strings {
    by_text: HashMap<Box<str>, u32>,
    off: Vec<u32>,
    bytes: Vec<u8>,
}

impl Strings {
    fn intern(&mut self, text: &str) -> u32 {
        if let Some(&at) = self.by_text.get(text) {
            return at;
        }
        if self.off.is_empty() {
            self.off.push(0);
        }
        let at = self.off.len() as u32 - 1;
        self.bytes.extend_from_slice(text.as_bytes());
        self.off.push(self.bytes.len() as u32);
        self.by_text.insert(text.into(), at);
        at
    }

    fn write(&self, body: &mut Body) {
        body.column(STR_OFF, Dtype::U32, &self.off);
        body.column(STR_BYTES, Dtype::U8, &self.bytes);
    }
}

/// A block under construction.
struct Body {
    kind: u16,
    rows: usize,
    entries: Vec<ColumnEntry>,
    /// Offset of `data` within the body: room for a directory of the announced number of columns.
    data_off: usize,
    data: Vec<u8>,
    span: (i64, i64),
}

impl Body {
    fn new(kind: u16, rows: usize, columns: usize) -> Body {
        Body {
            kind,
            rows,
            entries: Vec::with_capacity(columns),
            data_off: columns * size_of::<ColumnEntry>(),
            data: Vec::with_capacity(rows * 64),
            span: (0, 0),
        }
    }

    fn column<T: Pod>(&mut self, id: u16, dtype: Dtype, items: &[T]) {
        let bytes: &[u8] = cast_slice(items);
        debug_assert!(self.entries.len() * size_of::<ColumnEntry>() < self.data_off, "more columns than announced");
        self.entries.push(ColumnEntry {
            id,
            dtype: dtype as u8,
            enc: 0,
            off: (self.data_off + self.data.len()) as u32,
            len: bytes.len() as u32,
            items: items.len() as u32,
        });
        self.data.extend_from_slice(bytes);
        self.data.resize(self.data.len().next_multiple_of(8), 0);
    }

    fn column_unless_zero(&mut self, id: u16, items: &[u64]) {
        if items.iter().any(|&item| item != 0) {
            self.column(id, Dtype::U64, items);
        }
    }

    /// Column 1 of every kind with times; also gives the block its time range.
    fn times(&mut self, ts: &[i64]) {
        self.span = (ts.iter().copied().min().unwrap_or(0), ts.iter().copied().max().unwrap_or(0));
        self.column(1, Dtype::I64, ts);
    }

    fn finish(self, cursor: &mut Cursor, out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + size_of::<BlockHeader>(), 0);
        for entry in &self.entries {
            out.extend_from_slice(bytes_of(entry));
        }
        out.resize(start + size_of::<BlockHeader>() + self.data_off, 0);
        out.extend_from_slice(&self.data);
        out.resize(start + (out.len() - start).next_multiple_of(ALIGN), 0);
        let body = &out[start + size_of::<BlockHeader>()..];
        debug_assert!(body.len() <= MAX_BODY as usize, "blocks are cut long before this size");
        let mut header = BlockHeader {
            magic: BLOCK_MAGIC,
            kind: self.kind,
            flags: 0,
            block_seq: cursor.seq,
            body_len: body.len() as u32,
            raw_len: body.len() as u32,
            rows: self.rows as u32,
            ncols: self.entries.len() as u16,
            codec: 0,
            ts_min: self.span.0,
            ts_max: self.span.1,
            file_tag: cursor.tag,
            body_crc: crc(body),
            position: (cursor.offset / ALIGN as u64) as u32,
            hdr_crc: 0,
        };
        header.seal();
        cursor.seq += 1;
        cursor.offset += (out.len() - start) as u64;
        out[start..start + size_of::<BlockHeader>()].copy_from_slice(bytes_of(&header));
    }
}
