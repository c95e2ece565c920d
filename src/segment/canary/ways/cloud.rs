//! What cameras use to phone home: names, time, UDP and TCP to servers.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::payload;
use super::{ANSWERED, Answer, BY_PORT, DROPPED, Expect, List, SUNK, Sends};
use crate::ops::hex;
use crate::segment::canary::frame::{self, ICMP};
use crate::segment::{DeviceText, Protocol};

/// The gateway's own name, as the segment's DNS knows it.
const GATEWAY_NAME: &str = "gateway.camlock.internal";

/// Resolvers that firmware has built in.
const RESOLVERS: [Ipv4Addr; 3] =
    [Ipv4Addr::new(8, 8, 8, 8), Ipv4Addr::new(1, 1, 1, 1), Ipv4Addr::new(9, 9, 9, 9)];
/// A public time server's address, as firmware has them built in.
const TIME: Ipv4Addr = Ipv4Addr::new(162, 159, 200, 1);
/// Nobody's address (RFC 5737), for what needs no particular one.
pub(super) const SERVER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 77);

pub(super) fn add(list: &mut List<'_>) {
    names(list);
    times(list);
    datagrams(list);
    connections(list);
    list.add(
        "icmp-internet",
        vec![list.routed(&list.ip(SERVER, ICMP).packet(&frame::echo(&list.mark())))],
        vec![list.line(&[Protocol::Icmp], SERVER, None, DROPPED)],
    );
}

fn names(list: &mut List<'_>) {
    let [google, cloudflare, quad9] = RESOLVERS;
    let gateway = list.scene.gateway;
    let own = Answer::Address(gateway);
    for (name, at) in [("dns-gateway", gateway), ("dns-hard-coded", google)] {
        let say = payload::dns_question(GATEWAY_NAME);
        let (to, answer) = (SocketAddrV4::new(at, 53), Some(own));
        let question = marked_question(list);
        let frame = list.routed(&frame::udp(list.ip(at, frame::UDP), list.port(), 53, &question));
        let line = named(list.line(&[Protocol::Dns], at, 53, ANSWERED), GATEWAY_NAME);
        let frame_line = named(list.line(&[Protocol::Dns], at, 53, ANSWERED), &marked_name(list));
        list.add(name, vec![Sends::Udp { to, say, answer }, frame], vec![line, frame_line]);
    }
    for (name, at) in [("dns-tcp-gateway", gateway), ("dns-tcp-hard-coded", google)] {
        let say = payload::dns_over_tcp(&marked_name(list));
        let send = Sends::Tcp { to: SocketAddrV4::new(at, 53), say, answer: Some(Answer::Dns) };
        list.add(name, vec![send], vec![list.line(&[Protocol::Dns], at, 53, ANSWERED)]);
    }
    let tunnel = format!("{}.{}", hex::encode(&[0xca; 28]), marked_name(list));
    let question = payload::dns_question(&tunnel);
    list.add(
        "dns-tunnel",
        vec![list.routed(&frame::udp(list.ip(quad9, frame::UDP), list.port(), 53, &question))],
        vec![named(list.line(&[Protocol::Dns], quad9, 53, ANSWERED), &tunnel)],
    );
    let doh = payload::client_hello("cloudflare-dns.com", &list.mark());
    tls(list, "dns-over-https", cloudflare, 443, doh, "cloudflare-dns.com");
    tcp(list, "dns-over-tls", (quad9, 853), &[Protocol::DnsOverTls], "dns.quad9.net");
}

fn times(list: &mut List<'_>) {
    for (name, at) in [("ntp-gateway", list.scene.gateway), ("ntp-hard-coded", TIME)] {
        let say = payload::ntp_question(&list.mark());
        let send = Sends::Udp { to: SocketAddrV4::new(at, 123), say, answer: Some(Answer::Time) };
        list.add(name, vec![send], vec![list.line(&[Protocol::Ntp], at, 123, ANSWERED)]);
    }
}

