//! IPv4 and IPv6 packets.

use std::net::IpAddr;

use etherparse::{IpNumber, Ipv4HeaderSlice, Ipv6HeaderSlice, ip_number};

use super::policy::Packet;
use super::transport::{Carried, Told, Transport};
use super::{Classified, Whole};
use crate::segment::{MacAddr, Plan, Protocol, Verdict};

impl Whole<'_> {
    /// `None`: of a connection from the gateway to a camera.
    pub(super) fn ipv4(&self, plan: &Plan, gateway: MacAddr) -> Option<Classified> {
        let malformed = Classified::dropped(Protocol::Malformed);
        let Ok(header) = Ipv4HeaderSlice::from_slice(self.payload) else { return Some(malformed) };
        let (length, head) = (usize::from(header.total_len()), header.slice().len());
        if length < head || !self.carries(length) {
            return Some(malformed);
        }
        let addressed = Packet {
            from: self.header.from,
            to: self.header.to,
            source: header.source_addr(),
            destination: header.destination_addr(),
            odd: header.is_fragmenting_payload() || !header.options().is_empty(),
        };
        let (bytes, captured) = self.part(head, length);
        let complete = captured && !header.more_fragments();
        let carried = Carried { protocol: header.protocol(), bytes, complete };
        let later = header.fragments_offset().value() > 0;
        let told = if later { fragment(carried.protocol) } else { carried.tell() };
        if self.is_dialled(&told, &addressed, plan) {
            return None;
        }
        let verdict = match told.transport {
            Transport::Udp { from, to } => addressed.udp(plan, gateway, from, to),
            Transport::Tcp { to, flags, .. } => addressed.tcp(plan, gateway, to, flags),
            Transport::Other => Verdict::Dropped,
        };
        let Packet { source, destination, .. } = addressed;
        let source = (!source.is_unspecified()).then_some(IpAddr::V4(source));
        Some(told.between(source, IpAddr::V4(destination), verdict))
    }

    /// IPv6 is off in the segment: all of it goes nowhere.
    pub(super) fn ipv6(&self) -> Classified {
        let Ok(header) = Ipv6HeaderSlice::from_slice(self.payload) else {
            return Classified::dropped(Protocol::Malformed);
        };
        let head = header.slice().len();
        let length = head + usize::from(header.payload_length());
        if !self.carries(length) {
            return Classified::dropped(Protocol::Malformed);
        }
        let (bytes, captured) = self.part(head, length);
        let behind = behind_extensions(header.next_header(), bytes);
        let complete = captured && behind.fragment == Fragment::None;
        let carried = Carried { protocol: behind.protocol, bytes: behind.bytes, complete };
        let later = behind.fragment == Fragment::Later;
        let told = if later { fragment(carried.protocol) } else { carried.tell() };
        let source = header.source_addr();
        let source = (!source.is_unspecified()).then_some(IpAddr::V6(source));
        told.between(source, header.destination_addr().into(), Verdict::Dropped)
    }

    /// What of a packet's part was captured, and whether that is all of it.
    fn part(&self, from: usize, to: usize) -> (&[u8], bool) {
        let captured = self.payload.len();
        (self.payload.get(from..to.min(captured)).unwrap_or_default(), to <= captured)
    }

    /// Whether it is of a connection that the gateway made: from the camera's own Ethernet address, IP address and
    /// configured port, and not the beginning of a connection of the camera's. The socket's filter says the same.
    fn is_dialled(&self, told: &Told, packet: &Packet, plan: &Plan) -> bool {
        let Transport::Tcp { from, flags, .. } = told.transport else { return false };
        let camera = plan.camera_by_address(packet.source);
        camera.is_some_and(|camera| {
            camera.mac == packet.from
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

/// What is behind the extension headers of an IPv6 packet.
struct Behind<'a> {
    protocol: IpNumber,
    bytes: &'a [u8],
    fragment: Fragment,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fragment {
    None,
    First,
    Later,
}

/// Goes over the extension headers (RFC 8200 §4, RFC 4302), as far as they are whole.
fn behind_extensions(first: IpNumber, bytes: &[u8]) -> Behind<'_> {
    let mut behind = Behind { protocol: first, bytes, fragment: Fragment::None };
    loop {
        let (next, length) = match (behind.protocol, behind.bytes) {
            (
                ip_number::IPV6_HOP_BY_HOP | ip_number::IPV6_ROUTE | ip_number::IPV6_DEST_OPTIONS,
                [next, length, ..],
            ) => (*next, 8 * (usize::from(*length) + 1)),
            (ip_number::AUTH, [next, length, ..]) => (*next, 4 * (usize::from(*length) + 2)),
            (ip_number::IPV6_FRAG, [next, _, high, low, ..]) => {
                let field = u16::from_be_bytes([*high, *low]);
                if field >> 3 > 0 {
                    return Behind {
                        protocol: IpNumber(*next),
                        fragment: Fragment::Later,
                        ..behind
                    };
                }
                if field & 1 == 1 {
                    behind.fragment = Fragment::First;
                }
                (*next, 8)
            }
            _ => return behind,
        };
        let Some(rest) = behind.bytes.get(length..) else { return behind };
        behind = Behind { protocol: IpNumber(next), bytes: rest, ..behind };
    }
}

impl Told {
    fn between(self, ip: Option<IpAddr>, destination: IpAddr, verdict: Verdict) -> Classified {
        let Self { protocol, port, name, .. } = self;
        Classified { ip, protocol, destination: Some(destination), port, name, verdict }
    }
}
