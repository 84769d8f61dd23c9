#!/usr/bin/env bash
# Takes the picture of the README, docs/images/page.png: the live page after half a minute of `demo`.
#
#   bash tests/browser/screenshot.sh [FILE]
#
# Needs what `tests/run.sh` installs (Debian's chromium and nodejs, `npm ci` in this folder). The picture is checked as a
# test would check it: no console message, no foreign request, an anomaly on the page.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${1:-docs/images/page.png}
mkdir -p "$(dirname "$out")"

cargo build --release --features full
log=$(mktemp)
target/release/afferent demo --listen 127.0.0.1:0 --prefix active_inference >/dev/null 2>"$log" &
demo=$!
trap 'kill "$demo" 2>/dev/null || true; rm -f "$log"' EXIT
until url=$(sed -n 's|^live page: \(http://[0-9.:]*/\).*|\1|p;T;q' "$log") && [[ $url ]]; do
  kill -0 "$demo"
  sleep 0.05
done

# Past the first windows, past warming up, with some anomalies to see.
node tests/browser/page.cjs "$url" --anomaly-within 60 --watch 28 --select planning_time --width 1400 --height 1000 --screenshot "$out"
size=$(stat -c %s "$out")
echo "$out: $size bytes" >&2
if ((size > 300 * 1024)); then
  echo "$out is larger than 300 KiB" >&2
  exit 1
fi
