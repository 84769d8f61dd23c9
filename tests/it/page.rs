//! The live page in headless Chromium, while `demo` runs under a hostile name.

use std::path::Path;
use std::process::Command;

use crate::support::{get, real_parts, start_demo, stderr, wait_for};

const HOSTILE: &str = "<img src=x onerror=alert(1)>";

#[test]
fn the_page_lives_and_shows_a_hostile_label_as_text() {
    if !real_parts("the_page_lives_and_shows_a_hostile_label_as_text") {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shots = root.join("target/screenshots");
    std::fs::create_dir_all(&shots).unwrap();
    let demo = start_demo(&["--name", HOSTILE]);
    wait_for("the first window", || (get(&demo.addr, "/readyz").0 == 200).then_some(()));
    let url = format!("http://{}/", demo.addr);
    for (width, height) in [("1400", "1100"), ("390", "844")] {
        let shot = shots.join(format!("page-{width}.png"));
        let output = Command::new("node")
            .arg(root.join("tests/browser/page.cjs"))
            .arg(&url)
            .args(["--width", width, "--height", height, "--hostile", HOSTILE, "--anomaly-within", "60"])
            .arg("--screenshot")
            .arg(&shot)
            .output()
            .expect("Debian's nodejs is installed");
        assert!(output.status.success(), "{width} px wide: {}", stderr(&output));
        assert!(std::fs::metadata(&shot).unwrap().len() > 10_000, "{}", shot.display());
    }
}
