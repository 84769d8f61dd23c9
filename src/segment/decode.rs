//! Block bodies, from bytes to values.
//!
//! A body comes here only after its checksum matched, so what fails below was written wrongly or forged. Nothing is
//! allocated beyond the size of the body, and no offset or length in it is believed.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use bytemuck::Pod;

use super::format::{
    BlockHeader, ColumnEntry, DICT, Dtype, EVENT, HIST, LEDGER, RECOVERY, SCALAR, STR_BYTES, STR_OFF, read,
};
use super::rows::{
    EventRow, HistRow, HistRows, LedgerRow, RecoveryRow, Rows, ScalarRow, SeriesEntry, VerdictRow, cause_columns,
};
use crate::aggregate::Scheme;
use crate::ledger::Ledger;
use crate::record::{Kind, Unit};
use crate::sync::Arc;

/// Why a body with a valid checksum cannot be understood.
pub(crate) type Malformed = &'static str;

/// Decodes a body.
pub(crate) fn decode(header: &BlockHeader, body: &[u8]) -> Result<Rows, Malformed> {
    if !matches!(header.kind, DICT..=RECOVERY) {
        return Ok(Rows::Unknown);
    }
    if header.codec != 0 || header.flags != 0 {
        return Err("block uses a codec or flag this reader does not know: use a newer release of afferent");
    }
    let columns = Columns::parse(header, body)?;
    match header.kind {
        DICT => dict(&columns).map(Rows::Dict),
        SCALAR => scalar(&columns).map(Rows::Scalar),
        HIST => hist(&columns).map(Rows::Hist),
        EVENT => event(&columns).map(Rows::Event),
        LEDGER => ledger(&columns).map(Rows::Ledger),
        RECOVERY => recovery(&columns).map(Rows::Recovery),
        _ => Ok(Rows::Unknown),
    }
}

/// A column whose length was checked when it was looked up.
struct Col<'a, T> {
    bytes: &'a [u8],
    marker: std::marker::PhantomData<T>,
}

impl<T: Pod + Default> Col<'_, T> {
    fn len(&self) -> usize {
        self.bytes.len() / size_of::<T>()
    }

    /// Item `at`; zero past the end, which the checked length excludes for every row.
    fn get(&self, at: usize) -> T {
        let from = at * size_of::<T>();
        self.bytes.get(from..from + size_of::<T>()).map(bytemuck::pod_read_unaligned).unwrap_or_default()
    }

    fn to_vec(&self) -> Vec<T> {
        self.bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned).collect()
    }
}

struct Columns<'a> {
    body: &'a [u8],
    entries: Vec<ColumnEntry>,
    rows: usize,
}

impl<'a> Columns<'a> {
    fn parse(header: &BlockHeader, body: &'a [u8]) -> Result<Columns<'a>, Malformed> {
        let width = size_of::<ColumnEntry>();
        let directory =
            body.get(..usize::from(header.ncols) * width).ok_or("column directory reaches past the block's end")?;
        let entries = directory.chunks_exact(width).filter_map(read::<ColumnEntry>).collect();
        Ok(Columns { body, entries, rows: header.rows as usize })
    }

    /// A column of any number of items.
    fn optional<T: Pod + Default>(&self, id: u16, dtype: Dtype) -> Result<Option<Col<'a, T>>, Malformed> {
        let Some(entry) = self.entries.iter().find(|entry| entry.id == id) else { return Ok(None) };
        if entry.enc != 0 || entry.dtype != dtype as u8 {
            return Err("column has a type or encoding this reader does not expect");
        }
        let (off, len) = (entry.off as usize, entry.len as usize);
        let bytes = self.body.get(off..off.saturating_add(len)).ok_or("column reaches past the block's end")?;
        if off % 8 != 0 || entry.items as usize * size_of::<T>() != len {
            return Err("column's length and number of items disagree");
        }
        Ok(Some(Col { bytes, marker: std::marker::PhantomData }))
    }

