//! Frames as bytes, lawful and unlawful: a library that writes only lawful ones is no help to a canary.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::segment::MacAddr;

pub(super) const IPV4: u16 = 0x0800;
pub(super) const ARP: u16 = 0x0806;
pub(super) const IPV6: u16 = 0x86dd;

pub(super) const ICMP: u8 = 1;
pub(super) const IGMP: u8 = 2;
pub(super) const IPV4_IN_IP: u8 = 4;
pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
pub(super) const IPV6_IN_IP: u8 = 41;
pub(super) const GRE: u8 = 47;
pub(super) const ICMPV6: u8 = 58;
pub(super) const SCTP: u8 = 132;

/// An Ethernet II frame, padded to 60 bytes as a real port would.
pub(super) fn ethernet(to: MacAddr, from: MacAddr, kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = [&to.0[..], &from.0, &kind.to_be_bytes(), payload].concat();
    if frame.len() < 60 {
        frame.resize(60, 0);
    }
    frame
}

/// An Ethernet address that IPv4 multicast goes to (RFC 1112 6.4).
pub(super) fn multicast(ip: Ipv4Addr) -> MacAddr {
    let [_, b, c, d] = ip.octets();
    MacAddr([0x01, 0x00, 0x5e, b & 0x7f, c, d])
}

/// An Ethernet address that IPv6 multicast goes to (RFC 2464 7).
pub(super) fn multicast6(ip: Ipv6Addr) -> MacAddr {
    let [.., a, b, c, d] = ip.octets();
    MacAddr([0x33, 0x33, a, b, c, d])
}

/// An IPv4 packet's head (RFC 791 3.1).
#[derive(Debug, Clone, Copy)]
pub(super) struct Ipv4<'a> {
    pub(super) from: Ipv4Addr,
    pub(super) to: Ipv4Addr,
    pub(super) protocol: u8,
    /// A multiple of four bytes, at most 40.
    pub(super) options: &'a [u8],
    /// Flags and offset as on the wire: 0x2000 is "more fragments", the low 13 bits count eight bytes.
    pub(super) fragment: u16,
}

impl Ipv4<'static> {
    /// Without options or fragments.
    pub(super) fn new(from: Ipv4Addr, to: Ipv4Addr, protocol: u8) -> Self {
        Self { from, to, protocol, options: &[], fragment: 0 }
    }
}

impl Ipv4<'_> {
    /// The packet.
    pub(super) fn packet(&self, payload: &[u8]) -> Vec<u8> {
        let words = 5 + self.options.len() / 4;
        let mut head = vec![0x40 | u8::try_from(words).unwrap_or(5), 0];
        head.extend(length(words * 4 + payload.len()));
        head.extend([0xca, 0x9a]);
        head.extend(self.fragment.to_be_bytes());
        head.extend([64, self.protocol, 0, 0]);
        head.extend(self.from.octets());
        head.extend(self.to.octets());
        head.extend(self.options);
        let sum = checksum(&[&head]);
        put(&mut head, 10, sum);
        [&head[..], payload].concat()
    }

    fn pseudo(&self, bytes: usize) -> Vec<u8> {
        let (from, to) = (self.from.octets(), self.to.octets());
        [&from[..], &to, &[0, self.protocol], &length(bytes)].concat()
    }
}

/// An IPv6 packet (RFC 8200 3), hop limit 255 as neighbour discovery wants it.
pub(super) fn ipv6(from: Ipv6Addr, to: Ipv6Addr, next: u8, payload: &[u8]) -> Vec<u8> {
    let head = [0x60, 0, 0, 0];
    [&head[..], &length(payload.len()), &[next, 255], &from.octets(), &to.octets(), payload]
        .concat()
}

/// A UDP datagram in its IPv4 packet.
pub(super) fn udp(ip: Ipv4<'_>, from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    ip.packet(&udp_datagram(ip, from, to, payload))
}

