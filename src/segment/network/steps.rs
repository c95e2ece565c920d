//! What root does, in an order in which nothing is ever reachable in between: the guard before an interface is
//! touched, the namespace's rules before it has an interface, links up last.

use std::fmt;
use std::fmt::Write as _;
use std::net::IpAddr;

use super::{Link, Sysctl, guard, port_rules, ruleset, sysctl};
use crate::segment::{BRIDGE, CANARY_PORT, InterfaceName, Plan};

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What for, for the message if it fails.
    pub purpose: String,
    /// In which network.
    pub place: Where,
    /// How.
    pub action: Action,
}

/// A network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// The one that the command was started in: the box's.
    Box,
    /// The segment's namespace.
    Segment,
}

/// How a step is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A tool is run.
    Run {
        /// Which.
        tool: Tool,
        /// Its arguments.
        args: Vec<String>,
        /// Its standard input.
        input: Option<String>,
    },
    /// A kernel setting is written.
    Set(Sysctl),
}

/// A tool of the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// `ip` of iproute2.
    Ip,
    /// `bridge` of iproute2.
    Bridge,
    /// `nft` of nftables.
    Nft,
}

/// Which interfaces there are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    /// In the box's network.
    pub outside: Vec<Link>,
    /// In the namespace; `None`: there is no namespace.
    pub inside: Option<Vec<Link>>,
    /// Whether the namespace's pin is there without a namespace.
    pub stale: bool,
    /// A process in the box's network: interfaces are given back to where it is.
    pub pid: u32,
}

/// A camera interface is neither in the box's network nor in the segment's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no interface {missing}; there are: {}. Correct segment.interfaces, or plug the interface in",
    names(known)
)]
pub struct Missing {
    /// It.
    pub missing: InterfaceName,
    /// The names of those that there are.
    pub known: Vec<String>,
}

/// Loads the guard; needs no interface to exist.
pub fn guard_step(interfaces: &[InterfaceName]) -> Step {
    nft(Where::Box, "blocking camera interfaces in the box's network", guard(interfaces))
}

/// Makes or repairs the segment; `raise`: with links up at the end.
pub fn up(plan: &Plan, namespace: &str, state: &State, raise: bool) -> Result<Vec<Step>, Missing> {
    let inside = state.inside.as_deref().unwrap_or_default();
    let mut steps = vec![guard_step(&plan.interfaces)];
    if state.stale {
        let delete = ["netns", "delete", namespace];
        steps.push(ip(
            Where::Box,
            "removing the pin of a namespace that no longer exists",
            &delete,
        ));
    }
    if state.inside.is_none() {
        steps.push(ip(Where::Box, "making the namespace", &["netns", "add", namespace]));
    }
    steps.extend(
        sysctl::before_links().into_iter().map(|setting| set("closing the namespace", setting)),
    );
    steps.push(nft(Where::Segment, "loading the namespace's rules", ruleset(plan)));
    steps.extend(
        sysctl::after_rules().into_iter().map(|setting| set("bounding connections", setting)),
    );
    bridge(plan, inside, &mut steps);
    for port in strays(plan, inside) {
        give_back(port, state.pid, &mut steps);
    }
    for interface in &plan.interfaces {
        take_in(interface, namespace, state, &mut steps)?;
    }
    let rules = port_rules(&plan.interfaces);
    steps.push(nft(Where::Segment, "loading the ports' rules", rules));
    // Up even if the links stay down: a service can have the address, and pins last only on a bridge that is up.
    steps.push(link(Where::Segment, "raising the bridge", BRIDGE, "up"));
    neighbours(plan, &mut steps);
    if raise {
        steps.extend(open(plan));
    }
    Ok(steps)
}

/// Carries a changed plan into a segment that is up; links that were down stay so if all were.
pub fn apply(plan: &Plan, namespace: &str, state: &State) -> Result<Vec<Step>, Missing> {
    let inside = state.inside.as_deref().unwrap_or_default();
    let open = inside.iter().any(|link| is_port(link) && link.up);
    up(plan, namespace, state, open)
}

