//! `afferent inspect`: what segments hold.

use std::io::Write;
use std::path::PathBuf;

use crate::segment;

/// Say what a segment file, or a directory of them, holds
///
/// Lists the files with their state (clean: closed in order; online: being written, or left by a killed process), the
/// time range, every series, the engine runs with the account each ended with, and what engines found at their start.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  afferent inspect telemetry/                       everything an engine left in its directory
  afferent inspect telemetry/metrics/0000*.seg      one file
  afferent --json inspect telemetry/ | jq .series   for programs

Exit codes: 0 done (damage is listed, see `verify`), 2 the path cannot be read or holds no segments.")]
pub(crate) struct InspectArgs {
    /// A segment file, or a directory that holds segments
    path: PathBuf,
}

/// Runs the command; returns the exit code.
pub(crate) fn run(args: &InspectArgs, json: bool, out: &mut dyn Write) -> Result<u8, String> {
    let report = segment::inspect(&args.path).map_err(|error| error.to_string())?;
    let written = if json {
        serde_json::to_writer(&mut *out, &report).map_err(std::io::Error::from).and_then(|()| writeln!(out))
    } else {
        write!(out, "{report}")
    };
    written.map_err(|error| error.to_string())?;
    Ok(0)
}
