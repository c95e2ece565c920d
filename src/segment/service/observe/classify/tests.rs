use std::net::Ipv4Addr;

use etherparse::{IpNumber, PacketBuilder};

use super::*;
use crate::segment::shared::plan::tests::plan;

pub(crate) const GATEWAY: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub(crate) const DOOR: [u8; 6] = [2, 0, 0, 0, 0, 0x10];
const ALL: [u8; 6] = [255; 6];
pub(crate) const OUT: [u8; 4] = [9, 9, 9, 9];
pub(crate) const OWN: [u8; 4] = [10, 77, 0, 1];
pub(crate) const CAMERA: [u8; 4] = [10, 77, 0, 10];

fn look(bytes: &[u8]) -> Option<Sighting> {
    let wire_len = u32::try_from(bytes.len()).unwrap();
    classify(&Frame { bytes, wire_len, tagged: false }, &plan(), MacAddr(GATEWAY))
}

/// Protocol, destination, port, name, verdict of the attempt in a frame.
fn seen(bytes: &[u8]) -> (&'static str, String, Option<u16>, String, &'static str) {
    let Attempt { protocol, destination, port, name, verdict } = look(bytes).unwrap().attempt;
    let destination = match destination {
        Destination::Ip(ip) => ip.to_string(),
        Destination::Mac(mac) => mac.to_string(),
        Destination::Many => unreachable!(),
    };
    let name = name.map(String::from).unwrap_or_default();
    (protocol.name(), destination, port, name, verdict.name())
}

fn ethernet(to: [u8; 6], ether_type: u16, payload: &[u8]) -> Vec<u8> {
    [&to, &DOOR, &ether_type.to_be_bytes()[..], payload].concat()
}

pub(crate) fn udp(to: [u8; 4], port: u16, payload: &[u8]) -> Vec<u8> {
    udp_from(CAMERA, GATEWAY, to, port, payload)
}

fn udp_from(from: [u8; 4], mac: [u8; 6], to: [u8; 4], port: u16, payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(DOOR, mac)
        .ipv4(from, to, 64)
        .udp(if port == 67 { 68 } else { 40_000 }, port);
    let mut frame = Vec::new();
    builder.write(&mut frame, payload).unwrap();
    frame
}

pub(crate) fn tcp_with(
    from: ([u8; 4], u16),
    mac: [u8; 6],
    to: ([u8; 4], u16),
    flags: u8,
) -> Vec<u8> {
    let ip = PacketBuilder::ethernet2(DOOR, mac).ipv4(from.0, to.0, 64);
    let mut frame = Vec::new();
    ip.tcp(from.1, to.1, 1, 1024).write(&mut frame, &[]).unwrap();
    frame[14 + 20 + 13] = flags;
    frame
}

pub(crate) fn tcp(to: [u8; 4], port: u16) -> Vec<u8> {
    tcp_with((CAMERA, 40_000), GATEWAY, (to, port), 2)
}

fn ip(number: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let builder = PacketBuilder::ethernet2(DOOR, GATEWAY).ipv4(CAMERA, OUT, 64);
    builder.write(&mut frame, IpNumber(number), payload).unwrap();
    frame
}

/// An IPv6 packet from fe80::1 to ff02::1.
fn ip6(next: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let mut from = [0; 16];
    (from[0], from[1], from[15]) = (0xfe, 0x80, 1);
    let mut to = [0; 16];
    (to[0], to[1], to[15]) = (0xff, 2, 1);
    let head = [&[0x60, 0, 0, 0], &length[..], &[next, 255], &from, &to].concat();
    ethernet([0x33, 0x33, 0, 0, 0, 1], 0x86dd, &[&head, payload].concat())
}

fn arp(operation: u16, from: [u8; 4], to: [u8; 4]) -> Vec<u8> {
    let head = [0, 1, 8, 0, 6, 4];
    let arp = [&head, &operation.to_be_bytes()[..], &DOOR, &from, &[0; 6], &to].concat();
    ethernet(ALL, 0x0806, &arp)
}

