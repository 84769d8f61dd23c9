//! `kill -9` at a random moment, again and again in the same directory: what was committed stays sound and complete, and
//! the next start works at once.

use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::demo::check_report;
use crate::support::{Random, afferent, json, real_parts, run, stderr};

const SEED: u64 = 0x00AF_FE4E;

/// Between 5 and 1,500 ms after the start, in turns: evenly on a logarithmic scale, since the start is short and as worth
/// hitting as the rest; evenly; and just after the end of a window (they end at whole seconds), when it is committed.
fn moment(random: &mut Random, trial: usize) -> Duration {
    let ms = match trial % 3 {
        0 => 5.0 * 300_f64.powf(random.unit()),
        1 => 5.0 + 1_495.0 * random.unit(),
        _ => {
            let past = std::time::UNIX_EPOCH.elapsed().unwrap().subsec_micros();
            let left = 1_000.0 - f64::from(past) / 1_000.0;
            // A start takes some milliseconds: where too few are left, the next window it is.
            left + if left < 100.0 { 1_000.0 } else { 0.0 } + 20.0 * random.unit()
        }
    };
    Duration::from_micros((1_000.0 * ms) as u64)
}

#[test]
fn a_hundred_kills_in_one_directory() {
    // A plain `cargo test` takes a sample; `tests/run.sh` runs all.
    let set = |name| std::env::var_os(name).is_some();
    let trials = if set("AFFERENT_LONG") {
        1_000
    } else if set("AFFERENT_REAL") || set("CI") {
        100
    } else {
        10
    };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let mut random = Random(SEED);
    let (mut slowest_start, mut slowest_verify) = (Duration::ZERO, Duration::ZERO);
    for trial in 0..trials {
        let after = moment(&mut random, trial);
        let what = format!("seed {SEED:#x}, trial {trial}, killed after {after:?}");
        let start = Instant::now();
        let mut child = afferent()
            .args(["demo", "--listen", "127.0.0.1:0", "--data", data, "--seed", &trial.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Notes when the process said that it serves: then the start has worked.
        let mut stderr_pipe = child.stderr.take().unwrap();
        let reader = thread::spawn(move || {
            let (mut said, mut served, mut buffer) = (Vec::new(), None, [0; 4_096]);
            while let Ok(count @ 1..) = stderr_pipe.read(&mut buffer) {
                said.extend_from_slice(&buffer[..count]);
                if served.is_none() && String::from_utf8_lossy(&said).contains("http://") {
                    served = Some(start.elapsed());
                }
            }
            (String::from_utf8_lossy(&said).into_owned(), served)
        });
        // The moment is the point of the test; nothing is waited for.
        thread::sleep(after.saturating_sub(start.elapsed()));
        assert!(child.try_wait().unwrap().is_none(), "{what}: it had ended by itself: {:?}", reader.join());
        child.kill().unwrap();
        child.wait().unwrap();
        let (said, served) = reader.join().unwrap();
        assert!(!said.contains("panicked") && !said.contains("afferent:"), "{what}: {said}");
        assert!(served.is_some() || after < Duration::from_secs(1), "{what}: no start within a second: {said}");
        slowest_start = slowest_start.max(served.unwrap_or_default());

        let start = Instant::now();
        let verified = run(&["verify", data, "--json"]);
        slowest_verify = slowest_verify.max(start.elapsed());
        // The first file comes with the first window, at the latest after a second.
        if verified.status.code() == Some(2) && stderr(&verified).contains("holds no segment") {
            assert!(after < Duration::from_millis(1_300), "{what}: it ran and left no file");
            continue;
        }
        assert_eq!(
            verified.status.code(),
            Some(0),
            "{what}: {}{}",
            String::from_utf8_lossy(&verified.stdout),
            stderr(&verified)
        );
        let report = json(&verified);
        assert_eq!(
            (report["sound"].as_bool(), report["ledger_closes"].as_bool()),
            (Some(true), Some(true)),
            "{what}: {report}"
        );
    }

    // What all of them left: every file was cut off, many after a commit, and the account of each closes.
    let verified = json(&run(&["verify", data, "--json"]));
    let files = verified["files"].as_array().unwrap();
    let with_account = files.iter().filter(|file| file["ledger_closes"] == true).count();
    assert!(with_account * 3 >= trials, "{with_account} of {} files hold windows", files.len());
    assert!(files.iter().all(|file| file["state"] != "clean"), "{verified}");

    // The next start works at once, ends in order, and says what it found.
    let start = Instant::now();
    let output = run(&["demo", "--seconds", "0.2", "--json", "--listen", "127.0.0.1:0", "--data", data]);
    let took = start.elapsed();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    check_report(&json(&output));
    let inspected = json(&run(&["inspect", data, "--json"]));
    assert!(inspected.to_string().contains("\"state\":\"clean\""), "{inspected}");
    let ledger = json(&run(&["query", data, "--ledger", "--json"]));
    let accounts = ledger["ledger"].as_array().unwrap();
    assert!(accounts.iter().all(|account| account["closes"] == true), "{ledger}");
    eprintln!(
        "kill: {trials} trials, {} files, {} accounts; slowest start {slowest_start:?}, slowest verify {slowest_verify:?}, \
         start and end after all {took:?}",
        files.len(),
        accounts.len(),
    );
}

/// Every system call by which a store changes what is on the disk.
const STEPS: [&str; 9] =
    ["mkdir", "openat", "fallocate", "pwrite64", "fdatasync", "fsync", "rename", "ftruncate", "unlink"];

/// A random moment hardly ever hits the microseconds of a commit. So strace kills the process as it enters each of the
/// calls, one after the other, until there is none left: whatever is on the disk then is sound, and the next start works.
#[test]
fn killed_at_every_step_of_a_store() {
    if !real_parts("killed_at_every_step_of_a_store") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("steady.csv");
    let rows: Vec<_> = (0..1_500).map(|row| format!("{},{}", 1_700_000_000 + row, row % 97)).collect();
    std::fs::write(&csv, format!("timestamp,value\n{}\n", rows.join("\n"))).unwrap();
    let csv = csv.to_str().unwrap();
    let (mut kills, mut empty, mut torn) = (0, 0, 0);
    for call in STEPS {
        for step in 1.. {
            let what = format!("killed before {call} number {step}");
            let data = folder.path().join(format!("{call}-{step}"));
            let data = data.to_str().unwrap();
            let replay = ["replay", csv, "--kind", "histogram", "--data", data, "--json"];
            let status = Command::new("strace")
                .args(["-f", "-qqq", "-o", "/dev/null", "-e", &format!("trace={call}")])
                .args(["-e", &format!("inject={call}:signal=KILL:when={step}")])
                .arg(env!("CARGO_BIN_EXE_afferent"))
                .args(replay)
                .stdout(Stdio::null())
                .status()
                .expect("strace is installed");
            let verified = run(&["verify", data, "--json"]);
            let code = verified.status.code();
            if status.success() {
                // There is no such step any more: nothing was killed, and everything is there.
                assert_eq!(code, Some(0), "{what}: {}", stderr(&verified));
                break;
            }
            kills += 1;
            // Before the first file has its name there is nothing to verify.
            if code == Some(2)
                && ["holds no segment", "cannot open"].iter().any(|said| stderr(&verified).contains(said))
            {
                empty += 1;
            } else {
                assert_eq!(code, Some(0), "{what}: {}{}", String::from_utf8_lossy(&verified.stdout), stderr(&verified));
                let report = json(&verified);
                assert_eq!(report["ledger_closes"], true, "{what}: {report}");
                torn += usize::from(report["files"][0]["uncommitted_bytes"].as_u64() > Some(0));
            }
            // The next start finds what it finds, works at once, and keeps all of its own windows.
            let next = run(&replay);
            assert_eq!(next.status.code(), Some(0), "after it was {what}: {}", stderr(&next));
            assert_eq!(run(&["verify", data]).status.code(), Some(0), "after it was {what}, and the next start");
            let counts = json(&run(&["query", data, "--series", "*", "--stat", "count", "--json"]));
            let count = counts["series"][0]["steps"][0]["values"]["count"].as_f64().unwrap();
            assert!(count >= rows.len() as f64, "after it was {what}: {count} values");
        }
    }
    assert!(
        kills > 20 && empty > 0 && torn > 0,
        "{kills} kills, {empty} before the first file, {torn} within a commit"
    );
    eprintln!("kill: at each of {kills} steps, {empty} before the first file, {torn} within a commit");
}