/// A UDP datagram.
pub(super) fn udp_datagram(ip: Ipv4<'_>, from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let mut datagram = udp_unsummed(from, to, payload);
    let sum = checksum(&[&ip.pseudo(datagram.len()), &datagram]);
    put(&mut datagram, 6, sum);
    datagram
}

/// A UDP datagram for IPv6.
pub(super) fn udp6(from: Ipv6Addr, to: Ipv6Addr, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let mut datagram = udp_unsummed(ports.0, ports.1, payload);
    let sum = checksum(&[&pseudo6(from, to, UDP, datagram.len()), &datagram]);
    put(&mut datagram, 6, sum);
    datagram
}

/// The first packet of a TCP connection. It carries data, which is lawful (RFC 9293 3.4): address translation on
/// the way changes every field of the head, and not these.
pub(super) fn syn(ip: Ipv4<'_>, from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let ports = [from.to_be_bytes(), to.to_be_bytes()].concat();
    let rest = [0xca, 0x9a, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0];
    let mut segment = [&ports[..], &rest, payload].concat();
    let sum = checksum(&[&ip.pseudo(segment.len()), &segment]);
    put(&mut segment, 16, sum);
    ip.packet(&segment)
}

/// An ICMP echo request (RFC 792).
pub(super) fn echo(payload: &[u8]) -> Vec<u8> {
    let mut message = [&[8, 0, 0, 0, 0xca, 0x9a, 0, 1][..], payload].concat();
    let sum = checksum(&[&message]);
    put(&mut message, 2, sum);
    message
}

/// An IGMPv2 report for a group (RFC 2236), the marker behind it.
pub(super) fn igmp_report(group: Ipv4Addr, marker: &[u8]) -> Vec<u8> {
    let mut message = [&[0x16, 0, 0, 0][..], &group.octets(), marker].concat();
    let sum = checksum(&[&message]);
    put(&mut message, 2, sum);
    message
}

/// An ICMPv6 message: its type, code 0, a body.
pub(super) fn icmpv6(from: Ipv6Addr, to: Ipv6Addr, kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = [&[kind, 0, 0, 0][..], body].concat();
    let sum = checksum(&[&pseudo6(from, to, ICMPV6, message.len()), &message]);
    put(&mut message, 2, sum);
    message
}

/// An ARP request (RFC 826), the marker in what would be padding.
pub(super) fn arp(mac: MacAddr, from: Ipv4Addr, to: Ipv4Addr, marker: &[u8]) -> Vec<u8> {
    let head = [0, 1, 0x08, 0, 6, 4, 0, 1];
    [&head[..], &mac.0, &from.octets(), &[0; 6], &to.octets(), marker].concat()
}

fn udp_unsummed(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    [&from.to_be_bytes()[..], &to.to_be_bytes(), &length(8 + payload.len()), &[0, 0], payload]
        .concat()
}

fn pseudo6(from: Ipv6Addr, to: Ipv6Addr, next: u8, bytes: usize) -> Vec<u8> {
    [&from.octets()[..], &to.octets(), &[0, 0], &length(bytes), &[0, 0, 0, next]].concat()
}

fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).unwrap_or(u16::MAX).to_be_bytes()
}

