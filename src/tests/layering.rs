//! The import order: data flows one way, and so do the modules' imports.

use std::fs;
use std::path::{Path, PathBuf};

/// A module may use those to its left.
const ORDER: [&str; 24] = [
    "sync",
    "time",
    "ledger",
    "record",
    "ring",
    "drain",
    "aggregate",
    "detect",
    "segment",
    "query",
    "sink",
    "engine",
    "config",
    "adapters",
    "trace",
    "profile",
    "health",
    "alert",
    "cluster",
    "report",
    "http",
    "demo",
    "cli",
    "tests",
];

fn rank(module: &str) -> Option<usize> {
    ORDER.iter().position(|&name| name == module)
}

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// Every `crate::NAME` of a file, comments left out, and every name in `use crate::{a::.., b::..}`.
fn imports(text: &str) -> Vec<String> {
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        found.push(rest[..end].to_owned());
        assert!(!rest.starts_with('{'), "write one `use crate::name` a line: this test reads them");
    }
    found
}

#[test]
fn modules_import_only_what_stands_to_their_left() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    files(&src, &mut paths);
    let mut stray = Vec::new();
    let mut seen = 0;
    for path in paths {
        let inside = path.strip_prefix(&src).unwrap();
        let top = inside.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs");
        let Some(own) = rank(top) else { continue };
        // Tests may look at their subject from any side.
        if inside.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs"))) {
            continue;
        }
        for name in imports(&fs::read_to_string(&path).unwrap()) {
            let Some(other) = rank(&name) else { continue };
            seen += 1;
            if other > own {
                stray.push(format!("{} uses crate::{name}", inside.display()));
            }
        }
    }
    assert!(seen > 50, "the scan found only {seen} imports: it no longer reads the code");
    assert!(stray.is_empty(), "{stray:#?}");
}

#[test]
fn the_scan_sees_a_stray_import() {
    assert_eq!(imports("use crate::cli::run;\n// crate::demo\nlet x = crate::ring::new();"), ["cli", "ring"]);
    assert!(rank("cli") > rank("ring"));
}

/// What only one module may name.
#[test]
fn atomics_and_the_wall_clock_come_in_by_their_doors() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    files(&src, &mut paths);
    let doors =
        [("sync::atomic", "sync.rs"), ("SystemTime", "time.rs"), ("clock_gettime", "time.rs"), ("_rdtsc", "time.rs")];
    let mut stray = Vec::new();
    for path in paths {
        let inside = path.strip_prefix(&src).unwrap();
        // The tests name what they look for.
        if inside.starts_with("tests") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for (name, door) in doors {
                if line.contains(name) && inside != Path::new(door) {
                    stray.push(format!("{}: {}", inside.display(), line.trim()));
                }
            }
        }
    }
    assert!(stray.is_empty(), "{stray:#?}");
}
