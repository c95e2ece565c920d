//! What gets past a filter that was not written with it in mind: IPv6, tags, options, fragments, tunnels, lies.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::cloud::SERVER;
use super::{BY_PORT, DROPPED, Expect, List, SUNK, Sends};
use crate::segment::canary::frame::{
    self, GRE, ICMP, ICMPV6, IPV4, IPV4_IN_IP, IPV6, IPV6_IN_IP, Ipv4, SCTP, TCP, UDP,
};
use crate::segment::{MacAddr, Protocol};

/// Nobody's address (RFC 3849).
const SERVER6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x77);
const ROUTERS6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
const ALL6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const MLD6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);
const DHCP6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);

pub(super) fn add(list: &mut List<'_>) {
    discovery6(list);
    packets6(list);
    tags(list);
    options(list);
    fragments(list);
    lies(list);
    tunnels(list);
    uplinks(list);
}

/// The link-local address made of an Ethernet address (RFC 4291, appendix A).
fn own6(MacAddr([a, b, c, d, e, f]): MacAddr) -> Ipv6Addr {
    Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f])
}

fn discovery6(list: &mut List<'_>) {
    let solicited = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 0x77);
    // An option of a type that nobody has (RFC 4861 4.6) takes the marker.
    let option = |mark: &[u8]| [&[253, 3, 0, 0][..], mark, &[0, 0]].concat();
    let advert = [64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0];
    for (name, to, kind, head) in [
        ("ipv6-router-solicitation", ROUTERS6, 133, vec![0; 4]),
        ("ipv6-router-advertisement", ALL6, 134, advert.to_vec()),
        ("ipv6-neighbour-solicitation", solicited, 135, [&[0; 4][..], &SERVER6.octets()].concat()),
        (
            "ipv6-neighbour-advertisement",
            ALL6,
            136,
            [&[0x20, 0, 0, 0][..], &SERVER6.octets()].concat(),
        ),
        ("ipv6-multicast-report", MLD6, 143, vec![0; 4]),
        ("ipv6-echo", ALL6, 128, vec![0xca, 0x9a, 0, 1]),
    ] {
        let from = own6(list.scene.mac);
        let body = [&head[..], &option(&list.mark())].concat();
        let packet = frame::ipv6(from, to, ICMPV6, &frame::icmpv6(from, to, kind, &body));
        let line = list.line(&[Protocol::Icmpv6], to, u16::from(kind), DROPPED);
        list.add(name, vec![list.frame(frame::multicast6(to), IPV6, &packet)], vec![line]);
    }
}

fn packets6(list: &mut List<'_>) {
    let from = own6(list.scene.mac);
    let gateway = list.scene.gateway_mac;
    let packet = frame::ipv6(
        from,
        SERVER6,
        UDP,
        &frame::udp6(from, SERVER6, (list.port(), 9995), &list.mark()),
    );
    let line = list.line(&[Protocol::Udp], SERVER6, 9995, DROPPED);
    list.add("ipv6-udp", vec![list.frame(gateway, IPV6, &packet)], vec![line]);
    let datagram = frame::udp6(from, SERVER6, (list.port(), 9994), &list.mark());
    // Hop-by-hop options, then destination options, each with six bytes of padding (RFC 8200 4).
    let headed = [&[60, 0, 1, 4, 0, 0, 0, 0, UDP, 0, 1, 4, 0, 0, 0, 0][..], &datagram].concat();
    let packet = frame::ipv6(from, SERVER6, 0, &headed);
    let line = list.line(&[Protocol::Udp], SERVER6, 9994, DROPPED);
    list.add("ipv6-extension-headers", vec![list.frame(gateway, IPV6, &packet)], vec![line]);
    let datagram =
        frame::udp6(from, DHCP6, (546, 547), &[&[1, 0, 0, 1][..], &list.mark()].concat());
    let packet = frame::ipv6(from, DHCP6, UDP, &datagram);
    let line = list.line(&[Protocol::Dhcpv6], DHCP6, 547, DROPPED);
    list.add("ipv6-dhcp", vec![list.frame(frame::multicast6(DHCP6), IPV6, &packet)], vec![line]);
}

