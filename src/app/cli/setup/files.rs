//! What `camlock setup` writes, as a function of the answers.

use std::fmt::Write as _;
use std::net::SocketAddr;

use secrecy::{ExposeSecret, SecretString};

use crate::segment::InterfaceName;

/// The gateway's configuration.
pub(super) const MAIN: &str = "/etc/camlock/camlock.toml";
/// The segment file.
pub(super) const SEGMENT: &str = "/etc/camlock/segment.toml";
/// Where clients connect, unless told otherwise; as in `camlock.socket`.
pub(super) const LISTEN: &str = "0.0.0.0:8322";
/// The gateway's own address on the camera side, unless told otherwise.
pub(super) const ADDRESS: &str = "10.77.0.1/24";
const TOKEN: &str = "/etc/camlock/admin-token";
const SOCKET: &str = "/etc/systemd/system/camlock.socket.d/listen.conf";
const MADE: &str = "# Made by `camlock setup`.\n";

/// What was asked.
#[derive(Debug)]
pub(super) struct Answers {
    /// The camera interfaces. None: no segment.
    pub(super) interfaces: Vec<InterfaceName>,
    /// Address and prefix on the camera side.
    pub(super) address: String,
    /// Whether cameras get their addresses from us.
    pub(super) dhcp: bool,
    /// What clients call the gateway.
    pub(super) names: Vec<String>,
    /// Where they connect.
    pub(super) listen: SocketAddr,
    /// The first account.
    pub(super) user: String,
    /// Its password's line in the configuration.
    pub(super) password: String,
    /// The admin page's.
    pub(super) token: SecretString,
}

/// Who may read a file; root alone writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// All.
    Everybody,
    /// The gateway's group.
    Gateway,
}

/// A file to write.
#[derive(Debug)]
pub(super) struct Entry {
    /// Absolute.
    pub(super) path: String,
    /// Who may read it.
    pub(super) access: Access,
    /// All of it.
    pub(super) text: String,
}

/// All files.
pub(super) fn all(answers: &Answers) -> Vec<Entry> {
    let mut entries = vec![
        entry(MAIN, Access::Gateway, main(answers)),
        entry(TOKEN, Access::Gateway, format!("{}\n", answers.token.expose_secret())),
        entry(SOCKET, Access::Everybody, socket(answers.listen)),
    ];
    if answers.interfaces.is_empty() {
        return entries;
    }
    entries.push(entry(SEGMENT, Access::Everybody, segment(answers)));
    for interface in &answers.interfaces {
        let path = format!("/etc/systemd/network/10-camlock-{interface}.network");
        entries.push(entry(&path, Access::Everybody, networkd(interface)));
    }
    let (manager, sysctl) = (network_manager(&answers.interfaces), sysctl(&answers.interfaces));
    entries.push(entry("/etc/NetworkManager/conf.d/10-camlock.conf", Access::Everybody, manager));
    entries.push(entry("/etc/sysctl.d/60-camlock.conf", Access::Everybody, sysctl));
    entries
}

/// What to do after it.
pub(super) fn next_steps(segment: bool) -> &'static str {
    if segment {
        "
Next:
  1. List each camera in /etc/camlock/segment.toml: name, Ethernet address, IP address, ports.
  2. networkctl reload, or systemctl restart NetworkManager: whichever you use leaves the camera interfaces alone
     systemctl restart camlock-guard camlock-segment     from now on the camera interfaces have no way out
  3. Add each camera to /etc/camlock/camlock.toml (`camlock probe` prints its entry).
  4. camlock check /etc/camlock/camlock.toml && systemctl restart camlock.socket camlock
  5. camlock segment verify                              tries to get out, and tells
Clients verify the gateway with /var/lib/camlock/ca.pem."
    } else {
        "
Next:
  1. Add each camera to /etc/camlock/camlock.toml (`camlock probe` prints its entry).
  2. camlock check /etc/camlock/camlock.toml && systemctl restart camlock.socket camlock
Clients verify the gateway with /var/lib/camlock/ca.pem. Cameras share the box's own network: nothing keeps them from
the internet but your own rules."
    }
}

fn entry(path: &str, access: Access, text: String) -> Entry {
    Entry { path: path.to_owned(), access, text }
}

fn main(answers: &Answers) -> String {
    let Answers { names, listen, user, password, .. } = answers;
    let segment = if answers.interfaces.is_empty() { "none" } else { "/run/camlock-segment" };
    format!(
        "# Made by `camlock setup`; yours to edit. Every option: /usr/share/doc/camlock/camlock.toml.
# `camlock check` finds all faults; `systemctl reload camlock` puts accounts, certificates and cameras in force.

[gateway]
names = {names:?}
segment = \"{segment}\"

[rtsp]
# As ListenStream= in {SOCKET}.
listen = [\"{listen}\"]

[admin]
token = \"file:{TOKEN}\"

[[user]]
name = {user:?}
{password}
[[user.grant]]
streams = \"*\"
may = [\"view\", \"listen\"]

# One entry for each camera; its name is that in segment.toml.
# [[camera]]
# name = \"door\"
# address = \"10.77.0.10:554\"
# user = \"gateway\"
# password = \"file:/etc/camlock/door.password\"
# [[camera.profile]]
# name = \"main\"
# path = \"/Streaming/Channels/101\"
"
    )
}

fn segment(answers: &Answers) -> String {
    let Answers { address, dhcp, .. } = answers;
    let interfaces: Vec<_> = answers.interfaces.iter().map(InterfaceName::as_str).collect();
    format!(
        "# Made by `camlock setup`; yours to edit. Every option: /usr/share/doc/camlock/segment.toml.
# Only root may write this file. `camlock segment check` finds all faults; `systemctl reload camlock-segment` applies it
# (other interfaces: run `camlock setup` again, then restart camlock-guard and camlock-segment).

[segment]
interfaces = {interfaces:?}
address = {address:?}
dhcp = {dhcp}

# One entry for each camera; what is not listed cannot be dialled.
# [[camera]]
# name = \"door\"
# mac = \"00:00:5e:00:53:10\"
# address = \"10.77.0.10\"
# ports = [554]
"
    )
}

/// The empty one takes away what `camlock.socket` says.
fn socket(listen: SocketAddr) -> String {
    format!("{MADE}# As rtsp.listen in {MAIN}.\n[Socket]\nListenStream=\nListenStream={listen}\n")
}

fn networkd(interface: &InterfaceName) -> String {
    format!(
        "{MADE}# The segment's: it has no address in the box's network, nor ever gets one.
[Match]
Name={interface}

[Link]
Unmanaged=yes
"
    )
}

fn network_manager(interfaces: &[InterfaceName]) -> String {
    let names: Vec<_> = interfaces.iter().map(|name| format!("interface-name:{name}")).collect();
    format!("{MADE}[keyfile]\nunmanaged-devices+={}\n", names.join(";"))
}

/// With slashes: a VLAN's name has a dot.
fn sysctl(interfaces: &[InterfaceName]) -> String {
    interfaces.iter().fold(MADE.to_owned(), |mut text, name| {
        _ = writeln!(text, "-net/ipv6/conf/{name}/disable_ipv6 = 1");
        text
    })
}
