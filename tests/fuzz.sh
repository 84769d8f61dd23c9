#!/usr/bin/env bash
# Runs every fuzz target for some seconds: tests/fuzz.sh [SECONDS]. On a stable toolchain, without a sanitizer: the
# parsers are safe code, and what is looked for is panics, broken oracles and memory.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-20}
command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz@0.13.2
export RUSTC_BOOTSTRAP=1
mkdir -p target
for target in $(sed -n 's/^name = "\(.*\)"/\1/p' fuzz/Cargo.toml | tail -n +2); do
  mkdir -p "fuzz/corpus/$target"
  # libFuzzer says much and all on standard error; what counts is its verdict and, where it is a bad one, the input.
  if cargo fuzz run -s none "$target" -- -max_total_time="$seconds" -rss_limit_mb=2048 -max_len=65536 \
    -print_final_stats=1 >"target/fuzz-$target.log" 2>&1; then
    grep -E '^(Done|stat::peak_rss_mb)' "target/fuzz-$target.log" | sed "s/^/$target: /"
  else
    tail -n 60 "target/fuzz-$target.log" >&2
    exit 1
  fi
done
