//! The `afferent` binary: everything is in the library's `cli` module.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    afferent::cli::main()
}
