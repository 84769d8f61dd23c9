#!/usr/bin/env bash
# The one definition of green: installs the real parts the tests need and runs every test. CI and `just check` call it.
#
#   bash tests/run.sh          everything, with the figures for each run
#   AFFERENT_LONG=1 ...        the long figures: 1,000 kills, 5,000 cases a property, 10 minutes a fuzz target
#   bash tests/run.sh STEP..   only these steps (setup is always done): lint unit real loom fuzz features deny python
set -euo pipefail
cd "$(dirname "$0")/.."

steps=${*:-lint unit real loom fuzz features deny python}
venv=target/venv
export AFFERENT_SHARED=${AFFERENT_SHARED:-$PWD/../shared}
export PATH="$PWD/$venv/bin:$PATH"

if [[ -n ${AFFERENT_LONG:-} ]]; then
  export PROPTEST_CASES=5000 AFFERENT_FUZZ_SECONDS=${AFFERENT_FUZZ_SECONDS:-600}
fi

log() { printf '\n== %s (%ss)\n' "$*" "$SECONDS" >&2; }
wants() { [[ " $steps " == *" $1 "* ]]; }

setup() {
  log "setup: packages"
  local missing=()
  command -v prometheus >/dev/null || missing+=(prometheus)
  command -v chromium >/dev/null || missing+=(chromium)
  command -v strace >/dev/null || missing+=(strace)
  command -v node >/dev/null || missing+=(nodejs)
  command -v npm >/dev/null || missing+=(npm)
  command -v cc >/dev/null || missing+=(gcc libc6-dev)
  python3 -m venv --help >/dev/null 2>&1 || missing+=(python3-venv)
  if ((${#missing[@]})); then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  fi
  if [[ ! -e $venv/ready || tests/requirements.txt -nt $venv/ready ]]; then
    mkdir -p target
    python3 -m venv "$venv"
    "$venv/bin/pip" install -q --disable-pip-version-check -r tests/requirements.txt
    touch "$venv/ready"
  fi
  (cd tests/browser && npm ci --silent --no-audit --no-fund)
}

setup
if wants lint; then
  log "lint: format, clippy, documentation"
  cargo fmt --all --check
  cargo clippy --locked --all-targets --features full -- -D warnings
  RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --features full
fi
if wants unit; then
  log "unit: library, documentation examples, benches as tests"
  cargo test --locked --features full --lib --examples --test allocation --test facade --test global
  cargo test --locked --features full --doc
  cargo test --locked --features full --benches
fi
if wants real; then
  log "real: the binary, with Prometheus, Chromium, numpy and kill -9"
  # A release build, shared by everything that follows: the tests run the binary that people run.
  AFFERENT_REAL=1 cargo test --locked --release --features full --test it -- --show-output
fi
if wants loom; then
  log "loom: models of join, leave, last drain and close, and their canary"
  ./loom-tests/prepare.sh
  (cd loom-tests && cargo test --release)
fi
if wants fuzz; then
  log "fuzz: every target, ${AFFERENT_FUZZ_SECONDS:-20} s each"
  bash tests/fuzz.sh "${AFFERENT_FUZZ_SECONDS:-20}"
fi
if wants features; then
  log "features: each alone, and recording compiled away"
  bash tests/features.sh
fi
if wants deny; then
  log "deny: licences, bans, sources"
  cargo deny --all-features check licenses bans sources
fi
if wants python; then
  log "python: the scorer's own test"
  python3 "$AFFERENT_SHARED/tools/nab_score.py" --self-test
fi
log "all of: $steps"