pub(crate) fn dns(name: &str) -> Vec<u8> {
    let mut message = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).unwrap());
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    message
}

fn dhcp(options: &[u8]) -> Vec<u8> {
    [&[1; 236][..], &[99, 130, 83, 99], &[53, 1, 1, 0], options, &[255]].concat()
}

const STUN: &[u8] = b"\0\x01\0\x10\x21\x12\xa4\x42abcdefghijkl\x80\x22\0\x03srv\0\0\x06\0\x03me!\0";

#[test]
fn every_kind_of_datagram_is_told() {
    let mdns =
        [0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0, 3, b'C', b'a', b'm', 5, b'l', b'o', b'c', b'a'];
    let mdns = [&mdns[..], &[b'l', 0, 0, 1]].concat();
    let net_bios = dns("FHFAEBEECACACACACACACACACACACAAA");
    let ws =
        b"<e:Envelope><e:Header><w:Action a='b'>http://x/discovery/Probe</w:Action></e:Header>\
        <d:Probe><d:Types>dn:NetworkVideoTransmitter</d:Types></d:Probe></e:Envelope>";
    let search =
        b"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nst : upnp:rootdevice\r\n\r\n";
    let quic = [&[0xc3, 0, 0, 0, 1, 8][..], &[7; 40]].concat();
    let multicast = [239, 255, 255, 250];
    for (frame, expected) in [
        (udp(OUT, 53, &dns("Dev.EZVIZlife.com")), ("dns", "dev.ezvizlife.com", "answered")),
        (udp(OWN, 53, &dns("a")), ("dns", "a", "answered")),
        (udp(OUT, 53, b"tunnel"), ("dns", "", "answered")),
        (udp(OUT, 123, &[0x23; 48]), ("ntp", "", "answered")),
        (udp(OUT, 853, &quic), ("dns_over_tls", "", "dropped")),
        (udp(OUT, 443, &quic), ("quic", "", "dropped")),
        (udp(OUT, 443, b"not quic"), ("udp", "", "dropped")),
        (udp([255; 4], 67, &dhcp(b"\x0c\x03cam\x3c\x04acme")), ("dhcp", "cam (acme)", "answered")),
        (udp(OWN, 67, &dhcp(b"\x3c\x04acme")), ("dhcp", "(acme)", "answered")),
        (udp([255; 4], 68, &dhcp(b"\x0c\x03cam")), ("dhcp", "cam", "dropped")),
        (udp(OUT, 31_007, STUN), ("stun", "me!", "dropped")),
        (udp(multicast, 1900, search), ("ssdp", "upnp:rootdevice", "dropped")),
        (udp(multicast, 1900, b"NOTIFY *\nUSN: uuid:1\nNT: a"), ("ssdp", "a", "dropped")),
        (udp([224, 0, 0, 251], 5353, &mdns), ("mdns", "cam.local", "dropped")),
        (udp([224, 0, 0, 252], 5355, &dns("wpad")), ("llmnr", "wpad", "dropped")),
        (udp([10, 77, 0, 255], 137, &net_bios), ("net_bios", "WPAD", "dropped")),
        (udp(multicast, 3702, ws), ("ws_discovery", "dn:NetworkVideoTransmitter", "dropped")),
        (udp(multicast, 3702, &ws[..80]), ("ws_discovery", "Probe", "dropped")),
        (
            udp(multicast, 37_020, b"<Probe><Uuid>1</Uuid><Types>inquiry</Types></Probe>"),
            ("sadp", "inquiry", "dropped"),
        ),
        (udp([239, 255, 255, 251], 37_810, b"DHIP"), ("dh_discover", "", "dropped")),
        (udp([255; 4], 34_569, b"\xff"), ("xmeye", "", "dropped")),
        (udp(OUT, 5_000, b"punch"), ("udp", "", "dropped")),
        (udp(OUT, 5_000, b""), ("udp", "", "dropped")),
    ] {
        let (protocol, _, port, name, verdict) = seen(&frame);
        assert_eq!((protocol, name.as_str(), verdict), expected, "{port:?}");
        assert_eq!(port, Some(u16::from_be_bytes([frame[36], frame[37]])));
    }
    let door = look(&udp(OUT, 5_000, b"punch")).unwrap();
    assert_eq!((door.device, door.ip), (MacAddr(DOOR), Some(Ipv4Addr::from(CAMERA).into())));
    assert_eq!(door.bytes, 14 + 20 + 8 + 5);
}

