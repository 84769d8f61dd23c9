//! What the tests share: the binary, folders, waiting for a condition, and the rule for tests that are left out.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The binary under test.
pub fn afferent() -> Command {
    Command::new(env!("CARGO_BIN_EXE_afferent"))
}

/// Runs the binary to its end.
pub fn run(args: &[&str]) -> Output {
    afferent().args(args).output().expect("the binary runs")
}

/// Standard output of a run, as JSON; says what standard error said where that fails.
pub fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!(
            "not one JSON document ({error}):\n{}\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    })
}

/// Standard error of a run.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Whether the real parts are there. Says so where a test is left out; in CI that is a failure.
pub fn real_parts(test: &str) -> bool {
    if std::env::var_os("AFFERENT_REAL").is_some() {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "{test}: CI runs every test: call tests/run.sh");
    eprintln!("\n!!! LEFT OUT: {test}: it needs real parts; `bash tests/run.sh` installs them and runs everything\n");
    false
}

/// The folder of shared data; `None`, said loudly, where it is absent. In CI that is a failure.
pub fn shared(test: &str) -> Option<PathBuf> {
    let root = std::env::var_os("AFFERENT_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    if root.join("data").is_dir() {
        return Some(root);
    }
    assert!(std::env::var_os("CI").is_none(), "{test}: no labelled data in {}", root.display());
    eprintln!("\n!!! LEFT OUT: {test}: no labelled data in {}\n", root.display());
    None
}

/// Asks again and again until there is an answer.
pub fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A process that is killed when the test ends, however it ends.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running `demo`, and where it serves.
pub struct Demo {
    pub process: Running,
    pub addr: String,
}

/// Starts `demo` on a free port and waits until it says where.
pub fn start_demo(args: &[&str]) -> Demo {
    use std::io::{BufRead, BufReader};
    let mut child = afferent()
        .args(["demo", "--listen", "127.0.0.1:0"])
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let stderr = child.stderr.take().expect("standard error is piped");
    let process = Running(child);
    let mut lines = BufReader::new(stderr).lines();
    let addr = lines
        .by_ref()
        .map_while(Result::ok)
        .find_map(|line| Some(line.split_once("http://")?.1.split('/').next()?.to_owned()))
        .expect("demo says where it serves");
    // Keeps reading, so that the process never blocks on a full pipe.
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
    Demo { process, addr }
}

/// One GET over HTTP/1.1; status and body.
pub fn get(addr: &str, path: &str) -> (u16, String) {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(addr).expect("the endpoint accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n").expect("the request is sent");
    let mut response = String::new();
    stream.read_to_string(&mut response).expect("the response is text");
    let status = response.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let body = response.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    (status, body)
}
