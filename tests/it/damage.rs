//! One flipped bit anywhere below the last commit: `verify` names the place, and `query` returns everything else.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{Random, json, run, stderr};

const DATA_OFF: usize = 12_288;
const SLOT_PAGES: [Range<usize>; 2] = [4_096..8_192, 8_192..DATA_OFF];
const KINDS: [&str; 7] = ["", "DICT", "SCALAR", "HIST", "EVENT", "LEDGER", "RECOVERY"];

/// A block as the format page says it: this reader shares no code with the product.
struct Block {
    bytes: Range<usize>,
    kind: &'static str,
    times: (i64, i64),
    columns: usize,
}

fn blocks(file: &[u8]) -> Vec<Block> {
    let mut out = Vec::new();
    let mut at = DATA_OFF;
    while at < file.len() {
        let field = |offset: usize| &file[at + offset..];
        assert_eq!(&field(0)[..4], b"ABLK", "at {at}");
        let u16_at = |offset: usize| u16::from_le_bytes(field(offset)[..2].try_into().unwrap());
        let i64_at = |offset: usize| i64::from_le_bytes(field(offset)[..8].try_into().unwrap());
        let body = u32::from_le_bytes(field(16)[..4].try_into().unwrap()) as usize;
        out.push(Block {
            bytes: at..at + 64 + body,
            kind: KINDS[usize::from(u16_at(4))],
            times: (i64_at(32), i64_at(40)),
            columns: usize::from(u16_at(28)),
        });
        at += 64 + body;
    }
    out
}

/// Steady values with a few that are not, as a histogram: rows of every kind.
fn recording(folder: &Path) -> PathBuf {
    let mut random = Random(7);
    let mut text = String::from("timestamp,value\n");
    for row in 0..1_300 {
        let value = if row % 500 == 450 { 100.0 } else { 10.0 + random.normal() };
        writeln!(text, "{},{value}", 1_700_000_000 + row).unwrap();
    }
    let path = folder.join("steady.csv");
    fs::write(&path, text).unwrap();
    path
}

