//! What every command has in common: help that teaches, exit codes, JSON alone on standard output, a reader that leaves.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use crate::support::{json, real_parts, run, stderr};

const COMMANDS: [&[&str]; 8] = [
    &["demo"],
    &["replay"],
    &["inspect"],
    &["verify"],
    &["query"],
    &["bench"],
    &["bench", "record"],
    &["bench", "pipeline"],
];

#[test]
fn help_teaches() {
    let top = run(&["--help"]);
    assert_eq!(top.status.code(), Some(0));
    let top = String::from_utf8(top.stdout).unwrap();
    for command in COMMANDS {
        assert!(top.contains(&format!("\n  {} ", command[0])), "{command:?} is not listed: {top}");
        for flag in ["--help", "-h"] {
            let help = run(&[command, &[flag]].concat());
            assert_eq!((help.status.code(), stderr(&help)), (Some(0), String::new()), "{command:?}");
            let help = String::from_utf8(help.stdout).unwrap();
            assert!(help.contains(&format!("Usage: afferent {}", command.join(" "))), "{command:?}: {help}");
            assert!(flag == "-h" || help.contains("Examples:\n"), "{command:?} has no examples: {help}");
            let example = format!("  afferent {}", command.join(" "));
            assert!(flag == "-h" || help.contains(&example), "{command:?}: {help}");
            let widest = help.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= 120, "{command:?}: a line of {widest} characters");
        }
    }
    assert_eq!(run(&["--version"]).stdout, format!("afferent {}\n", env!("CARGO_PKG_VERSION")).as_bytes());
}

