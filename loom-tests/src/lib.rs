//! Nothing but the guard: an environment `RUSTFLAGS` replaces the one in `.cargo/config.toml`, and models over the real
//! atomics would pass without having checked anything.

#[cfg(not(loom))]
compile_error!("build with `--cfg loom`: unset RUSTFLAGS, or add it there");