fn tags(list: &mut List<'_>) {
    let gateway = list.scene.gateway_mac;
    for (name, kind, tag) in [
        ("vlan", 0x8100, &[0, 1, 0x08, 0][..]),
        ("vlan-priority", 0x8100, &[0xe0, 0, 0x08, 0]),
        ("vlan-double", 0x88a8, &[0, 1, 0x81, 0, 0, 2, 0x08, 0]),
    ] {
        let packet = frame::udp(list.ip(SERVER, UDP), list.port(), 9993, &list.mark());
        let send = list.frame(gateway, kind, &[tag, &packet].concat());
        let line = list.link_line(&[Protocol::Vlan], gateway, None);
        list.add(name, vec![send], vec![line]);
    }
}

fn options(list: &mut List<'_>) {
    let [a, b, c, d] = SERVER.octets();
    // RFC 791 3.1: record route with room for one, loose and strict source route to the server.
    for (name, port, option) in [
        ("ip-record-route", 9992, [7, 7, 4, 0, 0, 0, 0, 0]),
        ("ip-loose-source-route", 9991, [131, 7, 4, a, b, c, d, 0]),
        ("ip-strict-source-route", 9990, [137, 7, 4, a, b, c, d, 0]),
    ] {
        let through = if port == 9992 { SERVER } else { list.scene.gateway };
        let ip = Ipv4 { options: &option, ..list.ip(through, UDP) };
        let packet = frame::udp(ip, list.port(), port, &list.mark());
        let line = list.line(&[Protocol::Udp], through, port, DROPPED);
        list.add(name, vec![list.routed(&packet)], vec![line]);
    }
}

fn fragments(list: &mut List<'_>) {
    const MORE: u16 = 0x2000;
    for (name, port, second) in [("fragments", 9989, 4_u16), ("fragments-overlapping", 9988, 1)] {
        let ip = list.ip(SERVER, UDP);
        let say = [&list.mark()[..], &[0; 30], &list.mark()].concat();
        let datagram = frame::udp_datagram(ip, list.port(), port, &say);
        let (head, tail) = datagram.split_at_checked(32).unwrap_or((&datagram, &[]));
        let first = Ipv4 { fragment: MORE, ..ip }.packet(head);
        let later = Ipv4 { fragment: second, ..ip }.packet(tail);
        list.add(
            name,
            vec![list.routed(&first), list.routed(&later)],
            vec![
                list.line(&[Protocol::Udp], SERVER, port, DROPPED),
                list.line(&[Protocol::Fragment], SERVER, None, DROPPED),
            ],
        );
    }
}

fn lies(list: &mut List<'_>) {
    for (name, from, port) in [
        ("spoofed-camera", list.scene.camera.address, 9987),
        ("spoofed-gateway", list.scene.gateway, 9986),
        ("spoofed-internet", Ipv4Addr::new(198, 51, 100, 7), 9985),
    ] {
        let packet = frame::udp(Ipv4::new(from, SERVER, UDP), list.port(), port, &list.mark());
        let line = list.line(&[Protocol::Udp], SERVER, port, DROPPED);
        list.add(name, vec![list.routed(&packet)], vec![line]);
    }
    let packet = frame::udp(list.ip(SERVER, UDP), list.port(), 9984, &list.mark());
    let other = list.scene.other_mac;
    let send = Sends::Frame(frame::ethernet(list.scene.gateway_mac, other, IPV4, &packet));
    let line = Expect { device: other, ..list.line(&[Protocol::Udp], SERVER, 9984, DROPPED) };
    list.add("spoofed-mac", vec![send], vec![line]);
}

fn tunnels(list: &mut List<'_>) {
    let inner = frame::udp(list.ip(SERVER, UDP), list.port(), 9983, &list.mark());
    let gre = [&[0, 0, 0x08, 0][..], &inner].concat();
    let sctp = [&[0x30, 0x39, 0x30, 0x39, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0][..], &list.mark()].concat();
    for (name, number, protocol, say) in [
        ("gre", GRE, &[Protocol::Gre][..], &gre),
        ("ip-in-ip", IPV4_IN_IP, &[Protocol::Ip], &inner),
        ("ipv6-in-ip", IPV6_IN_IP, &[Protocol::Ip], &inner),
        ("sctp", SCTP, &[Protocol::Sctp], &sctp),
        ("protocol-253", 253, &[Protocol::Ip], &inner),
    ] {
        // Each with its own number: what is inside stands for the way that is added.
        let say = renumbered(say, &list.scene.marker, &list.mark());
        let packet = list.ip(SERVER, number).packet(&say);
        let port = (protocol == [Protocol::Ip]).then_some(u16::from(number));
        let line = list.line(protocol, SERVER, port, DROPPED);
        list.add(name, vec![list.routed(&packet)], vec![line]);
    }
}

