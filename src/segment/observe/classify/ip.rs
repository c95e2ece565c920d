//! IPv4 and IPv6 packets.

use std::net::IpAddr;

use etherparse::{IpNumber, Ipv6ExtensionSlice, LaxIpv4Slice, LaxIpv6Slice};

use super::policy::Packet;
use super::transport::{Carried, Told, Transport};
use super::{Seen, Whole};
use crate::segment::{MacAddr, Plan, Protocol, Verdict};

impl Whole<'_> {
    /// `None`: of a connection from the gateway to a camera.
    pub(super) fn ipv4(&self, plan: &Plan, gateway: MacAddr) -> Option<Seen> {
        let malformed = Seen::dropped(Protocol::Malformed);
        let Ok((packet, _)) = LaxIpv4Slice::from_slice(self.payload) else {
            return Some(malformed);
        };
        let header = packet.header();
        let (length, head) = (usize::from(header.total_len()), header.slice().len());
        if length < head || !self.carries(length) {
            return Some(malformed);
        }
        let addressed = Packet {
            to: self.header.to,
            source: header.source_addr(),
            destination: header.destination_addr(),
            source_routed: is_source_routed(header.options()),
        };
        let payload = packet.payload();
        let carried = Carried {
            protocol: payload.ip_number,
            bytes: payload.payload,
            complete: !payload.incomplete && !header.more_fragments(),
        };
        let later = header.fragments_offset().value() > 0;
        let told = if later { fragment(payload.ip_number) } else { carried.tell() };
        if self.is_dialled(&told, &addressed, plan) {
            return None;
        }
        let verdict = match told.transport {
            Transport::Udp(port) => addressed.udp(plan, gateway, port),
            Transport::Tcp { to, flags, .. } => addressed.tcp(plan, gateway, to, flags),
            Transport::Other => Verdict::Dropped,
        };
        let Packet { source, destination, .. } = addressed;
        let source = (!source.is_unspecified()).then_some(IpAddr::V4(source));
        Some(told.between(source, IpAddr::V4(destination), verdict))
    }

    /// IPv6 is off in the segment: all of it goes nowhere.
    pub(super) fn ipv6(&self) -> Seen {
        let Ok((packet, _)) = LaxIpv6Slice::from_slice(self.payload) else {
            return Seen::dropped(Protocol::Malformed);
        };
        let header = packet.header();
        if !self.carries(header.slice().len() + usize::from(header.payload_length())) {
            return Seen::dropped(Protocol::Malformed);
        }
        let later = packet.extensions().clone().into_iter().any(|extension| match extension {
            Ipv6ExtensionSlice::Fragment(fragment) => fragment.fragment_offset().value() > 0,
            Ipv6ExtensionSlice::HopByHop(_)
            | Ipv6ExtensionSlice::Routing(_)
            | Ipv6ExtensionSlice::DestinationOptions(_)
            | Ipv6ExtensionSlice::Authentication(_) => false,
        });
        let payload = packet.payload();
        let complete = !payload.incomplete && !packet.is_payload_fragmented();
        let carried = Carried { protocol: payload.ip_number, bytes: payload.payload, complete };
        let told = if later { fragment(payload.ip_number) } else { carried.tell() };
        let source = header.source_addr();
        let source = (!source.is_unspecified()).then_some(IpAddr::V6(source));
        told.between(source, header.destination_addr().into(), Verdict::Dropped)
    }

    /// Whether it is of a connection that the gateway made: from the camera's own Ethernet address, IP address and
    /// configured port, and not the beginning of a connection of the camera's. The socket's filter says the same.
    fn is_dialled(&self, told: &Told, packet: &Packet, plan: &Plan) -> bool {
        let Transport::Tcp { from, flags, .. } = told.transport else { return false };
        let camera = plan.camera_by_address(packet.source);
        camera.is_some_and(|camera| {
            camera.mac == self.header.from
                && camera.ports.contains(&from)
                && packet.destination == plan.address
                && !flags.is_bare_syn()
        })
    }
}

/// Not the first fragment: what it is part of cannot be told.
fn fragment(protocol: IpNumber) -> Told {
    Told::of(Protocol::Fragment, Some(protocol.0.into()))
}

/// Whether the options of an IPv4 header have a list of hops (RFC 791 §3.1: loose 131, strict 137).
fn is_source_routed(options: &[u8]) -> bool {
    let mut rest = options;
    loop {
        match rest {
            [] | [0, ..] => return false,
            [1, after @ ..] => rest = after,
            [131 | 137, ..] => return true,
            [_, length, ..] => {
                let Some(after) = rest.get(usize::from(*length).max(2)..) else { return false };
                rest = after;
            }
            [_] => return false,
        }
    }
}

impl Told {
    fn between(self, ip: Option<IpAddr>, destination: IpAddr, verdict: Verdict) -> Seen {
        let Self { protocol, port, name, .. } = self;
        Seen { ip, protocol, destination: Some(destination), port, name, verdict }
    }
}
