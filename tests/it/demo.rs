//! `afferent demo`: one JSON document, an account that closes, an orderly end whenever it is asked to.

use std::process::Stdio;
use std::thread;
use std::time::Duration;

use crate::support::{afferent, get, json, real_parts, run, start_demo, stderr};

pub fn check_report(report: &serde_json::Value) {
    let dropped: u64 = report["dropped"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    let (recorded, aggregated) = (report["recorded"].as_u64().unwrap(), report["aggregated"].as_u64().unwrap());
    assert_eq!(recorded, aggregated + dropped, "{report}");
    assert_eq!(report["in_flight"], 0);
    assert_eq!(report["closes"], true);
    for key in ["faults_injected", "faults_noticed", "false_alarms", "segments"] {
        assert!(!report[key].is_null() || key == "segments", "{key} is missing: {report}");
    }
}

#[test]
fn ten_seconds_end_with_one_document_that_closes() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let output = run(&["demo", "--seconds", "10", "--json", "--data", data, "--listen", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report = json(&output);
    check_report(&report);
    assert!(report["recorded"].as_u64().unwrap() > 10_000, "{report}");
    assert!(report["faults_injected"].as_u64().unwrap() >= 2, "{report}");
    assert!(report["faults_noticed"].as_u64().unwrap() >= 1, "{report}");
    assert_eq!(report["segments"], data);
    let sink = &report["sinks"][0];
    assert_eq!((&sink["name"], &sink["stored"], &sink["lost"]), (&"segments".into(), &report["windows"], &0.into()));
    // What is listed is what was scored.
    let listed = report["anomalies"].as_array().unwrap();
    assert_eq!(report["anomalies_total"], listed.len());
    let alarms = report["false_alarms"].as_u64().unwrap() + report["side_effects"].as_u64().unwrap();
    assert!(alarms <= listed.len() as u64, "{report}");
    let verified = run(&["verify", data]);
    assert_eq!(verified.status.code(), Some(0), "{}", stderr(&verified));
}

/// Ctrl-C and SIGTERM at any moment, also before the first window and while it is already ending.
#[test]
fn a_signal_at_any_moment_ends_in_order() {
    for (signal, after_ms) in [("INT", 30), ("TERM", 150), ("INT", 700), ("TERM", 1_400), ("INT", 2_300)] {
        let child = afferent()
            .args(["demo", "--json", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // The moment is the point of the test; nothing is waited for.
        thread::sleep(Duration::from_millis(after_ms));
        std::process::Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status().unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{signal} after {after_ms} ms");
        check_report(&json(&output));
    }
}

#[test]
fn an_address_that_others_can_reach_is_refused() {
    let output = run(&["demo", "--seconds", "1", "--listen", "0.0.0.0:0"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("loopback"), "{}", stderr(&output));
}

#[test]
fn options_are_checked_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for (option, value, wanted) in [
        ("--agents", "0", "agents must be 1"),
        ("--agents", "1001", "agents must be 1"),
        ("--seconds", "nan", "seconds must be 0"),
        ("--seconds", "-1", "seconds must be 0"),
        ("--seconds", "inf", "seconds must be 0"),
        ("--prefix", "a b", "a prefix is letters"),
        ("--prefix", "0a", "a prefix is letters"),
    ] {
        let output =
            run(&["demo", option, value, "--json", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()]);
        let said = stderr(&output);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{option} {value}: {said}");
        assert!(said.contains(wanted) && !said.contains("live page"), "{option} {value}: {said}");
        assert!(!data.exists(), "{option} {value}");
    }
}

/// No file may grow past a KiB, as on a disk that is full.
#[test]
fn windows_that_were_not_stored_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let script =
        "trap '' XFSZ; ulimit -f 1; exec \"$0\" demo --seconds 2.5 --listen 127.0.0.1:0 --data \"$1\" \"${@:2}\"";
    for json_flag in [&["--json"][..], &[]] {
        let output = std::process::Command::new("bash")
            .args(["-c", script, env!("CARGO_BIN_EXE_afferent")])
            .arg(folder.path())
            .args(json_flag)
            .output()
            .unwrap();
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("sink segments: ") && said.contains(" windows were lost: "), "{said}");
        if json_flag.is_empty() {
            assert!(String::from_utf8_lossy(&output.stdout).contains("sink segments: 0 windows stored, "), "{said}");
        } else {
            let report = json(&output);
            check_report(&report);
            let sink = &report["sinks"][0];
            assert_eq!((&sink["name"], &sink["stored"]), (&"segments".into(), &0.into()), "{report}");
            assert!(sink["lost"].as_u64().unwrap() >= 2 && !sink["last_error"].is_null(), "{report}");
        }
    }
}

#[test]
fn two_engines_in_one_directory_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let _first = start_demo(&["--data", data]);
    let second = run(&["demo", "--seconds", "1", "--data", data, "--listen", "127.0.0.1:0"]);
    assert_eq!(second.status.code(), Some(2));
    assert!(stderr(&second).contains("a directory of its own"), "{}", stderr(&second));
}

#[test]
fn the_endpoint_answers_while_it_runs() {
    if !real_parts("the_endpoint_answers_while_it_runs") {
        return;
    }
    let demo = start_demo(&[]);
    crate::support::wait_for("the first window", || (get(&demo.addr, "/readyz").0 == 200).then_some(()));
    assert_eq!(get(&demo.addr, "/livez").0, 200);
    let (status, health) = get(&demo.addr, "/health");
    assert_eq!(status, 200, "{health}");
    assert!(get(&demo.addr, "/metrics").1.contains("afferent_ledger_closes 1"));
    assert!(get(&demo.addr, "/").1.contains("<html"));
    assert_eq!(get(&demo.addr, "/nothing-here").0, 404);
}
