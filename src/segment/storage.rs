//! What the store needs of a disk, as a trait, so that tests can put a faulty one beneath it; and the real one.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, FlockOperation, OFlags};

/// Reads at positions.
pub(crate) trait ReadAt: Send {
    fn len(&self) -> io::Result<u64>;
    /// Reads up to `buf.len()` bytes at `offset`; fewer only at the end of the file.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize>;
}

/// A file under construction.
pub(crate) trait WriteAt: Send {
    fn write_all_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    fn sync(&self) -> io::Result<()>;
    /// Gives back what was reserved behind the end of the file.
    fn release_reserve(&self) -> io::Result<()>;
}

/// A file of the stream's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) name: String,
    /// Bytes it takes on the disk.
    pub(crate) bytes: u64,
    pub(crate) regular: bool,
}

/// One stream's directory. Names are plain file names, except that `quarantine/` may stand before one.
pub(crate) trait Disk: Send {
    fn list(&self) -> io::Result<Vec<Listed>>;
    fn list_quarantine(&self) -> io::Result<Vec<Listed>>;
    /// Creates a file that must not exist and reserves `reserve` bytes for it.
    fn create(&self, name: &str, reserve: u64) -> io::Result<Box<dyn WriteAt>>;
    fn open(&self, name: &str) -> io::Result<Box<dyn ReadAt>>;
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    fn remove(&self, name: &str) -> io::Result<()>;
    fn sync_dir(&self) -> io::Result<()>;
    fn release_reserve(&self, name: &str) -> io::Result<()>;
    /// Bytes free for us, and bytes in all.
    fn space(&self) -> io::Result<(u64, u64)>;
    /// The largest size a file may have (`RLIMIT_FSIZE`): writing past it would kill the process.
    fn max_file_len(&self) -> u64;
}

impl ReadAt for File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            match FileExt::read_at(self, &mut buf[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }
}

impl ReadAt for Vec<u8> {
    fn len(&self) -> io::Result<u64> {
        Ok(self.as_slice().len() as u64)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or_default();
        let read = rest.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..read), rest.get(..read)) {
            to.copy_from_slice(from);
        }
        Ok(read)
    }
}

