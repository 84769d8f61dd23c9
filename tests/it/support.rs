//! What the tests share: the binary, folders, waiting for a condition, and the rule for tests that are left out.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_mins(1);

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
    left_out(&format!("{test}: it needs real parts; `bash tests/run.sh` installs them and runs everything"));
    false
}

/// Straight to standard error: what a passing test prints with `eprintln!` is never seen.
fn left_out(why: &str) {
    let _ = writeln!(std::io::stderr(), "\n!!! LEFT OUT: {why}");
}

/// The folder of shared data; `None`, said loudly, where it is absent. In CI that is a failure.
pub fn shared(test: &str) -> Option<PathBuf> {
    let root = std::env::var_os("AFFERENT_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    if root.join("data").is_dir() {
        return Some(root);
    }
    assert!(std::env::var_os("CI").is_none(), "{test}: no labelled data in {}", root.display());
    left_out(&format!("{test}: no labelled data in {}", root.display()));
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
    /// Ends with the test.
    _process: Running,
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
    Demo { _process: process, addr }
}

/// One GET; status and body.
pub fn get(addr: &str, path: &str) -> (u16, String) {
    let (status, _, body) = get_with(addr, path, "").expect("the endpoint answers");
    (status, body)
}

/// One GET with further header lines (each ended by `\r\n`); status, head and body. HTTP/1.0, so that no server sends its
/// answer in chunks.
pub fn get_with(addr: &str, path: &str, headers: &str) -> std::io::Result<(u16, String, String)> {
    use std::io::{Error, Read, Write};
    let mut stream = std::net::TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {addr}\r\nConnection: close\r\n{headers}\r\n")?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    let (head, body) = response.split_once("\r\n\r\n").ok_or_else(|| Error::other("no end of the head"))?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.ok_or_else(|| Error::other("no status"))?, head.to_owned(), body.to_owned()))
}

/// The Python of the tests' own environment where `tests/run.sh` has made it, else the one of the machine.
pub fn python() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/python3");
    if own.exists() { own } else { "python3".into() }
}

/// Runs a program with `input` on its standard input; its standard output. Fails the test unless it exits with 0.
pub fn feed(command: &mut Command, input: &[u8]) -> String {
    use std::io::Write;
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
    let mut stdin = child.stdin.take().expect("standard input is piped");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("the program ends");
    // A program that fails may leave its input unread; its own words are the better message.
    let _ = writer.join().expect("the writer does not panic");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}: {}\n{stdout}{}", output.status, stderr(&output));
    stdout
}

/// Numbers for tests, the same in every run. Sebastiano Vigna's `SplitMix64` (public domain).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in `0..below`.
    pub fn below(&mut self, below: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(below)) >> 64) as u64
    }

    /// Uniform in `0.0..1.0`.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Normal with mean 0 and deviation 1 (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }
}
