//! Limits that the system sets the process: they cost history, never the process.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use crate::support::{run, stderr};

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

/// What is asked about is no segment: that is an error of the call, not a verdict.
#[test]
fn what_is_no_segment_exits_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("steady.csv"), "timestamp,value\n1,2\n").unwrap();
    std::fs::create_dir(path("none")).unwrap();
    std::fs::write(path("none/a.seg"), "no segment").unwrap();
    assert!(Command::new("mkfifo").arg(path("fifo")).status().unwrap().success());
    for command in ["inspect", "verify", "query"] {
        for name in ["steady.csv", "none", "fifo"] {
            let output = run(&[command, &path(name)]);
            assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{command} {name}");
            assert!(stderr(&output).contains(name), "{command} {name}: {}", stderr(&output));
        }
    }
}