#[test]
fn every_kind_of_frame_is_told() {
    let none = String::new;
    let icmp6 = |kind| ip6(58, &[kind, 0, 0, 0, 0, 0, 0, 0]);
    let mld = [58, 0, 5, 2, 0, 0, 1, 0, 143, 0, 0, 0, 0, 0, 0, 0];
    let options = [17, 0, 1, 4, 0, 0, 0, 0, 0x9c, 0x40, 0x14, 0xe9, 0, 8, 0, 0];
    let later6 = [17, 0, 0, 8, 0, 0, 0, 1, 1, 2, 3, 4];
    let lldp = b"\x02\x07\x04\x02\0\0\0\0\x10\x0a\x03cam\x0c\x04acme\0\0";
    let out = || "9.9.9.9".to_owned();
    let all_nodes = || "ff02::1".to_owned();
    let all = || "ff:ff:ff:ff:ff:ff".to_owned();
    for (frame, expected) in [
        (arp(1, CAMERA, OWN), ("arp", "10.77.0.1".to_owned(), None, none(), "answered")),
        (arp(1, [0; 4], OWN), ("arp", "10.77.0.1".to_owned(), None, none(), "answered")),
        (arp(1, [192, 168, 1, 64], OWN), ("arp", "10.77.0.1".to_owned(), None, none(), "dropped")),
        (arp(1, CAMERA, OUT), ("arp", out(), None, none(), "dropped")),
        (arp(2, CAMERA, OWN), ("arp", "10.77.0.1".to_owned(), None, none(), "dropped")),
        (ethernet(ALL, 0x0806, &[0, 7, 8, 0, 0, 0, 0, 1]), ("arp", all(), None, none(), "dropped")),
        (ethernet(ALL, 0x0806, &[0, 1]), ("malformed", all(), None, none(), "dropped")),
        (ethernet(ALL, 0x88cc, lldp), ("lldp", all(), None, "cam".to_owned(), "dropped")),
        (ethernet(ALL, 0x8033, b"\x21\x02"), ("sadp", all(), None, none(), "dropped")),
        (ethernet(ALL, 0x88b5, b"x"), ("ethernet", all(), Some(0x88b5), none(), "dropped")),
        (ethernet(ALL, 0x0026, b"BB"), ("ethernet", all(), None, none(), "dropped")),
        (ethernet(ALL, 0x8100, &[0, 5, 8, 0]), ("vlan", all(), None, none(), "dropped")),
        (ip(1, &[8, 0, 0, 0, 0, 0, 0, 0]), ("icmp", out(), Some(8), none(), "dropped")),
        (ip(1, &[]), ("malformed", out(), None, none(), "dropped")),
        (ip(2, &[0x16, 0, 0, 0, 0, 0, 0, 0]), ("igmp", out(), Some(0x16), none(), "dropped")),
        (ip(47, &[0, 0, 8, 0]), ("gre", out(), None, none(), "dropped")),
        (ip(132, &[0, 1, 0x13, 0x88]), ("sctp", out(), Some(5_000), none(), "dropped")),
        (ip(89, &[]), ("ip", out(), Some(89), none(), "dropped")),
        (ip(17, &[0; 7]), ("malformed", out(), None, none(), "dropped")),
        (ip(17, &[0, 1, 0, 2, 0, 9, 0, 0]), ("malformed", out(), None, none(), "dropped")),
        (ip(17, &[0, 1, 0, 2, 0, 7, 0, 0]), ("malformed", out(), None, none(), "dropped")),
        (ip(6, &[0; 19]), ("malformed", out(), None, none(), "dropped")),
        (ethernet(GATEWAY, 0x0800, &[0x45]), ("malformed", mac(GATEWAY), None, none(), "dropped")),
        (icmp6(133), ("icmpv6", all_nodes(), Some(133), none(), "dropped")),
        (icmp6(136), ("icmpv6", all_nodes(), Some(136), none(), "dropped")),
        (ip6(0, &mld), ("icmpv6", all_nodes(), Some(143), none(), "dropped")),
        (ip6(60, &options), ("mdns", all_nodes(), Some(5353), none(), "dropped")),
        (ip6(44, &later6), ("fragment", all_nodes(), Some(17), none(), "dropped")),
        // A header that is cut off, behind one that is whole.
        (ip6(60, &[60, 0, 1, 4, 0, 0, 0, 0, 17]), ("ip", all_nodes(), Some(60), none(), "dropped")),
        (
            ip6(51, &[58, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 128]),
            ("icmpv6", all_nodes(), Some(128), none(), "dropped"),
        ),
        (ip6(59, &[]), ("ip", all_nodes(), Some(59), none(), "dropped")),
        (
            ip6(17, &[0, 1, 2, 0x22, 0, 8, 0, 0]),
            ("dhcpv6", all_nodes(), Some(546), none(), "dropped"),
        ),
        (
            ip6(6, b"\0\x01\x20\0\0\0\0\0\0\0\0\0\x50\x02\0\0\0\0\0\0"),
            ("tcp", all_nodes(), Some(0x2000), none(), "dropped"),
        ),
    ] {
        assert_eq!(seen(&frame), expected);
    }
    assert_eq!(look(&icmp6(135)).unwrap().ip, Some("fe80::1".parse().unwrap()));
    assert_eq!(look(&arp(1, [0; 4], OWN)).unwrap().ip, None);
    assert_eq!(look(&[0; 13]), None);
    let tagged = Frame { bytes: &udp(OUT, 53, &dns("a")), wire_len: 60, tagged: true };
    let tagged = classify(&tagged, &plan(), MacAddr(GATEWAY)).unwrap();
    assert_eq!((tagged.attempt.protocol, tagged.ip), (Protocol::Vlan, None));
}

