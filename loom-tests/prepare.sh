#!/usr/bin/env bash
# Makes loom-tests/rtrb: the pinned release's own source, with loom's atomics in place of core's, so that the models run
# over the code that ships. Never committed; made anew where the pinned version changed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/.."
source=$(cargo metadata --format-version 1 --locked | python3 -c '
import json, os, sys
packages = json.load(sys.stdin)["packages"]
print(next(os.path.dirname(p["manifest_path"]) for p in packages if p["name"] == "rtrb"))')
rm -rf "$here/rtrb"
mkdir "$here/rtrb"
cp -r "$source/src" "$here/rtrb/src"
chmod -R u+w "$here/rtrb"
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$source/Cargo.toml" | head -n 1)
cat > "$here/rtrb/Cargo.toml" <<TOML
[package]
name = "rtrb"
version = "$version"
edition = "2018"
[features]
default = ["std"]
std = []
[dependencies]
loom = "0.7.3"
[workspace]
TOML
sed -i 's/core::sync::atomic/loom::sync::atomic/g' "$here"/rtrb/src/*.rs
if ! grep -q 'loom::sync::atomic' "$here"/rtrb/src/*.rs; then
  echo "loom-tests/prepare.sh: no atomics were found in rtrb $version: the substitution needs a look" >&2
  exit 1
fi
