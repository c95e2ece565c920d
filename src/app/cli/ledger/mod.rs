//! `camlock ledger ...`: the ledger read, checked and handed over. No service need run.

mod devices;
mod escape;
mod example;
mod export;
mod gaps;
mod html;
mod period;
mod report;
mod show;
mod table;
mod verify;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Exit, output};

/// Options of `camlock ledger`.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What devices tried: a table.
    #[command(after_help = "\
Examples:
  camlock ledger show                                   today, UTC
  camlock ledger show --day 2026-11-29 --camera door
  camlock ledger show --from 2026-11-01 --to 2026-11-30 --device 02:00:00:00:00:10")]
    Show(show::Options),
    /// The same for other programs, with events, canary results and gaps in JSON.
    #[command(after_help = "\
Examples:
  camlock ledger export --format csv --from 2026-11-01 --to 2026-11-30 > november.csv
  camlock ledger export --format json --day 2026-11-29")]
    Export(export::Options),
    /// Check that nobody touched the ledger.
    #[command(after_help = "\
Examples:
  camlock ledger verify
  camlock ledger verify --checkpoint kept-in-my-safe.json

Keep a copy of checkpoint.json (in the state directory) away from the gateway: with it a ledger that was written
again, even by root on the gateway, is detected. Exit code 0 if the ledger is intact; otherwise 1, with file and
line of the first fault.")]
    Verify(verify::Options),
    /// One page of HTML about one day, for whoever audits.
    #[command(after_help = "\
Examples:
  camlock ledger report --day 2026-11-29 --output 2026-11-29.html")]
    Report(report::Options),
    /// The devices that were seen: an inventory.
    #[command(after_help = "\
Examples:
  camlock ledger devices --from 2026-11-01 --to 2026-11-30")]
    Devices(devices::Options),
    /// Make a ledger of invented devices, to try the other commands with.
    #[command(hide = true)]
    Example(example::Options),
}

/// Where the ledger is.
#[derive(Debug, Clone, Args)]
struct Where {
    /// Directory of the ledger and its key.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/camlock-segment")]
    state_dir: PathBuf,
}

impl Where {
    fn place(&self) -> crate::segment::Place {
        crate::segment::Place { state_dir: self.state_dir.clone(), ..Default::default() }
    }
}

/// Runs one of them.
pub(super) fn run(options: &Options) -> Exit {
    let done = match &options.command {
        Command::Show(options) => show::run(options).map(|()| Exit::Done),
        Command::Export(options) => export::run(options).map(|()| Exit::Done),
        Command::Verify(options) => verify::run(options),
        Command::Report(options) => report::run(options),
        Command::Devices(options) => devices::run(options).map(|()| Exit::Done),
        Command::Example(options) => return example::run(options),
    };
    done.unwrap_or_else(|why| {
        output::error(&why);
        Exit::Failed
    })
}
