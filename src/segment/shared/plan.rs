//! What the root-owned segment file says, checked. `config` reads it; only root may write it.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};

use crate::segment::MacAddr;

/// The camera segment as root wants it: IPv4 only, one bridge, one subnet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The camera interfaces: ports of the bridge. Never empty, no name twice.
    pub interfaces: Vec<InterfaceName>,
    /// The gateway's own address in the segment.
    pub address: Ipv4Addr,
    /// Length of the subnet's prefix, 8 to 30.
    pub prefix: u8,
    /// The cameras; no name, Ethernet address or IP address twice; all addresses in the subnet, none the gateway's.
    pub cameras: Vec<Camera>,
    /// What a camera's DNS question is answered with.
    pub dns: DnsPolicy,
    /// Whether cameras get their addresses by DHCP: fixed leases by Ethernet address.
    pub dhcp: bool,
    /// The interfaces towards the clients and the internet. The canary watches every interface of the box; its
    /// marker, which proves that it would see one, is sent on these. Empty: on all that are up.
    pub uplinks: Vec<InterfaceName>,
    /// Days that the ledger is kept, 1 to 3,650.
    pub ledger_days: u16,
    /// Bytes that the ledger may take on disk; the oldest days go first.
    pub ledger_bytes: u64,
}

/// One camera of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Camera {
    /// Its name, as in the gateway's configuration: 1 to 64 of `a-z 0-9 - _`.
    pub name: String,
    /// Its Ethernet address: pinned to its IP address, and its lease is bound to it.
    pub mac: MacAddr,
    /// Its address.
    pub address: Ipv4Addr,
    /// The TCP ports that may be dialled; never empty.
    pub ports: BTreeSet<u16>,
}

/// What a camera's DNS question for a foreign name is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DnsPolicy {
    /// There is no such name.
    NxDomain,
    /// The sink's address: the camera then shows in the ledger what it would have said (TLS names, HTTP hosts).
    Sink,
}

/// The name of a network interface: 1 to 15 of `a-z A-Z 0-9 . _ - @`, and not `.` or `..`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InterfaceName(String);

/// The text is no name of a network interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an interface's name is 1 to 15 characters of a-z A-Z 0-9 . _ - @")]
pub struct BadInterface;

impl Plan {
    /// The camera of this name.
    pub fn camera(&self, name: &str) -> Option<&Camera> {
        self.cameras.iter().find(|camera| camera.name == name)
    }

    /// The camera with this Ethernet address.
    pub fn camera_by_mac(&self, mac: MacAddr) -> Option<&Camera> {
        self.cameras.iter().find(|camera| camera.mac == mac)
    }

    /// The camera with this IP address.
    pub fn camera_by_address(&self, address: Ipv4Addr) -> Option<&Camera> {
        self.cameras.iter().find(|camera| camera.address == address)
    }

    /// The Ethernet address of the bridge: made of the gateway's address, so that ports which come and go never change
    /// it, and cameras find the gateway where it was.
    pub fn bridge_mac(&self) -> MacAddr {
        let [a, b, c, d] = self.address.octets();
        MacAddr([0x02, 0xca, a, b, c, d])
    }

    /// Whether an address lies in the subnet, its first and last address included.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        let mask = self.mask();
        u32::from(address) & mask == u32::from(self.address) & mask
    }

    /// The subnet's first address.
    pub fn network(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.address) & self.mask())
    }

    /// The subnet's broadcast address.
    pub fn broadcast(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.address) | !self.mask())
    }

    fn mask(&self) -> u32 {
        u32::MAX.checked_shl(32_u32.saturating_sub(u32::from(self.prefix))).unwrap_or(0)
    }
}

impl Camera {
    /// Where to dial, if the plan allows this port.
    pub fn at(&self, port: u16) -> Option<SocketAddrV4> {
        self.ports.contains(&port).then(|| SocketAddrV4::new(self.address, port))
    }
}

impl DnsPolicy {
    /// As the segment file writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::NxDomain => "nxdomain",
            Self::Sink => "sink",
        }
    }
}

impl InterfaceName {
    /// Checks a name.
    pub fn parse(text: &str) -> Result<Self, BadInterface> {
        let lawful = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'@');
        let named = (1..=15).contains(&text.len()) && text.bytes().all(lawful);
        if named && text != "." && text != ".." && !text.starts_with('-') {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadInterface)
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A plan for tests: gateway 10.77.0.1/24, camera `door` at 10.77.0.10, ports 554 and 80.
    pub(crate) fn plan() -> Plan {
        Plan {
            interfaces: vec![InterfaceName::parse("eth1").unwrap()],
            address: Ipv4Addr::new(10, 77, 0, 1),
            prefix: 24,
            cameras: vec![Camera {
                name: "door".to_owned(),
                mac: "02:00:00:00:00:10".parse().unwrap(),
                address: Ipv4Addr::new(10, 77, 0, 10),
                ports: [554, 80].into(),
            }],
            dns: DnsPolicy::NxDomain,
            dhcp: true,
            uplinks: Vec::new(),
            ledger_days: 365,
            ledger_bytes: 512 * 1024 * 1024,
        }
    }

    #[test]
    fn the_subnet_is_what_the_prefix_says() {
        let mut plan = plan();
        assert!(plan.contains(Ipv4Addr::new(10, 77, 0, 255)));
        assert!(!plan.contains(Ipv4Addr::new(10, 77, 1, 0)));
        assert_eq!(plan.broadcast(), Ipv4Addr::new(10, 77, 0, 255));
        assert_eq!(plan.bridge_mac().to_string(), "02:ca:0a:4d:00:01");
        plan.prefix = 30;
        assert_eq!(plan.network(), Ipv4Addr::new(10, 77, 0, 0));
        assert_eq!(plan.broadcast(), Ipv4Addr::new(10, 77, 0, 3));
    }

    #[test]
    fn only_listed_ports_are_an_address() {
        let plan = plan();
        let door = plan.camera("door").unwrap();
        assert_eq!(door.at(554), Some("10.77.0.10:554".parse().unwrap()));
        assert_eq!(door.at(8000), None);
        assert!(plan.camera("yard").is_none());
    }

    #[test]
    fn interface_names_are_the_kernel_s() {
        for bad in ["", ".", "..", "a/b", "a b", "sixteen-letters-", "-x", "é", "a\"b"] {
            assert_eq!(InterfaceName::parse(bad), Err(BadInterface), "{bad}");
        }
        assert_eq!(InterfaceName::parse("enp3s0.100").unwrap().as_str(), "enp3s0.100");
    }
}
