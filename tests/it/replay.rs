//! `afferent replay` on the labelled sets and on files that are wrong in every way we could think of.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::{afferent, json, python, real_parts, run, shared, stderr};

/// Replays a labelled set and scores what was detected; the summary and the score.
fn replay_and_score(shared: &Path, set: &str, flags: &[&str]) -> (Value, Value) {
    let folder = tempfile::tempdir().unwrap();
    let detections = folder.path().join("det");
    let data = shared.join("data").join(set);
    let input = data.join("data");
    let output = run(&["replay", input.to_str().unwrap(), "--detections", detections.to_str().unwrap(), "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let summary = json(&output);
    assert_eq!(summary["failed"], 0, "{summary}");
    assert_eq!(summary["ledger"]["closes"], true, "{summary}");

    // One row of detections for every row of input, skipped ones aside.
    for file in summary["files"].as_array().unwrap() {
        let written = fs::read_to_string(file["detections"].as_str().unwrap()).unwrap();
        let mut lines = written.lines();
        assert!(lines.next().unwrap().starts_with("timestamp,value,anomaly_score"), "{file}");
        let mut rows = 0;
        for line in lines {
            let score: f64 = line.rsplit(',').next().unwrap().parse().unwrap();
            assert!((0.0..=1.0).contains(&score), "{}: {line}", file["file"]);
            rows += 1;
        }
        assert!(rows >= file["rows"].as_u64().unwrap(), "{file}");
    }

    let scored = Command::new(python())
        .arg(shared.join("tools/nab_score.py"))
        .args(["--json", "--labels"])
        .arg(data.join("labels.json"))
        .args(flags)
        .arg(&detections)
        .output()
        .unwrap();
    assert!(scored.status.success(), "{}", stderr(&scored));
    let score: Value = serde_json::from_slice(&scored.stdout).unwrap();
    eprintln!(
        "replay {set}: {} rows in {:.3} s, {:.2} million a second; {}",
        summary["rows"],
        summary["seconds"].as_f64().unwrap(),
        summary["rows_per_second"].as_f64().unwrap() / 1e6,
        score["det"],
    );
    (summary, score["det"].clone())
}

#[test]
fn nab_is_scored_above_41() {
    let Some(shared) = shared("nab_is_scored_above_41") else { return };
    let (summary, score) = replay_and_score(&shared, "nab", &["--nab"]);
    assert_eq!(score["files"], 35);
    assert!(summary["rows"].as_u64().unwrap() > 229_900, "{summary}");
    // How fast is for `bench` to judge: here others use the same cores.
    assert!(summary["rows_per_second"].as_f64().unwrap() > 0.0);
    let standard = score["nab"]["standard"]["score"].as_f64().unwrap();
    assert!(standard > 41.0, "NAB, standard profile: {standard}");
}

#[test]
fn the_other_labelled_sets_are_replayed() {
    let Some(shared) = shared("the_other_labelled_sets_are_replayed") else { return };
    for (set, rows) in [("mscloud", 124_000), ("kpi", 155_000)] {
        let (summary, score) = replay_and_score(&shared, set, &["--points", "--pad", "3", "--gap", "3"]);
        assert!(summary["rows"].as_u64().unwrap() > rows, "{summary}");
        assert!(score.is_object(), "{score}");
    }
}

/// What a bad file comes to.
enum Want {
    /// The file is refused; the message has this in it.
    Refused(&'static str),
    /// Rows are skipped for this reason, on these lines.
    Skipped(&'static str, &'static [u64]),
}
use Want::{Refused, Skipped};

#[test]
fn a_bad_file_is_named_and_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let corpus: &[(&str, &[u8], Want)] = &[
        ("empty.csv", b"", Refused("the file is empty")),
        ("newline.csv", b"\n", Refused("the file is empty")),
        ("zeros.csv", &[0; 100], Refused("zeros.csv, line 1")),
        ("no-header.csv", b"1,2\n2,3\n", Refused("no-header.csv, line 1: this is data")),
        ("other-header.csv", b"time,ms\n1,2\n", Refused("no column \"timestamp\"")),
        ("no-value.csv", b"timestamp,ms\n1,2\n", Refused("no column \"value\"")),
        ("header-not-utf8.csv", b"timestamp,\xff\xfe\n1,2\n", Refused("the header is not UTF-8")),
        ("header-quotes.csv", b"timestamp,\"value\n1,2\n", Refused("the quotes of the header")),
        ("text.jsonl", b"timestamp,value\n1,2\n", Refused("text.jsonl, line 1: this is not a JSON object")),
        ("short.csv", b"timestamp,value\n1,1\n2\n3,3\n4\n", Skipped("missing_column", &[3, 5])),
        ("words.csv", b"timestamp,value\n1,1\n2,lots\n3,3\n", Skipped("not_a_number", &[3])),
        ("blank.csv", b"timestamp,value\n1,1\n2,\n3,3\n", Skipped("not_a_number", &[3])),
        ("nan.csv", b"timestamp,value\n1,NaN\n2,2\n3,inf\n4,-inf\n5,1e999\n", Skipped("not_finite", &[2, 4, 5])),
        ("time.csv", b"timestamp,value\n1,1\nyesterday,2\n2014-13-45 00:00:00,3\n", Skipped("bad_time", &[3, 4])),
        ("back.csv", b"timestamp,value\n5,1\n4,2\n6,3\n1,4\n", Skipped("time_backwards", &[3, 5])),
        ("not-utf8.csv", b"timestamp,value\n1,1\n2,\xff\n3,3\n", Skipped("not_utf8", &[3])),
        ("quotes.csv", b"timestamp,value\n1,1\n2,\"2\n3,3\n", Skipped("quotes", &[3])),
        (
            "json.jsonl",
            b"{\"timestamp\":1,\"value\":1}\n{\"timestamp\":2\n{\"timestamp\":3,\"value\":3}\n",
            Skipped("json", &[2]),
        ),
        (
            "null.jsonl",
            b"{\"timestamp\":1,\"value\":1}\n{\"timestamp\":2,\"value\":null}\n",
            Skipped("not_a_number", &[2]),
        ),
        ("zeros-row.csv", b"timestamp,value\n1,1\n\0\0\0\0\n3,3\n", Skipped("missing_column", &[3])),
    ];
    for (name, bytes, want) in corpus {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let path = path.to_str().unwrap();
        let output = run(&["replay", path, "--json"]);
        no_panic(name, &output);
        let summary = json(&output);
        let file = &summary["files"][0];
        assert_eq!(file["file"], path);
        let text = run(&["replay", path]);
        no_panic(name, &text);
        let said = format!("{}{}", String::from_utf8_lossy(&text.stdout), stderr(&text));
        assert!(said.contains(name), "{name}: {said}");
        match want {
            Refused(message) => {
                assert_eq!((output.status.code(), text.status.code()), (Some(2), Some(2)), "{name}: {said}");
                let error = file["error"].as_str().unwrap_or_else(|| panic!("{name}: no error: {file}"));
                assert!(error.contains(name) && error.contains(message), "{name}: {error}");
                assert!(said.contains(message), "{name}: {said}");
            }
            Skipped(reason, lines) => {
                assert_eq!((output.status.code(), text.status.code()), (Some(0), Some(0)), "{name}: {said}");
                let all: Vec<_> = file["skipped"].as_object().unwrap().keys().collect();
                assert_eq!(all, [reason], "{name}: {file}");
                assert_eq!(file["skipped"][reason]["lines"], Value::from(lines.to_vec()), "{name}: {file}");
                assert!(file["rows"].as_u64().unwrap() >= 1, "{name}: the good rows were replayed");
                assert!(said.contains(&format!("line {}", lines[0])), "{name}: {said}");
            }
        }
    }
}

#[test]
fn files_without_rows_and_paths_without_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("header-only.csv"), "timestamp,value\n").unwrap();
    fs::create_dir(path("nothing-here")).unwrap();
    fs::write(path("nothing-here") + "/notes.txt", "no recording").unwrap();

    let output = run(&["replay", &path("header-only.csv"), "--json"]);
    no_panic("header only", &output);
    assert_eq!((output.status.code(), &json(&output)["rows"]), (Some(0), &0.into()), "a recording of nothing");

    let output = run(&["replay", &path("nothing-here"), "--json"]);
    no_panic("folder", &output);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("nothing-here: no *.csv"), "{}", stderr(&output));

    let output = run(&["replay", &path("missing.csv"), "--json"]);
    no_panic("missing", &output);
    assert_eq!(output.status.code(), Some(2));
    let error = json(&output)["files"][0]["error"].as_str().unwrap().to_owned();
    assert!(error.contains("missing.csv: cannot be read"), "{error}");
    assert!(stderr(&output).contains(&error), "{}", stderr(&output));
    let output = run(&["replay", &path("missing.csv")]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "nothing to sum up");
    assert!(stderr(&output).contains(&error), "{}", stderr(&output));

    // A good file beside bad ones is replayed all the same.
    fs::write(path("good.csv"), "timestamp,value\n1,1\n2,2\n").unwrap();
    let output = run(&["replay", &path("missing.csv"), &path("good.csv"), "--json"]);
    assert_eq!((output.status.code(), &json(&output)["rows"]), (Some(2), &2.into()));
}

