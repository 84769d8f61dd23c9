//! Bodies read back by a small parser that shares nothing with the renderer.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::record::{Kind, Unit};
use crate::sink::SinkStats;
use crate::sink::samples::{HOSTILE, Source};

type Labels = BTreeMap<String, String>;

#[derive(Debug, Default)]
struct Page {
    /// Type and help by family.
    families: BTreeMap<String, (String, String)>,
    samples: Vec<(String, Labels, f64)>,
    units: BTreeMap<String, String>,
}

impl Page {
    fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels: Labels = labels.iter().map(|&(k, v)| (k.into(), v.into())).collect();
        self.samples.iter().find(|(n, l, _)| n == name && *l == labels).map(|&(.., value)| value)
    }
}

fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => match chars.next().expect("a character after the backslash") {
                'n' => '\n',
                c @ ('\\' | '"') => c,
                c => panic!("\\{c} is no escape"),
            },
            c => c,
        });
    }
    out
}

/// Reads `{key="value",..}`; returns what follows.
fn parse_labels(text: &str) -> (Labels, &str) {
    let Some(mut rest) = text.strip_prefix('{') else { return (Labels::new(), text) };
    let mut labels = Labels::new();
    loop {
        let (key, after) = rest.split_once("=\"").expect("a label");
        assert!(key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{key:?}");
        let mut escaped = false;
        let end = after
            .find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            })
            .expect("the end of the value");
        assert!(labels.insert(key.into(), unescape(&after[..end])).is_none(), "label {key} twice");
        rest = &after[end + 1..];
        match rest.chars().next() {
            Some(',') => rest = &rest[1..],
            Some('}') => return (labels, &rest[1..]),
            other => panic!("{other:?} after a label"),
        }
    }
}

/// Reads a body and checks what both formats ask for: families together and described once, no sample twice.
fn parse(body: &str, format: Format) -> Page {
    let mut page = Page::default();
    let mut current = String::new();
    let mut seen = BTreeSet::new();
    let body = match format {
        Format::Text => body,
        Format::OpenMetrics => body.strip_suffix("# EOF\n").expect("# EOF at the end"),
    };
    for line in body.strip_suffix('\n').expect("a line end").split('\n') {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("help");
            let old = page.families.insert(name.into(), (String::new(), unescape(help)));
            assert!(old.is_none(), "family {name} twice");
            current = name.into();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("type");
            assert_eq!(name, current);
            page.families.get_mut(name).expect("help before type").0 = kind.into();
        } else if let Some(rest) = line.strip_prefix("# UNIT ") {
            assert_eq!(format, Format::OpenMetrics);
            let (name, unit) = rest.split_once(' ').expect("unit");
            assert_eq!(name, current);
            assert!(name.ends_with(&format!("_{unit}")), "{name} {unit}");
            page.units.insert(name.into(), unit.into());
        } else {
            let end = line.find(['{', ' ']).expect("a value");
            let (name, (labels, rest)) = (&line[..end], parse_labels(&line[end..]));
            let value = rest.strip_prefix(' ').expect("a space").replace("Inf", "inf").parse().expect("a number");
            let suffixes: &[&str] = match (page.families[&current].0.as_str(), format) {
                ("counter", Format::OpenMetrics) => &["_total"],
                ("counter" | "gauge", _) => &[""],
                ("histogram", _) => &["_bucket", "_sum", "_count"],
                (other, _) => panic!("type {other}"),
            };
            assert!(suffixes.iter().any(|suffix| name == format!("{current}{suffix}")), "{name} under {current}");
            assert!(seen.insert((name.to_owned(), labels.clone())), "{line:?} twice");
            page.samples.push((name.into(), labels, value));
        }
    }
    page
}

#[test]
fn an_engine_without_series_shows_its_account() {
    let mut source = Source::default();
    source.drop_samples(3);
    let snapshot = source.close();
    for format in [Format::Text, Format::OpenMetrics] {
        let page = parse(&render(&snapshot, "p", format), format);
        assert_eq!(page.value("afferent_window", &[]), Some(1.0));
        assert_eq!(page.value("afferent_window_start_seconds", &[]), Some(1_757_382_400.0));
        assert_eq!(page.value("afferent_samples_recorded_total", &[]), Some(3.0));
        assert_eq!(page.value("afferent_samples_dropped_total", &[("cause", "ring_full")]), Some(3.0));
        assert_eq!(page.value("afferent_samples_dropped_total", &[("cause", "not_finite")]), Some(0.0));
        assert_eq!(page.value("afferent_ledger_closes", &[]), Some(1.0));
    }
}

