//! Quantiles of any range of windows, merged by `query` from the segments, against numpy on the raw values.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::support::{Random, feed, json, python, real_parts, run, stderr};

const START: i64 = 1_700_000_000;
const SECONDS: i64 = 120;
/// Values a second.
const RATE: i64 = 250;
/// For plain numbers a histogram counts in steps of a millionth.
const STEP: f64 = 1e-6;
/// As docs/format/segment.md states it.
const RELATIVE_ERROR: f64 = 1.0 / 1_024.0;

/// numpy's own answer, from the same file: for each range a list of quantiles, or null where it has no values.
const NUMPY: &str = "
import json, sys
import numpy
path, asked = sys.argv[1], json.load(sys.stdin)
times, values = [], []
for line in open(path).read().splitlines()[1:]:
    time, value = line.split(',')
    whole, _, part = time.partition('.')
    times.append(int(whole) * 10**9 + int(part.ljust(9, '0') or 0))
    values.append(float(value))
times, values = numpy.array(times), numpy.array(values)
answers = []
for begin, end in asked['ranges']:
    inside = values[(times >= begin * 10**9) & (times < end * 10**9)]
    answers.append([len(inside)] + [float(numpy.quantile(inside, q, method='inverted_cdf')) for q in asked['q']])
print(json.dumps(answers))
";

/// Times to the nanosecond, some exactly on the edge of a window.
fn recording(mut value: impl FnMut(&mut Random) -> f64) -> String {
    let mut random = Random(23);
    let mut out = String::from("timestamp,value\n");
    for second in START..START + SECONDS {
        let mut parts: Vec<u64> = (1..RATE).map(|_| random.below(1_000_000_000)).collect();
        parts.push(0);
        parts.sort_unstable();
        for part in parts {
            writeln!(out, "{second}.{part:09},{}", value(&mut random)).unwrap();
        }
    }
    out
}

#[test]
fn quantiles_of_any_range_are_those_of_numpy() {
    if !real_parts("quantiles_of_any_range_are_those_of_numpy") {
        return;
    }
    let log_normal = recording(|random| (2.0 * random.normal()).exp());
    let uniform = recording(|random| 1_000.0 * random.unit());
    let tiny = recording(|random| 0.002 * random.unit());
    let heavy = recording(|random| random.unit().max(1e-9).powf(-1.5));
    let mut worst = 0.0_f64;
    let mut compared = 0;
    for (name, text) in [("log_normal", log_normal), ("uniform", uniform), ("tiny", tiny), ("heavy", heavy)] {
        let (most, count) = compare(name, &text);
        worst = worst.max(most);
        compared += count;
    }
    eprintln!("quantiles: {compared} compared, worst {worst:.3} of the stated error");
}

/// The largest difference as a share of the stated error, and how many were compared.
fn compare(name: &str, text: &str) -> (f64, usize) {
    const QUANTILES: [(f64, &str); 6] =
        [(0.0, "p0"), (0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (0.999, "p99.9"), (1.0, "p100")];
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join(format!("{name}.csv"));
    fs::write(&csv, text).unwrap();
    let csv = csv.to_str().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let replayed = run(&["replay", csv, "--kind", "histogram", "--data", data, "--json"]);
    assert_eq!(replayed.status.code(), Some(0), "{}", stderr(&replayed));
    assert_eq!(json(&replayed)["ledger"]["clamped"], 0);

    let mut random = Random(29);
    let mut ranges = vec![(START, START + SECONDS), (START, START + 1), (START + SECONDS - 1, START + SECONDS)];
    ranges.extend((0..12).map(|_| {
        let from = START + random.below(SECONDS as u64 - 1) as i64;
        (from, from + 1 + random.below((START + SECONDS - from) as u64) as i64)
    }));
    let asked = serde_json::json!({ "ranges": ranges, "q": QUANTILES.map(|(q, _)| q) });
    let numpy = feed(Command::new(python()).args(["-c", NUMPY, csv]), asked.to_string().as_bytes());
    let numpy: Value = serde_json::from_str(&numpy).unwrap();

    let stats = format!("count,{}", QUANTILES.map(|(_, name)| name).join(","));
    let mut worst = 0.0_f64;
    for (&(from, to), truth) in ranges.iter().zip(numpy.as_array().unwrap()) {
        let range = ["--from", &from.to_string(), "--to", &to.to_string()];
        let output = run(&[&["query", data, "--series", name, "--stat", &stats, "--json"][..], &range].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let answer = json(&output);
        let values = &answer["series"][0]["steps"][0]["values"];
        assert_eq!(values["count"].as_f64(), truth[0].as_f64(), "{name} {from}..{to}: {answer}");
        for (at, (_, stat)) in QUANTILES.iter().enumerate() {
            let (have, want) = (values[stat].as_f64().unwrap(), truth[at + 1].as_f64().unwrap());
            let bound = want * RELATIVE_ERROR + STEP;
            let share = (have - want).abs() / bound;
            assert!(have <= truth[QUANTILES.len()].as_f64().unwrap(), "{name}: {stat} lies beyond the largest value");
            assert!(share <= 1.0, "{name} {stat} of {from}..{to}: {have}, and numpy says {want}");
            worst = worst.max(share);
        }
    }
    (worst, ranges.len() * QUANTILES.len())
}
