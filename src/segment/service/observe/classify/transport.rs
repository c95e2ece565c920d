//! What a packet carries: TCP, UDP and the rest.

use etherparse::{IpNumber, TcpSlice, UdpSlice, ip_number};

use super::names;
use crate::segment::{DeviceText, Protocol};

/// What a packet carries.
pub(super) struct Carried<'a> {
    pub(super) protocol: IpNumber,
    pub(super) bytes: &'a [u8],
    /// Whether that is all of it: then what is missing was never sent.
    pub(super) complete: bool,
}

/// What it tells.
pub(super) struct Told {
    pub(super) protocol: Protocol,
    pub(super) port: Option<u16>,
    pub(super) name: Option<DeviceText>,
    pub(super) transport: Transport,
}

/// What the rules go by.
#[derive(Clone, Copy)]
pub(super) enum Transport {
    Udp { from: u16, to: u16 },
    Tcp { from: u16, to: u16, flags: Flags },
    Other,
}

/// The flags of a TCP segment; none if they are missing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flags(pub(super) u8);

impl Flags {
    const FIN: u8 = 1;
    const SYN: u8 = 2;
    const RST: u8 = 4;
    const ACK: u8 = 16;

    /// Whether it opens a connection.
    pub(super) fn is_bare_syn(self) -> bool {
        self.0 & (Self::SYN | Self::ACK) == Self::SYN
    }

    /// Whether it can open a connection or belong to one that its sender opened; else the kernel's tracker of
    /// connections calls it invalid.
    pub(super) fn is_lawful(self) -> bool {
        if self.0 & Self::SYN == 0 {
            self.0 & (Self::ACK | Self::RST) != 0
        } else {
            self.0 & (Self::ACK | Self::RST | Self::FIN) == 0
        }
    }
}

impl Told {
    pub(super) fn of(protocol: Protocol, port: Option<u16>) -> Self {
        Self { protocol, port, name: None, transport: Transport::Other }
    }
}

impl Carried<'_> {
    pub(super) fn tell(&self) -> Told {
        let number = self.protocol;
        match number {
            ip_number::TCP => self.tcp(),
            ip_number::UDP => self.udp(),
            ip_number::ICMP => self.typed(Protocol::Icmp),
            ip_number::IPV6_ICMP => self.typed(Protocol::Icmpv6),
            ip_number::IGMP => self.typed(Protocol::Igmp),
            ip_number::SCTP => Told::of(Protocol::Sctp, self.u16_at(2)),
            ip_number::GRE => Told::of(Protocol::Gre, None),
            _ => Told::of(Protocol::Ip, Some(number.0.into())),
        }
    }

    fn typed(&self, protocol: Protocol) -> Told {
        match self.bytes.first() {
            None if self.complete => Told::of(Protocol::Malformed, None),
            kind => Told::of(protocol, kind.map(|kind| u16::from(*kind))),
        }
    }

    fn tcp(&self) -> Told {
        if self.complete && TcpSlice::from_slice(self.bytes).is_err() {
            return Told::of(Protocol::Malformed, None);
        }
        let (Some(from), Some(to)) = (self.u16_at(0), self.u16_at(2)) else {
            return Told::of(Protocol::Tcp, None);
        };
        let flags = Flags(self.bytes.get(13).copied().unwrap_or(0));
        Told {
            transport: Transport::Tcp { from, to, flags },
            ..Told::of(usual_of_tcp(to), Some(to))
        }
    }

    fn udp(&self) -> Told {
        let Ok(udp) = UdpSlice::from_slice_lax(self.bytes) else {
            let protocol = if self.complete { Protocol::Malformed } else { Protocol::Udp };
            return Told::of(protocol, None);
        };
        let length = usize::from(udp.length());
        if length < 8 || self.complete && length > self.bytes.len() {
            return Told::of(Protocol::Malformed, None);
        }
        let port = udp.destination_port();
        let transport = Transport::Udp { from: udp.source_port(), to: port };
        let (protocol, name) = by_udp(port, udp.payload());
        Told { protocol, port: Some(port), name, transport }
    }

    fn u16_at(&self, at: usize) -> Option<u16> {
        let bytes = self.bytes.get(at..)?.first_chunk()?;
        Some(u16::from_be_bytes(*bytes))
    }
}

/// The usual service of a TCP port. What a connection then says is the sink's to tell.
pub(in crate::segment) fn usual_of_tcp(port: u16) -> Protocol {
    match port {
        21 => Protocol::Ftp,
        22 => Protocol::Ssh,
        25 | 465 | 587 => Protocol::Smtp,
        53 => Protocol::Dns,
        80 | 8080 => Protocol::Http,
        443 | 8443 => Protocol::Tls,
        554 | 8554 => Protocol::Rtsp,
        853 => Protocol::DnsOverTls,
        1883 | 8883 => Protocol::Mqtt,
        34567 => Protocol::Xmeye,
        _ => Protocol::Tcp,
    }
}

/// What a datagram is, by its bytes where they are plain, and else by its port; and the name in it.
fn by_udp(port: u16, payload: &[u8]) -> (Protocol, Option<DeviceText>) {
    if names::is_stun(payload) {
        return (Protocol::Stun, names::stun(payload));
    }
    match port {
        53 => (Protocol::Dns, names::dns(payload)),
        67 | 68 => (Protocol::Dhcp, names::dhcp(payload)),
        123 => (Protocol::Ntp, None),
        137 | 138 => (Protocol::NetBios, names::net_bios(payload)),
        443 if names::is_quic_initial(payload) => (Protocol::Quic, None),
        546 | 547 => (Protocol::Dhcpv6, None),
        853 => (Protocol::DnsOverTls, None),
        1900 => (Protocol::Ssdp, names::ssdp(payload)),
        3702 => (Protocol::WsDiscovery, names::ws_discovery(payload)),
        5353 => (Protocol::Mdns, names::dns(payload)),
        5355 => (Protocol::Llmnr, names::dns(payload)),
        34567..=34569 => (Protocol::Xmeye, None),
        37020 => (Protocol::Sadp, names::sadp(payload)),
        37810 => (Protocol::DhDiscover, None),
        _ => (Protocol::Udp, None),
    }
}