impl WriteAt for File {
    fn write_all_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        // Past the limit the kernel does not return an error but a signal that ends the process.
        if offset.saturating_add(bytes.len() as u64) > file_size_limit() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        FileExt::write_all_at(self, bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn release_reserve(&self) -> io::Result<()> {
        self.set_len(self.metadata()?.len())
    }
}

/// Opens a segment for reading. Follows no symbolic link and refuses what is no regular file, so that neither a link
/// nor a pipe planted in the directory is read.
pub(crate) fn open_read(path: &Path) -> io::Result<File> {
    // Without O_NONBLOCK, opening a pipe would wait for a writer.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok(file)
}

/// Refuses a directory in which someone else could plant, replace or remove files: a symbolic link, one that belongs to
/// another user, or one that group or others may write to.
pub(crate) fn check_private(dir: &Path) -> io::Result<()> {
    let denied = |reason: String| Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
    // As the caller named it: with a slash at its end a link would be followed.
    let dir: PathBuf = dir.components().collect();
    if fs::symlink_metadata(&dir)?.is_symlink() {
        return denied(format!("{} is a symbolic link: name the directory it points to", dir.display()));
    }
    let flags = (OFlags::DIRECTORY | OFlags::NOFOLLOW).bits() as i32;
    let meta = OpenOptions::new().read(true).custom_flags(flags).open(&dir)?.metadata()?;
    let us = rustix::process::geteuid().as_raw();
    if meta.uid() != us && meta.uid() != 0 {
        let owner = meta.uid();
        return denied(format!("{} belongs to user {owner}, and this process is user {us}: chown it", dir.display()));
    }
    if meta.mode() & 0o022 != 0 {
        return denied(format!("other users may write to {0}: run `chmod go-w {0}`", dir.display()));
    }
    Ok(())
}

/// Refuses a directory whose parent anyone may change, for then anyone may put another directory in its place. A parent
/// with the sticky bit, such as `/tmp`, is fine, and so is one that a group shares.
pub(crate) fn check_parent(dir: &Path) -> io::Result<()> {
    let absolute = std::path::absolute(dir)?;
    let Some(parent) = absolute.parent() else { return Ok(()) };
    let mode = fs::metadata(parent)?.mode();
    if mode & 0o1002 == 0o002 {
        let reason =
            format!("anyone may rename what is in {0}: run `chmod o-w {0}` or `chmod +t {0}`", parent.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
    }
    Ok(())
}

/// A directory of the file system.
#[derive(Debug)]
pub(crate) struct FsDisk {
    dir: PathBuf,
}

impl FsDisk {
    /// Uses the directory, which is created (mode 0700) where it does not exist.
    pub(crate) fn open(dir: &Path) -> io::Result<FsDisk> {
        create_dir(dir)?;
        Ok(FsDisk { dir: dir.to_owned() })
    }

    /// The directory of what was moved aside, if there is one and it is one: behind a link lie the files of others.
    fn quarantine(&self) -> io::Result<PathBuf> {
        let dir = self.dir.join("quarantine");
        if fs::symlink_metadata(&dir)?.is_dir() {
            return Ok(dir);
        }
        let reason = format!("{} is not a directory of its own: remove it", dir.display());
        Err(io::Error::new(io::ErrorKind::NotADirectory, reason))
    }

    fn list_in(dir: &Path) -> io::Result<Vec<Listed>> {
        let mut out = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            // A name that is not UTF-8 is none of ours.
            let Ok(name) = entry.file_name().into_string() else { continue };
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_dir() {
                continue;
            }
            out.push(Listed { name, bytes: meta.len().max(meta.blocks() * 512), regular: meta.is_file() });
        }
        out.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(out)
    }
}

/// `RLIMIT_FSIZE` as it is now: anyone with the right may change it while the process runs.
fn file_size_limit() -> u64 {
    rustix::process::getrlimit(rustix::process::Resource::Fsize).current.unwrap_or(u64::MAX)
}

pub(crate) fn create_dir(dir: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().recursive(true).mode(0o700).create(dir) {
        Ok(()) => Ok(()),
        Err(_) if dir.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

impl Disk for FsDisk {
    fn list(&self) -> io::Result<Vec<Listed>> {
        Self::list_in(&self.dir)
    }

    fn list_quarantine(&self) -> io::Result<Vec<Listed>> {
        match self.quarantine().and_then(|dir| Self::list_in(&dir)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            listed => listed,
        }
    }

    fn create(&self, name: &str, reserve: u64) -> io::Result<Box<dyn WriteAt>> {
        create_dir(&self.dir)?;
        let path = self.dir.join(name);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(OFlags::NOFOLLOW.bits() as i32)
            .open(&path)?;
        // The mode given to open is subject to the umask only downwards, but an ACL default could widen it.
        file.set_permissions(Permissions::from_mode(0o600))?;
        match rustix::fs::fallocate(&file, FallocateFlags::KEEP_SIZE, 0, reserve) {
            // A file system without reservations reports a full disk at the write instead.
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(Box::new(file)),
            Err(error) => {
                // The error that matters is the first one.
                let _ = fs::remove_file(&path);
                Err(error.into())
            }
        }
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn ReadAt>> {
        Ok(Box::new(open_read(&self.dir.join(name))?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        if to.starts_with("quarantine/") {
            match fs::DirBuilder::new().mode(0o700).create(self.dir.join("quarantine")) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => self.quarantine()?,
            };
        }
        fs::rename(self.dir.join(from), self.dir.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        if name.starts_with("quarantine/") {
            self.quarantine()?;
        }
        fs::remove_file(self.dir.join(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()
    }

    fn release_reserve(&self, name: &str) -> io::Result<()> {
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
        let file = OpenOptions::new().write(true).custom_flags(flags).open(self.dir.join(name))?;
        WriteAt::release_reserve(&file)
    }

    fn space(&self) -> io::Result<(u64, u64)> {
        let stat = rustix::fs::statvfs(&self.dir)?;
        Ok((stat.f_bavail.saturating_mul(stat.f_frsize), stat.f_blocks.saturating_mul(stat.f_frsize)))
    }

    fn max_file_len(&self) -> u64 {
        file_size_limit()
    }
}

/// The lock that keeps a second engine out of a directory. Released when dropped, also by the end of the process.
#[derive(Debug)]
pub(crate) struct DirLock {
    _file: File,
}

impl DirLock {
    /// Takes the lock, or says with [`io::ErrorKind::WouldBlock`] that another engine holds it.
    pub(crate) fn take(dir: &Path) -> io::Result<DirLock> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(OFlags::NOFOLLOW.bits() as i32)
            .open(dir.join("LOCK"))?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(DirLock { _file: file })
    }
}

/// Whether an error says that there is no room (disk full, quota, size limit), which passes when room is made.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

/// Random bytes from the kernel.
pub(crate) fn random() -> io::Result<[u8; 16]> {
    use io::Read as _;
    let mut out = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut out)?;
    Ok(out)
}

/// The machine's boot id; zero where it cannot be read.
pub(crate) fn boot_id() -> [u8; 16] {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let hex: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let mut bytes = u128::from_str_radix(&hex, 16).unwrap_or_default().to_le_bytes();
    // The order of the text, so that a hex dump shows the id as the kernel prints it.
    bytes.reverse();
    bytes
}
