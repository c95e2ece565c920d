//! What a frame is an attempt of, and what becomes of it.

mod ip;
mod names;
mod policy;
#[cfg(test)]
pub(crate) mod tests;
mod transport;

use std::net::{IpAddr, Ipv4Addr};

use etherparse::{ArpHardwareId, ArpOperation, ArpPacketSlice, EtherType};

pub(in crate::segment) use self::transport::usual_of_tcp;
use crate::segment::{
    Attempt, Destination, DeviceText, MacAddr, Plan, Protocol, Sighting, Verdict,
};

/// A frame as it came to a camera port.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// Its first bytes, from the Ethernet header on.
    pub bytes: &'a [u8],
    /// Its length on the wire, the check sequence left out.
    pub wire_len: u32,
    /// Whether it came with a tag of a VLAN or a priority, which the kernel takes out of the bytes.
    pub tagged: bool,
}

/// What was seen in a frame.
struct Classified {
    ip: Option<IpAddr>,
    protocol: Protocol,
    /// `None`: the frame's own destination.
    destination: Option<IpAddr>,
    port: Option<u16>,
    name: Option<DeviceText>,
    verdict: Verdict,
}

/// The Ethernet header.
#[derive(Clone, Copy)]
struct Header {
    to: MacAddr,
    from: MacAddr,
    ether_type: u16,
}

/// Tells what a frame tries. The verdict is that of the segment's rules for such a frame, not what happened to this
/// very one: a service may be busy, and a fragment may never become whole.
///
/// `None`: a frame without a sender, or one of a connection from the gateway to a camera's configured port.
/// `gateway` is the bridge's Ethernet address.
pub fn classify(frame: &Frame<'_>, plan: &Plan, gateway: MacAddr) -> Option<Sighting> {
    let (header, payload) = Header::read(frame.bytes)?;
    let whole = Whole { header, payload, wire_len: frame.wire_len };
    let seen = match header.ether_type {
        _ if frame.tagged => Classified::dropped(Protocol::Vlan),
        0x8100 | 0x88a8 | 0x9100 => Classified::dropped(Protocol::Vlan),
        0x0800 => whole.ipv4(plan, gateway)?,
        0x86dd => whole.ipv6(),
        0x0806 => whole.arp(plan, gateway),
        0x88cc => Classified { name: names::lldp(payload), ..Classified::dropped(Protocol::Lldp) },
        // The raw frames of Hikvision's discovery.
        0x8033 => Classified::dropped(Protocol::Sadp),
        // A length: IEEE 802.3 with LLC, such as spanning tree.
        0..0x0600 => Classified::dropped(Protocol::Ethernet),
        other => Classified { port: Some(other), ..Classified::dropped(Protocol::Ethernet) },
    };
    Some(Sighting {
        device: header.from,
        ip: seen.ip,
        attempt: Attempt {
            protocol: seen.protocol,
            destination: seen.destination.map_or(Destination::Mac(header.to), Destination::Ip),
            port: seen.port,
            name: seen.name,
            verdict: seen.verdict,
        },
        bytes: frame.wire_len,
    })
}

/// A frame with its header read.
struct Whole<'a> {
    header: Header,
    payload: &'a [u8],
    wire_len: u32,
}

impl Header {
    const LEN: u32 = 14;

    fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (to, rest) = bytes.split_first_chunk()?;
        let (from, rest) = rest.split_first_chunk()?;
        let (ether_type, rest) = rest.split_first_chunk()?;
        let ether_type = u16::from_be_bytes(*ether_type);
        Some((Self { to: MacAddr(*to), from: MacAddr(*from), ether_type }, rest))
    }
}

impl Classified {
    fn dropped(protocol: Protocol) -> Self {
        Self {
            ip: None,
            protocol,
            destination: None,
            port: None,
            name: None,
            verdict: Verdict::Dropped,
        }
    }
}

impl Whole<'_> {
    /// Whether the frame on the wire has room for so many bytes behind its Ethernet header.
    fn carries(&self, bytes: usize) -> bool {
        u32::try_from(bytes).is_ok_and(|bytes| bytes <= self.wire_len.saturating_sub(Header::LEN))
    }

    fn arp(&self, plan: &Plan, gateway: MacAddr) -> Classified {
        let Ok(arp) = ArpPacketSlice::from_slice(self.payload) else {
            return Classified::dropped(Protocol::Malformed);
        };
        let ipv4 = arp.hw_addr_type() == ArpHardwareId::ETHERNET
            && arp.proto_addr_type() == EtherType::IPV4;
        let sender = arp.sender_protocol_addr().first_chunk::<4>().filter(|_| ipv4);
        let target = arp.target_protocol_addr().first_chunk::<4>().filter(|_| ipv4);
        let (Some(sender), Some(target)) = (sender, target) else {
            return Classified::dropped(Protocol::Arp);
        };
        let (sender, target) = (Ipv4Addr::from(*sender), Ipv4Addr::from(*target));
        let asks = arp.operation() == ArpOperation::REQUEST && target == plan.address;
        let heard = self.header.to == gateway || self.header.to.is_group();
        // A probe for its own address has no sender yet, and is answered as well.
        let lawful = sender.is_unspecified() || policy::may_use(plan, self.header.from, sender);
        Classified {
            ip: (!sender.is_unspecified()).then_some(sender.into()),
            destination: Some(target.into()),
            verdict: if asks && heard && lawful { Verdict::Answered } else { Verdict::Dropped },
            ..Classified::dropped(Protocol::Arp)
        }
    }
}
