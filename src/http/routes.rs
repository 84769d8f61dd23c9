//! From a request to its response.

use std::net::SocketAddr;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode};
use serde::Serialize;

use super::guard::{self, Refusal};
use super::health::{self, Health, Status};
use super::{Options, api, assets};
use crate::engine::View;
use crate::sink::json;
use crate::sink::prometheus::{self, Exposition, Format};
use crate::sync::{Mutex, lock};

/// Everything there is, for the answer to a request for anything else.
pub(super) const ROUTES: [&str; 12] = [
    "/",
    "/metrics",
    "/health",
    "/livez",
    "/readyz",
    "/api/snapshot",
    "/api/series",
    "/api/history?series=ID&windows=N",
    "/api/live?after=WINDOW&anomaly=ID",
    "/api/anomalies?after=ID",
    "/api/ledger",
    "/api/health",
];

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// Scripts, styles and data from here only, nothing inline, in no frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// On every response.
const ALWAYS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
];

/// What is served.
pub(super) struct Site {
    addr: SocketAddr,
    view: View,
    options: Options,
    exposition: Exposition,
    /// The latest `/api/snapshot`, by window: however many ask, it is written once.
    snapshot: Mutex<Option<(u64, Bytes)>>,
}

type Reply = Response<Full<Bytes>>;

/// Why a request is not answered with what it asked for.
#[derive(Debug, Serialize)]
pub(super) struct Problem {
    #[serde(skip)]
    pub(super) status: StatusCode,
    pub(super) error: &'static str,
    pub(super) message: String,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(super) allowed: &'static [&'static str],
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let Refusal { status, error, message } = refusal;
        Problem { status, error, message: message.into(), allowed: &[] }
    }
}

impl Site {
    pub(super) fn new(addr: SocketAddr, view: View, options: Options) -> Site {
        let exposition =
            options.exposition.clone().unwrap_or_else(|| Exposition::new(options.prefix.as_deref().unwrap_or("")));
        Site { addr, view, options, exposition, snapshot: Mutex::new(None) }
    }

