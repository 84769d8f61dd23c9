//! Reading a segment file: header and slots, then blocks, past whatever is damaged.

use std::path::{Path, PathBuf};

use super::State;
use super::damage::{Damage, DamageKind, OpenError};
use super::decode;
use super::format::{
    ALIGN, BLOCK_MAGIC, BlockHeader, DATA_OFF, FileHeader, HeaderFault, PAGE, SCHEMA_OFF, SLOT_CONSISTENT,
    SLOT_OFFSETS, Slot, crc, kind_name,
};
use super::rows::Rows;
use super::storage::{ReadAt, open_read};

const SLOT_LEN: usize = size_of::<Slot>();
const HEADER_LEN: u64 = size_of::<BlockHeader>() as u64;
/// A slot that is invalid because its writer is at work is valid a moment later.
const SLOT_READS: usize = 4;
/// Bytes looked at together when searching for the next block.
const RESYNC_CHUNK: usize = 64 << 10;

/// An open segment file. Reading it takes no lock and disturbs no writer.
pub struct Segment {
    source: Box<dyn ReadAt>,
    path: PathBuf,
    pub(crate) header: FileHeader,
    /// The current slot; `None` where both are damaged.
    pub(crate) slot: Option<Slot>,
    /// Blocks below this offset must be intact.
    committed: u64,
    /// Blocks up to here are taken as long as they are intact: more than `committed` where a slot is damaged.
    limit: u64,
    file_len: u64,
    damages: Vec<Damage>,
}

impl std::fmt::Debug for Segment {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Segment")
            .field("path", &self.path)
            .field("committed", &self.committed)
            .finish_non_exhaustive()
    }
}

impl Segment {
    /// Opens a file.
    ///
    /// # Errors
    /// If it cannot be opened, is no segment, or is of a version this reader does not know. A damaged header is no
    /// error as long as one of its copies is intact; see [`Segment::damages`].
    pub fn open(path: impl AsRef<Path>) -> Result<Segment, OpenError> {
        let path = path.as_ref();
        let file = open_read(path).map_err(|source| OpenError::Io { path: path.to_owned(), source })?;
        Segment::from_source(Box::new(file), path)
    }

    pub(crate) fn from_source(source: Box<dyn ReadAt>, path: &Path) -> Result<Segment, OpenError> {
        let io = |source| OpenError::Io { path: path.to_owned(), source };
        let file_len = source.len().map_err(io)?;
        let mut segment = Segment {
            source,
            path: path.to_owned(),
            header: bytemuck::Zeroable::zeroed(),
            slot: None,
            committed: DATA_OFF,
            limit: DATA_OFF,
            file_len,
            damages: Vec::new(),
        };
        segment.read_header()?;
        segment.read_slots();
        Ok(segment)
    }

    /// Reads a page; the bytes past the end of the file, or all of them where the disk fails, read as zero.
    fn page(&mut self, offset: u64) -> [u8; PAGE] {
        let mut page = [0; PAGE];
        match self.source.read_at(offset, &mut page) {
            Ok(PAGE) => {}
            Ok(read) => self.damaged(
                None,
                offset + read as u64,
                (PAGE - read) as u64,
                DamageKind::Truncated,
                "the file ends inside its first three pages",
            ),
            Err(error) => self.damaged(
                None,
                offset,
                PAGE as u64,
                DamageKind::Unreadable,
                &format!("the disk could not read this page: {error}"),
            ),
        }
        page
    }

    fn damaged(&mut self, block: Option<u64>, offset: u64, bytes: u64, kind: DamageKind, reason: &str) {
        let file = self.path.clone();
        self.damages.push(Damage { file, block, offset, bytes, kind, reason: reason.to_owned() });
    }

