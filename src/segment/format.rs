//! The bytes of a segment file, and nothing else: no I/O, no allocation from lengths found in a file.
//!
//! `docs/format/segment.md` is the normative description; the assertions below hold the structs to its tables.

use bytemuck::{Pod, Zeroable};

#[cfg(target_endian = "big")]
compile_error!("segment files are little-endian and the structs below are their bytes");

/// First bytes of every segment file.
pub(crate) const MAGIC: [u8; 8] = [0x89, 0x41, 0x46, 0x53, 0x0D, 0x0A, 0x1A, 0x0A];
pub(crate) const ENDIAN: u32 = 0x0102_0304;
pub(crate) const MAJOR: u16 = 1;
pub(crate) const MINOR: u16 = 0;
/// Size of the header page and of each slot page.
pub(crate) const PAGE: usize = 4096;
/// Where the two commit slots lie.
pub(crate) const SLOT_OFFSETS: [u64; 2] = [4096, 8192];
/// Where blocks begin.
pub(crate) const DATA_OFF: u64 = 12_288;
/// Alignment of blocks.
pub(crate) const ALIGN: usize = 64;
/// Where the header page's JSON begins.
pub(crate) const SCHEMA_OFF: usize = 256;
/// The code of the stream `metrics`.
pub(crate) const STREAM_METRICS: u16 = 1;
/// HDR layout of 3 digits.
pub(crate) const HIST_SCHEME: u32 = 1;

pub(crate) const BLOCK_MAGIC: [u8; 4] = *b"ABLK";
/// Largest body of a block: what a reader allocates at most.
pub(crate) const MAX_BODY: u32 = 1 << 20;
/// Largest decoded body.
pub(crate) const MAX_RAW: u32 = 4 << 20;
pub(crate) const MAX_COLUMNS: u16 = 64;

/// Bytes 0..256 of the header page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct FileHeader {
    pub(crate) magic: [u8; 8],
    pub(crate) endian: u32,
    pub(crate) header_len: u32,
    pub(crate) major: u16,
    pub(crate) minor: u16,
    pub(crate) compat: u32,
    pub(crate) incompat: u32,
    pub(crate) align: u32,
    pub(crate) file_id: [u8; 16],
    pub(crate) boot_id: [u8; 16],
    pub(crate) run_id: [u8; 16],
    pub(crate) seq: u64,
    pub(crate) created_real_ns: i64,
    pub(crate) created_mono_ns: i64,
    pub(crate) pid: u32,
    pub(crate) stream: u16,
    pub(crate) reserved: u16,
    pub(crate) seg_len: u64,
    pub(crate) data_off: u64,
    pub(crate) prev_file_id: [u8; 16],
    pub(crate) hist_scheme: u32,
    pub(crate) schema_len: u32,
    pub(crate) zero: [u64; 12],
    pub(crate) header_crc: u32,
    pub(crate) schema_crc: u32,
}

const _: () = {
    assert!(size_of::<FileHeader>() == 256);
    assert!(std::mem::offset_of!(FileHeader, header_len) == 12);
    assert!(std::mem::offset_of!(FileHeader, incompat) == 24);
    assert!(std::mem::offset_of!(FileHeader, file_id) == 32);
    assert!(std::mem::offset_of!(FileHeader, boot_id) == 48);
    assert!(std::mem::offset_of!(FileHeader, run_id) == 64);
    assert!(std::mem::offset_of!(FileHeader, seq) == 80);
    assert!(std::mem::offset_of!(FileHeader, created_mono_ns) == 96);
    assert!(std::mem::offset_of!(FileHeader, stream) == 108);
    assert!(std::mem::offset_of!(FileHeader, seg_len) == 112);
    assert!(std::mem::offset_of!(FileHeader, prev_file_id) == 128);
    assert!(std::mem::offset_of!(FileHeader, schema_len) == 148);
    assert!(std::mem::offset_of!(FileHeader, header_crc) == 248);
    assert!(std::mem::offset_of!(FileHeader, schema_crc) == 252);
};

/// Bytes 0..128 of a slot page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
#[expect(clippy::struct_field_names, reason = "the names of docs/format/segment.md")]
pub(crate) struct Slot {
    pub(crate) slot_seq: u64,
    pub(crate) committed: u64,
    pub(crate) durable: u64,
    pub(crate) blocks: u32,
    pub(crate) state: u32,
    pub(crate) recorded: u64,
    pub(crate) aggregated: u64,
    pub(crate) dropped: u64,
    pub(crate) in_flight: u64,
    pub(crate) last_real_ns: i64,
    pub(crate) last_mono_ns: i64,
    pub(crate) increments: u64,
    pub(crate) gathered: u64,
    pub(crate) window: u64,
    pub(crate) file_tag: u32,
    pub(crate) flags: u32,
    pub(crate) zero: [u32; 3],
    pub(crate) slot_crc: u32,
}