    /// Answers a request. Whatever it is, the answer carries the headers that keep a browser safe.
    pub(super) fn answer<B>(&self, request: &Request<B>) -> Reply {
        let mut reply = guard::check(request, self.addr)
            .map_err(Problem::from)
            .and_then(|()| self.route(request.uri().path(), request.uri().query().unwrap_or(""), request.headers()))
            .unwrap_or_else(|problem| reply(problem.status, JSON, json::to_string(&problem)));
        if reply.status() == StatusCode::METHOD_NOT_ALLOWED {
            reply.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        for (name, value) in ALWAYS {
            reply.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        reply
    }

    /// The answer to a peer for whom there is no room, written past hyper: head and nothing else.
    pub(super) fn busy() -> String {
        let mut head = String::from(
            "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n",
        );
        for (name, value) in ALWAYS {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        head
    }

    fn route(&self, path: &str, query: &str, headers: &HeaderMap) -> Result<Reply, Problem> {
        Ok(match path {
            "/metrics" => self.metrics(headers)?,
            "/health" | "/api/health" => {
                let health = self.health();
                let status = match health.status {
                    Status::Healthy | Status::Degraded => StatusCode::OK,
                    Status::Critical => StatusCode::SERVICE_UNAVAILABLE,
                };
                reply(status, JSON, json::to_string(&health))
            }
            "/livez" => reply(StatusCode::OK, TEXT, "alive\n"),
            "/readyz" if self.view.is_closed() => reply(StatusCode::SERVICE_UNAVAILABLE, TEXT, "shut down\n"),
            "/readyz" if self.view.latest().is_none() => {
                reply(StatusCode::SERVICE_UNAVAILABLE, TEXT, "no window has ended yet\n")
            }
            "/readyz" => reply(StatusCode::OK, TEXT, "ready\n"),
            "/api/snapshot" => reply(StatusCode::OK, JSON, self.snapshot()?),
            "/api/series" => reply(StatusCode::OK, JSON, api::series(&self.view)),
            "/api/history" => reply(StatusCode::OK, JSON, api::history(&self.view, query)?),
            "/api/live" => {
                let now_ns = (self.options.now_ns)();
                reply(StatusCode::OK, JSON, api::live(&self.view, query, &self.health(), now_ns)?)
            }
            "/api/anomalies" => reply(StatusCode::OK, JSON, api::anomalies(&self.view, query)?),
            "/api/ledger" => reply(StatusCode::OK, JSON, json::to_string(&json::LedgerJson::from(&self.view.ledger()))),
            path => match assets::find(path) {
                Some(asset) => reply(StatusCode::OK, asset.content_type, asset.body),
                None => return Err(not_found()),
            },
        })
    }

    fn health(&self) -> Health {
        health::judge(&self.view, self.options.started_ns, (self.options.now_ns)())
    }

    fn metrics(&self, headers: &HeaderMap) -> Result<Reply, Problem> {
        if let Some(latest) = self.view.latest() {
            self.exposition.offer(&latest);
        }
        let format = negotiate(headers);
        let Some((_, body)) = self.exposition.body(format) else { return Err(no_window()) };
        let body = prometheus::with_sinks(&body, &self.view.sinks(), format);
        let mut reply = reply(StatusCode::OK, format.content_type(), body);
        reply.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
        Ok(reply)
    }

    fn snapshot(&self) -> Result<Bytes, Problem> {
        let Some(latest) = self.view.latest() else { return Err(no_window()) };
        let cached = &mut *lock(&self.snapshot);
        match cached {
            Some((window, body)) if *window == latest.window => Ok(body.clone()),
            _ => {
                let body = Bytes::from(json::render(&latest));
                *cached = Some((latest.window, body.clone()));
                Ok(body)
            }
        }
    }
}

fn reply(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
}

fn not_found() -> Problem {
    Problem {
        status: StatusCode::NOT_FOUND,
        error: "not_found",
        message: "there is nothing at this path; the allowed ones are listed".into(),
        allowed: &ROUTES,
    }
}

fn no_window() -> Problem {
    Problem {
        status: StatusCode::SERVICE_UNAVAILABLE,
        error: "no_window",
        message: "no window has ended yet; ask again in a moment".into(),
        allowed: &[],
    }
}

/// OpenMetrics for those who prefer it or like it as much; the older text for everyone else.
fn negotiate(headers: &HeaderMap) -> Format {
    let (mut text, mut open_metrics) = (0.0_f64, 0.0_f64);
    for accept in headers.get_all(header::ACCEPT) {
        for range in accept.to_str().unwrap_or("").split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or("").to_ascii_lowercase();
            let (mut q, mut version) = (1.0, "");
            for part in parts {
                match part.split_once('=') {
                    Some(("q", value)) => q = value.parse().unwrap_or(0.0),
                    Some(("version", value)) => version = value.trim_matches('"'),
                    _ => {}
                }
            }
            match &*media {
                "application/openmetrics-text" if matches!(version, "" | "1.0.0") => open_metrics = open_metrics.max(q),
                "text/plain" | "text/*" | "*/*" => text = text.max(q),
                _ => {}
            }
        }
    }
    if open_metrics > 0.0 && open_metrics >= text { Format::OpenMetrics } else { Format::Text }
}

/// Reads a query of whole numbers. `allowed` are the names it may have.
pub(super) fn numbers<const N: usize>(
    query: &str,
    allowed: &'static [&'static str; N],
) -> Result<[Option<u64>; N], Problem> {
    let bad = |message| bad_query(message, allowed);
    let mut values = [None; N];
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let slot = allowed.iter().zip(&mut values).find(|(known, _)| **known == name);
        let Some((name, slot)) = slot else {
            return Err(bad("the query has an unknown parameter; the allowed ones are listed".into()));
        };
        let number = value.parse().map_err(|_| bad(format!("{name} must be a whole number of at least 0")))?;
        if slot.replace(number).is_some() {
            return Err(bad(format!("{name} was given twice")));
        }
    }
    Ok(values)
}

/// The answer to a query that makes no sense.
pub(super) fn bad_query(message: String, allowed: &'static [&'static str]) -> Problem {
    Problem { status: StatusCode::BAD_REQUEST, error: "bad_query", message, allowed }
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    fn format(accept: &str) -> Format {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        negotiate(&headers)
    }

    #[test]
    fn the_format_is_what_the_peer_prefers() {
        assert_eq!(negotiate(&HeaderMap::new()), Format::Text);
        assert_eq!(format("*/*"), Format::Text);
        assert_eq!(format("text/html, nonsense;;;q"), Format::Text);
        // Prometheus 2.42, with and without native histograms.
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(format(prometheus), Format::OpenMetrics);
        let native = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,\
                      application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,\
                      text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(format(native), Format::OpenMetrics);
        assert_eq!(format("application/openmetrics-text;version=1.0.0;q=0.1,text/plain;q=0.9"), Format::Text);
        assert_eq!(format("application/openmetrics-text;version=2.0.0"), Format::Text);
        assert_eq!(format("application/openmetrics-text;q=0"), Format::Text);
    }

    #[test]
    fn queries_are_numbers_with_known_names() {
        const NAMES: [&str; 2] = ["a", "b"];
        assert_eq!(numbers("", &NAMES).unwrap(), [None, None]);
        assert_eq!(numbers("b=7&a=0", &NAMES).unwrap(), [Some(0), Some(7)]);
        for query in ["c=1", "a=-1", "a=1&a=2", "a", "a=1e3", "a=99999999999999999999"] {
            let problem = numbers(query, &NAMES).unwrap_err();
            assert_eq!((problem.status, problem.allowed), (StatusCode::BAD_REQUEST, &NAMES[..]), "{query}");
        }
    }
}