    fn read_header(&mut self) -> Result<(), OpenError> {
        if self.file_len < size_of::<FileHeader>() as u64 {
            let reason = format!("its {} bytes are less than a file header", self.file_len);
            return Err(OpenError::NotASegment { path: self.path.clone(), reason });
        }
        let page = self.page(0);
        let reason = match FileHeader::parse(&page) {
            Ok(header) => {
                self.header = header;
                let schema = crc(page.get(SCHEMA_OFF..).unwrap_or_default());
                if schema != header.schema_crc && self.copy_has(schema) {
                    // So that the copies are not named: it is the header that differs from them.
                    self.header.schema_crc = schema;
                    self.damaged(
                        None,
                        252,
                        4,
                        DamageKind::Header,
                        "the checksum of the description of columns is wrong; the copy of the header has the right one",
                    );
                } else if schema != header.schema_crc {
                    self.damaged(
                        None,
                        SCHEMA_OFF as u64,
                        (PAGE - SCHEMA_OFF) as u64,
                        DamageKind::Header,
                        "the description of columns does not match its checksum; nothing else depends on it",
                    );
                }
                return Ok(());
            }
            Err(HeaderFault::Foreign(reason)) => {
                return Err(OpenError::Incompatible { path: self.path.clone(), reason });
            }
            Err(HeaderFault::Damaged(reason)) => reason,
        };
        for offset in SLOT_OFFSETS {
            let mut copy = [0; SCHEMA_OFF];
            if self.source.read_at(offset + SLOT_LEN as u64, &mut copy).is_err() {
                continue;
            }
            match FileHeader::parse(&copy) {
                Ok(header) => {
                    self.header = header;
                    self.damaged(
                        None,
                        0,
                        SCHEMA_OFF as u64,
                        DamageKind::Header,
                        &format!("{reason}; the copy at offset {} is used", offset + SLOT_LEN as u64),
                    );
                    let schema = page.get(SCHEMA_OFF..).unwrap_or_default();
                    if crc(schema) != header.schema_crc {
                        self.damaged(
                            None,
                            SCHEMA_OFF as u64,
                            (PAGE - SCHEMA_OFF) as u64,
                            DamageKind::Header,
                            "the description of columns does not match its checksum; nothing else depends on it",
                        );
                    }
                    return Ok(());
                }
                Err(HeaderFault::Foreign(reason)) => {
                    return Err(OpenError::Incompatible { path: self.path.clone(), reason });
                }
                Err(HeaderFault::Damaged(_)) => {}
            }
        }
        Err(OpenError::NotASegment {
            path: self.path.clone(),
            reason: format!("{reason}, and neither copy of the header is intact"),
        })
    }

    /// Whether a copy of the header is the header but for this checksum of the description, the one field that its own
    /// checksum does not cover.
    fn copy_has(&self, schema_crc: u32) -> bool {
        let expected = FileHeader { schema_crc, ..self.header };
        SLOT_OFFSETS.into_iter().any(|offset| {
            let mut copy = [0; SCHEMA_OFF];
            let read = self.source.read_at(offset + SLOT_LEN as u64, &mut copy);
            read.is_ok() && copy == bytemuck::bytes_of(&expected)
        })
    }

    /// Reads both slot pages and decides how far the file can be trusted.
    fn read_slots(&mut self) {
        let mut best: Option<Slot> = None;
        let mut all_valid = true;
        for (name, offset) in ["A", "B"].into_iter().zip(SLOT_OFFSETS) {
            let before = self.damages.len();
            let mut page = self.page(offset);
            let mut parsed = Slot::parse(&page, self.header.tag());
            for _ in 1..SLOT_READS {
                if parsed.is_ok() {
                    break;
                }
                self.damages.truncate(before);
                page = self.page(offset);
                parsed = Slot::parse(&page, self.header.tag());
            }
            match parsed {
                Ok(slot) => {
                    if best.is_none_or(|best| slot.slot_seq > best.slot_seq) {
                        best = Some(slot);
                    }
                }
                Err(reason) => {
                    all_valid = false;
                    let reason = format!("commit slot {name}: {reason}; the other one is used");
                    self.damaged(None, offset, SLOT_LEN as u64, DamageKind::Slot, &reason);
                }
            }
            let (copy, rest) =
                page.get(SLOT_LEN..).unwrap_or_default().split_at_checked(SCHEMA_OFF).unwrap_or_default();
            if copy != bytemuck::bytes_of(&self.header) {
                let reason = format!("commit slot page {name}: the copy of the file header differs from it");
                self.damaged(None, offset + SLOT_LEN as u64, SCHEMA_OFF as u64, DamageKind::Slot, &reason);
            }
            if let Some(at) = rest.iter().position(|&byte| byte != 0) {
                let at = offset + (SLOT_LEN + SCHEMA_OFF + at) as u64;
                let reason = format!("commit slot page {name}: a byte that must be zero is not");
                self.damaged(None, at, 1, DamageKind::Slot, &reason);
            }
        }
        self.slot = best;
        self.committed = best.map_or(DATA_OFF, |slot| slot.committed);
        // A file may have grown since its length was taken.
        if self.committed > self.file_len {
            self.file_len = self.source.len().unwrap_or(self.file_len);
        }
        self.limit = if all_valid { self.committed } else { self.file_len.max(self.committed) };
    }