fn mac(mac: [u8; 6]) -> String {
    MacAddr(mac).to_string()
}

#[test]
fn connections_end_in_the_sink_or_nowhere() {
    let verdict = |frame: &[u8]| seen(frame).4;
    for (port, protocol) in [
        (21, "ftp"),
        (22, "ssh"),
        (25, "smtp"),
        (80, "http"),
        (443, "tls"),
        (554, "rtsp"),
        (853, "dns_over_tls"),
        (1883, "mqtt"),
        (8666, "tcp"),
        (34_567, "xmeye"),
    ] {
        let expected = (protocol, "9.9.9.9".to_owned(), Some(port), String::new(), "sunk");
        assert_eq!(seen(&tcp(OUT, port)), expected);
        assert_eq!(verdict(&tcp(OWN, port)), "dropped", "the gateway's own {port}");
    }
    assert_eq!(verdict(&tcp(OUT, 53)), "answered");
    assert_eq!(verdict(&tcp(OWN, 53)), "answered");
    let other = [2, 0, 0, 0, 0, 0x11];
    for mac in [other, ALL] {
        assert_eq!(verdict(&tcp_with((CAMERA, 40_000), mac, (OUT, 80), 2)), "dropped");
    }
    for source in [OUT, OWN, [10, 77, 0, 255], [10, 77, 0, 0], [0; 4]] {
        assert_eq!(verdict(&tcp_with((source, 40_000), GATEWAY, (OUT, 80), 2)), "dropped");
        assert_eq!(verdict(&udp_from(source, GATEWAY, OUT, 53, &dns("a"))), "dropped");
    }
    let mut stranger = tcp_with(([10, 77, 0, 66], 40_000), GATEWAY, (OUT, 80), 2);
    stranger[11] = 0x66;
    assert_eq!(verdict(&stranger), "sunk", "a device that is no camera");
    let mut spoofed = tcp(OUT, 80);
    spoofed[11] = 0x66;
    assert_eq!(verdict(&spoofed), "dropped", "in a camera's name");
    for to in [
        [255; 4],
        [10, 77, 0, 255],
        [10, 77, 0, 11],
        [224, 0, 0, 1],
        [250, 0, 0, 1],
        [127, 0, 0, 1],
        [0; 4],
    ] {
        assert_eq!(verdict(&tcp(to, 80)), "dropped");
        assert_eq!(verdict(&udp(to, 53, &dns("a"))), "dropped");
    }
    // Nothing, FIN, FIN and SYN, a Christmas tree, an answer; then parts of a connection.
    for (flags, expected) in [0, 1, 3, 41, 18]
        .map(|f| (f, "dropped"))
        .into_iter()
        .chain([16, 17, 24, 4].map(|f| (f, "sunk")))
    {
        let frame = tcp_with((CAMERA, 40_000), GATEWAY, (OUT, 80), flags);
        assert_eq!(verdict(&frame), expected, "{flags}");
    }
}

