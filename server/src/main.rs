//! The `xueliang` program.

use std::process::ExitCode;

/// Access units stay in a ring for half a minute, among buffers of GStreamer and SQLite that are gone within milliseconds.
/// From one heap the two would leave it in pieces that are never given back: ours come from another.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    xueliang_server::cli::main()
}
