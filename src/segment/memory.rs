//! A disk in memory that remembers every write and fails on demand.
//!
//! Each call that could change the disk counts one step. A plan says at which step what goes wrong; the log of steps
//! lets a test rebuild the disk as a crash after any of them would leave it.

use std::collections::BTreeMap;
use std::io;

use super::storage::{Disk, Listed, ReadAt, WriteAt};
use crate::sync::{Arc, Mutex, lock};

/// What goes wrong.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Plan {
    /// Nothing.
    #[default]
    Healthy,
    /// The step with this number fails with this errno, once.
    FailAt(u64, i32),
    /// Every step from the first number up to, but without, the second fails with this errno.
    FailBetween(u64, u64, i32),
    /// The step with this number, if it writes, writes only so many bytes and the process is gone after it: all later
    /// steps fail.
    CrashAt(u64, usize),
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<String, Vec<u8>>,
    /// The files as of their last sync.
    durable: BTreeMap<String, Vec<u8>>,
    plan: Plan,
    /// As `RLIMIT_FSIZE` would be.
    max_len: Option<u64>,
    step: u64,
    /// Successful syncs of files, for tests of what is durable.
    syncs: u64,
}

/// The disk. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryDisk {
    state: Arc<Mutex<State>>,
}

struct MemoryFile {
    disk: MemoryDisk,
    /// As it was created.
    name: String,
}

impl MemoryDisk {
    pub(crate) fn set_plan(&self, plan: Plan) {
        lock(&self.state).plan = plan;
    }

    pub(crate) fn set_max_file_len(&self, max_len: u64) {
        lock(&self.state).max_len = Some(max_len);
    }

    pub(crate) fn steps(&self) -> u64 {
        lock(&self.state).step
    }

    pub(crate) fn syncs(&self) -> u64 {
        lock(&self.state).syncs
    }

    /// The files as they are.
    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        lock(&self.state).files.clone()
    }

    /// The files as of their last sync.
    pub(crate) fn durable_files(&self) -> BTreeMap<String, Vec<u8>> {
        lock(&self.state).durable.clone()
    }

    /// A disk that holds these files.
    pub(crate) fn with_files(files: BTreeMap<String, Vec<u8>>) -> MemoryDisk {
        let disk = MemoryDisk::default();
        lock(&disk.state).files = files;
        disk
    }

    /// Counts a step; how many bytes of a write go through, or the planned error.
    fn step(&self, len: usize) -> io::Result<usize> {
        let state = &mut *lock(&self.state);
        let step = state.step;
        state.step += 1;
        match state.plan {
            Plan::FailAt(at, errno) if step == at => Err(io::Error::from_raw_os_error(errno)),
            Plan::FailBetween(from, to, errno) if (from..to).contains(&step) => {
                Err(io::Error::from_raw_os_error(errno))
            }
            Plan::CrashAt(at, bytes) if step == at => Ok(len.min(bytes)),
            Plan::CrashAt(at, _) if step > at => Err(io::Error::other("the process is gone")),
            _ => Ok(len),
        }
    }
}

impl Disk for MemoryDisk {
    fn list(&self) -> io::Result<Vec<Listed>> {
        let files = self.files();
        let plain = files.iter().filter(|(name, _)| !name.contains('/'));
        Ok(plain.map(|(name, bytes)| Listed { name: name.clone(), bytes: bytes.len() as u64, regular: true }).collect())
    }

    fn list_quarantine(&self) -> io::Result<Vec<Listed>> {
        let files = self.files();
        let moved = files.iter().filter_map(|(name, bytes)| Some((name.strip_prefix("quarantine/")?, bytes)));
        Ok(moved.map(|(name, bytes)| Listed { name: name.into(), bytes: bytes.len() as u64, regular: true }).collect())
    }

    fn create(&self, name: &str, _reserve: u64) -> io::Result<Box<dyn WriteAt>> {
        if self.step(1)? == 0 {
            return Err(io::Error::other("the process is gone"));
        }
        if lock(&self.state).files.insert(name.to_owned(), Vec::new()).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Ok(Box::new(MemoryFile { disk: self.clone(), name: name.to_owned() }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn ReadAt>> {
        match self.files().remove(name) {
            Some(bytes) => Ok(Box::new(bytes)),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        if self.step(1)? == 0 {
            return Err(io::Error::other("the process is gone"));
        }
        let state = &mut *lock(&self.state);
        let bytes = state.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.files.insert(to.to_owned(), bytes);
        if let Some(synced) = state.durable.remove(from) {
            state.durable.insert(to.to_owned(), synced);
        }
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        if self.step(1)? == 0 {
            return Err(io::Error::other("the process is gone"));
        }
        lock(&self.state).files.remove(name).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.step(1).map(drop)
    }

    fn release_reserve(&self, _name: &str) -> io::Result<()> {
        self.step(1).map(drop)
    }

    fn space(&self) -> io::Result<(u64, u64)> {
        Ok((1 << 40, 1 << 41))
    }

    fn max_file_len(&self) -> u64 {
        lock(&self.state).max_len.unwrap_or(u64::MAX)
    }
}

impl MemoryFile {
    /// The name the file has now. One that was removed takes writes and keeps none.
    fn key(&self, state: &State) -> Option<String> {
        let renamed = self.name.strip_prefix("tmp.").unwrap_or(&self.name);
        [self.name.as_str(), renamed].into_iter().find(|name| state.files.contains_key(*name)).map(str::to_owned)
    }
}

impl WriteAt for MemoryFile {
    fn write_all_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if offset.saturating_add(bytes.len() as u64) > self.disk.max_file_len() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let written = self.disk.step(bytes.len())?;
        let state = &mut *lock(&self.disk.state);
        let file = self.key(state).and_then(|key| state.files.get_mut(&key));
        if let Some(file) = file {
            let from = usize::try_from(offset).map_err(io::Error::other)?;
            if file.len() < from + written {
                file.resize(from + written, 0);
            }
            file[from..from + written].copy_from_slice(&bytes[..written]);
        }
        if written < bytes.len() { Err(io::Error::other("the process is gone")) } else { Ok(()) }
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.step(1)?;
        let state = &mut *lock(&self.disk.state);
        state.syncs += 1;
        if let Some(key) = self.key(state) {
            let bytes = state.files.get(&key).cloned().unwrap_or_default();
            state.durable.insert(key, bytes);
        }
        Ok(())
    }

    fn release_reserve(&self) -> io::Result<()> {
        self.disk.step(1).map(drop)
    }
}