#[test]
fn the_account_that_does_not_close_says_so() {
    let mut snapshot = (*Source::default().close()).clone();
    snapshot.ledger.recorded += 1;
    let page = parse(&render(&snapshot, "", Format::Text), Format::Text);
    assert_eq!(page.value("afferent_ledger_closes", &[]), Some(0.0));
}

#[test]
fn every_kind_is_exposed_by_prometheus_practice() {
    let mut source = Source::default();
    let time = source.add("inference_time", Kind::Histogram, Unit::Seconds, &[("agent_id", "a1")], "How long.");
    let actions = source.add("actions", Kind::Counter, Unit::None, &[("agent_id", "a1")], "");
    source.add("idle", Kind::Gauge, Unit::None, &[], "");
    let memory = source.add("memory_usage", Kind::Gauge, Unit::Bytes, &[("agent_id", "a1")], "");
    source.aggregator.increment(actions, 7);
    source.sample(memory, 12.0);
    for value in [0.1, 0.02, 0.02, 40.0] {
        source.sample(time, value);
    }
    let _ = source.close();
    source.sample(memory, 5.5);
    let snapshot = source.close();
    let labels = [("agent_id", "a1")];
    for format in [Format::Text, Format::OpenMetrics] {
        let page = parse(&render(&snapshot, "active_inference", format), format);
        assert_eq!(page.value("active_inference_actions_total", &labels), Some(7.0));
        assert_eq!(page.value("active_inference_memory_usage_bytes", &labels), Some(5.5));
        let name = "active_inference_inference_time_seconds";
        let bucket = |le| page.value(&format!("{name}_bucket"), &[("agent_id", "a1"), ("le", le)]);
        assert_eq!(
            [bucket("0.01"), bucket("0.025"), bucket("0.1"), bucket("10.0"), bucket("+Inf")],
            [0.0, 2.0, 3.0, 3.0, 4.0].map(Some)
        );
        assert_eq!(page.value(&format!("{name}_count"), &labels), Some(4.0));
        assert!((page.value(&format!("{name}_sum"), &labels).unwrap() - 40.14).abs() < 1e-9);
        assert_eq!(page.families[name], ("histogram".to_owned(), "How long.".to_owned()));
        assert!(!page.families.keys().any(|name| name.contains("idle")), "a gauge without a value is not exposed");
        assert_eq!(page.units.get(name).map(String::as_str), (format == Format::OpenMetrics).then_some("seconds"));
    }
}

#[test]
fn a_negative_sum_is_left_out_where_it_is_forbidden() {
    let mut source = Source::default();
    let id = source.add("h", Kind::Histogram, Unit::None, &[], "");
    source.sample(id, -2.0);
    let snapshot = source.close();
    assert_eq!(parse(&render(&snapshot, "", Format::Text), Format::Text).value("h_sum", &[]), Some(-2.0));
    let page = parse(&render(&snapshot, "", Format::OpenMetrics), Format::OpenMetrics);
    assert_eq!(page.value("h_sum", &[]), None);
    assert_eq!(page.value("h_bucket", &[("le", "+Inf")]), Some(1.0));
}

#[test]
fn numbers_that_are_none_have_names() {
    let mut source = Source::default();
    let id = source.add("g", Kind::Gauge, Unit::None, &[], "");
    source.sample(id, 1.0);
    let mut snapshot = (*source.close()).clone();
    for (value, text) in [(f64::NAN, "NaN"), (f64::INFINITY, "+Inf"), (f64::NEG_INFINITY, "-Inf"), (1e300, "1e300")] {
        snapshot.series[0].total.last = value;
        let body = render(&snapshot, "", Format::Text);
        assert!(body.contains(&format!("\ng {text}\n")), "{body}");
    }
}