fn put(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(place) = bytes.get_mut(at..at + 2) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

/// The Internet checksum (RFC 1071); only the last part may have an odd number of bytes.
fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0_u64;
    for pair in parts.iter().flat_map(|part| part.chunks(2)) {
        let [high, low] = [pair.first(), pair.get(1)].map(|byte| byte.copied().unwrap_or(0));
        sum += u64::from(u16::from_be_bytes([high, low]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use etherparse::{NetSlice, SlicedPacket, TransportSlice};

    use super::*;

    const A: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 9);
    const B: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);
    const A6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 9);

    fn frame(kind: u16, packet: &[u8]) -> Vec<u8> {
        ethernet(MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 9]), kind, packet)
    }

    #[test]
    fn foreign_eyes_find_heads_and_checksums_right() {
        let ip = Ipv4::new(A, B, UDP);
        let bytes = frame(IPV4, &udp(ip, 4000, 3478, b"odd"));
        let sliced = SlicedPacket::from_ethernet(&bytes).unwrap();
        let Some(NetSlice::Ipv4(v4)) = &sliced.net else { panic!("{sliced:?}") };
        let head = v4.header().to_header();
        assert_eq!(head.header_checksum, head.calc_header_checksum());
        let Some(TransportSlice::Udp(udp)) = &sliced.transport else { panic!("{sliced:?}") };
        let expected = udp.to_header().calc_checksum_ipv4(&head, udp.payload()).unwrap();
        assert_eq!((udp.destination_port(), udp.checksum()), (3478, expected));
        assert_eq!(udp.payload(), b"odd");

        let bytes = frame(IPV4, &syn(Ipv4::new(A, B, TCP), 4000, 443, b"mark"));
        let sliced = SlicedPacket::from_ethernet(&bytes).unwrap();
        let Some(NetSlice::Ipv4(v4)) = &sliced.net else { panic!("{sliced:?}") };
        let Some(TransportSlice::Tcp(tcp)) = &sliced.transport else { panic!("{sliced:?}") };
        let head = v4.header().to_header();
        let expected = tcp.to_header().calc_checksum_ipv4(&head, tcp.payload()).unwrap();
        assert!(tcp.syn() && !tcp.ack() && tcp.checksum() == expected && tcp.payload() == b"mark");

        let bytes = frame(IPV6, &ipv6(A6, A6, UDP, &udp6(A6, A6, (1, 2), b"x")));
        let sliced = SlicedPacket::from_ethernet(&bytes).unwrap();
        let Some(NetSlice::Ipv6(v6)) = &sliced.net else { panic!("{sliced:?}") };
        let Some(TransportSlice::Udp(udp)) = &sliced.transport else { panic!("{sliced:?}") };
        let head = v6.header().to_header();
        let expected = udp.to_header().calc_checksum_ipv6(&head, udp.payload()).unwrap();
        assert_eq!(udp.checksum(), expected);
    }

    #[test]
    fn echo_and_neighbour_discovery_have_their_sums() {
        let bytes = frame(IPV4, &Ipv4::new(A, B, ICMP).packet(&echo(b"mark")));
        let sliced = SlicedPacket::from_ethernet(&bytes).unwrap();
        let Some(TransportSlice::Icmpv4(icmp)) = &sliced.transport else { panic!("{sliced:?}") };
        let expected = icmp.icmp_type().calc_checksum(icmp.payload());
        assert_eq!(icmp.checksum(), expected);

        let bytes = frame(IPV6, &ipv6(A6, A6, ICMPV6, &icmpv6(A6, A6, 133, &[0; 4])));
        let sliced = SlicedPacket::from_ethernet(&bytes).unwrap();
        let Some(TransportSlice::Icmpv6(icmp)) = &sliced.transport else { panic!("{sliced:?}") };
        assert!(icmp.is_checksum_valid(A6.octets(), A6.octets()));
    }

    #[test]
    fn options_are_in_the_head_and_counted() {
        let ip = Ipv4 { options: &[7, 7, 4, 0, 0, 0, 0, 0], ..Ipv4::new(A, B, UDP) };
        let bytes = frame(IPV4, &udp(ip, 1, 9, b"mark"));
        let sliced = SlicedPacket::from_ethernet(&bytes).unwrap();
        let Some(NetSlice::Ipv4(v4)) = &sliced.net else { panic!("{sliced:?}") };
        assert_eq!(v4.header().options(), ip.options);
        let head = v4.header().to_header();
        assert_eq!(head.header_checksum, head.calc_header_checksum());
    }
}
