//! What is refused before anything else is looked at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hyper::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderValue, ORIGIN, TRANSFER_ENCODING};
use hyper::{Method, Request, StatusCode};

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) error: &'static str,
    pub(super) message: &'static str,
}

const fn refusal(status: StatusCode, error: &'static str, message: &'static str) -> Refusal {
    Refusal { status, error, message }
}

/// Checks the rules that hold for every request. `bound` is the address that is served.
///
/// A page on the internet can make a browser send requests here, under its own name (DNS rebinding makes that name
/// resolve to 127.0.0.1) or as a cross-origin request. The first is caught by `Host`, the second by `Origin`.
pub(super) fn check<B>(request: &Request<B>, bound: SocketAddr) -> Result<(), Refusal> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(refusal(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "only GET and HEAD are allowed"));
    }
    let headers = request.headers();
    let no_body = headers.get_all(CONTENT_LENGTH).iter().all(|length| length == "0");
    if !no_body || headers.contains_key(TRANSFER_ENCODING) {
        return Err(refusal(StatusCode::BAD_REQUEST, "body_not_allowed", "a request must not have a body"));
    }
    let named = request.uri().authority().is_none_or(|authority| is_local(authority.as_str(), bound));
    let host = only(headers, &HOST).and_then(|host| host.to_str().ok()).filter(|host| is_local(host, bound));
    let Some(host) = host.filter(|_| named) else {
        return Err(refusal(
            StatusCode::FORBIDDEN,
            "host_not_allowed",
            "the Host header must be localhost, 127.0.0.1, [::1] or the address that is served",
        ));
    };
    let same = |origin: &str| origin.strip_prefix("http://").is_some_and(|origin| origin.eq_ignore_ascii_case(host));
    let origins_are_ours = headers.get_all(ORIGIN).iter().all(|origin| origin.to_str().is_ok_and(same));
    if !origins_are_ours {
        return Err(refusal(
            StatusCode::FORBIDDEN,
            "origin_not_allowed",
            "requests from pages of another origin are not answered",
        ));
    }
    Ok(())
}

/// The header's value if it is there exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &hyper::header::HeaderName) -> Option<&'a HeaderValue> {
    let mut all = headers.get_all(name).iter();
    all.next().filter(|_| all.next().is_none())
}

/// Whether a `Host` names this machine's loopback. The port does not matter: a forwarded port differs from ours, and a
/// rebinding page cannot choose its host name by it.
fn is_local(host: &str, bound: SocketAddr) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.parse::<u16>().is_ok() => name,
        _ => host,
    };
    if name.eq_ignore_ascii_case("localhost") {
        return true;
    }
    let address: Option<IpAddr> = match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(v6) => v6.parse().ok().filter(IpAddr::is_ipv6),
        None => name.parse().ok().filter(IpAddr::is_ipv4),
    };
    address.is_some_and(|ip| ip == bound.ip() || ip == Ipv4Addr::LOCALHOST || ip == Ipv6Addr::LOCALHOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_loopback_pass() {
        let bound = "127.0.0.2:9464".parse().unwrap();
        for host in ["localhost", "LocalHost:9464", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:9464", "127.0.0.2:9464"]
        {
            assert!(is_local(host, bound), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.nip.io",
            "127.0.0.3",
            "::1",
            "[127.0.0.1]",
            "localhost:",
            "localhost:99999",
            "localhost:x",
            "10.0.0.1",
            "[::2]",
            "user@localhost",
            "0x7f.1",
            "127.1",
        ] {
            assert!(!is_local(host, bound), "{host}");
        }
    }
}
