//! The `xueliang` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    xueliang_server::cli::main()
}
