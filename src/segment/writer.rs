//! One segment file, as its writer sees it: created whole, then commits, then a last word.

use std::io;

use bytemuck::{Zeroable, bytes_of};

use super::encode::{Batch, Cursor};
use super::format::{
    ALIGN, DATA_OFF, ENDIAN, FileHeader, HIST_SCHEME, MAGIC, MAJOR, MINOR, PAGE, SCHEMA_OFF, SLOT_CONSISTENT,
    SLOT_OFFSETS, STREAM_METRICS, Slot, crc, schema_json,
};
use super::storage::{Disk, WriteAt};
use super::{Moment, State};

/// Room for blocks that a file must have to be worth creating.
const LEAST_DATA: u64 = 64 << 10;

/// What a new file is told about itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Birth {
    pub(crate) file_id: [u8; 16],
    pub(crate) boot_id: [u8; 16],
    pub(crate) run_id: [u8; 16],
    pub(crate) prev_file_id: [u8; 16],
    pub(crate) seq: u64,
    pub(crate) seg_len: u64,
    pub(crate) created: Moment,
}

/// Why a commit did not happen.
#[derive(Debug)]
pub(crate) enum CommitError {
    /// The file would grow past the process' size limit; nothing was written.
    Limit,
    /// Writing the blocks failed; the file is as it was.
    Io(io::Error),
    /// Writing the slot failed: whether the commit counts cannot be known, so the file must not be written again.
    Slot(io::Error),
}

/// An open segment file. Everything below `committed` is in the file for good; a failed commit changes nothing of it.
pub(crate) struct SegmentWriter {
    file: Box<dyn WriteAt>,
    pub(crate) name: String,
    pub(crate) file_id: [u8; 16],
    pub(crate) created: Moment,
    pub(crate) slot: Slot,
    buffer: Vec<u8>,
}

/// The name of a file.
fn file_name(birth: &Birth) -> String {
    let unix_ms = birth.created.real_ns.max(0) / 1_000_000;
    let rand = u64::from_le_bytes(birth.file_id[8..].try_into().unwrap_or_default());
    format!("{:016x}-{unix_ms:013}-{rand:016x}.seg", birth.seq)
}