#[test]
fn what_is_not_understood_exits_with_2() {
    for command in COMMANDS {
        let output = run(&[command, &["--no-such-flag"]].concat());
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{command:?}");
        assert!(stderr(&output).contains("--no-such-flag"), "{command:?}: {}", stderr(&output));
    }
    for wrong in [
        &["no-such-command"][..],
        &[],
        &["replay"],
        &["verify"],
        &["query"],
        &["demo", "--seconds", "soon"],
        &["demo", "--listen", "here"],
        &["bench", "--repetitions", "0"],
    ] {
        let output = run(wrong);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{wrong:?}");
        assert!(!stderr(&output).is_empty(), "{wrong:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().to_str().unwrap();
    for command in ["inspect", "verify", "query"] {
        for path in [empty, "/no/such/path"] {
            let output = run(&[command, path, "--json"]);
            assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{command} {path}");
            assert!(stderr(&output).contains(path), "{command}: {}", stderr(&output));
        }
    }
    assert_eq!(run(&["query", empty, "--stat", "median"]).status.code(), Some(2));
    assert_eq!(run(&["demo", "--seconds", "-1", "--listen", "127.0.0.1:0"]).status.code(), Some(2));
}

/// Segments of a short run, and a recording.
fn material() -> (tempfile::TempDir, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (data, csv) = (path("data"), path("steady.csv"));
    let rows: Vec<_> = (0..600).map(|row| format!("{},{}", 1_700_000_000 + row, row % 7)).collect();
    std::fs::write(&csv, format!("timestamp,value\n{}\n", rows.join("\n"))).unwrap();
    let replayed = run(&["replay", &csv, "--kind", "histogram", "--data", &data]);
    assert_eq!(replayed.status.code(), Some(0), "{}", stderr(&replayed));
    (folder, data, csv)
}

#[test]
fn json_is_one_document_and_nothing_else() {
    let (_folder, data, csv) = material();
    let calls: [&[&str]; 6] = [
        &["demo", "--seconds", "0.1", "--listen", "127.0.0.1:0"],
        &["replay", &csv],
        &["inspect", &data],
        &["verify", &data],
        &["query", &data, "--series", "*"],
        &["query", &data, "--ledger", "--anomalies", "--series", "*", "--step", "1s"],
    ];
    for call in calls {
        // The flag is global: it may stand before the command as well as after it.
        for call in [[call, &["--json"]].concat(), [&["--json"], call].concat()] {
            let output = run(&call);
            assert_eq!(output.status.code(), Some(0), "{call:?}: {}", stderr(&output));
            assert!(json(&output).is_object(), "{call:?}");
            assert!(output.stdout.ends_with(b"}\n"), "{call:?}: a last line has an end");
        }
    }
}

/// Standard output is closed before anything is written to it, as under `| head -0`, or after a line.
#[test]
fn a_reader_that_leaves_is_no_panic() {
    let (_folder, data, csv) = material();
    let calls: [&[&str]; 8] = [
        &["--help"],
        &["demo", "--seconds", "0.1", "--listen", "127.0.0.1:0"],
        &["replay", &csv],
        &["replay", &csv, "--json"],
        &["inspect", &data],
        &["verify", &data, "--json"],
        &["query", &data, "--series", "*", "--step", "1s"],
        &["query", &data, "--series", "*", "--step", "1s", "--ledger", "--json"],
    ];
    for call in calls {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = Command::new(env!("CARGO_BIN_EXE_afferent"))
            .args(call)
            .stdout(Stdio::from(writer))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
            .wait_with_output()
            .unwrap();
        let said = stderr(&output);
        assert!(!said.contains("panicked"), "{call:?}: {said}");
        assert_eq!(output.status.code(), Some(0), "{call:?}: whoever reads has heard enough: {said}");
    }
    // And the real `head`.
    let piped = format!("{} query {data} --series '*' --step 1s | head -1", env!("CARGO_BIN_EXE_afferent"));
    let output = Command::new("bash").args(["-o", "pipefail", "-c", &piped]).output().unwrap();
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 1);
}

#[test]
fn bench_record_gives_every_figure_beside_its_limit() {
    bench("record", &["counter_add", "histogram_exact", "recorder_exact", "ring_push", "clock_read"]);
}

/// Half a minute of both cores.
#[test]
fn bench_pipeline_gives_every_figure_beside_its_limit() {
    if real_parts("bench_pipeline_gives_every_figure_beside_its_limit") {
        bench("pipeline", &["saturation", "sustained"]);
    }
}

/// Asked for more than anybody waits for, and ended after the first figures could be there.
#[test]
fn a_signal_ends_bench_between_two_repetitions() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_afferent"))
        .args(["bench", "--json", "--repetitions", "1000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The handlers are in place before it says what it does.
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut text = String::new();
    said.read_line(&mut text).unwrap();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    // All of it, before the process is waited for: it may say more than a pipe holds.
    said.read_to_string(&mut text).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("interrupted"), "{text}");
    assert_eq!(json(&output)["interrupted"], true);
}

fn bench(what: &str, names: &[&str]) {
    let output = run(&["bench", what, "--json", "--repetitions", "3"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report = json(&output);
    assert!(report["machine"]["cores"].as_u64().unwrap() >= 1, "{report}");
    let figures = report["figures"].as_array().unwrap();
    for name in names {
        assert!(figures.iter().any(|figure| figure["name"] == *name), "{name} is missing: {report}");
    }
    for figure in figures {
        let number = |key: &str| figure[key].as_f64().unwrap_or_else(|| panic!("{key}: {figure}"));
        let text = |key: &str| figure[key].as_str().filter(|text| !text.is_empty());
        assert!(text("name").is_some() && text("limit_name").is_some(), "{figure}");
        assert!(number("value") > 0.0 && number("limit") > 0.0 && number("spread") >= 0.0, "{figure}");
        // Cost over the limit's cost: a rate is the inverse of a cost.
        let ratio = match text("unit") {
            Some("ns") => number("value") / number("limit"),
            Some("M/s") => number("limit") / number("value"),
            other => panic!("unit {other:?}: {figure}"),
        };
        assert!((number("ratio") / ratio - 1.0).abs() < 1e-6, "{figure}");
    }
}