    fn items<T: Pod + Default>(&self, id: u16, dtype: Dtype) -> Result<Col<'a, T>, Malformed> {
        self.optional(id, dtype)?.ok_or("a column is missing")
    }

    /// A column with one item a row.
    fn rows<T: Pod + Default>(&self, id: u16, dtype: Dtype) -> Result<Col<'a, T>, Malformed> {
        let col = self.items(id, dtype)?;
        if col.len() == self.rows { Ok(col) } else { Err("column does not have one item a row") }
    }

    /// A column with one item a row that reads as zero where it is absent.
    fn rows_or_zero(&self, id: u16) -> Result<Col<'a, u64>, Malformed> {
        match self.optional(id, Dtype::U64)? {
            Some(col) if col.len() == self.rows => Ok(col),
            Some(_) => Err("column does not have one item a row"),
            None => Ok(Col { bytes: &[], marker: std::marker::PhantomData }),
        }
    }

    /// Offsets into `items` items: rows + 1 of them, ascending.
    fn offsets(&self, id: u16, items: usize) -> Result<Vec<u32>, Malformed> {
        let col = self.items::<u32>(id, Dtype::U32)?;
        if col.len() != self.rows + 1 {
            return Err("offset column does not have one item more than rows");
        }
        let off = col.to_vec();
        if off.windows(2).any(|pair| pair[0] > pair[1]) || off.last().is_some_and(|&last| last as usize > items) {
            return Err("offsets do not ascend or reach past their column");
        }
        Ok(off)
    }

    fn strings(&self) -> Result<Strings<'a>, Malformed> {
        Ok(Strings { off: self.items(STR_OFF, Dtype::U32)?, bytes: self.items::<u8>(STR_BYTES, Dtype::U8)?.bytes })
    }
}

struct Strings<'a> {
    off: Col<'a, u32>,
    bytes: &'a [u8],
}

impl<'a> Strings<'a> {
    fn get(&self, at: u32) -> Result<&'a str, Malformed> {
        let at = at as usize;
        if at + 1 >= self.off.len() {
            return Err("string number is out of range");
        }
        let range = self.off.get(at) as usize..self.off.get(at + 1) as usize;
        let bytes = self.bytes.get(range).ok_or("string reaches past its column")?;
        std::str::from_utf8(bytes).map_err(|_| "string is not UTF-8")
    }
}

/// The items of one row; nothing where an offset is out of range, which [`Columns::offsets`] excludes.
fn range(off: &[u32], row: usize) -> std::ops::Range<usize> {
    match (off.get(row), off.get(row + 1)) {
        (Some(&from), Some(&to)) => from as usize..to as usize,
        _ => 0..0,
    }
}

fn dict(columns: &Columns) -> Result<Vec<SeriesEntry>, Malformed> {
    let series = columns.rows::<u32>(1, Dtype::U32)?;
    let kind = columns.rows::<u8>(2, Dtype::U8)?;
    let unit = columns.rows::<u8>(3, Dtype::U8)?;
    let name = columns.rows::<u32>(4, Dtype::U32)?;
    let help = columns.rows::<u32>(5, Dtype::U32)?;
    let key = columns.items::<u32>(7, Dtype::U32)?;
    let value = columns.items::<u32>(8, Dtype::U32)?;
    let off = columns.offsets(6, key.len().min(value.len()))?;
    let scale = columns.rows::<f64>(9, Dtype::F64)?;
    let highest = columns.rows::<u64>(10, Dtype::U64)?;
    let strings = columns.strings()?;
    let mut out = Vec::with_capacity(columns.rows);
    // Strings may be shared, so many short rows could otherwise ask for many copies of one long string.
    let mut budget = super::format::MAX_RAW as usize;
    let mut own = |text: &str| {
        budget = budget.checked_sub(text.len()).ok_or("dictionary is larger than the format allows")?;
        Ok::<String, Malformed>(text.to_owned())
    };
    for row in 0..columns.rows {
        let scheme = Scheme { scale: scale.get(row), highest: highest.get(row) };
        if !(scheme.scale.is_finite() && scheme.scale > 0.0) {
            return Err("histogram scale is not a positive number");
        }
        let mut labels = Vec::new();
        for at in range(&off, row) {
            labels.push((own(strings.get(key.get(at))?)?, own(strings.get(value.get(at))?)?));
        }
        out.push(SeriesEntry {
            series: series.get(row),
            name: own(strings.get(name.get(row))?)?,
            // A later minor version may have more of both; all else of the series is as good as ever.
            kind: Kind::from_code(kind.get(row)),
            unit: Unit::from_code(unit.get(row)).unwrap_or(Unit::None),
            help: own(strings.get(help.get(row))?)?,
            labels,
            scheme,
        });
    }
    Ok(out)
}

