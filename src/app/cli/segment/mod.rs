//! `camlock segment ...`: the camera network's own commands.

mod check;
mod net;
mod place;
mod run;
mod runner;
mod verify;

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

Exit code 0 if the file is valid, 78 if it has errors.")]
    Check(check::Options),
    /// Root: make the segment, or repair it. Links go up last.
    #[command(after_help = "\
Examples:
  camlock segment up
  camlock segment up --closed              all but the links; `segment open` raises them

It can be run again at any time: correct parts stay, missing parts are created, an interface that fell back to the
box's network is taken in again.")]
    Up(net::Up),
    /// Root: carry a changed segment file into the running segment.
    Apply(net::Files),
    /// Root: raise the camera interfaces' links.
    Open(place::PlaceOptions),
    /// Root: lower the camera interfaces' links. No observer, no link.
    Closed(place::PlaceOptions),
    /// Root: lower the links, give the interfaces back, delete the namespace. The guard stays.
    Down(place::PlaceOptions),
    /// Root: drop everything in and out on the camera interfaces while they are in the box's own network.
    Guard(place::PlaceOptions),
    /// The segment's service: door, local services, observer, ledger.
    #[command(after_help = "\
Examples:
  camlock segment run                      as camlock-segment.service starts it, in the segment's namespace

It needs CAP_NET_RAW and CAP_NET_BIND_SERVICE to open its sockets, and drops both before it reads a byte. SIGHUP
reloads the segment file (one with errors changes nothing); SIGTERM writes the ledger and a checkpoint, and stops.
Exit codes:
  0   stopped by a signal
  1   failed, or the namespace is gone: start it again
  78  faults in the segment file")]
    Run(run::Options),
    /// Send a fake camera that tries to get out, and prove that nothing does.
    #[command(after_help = "\
Examples:
  camlock segment verify
  camlock segment verify --json

A cable end that is treated like a camera's is put on the bridge for some 8 s. It tries 86 ways out. All
interfaces of this machine are watched for its Ethernet address, its IP address and a random marker; so are the ports
of the cameras. The run proves something only if frames on each uplink were seen (`uplinks` of the segment file, or all
interfaces that are up), the segment's service wrote the ledger, and its DNS and time answered. The result goes into
the ledger and to the gateway. Events about an unknown device with its addresses belong to it.

It needs root and the segment up; a daily timer fits. Ends with
  0   held: nothing got out, the ledger lists all ways, all controls held
  1   something got out, or the ledger does not list a way
  3   a control failed, or the run was stopped: nothing is proved
  78  faults in the segment file")]
    Verify(verify::Options),
}

/// Runs one of them.
pub(super) fn run(options: &Options) -> Exit {
    match &options.command {
        Command::Check(options) => check::run(options),
        Command::Up(options) => net::up(options),
        Command::Apply(options) => net::apply(options),
        Command::Open(place) => net::open(place),
        Command::Closed(place) => net::closed(place),
        Command::Down(place) => net::down(place),
        Command::Guard(place) => net::guard(place),
        Command::Run(options) => run::run(options),
        Command::Verify(options) => verify::run(options),
    }
}
