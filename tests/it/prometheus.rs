//! Debian's Prometheus scrapes a running `demo`: no error, a page that strict parsers accept, and the same numbers as the
//! segments hold.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{Demo, Running, feed, get, get_with, json, python, real_parts, run, start_demo, stderr, wait_for};

/// As an agent's name: everything that an exposition has to escape.
const HOSTILE: &str = "<img src=x onerror=alert(1)>\"\\\n";

const OPEN_METRICS: &str = "Accept: application/openmetrics-text; version=1.0.0\r\n";

/// Reads OpenMetrics as strictly as Prometheus's own Python library does; prints families and samples.
const PARSER: &str = "
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
for family in parse(sys.stdin.read()):
    for sample in family.samples:
        print(sample.name)
";

/// Values by name and labels.
type Values = BTreeMap<(String, BTreeMap<String, String>), f64>;

struct Server {
    addr: String,
    _process: Running,
    _folder: tempfile::TempDir,
}

/// Starts Prometheus on a free port, told to scrape `target`.
fn start_prometheus(target: &str) -> Server {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("prometheus.yml");
    std::fs::write(
        &config,
        format!(
            "global: {{scrape_interval: 400ms, scrape_timeout: 400ms}}\n\
             scrape_configs: [{{job_name: demo, static_configs: [{{targets: ['{target}']}}]}}]\n"
        ),
    )
    .unwrap();
    // Prometheus does not say which port it was given for port 0, so one is looked for here and set free again. If it is
    // taken in between, Prometheus ends with an error and the wait below fails, naming it.
    let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let process = Command::new("prometheus")
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
        .arg(format!("--web.listen-address={addr}"))
        .arg("--log.level=warn")
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("Debian's prometheus is installed");
    let process = Running(process);
    wait_for("Prometheus", || get_with(&addr, "/-/ready", "").ok().filter(|(status, _, _)| *status == 200).map(|_| ()));
    Server { addr, _process: process, _folder: folder }
}

fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).into() } else { format!("%{byte:02X}") })
        .collect()
}

fn ask(server: &Server, query: &str) -> Vec<Value> {
    let (status, body) = get(&server.addr, &format!("/api/v1/query?query={}", encode(query)));
    assert_eq!(status, 200, "{body}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    answer["data"]["result"].as_array().unwrap().clone()
}

/// The latest value of a query that gives at most one series.
fn ask_one(server: &Server, query: &str) -> Option<f64> {
    ask(server, query).first().map(|series| number(&series["value"][1]))
}

fn number(text: &Value) -> f64 {
    text.as_str().unwrap().parse().unwrap()
}

fn labels(of: &Value) -> BTreeMap<String, String> {
    let all = of.as_object().unwrap().iter();
    all.map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned())).collect()
}

/// Every value that Prometheus holds, by the window that the page showed when it was scraped.
fn scraped(server: &Server) -> BTreeMap<u64, Values> {
    let mut by_time: BTreeMap<String, Values> = BTreeMap::new();
    for series in ask(server, "{job=\"demo\"}[10m]") {
        let mut labels = labels(&series["metric"]);
        let name = labels.remove("__name__").unwrap();
        labels.remove("job");
        labels.remove("instance");
        for sample in series["values"].as_array().unwrap() {
            // All samples of one scrape carry one time.
            let at = by_time.entry(sample[0].to_string()).or_default();
            at.insert((name.clone(), labels.clone()), number(&sample[1]));
        }
    }
    let mut by_window = BTreeMap::new();
    for values in by_time.into_values() {
        let window = values.get(&("afferent_window".to_owned(), BTreeMap::new()));
        by_window.insert(*window.expect("each page names its window") as u64, values);
    }
    by_window
}

