//! Kernel settings of the namespace.

/// One setting: a file below `/proc/sys` of the namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sysctl {
    /// Its path below `/proc/sys`.
    pub key: String,
    /// Its value.
    pub value: &'static str,
    /// Whether a kernel without it is as good: it lacks what the setting turns off.
    pub optional: bool,
}

/// Settings of the whole namespace, to be made before it has an interface.
pub(super) fn before_links() -> Vec<Sysctl> {
    // First: it puts others back to their defaults.
    let mut all = vec![must("net/ipv4/ip_forward", "0")];
    for interface in ["all", "default"] {
        all.extend(of_interface(interface));
    }
    all.push(must("net/ipv4/icmp_echo_ignore_all", "1"));
    all.push(must("net/ipv4/icmp_echo_ignore_broadcasts", "1"));
    // Frames between ports are the bridge table's, and only its.
    for table in ["ip", "ip6", "arp"] {
        all.push(may(&format!("net/bridge/bridge-nf-call-{table}tables"), "0"));
    }
    all
}

/// Settings of connection tracking; they exist once rules use it.
pub(super) fn after_rules() -> Vec<Sysctl> {
    vec![
        // A connection whose beginning was not seen is none.
        may("net/netfilter/nf_conntrack_tcp_loose", "0"),
        may("net/netfilter/nf_conntrack_tcp_timeout_established", "3600"),
        may("net/netfilter/nf_conntrack_udp_timeout", "10"),
        may("net/netfilter/nf_conntrack_udp_timeout_stream", "30"),
    ]
}

/// Settings of one interface, `all` or `default`.
pub(super) fn of_interface(interface: &str) -> Vec<Sysctl> {
    let mut settings = vec![
        may(&format!("net/ipv6/conf/{interface}/disable_ipv6"), "1"),
        may(&format!("net/ipv6/conf/{interface}/forwarding"), "0"),
        may(&format!("net/ipv6/conf/{interface}/accept_ra"), "0"),
    ];
    for (name, value) in [
        ("forwarding", "0"),
        ("rp_filter", "1"),
        ("arp_ignore", "1"),
        ("arp_announce", "2"),
        ("arp_accept", "0"),
        ("accept_redirects", "0"),
        ("secure_redirects", "0"),
        ("send_redirects", "0"),
        ("accept_source_route", "0"),
        ("accept_local", "0"),
        ("proxy_arp", "0"),
        ("route_localnet", "0"),
        ("log_martians", "0"),
    ] {
        settings.push(must(&format!("net/ipv4/conf/{interface}/{name}"), value));
    }
    settings
}

fn must(key: &str, value: &'static str) -> Sysctl {
    Sysctl { key: key.to_owned(), value, optional: false }
}

fn may(key: &str, value: &'static str) -> Sysctl {
    Sysctl { key: key.to_owned(), value, optional: true }
}
