#!/usr/bin/env bash
# Miri over the modules without threads of their own and without files: record, ring, drain, aggregate, segment::format.
# Needs a toolchain with the miri component; where there is none it says so and leaves the proof to loom.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! cargo miri --version >/dev/null 2>&1; then
  echo "!!! SKIPPED: no miri component in this toolchain; loom models and ThreadSanitizer carry the load" >&2
  exit 0
fi
MIRIFLAGS="-Zmiri-disable-isolation" cargo miri test --no-default-features --features enable,engine --lib -- \
  record:: ring:: aggregate:: segment::format
