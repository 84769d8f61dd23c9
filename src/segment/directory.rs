//! A directory of segments as one history.

use std::fs;
use std::path::{Path, PathBuf};

use super::damage::{Damage, DamageKind, OpenError};
use super::reader::Segment;

/// Depth at which stream directories are looked for: the directory itself, and those in it.
const DEPTH: usize = 1;

/// The segment files beneath a path, in the order of their creation.
#[derive(Clone, Debug)]
pub struct Directory {
    path: PathBuf,
    files: Vec<PathBuf>,
}

impl Directory {
    /// Finds the segment files of a path: a segment file, a stream's directory, or the directory an engine was given.
    /// Files that are being built or were quarantined are left out.
    ///
    /// # Errors
    /// If the path cannot be read or holds no segment files.
    pub fn open(path: impl AsRef<Path>) -> Result<Directory, OpenError> {
        let path = path.as_ref();
        let io = |source| OpenError::Io { path: path.to_owned(), source };
        let meta = fs::metadata(path).map_err(io)?;
        let mut files = Vec::new();
        if meta.is_dir() {
            collect(path, DEPTH, &mut files).map_err(io)?;
        } else {
            files.push(path.to_owned());
        }
        if files.is_empty() {
            return Err(OpenError::Empty { path: path.to_owned() });
        }
        // By name first: names sort in order of creation, within a stream and, by their times, as well as can be said.
        files.sort_by(|a, b| (a.parent(), a.file_name()).cmp(&(b.parent(), b.file_name())));
        Ok(Directory { path: path.to_owned(), files })
    }

    /// The path it was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The files, in the order of their creation.
    #[must_use]
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Opens the files one after the other. One that cannot be opened comes as damage to the file as a whole; one that
    /// retention removed since the directory was listed is left out.
    pub fn segments(&self) -> impl Iterator<Item = Result<Segment, Damage>> + '_ {
        self.files.iter().filter_map(|path| match Segment::open(path) {
            Err(OpenError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => Some(Err(unopened(path, &error))),
            Ok(segment) => Some(Ok(segment)),
        })
    }
}

/// What to report about a file that could not be opened.
fn unopened(path: &Path, error: &OpenError) -> Damage {
    Damage {
        file: path.to_owned(),
        block: None,
        offset: 0,
        bytes: fs::metadata(path).map_or(0, |meta| meta.len()),
        kind: DamageKind::File,
        reason: error.to_string(),
    }
}

fn collect(dir: &Path, depth: usize, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let kind = entry.file_type()?;
        let hidden = name.to_str().is_none_or(|name| name.starts_with("tmp.") || name.starts_with('.'));
        if hidden || name == "quarantine" {
            continue;
        }
        if kind.is_dir() && depth > 0 {
            collect(&entry.path(), depth - 1, files)?;
        } else if kind.is_file() && entry.path().extension().is_some_and(|extension| extension == "seg") {
            files.push(entry.path());
        }
    }
    Ok(())
}