/// Raises the links.
pub fn open(plan: &Plan) -> Vec<Step> {
    let mut steps = vec![link(Where::Segment, "raising the bridge", BRIDGE, "up")];
    for interface in &plan.interfaces {
        steps.push(link(
            Where::Segment,
            "bringing a camera interface up",
            interface.as_str(),
            "up",
        ));
    }
    steps
}

/// Lowers the links of all ports, and of the plan's interfaces wherever they are. The segment file may have faults:
/// it needs their names only, and goes by the bridge for the rest.
pub fn close(interfaces: &[InterfaceName], state: &State) -> Vec<Step> {
    let planned = |link: &&Link| is_planned(interfaces, &link.name);
    let mut steps = Vec::new();
    let inside = state.inside.as_deref().unwrap_or_default();
    for port in inside.iter().filter(|port| is_port(port) || planned(port)) {
        steps.push(link(Where::Segment, "taking a camera interface down", &port.name, "down"));
    }
    for fallen in state.outside.iter().filter(planned) {
        steps.push(link(Where::Box, "taking a camera interface down", &fallen.name, "down"));
    }
    steps
}

/// Lowers all links, gives the interfaces back to the box's network, and deletes the namespace.
pub fn down(interfaces: &[InterfaceName], namespace: &str, state: &State) -> Vec<Step> {
    let mut steps = close(interfaces, state);
    let inside = state.inside.as_deref().unwrap_or_default();
    for port in inside.iter().filter(|port| is_port(port)) {
        give_back(port, state.pid, &mut steps);
    }
    if state.inside.is_some() || state.stale {
        let delete = ["netns", "delete", namespace];
        steps.push(ip(Where::Box, "deleting the namespace", &delete));
    }
    steps
}

fn bridge(plan: &Plan, inside: &[Link], steps: &mut Vec<Step>) {
    let at = Where::Segment;
    let old = inside.iter().find(|link| link.name == BRIDGE);
    if old.is_none() {
        steps.push(ip(at, "making the bridge", &["link", "add", BRIDGE, "type", "bridge"]));
    }
    let mac = plan.bridge_mac().to_string();
    // No spanning tree and no multicast snooping: a camera is not to steer the bridge.
    let manners =
        ["type", "bridge", "stp_state", "0", "mcast_snooping", "0", "no_linklocal_learn", "1"];
    let settings = [&["link", "set", "dev", BRIDGE], manners.as_slice()].concat();
    steps.push(ip(at, "configuring the bridge", &settings));
    steps.push(ip(at, "naming the bridge", &["link", "set", "dev", BRIDGE, "address", &mac]));
    steps.extend(
        sysctl::of_interface(BRIDGE).into_iter().map(|setting| set("closing the bridge", setting)),
    );
    let own = (IpAddr::V4(plan.address), plan.prefix);
    for (address, prefix) in
        old.iter().flat_map(|link| &link.addresses).filter(|address| **address != own)
    {
        let address = format!("{address}/{prefix}");
        let args = ["address", "delete", &address, "dev", BRIDGE];
        steps.push(ip(at, "removing an old address", &args));
    }
    let address = format!("{}/{}", plan.address, plan.prefix);
    let broadcast = plan.broadcast().to_string();
    let args = ["address", "replace", &address, "broadcast", &broadcast, "dev", BRIDGE];
    steps.push(ip(at, "assigning the gateway's address", &args));
}

/// Down before it moves, so that it is never up under rules that are not for it.
fn take_in(
    interface: &InterfaceName,
    namespace: &str,
    state: &State,
    steps: &mut Vec<Step>,
) -> Result<(), Missing> {
    let name = interface.as_str();
    let inside = state.inside.as_deref().unwrap_or_default();
    let here = state.outside.iter().any(|link| link.name == name);
    let there = inside.iter().find(|link| link.name == name);
    if here {
        steps.push(link(Where::Box, "taking a camera interface down", name, "down"));
        let args = ["link", "set", "dev", name, "netns", namespace];
        steps.push(ip(Where::Box, "moving a camera interface into the segment", &args));
    } else if there.is_none() {
        let known = state.outside.iter().chain(inside).map(|link| link.name.clone());
        let known = known.filter(|name| name != "lo" && name != BRIDGE).collect();
        return Err(Missing { missing: interface.clone(), known });
    }
    let at = Where::Segment;
    if there.is_none_or(|link| link.master.as_deref() != Some(BRIDGE)) {
        steps.push(link(at, "taking a camera interface down", name, "down"));
        let args = ["link", "set", "dev", name, "master", BRIDGE];
        steps.push(ip(at, "adding a camera interface to the bridge", &args));
    }
    steps.push(Step {
        purpose: format!("isolating the port {name} from others"),
        place: at,
        action: Action::Run {
            tool: Tool::Bridge,
            args: words(&[
                "link", "set", "dev", name, "isolated", "on", "hairpin", "off", "guard", "on",
            ]),
            input: None,
        },
    });
    Ok(())
}

