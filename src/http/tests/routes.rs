//! What is at each path.

use super::*;

#[test]
fn readiness_follows_the_first_window_and_the_end() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.get("/livez").status, 200);
    assert_eq!(fixture.get("/readyz").status, 503);
    assert_eq!(fixture.get("/metrics").status, 503);
    assert_eq!(fixture.get("/health").status, 200);
    fixture.window();
    assert_eq!(fixture.get("/readyz").status, 200);
    fixture.view.close(fixture.view.ledger());
    assert_eq!(fixture.get("/readyz").status, 503);
    let health = fixture.get("/health");
    assert_eq!(health.status, 503);
    assert!(health.body.contains("shut down"), "{}", health.body);
    assert_eq!(fixture.get("/livez").status, 200);
}

#[test]
fn health_names_what_is_wrong() {
    let mut fixture = Fixture::new();
    fixture.window();
    assert_eq!(fixture.json("/health")["status"], "healthy");
    fixture.view.set_part("store", Some("disk full".into()));
    let health = fixture.json("/api/health");
    assert_eq!((&health["status"], &health["problems"][0]["part"]), (&"degraded".into(), &"store".into()));
    fixture.view.set_part("store", None);

    fixture.pass(Duration::from_millis(4_900));
    assert_eq!(fixture.json("/health")["status"], "healthy");
    fixture.pass(Duration::from_millis(200));
    let stalled = fixture.get("/health");
    assert_eq!(stalled.status, 503);
    assert!(stalled.body.contains("no window has ended for 5.1 s"), "{}", stalled.body);

    fixture.window();
    fixture.source.drop_samples(3);
    fixture.window();
    let health = fixture.json("/health");
    assert_eq!(health["status"], "degraded");
    assert!(health["problems"][0]["message"].as_str().unwrap().starts_with("3 samples were dropped"));
}

#[test]
fn health_forgets_old_losses_and_sees_an_account_that_is_off() {
    let mut fixture = Fixture::new();
    fixture.source.drop_samples(3);
    for _ in 0..302 {
        fixture.window();
    }
    assert_eq!(fixture.json("/health")["status"], "healthy");
    let mut ledger = fixture.view.ledger();
    ledger.recorded += 1;
    let mut snapshot = (*fixture.view.latest().unwrap()).clone();
    snapshot.ledger = ledger;
    fixture.view.publish(&Published { snapshot: Arc::new(snapshot), anomalies: Arc::new([]) });
    let health = fixture.json("/health");
    assert_eq!((&health["status"], &health["problems"][0]["part"]), (&"degraded".into(), &"ledger".into()));
}

#[test]
fn metrics_come_in_the_format_that_is_asked_for() {
    let mut fixture = Fixture::with(|options| options.prefix = Some("active_inference".into()));
    fixture.window();
    let text = fixture.get("/metrics");
    assert_eq!(text.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(text.body.contains("\nactive_inference_actions_total{agent_id=\"a1\"} 2\n"), "{}", text.body);
    let open_metrics = fixture.raw(
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n\r\n",
    );
    let content_type = open_metrics.header("content-type").unwrap();
    assert!(content_type.starts_with("application/openmetrics-text; version=1.0.0"), "{content_type}");
    assert!(open_metrics.body.ends_with("# EOF\n"));
    fixture.window();
    assert!(fixture.get("/metrics").body.contains("\nafferent_window 2\n"));
}

#[test]
fn the_latest_window_and_its_series() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.get("/api/snapshot").status, 503);
    fixture.window();
    fixture.window();
    let snapshot = fixture.json("/api/snapshot");
    assert_eq!(snapshot["window"], 2);
    assert_eq!(snapshot["series"][1]["total"]["count"], 4);
    let series = fixture.json("/api/series");
    assert_eq!(series[0]["labels"]["text"], HOSTILE);
    assert_eq!(series[1]["name"], "actions");
    assert_eq!(fixture.json("/api/ledger")["closes"], true);
}