    /// The path it was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The state its writer left it in.
    #[must_use]
    pub fn state(&self) -> State {
        self.slot.map_or(State::Unknown, |slot| State::from_code(slot.state))
    }

    /// Random id of the file.
    #[must_use]
    pub fn file_id(&self) -> u128 {
        u128::from_le_bytes(self.header.file_id)
    }

    /// Random id of the engine run that wrote it.
    #[must_use]
    pub fn run_id(&self) -> u128 {
        u128::from_le_bytes(self.header.run_id)
    }

    /// Offset up to which everything is committed.
    #[must_use]
    pub fn committed(&self) -> u64 {
        self.committed
    }

    /// As much of what is committed as the file is long: the offset may be forged, and sums of it must mean something.
    pub(crate) fn committed_bytes(&self) -> u64 {
        self.committed.min(self.file_len)
    }

    /// Offset up to which everything was synced to the disk.
    #[must_use]
    pub fn durable(&self) -> u64 {
        self.slot.map_or(DATA_OFF, |slot| slot.durable)
    }

    /// Length of the file when it was opened.
    #[must_use]
    pub fn file_len(&self) -> u64 {
        self.file_len
    }

    /// Damage outside of blocks: header and commit slots.
    #[must_use]
    pub fn damages(&self) -> &[Damage] {
        &self.damages
    }

    /// Number of the last committed window and the account at the last commit, its drops not split by cause; `None`
    /// where both slots are damaged or nothing was committed.
    pub(crate) fn last_account(&self) -> Option<(u64, Slot, bool)> {
        let slot = self.slot.filter(|slot| slot.blocks > 0)?;
        let parts = [slot.aggregated, slot.dropped, slot.in_flight];
        let sum = parts.into_iter().fold(0_u64, u64::saturating_add);
        let closes = slot.flags & SLOT_CONSISTENT != 0 && slot.recorded == sum && slot.increments == slot.gathered;
        Some((slot.window, slot, closes))
    }

    /// The blocks in order, each checked against its checksums. Damage comes as an item of its own and iteration goes
    /// on behind it.
    #[must_use]
    pub fn blocks(&self) -> Blocks<'_> {
        self.blocks_within(u64::MAX)
    }

    /// As [`Segment::blocks`], without the blocks that begin at or after an offset.
    pub(crate) fn blocks_within(&self, end: u64) -> Blocks<'_> {
        Blocks { segment: self, at: DATA_OFF, expected: 0, end }
    }
}

/// A block whose checksums match.
#[derive(Clone, Debug)]
pub struct Block {
    header: BlockHeader,
    body: Vec<u8>,
    offset: u64,
}

