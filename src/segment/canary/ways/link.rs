//! What stays on the wire if the wire is the only way: discovery, broadcasts, raw Ethernet, other devices.

use std::net::Ipv4Addr;

use super::cloud::SERVER;
use super::payload;
use super::{BY_PORT, DROPPED, EITHER, Expect, List, Sends};
use crate::segment::canary::frame::{self, IGMP, IPV4, Ipv4, TCP, UDP};
use crate::segment::{MacAddr, Protocol};

const BROADCAST: MacAddr = MacAddr([0xff; 6]);
/// IEEE Std 802.1Q: bridges do not pass it on.
const NEAREST: MacAddr = MacAddr([0x01, 0x80, 0xc2, 0, 0, 0x0e]);
/// Cisco's, and others', discovery; bridges pass it on.
const CDP: MacAddr = MacAddr([0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcc]);

pub(super) fn add(list: &mut List<'_>) {
    discovery(list);
    broadcasts(list);
    ethernet(list);
    neighbours(list);
}

fn discovery(list: &mut List<'_>) {
    let query = payload::dns_question("_rtsp._tcp.local");
    let all = Ipv4Addr::new(239, 255, 255, 250);
    let mark = list.mark();
    group(list, "ssdp", (all, 1900), Protocol::Ssdp, &payload::ssdp(&mark));
    let question = [&query[..], &list.mark()].concat();
    group(list, "mdns", (Ipv4Addr::new(224, 0, 0, 251), 5353), Protocol::Mdns, &question);
    let question = [&query[..], &list.mark()].concat();
    group(list, "llmnr", (Ipv4Addr::new(224, 0, 0, 252), 5355), Protocol::Llmnr, &question);
    let mark = list.mark();
    group(list, "ws-discovery", (all, 3702), Protocol::WsDiscovery, &payload::ws_discovery(&mark));
    let mark = list.mark();
    group(list, "sadp", (all, 37020), Protocol::Sadp, &payload::sadp(&mark));
    let mark = list.mark();
    let at = (Ipv4Addr::new(239, 255, 255, 251), 37810);
    group(list, "dhdiscover", at, Protocol::DhDiscover, &payload::dhdiscover(&mark));
    let mark = list.mark();
    group(list, "multicast-stream", (Ipv4Addr::new(239, 1, 2, 3), 5004), Protocol::Udp, &mark);
}

fn broadcasts(list: &mut List<'_>) {
    let everywhere = Ipv4Addr::BROADCAST;
    let subnet = list.scene.broadcast;
    let mark = list.mark();
    shout(list, "xmeye", (everywhere, 34569), Protocol::Xmeye, &payload::xmeye(&mark));
    let mark = list.mark();
    shout(list, "net-bios", (subnet, 137), Protocol::NetBios, &mark);
    let mark = list.mark();
    shout(list, "broadcast", (everywhere, 9999), Protocol::Udp, &mark);
    let mark = list.mark();
    shout(list, "broadcast-subnet", (subnet, 9998), Protocol::Udp, &mark);
    let ip = Ipv4::new(Ipv4Addr::UNSPECIFIED, everywhere, UDP);
    let packet = frame::udp(ip, 68, 67, &payload::dhcp(list.scene.mac.0, &list.mark()));
    list.add(
        "dhcp-options",
        vec![list.frame(BROADCAST, IPV4, &packet)],
        vec![list.line(&[Protocol::Dhcp], everywhere, 67, EITHER)],
    );
}

fn ethernet(list: &mut List<'_>) {
    let mark = list.mark();
    let sadp = [&[0x21, 0x20, 0, 0][..], &mark].concat();
    raw(list, "sadp-ethernet", BROADCAST, 0x8033, Protocol::Sadp, &sadp);
    let mark = list.mark();
    let chassis = [&[0x02, 7, 4][..], &list.scene.mac.0, &[0x04, 7, 3], &list.scene.mac.0].concat();
    let about = [&chassis[..], &[0x06, 2, 0, 120, 0x0a, 18], &mark, &[0, 0]].concat();
    raw(list, "lldp", NEAREST, 0x88cc, Protocol::Lldp, &about);
    let mark = list.mark();
    raw(list, "lldp-broadcast", BROADCAST, 0x88cc, Protocol::Lldp, &mark);
    let mark = list.mark();
    raw(list, "ethertype-experimental", BROADCAST, 0x88b6, Protocol::Ethernet, &mark);
    let mark = list.mark();
    raw(list, "ethertype-jumbo", BROADCAST, 0x8870, Protocol::Ethernet, &mark);
    let mark = list.mark();
    raw(list, "ethertype-pppoe", BROADCAST, 0x8863, Protocol::Ethernet, &mark);
    let mark = list.mark();
    let gateway = list.scene.gateway_mac;
    raw(list, "ethernet-to-gateway", gateway, 0x88b6, Protocol::Ethernet, &mark);
    // IEEE 802.3: what would be an EtherType is a length.
    let cdp = [&[0xaa, 0xaa, 3, 0, 0, 0x0c, 0x20, 0, 2, 180, 0, 0][..], &list.mark()].concat();
    let send = list.frame(CDP, u16::try_from(cdp.len()).unwrap_or(0), &cdp);
    list.add("cdp", vec![send], vec![list.link_line(&[Protocol::Ethernet], CDP, None)]);
}

