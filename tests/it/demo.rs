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
