//! The program: see [`nusku::cli`].

use std::process::ExitCode;

/// Requests allocate and free many small things at once on every thread.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    nusku::cli::run()
}
