//! Which files a replay reads: as named, and what a search of folders finds.

use std::collections::HashSet;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::adapters::recorded::Format;

/// Deeper than any tree of recordings.
const DEEPEST: u32 = 32;

/// Files as given, folders searched, in the order of their names so that runs are alike. A file that is reached twice
/// is taken once.
///
/// # Errors
/// A message, where a folder cannot be read or holds no recording.
pub(super) fn find(given: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut found = Found::default();
    for path in given {
        match path.metadata() {
            Ok(metadata) if metadata.is_dir() => {
                let before = found.met;
                found
                    .search(path, 0)
                    .map_err(|(path, error)| format!("{}: cannot be read: {error}", path.display()))?;
                if found.met == before {
                    return Err(format!("{}: no *.csv, *.jsonl or *.ndjson file in this folder", path.display()));
                }
            }
            Ok(metadata) => found.add(path.clone(), &metadata),
            // What is wrong with it is for the replay to say, beside the others.
            Err(_) => found.files.push(path.clone()),
        }
    }
    Ok(found.files)
}

#[derive(Default)]
struct Found {
    files: Vec<PathBuf>,
    /// Device and inode of each.
    seen: HashSet<(u64, u64)>,
    /// How many were met, those included that were there already.
    met: u64,
}

impl Found {
    fn add(&mut self, path: PathBuf, metadata: &Metadata) {
        self.met += 1;
        if self.seen.insert((metadata.dev(), metadata.ino())) {
            self.files.push(path);
        }
    }

    /// Folders behind links are left alone: they may lead in circles, or out of the tree. A link to a file is a file,
    /// as data managers keep them; what is no regular file (a pipe, a device) is none of ours.
    fn search(&mut self, folder: &Path, depth: u32) -> Result<(), (PathBuf, io::Error)> {
        let failed = |error| (folder.to_path_buf(), error);
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            entries.push((entry.path(), entry.file_type().map_err(failed)?));
        }
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (path, kind) in entries {
            if kind.is_dir() {
                if depth < DEEPEST {
                    self.search(&path, depth + 1)?;
                }
            } else if is_recording(&path)
                && let Ok(metadata) = path.metadata()
                && metadata.is_file()
            {
                self.add(path, &metadata);
            }
        }
        Ok(())
    }
}

/// In a folder, `json` files are left alone: few of them are JSON lines.
fn is_recording(path: &Path) -> bool {
    let Some(extension) = path.extension() else { return false };
    extension.eq_ignore_ascii_case("csv")
        || (Format::of(path) == Format::JsonLines && !extension.eq_ignore_ascii_case("json"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_and_pipes_lead_nowhere_and_nothing_is_taken_twice() {
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = |name: &str| folder.path().join(name);
        fs::write(outside.path().join("far.csv"), "").unwrap();
        fs::create_dir(path("b")).unwrap();
        for name in ["a.csv", "b/2.csv"] {
            fs::write(path(name), "").unwrap();
        }
        symlink(folder.path(), path("b/circle")).unwrap();
        symlink(outside.path(), path("elsewhere")).unwrap();
        symlink(path("a.csv"), path("again.csv")).unwrap();
        fs::hard_link(path("a.csv"), path("b/same.csv")).unwrap();
        symlink(outside.path().join("far.csv"), path("c.csv")).unwrap();
        symlink(path("gone"), path("dangling.csv")).unwrap();
        let made = std::process::Command::new("mkfifo").arg(path("pipe.csv")).status().unwrap();
        assert!(made.success());
        fs::create_dir(path("folder.csv")).unwrap();

        let wanted = ["a.csv", "b/2.csv", "c.csv"].map(path);
        assert_eq!(find(&[folder.path().into()]).unwrap(), wanted);
        assert_eq!(find(&[folder.path().into(), path("b"), path("a.csv")]).unwrap(), wanted);
        // A pipe that is named is meant.
        assert_eq!(find(&[path("pipe.csv"), path("gone.csv")]).unwrap(), ["pipe.csv", "gone.csv"].map(path));
        assert!(find(&[path("folder.csv")]).unwrap_err().contains("no *.csv"));
    }
}
