//! The doorway.

use std::process::ExitCode;

fn main() -> ExitCode {
    camlock::app::cli::run()
}