impl SegmentWriter {
    /// Builds a file under a temporary name, makes it durable, and gives it its name.
    pub(crate) fn create(disk: &dyn Disk, birth: &Birth) -> io::Result<SegmentWriter> {
        let name = file_name(birth);
        let temporary = format!("tmp.{name}");
        let max_len = disk.max_file_len();
        if max_len < DATA_OFF + LEAST_DATA {
            let reason =
                format!("the process' file size limit (RLIMIT_FSIZE) of {max_len} bytes leaves no room for data");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, reason));
        }
        let built = disk.create(&temporary, birth.seg_len.min(max_len)).and_then(|file| {
            let slot = write_frame(&*file, birth)?;
            file.sync()?;
            disk.rename(&temporary, &name)?;
            disk.sync_dir()?;
            Ok((file, slot))
        });
        match built {
            Ok((file, slot)) => Ok(SegmentWriter {
                file,
                name,
                file_id: birth.file_id,
                created: birth.created,
                slot,
                buffer: Vec::new(),
            }),
            Err(error) => {
                // Whichever of the two names it has by now; the error that matters is the first one.
                let _ = disk.remove(&temporary);
                let _ = disk.remove(&name);
                Err(error)
            }
        }
    }

    /// Bytes committed.
    pub(crate) fn len(&self) -> u64 {
        self.slot.committed
    }

    /// Writes a batch and commits it, in a file of at most `max_len` bytes. Afterwards it is in the file whole, or, on
    /// error, not at all.
    pub(crate) fn commit(&mut self, batch: &Batch, max_len: u64, now: Moment) -> Result<u64, CommitError> {
        let mut cursor =
            Cursor { tag: self.slot.file_tag, seq: u64::from(self.slot.blocks), offset: self.slot.committed };
        self.buffer.clear();
        batch.encode(&mut cursor, &mut self.buffer);
        let mut next = self.slot;
        next.committed += self.buffer.len() as u64;
        next.blocks = cursor.seq as u32;
        next.state = State::Online.code();
        if let Some((window, ledger)) = batch.last_ledger() {
            next.window = window;
            next.recorded = ledger.recorded;
            next.aggregated = ledger.aggregated;
            next.dropped = ledger.dropped.total();
            next.in_flight = ledger.in_flight;
            next.increments = ledger.increments;
            next.gathered = ledger.gathered;
            next.flags = if ledger.consistent { next.flags } else { next.flags & !SLOT_CONSISTENT };
        }
        if next.committed > max_len {
            return Err(CommitError::Limit);
        }
        self.file.write_all_at(self.slot.committed, &self.buffer).map_err(CommitError::Io)?;
        self.write_slot(next, now).map_err(CommitError::Slot)?;
        Ok(self.buffer.len() as u64)
    }

    /// Makes everything committed durable. After an error this must not be called again: the kernel reports a lost
    /// page once, and a second call that succeeds would mean nothing.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.file.sync()?;
        self.slot.durable = self.slot.committed;
        Ok(())
    }

    /// Whether something is committed that was not synced.
    pub(crate) fn is_dirty(&self) -> bool {
        self.slot.durable < self.slot.committed
    }

    /// Closes the file in order. Where that fails the file says that it was given up, as far as it can be written.
    pub(crate) fn close(mut self, now: Moment) -> io::Result<()> {
        if let Err(error) = self.try_close(now) {
            self.give_up(now);
            return Err(error);
        }
        // Only space is at stake here, and retention counts what a file really takes.
        let _ = self.file.release_reserve();
        Ok(())
    }

    fn try_close(&mut self, now: Moment) -> io::Result<()> {
        self.sync()?;
        let mut last = self.slot;
        last.state = State::Clean.code();
        self.write_slot(last, now)?;
        self.file.sync()
    }

    /// Gives the file up after an error, saying so in it as far as it can still be written.
    pub(crate) fn give_up(mut self, now: Moment) {
        let mut last = self.slot;
        last.state = State::Tainted.code();
        let _ = self.write_slot(last, now);
        let _ = self.file.release_reserve();
    }

    fn write_slot(&mut self, mut next: Slot, now: Moment) -> io::Result<()> {
        next.slot_seq = self.slot.slot_seq + 1;
        next.last_real_ns = now.real_ns;
        next.last_mono_ns = now.mono_ns;
        next.seal();
        self.file.write_all_at(SLOT_OFFSETS[(next.slot_seq % 2) as usize], bytes_of(&next))?;
        self.slot = next;
        Ok(())
    }
}

/// Writes header page and slot pages; returns the current slot.
fn write_frame(file: &dyn WriteAt, birth: &Birth) -> io::Result<Slot> {
    let mut page = vec![0_u8; DATA_OFF as usize];
    let schema = schema_json();
    page[SCHEMA_OFF..SCHEMA_OFF + schema.len()].copy_from_slice(schema.as_bytes());
    let mut header = FileHeader {
        magic: MAGIC,
        endian: ENDIAN,
        header_len: PAGE as u32,
        major: MAJOR,
        minor: MINOR,
        align: ALIGN as u32,
        file_id: birth.file_id,
        boot_id: birth.boot_id,
        run_id: birth.run_id,
        seq: birth.seq,
        created_real_ns: birth.created.real_ns,
        created_mono_ns: birth.created.mono_ns,
        pid: std::process::id(),
        stream: STREAM_METRICS,
        seg_len: birth.seg_len,
        data_off: DATA_OFF,
        prev_file_id: birth.prev_file_id,
        hist_scheme: HIST_SCHEME,
        schema_len: schema.len() as u32,
        schema_crc: crc(&page[SCHEMA_OFF..PAGE]),
        ..FileHeader::zeroed()
    };
    header.seal();
    page[..SCHEMA_OFF].copy_from_slice(bytes_of(&header));
    let mut slot = Slot {
        committed: DATA_OFF,
        durable: DATA_OFF,
        state: State::New.code(),
        last_real_ns: birth.created.real_ns,
        last_mono_ns: birth.created.mono_ns,
        file_tag: header.tag(),
        flags: SLOT_CONSISTENT,
        ..Slot::zeroed()
    };
    for (slot_seq, offset) in SLOT_OFFSETS.into_iter().enumerate() {
        let at = offset as usize;
        slot.slot_seq = slot_seq as u64;
        slot.seal();
        page[at..at + size_of::<Slot>()].copy_from_slice(bytes_of(&slot));
        page[at + size_of::<Slot>()..at + size_of::<Slot>() + SCHEMA_OFF].copy_from_slice(bytes_of(&header));
    }
    file.write_all_at(0, &page)?;
    Ok(slot)
}