fn scalar(columns: &Columns) -> Result<Vec<ScalarRow>, Malformed> {
    let ts = columns.rows::<i64>(1, Dtype::I64)?;
    let end = columns.rows::<i64>(2, Dtype::I64)?;
    let series = columns.rows::<u32>(3, Dtype::U32)?;
    let count = columns.rows::<u64>(4, Dtype::U64)?;
    let sum = columns.rows::<f64>(5, Dtype::F64)?;
    let min = columns.rows::<f64>(6, Dtype::F64)?;
    let max = columns.rows::<f64>(7, Dtype::F64)?;
    let last = columns.rows::<f64>(8, Dtype::F64)?;
    Ok((0..columns.rows)
        .map(|row| ScalarRow {
            ts_ns: ts.get(row),
            end_ns: end.get(row),
            series: series.get(row),
            count: count.get(row),
            sum: sum.get(row),
            min: min.get(row),
            max: max.get(row),
            last: last.get(row),
        })
        .collect())
}

fn hist(columns: &Columns) -> Result<HistRows, Malformed> {
    let ts = columns.rows::<i64>(1, Dtype::I64)?;
    let end = columns.rows::<i64>(2, Dtype::I64)?;
    let series = columns.rows::<u32>(3, Dtype::U32)?;
    let n = columns.rows::<u64>(4, Dtype::U64)?;
    let sum = columns.rows::<f64>(5, Dtype::F64)?;
    let min = columns.rows::<f64>(6, Dtype::F64)?;
    let max = columns.rows::<f64>(7, Dtype::F64)?;
    let indices = columns.items::<u32>(9, Dtype::U32)?.to_vec();
    let counts = columns.items::<u64>(10, Dtype::U64)?.to_vec();
    let offsets = columns.offsets(8, indices.len().min(counts.len()))?;
    for row in 0..columns.rows {
        let own = indices.get(range(&offsets, row)).unwrap_or_default();
        if own.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err("bucket indices of a row do not ascend");
        }
    }
    let rows = (0..columns.rows)
        .map(|row| HistRow {
            ts_ns: ts.get(row),
            end_ns: end.get(row),
            series: series.get(row),
            n: n.get(row),
            sum: sum.get(row),
            min: min.get(row),
            max: max.get(row),
        })
        .collect();
    Ok(HistRows { rows, offsets, indices, counts })
}

fn event(columns: &Columns) -> Result<Vec<EventRow>, Malformed> {
    let ts = columns.rows::<i64>(1, Dtype::I64)?;
    let id = columns.rows::<u64>(2, Dtype::U64)?;
    let series = columns.rows::<u32>(3, Dtype::U32)?;
    let value = columns.rows::<f64>(4, Dtype::F64)?;
    let score = columns.rows::<f64>(5, Dtype::F64)?;
    let severity = columns.rows::<u8>(6, Dtype::U8)?;
    let completeness = columns.rows::<f64>(7, Dtype::F64)?;
    let detector = columns.items::<u32>(9, Dtype::U32)?;
    let verdict_score = columns.items::<f64>(10, Dtype::F64)?;
    let low = columns.items::<f64>(11, Dtype::F64)?;
    let high = columns.items::<f64>(12, Dtype::F64)?;
    let items = detector.len().min(verdict_score.len()).min(low.len()).min(high.len());
    let off = columns.offsets(8, items)?;
    let strings = columns.strings()?;
    // Few names, used by every row: each is held once.
    let mut names: HashMap<u32, Arc<str>> = HashMap::new();
    let mut out = Vec::with_capacity(columns.rows);
    for row in 0..columns.rows {
        let mut verdicts = Vec::new();
        for at in range(&off, row) {
            let detector = match names.entry(detector.get(at)) {
                Entry::Occupied(known) => Arc::clone(known.get()),
                Entry::Vacant(place) => {
                    let name = strings.get(*place.key())?;
                    if name.len() > 256 {
                        return Err("detector name is longer than 256 bytes");
                    }
                    Arc::clone(place.insert(name.into()))
                }
            };
            verdicts.push(VerdictRow { detector, score: verdict_score.get(at), low: low.get(at), high: high.get(at) });
        }
        out.push(EventRow {
            ts_ns: ts.get(row),
            id: id.get(row),
            series: series.get(row),
            value: value.get(row),
            score: score.get(row),
            severity: severity.get(row),
            completeness: completeness.get(row),
            verdicts,
        });
    }
    Ok(out)
}