const _: () = {
    assert!(size_of::<Slot>() == 128);
    assert!(std::mem::offset_of!(Slot, committed) == 8);
    assert!(std::mem::offset_of!(Slot, blocks) == 24);
    assert!(std::mem::offset_of!(Slot, recorded) == 32);
    assert!(std::mem::offset_of!(Slot, last_real_ns) == 64);
    assert!(std::mem::offset_of!(Slot, increments) == 80);
    assert!(std::mem::offset_of!(Slot, window) == 96);
    assert!(std::mem::offset_of!(Slot, file_tag) == 104);
    assert!(std::mem::offset_of!(Slot, slot_crc) == 124);
};

/// Bit of [`Slot::flags`]: the account was consistent in every window so far.
pub(crate) const SLOT_CONSISTENT: u32 = 1;

/// The 64 bytes before a block's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct BlockHeader {
    pub(crate) magic: [u8; 4],
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) block_seq: u64,
    pub(crate) body_len: u32,
    pub(crate) raw_len: u32,
    pub(crate) rows: u32,
    pub(crate) ncols: u16,
    pub(crate) codec: u16,
    pub(crate) ts_min: i64,
    pub(crate) ts_max: i64,
    pub(crate) file_tag: u32,
    pub(crate) body_crc: u32,
    pub(crate) position: u32,
    pub(crate) hdr_crc: u32,
}

const _: () = {
    assert!(size_of::<BlockHeader>() == 64);
    assert!(std::mem::offset_of!(BlockHeader, kind) == 4);
    assert!(std::mem::offset_of!(BlockHeader, block_seq) == 8);
    assert!(std::mem::offset_of!(BlockHeader, body_len) == 16);
    assert!(std::mem::offset_of!(BlockHeader, rows) == 24);
    assert!(std::mem::offset_of!(BlockHeader, codec) == 30);
    assert!(std::mem::offset_of!(BlockHeader, ts_min) == 32);
    assert!(std::mem::offset_of!(BlockHeader, file_tag) == 48);
    assert!(std::mem::offset_of!(BlockHeader, body_crc) == 52);
    assert!(std::mem::offset_of!(BlockHeader, position) == 56);
    assert!(std::mem::offset_of!(BlockHeader, hdr_crc) == 60);
};

/// An entry of a body's column directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct ColumnEntry {
    pub(crate) id: u16,
    pub(crate) dtype: u8,
    pub(crate) enc: u8,
    pub(crate) off: u32,
    pub(crate) len: u32,
    pub(crate) items: u32,
}

const _: () = {
    assert!(size_of::<ColumnEntry>() == 16);
    assert!(std::mem::offset_of!(ColumnEntry, dtype) == 2);
    assert!(std::mem::offset_of!(ColumnEntry, off) == 4);
    assert!(std::mem::offset_of!(ColumnEntry, items) == 12);
};

/// The type of a column's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Dtype {
    U8 = 1,
    U32 = 3,
    U64 = 4,
    I64 = 5,
    F64 = 6,
}

impl Dtype {
    const fn numpy(self) -> &'static str {
        match self {
            Dtype::U8 => "|u1",
            Dtype::U32 => "<u4",
            Dtype::U64 => "<u8",
            Dtype::I64 => "<i8",
            Dtype::F64 => "<f8",
        }
    }
}

pub(crate) const DICT: u16 = 1;
pub(crate) const SCALAR: u16 = 2;
pub(crate) const HIST: u16 = 3;
pub(crate) const EVENT: u16 = 4;
pub(crate) const LEDGER: u16 = 5;
pub(crate) const RECOVERY: u16 = 6;

/// The name of a block kind.
pub(crate) const fn kind_name(kind: u16) -> &'static str {
    match kind {
        DICT => "DICT",
        SCALAR => "SCALAR",
        HIST => "HIST",
        EVENT => "EVENT",
        LEDGER => "LEDGER",
        RECOVERY => "RECOVERY",
        _ => "unknown",
    }
}