#[test]
fn local_services_answer_what_the_rules_let_through() {
    let verdict = |frame: &[u8]| seen(frame).4;
    let other = [2, 0, 0, 0, 0, 0x11];
    assert_eq!(verdict(&udp_from(CAMERA, other, OUT, 53, &dns("a"))), "dropped");
    assert_eq!(verdict(&udp_from(CAMERA, ALL, OWN, 53, &dns("a"))), "dropped");
    assert_eq!(verdict(&udp_from(CAMERA, ALL, OWN, 67, &dhcp(b""))), "answered");
    let mut stranger = udp_from([0; 4], ALL, [255; 4], 67, &dhcp(b""));
    stranger[11] = 0x66;
    assert_eq!(verdict(&stranger), "dropped", "no lease for a device that is no camera");
    assert_eq!(verdict(&udp_from([9; 4], ALL, [255; 4], 67, &dhcp(b""))), "dropped");
    assert_eq!(verdict(&udp_from([0; 4], ALL, OWN, 67, &dhcp(b""))), "dropped");
    assert_eq!(verdict(&udp_from([0; 4], other, [255; 4], 67, &dhcp(b""))), "dropped");
    let mut elsewhere = udp_from([0; 4], ALL, [255; 4], 67, &dhcp(b""));
    elsewhere[35] = 69;
    assert_eq!(verdict(&elsewhere), "dropped", "not from DHCP's own port");
    assert_eq!(verdict(&udp_from([0; 4], ALL, [255; 4], 67, &dhcp(b""))), "answered");
    assert_eq!(verdict(&udp_from([0; 4], ALL, OUT, 67, &dhcp(b""))), "dropped");
    let frame = udp_from([0; 4], ALL, [255; 4], 67, &dhcp(b""));
    let frame = Frame { bytes: &frame, wire_len: 400, tagged: false };
    let plan = Plan { dhcp: false, ..plan() };
    let off = classify(&frame, &plan, MacAddr(GATEWAY)).unwrap();
    assert_eq!(off.attempt.verdict, Verdict::Dropped);
    assert_eq!(off.ip, None);
}