/// Ports that the plan no longer has; the canary's comes and goes by itself.
fn strays<'a>(plan: &Plan, inside: &'a [Link]) -> Vec<&'a Link> {
    inside
        .iter()
        .filter(|link| is_port(link) && !is_planned(&plan.interfaces, &link.name))
        .collect()
}

fn is_planned(interfaces: &[InterfaceName], name: &str) -> bool {
    interfaces.iter().any(|interface| interface.as_str() == name)
}

fn is_port(link: &Link) -> bool {
    link.master.as_deref() == Some(BRIDGE) && link.name != CANARY_PORT
}

/// To the network that this process was started in, down.
fn give_back(port: &Link, pid: u32, steps: &mut Vec<Step>) {
    let name = port.name.as_str();
    steps.push(link(Where::Segment, "taking a camera interface down", name, "down"));
    let own = pid.to_string();
    let args = ["link", "set", "dev", name, "nomaster", "netns", &own];
    steps.push(ip(Where::Segment, "returning a camera interface to the box", &args));
}

/// Pins each camera's addresses to each other, and forgets older pins.
fn neighbours(plan: &Plan, steps: &mut Vec<Step>) {
    let flush = ["neighbour", "flush", "dev", BRIDGE, "nud", "permanent"];
    steps.push(ip(Where::Segment, "forgetting old cameras", &flush));
    let mut batch = String::new();
    for camera in &plan.cameras {
        let (address, mac) = (camera.address, camera.mac);
        _ = writeln!(batch, "neighbour replace {address} lladdr {mac} dev {BRIDGE} nud permanent");
    }
    if !batch.is_empty() {
        let mut step = ip(Where::Segment, "pinning cameras to their addresses", &["-batch", "-"]);
        if let Action::Run { input, .. } = &mut step.action {
            *input = Some(batch);
        }
        steps.push(step);
    }
}

fn link(place: Where, purpose: &str, name: &str, state: &str) -> Step {
    ip(place, purpose, &["link", "set", "dev", name, state])
}

fn ip(place: Where, purpose: &str, args: &[&str]) -> Step {
    let action = Action::Run { tool: Tool::Ip, args: words(args), input: None };
    Step { purpose: purpose.to_owned(), place, action }
}

fn nft(place: Where, purpose: &str, rules: String) -> Step {
    let action = Action::Run { tool: Tool::Nft, args: words(&["-f", "-"]), input: Some(rules) };
    Step { purpose: purpose.to_owned(), place, action }
}

fn set(purpose: &str, setting: Sysctl) -> Step {
    Step { purpose: purpose.to_owned(), place: Where::Segment, action: Action::Set(setting) }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn names(known: &[String]) -> String {
    if known.is_empty() { "none".to_owned() } else { known.join(", ") }
}

impl Tool {
    /// Its name as a file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Bridge => "bridge",
            Self::Nft => "nft",
        }
    }

    /// The Debian package that has it.
    pub fn package(self) -> &'static str {
        match self {
            Self::Ip | Self::Bridge => "iproute2",
            Self::Nft => "nftables",
        }
    }
}

/// As a person would type it; rules and lists that go in by standard input are left out.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run { tool, args, input: _ } => write!(f, "{} {}", tool.name(), args.join(" ")),
            Self::Set(Sysctl { key, value, optional: _ }) => {
                write!(f, "writing {value} to /proc/sys/{key}")
            }
        }
    }
}
