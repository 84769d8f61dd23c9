//! A directory of segments as one history.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
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
    /// If the path cannot be read, holds no segment files, or none of those it holds can be opened.
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
        let directory = Directory { path: path.to_owned(), files };
        directory.check_one()?;
        Ok(directory)
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

    /// Whether there is anything to read: at least one file can be opened.
    fn check_one(&self) -> Result<(), OpenError> {
        let mut first = None;
        for path in &self.files {
            match Segment::open(path) {
                Ok(_) => return Ok(()),
                Err(error) => first = first.or(Some(error)),
            }
        }
        Err(first.unwrap_or_else(|| OpenError::Empty { path: self.path.clone() }))
    }

    /// Opens the files one after the other. One that is a copy of an earlier one comes as [`DamageKind::Duplicate`]; one that cannot be opened comes as damage to the file as a whole; one that
    /// retention removed since the directory was listed is left out.
    pub fn segments(&self) -> impl Iterator<Item = Result<Segment, Damage>> + '_ {
        let mut seen: HashMap<u128, &Path> = HashMap::new();
        self.files.iter().filter_map(move |path| match Segment::open(path) {
            Err(OpenError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => Some(Err(unopened(path, DamageKind::File, error.to_string()))),
            Ok(segment) => match seen.entry(segment.file_id()) {
                Entry::Occupied(first) => {
                    let reason = format!("a copy of {}: it is left out", first.get().display());
                    Some(Err(unopened(path, DamageKind::Duplicate, reason)))
                }
                Entry::Vacant(place) => {
                    place.insert(path);
                    Some(Ok(segment))
                }
            },
        })
    }
}

/// What to report about a file that is not read.
fn unopened(path: &Path, kind: DamageKind, reason: String) -> Damage {
    Damage {
        file: path.to_owned(),
        block: None,
        offset: 0,
        bytes: fs::metadata(path).map_or(0, |meta| meta.len()),
        kind,
        reason,
    }
}

fn collect(dir: &Path, depth: usize, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let kind = entry.file_type()?;
        let text = name.to_string_lossy();
        if text.starts_with("tmp.") || text.starts_with('.') || name == "quarantine" {
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