/// What a query says, piece by piece: kind of block it comes from, start of the window, and the rest as text.
type Facts = BTreeSet<(&'static str, i64, String)>;

fn facts(answer: &Value, named: bool) -> Facts {
    let mut out = Facts::new();
    for series in answer["series"].as_array().unwrap() {
        let name = if named { series["series"].as_str().unwrap() } else { "" };
        for step in series["steps"].as_array().unwrap() {
            let (at, values) = (step["from_ns"].as_i64().unwrap(), &step["values"]);
            let scalar = format!("{name} {} {} {} {}", values["count"], values["sum"], values["min"], values["last"]);
            // Absent where the block that says how many there were is damaged.
            if !values["count"].is_null() {
                out.insert(("SCALAR", at, scalar));
            }
            if !values["p50"].is_null() {
                out.insert(("HIST", at, format!("{name} {} {}", values["p50"], values["p99"])));
            }
        }
    }
    for (list, kind, time) in [("anomalies", "EVENT", "time_ns"), ("ledger", "LEDGER", "start_ns")] {
        for entry in answer[list].as_array().unwrap() {
            let mut entry = entry.clone();
            if !named {
                entry.as_object_mut().unwrap().remove("series");
            }
            out.insert((kind, entry[time].as_i64().unwrap(), entry.to_string()));
        }
    }
    out
}

fn query(data: &str) -> Value {
    let what = ["query", data, "--series", "*", "--step", "1s", "--stat", "count,sum,min,last,p50,p99"];
    let output = run(&[&what[..], &["--anomalies", "--ledger", "--json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    json(&output)
}

/// Every byte of one block header and of its directory, something of every region, and more at random.
fn positions(file: &[u8], blocks: &[Block]) -> BTreeSet<usize> {
    let mut random = Random(11);
    let mut out: BTreeSet<usize> = (0..256).step_by(9).chain((248..256).step_by(1)).collect();
    let mut spread = |range: Range<usize>, count: usize| {
        out.extend([range.start, range.end - 1]);
        out.extend((0..count).map(|_| range.start + random.below(range.len() as u64) as usize));
    };
    // The description in JSON and the zeros behind it; what a slot says, the copy of the header, and the zeros.
    spread(256..4_096, 25);
    for page in &SLOT_PAGES {
        spread(page.start..page.start + 128, 20);
        spread(page.start + 128..page.start + 384, 10);
        spread(page.start + 384..page.end, 6);
    }
    for block in blocks {
        let body = block.bytes.start + 64;
        spread(block.bytes.start..body, 6);
        spread(body..body + 16 * block.columns, 4);
        spread(body + 16 * block.columns..block.bytes.end, 10);
    }
    let whole = &blocks[2];
    out.extend(whole.bytes.start..whole.bytes.start + 64 + 16 * whole.columns);
    assert!(out.iter().all(|&at| at < file.len()));
    out
}

#[test]
fn one_flipped_bit_is_named_and_costs_its_block_only() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let csv = recording(folder.path());
    let replayed = run(&["replay", csv.to_str().unwrap(), "--kind", "histogram", "--data", data, "--json"]);
    assert_eq!(replayed.status.code(), Some(0), "{}", stderr(&replayed));
    let segments: Vec<_> =
        fs::read_dir(Path::new(data).join("metrics")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [path] = &segments[..] else { panic!("one file: {segments:?}") };
    let name = path.file_name().unwrap().to_str().unwrap();
    let sound = fs::read(path).unwrap();
    let blocks = blocks(&sound);
    for kind in ["DICT", "SCALAR", "HIST", "EVENT", "LEDGER"] {
        assert!(blocks.iter().any(|block| block.kind == kind), "a block of kind {kind}");
    }
    let answer = query(data);
    let (all, unnamed) = (facts(&answer, true), facts(&answer, false));
    assert!(all.len() > 3_900 && all.iter().any(|fact| fact.0 == "EVENT"), "{} facts", all.len());

    let mut random = Random(13);
    let positions = positions(&sound, &blocks);
    assert!(positions.len() >= 300);
    for &at in &positions {
        let bit = random.below(8);
        let mut damaged = sound.clone();
        damaged[at] ^= 1 << bit;
        fs::write(path, &damaged).unwrap();
        let hit = blocks.iter().position(|block| block.bytes.contains(&at));
        let what = format!("bit {bit} of byte {at} ({})", hit.map_or("outside of blocks", |hit| blocks[hit].kind));

        let verified = run(&["verify", data, "--json"]);
        assert_eq!(verified.status.code(), Some(1), "{what}: {}", stderr(&verified));
        let report = json(&verified);
        assert_eq!(report["sound"], false, "{what}");
        let damages = report["damages"].as_array().unwrap();
        check_place(damages, name, at, hit.map(|hit| (hit, &blocks[hit])), &what);

        let answer = query(data);
        check_place(answer["damages"].as_array().unwrap(), name, at, hit.map(|hit| (hit, &blocks[hit])), &what);
        let dictionary = hit.is_some_and(|hit| blocks[hit].kind == "DICT");
        // Rows whose series lost its description are still there, under another name.
        let (have, want) = if dictionary { (facts(&answer, false), &unnamed) } else { (facts(&answer, true), &all) };
        let altered: Vec<_> = have.difference(want).take(3).collect();
        // A bucket's meaning stands in the dictionary: without it there are counts and sums, and no quantiles.
        assert!(altered.is_empty(), "{what}: rows that were never written: {altered:?}");
        for (kind, time, text) in want.difference(&have) {
            let lost = hit.map(|hit| &blocks[hit]).is_some_and(|block| {
                (block.kind == *kind && (block.times.0..=block.times.1).contains(time))
                    || (dictionary && *kind == "HIST")
            });
            assert!(lost, "{what}: lost {kind} at {time}: {text}");
        }
    }
    fs::write(path, &sound).unwrap();
    assert_eq!(run(&["verify", data]).status.code(), Some(0));
    eprintln!("damage: {} positions in {} blocks, {} bytes", positions.len(), blocks.len(), sound.len());
}

/// The file, the block or the slot, and the offset, and nothing that is sound.
fn check_place(damages: &[Value], name: &str, at: usize, hit: Option<(usize, &Block)>, what: &str) {
    assert_eq!(damages.len(), 1, "{what}: {damages:?}");
    let damage = &damages[0];
    assert!(damage["file"].as_str().unwrap().ends_with(name), "{what}: {damage}");
    let offset = damage["offset"].as_u64().unwrap() as usize;
    if let Some((number, block)) = hit {
        assert_eq!(damage["block"].as_u64(), Some(number as u64), "{what}: {damage}");
        assert!(block.bytes.contains(&offset), "{what}: {damage}");
    } else {
        assert!(damage["block"].is_null(), "{what}: {damage}");
        let page = SLOT_PAGES.iter().find(|page| page.contains(&at));
        assert_eq!(damage["kind"], if page.is_some() { "slot" } else { "header" }, "{what}: {damage}");
        assert!(page.unwrap_or(&(0..4_096)).contains(&offset), "{what}: {damage}");
    }
}