#[test]
fn history_is_columns_over_windows() {
    let mut fixture = Fixture::new();
    for _ in 0..5 {
        fixture.window();
    }
    let history = fixture.json("/api/history?series=0&windows=3");
    assert_eq!(history["window"], serde_json::json!([3, 4, 5]));
    assert_eq!(history["count"], serde_json::json!([3, 3, 3]));
    assert_eq!(history["rate"], serde_json::json!([3.0, 3.0, 3.0]));
    for (key, value) in [("mean", 0.02), ("min", 0.01), ("max", 0.03), ("p50", 0.02), ("p99", 0.03)] {
        assert!((history[key][2].as_f64().unwrap() / value - 1.0).abs() < 0.001, "{key} {}", history[key]);
    }
    assert_eq!(history["t"][2], 1_757_382_405.0);
    assert_eq!(history["series"]["name"], "planning_time");
    let counter = fixture.json("/api/history?series=1");
    assert_eq!(counter["last"], serde_json::json!([2.0, 4.0, 6.0, 8.0, 10.0]));
    assert!(counter["p50"][0].is_null());
}

#[test]
fn the_page_gets_only_what_it_does_not_know() {
    let mut fixture = Fixture::new();
    for _ in 0..4 {
        fixture.window();
    }
    let all = fixture.json("/api/live");
    assert_eq!(all["windows"].as_array().unwrap().len(), 4);
    assert_eq!(all["anomalies"].as_array().unwrap().len(), 4);
    let fresh = fixture.json("/api/live?after=3&anomaly=3");
    assert_eq!((&fresh["window"], &fresh["series_total"], &fresh["rate"]), (&4.into(), &2.into(), &3.0.into()));
    let window = &fresh["windows"][0];
    assert_eq!((&window["id"], &window["hist"]), (&serde_json::json!([0, 1]), &serde_json::json!([0])));
    assert_eq!(window["value"][1], 2.0);
    assert_eq!(fresh["anomalies"][0]["id"], 4);
    assert_eq!(fresh["anomalies"][0]["verdicts"][0]["high"], 0.02);
    assert_eq!(fresh["ledger"]["recorded"], 12);
    assert_eq!(fixture.json("/api/anomalies?after=2")["anomalies"][0]["id"], 3);
}

#[test]
fn with_very_many_series_the_page_gets_fewer_windows() {
    let mut fixture = Fixture::new();
    let ids: Vec<_> = (0..20_000)
        .map(|at| fixture.source.add("many", Kind::Gauge, Unit::None, &[("at", &at.to_string())], ""))
        .collect();
    for _ in 0..5 {
        for &id in &ids {
            fixture.source.sample(id, 1.5);
        }
        fixture.window();
    }
    let live = fixture.json("/api/live");
    let windows: Vec<_> = live["windows"].as_array().unwrap().iter().map(|window| &window["window"]).collect();
    assert_eq!(windows, [4, 5]);
}

#[test]
fn errors_say_what_is_allowed() {
    let mut fixture = Fixture::new();
    fixture.window();
    let none = fixture.get("/api/nothing");
    assert_eq!(none.status, 404);
    assert!(none.body.contains("/api/history?series=ID&windows=N"), "{}", none.body);
    for (path, says) in [
        ("/api/history", "series is missing"),
        ("/api/history?series=x", "whole number"),
        ("/api/history?series=0&windows=0", "1 to 300"),
        ("/api/history?series=0&windows=301", "1 to 300"),
        ("/api/history?id=0", "unknown parameter"),
        ("/api/live?after=-1", "whole number"),
        ("/api/anomalies?after=1&after=2", "twice"),
    ] {
        let answer = fixture.get(path);
        assert_eq!(answer.status, 400, "{path}");
        assert!(answer.body.contains(says), "{path}: {}", answer.body);
    }
    assert_eq!(fixture.get("/api/history?series=99").status, 404);
    for path in ["/../Cargo.toml", "/assets/", "/assets/../mod.rs", "/debug/pprof", "/metrics/", "//", "/%2e%2e"] {
        assert_eq!(fixture.get(path).status, 404, "{path}");
    }
}