/// A column: its number, name and type.
pub(crate) type Column = (u16, &'static str, Dtype);

pub(crate) const STR_OFF: u16 = 62;
pub(crate) const STR_BYTES: u16 = 63;
/// LEDGER: column of the samples dropped for the cause with code 0.
pub(crate) const DROPPED_BASE: u16 = 32;

/// The columns of every kind, as written into the header page.
pub(crate) const SCHEMA: [(u16, &[Column]); 6] = [
    (
        DICT,
        &[
            (1, "series", Dtype::U32),
            (2, "kind", Dtype::U8),
            (3, "unit", Dtype::U8),
            (4, "name", Dtype::U32),
            (5, "help", Dtype::U32),
            (6, "label_off", Dtype::U32),
            (7, "label_key", Dtype::U32),
            (8, "label_value", Dtype::U32),
            (9, "scale", Dtype::F64),
            (10, "highest", Dtype::U64),
            (STR_OFF, "str_off", Dtype::U32),
            (STR_BYTES, "str_bytes", Dtype::U8),
        ],
    ),
    (
        SCALAR,
        &[
            (1, "ts_ns", Dtype::I64),
            (2, "end_ns", Dtype::I64),
            (3, "series", Dtype::U32),
            (4, "count", Dtype::U64),
            (5, "sum", Dtype::F64),
            (6, "min", Dtype::F64),
            (7, "max", Dtype::F64),
            (8, "last", Dtype::F64),
        ],
    ),
    (
        HIST,
        &[
            (1, "ts_ns", Dtype::I64),
            (2, "end_ns", Dtype::I64),
            (3, "series", Dtype::U32),
            (4, "n", Dtype::U64),
            (5, "sum", Dtype::F64),
            (6, "min", Dtype::F64),
            (7, "max", Dtype::F64),
            (8, "off", Dtype::U32),
            (9, "bucket_idx", Dtype::U32),
            (10, "bucket_cnt", Dtype::U64),
        ],
    ),
    (
        EVENT,
        &[
            (1, "ts_ns", Dtype::I64),
            (2, "id", Dtype::U64),
            (3, "series", Dtype::U32),
            (4, "value", Dtype::F64),
            (5, "score", Dtype::F64),
            (6, "severity", Dtype::U8),
            (7, "completeness", Dtype::F64),
            (8, "verdict_off", Dtype::U32),
            (9, "detector", Dtype::U32),
            (10, "verdict_score", Dtype::F64),
            (11, "low", Dtype::F64),
            (12, "high", Dtype::F64),
            (STR_OFF, "str_off", Dtype::U32),
            (STR_BYTES, "str_bytes", Dtype::U8),
        ],
    ),
    (
        LEDGER,
        &[
            (1, "ts_ns", Dtype::I64),
            (2, "end_ns", Dtype::I64),
            (3, "window", Dtype::U64),
            (4, "recorded", Dtype::U64),
            (5, "aggregated", Dtype::U64),
            (6, "in_flight", Dtype::U64),
            (7, "increments", Dtype::U64),
            (8, "gathered", Dtype::U64),
            (9, "clamped", Dtype::U64),
            (10, "consistent", Dtype::U8),
            (DROPPED_BASE, "dropped_first_cause", Dtype::U64),
        ],
    ),
    (
        RECOVERY,
        &[
            (1, "ts_ns", Dtype::I64),
            (2, "file", Dtype::U32),
            (3, "state", Dtype::U32),
            (4, "action", Dtype::U8),
            (5, "blocks", Dtype::U64),
            (6, "damages", Dtype::U64),
            (7, "committed", Dtype::U64),
            (8, "last_real_ns", Dtype::I64),
            (9, "recorded", Dtype::U64),
            (10, "in_flight", Dtype::U64),
            (11, "reason", Dtype::U32),
            (STR_OFF, "str_off", Dtype::U32),
            (STR_BYTES, "str_bytes", Dtype::U8),
        ],
    ),
];

/// The JSON of the header page.
pub(crate) fn schema_json() -> String {
    let mut out = String::from("{\"format\":\"AFS1\",\"blocks\":{");
    for (at, (kind, columns)) in SCHEMA.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(&format!("\"{}\":{{\"kind\":{kind},\"columns\":[", kind_name(*kind)));
        for (at, (id, name, dtype)) in columns.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            out.push_str(&format!("{comma}[{id},\"{name}\",\"{}\"]", dtype.numpy()));
        }
        out.push_str("]}");
    }
    out.push_str("}}");
    out
}

