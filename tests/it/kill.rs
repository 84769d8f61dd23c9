//! `kill -9` at a random moment, again and again in the same directory: what was committed stays sound and complete, and
//! the next start works at once.

use std::io::Read;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::demo::check_report;
use crate::support::{Random, afferent, json, run, stderr};

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
    let trials = if std::env::var_os("AFFERENT_REAL").is_some() || std::env::var_os("CI").is_some() { 100 } else { 10 };
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
    let torn = files.iter().filter(|file| file["uncommitted_bytes"].as_u64() > Some(0)).count();

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
        "kill: {trials} trials, {} files, {torn} in the middle of a commit, {} accounts; slowest start {slowest_start:?}, slowest verify {slowest_verify:?}, \
         start and end after all {took:?}",
        files.len(),
        accounts.len(),
    );
}
