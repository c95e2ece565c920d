//! `camlock segment ...`: the camera network's own commands.

mod check;
mod place;

use clap::{Args, Subcommand};

use super::Exit;

/// Options of `camlock segment`.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check a segment file: all faults at once, with line, column and allowed values.
    #[command(after_help = "\
Examples:
  camlock segment check /etc/camlock/segment.toml

Ends with 0 if the file is good, with 78 if it has faults.")]
    Check(check::Options),
}

/// Runs one of them.
pub(super) fn run(options: &Options) -> Exit {
    match &options.command {
        Command::Check(options) => check::run(options),
    }
}