/// A pipe that is written to for as long as it is read: only the signal ends the replay.
#[test]
fn a_signal_ends_a_replay_in_order() {
    for signal in ["INT", "TERM"] {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        assert!(Command::new("mkfifo").arg(path("endless.csv")).status().unwrap().success());
        let child = afferent()
            .args(["replay", &path("endless.csv"), "--json", "--detections", &path("det"), "--data", &path("data")])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let id = child.id().to_string();
        let mut pipe = File::options().write(true).open(path("endless.csv")).unwrap();
        pipe.write_all(b"timestamp,value\n").unwrap();
        for row in 0_u64.. {
            let line = format!("{},{}\n", 1_400_000_000 + row, row % 7);
            if pipe.write_all(line.as_bytes()).is_err() {
                break;
            }
            // By now it reads rows, and has been for a while.
            if row == 100_000 {
                assert!(Command::new("kill").args([&format!("-{signal}"), &id]).status().unwrap().success());
            }
        }
        let output = child.wait_with_output().unwrap();
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{signal}: {said}");
        assert!(said.contains("interrupted: 0 of 1 files"), "{said}");
        let summary = json(&output);
        assert_eq!((&summary["interrupted"], &summary["ledger"]["closes"]), (&true.into(), &true.into()), "{summary}");
        let rows = summary["rows"].as_u64().unwrap();
        assert!(rows > 50_000, "{summary}");
        let left: Vec<_> = fs::read_dir(path("det/") + &parent_name(folder.path())).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
        // What was taken is stored.
        assert_eq!(run(&["verify", &path("data")]).status.code(), Some(0));
        let stored = json(&run(&["query", &path("data"), "--series", "endless", "--json"]));
        assert!(stored.to_string().contains(&format!("\"count\":{rows}")), "{rows} rows: {stored}");
    }
}