fn ledger(columns: &Columns) -> Result<Vec<LedgerRow>, Malformed> {
    let ts = columns.rows::<i64>(1, Dtype::I64)?;
    let end = columns.rows::<i64>(2, Dtype::I64)?;
    let window = columns.rows::<u64>(3, Dtype::U64)?;
    let recorded = columns.rows_or_zero(4)?;
    let aggregated = columns.rows_or_zero(5)?;
    let in_flight = columns.rows_or_zero(6)?;
    let increments = columns.rows_or_zero(7)?;
    let gathered = columns.rows_or_zero(8)?;
    let clamped = columns.rows_or_zero(9)?;
    let consistent = columns.rows::<u8>(10, Dtype::U8)?;
    let mut dropped = Vec::new();
    for (cause, id) in cause_columns() {
        dropped.push((cause, columns.rows_or_zero(id)?));
    }
    Ok((0..columns.rows)
        .map(|row| {
            let mut ledger = Ledger {
                recorded: recorded.get(row),
                aggregated: aggregated.get(row),
                in_flight: in_flight.get(row),
                increments: increments.get(row),
                gathered: gathered.get(row),
                clamped: clamped.get(row),
                consistent: consistent.get(row) != 0,
                ..Ledger::default()
            };
            for (cause, col) in &dropped {
                ledger.dropped.add(*cause, col.get(row));
            }
            LedgerRow { ts_ns: ts.get(row), end_ns: end.get(row), window: window.get(row), ledger }
        })
        .collect())
}

fn recovery(columns: &Columns) -> Result<Vec<RecoveryRow>, Malformed> {
    let ts = columns.rows::<i64>(1, Dtype::I64)?;
    let file = columns.rows::<u32>(2, Dtype::U32)?;
    let state = columns.rows::<u32>(3, Dtype::U32)?;
    let action = columns.rows::<u8>(4, Dtype::U8)?;
    let blocks = columns.rows::<u64>(5, Dtype::U64)?;
    let damages = columns.rows::<u64>(6, Dtype::U64)?;
    let committed = columns.rows::<u64>(7, Dtype::U64)?;
    let last_real = columns.rows::<i64>(8, Dtype::I64)?;
    let recorded = columns.rows::<u64>(9, Dtype::U64)?;
    let in_flight = columns.rows::<u64>(10, Dtype::U64)?;
    let reason = columns.rows::<u32>(11, Dtype::U32)?;
    let strings = columns.strings()?;
    let mut budget = super::format::MAX_RAW as usize;
    let mut text = |at: u32| {
        let text = strings.get(at)?;
        budget = budget.checked_sub(text.len()).ok_or("texts are longer than the format allows")?;
        Ok::<String, Malformed>(text.to_owned())
    };
    let mut out = Vec::with_capacity(columns.rows);
    for row in 0..columns.rows {
        out.push(RecoveryRow {
            ts_ns: ts.get(row),
            file: text(file.get(row))?,
            state: state.get(row),
            action: action.get(row),
            blocks: blocks.get(row),
            damages: damages.get(row),
            committed: committed.get(row),
            last_real_ns: last_real.get(row),
            recorded: recorded.get(row),
            in_flight: in_flight.get(row),
            reason: text(reason.get(row))?,
        });
    }
    Ok(out)
}
