use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::*;
use crate::ops::limits;

/// What a client sends first, by rustls.
fn hello(name: &str, protocols: &[&str]) -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

/// The hello of a client that knows TLS 1.0 only: no signature algorithms, so rustls would not talk to it.
fn old_hello(name: &str) -> Vec<u8> {
    let entry = vector16(&[&[0], vector16(&[name.as_bytes()]).as_slice()]);
    let extensions = vector16(&[&[0, 0], &vector16(&[&entry])]);
    let body = [&[3, 1], [7; 32].as_slice(), &[0], &[0, 2, 0, 0x2f], &[1, 0], &extensions].concat();
    let handshake = [&[1, 0], vector16(&[&body]).as_slice()].concat();
    [&[22, 3, 1], vector16(&[&handshake]).as_slice()].concat()
}

fn vector16(parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u16::try_from(content.len()).unwrap();
    [length.to_be_bytes().as_slice(), &content].concat()
}

fn is(bytes: &[u8]) -> (Protocol, Option<String>) {
    let found = recognise(bytes);
    assert!(found.is_done, "{found:?}");
    (found.protocol, found.name.map(String::from))
}

fn known(protocol: Protocol, name: &str) -> (Protocol, Option<String>) {
    (protocol, Some(name.to_owned()))
}

/// Cut anywhere, it is not yet known; never is it taken for another.
fn grows(bytes: &[u8], protocol: Protocol) {
    for cut in 0..bytes.len() {
        let found = recognise(&bytes[..cut]);
        assert!(!found.is_done, "{cut}: {found:?}");
        assert!([Protocol::Tcp, protocol].contains(&found.protocol), "{cut}: {found:?}");
    }
}

#[test]
fn tls_tells_the_server_and_the_protocols() {
    let bytes = hello("alarm.ezviz7.com", &["h2", "http/1.1"]);
    assert_eq!(is(&bytes), known(Protocol::Tls, "alarm.ezviz7.com (h2 http/1.1)"));
    grows(&bytes, Protocol::Tls);
    assert_eq!(is(&hello("a.example", &[])), known(Protocol::Tls, "a.example"));
    assert_eq!(is(&hello("192.0.2.7", &["mqtt"])), known(Protocol::Tls, "(mqtt)"));
    assert_eq!(is(&hello("192.0.2.7", &[])), (Protocol::Tls, None));
    let dotted = old_hello("a.example.");
    assert_eq!(is(&dotted), known(Protocol::Tls, "a.example"), "the same name");
}

#[test]
fn a_hello_in_many_records_is_put_together() {
    let whole = hello("a.example", &["h2"]);
    let mut pieces = Vec::new();
    for piece in whole[5..].chunks(7) {
        pieces.extend([22, 3, 1, 0, u8::try_from(piece.len()).unwrap()]);
        pieces.extend(piece);
    }
    assert_eq!(is(&pieces), known(Protocol::Tls, "a.example (h2)"));
    grows(&pieces, Protocol::Tls);
}

#[test]
fn old_and_broken_hellos_are_tls_all_the_same() {
    let old = old_hello("old.example");
    assert_eq!(is(&old), known(Protocol::Tls, "old.example"));
    grows(&old, Protocol::Tls);
    assert_eq!(is(&[0x80, 0x2e, 1, 3, 1, 0, 0x15]), (Protocol::Tls, None));
    let mut broken = old.clone();
    broken[9 + 2 + 32] = 200;
    assert_eq!(is(&broken), (Protocol::Tls, None));
    // An alert where the hello should go on.
    let mut other = old[..20].to_vec();
    other[4] = 15;
    other.extend([21, 3, 1, 0, 2, 2, 40]);
    assert_eq!(is(&other), (Protocol::Tls, None));
}

#[test]
fn http_tells_the_host_and_never_the_path() {
    let get = b"GET /secret?token=1 HTTP/1.1\r\nUser-Agent: x\r\nHost: cloud.example:8080\r\n";
    assert_eq!(is(get), known(Protocol::Http, "cloud.example:8080"));
    grows(&get[..get.len() - 1], Protocol::Http);
    let whole = [get.as_slice(), b"\r\n"].concat();
    assert_eq!(is(&whole), known(Protocol::Http, "cloud.example:8080"));
    assert_eq!(is(b"GET / HTTP/1.0\r\n\r\n"), (Protocol::Http, None));
    assert_eq!(
        is(b"GET http://u:secret@h.example/ HTTP/1.0\r\n\r\n"),
        known(Protocol::Http, "h.example")
    );
    assert_eq!(
        is(b"CONNECT a.example:443 HTTP/1.1\r\n\r\n"),
        known(Protocol::Http, "a.example:443")
    );
    assert_eq!(is(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), (Protocol::Http, None));
    assert_eq!(is(b"GET / HTTP/9\r\nHost: a\r\n\r\n"), (Protocol::Http, None));
}

