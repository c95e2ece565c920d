//! The ways on which the canary tries to get out: what it sends, and what the ledger must then list.

mod cloud;
mod link;
mod payload;
mod tricks;

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

use super::Scene;
use super::frame::{self, ARP, IPV4, Ipv4, TCP, UDP};
use crate::segment::{Destination, DeviceText, MacAddr, Protocol, Row, Verdict};

/// One way: a name, what is sent, and what the ledger must list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// Its name, `kebab-case`.
    pub name: &'static str,
    /// What is sent, in this order.
    pub sends: Vec<Sends>,
    /// What the ledger must list, all of it.
    pub expects: Vec<Expect>,
}

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sends {
    /// A frame, as it is.
    Frame(Vec<u8>),
    /// Bytes over a TCP connection that the kernel makes.
    Tcp {
        /// Where to.
        to: SocketAddrV4,
        /// What is said when it stands.
        say: Vec<u8>,
        /// The answer without which the canary was not on the segment at all.
        answer: Option<Answer>,
    },
    /// A UDP datagram from a socket of the kernel.
    Udp {
        /// Where to.
        to: SocketAddrV4,
        /// The datagram.
        say: Vec<u8>,
        /// As above.
        answer: Option<Answer>,
    },
}

/// An answer that the local services give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// DNS: the address of the gateway's own name.
    Address(Ipv4Addr),
    /// DNS: any answer to the question.
    Dns,
    /// NTP: a server's time.
    Time,
}

/// A line that the ledger must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expect {
    /// Who did it.
    pub device: MacAddr,
    /// What was spoken: one of these.
    pub protocols: &'static [Protocol],
    /// Where to.
    pub to: Destination,
    /// Port; `None`: whatever the ledger writes for this protocol.
    pub port: Option<u16>,
    /// The name that stands in it, if one must.
    pub name: Option<DeviceText>,
    /// What became of it: one of these.
    pub verdicts: &'static [Verdict],
}

/// All ways, in the order in which they are tried.
pub fn ways(scene: &Scene) -> Vec<Way> {
    let mut list = List { scene, ways: Vec::new() };
    cloud::add(&mut list);
    link::add(&mut list);
    tricks::add(&mut list);
    list.ways
}

impl Answer {
    /// Whether these bytes are it. `asked` is what was sent.
    pub fn is(self, bytes: &[u8], asked: &[u8]) -> bool {
        match self {
            Self::Address(address) => {
                payload::is_dns_answer(bytes, asked) && bytes.ends_with(&address.octets())
            }
            Self::Dns => payload::is_dns_answer(bytes, asked),
            Self::Time => payload::is_time(bytes, asked),
        }
    }
}

impl Expect {
    /// Whether a row is that line.
    pub fn is(&self, row: &Row) -> bool {
        let attempt = &row.attempt;
        row.device == self.device
            && self.protocols.contains(&attempt.protocol)
            && attempt.destination == self.to
            && self.port.is_none_or(|port| attempt.port == Some(port))
            && self.name.as_ref().is_none_or(|name| attempt.name.as_ref() == Some(name))
            && self.verdicts.contains(&attempt.verdict)
    }

    /// In words.
    pub fn words(&self) -> String {
        let or = |names: Vec<&str>| names.join("/");
        let to = match self.to {
            Destination::Ip(ip) => ip.to_string(),
            Destination::Mac(mac) => mac.to_string(),
            Destination::Many => "many".to_owned(),
        };
        let port = self.port.map(|port| format!(" {port}")).unwrap_or_default();
        let name = self.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
        let protocols = or(self.protocols.iter().map(|protocol| protocol.name()).collect());
        let verdicts = or(self.verdicts.iter().map(|verdict| verdict.name()).collect());
        format!("{protocols} {to}{port}{name}, {verdicts}")
    }
}

/// The list as it grows: a way's number is its place.
struct List<'a> {
    scene: &'a Scene,
    ways: Vec<Way>,
}

impl List<'_> {
    fn add(&mut self, name: &'static str, sends: Vec<Sends>, expects: Vec<Expect>) {
        self.ways.push(Way { name, sends, expects });
    }

    /// The marker and the number of the way that is added next.
    fn mark(&self) -> Vec<u8> {
        let number = u16::try_from(self.ways.len()).unwrap_or(u16::MAX);
        [&self.scene.marker[..], &number.to_be_bytes()].concat()
    }

    /// A port of ours that belongs to the way that is added next.
    fn port(&self) -> u16 {
        40_000 + u16::try_from(self.ways.len()).unwrap_or(0)
    }

    fn ip(&self, to: Ipv4Addr, protocol: u8) -> Ipv4<'static> {
        Ipv4::new(self.scene.address, to, protocol)
    }

    /// A frame to the gateway's Ethernet address: what a camera sends to all that is not on its wire.
    fn routed(&self, packet: &[u8]) -> Sends {
        self.frame(self.scene.gateway_mac, IPV4, packet)
    }

    fn frame(&self, to: MacAddr, kind: u16, packet: &[u8]) -> Sends {
        Sends::Frame(frame::ethernet(to, self.scene.mac, kind, packet))
    }

    /// A UDP datagram with the marker behind `head`, routed.
    fn datagram(&self, to: Ipv4Addr, port: u16, head: &[u8]) -> Sends {
        let say = [head, &self.mark()].concat();
        self.routed(&frame::udp(self.ip(to, UDP), self.port(), port, &say))
    }

    /// A first packet of TCP with the marker in it, routed.
    fn syn(&self, to: Ipv4Addr, port: u16) -> Sends {
        self.routed(&frame::syn(self.ip(to, TCP), self.port(), port, &self.mark()))
    }

    fn arp(&self, to: Ipv4Addr) -> Sends {
        let request = frame::arp(self.scene.mac, self.scene.address, to, &self.mark());
        self.frame(MacAddr([0xff; 6]), ARP, &request)
    }

    /// A line of the ledger about the canary.
    fn line(
        &self,
        protocols: &'static [Protocol],
        to: impl Into<IpAddr>,
        port: impl Into<Option<u16>>,
        verdicts: &'static [Verdict],
    ) -> Expect {
        let to = Destination::Ip(to.into());
        let (device, port) = (self.scene.mac, port.into());
        Expect { device, protocols, to, port, name: None, verdicts }
    }

    /// The same about something that is no IP.
    fn link_line(&self, protocols: &'static [Protocol], to: MacAddr, port: Option<u16>) -> Expect {
        let to = Destination::Mac(to);
        Expect { device: self.scene.mac, protocols, to, port, name: None, verdicts: DROPPED }
    }
}

const DROPPED: &[Verdict] = &[Verdict::Dropped];
const ANSWERED: &[Verdict] = &[Verdict::Answered];
const SUNK: &[Verdict] = &[Verdict::Sunk];
/// As the plan says whether there is DHCP.
const EITHER: &[Verdict] = &[Verdict::Answered, Verdict::Dropped];
/// What a first packet of TCP may be called, by its port.
const BY_PORT: &[Protocol] = &[
    Protocol::Tcp,
    Protocol::Ftp,
    Protocol::Ssh,
    Protocol::Smtp,
    Protocol::Http,
    Protocol::Tls,
    Protocol::Rtsp,
    Protocol::Mqtt,
    Protocol::Xmeye,
];

#[cfg(test)]
mod tests;
