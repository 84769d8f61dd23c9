//! Who is refused, and what every answer carries.

use super::super::{ServeError, assets, routes};
use super::*;

fn status(fixture: &Fixture, request: &str) -> u16 {
    fixture.raw(request).status
}

#[test]
fn only_get_and_head() {
    let fixture = Fixture::new();
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW"] {
        let target = if method == "CONNECT" { "localhost:80" } else { "/health" };
        let answer = fixture.raw(&format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), Some("GET, HEAD"), "{method}");
        assert!(answer.body.contains("only GET and HEAD"), "{method}");
    }
    let get = fixture.get("/livez");
    let head = fixture.raw("HEAD /livez HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!((get.status, head.status), (200, 200));
    assert_eq!(head.body, "");
    assert_eq!(get.header("content-length"), head.header("content-length"));
}

#[test]
fn no_bodies() {
    let fixture = Fixture::new();
    let with = |header: &str| status(&fixture, &format!("GET /livez HTTP/1.1\r\nHost: localhost\r\n{header}\r\n\r\n"));
    assert_eq!(with("Content-Length: 0"), 200);
    assert_eq!(with("Content-Length: 5"), 400);
    assert_eq!(with("Content-Length: 99999999999999"), 400);
    assert_eq!(with("Transfer-Encoding: chunked"), 400);
    assert_eq!(with("Transfer-Encoding: gzip"), 400);
    assert_eq!(with("Content-Length: 5\r\nContent-Length: 6"), 400);
    assert_eq!(with("Content-Length: 0\r\nTransfer-Encoding: chunked"), 400);
}

#[test]
fn one_request_per_connection() {
    let fixture = Fixture::new();
    let request = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let answer = fixture.raw(&request.repeat(2));
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(answer.body, "alive\n");
}

#[test]
fn hosts_that_are_not_loopback_are_refused() {
    let fixture = Fixture::new();
    let port = fixture.server.local_addr().port();
    let with = |headers: &str| status(&fixture, &format!("GET /health HTTP/1.1\r\n{headers}\r\n"));
    for host in ["localhost", "127.0.0.1", "[::1]"] {
        assert_eq!(with(&format!("Host: {host}\r\n")), 200, "{host}");
        assert_eq!(with(&format!("Host: {host}:{port}\r\n")), 200, "{host}");
    }
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "192.168.0.1", ""] {
        assert_eq!(with(&format!("Host: {host}\r\n")), 403, "{host}");
    }
    assert_eq!(with(""), 403);
    assert_eq!(with("Host: localhost\r\nHost: evil.example\r\n"), 403);
    assert_eq!(status(&fixture, "GET http://evil.example/health HTTP/1.1\r\nHost: localhost\r\n\r\n"), 403);
    assert_eq!(status(&fixture, "GET http://localhost/health HTTP/1.1\r\nHost: localhost\r\n\r\n"), 200);
}

#[test]
fn other_origins_are_refused_and_none_is_invited() {
    let fixture = Fixture::new();
    let with = |origin: &str| {
        fixture.raw(&format!("GET /health HTTP/1.1\r\nHost: localhost:9464\r\nOrigin: {origin}\r\n\r\n"))
    };
    assert_eq!(with("http://localhost:9464").status, 200);
    for origin in ["http://evil.example", "https://localhost:9464", "http://localhost:3000", "null", ""] {
        assert_eq!(with(origin).status, 403, "{origin}");
    }
    for answer in [with("http://localhost:9464"), with("http://evil.example")] {
        assert!(!answer.head.to_ascii_lowercase().contains("access-control"), "{}", answer.head);
    }
}

#[test]
fn every_answer_is_safe_in_a_browser() {
    let mut fixture = Fixture::new();
    fixture.window();
    let paths = routes::ROUTES.iter().chain(assets::PATHS).chain(&["/none", "/api/history", "/api/live?x=1"]);
    for path in paths {
        let answer = fixture.get(path);
        let policy = answer.header("content-security-policy").unwrap_or_default();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'"),
            "{path}"
        );
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(answer.header("connection"), Some("close"), "{path}");
    }
    assert_eq!(fixture.raw("POST / HTTP/1.1\r\nHost: x\r\n\r\n").header("x-frame-options"), Some("DENY"));
}

#[test]
fn other_machines_cannot_be_let_in() {
    for addr in ["0.0.0.0:0", "[::]:0", "192.0.2.1:9464", "[::ffff:0.0.0.0]:0", "[::ffff:192.0.2.1]:0"] {
        let error = Server::start(addr.parse().unwrap(), View::new(), Options::new(|| 0)).unwrap_err();
        assert!(matches!(error, ServeError::NotLoopback { .. }), "{addr}");
        assert!(error.to_string().contains("use 127.0.0.1:"), "{error}");
    }
}

#[test]
fn an_address_in_use_is_an_error_that_names_it() {
    let fixture = Fixture::new();
    let addr = fixture.server.local_addr();
    let error = Server::start(addr, View::new(), Options::new(|| 0)).unwrap_err();
    assert!(error.to_string().contains(&addr.to_string()), "{error}");
}
