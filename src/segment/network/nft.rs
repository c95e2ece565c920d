//! The nftables rules of the namespace.
//!
//! Two tables, each closed by itself, and a small one on the ports. `bridge camlock` looks at every frame that a port brings, before the bridge
//! learns an address from it: it counts the frame by its kind and lets in what a local service or the dialer may
//! get. `inet camlock` does the rest on IP: hard-coded DNS and time servers and every foreign TCP server become the
//! gateway's own services, the dialer reaches configured cameras and ports, and nothing is forwarded.

use std::fmt::Write as _;

use super::list;
use crate::ops::limits;
use crate::segment::{BRIDGE, InterfaceName, Plan, SINK_PORT};

/// Kinds of frames that are counted, one of them for each frame: counters `kind_NAME` of table `bridge camlock`.
pub const KINDS: [&str; 26] = [
    "arp",
    "dhcp",
    "dns",
    "dns_over_tls",
    "ethernet",
    "fragment",
    "gre",
    "icmp",
    "igmp",
    "ip",
    "ipv6",
    "mdns",
    "neighbour",
    "ntp",
    "options",
    "quic",
    "sadp",
    "sctp",
    "spoofed",
    "ssdp",
    "stream",
    "stun",
    "tcp",
    "udp",
    "vlan",
    "ws_discovery",
];

/// What is counted in table `netdev camlock`: frames that never come to the bridge's table.
pub const PORT_KIND: &str = "kind_link_local";

/// What is counted in table `inet camlock`.
pub const VERDICTS: [&str; 9] = [
    "answered_dhcp",
    "answered_dns",
    "answered_ntp",
    "drop_forward",
    "drop_input",
    "drop_invalid",
    "drop_output",
    "drop_rate",
    "sunk",
];

/// Replaces both tables at once; input of `nft -f -`.
pub fn ruleset(plan: &Plan) -> String {
    let mut text = String::new();
    for table in ["bridge", "inet"] {
        // Named first so that there is something to delete.
        _ = writeln!(text, "table {table} camlock {{\n}}\ndelete table {table} camlock");
    }
    text.push_str(&bridge(plan));
    text.push_str(&inet(plan));
    text
}

/// Replaces the table on the ports; they must be there. LLDP and its like pass a bridge's rules by, and an IP packet in
/// such a frame would come to the port itself.
pub fn port_rules(interfaces: &[InterfaceName]) -> String {
    let names: Vec<_> = interfaces.iter().map(|name| format!("\"{name}\"")).collect();
    format!(
        "table netdev camlock {{
}}
delete table netdev camlock
table netdev camlock {{
  counter {PORT_KIND} {{
  }}
  chain ingress {{
    type filter hook ingress devices = {{ {} }} priority -500; policy accept;
    ether daddr 01:80:c2:00:00:00-01:80:c2:00:00:0f counter name {PORT_KIND} drop
  }}
}}
",
        names.join(", ")
    )
}

fn bridge(plan: &Plan) -> String {
    let (discover, renew) = if plan.dhcp {
        (
            "ip saddr 0.0.0.0 ip daddr 255.255.255.255 udp sport 68 udp dport 67 counter name kind_dhcp goto enter",
            "ip daddr { %gateway%, 255.255.255.255 } udp dport 67 goto enter",
        )
    } else {
        ("ip saddr 0.0.0.0 udp sport 68 udp dport 67 counter name kind_dhcp drop", "# no DHCP")
    };
    let addresses = list(plan.cameras.iter().map(|camera| camera.address.to_string()));
    let pinned =
        list(plan.cameras.iter().map(|camera| format!("{} . {}", camera.address, camera.mac)));
    fill(
        include_str!("bridge.nft"),
        &[
            ("counters", counters(&KINDS.map(|kind| format!("kind_{kind}")))),
            ("dhcp_discover", discover.to_owned()),
            ("dhcp_renew", renew.to_owned()),
            ("addresses", addresses),
            ("pinned", pinned),
            ("gateway", plan.address.to_string()),
            ("network", plan.network().to_string()),
            ("prefix", plan.prefix.to_string()),
            ("broadcast", plan.broadcast().to_string()),
            ("mac", plan.bridge_mac().to_string()),
            ("devices", limits::SEGMENT_DEVICES.to_string()),
            ("strangers", limits::SEGMENT_STRANGERS.to_string()),
        ],
    )
}

fn inet(plan: &Plan) -> String {
    let (dhcp_in, dhcp_out) = if plan.dhcp {
        (
            "udp sport 68 udp dport 67 counter name answered_dhcp accept",
            "ip saddr %gateway% udp sport 67 udp dport 68 accept",
        )
    } else {
        ("# no DHCP", "# no DHCP")
    };
    let dial =
        list(plan.cameras.iter().flat_map(|camera| {
            camera.ports.iter().map(|port| format!("{} . {port}", camera.address))
        }));
    let (connects, datagrams) =
        (limits::SEGMENT_CONNECTS_PER_SECOND, limits::SEGMENT_DATAGRAMS_PER_SECOND);
    fill(
        include_str!("inet.nft"),
        &[
            ("counters", counters(&VERDICTS.map(str::to_owned))),
            ("dhcp_in", dhcp_in.to_owned()),
            ("dhcp_out", dhcp_out.to_owned()),
            ("dial", dial),
            ("gateway", plan.address.to_string()),
            ("bridge", BRIDGE.to_owned()),
            ("sink_port", SINK_PORT.to_string()),
            ("devices", limits::SEGMENT_DEVICES.to_string()),
            ("at_once", limits::SEGMENT_CONNECTIONS_PER_DEVICE.to_string()),
            ("connects", connects.to_string()),
            ("connects_burst", (2 * connects).to_string()),
            ("datagrams", datagrams.to_string()),
            ("datagrams_burst", (2 * datagrams).to_string()),
        ],
    )
}

/// Puts values into `%name%` of a text, in their order: one may bring names of later ones.
fn fill(text: &str, values: &[(&str, String)]) -> String {
    values
        .iter()
        .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("%{name}%"), value))
}

fn counters(names: &[String]) -> String {
    let each = |name: &String| format!("  counter {name} {{\n  }}");
    names.iter().map(each).collect::<Vec<_>>().join("\n")
}