fn neighbours(list: &mut List<'_>) {
    let camera = list.scene.camera;
    let packet = frame::syn(list.ip(camera.address, TCP), list.port(), camera.port, &list.mark());
    list.add(
        "camera-to-camera",
        vec![list.frame(camera.mac, IPV4, &packet)],
        vec![list.line(BY_PORT, camera.address, camera.port, DROPPED)],
    );
    let packet = frame::udp(list.ip(camera.address, UDP), list.port(), 9997, &list.mark());
    list.add(
        "camera-to-camera-broadcast",
        vec![list.frame(BROADCAST, IPV4, &packet)],
        vec![list.line(&[Protocol::Udp], camera.address, 9997, DROPPED)],
    );
    list.add(
        "camera-to-camera-routed",
        vec![list.datagram(camera.address, 9996, b"")],
        vec![list.line(&[Protocol::Udp], camera.address, 9996, DROPPED)],
    );
    let mark = list.mark();
    raw(list, "camera-to-camera-ethernet", camera.mac, 0x88b6, Protocol::Ethernet, &mark);
    let asked = |list: &List<'_>, ip| list.line(&[Protocol::Arp], ip, None, DROPPED);
    let expects = vec![asked(list, camera.address)];
    list.add("arp-camera", vec![list.arp(camera.address)], expects);
    let expects = vec![asked(list, SERVER)];
    list.add("arp-internet", vec![list.arp(SERVER)], expects);
    let group_address = Ipv4Addr::new(239, 1, 2, 3);
    let packet =
        list.ip(group_address, IGMP).packet(&frame::igmp_report(group_address, &list.mark()));
    list.add(
        "igmp",
        vec![list.frame(frame::multicast(group_address), IPV4, &packet)],
        vec![list.line(&[Protocol::Igmp], group_address, None, DROPPED)],
    );
}

/// A datagram to a group.
fn group(
    list: &mut List<'_>,
    name: &'static str,
    (to, port): (Ipv4Addr, u16),
    protocol: Protocol,
    say: &[u8],
) {
    datagram(list, name, frame::multicast(to), (to, port), protocol, say);
}

/// A datagram to all.
fn shout(
    list: &mut List<'_>,
    name: &'static str,
    at: (Ipv4Addr, u16),
    protocol: Protocol,
    say: &[u8],
) {
    datagram(list, name, BROADCAST, at, protocol, say);
}

fn datagram(
    list: &mut List<'_>,
    name: &'static str,
    mac: MacAddr,
    (to, port): (Ipv4Addr, u16),
    protocol: Protocol,
    say: &[u8],
) {
    let packet = frame::udp(list.ip(to, UDP), list.port(), port, say);
    let expect = one_of(protocol);
    let line = list.line(expect, to, port, DROPPED);
    list.add(name, vec![list.frame(mac, IPV4, &packet)], vec![line]);
}

/// A frame that is no IP.
fn raw(
    list: &mut List<'_>,
    name: &'static str,
    to: MacAddr,
    kind: u16,
    protocol: Protocol,
    say: &[u8],
) {
    let port = (protocol == Protocol::Ethernet).then_some(kind);
    let line: Expect = list.link_line(one_of(protocol), to, port);
    let send: Sends = list.frame(to, kind, say);
    list.add(name, vec![send], vec![line]);
}

/// Protocols that have exactly one name.
fn one_of(protocol: Protocol) -> &'static [Protocol] {
    const ALL: &[Protocol] = &[
        Protocol::Ssdp,
        Protocol::Mdns,
        Protocol::Llmnr,
        Protocol::WsDiscovery,
        Protocol::Sadp,
        Protocol::DhDiscover,
        Protocol::Xmeye,
        Protocol::NetBios,
        Protocol::Udp,
        Protocol::Lldp,
        Protocol::Ethernet,
    ];
    ALL.iter().position(|known| *known == protocol).and_then(|at| ALL.get(at..=at)).unwrap_or(&[])
}
