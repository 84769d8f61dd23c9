#!/usr/bin/env bash
# Features are additive: each builds by itself, and the recording core pulls in next to nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
for features in "" enable engine "enable,engine" serve demo metrics "enable,metrics"; do
  echo "features: '${features}'" >&2
  cargo clippy --locked --no-default-features --features "$features" --lib -- -D warnings
done
cargo clippy --locked --lib -- -D warnings
tree=$(cargo tree --locked --no-default-features --features enable --edges normal,build --prefix none | sed 's/ .*//' | sort -u)
wanted=$(printf '%s\n' afferent crossbeam-utils libc rtrb)
if [[ "$tree" != "$wanted" ]]; then
  printf 'the recording core should pull in rtrb, crossbeam-utils and libc alone, but has:\n%s\n' "$tree" >&2
  exit 1
fi
# Recording compiled away: the program runs and its calls leave nothing behind.
cargo run --locked --quiet --no-default-features --example recording_off
