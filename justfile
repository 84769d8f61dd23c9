# `just check` is what CI runs. Needs only what tests/run.sh installs.

default: check

# Format, lints, every test with its real servers: the one definition of green.
check:
    bash tests/run.sh

# The quick part, without real servers; says what it leaves out.
quick:
    cargo fmt --all --check
    cargo clippy --all-targets --features full -- -D warnings
    cargo test --features full

# Every test with its long figures.
full:
    AFFERENT_LONG=1 bash tests/run.sh

# The models of the crate's own protocols, over the real rtrb code.
loom:
    ./loom-tests/prepare.sh
    cd loom-tests && cargo test --release

# The fuzz targets, 20 s each.
fuzz-smoke:
    bash tests/fuzz.sh 20

# Licences, bans and sources of all dependencies.
deny:
    cargo deny check licenses bans sources

# Each feature by itself builds, and so does recording alone.
features:
    bash tests/features.sh

# Miri over the modules without I/O; says so where the toolchain lacks it.
miri:
    bash tests/miri.sh

# The figures of the README.
bench:
    cargo run --release --features full -- bench
    cargo bench --features full

# The picture of the README: the live page after half a minute of `demo`.
screenshot:
    bash tests/browser/screenshot.sh

# The documentation, with warnings as errors.
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --features full
