//! What a device on the segment tried.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use crate::segment::{DeviceText, MacAddr};

/// One attempt of one device, as the observer or a local service saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// Who sent it: the frame's source.
    pub device: MacAddr,
    /// Its IP address, as the packet claims.
    pub ip: Option<IpAddr>,
    /// What it tried, and what became of it.
    pub attempt: Attempt,
    /// Bytes of the frame on the wire; 0 for what a service adds to an attempt that was counted as a frame.
    pub bytes: u32,
}

/// What counts as the same attempt: rows of the ledger have this as their key, with the device.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Attempt {
    /// What was spoken.
    pub protocol: Protocol,
    /// Where to: an IP address, or an Ethernet address for what is no IP.
    pub destination: Destination,
    /// Destination port, the ICMP type for ICMP, the EtherType or protocol number for what has no name.
    pub port: Option<u16>,
    /// The name in it: DNS question, TLS server name, HTTP host, MQTT client, SSH banner...
    pub name: Option<DeviceText>,
    /// What became of it.
    pub verdict: Verdict,
}

/// Where an attempt went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Destination {
    /// An IPv4 or IPv6 address.
    Ip(IpAddr),
    /// An Ethernet address: the frame is no IP.
    Mac(MacAddr),
    /// So many destinations that they are only counted (a flood).
    Many,
}

/// What was spoken, as far as the bytes tell. A port alone is no proof: a name that goes by the port only is the
/// usual service of that port.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[allow(missing_docs, reason = "the names are the protocols'")]
pub enum Protocol {
    Arp,
    Lldp,
    /// Another EtherType, in `port`; SADP's raw frames are [`Self::Sadp`].
    Ethernet,
    /// A frame with an IEEE 802.1Q tag; the VLAN is not looked into.
    Vlan,
    Dhcp,
    Dns,
    /// TCP 853 or DNS's QUIC port.
    DnsOverTls,
    Ntp,
    Icmp,
    Igmp,
    Stun,
    Ssdp,
    Mdns,
    Llmnr,
    NetBios,
    WsDiscovery,
    Sadp,
    DhDiscover,
    Xmeye,
    Quic,
    Tls,
    Http,
    Rtsp,
    Mqtt,
    Ssh,
    Smtp,
    Ftp,
    /// TCP that nobody recognised.
    Tcp,
    /// UDP that nobody recognised.
    Udp,
    Sctp,
    Gre,
    /// IPv6 neighbour or router discovery, MLD (ICMPv6).
    Icmpv6,
    Dhcpv6,
    /// Another protocol of IPv4 or IPv6; its number is in `port`.
    Ip,
    /// Not the first fragment of a packet: nothing else can be told.
    Fragment,
    /// A frame that is shorter than its headers say.
    Malformed,
}

/// What became of an attempt.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Verdict {
    /// A local service answered: DNS, NTP, DHCP, ARP for the gateway's own address.
    Answered,
    /// The sink took the connection, looked, and reset it.
    Sunk,
    /// It went nowhere.
    Dropped,
}

impl Protocol {
    /// Its name as the ledger writes it, `snake_case`.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl Verdict {
    /// Its name as the ledger writes it.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_these_in_labels_and_in_the_ledger() {
        let protocols = every!(Protocol; Arp, Lldp, Ethernet, Vlan, Dhcp, Dns, DnsOverTls, Ntp, Icmp, Igmp, Stun, Ssdp, Mdns, Llmnr, NetBios, WsDiscovery, Sadp, DhDiscover, Xmeye, Quic, Tls, Http, Rtsp, Mqtt, Ssh, Smtp, Ftp, Tcp, Udp, Sctp, Gre, Icmpv6, Dhcpv6, Ip, Fragment, Malformed);
        let verdicts = every!(Verdict; Answered, Sunk, Dropped);
        for protocol in protocols {
            assert_eq!(serde_json::to_value(protocol).unwrap(), protocol.name());
        }
        for verdict in verdicts {
            assert_eq!(serde_json::to_value(verdict).unwrap(), verdict.name());
        }
        assert_surface!("ledger-protocols", protocols.map(Protocol::name).join("\n"));
        assert_surface!("ledger-verdicts", verdicts.map(Verdict::name).join("\n"));
    }
}
