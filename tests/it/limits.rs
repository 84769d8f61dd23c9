//! Limits that the system sets the process: they cost history, never the process.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use crate::support::stderr;

/// Writing past `RLIMIT_FSIZE` ends a process by a signal. Below what a segment needs, nothing is stored.
#[test]
fn a_file_size_limit_does_not_end_the_process() {
    let folder = tempfile::tempdir().unwrap();
    for limit in ["8192", "12288", "65536", "100000"] {
        let data = folder.path().join(limit);
        let output = Command::new("prlimit")
            .arg(format!("--fsize={limit}"))
            .arg(env!("CARGO_BIN_EXE_afferent"))
            .args(["demo", "--seconds", "2", "--listen", "127.0.0.1:0", "--data"])
            .arg(&data)
            .output()
            .expect("prlimit (util-linux) is there");
        assert_eq!(output.status.signal(), None, "{limit}: {}", stderr(&output));
        assert!(output.status.code().is_some_and(|code| code <= 2), "{limit}: {}", stderr(&output));
    }
}