impl Block {
    /// Number of the block, counted from 0 within its file.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.header.block_seq
    }

    /// Offset of the block in its file.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Length of the block in its file.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        HEADER_LEN + u64::from(self.header.body_len)
    }

    /// Name of the block's kind.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        kind_name(self.header.kind)
    }

    /// How many rows it holds.
    #[must_use]
    pub fn row_count(&self) -> u32 {
        self.header.rows
    }

    /// The earliest and the latest time of its rows, nanoseconds since the Unix epoch; (0, 0) where rows have none.
    #[must_use]
    pub fn time_range(&self) -> (i64, i64) {
        (self.header.ts_min, self.header.ts_max)
    }

    /// Decodes the rows.
    ///
    /// # Errors
    /// If the block, though its checksum matches, cannot be understood: it was written wrongly, forged, or by a later
    /// version with features this reader does not know.
    pub fn rows(&self) -> Result<Rows, &'static str> {
        decode::decode(&self.header, &self.body)
    }

    /// Decodes the rows, with the place of what is wrong as the error.
    pub(crate) fn rows_in(&self, segment: &Segment) -> Result<Rows, Damage> {
        self.rows().map_err(|reason| Damage {
            file: segment.path.clone(),
            block: Some(self.number()),
            offset: self.offset,
            bytes: self.bytes(),
            kind: DamageKind::Malformed,
            reason: reason.to_owned(),
        })
    }
}

/// Iterator over a file's blocks, see [`Segment::blocks`].
#[derive(Debug)]
pub struct Blocks<'a> {
    segment: &'a Segment,
    at: u64,
    expected: u64,
    /// Nothing is looked for here and beyond.
    end: u64,
}

impl Iterator for Blocks<'_> {
    type Item = Result<Block, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        let segment = self.segment;
        if self.at >= segment.limit.min(self.end) {
            return None;
        }
        if self.at >= segment.committed {
            return self.next_uncertain();
        }
        match self.read_block() {
            Ok(block) if block.number() == self.expected && self.at + block.bytes() <= segment.limit => {
                self.step_over(&block);
                Some(Ok(block))
            }
            Ok(block) => {
                let reason = format!("block {} where block {} belongs", block.number(), self.expected);
                Some(Err(self.resync(DamageKind::BlockHeader, reason)))
            }
            Err(Fault::Body(header)) => {
                let bytes = HEADER_LEN + u64::from(header.body_len);
                let damage = self.damage(bytes, DamageKind::BlockBody, "block body checksum does not match".into());
                self.at += bytes;
                self.expected += 1;
                Some(Err(damage))
            }
            Err(Fault::End) => {
                let reason = format!(
                    "the file ends at {} and its last commit at {}: {} bytes are missing",
                    segment.file_len,
                    segment.committed,
                    segment.committed.saturating_sub(segment.file_len)
                );
                let damage = self.damage(segment.committed - self.at, DamageKind::Truncated, reason);
                self.at = segment.limit;
                Some(Err(damage))
            }
            Err(Fault::Header(reason)) => Some(Err(self.resync(DamageKind::BlockHeader, reason.to_owned()))),
            Err(Fault::Io(error)) => {
                let reason = format!("the disk could not read this place: {error}");
                Some(Err(self.resync(DamageKind::Unreadable, reason)))
            }
        }
    }
}

/// Why there is no block at a place.
enum Fault {
    Header(&'static str),
    /// The header is intact, the body is not.
    Body(BlockHeader),
    /// The file ends before the block does.
    End,
    Io(std::io::Error),
}

impl Blocks<'_> {
    /// The next block beyond what an intact slot vouches for: only a damaged slot leads here. What is not intact may be
    /// a damaged block, or a commit that was under way. It is damage where its header is intact or where an intact
    /// header follows, and the end otherwise.
    fn next_uncertain(&mut self) -> Option<Result<Block, Damage>> {
        let uncertain =
            |what: &str| format!("{what}; whether it was committed is unknown, for a commit slot is damaged");
        match self.read_block() {
            Ok(block) => {
                self.step_over(&block);
                Some(Ok(block))
            }
            Err(Fault::Body(header)) => {
                let bytes = HEADER_LEN + u64::from(header.body_len);
                let reason = uncertain("block body checksum does not match");
                let damage = self.damage(bytes, DamageKind::BlockBody, reason);
                self.at += bytes;
                self.expected = header.block_seq + 1;
                Some(Err(damage))
            }
            Err(fault) => {
                let limit = self.segment.limit;
                let (at, number) = self.find_header(self.at + ALIGN as u64, limit);
                let Some(number) = number else {
                    self.at = limit;
                    return None;
                };
                let (kind, reason) = match fault {
                    Fault::Io(error) => {
                        (DamageKind::Unreadable, format!("the disk could not read this place: {error}"))
                    }
                    Fault::Header(reason) => (DamageKind::BlockHeader, reason.to_owned()),
                    Fault::Body(_) | Fault::End => (DamageKind::BlockHeader, "the file ends inside this block".into()),
                };
                let damage = self.damage(at - self.at, kind, uncertain(&reason));
                self.at = at;
                self.expected = number;
                Some(Err(damage))
            }
        }
    }