#[test]
fn one_header_line_too_many_leaves_http_without_a_name() {
    for (lines, name) in
        [(limits::SINK_HEADERS - 1, Some("a".to_owned())), (limits::SINK_HEADERS, None)]
    {
        let head = format!("GET / HTTP/1.1\r\n{}Host: a\r\n\r\n", "X: y\r\n".repeat(lines));
        assert_eq!(is(head.as_bytes()), (Protocol::Http, name));
    }
}

#[test]
fn rtsp_ssh_and_smtp_tell_who() {
    let rtsp = b"OPTIONS rtsp://u:secret@cam.example:554/live?x RTSP/1.0\r\n";
    assert_eq!(is(rtsp), known(Protocol::Rtsp, "cam.example:554"));
    grows(rtsp, Protocol::Rtsp);
    assert_eq!(is(b"OPTIONS * RTSP/1.0\r\n"), (Protocol::Rtsp, None));
    let ssh = b"SSH-2.0-dropbear_2019.78\r\n";
    assert_eq!(is(ssh), known(Protocol::Ssh, "SSH-2.0-dropbear_2019.78"));
    grows(ssh, Protocol::Ssh);
    assert_eq!(is(b"EHLO camera\r\n"), known(Protocol::Smtp, "camera"));
}

#[test]
fn mqtt_tells_client_and_user_and_never_the_password() {
    let text = |text: &str| vector16(&[text.as_bytes()]);
    let packet = |body: Vec<u8>| {
        let length = body.len();
        assert!(length < 128);
        [vec![0x10, u8::try_from(length).unwrap()], body].concat()
    };
    let plain = packet(
        [text("MQTT"), vec![4, 0xc2, 0, 60], text("cam-1"), text("serial"), text("secret")]
            .concat(),
    );
    assert_eq!(is(&plain), known(Protocol::Mqtt, "cam-1 (serial)"));
    // The password's bytes are not waited for.
    grows(&plain[..plain.len() - text("secret").len()], Protocol::Mqtt);
    let old = packet([text("MQIsdp"), vec![3, 2, 0, 60], text("cam-1")].concat());
    assert_eq!(is(&old), known(Protocol::Mqtt, "cam-1"));
    let will = [vec![0], text("topic"), text("gone")].concat();
    let five =
        [text("MQTT"), vec![5, 0x86, 0, 60, 2, 0x21, 0], text(""), will, text("user")].concat();
    assert_eq!(is(&packet(five)), known(Protocol::Mqtt, "(user)"));
    let broken = packet([text("MQTT"), vec![4, 2, 0, 60, 0xff, 0xff]].concat());
    assert_eq!(is(&broken), (Protocol::Mqtt, None));
    assert_eq!(is(&[0x10, 0xff, 0xff, 0xff, 0xff]), (Protocol::Tcp, None));
}

#[test]
fn vendors_protocols_are_known_by_their_marks() {
    let dhip = b"\x20\0\0\0DHIP\0\0\0\0";
    assert_eq!(is(dhip), known(Protocol::DhDiscover, "DHIP"));
    grows(&dhip[..8], Protocol::DhDiscover);
    assert_eq!(is(&[0xff, 1, 0, 0, 0, 0]), (Protocol::Xmeye, None));
    assert_eq!(is(&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42]), (Protocol::Stun, None));
    grows(&[0, 1, 0, 0, 0x21, 0x12, 0xa4], Protocol::Stun);
}

#[test]
fn noise_is_nobody_s_at_once() {
    for noise in [b"\xfe\xed".as_slice(), b"\0\0\0\0\0", b"two words\r\n", b"x\x01", &[b'a'; 33]] {
        assert_eq!(is(noise), (Protocol::Tcp, None), "{noise:?}");
    }
    let long = |length| [b"GET /".as_slice(), &vec![b'a'; length]].concat();
    assert!(!recognise(&long(2048 - 5)).is_done);
    assert!(recognise(&long(2048 - 4)).is_done);
}