fn datagrams(list: &mut List<'_>) {
    for (name, port) in [("stun", 3478), ("stun-vendor", 31007)] {
        let say = payload::stun(&list.mark());
        let packet = frame::udp(list.ip(SERVER, frame::UDP), list.port(), port, &say);
        let expects = vec![list.line(&[Protocol::Stun], SERVER, port, DROPPED)];
        list.add(name, vec![list.routed(&packet)], expects);
    }
    let ports = [6002, 7760, 8800, 10001, 32100, 54321];
    list.add(
        "udp-hole-punch",
        ports.iter().map(|port| list.datagram(SERVER, *port, b"")).collect(),
        ports.iter().map(|port| list.line(&[Protocol::Udp], SERVER, *port, DROPPED)).collect(),
    );
    let quic = [&[0xc0, 0, 0, 0, 1, 8][..], &[0xca; 8], &[0]].concat();
    list.add(
        "quic",
        vec![list.datagram(SERVER, 443, &quic)],
        vec![list.line(&[Protocol::Quic, Protocol::Udp], SERVER, 443, DROPPED)],
    );
    list.add(
        "syslog",
        vec![list.datagram(SERVER, 514, b"<14>canary ")],
        vec![list.line(&[Protocol::Udp], SERVER, 514, DROPPED)],
    );
}

fn connections(list: &mut List<'_>) {
    let vendor = "litedev.ezvizlife.com";
    let hello = payload::client_hello(vendor, &list.mark());
    tls(list, "tls", SERVER, 443, hello, vendor);
    let broker = "broker.example.com";
    let hello = payload::client_hello(broker, &list.mark());
    tls(list, "mqtt-over-tls", SERVER, 8883, hello, broker);
    let say = payload::http("upload.example.com", &list.mark());
    said(list, "http", 80, &[Protocol::Http], say, "upload.example.com");
    let client = format!("canary-{}", hex::encode(&list.mark()));
    let say = payload::mqtt(&client);
    said(list, "mqtt", 1883, &[Protocol::Mqtt], say, &client);
    let say = payload::rtsp("push.example.com", &list.mark());
    said(list, "rtsp-push", 554, &[Protocol::Rtsp], say, "push.example.com");
    let banner = format!("SSH-2.0-{}", hex::encode(&list.mark()));
    let say = format!("{banner}\r\n").into_bytes();
    said(list, "ssh", 22, &[Protocol::Ssh], say, &banner);
    for (name, port) in [("smtp", 25), ("ftp", 21), ("vendor-8000", 8000), ("vendor-8666", 8666)] {
        tcp(list, name, (SERVER, port), BY_PORT, "");
    }
}

/// A first packet with the marker, and a connection that says a TLS hello with this server name.
fn tls(list: &mut List<'_>, name: &'static str, to: Ipv4Addr, port: u16, say: Vec<u8>, sni: &str) {
    let line = named(list.line(&[Protocol::Tls], to, port, SUNK), sni);
    let to = SocketAddrV4::new(to, port);
    let sends = vec![list.syn(*to.ip(), port), Sends::Tcp { to, say, answer: None }];
    list.add(name, sends, vec![line]);
}

/// The same with other words than TLS, in which the ledger hears this name.
fn said(
    list: &mut List<'_>,
    name: &'static str,
    port: u16,
    protocols: &'static [Protocol],
    say: Vec<u8>,
    hears: &str,
) {
    let line = named(list.line(protocols, SERVER, port, SUNK), hears);
    let to = SocketAddrV4::new(SERVER, port);
    list.add(name, vec![list.syn(SERVER, port), Sends::Tcp { to, say, answer: None }], vec![line]);
}

/// The same with a bare marker, or a TLS hello if it has a server name.
fn tcp(
    list: &mut List<'_>,
    name: &'static str,
    (ip, port): (Ipv4Addr, u16),
    protocols: &'static [Protocol],
    sni: &str,
) {
    let mark = list.mark();
    let line = list.line(protocols, ip, port, SUNK);
    let (say, line) = if sni.is_empty() {
        (mark, line)
    } else {
        (payload::client_hello(sni, &mark), named(line, sni))
    };
    let to = SocketAddrV4::new(ip, port);
    list.add(name, vec![list.syn(ip, port), Sends::Tcp { to, say, answer: None }], vec![line]);
}

/// A name under a domain that nobody owns, the marker in it.
fn marked_name(list: &List<'_>) -> String {
    format!("{}.example.com", hex::encode(&list.mark()))
}

fn marked_question(list: &List<'_>) -> Vec<u8> {
    payload::dns_question(&marked_name(list))
}

fn named(mut line: Expect, name: &str) -> Expect {
    line.name = Some(DeviceText::new(name.as_bytes()));
    line
}
