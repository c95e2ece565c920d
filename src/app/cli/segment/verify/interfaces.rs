//! The network interfaces of the namespace that a thread is in.

use std::collections::BTreeMap;
use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::{LinkAddr, SockaddrStorage};

use crate::segment::MacAddr;

/// Of `/usr/include/linux/if_arp.h`.
const ETHERNET: u16 = 1;
const LOOPBACK: u16 = 772;

/// One interface.
#[derive(Debug, Clone)]
pub(super) struct Interface {
    pub(super) name: String,
    pub(super) link: LinkAddr,
    pub(super) flags: InterfaceFlags,
    pub(super) addresses: Vec<IpAddr>,
}

impl Interface {
    /// Its number.
    pub(super) fn index(&self) -> usize {
        self.link.ifindex()
    }

    /// Its Ethernet address.
    pub(super) fn mac(&self) -> MacAddr {
        MacAddr(self.link.addr().unwrap_or_default())
    }

    /// Whether frames on it have Ethernet's form.
    pub(super) fn is_ethernet(&self) -> bool {
        [ETHERNET, LOOPBACK].contains(&self.link.hatype())
    }

    /// Whether it only leads back.
    pub(super) fn is_loopback(&self) -> bool {
        self.flags.contains(InterfaceFlags::IFF_LOOPBACK)
    }

    /// Whether something is at its other end.
    pub(super) fn is_up(&self) -> bool {
        self.flags.contains(InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING)
    }
}

/// All interfaces, by name.
pub(super) fn interfaces() -> Result<Vec<Interface>, String> {
    let all = getifaddrs().map_err(|error| format!("cannot list interfaces: {error}"))?;
    let (mut found, mut addresses) = (Vec::new(), BTreeMap::<String, Vec<IpAddr>>::new());
    for one in all {
        let Some(address) = one.address else { continue };
        if let Some(link) = address.as_link_addr() {
            let (name, flags) = (one.interface_name, one.flags);
            found.push(Interface { name, link: *link, flags, addresses: Vec::new() });
        } else if let Some(ip) = ip(&address) {
            addresses.entry(one.interface_name).or_default().push(ip);
        }
    }
    for interface in &mut found {
        interface.addresses = addresses.remove(&interface.name).unwrap_or_default();
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
}
