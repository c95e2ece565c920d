//! `camlock segment up|apply|open|closed|down|guard`: root's one-shots about the network.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::place::{self, PlaceOptions};
use super::runner::Runner;
use crate::app::cli::{Exit, output};
use crate::app::config;
use crate::segment::network::{self, Dhcp, Word};
use crate::segment::{InterfaceName, Plan};

/// Options of `camlock segment up`.
#[derive(Debug, clap::Args)]
pub(super) struct Up {
    #[command(flatten)]
    files: Files,
    /// Leave the links down.
    #[arg(long)]
    closed: bool,
}

/// Where the files go that root makes.
#[derive(Debug, clap::Args)]
pub(super) struct Files {
    #[command(flatten)]
    place: PlaceOptions,
    /// Directory for `dnsmasq.conf` and `dnsmasq.hosts`.
    #[arg(long, value_name = "DIR", default_value = "/run/camlock-segment-net")]
    net_dir: Word,
    /// The file that dnsmasq keeps its leases in.
    #[arg(long, value_name = "FILE", default_value = "/var/lib/camlock-dhcp/dnsmasq.leases")]
    leases: Word,
    /// The user that dnsmasq becomes.
    #[arg(long, value_name = "USER", default_value = "camlock-dhcp")]
    dhcp_user: Word,
    /// The group that dnsmasq becomes.
    #[arg(long, value_name = "GROUP", default_value = "camlock-dhcp")]
    dhcp_group: Word,
}

/// Makes or repairs the segment.
pub(super) fn up(options: &Up) -> Exit {
    exit(try_up(options))
}

/// Carries a changed plan into the segment.
pub(super) fn apply(files: &Files) -> Exit {
    exit(try_apply(files))
}

/// Raises the links.
pub(super) fn open(place: &PlaceOptions) -> Exit {
    exit(root().and_then(|()| {
        let plan = plan(place)?;
        let runner = Runner::new(&place.place())?;
        if runner.state()?.inside.is_none() {
            return Err(absent(place));
        }
        runner.run(&network::open(&plan))
    }))
}

/// Lowers the links.
pub(super) fn closed(place: &PlaceOptions) -> Exit {
    exit(root().and_then(|()| {
        let runner = Runner::new(&place.place())?;
        let state = runner.state()?;
        runner.run_all(&network::close(&interfaces(place), &state))
    }))
}

/// Takes the segment down.
pub(super) fn down(place: &PlaceOptions) -> Exit {
    exit(root().and_then(|()| {
        let runner = Runner::new(&place.place())?;
        let state = runner.state()?;
        runner.run_all(&network::down(&interfaces(place), &place.place().namespace, &state))
    }))
}

/// Loads the guard, with what can be read of a faulty file too; then the faults are told all the same.
pub(super) fn guard(place: &PlaceOptions) -> Exit {
    exit(root().and_then(|()| {
        let plan = plan(place);
        let interfaces = match &plan {
            Ok(plan) => plan.interfaces.clone(),
            Err(_) => interfaces(place),
        };
        Runner::new(&place.place())?.run(&[network::guard_step(&interfaces)])?;
        plan.map(|_| ())
    }))
}

/// Why a command did not do it all.
#[derive(Debug)]
pub(super) enum Failed {
    /// The segment file has faults.
    File(String),
    /// A step failed.
    Step(String),
}

fn try_up(options: &Up) -> Result<(), Failed> {
    root()?;
    let place = options.files.place.place();
    let plan = plan(&options.files.place)?;
    let runner = Runner::new(&place)?;
    // Before anything that may fail.
    runner.run(&[network::guard_step(&plan.interfaces)])?;
    let made = (|| {
        let state = runner.state()?;
        let steps = network::up(&plan, &place.namespace, &state, !options.closed)
            .map_err(|missing| Failed::Step(missing.to_string()))?;
        write_files(&plan, &options.files)?;
        runner.run(&steps)
    })();
    // Half a segment is none.
    made.map_err(|why| {
        let state = runner.state();
        let lowered = state.and_then(|s| runner.run_all(&network::close(&plan.interfaces, &s)));
        match (why, lowered) {
            (why, Ok(())) => why,
            (
                Failed::File(why) | Failed::Step(why),
                Err(Failed::File(also) | Failed::Step(also)),
            ) => Failed::Step(format!("{why}\nthe links may still be up: {also}")),
        }
    })
}

/// If a step fails, rules and links stay as they were: the old plan goes on.
fn try_apply(files: &Files) -> Result<(), Failed> {
    root()?;
    let place = files.place.place();
    let plan = plan(&files.place)?;
    let runner = Runner::new(&place)?;
    let state = runner.state()?;
    if state.inside.is_none() {
        return Err(absent(&files.place));
    }
    let steps = network::apply(&plan, &place.namespace, &state)
        .map_err(|missing| Failed::Step(missing.to_string()))?;
    write_files(&plan, files)?;
    runner.run(&steps)
}

fn write_files(plan: &Plan, files: &Files) -> Result<(), Failed> {
    let directory = Path::new(files.net_dir.as_str());
    let word = |name: &str| {
        let path = format!("{}/{name}", files.net_dir.as_str());
        path.parse::<Word>().map_err(|error| Failed::Step(format!("--net-dir {path}: {error}")))
    };
    let dhcp = Dhcp {
        conf: word("dnsmasq.conf")?,
        hosts: word("dnsmasq.hosts")?,
        leases: files.leases.clone(),
        user: files.dhcp_user.clone(),
        group: files.dhcp_group.clone(),
    };
    let make = || {
        fs::create_dir_all(directory)?;
        replace(Path::new(dhcp.hosts.as_str()), &network::dnsmasq_hosts(plan))?;
        replace(Path::new(dhcp.conf.as_str()), &network::dnsmasq_conf(plan, &dhcp))
    };
    make().map_err(|error| {
        let place = directory.display();
        Failed::Step(format!("cannot write dnsmasq's files in {place}: {error}"))
    })
}

/// Whole or not at all; everybody may read it.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let fresh: PathBuf = path.with_extension("new");
    let mut file = File::create(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.set_permissions(Permissions::from_mode(0o644))?;
    fs::rename(&fresh, path)
}

fn plan(place: &PlaceOptions) -> Result<Plan, Failed> {
    place::plan(&place.place().file).map_err(Failed::File)
}

/// The camera interfaces by name, whatever else is wrong with the file.
fn interfaces(place: &PlaceOptions) -> Vec<InterfaceName> {
    place::text(&place.place().file)
        .map_or_else(|_| Vec::new(), |text| config::segment_interfaces(&text))
}

fn root() -> Result<(), Failed> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(Failed::Step("changing the segment's network needs root".to_owned()))
}

fn absent(place: &PlaceOptions) -> Failed {
    let name = place.place().namespace;
    Failed::Step(format!("no segment {name}: create it with `camlock segment up`"))
}

fn exit(done: Result<(), Failed>) -> Exit {
    match done {
        Ok(()) => Exit::Done,
        Err(Failed::File(why)) => {
            output::error(&why);
            Exit::BadConfig
        }
        Err(Failed::Step(why)) => {
            output::error(&why);
            Exit::Failed
        }
    }
}