#[test]
fn hostile_text_comes_back_as_it_went_in() {
    let mut source = Source::default();
    let id = source.add("g", Kind::Gauge, Unit::None, &[("a", HOSTILE), ("b", "\\n")], HOSTILE);
    source.sample(id, 1.0);
    let snapshot = source.close();
    for format in [Format::Text, Format::OpenMetrics] {
        let body = render(&snapshot, "", format);
        // The older format has no escape for quotes in help, so the parser meets a bare one, as it should.
        let page = parse(&body, format);
        assert_eq!(page.value("g", &[("a", HOSTILE), ("b", "\\n")]), Some(1.0));
        assert_eq!(page.families["g"].1, HOSTILE);
    }
}

#[test]
fn sinks_are_added_to_a_body() {
    let snapshot = Source::default().close();
    let stats = |name: &str, dropped| SinkStats { name: name.into(), dropped, ..SinkStats::default() };
    let sinks = [stats("a", 1), stats(HOSTILE, 2), stats("a", 4)];
    for format in [Format::Text, Format::OpenMetrics] {
        let page = parse(&with_sinks(&render(&snapshot, "", format), &sinks, format), format);
        assert_eq!(page.value("afferent_sink_dropped_total", &[("sink", "a")]), Some(5.0));
        assert_eq!(page.value("afferent_sink_dropped_total", &[("sink", HOSTILE)]), Some(2.0));
        assert_eq!(page.value("afferent_sink_queued", &[("sink", "a")]), Some(0.0));
    }
}

#[test]
fn the_page_is_rendered_once_per_window_and_never_goes_back() {
    let exposition = Exposition::new("");
    assert!(exposition.body(Format::Text).is_none());
    let mut source = Source::default();
    let (first, second) = (source.close(), source.close());
    exposition.offer(&second);
    exposition.offer(&first);
    let (window, body) = exposition.body(Format::Text).unwrap();
    assert_eq!(window, 2);
    assert!(Arc::ptr_eq(&body, &exposition.body(Format::Text).unwrap().1));
    assert!(!Arc::ptr_eq(&body, &exposition.body(Format::OpenMetrics).unwrap().1));
}

proptest! {
    /// Whatever metrics are called, the page is well-formed, complete and reads back to the values that went in.
    #[test]
    fn any_names_and_labels_round_trip(
        metrics in prop::collection::vec(
            (
                "(jobs|time|_|afferent_window)(_total|_seconds|_count|_bucket|_gauge|_counter){0,2}",
                0_usize..3, 0_usize..4, any::<String>(), any::<String>(), 0_u32..1_000,
            ),
            1..12,
        ),
        prefix in "[a-z9_]{0,3}",
    ) {
        let mut source = Source::default();
        let mut names = BTreeSet::new();
        let mut expected = Vec::new();
        for (name, kind, unit, label, help, value) in metrics {
            if !names.insert(name.clone()) {
                continue;
            }
            let kind = [Kind::Counter, Kind::Gauge, Kind::Histogram][kind];
            let unit = [Unit::None, Unit::Seconds, Unit::Bytes, Unit::Ratio][unit];
            let id = source.add(&name, kind, unit, &[("metric", &name), ("text", &label)], &help);
            if kind == Kind::Counter {
                source.aggregator.increment(id, value.into());
            } else {
                source.sample(id, value.into());
            }
            expected.push((name, label, kind, value));
        }
        let snapshot = source.close();
        for format in [Format::Text, Format::OpenMetrics] {
            let page = parse(&render(&snapshot, &prefix, format), format);
            for (name, label, kind, value) in &expected {
                let found = page.samples.iter().filter(|(sample, labels, _)| {
                    labels.get("metric") == Some(name) && labels["text"] == *label && !sample.ends_with("_bucket")
                        && (*kind != Kind::Histogram || sample.ends_with("_sum"))
                }).map(|sample| sample.2).collect::<Vec<_>>();
                // A gauge or counter may itself be called `.._bucket`; all others are found exactly once.
                prop_assert!(found == [f64::from(*value)] || name.contains("_bucket"), "{name} {found:?}");
            }
        }
    }
}
