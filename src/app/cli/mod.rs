//! Commands and exit codes.

mod backup;
mod check;
mod demo;
mod hash_password;
mod ledger;
mod output;
mod probe;
mod run;
mod segment;
mod setup;
mod simulate;

use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app::gateway::Gateway;

/// Exit codes, as `--help` documents them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    /// It did what was asked, or was told to stop.
    Done = 0,
    /// It could not go on; the message says whose fault it is.
    Failed = 1,
    /// A check could not be carried out whole: it says nothing either way.
    NothingProved = 3,
    /// The configuration has faults (`EX_CONFIG`).
    BadConfig = 78,
}

#[derive(Debug, Parser)]
#[command(
    name = "camlock",
    version,
    about = "The gateway between cameras nobody trusts and everyone who needs their video",
    after_help = "\
Examples:
  camlock demo                             two simulated cameras, the gateway, lines to paste
  camlock probe --hikvision 192.0.2.10     shows what a camera sends and its configuration entry
  camlock check /etc/camlock/camlock.toml  all faults of a configuration at once
  camlock run --config /etc/camlock/camlock.toml

Exit codes:
  0   done, or stopped by a signal
  1   failed; the message says why
  2   wrong command line
  78  faults in the configuration"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway.
    #[command(after_help = "\
Examples:
  camlock run --config /etc/camlock/camlock.toml

SIGTERM or Ctrl-C shuts it down within two seconds, a second signal exits immediately; SIGHUP reloads accounts, certificates and cameras (a file with errors changes nothing).")]
    Run {
        /// Configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Check a configuration: all faults at once, with line, column and allowed values.
    #[command(after_help = "\
Examples:
  camlock check config/camlock.toml

Exit code 0 if the file is valid, 78 if it has errors.")]
    Check {
        /// Configuration file.
        file: PathBuf,
    },
    /// Hash a password from standard input, or generate a secret for a VMS.
    #[command(after_help = "\
Examples:
  camlock hash-password                    asks for a password, prints password_hash = \"...\"
  printf %s \"$PW\" | camlock hash-password
  camlock hash-password --generate vms     makes a 128-bit secret for the account `vms`; it serves Digest too")]
    HashPassword(hash_password::Options),
    /// Look at a camera through the airlock: tracks, rates, what is stripped, a configuration entry.
    #[command(after_help = "\
Examples:
  camlock probe rtsp://192.0.2.10/Streaming/Channels/101 --user gateway --password-ref file:/etc/camlock/door.password
  camlock probe --hikvision 192.0.2.10 --user gateway --password-ref env:CAMERA_PASSWORD --name door
  camlock probe --dahua 192.0.2.20 --recorder --channel 7 --stream sub --json

What it prints is TOML: the findings as comments, and below them the entry for the configuration. The password is
never printed. Exit code 0 if the camera plays; otherwise 1, with the reason.")]
    Probe(Box<probe::Options>),
    /// Write a checked configuration: asks for what the options do not say.
    #[command(after_help = "\
Examples:
  camlock setup                            asks
  camlock setup --interface eth1 --name gateway.lan --name 192.0.2.1 --user viewer
  camlock setup --interface eth1 --name gateway.lan --user viewer --root /mnt/image

Files that are there are shown where they would change, and are left alone unless --force is given.")]
    Setup(Box<setup::Options>),
    /// Simulate cameras on loopback.
    #[command(after_help = "\
Examples:
  camlock simulate                         one H.264 camera, no login
  camlock simulate --cameras 50 --bitrate 4000 --fps 25 --gop 50 --login digest --user admin --password pw
  camlock simulate --codec h265")]
    Simulate(simulate::Options),
    /// Two simulated cameras, the gateway, a CA, a viewer: everything on loopback, with lines to paste.
    #[command(after_help = "\
Examples:
  camlock demo
  camlock demo --json                      one JSON object: rtsps, user, password, ca, admin")]
    Demo(demo::Options),
    /// What devices on the segment tried: shown, exported, checked, reported.
    Ledger(ledger::Options),
    /// Put the configuration, the CA and its keys, the segment file and the ledger into one file.
    #[command(after_help = "\
Examples:
  camlock backup --output /root/camlock-2026-11-29.tar

The file holds private keys and passwords in the clear (mode 0600). It is a tar file; its manifest.json lists every
file with its SHA-256.")]
    Backup(backup::BackupOptions),
    /// Put a backup into place, all of it or nothing.
    #[command(after_help = "\
Examples:
  systemctl stop camlock camlock-segment
  camlock restore /root/camlock-2026-11-29.tar

Install the package first: it creates the users. Without --force, existing files are not replaced.")]
    Restore(backup::RestoreOptions),
    /// The camera segment: a network without a way out, and what devices there try.
    Segment(segment::Options),
}

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    let exit = match Arguments::parse().command {
        Command::Run { config } => run::run(&config),
        Command::Check { file } => check::check(&file),
        Command::HashPassword(options) => hash_password::run(&options),
        Command::Probe(options) => probe::run(&options),
        Command::Setup(options) => setup::run(*options),
        Command::Simulate(options) => simulate::run(&options),
        Command::Demo(options) => demo::run(&options),
        Command::Ledger(options) => ledger::run(&options),
        Command::Backup(options) => backup::backup(&options),
        Command::Restore(options) => backup::restore(&options),
        Command::Segment(options) => segment::run(&options),
    };
    ExitCode::from(exit as u8)
}