/// What the segments say of everything up to the end of a window, under the names of the exposition.
fn stored(data: &str, account: &Value) -> Values {
    let end = account["end_ns"].as_i64().unwrap();
    let to = format!("{}.{:09}", end / 1_000_000_000, end % 1_000_000_000);
    let output = run(&["query", data, "--series", "*", "--to", &to, "--stat", "count,sum,last", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let answer = json(&output);
    assert_eq!(answer["damages"], serde_json::json!([]));
    let mut values = Values::new();
    for series in answer["series"].as_array().unwrap() {
        let text = |key: &str| series[key].as_str().unwrap().to_owned();
        let (mut name, unit) = (text("name"), text("unit"));
        if !unit.is_empty() && !name.ends_with(&format!("_{unit}")) {
            name = format!("{name}_{unit}");
        }
        let labels = labels(&series["labels"]);
        let figure = |stat: &str| series["steps"][0]["values"][stat].as_f64().unwrap();
        let mut put = |suffix: &str, value| values.insert((format!("{name}{suffix}"), labels.clone()), value);
        match series["kind"].as_str().unwrap() {
            "counter" => {
                put("_total", figure("count"));
                assert_eq!(figure("count"), figure("sum"), "{series}");
                assert_eq!(figure("count"), figure("last"), "{series}");
            }
            "gauge" => {
                put("", figure("last"));
            }
            "histogram" => {
                put("_count", figure("count"));
                put("_sum", figure("sum"));
            }
            other => panic!("{other}: {series}"),
        }
    }
    for (name, key) in [
        ("afferent_samples_recorded_total", "recorded"),
        ("afferent_samples_aggregated_total", "aggregated"),
        ("afferent_samples_in_flight", "in_flight"),
        ("afferent_increments_total", "gathered"),
        ("afferent_values_clamped_total", "clamped"),
    ] {
        values.insert((name.to_owned(), BTreeMap::new()), account[key].as_f64().unwrap());
    }
    values
}

/// The accounts in the segments, by window.
fn accounts(data: &str) -> BTreeMap<u64, Value> {
    let answer = json(&run(&["query", data, "--ledger", "--json"]));
    assert_eq!(answer["damages"], serde_json::json!([]), "files that are being written read without damage");
    let accounts = answer["ledger"].as_array().unwrap().iter();
    accounts.map(|account| (account["window"].as_u64().unwrap(), account.clone())).collect()
}

/// Counters and histograms are exposed from their registration on, at 0; segments hold no rows of nothing.
fn compare(window: u64, scraped: &Values, stored: &Values) {
    for (series, want) in stored {
        let have = scraped.get(series).unwrap_or_else(|| panic!("window {window}: {series:?} was not scraped"));
        let bound = if series.0.ends_with("_sum") { 1e-12 * want.abs() } else { 0.0 };
        assert!(
            (have - want).abs() <= bound,
            "window {window}: {series:?} is {have} in Prometheus, {want} in segments"
        );
    }
    for (series, value) in scraped {
        let own = ["afferent_", "scrape_", "up"].iter().any(|own| series.0.starts_with(own));
        if own || series.0.ends_with("_bucket") || stored.contains_key(series) {
            continue;
        }
        assert_eq!(*value, 0.0, "window {window}: {series:?} is not in the segments");
    }
}

fn buckets_end_at_the_count(values: &Values) {
    let mut checked = 0;
    for ((name, labels), value) in values {
        if let Some(base) = name.strip_suffix("_bucket").filter(|_| labels["le"] == "+Inf") {
            let mut rest = labels.clone();
            rest.remove("le");
            assert_eq!(values[&(format!("{base}_count"), rest)], *value, "{base} {labels:?}");
            checked += 1;
        }
    }
    assert!(checked > 0, "there are histograms");
}

fn strict_parsers_accept(demo: &Demo) {
    let (_, head, text) = get_with(&demo.addr, "/metrics", "").unwrap();
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    feed(Command::new("promtool").args(["check", "metrics"]), text.as_bytes());

    let (_, head, open) = get_with(&demo.addr, "/metrics", OPEN_METRICS).unwrap();
    assert!(head.contains("application/openmetrics-text; version=1.0.0"), "{head}");
    let parsed = feed(Command::new(python()).args(["-c", PARSER]), open.as_bytes());
    let sent = open.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(parsed.lines().count(), sent, "the parser saw every sample");
    assert!(parsed.contains("planning_time_seconds_bucket"), "{parsed}");

    // The parsers are worth asking: they refuse what is wrong.
    let broken = open.replace("# EOF\n", "");
    let refused = Command::new(python())
        .args(["-c", PARSER])
        .stdin(Stdio::from(write_out(&broken)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(!refused.success(), "a page without its end is refused");
}

fn write_out(text: &str) -> std::fs::File {
    use std::io::{Seek, Write};
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file.rewind().unwrap();
    file
}

#[test]
fn prometheus_holds_what_the_segments_hold() {
    if !real_parts("prometheus_holds_what_the_segments_hold") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let demo = start_demo(&["--data", data, "--name", HOSTILE]);
    // Before the first window /metrics is honest and answers 503, which Prometheus would rightly call a failed scrape.
    wait_for("the first window", || (get(&demo.addr, "/readyz").0 == 200).then_some(()));
    let server = start_prometheus(&demo.addr);
    wait_for("twelve scraped windows", || (scraped_windows(&server) >= 12).then_some(()));

    let (_, targets) = get(&server.addr, "/api/v1/targets");
    let targets: Value = serde_json::from_str(&targets).unwrap();
    let target = &targets["data"]["activeTargets"][0];
    assert_eq!((&target["health"], &target["lastError"]), (&"up".into(), &"".into()), "{target}");
    assert_eq!(ask_one(&server, "min_over_time(up{job=\"demo\"}[10m])"), Some(1.0), "no scrape failed");
    let least = ask_one(&server, "min_over_time(scrape_samples_scraped{job=\"demo\"}[10m])").unwrap();
    assert!(least > 100.0, "every scrape brought samples, the poorest {least}");
    assert_eq!(ask_one(&server, "min_over_time(afferent_ledger_closes[10m])"), Some(1.0));

    strict_parsers_accept(&demo);

    // While everything is still running: the windows are in the segments as soon as they are on the page, or soon after.
    let scraped = scraped(&server);
    let last = *scraped.keys().next_back().unwrap();
    let accounts = wait_for("the last scraped window in the segments", || {
        Some(accounts(data)).filter(|accounts| accounts.contains_key(&last))
    });
    let mut compared = 0;
    for (window, values) in &scraped {
        let account = accounts.get(window).unwrap_or_else(|| {
            let sinks: Vec<_> = get(&demo.addr, "/metrics")
                .1
                .lines()
                .filter(|line| line.starts_with("afferent_sink"))
                .map(str::to_owned)
                .collect();
            panic!("window {window} was scraped and is not in the segments: {:?}; {sinks:?}", accounts.keys())
        });
        let stored = stored(data, account);
        assert!(stored.len() > 20, "window {window}: {stored:?}");
        compare(*window, values, &stored);
        buckets_end_at_the_count(values);
        compared += stored.len();
    }
    let hostile = ("actions_total".to_owned(), BTreeMap::from([("agent_id".to_owned(), format!("{HOSTILE}1"))]));
    assert!(scraped[&last][&hostile] > 0.0, "a hostile label arrives as it is");
    eprintln!("prometheus: {} windows, {compared} values compared", scraped.len());
}

/// How many distinct windows Prometheus has seen.
fn scraped_windows(server: &Server) -> usize {
    let series = ask(server, "afferent_window[10m]");
    let mut windows: Vec<&str> = series
        .iter()
        .flat_map(|series| series["values"].as_array().unwrap())
        .filter_map(|sample| sample[1].as_str())
        .collect();
    windows.dedup();
    windows.len()
}