#[test]
fn the_gateway_s_own_connections_are_not_in_the_ledger() {
    let dialled = |from: ([u8; 4], u16), to, flags| tcp_with(from, GATEWAY, (to, 50_000), flags);
    for flags in [18, 16, 24, 17, 4] {
        assert_eq!(look(&dialled((CAMERA, 554), OWN, flags)), None);
    }
    let seen = |frame: &[u8]| look(frame).is_some();
    assert!(seen(&dialled((CAMERA, 554), OWN, 2)), "the camera opens");
    assert!(seen(&dialled((CAMERA, 8_000), OWN, 16)), "another port");
    assert!(seen(&dialled(([10, 77, 0, 11], 554), OWN, 16)), "another address");
    assert!(seen(&dialled((CAMERA, 554), OUT, 16)), "to elsewhere");
    let mut spoofed = dialled((CAMERA, 554), OWN, 16);
    spoofed[11] = 0x66;
    assert!(seen(&spoofed), "another device in the camera's name");
}

#[test]
fn options_and_fragments_are_looked_through() {
    let with = |options: &[u8], fragment: u16, payload: &[u8]| {
        let head = 20 + options.len();
        let length = u16::try_from(head + payload.len()).unwrap().to_be_bytes();
        let version = 0x40 | u8::try_from(head / 4).unwrap();
        let fragment = fragment.to_be_bytes();
        let rest = [0, 0, fragment[0], fragment[1], 64, 17, 0, 0];
        let fixed = [&[version, 0], &length[..], &rest, &CAMERA, &OUT].concat();
        ethernet(GATEWAY, 0x0800, &[&fixed, options, payload].concat())
    };
    let dns = [&[0x9c, 0x40, 0, 53, 0, 27, 0, 0][..], &dns("a.b")].concat();
    let told = |frame: &[u8]| {
        let (protocol, _, port, _, verdict) = seen(frame);
        (protocol, port, verdict)
    };
    assert_eq!(told(&with(&[], 0, &dns)), ("dns", Some(53), "answered"));
    for options in [[148, 4, 0, 0], [1, 131, 3, 4], [1, 1, 1, 0]] {
        assert_eq!(told(&with(&options, 0, &dns)), ("dns", Some(53), "dropped"));
    }
    assert_eq!(told(&with(&[], 0x2000, &dns[..8])), ("dns", Some(53), "dropped"));
    assert_eq!(told(&with(&[], 0x2000, &dns[..4])), ("udp", None, "dropped"));
    assert_eq!(told(&with(&[], 0x2001, &dns)), ("fragment", Some(17), "dropped"));
    assert_eq!(told(&with(&[], 7, &dns)), ("fragment", Some(17), "dropped"));
    // A frame longer than what was taken of it is not malformed, a shorter one is.
    let long = with(&[], 0, &[&dns[..], &[0; 400]].concat());
    let cut = |wire_len| Frame { bytes: &long[..100], wire_len, tagged: false };
    let look = |frame| classify(&frame, &plan(), MacAddr(GATEWAY)).unwrap().attempt.protocol;
    assert_eq!(look(cut(u32::try_from(long.len()).unwrap())), Protocol::Dns);
    assert_eq!(look(cut(100)), Protocol::Malformed);
}

#[test]
fn names_that_are_none_are_left_out() {
    for (frame, expected) in [
        (udp(OUT, 53, &[0; 12]), ""),
        (udp(OUT, 53, &dns("a")[..13]), ""),
        // A pointer to itself.
        (udp(OUT, 53, &[0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1]), ""),
        (udp(OUT, 137, &dns("short")), ""),
        (udp(OWN, 67, &[0; 300]), ""),
        (udp(OWN, 67, &dhcp(b"\x0c\xff")), ""),
        (udp([239, 255, 255, 250], 1900, b"\r\n:\r\nST"), ""),
        (udp([239, 255, 255, 250], 3702, b"Types>a<Types/><Types"), ""),
        (
            udp([239, 255, 255, 250], 37_020, b"<MyTypes>a</MyTypes><a:Types>\x1b</a:Types>"),
            "\\x1b",
        ),
        (udp(OUT, 9, b"\0\x01\0\0\x21\x12\xa4\x42abcdefghijkl\0\x06\xff\xff"), ""),
    ] {
        assert_eq!(seen(&frame).3, expected);
    }
}