    fn step_over(&mut self, block: &Block) {
        self.at += block.bytes();
        self.expected = block.number() + 1;
    }

    fn damage(&self, bytes: u64, kind: DamageKind, reason: String) -> Damage {
        let file = self.segment.path.clone();
        Damage { file, block: Some(self.expected), offset: self.at, bytes, kind, reason }
    }

    /// Reads and checks the block at the current offset.
    fn read_block(&self) -> Result<Block, Fault> {
        let source = &self.segment.source;
        let mut head = [0; size_of::<BlockHeader>()];
        let read = source.read_at(self.at, &mut head).map_err(Fault::Io)?;
        if read < head.len() {
            return Err(Fault::End);
        }
        let header = BlockHeader::parse(&head, self.segment.header.tag(), self.at).map_err(Fault::Header)?;
        if header.block_seq < self.expected {
            return Err(Fault::Header("block number goes backwards"));
        }
        // Bounded by the format's limit on bodies, which `parse` holds the header to.
        let mut body = vec![0; header.body_len as usize];
        let read = source.read_at(self.at + HEADER_LEN, &mut body).map_err(Fault::Io)?;
        if read < body.len() {
            return Err(Fault::End);
        }
        if crc(&body) != header.body_crc {
            return Err(Fault::Body(header));
        }
        Ok(Block { header, body, offset: self.at })
    }

    /// Goes to the next intact block header, or to the end, and says what lies between.
    fn resync(&mut self, kind: DamageKind, reason: String) -> Damage {
        let from = self.at;
        let (at, number) = self.find_header(from + ALIGN as u64, self.segment.committed);
        let mut damage = self.damage(at - from, kind, reason);
        if let Some(number) = number {
            let lost = number.saturating_sub(self.expected);
            if lost > 1 {
                damage.reason.push_str(&format!("; {lost} blocks are lost up to block {number}"));
            }
            self.expected = number;
        }
        self.at = at;
        damage
    }

    /// The offset of the first intact header at or after `from` that can follow, and its block's number; `end` where
    /// there is none before.
    fn find_header(&self, mut from: u64, end: u64) -> (u64, Option<u64>) {
        let end = end.min(self.end);
        let tag = self.segment.header.tag();
        let mut chunk = vec![0; RESYNC_CHUNK];
        while from < end {
            let read = match self.segment.source.read_at(from, &mut chunk) {
                Ok(0) => break,
                Ok(read) => read,
                Err(_) => {
                    // Step by one page of what the disk cannot read, with a smaller read, so that one bad sector
                    // does not hide its neighbours.
                    let page = chunk.get_mut(..PAGE).unwrap_or_default();
                    match self.segment.source.read_at(from, page) {
                        Ok(0) => break,
                        Ok(read) => read,
                        Err(_) => {
                            from = (from / PAGE as u64 + 1) * PAGE as u64;
                            continue;
                        }
                    }
                }
            };
            let bytes = chunk.get(..read).unwrap_or_default();
            for (step, place) in bytes.chunks_exact(ALIGN).enumerate() {
                let at = from + (step * ALIGN) as u64;
                if at >= end {
                    break;
                }
                if place.starts_with(&BLOCK_MAGIC)
                    && let Ok(header) = BlockHeader::parse(place, tag, at)
                    && header.block_seq >= self.expected
                {
                    return (at, Some(header.block_seq));
                }
            }
            if read < ALIGN {
                break;
            }
            from += (read - read % ALIGN) as u64;
        }
        (end, None)
    }
}