fn parent_name(folder: &Path) -> String {
    folder.file_name().unwrap().to_string_lossy().into_owned()
}

/// The most memory a hostile line may cost: the line's limit of 1 MiB several times over, and the process itself.
const MOST_KIB: u64 = 48 << 10;

/// Runs its arguments, then prints the peak of their resident memory in KiB.
const PEAK: &str = "
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
sys.stderr.buffer.write(done.stderr)
print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
";

#[test]
fn a_line_of_two_gigabytes_costs_little_memory() {
    if !real_parts("a_line_of_two_gigabytes_costs_little_memory") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (name, head, line) in [
        ("row.csv", "timestamp,value\n1,1\n", 3),
        ("header.csv", "", 1),
        ("row.jsonl", "{\"timestamp\":1,\"value\":1}\n", 2),
    ] {
        let path = folder.path().join(name);
        let mut file = File::create(&path).unwrap();
        file.write_all(head.as_bytes()).unwrap();
        // A hole: no disk is used.
        file.set_len(head.len() as u64 + (2 << 30)).unwrap();
        let output = Command::new(python())
            .args(["-c", PEAK, env!("CARGO_BIN_EXE_afferent"), "replay"])
            .arg(&path)
            .output()
            .unwrap();
        no_panic(name, &output);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let (code, peak) = said.trim().split_once(' ').unwrap_or_else(|| panic!("{name}: {said}{}", stderr(&output)));
        assert_eq!(code, "2", "{name}");
        let peak: u64 = peak.parse().unwrap();
        assert!(peak < MOST_KIB, "{name}: {peak} KiB at the peak");
        let error = json(&afferent().args(["replay", "--json"]).arg(&path).output().unwrap());
        let error = error["files"][0]["error"].as_str().unwrap();
        assert!(error.contains(&format!("{name}, line {line}: the line is longer")), "{error}");
        eprintln!("replay: a line of 2 GiB in {name}: {peak} KiB at the peak");
    }
}

fn no_panic(what: &str, output: &Output) {
    let said = stderr(output);
    assert!(!said.contains("panicked"), "{what}: {said}");
    assert!(output.status.code().is_some_and(|code| code <= 2), "{what}: {:?}: {said}", output.status);
}
