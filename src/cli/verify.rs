//! `afferent verify`: whether every byte of segments is sound.

use std::io::Write;
use std::path::PathBuf;

use crate::segment;

/// Check every byte of a segment file, or of a directory of them, up to the last commit
///
/// A file whose process was killed is sound up to its last commit, and the report says so. Every damaged place is named
/// with its file, block number and offset. Nothing is changed: there is no repair that could make it worse.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  afferent verify telemetry/                          check everything an engine left
  afferent verify telemetry/ && cp -r telemetry /bk   copy only what is sound
  afferent --json verify telemetry/ | jq .damages     for programs

Exit codes: 0 sound, 1 damaged, 2 the path cannot be read or holds no segments.")]
pub(crate) struct VerifyArgs {
    /// A segment file, or a directory that holds segments
    path: PathBuf,
}

/// Runs the command; returns the exit code. `progress` is told after each file how many of how many are done.
pub(crate) fn run(
    args: &VerifyArgs,
    json: bool,
    out: &mut dyn Write,
    progress: impl FnMut(usize, usize),
) -> Result<u8, String> {
    let report = segment::verify_with(&args.path, progress).map_err(|error| error.to_string())?;
    let written = if json {
        serde_json::to_writer(&mut *out, &report).map_err(std::io::Error::from).and_then(|()| writeln!(out))
    } else {
        write!(out, "{report}")
    };
    written.map_err(|error| error.to_string())?;
    Ok(u8::from(!report.sound))
}