/// Runs a command's future on a runtime of its own.
fn block_on(future: impl Future<Output = Exit>) -> Exit {
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let exit = runtime.block_on(future);
            // What is still blocked (a password hash, a file) is not worth waiting for.
            runtime.shutdown_timeout(std::time::Duration::from_millis(200));
            exit
        }
        Err(error) => {
            output::error(&format!("cannot start: {error}"));
            Exit::Failed
        }
    }
}

/// The signals that tell the process to stop: SIGINT and SIGTERM. Heard from [`StopSignals::new`] on.
struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    /// Within a runtime.
    fn new() -> Result<Self, Exit> {
        let open = || {
            let terminate = signal(SignalKind::terminate())?;
            Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate })
        };
        open().map_err(|error: std::io::Error| no_signals(&error))
    }

    /// Returns at the next of them.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Stops the gateway with its goodbyes, or at the next of them without.
    async fn stop(&mut self, gateway: Gateway) {
        tokio::select! {
            () = gateway.shutdown() => {}
            () = self.next() => tracing::warn!("second signal: exiting immediately"),
        }
    }
}

fn no_signals(error: &std::io::Error) -> Exit {
    output::error(&format!("cannot listen for signals: {error}"));
    Exit::Failed
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_exit_codes_are_these() {
        let all = every!(Exit; Done, Failed, NothingProved, BadConfig);
        let codes = all.map(|exit| (exit as u8).to_string());
        assert_surface!("exit-codes", codes.join("\n"));
    }

    #[test]
    fn the_commands_and_options_are_these() {
        let mut lines = Vec::new();
        options("", &Arguments::command(), &mut lines);
        assert_surface!("commands", lines.join("\n"));
    }

    /// One line a command: hidden ones too, for units call some of them.
    fn options(above: &str, command: &clap::Command, lines: &mut Vec<String>) {
        let name = format!("{above}{} ", command.get_name());
        let words = command.get_arguments().map(|argument| {
            let values = argument.get_possible_values();
            let values: Vec<_> = values.iter().map(|value| value.get_name().to_owned()).collect();
            let values =
                if values.is_empty() { String::new() } else { format!("={}", values.join("|")) };
            match argument.get_long() {
                Some(long) => format!("--{long}{values}"),
                None => format!("{}{values}", argument.get_id().as_str().to_uppercase()),
            }
        });
        lines.push(format!("{name}{}", words.collect::<Vec<_>>().join(" ")).trim_end().to_owned());
        for command in command.get_subcommands() {
            options(&name, command, lines);
        }
    }
}
