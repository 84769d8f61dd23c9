//! What a peer may take, with the limits shortened.

use super::*;

const REQUEST: Duration = Duration::from_millis(300);

fn short(limits: &mut Limits) {
    limits.request = REQUEST;
    limits.response = Duration::from_millis(500);
}

/// Time until the server closes the connection.
fn until_closed(mut stream: TcpStream) -> Duration {
    let start = Instant::now();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    start.elapsed()
}

fn assert_at_the_deadline(took: Duration) {
    assert!(took >= REQUEST / 2 && took < REQUEST * 10, "{took:?}");
}

#[test]
fn a_peer_that_sends_nothing_is_cut_off() {
    let fixture = Fixture::with(|options| short(&mut options.limits));
    assert_at_the_deadline(until_closed(fixture.connect()));
}

#[test]
fn a_peer_that_sends_a_byte_now_and_then_is_cut_off() {
    let fixture = Fixture::with(|options| short(&mut options.limits));
    let stream = fixture.connect();
    let mut writer = stream.try_clone().unwrap();
    let slow = std::thread::spawn(move || {
        while writer.write_all(b"G").is_ok() {
            // Pacing, not synchronisation: this peer is slow.
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let took = until_closed(stream);
    assert_at_the_deadline(took);
    slow.join().unwrap();
}

#[test]
fn a_peer_that_does_not_read_is_cut_off() {
    let mut fixture = Fixture::with(|options| short(&mut options.limits));
    big_window(&mut fixture);
    let mut stream = fixture.connect();
    stream.write_all(b"GET /api/snapshot HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    // Pacing: past both deadlines without reading.
    std::thread::sleep(Duration::from_millis(1_500));
    let mut got = Vec::new();
    let _ = stream.read_to_end(&mut got);
    let head = String::from_utf8_lossy(&got[..got.len().min(2_000)]).into_owned();
    let length: usize = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .and_then(|length| length.parse().ok())
        .unwrap();
    assert!(got.len() < length, "{} of {length} bytes: the socket's buffers took it all", got.len());
}

/// A window whose JSON is larger than a loopback connection's buffers.
fn big_window(fixture: &mut Fixture) {
    let label = "x".repeat(4_000);
    for at in 0..5_000 {
        fixture.source.add("big", Kind::Gauge, Unit::None, &[("at", &at.to_string()), ("text", &label)], "");
    }
    fixture.window();
}

#[test]
fn a_large_head_is_refused() {
    let fixture = Fixture::new();
    let request =
        |length: usize| format!("GET /livez HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(length));
    assert_eq!(fixture.raw(&request(6_000)).status, 200);
    assert_eq!(fixture.raw(&request(9_000)).status, 431);
    assert_eq!(fixture.raw(&request(1_000_000)).status, 431);
}

#[test]
fn many_headers_are_refused() {
    let fixture = Fixture::new();
    let request = |count: usize| format!("GET /livez HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: y\r\n".repeat(count));
    assert_eq!(fixture.raw(&request(63)).status, 200);
    assert_eq!(fixture.raw(&request(64)).status, 431);
}

#[test]
fn nonsense_is_refused() {
    let fixture = Fixture::new();
    for request in
        ["\u{0}\u{1}\u{2}\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
    {
        assert!(matches!(fixture.raw(request).status, 400 | 505 | 0), "{request:?}");
    }
    assert_eq!(fixture.get("/livez").status, 200);
}

/// A thousand silent sockets keep nobody out: a scrape displaces the oldest of them.
#[test]
fn silent_peers_keep_nobody_out() {
    let mut fixture = Fixture::new();
    fixture.window();
    let silent: Vec<TcpStream> = (0..500).map(|_| fixture.connect()).collect();
    let start = Instant::now();
    assert_eq!(fixture.get("/metrics").status, 200);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    // The oldest left long before their deadline of 5 s.
    let first = silent.into_iter().next().unwrap();
    assert!(until_closed(first) < Duration::from_secs(2));
}

/// The headers that keep a browser safe, on what is written past hyper as well.
fn is_safe(answer: &Answer) -> bool {
    answer.header("content-security-policy").is_some_and(|policy| policy.starts_with("default-src 'none'"))
        && answer.header("x-content-type-options") == Some("nosniff")
        && answer.header("cache-control") == Some("no-store")
}

/// Whoever has asked is not displaced; who comes then is told to come again.
#[test]
fn busy_connections_are_not_displaced() {
    let mut fixture = Fixture::with(|options| options.limits.connections = 2);
    big_window(&mut fixture);
    let mut busy: Vec<TcpStream> = (0..2).map(|_| fixture.connect()).collect();
    for stream in &mut busy {
        stream.write_all(b"GET /api/snapshot HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        // The first byte of the answer: the request has arrived.
        stream.read_exact(&mut [0]).unwrap();
    }
    let refused = fixture.get("/livez");
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert!(is_safe(&refused), "{}", refused.head);
    let mut rest = Vec::new();
    busy[0].read_to_end(&mut rest).unwrap();
    assert!(rest.ends_with(b"}"), "the answer under way is complete");
    // Its place is free as soon as the server has seen the end.
    let start = Instant::now();
    while fixture.get("/livez").status != 200 {
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}

#[test]
fn stopping_ends_the_thread_and_frees_the_port() {
    let fixture = Fixture::new();
    let addr = fixture.server.local_addr();
    let idle = fixture.connect();
    assert!(fixture.server.stop(Instant::now() + Duration::from_secs(5)));
    assert!(until_closed(idle) < Duration::from_secs(2));
    assert!(TcpStream::connect(addr).is_err());
}