/// The bytes with the number behind the marker replaced by that of `mark`.
fn renumbered(bytes: &[u8], marker: &[u8; 16], mark: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = memchr::memmem::find(&bytes, marker);
    if let Some(place) = at.and_then(|at| bytes.get_mut(at..at + mark.len())) {
        place.copy_from_slice(mark);
    }
    bytes
}

/// The gateway's addresses on the other side: its kernel would answer there, whichever way the packet came.
fn uplinks(list: &mut List<'_>) {
    let mut v4 = Vec::new();
    let mut v6 = Vec::new();
    for address in &list.scene.uplinks {
        match address {
            IpAddr::V4(ip) => v4.push(*ip),
            IpAddr::V6(ip) => v6.push(*ip),
        }
    }
    each(list, "uplink-tcp", &v4, |list, ip| {
        let ports = [22, 80, 443, 8554];
        let sends = ports.iter().map(|port| list.syn(ip, *port)).collect();
        (sends, ports.iter().map(|port| list.line(BY_PORT, ip, *port, SUNK)).collect())
    });
    each(list, "uplink-udp", &v4, |list, ip| {
        (vec![list.datagram(ip, 9982, b"")], vec![list.line(&[Protocol::Udp], ip, 9982, DROPPED)])
    });
    each(list, "uplink-icmp", &v4, |list, ip| {
        let packet = list.ip(ip, ICMP).packet(&frame::echo(&list.mark()));
        (vec![list.routed(&packet)], vec![list.line(&[Protocol::Icmp], ip, None, DROPPED)])
    });
    each(list, "uplink-arp", &v4, |list, ip| {
        (vec![list.arp(ip)], vec![list.line(&[Protocol::Arp], ip, None, DROPPED)])
    });
    each(list, "uplink-ipv6", &v6, |list, ip| {
        let from = own6(list.scene.mac);
        let datagram = frame::udp6(from, ip, (list.port(), 9981), &list.mark());
        let packet = frame::ipv6(from, ip, UDP, &datagram);
        let send = list.frame(list.scene.gateway_mac, IPV6, &packet);
        (vec![send], vec![list.line(&[Protocol::Udp], ip, 9981, DROPPED)])
    });
    gateway(list);
}

/// The gateway's own address in the segment: only DNS, DHCP and time answer there.
fn gateway(list: &mut List<'_>) {
    let ip = list.scene.gateway;
    let packet = list.ip(ip, ICMP).packet(&frame::echo(&list.mark()));
    let line = list.line(&[Protocol::Icmp], ip, None, DROPPED);
    list.add("gateway-icmp", vec![list.routed(&packet)], vec![line]);
    let ports = [1, 22, 80, 443];
    let sends = ports
        .iter()
        .map(|port| list.routed(&frame::syn(list.ip(ip, TCP), list.port(), *port, &list.mark())))
        .collect();
    let lines = ports.iter().map(|port| list.line(BY_PORT, ip, *port, DROPPED)).collect();
    list.add("gateway-tcp", sends, lines);
    let line = list.line(&[Protocol::Udp], ip, 9980, DROPPED);
    list.add("gateway-udp", vec![list.datagram(ip, 9980, b"")], vec![line]);
}

/// One way to all addresses of a kind; none if there are none.
fn each<A: Copy>(
    list: &mut List<'_>,
    name: &'static str,
    addresses: &[A],
    sends: impl Fn(&List<'_>, A) -> (Vec<Sends>, Vec<Expect>),
) {
    let (mut all, mut lines) = (Vec::new(), Vec::new());
    for address in addresses {
        let (sends, expects) = sends(list, *address);
        all.extend(sends);
        lines.extend(expects);
    }
    if !all.is_empty() {
        list.add(name, all, lines);
    }
}