/// CRC-32 (IEEE).
pub(crate) fn crc(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// CRC-32 of the first `upto` bytes of a struct.
fn crc_of<T: Pod>(value: &T, upto: usize) -> u32 {
    let bytes = bytemuck::bytes_of(value);
    crc(bytes.get(..upto).unwrap_or(bytes))
}

/// A struct from the first bytes of a slice; `None` if there are too few.
pub(crate) fn read<T: Pod>(bytes: &[u8]) -> Option<T> {
    bytes.get(..size_of::<T>()).map(bytemuck::pod_read_unaligned)
}

/// The tag by which blocks and slots name their file.
pub(crate) const fn file_tag(file_id: &[u8; 16]) -> u32 {
    u32::from_le_bytes([file_id[0], file_id[1], file_id[2], file_id[3]])
}

/// Why a header page is not one this reader reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    /// Too short, wrong magic or bad checksum: possibly damage.
    Damaged(&'static str),
    /// Intact, but of a version or with flags unknown to this reader.
    Foreign(String),
}

impl FileHeader {
    pub(crate) fn seal(&mut self) {
        self.header_crc = crc_of(self, 248);
    }

    /// The header in the first 256 bytes, if it is intact and of a version this code reads.
    pub(crate) fn parse(bytes: &[u8]) -> Result<FileHeader, HeaderFault> {
        let header: FileHeader = read(bytes).ok_or(HeaderFault::Damaged("shorter than a file header"))?;
        if header.magic != MAGIC {
            return Err(HeaderFault::Damaged("wrong magic number"));
        }
        if header.header_crc != crc_of(&header, 248) {
            return Err(HeaderFault::Damaged("header checksum does not match"));
        }
        if header.endian != ENDIAN {
            return Err(HeaderFault::Foreign("it was written with another byte order".into()));
        }
        if header.major != MAJOR {
            return Err(HeaderFault::Foreign(format!(
                "it has format version {}.{}, this reader knows {MAJOR}.x: use a matching release of afferent",
                header.major, header.minor
            )));
        }
        if header.incompat != 0 {
            return Err(HeaderFault::Foreign(format!(
                "it uses features this reader does not know (incompat bits {:#x}): use a newer release of afferent",
                header.incompat
            )));
        }
        if header.data_off != DATA_OFF || header.header_len as usize != PAGE || header.align as usize != ALIGN {
            return Err(HeaderFault::Foreign("it has another page layout".into()));
        }
        Ok(header)
    }

    pub(crate) fn tag(&self) -> u32 {
        file_tag(&self.file_id)
    }
}

impl Slot {
    pub(crate) fn seal(&mut self) {
        self.slot_crc = crc_of(self, 124);
    }

    /// The slot in the first 128 bytes, if it is intact and of this file.
    pub(crate) fn parse(bytes: &[u8], tag: u32) -> Result<Slot, &'static str> {
        let slot: Slot = read(bytes).ok_or("the file ends inside the slot")?;
        if slot.slot_crc != crc_of(&slot, 124) {
            return Err("slot checksum does not match");
        }
        if slot.file_tag != tag {
            return Err("slot belongs to another file");
        }
        if slot.committed < DATA_OFF || !slot.committed.is_multiple_of(ALIGN as u64) {
            return Err("slot names an impossible commit offset");
        }
        Ok(slot)
    }
}

impl BlockHeader {
    pub(crate) fn seal(&mut self) {
        self.hdr_crc = crc_of(self, 60);
    }

    /// The header in the first 64 bytes, if it is intact and of the block that belongs at `offset` of this file.
    pub(crate) fn parse(bytes: &[u8], tag: u32, offset: u64) -> Result<BlockHeader, &'static str> {
        let header: BlockHeader = read(bytes).ok_or("the file ends inside the block header")?;
        if header.magic != BLOCK_MAGIC {
            return Err("no block begins here (wrong magic number)");
        }
        if header.hdr_crc != crc_of(&header, 60) {
            return Err("block header checksum does not match");
        }
        if header.file_tag != tag {
            return Err("block belongs to another file");
        }
        if u64::from(header.position) * ALIGN as u64 != offset {
            return Err("block was moved from its place");
        }
        if header.body_len > MAX_BODY || !(header.body_len as usize).is_multiple_of(ALIGN) || header.raw_len > MAX_RAW {
            return Err("block length is outside the format's limits");
        }
        if header.ncols > MAX_COLUMNS || u32::from(header.ncols) * 16 > header.body_len {
            return Err("column count is outside the format's limits");
        }
        Ok(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_fits_its_page_and_is_json() {
        let json = schema_json();
        assert!(json.len() <= PAGE - SCHEMA_OFF, "{}", json.len());
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["blocks"]["SCALAR"]["columns"][0][1], "ts_ns");
    }

    #[test]
    fn the_checksum_is_zlibs() {
        assert_eq!(crc(b"123456789"), 0xCBF4_3926);
    }
}
