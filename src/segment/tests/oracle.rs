//! The Python reader (`python/read_segment.py`, standard library alone, no code in common) and this one agree.

use std::io::Write;
use std::process::Command;

use super::*;

/// What Python reads: per block number, its kind and columns. `None` where there is no Python.
fn python(image: &[u8]) -> Option<(BTreeMap<u64, serde_json::Value>, bool)> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image.seg");
    std::fs::write(&path, image).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/read_segment.py");
    let output = match Command::new("python3").arg(script).arg(&path).output() {
        Ok(output) => output,
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "python3 is needed for this test: {error}");
            return None;
        }
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("Traceback"), "{said}");
    let text = String::from_utf8(output.stdout).unwrap();
    let blocks = text.lines().map(|line| {
        let block: serde_json::Value = serde_json::from_str(line).unwrap();
        (block["block"].as_u64().unwrap(), block)
    });
    Some((blocks.collect(), output.status.success()))
}

fn assert_agree(image: &[u8], what: &str) -> bool {
    let Some((theirs, sound)) = python(image) else { return false };
    let (ours, damages) = read_image(image).unwrap();
    assert!(ours.keys().eq(theirs.keys()), "{what}: {:?} and {:?}", ours.keys(), theirs.keys());
    assert_eq!(damages.is_empty(), sound, "{what}: {damages:?}");
    for (number, rows) in &ours {
        let columns = &theirs[number]["columns"];
        match rows {
            Rows::Scalar(rows) => {
                assert_eq!(columns["1"], serde_json::json!(rows.iter().map(|row| row.ts_ns).collect::<Vec<_>>()));
                assert_eq!(columns["4"], serde_json::json!(rows.iter().map(|row| row.count).collect::<Vec<_>>()));
                assert_eq!(columns["5"], serde_json::json!(rows.iter().map(|row| row.sum).collect::<Vec<_>>()));
                assert_eq!(columns["8"], serde_json::json!(rows.iter().map(|row| row.last).collect::<Vec<_>>()));
            }
            Rows::Hist(rows) => {
                let (indices, counts) = rows.buckets(0);
                assert_eq!(columns["9"], serde_json::json!(indices));
                assert_eq!(columns["10"], serde_json::json!(counts));
            }
            Rows::Ledger(rows) => {
                assert_eq!(columns["3"], serde_json::json!(rows.iter().map(|row| row.window).collect::<Vec<_>>()));
            }
            Rows::Dict(entries) => {
                let strings = theirs[number]["strings"].as_array().unwrap();
                assert!(entries.iter().all(|entry| strings.contains(&entry.name.clone().into())));
            }
            _ => {}
        }
    }
    true
}

#[test]
fn python_reads_the_same() {
    let image = small_file(4);
    if !assert_agree(&image, "intact") {
        // Straight to standard error: what a passing test prints is never seen.
        let _ = writeln!(std::io::stderr(), "\n!!! LEFT OUT: no python3, so the second reader was not compared");
        return;
    }
    // The frame: header page, description, slots, copies, zeros.
    for at in [3, 40, 253, 300, 4_000, 4_100, 4_300, 5_000, 8_200, 8_400, 12_000] {
        let mut flipped = image.clone();
        flipped[at] ^= 0x10;
        assert_agree(&flipped, &format!("bit of byte {at}"));
    }
    // A forged directory of columns is damage, and no traceback.
    let segment = Segment::from_source(Box::new(image.clone()), Path::new("image.seg")).unwrap();
    let blocks: Vec<_> =
        segment.blocks().map(Result::unwrap).map(|block| (block.offset() as usize, block.bytes() as usize)).collect();
    for at in 4..16 {
        let mut forged = image.clone();
        forged[blocks[1].0 + 64 + at] ^= 0x41;
        crate::segment::scan::forge(&mut forged, &blocks);
        // This reader knows which columns a kind needs, and the other does not; neither may fall over.
        assert!(python(&forged).is_some() && read_image(&forged).is_some(), "forged byte {at}");
    }
    for at in (12_288..image.len()).step_by(image.len() / 24) {
        let mut flipped = image.clone();
        flipped[at] ^= 0x10;
        assert_agree(&flipped, &format!("bit of byte {at}"));
        assert_agree(&image[..at], &format!("cut at {at}"));
    }
}
